//! A day's bill against our records: what agrees is marked, what differs is listed once, and again changes nothing.

use serde_json::{Value, json};
use tollgate_tests::World;
use tollgate_tests::reply::text;

/// A world whose provider lives some days ago at noon, so that the day's bill is complete, with an account and the day.
async fn past() -> (World, Value, String) {
    let world = World::start().await;
    let account = world.account().await;
    let day = world.days_ago(3).await;
    (world, account, day)
}

/// A paid payment of this amount.
async fn paid(world: &World, amount: i64) -> Value {
    let payment = world.pay(&world.order(amount).await, "page").await;
    world.payer_pays(&payment).await;
    world.payment_until(&payment, "succeeded").await;
    world.acknowledged(&payment).await;
    payment
}

async fn edit(world: &World, op: &str, payment: &Value, more: Value) {
    let mut body = json!({ "op": op, "reference": payment["reference"] });
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    world.control("bill-edits", body).await;
}

/// Kinds and what they are about.
fn told(differences: &[Value]) -> Vec<(String, Value)> {
    let mut told: Vec<_> = differences
        .iter()
        .map(|one| {
            let about =
                if one["refund_id"].is_null() { &one["payment_id"] } else { &one["refund_id"] };
            (text(one, "kind").to_owned(), about.clone())
        })
        .collect();
    told.sort_by_key(|(kind, about)| (kind.clone(), about.to_string()));
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_agrees_carries_its_bill_row_and_day() {
    let (world, account, day) = past().await;
    let (first, second) = (paid(&world, 1250).await, paid(&world, 300).await);
    let refund = world.refund(&first, "R-1", 250).await.ok();
    assert_eq!(world.order_of(&first).await["reconciled"], false);
    let done = world.reconcile(&account, &day).await;
    assert_eq!(done["state"], "done", "{done}");
    let figures = (&done["rows"], &done["matched"], &done["discrepancies"]);
    assert_eq!(figures, (&json!(3), &json!(3), &json!(0)), "{done}");
    assert_eq!(world.discrepancies(&done).await, Vec::<Value>::new());
    let mut lines = Vec::new();
    for found in
        [world.payment(&first).await, world.payment(&second).await, world.refund_now(&refund).await]
    {
        let place = &found["reconciled"];
        assert_eq!((&place["bill_id"], &place["day"]), (&done["bill_id"], &json!(day)), "{found}");
        lines.push(place["line"].as_i64().unwrap());
    }
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), 3, "each has a row of its own");
    for payment in [&first, &second] {
        assert_eq!(world.order_of(payment).await["reconciled"], true);
    }
    let events = world.events(&first).await;
    let count = |kind: &str| events.iter().filter(|event| *event == kind).count();
    assert_eq!((count("payment.reconciled"), count("refund.reconciled")), (1, 1), "{events:?}");
    assert_eq!(world.events(&second).await.last().unwrap(), "payment.reconciled");
    let told = world.select("SELECT kind FROM events WHERE order_id IS NULL").await;
    assert_eq!(told, ["reconciliation.done"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn again_changes_nothing() {
    let (world, account, day) = past().await;
    let payment = paid(&world, 1250).await;
    world.refund(&payment, "R-1", 250).await.ok();
    let missing = paid(&world, 700).await;
    edit(&world, "drop_row", &missing, json!({})).await;
    let first = world.reconcile(&account, &day).await;
    let listed = world.discrepancies(&first).await;
    world.idle().await;
    let before = world.dump().await;
    for _ in 0..3 {
        let body = json!({ "account_id": account["id"], "period": day });
        let again = world.post("/v1/reconciliations", body).await;
        assert_eq!((again.status, &again.json), (200, &first));
    }
    world.idle().await;
    let after = world.dump().await;
    assert!(before.changed(&after).is_empty(), "{:?}", before.changed(&after));
    assert_eq!(world.discrepancies(&first).await, listed);
    let read = world.get(&format!("/v1/reconciliations/{}", text(&first, "id"))).await.ok();
    assert_eq!(read, first);
    assert_eq!(world.get("/v1/reconciliations").await.ok()["data"], json!([first]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_planted_difference_is_found_once() {
    let world = World::start().await;
    let mut body = world.credentials("account");
    body["fee"] = json!({ "rate_ppm": 6_000, "fixed": 0 });
    let account = world.post("/v1/accounts", body.clone()).await.ok();
    assert_eq!(account["fee"], body["fee"], "{account}");
    let day = world.days_ago(3).await;
    let fine = paid(&world, 1250).await;
    let refunded = paid(&world, 2000).await;
    let refund = world.refund(&refunded, "R-1", 500).await.ok();
    let (dropped, amount, time) =
        (paid(&world, 100).await, paid(&world, 200).await, paid(&world, 300).await);
    let (fee, twice) = (paid(&world, 40_000).await, paid(&world, 500).await);
    let half = paid(&world, 600).await;
    let lost = world.refund(&half, "R-2", 100).await.ok();
    edit(&world, "drop_row", &dropped, json!({})).await;
    edit(&world, "change_amount", &amount, json!({ "value": "1.99" })).await;
    edit(&world, "shift_time", &time, json!({ "value": "3600" })).await;
    edit(&world, "change_fee", &fee, json!({ "value": "-9.99" })).await;
    edit(&world, "duplicate_row", &twice, json!({})).await;
    edit(&world, "drop_row", &half, json!({ "refund_reference": lost["reference"] })).await;
    let ghost = json!({ "reference": "ghost" });
    edit(&world, "add_row", &ghost, json!({ "value": "3.00" })).await;
    let done = world.reconcile(&account, &day).await;
    assert_eq!(done["state"], "done", "{done}");
    let found = world.discrepancies(&done).await;
    let mut wanted = vec![
        ("amount".to_owned(), amount["id"].clone()),
        ("duplicate".to_owned(), twice["id"].clone()),
        ("fee".to_owned(), fee["id"].clone()),
        ("missing_here".to_owned(), Value::Null),
        ("missing_there".to_owned(), dropped["id"].clone()),
        ("missing_there".to_owned(), lost["id"].clone()),
        ("time".to_owned(), time["id"].clone()),
    ];
    wanted.sort_by_key(|(kind, about)| (kind.clone(), about.to_string()));
    assert_eq!(told(&found), wanted, "{found:#?}");
    assert_eq!(done["discrepancies"], json!(wanted.len()));
    for one in &found {
        assert_eq!(one["state"], "open", "{one}");
        let needs_line = one["kind"] != "missing_there";
        assert_eq!(one["line"].is_i64(), needs_line, "{one}");
        assert_eq!(one["theirs"].is_null(), !needs_line, "{one}");
        assert_eq!(one["ours"].is_null(), one["kind"] == "missing_here", "{one}");
    }
    // What agrees is matched beside them; an amount that differs is not.
    for (payment, matched) in
        [(&fine, true), (&refunded, true), (&amount, false), (&dropped, false), (&twice, true)]
    {
        assert_eq!(world.payment(payment).await["reconciled"].is_object(), matched, "{payment}");
    }
    assert!(world.refund_now(&refund).await["reconciled"].is_object());
    assert_eq!(
        world.order_of(&half).await["reconciled"],
        false,
        "one of its refunds is not in the bill"
    );
    assert_eq!(world.order_of(&refunded).await["reconciled"], true);
}

/// A payment that the bill has as paid while we believe that it is not: nobody told us, and the bill does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_that_we_do_not_know_of_is_missing_here() {
    let (world, account, day) = past().await;
    world.lose_notifications().await;
    let payment = world.pay(&world.order(1250).await, "page").await;
    world.payer_pays(&payment).await;
    world.stop_the_clock().await;
    let done = world.reconcile(&account, &day).await;
    let found = world.discrepancies(&done).await;
    assert_eq!(told(&found), [("missing_here".to_owned(), payment["id"].clone())], "{found:#?}");
    // The bill is a reason to look, not a proof: asked, the provider says so, and the next comparison agrees.
    world.sync(&payment).await.ok();
    let done = world.reconcile(&account, &day).await;
    assert_eq!((&done["matched"], &done["discrepancies"]), (&json!(1), &json!(0)), "{done}");
    assert_eq!(world.order_of(&payment).await["reconciled"], true);
}

/// A payment that had ended here, and that the bill has as paid: the provider is asked once more, and money wins.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_that_only_a_bill_tells_of_after_the_end_is_asked_about() {
    let (world, account, day) = past().await;
    world.lose_notifications().await;
    let payment = world.pay(&world.order(1250).await, "page").await;
    world.payer_pays(&payment).await;
    world.stop_the_clock().await;
    let trade = world.trade(&payment).await;
    world
        .write(&format!(
            "UPDATE payments SET state = 'closed', provider_ref = '{}' WHERE id = '{}'",
            text(&trade, "provider_reference"),
            text(&payment, "id")
        ))
        .await;
    let done = world.reconcile(&account, &day).await;
    assert_eq!(done["discrepancies"], 1, "{done}");
    world.payment_until(&payment, "succeeded").await;
    world.order_until(&payment, "paid").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bill_that_is_rejected_reconciles_nothing_and_one_that_is_late_is_waited_for() {
    let (world, account, day) = past().await;
    let payment = paid(&world, 1250).await;
    let body = json!({ "account_id": account["id"], "period": day });
    world.fault("download", "zip_slip", json!({})).await;
    let rejected = world.post("/v1/reconciliations", body.clone()).await.ok();
    assert_eq!(
        (&rejected["state"], &rejected["matched"]),
        (&json!("bill_rejected"), &json!(0)),
        "{rejected}"
    );
    assert_eq!(world.discrepancies(&rejected).await, Vec::<Value>::new());
    world.fault("bill", "refuse", json!({ "value": "BILL_NOT_EXIST" })).await;
    let waits = world.post("/v1/reconciliations", body).await.ok();
    assert_eq!(
        (&waits["state"], &waits["id"]),
        (&json!("waiting_for_bill"), &rejected["id"]),
        "{waits}"
    );
    assert!(world.payment(&payment).await["reconciled"].is_null());
    // The job that waits for it does the rest.
    world.make_due("reconcile").await;
    let path = format!("/v1/reconciliations/{}", text(&waits, "id"));
    let done = tollgate_tests::until("the reconciliation", async || {
        Some(world.get(&path).await.ok()).filter(|now| now["state"] == "done")
    })
    .await;
    assert_eq!((&done["matched"], &done["discrepancies"]), (&json!(1), &json!(0)), "{done}");
    assert_eq!(world.events(&payment).await.last().unwrap(), "payment.reconciled");
}

/// The file counts its own payments. One row that says another kind of business makes it contradict itself, and a file
/// that does is not taken in part.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bill_that_contradicts_its_own_totals_is_rejected_whole() {
    let (world, account, day) = past().await;
    let (payment, other) = (paid(&world, 1250).await, paid(&world, 300).await);
    edit(&world, "change_status", &payment, json!({ "value": "转账" })).await;
    let rejected = world.reconcile(&account, &day).await;
    assert_eq!(
        (&rejected["state"], &rejected["rows"]),
        (&json!("bill_rejected"), &json!(0)),
        "{rejected}"
    );
    let reason = text(&rejected, "reason");
    assert!(reason.contains("states payment rows 2, its rows have 1"), "{reason}");
    assert_eq!(world.discrepancies(&rejected).await, Vec::<Value>::new());
    for payment in [&payment, &other] {
        assert!(world.payment(payment).await["reconciled"].is_null());
    }
    world.forget("bill-edits").await;
    let done = world.reconcile(&account, &day).await;
    assert_eq!((&done["state"], &done["matched"]), (&json!("done"), &json!(2)), "{done}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bill_that_stays_bad_is_tried_a_few_times_and_then_told_of_once() {
    let (world, account, day) = past().await;
    let body = json!({ "account_id": account["id"], "period": day });
    let told = "SELECT data FROM events WHERE kind = 'reconciliation.bill_rejected'";
    let waiting = "SELECT subject_id FROM jobs WHERE kind = 'reconcile'";
    let mut rejected = Value::Null;
    for tries in 1..=6 {
        world.fault("download", "zip_slip", json!({})).await;
        rejected = world.post("/v1/reconciliations", body.clone()).await.ok();
        assert_eq!(rejected["state"], "bill_rejected", "{rejected}");
        let count = usize::from(tries >= 5);
        assert_eq!(world.select(told).await.len(), count, "after {tries} tries");
        assert_eq!(world.select(waiting).await, [text(&rejected, "id")]);
    }
    let data: Value = serde_json::from_str(&world.select(told).await[0]).unwrap();
    assert_eq!((&data["account_id"], &data["period"]), (&account["id"], &json!(day)), "{data}");
    assert_eq!(data["reason"], rejected["reason"]);
    // The job sees that, and ends.
    world.fault("download", "zip_slip", json!({})).await;
    world.make_due("reconcile").await;
    tollgate_tests::until("the job's end", async || {
        world.select(waiting).await.is_empty().then_some(())
    })
    .await;
    assert_eq!(world.select(told).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_at_once_find_the_same() {
    let (world, account, day) = past().await;
    paid(&world, 1250).await;
    for amount in [100, 200, 300] {
        let dropped = paid(&world, amount).await;
        edit(&world, "drop_row", &dropped, json!({})).await;
    }
    let body = json!({ "account_id": account["id"], "period": day });
    let ask = || world.post("/v1/reconciliations", body.clone());
    let (first, second, third) = tokio::join!(ask(), ask(), ask());
    let mut replies = [first.status, second.status, third.status];
    replies.sort_unstable();
    assert_eq!(replies, [200, 200, 201]);
    assert_eq!((&first.json, &second.json), (&second.json, &third.json));
    assert_eq!(first.json["discrepancies"], 3, "{}", first.text);
    assert_eq!(world.discrepancies(&first.json).await.len(), 3);
}
