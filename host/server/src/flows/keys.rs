//! API keys: made, replaced by a new generation, and ended. Only a hash of each is kept, so it is told once.

use aws_lc_rs::digest::{SHA256, digest};
use secrecy::{ExposeSecret, SecretString};
use tollgate_domain::ids::{ApiKeyId, MerchantId};
use tollgate_domain::scope::Scopes;
use tollgate_domain::time::Moment;

use super::idempotency::Turn;
use super::texts::one_line;
use super::{FieldError, Flow, FlowError};
use crate::chance::Chance;
use crate::store::keys::{self, Holder, KeyRow, Trace};
use crate::store::{Store, Tx};

/// What every API key starts with, so that people and scanners know one when they see it.
const PREFIX: &str = "tgk_";
/// How many characters of a key are kept, to tell keys apart.
const HINT: usize = PREFIX.len() + 4;

/// A key as it is asked for.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// What the merchant calls it.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// How many requests a second it may make; none: as many as the configuration says.
    pub per_second: Option<i64>,
    /// How long it lives, in seconds; none: until it is revoked.
    pub expires_in_s: Option<i64>,
}

/// A key that was just made.
#[derive(Clone, Debug)]
pub struct Issued {
    /// Its row.
    pub row: KeyRow,
    /// The key itself, here and never again.
    pub secret: SecretString,
}

/// Who asks for a key.
#[derive(Clone, Copy, Debug)]
pub enum Issuer<'a> {
    /// Whoever runs the gateway.
    Operator,
    /// The holder of a key: one that is made with it may no more than it, and lives no longer.
    Holder(&'a Holder),
}

/// The longest life of a key that has an end, and the longest overlap of two generations, in seconds.
const LONGEST_LIFE_S: i64 = 10 * 366 * 86_400;
const LONGEST_OVERLAP_S: i64 = 90 * 86_400;
/// The most requests a second that a key may be given.
pub const MOST_PER_SECOND: i64 = 1_000_000;

/// Who holds this key, if it lives now.
pub async fn authenticate(store: &Store, key: &str) -> Flow<Option<Holder>> {
    // The key is random, so its hash is looked up as it is: timing tells nothing about a neighbour's.
    let mut sql = store.read().await?;
    Ok(keys::by_hash(&mut sql, &hash(key), store.now()).await?)
}

/// The hash by which a key is found.
pub fn hash(key: &str) -> String {
    hex::encode(digest(&SHA256, key.as_bytes()))
}

/// A random key and what is kept of it.
pub(super) fn draw(chance: &Chance) -> (SecretString, Trace) {
    let key = format!("{PREFIX}{}", chance.text(40));
    let trace = Trace { hash: hash(&key), hint: key[..HINT].to_owned() };
    (key.into(), trace)
}

/// Makes a key of a merchant.
pub async fn issue(
    store: &Store,
    chance: &Chance,
    issuer: Issuer<'_>,
    merchant: MerchantId,
    new: NewKey,
    turn: Option<&Turn>,
) -> Flow<Issued> {
    let now = store.now();
    check(&new)?;
    let ends = new.expires_in_s.map(|seconds| now.plus_millis(seconds * 1_000).0);
    may_give(issuer, &new.scopes, ends)?;
    if let Some(there) = made_before(turn) {
        return tell_anew(store, chance, merchant, there).await;
    }
    let (secret, trace) = draw(chance);
    let row = KeyRow {
        merchant_id: merchant,
        id: chance.id(now),
        hint: trace.hint.clone(),
        name: new.name,
        scopes: new.scopes,
        per_second: new.per_second,
        expires_at: ends,
        revoked_at: None,
        successor: None,
        created_at: now,
    };
    let (row, trace) = (&row, &trace);
    store.write::<(), FlowError, _>(move |tx| Box::pin(insert(tx, row, trace, turn))).await?;
    Ok(Issued { row: row.clone(), secret })
}

async fn insert(tx: &mut Tx<'_>, row: &KeyRow, trace: &Trace, turn: Option<&Turn>) -> Flow<()> {
    if let Some(turn) = turn {
        turn.note(tx, row.id).await?;
    }
    Ok(keys::insert(tx.sql(), row, trace).await?)
}

fn check(new: &NewKey) -> Flow<()> {
    let mut errors = Vec::from_iter(one_line("name", &new.name, 100));
    if new.expires_in_s.is_some_and(|seconds| !(60..=LONGEST_LIFE_S).contains(&seconds)) {
        let rule = format!("must be between 60 and {LONGEST_LIFE_S}");
        errors.push(FieldError::new("expires_in_s", rule));
    }
    if new.per_second.is_some_and(|rate| !(1..=MOST_PER_SECOND).contains(&rate)) {
        let rule = format!("must be between 1 and {MOST_PER_SECOND}");
        errors.push(FieldError::new("per_second", rule));
    }
    if errors.is_empty() { Ok(()) } else { Err(FlowError::Invalid(errors)) }
}

/// Nobody hands on what he has not got.
fn may_give(issuer: Issuer<'_>, scopes: &Scopes, ends: Option<i64>) -> Flow<()> {
    let Issuer::Holder(holder) = issuer else {
        return Ok(());
    };
    if !holder.scopes.cover(scopes) {
        return Err(FlowError::invalid("scopes", "must be among those of the key that you use"));
    }
    let outlives = holder.expires_at.is_some_and(|own| ends.is_none_or(|ends| ends > own));
    if outlives {
        let rule = "must end no later than the key that you use";
        return Err(FlowError::invalid("expires_in_s", rule));
    }
    Ok(())
}

fn made_before(turn: Option<&Turn>) -> Option<ApiKeyId> {
    turn?.made.as_deref()?.parse().ok()
}

/// A key whose making was cut off before anybody was told it gets another secret: the first one is nobody's.
async fn tell_anew(
    store: &Store,
    chance: &Chance,
    merchant: MerchantId,
    id: ApiKeyId,
) -> Flow<Issued> {
    let (secret, trace) = draw(chance);
    let trace = &trace;
    let row = store
        .write::<KeyRow, FlowError, _>(move |tx| {
            Box::pin(async move {
                keys::set_secret(tx.sql(), merchant, id, trace).await?;
                keys::get(tx.sql(), merchant, id).await?.ok_or(FlowError::NotFound("key"))
            })
        })
        .await?;
    Ok(Issued { row, secret })
}

/// Makes a key that may do the same and lives as long, beside this one, which ends after `overlap_s` seconds. Two generations live at a
/// time: one that replaces a key, or is replaced, is not replaced again before the other is over.
pub async fn rotate(
    store: &Store,
    chance: &Chance,
    issuer: Issuer<'_>,
    (merchant, id): (MerchantId, ApiKeyId),
    overlap_s: i64,
    turn: Option<&Turn>,
) -> Flow<Issued> {
    if !(0..=LONGEST_OVERLAP_S).contains(&overlap_s) {
        let rule = format!("must be between 0 and {LONGEST_OVERLAP_S}");
        return Err(FlowError::invalid("overlap_s", rule));
    }
    let old = get(store, merchant, id).await?;
    may_give(issuer, &old.scopes, old.expires_at).map_err(|_| FlowError::Conflict {
        code: "key-beyond-yours",
        detail: "the key may do more, or lives longer, than the one that you use".to_owned(),
    })?;
    if let Some(there) = made_before(turn) {
        return tell_anew(store, chance, merchant, there).await;
    }
    let now = store.now();
    let (secret, trace) = draw(chance);
    let life = old.expires_at.map(|end| end.saturating_sub(old.created_at.0));
    let row = KeyRow {
        id: chance.id(now),
        hint: trace.hint.clone(),
        expires_at: life.map(|life| now.0.saturating_add(life)),
        successor: None,
        created_at: now,
        ..old.clone()
    };
    let (row, trace, old) = (&row, &trace, &old);
    let end = now.plus_millis(overlap_s * 1_000);
    store
        .write::<(), FlowError, _>(move |tx| {
            Box::pin(async move {
                if let Some(before) = keys::predecessor(tx.sql(), merchant, id, now).await? {
                    return Err(rotated(format!("{} still lives beside it", before.id)));
                }
                if !keys::replace(tx.sql(), old, row.id, end, now).await? {
                    return Err(rotated("it was replaced or is over".to_owned()));
                }
                insert(tx, row, trace, turn).await
            })
        })
        .await?;
    Ok(Issued { row: row.clone(), secret })
}

fn rotated(detail: String) -> FlowError {
    FlowError::Conflict { code: "key-rotated", detail }
}

/// Ends a key now; one that is over stays as it is.
pub async fn revoke(store: &Store, merchant: MerchantId, id: ApiKeyId) -> Flow<KeyRow> {
    let now = store.now();
    store
        .write(move |tx| {
            Box::pin(async move {
                keys::revoke(tx.sql(), merchant, id, now).await?;
                keys::get(tx.sql(), merchant, id).await?.ok_or(FlowError::NotFound("key"))
            })
        })
        .await
}

/// A merchant's key.
pub async fn get(store: &Store, merchant: MerchantId, id: ApiKeyId) -> Flow<KeyRow> {
    let mut sql = store.read().await?;
    keys::get(&mut sql, merchant, id).await?.ok_or(FlowError::NotFound("key"))
}

/// A key, whoever owns it: for the operator.
pub async fn anybodys(store: &Store, id: ApiKeyId) -> Flow<KeyRow> {
    let mut sql = store.read().await?;
    keys::anybodys(&mut sql, id).await?.ok_or(FlowError::NotFound("key"))
}

/// A merchant's keys, newest first.
pub async fn list(
    store: &Store,
    merchant: MerchantId,
    before: &str,
    limit: i64,
) -> Flow<Vec<KeyRow>> {
    let mut sql = store.read().await?;
    Ok(keys::list(&mut sql, merchant, before, limit).await?)
}

/// Whether a key lives at `now`.
pub fn lives(row: &KeyRow, now: Moment) -> bool {
    row.revoked_at.is_none() && row.expires_at.is_none_or(|end| end > now.0)
}

/// The key in the clear, for the one place that tells it.
pub fn told(issued: &Issued) -> &str {
    issued.secret.expose_secret()
}
