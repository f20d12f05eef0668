//! Messages that are true: in any order, twice, under odd names and with odd bytes in them.

use serde_json::{Value, json};
use tollgate_tests::World;
use tollgate_tests::reply::text;

/// States and figures that money has settled.
async fn stands(world: &World, payment: &Value, order: &str, refunded: i64) {
    let now = world.payment(payment).await;
    let wanted = (&json!("succeeded"), &json!(1250), &json!(refunded));
    assert_eq!((&now["state"], &now["taken"], &now["refunded"]), wanted, "{now}");
    assert_eq!(world.order_of(payment).await["state"], order);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twice_late_and_out_of_order_nothing_goes_back() {
    let world = World::start().await;
    let payment = world.paid(1250).await;
    world.acknowledged(&payment).await;
    world.lose_notifications().await;
    let events = world.events(&payment).await;
    for kind in
        ["duplicate", "truth", "wait_after_paid", "closed_after_paid", "finished", "success"]
    {
        let answer = world.notify(&payment, kind).await;
        assert_eq!(
            (&answer["status"], &answer["body"]),
            (&json!(200), &json!("success")),
            "{kind}"
        );
        stands(&world, &payment, "paid", 0).await;
        assert_eq!(world.events(&payment).await, events, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_only_claimed_is_asked_about() {
    let world = World::start().await;
    world.lose_notifications().await;
    let payment = world.started(1250, "page").await;
    world.payer_opens(&payment).await;
    world.stop_the_clock().await;
    // Signed by the provider, and its books say otherwise: it hears no success, and may say it again.
    for kind in ["success", "finished"] {
        let answer = world.notify(&payment, kind).await;
        assert_eq!((&answer["status"], &answer["body"]), (&json!(503), &json!("fail")), "{kind}");
        assert_eq!(world.kept().await.last().unwrap(), "waiting", "{kind}");
        assert_eq!(world.payment(&payment).await["state"], "pending", "{kind}");
    }
    assert_eq!(world.events(&payment).await, ["order.created"]);
    // Once the money has really moved, the messages that wait are read again.
    world.act(&payment, "pay").await;
    world.make_due("read_notice").await;
    world.payment_until(&payment, "succeeded").await;
    assert_eq!(world.events(&payment).await, ["order.created", "payment.succeeded", "order.paid"]);
}

/// What a process leaves that dies between keeping a message and reading it, and a provider that does not repeat it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_was_kept_and_never_read_is_read_after_a_start() {
    let mut world = World::start().await;
    world.lose_notifications().await;
    let payment = world.started(1250, "page").await;
    world.payer_opens(&payment).await;
    world.stop_the_clock().await;
    for _ in 0..3 {
        assert_eq!(world.notify(&payment, "success").await["body"], "fail", "it is not paid yet");
    }
    world.idle().await;
    world.write("DELETE FROM jobs WHERE kind = 'read_notice'").await;
    world.write("UPDATE notifications SET state = 'received', reason = NULL, signed = 0").await;
    world.act(&payment, "pay").await;
    // They may be in the hands of another gateway that lives.
    world.restart().await;
    world.idle().await;
    assert_eq!(world.kept().await, ["received"; 3]);
    assert_eq!(world.payment(&payment).await["state"], "pending");
    world.write("UPDATE notifications SET received_at = received_at - 601000000").await;
    world.restart().await;
    world.payment_until(&payment, "succeeded").await;
    world.idle().await;
    // Those that came to one question together were all applied by it.
    let kept = world.kept().await;
    assert!(kept.iter().all(|state| state == "applied" || state == "duplicate"), "{kept:?}");
    assert!(kept.contains(&"applied".to_owned()), "{kept:?}");
    assert_eq!(world.events(&payment).await, ["order.created", "payment.succeeded", "order.paid"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_word_may_be_that_it_is_finished() {
    let world = World::start().await;
    world.lose_notifications().await;
    let payment = world.started(1250, "page").await;
    world.payer_pays(&payment).await;
    world.act(&payment, "finish").await;
    let answer = world.notify(&payment, "truth").await;
    assert!(text(&answer, "message").contains("TRADE_FINISHED"), "{answer}");
    assert_eq!(answer["body"], "success");
    stands(&world, &payment, "paid", 0).await;
    assert_eq!(world.events(&payment).await, ["order.created", "payment.succeeded", "order.paid"]);
}

/// A refund is told as another notice of the paid trade: never a second payment, and at the end the word for closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_of_a_refund_is_no_second_payment_and_no_closing() {
    let world = World::start().await;
    let payment = world.paid(1250).await;
    world.lose_notifications().await;
    world.refund(&payment, "R-1", 250).await.ok();
    let before = world.events(&payment).await;
    let answer = world.notify(&payment, "refund_notice").await;
    assert!(text(&answer, "message").contains("TRADE_SUCCESS"), "{answer}");
    assert!(text(&answer, "message").contains("refund_fee=2.50"), "{answer}");
    assert_eq!(answer["body"], "success");
    stands(&world, &payment, "partially_refunded", 250).await;
    assert_eq!(world.events(&payment).await, before);

    world.refund(&payment, "R-2", 1000).await.ok();
    let before = world.events(&payment).await;
    let answer = world.notify(&payment, "refund_notice").await;
    assert!(text(&answer, "message").contains("TRADE_CLOSED"), "{answer}");
    assert_eq!(answer["body"], "success");
    stands(&world, &payment, "refunded", 1250).await;
    assert_eq!(world.events(&payment).await, before);
}

/// Nobody told us of the payment, and the first notice is that of a refund: the payment is learnt from it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_notice_before_the_payments_own() {
    let world = World::start().await;
    world.lose_notifications().await;
    let payment = world.started(1250, "page").await;
    world.payer_pays(&payment).await;
    let given_back = json!({ "set": {
        "trade_status": "TRADE_SUCCESS", "refund_fee": "2.50", "gmt_refund": "2026-11-22 10:00:00.000",
    }});
    let answer = world.notify_with(&payment, "truth", given_back).await;
    assert_eq!(answer["body"], "success");
    // Nobody here asked for that refund: it was made at the provider.
    stands(&world, &payment, "partially_refunded", 250).await;
    world.notify(&payment, "duplicate").await;
    let wanted = [
        "order.created",
        "payment.succeeded",
        "order.paid",
        "order.partially_refunded",
        "refund.succeeded",
    ];
    assert_eq!(world.events(&payment).await, wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_bytes_in_subject_and_description_go_there_and_back() {
    let world = World::start().await;
    world.account().await;
    for (subject, description) in [
        ("绿茶 100% + 🍵", Some("a+b %2B %25 é")),
        ("100%25", Some("%")),
        (" lead and trail ", None),
        ("\"quoted\" \\ 'and' <b>", Some("\u{1F469}\u{200D}\u{1F33E}")),
        ("a/b=c&d", Some("x=1&y=2/3")),
        ("龘靐齉 ﷽", Some("ÿ\u{00A0}")),
    ] {
        let body = json!({
            "number": tollgate_tests::shop::number("odd"), "amount": 1250, "currency": "CNY",
            "subject": subject, "description": description,
        });
        let order = world.post("/v1/orders", body).await.ok();
        let method = if description.is_some() { "page" } else { "qr" };
        let payment = world.pay(&order, method).await;
        world.payer_pays(&payment).await;
        world.payment_until(&payment, "succeeded").await;
        world.acknowledged(&payment).await;
        let read = world.order_of(&order).await;
        assert_eq!(
            (&read["subject"], &read["description"]),
            (&json!(subject), &json!(description))
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn success_is_said_once_it_is_written() {
    let world = World::start().await;
    world.lose_notifications().await;
    let payment = world.started(1250, "page").await;
    world.payer_pays(&payment).await;
    let answer = world.notify(&payment, "truth").await;
    // No waiting here: the row was there before the word.
    let rows = world.select("SELECT state FROM payments").await;
    let events = world.select("SELECT kind FROM events ORDER BY id").await;
    assert_eq!((answer["body"].as_str(), rows), (Some("success"), vec!["succeeded".to_owned()]));
    assert_eq!(events, ["order.created", "payment.succeeded", "order.paid"]);
    let answers = answer["answers"].as_array().unwrap();
    assert_eq!((answers.len(), &answers[0]["status"]), (1, &json!(200)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notices_about_other_things_are_taken_and_change_nothing() {
    let world = World::start().await;
    let payment = world.paid(1250).await;
    world.lose_notifications().await;
    world.stop_the_clock().await;
    let before = world.dump().await;
    let other = json!({ "set": { "notify_type": "servicemarket_order_notify" } });
    let answer = world.notify_with(&payment, "truth", other).await;
    assert_eq!((&answer["status"], &answer["body"]), (&json!(200), &json!("success")));
    let after = world.dump().await;
    assert_eq!(before.changed(&after).into_iter().collect::<Vec<_>>(), ["notifications"]);
}
