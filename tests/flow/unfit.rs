//! What a payer may not be handed: the payment that nobody was told of has failed, and one that the provider was told of
//! may yet be paid.

use serde_json::json;
use tollgate_tests::puppet::Puppet;
use tollgate_tests::{Setup, World, place};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_that_never_left_has_failed_and_makes_room_for_another() {
    let folder = tempfile::tempdir().unwrap();
    for (built, file) in [(place::plugins(), "alipay.wasm"), (place::test_plugins(), "steal.wasm")]
    {
        std::fs::copy(built.join(file), folder.path().join(file)).unwrap();
    }
    let plugins = Some(folder.path().to_owned());
    let world = World::with(Setup { plugins, ..Setup::default() }).await;
    world.account().await;
    let body = json!({
        "plugin": "steal", "name": "steal", "live": false, "simulator": true,
        "origins": { "gateway": world.simulator.url },
    });
    world.post("/v1/accounts", body).await.ok();
    let order = world.order(400).await;
    // It sends nothing, and the payer to an address that nobody granted it.
    let payment = world.pay(&order, "redirect").await;
    assert_eq!(payment["state"], "failed", "{payment}");
    assert_eq!(payment["failure"]["code"], "refused", "{payment}");
    assert_eq!(payment["action"]["kind"], "none", "{payment}");
    assert_eq!(world.events(&order).await, ["order.created", "payment.failed"]);
    let other = world.pay(&order, "page").await;
    assert_eq!(other["state"], "pending", "{other}");
    world.payer_pays(&other).await;
    world.payment_until(&other, "succeeded").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_that_the_provider_has_stays_unknown() {
    let puppet = Puppet::start().await;
    puppet.answers("pay", &format!("status=pending&code={}", "x".repeat(3_000)));
    let order = puppet.world.order(1250).await;
    let payment = puppet.pay(&order).await;
    assert_eq!(payment["state"], "unknown", "{payment}");
    assert_eq!(payment["failure"]["code"], "refused", "{payment}");
    let another = puppet.world.try_pay(&order, "page").await;
    another.refused(409, "payment-open");
    puppet.succeeds(&payment).await;
}
