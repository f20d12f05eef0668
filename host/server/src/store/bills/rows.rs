//! The rows of bills, an edition for each try that got that far.

use serde::{Deserialize, Serialize};
use tollgate_domain::matching::{Place, StatementRow, Subject};
use tollgate_domain::money::{Currency, Money};
use tollgate_domain::time::Moment;

use super::BillRow;
use crate::store::{Sql, StoreError};

const INSERT: &str = "INSERT INTO statement_rows (merchant_id, bill_id, edition, file, line, kind, status, raw, \
     payment_ref, provider_ref, refund_ref, provider_refund_ref, gross, currency, fee, fee_currency, net, \
     net_currency, at, batch, extra) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, \
     $16, $17, $18, $19, $20, $21) ON CONFLICT (merchant_id, bill_id, edition, file, line) DO NOTHING";
const AFTER: &str = "SELECT file, line, kind, status, raw, payment_ref, provider_ref, refund_ref, \
     provider_refund_ref, gross, currency, fee, fee_currency, net, net_currency, at, batch, extra \
     FROM statement_rows WHERE merchant_id = $1 AND bill_id = $2 AND edition = $3 AND (file, line) > ($4, $5) \
     ORDER BY file, line LIMIT $6";
const SPEAKS_FOR: &str = "UPDATE statement_rows SET subject_id = $6 WHERE merchant_id = $1 AND bill_id = $2 \
     AND edition = $3 AND file = $4 AND line = $5 AND (subject_id IS NULL OR subject_id <> $6)";
const SWEEP_ROWS: &str = "DELETE FROM statement_rows WHERE (merchant_id, bill_id, edition, file, line) IN \
     (SELECT merchant_id, bill_id, edition, file, line FROM statement_rows WHERE merchant_id = $1 \
     AND bill_id = $2 AND edition <> $3 AND edition < $4 LIMIT $5)";
const SWEEP_BAD_LINES: &str = "DELETE FROM bad_lines WHERE merchant_id = $1 AND bill_id = $2 AND edition <> $3 AND edition < $4";
const INSERT_BAD_LINE: &str = "INSERT INTO bad_lines (merchant_id, bill_id, edition, file, line, reason) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (merchant_id, bill_id, edition, file, line, reason) DO NOTHING";

/// Rows that are swept away in one transaction.
const MOST_SWEPT: i64 = 5_000;

/// A row of `statement_rows`, as it is spooled and stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
pub struct RowRow {
    /// The bill's file, from 0.
    pub file: i64,
    /// The file's line, from 1.
    pub line: i64,
    /// A word of [`tollgate_domain::matching::RowKind`].
    pub kind: String,
    /// A word of [`tollgate_domain::matching::RowStatus`].
    pub status: String,
    /// The file's own words for both.
    pub raw: String,
    /// Our reference of the payment.
    pub payment_ref: Option<String>,
    /// The provider's reference of the payment.
    pub provider_ref: Option<String>,
    /// Our reference of the refund.
    pub refund_ref: Option<String>,
    /// The provider's reference of the refund.
    pub provider_refund_ref: Option<String>,
    /// Minor units, positive towards the merchant.
    pub gross: i64,
    /// Of this currency.
    pub currency: String,
    /// Minor units that the provider kept.
    pub fee: Option<i64>,
    /// Of this currency.
    pub fee_currency: Option<String>,
    /// Minor units that the merchant got.
    pub net: Option<i64>,
    /// Of this currency.
    pub net_currency: Option<String>,
    /// When, in microseconds.
    pub at: Option<i64>,
    /// The payout that it is part of.
    pub batch: Option<String>,
    /// JSON: what else the plugin read.
    pub extra: String,
}

impl RowRow {
    /// As it is compared.
    pub fn statement(self) -> Result<StatementRow, StoreError> {
        let place = self.place();
        let broken = |column| StoreError::Inconsistent {
            table: "statement_rows",
            column,
            row: place.to_string(),
        };
        let currency: Currency = self.currency.parse().map_err(|_| broken("currency"))?;
        let fee = money(self.fee, self.fee_currency).map_err(|()| broken("fee_currency"))?;
        let net = money(self.net, self.net_currency).map_err(|()| broken("net_currency"))?;
        Ok(StatementRow {
            place,
            kind: self.kind.parse().map_err(|_| broken("kind"))?,
            status: self.status.parse().map_err(|_| broken("status"))?,
            payment_ref: self.payment_ref,
            provider_ref: self.provider_ref,
            refund_ref: self.refund_ref,
            provider_refund_ref: self.provider_refund_ref,
            gross: Money::new(self.gross, currency),
            fee,
            net,
            at: self.at.map(Moment),
            batch: self.batch,
        })
    }

    /// Where it stands.
    pub fn place(&self) -> Place {
        Place {
            file: u32::try_from(self.file).unwrap_or(0),
            line: u64::try_from(self.line).unwrap_or(0),
        }
    }
}

fn money(minor: Option<i64>, currency: Option<String>) -> Result<Option<Money>, ()> {
    match (minor, currency) {
        (Some(minor), Some(code)) => Ok(Some(Money::new(minor, code.parse().map_err(|_| ())?))),
        (None, None) => Ok(None),
        (Some(_), None) | (None, Some(_)) => Err(()),
    }
}

/// Writes a row of the bill's running try. False: there is one of that file and line.
pub async fn insert(sql: &mut Sql, bill: &BillRow, row: &RowRow) -> Result<bool, StoreError> {
    let done = sqlx::query(INSERT)
        .bind(bill.merchant_id.to_string())
        .bind(bill.id.to_string())
        .bind(bill.attempt)
        .bind(row.file)
        .bind(row.line)
        .bind(row.kind.as_str())
        .bind(row.status.as_str())
        .bind(row.raw.as_str())
        .bind(row.payment_ref.as_deref())
        .bind(row.provider_ref.as_deref())
        .bind(row.refund_ref.as_deref())
        .bind(row.provider_refund_ref.as_deref())
        .bind(row.gross)
        .bind(row.currency.as_str())
        .bind(row.fee)
        .bind(row.fee_currency.as_deref())
        .bind(row.net)
        .bind(row.net_currency.as_deref())
        .bind(row.at)
        .bind(row.batch.as_deref())
        .bind(row.extra.as_str())
        .execute(sql)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// The bill's own rows behind a place, in order.
pub async fn after(
    sql: &mut Sql,
    bill: &BillRow,
    file: i64,
    line: i64,
    limit: i64,
) -> Result<Vec<RowRow>, StoreError> {
    Ok(sqlx::query_as(AFTER)
        .bind(bill.merchant_id.to_string())
        .bind(bill.id.to_string())
        .bind(bill.edition)
        .bind(file)
        .bind(line)
        .bind(limit)
        .fetch_all(sql)
        .await?)
}

/// Notes the payment or refund that a row speaks for.
pub async fn speaks_for(
    sql: &mut Sql,
    bill: &BillRow,
    place: Place,
    subject: Subject,
) -> Result<(), StoreError> {
    sqlx::query(SPEAKS_FOR)
        .bind(bill.merchant_id.to_string())
        .bind(bill.id.to_string())
        .bind(bill.edition)
        .bind(i64::from(place.file))
        .bind(i64::try_from(place.line).unwrap_or(i64::MAX))
        .bind(subject.to_string())
        .execute(sql)
        .await?;
    Ok(())
}

/// A line that could not be read, or not wholly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// The bill's file, from 0.
    pub file: i64,
    /// The file's line, from 1.
    pub line: i64,
    /// Why.
    pub reason: String,
}

/// Notes a bad line of the bill's running try.
pub async fn insert_bad_line(
    sql: &mut Sql,
    bill: &BillRow,
    bad: &BadLine,
) -> Result<(), StoreError> {
    sqlx::query(INSERT_BAD_LINE)
        .bind(bill.merchant_id.to_string())
        .bind(bill.id.to_string())
        .bind(bill.attempt)
        .bind(bad.file)
        .bind(bad.line)
        .bind(bad.reason.as_str())
        .execute(sql)
        .await?;
    Ok(())
}

/// Takes away some of what earlier tries left, the bill's own edition aside. False: there is no more.
pub async fn sweep(sql: &mut Sql, bill: &BillRow) -> Result<bool, StoreError> {
    let (merchant, id) = (bill.merchant_id.to_string(), bill.id.to_string());
    let swept = sqlx::query(SWEEP_ROWS)
        .bind(merchant.as_str())
        .bind(id.as_str())
        .bind(bill.edition)
        .bind(bill.attempt)
        .bind(MOST_SWEPT)
        .execute(&mut *sql)
        .await?;
    let there_is_more = swept.rows_affected() == MOST_SWEPT.unsigned_abs();
    if !there_is_more {
        sqlx::query(SWEEP_BAD_LINES)
            .bind(merchant.as_str())
            .bind(id.as_str())
            .bind(bill.edition)
            .bind(bill.attempt)
            .execute(sql)
            .await?;
    }
    Ok(there_is_more)
}
