//! The memory of a component's calls. An instance lives for one call, so what a usual call allocates comes from a piece
//! of memory that is there from the start, one after the other, and is never given back: no growth, whose price is a
//! change of page protection, and no lists of free blocks. What does not fit, such as a bill, goes to the usual heap.

#![allow(unsafe_code)]
// An allocator hands out addresses; each use of `unsafe` says why the address is good.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, UnsafeCell};

/// Several times what the largest payment or notice of any provider takes.
const ROOM: usize = 192 << 10;

/// A piece of memory, then the usual heap.
pub struct Arena {
    room: UnsafeCell<[u8; ROOM]>,
    used: Cell<usize>,
}

// SAFETY: a component has one thread.
unsafe impl Sync for Arena {}

impl Arena {
    const fn new() -> Self {
        Self { room: UnsafeCell::new([0; ROOM]), used: Cell::new(0) }
    }

    fn start(&self) -> usize {
        self.room.get() as usize
    }

    fn holds(&self, address: *mut u8) -> bool {
        (self.start()..self.start() + ROOM).contains(&(address as usize))
    }

    /// Whether this block is the one that was handed out last.
    fn is_last(&self, address: *mut u8, size: usize) -> bool {
        address as usize + size == self.start() + self.used.get()
    }
}

// SAFETY: blocks of the arena are aligned, do not overlap and stay where they are; all others are the system's.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let free = self.start() + self.used.get();
        let from = free.next_multiple_of(layout.align()) - self.start();
        match from.checked_add(layout.size()) {
            Some(end) if end <= ROOM => {
                self.used.set(end);
                // SAFETY: `from` lies within the room.
                unsafe { self.room.get().cast::<u8>().add(from) }
            }
            // SAFETY: the caller's promise is passed on.
            _ => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, address: *mut u8, layout: Layout) {
        if !self.holds(address) {
            // SAFETY: what is not of the arena came from the system.
            unsafe { System.dealloc(address, layout) }
        } else if self.is_last(address, layout.size()) {
            self.used.set(address as usize - self.start());
        }
    }

    unsafe fn realloc(&self, address: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !self.holds(address) {
            // SAFETY: as above.
            return unsafe { System.realloc(address, layout, size) };
        }
        let from = address as usize - self.start();
        if self.is_last(address, layout.size()) && from + size <= ROOM {
            // The last block grows and shrinks in place.
            self.used.set(from + size);
            return address;
        }
        if size <= layout.size() {
            return address;
        }
        // SAFETY: the layout is sound because the old one was and the caller promises the size; the two blocks do not
        // overlap, and the old one holds `layout.size()` bytes.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(address, layout.size());
            }
            moved
        }
    }
}

#[global_allocator]
static ARENA: Arena = Arena::new();
