//! Tasks: one run each of the functions that handlers and worker call, on one replica.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use serde_json::json;
use tollgate::flows::bills::{self, Ask};
use tollgate::flows::due::{self, Running, Wanted};
use tollgate::flows::idempotency::{self, Answer, Asked, Outcome, fingerprint};
use tollgate::flows::notices::{self, Address, Message};
use tollgate::flows::orders::{self, NewOrder};
use tollgate::flows::payments::{self, NewPayment};
use tollgate::flows::refunds::{self, NewRefund};
use tollgate::flows::{Flow, FlowError, query, reconcile};
use tollgate::gateway::Gateway;
use tollgate::store::StoreError;
use tollgate::store::jobs::{JobRow, Lane};
use tollgate_domain::ids::{MerchantId, OrderId, PaymentId};
use tollgate_plugin::PrivateFields;

use crate::gate::{Seat, Stand, poll_seated};
use crate::ground::Owner;
use crate::provider::notices::{Notice, Worth};

/// How long a worker's lease lasts.
const LEASE_MS: i64 = 120_000;
/// How many jobs a worker runs at once.
const AT_ONCE: usize = 8;

/// What a task does.
#[derive(Clone, Debug)]
pub enum What {
    /// Makes an order, or asks for one that is there.
    Order(Box<NewOrder>),
    /// Starts to pay an order, by a method, under an idempotency key or without.
    Pay(OrderId, &'static str, Option<Keyed>),
    /// Ends an order.
    Close(OrderId),
    /// Asks about a payment now.
    Sync(PaymentId),
    /// Asks for money back.
    Refund(NewRefund),
    /// The payer's browser comes back.
    Return(PaymentId),
    /// A message comes.
    Notice(Notice),
    /// Fetches a bill.
    Fetch(Ask),
    /// Compares a bill.
    Reconcile(Ask),
    /// A worker leases due jobs, those about bills too or not.
    Claim(bool),
    /// A worker runs a job.
    Job(JobRow),
}

/// An idempotency key, and what stands for the body of the request.
#[derive(Clone, Debug)]
pub struct Keyed {
    /// The shop's key.
    pub key: String,
    /// Tells the request from another one.
    pub body: &'static str,
}

/// How a task ended.
#[derive(Debug)]
pub enum Ended {
    /// It did what was asked. What a shop was told of is named.
    Done(Option<Told>),
    /// The same of a request under a key, and the answer that is kept for it.
    Answered(Keyed, Answer, Told),
    /// It was refused by a rule: in the trace this says by which.
    Refused(#[expect(dead_code, reason = "for the trace")] String),
    /// The database failed, and whoever asked heard so.
    Troubled,
    /// It broke in a way that nothing explains.
    Broken(String),
    /// The sender of a message heard this status.
    Status(u16),
    /// These jobs were leased.
    Claimed(Vec<JobRow>),
}

/// What a shop was told exists.
#[derive(Debug)]
pub enum Told {
    /// An order.
    Order(OrderId),
    /// A payment.
    Payment(PaymentId),
    /// A refund, by its number.
    Refund(String),
}

/// One run.
pub struct Task {
    /// Counts the tasks of a seed.
    pub number: u64,
    /// On which replica.
    pub replica: usize,
    /// For which merchant.
    pub owner: usize,
    /// What it does.
    pub what: What,
    /// Where it stands.
    pub seat: Arc<Seat>,
    future: Pin<Box<dyn Future<Output = Ended>>>,
}

impl Task {
    /// A task that has not begun.
    pub fn new(
        (number, replica, owner): (u64, usize, usize),
        of: Owner,
        gateway: Arc<Gateway>,
        what: What,
    ) -> Task {
        let future = Box::pin(run(gateway, of, what.clone()));
        Task { number, replica, owner, what, seat: Arc::default(), future }
    }

    /// Whether it is a message that nobody may believe.
    pub fn is_forged(&self) -> bool {
        matches!(&self.what, What::Notice(notice) if notice.worth == Worth::Forged)
    }

    /// Runs it to its next gate, or to its end.
    pub async fn advance(&mut self) -> Option<Ended> {
        poll_fn(|context| match poll_seated(&self.seat, self.future.as_mut(), context) {
            Poll::Ready(ended) => Poll::Ready(Some(ended)),
            // It waits for a thread, which wakes us.
            Poll::Pending if matches!(self.seat.stand(), Stand::Runs) => Poll::Pending,
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }
}

async fn run(gateway: Arc<Gateway>, of: Owner, what: What) -> Ended {
    let merchant = of.merchant;
    match what {
        What::Order(new) => {
            let made = orders::create(&gateway, merchant, *new).await;
            told(made.map(|made| Some(Told::Order(made.row.id))))
        }
        What::Pay(order, method, keyed) => {
            let new = NewPayment {
                private_fields: PrivateFields::default(),
                account_id: None,
                method: method.to_owned(),
                surface: None,
                payer_ip: None,
                payer_id: None,
                inputs: Default::default(),
            };
            match keyed {
                Some(keyed) => pay_once(&gateway, merchant, (order, new), keyed).await,
                None => {
                    let started = payments::start(&gateway, merchant, order, new, None).await;
                    told(started.map(|row| Some(Told::Payment(row.id))))
                }
            }
        }
        What::Close(order) => told(orders::close(&gateway, merchant, order).await.map(|_| None)),
        What::Sync(payment) => told(query::sync(&gateway, merchant, payment).await.map(|_| None)),
        What::Refund(new) => {
            let made = refunds::create(&gateway, merchant, new).await;
            told(made.map(|made| Some(Told::Refund(made.row.number))))
        }
        What::Return(payment) => {
            let message = message("GET", format!("/return/{payment}"), Vec::new(), Vec::new());
            answered(notices::receive(&gateway, Address::Payment(payment), message).await)
        }
        What::Notice(notice) => {
            let url = format!("/notify/{}", of.account);
            let message = message("POST", url, notice.headers, notice.body);
            answered(notices::receive(&gateway, Address::Account(of.account), message).await)
        }
        What::Fetch(ask) => told(bills::fetch(&gateway, merchant, &ask).await.map(|_| None)),
        What::Reconcile(ask) => told(reconcile::run(&gateway, merchant, &ask).await.map(|_| None)),
        What::Claim(bills) => {
            let until = gateway.store.now().plus_millis(LEASE_MS);
            let running = &Running::new();
            let of = |lane| Wanted { lane, most: AT_ONCE, each: AT_ONCE, running, until };
            let wanted = [of(Lane::Short), of(Lane::Webhooks), of(Lane::Bills)];
            match due::claim(&gateway, if bills { &wanted } else { &wanted[..2] }).await {
                Ok(claimed) => Ended::Claimed(claimed.jobs),
                Err(error) => failed(error),
            }
        }
        What::Job(job) => told(due::run(&gateway, &job).await.map(|()| None)),
    }
}

/// As the face does it: the key is claimed, the flow runs, and what it came to is kept and told.
async fn pay_once(
    gateway: &Gateway,
    merchant: MerchantId,
    (order, new): (OrderId, NewPayment),
    keyed: Keyed,
) -> Ended {
    let route = "POST /v1/orders/{id}/payments".to_owned();
    let mark = fingerprint(&gateway.marks, &order.to_string(), keyed.body.as_bytes());
    let asked = Asked { merchant, route, key: keyed.key.clone(), fingerprint: mark };
    let done = idempotency::run(gateway, &asked, |turn| async move {
        let started = payments::start(gateway, merchant, order, new, Some(&turn)).await;
        let (status, body) = match &started {
            Ok(row) => (201, format!("{} {} {}", row.id, row.state, row.version)),
            // What the state of things forbids is kept too, unless it passes by itself.
            Err(FlowError::Conflict { code, .. }) => (409, json!({ "code": code }).to_string()),
            Err(_) => (503, String::new()),
        };
        (Answer { status, headers: Vec::new(), body }, started)
    });
    let answer = match done.await {
        Err(error) => return failed(error),
        Ok(Outcome::Ran(Err(error))) => return failed(error),
        Ok(Outcome::Ran(Ok(row))) => {
            let body = format!("{} {} {}", row.id, row.state, row.version);
            Answer { status: 201, headers: Vec::new(), body }
        }
        Ok(Outcome::Replayed(answer)) => answer,
    };
    match answer.body.split(' ').next().and_then(|id| id.parse().ok()) {
        Some(payment) if answer.status == 201 => {
            Ended::Answered(keyed, answer, Told::Payment(payment))
        }
        _ => Ended::Refused(answer.body),
    }
}

fn message(method: &str, path: String, headers: Vec<(String, String)>, body: Vec<u8>) -> Message {
    Message {
        method: method.to_owned(),
        url: format!("https://gateway.invalid{path}"),
        query: String::new(),
        headers,
        body,
    }
}

fn answered(answer: Flow<notices::Answer>) -> Ended {
    match answer {
        Ok(answer) => Ended::Status(answer.reply.status),
        Err(error) => failed(error),
    }
}

fn told(done: Flow<Option<Told>>) -> Ended {
    match done {
        Ok(told) => Ended::Done(told),
        Err(error) => failed(error),
    }
}

fn failed(error: FlowError) -> Ended {
    match error {
        FlowError::NotFound(what) => Ended::Refused(format!("no {what}")),
        FlowError::Invalid(fields) => Ended::Refused(format!("{fields:?}")),
        FlowError::Conflict { code, .. } => Ended::Refused(code.to_owned()),
        FlowError::Unavailable(reason) => Ended::Refused(reason),
        FlowError::Store(StoreError::Sql(sqlx::Error::PoolTimedOut) | StoreError::Commit(_)) => {
            Ended::Troubled
        }
        other => Ended::Broken(other.to_string()),
    }
}
