//! Bills: asking a provider for its file of a period, keeping what came, and turning it into rows.
//!
//! The intent is committed before the provider is asked. What comes is kept as it came ([`fetching`]), unpacked and
//! parsed into a spool on the disk ([`parsing`]), and only when all of it could be read and its own totals agree are
//! the rows written, as an edition that one transaction makes the bill's ([`loading`]). A try that fails leaves the
//! bill as it was, with the reason.

mod fetching;
mod loading;
mod parsing;
mod reading;
pub mod turns;

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;
use tollgate_domain::ids::{AccountId, BillId, MerchantId};
use tollgate_domain::matching::{Period, PeriodKind, Zone};
use tollgate_domain::time::Moment;
use tollgate_plugin::contract::BillKind;

use self::turns::Work;
use super::account::{self, Account};
use super::{Flow, FlowError, Made, learn, reconcile};
use crate::gateway::Gateway;
use crate::store::bills::{self, BillRow, BillState, Filter};
use crate::store::{StoreError, Tx};

/// How long to wait where a provider does not say when its bill will be there.
const USUAL_WAIT_MS: i64 = 1_800_000;
const SHORTEST_WAIT_MS: i64 = 60_000;
const LONGEST_WAIT_MS: i64 = 21_600_000;

/// How often a bill may be rejected before somebody has to look.
const MOST_REJECTIONS: i64 = 5;

/// How many missed periods are caught up with after a stop.
const MOST_CAUGHT_UP: usize = 31;

const DAY_MS: i64 = 86_400_000;

/// Which bill.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Of which account.
    pub account: AccountId,
    /// Which of the provider's bills; none: its first.
    pub kind: Option<String>,
    /// Of which day, month or batch.
    pub period: String,
}

/// A bill that the provider has, by its manifest.
pub(super) struct Chosen {
    pub account: Arc<Account>,
    pub kind: BillKind,
    pub period: Period,
}

/// Why a try came to nothing.
#[derive(Debug)]
enum Setback {
    /// It cannot be had now: ask again at that time, with what the plugin wants back.
    NotReady { reason: String, retry_at: Moment, resume: Vec<u8> },
    /// What came cannot be trusted.
    Rejected(String),
    /// Ours.
    Flow(FlowError),
}

impl<E: Into<FlowError>> From<E> for Setback {
    fn from(error: E) -> Setback {
        Setback::Flow(error.into())
    }
}

/// A merchant's bill.
pub async fn get(gateway: &Gateway, merchant: MerchantId, id: BillId) -> Flow<BillRow> {
    let mut sql = gateway.store.read().await?;
    bills::get(&mut sql, merchant, id).await?.ok_or(FlowError::NotFound("bill"))
}

/// A merchant's bills, newest first.
pub async fn list(
    gateway: &Gateway,
    merchant: MerchantId,
    filter: &Filter<'_>,
) -> Flow<Vec<BillRow>> {
    let mut sql = gateway.store.read().await?;
    Ok(bills::list(&mut sql, merchant, filter).await?)
}

/// Fetches a bill, unless it is here and no more rows can come. How it went is in the bill's state.
pub async fn fetch(gateway: &Gateway, merchant: MerchantId, ask: &Ask) -> Flow<Made<BillRow>> {
    let chosen = choose(gateway, merchant, ask).await?;
    fetch_chosen(gateway, &chosen).await
}

/// Finds what is asked for in the manifest, and checks the period's name.
pub(super) async fn choose(gateway: &Gateway, merchant: MerchantId, ask: &Ask) -> Flow<Chosen> {
    let account = account::named(gateway, merchant, ask.account).await?;
    let kinds = &account.plugin.manifest().bills;
    let kind = match &ask.kind {
        Some(id) => kinds.iter().find(|kind| kind.id == *id),
        None => kinds.first(),
    };
    let Some(kind) = kind.cloned() else {
        let ids: Vec<&str> = kinds.iter().map(|kind| kind.id.as_str()).collect();
        return Err(FlowError::invalid("kind", format!("must be one of: {}", ids.join(", "))));
    };
    if kind.arrival != "pull" {
        return Err(FlowError::invalid("kind", "is a bill that the provider brings by itself"));
    }
    let (length, zone) = terms(&kind)?;
    let period = Period::parse(length, &zone, &ask.period)
        .map_err(|error| FlowError::invalid("period", error.to_string()))?;
    let now = gateway.store.now();
    if let (Some(days), Some(window)) = (kind.history_days, period.window(false))
        && window.end.plus_millis(i64::from(days) * DAY_MS) < now
    {
        let rule =
            format!("is further back than the {days} days that the provider keeps bills for");
        return Err(FlowError::invalid("period", rule));
    }
    Ok(Chosen { account, kind, period })
}

fn terms(kind: &BillKind) -> Flow<(PeriodKind, Zone)> {
    let broken = |error| FlowError::Unavailable(format!("the plugin's bill {}: {error}", kind.id));
    let length = kind.period.parse::<PeriodKind>().map_err(broken)?;
    Ok((length, kind.zone.parse::<Zone>().map_err(broken)?))
}

/// As [`fetch`]. A bill that is being fetched already is given as it stands.
pub(super) async fn fetch_chosen(gateway: &Gateway, chosen: &Chosen) -> Flow<Made<BillRow>> {
    let _turn = match gateway.turns.at_once(chosen, Work::Fetch) {
        Some(turn) => turn,
        None => match find(gateway, chosen).await? {
            Some(row) => return Ok(Made { row, fresh: false }),
            None => gateway.turns.wait(chosen, Work::Fetch, gateway.store.clock()).await,
        },
    };
    let Begun { row, fresh, goes } = begin(gateway, chosen).await?;
    if !goes {
        return Ok(Made { row, fresh });
    }
    loading::sweep(gateway, &row).await?;
    match try_once(gateway, chosen, row).await {
        Ok(row) => Ok(Made { row, fresh }),
        Err(FlowError::Store(StoreError::Stale { table: "bills", .. })) => {
            // Another gateway began a later try: the bill is that one's.
            let row = find(gateway, chosen).await?.ok_or(FlowError::NotFound("bill"))?;
            Ok(Made { row, fresh })
        }
        Err(error) => Err(error),
    }
}

async fn try_once(gateway: &Gateway, chosen: &Chosen, row: BillRow) -> Flow<BillRow> {
    match renew(gateway, chosen, &row).await {
        Ok(row) => Ok(row),
        Err(setback) => put_off(gateway, row, setback).await,
    }
}

async fn find(gateway: &Gateway, chosen: &Chosen) -> Flow<Option<BillRow>> {
    let mut sql = gateway.store.read().await?;
    let (merchant, account) = (chosen.account.row.merchant_id, chosen.account.row.id);
    let (kind, period) = (&chosen.kind.id, chosen.period.name());
    Ok(bills::find(&mut sql, merchant, account, kind, period).await?)
}

/// A bill at the start of a try.
struct Begun {
    row: BillRow,
    fresh: bool,
    /// Whether the provider is to be asked.
    goes: bool,
}

/// Writes the intent, unless the bill is here or it is too early.
async fn begin(gateway: &Gateway, chosen: &Chosen) -> Flow<Begun> {
    let now = gateway.store.now();
    let ready_at = ready_at(gateway, chosen);
    let (merchant, account) = (chosen.account.row.merchant_id, chosen.account.row.id);
    let (kind, period) = (chosen.kind.id.as_str(), chosen.period.name());
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                let there = bills::find(tx.sql(), merchant, account, kind, period).await?;
                let fresh = there.is_none();
                let mut row = match there {
                    Some(row) => row,
                    None => {
                        let row = new_row(gateway, chosen, now);
                        bills::insert(tx.sql(), &row).await?;
                        row
                    }
                };
                if row.edition > 0 && row.complete == 1 {
                    return Ok(Begun { row, fresh, goes: false });
                }
                if let Some(ready_at) = ready_at.filter(|ready_at| now < *ready_at) {
                    row.state = BillState::NotReady;
                    row.reason = Some(format!("the provider has it from {ready_at} on"));
                    row.retry_at = ready_at;
                    row.updated_at = now;
                    bills::update(tx.sql(), &row).await?;
                    return Ok(Begun { row, fresh, goes: false });
                }
                if row.edition == 0 {
                    row.state = BillState::Fetching;
                    row.reason = None;
                }
                bills::begin(tx.sql(), &row, now).await?;
                row.attempt += 1;
                row.updated_at = now;
                Ok::<_, FlowError>(Begun { row, fresh, goes: true })
            })
        })
        .await
}

fn new_row(gateway: &Gateway, chosen: &Chosen, now: Moment) -> BillRow {
    BillRow {
        merchant_id: chosen.account.row.merchant_id,
        id: gateway.chance.id(now),
        account_id: chosen.account.row.id,
        kind: chosen.kind.id.clone(),
        period: chosen.period.name().to_owned(),
        state: BillState::Fetching,
        reason: None,
        digest: None,
        rows: 0,
        bad_lines: 0,
        files: "[]".to_owned(),
        complete: 0,
        attempt: 0,
        edition: 0,
        rejections: 0,
        resume: Vec::new(),
        retry_at: now,
        created_at: now,
        updated_at: now,
    }
}

/// When the bill can be had; none: at any time.
fn ready_at(gateway: &Gateway, chosen: &Chosen) -> Option<Moment> {
    if gateway.settings.bills_at_once && chosen.account.grant.simulator {
        return None;
    }
    chosen.period.ready_at(chosen.kind.ready_after_hours)
}

/// Whether the provider has had the time that it takes to complete the period's bill.
fn is_due(gateway: &Gateway, chosen: &Chosen) -> bool {
    let ready_at = chosen.period.ready_at(chosen.kind.ready_after_hours);
    ready_at.is_none_or(|ready_at| gateway.store.now() >= ready_at)
}

/// Fetches, parses and writes a bill.
async fn renew(gateway: &Gateway, chosen: &Chosen, bill: &BillRow) -> Result<BillRow, Setback> {
    let fetched = fetching::fetch(gateway, chosen, bill).await?;
    let complete = i64::from(fetched.complete && is_due(gateway, chosen));
    let mut row = bill.clone();
    row.complete = complete;
    row.resume = Vec::new();
    row.reason = None;
    row.rejections = 0;
    row.state = BillState::Ready;
    if row.edition > 0 && row.digest.as_deref() == Some(fetched.digest.as_str()) {
        // The same bytes have the same rows.
        return Ok(publish(gateway, row).await?);
    }
    let parsed = parsing::parse(gateway, chosen, bill, &fetched.pieces).await?;
    loading::load(gateway, bill, parsed.rows, &parsed.bad_lines).await?;
    row.digest = Some(fetched.digest);
    row.rows = parsed.count;
    row.bad_lines = parsed.bad_count;
    row.files = serde_json::to_string(&parsed.files)?;
    row.edition = bill.attempt;
    let row = publish(gateway, row).await?;
    loading::sweep(gateway, &row).await?;
    Ok(row)
}

/// The one transaction that makes an edition the bill's.
async fn publish(gateway: &Gateway, mut row: BillRow) -> Flow<BillRow> {
    row.updated_at = gateway.store.now();
    row.retry_at = row.updated_at;
    let ready = &row;
    let write = gateway.store.write::<(), FlowError, _>(move |tx| {
        Box::pin(async move { Ok(bills::update(tx.sql(), ready).await?) })
    });
    write.await?;
    Ok(row)
}

/// Writes why a try came to nothing. What an earlier one brought stays.
async fn put_off(gateway: &Gateway, mut row: BillRow, setback: Setback) -> Flow<BillRow> {
    let now = gateway.store.now();
    let (state, reason) = match setback {
        Setback::Flow(error) => return Err(error),
        Setback::NotReady { reason, retry_at, resume } => {
            row.resume = resume;
            row.retry_at = retry_at;
            (BillState::NotReady, reason)
        }
        Setback::Rejected(reason) => {
            tracing::warn!(bill = %row.id, reason, "the bill was rejected");
            row.resume = Vec::new();
            row.rejections += 1;
            row.retry_at = backoff(now, row.rejections);
            (BillState::Rejected, reason)
        }
    };
    if row.edition == 0 {
        row.state = state;
        row.reason = Some(reason);
    } else {
        row.state = BillState::Ready;
        row.reason = Some(format!("not renewed: {reason}"));
    }
    row.updated_at = now;
    let put_off = &row;
    gateway
        .store
        .write::<(), FlowError, _>(move |tx| {
            Box::pin(async move {
                bills::update(tx.sql(), put_off).await?;
                if put_off.state == BillState::Rejected && put_off.rejections == MOST_REJECTIONS {
                    tell_rejected(tx, gateway, put_off).await?;
                }
                Ok(())
            })
        })
        .await?;
    Ok(row)
}

/// Nobody asks by itself any more: the merchant is told, once.
async fn tell_rejected(tx: &mut Tx<'_>, gateway: &Gateway, row: &BillRow) -> Flow<()> {
    let data = json!({
        "account_id": row.account_id, "bill_id": row.id, "kind": row.kind, "period": row.period,
        "reason": row.reason,
    });
    learn::announce(tx, gateway, row.merchant_id, None, "reconciliation.bill_rejected", data).await
}

/// Whether a bill was rejected so often that it is not asked for again by itself.
pub(super) fn is_given_up(row: &BillRow) -> bool {
    row.state == BillState::Rejected && row.rejections >= MOST_REJECTIONS
}

/// When to ask again after so many tries: each time later, up to a limit.
fn backoff(now: Moment, tries: i64) -> Moment {
    let doublings = u32::try_from(tries.clamp(1, 10) - 1).unwrap_or(0);
    now.plus_millis((USUAL_WAIT_MS << doublings).min(LONGEST_WAIT_MS))
}

/// Where a bill's pieces are kept, and its spools lie while it is read.
fn folder(gateway: &Gateway, bill: &BillRow) -> PathBuf {
    gateway.settings.bills.join(bill.id.to_string())
}

/// Has each bill that came due for an account reconciled, missed ones too. Gives when the next one is due.
pub async fn daily(gateway: &Gateway, merchant: MerchantId, id: AccountId) -> Flow<Moment> {
    let account = account::open(gateway, merchant, id).await?;
    let now = gateway.store.now();
    let mut next = now.plus_millis(DAY_MS);
    for kind in account.plugin.manifest().bills.iter().filter(|kind| kind.arrival == "pull") {
        let (length, zone) = terms(kind)?;
        let hours = kind.ready_after_hours;
        let Some(newest) = Period::newest_ready(length, &zone, hours, now) else {
            continue;
        };
        if let Some(due) = newest.next().and_then(|period| period.ready_at(hours)) {
            next = next.min(due);
        }
        let mut period = Some(newest);
        for _ in 0..MOST_CAUGHT_UP {
            let Some(missed) = period else { break };
            let end = missed.window(false).map(|window| window.end);
            if end.is_none_or(|end| end <= account.row.created_at) {
                break;
            }
            // One that was asked for by hand may be newer than others that were missed.
            reconcile::intend(gateway, merchant, id, &kind.id, missed.name()).await?;
            period = missed.previous();
        }
    }
    // A job that is due at once again would run without end.
    Ok(next.max(now.plus_millis(SHORTEST_WAIT_MS)))
}
