//! Grants, for moving them in and out.

use std::ffi::c_char;

use hoopauth_core::{Account, Grant, Secret, Timestamp};

use crate::argument::text;
use crate::error::hoopauth_error_t;
use crate::guard::{call, make};
use crate::handle::{Handle, Owned, free, the_mut};
use crate::lent::{Text, lend_some};
use crate::status::hoopauth_status_t;

/// The stored result of an authorization of one account: access token, refresh token, expiry,
/// scopes, ids.
///
/// The caller owns it and frees it with `hoopauth_grant_free`, which wipes it. Its texts live until
/// it is changed or freed. Any thread may read it; one thread at a time may change it.
pub struct hoopauth_grant_t {
    pub(crate) grant: Grant,
    account: Text,
    access_token: Text,
    refresh_token: Option<Text>,
    scopes: Text,
    company_id: Option<Text>,
    user_id: Option<Text>,
}

impl Handle for hoopauth_grant_t {
    type Kind = Owned;
}

impl hoopauth_grant_t {
    pub(crate) fn new(grant: Grant) -> Self {
        Self {
            account: Text::new(grant.account().as_str()),
            access_token: Text::new(grant.access_token().expose()),
            refresh_token: grant.refresh_token().map(|token| Text::new(token.expose())),
            scopes: Text::new(&grant.scopes().join(" ")),
            company_id: grant.company_id().map(Text::new),
            user_id: grant.user_id().map(Text::new),
            grant,
        }
    }

    fn change(&mut self, change: impl FnOnce(Grant) -> Grant) {
        *self = Self::new(change(self.grant.clone()));
    }
}

/// Makes a grant of an account, "location:<id>" or "company:<id>", to be imported. Until its end is
/// set, the access token counts as expired, so that the first use refreshes it.
///
/// Texts are copied. `*out` is the caller's to free. Errors: `HOOPAUTH_INVALID_ARGUMENT`. Any
/// thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_grant_new(
    account: *const c_char,
    account_len: usize,
    access_token: *const c_char,
    access_token_len: usize,
    out: *mut *mut hoopauth_grant_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        make(out, err, || {
            let account = Account::parse(text("account", account, account_len)?)?;
            let token = Secret::new(text("access_token", access_token, access_token_len)?);
            Ok(hoopauth_grant_t::new(Grant::new(account, token)))
        })
    }
}

/// Sets the refresh token. Copied. Errors: for NULL; a wrong one is told by the import. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_grant_set_refresh_token(
    grant: *mut hoopauth_grant_t,
    refresh_token: *const c_char,
    refresh_token_len: usize,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            let token = Secret::new(text("refresh_token", refresh_token, refresh_token_len)?);
            the_mut(grant, "grant")?.change(|grant| grant.with_refresh_token(token));
            Ok(())
        })
    }
}

/// Sets when the access token ends, in milliseconds since the Unix epoch. Errors: for NULL. Since
/// 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_grant_set_expires_at_ms(
    grant: *mut hoopauth_grant_t,
    expires_at_ms: i64,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            the_mut(grant, "grant")?
                .change(|grant| grant.with_expires_at(Timestamp(expires_at_ms)));
            Ok(())
        })
    }
}

/// Sets the scopes it has, separated by spaces. Copied. Errors: for NULL. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_grant_set_scopes(
    grant: *mut hoopauth_grant_t,
    scopes: *const c_char,
    scopes_len: usize,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            let scopes = text("scopes", scopes, scopes_len)?;
            the_mut(grant, "grant")?
                .change(|grant| grant.with_scopes(scopes.split_ascii_whitespace()));
            Ok(())
        })
    }
}

/// Sets which company a location belongs to: its way back when the refresh token is lost. Copied.
/// Errors: for NULL; a wrong one is told by the import. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_grant_set_company_id(
    grant: *mut hoopauth_grant_t,
    company_id: *const c_char,
    company_id_len: usize,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            let company_id = text("company_id", company_id, company_id_len)?;
            the_mut(grant, "grant")?.change(|grant| grant.with_company_id(company_id));
            Ok(())
        })
    }
}

/// Returns the account of the grant.
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `grant`; NULL if the
/// handle is NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_grant_account(
    grant: *const hoopauth_grant_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { lend_some(grant.as_ref().map(|grant| &grant.account), len) }
}

/// The access token. A secret.
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `grant`; NULL if the
/// handle is NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_grant_access_token(
    grant: *const hoopauth_grant_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { lend_some(grant.as_ref().map(|grant| &grant.access_token), len) }
}

/// The refresh token. A secret, good for one use: whoever sends it outside this client spends it.
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `grant`, or NULL if
/// there is none. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_grant_refresh_token(
    grant: *const hoopauth_grant_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { lend_some(grant.as_ref().and_then(|grant| grant.refresh_token.as_ref()), len) }
}

/// The scopes, separated by spaces.
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `grant`; NULL if the
/// handle is NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_grant_scopes(
    grant: *const hoopauth_grant_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { lend_some(grant.as_ref().map(|grant| &grant.scopes), len) }
}

/// The company's id, also of a location.
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `grant`, or NULL if it
/// is not known. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_grant_company_id(
    grant: *const hoopauth_grant_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { lend_some(grant.as_ref().and_then(|grant| grant.company_id.as_ref()), len) }
}

/// The id of the user who authorized it.
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `grant`, or NULL if it
/// is not known. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_grant_user_id(
    grant: *const hoopauth_grant_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { lend_some(grant.as_ref().and_then(|grant| grant.user_id.as_ref()), len) }
}

/// Returns the moment at which the access token ends, in milliseconds since the Unix epoch; 0 for
/// NULL. Where the platform says that it lives for no time or less (expires_in of 0, or negative),
/// it counts as 60 seconds from when it was asked for; where it says nothing, as 86 399. Any
/// thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_grant_expires_at_ms(grant: *const hoopauth_grant_t) -> i64 {
    // SAFETY: by the contract on the header's first page.
    unsafe { grant.as_ref() }.map_or(0, |grant| grant.grant.expires_at().0)
}

/// Returns the moment at which the token pair was requested or imported, in milliseconds since the
/// Unix epoch; 0 for NULL and before it is stored. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_grant_obtained_at_ms(grant: *const hoopauth_grant_t) -> i64 {
    // SAFETY: by the contract on the header's first page.
    unsafe { grant.as_ref() }.map_or(0, |grant| grant.grant.obtained_at().0)
}

/// Returns the moment at which the user authorized the grant, or it was imported or minted, in
/// milliseconds since the Unix epoch; 0 for NULL and before it is stored. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_grant_authorized_at_ms(grant: *const hoopauth_grant_t) -> i64 {
    // SAFETY: by the contract on the header's first page.
    unsafe { grant.as_ref() }.map_or(0, |grant| grant.grant.authorized_at().0)
}

/// Returns true if the grant was minted from its company's token; false for NULL. Any thread. Since
/// 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_grant_is_minted(grant: *const hoopauth_grant_t) -> bool {
    // SAFETY: by the contract on the header's first page.
    unsafe { grant.as_ref() }.is_some_and(|grant| grant.grant.is_minted())
}

/// Frees a grant and wipes it. Does nothing for NULL. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_grant_free(grant: *mut hoopauth_grant_t) {
    // SAFETY: by the contract on the header's first page.
    unsafe { free(grant) }
}
