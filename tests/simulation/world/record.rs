//! Looking after each step: what it touched is read and checked.

use std::str::FromStr;

use tollgate::jobs::Kind;
use tollgate::store::StoreError;
use tollgate_domain::ids::MerchantId;

use super::{Key, World};
use crate::gate::lock;
use crate::invariants::{change, order, whole};
use crate::picture::{self, Broken, Picture};
use crate::provider::notices::Worth;
use crate::task::{Task, Told, What};

/// A job's lease as it lies in the database.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lease {
    job: String,
    fence: i64,
    until: i64,
    reason: String,
}

impl World<'_> {
    pub(super) fn owner_of(&self, merchant: MerchantId) -> Result<usize, Broken> {
        let owner = self.ground.owners.iter().position(|owner| owner.merchant == merchant);
        owner.ok_or_else(|| format!("32: a job of {merchant}, whom nobody knows"))
    }

    /// The order that a task is about, as far as it is known.
    fn order_of(&self, task: &Task) -> Option<Key> {
        let by = |name: &str| self.index.get(name).copied();
        match &task.what {
            What::Order(_) | What::Claim(_) | What::Fetch(_) | What::Reconcile(_) => None,
            What::Pay(order, ..) | What::Close(order) => Some((task.owner, *order)),
            What::Sync(payment) | What::Return(payment) => by(&payment.to_string()),
            What::Refund(new) => by(&new.payment_id.to_string()),
            What::Notice(notice) => by(&notice.reference),
            What::Job(job) => match Kind::from_str(&job.kind) {
                Ok(Kind::EndOrder) => Some((task.owner, job.subject_id.parse().ok()?)),
                _ => by(&job.subject_id),
            },
        }
    }

    /// Before a task writes: whom a kept message is about is in its bytes, and what a forgery must not change is read.
    pub(super) async fn look_before(&mut self, at: usize) -> Result<(), Broken> {
        let task = &self.tasks[at];
        if let What::Job(job) = &task.what
            && job.kind == Kind::ReadNotice.as_str()
            && !self.index.contains_key(&job.subject_id)
        {
            let subject = job.subject_id.clone();
            return self.find_message(subject).await;
        }
        match self.order_of(task).filter(|_| task.is_forged()) {
            Some(key) => self.look_at(key).await,
            None => Ok(()),
        }
    }

    async fn find_message(&mut self, id: String) -> Result<(), Broken> {
        let statement = "SELECT body, coalesce(payment_id, '') FROM notifications WHERE id = $1";
        let (body, payment): (Vec<u8>, String) = sqlx::query_as(statement)
            .bind(&id)
            .fetch_one(&mut self.sql)
            .await
            .map_err(|error| error.to_string())?;
        let body = String::from_utf8_lossy(&body);
        let names = body.split(['=', '&', '"', '%']).chain([payment.as_str()]);
        let key = names.filter_map(|name| self.index.get(name)).next().copied();
        if let Some(key) = key {
            self.index.insert(id, key);
        }
        Ok(())
    }

    /// Reads and checks what a task may have written. What a forgery must not change was read right before it wrote.
    pub(super) async fn look_after(&mut self, at: usize, writes: bool) -> Result<(), Broken> {
        let task = &self.tasks[at];
        let Some(key) = self.order_of(task) else { return Ok(()) };
        let forged_writes = task.is_forged() && writes;
        let before = self.pictures.get(&key).cloned();
        self.look_at(key).await?;
        if let (true, Some(before), Some(now)) = (forged_writes, before, self.pictures.get(&key)) {
            change::nothing(&before, now)?;
        }
        Ok(())
    }

    /// Reads and checks an order.
    pub(super) async fn look_at(&mut self, key: Key) -> Result<(), Broken> {
        let (merchant, contested) = (self.ground.owners[key.0].merchant, self.has_bills());
        let before = self.pictures.get(&key);
        let known = before.map_or(&[][..], |before| &before.events);
        let Some(now) = picture::take(&mut self.sql, merchant, key.1, known, contested).await?
        else {
            return match before {
                Some(_) => Err(format!("27: order {} is gone", key.1)),
                None => Ok(()),
            };
        };
        if let Some(before) = before {
            change::check(before, &now)?;
        }
        order::check(&now, &lock(&self.provider))?;
        self.keep(key, now);
        Ok(())
    }

    fn keep(&mut self, key: Key, now: Picture) {
        for payment in &now.payments {
            self.index.insert(payment.id.to_string(), key);
            self.index.insert(payment.reference.clone(), key);
        }
        for refund in &now.refunds {
            self.index.insert(refund.id.to_string(), key);
            self.index.insert(refund.reference.clone(), key);
        }
        if self.pictures.insert(key, now).is_none() {
            self.orders.push(key);
        }
    }

    /// 3: whatever the provider heard of was written before.
    pub(super) fn check_heard(&mut self) -> Result<(), Broken> {
        let mut provider = lock(&self.provider);
        for (path, reference) in provider.heard.drain(..) {
            if !self.index.contains_key(&reference) {
                return Err(format!("3: {path} for {reference}, of which there is no row"));
            }
        }
        Ok(())
    }

    /// 25: what somebody was told exists is there.
    pub(super) async fn check_told(&mut self, owner: usize, told: Told) -> Result<(), Broken> {
        let is_there = match &told {
            Told::Order(order) => {
                self.look_at((owner, *order)).await?;
                self.pictures.contains_key(&(owner, *order))
            }
            Told::Payment(payment) => self.index.contains_key(&payment.to_string()),
            Told::Refund(number) => {
                let mut refunds = self.pictures.values().flat_map(|now| &now.refunds);
                refunds.any(|refund| refund.number == *number)
            }
        };
        if is_there { Ok(()) } else { Err(format!("25: {told:?} is not there")) }
    }

    /// 19 and 25: success is said only of what is written, and never to a forger.
    pub(super) fn heard_back(&mut self, task: Task, status: u16) -> Result<(), Broken> {
        let What::Notice(notice) = &task.what else { return Ok(()) };
        if status != 200 {
            return Ok(());
        }
        if notice.worth == Worth::Forged {
            return Err("19: a forger hears success".to_owned());
        }
        let now = self.index.get(&notice.reference).and_then(|key| self.pictures.get(key));
        let row = now.and_then(|now| {
            now.payments.iter().find(|payment| payment.reference == notice.reference)
        });
        let is_written = row.is_some_and(|row| row.taken > 0);
        // A provider that tells one account of everything tells it of what is not its own, too.
        let is_own = self.index.get(&notice.reference).is_none_or(|key| key.0 == task.owner);
        if is_own && notice.status == "succeeded" && !notice.of_refund && !is_written {
            return Err(format!("25: success is said of {}, which is {row:?}", notice.reference));
        }
        let mut provider = lock(&self.provider);
        if notice.of_dispute {
            provider.contest_was_heard(&notice.reference, notice.status);
        }
        // A message that was heard is not sent again.
        provider.outbox.waiting.retain(|waiting| waiting.body != notice.body);
        Ok(())
    }

    /// A job that its worker is about to write of, though another one has taken it over.
    pub(super) async fn lost_lease(&mut self, at: usize) -> Result<Option<Lease>, Broken> {
        let What::Job(job) = &self.tasks[at].what else { return Ok(None) };
        let (fence, id) = (job.fence, job.id.to_string());
        let lease = self.lease(&id).await?;
        Ok(lease.filter(|lease| lease.fence > fence))
    }

    /// 21: whoever has lost the lease leaves it as it is.
    pub(super) async fn check_lease(&mut self, before: &Lease) -> Result<(), Broken> {
        match self.lease(&before.job).await? {
            Some(now) if now != *before => {
                Err(format!("21: an old worker wrote {now:?} over {before:?}"))
            }
            _ => Ok(()),
        }
    }

    async fn lease(&mut self, job: &str) -> Result<Option<Lease>, Broken> {
        let statement =
            "SELECT id, fence, leased_until, coalesce(reason, '') FROM jobs WHERE id = $1";
        let row: Option<(String, i64, i64, String)> = sqlx::query_as(statement)
            .bind(job)
            .fetch_optional(&mut self.sql)
            .await
            .map_err(|error| error.to_string())?;
        Ok(row.map(|(job, fence, until, reason)| Lease { job, fence, until, reason }))
    }

    /// Reads and checks everything.
    pub(super) async fn check_whole(&mut self) -> Result<(), Broken> {
        let all: Vec<(String, String)> =
            sqlx::query_as("SELECT merchant_id, id FROM orders ORDER BY created_at, id")
                .fetch_all(&mut self.sql)
                .await
                .map_err(|error| StoreError::from(error).to_string())?;
        for (merchant, order) in all {
            let merchant = merchant.parse().map_err(|_| format!("{merchant} is no id"))?;
            let order = order.parse().map_err(|_| format!("{order} is no id"))?;
            self.look_at((self.owner_of(merchant)?, order)).await?;
        }
        whole::check(&mut self.sql).await
    }
}
