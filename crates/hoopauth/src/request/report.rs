//! The reaction to an API answer that may refuse the token.

use std::sync::Arc;
use std::time::Duration;

use url::{Position, Url};

use crate::account::Account;
use crate::clock::Clock;
use crate::credential::{Credential, Rotation, Verdict};
use crate::error::{Error, ErrorCode, Result};
use crate::headers::Headers;
use crate::inner::Inner;
use crate::operations::Operation;
use crate::refresh::replace_refused;
use crate::refusal::{ApiCall, Meaning, TokenKind, classify, may_refuse};
use crate::serve::static_snapshot;
use crate::settings::ApiBase;
use crate::snapshot::{Served, Snapshot};

/// Next step after an API answer was reported.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Report {
    /// The answer is not about authentication: use it.
    Pass,
    /// The token was refused and there is a new one: repeat the request once, with these headers.
    Repeat(Headers),
}

/// Takes in an answer that the program got by itself. `sent`: method and path, if the program tells
/// them.
pub(crate) fn report(
    inner: &Inner,
    headers: &Headers,
    sent: Option<(&str, &str)>,
    status: u16,
    answer_headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Report> {
    inner.check_open()?;
    let (limits, pacing) = (&inner.refresher.limits, inner.settings().pacing.as_ref());
    let told = answer_headers.iter().copied();
    let hint = limits.note(inner.clock(), pacing, headers.account(), status, told);
    if let 200..=299 = status {
        inner.refresher.credential.note_accepted(headers.snapshot().token());
    }
    if !may_refuse(status) {
        return Ok(Report::Pass);
    }
    let base = &inner.settings().api_base;
    let operation = sent.and_then(|(method, path)| operation_of(base, method, path));
    let answer = Answer::new(headers, operation, status, body, hint.wait);
    let meaning = answer.meaning(&inner.refresher.credential);
    answer.settle(inner, meaning)
}

/// Finds the documented operation of a path below `api_base`, or of a whole URL.
fn operation_of(base: &ApiBase, method: &str, path: &str) -> Option<Operation> {
    if path.starts_with('/') {
        return Operation::find(method, path);
    }
    let url = Url::parse(path).ok()?;
    Operation::find_path(method, base.below(&url[..Position::AfterPath])?)
}

/// An answer that may refuse the token of its request.
pub(super) struct Answer<'a> {
    headers: &'a Headers,
    account: Option<Account>,
    operation: Option<Operation>,
    status: u16,
    body: &'a [u8],
    wait: Option<Duration>,
}

impl<'a> Answer<'a> {
    /// `headers`: those of the request. `wait`: the wait that the answer asks for.
    pub(super) fn new(
        headers: &'a Headers,
        operation: Option<Operation>,
        status: u16,
        body: &'a [u8],
        wait: Option<Duration>,
    ) -> Self {
        let account = Account::parse(headers.account()).ok();
        Self { headers, account, operation, status, body, wait }
    }

    pub(super) fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    pub(super) fn meaning(&self, credential: &Credential) -> Meaning {
        let call = ApiCall {
            account: self.account.as_ref(),
            operation: self.operation,
            token: TokenKind::of(credential),
            bearer: self.headers.snapshot().token(),
        };
        classify(&call, self.status, self.body)
    }

    /// Gets a new token if that helps. The caller has noted the answer's limits.
    pub(super) fn settle(&self, inner: &Inner, meaning: Meaning) -> Result<Report> {
        if matches!(self.status, 401 | 403) {
            // Another process may have changed the account.
            inner.clock().look_soon();
        }
        let is_grant = TokenKind::of(&inner.refresher.credential) == TokenKind::Grant;
        let error = match meaning {
            Meaning::Pass => return Ok(Report::Pass),
            Meaning::Final(error) => {
                return Err(match self.wait {
                    Some(wait) => error.with_retry_after(wait),
                    None => error,
                });
            }
            // Of two Private Integration tokens, the other one is tried whatever the platform says
            // about the first: that costs nothing.
            Meaning::PrivateIntegration(error) if is_grant => return Err(error),
            Meaning::PrivateIntegration(error) | Meaning::Refreshable(error) => error,
        };
        let refused = self.headers.snapshot();
        let snapshot = match (&inner.refresher.credential, &self.account) {
            (Credential::OAuth { .. }, Some(account)) => {
                replace_refused(&inner.refresher, account, refused, &error)?
            }
            (Credential::PrivateIntegration(rotation), account) => rotate(inner, rotation, refused)
                .map_err(|message| {
                    let refused = Error::new(ErrorCode::InvalidPrivateIntegration, message)
                        .with_status(self.status)
                        .with_server_message(error.server_message())
                        .with_trace_id(error.trace_id());
                    match account {
                        Some(account) => refused.with_account(account),
                        None => refused,
                    }
                })?,
            _ => return Err(error),
        };
        Ok(Report::Repeat(self.headers.with_token_of(Served::from_inner(snapshot))))
    }
}

/// Changes to the other Private Integration token after the platform refused one. The error is the
/// message for the user.
fn rotate(
    inner: &Inner,
    rotation: &Rotation,
    reported: &Snapshot,
) -> std::result::Result<Arc<Snapshot>, &'static str> {
    let alone = "the platform refuses the Private Integration token: copy the current one from the \
                 account's settings";
    match rotation
        .refused(reported.token(), inner.clock().monotonic(), || inner.grants().cache.clear())
    {
        Verdict::Switched { refused, used } => {
            tracing::warn!(
                option = refused,
                "the platform refuses the Private Integration token of `{refused}`: that of \
                 `{used}` is used from now on; take the refused one out of the configuration, or \
                 replace it by the current one from the account's settings",
            );
        }
        Verdict::Late => {}
        Verdict::Alone => return Err(alone),
        Verdict::Both => {
            return Err(
                "both Private Integration tokens are refused, that of `private_integration_token` \
                 and that of `private_integration_token_next`: copy the current one from the \
                 account's settings",
            );
        }
    }
    static_snapshot(inner, reported.name()).ok_or(alone)
}
