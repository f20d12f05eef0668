//! Stripe: its products, events, refunds, currencies and bill.

mod bill;
mod events;
mod keys;
mod payments;
mod refunds;
mod slow;
mod vectors;

use serde_json::Value;
use tollgate_tests::{Setup, World};

use crate::stage;

/// How these tests pay.
pub const METHOD: &str = "checkout";

/// A gateway beside Stripe, with an account and an endpoint.
pub async fn world() -> World {
    let world = World::with(Setup { provider: "stripe", call_ms: 2_000, ..Setup::default() }).await;
    world.account().await;
    world
}

/// An order that its payer has paid, while the gateway heard nothing of it.
pub async fn paid_in_silence(world: &World) -> Value {
    stage::paid_in_silence(world, METHOD).await
}

/// One that was paid, told and believed.
pub async fn paid(world: &World) -> Value {
    stage::paid(world, METHOD).await
}
