//! PayPal: approval and capture, webhooks, tokens, refunds and its transaction report.

mod bill;
mod disputes;
mod payments;
mod refunds;
mod vectors;
mod webhooks;

use serde_json::Value;
use tollgate_tests::{Setup, World};

use crate::stage;

/// How these tests pay.
pub const METHOD: &str = "wallet";

/// A gateway beside PayPal, with an account and a webhook.
pub async fn world() -> World {
    let world = World::with(Setup { provider: "paypal", call_ms: 2_000, ..Setup::default() }).await;
    world.account().await;
    world
}

/// An order that its payer has approved, while the gateway heard nothing of it.
pub async fn approved_in_silence(world: &World) -> Value {
    world.lose_notifications().await;
    let payment = world.pay(&world.order(1250).await, METHOD).await;
    world.payer_pays(&payment).await;
    world.stop_the_clock().await;
    payment
}

/// One that was approved, told, captured and believed.
pub async fn paid(world: &World) -> Value {
    stage::paid(world, METHOD).await
}
