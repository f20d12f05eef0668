//! Merchants: made by the operator, the first one by the first start.

use secrecy::SecretString;
use tollgate_domain::ids::MerchantId;
use tollgate_domain::scope::Scopes;

use super::texts::one_line;
use super::{Flow, FlowError, keys};
use crate::chance::Chance;
use crate::gateway::Gateway;
use crate::store::keys::{self as rows, KeyRow};
use crate::store::merchants::{self, MerchantRow};
use crate::store::{self, Store, Tx};

/// A merchant as the operator asks for it.
#[derive(Clone, Debug)]
pub struct NewMerchant {
    /// What operators call it.
    pub name: String,
    /// Whether a POST without an idempotency key is refused.
    pub demands_keys: bool,
}

/// A merchant that was just made.
#[derive(Clone, Debug)]
pub struct Added {
    /// Its row.
    pub row: MerchantRow,
    /// Its first key, here and never again: it may do everything.
    pub secret: SecretString,
}

/// What is to change about a merchant; none: nothing.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// What operators call it.
    pub name: Option<String>,
    /// Whether a POST without an idempotency key is refused.
    pub demands_keys: Option<bool>,
}

/// Makes the first merchant and its key, unless there is a merchant. The key is told here and never again.
pub async fn first_start(gateway: &Gateway) -> Flow<Option<Added>> {
    let new = NewMerchant { name: "Merchant".to_owned(), demands_keys: false };
    make(&gateway.store, &gateway.chance, new, true).await
}

/// Makes a merchant with its first key.
pub async fn add(store: &Store, chance: &Chance, new: NewMerchant) -> Flow<Added> {
    check(&new.name)?;
    let added = make(store, chance, new, false).await?;
    added.ok_or_else(|| FlowError::Internal("a merchant was not made".to_owned()))
}

/// Makes a merchant, or none where only a first one is wanted and there is one.
async fn make(
    store: &Store,
    chance: &Chance,
    new: NewMerchant,
    only_first: bool,
) -> Flow<Option<Added>> {
    let now = store.now();
    let (secret, trace) = keys::draw(chance);
    let row = MerchantRow {
        id: chance.id(now),
        name: new.name,
        demands_keys: i64::from(new.demands_keys),
        created_at: now,
    };
    let key = KeyRow {
        merchant_id: row.id,
        id: chance.id(now),
        hint: trace.hint.clone(),
        name: "first key".to_owned(),
        scopes: Scopes::full(),
        per_second: None,
        expires_at: None,
        revoked_at: None,
        successor: None,
        created_at: now,
    };
    let (row, key, trace) = (&row, &key, &trace);
    let made = store
        .write::<bool, FlowError, _>(move |tx| {
            Box::pin(async move {
                if only_first {
                    store::take_turn(tx.sql()).await?;
                    if merchants::first(tx.sql()).await?.is_some() {
                        return Ok(false);
                    }
                }
                merchants::insert(tx.sql(), row).await?;
                rows::insert(tx.sql(), key, trace).await?;
                Ok(true)
            })
        })
        .await?;
    Ok(made.then(|| Added { row: row.clone(), secret }))
}

fn check(name: &str) -> Flow<()> {
    one_line("name", name, 100).map_or(Ok(()), |error| Err(FlowError::Invalid(vec![error])))
}

/// Every merchant, oldest first.
pub async fn list(store: &Store) -> Flow<Vec<MerchantRow>> {
    let mut sql = store.read().await?;
    Ok(merchants::all(&mut sql).await?)
}

/// A merchant.
pub async fn get(store: &Store, id: MerchantId) -> Flow<MerchantRow> {
    let mut sql = store.read().await?;
    merchants::get(&mut sql, id).await?.ok_or(FlowError::NotFound("merchant"))
}

/// Changes a merchant.
pub async fn set(store: &Store, id: MerchantId, change: Change) -> Flow<MerchantRow> {
    if let Some(name) = &change.name {
        check(name)?;
    }
    let change = &change;
    store.write(move |tx| Box::pin(change_row(tx, id, change))).await
}

async fn change_row(tx: &mut Tx<'_>, id: MerchantId, change: &Change) -> Flow<MerchantRow> {
    let row = merchants::get(tx.sql(), id).await?.ok_or(FlowError::NotFound("merchant"))?;
    let row = MerchantRow {
        name: change.name.clone().unwrap_or(row.name),
        demands_keys: change.demands_keys.map_or(row.demands_keys, i64::from),
        ..row
    };
    merchants::update(tx.sql(), &row).await?;
    Ok(row)
}
