//! The processor time of a payment, of a notification that is applied, and of one that is forged.
//!
//! What the confirming query takes is measured apart, by the function that confirms, on as many payments that were paid
//! likewise, a few after a few notifications, and taken out of what those took. That query writes what it learns, so what is
//! left of a notification is keeping, reading, verifying, settling and acknowledging it. A difference of two large times can
//! drown: where it did in more than a quarter of the windows, it is told without a verdict.

use std::time::Duration;

use tollgate_tests::figures::{Milli, fact, goal, median};

use crate::load::Load;
use crate::providers::Operations;
use crate::rsa::{Rsa, Times};

const WINDOWS: usize = 9;
/// Payments of each kind in a window. Of messages that nobody signed an account takes a hundred at once.
const COUNT: usize = 64;
/// So many notifications, and then so many questions.
const SLICE: usize = 16;

/// What one of each took.
struct Window {
    payment: Duration,
    /// A notification with its confirming query.
    confirmed: Duration,
    /// That query.
    asking: Duration,
    forged: Duration,
    rsa: Times,
}

impl Window {
    /// A notification without its confirming query; none where noise was larger than it.
    fn notice(&self) -> Option<Duration> {
        // It has a verification in it.
        let left = self.confirmed.checked_sub(self.asking);
        left.filter(|left| *left > self.rsa.verify)
    }
}

/// Measures one provider.
pub async fn measure(load: &mut Load) {
    let Some(operations) = load.provider.rsa else { return };
    let rsa = Rsa::new();
    let mut windows = Vec::new();
    // The first one warms everything.
    for at in 0..=WINDOWS {
        let window = window(load, &rsa).await;
        if at > 0 {
            windows.push(window);
        }
    }
    tell(load.provider.id, operations, &windows);
}

async fn window(load: &mut Load, rsa: &Rsa) -> Window {
    let account = load.account().await;
    // The account is opened once and kept.
    load.started(&account, 1).await;
    let before = rsa.times();
    let (starting, heard) = load.cpu(load.started(&account, COUNT)).await;
    let asked = load.started(&account, COUNT).await;
    load.paid(&heard).await;
    load.paid(&asked).await;
    let forged = load.drafts(&account, &heard, "forge").await;
    let truth = load.drafts(&account, &heard, "truth").await;
    let (forging, replies) = load.cpu(load.deliver(&forged)).await;
    assert!(replies.iter().all(|reply| reply.status != 429), "too many at once");
    let (mut confirmed, mut asking) = (Duration::ZERO, Duration::ZERO);
    for (notices, payments) in truth.chunks(SLICE).zip(asked.chunks(SLICE)) {
        confirmed += load.cpu(load.deliver(notices)).await.0;
        asking += load.ask(payments);
    }
    load.check(&heard).await;
    load.check(&asked).await;
    let after = rsa.times();
    let each = |all: Duration| all / u32::try_from(COUNT).unwrap();
    Window {
        payment: each(starting + confirmed),
        confirmed: each(confirmed),
        asking: each(asking),
        forged: each(forging),
        rsa: Times {
            sign: (before.sign + after.sign) / 2,
            verify: (before.verify + after.verify) / 2,
        },
    }
}

fn tell(id: &str, operations: Operations, windows: &[Window]) {
    let name = |what: &str| format!("provider.{id}.{what}");
    let ratio = |of: &dyn Fn(&Window) -> (Duration, Duration)| {
        let each = windows.iter().map(|window| {
            let (one, other) = of(window);
            Milli::ratio(one, other)
        });
        median(each.collect())
    };
    let time =
        |of: &dyn Fn(&Window) -> Duration| Milli::micros(median(windows.iter().map(of).collect()));
    let in_rsa = |window: &Window| {
        let Operations { signatures, verifications } = operations;
        (window.payment, window.rsa.sign * signatures + window.rsa.verify * verifications)
    };
    goal(&name("payment_ratio"), ratio(&in_rsa), "ratio", Milli(1500));
    let notice = ratio(&|window| (window.notice().unwrap_or_default(), window.rsa.verify));
    let drowned = windows.iter().filter(|window| window.notice().is_none()).count();
    if drowned * 4 > windows.len() {
        eprintln!("{id}: in {drowned} of {} windows noise was larger than a notice", windows.len());
        fact(&name("notice_ratio"), notice, "ratio");
    } else {
        goal(&name("notice_ratio"), notice, "ratio", Milli::whole(10));
    }
    let forged = ratio(&|window| (window.forged, window.rsa.verify));
    goal(&name("forged_ratio"), forged, "ratio", Milli::whole(4));
    fact(&name("payment_cpu"), time(&|window| window.payment), "us");
    fact(&name("notice_cpu"), time(&|window| window.notice().unwrap_or_default()), "us");
    fact(&name("confirming_cpu"), time(&|window| window.asking), "us");
    fact(&name("forged_cpu"), time(&|window| window.forged), "us");
    fact(&name("rsa_sign"), time(&|window| window.rsa.sign), "us");
    fact(&name("rsa_verify"), time(&|window| window.rsa.verify), "us");
}
