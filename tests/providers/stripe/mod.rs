//! Stripe: its products, events, refunds, currencies and bill.

mod bill;
mod events;
mod payments;
mod refunds;
mod vectors;

use serde_json::Value;
use tollgate_tests::{Setup, World};

/// A gateway beside Stripe, with an account and an endpoint.
pub async fn world() -> World {
    let world = World::with(Setup { provider: "stripe", call_ms: 2_000, ..Setup::default() }).await;
    world.account().await;
    world
}

/// An order that its payer has paid, while the gateway heard nothing of it.
pub async fn paid_in_silence(world: &World) -> Value {
    world.lose_notifications().await;
    let payment = world.pay(&world.order(1250).await, "checkout").await;
    world.payer_pays(&payment).await;
    world.stop_the_clock().await;
    payment
}

/// One that was paid, told and believed.
pub async fn paid(world: &World) -> Value {
    let payment = world.pay(&world.order(1250).await, "checkout").await;
    world.payer_pays(&payment).await;
    world.payment_until(&payment, "succeeded").await
}
