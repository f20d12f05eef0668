//! UnionPay: its products, messages, codes and settlement file. The rows that tests name are those of its known traps.

mod bill;
mod chains;
mod codes;
mod encryption;
mod messages;
mod products;
mod vectors;

use serde_json::Value;
use tollgate_tests::{Setup, World};

use crate::stage;

/// How these tests pay.
pub const METHOD: &str = "page";

/// A gateway beside UnionPay, with an account.
pub async fn world() -> World {
    let setup = Setup { provider: "unionpay", call_ms: 2_000, ..Setup::default() };
    let world = World::with(setup).await;
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
