//! What every flow is given: the store, the plugins, the way out, chance and keys. Built once, shared by all.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedMutexGuard};
use tollgate_domain::breaker::{Breaker, Room};
use tollgate_domain::ids::{AccountId, PaymentId};
use tollgate_domain::time::Moment;
use tollgate_plugin::Registry;

use crate::chance::Chance;
use crate::flows::account::Account;
use crate::flows::bills::turns::Turns;
use crate::flows::notices::strangers::Strangers;
use crate::net::Way;
use crate::net::merchant::Courier;
use crate::sealing::{Marks, Sealer};
use crate::store::{Clock, Store};

/// Limits and addresses that flows go by.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What providers and payers reach us by, without a slash at the end.
    pub public_url: String,
    /// Where bills are kept.
    pub bills: PathBuf,
    /// How long one call of a provider may take.
    pub call_limit: Duration,
    /// How long a provider that notifies us waits for the confirming query.
    pub confirm_limit: Duration,
    /// How long an answer under an idempotency key is kept.
    pub answers_kept: Duration,
    /// Whether a simulator on this machine may stand for a provider.
    pub simulators: bool,
    /// How many jobs run at once.
    pub jobs: JobLimits,
    /// A day's bill may be fetched before its time, where the provider has it: for simulators.
    pub bills_at_once: bool,
    /// Whether merchants' endpoints may be on this network, and be called in the clear there.
    pub private_webhooks: bool,
    /// Whether payers' private fields are taken: then this gateway is in the scope of PCI DSS SAQ D.
    pub private_fields: bool,
}

/// How many jobs run at once, bills apart.
#[derive(Clone, Copy, Debug)]
pub struct JobLimits {
    /// Altogether.
    pub at_once: usize,
    /// Of one account, so that a provider that is slow, or back after a day, does not take every place.
    pub per_account: usize,
}

impl Default for JobLimits {
    fn default() -> JobLimits {
        JobLimits { at_once: 8, per_account: 4 }
    }
}

/// The gateway without its faces.
pub struct Gateway {
    /// The database.
    pub store: Store,
    /// The providers.
    pub plugins: Arc<Registry>,
    /// The way to them.
    pub net: Box<dyn Way>,
    /// The way to merchants.
    pub courier: Box<dyn Courier>,
    /// Where ids and nonces come from.
    pub chance: Chance,
    /// What seals secrets.
    pub sealer: Sealer,
    /// What requests under idempotency keys are known by.
    pub marks: Marks,
    /// Limits and addresses.
    pub settings: Settings,
    /// Accounts that are open, so that a call neither reads nor parses them anew.
    pub accounts: Mutex<HashMap<AccountId, Arc<Account>>>,
    /// Who is asking a provider about a payment right now.
    pub asking: Asking,
    /// Who is getting or comparing which bill right now.
    pub turns: Turns,
    /// How many messages that nobody signed each account has room for.
    pub strangers: Strangers,
    /// Which providers do not answer.
    pub breakers: Breakers,
    /// Rung when a job comes due sooner than the worker looks by itself.
    pub bell: Bell,
}

/// Wakes the worker.
#[derive(Default)]
pub struct Bell(Notify);

impl Bell {
    /// The worker looks by itself this often.
    pub const EVERY: Duration = Duration::from_millis(Self::EVERY_MS.unsigned_abs());
    const EVERY_MS: i64 = 1_000;

    /// A job is due then: rung if that is before the worker looks by itself.
    pub fn ring_for(&self, due: Moment, now: Moment) {
        if due <= now.plus_millis(Self::EVERY_MS) {
            self.ring();
        }
    }

    /// Something is due now.
    pub fn ring(&self) {
        self.0.notify_one();
    }

    /// Waits until it is rung.
    pub async fn rung(&self) {
        self.0.notified().await;
    }
}

/// How providers have been answering, by account. Each replica finds out for itself.
#[derive(Default)]
pub struct Breakers(Mutex<HashMap<String, Breaker>>);

impl Breakers {
    /// Whether questions may be asked through an account; always, of what is no account's.
    pub fn room(&self, account: &str, now: Moment) -> Room {
        self.all().get(account).map_or(Room::Free, |breaker| breaker.room(now))
    }

    /// Until when questions wait, or waited since the provider's last answer; none: it answers.
    pub fn shut_until(&self, account: AccountId) -> Option<Moment> {
        self.all().get(&account.to_string()).and_then(Breaker::shut_until)
    }

    /// A provider answered.
    pub fn answered(&self, account: AccountId) {
        if let Some(breaker) = self.all().get_mut(&account.to_string()) {
            breaker.answered();
        }
    }

    /// A provider did not answer. `draw` spreads how long it is left alone.
    pub fn was_silent(&self, account: AccountId, now: Moment, draw: u32) {
        self.all().entry(account.to_string()).or_default().was_silent(now, draw);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Breaker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One question at a time about a payment: whoever comes second waits, and then finds the answer in the row.
#[derive(Default)]
pub struct Asking(Mutex<HashMap<PaymentId, Arc<tokio::sync::Mutex<Silence>>>>);

/// Whether the provider left the last question unanswered.
#[derive(Default)]
pub struct Silence {
    /// True after a question that got no answer.
    pub met: bool,
}

impl Asking {
    /// Waits for the turn to ask about a payment, for `limit` at most; tells whether others had to be waited for.
    pub async fn turn(
        &self,
        payment: PaymentId,
        limit: Duration,
        clock: &dyn Clock,
    ) -> Option<Turn> {
        let queue = self.queue(payment);
        match queue.clone().try_lock_owned() {
            Ok(silence) => Some(Turn { silence, waited: false }),
            Err(_) => {
                tokio::select! {
                    biased;
                    silence = queue.lock_owned() => Some(Turn { silence, waited: true }),
                    () = clock.pass(limit) => None,
                }
            }
        }
    }

    fn queue(&self, payment: PaymentId) -> Arc<tokio::sync::Mutex<Silence>> {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if queues.len() > 1024 {
            queues.retain(|_, queue| Arc::strong_count(queue) > 1);
        }
        queues.entry(payment).or_default().clone()
    }
}

/// The turn to ask about a payment.
pub struct Turn {
    /// What the question before came to.
    pub silence: OwnedMutexGuard<Silence>,
    /// Whether there was one while we waited.
    pub waited: bool,
}
