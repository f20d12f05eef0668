//! Refunds that the merchant made at the provider, without us: known by a sum, by name or by a bill, and once.

use serde_json::{Value, json};
use tollgate_tests::World;
use tollgate_tests::puppet::Puppet;
use tollgate_tests::reply::text;

async fn refunds(world: &World, payment: &Value) -> Vec<Value> {
    let path = format!("/v1/refunds?payment_id={}", text(payment, "id"));
    let mut all = world.get(&path).await.ok()["data"].as_array().unwrap().clone();
    all.reverse();
    all
}

async fn there(world: &World, payment: &Value, amount: &str, number: &str) {
    let path = format!("trades/{}/refunds", text(payment, "reference"));
    world.control(&path, json!({ "amount": amount, "reference": number })).await;
}

/// Alipay tells of it by the sum in its next notice, and then by the bill's row, which has a name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_and_the_bill_tell_of_one_refund() {
    let world = World::start().await;
    let account = world.account().await;
    let payment = world.pay(&world.order(1000).await, "page").await;
    world.payer_pays(&payment).await;
    world.payment_until(&payment, "succeeded").await;
    there(&world, &payment, "2.50", "CONSOLE-1").await;
    world.order_until(&payment, "partially_refunded").await;
    world.acknowledged(&payment).await;
    let all = refunds(&world, &payment).await;
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!((&all[0]["origin"], &all[0]["amount"]), (&json!("provider"), &json!(250)));
    world.refund(&payment, "R-1", 751).await.refused(409, "refund-exceeds-payment");
    let day = world.today().await;
    for _ in 0..2 {
        let done = world.reconcile(&account, &day).await;
        assert_eq!(world.discrepancies(&done).await, [] as [Value; 0]);
    }
    let all = refunds(&world, &payment).await;
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(all[0]["provider_reference"], "CONSOLE-1");
    assert!(all[0]["reconciled"].is_object(), "{all:?}");
    assert_eq!(world.order_of(&payment).await["reconciled"], true);
    let kinds = world.events(&payment).await;
    assert_eq!(kinds.iter().filter(|kind| *kind == "refund.succeeded").count(), 1, "{kinds:?}");
}

/// Nobody told of them: the bill has two, beside one of ours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bill_alone_tells_of_refunds() {
    let world = World::start().await;
    let account = world.account().await;
    let payment = world.pay(&world.order(1000).await, "page").await;
    world.payer_pays(&payment).await;
    world.payment_until(&payment, "succeeded").await;
    world.lose_notifications().await;
    there(&world, &payment, "1.00", "CONSOLE-1").await;
    world.refund(&payment, "R-1", 300).await.ok();
    there(&world, &payment, "2.00", "CONSOLE-2").await;
    let done = world.reconcile(&account, &world.today().await).await;
    assert_eq!(world.discrepancies(&done).await, [] as [Value; 0]);
    let now = world.payment(&payment).await;
    assert_eq!((&now["refunded"], &now["refund_reserved"]), (&json!(600), &json!(0)), "{now}");
    // And the notice that comes last has the sum of all three.
    let told = world.notify(&payment, "refund_notice").await;
    assert_eq!(told["body"], "success");
    assert_eq!(refunds(&world, &payment).await.len(), 3);
    assert_eq!(world.payment(&payment).await["refunded"], 600);
}

/// A sum of two, of which the bill then names each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sum_of_several_is_taken_apart_by_their_names() {
    let puppet = Puppet::start().await;
    let payment = puppet.paid(1000).await;
    puppet.answers("query-payment", "status=succeeded&refunded=500");
    puppet.world.sync(&payment).await.ok();
    assert_eq!(refunds(&puppet.world, &payment).await.len(), 1);
    for (name, amount) in [("X-1", 200), ("X-2", 300)] {
        let news = format!("about=refund&status=succeeded&refund_ref={name}&amount={amount}");
        for _ in 0..2 {
            assert_eq!(puppet.says(&payment, &news).await.status, 200, "{name}");
        }
    }
    let all = refunds(&puppet.world, &payment).await;
    let amounts: i64 = all.iter().map(|refund| refund["amount"].as_i64().unwrap()).sum();
    assert_eq!((all.len(), amounts), (2, 500), "{all:?}");
    let now = puppet.world.payment(&payment).await;
    assert_eq!(now["refunded"], 500, "{now}");
    puppet.world.sync(&payment).await.ok();
    assert_eq!(refunds(&puppet.world, &payment).await.len(), 2);
}

/// While one of ours is open, more given back may be that one: it is asked about, and nothing is called another's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_be_ours_is_not_called_anothers() {
    let puppet = Puppet::start().await;
    let payment = puppet.paid(1000).await;
    let refund = puppet.world.refund(&payment, "R-1", 400).await.ok();
    assert_eq!(refund["state"], "unknown", "the provider did not answer: {refund}");
    puppet.answers("query-payment", "status=succeeded&refunded=500");
    puppet.world.sync(&payment).await.ok();
    assert_eq!(refunds(&puppet.world, &payment).await.len(), 1);
    puppet.answers("query-refund", "status=succeeded");
    puppet.world.make_due("query_refund").await;
    puppet.world.refund_until(&refund, "succeeded").await;
    puppet.world.idle().await;
    let all = refunds(&puppet.world, &payment).await;
    assert_eq!(all.len(), 2, "{all:?}");
    assert_eq!((&all[1]["origin"], &all[1]["amount"]), (&json!("provider"), &json!(100)));
    let now = puppet.world.payment(&payment).await;
    assert_eq!((&now["refunded"], &now["refund_reserved"]), (&json!(500), &json!(0)), "{now}");
}

/// What went back beyond what came in is shown and told, and is in no sum.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_was_taken_is_a_conflict() {
    let puppet = Puppet::start().await;
    let payment = puppet.paid(1000).await;
    puppet.answers("refund", "status=succeeded");
    puppet.world.refund(&payment, "R-1", 800).await.ok();
    let news = "about=refund&status=succeeded&refund_ref=X-1&amount=300";
    for _ in 0..2 {
        assert_eq!(puppet.says(&payment, news).await.status, 200);
    }
    let all = refunds(&puppet.world, &payment).await;
    assert_eq!(all.len(), 2, "{all:?}");
    assert_eq!(all[1]["exceeds_payment"], true, "{all:?}");
    let now = puppet.world.payment(&payment).await;
    assert_eq!(now["refunded"], 800, "{now}");
    let kinds = puppet.world.events(&payment).await;
    assert_eq!(kinds.iter().filter(|kind| *kind == "refund.conflict").count(), 1, "{kinds:?}");
}

/// A signed message says that money went back, and the provider says otherwise when asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_outranks_what_a_message_says_was_given_back() {
    let puppet = Puppet::start().await;
    let payment = puppet.paid(1000).await;
    puppet.answers("query-payment", "status=succeeded&refunded=0");
    let lie = "status=succeeded&amount=1000&refunded=700";
    assert_eq!(puppet.says(&payment, lie).await.status, 200);
    assert!(refunds(&puppet.world, &payment).await.is_empty());
    assert_eq!(puppet.world.order_of(&payment).await["state"], "paid");
}

/// The answer to a question counts a refund that has failed by the time it is written down.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sum_that_is_out_of_date_books_nothing() {
    let puppet = Puppet::start().await;
    let payment = puppet.paid(1000).await;
    puppet.answers("refund", "status=pending");
    puppet.answers("query-refund", "status=pending");
    let refund = puppet.world.refund(&payment, "R-1", 600).await.ok();
    puppet.answers("query-payment", "status=succeeded&refunded=600");
    let (gate, before) = (puppet.holds("query-payment"), puppet.asked("query-payment"));
    let question = puppet.world.sync(&payment);
    let meanwhile = async {
        while puppet.asked("query-payment") == before {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let failed =
            format!("about=refund&status=failed&refund_ref={}", text(&refund, "reference"));
        puppet.answers("query-refund", "status=failed");
        puppet.says(&payment, &failed).await;
        puppet.world.refund_until(&refund, "failed").await;
        puppet.answers("query-payment", "status=succeeded&refunded=0");
        gate.notify_one();
    };
    let (asked, ()) = tokio::join!(question, meanwhile);
    assert_eq!(asked.ok()["state"], "succeeded");
    let all = refunds(&puppet.world, &payment).await;
    assert_eq!(all.len(), 1, "{all:?}");
    let now = puppet.world.payment(&payment).await;
    assert_eq!((&now["refunded"], &now["refund_reserved"]), (&json!(0), &json!(0)), "{now}");
    assert_eq!(puppet.asked("query-payment"), before + 2, "it was asked again");
}
