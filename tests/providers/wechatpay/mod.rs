//! WeChat Pay: its products, messages, replies, keys and bill. The rows that tests name are those of its known traps.

mod bill;
mod keys;
mod messages;
mod products;
mod replies;
mod vectors;

use serde_json::Value;
use tollgate_tests::{Setup, World};

use crate::stage;

/// How these tests pay.
pub const METHOD: &str = "native";

/// A gateway beside WeChat Pay, with an account in public-key mode.
pub async fn world() -> World {
    with(Setup::default()).await
}

/// One that differs.
pub async fn with(setup: Setup) -> World {
    let world = World::with(Setup { provider: "wechatpay", ..setup }).await;
    world.account().await;
    world
}

/// An order that its payer has paid, while the gateway heard nothing of it.
pub async fn paid_in_silence(world: &World) -> Value {
    stage::paid_in_silence(world, METHOD).await
}
