//! The locations that a company installed the app in.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

use hoopauth_core::{InstalledLocation, MintProgress, MintSummary};

use crate::account::hoopauth_account_t;
use crate::argument::{Filled, fill};
use crate::client::{account_or_default, hoopauth_client_t, within};
use crate::context::hoopauth_context_t;
use crate::error::hoopauth_error_t;
use crate::guard::{call, make};
use crate::handle::{Handle, Owned, free, held};
use crate::lent::{Text, lend_some};
use crate::status::hoopauth_status_t;

/// The locations of a company, as the platform lists them. The caller owns it and frees it with
/// `hoopauth_installed_locations_free`. Any thread may read it.
pub struct hoopauth_installed_locations_t(Vec<Location>);

struct Location {
    account: Text,
    name: Option<Text>,
    installed: bool,
}

impl Handle for hoopauth_installed_locations_t {
    type Kind = Owned;
}

impl Location {
    fn new(location: &InstalledLocation) -> Self {
        Self {
            account: Text::new(location.account.as_str()),
            name: location.name.as_deref().map(Text::new),
            installed: location.installed,
        }
    }
}

/// Progress of `hoopauth_client_mint_all`. It belongs to the library, and is valid until the
/// callback returns.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct hoopauth_mint_progress_t {
    /// The size that this struct has in the library.
    pub struct_size: usize,
    /// The location that was just looked at, "location:<id>".
    pub account: *const c_char,
    /// Length of the account in bytes.
    pub account_len: usize,
    /// Error of the account if it could not be minted, else NULL.
    pub error: *const hoopauth_error_t,
    /// Locations whose grant was minted so far.
    pub minted: u64,
    /// Locations that had a live grant already.
    pub kept: u64,
    /// Locations that could not be minted.
    pub failed: u64,
}

/// Result of `hoopauth_client_mint_all`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct hoopauth_mint_summary_t {
    /// `sizeof(hoopauth_mint_summary_t)`, set by the caller.
    pub struct_size: usize,
    /// Locations whose grant was minted.
    pub minted: u64,
    /// Locations that had a live grant already.
    pub kept: u64,
    /// Locations that could not be minted.
    pub failed: u64,
}

// SAFETY: `repr(C)`, size first.
unsafe impl Filled for hoopauth_mint_summary_t {
    const LEAST: usize = size_of::<usize>() + 3 * size_of::<u64>();
}

/// Callbacks that are told of each location; 0 ends the minting. See "Callbacks" on the first page.
pub type hoopauth_mint_callback_t = Option<
    unsafe extern "C" fn(user_data: *mut c_void, progress: *const hoopauth_mint_progress_t) -> i32,
>;

/// All locations that `company` (NULL: the default account) installed the app in, page by page
/// until the end.
///
/// `*out` is the caller's to free. Errors: `HOOPAUTH_INVALID_ARGUMENT` for an account that is not a
/// company, `HOOPAUTH_NO_GRANT`, `HOOPAUTH_INVALID_STATE` without OAuth, and those of a request.
/// Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_client_installed_locations(
    client: *const hoopauth_client_t,
    company: *const hoopauth_account_t,
    context: *const hoopauth_context_t,
    out: *mut *mut hoopauth_installed_locations_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        make(out, err, || {
            let client = held(client, "client")?;
            let client = &client.0;
            let company = account_or_default(client, company)?;
            let locations =
                within(client, context, move |client| client.installed_locations(&company))?;
            Ok(hoopauth_installed_locations_t(locations.iter().map(Location::new).collect()))
        })
    }
}

/// Returns the number of locations in the list; 0 for NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_installed_locations_count(
    locations: *const hoopauth_installed_locations_t,
) -> usize {
    // SAFETY: by the contract on the header's first page.
    unsafe { locations.as_ref() }.map_or(0, |locations| locations.0.len())
}

/// One location of the list, "location:<id>", by its number from 0.
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `locations`; NULL for
/// NULL and for a number that is not below `hoopauth_installed_locations_count`. Any thread. Since
/// 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_installed_locations_account(
    locations: *const hoopauth_installed_locations_t,
    index: usize,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { lend_some(location(locations, index).map(|location| &location.account), len) }
}

/// The name of one location of the list, by its number from 0.
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `locations`, or NULL
/// if there is none. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_installed_locations_name(
    locations: *const hoopauth_installed_locations_t,
    index: usize,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        lend_some(location(locations, index).and_then(|location| location.name.as_ref()), len)
    }
}

/// Returns true if the app is installed in one location of the list, by its number from 0; false
/// if there is none. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_installed_locations_is_installed(
    locations: *const hoopauth_installed_locations_t,
    index: usize,
) -> bool {
    // SAFETY: by the contract on the header's first page.
    unsafe { location(locations, index) }.is_some_and(|location| location.installed)
}

/// Frees a list of locations. Does nothing for NULL. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_installed_locations_free(
    locations: *mut hoopauth_installed_locations_t,
) {
    // SAFETY: by the contract on the header's first page.
    unsafe { free(locations) }
}

/// Mints a grant for each location that `company` (NULL: the default account) installed the app in
/// and that has none. Begun again after a break, it goes on where it was.
///
/// `progress`, if not NULL, is called after each location, one call at a time and never after this
/// function returned; where it returns 0, the minting ends, and that is no error. `summary` may be
/// NULL; else its `struct_size` must be set. Locations that fail are counted and the others minted
/// all the same. Errors: `HOOPAUTH_INVALID_ARGUMENT` for an account that is not a company,
/// `HOOPAUTH_NO_GRANT`, `HOOPAUTH_INVALID_STATE` without OAuth, and those of a request. Any thread.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_client_mint_all(
    client: *const hoopauth_client_t,
    company: *const hoopauth_account_t,
    progress: hoopauth_mint_callback_t,
    user_data: *mut c_void,
    context: *const hoopauth_context_t,
    summary: *mut hoopauth_mint_summary_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            let client = held(client, "client")?;
            let client = &client.0;
            let company = account_or_default(client, company)?;
            tell_summary(summary, MintSummary::default())?;
            let host = Arc::new(Mutex::new(Some(Host { progress, user_data })));
            let there = Arc::clone(&host);
            let done = within(client, context, move |client| {
                client.mint_all(&company, |progress| tell(&there, progress))
            });
            // Where the context ended it goes on without its caller, who is not to be called any
            // more, until the next location.
            host.lock().unwrap_or_else(PoisonError::into_inner).take();
            tell_summary(summary, done?)
        })
    }
}

/// # Safety
/// `locations` is NULL or live for as long as the answer is used.
unsafe fn location<'a>(
    locations: *const hoopauth_installed_locations_t,
    index: usize,
) -> Option<&'a Location> {
    // SAFETY: the caller says so.
    unsafe { locations.as_ref() }.and_then(|locations| locations.0.get(index))
}

/// # Safety
/// As for [`fill`].
unsafe fn tell_summary(
    out: *mut hoopauth_mint_summary_t,
    summary: MintSummary,
) -> hoopauth_core::Result<()> {
    if out.is_null() {
        return Ok(());
    }
    let MintSummary { minted, kept, failed, .. } = summary;
    // SAFETY: the caller says so.
    unsafe {
        fill("summary", out, &hoopauth_mint_summary_t { struct_size: 0, minted, kept, failed })
    }
}

/// The callback of a call, for as long as its caller is there.
struct Host {
    progress: hoopauth_mint_callback_t,
    user_data: *mut c_void,
}

// SAFETY: the contract says that callbacks come from any thread.
unsafe impl Send for Host {}

/// Returns `true` if minting shall go on.
fn tell(host: &Mutex<Option<Host>>, progress: &MintProgress) -> bool {
    let host = host.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(host) = &*host else { return false };
    let Some(callback) = host.progress else { return true };
    let account = Text::new(progress.account.as_str());
    let error = progress.error.clone().map(hoopauth_error_t::new);
    let mut account_len = 0;
    // SAFETY: the host's function, with what lives until it returns.
    unsafe {
        let lent = hoopauth_mint_progress_t {
            struct_size: size_of::<hoopauth_mint_progress_t>(),
            account: account.lend(&raw mut account_len),
            account_len,
            error: error.as_ref().map_or(ptr::null(), ptr::from_ref),
            minted: progress.summary.minted,
            kept: progress.summary.kept,
            failed: progress.summary.failed,
        };
        callback(host.user_data, &raw const lent) != 0
    }
}
