//! Events: which are believed, which refused, and what Stripe hears.

use serde_json::{Value, json};
use tollgate_tests::reply::text;

use super::{paid, paid_in_silence, world};
use crate::stage;

/// A wrong key, no header, an old scheme alone, a stale and a future time, and a body that was written anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_signed_as_agreed_is_refused() {
    let world = world().await;
    let payment = paid_in_silence(&world).await;
    for (kind, more, reason) in [
        ("forge", json!({}), "v1"),
        ("unsigned", json!({}), "missing"),
        ("only_v0", json!({}), "v1"),
        ("stale", json!({ "value": "301" }), "300 s"),
        ("stale", json!({ "value": "-310" }), "300 s"),
        ("stale", json!({ "value": "-86400" }), "300 s"),
        ("rewritten", json!({}), "v1"),
    ] {
        stage::refused(&world, &payment, kind, &more, reason).await;
    }
    assert_eq!(world.calls(&payment, "query").await, 0, "nobody asks because of a forgery");
    assert_eq!(world.notify(&payment, "truth").await["status"], 200);
    assert_eq!(world.payment(&payment).await["state"], "succeeded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_byte_breaks_the_signature() {
    let world = world().await;
    let payment = paid_in_silence(&world).await;
    let mut draft = world.draft(&payment, "truth").await;
    let honest = text(&draft, "message").to_owned();
    draft["message"] = json!(honest.replace("1250", "1251"));
    assert_eq!(world.deliver(&draft).await.status, 400);
    draft["message"] = json!(honest);
    assert_eq!(world.deliver(&draft).await.status, 200);
    world.payment_until(&payment, "succeeded").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_too_large_is_read_by_nobody() {
    let world = world().await;
    let payment = paid_in_silence(&world).await;
    stage::refuses_what_is_too_large(&world, &payment).await;
}

/// Signed by Stripe, of another mode, amount or currency.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_signed_but_disagrees_pays_nothing() {
    let world = world().await;
    let payment = paid_in_silence(&world).await;
    for (kind, more, reason) in [
        ("live", json!({}), "mode"),
        ("wrong_amount", json!({ "value": "1" }), "amount"),
        ("wrong_amount", json!({}), "amount"),
        ("wrong_currency", json!({}), ""),
    ] {
        stage::refused(&world, &payment, kind, &more, reason).await;
    }
}

/// While a secret is rolled, events bear two signatures, and accounts hold two secrets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_several_signatures_and_secrets_is_enough() {
    let world = super::world().await;
    let payment = paid_in_silence(&world).await;
    assert_eq!(world.notify(&payment, "rolled").await["status"], 200);
    world.payment_until(&payment, "succeeded").await;

    let mut two = world.credentials("account");
    let own = two["secrets"]["webhook-secret"].clone();
    two["secrets"]["webhook-secret"] = json!(["whsec_of_the_endpoint_to_come_0001", own]);
    two["name"] = json!("two secrets");
    let account = world.post("/v1/accounts", two).await.ok();
    let url = json!({ "url": account["notify_url"] });
    world.control("special/endpoint", url).await;
    let order = world.order(1250).await;
    let path = format!("/v1/orders/{}/payments", text(&order, "id"));
    let body = json!({ "account_id": account["id"], "method": "checkout", "surface": "desktop" });
    let payment = world.post(&path, body).await.ok();
    world.payer_pays(&payment).await;
    let mut draft = world.draft(&payment, "truth").await;
    draft["url"] = account["notify_url"].clone();
    assert_eq!(world.deliver(&draft).await.status, 200);
    world.payment_until(&payment, "succeeded").await;
}

/// What we have no use for is taken all the same, or Stripe ends the endpoint.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_events_are_taken_and_change_nothing() {
    let world = world().await;
    let payment = paid_in_silence(&world).await;
    for kind in ["unknown", "thin"] {
        assert_eq!(world.notify(&payment, kind).await["status"], 200, "{kind}");
        assert_eq!(world.payment(&payment).await["state"], "pending", "{kind}");
    }
}

/// Two events tell of one payment, each over and over, and pictures of the past come last: nothing goes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_again_and_out_of_order_change_nothing_more() {
    let world = world().await;
    let payment = paid(&world).await;
    world.acknowledged(&payment).await;
    stage::told_often(&world, &payment, 20).await;
    for kind in ["unpaid", "payment_failed", "expired"] {
        let heard = world.notify(&payment, kind).await;
        assert!(heard["status"].as_u64().unwrap() < 500, "{kind}: {heard}");
        assert_eq!(world.payment(&payment).await["state"], "succeeded", "{kind}");
    }
    let events = world.events(&payment).await;
    assert_eq!(events, ["order.created", "payment.succeeded", "order.paid"]);
}

/// A card that was refused is no end: the payer may try another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_card_leaves_the_payment_open() {
    let world = world().await;
    world.lose_notifications().await;
    let payment = world.pay(&world.order(1250).await, "checkout").await;
    world.stop_the_clock().await;
    assert_eq!(world.notify(&payment, "payment_failed").await["status"], 200);
    assert_eq!(world.payment(&payment).await["state"], "pending");
    // "Complete" and unpaid: a slow method has not said anything yet.
    assert_eq!(world.notify(&payment, "unpaid").await["status"], 200);
    assert_eq!(world.payment(&payment).await["state"], "pending");
}

/// Other integrations use the account as well, and put what they like where our reference stands: all of it is taken, whatever
/// its words and currencies are, and nobody is troubled with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_somebody_elses_on_the_account_is_taken_and_troubles_nobody() {
    let world = world().await;
    let payment = paid(&world).await;
    world.refund(&payment, "R-1", 250).await.ok();
    let before = world.events(&payment).await;
    let theirs = json!({ "client_reference_id": "ORDER-77", "/metadata/payment": "ORDER-77" });
    let with = |more: Value| {
        let mut set = theirs.clone();
        set.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "set": set })
    };
    for (kind, more) in [
        ("success", with(json!({}))),
        ("success", with(json!({ "currency": "aed" }))),
        // In our shape, and said once: a session of ours says it twice.
        ("success", json!({ "set": { "client_reference_id": "TNOBODYSPAYMENTATALL0001" } })),
        ("expired", with(json!({}))),
        ("payment_failed", with(json!({ "status": "succeeded", "currency": "ils" }))),
        ("refund_notice", with(json!({ "payment_intent": "pi_somebodys" }))),
        ("refund_notice", with(json!({ "payment_intent": "pi_somebodys", "currency": "php" }))),
        ("dispute", json!({ "set": { "payment_intent": "pi_somebodys" } })),
        ("dispute", json!({ "set": { "payment_intent": "pi_somebodys", "currency": "try" } })),
        ("dispute", json!({ "set": { "payment_intent": "pi_somebodys", "status": "new" } })),
    ] {
        let answer = world.notify_with(&payment, kind, more.clone()).await;
        assert_eq!(answer["status"], 200, "{kind} {more}: {answer}");
    }
    let cases = world.get("/v1/cases?state=open").await.ok();
    assert_eq!(cases["data"], json!([]), "{cases}");
    assert_eq!(world.get("/v1/disputes").await.ok()["data"], json!([]));
    assert_eq!(world.get("/v1/orders").await.ok()["data"].as_array().unwrap().len(), 1);
    assert_eq!(world.events(&payment).await, before);
}

/// What bears a reference of our shape that we do not know, or contests a payment of ours in a word that we do not know, is for
/// people.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_be_ours_and_is_not_understood_is_a_case() {
    let world = world().await;
    let payment = paid(&world).await;
    let lost = "TPAYMENTTHATWASLOST00001";
    let both = json!({ "client_reference_id": lost, "/metadata/payment": lost });
    for (kind, set, case) in
        [("success", both, "unknown_payment"), ("dispute", json!({ "status": "new" }), "mismatch")]
    {
        let answer = world.notify_with(&payment, kind, json!({ "set": set })).await;
        assert_eq!(answer["status"], 400, "{kind}: {answer}");
        let open = world.get("/v1/cases?state=open").await.ok();
        let kinds = open["data"].as_array().unwrap().iter().map(|one| text(one, "kind"));
        assert!(kinds.clone().any(|kind| kind == case), "{kind}: {open}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dispute_is_told_of_the_payment_that_it_contests() {
    let world = world().await;
    let payment = paid(&world).await;
    world.act(&payment, "dispute").await;
    tollgate_tests::until("the dispute", async || {
        let list = world.get("/v1/disputes").await.ok();
        let found = list["data"].as_array().unwrap().first().cloned();
        found.filter(|dispute| dispute["payment_id"] == payment["id"])
    })
    .await;
}
