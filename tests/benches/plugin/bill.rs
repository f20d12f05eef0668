//! Bills: rows that the component parses in a second, and the memory of a gateway through which a million of them pass.

use std::cell::RefCell;
use std::io::{BufWriter, Seek, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tollgate::files::FileLimits;
use tollgate::files::text::TextSource;
use tollgate::files::unpack::Member;
use tollgate_plugin::contract::{BillRequest, BillRow};
use tollgate_plugin::{BillSink, BillSource};
use tollgate_sdk::bills as native_bills;
use tollgate_sdk::contract::bill_io;

use crate::fixture::Fixture;
use tollgate_tests::arguments::host;
use tollgate_tests::figures::{Milli, fact, goal, median};
use tollgate_tests::place;
use tollgate_tests::process::{Api, Process, runtime};

const PARSED: u64 = 100_000;
const ROUNDS: usize = 7;
const PASSED: u64 = 1_000_000;
const NAME: &str = "2088721003899159_20231221_业务明细.csv";
const COLUMNS: &str = "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,\
    对方账户,订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,\
    券名称,商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注";

pub fn measure() {
    parse();
    pass();
}

/// The file of a day, in GBK as it lies in the zip.
fn file() -> std::fs::File {
    let mut file = BufWriter::new(tempfile::tempfile().unwrap());
    let mut line = |text: &str| {
        let (bytes, _, _) = encoding_rs::GBK.encode(text);
        file.write_all(&bytes).unwrap();
        file.write_all(b"\r\n").unwrap();
    };
    line(COLUMNS);
    for number in 0..PARSED {
        line(&format!(
            "20231221220014{number:014}\t,P{number:023}\t,交易\t,绿茶,2023-12-21 06:54:30,2023-12-21 06:54:37,\
             store\t,store\t,alipay\t,\t,*津水(602***@qq.com)\t,125.00,125.00,0.00,0.00,0.00,0.00,0.00,,0.00\t,0.00,\
             \t,-0.75,0.00,绿茶"
        ));
    }
    line("#----业务明细列表结束----");
    file.into_inner().unwrap()
}

fn source(file: &std::fs::File) -> TextSource {
    let mut file = file.try_clone().unwrap();
    file.rewind().unwrap();
    let bytes = file.metadata().unwrap().len();
    let name = NAME.to_owned();
    TextSource::new(Member { name, file, bytes }, "gbk", &FileLimits::USUAL).unwrap()
}

#[derive(Default)]
struct Count(Arc<AtomicU64>);

impl BillSink for Count {
    fn rows(&mut self, rows: Vec<BillRow>) -> Result<(), String> {
        self.0.fetch_add(rows.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn bad_line(&mut self, line: u64, reason: String) {
        panic!("line {line}: {reason}");
    }
}

impl native_bills::BillSink for Count {
    fn rows(&self, batch: &[bill_io::BillRow]) -> Result<(), String> {
        self.0.fetch_add(batch.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn bad_line(&self, line: u64, reason: &str) {
        panic!("line {line}: {reason}");
    }
}

/// The host's decoder, read by native code.
struct Native(RefCell<TextSource>);

impl native_bills::BillSource for Native {
    fn read(&self, max: u32) -> Result<Vec<u8>, String> {
        self.0.borrow_mut().read(max)
    }
}

/// Decoded from GBK and parsed, rows handed to nobody.
fn parse() {
    let (fixture, file, runtime) = (Fixture::new(), file(), runtime());
    let (mut component, mut plain, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let rows = Arc::new(AtomicU64::new(0));
        let (bill, sink) = (bill_request(), Box::new(Count(rows.clone())));
        let started = Instant::now();
        let call = fixture.plugin.parse_bill(
            host::context(&fixture.given),
            bill,
            NAME.to_owned(),
            Box::new(source(&file)),
            sink,
        );
        runtime.block_on(call).unwrap().answer.unwrap();
        component.push(started.elapsed());
        assert_eq!(rows.load(Ordering::Relaxed), PARSED);

        let sink = Count::default();
        let started = Instant::now();
        tollgate_alipay::parse(NAME, &Native(RefCell::new(source(&file))), &sink).unwrap();
        plain.push(started.elapsed());
        assert_eq!(sink.0.load(Ordering::Relaxed), PARSED);
        ratios.push(Milli::ratio(component[component.len() - 1], plain[plain.len() - 1]));
    }
    fact(
        "bill rows decoded and parsed, component",
        Milli::per_second(PARSED, median(component)),
        "rows/s",
    );
    fact(
        "bill rows decoded and parsed, native",
        Milli::per_second(PARSED, median(plain)),
        "rows/s",
    );
    fact("bill, component / native", median(ratios), "ratio");
}

fn bill_request() -> BillRequest {
    BillRequest { kind: "trade".to_owned(), period: "2023-12-21".to_owned(), ticket: Vec::new() }
}

/// From the provider's link to rows in the store, in a gateway of its own.
fn pass() {
    let data = tempfile::tempdir().unwrap();
    let (data, plugins) = (data.path().to_str().unwrap().to_owned(), place::plugins());
    let arguments = ["gateway", &data, plugins.to_str().unwrap()];
    // The first start compiles, which is not what is measured.
    let first = Process::start(&arguments);
    let key = first.said("key").to_owned();
    first.stop();
    let (gateway, provider) = (Process::start(&arguments), Process::start(&["simulator"]));
    let api = Api::new(gateway.said("url"), &key);
    runtime().block_on(async {
        let account = api.post("/v1/accounts", &provider.ready["account"]).await;
        let simulator = Api::new(provider.said("url"), "");
        let seed = json!({ "count": PASSED, "prefix": "BENCH" });
        let seeded = simulator.post("/control/alipay/seed", &seed).await;
        // Idle is a gateway that has signed somebody up, and whose start is over.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (idle, _) = gateway.memory();
        gateway.forget_peak();
        let started = Instant::now();
        let ask = json!({ "account_id": account["id"], "period": seeded["day"] });
        let bill = api.post("/v1/bills", &ask).await;
        let path = format!("/v1/bills/{}", bill["id"].as_str().unwrap_or_else(|| panic!("{bill}")));
        let done = loop {
            let now = api.get(&path).await;
            match now["state"].as_str() {
                Some("ready") => break now,
                Some("rejected" | "not_ready") => panic!("{now}"),
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        };
        let took = started.elapsed();
        let (_, peak) = gateway.memory();
        assert!(done["rows"].as_u64().unwrap() >= PASSED, "{done}");
        let over = Milli::whole(peak.saturating_sub(idle));
        goal(
            "memory over idle while 1,000,000 bill rows pass",
            Milli(over.0 / 1024),
            "MiB",
            Milli::whole(64),
        );
        fact("memory of the idle gateway", Milli(Milli::whole(idle).0 / 1024), "MiB");
        fact("bill rows from link to store", Milli::per_second(PASSED, took), "rows/s");
    });
    gateway.stop();
    provider.stop();
}
