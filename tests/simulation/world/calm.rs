//! The end of a seed: faults are over, and what is open comes to its end.

use rand::RngExt;
use tollgate_domain::time::Moment;

use super::{REPLICAS, World};
use crate::gate::lock;
use crate::invariants::rest;
use crate::picture::Broken;
use crate::task::What;

/// A world that has not come to rest after so many steps never will.
const PATIENCE: u64 = 6_000;

impl World<'_> {
    /// Lets everything come to its end, and compares our books with the provider's.
    pub(super) async fn come_to_rest(&mut self) -> Result<(), Broken> {
        self.note(|| "faults are over".to_owned());
        self.plan = self.plan.calm();
        self.database.cut(false);
        for replica in &self.replicas {
            replica.clock.jump_ms(0);
        }
        lock(&self.provider).whims = self.plan.whims;
        self.drain().await?;
        if self.has_bills() {
            self.come_to_rest_with_bills().await?;
        }
        self.check_whole().await?;
        self.check_inbox().await?;
        let provider = lock(&self.provider);
        for key in &self.orders {
            let Some(now) = self.pictures.get(key) else { continue };
            rest::check(now, &provider)?;
        }
        for reference in provider.trades.keys() {
            if !self.index.contains_key(reference) {
                return Err(format!("17: the provider has {reference}, and we have not"));
            }
        }
        Ok(())
    }

    /// Lets everything happen that is due or will be.
    pub(super) async fn drain(&mut self) -> Result<(), Broken> {
        let last = self.steps + PATIENCE;
        while let Some(next) = self.next_thing().await? {
            self.steps += 1;
            if self.steps > last {
                return Err("16: it does not come to rest".to_owned());
            }
            self.let_happen(next).await?;
            self.wake_waiting().await?;
        }
        Ok(())
    }

    /// 15: each event was taken by its endpoint, or is parked with a reason.
    async fn check_inbox(&mut self) -> Result<(), Broken> {
        let statement = "SELECT event_id, state, coalesce(reason, '') FROM deliveries";
        let all: Vec<(String, String, String)> = sqlx::query_as(statement)
            .fetch_all(&mut self.sql)
            .await
            .map_err(|error| error.to_string())?;
        let inbox = lock(&self.inbox);
        for (event, state, reason) in all {
            let is_right = match state.as_str() {
                "delivered" => inbox.contains(&event),
                "parked" => !reason.is_empty(),
                _ => false,
            };
            if !is_right {
                return Err(format!("15: the message of {event} is {state}: {reason:?}"));
            }
        }
        Ok(())
    }

    async fn next_thing(&mut self) -> Result<Option<Next>, Broken> {
        let held = self.held();
        if !held.is_empty() {
            return Ok(Some(Next::Task(held[self.chance.random_range(0..held.len())])));
        }
        if let Some(task) = self.tasks.first() {
            let stand = task.seat.stand();
            return Err(format!("40: a task waits for ever: {:?}, {stand:?}", task.what));
        }
        let due = self.next_job().await?;
        let mut provider = lock(&self.provider);
        // What nobody can ask about is told as long as it takes.
        let is_stern = provider.is_stern;
        let waiting =
            provider.outbox.waiting.iter_mut().filter(|notice| is_stern && notice.of_refund);
        let told = waiting.map(|notice| notice.due).min();
        let ends =
            [due, provider.next_arrival(), provider.next_settling(), provider.next_expiry(), told];
        drop(provider);
        Ok(ends.into_iter().flatten().min().map(Next::Time))
    }

    async fn let_happen(&mut self, next: Next) -> Result<(), Broken> {
        match next {
            Next::Task(at) => self.let_go(at).await,
            Next::Time(moment) => {
                let millis = moment.millis_since(self.time.now()) + 1;
                // What is due and stays so waits for a provider that was silent to be tried again.
                self.pass(if millis > 0 { millis } else { 1_000 });
                let replica = self.chance.random_range(0..REPLICAS);
                if lock(&self.provider).is_stern {
                    self.deliver(replica).await?;
                }
                self.begin(replica, 0, What::Claim(self.has_bills())).await
            }
        }
    }

    /// When the next job is due, and not leased. Without bills nobody compares them; with them, days without end are left out.
    async fn next_job(&mut self) -> Result<Option<Moment>, Broken> {
        let statement = "SELECT min(max(due_at, leased_until)) FROM jobs \
                         WHERE (kind <> 'daily_bills' OR due_at <= $1) AND kind <> $2 AND parked_at IS NULL";
        let without = if self.has_bills() { "" } else { "reconcile" };
        let (due,): (Option<i64>,) = sqlx::query_as(statement)
            .bind(self.bills_until.0)
            .bind(without)
            .fetch_one(&mut self.sql)
            .await
            .map_err(|error| error.to_string())?;
        Ok(due.map(Moment))
    }
}

enum Next {
    Task(usize),
    Time(Moment),
}
