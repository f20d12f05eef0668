//! The heap of a component.
//!
//! An instance serves one call and is wiped afterwards, so what a call allocates is handed out by moving a mark through
//! memory that is there from the start: nothing is searched, and giving back costs nothing. Growing the instance's
//! memory instead would make the host change page protections twice in each call. What does not fit any more (a bill
//! goes on for long) comes from the usual allocator.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, UnsafeCell};

/// The largest alignment that the first bytes serve.
const ALIGN: usize = 16;

/// `N` bytes that are handed out once, and the usual allocator behind them.
#[repr(C, align(16))]
pub struct Heap<const N: usize> {
    bytes: UnsafeCell<[u8; N]>,
    used: Cell<usize>,
}

// SAFETY: a component has one thread. Elsewhere a `Heap` cannot be shared.
#[cfg(all(target_family = "wasm", not(target_feature = "atomics")))]
unsafe impl<const N: usize> Sync for Heap<N> {}

impl<const N: usize> Heap<N> {
    /// One of which nothing is used.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self { bytes: UnsafeCell::new([0; N]), used: Cell::new(0) }
    }

    /// Where in the first bytes a block starts, if it is one of theirs.
    fn offset(&self, block: *mut u8) -> Option<usize> {
        let offset = block.addr().checked_sub(self.bytes.get().addr())?;
        (offset < N).then_some(offset)
    }

    /// Moves the mark to the end of a block of `size` bytes at `start`, if that is within the first bytes.
    fn claim(&self, start: usize, size: usize) -> Option<*mut u8> {
        let end = start.checked_add(size).filter(|end| *end <= N)?;
        self.used.set(end);
        Some(self.bytes.get().cast::<u8>().wrapping_add(start))
    }
}

// SAFETY: blocks of the first bytes lie between the mark before and after they were claimed, start at a multiple of their
// alignment (the bytes themselves start at one of `ALIGN`), and are claimed again only when the last of them was given
// back. Every other block is the usual allocator's, which the address tells.
unsafe impl<const N: usize> GlobalAlloc for Heap<N> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let start = self.used.get().next_multiple_of(layout.align());
        let claimed = if layout.align() > ALIGN { None } else { self.claim(start, layout.size()) };
        // SAFETY: the caller's promise is the same.
        claimed.unwrap_or_else(|| unsafe { System.alloc(layout) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match self.offset(block) {
            Some(start) if start + layout.size() == self.used.get() => self.used.set(start),
            Some(_) => {}
            // SAFETY: not one of ours, hence the usual allocator's.
            None => unsafe { System.dealloc(block, layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(start) = self.offset(block) else {
            // SAFETY: not one of ours, hence the usual allocator's.
            return unsafe { System.realloc(block, layout, size) };
        };
        let is_last = start + layout.size() == self.used.get();
        if (is_last && self.claim(start, size).is_some()) || size <= layout.size() {
            return block;
        }
        // SAFETY: the caller promises a size that makes a layout; both blocks are at least `layout.size()` long, and
        // the new one is another.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(block, layout.size());
            }
            moved
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    /// What somebody wrote into a block reads back until it is given back, whatever happened to other blocks.
    #[derive(Debug, Clone)]
    enum Step {
        Take(usize, usize),
        Resize(usize, usize),
        GiveBack(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (1usize..400, 0u32..6).prop_map(|(size, align)| Step::Take(size, 1 << align)),
            (any::<usize>(), 1usize..600).prop_map(|(which, size)| Step::Resize(which, size)),
            any::<usize>().prop_map(Step::GiveBack),
        ]
    }

    struct Block {
        at: *mut u8,
        layout: Layout,
        mark: u8,
    }

    fn write(block: &Block, from: usize) {
        for at in from..block.layout.size() {
            // SAFETY: the block is that long.
            unsafe { block.at.add(at).write(block.mark) };
        }
    }

    fn holds(block: &Block, length: usize) -> bool {
        // SAFETY: the block is that long, and was written.
        (0..length).all(|at| unsafe { block.at.add(at).read() } == block.mark)
    }

    proptest! {
        #[test]
        fn blocks_never_overlap(steps in prop::collection::vec(step(), 1..80)) {
            let heap = Heap::<2048>::new();
            let mut blocks: Vec<Block> = Vec::new();
            for (at, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Take(size, align) => {
                        let layout = Layout::from_size_align(size, align).unwrap();
                        // SAFETY: the size is not zero.
                        let block = unsafe { heap.alloc(layout) };
                        prop_assert!(!block.is_null() && block.addr().is_multiple_of(align));
                        blocks.push(Block { at: block, layout, mark: at.to_le_bytes()[0] });
                        write(&blocks[blocks.len() - 1], 0);
                    }
                    Step::Resize(which, size) if !blocks.is_empty() => {
                        let which = which % blocks.len();
                        let block = &mut blocks[which];
                        let old = block.layout.size();
                        // SAFETY: the block is alive, and the size is not zero.
                        block.at = unsafe { heap.realloc(block.at, block.layout, size) };
                        block.layout = Layout::from_size_align(size, block.layout.align()).unwrap();
                        prop_assert!(block.at.addr().is_multiple_of(block.layout.align()));
                        prop_assert!(holds(block, old.min(size)));
                        write(block, old);
                    }
                    Step::GiveBack(which) if !blocks.is_empty() => {
                        let block = blocks.swap_remove(which % blocks.len());
                        prop_assert!(holds(&block, block.layout.size()));
                        // SAFETY: the block is alive, and forgotten here.
                        unsafe { heap.dealloc(block.at, block.layout) };
                    }
                    _ => {}
                }
                prop_assert!(blocks.iter().all(|block| holds(block, block.layout.size())));
            }
            for block in blocks {
                // SAFETY: the block is alive, and forgotten here.
                unsafe { heap.dealloc(block.at, block.layout) };
            }
        }
    }

    #[test]
    fn the_last_block_grows_where_it_is_and_its_room_is_used_again() {
        let heap = Heap::<64>::new();
        let layout = Layout::from_size_align(8, 1).unwrap();
        // SAFETY: sizes are not zero, and blocks are given back once.
        unsafe {
            let block = heap.alloc(layout);
            assert_eq!(heap.realloc(block, layout, 64), block);
            heap.dealloc(block, Layout::from_size_align(64, 1).unwrap());
            assert_eq!(heap.alloc(layout), block);
        }
    }
}
