//! The client.

use std::ffi::{CStr, c_char};
use std::ptr;

use hoopauth_core::binding::{ClientBinding as _, HandleBinding as _, carries_body};
use hoopauth_core::{Account, Client, Context, Error, Headers, Import, Report, Result, Timestamp};

use crate::account::hoopauth_account_t;
use crate::argument::{bytes, clear, null, put, text};
use crate::config::hoopauth_config_t;
use crate::context::hoopauth_context_t;
use crate::error::hoopauth_error_t;
use crate::grant::hoopauth_grant_t;
use crate::guard::{call, hand_out, make};
use crate::handle::{Handle, Owned, Shared, free, held, share, the};
use crate::headers::hoopauth_header_t;
use crate::lent::{Text, lend, lend_some};
use crate::ready::{self, found, give, hoopauth_headers_t};
use crate::status::{HOOPAUTH_OK, hoopauth_status_t};

/// Authenticates a program's requests: any number of accounts with one credential.
///
/// Counted: `hoopauth_client_ref`, `hoopauth_client_free`. Any thread may call any of its functions
/// at any time. Getting headers of an account whose token is fresh takes no lock and does no I/O.
/// When a refresh is due, the caller's own thread does it; and every few seconds one caller looks
/// whether others changed anything in a store that they share.
pub struct hoopauth_client_t(pub(crate) Client, Option<hoopauth_account_t>);

impl Handle for hoopauth_client_t {
    type Kind = Shared;
}

impl Drop for hoopauth_client_t {
    /// Saves what was sent: the host may end at once after it gives up its last reference.
    fn drop(&mut self) {
        self.0.finish();
    }
}

/// The accounts that have a grant. The caller owns it and frees it with `hoopauth_accounts_free`.
/// Any thread may read it.
pub struct hoopauth_accounts_t(Vec<Text>);

impl Handle for hoopauth_accounts_t {
    type Kind = Owned;
}

/// Outcome of an import: the grant is stored.
pub const HOOPAUTH_IMPORT_IMPORTED: i32 = 1;
/// Outcome of an import: nothing changed, because this account was imported or refreshed with that
/// token before.
pub const HOOPAUTH_IMPORT_KNOWN: i32 = 2;
/// Outcome of an import: nothing changed, because another live grant is there and `replace` was
/// false.
pub const HOOPAUTH_IMPORT_KEPT: i32 = 3;

/// Makes a client. No I/O happens here: stores are opened and servers asked when they are first
/// needed.
///
/// `config` stays the caller's. `*out` is the caller's to free. Errors: `HOOPAUTH_CONFIG`, with the
/// option's name in the message. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_client_new(
    config: *const hoopauth_config_t,
    out: *mut *mut hoopauth_client_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        make(out, err, || {
            let client = the(config, "config")?.build()?;
            let default = match client.default_account() {
                Some(name) if !name.is_empty() => Some(hoopauth_account_t::new(&client, name)?),
                _ => None,
            };
            Ok(hoopauth_client_t(client, default))
        })
    }
}

/// Looks up an account by its text, "location:<id>" or "company:<id>". It need not be authorized
/// yet.
///
/// `*out` is the caller's to free. Errors: `HOOPAUTH_INVALID_ARGUMENT`; `HOOPAUTH_WRONG_ACCOUNT`
/// where the client has a static token of another account. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_client_account(
    client: *const hoopauth_client_t,
    account: *const c_char,
    account_len: usize,
    out: *mut *mut hoopauth_account_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        make(out, err, || {
            hoopauth_account_t::new(
                &held(client, "client")?.0,
                text("account", account, account_len)?,
            )
        })
    }
}

/// Headers for a request of `account` (NULL: the default one), for an HTTP method in any case.
///
/// An expiring token is refreshed on the way, for at most as long as `context` allows (NULL: the
/// option `timeout`). `*out` is the caller's to free. Errors: `HOOPAUTH_NO_GRANT`,
/// `HOOPAUTH_REAUTHORIZATION_REQUIRED`, `HOOPAUTH_ACCOUNT_INACTIVE`, `HOOPAUTH_CANCELLED`,
/// `HOOPAUTH_TIMEOUT`, and what a refresh and the store can meet. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_client_headers(
    client: *const hoopauth_client_t,
    account: *const hoopauth_account_t,
    method: *const c_char,
    method_len: usize,
    context: *const hoopauth_context_t,
    out: *mut *mut hoopauth_headers_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        // A ready snapshot costs no more than the lookup.
        if let (Some(this), false) = (client.as_ref(), out.is_null())
            && let Some(account) = account.as_ref().or(this.1.as_ref())
            && let Some(method) = short(method, method_len)
            && account.handle.is_of(&this.0)
            && let Some(headers) = account.cell.take(&account.handle, carries_body(method))
        {
            clear(err);
            out.write(headers);
            return HOOPAUTH_OK;
        }
        headers_slowly(client, account, method, method_len, context, out, err)
    }
}

/// Apart from the quick way, so that that one needs no stack.
///
/// # Safety
/// As for [`hoopauth_client_headers`].
#[cold]
#[inline(never)]
unsafe fn headers_slowly(
    client: *const hoopauth_client_t,
    account: *const hoopauth_account_t,
    method: *const c_char,
    method_len: usize,
    context: *const hoopauth_context_t,
    out: *mut *mut hoopauth_headers_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: the caller says so.
    unsafe {
        hand_out(out, err, || {
            let this = held(client, "client")?;
            let method = text("method", method, method_len)?;
            check_owner(&this.0, account)?;
            let account = if account.is_null() { None } else { Some(held(account, "account")?) };
            match (account.as_deref().or(this.1.as_ref()), context.as_ref()) {
                (Some(account), None) => account.headers(method),
                (None, None) => this.0.headers(method).map(give),
                (account, Some(context)) => {
                    let name = account.map(|account| account.handle.account().as_str());
                    headers_within(&this.0, name, method, &context.0).map(give)
                }
            }
        })
    }
}

/// Does the same as `hoopauth_client_headers` for an account given as text. Use it if accounts come
/// too rarely to keep their handles.
///
/// Errors: as there, and `HOOPAUTH_INVALID_ARGUMENT` for text that is no account. Any thread. Since
/// 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_client_headers_by_name(
    client: *const hoopauth_client_t,
    account: *const c_char,
    account_len: usize,
    method: *const c_char,
    method_len: usize,
    context: *const hoopauth_context_t,
    out: *mut *mut hoopauth_headers_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        if let (Some(this), false) = (client.as_ref(), out.is_null())
            && let (Some(account), Some(method)) =
                (short(account, account_len), short(method, method_len))
            && let Some(snapshot) = this.0.fresh_snapshot(account)
        {
            clear(err);
            out.write(found(snapshot, carries_body(method)));
            return HOOPAUTH_OK;
        }
        headers_by_name_slowly(
            client,
            (account, account_len),
            (method, method_len),
            context,
            out,
            err,
        )
    }
}

/// # Safety
/// As for [`hoopauth_client_headers_by_name`].
#[cold]
#[inline(never)]
unsafe fn headers_by_name_slowly(
    client: *const hoopauth_client_t,
    (account, account_len): (*const c_char, usize),
    (method, method_len): (*const c_char, usize),
    context: *const hoopauth_context_t,
    out: *mut *mut hoopauth_headers_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: the caller says so.
    unsafe {
        hand_out(out, err, || {
            let client = held(client, "client")?;
            let client = &client.0;
            let account = text("account", account, account_len)?;
            let method = text("method", method, method_len)?;
            match context.as_ref() {
                None => client.headers_for(account, method),
                Some(context) => headers_within(client, Some(account), method, &context.0),
            }
            .map(give)
        })
    }
}

/// Headers as they were sent, put together again from the value of `Authorization`: for a host that
/// kept no headers until the answer came and now wants to report it.
///
/// `*out` is the caller's to free. Errors: `HOOPAUTH_INVALID_ARGUMENT`. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_client_sent_headers(
    client: *const hoopauth_client_t,
    account: *const hoopauth_account_t,
    method: *const c_char,
    method_len: usize,
    authorization: *const c_char,
    authorization_len: usize,
    out: *mut *mut hoopauth_headers_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        hand_out(out, err, || {
            let client = held(client, "client")?;
            let client = &client.0;
            let method = text("method", method, method_len)?;
            let authorization = text("authorization", authorization, authorization_len)?;
            check_owner(client, account)?;
            let name = match account.as_ref() {
                Some(account) => account.handle.account().as_str(),
                None => client.default_account().ok_or_else(no_default)?,
            };
            client.sent_headers(name, method, authorization).map(give)
        })
    }
}

/// Reads the answer to a request that was sent with `headers`.
///
/// Where `*repeat` is set, the token was refused and there is a new one: repeat the request, once,
/// with these headers, which are the caller's to free. Where it is NULL on success, the answer is
/// no matter of authentication: use it. What a refresh can't cure is a typed error. Of the body the
/// first kilobytes are enough; `answer_headers` may be NULL with count 0.
///
/// Errors: `HOOPAUTH_REAUTHORIZATION_REQUIRED`, `HOOPAUTH_INSUFFICIENT_SCOPE`,
/// `HOOPAUTH_WRONG_TOKEN_CLASS`, `HOOPAUTH_WRONG_ACCOUNT`, `HOOPAUTH_INVALID_PRIVATE_INTEGRATION`,
/// `HOOPAUTH_RATE_LIMITED`, `HOOPAUTH_HTTP_STATUS`, and what a refresh can meet. Any thread. Since
/// 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_client_report(
    client: *const hoopauth_client_t,
    headers: *const hoopauth_headers_t,
    http_status: u16,
    answer_headers: *const hoopauth_header_t,
    answer_header_count: usize,
    body: *const u8,
    body_len: usize,
    context: *const hoopauth_context_t,
    repeat: *mut *mut hoopauth_headers_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        let answer = Answer {
            http_status,
            headers: (answer_headers, answer_header_count),
            body: (body, body_len),
        };
        report(client, headers, None, &answer, context, repeat, err)
    }
}

/// Does the same as `hoopauth_client_report` for a host that also passes what it sent: the error
/// then names the scope or the class that the operation needs. `path` is a path below `api_base` or
/// the whole URL, with or without a query.
///
/// Errors: as there. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_client_report_request(
    client: *const hoopauth_client_t,
    headers: *const hoopauth_headers_t,
    method: *const c_char,
    method_len: usize,
    path: *const c_char,
    path_len: usize,
    http_status: u16,
    answer_headers: *const hoopauth_header_t,
    answer_header_count: usize,
    body: *const u8,
    body_len: usize,
    context: *const hoopauth_context_t,
    repeat: *mut *mut hoopauth_headers_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        let answer = Answer {
            http_status,
            headers: (answer_headers, answer_header_count),
            body: (body, body_len),
        };
        let sent = Some(((method, method_len), (path, path_len)));
        report(client, headers, sent, &answer, context, repeat, err)
    }
}

/// The option whose Private Integration token the platform refused, "private_integration_token" or
/// "private_integration_token_next": put another token there, or leave the option out if the other
/// one stays in use.
///
/// `len`, if not NULL, gets the length in bytes. Returns static text, or NULL while none was
/// refused, and again once that token works. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_client_refused_private_integration_token(
    client: *const hoopauth_client_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        match client.as_ref().and_then(|client| client.0.refused_private_integration_token()) {
            Some("private_integration_token") => lend("private_integration_token\0", len),
            Some(_) => lend("private_integration_token_next\0", len),
            None => lend_some(None, len),
        }
    }
}

/// Mints the grant of `location` from that of its `company`, and stores it.
///
/// Errors: `HOOPAUTH_INVALID_ARGUMENT` where one is not of its kind, `HOOPAUTH_NO_GRANT` for the
/// company, and those of the token endpoint. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_client_mint(
    client: *const hoopauth_client_t,
    location: *const hoopauth_account_t,
    company: *const hoopauth_account_t,
    context: *const hoopauth_context_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            let client = held(client, "client")?;
            let client = &client.0;
            let (location, company) =
                (account_or_default(client, location)?, account_or_default(client, company)?);
            within(client, context, move |client| client.mint(&location, &company))
        })
    }
}

/// Imports a grant from elsewhere. `*outcome`, if `outcome` is not NULL, gets one of the constants
/// `HOOPAUTH_IMPORT_`.
///
/// A grant whose refresh token this account was ever imported or refreshed with changes nothing, so
/// that a program may import its seed at every start. Another live grant is kept unless `replace`.
/// `grant` stays the caller's. Errors: `HOOPAUTH_INVALID_ARGUMENT`, `HOOPAUTH_INVALID_STATE`
/// without OAuth, and those of the store. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_client_import(
    client: *const hoopauth_client_t,
    grant: *const hoopauth_grant_t,
    replace: bool,
    context: *const hoopauth_context_t,
    outcome: *mut i32,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            let client = held(client, "client")?;
            let client = &client.0;
            let grant = the(grant, "grant")?.grant.clone();
            let import = within(client, context, move |client| client.import(grant, replace))?;
            if !outcome.is_null() {
                outcome.write(match import {
                    Import::Known => HOOPAUTH_IMPORT_KNOWN,
                    Import::Kept => HOOPAUTH_IMPORT_KEPT,
                    _ => HOOPAUTH_IMPORT_IMPORTED,
                });
            }
            Ok(())
        })
    }
}

/// The stored grant of an account (NULL: the default one), tokens included, for moving it
/// elsewhere.
///
/// `*out` is the caller's to free. Errors: `HOOPAUTH_NO_GRANT`, and those of the store. Any thread.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_client_export(
    client: *const hoopauth_client_t,
    account: *const hoopauth_account_t,
    context: *const hoopauth_context_t,
    out: *mut *mut hoopauth_grant_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        make(out, err, || {
            let client = held(client, "client")?;
            let client = &client.0;
            let account = account_or_default(client, account)?;
            within(client, context, move |client| client.export(&account))
                .map(hoopauth_grant_t::new)
        })
    }
}

/// Removes the grant of an account (NULL: the default one) and leaves a tombstone. `*removed`, if
/// `removed` is not NULL, tells whether there was one.
///
/// Errors: those of the store. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_client_remove(
    client: *const hoopauth_client_t,
    account: *const hoopauth_account_t,
    context: *const hoopauth_context_t,
    removed: *mut bool,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            let client = held(client, "client")?;
            let client = &client.0;
            let account = account_or_default(client, account)?;
            let was = within(client, context, move |client| client.remove(&account))?;
            if !removed.is_null() {
                put("removed", removed, was)?;
            }
            Ok(())
        })
    }
}

/// The accounts that have a grant, sorted.
///
/// `*out` is the caller's to free. Errors: those of the store. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_client_accounts(
    client: *const hoopauth_client_t,
    context: *const hoopauth_context_t,
    out: *mut *mut hoopauth_accounts_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        make(out, err, || {
            let accounts = within(&held(client, "client")?.0, context, Client::accounts)?;
            Ok(hoopauth_accounts_t(
                accounts.iter().map(|account| Text::new(account.as_str())).collect(),
            ))
        })
    }
}

/// Returns the number of accounts in the list; 0 for NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_accounts_count(accounts: *const hoopauth_accounts_t) -> usize {
    // SAFETY: by the contract on the header's first page.
    unsafe { accounts.as_ref() }.map_or(0, |accounts| accounts.0.len())
}

/// One account of the list, by its number from 0.
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `accounts`; NULL for
/// NULL and for a number that is not below `hoopauth_accounts_count`. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_accounts_at(
    accounts: *const hoopauth_accounts_t,
    index: usize,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { lend_some(accounts.as_ref().and_then(|accounts| accounts.0.get(index)), len) }
}

/// Frees a list of accounts. Does nothing for NULL. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_accounts_free(accounts: *mut hoopauth_accounts_t) {
    // SAFETY: by the contract on the header's first page.
    unsafe { free(accounts) }
}

/// Renews the tokens of all accounts ahead of their end, within the budget, until the client's
/// clock reads `until_ms` (milliseconds since the Unix epoch) or `context` ends. Blocks.
///
/// Living tokens come first, whichever ends first; accounts that keep failing share a tenth of the
/// budget. Any number of threads and processes may do this on one store: no token is renewed twice.
/// Where it runs, callers do not refresh early themselves. Errors: `HOOPAUTH_CANCELLED`,
/// `HOOPAUTH_TIMEOUT` when `context` ends; `HOOPAUTH_INVALID_STATE` without OAuth, after close, and
/// in a forked child. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_client_maintain(
    client: *const hoopauth_client_t,
    until_ms: i64,
    context: *const hoopauth_context_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            let client = held(client, "client")?;
            let client = &client.0;
            match context.as_ref() {
                Some(context) => client.maintain_within(Timestamp(until_ms), &context.0.clone()),
                None => client.maintain(Timestamp(until_ms)),
            }
        })
    }
}

/// Saves what could not be saved yet and ends the client, for all who hold references; later calls
/// are `HOOPAUTH_INVALID_STATE`.
///
/// Waits for refreshes that go on after their callers left, at most for the option `timeout`.
/// Errors: those of the store; what could not be saved is lost with the process then. Any thread.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_client_close(
    client: *const hoopauth_client_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe { call(err, || held(client, "client")?.0.close()) }
}

/// One more reference, to be freed like the first; returns `client`, NULL if the handle is NULL.
/// Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_client_ref(
    client: *const hoopauth_client_t,
) -> *mut hoopauth_client_t {
    // SAFETY: by the contract on the header's first page.
    unsafe { share(client) }
}

/// Gives up one reference. Does nothing for NULL. The last one waits for refreshes
/// under way, at most for the option `timeout`, and what could not be saved yet is tried once more.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_client_free(client: *mut hoopauth_client_t) {
    // SAFETY: by the contract on the header's first page.
    unsafe { free(client) }
}

/// Text that may be the method or account of something cached: not NULL, and of a length that is
/// one.
///
/// # Safety
/// As for [`text`].
#[inline]
unsafe fn short<'a>(text: *const c_char, len: usize) -> Option<&'a [u8]> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the caller says so.
    unsafe {
        let len = if len == usize::MAX { CStr::from_ptr(text).count_bytes() } else { len };
        (len <= SHORT).then(|| std::slice::from_raw_parts(text.cast(), len))
    }
}

/// Answer as C passes it.
struct Answer {
    http_status: u16,
    headers: (*const hoopauth_header_t, usize),
    body: (*const u8, usize),
}

/// A method and a path.
type Sent = ((*const c_char, usize), (*const c_char, usize));

/// # Safety
/// As for [`hoopauth_client_report_request`]; `sent` is method and path.
unsafe fn report(
    client: *const hoopauth_client_t,
    headers: *const hoopauth_headers_t,
    sent: Option<Sent>,
    answer: &Answer,
    context: *const hoopauth_context_t,
    repeat: *mut *mut hoopauth_headers_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: the caller says so.
    unsafe {
        hand_out(repeat, err, || {
            let client = held(client, "client")?;
            let client = &client.0;
            if headers.is_null() {
                return Err(null("headers"));
            }
            let headers = ready::headers(headers);
            let sent = match sent {
                Some((method, path)) => {
                    Some((text("method", method.0, method.1)?, text("path", path.0, path.1)?))
                }
                None => None,
            };
            let body = bytes("body", answer.body.0, answer.body.1)?;
            let body = body.get(..REPORTED_BODY).unwrap_or(body);
            let status = answer.http_status;
            let answer = header_pairs(answer.headers.0, answer.headers.1)?;
            let report = match context.as_ref() {
                None => report_to(client, &headers, sent, status, &answer, body)?,
                Some(context) => {
                    let owned = |text: &str| text.to_owned();
                    let body = body.to_vec();
                    let sent = sent.map(|(method, path)| (owned(method), owned(path)));
                    let answer: Vec<(String, String)> =
                        answer.iter().map(|(name, value)| (owned(name), owned(value))).collect();
                    client.within(&context.0, move |client| {
                        let answer: Vec<(&str, &str)> = answer
                            .iter()
                            .map(|(name, value)| (name.as_str(), value.as_str()))
                            .collect();
                        let sent =
                            sent.as_ref().map(|(method, path)| (method.as_str(), path.as_str()));
                        report_to(client, &headers, sent, status, &answer, &body)
                    })?
                }
            };
            Ok(match report {
                Report::Repeat(headers) => give(headers),
                _ => ptr::null_mut(),
            })
        })
    }
}

fn report_to(
    client: &Client,
    headers: &Headers,
    sent: Option<(&str, &str)>,
    status: u16,
    answer: &[(&str, &str)],
    body: &[u8],
) -> Result<Report> {
    match sent {
        Some((method, path)) => client.report_request(headers, method, path, status, answer, body),
        None => client.report(headers, status, answer, body),
    }
}

fn headers_within(
    client: &Client,
    account: Option<&str>,
    method: &str,
    context: &Context,
) -> Result<Headers> {
    let name = match account {
        Some(name) => name,
        None => client.default_account().ok_or_else(no_default)?,
    };
    client.headers_within(context, name, method)
}

/// Does what may wait: here, or where it can be left.
///
/// # Safety
/// `context` is NULL or live.
pub(crate) unsafe fn within<T: Send + 'static>(
    client: &Client,
    context: *const hoopauth_context_t,
    work: impl FnOnce(&Client) -> Result<T> + Send + 'static,
) -> Result<T> {
    // SAFETY: the caller says so.
    let context = unsafe { context.as_ref() };
    client.within_if(context.map(|context| &context.0), work)
}

/// # Safety
/// `account` is NULL or live.
pub(crate) unsafe fn account_or_default(
    client: &Client,
    account: *const hoopauth_account_t,
) -> Result<Account> {
    // SAFETY: the caller says so.
    unsafe { check_owner(client, account)? };
    // SAFETY: as above.
    match unsafe { account.as_ref() } {
        Some(account) => Ok(account.handle.account().clone()),
        None => client
            .default_account()
            .filter(|name| !name.is_empty())
            .ok_or_else(no_default)
            .and_then(Account::parse),
    }
}

/// An account of another client would speak for another app.
///
/// # Safety
/// `account` is NULL or live.
pub(crate) unsafe fn check_owner(
    client: &Client,
    account: *const hoopauth_account_t,
) -> Result<()> {
    // SAFETY: the caller says so.
    if unsafe { account.as_ref() }.is_none_or(|account| account.handle.is_of(client)) {
        return Ok(());
    }
    Err(Error::new(
        hoopauth_core::ErrorCode::InvalidArgument,
        "the account was looked up with another client: look it up with this one, by \
         hoopauth_client_account",
    ))
}

/// # Safety
/// `headers` is NULL or valid for `count` headers, whose texts are.
unsafe fn header_pairs<'a>(
    headers: *const hoopauth_header_t,
    count: usize,
) -> Result<Vec<(&'a str, &'a str)>> {
    if headers.is_null() {
        return if count == 0 { Ok(Vec::new()) } else { Err(null("answer_headers")) };
    }
    if count > MOST_HEADERS {
        return Err(Error::new(
            hoopauth_core::ErrorCode::InvalidArgument,
            format!(
                "the answer has more than {MOST_HEADERS} headers: pass only the ones that you need"
            ),
        ));
    }
    // SAFETY: the caller says so.
    unsafe {
        std::slice::from_raw_parts(headers, count)
            .iter()
            .map(|header| {
                let name = text("name", header.name, header.name_len)?;
                // A value outside UTF-8 is none that is looked at.
                let value = text("value", header.value, header.value_len).unwrap_or_default();
                Ok((name, value))
            })
            .collect()
    }
}

fn no_default() -> Error {
    Error::new(
        hoopauth_core::ErrorCode::Config,
        "no account is named and `default_account` is not set: pass an account, or set the option",
    )
}

/// More than an account or a method has.
const SHORT: usize = 1_024;
const REPORTED_BODY: usize = 65_536;
const MOST_HEADERS: usize = 10_000;
