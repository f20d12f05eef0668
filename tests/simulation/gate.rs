//! Gates: where a task waits until the scheduler lets it go on. There is one before each transaction and after each
//! commit, one before each sending and one before its answer, and one for a wait that time may end.
//!
//! One task runs at a time, from one gate to the next, so that the order of everything that is written or sent follows
//! from the seed, whatever threads do the work.

use std::cell::RefCell;
use std::collections::HashSet;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::io::AsyncWrite;
use tollgate::net::merchant::{Courier, Letter, NoReply, Reply};
use tollgate::net::{SendError, Sent, Way};
use tollgate::store::{Clock, Pace, StoreError};
use tollgate_domain::time::Moment;
use tollgate_plugin::Outgoing;
use tollgate_plugin::contract::HttpResponse;

use crate::provider::Provider;
use crate::time::ReplicaClock;

/// What a task is about to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Begin at all.
    Start,
    /// Begin a transaction.
    Begin,
    /// Hear that its transaction was committed.
    Committed,
    /// Send a request to that path.
    Send(String),
    /// Hear the answer.
    Answer,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Go,
    /// The database or the provider cannot be reached: nothing happens.
    Refused,
    /// It happens, and nobody hears of it.
    Unheard,
    /// It is under way for so long that its sender gives up, and arrives later.
    Late,
    /// The answer is spoilt: cut short, not signed, not the provider's.
    Spoilt(Spoiling),
}

/// How an answer is spoilt on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoiling {
    /// A status of 500.
    Broken,
    /// A page of somebody else's.
    Page,
    /// The signature is missing.
    Unsigned,
    /// The signature is of another key.
    Forged,
    /// The body breaks off.
    Cut,
}

/// Where a task stands.
#[derive(Clone, Debug)]
pub enum Stand {
    /// It runs, or what it waits for is done by a thread.
    Runs,
    /// It waits at a gate.
    Held(Gate),
    /// It waits for another task, until then.
    Waits(Moment),
}

/// What scheduler and task share.
#[derive(Debug)]
pub struct Seat {
    stand: Mutex<Stand>,
    verdict: Mutex<Option<Verdict>>,
    /// Whether one of several things that the task does at once goes on: the others stay where they are until that one
    /// is at its next gate.
    goes_on: AtomicBool,
}

impl Default for Seat {
    fn default() -> Seat {
        Seat {
            stand: Mutex::new(Stand::Runs),
            verdict: Mutex::default(),
            goes_on: AtomicBool::default(),
        }
    }
}

/// The lock, whatever became of who held it.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seat {
    /// Where the task stands.
    pub fn stand(&self) -> Stand {
        lock(&self.stand).clone()
    }

    /// Has a task that has not begun wait before its first line.
    pub fn hold_back(&self) {
        *lock(&self.stand) = Stand::Held(Gate::Start);
    }

    /// Lets the task go on when it is polled next.
    pub fn open(&self, verdict: Verdict) {
        let mut stand = lock(&self.stand);
        // Before its first line there is nothing in which a verdict would be heard.
        *lock(&self.verdict) = (!matches!(*stand, Stand::Held(Gate::Start))).then_some(verdict);
        *stand = Stand::Runs;
    }
}

thread_local! {
    /// The seat of the task that this thread polls.
    static NOW_POLLED: RefCell<Option<Arc<Seat>>> = const { RefCell::new(None) };
}

/// Polls a task's future with its seat at hand.
pub fn poll_seated<T>(
    seat: &Arc<Seat>,
    future: Pin<&mut dyn Future<Output = T>>,
    context: &mut Context<'_>,
) -> Poll<T> {
    NOW_POLLED.with_borrow_mut(|now| *now = Some(seat.clone()));
    let polled = future.poll(context);
    NOW_POLLED.with_borrow_mut(|now| *now = None);
    polled
}

fn seat() -> Option<Arc<Seat>> {
    NOW_POLLED.with_borrow(Clone::clone)
}

/// Waits at a gate. What is done outside of any task, to set the scene, passes.
async fn hold(gate: Gate) -> Verdict {
    let mut arrives = true;
    poll_fn(|_| {
        let Some(seat) = seat() else { return Poll::Ready(Verdict::Go) };
        if let Some(verdict) = lock(&seat.verdict).take() {
            // A transaction takes a while; everything else comes to its next gate, or to its end, at once.
            let goes_on = gate == Gate::Begin && verdict != Verdict::Refused;
            seat.goes_on.store(goes_on, Ordering::Relaxed);
            return Poll::Ready(verdict);
        }
        if std::mem::take(&mut arrives) {
            seat.goes_on.store(false, Ordering::Relaxed);
        }
        if !seat.goes_on.load(Ordering::Relaxed) {
            *lock(&seat.stand) = Stand::Held(gate.clone());
        }
        Poll::Pending
    })
    .await
}

/// A wait that ends at `until`, or is given up when what it limits has come about.
pub struct Pass {
    until: Moment,
    seat: Option<Arc<Seat>>,
}

impl Pass {
    /// From now on.
    pub fn new(until: Moment) -> Pass {
        Pass { until, seat: None }
    }
}

impl Future for Pass {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        let Some(seat) = seat() else { return Poll::Ready(()) };
        if lock(&seat.verdict).take().is_some() {
            return Poll::Ready(());
        }
        *lock(&seat.stand) = Stand::Waits(self.until);
        self.seat = Some(seat);
        Poll::Pending
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(seat) = &self.seat {
            let mut stand = lock(&seat.stand);
            if matches!(*stand, Stand::Waits(_)) {
                *stand = Stand::Runs;
            }
        }
    }
}

/// The gates of a replica: in front of the database, and on the way to the provider.
#[derive(Clone)]
pub struct Gates {
    /// Whether the database answers.
    pub database: Arc<Database>,
    /// The provider that sendings come to.
    pub provider: Arc<Mutex<Provider>>,
    /// The events that the merchant's endpoint took, by id.
    pub inbox: Arc<Mutex<HashSet<String>>>,
    /// The replica's time.
    pub clock: Arc<ReplicaClock>,
}

/// Whether the database can be reached.
#[derive(Debug, Default)]
pub struct Database(Mutex<bool>);

impl Database {
    /// Cuts it off, or brings it back.
    pub fn cut(&self, off: bool) {
        *lock(&self.0) = off;
    }

    /// Whether it is cut off.
    pub fn is_cut(&self) -> bool {
        *lock(&self.0)
    }
}

fn unreachable() -> StoreError {
    StoreError::Sql(sqlx::Error::PoolTimedOut)
}

impl Pace for Gates {
    fn read(&self) -> Result<(), StoreError> {
        let cut = seat().is_some() && self.database.is_cut();
        if cut { Err(unreachable()) } else { Ok(()) }
    }

    fn begin(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async {
            let refused = hold(Gate::Begin).await == Verdict::Refused || self.read().is_err();
            if !refused {
                return Ok(());
            }
            if let Some(seat) = seat() {
                seat.goes_on.store(false, Ordering::Relaxed);
            }
            Err(unreachable())
        })
    }

    fn committed(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async {
            match hold(Gate::Committed).await {
                Verdict::Unheard => Err(StoreError::Commit("the connection broke".to_owned())),
                _ => Ok(()),
            }
        })
    }
}

impl Way for Gates {
    fn send(&self, outgoing: Outgoing, _limit: Duration) -> BoxFuture<'_, Sent> {
        Box::pin(async move {
            let start = self.clock.now();
            let answer = self.exchange(&outgoing).await;
            let took = self.clock.now().millis_since(start);
            (answer, Duration::from_millis(u64::try_from(took).unwrap_or(0)))
        })
    }

    fn download<'a>(
        &'a self,
        _: Outgoing,
        _: Duration,
        _: u64,
        _: &'a mut (dyn AsyncWrite + Send + Unpin),
    ) -> BoxFuture<'a, Result<(u16, u64), SendError>> {
        let none = SendError::NotSent("this provider has no links".to_owned());
        Box::pin(async { Err(none) })
    }
}

impl Courier for Gates {
    fn send<'a>(&'a self, letter: &'a Letter) -> BoxFuture<'a, (Result<Reply, NoReply>, Duration)> {
        Box::pin(async {
            let silence = |reason: &str| (Err(NoReply(reason.to_owned())), Duration::ZERO);
            if hold(Gate::Send("webhook".to_owned())).await != Verdict::Go {
                return silence("not sent");
            }
            let (taken, status) = match hold(Gate::Answer).await {
                Verdict::Go => (true, Some(200)),
                Verdict::Spoilt(Spoiling::Page) => (false, Some(429)),
                Verdict::Spoilt(Spoiling::Unsigned) => (false, Some(301)),
                Verdict::Spoilt(_) => (false, Some(500)),
                _ => (true, None),
            };
            if taken {
                lock(&self.inbox).insert(letter.headers[0].1.clone());
            }
            match status {
                Some(status) => (Ok(Reply { status, ..Reply::default() }), Duration::ZERO),
                None => silence("no answer"),
            }
        })
    }
}

impl Gates {
    async fn exchange(&self, outgoing: &Outgoing) -> Result<HttpResponse, SendError> {
        let silence = |reason: &str| Err(SendError::NoAnswer(reason.to_owned()));
        match hold(Gate::Send(path_of(outgoing))).await {
            Verdict::Refused => {
                return Err(SendError::NotSent("connection refused".to_owned()));
            }
            Verdict::Unheard => return silence("lost on the way"),
            Verdict::Late => {
                lock(&self.provider).put_off(outgoing);
                return silence("timed out");
            }
            Verdict::Go | Verdict::Spoilt(_) => {}
        }
        let answer = lock(&self.provider).serve(outgoing);
        match hold(Gate::Answer).await {
            Verdict::Go => Ok(answer),
            Verdict::Spoilt(how) => Ok(spoil(answer, how)),
            _ => silence("the answer broke off"),
        }
    }
}

fn path_of(outgoing: &Outgoing) -> String {
    outgoing.url.rsplit('/').next().unwrap_or_default().to_owned()
}

fn spoil(answer: HttpResponse, how: Spoiling) -> HttpResponse {
    let HttpResponse { status, mut headers, mut body } = answer;
    match how {
        Spoiling::Broken => HttpResponse { status: 500, headers: Vec::new(), body: Vec::new() },
        Spoiling::Page => {
            HttpResponse { status: 200, headers: Vec::new(), body: b"<html>Busy</html>".to_vec() }
        }
        Spoiling::Unsigned => {
            headers.retain(|(name, _)| name != crate::provider::SIGNATURE);
            HttpResponse { status, headers, body }
        }
        Spoiling::Forged => {
            for (name, value) in &mut headers {
                if name == crate::provider::SIGNATURE {
                    *value = crate::provider::sign(b"a stranger's key", &body);
                }
            }
            HttpResponse { status, headers, body }
        }
        Spoiling::Cut => {
            body.truncate(body.len() / 2);
            HttpResponse { status, headers, body }
        }
    }
}
