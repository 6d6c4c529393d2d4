//! The host's store.

use std::ffi::{c_char, c_void};
use std::fmt;
use std::mem::size_of;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use hoopauth_core::store::{
    Fingerprint, Key, Leased, Listed, NewRow, Priority, Row, RowStore, Slot, SlotRequest,
};
use hoopauth_core::{Error, ErrorCode, Result, Timestamp};

use crate::argument::{bytes, text};
use crate::callbacks::{Callbacks, Table, missing};
use crate::config::hoopauth_config_t;
use crate::error::hoopauth_error_t;
use crate::failure::hoopauth_failure_t;
use crate::guard::call;
use crate::handle::the_mut;
use crate::lent::Text;
use crate::status::hoopauth_status_t;

/// Key of a row: each app and account has one row. The texts end with a NUL and are valid until the
/// callback returns.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct hoopauth_row_key_t {
    /// The app: the origin of the token endpoint and the client id.
    pub app: *const c_char,
    /// Length of `app` in bytes.
    pub app_len: usize,
    /// The account, "location:<id>" or "company:<id>".
    pub account: *const c_char,
    /// Length of `account` in bytes.
    pub account_len: usize,
}

/// A row to be saved: opaque bytes, and beside them the columns by which rows are listed.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct hoopauth_new_row_t {
    /// UTF-8 text without NUL. Grants in it are sealed if the option `store_key` is set, and secret
    /// if not.
    pub bytes: *const u8,
    /// Number of bytes.
    pub bytes_len: usize,
    /// True if there is a grant; else the row is a tombstone, which must be kept.
    pub live: bool,
    /// True if a refresh is open.
    pub marked: bool,
    /// Moment at which the access token ends, in milliseconds since the Unix epoch.
    pub expires_at_ms: i64,
    /// Before this moment maintenance leaves the account alone, in milliseconds since the Unix
    /// epoch.
    pub not_before_ms: i64,
}

/// Place where `load` puts a row. It belongs to the library, and is valid until the callback
/// returns.
#[derive(Default)]
pub struct hoopauth_row_t(Option<Row>, Refused);

/// Place where `list` puts rows. It belongs to the library, and is valid until the callback
/// returns.
#[derive(Default)]
pub struct hoopauth_row_list_t(Vec<Listed>, Refused);

/// Purpose of a slot of the budget: an early refresh, which leaves the last slot of a minute to
/// others.
pub const HOOPAUTH_PRIORITY_SOFT: i32 = 0;
/// Purpose of a slot of the budget: a login, or a refresh that callers wait for.
pub const HOOPAUTH_PRIORITY_NORMAL: i32 = 1;
/// Purpose of a slot of the budget: the repeat of a request whose answer was lost. It may exceed
/// the budget, by as much again, and by 5 at least.
pub const HOOPAUTH_PRIORITY_RECOVERY: i32 = 2;

/// A store of the host's own. See "Callbacks" on the first page.
///
/// `load`, `save` and `list` make a store. Without `lease` and `unlease`, `take_slot`, `claim` and
/// `unclaim`, those work within one process only: on a store that several processes share, each
/// refreshes an account by itself (the platform's window and the compare-and-set mend that in most
/// cases, not in all), each keeps a budget of its own, and a redirect could be completed once in
/// each.
///
/// Callbacks return `HOOPAUTH_OK`, or `HOOPAUTH_STORE`, `HOOPAUTH_STORE_CORRUPT`,
/// `HOOPAUTH_TIMEOUT`, `HOOPAUTH_NETWORK`; anything else is `HOOPAUTH_CALLBACK_FAILED`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct hoopauth_store_callbacks_t {
    /// `sizeof(hoopauth_store_callbacks_t)`.
    pub struct_size: usize,
    /// Given to each callback.
    pub user_data: *mut c_void,
    /// Called once, when the table is not used any more; may be NULL.
    pub destroy: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
    /// Gives the row of `key` to `hoopauth_row_set`; gives nothing where there never was one.
    pub load: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            key: *const hoopauth_row_key_t,
            row: *mut hoopauth_row_t,
            failure: *mut hoopauth_failure_t,
        ) -> hoopauth_status_t,
    >,
    /// Compare-and-set: stores `row` as version `expected` + 1 if the stored version is `expected`
    /// (0: no row), atomically among all who share the store; `*saved` tells whether it did.
    /// Durable when it says true.
    pub save: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            key: *const hoopauth_row_key_t,
            expected: u64,
            row: *const hoopauth_new_row_t,
            saved: *mut bool,
            failure: *mut hoopauth_failure_t,
        ) -> hoopauth_status_t,
    >,
    /// Gives all rows of an app to `hoopauth_row_list_add`, in any order.
    pub list: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            app: *const c_char,
            app_len: usize,
            rows: *mut hoopauth_row_list_t,
            failure: *mut hoopauth_failure_t,
        ) -> hoopauth_status_t,
    >,
    /// Takes the exclusive right to refresh the account of `key`, among all who share the store,
    /// waiting at most `wait_ms` milliseconds. `*lease` is the host's own, not NULL, and goes to
    /// `unlease`; NULL: another holder kept it. The right must end with the process that holds it
    /// and never be taken away. May be NULL, together with `unlease`.
    pub lease: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            key: *const hoopauth_row_key_t,
            wait_ms: u64,
            lease: *mut *mut c_void,
            failure: *mut hoopauth_failure_t,
        ) -> hoopauth_status_t,
    >,
    /// Gives a lease back.
    pub unlease: Option<unsafe extern "C" fn(user_data: *mut c_void, lease: *mut c_void)>,
    /// Takes one token-endpoint request out of the app's budget of `per_minute` in any 61 seconds;
    /// `priority` is one of the constants `HOOPAUTH_PRIORITY_`. `*wait_ms` is 0 if it was taken,
    /// else how long to wait before asking again. May be NULL.
    pub take_slot: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            app: *const c_char,
            app_len: usize,
            per_minute: u32,
            priority: i32,
            now_ms: i64,
            wait_ms: *mut u64,
            failure: *mut hoopauth_failure_t,
        ) -> hoopauth_status_t,
    >,
    /// Remembers the 16 bytes `id` until `until_ms`; `*claimed` is false if it was remembered
    /// already. May be NULL, together with `unclaim`.
    pub claim: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            app: *const c_char,
            app_len: usize,
            id: *const u8,
            until_ms: i64,
            now_ms: i64,
            claimed: *mut bool,
            failure: *mut hoopauth_failure_t,
        ) -> hoopauth_status_t,
    >,
    /// Forgets the 16 bytes `id`.
    pub unclaim: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            app: *const c_char,
            app_len: usize,
            id: *const u8,
            failure: *mut hoopauth_failure_t,
        ) -> hoopauth_status_t,
    >,
    /// `*changes` gets a number that changes with each saved row, whichever process saved it. May
    /// be NULL: then changes of other processes are noticed when a token is due or refused. Return
    /// at once: a caller with a fresh token waits for it.
    pub changes: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            changes: *mut u64,
            failure: *mut hoopauth_failure_t,
        ) -> hoopauth_status_t,
    >,
}

// SAFETY: `repr(C)`, size first, and all members are valid as zeros.
unsafe impl Table for hoopauth_store_callbacks_t {
    const LEAST: usize = size_of::<usize>() * 6;

    fn user_data(&self) -> *mut c_void {
        self.user_data
    }

    fn destroy(&self) -> Option<unsafe extern "C" fn(user_data: *mut c_void)> {
        self.destroy
    }
}

/// Lets clients keep their grants in the host's store, instead of the option `store`.
///
/// The table is copied; its `destroy` is called if and only if this succeeds. Errors:
/// `HOOPAUTH_INVALID_ARGUMENT`. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_config_set_store(
    config: *mut hoopauth_config_t,
    callbacks: *const hoopauth_store_callbacks_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            let config = the_mut(config, "config")?;
            let table = Callbacks::copy("callbacks", callbacks)?;
            for (function, there) in [
                ("load", table.load.is_some()),
                ("save", table.save.is_some()),
                ("list", table.list.is_some()),
            ] {
                if !there {
                    return Err(missing("callbacks", function));
                }
            }
            if table.lease.is_some() != table.unlease.is_some() {
                return Err(lone("`lease`", "`unlease`"));
            }
            if table.claim.is_some() != table.unclaim.is_some() {
                return Err(lone("`claim`", "`unclaim`"));
            }
            config.store = Some(Arc::new(HostRows(Callbacks(table))));
            Ok(())
        })
    }
}

/// A required partner that is missing.
fn lone(one: &str, other: &str) -> Error {
    Error::new(
        ErrorCode::InvalidArgument,
        format!("`callbacks` gives only one of {one} and {other}: give both, or leave both NULL"),
    )
}

/// Gives a loaded row: its version, at least 1, and exactly the bytes that were saved. Copied.
///
/// Errors: `HOOPAUTH_INVALID_ARGUMENT`. Only in the callback that got `row`. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_row_set(
    row: *mut hoopauth_row_t,
    version: u64,
    data: *const u8,
    data_len: usize,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            let row = the_mut(row, "row")?;
            // Until all of it is taken.
            row.1 = Refused(true);
            let bytes = bytes("data", data, data_len)?.to_vec();
            if version == 0 {
                return Err(Error::new(
                    ErrorCode::InvalidArgument,
                    "`version` is 0, which means that there is no row: give the version of the \
                     stored row, at least 1",
                ));
            }
            row.0 = Some(Row { version, bytes });
            row.1 = Refused(false);
            Ok(())
        })
    }
}

/// Gives one row of a list: its account, and its columns as they were last saved. Copied.
///
/// Errors: `HOOPAUTH_INVALID_ARGUMENT`. Only in the callback that got `rows`. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_row_list_add(
    rows: *mut hoopauth_row_list_t,
    account: *const c_char,
    account_len: usize,
    live: bool,
    marked: bool,
    expires_at_ms: i64,
    not_before_ms: i64,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            let rows = the_mut(rows, "rows")?;
            let parsed = text("account", account, account_len)
                .and_then(hoopauth_core::binding::account_of_store);
            rows.1 = Refused(rows.1.0 || parsed.is_err());
            rows.0.push(Listed {
                account: parsed?,
                live,
                marked,
                expires_at: Timestamp(expires_at_ms),
                not_before: Timestamp(not_before_ms),
            });
            Ok(())
        })
    }
}

/// True if the library refused something that a callback gave, so that the rest is incomplete.
#[derive(Clone, Copy, Default)]
struct Refused(bool);

impl Refused {
    fn check(self) -> Result<()> {
        if !self.0 {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::CallbackFailed,
            "the host's store returned success although a row it gave was refused: look at the \
             status of hoopauth_row_set and hoopauth_row_list_add",
        ))
    }
}

struct HostRows(Callbacks<hoopauth_store_callbacks_t>);

impl fmt::Debug for HostRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostRows")
    }
}

impl HostRows {
    fn check(status: hoopauth_status_t, failure: hoopauth_failure_t) -> Result<()> {
        failure.check(status, "store", OWN)
    }

    /// Calls one function of the table; a table without it is refused when it is registered.
    fn ask(
        &self,
        ask: impl FnOnce(
            &hoopauth_store_callbacks_t,
            *mut hoopauth_failure_t,
        ) -> Option<hoopauth_status_t>,
    ) -> Result<bool> {
        let mut failure = hoopauth_failure_t::default();
        match ask(&self.0.0, &raw mut failure) {
            Some(status) => Self::check(status, failure).map(|()| true),
            None => Ok(false),
        }
    }
}

impl RowStore for HostRows {
    fn load(&self, key: &Key<'_>) -> Result<Option<Row>> {
        let (key, mut row) = (LentKey::new(key), hoopauth_row_t::default());
        self.ask(|table, failure| {
            let load = table.load?;
            // SAFETY: the host's function, with what lives until it returns.
            Some(unsafe { load(table.user_data, &raw const key.lent, &raw mut row, failure) })
        })?;
        row.1.check()?;
        Ok(row.0)
    }

    fn save(&self, key: &Key<'_>, expected: u64, new: &NewRow<'_>) -> Result<bool> {
        let key = LentKey::new(key);
        let row = hoopauth_new_row_t {
            bytes: new.bytes.as_ptr(),
            bytes_len: new.bytes.len(),
            live: new.live,
            marked: new.marked,
            expires_at_ms: new.expires_at.0,
            not_before_ms: new.not_before.0,
        };
        let mut saved = false;
        self.ask(|table, failure| {
            let save = table.save?;
            let row = &raw const row;
            // SAFETY: the host's function, with what lives until it returns.
            Some(unsafe {
                save(table.user_data, &raw const key.lent, expected, row, &raw mut saved, failure)
            })
        })?;
        Ok(saved)
    }

    fn list(&self, app: &str) -> Result<Vec<Listed>> {
        let (app, mut rows) = (Text::new(app), hoopauth_row_list_t::default());
        let mut len = 0;
        self.ask(|table, failure| {
            let list = table.list?;
            // SAFETY: the host's function, with what lives until it returns.
            Some(unsafe {
                let app = app.lend(&raw mut len);
                list(table.user_data, app, len, &raw mut rows, failure)
            })
        })?;
        rows.1.check()?;
        Ok(rows.0)
    }

    fn lease<'a>(&'a self, key: &Key<'_>, wait: Duration) -> Result<Leased<'a>> {
        let (key, mut lease) = (LentKey::new(key), ptr::null_mut());
        let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let supported = self.ask(|table, failure| {
            let take = table.lease?;
            // SAFETY: the host's function, with what lives until it returns.
            Some(unsafe {
                take(table.user_data, &raw const key.lent, wait, &raw mut lease, failure)
            })
        })?;
        Ok(match (supported, lease.is_null()) {
            (false, _) => Leased::Unsupported,
            (true, true) => Leased::Busy,
            (true, false) => Leased::Held(Box::new(HostLease { rows: self, lease })),
        })
    }

    fn take_slot(&self, app: &str, request: SlotRequest, now: Timestamp) -> Result<Option<Slot>> {
        let app = Text::new(app);
        let priority = match request.priority {
            Priority::Soft => HOOPAUTH_PRIORITY_SOFT,
            Priority::Normal => HOOPAUTH_PRIORITY_NORMAL,
            Priority::Recovery => HOOPAUTH_PRIORITY_RECOVERY,
        };
        let (mut wait, mut len) = (0, 0);
        let supported = self.ask(|table, failure| {
            let take = table.take_slot?;
            // SAFETY: the host's function, with what lives until it returns.
            Some(unsafe {
                let app = app.lend(&raw mut len);
                take(
                    table.user_data,
                    app,
                    len,
                    request.per_minute,
                    priority,
                    now.0,
                    &raw mut wait,
                    failure,
                )
            })
        })?;
        let slot = if wait == 0 { Slot::Taken } else { Slot::Wait(Duration::from_millis(wait)) };
        Ok(supported.then_some(slot))
    }

    fn claim(
        &self,
        app: &str,
        id: &Fingerprint,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Option<bool>> {
        let app = Text::new(app);
        let (mut claimed, mut len) = (false, 0);
        let supported = self.ask(|table, failure| {
            let claim = table.claim?;
            // SAFETY: the host's function, with what lives until it returns.
            Some(unsafe {
                let app = app.lend(&raw mut len);
                claim(
                    table.user_data,
                    app,
                    len,
                    id.as_ptr(),
                    until.0,
                    now.0,
                    &raw mut claimed,
                    failure,
                )
            })
        })?;
        Ok(supported.then_some(claimed))
    }

    fn unclaim(&self, app: &str, id: &Fingerprint) -> Result<()> {
        let app = Text::new(app);
        let mut len = 0;
        self.ask(|table, failure| {
            let unclaim = table.unclaim?;
            // SAFETY: the host's function, with what lives until it returns.
            Some(unsafe {
                let app = app.lend(&raw mut len);
                unclaim(table.user_data, app, len, id.as_ptr(), failure)
            })
        })?;
        Ok(())
    }

    fn changes(&self) -> Result<Option<u64>> {
        let mut changes = 0;
        let supported = self.ask(|table, failure| {
            let ask = table.changes?;
            // SAFETY: the host's function, with what lives until it returns.
            Some(unsafe { ask(table.user_data, &raw mut changes, failure) })
        })?;
        Ok(supported.then_some(changes))
    }
}

/// A key as C reads it, with the texts it points to.
struct LentKey {
    lent: hoopauth_row_key_t,
    _app: Text,
    _account: Text,
}

impl LentKey {
    fn new(key: &Key<'_>) -> Self {
        let (app, account) = (Text::new(key.app), Text::new(key.account.as_str()));
        let (mut app_len, mut account_len) = (0, 0);
        // SAFETY: both lengths are valid for a write; the texts are on the heap and move with this.
        let lent = unsafe {
            hoopauth_row_key_t {
                app: app.lend(&raw mut app_len),
                app_len,
                account: account.lend(&raw mut account_len),
                account_len,
            }
        };
        Self {
            lent: hoopauth_row_key_t { app_len, account_len, ..lent },
            _app: app,
            _account: account,
        }
    }
}

struct HostLease<'a> {
    rows: &'a HostRows,
    lease: *mut c_void,
}

impl fmt::Debug for HostLease<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostLease")
    }
}

impl Drop for HostLease<'_> {
    fn drop(&mut self) {
        if let Some(unlease) = self.rows.0.0.unlease {
            // SAFETY: the host's function and the host's lease, given back once.
            unsafe { unlease(self.rows.0.0.user_data, self.lease) };
        }
    }
}

const OWN: &[ErrorCode] =
    &[ErrorCode::Store, ErrorCode::StoreCorrupt, ErrorCode::Timeout, ErrorCode::Network];
