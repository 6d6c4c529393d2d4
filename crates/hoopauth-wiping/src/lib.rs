//! Memory that is overwritten before it is given back to the system.
//!
//! Secrets are wiped where this project keeps them. But HTTP, TLS and JSON libraries keep copies of
//! the data that passes through them, in buffers that they free as they are: a core file of the
//! process would show tokens long after their client is gone. In the C library and in the Python
//! module, all of them allocate here.
//!
//! An allocator belongs to the library that is loaded: each of the two names [`Wiping`] as its
//! `#[global_allocator]`. The crate `hoopauth` does not, so that Rust programs choose their own.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;

/// The system's allocator, except that it fills a block with zeros before it frees the block.
#[derive(Debug)]
pub struct Wiping;

// SAFETY: every block comes from the system's allocator with the layout that it goes back with.
// `realloc` is the trait's own: it makes a new block, copies, and gives the old one back here.
unsafe impl GlobalAlloc for Wiping {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block is of this size, and nobody uses it any more.
        unsafe { block.write_bytes(0, layout.size()) };
        // Otherwise the compiler would see that nobody reads what was written.
        black_box(block);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(block, layout) }
    }
}
