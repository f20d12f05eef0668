//! What an author of a provider plugin in Rust uses: the contract's types, and the few things that every provider
//! needs in the same way. Plugin logic is written against the traits here (`Keyring`, `BillSource`, `BillSink`), so
//! that the same code runs as a component, in native tests and in a benchmark.

// The contract's fault is a record, and each call returns at most one.
#![allow(clippy::result_large_err)]

pub mod bills;
#[allow(unsafe_code, missing_docs, clippy::all)]
// Generated: crossing the component boundary reads and writes linear memory by address. Nothing is written here by hand.
pub mod bindings {
    //! Bindings made from `wit/provider.wit`.
    wit_bindgen::generate!({
        world: "provider-plugin",
        path: "../../wit",
        pub_export_macro: true,
        generate_unused_types: true,
        default_bindings_module: "tollgate_sdk::bindings",
        additional_derives: [Clone, PartialEq],
    });
}
pub mod canonical;
pub mod china_time;
pub mod context;
pub mod decimal;
pub mod facts;
pub mod fault;
pub mod form;
#[cfg(not(target_family = "wasm"))]
pub mod harness;
pub mod headers;
pub mod heap;
pub mod json_slice;
pub mod keys;
pub mod lines;
pub mod manifest;
pub mod text;
pub mod utc_time;

/// The heap of every component. Its first bytes fit into two pages of memory beside the stack and 40 KiB of constants.
#[cfg(target_family = "wasm")]
#[global_allocator]
static HEAP: heap::Heap<{ 20 * 1024 }> = heap::Heap::new();

/// Exports a plugin's component: `tollgate_sdk::export!(Plugin);`, for WebAssembly only.
pub use bindings::export;
/// The interfaces that a plugin implements.
pub mod contract {
    pub use crate::bindings::exports::tollgate::provider::{bills, notices, provider, requests};
    pub use crate::bindings::tollgate::provider::{bill_io, logging, signing, types};
}
pub use keys::Keyring;
