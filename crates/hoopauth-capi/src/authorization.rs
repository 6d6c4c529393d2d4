//! Logging in: the authorization page, and the redirect that comes back.

use std::ffi::c_char;

use hoopauth_core::{AuthorizationRequest, PendingAuthorization};

use crate::account::hoopauth_account_t;
use crate::argument::text;
use crate::client::{account_or_default, hoopauth_client_t, within};
use crate::context::hoopauth_context_t;
use crate::error::hoopauth_error_t;
use crate::guard::{call, make};
use crate::handle::{Handle, Owned, free, held, the, the_mut};
use crate::lent::{Text, lend_some};
use crate::status::hoopauth_status_t;
use crate::text::hoopauth_text_t;

/// An authorization to be asked for: what differs from the client's options. The caller owns it and
/// frees it with `hoopauth_authorization_request_free`. One thread at a time.
pub struct hoopauth_authorization_request_t(AuthorizationRequest);

impl Handle for hoopauth_authorization_request_t {
    type Kind = Owned;
}

/// An authorization that was begun: where to send the user, and what must be kept until the user
/// comes back, at most ten minutes, in that user's session. The caller owns it and frees it with
/// `hoopauth_pending_authorization_free`. Any thread may read it.
pub struct hoopauth_pending_authorization_t {
    pending: PendingAuthorization,
    url: Text,
    state: Text,
}

impl Handle for hoopauth_pending_authorization_t {
    type Kind = Owned;
}

impl hoopauth_pending_authorization_t {
    fn new(pending: PendingAuthorization) -> Self {
        Self { url: Text::new(pending.url()), state: Text::new(pending.state().expose()), pending }
    }
}

/// Starts to ask for an authorization, with the client's `redirect_uri` and `scopes`.
///
/// `*out` is the caller's to free. Errors: `HOOPAUTH_INVALID_STATE` without OAuth. Any thread.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_client_authorization_request(
    client: *const hoopauth_client_t,
    out: *mut *mut hoopauth_authorization_request_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        make(out, err, || {
            held(client, "client")?.0.authorization_request().map(hoopauth_authorization_request_t)
        })
    }
}

/// Asks for these scopes, separated by spaces, instead of the client's. Ask for the least.
///
/// Copied. Errors: for NULL; wrong scopes are told by `hoopauth_client_begin`. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_authorization_request_set_scopes(
    request: *mut hoopauth_authorization_request_t,
    scopes: *const c_char,
    scopes_len: usize,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            let scopes = text("scopes", scopes, scopes_len)?;
            the_mut(request, "request")?
                .change(|request| request.scopes(scopes.split_ascii_whitespace()));
            Ok(())
        })
    }
}

/// Lets the user come back to this redirect URI, registered with the app, instead of the client's.
///
/// Copied. Errors: for NULL; a wrong URI is told by `hoopauth_client_begin`. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_authorization_request_set_redirect_uri(
    request: *mut hoopauth_authorization_request_t,
    redirect_uri: *const c_char,
    redirect_uri_len: usize,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            let redirect_uri = text("redirect_uri", redirect_uri, redirect_uri_len)?;
            the_mut(request, "request")?.change(|request| request.redirect_uri(redirect_uri));
            Ok(())
        })
    }
}

/// Sends a code challenge, method S256 (RFC 7636), if `pkce` is true. Off by default: HoopAI does
/// not document it.
///
/// Errors: for NULL. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_authorization_request_set_pkce(
    request: *mut hoopauth_authorization_request_t,
    pkce: bool,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            the_mut(request, "request")?.change(|request| request.pkce(pkce));
            Ok(())
        })
    }
}

/// Shows the login in the same window (`loginWindowOpenMode=self`) if the argument is true, else in
/// a new one.
///
/// Errors: for NULL. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_authorization_request_set_login_window_self(
    request: *mut hoopauth_authorization_request_t,
    same_window: bool,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            the_mut(request, "request")?.change(|request| request.login_window_self(same_window));
            Ok(())
        })
    }
}

/// The version of an app that is not published (`version_id`).
///
/// Copied. Errors: for NULL; a wrong id is told by `hoopauth_client_begin`. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_authorization_request_set_version_id(
    request: *mut hoopauth_authorization_request_t,
    version_id: *const c_char,
    version_id_len: usize,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            let version_id = text("version_id", version_id, version_id_len)?;
            the_mut(request, "request")?.change(|request| request.version_id(version_id));
            Ok(())
        })
    }
}

/// Frees a request. Does nothing for NULL. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_authorization_request_free(
    request: *mut hoopauth_authorization_request_t,
) {
    // SAFETY: by the contract on the header's first page.
    unsafe { free(request) }
}

/// Makes the URL to send the user to. `request` NULL: with the client's options as they are.
///
/// `request` stays the caller's and may be used again; `*out` is the caller's to free. Errors:
/// `HOOPAUTH_CONFIG` for a missing or wrong redirect URI or scope, `HOOPAUTH_INVALID_STATE` without
/// OAuth. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_client_begin(
    client: *const hoopauth_client_t,
    request: *const hoopauth_authorization_request_t,
    out: *mut *mut hoopauth_pending_authorization_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        make(out, err, || {
            let client = held(client, "client")?;
            let client = &client.0;
            let request = match request.as_ref() {
                Some(request) => request.0.clone(),
                None => client.authorization_request()?,
            };
            client.begin(request).map(hoopauth_pending_authorization_t::new)
        })
    }
}

/// The URL to send the user to. It holds the `state`: don't log it. Once the authorization was
/// sealed and opened again, it asks for the client's scopes.
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `pending`; NULL if the
/// handle is NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_pending_authorization_url(
    pending: *const hoopauth_pending_authorization_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { lend_some(pending.as_ref().map(|pending| &pending.url), len) }
}

/// The value that ties the redirect to this request (RFC 6749, 10.12), by which a host with several
/// finds the right one.
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `pending`; NULL if the
/// handle is NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_pending_authorization_state(
    pending: *const hoopauth_pending_authorization_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { lend_some(pending.as_ref().map(|pending| &pending.state), len) }
}

/// Returns the moment from which the redirect is refused, in milliseconds since the Unix epoch; 0
/// for NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_pending_authorization_expires_at_ms(
    pending: *const hoopauth_pending_authorization_t,
) -> i64 {
    // SAFETY: by the contract on the header's first page.
    unsafe { pending.as_ref() }.map_or(0, |pending| pending.pending.expires_at().0)
}

/// Frees a pending authorization and wipes it. Does nothing for NULL. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_pending_authorization_free(
    pending: *mut hoopauth_pending_authorization_t,
) {
    // SAFETY: by the contract on the header's first page.
    unsafe { free(pending) }
}

/// Seals a pending authorization as text, for a cookie or another process of the same app: some
/// hundred characters, whatever the number of scopes.
///
/// It holds what completing needs: state, redirect URI, PKCE verifier and end. Where the answer to
/// the code names no scopes, those of the option `scopes` then count as granted.
///
/// `*out` is the caller's to free. Errors: `HOOPAUTH_INVALID_STATE` without OAuth,
/// `HOOPAUTH_STORE_KEY`. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_client_seal_pending(
    client: *const hoopauth_client_t,
    pending: *const hoopauth_pending_authorization_t,
    out: *mut *mut hoopauth_text_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        make(out, err, || {
            let sealed =
                held(client, "client")?.0.seal_pending(&the(pending, "pending")?.pending)?;
            Ok(hoopauth_text_t(Text::new(&sealed)))
        })
    }
}

/// Opens what `hoopauth_client_seal_pending` made.
///
/// `*out` is the caller's to free. Errors: `HOOPAUTH_STATE_MISMATCH` if it was changed or belongs
/// to another app or key. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_client_open_pending(
    client: *const hoopauth_client_t,
    sealed: *const c_char,
    sealed_len: usize,
    out: *mut *mut hoopauth_pending_authorization_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        make(out, err, || {
            let pending =
                held(client, "client")?.0.open_pending(text("sealed", sealed, sealed_len)?)?;
            Ok(hoopauth_pending_authorization_t::new(pending))
        })
    }
}

/// Completes an authorization with the redirect that the user came back by: the whole URL, or its
/// query.
///
/// Checks `state`, once only, exchanges the code and stores the grant. `*out`, the caller's to
/// free, is the account that was authorized. Errors: `HOOPAUTH_STATE_MISMATCH`,
/// `HOOPAUTH_AUTHORIZATION_DENIED`, `HOOPAUTH_WRONG_TOKEN_CLASS`, `HOOPAUTH_INVALID_ARGUMENT` for
/// text that is not a redirect, and those of the token endpoint. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_client_complete(
    client: *const hoopauth_client_t,
    pending: *const hoopauth_pending_authorization_t,
    redirect: *const c_char,
    redirect_len: usize,
    context: *const hoopauth_context_t,
    out: *mut *mut hoopauth_account_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        make(out, err, || {
            let client = held(client, "client")?;
            let client = &client.0;
            let pending = the(pending, "pending")?.pending.clone();
            let redirect = hoopauth_core::Secret::new(text("redirect", redirect, redirect_len)?);
            let account = within(client, context, move |client| {
                client.complete(&pending, redirect.expose())
            })?;
            hoopauth_account_t::new(client, account.as_str())
        })
    }
}

/// Completes an installation that began on the marketplace page and so carries no `state`.
///
/// Without `state` anybody can make a user's browser bring a code of a foreign account. So the
/// caller says for which account the code must be: anything else is `HOOPAUTH_WRONG_ACCOUNT` and is
/// not stored. `*out`, the caller's to free, is that account. Errors: as for
/// `hoopauth_client_complete`. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_client_complete_unsolicited(
    client: *const hoopauth_client_t,
    code: *const c_char,
    code_len: usize,
    expected: *const hoopauth_account_t,
    context: *const hoopauth_context_t,
    out: *mut *mut hoopauth_account_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        make(out, err, || {
            let client = held(client, "client")?;
            let client = &client.0;
            let code = hoopauth_core::Secret::new(text("code", code, code_len)?);
            let expected = account_or_default(client, expected)?;
            let account = within(client, context, move |client| {
                client.complete_unsolicited(code.expose(), &expected)
            })?;
            hoopauth_account_t::new(client, account.as_str())
        })
    }
}

impl hoopauth_authorization_request_t {
    fn change(&mut self, change: impl FnOnce(AuthorizationRequest) -> AuthorizationRequest) {
        self.0 = change(self.0.clone());
    }
}
