//! Replacing the key that seals secrets: whatever lies sealed under the one before is sealed anew, beside gateways that
//! run and open both.

use super::{Flow, FlowError, idempotency, installation};
use crate::chance::Chance;
use crate::sealing::Sealer;
use crate::store::idempotency::{self as requests, Place, RequestRow};
use crate::store::{Store, accounts, endpoints, installation as witness};

/// How many answers are read at a time.
const AT_ONCE: i64 = 200;

/// How much was sealed anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Accounts.
    pub accounts: u64,
    /// Webhook endpoints.
    pub endpoints: u64,
    /// Answers under idempotency keys.
    pub answers: u64,
}

/// Seals everything anew that is not under the key of now. It can be run again, and while gateways write.
pub async fn run(store: &Store, sealer: &Sealer, chance: &Chance) -> Flow<Resealed> {
    let accounts = reseal_accounts(store, sealer, chance).await?;
    let endpoints = reseal_endpoints(store, sealer, chance).await?;
    let answers = reseal_answers(store, sealer, chance).await?;
    reseal_witness(store, sealer, chance).await?;
    Ok(Resealed { accounts, endpoints, answers })
}

/// The last of all: whoever comes with the old key alone is refused from now on.
async fn reseal_witness(store: &Store, sealer: &Sealer, chance: &Chance) -> Flow<()> {
    let Some(read) = witness::witness(&mut store.read().await?).await? else { return Ok(()) };
    let Some(sealed) = sealer.reseal(installation::WITNESS, &read, chance)? else {
        return Ok(());
    };
    let (read, sealed) = (read.as_slice(), sealed.as_slice());
    store
        .write(move |tx| {
            Box::pin(async move { Ok(witness::reseal(tx.sql(), read, sealed).await?) })
        })
        .await
}

async fn reseal_endpoints(store: &Store, sealer: &Sealer, chance: &Chance) -> Flow<u64> {
    let rows = endpoints::all(&mut store.read().await?).await?;
    let mut done = 0;
    for row in &rows {
        let owner = row.id.to_string();
        let anew = |sealed: &[u8]| sealer.reseal(&owner, sealed, chance);
        let secret = anew(&row.secret)?;
        let old = row.old_secret.as_deref().map(anew).transpose()?.flatten();
        if secret.is_none() && old.is_none() {
            continue;
        }
        let secret = secret.as_deref().unwrap_or(&row.secret);
        let old = old.as_deref().or(row.old_secret.as_deref());
        let written = store.write::<bool, FlowError, _>(move |tx| {
            Box::pin(async move { Ok(endpoints::reseal(tx.sql(), row, secret, old).await?) })
        });
        done += u64::from(written.await?);
    }
    Ok(done)
}

async fn reseal_accounts(store: &Store, sealer: &Sealer, chance: &Chance) -> Flow<u64> {
    let rows = accounts::all(&mut store.read().await?).await?;
    let mut done = 0;
    for row in &rows {
        let Some(sealed) = sealer.reseal(&row.id.to_string(), &row.secrets, chance)? else {
            continue;
        };
        let sealed = sealed.as_slice();
        let written = store.write::<bool, FlowError, _>(move |tx| {
            Box::pin(async move { Ok(accounts::reseal(tx.sql(), row, sealed).await?) })
        });
        done += u64::from(written.await?);
    }
    Ok(done)
}

async fn reseal_answers(store: &Store, sealer: &Sealer, chance: &Chance) -> Flow<u64> {
    let mut done = 0;
    let mut after = (String::new(), String::new(), String::new());
    loop {
        let place = (after.0.as_str(), after.1.as_str(), after.2.as_str());
        let rows = requests::answered(&mut store.read().await?, place, AT_ONCE).await?;
        let Some(last) = rows.last() else { return Ok(done) };
        after = (last.merchant_id.to_string(), last.route.clone(), last.key.clone());
        for row in &rows {
            done += u64::from(reseal_answer(store, sealer, chance, row).await?);
        }
    }
}

async fn reseal_answer(
    store: &Store,
    sealer: &Sealer,
    chance: &Chance,
    row: &RequestRow,
) -> Flow<bool> {
    let place = Place { merchant: row.merchant_id, route: &row.route, key: &row.key };
    let read = row.answer.as_deref().unwrap_or_default();
    let Some(sealed) = sealer.reseal(&idempotency::owner(place), read, chance)? else {
        return Ok(false);
    };
    let sealed = sealed.as_slice();
    store
        .write::<(), FlowError, _>(move |tx| {
            Box::pin(async move { Ok(requests::reseal(tx.sql(), place, read, sealed).await?) })
        })
        .await?;
    Ok(true)
}
