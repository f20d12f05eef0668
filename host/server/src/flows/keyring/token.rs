//! Tokens: the host fetches, keeps and replaces them, and puts them into requests. No plugin sees one.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use tollgate_domain::time::Moment;
use tollgate_plugin::contract::{HttpRequest, KeyRequest, Operation, Slot, Step, Token};
use tollgate_plugin::egress::Running;
use tollgate_plugin::{Exchange, Keys, secrets_of, token_of};

use super::{Cause, begin, load, owner, place, turn};
use crate::flows::account::Account;
use crate::flows::exchange::{self, Records, failure, of_silence};
use crate::flows::{Failure, Flow, FlowError};
use crate::gateway::Gateway;
use crate::store::fetched::{self, FetchedRow};

/// The account's keys with each token in them that a request asks for.
pub async fn tokens(
    gateway: &Gateway,
    account: &Account,
    request: &HttpRequest,
) -> Flow<Result<Arc<Keys>, Failure>> {
    for (slot, token) in wanted(account, request) {
        let is_good = |sparing| account.ring.has_token(slot, gateway.store.now(), sparing);
        if is_good(true) {
            continue;
        }
        let Some(_turn) = turn(gateway, account, slot).await else {
            let message = "somebody else has waited long for a token".to_owned();
            return Ok(Err(failure("unavailable", message)));
        };
        if !is_good(true) {
            load(gateway, account).await?;
        }
        if !is_good(true)
            && let Err(failure) = fetch(gateway, account, slot, token).await?
            && !is_good(false)
        {
            return Ok(Err(failure));
        }
    }
    Ok(Ok(account.keys()))
}

/// After a 401: whether there are other tokens now than those in `refused` for each that the request asks for.
pub async fn renew(
    gateway: &Gateway,
    account: &Account,
    request: &HttpRequest,
    refused: &Keys,
) -> Flow<bool> {
    let wanted = wanted(account, request);
    for (slot, token) in &wanted {
        let Some(_turn) = turn(gateway, account, slot).await else { return Ok(false) };
        load(gateway, account).await?;
        // Another call or replica may have met the same refusal.
        if account.keys().has_same(slot, refused)
            && fetch(gateway, account, slot, token).await?.is_err()
        {
            return Ok(false);
        }
    }
    Ok(!wanted.is_empty())
}

/// The token slots that a request asks for.
fn wanted<'a>(account: &'a Account, request: &HttpRequest) -> Vec<(&'a str, &'a Token)> {
    let slots = &account.plugin.manifest().slots;
    if slots.iter().all(|slot| slot.token.is_none()) {
        return Vec::new();
    }
    let asked = secrets_of(request);
    let token = |slot: &'a Slot| Some((slot.input.name.as_str(), slot.token.as_ref()?));
    slots.iter().filter_map(token).filter(|(name, _)| asked.contains(name)).collect()
}

/// Has the plugin build the request, and reads the answer instead of it.
async fn fetch(
    gateway: &Gateway,
    account: &Account,
    slot: &str,
    token: &Token,
) -> Flow<Result<(), Failure>> {
    let place = place(account, slot, Cause::Token);
    if !begin(gateway, place, Cause::Token).await? {
        let message = "a token was asked for a moment ago".to_owned();
        return Ok(Err(failure("unavailable", message)));
    }
    let mut records = Records::default();
    let now = gateway.store.now();
    let got = ask(gateway, account, slot, token, &mut records).await?;
    let row = match &got {
        Ok((text, life_ms)) => Some(sealed(gateway, account, slot, text, now, *life_ms)?),
        Err(_) => None,
    };
    let (row, records, subject) = (&row, &records, &account.row.id.to_string());
    let write = gateway.store.write::<(), FlowError, _>(move |tx| {
        Box::pin(async move {
            records.write(tx, gateway, account, subject).await?;
            if let Some(row) = row {
                fetched::put(tx.sql(), place, row).await?;
                fetched::succeed(tx.sql(), place).await?;
            }
            Ok(())
        })
    });
    write.await?;
    let taken = match (got, row) {
        (Ok((text, _)), Some(row)) => account.ring.take(row, text.expose_secret().as_bytes(), now),
        (Err(failure), _) => return Ok(Err(failure)),
        (Ok(_), None) => return Ok(Ok(())),
    };
    Ok(taken.map_err(|error| failure("protocol", error.to_string())))
}

fn sealed(
    gateway: &Gateway,
    account: &Account,
    slot: &str,
    text: &SecretString,
    now: Moment,
    life_ms: i64,
) -> Flow<FetchedRow> {
    let plain = text.expose_secret().as_bytes();
    let value = gateway.sealer.seal(&owner(account, slot, ""), plain, &gateway.chance)?;
    let (slot, expires_at) = (slot.to_owned(), now.plus_millis(life_ms));
    Ok(FetchedRow { slot, key_id: String::new(), value, fetched_at: now, expires_at })
}

/// One exchange. Its record holds of the answer no more than status and length.
async fn ask(
    gateway: &Gateway,
    account: &Account,
    slot: &str,
    token: &Token,
    records: &mut Records,
) -> Flow<Result<(SecretString, i64), Failure>> {
    let operation = Operation::FetchKeys(KeyRequest { slot: slot.to_owned(), id: None });
    let running = Running::from(&operation);
    let context = account.context(gateway, &gateway.chance.text(24));
    let keys = account.keys();
    let built = account.plugin.build(context.clone(), &keys, &operation, Vec::new()).await;
    let built = match built {
        Ok(called) => called,
        Err(error) => return Ok(Err(failure("plugin", error.to_string()))),
    };
    exchange::tell(account, "build", &built.logs);
    let request = match built.answer {
        Ok(Step::Send((request, _))) => request,
        Ok(Step::Done(_)) => {
            return Ok(Err(failure("protocol", "the plugin asks for no token".to_owned())));
        }
        Err(fault) => return Ok(Err(failure(&fault.code, fault.message))),
    };
    let outgoing = match exchange::admitted(account, running, &request, &keys) {
        Ok(outgoing) => outgoing,
        Err(failure) => return Ok(Err(failure)),
    };
    let redactor = outgoing.redactor(&keys);
    let mut record = Exchange::begin(&account.plugin, running.name, &context, &outgoing, &redactor);
    record.heard(&built.logs, &redactor);
    record.audit.extend(built.audit);
    let (answer, took) = gateway.net.send(outgoing, gateway.settings.call_limit).await;
    let got = match answer {
        Ok(response) => {
            record.answered_with_a_secret(&response, took);
            let millis = |life: std::time::Duration| i64::try_from(life.as_millis()).unwrap_or(0);
            token_of(token, &response)
                .map(|(text, life)| (text, millis(life)))
                .map_err(|rule| failure("auth", rule.to_owned()))
        }
        Err(error) => {
            record.unanswered(&error.to_string(), took, &redactor);
            Err(of_silence(&error))
        }
    };
    records.add(&record)?;
    Ok(got)
}
