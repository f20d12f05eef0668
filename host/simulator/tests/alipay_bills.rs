//! Bill links and zips over real sockets, honest and hostile.
#![allow(clippy::unwrap_used)]
#[allow(dead_code)]
mod support;

use std::io::{Cursor, Read as _};

use encoding_rs::GBK;
use jiff::tz::{Offset, TimeZone};
use serde_json::json;
use support::Merchant;
use tollgate_simulator::Config;
use tollgate_simulator::clock::ClockSource;

async fn merchant() -> Merchant {
    let at = "2026-11-22T04:00:00Z".parse().unwrap();
    Merchant::with(Config {
        clock: ClockSource::Fixed(at),
        bill_ready_at_once: true,
        seed: Some(7),
        ..Config::default()
    })
    .await
}

async fn link(merchant: &Merchant, day: &str) -> serde_json::Value {
    let method = "alipay.data.dataservice.bill.downloadurl.query";
    merchant.ask(method, json!({ "bill_type": "trade", "bill_date": day })).await
}

async fn download(merchant: &Merchant, day: &str) -> Vec<u8> {
    let link = link(merchant, day).await;
    let response = merchant.client.get(link["bill_download_url"].as_str().unwrap()).send().await;
    response.unwrap().bytes().await.unwrap().to_vec()
}

fn unpack(zip: Vec<u8>) -> Vec<(Vec<u8>, String)> {
    let mut archive = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
    (0..archive.len())
        .map(|index| {
            let mut entry = archive.by_index(index).unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            let (text, _, wrong) = GBK.decode(&bytes);
            assert!(!wrong, "the file is GBK");
            (entry.name_raw().to_vec(), text.into_owned())
        })
        .collect()
}

#[tokio::test]
async fn the_bill_holds_the_days_payments_and_refunds() {
    let merchant = merchant().await;
    merchant.paid("A", "100.00", None).await;
    let biz = json!({ "out_trade_no": "A", "out_request_no": "R1", "refund_amount": "25.00" });
    merchant.ask("alipay.trade.refund", biz).await;
    merchant.page_pay("unpaid", "1.00", None).await;
    let edit = json!({ "op": "add_row", "reference": "ghost", "value": "3.00" });
    merchant.control_post("bill-edits", edit).await;
    let link =
        link(&merchant, "2026-11-22").await["bill_download_url"].as_str().unwrap().to_owned();
    assert!(link.starts_with(&format!("{}/download/", merchant.gateway)));
    let files = unpack(download(&merchant, "2026-11-22").await);
    let name = GBK
        .encode("2088721003899159 0156_20261122_业务明细.csv".replace(' ', "").as_str())
        .0
        .into_owned();
    assert_eq!(files[0].0, name);
    assert!(files[0].1.contains("\t,A\t,交易\t,") && files[0].1.contains(",\t,-0.60,"));
    assert!(files[0].1.contains("\t,A\t,退款\t,") && files[0].1.contains(",R1\t,0.00,"));
    assert!(files[0].1.contains("\t,ghost\t,") && !files[0].1.contains("unpaid"));
    assert!(files[0].1.contains("#交易合计：2笔，商家实收共103.00元"));
    assert!(files[1].1.contains("合计\t,\t,2,1,78.00,78.00,"), "{}", files[1].1);
}

#[tokio::test]
async fn a_link_is_good_for_thirty_seconds() {
    let merchant = merchant().await;
    let link =
        link(&merchant, "2026-11-22").await["bill_download_url"].as_str().unwrap().to_owned();
    merchant.simulator.clock().advance(29_999);
    assert_eq!(merchant.client.get(&link).send().await.unwrap().status(), 200);
    merchant.simulator.clock().advance(1);
    assert_eq!(merchant.client.get(&link).send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn a_bill_is_ready_at_nine_on_the_next_morning() {
    let merchant = merchant().await;
    merchant.control_post("settings", json!({ "bill_ready_at_once": false })).await;
    assert_eq!(link(&merchant, "2026-11-22").await["sub_code"], "BILL_NOT_EXIST");
    assert_eq!(link(&merchant, "2026-11-31").await["sub_code"], "INVALID_ARGUMENTS");
    let nine = "2026-11-23T09:00:00".parse::<jiff::civil::DateTime>().unwrap();
    let nine = nine.to_zoned(TimeZone::fixed(Offset::constant(8))).unwrap().timestamp();
    let wait = nine.duration_since("2026-11-22T04:00:00Z".parse().unwrap());
    merchant.simulator.clock().advance(i64::try_from(wait.as_millis()).unwrap());
    assert_eq!(link(&merchant, "2026-11-22").await["code"], "10000");
}

#[tokio::test]
async fn seeded_blocks_make_long_bills_and_seeded_trades_are_in_the_ledger() {
    let merchant = merchant().await;
    let seed = json!({ "day": "2026-11-20", "count": 20_000, "amount": "1.00",
        "trades": [{ "reference": "S1", "amount": "7.00" }] });
    merchant.control_post("seed", seed).await;
    let files = unpack(download(&merchant, "2026-11-20").await);
    let rows = files[0].1.lines().filter(|line| line.contains("\t,交易\t,")).count();
    assert_eq!(rows, 20_001);
    assert_eq!(merchant.query("S1").await["total_amount"], "7.00");
}

#[tokio::test]
async fn hostile_bills_are_hostile() {
    let merchant = merchant().await;
    merchant.fault(json!({ "on": "download", "verb": "zip_slip" })).await;
    assert!(unpack(download(&merchant, "2026-11-22").await)[0].0.starts_with(b"../../"));
    merchant.fault(json!({ "on": "download", "verb": "zip_bomb", "value": "16" })).await;
    let bomb = download(&merchant, "2026-11-22").await;
    assert!(bomb.len() < 200_000);
    assert_eq!(unpack(bomb)[0].1.len(), 16 * 1024 * 1024);
    merchant.fault(json!({ "on": "download", "verb": "html" })).await;
    assert!(download(&merchant, "2026-11-22").await.starts_with(b"<!doctype html>"));
    merchant.fault(json!({ "on": "bill", "verb": "foreign_host" })).await;
    let address = link(&merchant, "2026-11-22").await;
    assert!(address["bill_download_url"].as_str().unwrap().starts_with("http://bill.example.net/"));
    let link =
        link(&merchant, "2026-11-22").await["bill_download_url"].as_str().unwrap().to_owned();
    merchant.fault(json!({ "on": "download", "verb": "redirect" })).await;
    assert_eq!(merchant.client.get(&link).send().await.unwrap().status(), 307);
    merchant.fault(json!({ "on": "download", "verb": "truncate" })).await;
    // Its connection breaks after the head, or before anybody has read that.
    let cut = match merchant.client.get(&link).send().await {
        Ok(answer) => answer.bytes().await.is_err(),
        Err(_) => true,
    };
    assert!(cut);
}
