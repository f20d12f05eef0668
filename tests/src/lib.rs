//! What the integration tests stand on: a gateway and a simulated provider in one process, over real sockets, files and
//! components, with a verb for everything that a shop, a payer, a provider or an operator does.
//!
//! ```text
//! let world = World::start().await;
//! world.account().await;
//! let order = world.order(1250).await;
//! let payment = world.pay(&order, "page").await;
//! world.payer_pays(&payment).await;
//! world.payment_until(&payment, "succeeded").await;
//! ```
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

pub mod arguments;
pub mod call_times;
pub mod clerk;
pub mod database;
pub mod figures;
pub mod merchant;
pub mod payer;
pub mod place;
pub mod postgres;
pub mod process;
pub mod provider;
pub mod puppet;
pub mod receiver;
pub mod reply;
pub mod shim;
pub mod shop;
pub mod still;
pub mod timed_keys;
pub mod wait;
pub mod world;

pub use database::Dump;
pub use reply::Reply;
pub use still::Still;
pub use wait::until;
pub use world::{Setup, World};
