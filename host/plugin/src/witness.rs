//! For tests of secrecy: keeps the whole linear memory of each instance when it ends. Whatever crossed into a component,
//! as an argument or as a host function's answer, was written there.
//!
//! Nothing of it is in the way of the gateway: only a registry that was opened for a witness has an engine like this.

use std::cell::UnsafeCell;
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

/// The most that a memory may grow to, in bytes: reserved, and touched only as far as it is used.
const MOST: usize = 128 << 20;

/// Sees what is left in the memories of instances that have ended.
#[derive(Clone, Debug, Default)]
pub struct Witness(Arc<Mutex<Vec<Vec<u8>>>>);

impl Witness {
    /// The memories seen since it was last asked.
    pub fn take(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One memory, which tells the witness when it ends.
struct Seen {
    cells: UnsafeCell<Box<[u8]>>,
    size: usize,
    witness: Witness,
}

// SAFETY: the engine alone reads and writes the cells while the memory lives, through the address that it was given, and it
// runs an instance on one thread at a time. Here they are read in `drop` only, when nothing else can reach them.
#[allow(unsafe_code)]
unsafe impl Sync for Seen {}

// SAFETY: the box is zeroed, never moves and never shrinks, and `size` stays within it. The engine that uses it reserves
// and guards nothing (`engine::watched`), so that the code checks each access against `size`.
#[allow(unsafe_code)]
unsafe impl LinearMemory for Seen {
    fn byte_size(&self) -> usize {
        self.size
    }

    fn byte_capacity(&self) -> usize {
        MOST
    }

    fn grow_to(&mut self, new_size: usize) -> wasmtime::Result<()> {
        if new_size > MOST {
            return Err(wasmtime::Error::msg("no room for the witness"));
        }
        self.size = self.size.max(new_size);
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        // SAFETY: see above; the box itself is never replaced.
        unsafe { (*self.cells.get()).as_mut_ptr() }
    }
}

// SAFETY: each memory is a box of its own.
#[allow(unsafe_code)]
unsafe impl MemoryCreator for Witness {
    fn new_memory(
        &self,
        _ty: MemoryType,
        minimum: usize,
        _maximum: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        if minimum > MOST || reserved.is_some_and(|bytes| bytes > 0) || guard > 0 {
            return Err("the engine is not set up for a witness".to_owned());
        }
        let cells = UnsafeCell::new(vec![0; MOST].into_boxed_slice());
        Ok(Box::new(Seen { cells, size: minimum, witness: self.clone() }))
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        let seen = self.cells.get_mut()[..self.size].to_vec();
        self.witness.0.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    }
}
