//! Login: the authorization request, the redirect that comes back, and the exchange of its code.

use std::time::Duration;

use crate::account::Account;
use crate::authorize::{AuthorizationRequest, AuthorizeDefaults, PendingAuthorization, Redirect};
use crate::clock::Clock;
use crate::error::{Error, ErrorCode, Result};
use crate::inner::Inner;
use crate::refresh::{FailureClass, Login, exchange};
use crate::secret::Secret;

/// Starts an authorization request with the client's options.
pub(crate) fn request(inner: &Inner) -> Result<AuthorizationRequest> {
    defaults(inner).map(AuthorizationRequest::new)
}

fn defaults(inner: &Inner) -> Result<AuthorizeDefaults> {
    let (client_id, _) = inner.refresher.credential.oauth()?;
    let settings = inner.settings();
    Ok(AuthorizeDefaults {
        authorize_url: settings.authorize_url.clone(),
        client_id: client_id.to_owned(),
        redirect_uri: settings.redirect_uri.clone(),
        scopes: settings.scopes.clone(),
    })
}

/// Makes the pending login of a request.
pub(crate) fn begin(inner: &Inner, request: AuthorizationRequest) -> Result<PendingAuthorization> {
    inner.check_open()?;
    request.build(inner.clock().now())
}

pub(crate) fn seal_pending(inner: &Inner, pending: &PendingAuthorization) -> Result<String> {
    pending.seal(&inner.grants().vault.keys()?.pending, &inner.settings().app)
}

pub(crate) fn open_pending(inner: &Inner, sealed: &str) -> Result<PendingAuthorization> {
    let defaults = defaults(inner)?;
    let keys = inner.grants().vault.keys()?;
    PendingAuthorization::open(sealed, &keys.pending, &inner.settings().app, &defaults)
}

/// Completes a login: see [`Client::complete`](crate::Client::complete).
pub(crate) fn complete(
    inner: &Inner,
    pending: &PendingAuthorization,
    redirect: &str,
) -> Result<Account> {
    let grants = inner.grants();
    inner.check_open()?;
    inner.refresher.credential.oauth()?;
    let redirect = Redirect::read(redirect)?;
    let _call = inner.begin_call();
    let now = inner.clock().now();
    let code = redirect.check(pending, now)?;
    let id = grants.vault.keys()?.fingerprint.of("state", pending.state().expose());
    let until = pending.expires_at().plus(Duration::from_secs(60));
    if !grants.store.claim(&id, until, now)? {
        return Err(Error::new(
            ErrorCode::StateMismatch,
            "this redirect was used before, for example because the browser loaded the page again: \
             if the login did not succeed, begin a new one",
        ));
    }
    let result = exchange_and_finish(
        inner,
        &Login {
            code,
            redirect_uri: Some(pending.redirect_uri()),
            verifier: pending.verifier(),
            scopes: pending.scopes(),
            expected: None,
        },
    );
    if let Err((_, FailureClass::Untouched)) = &result {
        // The platform did not look at the code: the same redirect may be tried again.
        if let Err(error) = grants.store.unclaim(&id) {
            tracing::warn!(
                %error,
                "the redirect of a login that failed could not be released in the store: the user \
                 has to begin a new login"
            );
        }
    }
    result.map_err(|(error, _)| error)
}

/// Completes an installation without `state`: see
/// [`Client::complete_unsolicited`](crate::Client::complete_unsolicited).
pub(crate) fn complete_unsolicited(
    inner: &Inner,
    code: &str,
    expected: &Account,
) -> Result<Account> {
    inner.check_open()?;
    if code.is_empty() || code.len() > LONGEST_CODE || !code.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Error::argument(
            "a code has 1 to 4096 printable ASCII characters: give the parameter `code` of the URL \
             that the user came to, percent-escapes decoded",
        ));
    }
    exchange_and_finish(
        inner,
        &Login {
            code: &Secret::new(code),
            redirect_uri: inner.settings().redirect_uri.as_deref(),
            verifier: None,
            scopes: &[],
            expected: Some(expected),
        },
    )
    .map_err(|(error, _)| error)
}

fn exchange_and_finish(
    inner: &Inner,
    login: &Login<'_>,
) -> std::result::Result<Account, (Error, FailureClass)> {
    let _call = inner.begin_call();
    let account = exchange(&inner.refresher, login)?;
    inner.installations().finish_installs(&account);
    Ok(account)
}

const LONGEST_CODE: usize = 4096;
