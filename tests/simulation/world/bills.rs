//! Bills: nights in which they come due, merchants who compare by hand, and what holds of them in the end.

use rand::RngExt;
use tollgate::flows::bills::Ask;
use tollgate_domain::matching::Period;

use super::{REPLICAS, World};
use crate::gate::lock;
use crate::invariants::bills;
use crate::picture::Broken;
use crate::provider::bills::{day_of, ready_at};
use crate::task::What;
use crate::time::START;

/// What bills tell may move money, which the next bills tell of; that has an end.
const MOST_ROUNDS: usize = 6;

impl World<'_> {
    /// Whether this seed has bills.
    pub(super) fn has_bills(&self) -> bool {
        self.plan.nights > 0
    }

    /// Time leaps to the minutes before midnight, or to when the next day's bill can be had, or some hours later.
    pub(super) fn night(&mut self) {
        let now = self.time.now();
        let today = day_of(now);
        let (early, late) =
            (self.chance.random_range(0..900_000), self.chance.random_range(0..7_200_000));
        let midnight = today.window(false).map_or(now, |window| window.end);
        let evening = midnight.plus_millis(-early);
        if self.happens(500) && evening > now {
            return self.pass(evening.millis_since(now));
        }
        let due = today.previous().iter().map(ready_at).find(|due| *due > now);
        let due = due.unwrap_or_else(|| ready_at(&today));
        self.pass(due.millis_since(now) + late);
    }

    /// A merchant has a bill compared, or fetched, at once: of any day, even of one that is not over.
    pub(super) async fn merchant_compares(&mut self, replica: usize) -> Result<(), Broken> {
        let days = self.days();
        let day = &days[self.chance.random_range(0..days.len())];
        let owner = self.chance.random_range(0..self.ground.owners.len());
        let ask = self.ask(owner, day);
        let only_fetches = self.happens(300);
        let what = if only_fetches { What::Fetch } else { What::Reconcile };
        if self.happens(300) {
            self.begin(1 - replica, owner, What::Reconcile(ask.clone())).await?;
        }
        self.begin(replica, owner, what(ask)).await
    }

    fn ask(&self, owner: usize, day: &Period) -> Ask {
        let account = self.ground.owners[owner].account;
        Ask { account, kind: None, period: day.name().to_owned() }
    }

    /// Every day up to today.
    fn days(&self) -> Vec<Period> {
        let mut days = vec![day_of(START)];
        let today = day_of(self.time.now());
        while days.last() != Some(&today) {
            let next = days.last().and_then(Period::next);
            days.extend(next);
        }
        days
    }

    /// Waits for the bills of all that moved, has each compared, and looks whether that is right, and the same when it is
    /// done again.
    pub(super) async fn come_to_rest_with_bills(&mut self) -> Result<(), Broken> {
        for _ in 0..MOST_ROUNDS {
            let last = lock(&self.provider).last_moved();
            let day = day_of(last).next().ok_or("no next day")?;
            self.bills_until = ready_at(&day).plus_millis(60_000);
            self.drain().await?;
            let left = self.bills_until.millis_since(self.time.now());
            if left > 0 {
                self.pass(left);
                self.drain().await?;
            }
            for owner in &self.ground.owners {
                let books = bills::Books::read(&mut self.sql, owner.account).await?;
                bills::by_itself(&books, self.time.now())?;
            }
            self.compare_all().await?;
            if lock(&self.provider).last_moved() == last {
                break;
            }
        }
        self.compare_all().await?;
        let before = bills::dump(&mut self.sql).await?;
        self.compare_all().await?;
        let after = bills::dump(&mut self.sql).await?;
        bills::same(&before, &after)?;
        for (owner, of) in self.ground.owners.iter().enumerate() {
            let books = bills::Books::read(&mut self.sql, of.account).await?;
            bills::check(&books, &lock(&self.provider), owner, self.time.now())?;
        }
        Ok(())
    }

    /// Has every day that is over compared by hand, one after another.
    async fn compare_all(&mut self) -> Result<(), Broken> {
        let now = self.time.now();
        for day in self.days().into_iter().filter(|day| ready_at(day) <= now) {
            for owner in 0..self.ground.owners.len() {
                let replica = self.chance.random_range(0..REPLICAS);
                let ask = self.ask(owner, &day);
                self.begin(replica, owner, What::Reconcile(ask)).await?;
                self.drain().await?;
            }
        }
        Ok(())
    }
}
