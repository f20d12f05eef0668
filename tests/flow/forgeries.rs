//! Messages that must not be believed. What nobody signed changes no row but the kept message; what somebody signed who
//! holds the provider's key, and what does not agree with our records, is told to the merchant as well.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tollgate_tests::reply::text;
use tollgate_tests::{Dump, World};

/// Tables that differ now.
async fn changed(world: &World, before: &Dump) -> BTreeSet<String> {
    let after = world.dump().await;
    before.changed(&after).into_iter().map(str::to_owned).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// An order that its payer has paid, while the gateway heard nothing of it: whoever is believed now moves money.
async fn paid_in_silence(world: &World) -> Value {
    world.lose_notifications().await;
    let payment = world.started(1250, "page").await;
    world.payer_pays(&payment).await;
    world.stop_the_clock().await;
    payment
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_signed_as_agreed_changes_nothing_but_the_kept_message() {
    let world = World::start().await;
    let payment = paid_in_silence(&world).await;
    for (kind, more, reason) in [
        ("forge", json!({}), "signature"),
        ("unsigned", json!({}), "signature"),
        // The algorithm is ours to choose, not the sender's: these verify under RSA2 and name another.
        ("sign_type_rsa", json!({}), "sign_type"),
        ("truth", json!({ "set": { "sign_type": "MD5" } }), "sign_type"),
        ("truth", json!({ "set": { "sign_type": "" } }), "sign_type"),
        ("truth", json!({ "remove": ["sign_type"] }), "sign_type"),
        // Signed over a text with `sign_type` in it, as another version of the protocol does.
        ("v2", json!({}), "signature"),
        ("duplicate_field", json!({}), "total_amount"),
        ("truth", json!({ "set": { "version": "2.0" } }), "version"),
        ("truth", json!({ "set": { "charset": "gbk" } }), "charset"),
        ("truth", json!({ "remove": ["app_id"] }), "app_id"),
        ("truth", json!({ "remove": ["seller_id"] }), "seller_id"),
        ("truth", json!({ "remove": ["notify_id"] }), "notify_id"),
        ("truth", json!({ "remove": ["out_trade_no"] }), "out_trade_no"),
        ("truth", json!({ "set": { "total_amount": "12.505" } }), "total_amount"),
        ("truth", json!({ "set": { "total_amount": "1e3" } }), "total_amount"),
    ] {
        let before = world.dump().await;
        let answer = world.notify_with(&payment, kind, more.clone()).await;
        assert_eq!(
            (&answer["status"], &answer["body"]),
            (&json!(400), &json!("fail")),
            "{kind} {more}"
        );
        assert_eq!(changed(&world, &before).await, set(&["notifications"]), "{kind} {more}");
        assert_eq!(world.kept().await.last().unwrap(), "rejected", "{kind} {more}");
        let told = world.reason().await;
        assert!(told.contains(reason), "{kind} {more}: {told}");
    }
    assert_eq!(world.calls(&payment, "query").await, 0, "nobody asks because of a forgery");
    assert_eq!(world.payment(&payment).await["state"], "pending");
    // The honest one is heard all the same.
    assert_eq!(world.notify(&payment, "truth").await["body"], "success");
    assert_eq!(world.payment(&payment).await["state"], "succeeded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_signed_but_not_ours_is_refused_and_told() {
    let world = World::start().await;
    let payment = paid_in_silence(&world).await;
    for (kind, more, field) in [
        ("other_app", json!({}), "app_id"),
        ("other_seller", json!({}), "seller_id"),
        ("wrong_amount", json!({ "value": "0.01" }), "amount"),
        ("wrong_amount", json!({}), "amount"),
        ("wrong_amount", json!({ "value": "1250.00" }), "amount"),
    ] {
        let before = world.dump().await;
        let answer = world.notify_with(&payment, kind, more.clone()).await;
        assert_eq!(
            (&answer["status"], &answer["body"]),
            (&json!(400), &json!("fail")),
            "{kind} {more}"
        );
        // An event is one more of its order: its counter moves, and nothing else of the order does.
        let tables = set(&["cases", "events", "notifications", "orders"]);
        assert_eq!(changed(&world, &before).await, tables, "{kind} {more}");
        // Said again, it is the same case, and nobody is told again.
        let before = world.dump().await;
        world.notify_with(&payment, kind, more.clone()).await;
        assert_eq!(changed(&world, &before).await, set(&["notifications"]), "{kind} {more}");
        let order = world.order_of(&payment).await;
        assert_eq!((&order["state"], &order["paid"]), (&json!("open"), &json!(0)), "{kind} {more}");
        let list = format!("/v1/events?order_id={}", text(&payment, "order_id"));
        let list = world.get(&list).await.ok();
        let event = list["data"].as_array().unwrap().last().unwrap();
        assert_eq!(
            (&event["kind"], &event["data"]["field"]),
            (&json!("notification.mismatch"), &json!(field))
        );
    }
    assert_eq!(world.calls(&payment, "query").await, 0);
    assert_eq!(world.payment(&payment).await["state"], "pending");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_counts_at_the_address_that_it_was_meant_for() {
    let world = World::start().await;
    let payment = paid_in_silence(&world).await;
    let mut other = world.credentials("account");
    other["name"] = json!("another account of the same shop");
    let other = world.post("/v1/accounts", other).await.ok();
    world.stop_the_clock().await;
    let before = world.dump().await;
    // Signed, true, and sent to an account that has no such payment.
    let elsewhere = json!({ "notify_url": other["notify_url"] });
    let answer = world.notify_with(&payment, "truth", elsewhere).await;
    assert_eq!((&answer["status"], &answer["body"]), (&json!(400), &json!("fail")));
    assert_eq!(changed(&world, &before).await, set(&["notifications"]));
    // To an account that is not there at all: nobody could even keep it.
    let before = world.dump().await;
    let nowhere = format!("{}/notify/acc_{}", world.url, "0".repeat(32));
    let answer = world.notify_with(&payment, "truth", json!({ "notify_url": nowhere })).await;
    assert_eq!(answer["status"], 404);
    assert_eq!(changed(&world, &before).await, set(&[]));
}

/// A return is signed with the same key over the same kind of text. It says nothing of the state of a trade, so it
/// must not pass for a notification; nor a notification for a return.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_return_is_no_notification_and_a_notification_no_return() {
    let world = World::start().await;
    world.lose_notifications().await;
    let payment = world.started(1250, "page").await;
    let paid = world.payer_pays(&payment).await;
    world.stop_the_clock().await;
    let account = world.get("/v1/accounts").await.ok()["data"][0].clone();
    let kind = "application/x-www-form-urlencoded; text/html; charset=utf-8";
    let (return_to, signed) = text(&paid, "return_to").split_once('?').unwrap();
    let before = world.dump().await;
    let answer = world.post_form(text(&account, "notify_url"), kind, signed).await;
    assert_eq!((answer.status, answer.text.as_str()), (400, "fail"));
    assert_eq!(changed(&world, &before).await, set(&["notifications"]));

    let notification = world.draft(&payment, "truth").await;
    let before = world.dump().await;
    let place = format!("{return_to}?{}", text(&notification, "message"));
    let answer = world.client.get(place).send().await.unwrap();
    assert_eq!(answer.status(), 303, "a browser is sent to the cashier whatever it brings");
    assert_eq!(changed(&world, &before).await, set(&["notifications"]));
    assert_eq!(world.calls(&payment, "query").await, 0);

    // A return that somebody bent on its way.
    for bent in [signed.replace("12.50", "0.01"), signed.replace("sign=", "sign=AA"), String::new()]
    {
        let before = world.dump().await;
        let answer = world.client.get(format!("{return_to}?{bent}")).send().await.unwrap();
        assert_eq!(answer.status(), 303);
        assert_eq!(changed(&world, &before).await, set(&["notifications"]), "{bent}");
    }
    assert_eq!(world.payment(&payment).await["state"], "pending");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_no_message_are_kept_and_refused() {
    let world = World::start().await;
    let payment = paid_in_silence(&world).await;
    let draft = world.draft(&payment, "truth").await;
    let (url, form, form_kind) =
        (text(&draft, "url"), text(&draft, "message"), text(&draft, "content_type"));
    let rows = [
        ("", form_kind),
        ("a", form_kind),
        ("%", form_kind),
        ("out_trade_no=%ff%fe", form_kind),
        ("{\"out_trade_no\":\"1\"}", "application/json"),
        // The honest form under a type that is none of a form's.
        (form, "application/json"),
        (form, "text/plain"),
    ];
    for (body, kind) in rows {
        let before = world.dump().await;
        let answer = world.post_form(url, kind, body).await;
        assert_eq!((answer.status, answer.text.as_str()), (400, "fail"), "{kind} {body}");
        assert_eq!(changed(&world, &before).await, set(&["notifications"]), "{kind} {body}");
    }
    let kept = "SELECT body FROM notifications WHERE length(body) > 0 ORDER BY received_at, id";
    let kept = world.select_bytes(kept).await;
    let sent: [&[u8]; 2] = [b"a", b"{\"out_trade_no\":\"1\"}"];
    assert_eq!([&kept[0][..], &kept[3][..]], sent, "raw bytes are kept");
    let large = "x".repeat((1 << 20) + 1);
    world.post_form(url, form_kind, &large).await.refused(413, "body-too-large");
    // As the provider really writes its type: with a parameter that no strict reader takes.
    assert_eq!(world.post_form(url, form_kind, form).await.text, "success");
    assert_eq!(world.payment(&payment).await["state"], "succeeded");
}
