//! The same short life of a payment at each provider: what the rest of the system takes for granted of all of them.

use serde_json::{Value, json};
use tollgate_tests::reply::text;
use tollgate_tests::{Setup, World};

/// The providers that the simulator plays; each has a plugin.
const PROVIDERS: [&str; 5] = ["alipay", "wechatpay", "unionpay", "stripe", "paypal"];

/// The first method of an account that suits a computer.
fn method(account: &Value) -> String {
    let methods = account["methods"].as_array().unwrap();
    let fits = |method: &&Value| {
        method["surfaces"].as_array().unwrap().iter().any(|surface| surface == "desktop")
    };
    text(methods.iter().find(fits).unwrap(), "id").to_owned()
}

async fn lives(provider: &'static str) {
    let world = World::with(Setup { provider, ..Setup::default() }).await;
    let account = world.account().await;
    let day = world.days_ago(3).await;
    let (first, second) = (world.order(1200).await, world.order(4500).await);
    let method = method(&account);
    let payment = world.pay(&first, &method).await;
    assert_ne!(payment["action"]["kind"], "none", "{payment}");
    world.payer_pays(&payment).await;
    let paid = world.payment_until(&payment, "succeeded").await;
    assert_eq!(paid["provider_reference"], world.trade(&payment).await["provider_reference"]);

    world.lose_notifications().await;
    let unheard = world.pay(&second, &method).await;
    world.payer_pays(&unheard).await;
    world.sync(&unheard).await.ok();
    world.payment_until(&unheard, "succeeded").await;

    let refund = world.refund(&payment, "R1", 500).await.ok();
    world.refund_until(&refund, "succeeded").await;
    assert_eq!(world.order_of(&first).await["state"], "partially_refunded");

    let edit = json!({ "op": "drop_row", "reference": unheard["reference"] });
    world.control("bill-edits", edit).await;
    let done = world.reconcile(&account, &day).await;
    let found = world.discrepancies(&done).await;
    let sums = (&done["matched"], &done["discrepancies"]);
    assert_eq!(sums, (&json!(2), &json!(1)), "{done}: {found:?}");
    assert_eq!(found[0]["kind"], "missing_there", "{found:?}");
}

#[tokio::test]
async fn alipay_takes_gives_back_and_reconciles() {
    lives("alipay").await;
}

#[tokio::test]
async fn wechat_pay_takes_gives_back_and_reconciles() {
    lives("wechatpay").await;
}

#[tokio::test]
async fn stripe_takes_gives_back_and_reconciles() {
    lives("stripe").await;
}

#[tokio::test]
async fn unionpay_takes_gives_back_and_reconciles() {
    lives("unionpay").await;
}

#[tokio::test]
async fn paypal_takes_gives_back_and_reconciles() {
    lives("paypal").await;
}

/// As many items, as long texts and as much time as an order may have: providers take less, and are told less.
#[tokio::test]
async fn the_largest_order_is_payable_everywhere() {
    for provider in PROVIDERS {
        let world = World::with(Setup { provider, ..Setup::default() }).await;
        let account = world.account().await;
        let item = json!({ "name": "茶".repeat(100), "price": 10, "quantity": 1 });
        let body = json!({
            "number": "L-1", "amount": 5_000, "currency": world.credentials("currency"),
            "subject": "茶".repeat(256), "description": "茶".repeat(1_024),
            "items": vec![item; 500], "expires_in_s": 30 * 86_400,
        });
        let order = world.post("/v1/orders", body).await.ok();
        let payment = world.pay(&order, &method(&account)).await;
        assert_eq!(payment["state"], "pending", "{provider}: {payment}");
        // Nobody shows a page of the provider's that has ended there.
        let ends: jiff::Timestamp = text(&payment["action"], "expires_at").parse().unwrap();
        let month: jiff::Timestamp = text(&order, "expires_at").parse().unwrap();
        let least = if provider == "unionpay" { 0 } else { 14 };
        let days = month.duration_since(ends).as_hours() / 24;
        assert!(days >= least, "{provider}: {days} days before the order");
        world.payer_pays(&payment).await;
        world.payment_until(&payment, "succeeded").await;
    }
}

/// Anybody can post to a provider's address of ours: what has more pairs than any provider sends is refused by their number,
/// before each of them costs something.
#[tokio::test]
async fn a_message_of_too_many_pairs_is_refused_by_their_number() {
    let form = "application/x-www-form-urlencoded";
    let body: String = (0..150_000).map(|at| format!("{at:x}=&")).collect();
    assert!((900_000..1 << 20).contains(&body.len()), "{}", body.len());
    for provider in ["alipay", "unionpay"] {
        let world = World::with(Setup { provider, ..Setup::default() }).await;
        let account = world.account().await;
        let reply = world.post_form(text(&account, "notify_url"), form, &body).await;
        assert_eq!(reply.status, 400, "{provider}: {}", reply.text);
        let reason = world.reason().await;
        assert!(reason.contains("more than 256 pairs"), "{provider}: {reason}");
    }
}

#[tokio::test]
async fn the_simulator_plays_each_of_them() {
    let world = World::start().await;
    let played: Vec<Value> =
        world.simulator.providers().iter().map(|provider| provider["plugin"].clone()).collect();
    assert_eq!(played, PROVIDERS);
}
