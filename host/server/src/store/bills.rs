//! Bills: a provider's file of a period's transactions, and where it stands.
//!
//! Each try to fetch a bill counts its `attempt` up and writes rows as an edition of that number; the bill names the
//! edition that is its own. So a bill is replaced in one transaction or not at all, and what a try left behind that
//! did not end is swept away by the next.

pub mod rows;

use std::fmt;
use std::str::FromStr;

use tollgate_domain::UnknownState;
use tollgate_domain::ids::{AccountId, BillId, MerchantId};
use tollgate_domain::time::Moment;

use super::{Sql, StoreError};

const INSERT: &str = "INSERT INTO bills (merchant_id, id, account_id, kind, period, state, rows, bad_lines, \
     files, complete, attempt, edition, resume, retry_at, created_at, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $6, 0, 0, '[]', 0, 0, 0, $7, $8, $9, $9)";
const GET: &str = "SELECT * FROM bills WHERE merchant_id = $1 AND id = $2";
const FIND: &str =
    "SELECT * FROM bills WHERE merchant_id = $1 AND account_id = $2 AND kind = $3 AND period = $4";
const LIST: &str = "SELECT * FROM bills WHERE merchant_id = $1 AND id < $2 AND ($3 = '' OR account_id = $3) \
     ORDER BY id DESC LIMIT $4";
const UPDATE: &str = "UPDATE bills SET state = $4, reason = $5, digest = $6, rows = $7, bad_lines = $8, \
     files = $9, complete = $10, edition = $11, resume = $12, retry_at = $13, updated_at = $14, \
     rejections = $15 \
     WHERE merchant_id = $1 AND id = $2 AND attempt = $3";
const BEGIN: &str = "UPDATE bills SET attempt = attempt + 1, state = $4, reason = $5, updated_at = $6 \
     WHERE merchant_id = $1 AND id = $2 AND attempt = $3";
const KEEP_FILE: &str = "INSERT INTO bill_files (merchant_id, bill_id, attempt, piece, name, path, sha256, \
     bytes, unpack, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

/// Where a bill stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BillState {
    /// It is being fetched, or was when the gateway stopped.
    Fetching,
    /// It cannot be had yet.
    NotReady,
    /// Its rows are here.
    Ready,
    /// What came is no bill that can be trusted.
    Rejected,
}

impl BillState {
    const ALL: [BillState; 4] =
        [BillState::Fetching, BillState::NotReady, BillState::Ready, BillState::Rejected];

    /// The word in rows and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            BillState::Fetching => "fetching",
            BillState::NotReady => "not_ready",
            BillState::Ready => "ready",
            BillState::Rejected => "rejected",
        }
    }
}

impl fmt::Display for BillState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for BillState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<BillState, UnknownState> {
        BillState::ALL.into_iter().find(|state| state.as_str() == text).ok_or(UnknownState)
    }
}

impl TryFrom<String> for BillState {
    type Error = UnknownState;

    fn try_from(text: String) -> Result<BillState, UnknownState> {
        text.parse()
    }
}

/// A row of `bills`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct BillRow {
    /// Owner.
    #[sqlx(try_from = "String")]
    pub merchant_id: MerchantId,
    /// Id.
    #[sqlx(try_from = "String")]
    pub id: BillId,
    /// The account that it is of.
    #[sqlx(try_from = "String")]
    pub account_id: AccountId,
    /// Which of the provider's bills.
    pub kind: String,
    /// Of which day, month or batch.
    pub period: String,
    /// Where it stands.
    #[sqlx(try_from = "String")]
    pub state: BillState,
    /// Why it is not ready, was rejected, or was not renewed.
    pub reason: Option<String>,
    /// SHA-256 of what was kept, hex.
    pub digest: Option<String>,
    /// How many rows it has.
    pub rows: i64,
    /// How many lines could not be read, or not wholly.
    pub bad_lines: i64,
    /// JSON: names of its files.
    pub files: String,
    /// 0: rows of that period may still come.
    pub complete: i64,
    /// Counts the tries.
    pub attempt: i64,
    /// The try whose rows are the bill's; 0: none.
    pub edition: i64,
    /// Counts the tries that were rejected since the last good one.
    pub rejections: i64,
    /// Where the plugin wants to go on.
    pub resume: Vec<u8>,
    /// When it is worth asking again.
    #[sqlx(try_from = "i64")]
    pub retry_at: Moment,
    /// When it was first asked for.
    #[sqlx(try_from = "i64")]
    pub created_at: Moment,
    /// When it last changed.
    #[sqlx(try_from = "i64")]
    pub updated_at: Moment,
}

/// Writes a new bill.
pub async fn insert(sql: &mut Sql, row: &BillRow) -> Result<(), StoreError> {
    sqlx::query(INSERT)
        .bind(row.merchant_id.to_string())
        .bind(row.id.to_string())
        .bind(row.account_id.to_string())
        .bind(row.kind.as_str())
        .bind(row.period.as_str())
        .bind(row.state.as_str())
        .bind(row.resume.as_slice())
        .bind(row.retry_at.0)
        .bind(row.created_at.0)
        .execute(sql)
        .await?;
    Ok(())
}

/// A merchant's bill.
pub async fn get(
    sql: &mut Sql,
    merchant: MerchantId,
    id: BillId,
) -> Result<Option<BillRow>, StoreError> {
    let query = sqlx::query_as(GET).bind(merchant.to_string()).bind(id.to_string());
    Ok(query.fetch_optional(sql).await?)
}

/// A merchant's bill by what it is of.
pub async fn find(
    sql: &mut Sql,
    merchant: MerchantId,
    account: AccountId,
    kind: &str,
    period: &str,
) -> Result<Option<BillRow>, StoreError> {
    Ok(sqlx::query_as(FIND)
        .bind(merchant.to_string())
        .bind(account.to_string())
        .bind(kind)
        .bind(period)
        .fetch_optional(sql)
        .await?)
}

/// Which bills or reconciliations to list. Empty texts match all.
pub struct Filter<'a> {
    /// Of this account.
    pub account: &'a str,
    /// Only those before this id; `~` is after all.
    pub before: &'a str,
    /// At most so many.
    pub limit: i64,
}

/// A merchant's bills, newest first.
pub async fn list(
    sql: &mut Sql,
    merchant: MerchantId,
    filter: &Filter<'_>,
) -> Result<Vec<BillRow>, StoreError> {
    Ok(sqlx::query_as(LIST)
        .bind(merchant.to_string())
        .bind(filter.before)
        .bind(filter.account)
        .bind(filter.limit)
        .fetch_all(sql)
        .await?)
}

/// Counts a try up, over the one that was read.
pub async fn begin(sql: &mut Sql, row: &BillRow, now: Moment) -> Result<(), StoreError> {
    let done = sqlx::query(BEGIN)
        .bind(row.merchant_id.to_string())
        .bind(row.id.to_string())
        .bind(row.attempt)
        .bind(row.state.as_str())
        .bind(row.reason.as_deref())
        .bind(now.0)
        .execute(sql)
        .await?;
    changed(done.rows_affected(), row)
}

/// Writes a changed bill, if no later try has begun.
pub async fn update(sql: &mut Sql, row: &BillRow) -> Result<(), StoreError> {
    let done = sqlx::query(UPDATE)
        .bind(row.merchant_id.to_string())
        .bind(row.id.to_string())
        .bind(row.attempt)
        .bind(row.state.as_str())
        .bind(row.reason.as_deref())
        .bind(row.digest.as_deref())
        .bind(row.rows)
        .bind(row.bad_lines)
        .bind(row.files.as_str())
        .bind(row.complete)
        .bind(row.edition)
        .bind(row.resume.as_slice())
        .bind(row.retry_at.0)
        .bind(row.updated_at.0)
        .bind(row.rejections)
        .execute(sql)
        .await?;
    changed(done.rows_affected(), row)
}

fn changed(rows: u64, row: &BillRow) -> Result<(), StoreError> {
    if rows == 1 {
        return Ok(());
    }
    Err(StoreError::Stale { table: "bills", row: row.id.to_string() })
}

/// A piece of a bill, kept as it came.
#[derive(Clone, Debug)]
pub struct NewFile {
    /// From 0.
    pub piece: i64,
    /// What the plugin calls it.
    pub name: String,
    /// Within the folder of bills.
    pub path: String,
    /// SHA-256 of its bytes, hex.
    pub sha256: String,
    /// How many.
    pub bytes: i64,
    /// JSON: how to read it.
    pub unpack: String,
}

/// Notes a piece of the bill's running try.
pub async fn keep_file(
    sql: &mut Sql,
    bill: &BillRow,
    file: &NewFile,
    now: Moment,
) -> Result<(), StoreError> {
    sqlx::query(KEEP_FILE)
        .bind(bill.merchant_id.to_string())
        .bind(bill.id.to_string())
        .bind(bill.attempt)
        .bind(file.piece)
        .bind(file.name.as_str())
        .bind(file.path.as_str())
        .bind(file.sha256.as_str())
        .bind(file.bytes)
        .bind(file.unpack.as_str())
        .bind(now.0)
        .execute(sql)
        .await?;
    Ok(())
}
