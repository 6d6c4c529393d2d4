//! Accounts, looked up once.

use std::ffi::c_char;

use hoopauth_core::binding::HandleBinding as _;
use hoopauth_core::{AccountHandle, Client, Result};

use crate::handle::{Handle, Shared, free, share};
use crate::lent::{Text, lend_some};
use crate::ready::Cell;
use crate::ready::hoopauth_headers_t;

/// One account of a client, looked up once: its headers cost least this way.
///
/// Where a function takes an account, NULL means the client's default one (option
/// `default_account`). An account belongs to the client it was made with and keeps what it needs of
/// it. Counted: `hoopauth_account_ref`, `hoopauth_account_free`. Any thread may use it.
pub struct hoopauth_account_t {
    pub(crate) handle: AccountHandle,
    pub(crate) cell: Cell,
    name: Text,
}

impl Handle for hoopauth_account_t {
    type Kind = Shared;
}

impl hoopauth_account_t {
    /// The account's headers, kept for the next call.
    pub(crate) fn headers(&self, method: &str) -> Result<*mut hoopauth_headers_t> {
        let version = self.handle.version();
        self.handle.headers(method).map(|headers| self.cell.keep(version, headers))
    }

    pub(crate) fn new(client: &Client, account: &str) -> Result<Self> {
        let handle = client.account(account)?;
        Ok(Self { name: Text::new(handle.account().as_str()), cell: Cell::default(), handle })
    }
}

/// The account as text, "location:<id>" or "company:<id>".
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `account`; NULL if the
/// handle is NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_account_name(
    account: *const hoopauth_account_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { lend_some(account.as_ref().map(|account| &account.name), len) }
}

/// One more reference, to be freed like the first; returns `account`, NULL if the handle is NULL.
/// Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_account_ref(
    account: *const hoopauth_account_t,
) -> *mut hoopauth_account_t {
    // SAFETY: by the contract on the header's first page.
    unsafe { share(account) }
}

/// Gives up one reference. Does nothing for NULL. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_account_free(account: *mut hoopauth_account_t) {
    // SAFETY: by the contract on the header's first page.
    unsafe { free(account) }
}
