//! What one call of a plugin may use, and the limiter that counts memory and tables over the whole store.

use std::time::Duration;

use wasmtime::ResourceLimiter;

/// Budgets of one call. A call that exceeds one is stopped; the plugin's next call starts with all of them again.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest component file that is read, in bytes.
    pub component_bytes: u64,
    /// Linear memory of all of the instance's memories together, in bytes.
    pub memory_bytes: usize,
    /// Elements of all of the instance's tables together.
    pub table_elements: usize,
    /// Wall clock of one call of `requests` or `notices`; of a bill, the time between two reads.
    pub call_deadline: Duration,
    /// Wall clock of `provider.describe`.
    pub describe_deadline: Duration,
    /// Wall clock of a whole bill, however much it reads.
    pub bill_wall: Duration,
    /// Bytes that one crossing may hand to the host.
    pub hostcall_bytes: usize,
    /// Handles that may be alive at once.
    pub handles: usize,
    /// Log lines of one call.
    pub log_lines: u32,
    /// Bytes of log text of one call.
    pub log_bytes: usize,
    /// Signatures, seals and derivations of one call.
    pub signatures: u32,
    /// Verifications and openings of one call.
    pub verifications: u32,
    /// Bytes that one signature, verification, seal or opening may cover.
    pub signed_bytes: usize,
    /// Bytes that all of those of one call may cover together.
    pub signed_bytes_in_all: usize,
    /// Rows and bad lines that one bill may hand over.
    pub bill_rows: u64,
    /// How long a call waits for its turn before it is refused as busy.
    pub queue_wait: Duration,
    /// Failures in a row after which a plugin's functions of that kind are quarantined.
    pub failures_to_quarantine: u32,
    /// How long the first quarantine lasts; each further one in a row doubles it, up to an hour. That of notices stays
    /// as it is, since strangers may bring it about.
    pub quarantine: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            component_bytes: 64 << 20,
            memory_bytes: 32 << 20,
            table_elements: 100_000,
            call_deadline: Duration::from_secs(1),
            describe_deadline: Duration::from_secs(1),
            bill_wall: Duration::from_secs(30 * 60),
            hostcall_bytes: 8 << 20,
            handles: 256,
            log_lines: 256,
            log_bytes: 64 << 10,
            signatures: 16,
            verifications: 64,
            signed_bytes: 4 << 20,
            signed_bytes_in_all: 16 << 20,
            bill_rows: 50_000_000,
            queue_wait: Duration::from_secs(2),
            failures_to_quarantine: 5,
            quarantine: Duration::from_secs(30),
        }
    }
}

/// Sums what the memories and tables of one store have grown to. Wasmtime asks about each memory by itself, so a
/// limit on one would let a component with many take many times as much.
#[derive(Debug)]
pub(crate) struct Ledger {
    memory: usize,
    memory_limit: usize,
    table: usize,
    table_limit: usize,
    /// True once growth was refused: a trap after it is told as want of memory.
    pub refused: bool,
}

impl Ledger {
    pub fn new(limits: &Limits) -> Self {
        Self {
            memory: 0,
            memory_limit: limits.memory_bytes,
            table: 0,
            table_limit: limits.table_elements,
            refused: false,
        }
    }

    /// Bytes of linear memory in use.
    pub fn memory(&self) -> usize {
        self.memory
    }
}

fn grow(total: &mut usize, limit: usize, current: usize, desired: usize) -> bool {
    let wanted = desired.saturating_sub(current);
    match total.checked_add(wanted) {
        Some(sum) if sum <= limit => {
            *total = sum;
            true
        }
        _ => false,
    }
}

impl ResourceLimiter for Ledger {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|m| desired > m) {
            return Ok(false);
        }
        let held = grow(&mut self.memory, self.memory_limit, current, desired);
        self.refused |= !held;
        Ok(held)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|m| desired > m) {
            return Ok(false);
        }
        let held = grow(&mut self.table, self.table_limit, current, desired);
        self.refused |= !held;
        Ok(held)
    }

    fn instances(&self) -> usize {
        64
    }

    fn tables(&self) -> usize {
        64
    }

    fn memories(&self) -> usize {
        4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_are_counted_together() {
        let mut ledger = Ledger::new(&Limits { memory_bytes: 100, ..Limits::default() });
        assert!(ledger.memory_growing(0, 60, None).unwrap());
        assert!(ledger.memory_growing(0, 40, None).unwrap());
        assert!(!ledger.refused);
        assert!(!ledger.memory_growing(40, 41, None).unwrap());
        assert!(ledger.refused);
        assert_eq!(ledger.memory(), 100);
    }

    #[test]
    fn tables_are_counted_together_and_overflow_is_refused() {
        let mut ledger = Ledger::new(&Limits { table_elements: 10, ..Limits::default() });
        assert!(ledger.table_growing(0, 10, None).unwrap());
        assert!(!ledger.table_growing(0, usize::MAX, None).unwrap());
    }

    #[test]
    fn a_memory_beyond_its_own_maximum_is_not_counted() {
        let mut ledger = Ledger::new(&Limits::default());
        assert!(!ledger.memory_growing(0, 65536, Some(1)).unwrap());
        assert!(!ledger.refused);
        assert_eq!(ledger.memory(), 0);
    }
}
