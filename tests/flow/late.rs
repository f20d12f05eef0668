//! Money that its order has no use for: it comes after the order's end, or a second time. It is recorded, and goes back
//! once, all of it; and what a provider says against its own word.

use serde_json::{Value, json};
use tollgate_tests::World;
use tollgate_tests::puppet::Puppet;
use tollgate_tests::reply::text;
use tollgate_tests::shop::number;

async fn order(world: &World, late_success: &str) -> Value {
    let body = json!({
        "number": number("late"), "amount": 1250, "currency": "CNY", "subject": "Tea",
        "late_success": late_success,
    });
    world.post("/v1/orders", body).await.ok()
}

async fn refund_of(world: &World, payment: &Value) -> Value {
    let path = format!("/v1/refunds?payment_id={}", text(payment, "id"));
    let list = world.get(&path).await.ok();
    assert_eq!(list["data"].as_array().unwrap().len(), 1, "{list}");
    list["data"][0].clone()
}

/// Each of them goes back, and the provider gives back once.
async fn went_back(world: &World, payment: &Value, origin: &str) {
    let refund = refund_of(world, payment).await;
    let refund = world.refund_until(&refund, "succeeded").await;
    assert_eq!((&refund["origin"], &refund["amount"]), (&json!(origin), &json!(1250)), "{refund}");
    let trade = world.trade(payment).await;
    assert_eq!(trade["refunded"], "12.50", "{trade}");
    assert_eq!(trade["refunds"].as_array().unwrap().len(), 1, "{trade}");
    let now = world.payment(payment).await;
    assert_eq!((&now["allocated"], &now["refunded"]), (&json!(false), &json!(1250)), "{now}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_after_the_end_goes_back_where_the_order_says_so() {
    let world = World::start().await;
    world.account().await;
    let order = order(&world, "refund").await;
    let payment = world.pay(&order, "qr").await;
    assert_eq!(world.close(&order).await.ok()["state"], "closed");
    world.payer_pays(&payment).await;
    world.payment_until(&payment, "succeeded").await;
    went_back(&world, &payment, "late").await;
    world.acknowledged(&payment).await;
    let now = world.order_of(&order).await;
    assert_eq!((&now["state"], &now["paid"]), (&json!("closed"), &json!(0)), "{now}");
    assert_eq!(now["payments"][0]["late"], true, "{now}");
    let wanted = [
        "order.created",
        "payment.closed",
        "order.closed",
        "payment.succeeded",
        "refund.requested",
        "refund.succeeded",
    ];
    assert_eq!(world.events(&order).await, wanted);
}

/// What goes back by itself is asked about in its account's line, where it waits while the provider is silent, as what the
/// shop gives back is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_back_by_itself_stands_in_its_accounts_line() {
    let world = World::start().await;
    let account = world.account().await;
    let order = order(&world, "refund").await;
    let payment = world.pay(&order, "qr").await;
    world.close(&order).await.ok();
    world.fault("refund", "drop", json!({ "times": 0 })).await;
    world.payer_pays(&payment).await;
    world.payment_until(&payment, "succeeded").await;
    world.refund_until(&refund_of(&world, &payment).await, "unknown").await;
    let lines = world.select("SELECT queue FROM jobs WHERE kind = 'query_refund'").await;
    assert_eq!(lines, [format!("short/{}", text(&account, "id"))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_two_words_say_what_becomes_of_late_money() {
    let world = World::start().await;
    let body = json!({
        "number": "L", "amount": 1250, "currency": "CNY", "subject": "Tea", "late_success": "keep",
    });
    let problem = world.post("/v1/orders", body).await.refused(422, "invalid-request");
    assert_eq!(problem["errors"][0]["field"], "late_success");
    assert_eq!(world.order(1250).await["late_success"], "reopen");
}

/// Many tell of the second success at once: one refund.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_tells_of_a_second_success_makes_one_refund() {
    let world = World::start().await;
    world.account().await;
    world.lose_notifications().await;
    let order = order(&world, "reopen").await;
    let first = world.pay(&order, "qr").await;
    assert_eq!(world.close(&order).await.ok()["state"], "closed");
    world.payer_pays(&first).await;
    world.sync(&first).await.ok();
    assert_eq!(world.order_of(&order).await["state"], "paid", "the order is paid after all");
    // An attempt that began before: a row that the gateway would not write now.
    let second = ended_attempt(&world, &order, &first).await;
    world.payer_pays(&second).await;
    let crowd = json!({ "times": 30, "parallel": true });
    let answer = world.notify_with(&second, "truth", crowd).await;
    for answer in answer["answers"].as_array().unwrap() {
        assert_eq!(answer["body"], "success", "{answer}");
    }
    went_back(&world, &second, "duplicate").await;
    let kinds = world.events(&order).await;
    let twice = kinds.iter().filter(|kind| *kind == "payment.duplicate_success").count();
    assert_eq!(twice, 1, "{kinds:?}");
    let now = world.order_of(&order).await;
    assert_eq!((&now["state"], &now["paid"]), (&json!("paid"), &json!(1250)), "{now}");
}

/// A second code of the order that was shown and ended, as its provider knows it.
async fn ended_attempt(world: &World, order: &Value, first: &Value) -> Value {
    let other = world.pay(&self::order(world, "reopen").await, "qr").await;
    let (other_id, order_id) = (text(&other, "id"), text(order, "id"));
    world
        .write(&format!(
            "UPDATE payments SET order_id = '{order_id}', state = 'closed' WHERE id = '{other_id}'"
        ))
        .await;
    assert_ne!(other_id, text(first, "id"));
    world.payment(&other).await
}

/// What a process leaves that died between learning of the money and sending its refund: the refund was never sent, so
/// it is sent, under the reference that it has, and nobody is asked about it first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_was_never_sent_is_sent_after_a_crash() {
    let mut world = World::start().await;
    let payment = world.paid(1250).await;
    world.lose_notifications().await;
    world.acknowledged(&payment).await;
    world.idle().await;
    world.stop_gateway().await;
    let id = text(&payment, "id");
    let refund = format!("ref_{}", "5".repeat(32));
    world
        .write(&format!(
            "UPDATE payments SET reserved = 1250 WHERE id = '{id}';
             INSERT INTO refunds (merchant_id, id, payment_id, order_id, account_id, number, state, amount, currency,
               fingerprint, reference, kept, asked, version, created_at, updated_at, origin)
               SELECT merchant_id, '{refund}', id, order_id, account_id, 'auto:{id}', 'requested', 1250, currency,
               '', 'NEVERSENT', kept, 0, 1, 0, 0, 'late' FROM payments WHERE id = '{id}';
             INSERT INTO jobs (merchant_id, id, kind, subject_id, payload, due_at, attempts, leased_until, fence,
               urgings, created_at) SELECT merchant_id, 'job_{five}', 'query_refund', '{refund}', '{{}}', 0, 0, 0, 0,
               0, 0 FROM payments WHERE id = '{id}'",
            five = "5".repeat(32)
        ))
        .await;
    world.restart().await;
    let done = world.refund_until(&json!({ "id": refund }), "succeeded").await;
    assert_eq!(done["reference"], "NEVERSENT");
    let trade = world.trade(&payment).await;
    assert_eq!(trade["refunds"].as_array().unwrap().len(), 1, "{trade}");
    assert_eq!(trade["refunds"][0]["reference"], "NEVERSENT", "{trade}");
    assert_eq!(world.calls(&payment, "refund").await, 1);
    assert_eq!(world.calls(&payment, "fastpay.refund.query").await, 0);
    let now = world.payment(&payment).await;
    assert_eq!((&now["refunded"], &now["refund_reserved"]), (&json!(1250), &json!(0)), "{now}");
}

/// Sent, and the process died before it wrote what came of it: it is asked about first, and sent again only where the
/// provider does not know it and says that a repeat does no harm.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_may_have_been_sent_is_asked_about_first() {
    let puppet = Puppet::start().await;
    let world = &puppet.world;
    let payment = puppet.paid(1000).await;
    let refund = world.refund(&payment, "R-1", 400).await.ok();
    assert_eq!(refund["state"], "unknown", "{refund}");
    world.stop_the_clock().await;
    let id = text(&refund, "id");
    puppet.answers("query-refund", "status=not-found");
    let sent = puppet.asked("refund");
    // Past the time in which a repeat does no harm, nobody sends it: people are told.
    let day_ago = world.now() - 86_400_000_000;
    world.write(&format!("UPDATE refunds SET sent_at = {day_ago} WHERE id = '{id}'")).await;
    world.make_due("query_refund").await;
    world.refund_until(&refund, "needs_action").await;
    world.idle().await;
    assert_eq!(puppet.asked("refund"), sent);
    assert_eq!(world.payment(&payment).await["refund_reserved"], 400, "it stays reserved");
    let kinds = world.events(&payment).await;
    assert_eq!(kinds.last().unwrap(), "refund.needs_action");
    // Within it, the same reference goes out again.
    let just_now = world.now();
    world.write(&format!("UPDATE refunds SET sent_at = {just_now} WHERE id = '{id}'")).await;
    puppet.answers("refund", "status=succeeded");
    world.make_due("query_refund").await;
    world.refund_until(&refund, "succeeded").await;
    assert!(puppet.last("refund").contains(text(&refund, "reference")));
}

/// Signed success, and the provider denies it when asked: nothing is paid, and somebody is told, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_success_that_the_provider_denies_is_a_case() {
    let puppet = Puppet::start().await;
    let payment = puppet.started(1000).await;
    puppet.answers("query-payment", "status=failed");
    for _ in 0..3 {
        let reply = puppet.says(&payment, "status=succeeded&amount=1000").await;
        assert_eq!(reply.status, 400, "it hears no success");
    }
    let order = puppet.world.order_of(&payment).await;
    assert_eq!((&order["state"], &order["paid"]), (&json!("open"), &json!(0)), "{order}");
    let case = the_case(&puppet.world, "unconfirmed_success").await;
    assert_eq!(case["payment_id"], payment["id"]);
    let kinds = puppet.world.events(&payment).await;
    assert_eq!(kinds, ["order.created", "payment.failed", "payment.conflict"]);
    // The provider's books were wrong, and are right now.
    puppet.answers("query-payment", "status=succeeded");
    let reply = puppet.says(&payment, "status=succeeded&amount=1000").await;
    assert_eq!(reply.status, 200);
    assert_eq!(puppet.world.order_of(&payment).await["state"], "paid");
    let path = format!("/v1/cases/{}/close", text(&case, "id"));
    puppet.world.post(&path, json!({ "note": "" })).await.refused(422, "invalid-request");
    let closed = puppet.world.post(&path, json!({ "note": "it came" })).await.ok();
    assert_eq!((&closed["state"], &closed["note"]), (&json!("closed"), &json!("it came")));
}

/// The database was set back to before the payment was made: money comes for what it does not know.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_for_a_payment_that_we_do_not_have_is_a_case() {
    let world = World::start().await;
    world.lose_notifications().await;
    let payment = world.started(1250, "page").await;
    world.payer_pays(&payment).await;
    world.stop_the_clock().await;
    world.write("DELETE FROM payments").await;
    for _ in 0..3 {
        let answer = world.notify(&payment, "truth").await;
        assert_ne!(answer["body"], "success", "{answer}");
    }
    let case = the_case(&world, "unknown_payment").await;
    assert_eq!(case["data"]["reference"], payment["reference"]);
    assert_eq!(case["data"]["amount"], 1250);
    assert!(case["notification_id"].is_string(), "{case}");
    let all = world.select("SELECT kind FROM events WHERE order_id IS NULL").await;
    assert_eq!(all, ["payment.unmatched"]);
    assert_eq!(world.kept().await, ["rejected", "rejected", "rejected"], "the bytes are kept");
    // A forged one is nobody's money.
    world.notify(&payment, "forge").await;
    the_case(&world, "unknown_payment").await;
}

async fn the_case(world: &World, kind: &str) -> Value {
    let cases = world.get("/v1/cases?state=open").await.ok();
    let all = cases["data"].as_array().unwrap();
    assert_eq!(all.len(), 1, "{cases}");
    assert_eq!(all[0]["kind"], kind, "{cases}");
    all[0].clone()
}

/// What the provider says of a payment of an order that has no use for its money, and what becomes of that.
async fn late_payment(puppet: &Puppet) -> Value {
    let order = order(&puppet.world, "refund").await;
    let payment = puppet.pay(&order).await;
    assert_eq!(puppet.world.close(&order).await.ok()["state"], "closed");
    payment
}

async fn refunds_of(puppet: &Puppet, payment: &Value) -> Vec<Value> {
    let path = format!("/v1/refunds?payment_id={}", text(payment, "id"));
    puppet.world.get(&path).await.ok()["data"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_that_is_in_dispute_does_not_go_back_by_itself() {
    let puppet = Puppet::start().await;
    puppet.answers("refund", "status=succeeded");
    let payment = late_payment(&puppet).await;
    let opened = "about=dispute&dispute_ref=D-1&status=opened&amount=1250";
    assert_eq!(puppet.says(&payment, opened).await.status, 200);
    puppet.succeeds(&payment).await;
    let case = the_case(&puppet.world, "refund_impossible").await;
    assert_eq!((&case["payment_id"], &case["data"]["amount"]), (&payment["id"], &json!(1250)));
    assert!(text(&case["data"], "reason").contains("in dispute"), "{case}");
    assert_eq!(refunds_of(&puppet, &payment).await, [] as [Value; 0]);
    assert_eq!(puppet.asked("refund"), 0);
    assert!(puppet.world.events(&payment).await.contains(&"payment.conflict".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_that_the_provider_does_not_take_back_is_a_case() {
    let puppet = Puppet::start().await;
    for answer in ["status=failed", "status=succeeded"] {
        puppet.answers("refund", answer);
        let payment = late_payment(&puppet).await;
        puppet.succeeds(&payment).await;
        let state = answer.strip_prefix("status=").unwrap();
        let refund = refunds_of(&puppet, &payment).await[0].clone();
        puppet.world.refund_until(&refund, state).await;
        let kinds = puppet.world.events(&payment).await;
        let told = kinds.iter().filter(|kind| *kind == "payment.conflict").count();
        assert_eq!(told, usize::from(state == "failed"), "{state}: {kinds:?}");
    }
    let case = the_case(&puppet.world, "refund_impossible").await;
    assert!(text(&case["data"], "reason").ends_with("the refund failed"), "{case}");
}
