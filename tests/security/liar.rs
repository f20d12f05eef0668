//! A component that says what is not true: no amount but ours is ever paid, and what it calls authoritative is a hint
//! where the host saw no signature.

use serde_json::{Value, json};
use tollgate_tests::reply::text;
use tollgate_tests::world::World;

use crate::stage::{self, Echo};

const FORM: &str = "application/x-www-form-urlencoded";

async fn started() -> (World, tempfile::TempDir, Echo, Value, Value) {
    let (world, plugins) = stage::world(&["liar"]).await;
    let echo = Echo::start().await;
    let account = stage::account(&world, "liar", &echo.url, json!({})).await;
    let payment = stage::pay(&world, &account, "page").await;
    assert_eq!(payment["state"], "pending", "{payment}");
    (world, plugins, echo, account, payment)
}

async fn is_not_paid(world: &World, payment: &Value) {
    let now = world.payment(payment).await;
    assert_ne!(now["state"], "succeeded", "{now}");
    assert_eq!(now["taken"], 0, "{now}");
    let order = world.order_of(payment).await;
    assert_eq!(
        (order["state"].as_str(), order["paid"].as_i64()),
        (Some("open"), Some(0)),
        "{order}"
    );
    let kinds = world.events(payment).await;
    assert!(
        !kinds.iter().any(|kind| kind == "order.paid" || kind == "payment.succeeded"),
        "{kinds:?}"
    );
}

#[tokio::test]
async fn an_answer_with_another_amount_pays_nothing() {
    let (world, _plugins, echo, _, payment) = started().await;
    let asked = echo.heard().len();
    for _ in 0..3 {
        world.sync(&payment).await;
        is_not_paid(&world, &payment).await;
    }
    assert!(echo.heard().len() > asked, "nobody was asked");
}

#[tokio::test]
async fn a_notice_without_a_signature_is_a_hint_whatever_the_plugin_says() {
    let (world, _plugins, echo, account, payment) = started().await;
    for amount in [1250, 1251, 1, 0] {
        let asked = echo.heard().len();
        let body = format!("payment_ref={}&amount={amount}", text(&payment, "reference"));
        let reply = world.post_form(text(&account, "notify_url"), FORM, &body).await;
        assert_ne!(reply.status, 500, "{}", reply.text);
        is_not_paid(&world, &payment).await;
        // The right amount is a reason to ask the provider, and no more than that.
        assert!(amount != 1250 || echo.heard().len() > asked, "nobody was asked");
    }
    assert!(!world.kept().await.contains(&"applied".to_owned()), "{:?}", world.kept().await);
}
