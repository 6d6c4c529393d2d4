//! What an API answer means for the token it was asked with.

use std::sync::Arc;

use url::Url;

use crate::account::Account;
use crate::cache::{Served, Snapshot};
use crate::client::Client;
use crate::clock::Clock;
use crate::credential::{Credential, Rotation, Verdict};
use crate::error::{Error, ErrorCode, Result};
use crate::headers::Headers;
use crate::inner::Inner;
use crate::operations::Operation;
use crate::refusal::{ApiCall, Meaning, TokenKind, classify, may_refuse};

/// What to do after an API answer was reported.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Report {
    /// The answer is no matter of authentication: use it.
    Pass,
    /// The token was refused and there is a new one: repeat the request once, with these headers.
    Repeat(Headers),
}

impl Client {
    /// What an answer means, and what can be done about it; `sent`: method and path, where the host
    /// tells.
    pub(crate) fn judge(
        &self,
        headers: &Headers,
        sent: Option<(&str, &str)>,
        status: u16,
        answer_headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Report> {
        let inner = &self.inner;
        inner.check_open()?;
        if matches!(status, 401 | 403) {
            // The cause may be what another process did to the account.
            inner.clock.look_soon();
        }
        let told = inner.limits.note(
            &inner.clock,
            inner.settings.pacing.as_ref(),
            headers.account(),
            status,
            answer_headers.iter().copied(),
        );
        let snapshot = headers.snapshot();
        if let 200..=299 = status {
            inner.note_accepted(snapshot);
        }
        if !may_refuse(status) {
            return Ok(Report::Pass);
        }
        let operation = sent.and_then(|(method, path)| self.operation_of(method, path));
        let account = Account::parse(snapshot.name()).ok();
        let token = TokenKind::of(&inner.credential);
        let call =
            ApiCall { account: account.as_ref(), operation, token, bearer: snapshot.token() };
        let error = match classify(&call, status, body) {
            Meaning::Pass => return Ok(Report::Pass),
            Meaning::Final(error) => {
                return Err(match told.wait {
                    Some(wait) => error.with_retry_after(wait),
                    None => error,
                });
            }
            // Of two tokens the other is tried whatever the platform says of the one in use: that
            // costs nothing.
            Meaning::PrivateIntegration(error) if token == TokenKind::Grant => return Err(error),
            Meaning::PrivateIntegration(error) | Meaning::Refreshable(error) => error,
        };
        let snapshot = match (&inner.credential, account) {
            (Credential::OAuth { .. }, Some(account)) => {
                inner.replace_refused(&account, snapshot, &error)?
            }
            (Credential::PrivateIntegration(rotation), account) => {
                inner.rotate(rotation, snapshot).map_err(|message| {
                    let refused = Error::new(ErrorCode::InvalidPrivateIntegration, message)
                        .with_status(status)
                        .with_server_message(error.server_message())
                        .with_trace_id(error.trace_id());
                    match account {
                        Some(account) => refused.with_account(&account),
                        None => refused,
                    }
                })?
            }
            _ => return Err(error),
        };
        let repeat = Headers::new(
            Served::from_inner(snapshot),
            if headers.content_type().is_some() { b"POST" } else { b"GET" },
        );
        let same_version = headers.version() == repeat.version();
        Ok(Report::Repeat(if same_version {
            repeat
        } else {
            repeat.with_version(headers.version())?
        }))
    }

    /// The documented operation of a request that was sent: a path below `api_base`, or the whole
    /// URL.
    pub(crate) fn operation_of(&self, method: &str, path: &str) -> Option<Operation> {
        let method = method.to_ascii_uppercase();
        if path.starts_with('/') {
            return Operation::find(&method, path);
        }
        let url = Url::parse(path).ok()?;
        let base = &self.inner.settings.api_base;
        let below = base.below(&url[..url::Position::AfterPath])?;
        Operation::find(&method, below)
    }
}

impl Inner {
    /// Takes in that the platform took a token.
    #[inline]
    pub(crate) fn note_accepted(&self, sent: &Snapshot) {
        if let Credential::PrivateIntegration(rotation) = &self.credential {
            rotation.accepted(sent.token());
        }
    }

    /// After the platform refused a Private Integration token: headers with the other one, or what
    /// to tell the user.
    fn rotate(
        &self,
        rotation: &Rotation,
        reported: &Snapshot,
    ) -> std::result::Result<Arc<Snapshot>, &'static str> {
        let alone = "the platform refuses the Private Integration token: copy the current one from the account's settings";
        match rotation.refused(reported.token(), self.clock.monotonic(), || self.cache.clear()) {
            Verdict::Switched { refused, used } => {
                tracing::warn!(
                    option = refused,
                    "the platform refuses the Private Integration token of `{refused}`: that of `{used}` is used from now on; \
                     take the refused one out of the configuration, or replace it by the current one from the account's settings",
                );
            }
            Verdict::Late => {}
            Verdict::Alone => return Err(alone),
            Verdict::Both => {
                return Err(
                    "both Private Integration tokens are refused, that of `private_integration_token` and that of \
                     `private_integration_token_next`: copy the current one from the account's settings",
                );
            }
        }
        self.static_snapshot(reported.name()).ok_or(alone)
    }
}
