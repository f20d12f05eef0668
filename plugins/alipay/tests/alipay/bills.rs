//! A day's bill: a row of the published sample, and what files look like when something is wrong.

use tollgate_sdk::contract::bill_io::{BillRow, RowKind, RowStatus};
use tollgate_sdk::contract::bills::Summary;
use tollgate_sdk::contract::types::Fault;
use tollgate_sdk::harness::{MemorySink, MemorySource};

use crate::support::cny;

const HEADER: &str = "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注";

fn row(kind: &str, gross: &str, received: &str, refund: &str, fee: &str) -> String {
    format!(
        "2019091622001458860515315453\t,service_1568601259302\t,{kind}\t,下单测试,2019-09-16 10:55:16,2019-09-16 10:55:23,alipay_store\t,alipay_store\t,alipay\t,\t,*津水(602***@qq.com)\t,{gross},{received},0.00,0.00,0.00,0.00,0.00,,0.00\t,0.00,{refund}\t,{fee},0.00,下单测试"
    )
}

fn bill(rows: &[String], footers: &[&str]) -> String {
    let mut lines = vec![
        "#支付宝业务明细查询".to_owned(),
        "#账号：[20880000000000000156]".to_owned(),
        "#起始日期：[2019年09月16日 00:00:00]   终止日期：[2019年09月17日 00:00:00]".to_owned(),
        "#-----------------------------------------业务明细列表-----------------".to_owned(),
        HEADER.to_owned(),
    ];
    lines.extend_from_slice(rows);
    lines.push("#--------业务明细列表结束------".to_owned());
    lines.extend(footers.iter().map(|line| (*line).to_owned()));
    lines.push("#导出时间：[2019年09月17日 05:46:49]".to_owned());
    lines.join("\r\n") + "\r\n"
}

/// The summary, the rows, and the bad lines with their reasons.
type Read = (Summary, Vec<BillRow>, Vec<(u64, String)>);

/// Reads a bill as the host hands it over: written in GBK, decoded, in pieces.
fn read(name: &str, text: &str) -> Result<Read, Fault> {
    let (gbk, _, lossy) = encoding_rs::GBK.encode(text);
    assert!(!lossy);
    let (decoded, _, broken) = encoding_rs::GBK.decode(&gbk);
    assert!(!broken);
    let source = MemorySource::new(decoded.into_owned().into_bytes(), 97);
    let sink = MemorySink::default();
    let summary = tollgate_alipay::parse(name, &source, &sink)?;
    let (rows, bad) = sink.into_parts();
    Ok((summary, rows, bad))
}

const NAME: &str = "20880000000000000156_20190916_业务明细.csv";

#[test]
fn payments_and_refunds_are_rows() {
    let text = bill(
        &[row("交易", "10.00", "9.50", "", "-0.06"), row("退款", "-0.04", "-0.04", "R1", "0.01")],
        &[
            "#交易合计：1笔，商家实收共9.50元，商家优惠共0.50元",
            "#退款合计：1笔，商家实收退款共-0.04元，商家优惠退款共0.00元",
        ],
    );
    let (summary, rows, bad) = read(NAME, &text).unwrap();
    assert_eq!(bad, []);
    let [payment, refund] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!(
        (payment.line, payment.kind, payment.status),
        (6, RowKind::Payment, RowStatus::Succeeded)
    );
    assert_eq!(payment.raw, "交易");
    assert_eq!(payment.payment_ref.as_deref(), Some("service_1568601259302"));
    assert_eq!(payment.provider_ref.as_deref(), Some("2019091622001458860515315453"));
    assert_eq!(payment.refund_ref, None);
    assert_eq!(payment.gross, cny(1_000));
    assert_eq!(payment.fee, Some(cny(6)));
    assert_eq!(payment.net, Some(cny(944)));
    assert_eq!(payment.at.as_deref(), Some("2019-09-16T10:55:23+08:00"));
    assert_eq!((refund.line, refund.kind), (7, RowKind::Refund));
    assert_eq!(refund.refund_ref.as_deref(), Some("R1"));
    assert_eq!((refund.gross.clone(), refund.fee.clone()), (cny(-4), Some(cny(-1))));
    let totals: Vec<_> =
        summary.totals.iter().map(|t| (t.kind, t.count, t.gross.clone())).collect();
    assert_eq!(
        totals,
        [
            (Some(RowKind::Payment), Some(1), Some(cny(1_000))),
            (Some(RowKind::Refund), Some(1), Some(cny(-4))),
        ]
    );
}

#[test]
fn a_lost_row_shows_in_the_totals() {
    let text = bill(
        &[row("交易", "10.00", "9.50", "", "0.00")],
        &["#交易合计：2笔，商家实收共19.50元，商家优惠共0.50元"],
    );
    let (summary, _, _) = read(NAME, &text).unwrap();
    assert_eq!(
        (summary.totals[0].count, summary.totals[0].gross.clone()),
        (Some(2), Some(cny(2_000)))
    );
}

#[test]
fn columns_are_found_by_name_and_either_bracket() {
    let text = bill(&[row("交易", "0.01", "0.01", "", "0.00")], &[])
        .replace('（', "(")
        .replace('）', ")")
        .replace("对方账户,", "对方账户,新列,")
        .replace("@qq.com)\t,", "@qq.com)\t,x,");
    let (_, rows, bad) = read(NAME, &text).unwrap();
    assert_eq!((rows.len(), bad.len()), (1, 0));
    assert_eq!(rows[0].gross, cny(1));
}

#[test]
fn a_bad_line_is_reported_and_the_rest_is_read() {
    let good = row("交易", "0.01", "0.01", "", "0.00");
    let text = bill(
        &[
            good.clone(),
            row("交易", "0.001", "0.01", "", "0.00"),
            good.replace("下单测试,", "下单,测试,"),
            row("退款", "0.04", "0.04", "R1", "0.00"),
            good.replace("10:55:23", "25:55:23"),
            row("交易", "1,000.00", "0.01", "", "0.00"),
            good.replace("下单测试", "\"下单,测试\""),
        ],
        &[],
    );
    let (_, rows, bad) = read(NAME, &text).unwrap();
    assert_eq!(rows.iter().map(|row| row.line).collect::<Vec<_>>(), [6, 12]);
    assert_eq!(bad.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [7, 8, 9, 10, 11]);
    assert!(bad[0].1.contains("订单金额"), "{bad:?}");
}

#[test]
fn an_empty_day_and_a_summary_have_no_rows() {
    let (summary, rows, bad) = read(NAME, &bill(&[], &[])).unwrap();
    assert!(summary.totals.is_empty() && rows.is_empty() && bad.is_empty());
    let (summary, rows, _) = read("x_业务明细(汇总).csv", "#支付宝业务汇总查询\n").unwrap();
    assert!(rows.is_empty());
    assert_eq!(summary.extra, [("side-file".to_owned(), String::new())]);
}

#[test]
fn a_file_that_is_no_trade_bill_is_refused() {
    for text in ["", "#支付宝业务明细查询\n", "a,b,c\n1,2,3\n"] {
        assert_eq!(read(NAME, text).unwrap_err().code, "protocol", "{text}");
    }
    let cut = bill(&[row("交易", "0.01", "0.01", "", "0.00")], &[]).replace("列表结束", "");
    assert!(read(NAME, &cut).unwrap_err().message.contains("cut off"));
    let fault = read(NAME, &HEADER.replace("服务费", "杂费")).unwrap_err();
    assert!(fault.message.contains("服务费(元)"), "{fault:?}");
}

#[test]
fn many_rows_come_in_batches() {
    let rows = vec![row("交易", "0.01", "0.01", "", "0.00"); 1_201];
    let (_, rows, bad) = read(NAME, &bill(&rows, &[])).unwrap();
    assert_eq!((rows.len(), bad.len()), (1_201, 0));
    assert_eq!(rows.last().map(|row| row.line), Some(1_206));
}
