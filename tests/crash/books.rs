//! What must be true once everybody has had their say: our books and the provider's agree, and nothing happened twice.

use std::collections::BTreeMap;

use serde_json::Value;
use tollgate_tests::reply::text;
use tollgate_tests::{World, until};

/// Events that an order may have once at most.
const ONCE: [&str; 4] = ["order.created", "payment.succeeded", "order.paid", "order.closed"];

/// Compares our books with the provider's, when all is at rest.
///
/// # Panics
/// If money was lost, doubled or invented, or an order's events have a gap or say something twice.
pub async fn agree(world: &World) {
    let ours = payments(world).await;
    let theirs = trades(world).await;
    for (reference, trade) in &theirs {
        let payment = ours.get(reference);
        assert!(payment.is_some(), "the provider has a trade that we do not know: {trade}");
    }
    for (reference, payment) in &ours {
        let paid_there = theirs.get(reference).is_some_and(|trade| !trade["paid_at"].is_null());
        let paid_here = payment.state == "succeeded";
        assert_eq!(paid_here, paid_there, "{reference}: {payment:?} {:?}", theirs.get(reference));
        let given_back = theirs.get(reference).map_or(0, |trade| minor(&trade["refunded"]));
        assert_eq!(payment.refunded, given_back, "{reference}: given back");
        assert_eq!(payment.reserved, 0, "{reference}: a refund is still open");
        assert_eq!(payment.taken, if paid_here { payment.amount } else { 0 }, "{reference}");
    }
    events(world).await;
}

#[derive(Debug)]
struct Booked {
    state: String,
    amount: i64,
    taken: i64,
    refunded: i64,
    reserved: i64,
}

async fn payments(world: &World) -> BTreeMap<String, Booked> {
    let columns = "SELECT reference || ',' || state || ',' || CAST(amount AS TEXT) || ',' || CAST(taken AS TEXT) \
                   || ',' || CAST(refunded AS TEXT) || ',' || CAST(reserved AS TEXT) FROM payments";
    let rows = world.select(columns).await;
    let read = |row: &String| {
        let parts: Vec<&str> = row.split(',').collect();
        let number = |index: usize| parts[index].parse().unwrap();
        let booked = Booked {
            state: parts[1].to_owned(),
            amount: number(2),
            taken: number(3),
            refunded: number(4),
            reserved: number(5),
        };
        (parts[0].to_owned(), booked)
    };
    rows.iter().map(read).collect()
}

async fn trades(world: &World) -> BTreeMap<String, Value> {
    let all = world.simulated("trades").await;
    let trades = all["trades"].as_array().unwrap();
    trades.iter().map(|trade| (text(trade, "reference").to_owned(), trade.clone())).collect()
}

/// Yuan or dollars as the provider's books tell them, in fen or cents.
fn minor(amount: &Value) -> i64 {
    let digits: String = amount.as_str().unwrap().chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

/// Each order's events count from 1 without a gap, and tell at most once what happens at most once.
async fn events(world: &World) {
    let columns = "SELECT order_id || ',' || CAST(sequence AS TEXT) || ',' || kind FROM events \
                   WHERE order_id IS NOT NULL ORDER BY order_id, sequence";
    let mut histories: BTreeMap<String, Vec<(u64, String)>> = BTreeMap::new();
    for row in world.select(columns).await {
        let mut parts = row.splitn(3, ',');
        let mut next = || parts.next().unwrap().to_owned();
        let (order, sequence, kind) = (next(), next(), next());
        histories.entry(order).or_default().push((sequence.parse().unwrap(), kind));
    }
    for (order, history) in histories {
        let sequences: Vec<u64> = history.iter().map(|(sequence, _)| *sequence).collect();
        assert_eq!(sequences, (1..=history.len() as u64).collect::<Vec<_>>(), "{order}");
        for kind in ONCE {
            let told = history.iter().filter(|(_, told)| told == kind).count();
            assert!(told <= 1, "{order}: {kind} was told {told} times: {history:?}");
        }
    }
}

/// Waits until no message waits and no refund is open, hurrying the jobs along. A message over which the process died
/// stays where it was: its sender sends it again, and the payment's own question finds what it told.
pub async fn settle(world: &World) {
    let open = "SELECT CAST((SELECT count(*) FROM refunds WHERE state IN ('requested', 'pending', 'unknown')) \
                + (SELECT count(*) FROM notifications WHERE state = 'waiting') AS TEXT)";
    until("everything settled", async || {
        world
            .write("UPDATE jobs SET due_at = 0 WHERE leased_until = 0 AND kind <> 'end_order'")
            .await;
        world.idle().await;
        (world.select(open).await == ["0"]).then_some(())
    })
    .await;
}
