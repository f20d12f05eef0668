//! The totals in a bill's last marker lines, which the host compares with the rows that came.

use tollgate_sdk::contract::bill_io::RowKind;
use tollgate_sdk::contract::bills::Total;
use tollgate_sdk::decimal;

use crate::money;

/// What the rows of one kind add up to, in fen.
#[derive(Debug, Default, Clone, Copy)]
pub struct Sums {
    /// Of the amounts that payers owed or got back.
    pub gross: i64,
    /// Of what the merchant got: without the discounts that it gave itself.
    pub received: i64,
}

/// Reads `#交易合计：6笔，商家实收共0.06元，…` or `#退款合计：4笔，商家实收退款共-0.04元，…`.
pub fn total(line: &str, payments: Sums, refunds: Sums) -> Option<Total> {
    let line = line.trim_start_matches('#').trim_start();
    let (kind, sums, rest) = match line.strip_prefix("交易合计") {
        Some(rest) => (RowKind::Payment, payments, rest),
        None => (RowKind::Refund, refunds, line.strip_prefix("退款合计")?),
    };
    let rest = rest.trim_start_matches(['：', ':']);
    let (count, rest) = rest.split_once('笔')?;
    let (_, rest) = rest.split_once('共')?;
    let (received, _) = rest.split_once('元')?;
    let received = decimal::to_minor(received.trim(), 2).ok()?;
    // The line counts what the merchant received, the rows carry what payers owed: the discounts lie between, and a
    // row that got lost still shows.
    let gross = received.checked_add(sums.gross.checked_sub(sums.received)?)?;
    Some(Total {
        kind: Some(kind),
        count: Some(count.trim().parse().ok()?),
        gross: Some(money::cny(gross)),
        fee: None,
    })
}
