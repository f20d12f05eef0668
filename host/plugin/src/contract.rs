//! The plugin contract as Rust types: bindings made from `wit/provider.wit`, and its records by name.
//!
//! The records can be written and read with serde, because exchanges are recorded and operations outlive a process
//! as rows. Only the two handle resources and the two bill resources are the host's own types.

#[allow(missing_docs)]
mod bound {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "provider-plugin",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "tollgate:provider/signing.key": crate::signing::KeyHandle,
            "tollgate:provider/signing.keyring": crate::signing::KeyringHandle,
            "tollgate:provider/bill-io.bill-source": crate::bill::SourceHandle,
            "tollgate:provider/bill-io.bill-sink": crate::bill::SinkHandle,
        },
        additional_derives: [serde::Serialize, serde::Deserialize, PartialEq],
    });
}

pub(crate) use bound::tollgate::provider::{
    bill_io as bill_io_import, logging as logging_import, signing as signing_import,
    types as types_import,
};
pub(crate) use bound::{ProviderPlugin, ProviderPluginPre};

pub use bound::exports::tollgate::provider::bills::{Summary, Total};
pub use bound::exports::tollgate::provider::notices::{Authority, Event, Reading, Reply, Verdict};
pub use bound::exports::tollgate::provider::provider::{
    Ability, BillKind, Call, Currency, Egress, Input, Manifest, Method, Origin, Slot, Token, Trust,
};
pub use bound::exports::tollgate::provider::requests::{
    Address, BillContent, BillFile, BillReport, CaptureRequest, CompleteRequest, FetchedKey, Item,
    KeyRequest, NextAction, Operation, Outcome, PageForm, PayRequest, Progress, RefundRequest,
    Report, Step,
};
pub use bound::tollgate::provider::bill_io::{BillRow, RowKind, RowStatus};
pub use bound::tollgate::provider::logging::Level;
pub use bound::tollgate::provider::signing::{Part, Piece, SigningError};
pub use bound::tollgate::provider::types::{
    BillRequest, Body, Channel, Context, Dispute, DisputeNews, Fact, Fault, Fields, HttpRequest,
    HttpResponse, Inbound, Money, Payment, PaymentStatus, Refund, RefundNews, RefundStatus,
    SecretRef, Subject, Value,
};

/// What the names of the contract's interfaces start with.
pub(crate) const PACKAGE: &str = "tollgate:provider/";
/// The version behind those names.
pub(crate) const VERSION: &str = "1.0.0";

/// The contract's name of an operation, as `manifest.operations` writes it.
pub fn operation_name(operation: &Operation) -> &'static str {
    match operation {
        Operation::Pay(_) => "pay",
        Operation::Complete(_) => "complete",
        Operation::Capture(_) => "capture",
        Operation::QueryPayment(_) => "query-payment",
        Operation::Close(_) => "close",
        Operation::Refund(_) => "refund",
        Operation::QueryRefund(_) => "query-refund",
        Operation::QueryDispute(_) => "query-dispute",
        Operation::Bill(_) => "bill",
        Operation::FetchKeys(_) => "fetch-keys",
    }
}

/// What a reading of a message may ask: the one name in `manifest.operations` that is no operation of `requests`.
pub const NOTICE: &str = "notice";
