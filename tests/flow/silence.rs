//! When somebody does not answer: nothing is lost, nothing is taken for failed, and nothing happens twice.

use std::time::Instant;

use serde_json::{Value, json};
use tollgate_tests::reply::text;
use tollgate_tests::{Setup, World, until};

const ONCE: [&str; 3] = ["order.created", "payment.succeeded", "order.paid"];

fn impatient() -> Setup {
    Setup { call_ms: 1_500, confirm_ms: 400, ..Setup::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_without_an_answer_keeps_the_message_and_its_job() {
    let world = World::with(impatient()).await;
    world.lose_notifications().await;
    let payment = world.started(1250, "page").await;
    world.payer_pays(&payment).await;
    world.stop_the_clock().await;
    for (verb, more) in [
        ("delay", json!({ "ms": 5_000 })),
        ("drop", json!({})),
        ("lose_reply", json!({})),
        ("error_500", json!({})),
        ("html", json!({})),
        ("system_error", json!({})),
        ("bad_signature", json!({})),
        ("unsigned", json!({})),
    ] {
        world.fault("query", verb, more).await;
        let began = Instant::now();
        let answer = world.notify(&payment, "duplicate").await;
        assert_eq!((&answer["status"], &answer["body"]), (&json!(503), &json!("fail")), "{verb}");
        assert!(began.elapsed().as_secs() < 4, "{verb}: the provider waits no longer than we said");
        assert_eq!(world.kept().await.last().unwrap(), "waiting", "{verb}");
        assert_eq!(world.payment(&payment).await["state"], "pending", "{verb}");
        assert_eq!(world.events(&payment).await, ["order.created"], "{verb}");
        world.forget("faults").await;
    }
    let jobs = "SELECT CAST(count(*) AS TEXT) FROM jobs WHERE kind = 'read_notice'";
    assert_eq!(world.select(jobs).await, ["8"], "each message that waits has its job");
    world.make_due("read_notice").await;
    world.payment_until(&payment, "succeeded").await;
    // Those that were read while another one asked may have waited too long for it: they are read again.
    until("every message dealt with", async || {
        world.make_due("read_notice").await;
        world.idle().await;
        let kept = world.kept().await;
        kept.iter().all(|state| matches!(state.as_str(), "applied" | "duplicate")).then_some(())
    })
    .await;
    assert_eq!(world.events(&payment).await, ONCE);
    assert_eq!(world.select(jobs).await, ["0"]);
}

/// Without a hand on any clock: the provider is silent, then it is not, and the job that was left does its work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_job_of_a_message_that_waits_comes_by_itself() {
    let world = World::with(impatient()).await;
    world.lose_notifications().await;
    let payment = world.started(1250, "page").await;
    world.payer_pays(&payment).await;
    world.fault("query", "drop", json!({})).await;
    assert_eq!(world.notify(&payment, "duplicate").await["body"], "fail");
    world.payment_until(&payment, "succeeded").await;
    assert_eq!(world.events(&payment).await, ONCE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_return_alone_proves_nothing() {
    let world = World::with(impatient()).await;
    world.lose_notifications().await;
    let payment = world.started(1250, "page").await;
    let paid = world.payer_pays(&payment).await;
    world.stop_the_clock().await;
    // The provider does not answer, or says that nobody has paid: the signed return changes nothing.
    for (verb, more) in [
        ("drop", json!({})),
        ("bad_signature", json!({})),
        ("lie_status", json!({ "value": "WAIT_BUYER_PAY" })),
        ("refuse", json!({ "value": "ACQ.TRADE_NOT_EXIST" })),
    ] {
        world.fault("query", verb, more).await;
        let back = world.comes_back(&paid).await;
        assert_eq!(back.status, 303, "{verb}");
        assert_eq!(world.payment(&payment).await["state"], "pending", "{verb}");
        assert_eq!(world.events(&payment).await, ["order.created"], "{verb}");
        world.forget("faults").await;
    }
    // Only its own word, asked, makes it paid.
    world.comes_back(&paid).await;
    assert_eq!(world.payment(&payment).await["state"], "succeeded");
    assert_eq!(world.events(&payment).await, ONCE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_notification_is_found_by_the_schedule() {
    let world = World::start().await;
    world.lose_notifications().await;
    let payment = world.started(1250, "page").await;
    world.payer_pays(&payment).await;
    // Nobody moves a clock: the first question comes by itself.
    world.payment_until(&payment, "succeeded").await;
    assert_eq!(world.events(&payment).await, ONCE);
    assert_eq!(world.kept().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_schedule_goes_on_while_nobody_has_paid_or_answers() {
    let world = World::with(impatient()).await;
    world.lose_notifications().await;
    let payment = world.started(1250, "page").await;
    let due = "SELECT CAST(due_at AS TEXT) FROM jobs WHERE kind = 'query_payment'";
    for (asked, (verb, gap)) in
        [("none", 10), ("drop", 20), ("error_500", 30), ("none", 60)].into_iter().enumerate()
    {
        if verb != "none" {
            world.fault("query", verb, json!({})).await;
        }
        world.make_due("query_payment").await;
        let count =
            format!("SELECT CAST(count(*) AS TEXT) FROM payments WHERE asked = {}", asked + 1);
        let asked_now = async || (world.select(&count).await == ["1"]).then_some(());
        until("the next question", asked_now).await;
        world.idle().await;
        let due: i64 = world.select(due).await[0].parse().unwrap();
        let left = (due - world.now()) / 1_000_000;
        let (least, most) = (gap * 9 / 10 - 5, gap * 11 / 10 + 1);
        assert!((least..=most).contains(&left), "question {asked}: {left} s left of {gap}");
        assert_eq!(world.payment(&payment).await["state"], "pending");
    }
    world.payer_pays(&payment).await;
    world.make_due("query_payment").await;
    world.payment_until(&payment, "succeeded").await;
    world.idle().await;
    assert_eq!(world.select(due).await, Vec::<String>::new(), "nothing is left to ask");
}

/// The provider took the order and its answer got lost: that is not a failure, and somebody may have paid.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_whose_start_was_not_answered_is_unknown_until_it_is_known() {
    let world = World::with(impatient()).await;
    world.lose_notifications().await;
    world.account().await;
    for (verb, code) in [
        ("lose_reply", "no-answer"),
        ("drop", "no-answer"),
        ("error_500", "unavailable"),
        ("bad_signature", "signature"),
    ] {
        world.fault("precreate", verb, json!({})).await;
        let order = world.order(1250).await;
        let payment = world.pay(&order, "qr").await;
        assert_eq!(
            (&payment["state"], &payment["failure"]["code"]),
            (&json!("unknown"), &json!(code)),
            "{verb}"
        );
        assert_eq!(payment["action"]["kind"], "none", "{verb}");
        // While nobody knows, no second attempt is started.
        world.try_pay(&order, "qr").await.refused(409, "payment-open");
        world.make_due("query_payment").await;
        world.idle().await;
        // The provider has never seen it, or nobody has scanned it: it is handed out again, the same one.
        let again = world.payment_until(&payment, "pending").await;
        assert_eq!(again["action"]["kind"], "qr_code", "{verb}");
        assert_eq!(again["reference"], payment["reference"], "{verb}");
        assert_eq!(again["failure"], Value::Null, "{verb}");
        world.forget("faults").await;
        if verb == "drop" || verb == "error_500" {
            // Nobody has scanned it: the shop ends the order.
            assert_eq!(world.close(&order).await.ok()["state"], "closed", "{verb}");
            assert_eq!(world.payment(&payment).await["state"], "closed", "{verb}");
            continue;
        }
        world.act(&payment, "pay").await;
        world.make_due("query_payment").await;
        let paid = world.payment_until(&payment, "succeeded").await;
        assert_eq!(paid["failure"], Value::Null, "{verb}");
        assert_eq!(world.events(&payment).await, ONCE, "{verb}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_that_the_provider_refuses_has_failed_and_another_may_start() {
    let world = World::start().await;
    world.account().await;
    let order = world.order(1250).await;
    world.fault("precreate", "refuse", json!({ "value": "ACQ.ACCESS_FORBIDDEN" })).await;
    let failed = world.pay(&order, "qr").await;
    assert_eq!(failed["state"], "failed", "{failed}");
    assert_eq!(failed["failure"]["provider_code"], "ACQ.ACCESS_FORBIDDEN", "{failed}");
    assert_eq!(world.order_of(&order).await["state"], "open");
    let payment = world.pay(&order, "qr").await;
    world.payer_pays(&payment).await;
    world.order_until(&order, "paid").await;
    let wanted = ["order.created", "payment.failed", "payment.succeeded", "order.paid"];
    assert_eq!(world.events(&order).await, wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_was_away_finds_what_happened() {
    let mut world = World::start().await;
    world.lose_notifications().await;
    let payment = world.started(1250, "page").await;
    world.stop_gateway().await;
    world.payer_pays(&payment).await;
    world.restart().await;
    world.make_due("query_payment").await;
    let paid = world.payment_until(&payment, "succeeded").await;
    assert_eq!(text(&paid, "reference"), text(&payment, "reference"));
    assert_eq!(world.events(&payment).await, ONCE);
}

/// A shop that hangs up while the provider thinks: what was begun is brought to its end and found by its number.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_that_hangs_up_loses_nothing() {
    let world = World::start().await;
    world.account().await;
    world.lose_notifications().await;
    let order = world.order(1250).await;
    let slow = json!({ "ms": 600 });
    world.fault("precreate", "delay", slow.clone()).await;
    let path = format!("{}/v1/orders/{}/payments", world.url, text(&order, "id"));
    hang_up(&world, &path, json!({ "method": "qr" })).await;
    let payment = until("the payment", async || {
        let payment = world.order_of(&order).await["payments"][0].clone();
        (payment["state"] == "pending").then_some(payment)
    })
    .await;
    assert_eq!(payment["action"]["kind"], "qr_code");
    world.payer_pays(&payment).await;
    world.sync(&payment).await.ok();

    world.fault("refund", "delay", slow).await;
    let body = json!({ "payment_id": payment["id"], "number": "R-1", "amount": 250 });
    hang_up(&world, &format!("{}/v1/refunds", world.url), body).await;
    let refund = until("the refund", async || {
        let list =
            world.get(&format!("/v1/refunds?payment_id={}", text(&payment, "id"))).await.ok();
        Some(list["data"][0].clone()).filter(|refund| refund["state"] == "succeeded")
    })
    .await;
    let again = world.refund(&payment, "R-1", 250).await;
    assert_eq!((again.status, &again.json), (200, &refund), "the same request finds it");
    assert_eq!(world.calls(&payment, "refund").await, 1);
}

async fn hang_up(world: &World, url: &str, body: Value) {
    let request = world.client.post(url).bearer_auth(&world.key).json(&body);
    let sent = request.timeout(std::time::Duration::from_millis(150)).send().await;
    assert!(sent.is_err_and(|error| error.is_timeout()), "the provider was too fast");
}

/// The provider keeps its own schedule: it sends again until it hears its word.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_provider_sends_again_until_it_hears_success() {
    let world = World::with(Setup { time_scale: 1_000, ..impatient() }).await;
    let payment = world.started(1250, "page").await;
    world.stop_the_clock().await;
    world.fault("query", "drop", json!({ "times": 2 })).await;
    world.payer_pays(&payment).await;
    world.acknowledged(&payment).await;
    let log =
        world.simulated(&format!("notifications?reference={}", text(&payment, "reference"))).await;
    let attempts = log["notifications"][0]["attempts"].as_array().unwrap();
    let statuses: Vec<_> =
        attempts.iter().map(|attempt| attempt["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [503, 503, 200], "{log}");
    assert_eq!(world.events(&payment).await, ONCE);
}

/// The first sending of a payment got lost on its way back; the second one is refused. That says nothing of the first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_that_comes_to_nothing_does_not_fail_what_may_have_arrived() {
    let world = World::with(impatient()).await;
    world.lose_notifications().await;
    world.account().await;
    world.fault("precreate", "lose_reply", json!({})).await;
    let payment = world.pay(&world.order(1250).await, "qr").await;
    assert_eq!(payment["state"], "unknown");
    let refused = json!({ "value": "ACQ.ACCESS_FORBIDDEN" });
    world.fault("precreate", "refuse", refused).await;
    world.make_due("query_payment").await;
    world.idle().await;
    assert_eq!(world.payment(&payment).await["state"], "unknown");
    world.forget("faults").await;
    world.act(&payment, "pay").await;
    world.make_due("query_payment").await;
    world.payment_until(&payment, "succeeded").await;
}
