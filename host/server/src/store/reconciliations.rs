//! Reconciliations: comparisons of bills with our records, and the differences they found.

pub mod marks;
pub mod open;
pub mod records;

use std::fmt;
use std::str::FromStr;

use tollgate_domain::UnknownState;
use tollgate_domain::ids::{AccountId, DiscrepancyId, MerchantId, ReconciliationId};
use tollgate_domain::matching::{DifferenceKind, FeeTerms};
use tollgate_domain::time::Moment;

use super::bills::Filter;
use super::{Sql, StoreError};

const INSERT: &str = "INSERT INTO reconciliations (merchant_id, id, account_id, kind, period, state, edition, \
     rows, matched, carried, discrepancies, created_at, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $6, 0, 0, 0, 0, 0, $7, $7)";
const GET: &str = "SELECT * FROM reconciliations WHERE merchant_id = $1 AND id = $2";
const FIND: &str = "SELECT * FROM reconciliations WHERE merchant_id = $1 AND account_id = $2 AND kind = $3 AND period = $4";
const LIST: &str = "SELECT * FROM reconciliations WHERE merchant_id = $1 AND id < $2 \
     AND ($3 = '' OR account_id = $3) ORDER BY id DESC LIMIT $4";
const UPDATE: &str = "UPDATE reconciliations SET bill_id = $3, state = $4, reason = $5, edition = $6, rows = $7, \
     matched = $8, carried = $9, discrepancies = $10, updated_at = $11 WHERE merchant_id = $1 AND id = $2";
const INSERT_DISCREPANCY: &str = "INSERT INTO discrepancies (merchant_id, id, reconciliation_id, key, kind, \
     payment_id, refund_id, file, line, ours, theirs, state, created_at, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'open', $12, $12) \
     ON CONFLICT (merchant_id, reconciliation_id, key) DO NOTHING";
const UPDATE_DISCREPANCY: &str = "UPDATE discrepancies SET state = $4, payment_id = $5, refund_id = $6, file = $7, \
     line = $8, ours = $9, theirs = $10, updated_at = $11 \
     WHERE merchant_id = $1 AND reconciliation_id = $2 AND key = $3";
const DISCREPANCIES: &str = "SELECT * FROM discrepancies WHERE merchant_id = $1 AND reconciliation_id = $2 \
     AND id > $3 ORDER BY id LIMIT $4";
const SET_TERMS: &str = "INSERT INTO fee_terms (merchant_id, account_id, rate_ppm, fixed, updated_at) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (merchant_id, account_id) DO UPDATE SET \
     rate_ppm = excluded.rate_ppm, fixed = excluded.fixed, updated_at = excluded.updated_at";
const TERMS: &str =
    "SELECT rate_ppm, fixed FROM fee_terms WHERE merchant_id = $1 AND account_id = $2";

/// Where a reconciliation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReconciliationState {
    /// There is no bill to compare with yet.
    WaitingForBill,
    /// Compared.
    Done,
    /// The bill cannot be trusted.
    BillRejected,
}

impl ReconciliationState {
    const ALL: [ReconciliationState; 3] = [
        ReconciliationState::WaitingForBill,
        ReconciliationState::Done,
        ReconciliationState::BillRejected,
    ];

    /// The word in rows and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            ReconciliationState::WaitingForBill => "waiting_for_bill",
            ReconciliationState::Done => "done",
            ReconciliationState::BillRejected => "bill_rejected",
        }
    }
}

impl fmt::Display for ReconciliationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ReconciliationState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<ReconciliationState, UnknownState> {
        let mut all = ReconciliationState::ALL.into_iter();
        all.find(|state| state.as_str() == text).ok_or(UnknownState)
    }
}

impl TryFrom<String> for ReconciliationState {
    type Error = UnknownState;

    fn try_from(text: String) -> Result<ReconciliationState, UnknownState> {
        text.parse()
    }
}

/// A row of `reconciliations`.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct ReconciliationRow {
    /// Owner.
    #[sqlx(try_from = "String")]
    pub merchant_id: MerchantId,
    /// Id.
    #[sqlx(try_from = "String")]
    pub id: ReconciliationId,
    /// The account whose bill it is.
    #[sqlx(try_from = "String")]
    pub account_id: AccountId,
    /// Which of the provider's bills.
    pub kind: String,
    /// Of which day, month or batch.
    pub period: String,
    /// The bill, once there is one.
    pub bill_id: Option<String>,
    /// Where it stands.
    #[sqlx(try_from = "String")]
    pub state: ReconciliationState,
    /// Why it is not done.
    pub reason: Option<String>,
    /// The edition of the bill that was compared; 0: none.
    pub edition: i64,
    /// How many rows the bill has.
    pub rows: i64,
    /// How many payments and refunds were found in it.
    pub matched: i64,
    /// How many were left to the next period's bill.
    pub carried: i64,
    /// How many differences are open.
    pub discrepancies: i64,
    /// When it was first asked for.
    #[sqlx(try_from = "i64")]
    pub created_at: Moment,
    /// When it last changed.
    #[sqlx(try_from = "i64")]
    pub updated_at: Moment,
}

/// Writes a new reconciliation.
pub async fn insert(sql: &mut Sql, row: &ReconciliationRow) -> Result<(), StoreError> {
    sqlx::query(INSERT)
        .bind(row.merchant_id.to_string())
        .bind(row.id.to_string())
        .bind(row.account_id.to_string())
        .bind(row.kind.as_str())
        .bind(row.period.as_str())
        .bind(row.state.as_str())
        .bind(row.created_at.0)
        .execute(sql)
        .await?;
    Ok(())
}

/// A merchant's reconciliation.
pub async fn get(
    sql: &mut Sql,
    merchant: MerchantId,
    id: ReconciliationId,
) -> Result<Option<ReconciliationRow>, StoreError> {
    let query = sqlx::query_as(GET).bind(merchant.to_string()).bind(id.to_string());
    Ok(query.fetch_optional(sql).await?)
}

/// A merchant's reconciliation by what it is of.
pub async fn find(
    sql: &mut Sql,
    merchant: MerchantId,
    account: AccountId,
    kind: &str,
    period: &str,
) -> Result<Option<ReconciliationRow>, StoreError> {
    Ok(sqlx::query_as(FIND)
        .bind(merchant.to_string())
        .bind(account.to_string())
        .bind(kind)
        .bind(period)
        .fetch_optional(sql)
        .await?)
}

/// A merchant's reconciliations, newest first.
pub async fn list(
    sql: &mut Sql,
    merchant: MerchantId,
    filter: &Filter<'_>,
) -> Result<Vec<ReconciliationRow>, StoreError> {
    Ok(sqlx::query_as(LIST)
        .bind(merchant.to_string())
        .bind(filter.before)
        .bind(filter.account)
        .bind(filter.limit)
        .fetch_all(sql)
        .await?)
}

/// Writes where it stands now.
pub async fn update(sql: &mut Sql, row: &ReconciliationRow) -> Result<(), StoreError> {
    sqlx::query(UPDATE)
        .bind(row.merchant_id.to_string())
        .bind(row.id.to_string())
        .bind(row.bill_id.as_deref())
        .bind(row.state.as_str())
        .bind(row.reason.as_deref())
        .bind(row.edition)
        .bind(row.rows)
        .bind(row.matched)
        .bind(row.carried)
        .bind(row.discrepancies)
        .bind(row.updated_at.0)
        .execute(sql)
        .await?;
    Ok(())
}

/// A row of `discrepancies`.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct DiscrepancyRow {
    /// Id.
    #[sqlx(try_from = "String")]
    pub id: DiscrepancyId,
    /// The same for the same difference, however often they are compared.
    pub key: String,
    /// How they differ.
    #[sqlx(try_from = "String")]
    pub kind: DifferenceKind,
    /// Our payment, if it is about one.
    pub payment_id: Option<String>,
    /// Our refund, if it is about one.
    pub refund_id: Option<String>,
    /// The bill's file, from 0.
    pub file: Option<i64>,
    /// The file's line.
    pub line: Option<i64>,
    /// JSON: what our records say.
    pub ours: Option<String>,
    /// JSON: what the bill says.
    pub theirs: Option<String>,
    /// `open`, or `gone` if a later comparison did not find it any more.
    pub state: String,
    /// When it was found.
    #[sqlx(try_from = "i64")]
    pub created_at: Moment,
    /// When it last changed.
    #[sqlx(try_from = "i64")]
    pub updated_at: Moment,
}

/// Writes a difference that was not known, unless another process that compares the same has written it meanwhile.
pub async fn insert_discrepancy(
    sql: &mut Sql,
    of: &ReconciliationRow,
    row: &DiscrepancyRow,
) -> Result<(), StoreError> {
    sqlx::query(INSERT_DISCREPANCY)
        .bind(of.merchant_id.to_string())
        .bind(row.id.to_string())
        .bind(of.id.to_string())
        .bind(row.key.as_str())
        .bind(row.kind.as_str())
        .bind(row.payment_id.as_deref())
        .bind(row.refund_id.as_deref())
        .bind(row.file)
        .bind(row.line)
        .bind(row.ours.as_deref())
        .bind(row.theirs.as_deref())
        .bind(row.created_at.0)
        .execute(sql)
        .await?;
    Ok(())
}

/// Writes what has changed about a known one.
pub async fn update_discrepancy(
    sql: &mut Sql,
    of: &ReconciliationRow,
    row: &DiscrepancyRow,
) -> Result<(), StoreError> {
    sqlx::query(UPDATE_DISCREPANCY)
        .bind(of.merchant_id.to_string())
        .bind(of.id.to_string())
        .bind(row.key.as_str())
        .bind(row.state.as_str())
        .bind(row.payment_id.as_deref())
        .bind(row.refund_id.as_deref())
        .bind(row.file)
        .bind(row.line)
        .bind(row.ours.as_deref())
        .bind(row.theirs.as_deref())
        .bind(row.updated_at.0)
        .execute(sql)
        .await?;
    Ok(())
}

/// A reconciliation's differences after an id (empty: from the start), oldest first.
pub async fn discrepancies(
    sql: &mut Sql,
    merchant: MerchantId,
    id: ReconciliationId,
    after: &str,
    limit: i64,
) -> Result<Vec<DiscrepancyRow>, StoreError> {
    Ok(sqlx::query_as(DISCREPANCIES)
        .bind(merchant.to_string())
        .bind(id.to_string())
        .bind(after)
        .bind(limit)
        .fetch_all(sql)
        .await?)
}

/// Notes what the provider takes by its contract with the merchant.
pub async fn set_fee_terms(
    sql: &mut Sql,
    merchant: MerchantId,
    account: AccountId,
    terms: FeeTerms,
    now: Moment,
) -> Result<(), StoreError> {
    sqlx::query(SET_TERMS)
        .bind(merchant.to_string())
        .bind(account.to_string())
        .bind(terms.rate_ppm)
        .bind(terms.fixed)
        .bind(now.0)
        .execute(sql)
        .await?;
    Ok(())
}

/// What the provider takes, if somebody told us.
pub async fn fee_terms(
    sql: &mut Sql,
    merchant: MerchantId,
    account: AccountId,
) -> Result<Option<FeeTerms>, StoreError> {
    let terms: Option<(i64, i64)> = sqlx::query_as(TERMS)
        .bind(merchant.to_string())
        .bind(account.to_string())
        .fetch_optional(sql)
        .await?;
    Ok(terms.map(|(rate_ppm, fixed)| FeeTerms { rate_ppm, fixed }))
}
