//! Headers handles, which are handed out for less than an allocation.
//!
//! A handle is an address whose low bits say what is there: a counted snapshot of the core's (found
//! by name), a counted [`Ready`] (kept by an account), or a box (with a `Version` of its own).
//! Nothing of it is copied per call.
//!
//! The simple version clones the snapshot's `Arc` for each call. Read from a place that others
//! write to, such a clone takes 188 instructions by handle where this takes 120, and 150 are
//! promised (`docs/architecture.md` has the figures).

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};

use hoopauth_core::binding::{HandleBinding as _, HeadersBinding as _, Snapshot, with_nuls};
use hoopauth_core::{AccountHandle, Headers};

/// The headers for one request: `Authorization`, `Version`, `User-Agent`, and `Content-Type` where
/// the method carries a body.
///
/// The caller owns it and frees it with `hoopauth_headers_free`; it may outlive its client. Its
/// texts live as long as it does. Any thread may read it.
pub struct hoopauth_headers_t(());

/// The headers of one account, counted here so that many references can be paid for at once.
#[repr(align(8))]
pub(crate) struct Ready {
    references: AtomicUsize,
    /// Version of the account's slot when the snapshot stood there.
    version: u64,
    snapshot: Arc<Snapshot>,
}

impl Ready {
    /// # Safety
    /// `ready` is live, and the caller gives up `count` of its references.
    #[inline]
    unsafe fn release(ready: *const Self, count: usize) {
        // SAFETY: the caller holds a reference.
        if unsafe { &*ready }.references.fetch_sub(count, Ordering::Release) == count {
            fence(Ordering::Acquire);
            // SAFETY: a box made it, and this was the last reference.
            drop(unsafe { Box::from_raw(ready.cast_mut()) });
        }
    }
}

/// Place where an account keeps the headers that it handed out last. The upper bits of the word
/// count how many references were taken of those paid for in advance, so that one atomic addition
/// gives both the address and a reference to what is there.
#[derive(Default)]
pub(crate) struct Cell {
    word: AtomicU64,
}

impl Cell {
    /// Returns the kept headers if everybody still gets them.
    #[inline]
    pub(crate) fn take(
        &self,
        handle: &AccountHandle,
        content_type: bool,
    ) -> Option<*mut hoopauth_headers_t> {
        if !FITS {
            return None;
        }
        let word = self.word.fetch_add(ONE, Ordering::Acquire);
        let ready = ready_at(word);
        if ready.is_null() {
            // Counts beside no address mean nothing.
            return None;
        }
        if word >= TOP_UP {
            self.top_up(ready);
        }
        // SAFETY: the addition took a reference.
        let current = unsafe { &*ready };
        if handle.is_current(current.version, &current.snapshot) {
            return Some(tagged(ready.cast(), KEPT | usize::from(content_type)));
        }
        // SAFETY: that reference is given back.
        unsafe { Ready::release(ready, 1) };
        None
    }

    /// Keeps new headers, found when the account's slot had that version, and answers a handle of
    /// them.
    pub(crate) fn keep(&self, version: u64, headers: Headers) -> *mut hoopauth_headers_t {
        let (snapshot, content_type, other_version) = headers.into_parts();
        if other_version.is_some() || !FITS {
            return give(Headers::from_parts(snapshot, content_type, other_version));
        }
        let references = AtomicUsize::new(PAID.saturating_add(1));
        let ready: *const Ready = Box::into_raw(Box::new(Ready { references, version, snapshot }));
        let address = ready.expose_provenance() as u64;
        if address & !ADDRESS == 0 {
            self.replace(address);
        } else {
            // An address with marks of the system's in its upper bits is not kept: nothing was paid
            // for then. SAFETY: these are the references that the cell would have had.
            unsafe { Ready::release(ready, PAID) };
        }
        tagged(ready.cast(), KEPT | usize::from(content_type))
    }

    fn replace(&self, new: u64) {
        let old = self.word.swap(new, Ordering::AcqRel);
        let ready = ready_at(old);
        if !ready.is_null() {
            // SAFETY: what was paid for and not taken is the cell's to give up.
            unsafe { Ready::release(ready, PAID.saturating_sub(taken(old))) };
        }
    }

    /// Pays for what was taken, so that the count never overflows. The caller holds a reference.
    #[cold]
    fn top_up(&self, ready: *const Ready) {
        loop {
            let word = self.word.load(Ordering::Relaxed);
            if ready_at(word) != ready || word < TOP_UP {
                return;
            }
            // SAFETY: the caller's reference keeps it.
            let references = unsafe { &(*ready).references };
            references.fetch_add(taken(word), Ordering::Relaxed);
            if self
                .word
                .compare_exchange(word, word & ADDRESS, Ordering::Release, Ordering::Relaxed)
                .is_ok()
            {
                return;
            }
            references.fetch_sub(taken(word), Ordering::Relaxed);
        }
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        self.replace(0);
    }
}

/// A handle of headers that no account keeps.
#[inline]
pub(crate) fn give(headers: Headers) -> *mut hoopauth_headers_t {
    match headers.into_parts() {
        (snapshot, content_type, None) => found(snapshot, content_type),
        (snapshot, content_type, version) => {
            give_own(Headers::from_parts(snapshot, content_type, version))
        }
    }
}

/// A handle of a snapshot alone.
#[inline]
pub(crate) fn found(snapshot: Arc<Snapshot>, content_type: bool) -> *mut hoopauth_headers_t {
    tagged(Arc::into_raw(snapshot).cast(), FOUND | usize::from(content_type))
}

#[cold]
#[inline(never)]
fn give_own(headers: Headers) -> *mut hoopauth_headers_t {
    tagged(Box::into_raw(Box::new(headers)).cast_const().cast(), OWN)
}

/// # Safety
/// `handle` is one of ours and is not used again.
#[inline]
pub(crate) unsafe fn free(handle: *mut hoopauth_headers_t) {
    let (address, tag) = parts(handle);
    // SAFETY: the tag says what it is, and the caller gives it up.
    unsafe {
        match tag & KIND {
            KEPT => Ready::release(address.cast(), 1),
            FOUND => drop(Arc::from_raw(address.cast::<Snapshot>())),
            _ => drop(Box::from_raw(address.cast::<Headers>().cast_mut())),
        }
    }
}

/// Names and values of a handle's headers, each with a NUL behind it.
///
/// # Safety
/// `handle` is one of ours and live for as long as the answer is used.
pub(crate) unsafe fn texts<'a>(
    handle: *const hoopauth_headers_t,
) -> [Option<(&'static str, &'a str)>; 4] {
    let (address, tag) = parts(handle);
    let content_type = tag & CONTENT_TYPE != 0;
    // SAFETY: the tag says what it is.
    unsafe {
        match tag & KIND {
            KEPT => with_nuls(&(*address.cast::<Ready>()).snapshot, content_type, None),
            FOUND => with_nuls(&*address.cast::<Snapshot>(), content_type, None),
            _ => (*address.cast::<Headers>()).with_nuls(),
        }
    }
}

/// The same headers as the core has them.
///
/// # Safety
/// `handle` is one of ours and live.
pub(crate) unsafe fn headers(handle: *const hoopauth_headers_t) -> Headers {
    let (address, tag) = parts(handle);
    let content_type = tag & CONTENT_TYPE != 0;
    // SAFETY: the tag says what it is; the count goes up before another owner is made.
    unsafe {
        let snapshot = match tag & KIND {
            KEPT => Arc::clone(&(*address.cast::<Ready>()).snapshot),
            FOUND => {
                Arc::increment_strong_count(address.cast::<Snapshot>());
                Arc::from_raw(address.cast::<Snapshot>())
            }
            _ => return (*address.cast::<Headers>()).clone(),
        };
        Headers::from_parts(snapshot, content_type, None)
    }
}

#[inline]
fn tagged(address: *const c_void, tag: usize) -> *mut hoopauth_headers_t {
    address.map_addr(|address| address | tag).cast_mut().cast()
}

#[inline]
fn parts(handle: *const hoopauth_headers_t) -> (*const c_void, usize) {
    let tag = handle.addr() & TAG;
    (handle.cast::<c_void>().map_addr(|address| address & !TAG), tag)
}

#[inline]
#[allow(clippy::cast_possible_truncation, reason = "used only where a pointer fits")]
fn ready_at(word: u64) -> *const Ready {
    ptr::with_exposed_provenance((word & ADDRESS) as usize)
}

#[allow(clippy::cast_possible_truncation, reason = "16 bits")]
fn taken(word: u64) -> usize {
    (word >> COUNT) as usize
}

const _: () = assert!(align_of::<Snapshot>() > TAG || cfg!(not(target_pointer_width = "64")));
const _: () = assert!(align_of::<Headers>() > TAG || cfg!(not(target_pointer_width = "64")));
const TAG: usize = 7;
const CONTENT_TYPE: usize = 1;
const KIND: usize = 6;
const FOUND: usize = 0;
const KEPT: usize = 2;
const OWN: usize = 4;

/// Addresses of a process have at most 48 bits where it does not ask for more.
const FITS: bool =
    cfg!(all(target_pointer_width = "64", any(target_arch = "x86_64", target_arch = "aarch64")));
const COUNT: u32 = 48;
const ONE: u64 = 1 << COUNT;
const ADDRESS: u64 = ONE - 1;
/// References paid for in advance: more than can be taken.
const PAID: usize = 0x1_0000;
/// Taken so often, the count is paid for and set back: long before it overflows, whatever number of
/// threads is in between.
const TOP_UP: u64 = 0x4000 << COUNT;
