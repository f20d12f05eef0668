//! Merchants and who may speak for them.

use aws_lc_rs::digest::{SHA256, digest};
use tollgate_domain::ids::MerchantId;

use super::{Flow, FlowError};
use crate::gateway::Gateway;
use crate::store;
use crate::store::merchants::{self, NewMerchant};

/// What every API key starts with, so that people and scanners know one when they see it.
const KEY_PREFIX: &str = "tgk_";

/// Makes the first merchant and its key, unless there is a merchant. The key is told here and never again.
pub async fn first_start(gateway: &Gateway) -> Flow<Option<(MerchantId, String)>> {
    let now = gateway.store.now();
    let key = format!("{KEY_PREFIX}{}", gateway.chance.text(40));
    let (id, hash) = (gateway.chance.id(now), hash(&key));
    let new = NewMerchant {
        id,
        name: "Merchant",
        key_id: gateway.chance.id(now),
        key_hash: &hash,
        key_hint: &key[..KEY_PREFIX.len() + 4],
    };
    let new = &new;
    let made = gateway
        .store
        .write::<bool, FlowError, _>(move |tx| {
            Box::pin(async move {
                store::take_turn(tx.sql()).await?;
                if merchants::first(tx.sql()).await?.is_some() {
                    return Ok(false);
                }
                merchants::insert(tx.sql(), new, now).await?;
                Ok(true)
            })
        })
        .await?;
    Ok(made.then_some((id, key)))
}

/// The merchant whose key this is.
pub async fn authenticate(gateway: &Gateway, key: &str) -> Flow<Option<MerchantId>> {
    // The key is random, so its hash is looked up as it is: timing tells nothing about a neighbour's.
    let mut sql = gateway.store.read().await?;
    Ok(merchants::by_key_hash(&mut sql, &hash(key)).await?)
}

fn hash(key: &str) -> String {
    hex::encode(digest(&SHA256, key.as_bytes()))
}
