//! Exchange: a login's code becomes a grant.

use super::Refresher;
use super::token_endpoint::FailureClass;
use crate::account::Account;
use crate::calls::timed_out;
use crate::clock::Clock;
use crate::error::{Error, ErrorCode, Result};
use crate::secret::Secret;
use crate::store::Priority;

/// A login whose code is to be exchanged.
pub(crate) struct Login<'a> {
    pub(crate) code: &'a Secret,
    pub(crate) redirect_uri: Option<&'a str>,
    /// The PKCE verifier, if a challenge was sent.
    pub(crate) verifier: Option<&'a Secret>,
    /// The scopes that were asked for. An answer that names none means these (RFC 6749, 5.1).
    pub(crate) scopes: &'a [String],
    /// The account that the code must be for.
    pub(crate) expected: Option<&'a Account>,
}

/// Exchanges a code and stores the grant. The error comes with its meaning for the code.
pub(crate) fn exchange(
    refresher: &Refresher,
    login: &Login<'_>,
) -> std::result::Result<Account, (Error, FailureClass)> {
    let grants = &refresher.grants;
    let settings = &grants.settings;
    let _call = grants.begin_call();
    let untouched = |error: Error| (error, FailureClass::Untouched);
    let asked = login.expected.map(Account::kind).or(settings.user_type);
    let mut tries = 0;
    let (answer, sent) = loop {
        refresher.take_slot(Priority::Normal).map_err(untouched)?;
        let endpoint = refresher.token_endpoint().map_err(untouched)?;
        let attempt = grants.at_most(settings.attempt_timeout);
        if attempt.is_zero() {
            return Err(untouched(timed_out()));
        }
        let sent = grants.clock.now();
        match endpoint.exchange(login.code, login.redirect_uri, login.verifier, asked, attempt) {
            Ok(answer) => break (answer, sent),
            // A code is good for one use: it is sent again only if it surely never arrived.
            Err(failure)
                if failure.class == FailureClass::Untouched
                    && failure.error.code() == ErrorCode::Network
                    && tries < settings.max_retries =>
            {
                tries += 1;
            }
            Err(failure) => {
                refresher.note_limit(&failure.error);
                let stays = failure.error.is_retryable()
                    || failure.error.code() == ErrorCode::MalformedResponse;
                let class = if stays { failure.class } else { FailureClass::Unknown };
                return Err((failure.error, class));
            }
        }
    };
    let stored = || -> Result<Account> {
        let account = answer.account(asked)?;
        if let Some(kind) = asked
            && kind != account.kind()
        {
            return Err(Error::new(
                ErrorCode::WrongTokenClass,
                format!(
                    "the user authorized a {} where a {kind} was asked for, so nothing was \
                     stored: send the user through authorization again, to choose a {kind}",
                    account.kind()
                ),
            ));
        }
        if let Some(expected) = login.expected {
            answer.check_new(
                expected,
                "check the account that you expect, and let the user choose it at the next login",
            )?;
        }
        let mut grant = answer.into_grant(&account, None, sent, false);
        if grant.scopes.is_empty() {
            grant.scopes = login.scopes.to_vec();
        }
        refresher.adopt(grant);
        Ok(account)
    };
    stored().map_err(|error| (error, FailureClass::Unknown))
}
