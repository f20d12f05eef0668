//! What shops, payers, the provider, the workers and misfortune do, one thing at a time.

use std::collections::BTreeMap;

use rand::RngExt;
use tollgate::flows::orders::NewOrder;
use tollgate::flows::refunds::NewRefund;
use tollgate_domain::order::OrderState;
use tollgate_domain::payment::PaymentState;

use super::{Key, REPLICAS, World};
use crate::gate::lock;
use crate::invariants::elsewhere::DESPITE;
use crate::picture::Broken;
use crate::provider::notices::{Notice, Worth};
use crate::provider::trade::TradeState;
use crate::task::What;

/// A notice that is never acknowledged is given up after so many tries.
const MOST_TRIES: u32 = 8;

/// Things that happen by themselves.
#[derive(Clone, Copy, Debug)]
enum Act {
    Order,
    Pay,
    Payer,
    Fails,
    Back,
    Sync,
    Close,
    Refund,
    Deliver,
    Lie,
    Claim,
    Pass,
    Leap,
    Crash,
    Jump,
    Outage,
    Night,
    Bill,
    Elsewhere,
}

impl World<'_> {
    fn weights(&self) -> [(Act, u32); 19] {
        let plan = &self.plan;
        [
            (Act::Order, 60),
            (Act::Pay, 160),
            (Act::Payer, plan.pays),
            (Act::Fails, 15),
            (Act::Back, plan.crowds / 2),
            (Act::Sync, plan.crowds / 2),
            (Act::Close, plan.closes),
            (Act::Refund, plan.refunds),
            (Act::Deliver, 150),
            (Act::Lie, plan.lies),
            (Act::Claim, 200),
            (Act::Pass, 150),
            (Act::Leap, plan.leaps),
            (Act::Crash, plan.crashes),
            (Act::Jump, plan.jumps),
            (Act::Outage, plan.outages),
            (Act::Night, plan.nights),
            (Act::Bill, plan.bills),
            (Act::Elsewhere, plan.elsewhere),
        ]
    }

    /// Has something happen.
    pub(super) async fn act(&mut self) -> Result<(), Broken> {
        let weights = self.weights();
        let sum: u32 = weights.iter().map(|(_, weight)| weight).sum();
        let mut drawn = self.chance.random_range(0..sum);
        let chosen = weights.into_iter().find(|(_, weight)| {
            let hit = drawn < *weight;
            drawn = drawn.saturating_sub(*weight);
            hit
        });
        let replica = self.chance.random_range(0..REPLICAS);
        match chosen.map_or(Act::Pass, |(act, _)| act) {
            Act::Order => self.shop_orders(replica).await,
            Act::Pay => self.shop_starts_payment(replica).await,
            Act::Payer => {
                self.payer(true);
                Ok(())
            }
            Act::Fails => {
                self.payer(false);
                Ok(())
            }
            Act::Back => self.about_a_payment(replica, What::Return).await,
            Act::Sync => self.about_a_payment(replica, What::Sync).await,
            Act::Close => match self.any_order(|state| state == OrderState::Open) {
                Some((owner, order)) => self.begin(replica, owner, What::Close(order)).await,
                None => Ok(()),
            },
            Act::Refund => self.shop_refunds(replica).await,
            Act::Deliver => self.deliver(replica).await,
            Act::Lie => self.lie(replica).await,
            Act::Claim => self.begin(replica, 0, What::Claim(self.has_bills())).await,
            Act::Pass => {
                let millis = self.chance.random_range(100..10_000);
                self.pass(millis);
                Ok(())
            }
            Act::Leap => {
                let millis = self.chance.random_range(60_000..3_600_000);
                self.pass(millis);
                Ok(())
            }
            Act::Night => {
                self.night();
                Ok(())
            }
            Act::Bill => self.merchant_compares(replica).await,
            Act::Elsewhere => {
                self.elsewhere();
                Ok(())
            }
            Act::Crash => {
                self.crash(replica);
                Ok(())
            }
            Act::Jump => {
                self.jump(replica);
                Ok(())
            }
            Act::Outage => {
                let cut = !self.database.is_cut();
                self.note(|| format!("the database is cut off: {cut}"));
                self.database.cut(cut);
                Ok(())
            }
        }
    }

    /// Lets time pass, and what comes due with it at the provider.
    pub(super) fn pass(&mut self, millis: i64) {
        self.note(|| format!("{millis} ms pass"));
        self.time.advance_ms(millis);
        let mut provider = lock(&self.provider);
        provider.arrivals();
        provider.settle();
        provider.expire();
        drop(provider);
        // An outage does not last for ever.
        if self.database.is_cut() && millis > 1_000 {
            self.note(|| "the database is back".to_owned());
            self.database.cut(false);
        }
    }

    fn jump(&mut self, replica: usize) {
        let millis = match self.chance.random_range(0..4) {
            0 => 600_000,
            1 => -600_000,
            2 => -3_600_000,
            _ => 0,
        };
        self.note(|| format!("the clock of replica {replica} is wrong by {millis} ms"));
        self.replicas[replica].clock.jump_ms(millis);
    }

    /// An order, or once more one that was asked for.
    async fn shop_orders(&mut self, replica: usize) -> Result<(), Broken> {
        let again = self.happens(150) && !self.orders.is_empty();
        let number = match again {
            true => self.chance.random_range(0..self.orders.len()),
            false => self.orders.len() + self.chance.random_range(0..3),
        };
        let owner = number % self.ground.owners.len();
        // The same number is the same order, whoever asks how often.
        let new = NewOrder {
            number: format!("A-{number}"),
            amount: 100 + (number as i64 * 37) % 900,
            currency: "CNY".to_owned(),
            subject: "Green tea".to_owned(),
            description: None,
            items: Vec::new(),
            deliver_to: None,
            metadata: BTreeMap::new(),
            return_url: None,
            locale: None,
            expires_in_s: [300, 1_800, 7_200][number % 3],
            late_success: [None, Some("refund".to_owned())][number % 2].clone(),
        };
        self.begin(replica, owner, What::Order(Box::new(new))).await
    }

    async fn shop_starts_payment(&mut self, replica: usize) -> Result<(), Broken> {
        match self.any_order(|state| state == OrderState::Open) {
            Some((owner, order)) => {
                let methods = self.ground.which.methods();
                let method = methods[self.chance.random_range(0..methods.len())];
                let key = self.key_for(order);
                self.begin(replica, owner, What::Pay(order, method, key)).await
            }
            None => Ok(()),
        }
    }

    /// A payer who holds a page, form or code goes there, while the order is open or after.
    fn payer_at_simulator(&mut self, pays: bool) {
        let Some(key) = self.any_order(|_| true) else { return };
        let Some(now) = self.pictures.get(&key) else { return };
        let offered: Vec<_> = now.payments.iter().filter(|row| row.action.is_some()).collect();
        if offered.is_empty() {
            return;
        }
        let row = offered[self.chance.random_range(0..offered.len())];
        let action = row.action.as_deref().and_then(|text| serde_json::from_str(text).ok());
        lock(&self.provider).payer_browses(&row.reference, &action.unwrap_or_default(), pays);
        self.note(|| format!("a payer is at {}, and pays: {pays}", row.reference));
    }

    fn any_order(&mut self, fits: impl Fn(OrderState) -> bool) -> Option<Key> {
        let fitting: Vec<Key> = self
            .orders
            .iter()
            .filter(|key| self.pictures.get(key).is_some_and(|now| fits(now.order.state)))
            .copied()
            .collect();
        (!fitting.is_empty()).then(|| fitting[self.chance.random_range(0..fitting.len())])
    }

    /// The payer pays a trade that can be paid, or fails at it.
    fn payer(&mut self, pays: bool) {
        if !self.ground.which.is_scripted() {
            return self.payer_at_simulator(pays);
        }
        let mut provider = lock(&self.provider);
        let waiting: Vec<String> = provider
            .trades
            .iter()
            .filter(|(_, trade)| trade.state == TradeState::Waiting)
            .map(|(reference, _)| reference.clone())
            .collect();
        if waiting.is_empty() {
            return;
        }
        let reference = &waiting[self.chance.random_range(0..waiting.len())];
        if pays {
            provider.payer_pays(reference);
        } else {
            provider.payer_fails(reference);
        }
        drop(provider);
        let word = if pays { "pays" } else { "fails at" };
        self.note(|| format!("a payer {word} {reference}"));
    }

    async fn about_a_payment(
        &mut self,
        replica: usize,
        what: fn(tollgate_domain::ids::PaymentId) -> What,
    ) -> Result<(), Broken> {
        let Some(key) = self.any_order(|_| true) else { return Ok(()) };
        let Some(payment) = self.pictures.get(&key).and_then(|now| now.payments.last()) else {
            return Ok(());
        };
        let what = what(payment.id);
        self.begin(replica, key.0, what).await
    }

    /// A refund, perhaps of more than is left, perhaps one that was asked for before, perhaps on both replicas at once.
    async fn shop_refunds(&mut self, replica: usize) -> Result<(), Broken> {
        let paid = |state| matches!(state, OrderState::Paid | OrderState::PartiallyRefunded);
        let Some(key) = self.any_order(paid) else { return Ok(()) };
        let Some(now) = self.pictures.get(&key) else { return Ok(()) };
        let payment = now.payments.iter().find(|row| row.state == PaymentState::Succeeded);
        let Some((payment, amount)) = payment.map(|payment| (payment.id, payment.amount)) else {
            return Ok(());
        };
        let count = now.refunds.len();
        let number = self.chance.random_range(0..=count);
        let part = [amount, amount / 2, amount / 3, amount - 1][number % 4].max(1);
        let new = NewRefund {
            payment_id: payment,
            number: format!("R-{}-{number}", &payment.to_string()[20..]),
            amount: part,
            reason: None,
            despite_dispute: false,
        };
        let new = if self.has_bills() && self.happens(200) { despite(new) } else { new };
        if self.happens(300) {
            self.begin(1 - replica, key.0, What::Refund(new.clone())).await?;
        }
        self.begin(replica, key.0, What::Refund(new)).await
    }

    /// The provider sends a message that is due, in whatever order.
    pub(super) async fn deliver(&mut self, replica: usize) -> Result<(), Broken> {
        let repeats = self.happens(self.plan.repeats);
        let Some(sent) = self.due_notice() else { return Ok(()) };
        if repeats {
            self.begin(1 - replica, sent.shop, What::Notice(sent.clone())).await?;
        }
        self.begin(replica, sent.shop, What::Notice(sent)).await
    }

    fn due_notice(&mut self) -> Option<Notice> {
        let now = self.time.now();
        let mut provider = lock(&self.provider);
        let is_stern = provider.is_stern;
        let waiting = &mut provider.outbox.waiting;
        waiting.retain(|notice| notice.tries < MOST_TRIES || (is_stern && notice.of_refund));
        let due: Vec<usize> = (0..waiting.len()).filter(|at| waiting[*at].due <= now).collect();
        if due.is_empty() {
            return None;
        }
        let notice = &mut waiting[due[self.chance.random_range(0..due.len())]];
        notice.tries += 1;
        notice.due = now.plus_millis(15_000 << notice.tries.min(MOST_TRIES));
        Some(notice.clone())
    }

    async fn lie(&mut self, replica: usize) -> Result<(), Broken> {
        match self.made_up() {
            Some(notice) => self.begin(replica, notice.shop, What::Notice(notice)).await,
            None => Ok(()),
        }
    }

    fn made_up(&mut self) -> Option<Notice> {
        let worth = if self.happens(500) { Worth::Lie } else { Worth::Forged };
        let mut provider = lock(&self.provider);
        if provider.trades.is_empty() {
            return None;
        }
        let at = self.chance.random_range(0..provider.trades.len());
        let reference = provider.trades.keys().nth(at)?.clone();
        provider.lie(&reference, worth)
    }
}

/// The same by somebody who knows of a dispute, and says so.
fn despite(new: NewRefund) -> NewRefund {
    NewRefund { number: format!("{DESPITE}{}", new.number), despite_dispute: true, ..new }
}
