//! News of grants.

use std::ffi::{c_char, c_void};
use std::mem::size_of;
use std::sync::Arc;

use hoopauth_core::{Change, ChangeKind};

use crate::callbacks::{Callbacks, Table, missing};
use crate::config::hoopauth_config_t;
use crate::error::hoopauth_error_t;
use crate::guard::call;
use crate::handle::the_mut;
use crate::lent::Text;
use crate::status::hoopauth_status_t;

/// A change: a new authorization or import was stored.
pub const HOOPAUTH_CHANGE_SAVED: i32 = 1;
/// A change: the tokens were refreshed or minted.
pub const HOOPAUTH_CHANGE_REFRESHED: i32 = 2;
/// A change: a new pair could not be saved and is held in memory. Mend the store: the next call
/// saves it.
pub const HOOPAUTH_CHANGE_UNSAVED: i32 = 3;
/// A change: the grant was removed.
pub const HOOPAUTH_CHANGE_REMOVED: i32 = 4;
/// A change: the platform refused the grant for good. Send the user through authorization again.
pub const HOOPAUTH_CHANGE_REFUSED: i32 = 5;

/// Callbacks that are told of changes of grants. See "Callbacks" on the first page.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct hoopauth_change_callbacks_t {
    /// `sizeof(hoopauth_change_callbacks_t)`.
    pub struct_size: usize,
    /// Given to each callback.
    pub user_data: *mut c_void,
    /// Called once, when the table is not used any more; may be NULL.
    pub destroy: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
    /// Called after each change, with the account, the stored generation it is about, and one of
    /// the constants `HOOPAUTH_CHANGE_`; unknown ones may come. The text is valid until it returns.
    pub changed: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            account: *const c_char,
            account_len: usize,
            generation: u64,
            kind: i32,
        ),
    >,
}

// SAFETY: `repr(C)`, size first, and all members are valid as zeros.
unsafe impl Table for hoopauth_change_callbacks_t {
    const LEAST: usize = size_of::<usize>() * 4;

    fn user_data(&self) -> *mut c_void {
        self.user_data
    }

    fn destroy(&self) -> Option<unsafe extern "C" fn(user_data: *mut c_void)> {
        self.destroy
    }
}

/// Lets clients tell the host of each change of a grant.
///
/// The table is copied; its `destroy` is called if and only if this succeeds. Errors:
/// `HOOPAUTH_INVALID_ARGUMENT`. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_config_set_change(
    config: *mut hoopauth_config_t,
    callbacks: *const hoopauth_change_callbacks_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            let config = the_mut(config, "config")?;
            let table = Callbacks::copy("callbacks", callbacks)?;
            if table.changed.is_none() {
                return Err(missing("callbacks", "changed"));
            }
            let callbacks = Callbacks(table);
            config.change = Some(Arc::new(move |change| tell(&callbacks, change)));
            Ok(())
        })
    }
}

fn tell(callbacks: &Callbacks<hoopauth_change_callbacks_t>, change: &Change) {
    let Some(changed) = callbacks.0.changed else { return };
    let kind = match change.kind {
        ChangeKind::Saved => HOOPAUTH_CHANGE_SAVED,
        ChangeKind::Refreshed => HOOPAUTH_CHANGE_REFRESHED,
        ChangeKind::Unsaved => HOOPAUTH_CHANGE_UNSAVED,
        ChangeKind::Removed => HOOPAUTH_CHANGE_REMOVED,
        ChangeKind::Refused => HOOPAUTH_CHANGE_REFUSED,
        _ => 0,
    };
    let account = Text::new(change.account.as_str());
    let mut len = 0;
    // SAFETY: the host's function, with a text that lives until it returns.
    unsafe {
        let account = account.lend(&raw mut len);
        changed(callbacks.0.user_data, account, len, change.generation, kind);
    }
}
