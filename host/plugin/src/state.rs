//! What the host holds for one call: handles, counters, the audit and the log. It lives as long as the call.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use wasmtime::component::ResourceTable;

use crate::contract::{Level, logging_import, types_import};
use crate::deny_wasi::{DenyWasi, WasiView};
use crate::keys::{KeyUse, MissingKey};
use crate::limits::{Ledger, Limits};
use crate::plain::Plain;

/// A line that a plugin wrote to the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// How much it matters, as the plugin sees it.
    pub level: Level,
    /// The text, without control characters.
    pub message: String,
}

/// The store's data.
pub(crate) struct CallState {
    pub limits: Arc<Limits>,
    pub ledger: Ledger,
    pub table: ResourceTable,
    pub now_ms: i64,
    pub nonce: String,
    pub audit: Vec<KeyUse>,
    pub logs: Vec<LogLine>,
    pub missing: Option<MissingKey>,
    /// When the call last got on with its bill.
    pub progress: Instant,
    /// Time that the keys themselves took.
    pub in_keys: Duration,
    /// Bytes that its keys have covered.
    pub signed_bytes: Cell<usize>,
    signatures: u32,
    verifications: u32,
    log_bytes: usize,
    rows: u64,
    wasi: Option<Box<DenyWasi>>,
}

impl CallState {
    pub fn new(limits: &Arc<Limits>, now_ms: i64, nonce: &str) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        Self {
            limits: Arc::clone(limits),
            ledger: Ledger::new(limits),
            table,
            now_ms,
            nonce: nonce.to_owned(),
            audit: Vec::new(),
            logs: Vec::new(),
            missing: None,
            progress: Instant::now(),
            in_keys: Duration::ZERO,
            signed_bytes: Cell::new(0),
            signatures: 0,
            verifications: 0,
            log_bytes: 0,
            rows: 0,
            wasi: None,
        }
    }

    /// The deny-all WASI of this call, made when a component first asks for it: most never do.
    pub fn wasi(&mut self) -> WasiView<'_> {
        let Self { table, wasi, now_ms, nonce, .. } = self;
        let wasi = wasi.get_or_insert_with(|| Box::new(DenyWasi::new(*now_ms, nonce)));
        WasiView { table, wasi }
    }

    /// What a component wrote to its standard error, if anything.
    pub fn stderr(&self) -> String {
        self.wasi.as_ref().map_or_else(String::new, |w| w.stderr())
    }

    pub fn count_signature(&mut self) -> wasmtime::Result<()> {
        self.signatures += 1;
        within(self.signatures <= self.limits.signatures, "signatures")
    }

    pub fn count_verification(&mut self) -> wasmtime::Result<()> {
        self.verifications += 1;
        within(self.verifications <= self.limits.verifications, "verifications")
    }

    pub fn count_rows(&mut self, rows: u64) -> wasmtime::Result<()> {
        self.rows = self.rows.saturating_add(rows);
        within(self.rows <= self.limits.bill_rows, "bill rows")
    }
}

/// A host function's error is a trap: the call ends there.
fn within(held: bool, what: &str) -> wasmtime::Result<()> {
    if held { Ok(()) } else { Err(wasmtime::Error::msg(format!("too many {what} in one call"))) }
}

impl types_import::Host for CallState {}

impl logging_import::Host for CallState {
    fn log(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        self.log_bytes = self.log_bytes.saturating_add(message.len());
        let lines = u32::try_from(self.logs.len()).unwrap_or(u32::MAX);
        within(lines < self.limits.log_lines, "log lines")?;
        within(self.log_bytes <= self.limits.log_bytes, "log bytes")?;
        self.logs.push(LogLine { level, message: message.plain() });
        Ok(())
    }
}
