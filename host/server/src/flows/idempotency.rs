//! A request under an idempotency key runs once: who repeats it is given the answer that was kept.
//!
//! The key is claimed before anything runs, for as long as a runner may need. One that dies is succeeded once its lease
//! is over, and what it still writes changes nothing. What a request makes notes itself at the request in its own
//! transaction ([`Turn::note`]), so that a successor goes on with it and makes no second one.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tollgate_domain::ids::MerchantId;
use zeroize::Zeroizing;

use super::{Flow, FlowError};
use crate::gateway::Gateway;
use crate::sealing::Marks;
use crate::store::Tx;
use crate::store::idempotency::{self, Place, RequestRow, Times};

/// For so long a runner is left alone: longer than a flow takes that waits for a provider at each of its steps.
const LEASE: Duration = Duration::from_secs(120);
/// How many rows a sweep removes in one transaction.
const SWEPT_AT_ONCE: i64 = 500;

/// A request under an idempotency key.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Whose. Another merchant's key of the same text is another key.
    pub merchant: MerchantId,
    /// Method and path as the route table writes them: the same key at another route is another key.
    pub route: String,
    /// The merchant's key.
    pub key: String,
    /// Tells this request from another one: see [`fingerprint`].
    pub fingerprint: String,
}

/// What tells a request from another one under the same key: the address and every byte of the body, none of which can be
/// found from it.
pub fn fingerprint(marks: &Marks, address: &str, body: &[u8]) -> String {
    let mut text = Zeroizing::new(Vec::with_capacity(address.len() + 1 + body.len()));
    text.extend_from_slice(address.as_bytes());
    // No address has one.
    text.push(0);
    text.extend_from_slice(body);
    marks.of(&text)
}

/// Conflicts that go away by themselves: a payment that may not be ended right now.
const PASSING: [&str; 1] = ["payment-open"];

/// An answer as it is kept: byte for byte what was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Names and values of the headers that belong to it.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// Whether it settles the request: something was done, or the state of things forbade it. What was refused as it
    /// stood did nothing and may be mended; what broke down, and what passes by itself, is to be tried again.
    fn settles(&self) -> bool {
        match self.status {
            200..=299 => true,
            409 => !self.passes(),
            _ => false,
        }
    }

    /// Whether it is a conflict that goes away without anybody's doing: a provider is silent, say.
    fn passes(&self) -> bool {
        let problem: Result<serde_json::Value, _> = serde_json::from_str(&self.body);
        problem.is_ok_and(|problem| PASSING.iter().any(|code| problem["code"] == *code))
    }
}

/// The right to run a request.
#[derive(Clone, Debug)]
pub struct Turn {
    asked: Asked,
    fence: i64,
    /// Id of what an earlier run made before it was cut off.
    pub made: Option<String>,
}

impl Turn {
    /// Notes what the request makes, in the transaction that makes it.
    ///
    /// # Errors
    /// Somebody else runs the request by now: then nothing of the transaction may stay.
    pub async fn note(&self, tx: &mut Tx<'_>, made: impl ToString) -> Flow<()> {
        let noted =
            idempotency::note(tx.sql(), self.asked.place(), self.fence, &made.to_string()).await?;
        if noted { Ok(()) } else { Err(running()) }
    }
}

/// What became of a request.
#[derive(Clone, Debug)]
pub enum Outcome<T> {
    /// It ran, and this is what it came to.
    Ran(T),
    /// It was answered before: so it was.
    Replayed(Answer),
}

impl Asked {
    fn place(&self) -> Place<'_> {
        Place { merchant: self.merchant, route: &self.route, key: &self.key }
    }
}

/// What a sealed answer is bound to.
pub(super) fn owner(place: Place<'_>) -> String {
    format!("{} {} {}", place.merchant, place.route, place.key)
}

/// Runs `work` unless the request was answered before, and keeps what it answers. `work` gives its answer and whatever
/// else its caller wants back.
///
/// # Errors
/// `idempotency-key-reused` for another request under the key, `request-running` while somebody runs it.
pub async fn run<T, W, F>(gateway: &Gateway, asked: &Asked, work: W) -> Flow<Outcome<T>>
where
    W: FnOnce(Turn) -> F,
    F: Future<Output = (Answer, T)>,
{
    let turn = match claim(gateway, asked).await? {
        Claimed::Answered(answer) => return Ok(Outcome::Replayed(answer)),
        Claimed::Ours(turn) => turn,
    };
    let (answer, result) = work(turn.clone()).await;
    if !answer.settles() {
        let_go(gateway, &turn).await;
        return Ok(Outcome::Ran(result));
    }
    if keep(gateway, &turn, &answer).await? {
        return Ok(Outcome::Ran(result));
    }
    // Our lease ran out and somebody else took over: there is one answer, and it is theirs.
    match claim(gateway, asked).await? {
        Claimed::Answered(answer) => Ok(Outcome::Replayed(answer)),
        Claimed::Ours(turn) => {
            let_go(gateway, &turn).await;
            Err(running())
        }
    }
}

enum Claimed {
    Answered(Answer),
    Ours(Turn),
}

async fn claim(gateway: &Gateway, asked: &Asked) -> Flow<Claimed> {
    let now = gateway.store.now();
    let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    let times = Times {
        now,
        leased_until: now.plus_millis(millis(LEASE)),
        expires_at: now.plus_millis(millis(gateway.settings.answers_kept)),
    };
    let row = gateway
        .store
        .write::<_, FlowError, _>(move |tx| {
            Box::pin(async move {
                let place = asked.place();
                if idempotency::insert(tx.sql(), place, &asked.fingerprint, times).await? {
                    return Ok(RequestRow {
                        merchant_id: asked.merchant,
                        route: asked.route.clone(),
                        key: asked.key.clone(),
                        fingerprint: asked.fingerprint.clone(),
                        fence: times.now.0,
                        leased_until: times.leased_until,
                        made: None,
                        answer: None,
                    });
                }
                // One that was removed in this very moment was just released.
                let row = idempotency::get(tx.sql(), place).await?.ok_or_else(running)?;
                if row.fingerprint != asked.fingerprint {
                    return Err(FlowError::Conflict {
                        code: "idempotency-key-reused",
                        detail: "the idempotency key was used for another request".to_owned(),
                    });
                }
                if row.answer.is_some() {
                    return Ok(row);
                }
                if !idempotency::take_up(tx.sql(), place, row.fence, times).await? {
                    return Err(running());
                }
                Ok(RequestRow { fence: row.fence + 1, ..row })
            })
        })
        .await?;
    match row.answer {
        Some(sealed) => {
            let opened = gateway.sealer.open(&owner(asked.place()), &sealed)?;
            Ok(Claimed::Answered(serde_json::from_slice(&opened)?))
        }
        None => Ok(Claimed::Ours(Turn { asked: asked.clone(), fence: row.fence, made: row.made })),
    }
}

/// Keeps the answer, sealed: it may hold a secret that is told once. False: the turn is somebody else's by now.
async fn keep(gateway: &Gateway, turn: &Turn, answer: &Answer) -> Flow<bool> {
    let plain = Zeroizing::new(serde_json::to_vec(answer)?);
    let sealed = gateway.sealer.seal(&owner(turn.asked.place()), &plain, &gateway.chance)?;
    let sealed = sealed.as_slice();
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                Ok(idempotency::answer(tx.sql(), turn.asked.place(), turn.fence, sealed).await?)
            })
        })
        .await
}

/// Lets the next one run at once. If that fails, it waits for the lease.
async fn let_go(gateway: &Gateway, turn: &Turn) {
    let gone = gateway
        .store
        .write::<(), FlowError, _>(move |tx| {
            Box::pin(async move {
                Ok(idempotency::let_go(tx.sql(), turn.asked.place(), turn.fence).await?)
            })
        })
        .await;
    if let Err(error) = gone {
        tracing::warn!(%error, "an idempotency key stays leased");
    }
}

fn running() -> FlowError {
    FlowError::Conflict {
        code: "request-running",
        detail: "the request with this idempotency key is still running".to_owned(),
    }
}

/// Removes requests whose time is over, in small transactions; tells how many.
pub async fn sweep(gateway: &Gateway) -> Flow<u64> {
    let mut swept = 0;
    loop {
        let now = gateway.store.now();
        let removed = gateway
            .store
            .write::<u64, FlowError, _>(move |tx| {
                Box::pin(async move { Ok(idempotency::sweep(tx.sql(), now, SWEPT_AT_ONCE).await?) })
            })
            .await?;
        swept += removed;
        if removed < u64::try_from(SWEPT_AT_ONCE).unwrap_or(u64::MAX) {
            return Ok(swept);
        }
    }
}

#[cfg(test)]
mod tests;
