//! Loads provider components and runs them in a sandbox: the one crate of the running gateway that names wasmtime.
//!
//! A plugin is a function from arguments to data. It sends nothing, keeps nothing and holds no key: it asks for
//! signatures by handle ([`keys`]), returns what should be sent, and [`egress`] turns that into a request only if the
//! manifest's running operation may make it. Each call has an instance of its own ([`call`]), with limits on time,
//! memory and what it asks of the host ([`limits`]). [`registry`] finds, checks and swaps the components, and
//! [`exchange`] is the record of what went over the wire, with every secret taken out.

pub mod bill;
mod cache;
pub mod call;
pub mod contract;
mod deny_wasi;
pub mod egress;
mod engine;
pub mod exchange;
mod exports;
mod health;
mod imports;
pub mod keys;
pub mod limits;
pub mod manifest;
mod pace;
pub mod permissions;
mod plain;
pub mod plugin;
pub mod redact;
pub mod registry;
mod seat;
pub mod signing;
pub mod state;
mod thread;
pub mod witness;

pub use bill::{BillSink, BillSource};
pub use cache::{CacheError, compile_child_main};
pub use call::{CallError, Called};
pub use contract::operation_name;
pub use egress::{Grant, Outgoing, Refusal, admit, admit_action, origins_of, secrets_of};
pub use exchange::{Exchange, clean_lines};
pub use health::{Health, Lane, Quarantine};
pub use keys::token::token_of;
pub use keys::{KeyError, KeyUse, Keys, MissingKey, PrivateFields};
pub use limits::Limits;
pub use permissions::permissions;
pub use plugin::Plugin;
pub use redact::Redactor;
pub use registry::{RefusedFile, Registry, RegistryConfig, RegistryError, Reloaded};
pub use state::LogLine;
pub use witness::Witness;
