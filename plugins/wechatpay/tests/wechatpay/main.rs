//! WeChat Pay's plugin, native: published vectors byte for byte, and every mapping by table. Keys are in memory.
#![allow(clippy::unwrap_used, clippy::result_large_err)]

mod bills;
mod manifest;
mod notices;
mod pay;
mod queries;
mod refunds;
mod support;
mod vectors;
