//! The auth modes: exactly one per client; and the rotation of Private Integration tokens.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::options::OptionSet;
use crate::secret::{Secret, constant_time_eq};
use crate::sync::{Mutex, lock};

/// Credential that the app was given.
#[derive(Debug)]
pub(crate) enum Credential {
    /// A Private Integration token, and the one that replaces it while it is rotated.
    PrivateIntegration(Rotation),
    /// An access token from elsewhere.
    AccessToken { token: Secret },
    /// OAuth 2.0 Authorization Code (RFC 6749 §4.1).
    OAuth { client_id: String, client_secret: Secret },
}

impl Credential {
    /// The part of the client id that webhooks, and the list of installed locations, name the app
    /// by.
    pub(crate) fn app_id(&self) -> Option<&str> {
        match self {
            Self::OAuth { client_id, .. } => {
                Some(client_id.split_once('-').map_or(client_id, |(app_id, _)| app_id))
            }
            _ => None,
        }
    }

    /// Reads the one credential; none or two are `CONFIG`.
    pub(crate) fn from_options(options: &OptionSet) -> Result<Self> {
        let integration = options.secret("private_integration_token")?;
        let access = options.secret("access_token")?;
        let id = options.text("client_id")?;
        let secret = options.secret("client_secret")?;
        if options.is_set("private_integration_token_next") && integration.is_none() {
            return Err(Error::config(
                "`private_integration_token_next` is set and `private_integration_token` is not: \
                 put the current token into `private_integration_token`",
            ));
        }
        match (integration, access, id, secret) {
            (Some(token), None, None, None) => {
                let next = options.secret("private_integration_token_next")?;
                Ok(Self::PrivateIntegration(Rotation::new(token, next)))
            }
            (None, Some(token), None, None) => Ok(Self::AccessToken { token }),
            (None, None, Some(client_id), Some(client_secret)) => {
                Ok(Self::OAuth { client_id, client_secret })
            }
            (None, None, Some(_), None) => {
                Err(Error::config("`client_secret` is missing: set it beside `client_id`"))
            }
            (None, None, None, Some(_)) => {
                Err(Error::config("`client_id` is missing: set it beside `client_secret`"))
            }
            (None, None, None, None) => Err(Error::config(
                "no credential: set `private_integration_token`, `access_token`, or `client_id` \
                 and `client_secret`",
            )),
            _ => Err(Error::config(
                "two credentials: set only one of `private_integration_token`, `access_token`, and \
                 `client_id` with `client_secret`",
            )),
        }
    }

    /// Returns client id and client secret: `INVALID_STATE` for a static token.
    pub(crate) fn oauth(&self) -> Result<(&str, &Secret)> {
        match self {
            Self::OAuth { client_id, client_secret } => Ok((client_id, client_secret)),
            _ => Err(Error::state(
                "this needs OAuth: the client has a static token; set `client_id` and \
                 `client_secret`",
            )),
        }
    }

    /// Returns `true` for a single token, which nothing refreshes.
    pub(crate) fn is_static(&self) -> bool {
        !matches!(self, Self::OAuth { .. })
    }

    /// Takes in that the platform accepted a token.
    #[inline]
    pub(crate) fn note_accepted(&self, token: &str) {
        if let Self::PrivateIntegration(rotation) = self {
            rotation.accepted(token);
        }
    }

    /// Does `work` with the static token in use, which stays in use meanwhile.
    pub(crate) fn with_static_token<T>(&self, work: impl FnOnce(&Secret) -> T) -> Option<T> {
        match self {
            Self::PrivateIntegration(rotation) => Some(rotation.with_current(work)),
            Self::AccessToken { token } => Some(work(token)),
            Self::OAuth { .. } => None,
        }
    }
}

/// The Private Integration tokens of a client, and which of them is in use.
///
/// One that the platform refuses gives its place to the other, which keeps it. Late reports of the
/// refused one change nothing.
#[derive(Debug)]
pub(crate) struct Rotation {
    token: Secret,
    next: Option<Secret>,
    standing: Mutex<Standing>,
    /// `true` if a token is marked as refused. A good answer looks here first, without the lock.
    any_refused: AtomicBool,
}

/// Outcome of the refusal of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The other one is in use from now on; the name of the option that was refused, and of the one
    /// in use.
    Switched { refused: &'static str, used: &'static str },
    /// The refused token is not in use any more.
    Late,
    /// There is no other.
    Alone,
    /// The other one was refused too, a moment ago.
    Both,
}

#[derive(Debug, Default)]
struct Standing {
    /// `true` if the second token is in use.
    next_in_use: bool,
    /// Time of the last refusal of the first and of the second token, on the monotonic clock.
    refused: [Option<u64>; 2],
}

impl Rotation {
    fn new(token: Secret, next: Option<Secret>) -> Self {
        Self {
            // The same token twice is one.
            next: next.filter(|next| *next != token),
            token,
            standing: Mutex::new(Standing::default()),
            any_refused: AtomicBool::new(false),
        }
    }

    fn with_current<T>(&self, work: impl FnOnce(&Secret) -> T) -> T {
        let standing = lock(&self.standing);
        work(self.current(&standing))
    }

    fn current(&self, standing: &Standing) -> &Secret {
        self.next.as_ref().filter(|_| standing.next_in_use).unwrap_or(&self.token)
    }

    /// Takes in that the platform refused `token`; `switch` is called while no headers are made, if
    /// another takes its place.
    pub(crate) fn refused(&self, token: &str, now: u64, switch: impl FnOnce()) -> Verdict {
        let mut standing = lock(&self.standing);
        if self.next.is_none() {
            standing.refused[0] = Some(now);
            self.any_refused.store(true, Ordering::Relaxed);
            return Verdict::Alone;
        }
        let (own, other) = (usize::from(standing.next_in_use), usize::from(!standing.next_in_use));
        let fresh = |mark: Option<u64>| {
            mark.is_some_and(|at| Duration::from_millis(now.saturating_sub(at)) < LOOK_AGAIN)
        };
        if !is(self.current(&standing), token) {
            return if fresh(standing.refused[own]) { Verdict::Both } else { Verdict::Late };
        }
        standing.refused[own] = Some(now);
        self.any_refused.store(true, Ordering::Relaxed);
        if fresh(standing.refused[other]) {
            return Verdict::Both;
        }
        standing.next_in_use = !standing.next_in_use;
        standing.refused[other] = None;
        switch();
        Verdict::Switched { refused: OPTIONS[own], used: OPTIONS[other] }
    }

    /// Returns `true` if a token was refused and did not work since.
    pub(crate) fn any_refused(&self) -> bool {
        self.any_refused.load(Ordering::Relaxed)
    }

    /// Takes in that the platform took `token`: a hiccup is over.
    pub(crate) fn accepted(&self, token: &str) {
        if !self.any_refused() {
            return;
        }
        let mut standing = lock(&self.standing);
        if is(self.current(&standing), token) {
            let own = usize::from(standing.next_in_use);
            standing.refused[own] = None;
            self.any_refused.store(standing.refused.iter().any(Option::is_some), Ordering::Relaxed);
        }
    }

    /// The option whose token was refused and has not worked since; of two, the one in use.
    pub(crate) fn refused_option(&self) -> Option<&'static str> {
        let standing = lock(&self.standing);
        let own = usize::from(standing.next_in_use);
        [own, 1 - own]
            .into_iter()
            .find(|index| standing.refused[*index].is_some())
            .map(|index| OPTIONS[index])
    }
}

fn is(secret: &Secret, token: &str) -> bool {
    constant_time_eq(secret.expose().as_bytes(), token.as_bytes())
}

const OPTIONS: [&str; 2] = ["private_integration_token", "private_integration_token_next"];
/// So long a refused token is not tried again: longer than a hiccup of the platform, short enough
/// that none is the end.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
