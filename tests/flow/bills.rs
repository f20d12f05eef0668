//! A provider's bill: fetched within what the manifest grants, unpacked under limits, read to the last row or not at all.

use serde_json::{Value, json};
use tollgate_tests::puppet::Puppet;
use tollgate_tests::reply::text;
use tollgate_tests::{Setup, World};

async fn fetch(world: &World, account: &Value, day: &str) -> Value {
    world.post("/v1/bills", json!({ "account_id": account["id"], "period": day })).await.ok()
}

/// What lies in the gateway's folder, by path.
fn files(folder: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path.display().to_string());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bill_with_chinese_names_in_gbk_is_read_to_the_last_row() {
    let world = World::start().await;
    let account = world.account().await;
    world.idle().await;
    let day = world.days_ago(3).await;
    world.control("seed", json!({ "count": 1_500, "prefix": "SEED", "amount": "1.00" })).await;
    let made = world.post("/v1/bills", json!({ "account_id": account["id"], "period": day })).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(
        (&made.json["state"], &made.json["rows"], &made.json["bad_lines"]),
        (&json!("ready"), &json!(1_500), &json!(0)),
        "{}",
        made.text
    );
    let again =
        world.post("/v1/bills", json!({ "account_id": account["id"], "period": day })).await;
    assert_eq!((again.status, &again.json), (200, &made.json));
    let read = world.get(&format!("/v1/bills/{}", text(&made.json, "id"))).await.ok();
    assert_eq!(read, made.json);
    assert_eq!(world.get("/v1/bills").await.ok()["data"], json!([read]));
    let names = world.select("SELECT files FROM bills").await;
    assert!(names[0].contains("业务明细"), "{names:?}");
    let raw = world.select("SELECT DISTINCT raw FROM statement_rows").await;
    assert_eq!(raw, ["交易"]);
    let bad = world.select("SELECT CAST(count(*) AS TEXT) FROM bad_lines").await;
    assert_eq!(bad, ["0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bill_that_is_hostile_is_rejected_and_leaves_nothing() {
    let world = World::start().await;
    let account = world.account().await;
    world.idle().await;
    let day = world.days_ago(3).await;
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    other.set_nonblocking(true).unwrap();
    let elsewhere = format!("http://{}", other.local_addr().unwrap());
    world.control("seed", json!({ "count": 3 })).await;
    for (on, verb, value) in [
        ("bill", "foreign_host", json!("http://bill.example.net")),
        // On this machine too: an account at a simulator may reach the simulator alone.
        ("bill", "foreign_host", json!(elsewhere)),
        ("bill", "foreign_host", json!(format!("{}.example.net", world.simulator.url))),
        ("download", "zip_slip", Value::Null),
        ("download", "zip_bomb", json!("2048")),
        ("download", "html", Value::Null),
        // Nothing in it; the summary alone; the rows without the last one, and without what ends them.
        ("download", "leave_out", Value::Null),
        ("download", "leave_out", json!("detail")),
        ("download", "cut_lines", json!("7")),
        ("download", "cut_lines", json!("8")),
        ("download", "cut_lines", json!("3")),
    ] {
        let before = world.select("SELECT CAST(count(*) AS TEXT) FROM bills").await;
        world.fault(on, verb, json!({ "value": value })).await;
        let bill = fetch(&world, &account, &day).await;
        assert_eq!(
            (&bill["state"], &bill["rows"]),
            (&json!("rejected"), &json!(0)),
            "{verb} {value}: {bill}"
        );
        assert!(!text(&bill, "reason").is_empty(), "{verb}");
        world.forget("faults").await;
        let rows = world.select("SELECT CAST(count(*) AS TEXT) FROM statement_rows").await;
        assert_eq!(rows, ["0"], "{verb}");
        let after = world.select("SELECT CAST(count(*) AS TEXT) FROM bills").await;
        assert!(
            before == ["0"] || before == after,
            "one bill of a day, however often it is asked for"
        );
        // What unpacked or climbed is nowhere: what came is kept, as it came, inside the bill's own folder.
        let inside = world.data().join("bills").display().to_string();
        let strays: Vec<_> = files(world.folder.path())
            .into_iter()
            .filter(|path| {
                !path.starts_with(&inside)
                    && !path.contains("tollgate.db")
                    && !path.ends_with(".key")
            })
            .collect();
        assert_eq!(strays, Vec::<String>::new(), "{verb}");
        let sizes = files(&world.data().join("bills"))
            .iter()
            .map(|path| std::fs::metadata(path).unwrap().len())
            .sum::<u64>();
        assert!(sizes < 64 << 20, "{verb}: {sizes} bytes are left");
    }
    assert!(other.accept().is_err(), "nobody called the address that the link named");
    // The honest one is taken afterwards, into the same bill; its summary is not missed.
    world.fault("download", "leave_out", json!({ "value": "summary" })).await;
    let bill = fetch(&world, &account, &day).await;
    assert_eq!((&bill["state"], &bill["rows"]), (&json!("ready"), &json!(3)), "{bill}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bill_that_broke_off_or_is_early_is_asked_for_again() {
    let world = World::with(Setup { call_ms: 1_000, ..Setup::default() }).await;
    let account = world.account().await;
    world.idle().await;
    let day = world.days_ago(3).await;
    world.control("seed", json!({ "count": 2_000 })).await;
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    other.set_nonblocking(true).unwrap();
    let elsewhere = format!("http://{}", other.local_addr().unwrap());
    for (on, verb, state) in [
        ("download", "truncate", "not_ready rejected"),
        ("download", "drop", "not_ready rejected"),
        ("download", "error_500", "not_ready"),
        ("download", "redirect", "not_ready"),
        ("bill", "drop", "not_ready"),
        ("bill", "system_error", "not_ready"),
    ] {
        let more = if verb == "redirect" { json!({ "value": elsewhere }) } else { json!({}) };
        world.fault(on, verb, more).await;
        let bill = fetch(&world, &account, &day).await;
        assert!(state.contains(text(&bill, "state")), "{on} {verb}: {bill}");
        assert_eq!(bill["rows"], 0, "{on} {verb}");
        world.forget("faults").await;
    }
    assert!(other.accept().is_err(), "nobody called the address that the redirect named");
    world.fault("bill", "refuse", json!({ "value": "BILL_NOT_EXIST" })).await;
    let bill = fetch(&world, &account, &day).await;
    assert_eq!(bill["state"], "not_ready", "{bill}");
    let bill = fetch(&world, &account, &day).await;
    assert_eq!((&bill["state"], &bill["rows"]), (&json!("ready"), &json!(2_000)), "{bill}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bill_is_refused_by_the_name_of_its_field() {
    let world = World::with(Setup { bills_at_once: false, ..Setup::default() }).await;
    let account = world.account().await;
    let today = world.today().await;
    for (body, field) in [
        (json!({ "account_id": account["id"] }), "period"),
        (json!({ "account_id": account["id"], "period": "yesterday" }), "period"),
        (json!({ "account_id": account["id"], "period": "2026-02-30" }), "period"),
        (json!({ "account_id": account["id"], "period": "2026-11" }), "period"),
        (json!({ "account_id": account["id"], "period": "2026-11-01", "kind": "all" }), "kind"),
        (json!({ "account_id": "17", "period": "2026-11-01" }), "account_id"),
        (json!({ "period": "2026-11-01" }), "account_id"),
    ] {
        for path in ["/v1/bills", "/v1/reconciliations"] {
            let problem = world.post(path, body.clone()).await.refused(422, "invalid-request");
            assert_eq!(problem["errors"][0]["field"], field, "{path} {body}: {problem}");
        }
    }
    // Today's is not there before its time, and nobody asks for it.
    let bill = fetch(&world, &account, &today).await;
    assert_eq!(bill["state"], "not_ready", "{bill}");
    let calls = world.simulated("calls").await;
    assert_eq!(calls["alipay.data.dataservice.bill.downloadurl.query"], Value::Null, "{calls}");
}

/// What stands in a bad line is compared with nothing: whoever reads the bill has to know how many there are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_that_could_not_be_read_are_counted() {
    let puppet = Puppet::start().await;
    let lines = [
        "kind=payment&payment_ref=A&gross=100",
        "kind=payment&payment_ref=B&gross=200&at=never",
        "kind=payment&payment_ref=C%00&gross=300",
    ];
    puppet.answers("bill", &lines.join("\n"));
    let day = puppet.world.days_ago(3).await;
    let bill = fetch(&puppet.world, &puppet.account, &day).await;
    let read = puppet.world.get(&format!("/v1/bills/{}", text(&bill, "id"))).await.ok();
    assert_eq!(read, bill);
    let counts = (&bill["state"], &bill["rows"], &bill["bad_lines"]);
    assert_eq!(counts, (&json!("ready"), &json!(1), &json!(2)), "{bill}");
    let kept = puppet.world.select("SELECT CAST(line AS TEXT) FROM bad_lines ORDER BY line").await;
    assert_eq!(kept, ["2", "3"]);
}
