//! Stages that the tests of several providers play in the same way: a day with its bill, a refund whose answer is lost, a
//! message that is refused.

use serde_json::{Value, json};
use tollgate_tests::reply::text;
use tollgate_tests::{World, shop, until};

/// What is planted in a bill, how many rows match all the same, and which differences are found.
pub type Planted<'a> = (Option<Value>, u64, &'a [&'a str]);

/// A payment of a new order that was paid, told and believed.
pub async fn paid(world: &World, method: &str) -> Value {
    let payment = world.pay(&world.order(1250).await, method).await;
    world.payer_pays(&payment).await;
    world.payment_until(&payment, "succeeded").await
}

/// One that its payer has paid, while the gateway heard nothing of it.
pub async fn paid_in_silence(world: &World, method: &str) -> Value {
    world.lose_notifications().await;
    let payment = world.pay(&world.order(1250).await, method).await;
    world.payer_pays(&payment).await;
    world.stop_the_clock().await;
    payment
}

/// One that the gateway learnt of by asking.
pub async fn found_paid(world: &World, method: &str) -> Value {
    let payment = world.pay(&world.order(1000).await, method).await;
    world.payer_pays(&payment).await;
    world.sync(&payment).await.ok()
}

/// A day, with a payment of which a part was given back. Gives account, payment and day. It is some days ago, since the
/// bill of yesterday is fetched again until the provider has had its time to finish it.
pub async fn a_day(world: &World, method: &str) -> (Value, Value, String) {
    let account = world.get("/v1/accounts").await.ok()["data"][0].clone();
    let day = world.days_ago(3).await;
    let payment = paid(world, method).await;
    let refund = world.refund(&payment, "R-1", 250).await.ok();
    world.refund_until(&refund, "succeeded").await;
    (account, payment, day)
}

/// A day on which all is well has nothing to say, and each planted difference is found: in a world of its own each time.
pub async fn finds_what_is_planted(
    world: impl AsyncFn() -> World,
    method: &str,
    cases: &[Planted<'_>],
) {
    for (edit, matched, kinds) in cases {
        let world = world().await;
        let (account, payment, day) = a_day(&world, method).await;
        if let Some(mut edit) = edit.clone() {
            if edit["reference"].is_null() {
                edit["reference"] = payment["reference"].clone();
            }
            world.control("bill-edits", edit).await;
        }
        let done = world.reconcile(&account, &day).await;
        let found = world.discrepancies(&done).await;
        let told: Vec<&str> = found.iter().map(|one| text(one, "kind")).collect();
        assert_eq!(told, *kinds, "{edit:?}: {found:?}");
        assert_eq!(done["matched"], *matched, "{edit:?}: {done}");
    }
}

/// The day's bill, fetched now.
pub async fn bill(world: &World, account: &Value, day: &str) -> Value {
    let body = json!({ "account_id": account["id"], "period": day });
    world.post("/v1/bills", body).await.ok()
}

/// A bill that the provider has not made yet is none: it is asked for again.
pub async fn waits_for_its_bill(world: &World, method: &str) {
    let (account, _, day) = a_day(world, method).await;
    world.control("settings", json!({ "bill_ready_at_once": false })).await;
    let made = bill(world, &account, &day).await;
    assert_ne!(made["state"], "ready", "{made}");
}

/// A row that cannot be read costs no other: of two, one is kept.
pub async fn loses_one_bad_row_alone(world: &World, method: &str, place: &str) {
    let (account, _, day) = a_day(world, method).await;
    world.fault("bill", "set", json!({ "set": { place: "much" } })).await;
    let made = bill(world, &account, &day).await;
    assert_eq!(made["rows"], 1, "{made}");
    let bad = world.select("SELECT CAST(count(*) AS TEXT) FROM bad_lines").await;
    assert_eq!(bad, ["1"]);
}

/// So many payments that the ledger alone knows; at a time (RFC 3339), or now.
pub async fn plant(world: &World, prefix: &str, count: u64, at: Option<&str>) {
    let planted = |number: u64| {
        let mut trade = json!({ "reference": format!("{prefix}{number:04}"), "amount": "1.00" });
        if let Some(at) = at {
            trade["paid_at"] = json!(at);
        }
        trade
    };
    let trades: Vec<Value> = (0..count).map(planted).collect();
    world.control("seed", json!({ "trades": trades })).await;
}

/// The day's bill, while something happens at the provider between its first page and its second.
pub async fn bill_while(
    world: &World,
    account: &Value,
    day: &str,
    happens: impl Future<Output = ()>,
) -> Value {
    world.fault("bill", "delay", json!({ "ms": 1_500, "times": 2 })).await;
    let meanwhile = async {
        until("the second page asked for", async || {
            (world.simulated("calls").await["bill"] == 2).then_some(())
        })
        .await;
        happens.await;
    };
    tokio::join!(bill(world, account, day), meanwhile).0
}

/// A refund of 400 goes out once, whatever becomes of the answer to it; at first it is in one of these states.
pub async fn refunds_once(
    world: &World,
    payment: impl AsyncFn(&World) -> Value,
    faults: &[(&str, Value)],
    states: &[&str],
) {
    for (verb, more) in faults {
        let payment = payment(world).await;
        world.fault("refund", verb, more.clone()).await;
        let refund = world.refund(&payment, &shop::number("R"), 400).await.ok();
        assert!(states.contains(&text(&refund, "state")), "{verb} {more}: {refund}");
        world.forget("faults").await;
        // What is not there is sent again once its sending cannot be under way any more.
        until("the refund done", async || {
            // What may yet come of an error has come.
            world.write("UPDATE tries SET spent_from = 0 WHERE spent_from IS NOT NULL").await;
            world.make_due("query_refund").await;
            (world.refund_now(&refund).await["state"] == "succeeded").then_some(())
        })
        .await;
        let trade = world.trade(&payment).await;
        assert_eq!(trade["refunded"], "4.00", "{verb} {more}");
        assert_eq!(trade["refunds"].as_array().unwrap().len(), 1, "{verb} {more}");
    }
}

/// A refund that the provider refuses by this code has failed, and its amount can be given back otherwise.
pub async fn frees_what_is_refused(world: &World, method: &str, code: &str) {
    let payment = paid(world, method).await;
    world.fault("refund", "refuse", json!({ "value": code })).await;
    let refund = world.refund(&payment, "R-1", 400).await.ok();
    assert_eq!(refund["state"], "failed", "{refund}");
    assert_eq!(refund["failure"]["provider_code"], code, "{refund}");
    assert_eq!(world.payment(&payment).await["refund_reserved"], 0);
}

/// A message that is refused for that reason, and pays nothing.
pub async fn refused(world: &World, payment: &Value, kind: &str, more: &Value, reason: &str) {
    let answer = world.notify_with(payment, kind, more.clone()).await;
    assert_eq!(answer["status"], 400, "{kind} {more}: {answer}");
    let told = world.reason().await;
    assert!(told.contains(reason), "{kind} {more}: {told}");
    assert_eq!(world.payment(payment).await["state"], "pending", "{kind} {more}");
    assert_eq!(world.order_of(payment).await["paid"], 0, "{kind} {more}");
}

/// The same message over and over and at once is taken each time.
pub async fn told_often(world: &World, payment: &Value, times: u64) {
    let more = json!({ "times": times, "parallel": true });
    let answer = world.notify_with(payment, "truth", more).await;
    for one in answer["answers"].as_array().unwrap() {
        assert_eq!(one["status"], 200, "{one}");
    }
}

/// A body of more than 1 MiB is read by nobody, however it is signed.
pub async fn refuses_what_is_too_large(world: &World, payment: &Value) {
    let mut draft = world.draft(payment, "truth").await;
    draft["message"] = json!(format!("{}{}", text(&draft, "message"), " ".repeat(1 << 20)));
    assert_eq!(world.deliver(&draft).await.status, 413);
    assert_eq!(world.payment(payment).await["state"], "pending");
}
