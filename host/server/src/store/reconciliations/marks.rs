//! The mark that a bill leaves on a payment or refund that it settles: the bill, its line and its day.

use tollgate_domain::ids::{BillId, MerchantId};
use tollgate_domain::matching::Subject;
use tollgate_domain::time::Moment;

use crate::store::{Sql, StoreError};

const MARK_PAYMENT: &str = "UPDATE payments SET bill_id = $3, bill_line = $4, bill_day = $5, updated_at = $6 \
     WHERE merchant_id = $1 AND id = $2 AND bill_id IS NULL";
const MARK_REFUND: &str = "UPDATE refunds SET bill_id = $3, bill_line = $4, bill_day = $5, updated_at = $6 \
     WHERE merchant_id = $1 AND id = $2 AND bill_id IS NULL";
const MOVE_PAYMENT: &str = "UPDATE payments SET bill_line = $4, bill_day = $5, updated_at = $6 \
     WHERE merchant_id = $1 AND id = $2 AND bill_id = $3 AND bill_line <> $4";
const MOVE_REFUND: &str = "UPDATE refunds SET bill_line = $4, bill_day = $5, updated_at = $6 \
     WHERE merchant_id = $1 AND id = $2 AND bill_id = $3 AND bill_line <> $4";
const CLEAR_PAYMENT: &str = "UPDATE payments SET bill_id = NULL, bill_line = NULL, bill_day = NULL, \
     updated_at = $4 WHERE merchant_id = $1 AND id = $2 AND bill_id = $3";
const CLEAR_REFUND: &str = "UPDATE refunds SET bill_id = NULL, bill_line = NULL, bill_day = NULL, \
     updated_at = $4 WHERE merchant_id = $1 AND id = $2 AND bill_id = $3";

/// What is written on a payment or refund.
#[derive(Clone, Copy, Debug)]
pub struct Mark<'a> {
    /// The bill.
    pub bill: BillId,
    /// Its line.
    pub line: i64,
    /// Its day.
    pub day: &'a str,
}

/// Marks what no bill has settled yet, or moves the mark of this bill. True: it was not settled before.
pub async fn set(
    sql: &mut Sql,
    merchant: MerchantId,
    subject: Subject,
    mark: Mark<'_>,
    now: Moment,
) -> Result<bool, StoreError> {
    let statements = match subject {
        Subject::Payment(_) => [MARK_PAYMENT, MOVE_PAYMENT],
        Subject::Refund(_) => [MARK_REFUND, MOVE_REFUND],
    };
    for (at, statement) in statements.into_iter().enumerate() {
        let done = sqlx::query(statement)
            .bind(merchant.to_string())
            .bind(subject.to_string())
            .bind(mark.bill.to_string())
            .bind(mark.line)
            .bind(mark.day)
            .bind(now.0)
            .execute(&mut *sql)
            .await?;
        if done.rows_affected() == 1 {
            return Ok(at == 0);
        }
    }
    Ok(false)
}

/// Takes this bill's mark away: its renewed rows settle the record no more.
pub async fn clear(
    sql: &mut Sql,
    merchant: MerchantId,
    subject: Subject,
    bill: BillId,
    now: Moment,
) -> Result<(), StoreError> {
    let statement = match subject {
        Subject::Payment(_) => CLEAR_PAYMENT,
        Subject::Refund(_) => CLEAR_REFUND,
    };
    sqlx::query(statement)
        .bind(merchant.to_string())
        .bind(subject.to_string())
        .bind(bill.to_string())
        .bind(now.0)
        .execute(sql)
        .await?;
    Ok(())
}
