//! Webhook endpoints: where a merchant hears of events, and the secrets that it knows them by.

use serde_json::json;
use tollgate_domain::delivery::is_pattern;
use tollgate_domain::ids::{EndpointId, MerchantId};
use tollgate_domain::time::Moment;

use super::idempotency::Turn;
use super::texts::is_line;
use super::{FieldError, Flow, FlowError, learn};
use crate::gateway::Gateway;
use crate::net::addresses::endpoint_url;
use crate::store::endpoints::{self, EndpointRow, EndpointState};
use crate::store::{Tx, deliveries};
use crate::webhooks::Secret;

/// A merchant may have so many endpoints called: each event costs a row for each of them.
const MOST_ENABLED: usize = 20;
/// An endpoint may name so many kinds.
const MOST_KINDS: usize = 50;
/// The longest that two secrets live side by side, in seconds.
const LONGEST_OVERLAP_S: i64 = 30 * 86_400;
const BY_MERCHANT: &str = "disabled by the merchant";

/// What a merchant sets of an endpoint.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What is to be called.
    pub url: String,
    /// The merchant's own words.
    pub description: String,
    /// The kinds of events that it hears of; none: all.
    pub kinds: Vec<String>,
}

/// What is to change of an endpoint; none leaves it as it is.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// What is to be called.
    pub url: Option<String>,
    /// The merchant's own words.
    pub description: Option<String>,
    /// The kinds of events that it hears of.
    pub kinds: Option<Vec<String>>,
}

/// Makes an endpoint, enabled. Its secret is told here and never again, but to a request that was cut off after it made
/// its endpoint: nobody was told then.
pub async fn create(
    gateway: &Gateway,
    merchant: MerchantId,
    wanted: Wanted,
    turn: Option<&Turn>,
) -> Flow<(EndpointRow, String)> {
    if let Some(made) = turn.and_then(|turn| turn.made.as_deref()) {
        return made_before(gateway, merchant, made).await;
    }
    let wanted = check(gateway, wanted)?;
    let now = gateway.store.now();
    let id: EndpointId = gateway.chance.id(now);
    let secret = Secret::new(&gateway.chance);
    let row = EndpointRow {
        merchant_id: merchant,
        id,
        url: wanted.url,
        description: wanted.description,
        kinds: serde_json::to_string(&wanted.kinds)?,
        state: EndpointState::Enabled,
        reason: None,
        secret: seal(gateway, id, &secret)?,
        old_secret: None,
        old_until: Moment(0),
        paused_until: Moment(0),
        failing_since: Moment(0),
        version: 1,
        created_at: now,
        updated_at: now,
    };
    let new = &row;
    gateway
        .store
        .write::<(), FlowError, _>(move |tx| {
            Box::pin(async move {
                room(tx, merchant).await?;
                if let Some(turn) = turn {
                    turn.note(tx, new.id).await?;
                }
                Ok(endpoints::insert(tx.sql(), new).await?)
            })
        })
        .await?;
    Ok((row, secret.text()))
}

/// What a request left that was cut off before its answer, with the secret that it has now.
async fn made_before(
    gateway: &Gateway,
    merchant: MerchantId,
    made: &str,
) -> Flow<(EndpointRow, String)> {
    let row = get(gateway, merchant, made.parse().map_err(|_| NONE)?).await?;
    let opened = gateway.sealer.open(&row.id.to_string(), &row.secret)?;
    Ok((row, Secret::kept(opened).text()))
}

/// Changes what the merchant set.
pub async fn update(
    gateway: &Gateway,
    merchant: MerchantId,
    id: EndpointId,
    change: Change,
) -> Flow<EndpointRow> {
    let row = get(gateway, merchant, id).await?;
    let wanted = check(
        gateway,
        Wanted {
            url: change.url.unwrap_or_else(|| row.url.clone()),
            description: change.description.unwrap_or_else(|| row.description.clone()),
            kinds: match change.kinds {
                Some(kinds) => kinds,
                None => serde_json::from_str(&row.kinds)?,
            },
        },
    )?;
    let kinds = serde_json::to_string(&wanted.kinds)?;
    let (wanted, kinds) = (&wanted, &kinds);
    edit(gateway, merchant, id, None, move |row| {
        if row.url != wanted.url {
            row.paused_until = Moment(0);
            row.failing_since = Moment(0);
        }
        row.url.clone_from(&wanted.url);
        row.description.clone_from(&wanted.description);
        row.kinds.clone_from(kinds);
    })
    .await
}

/// Has an endpoint called again, if its job was parked too. What it missed while it was disabled is not sent by itself: events
/// can be listed, and what was parked can be replayed.
pub async fn enable(gateway: &Gateway, merchant: MerchantId, id: EndpointId) -> Flow<EndpointRow> {
    let row = get(gateway, merchant, id).await?;
    gateway
        .store
        .write::<(), FlowError, _>(move |tx| {
            Box::pin(async move { super::deliveries::revive(tx, gateway, merchant, id).await })
        })
        .await?;
    if row.state == EndpointState::Enabled {
        return Ok(row);
    }
    edit(gateway, merchant, id, None, |row| {
        row.state = EndpointState::Enabled;
        row.reason = None;
        row.paused_until = Moment(0);
        row.failing_since = Moment(0);
    })
    .await
}

/// Has an endpoint called no more, and parks what it was to be sent.
pub async fn disable(gateway: &Gateway, merchant: MerchantId, id: EndpointId) -> Flow<EndpointRow> {
    let row = get(gateway, merchant, id).await?;
    let row = &row;
    gateway
        .store
        .write::<(), FlowError, _>(move |tx| {
            Box::pin(async move { put_out(tx, gateway, row, BY_MERCHANT).await })
        })
        .await?;
    get(gateway, merchant, id).await
}

/// Disables an endpoint within a transaction, parks what it was to be sent, and tells the others.
pub(super) async fn put_out(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    row: &EndpointRow,
    reason: &str,
) -> Flow<()> {
    let (merchant, now) = (row.merchant_id, gateway.store.now());
    if !endpoints::disable(tx.sql(), merchant, row.id, reason, now).await? {
        return Ok(());
    }
    let parked = format!("the endpoint was {reason}");
    deliveries::park_all(tx.sql(), merchant, row.id, &parked, now).await?;
    let data = json!({ "endpoint_id": row.id, "url": row.url, "reason": reason });
    learn::announce(tx, gateway, merchant, None, "webhook_endpoint.disabled", data).await
}

/// Gives an endpoint a new secret, told here and never again. The one before signs too for so many seconds; one that
/// was older is gone. A request that was cut off after it gave one tells that one and gives no other, so that the one
/// before, which is all that the merchant has, signs for as long as it was to.
pub async fn rotate_secret(
    gateway: &Gateway,
    merchant: MerchantId,
    id: EndpointId,
    overlap_s: i64,
    turn: Option<&Turn>,
) -> Flow<(EndpointRow, String)> {
    if let Some(made) = turn.and_then(|turn| turn.made.as_deref()) {
        return made_before(gateway, merchant, made).await;
    }
    if !(0..=LONGEST_OVERLAP_S).contains(&overlap_s) {
        let rule = format!("must be between 0 and {LONGEST_OVERLAP_S}");
        return Err(FlowError::invalid("overlap_s", rule));
    }
    let secret = Secret::new(&gateway.chance);
    let sealed = seal(gateway, id, &secret)?;
    let sealed = &sealed;
    let until = gateway.store.now().plus_millis(overlap_s * 1_000);
    let row = edit(gateway, merchant, id, turn, move |row| {
        let before = std::mem::replace(&mut row.secret, sealed.clone());
        let lives_on = overlap_s > 0;
        row.old_secret = lives_on.then_some(before);
        row.old_until = if lives_on { until } else { Moment(0) };
    })
    .await?;
    Ok((row, secret.text()))
}

/// The secrets that sign now, the current one first.
pub(super) fn live_secrets(gateway: &Gateway, row: &EndpointRow, now: Moment) -> Flow<Vec<Secret>> {
    let owner = row.id.to_string();
    let old = row.old_secret.as_ref().filter(|_| row.old_until > now);
    let sealed = std::iter::once(&row.secret).chain(old);
    sealed.map(|sealed| Ok(Secret::kept(gateway.sealer.open(&owner, sealed)?))).collect()
}

/// A merchant's endpoint.
pub async fn get(gateway: &Gateway, merchant: MerchantId, id: EndpointId) -> Flow<EndpointRow> {
    let mut sql = gateway.store.read().await?;
    endpoints::get(&mut sql, merchant, id).await?.ok_or(NONE)
}

/// A merchant's endpoints after `after` (empty: from the start), oldest first.
pub async fn list(
    gateway: &Gateway,
    merchant: MerchantId,
    after: &str,
    limit: i64,
) -> Flow<Vec<EndpointRow>> {
    let mut sql = gateway.store.read().await?;
    Ok(endpoints::list(&mut sql, merchant, after, limit).await?)
}

const NONE: FlowError = FlowError::NotFound("webhook endpoint");

/// Reads an endpoint, changes it and writes it over the version that was read, in one transaction. What a request changes
/// that must not change it twice is noted at its `turn`.
async fn edit(
    gateway: &Gateway,
    merchant: MerchantId,
    id: EndpointId,
    turn: Option<&Turn>,
    change: impl Fn(&mut EndpointRow) + Send + Sync,
) -> Flow<EndpointRow> {
    let change = &change;
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                let row = endpoints::get(tx.sql(), merchant, id).await?;
                let mut row = row.ok_or(NONE)?;
                let was = row.state;
                change(&mut row);
                if let Some(turn) = turn {
                    turn.note(tx, id).await?;
                }
                if row.state == EndpointState::Enabled && was != row.state {
                    room(tx, merchant).await?;
                }
                row.updated_at = gateway.store.now();
                endpoints::update(tx.sql(), &row).await?;
                row.version += 1;
                Ok(row)
            })
        })
        .await
}

async fn room(tx: &mut Tx<'_>, merchant: MerchantId) -> Flow<()> {
    if endpoints::enabled(tx.sql(), merchant).await?.len() < MOST_ENABLED {
        return Ok(());
    }
    let detail = format!("{MOST_ENABLED} webhook endpoints are enabled, which is the most");
    Err(FlowError::Conflict { code: "too-many-webhook-endpoints", detail })
}

fn seal(gateway: &Gateway, id: EndpointId, secret: &Secret) -> Flow<Vec<u8>> {
    Ok(gateway.sealer.seal(&id.to_string(), secret.bytes(), &gateway.chance)?)
}

/// Checks what a merchant sets, and gives the address as it will be called.
fn check(gateway: &Gateway, mut wanted: Wanted) -> Flow<Wanted> {
    let mut errors = Vec::new();
    match endpoint_url(&wanted.url, gateway.settings.private_webhooks) {
        Ok(url) => wanted.url = url.into(),
        Err(rule) => errors.push(FieldError::new("url", rule)),
    }
    if !is_line(&wanted.description, 200) {
        errors.push(FieldError::new("description", "must be one line of 200 characters or fewer"));
    }
    if wanted.kinds.len() > MOST_KINDS {
        errors.push(FieldError::new("kinds", format!("must be {MOST_KINDS} or fewer")));
    }
    for (at, kind) in wanted.kinds.iter().enumerate().take(MOST_KINDS) {
        if !is_pattern(kind) {
            let rule = "must be a kind of event such as order.paid, or a family such as order.*";
            errors.push(FieldError::new(format!("kinds[{at}]"), rule));
        }
    }
    if errors.is_empty() { Ok(wanted) } else { Err(FlowError::Invalid(errors)) }
}
