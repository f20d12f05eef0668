//! Telling merchants of events: the outbox, which is written with the event, and its sending, endpoint by endpoint.
//!
//! At least once: what was sent and not written down is sent again, under the same id. A receiver that keeps ids sees
//! each event once, and the event's sequence tells it the order.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use tollgate_domain::delivery::{
    Answer, Delivery, DeliveryEffect, DeliveryState, is_given_up, retry_after, wants,
};
use tollgate_domain::ids::{DeliveryId, EndpointId, EventId, MerchantId};
use tollgate_domain::time::Moment;

use super::{Flow, FlowError, endpoints, learn};
use crate::gateway::Gateway;
use crate::jobs::Kind;
use crate::net::merchant::{Letter, NoReply, Reply};
use crate::store::deliveries::{AttemptRow, DeliveryRow, Filter};
use crate::store::endpoints::{EndpointRow, EndpointState};
use crate::store::events::{self, EventRow};
use crate::store::{self, Tx};
use crate::webhooks::{self, Secret};

/// So many messages are on their way to one endpoint at once.
const IN_FLIGHT: usize = 4;
/// So many are sent before others have their turn.
const AT_A_TURN: i64 = 16;
/// An endpoint that took something not is left alone for so long, in milliseconds, whatever else is due.
const RESPITE_MS: i64 = 1_000;
/// So much of an answer is kept, in characters.
const KEPT_OF_A_REPLY: usize = 1_000;
/// A message is smaller than this, in bytes: receivers count on it.
const LARGEST: usize = 20_000;
const GONE: &str = "disabled: it answered 410 Gone";
const SILENT: &str = "disabled: it took nothing for seven days";

/// Writes a delivery of an event for each endpoint that wants it, in the event's transaction.
pub(super) async fn enqueue(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    merchant: MerchantId,
    (event, kind): (EventId, &str),
) -> Flow<()> {
    let now = gateway.store.now();
    for endpoint in store::endpoints::enabled(tx.sql(), merchant).await? {
        let wanted: Vec<String> = serde_json::from_str(&endpoint.kinds)?;
        if wants(&wanted, kind) {
            let (id, new) = (gateway.chance.id(now), Delivery::new(now));
            let what = (endpoint.id, event);
            store::deliveries::insert(tx.sql(), merchant, id, what, new, now).await?;
            wake(tx, gateway, merchant, endpoint.id).await?;
        }
    }
    Ok(())
}

/// Has an endpoint's lane run now.
async fn wake(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    merchant: MerchantId,
    endpoint: EndpointId,
) -> Flow<()> {
    let now = gateway.store.now();
    learn::put_job(tx, gateway, merchant, Kind::Deliver, &endpoint.to_string(), now).await
}

/// Has an endpoint's lane run again, if it was set aside: somebody wants it to.
pub(super) async fn revive(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    merchant: MerchantId,
    endpoint: EndpointId,
) -> Flow<()> {
    let (now, kind) = (gateway.store.now(), Kind::Deliver.as_str());
    if store::jobs::revive(tx.sql(), merchant, kind, &endpoint.to_string(), now).await? {
        gateway.bell.ring_for(now, now);
    }
    Ok(())
}

/// Sends what is due to an endpoint, a few at a time, until a turn's worth is sent or something was not taken. Gives
/// when and why to come back; none: nothing is left.
pub async fn send_due(
    gateway: &Gateway,
    merchant: MerchantId,
    id: EndpointId,
) -> Flow<Option<(Moment, String)>> {
    let now = gateway.store.now();
    let endpoint = endpoints::get(gateway, merchant, id).await?;
    if endpoint.state == EndpointState::Disabled {
        park(gateway, &endpoint).await?;
        return Ok(None);
    }
    if endpoint.paused_until > now {
        return Ok(Some((endpoint.paused_until, "the endpoint asked for a pause".to_owned())));
    }
    let secrets = endpoints::live_secrets(gateway, &endpoint, now)?;
    let due = read_due(gateway, &endpoint, now).await?;
    let mut earliest = Moment(0);
    for few in due.chunks(IN_FLIGHT) {
        let sent = few.iter().map(|(row, event)| send(gateway, &endpoint, &secrets, row, event));
        let taken = join_all(sent).await.into_iter().collect::<Flow<Vec<bool>>>()?;
        if taken.contains(&false) {
            earliest = gateway.store.now().plus_millis(RESPITE_MS);
            break;
        }
    }
    let mut sql = gateway.store.read().await?;
    let next = store::deliveries::next(&mut sql, merchant, id).await?;
    Ok(next.map(|next| (next.max(earliest), "more is to be sent".to_owned())))
}

/// What was made while its endpoint was being disabled is not sent either.
async fn park(gateway: &Gateway, endpoint: &EndpointRow) -> Flow<()> {
    let now = gateway.store.now();
    let reason = endpoint.reason.as_deref().unwrap_or("disabled");
    let reason = &format!("the endpoint was {reason}");
    let (merchant, id) = (endpoint.merchant_id, endpoint.id);
    gateway
        .store
        .write::<(), FlowError, _>(move |tx| {
            Box::pin(async move {
                Ok(store::deliveries::park_all(tx.sql(), merchant, id, reason, now).await?)
            })
        })
        .await
}

async fn read_due(
    gateway: &Gateway,
    endpoint: &EndpointRow,
    now: Moment,
) -> Flow<Vec<(DeliveryRow, EventRow)>> {
    let (merchant, id) = (endpoint.merchant_id, endpoint.id);
    let mut sql = gateway.store.read().await?;
    let mut due = Vec::new();
    for row in store::deliveries::due(&mut sql, merchant, id, now, AT_A_TURN).await? {
        let event = events::must(&mut sql, merchant, row.event_id).await?;
        due.push((row, event));
    }
    Ok(due)
}

/// Sends one message and writes what came of it. Gives whether the endpoint took it.
async fn send(
    gateway: &Gateway,
    endpoint: &EndpointRow,
    secrets: &[Secret],
    row: &DeliveryRow,
    event: &EventRow,
) -> Flow<bool> {
    let body = message(event)?;
    let began = gateway.store.now();
    let (reply, took) = if body.len() < LARGEST {
        let headers = webhooks::headers(
            &event.id.to_string(),
            began.millis().div_euclid(1_000),
            &body,
            secrets,
        );
        gateway.courier.send(&Letter { url: endpoint.url.clone(), headers, body }).await
    } else {
        (Err(NoReply("not sent: the message is larger than 20 kB".to_owned())), Duration::ZERO)
    };
    let now = gateway.store.now();
    let answer = match &reply {
        Ok(reply) => {
            let wait = reply.retry_after.as_deref().and_then(|text| retry_after(text, now));
            Answer::Status(reply.status, wait)
        }
        Err(_) => Answer::None,
    };
    let chance = u16::from_be_bytes(gateway.chance.bytes());
    let (after, effect) = row.rules().tried(answer, now, chance);
    let attempt = attempt(row, began, took, reply);
    let (after, attempt) = (&after, &attempt);
    gateway
        .store
        .write::<(), FlowError, _>(move |tx| {
            Box::pin(async move {
                settle(tx, gateway, (endpoint, row), *after, attempt).await?;
                heed(tx, gateway, endpoint, *after, effect).await
            })
        })
        .await?;
    Ok(after.state == DeliveryState::Delivered)
}

/// What is sent of an event: the same bytes each time, whoever it goes to.
pub fn message(event: &EventRow) -> Flow<String> {
    let data: Value = serde_json::from_str(&event.data)?;
    let message = json!({
        "id": event.id, "type": event.kind, "timestamp": event.created_at, "order_id": event.order_id,
        "sequence": event.sequence, "data": data,
    });
    Ok(message.to_string())
}

fn attempt(
    row: &DeliveryRow,
    at: Moment,
    took: Duration,
    reply: Result<Reply, NoReply>,
) -> AttemptRow {
    let (status, reply, failure) = match reply {
        Ok(reply) => (Some(i64::from(reply.status)), readable(&reply.start), None),
        Err(failure) => (None, String::new(), Some(failure.to_string())),
    };
    let took_ms = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
    AttemptRow { number: row.attempts + 1, at, took_ms, status, reply, failure }
}

/// The beginning of an answer as text that a row can hold.
fn readable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
    text.chars().take(KEPT_OF_A_REPLY).map(plain).collect()
}

async fn settle(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    (endpoint, row): (&EndpointRow, &DeliveryRow),
    after: Delivery,
    attempt: &AttemptRow,
) -> Flow<()> {
    let now = gateway.store.now();
    let said = match (attempt.status, &attempt.failure) {
        (Some(status), _) => format!("the endpoint answered {status}"),
        (None, Some(failure)) => failure.clone(),
        (None, None) => "no answer".to_owned(),
    };
    let reason = match after.state {
        DeliveryState::Delivered => None,
        DeliveryState::Pending => Some(said),
        DeliveryState::Parked => Some(format!("{said}; try {} was the last", after.tries)),
    };
    if store::deliveries::settle(tx.sql(), row, after, reason.as_deref(), now).await? {
        store::deliveries::record(tx.sql(), endpoint.merchant_id, row.id, attempt).await?;
    }
    Ok(())
}

/// Does to the endpoint what its answer asks for.
async fn heed(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    endpoint: &EndpointRow,
    after: Delivery,
    effect: Option<DeliveryEffect>,
) -> Flow<()> {
    let (merchant, id, now) = (endpoint.merchant_id, endpoint.id, gateway.store.now());
    let since = endpoint.failing_since;
    match effect {
        Some(DeliveryEffect::DisableEndpoint) => {
            return endpoints::put_out(tx, gateway, endpoint, GONE).await;
        }
        Some(DeliveryEffect::PauseEndpoint(until)) => {
            store::endpoints::pause(tx.sql(), merchant, id, until).await?;
        }
        None => {}
    }
    match (after.state, since) {
        (DeliveryState::Delivered, Moment(0)) => {}
        (DeliveryState::Delivered, _) => store::endpoints::well(tx.sql(), merchant, id).await?,
        (_, Moment(0)) => store::endpoints::failing(tx.sql(), merchant, id, now).await?,
        (DeliveryState::Parked, since) if is_given_up(since, now) => {
            // Another message may have got through since this row was read.
            let fresh = store::endpoints::get(tx.sql(), merchant, id).await?;
            if fresh.is_some_and(|fresh| fresh.failing_since == since) {
                endpoints::put_out(tx, gateway, endpoint, SILENT).await?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// A delivery with its tries, oldest first.
pub async fn get(
    gateway: &Gateway,
    merchant: MerchantId,
    id: DeliveryId,
) -> Flow<(DeliveryRow, Vec<AttemptRow>)> {
    let mut sql = gateway.store.read().await?;
    let row = store::deliveries::get(&mut sql, merchant, id).await?.ok_or(NONE)?;
    let attempts = store::deliveries::attempts(&mut sql, merchant, id).await?;
    Ok((row, attempts))
}

/// A merchant's deliveries before `before`, newest first.
pub async fn list(
    gateway: &Gateway,
    merchant: MerchantId,
    before: &str,
    filter: &Filter,
    limit: i64,
) -> Flow<Vec<DeliveryRow>> {
    let mut sql = gateway.store.read().await?;
    Ok(store::deliveries::list(&mut sql, merchant, before, filter, limit).await?)
}

const NONE: FlowError = FlowError::NotFound("delivery");

/// Sends a delivery again, whatever became of it, by the whole schedule. The endpoint knows it by the same id.
pub async fn replay(
    gateway: &Gateway,
    merchant: MerchantId,
    id: DeliveryId,
) -> Flow<(DeliveryRow, Vec<AttemptRow>)> {
    let (row, _) = get(gateway, merchant, id).await?;
    must_be_enabled(gateway, merchant, row.endpoint_id).await?;
    let now = gateway.store.now();
    let endpoint = row.endpoint_id;
    gateway
        .store
        .write::<(), FlowError, _>(move |tx| {
            Box::pin(async move {
                store::deliveries::replay(tx.sql(), merchant, id, now).await?;
                revive(tx, gateway, merchant, endpoint).await?;
                wake(tx, gateway, merchant, endpoint).await
            })
        })
        .await?;
    get(gateway, merchant, id).await
}

/// Sends again what an endpoint was made for since then and did not take. Gives how many deliveries that are.
pub async fn replay_since(
    gateway: &Gateway,
    merchant: MerchantId,
    endpoint: EndpointId,
    since: Moment,
) -> Flow<u64> {
    must_be_enabled(gateway, merchant, endpoint).await?;
    let now = gateway.store.now();
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                let sql = tx.sql();
                let count =
                    store::deliveries::replay_since(sql, merchant, endpoint, since, now).await?;
                revive(tx, gateway, merchant, endpoint).await?;
                if count > 0 {
                    wake(tx, gateway, merchant, endpoint).await?;
                }
                Ok(count)
            })
        })
        .await
}

async fn must_be_enabled(gateway: &Gateway, merchant: MerchantId, id: EndpointId) -> Flow<()> {
    let endpoint = endpoints::get(gateway, merchant, id).await?;
    if endpoint.state == EndpointState::Enabled {
        return Ok(());
    }
    let detail = "the webhook endpoint is disabled: enable it first".to_owned();
    Err(FlowError::Conflict { code: "webhook-endpoint-disabled", detail })
}

#[cfg(test)]
#[path = "deliveries/tests.rs"]
mod tests;
