//! Cases: what only people can settle, one row for each cause.

use tollgate_domain::ids::{AccountId, CaseId, MerchantId};
use tollgate_domain::time::Moment;

use super::{Sql, StoreError};

const OPEN: &str = "INSERT INTO cases (merchant_id, id, account_id, kind, cause, order_id, payment_id, \
     notification_id, data, state, created_at, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'open', $10, $10) \
     ON CONFLICT (merchant_id, account_id, cause) DO NOTHING";
const GET: &str = "SELECT * FROM cases WHERE merchant_id = $1 AND id = $2";
const LIST: &str = "SELECT * FROM cases WHERE merchant_id = $1 AND id < $2 AND ($3 = '' OR state = $3) \
     AND ($4 = '' OR payment_id = $4) ORDER BY id DESC LIMIT $5";
const CLOSE: &str = "UPDATE cases SET state = 'closed', note = $3, updated_at = $4 \
     WHERE merchant_id = $1 AND id = $2 AND state = 'open'";

/// A row of `cases`.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct CaseRow {
    /// Owner.
    #[sqlx(try_from = "String")]
    pub merchant_id: MerchantId,
    /// Id.
    #[sqlx(try_from = "String")]
    pub id: CaseId,
    /// The account that it was met at.
    #[sqlx(try_from = "String")]
    pub account_id: AccountId,
    /// What is wrong, in a word.
    pub kind: String,
    /// The same for the same cause, however often it is met.
    pub cause: String,
    /// The order, if it is about one that we know.
    pub order_id: Option<String>,
    /// The payment, if it is about one that we know.
    pub payment_id: Option<String>,
    /// The message that it was first met in.
    pub notification_id: Option<String>,
    /// JSON: what is wrong.
    pub data: String,
    /// open or closed.
    pub state: String,
    /// What who closed it says.
    pub note: Option<String>,
    /// When it was first met.
    #[sqlx(try_from = "i64")]
    pub created_at: Moment,
    /// When it last changed.
    #[sqlx(try_from = "i64")]
    pub updated_at: Moment,
}

/// Opens a case, unless its cause has been met before. True: it had not.
pub async fn open(sql: &mut Sql, row: &CaseRow) -> Result<bool, StoreError> {
    let done = sqlx::query(OPEN)
        .bind(row.merchant_id.to_string())
        .bind(row.id.to_string())
        .bind(row.account_id.to_string())
        .bind(row.kind.as_str())
        .bind(row.cause.as_str())
        .bind(row.order_id.as_deref())
        .bind(row.payment_id.as_deref())
        .bind(row.notification_id.as_deref())
        .bind(row.data.as_str())
        .bind(row.created_at.0)
        .execute(sql)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// A merchant's case.
pub async fn get(
    sql: &mut Sql,
    merchant: MerchantId,
    id: CaseId,
) -> Result<Option<CaseRow>, StoreError> {
    Ok(sqlx::query_as(GET)
        .bind(merchant.to_string())
        .bind(id.to_string())
        .fetch_optional(sql)
        .await?)
}

/// Which cases to list. Empty texts match all.
pub struct Filter<'a> {
    /// open or closed.
    pub state: &'a str,
    /// About this payment.
    pub payment: &'a str,
    /// Only those before this id; `~` is after all.
    pub before: &'a str,
    /// At most so many.
    pub limit: i64,
}

/// A merchant's cases, newest first.
pub async fn list(
    sql: &mut Sql,
    merchant: MerchantId,
    filter: &Filter<'_>,
) -> Result<Vec<CaseRow>, StoreError> {
    Ok(sqlx::query_as(LIST)
        .bind(merchant.to_string())
        .bind(filter.before)
        .bind(filter.state)
        .bind(filter.payment)
        .bind(filter.limit)
        .fetch_all(sql)
        .await?)
}

/// Closes a case. One that is closed stays as it is.
pub async fn close(
    sql: &mut Sql,
    merchant: MerchantId,
    id: CaseId,
    note: &str,
    now: Moment,
) -> Result<(), StoreError> {
    sqlx::query(CLOSE)
        .bind(merchant.to_string())
        .bind(id.to_string())
        .bind(note)
        .bind(now.0)
        .execute(sql)
        .await?;
    Ok(())
}
