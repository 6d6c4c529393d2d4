//! The auth modes: exactly one per client.

use crate::error::{Error, Result};
use crate::options::OptionSet;
use crate::secret::Secret;

/// What the app was given.
#[derive(Clone, Debug)]
pub(crate) enum Credential {
    /// A Private Integration token, and the one that replaces it while it is rotated.
    PrivateIntegration { token: Secret },
    /// An access token from elsewhere.
    AccessToken { token: Secret },
    /// OAuth 2.0 Authorization Code (RFC 6749 §4.1).
    OAuth { client_id: String, client_secret: Secret },
}

impl Credential {
    /// The part of the client id that webhooks, and the list of installed locations, name the app by.
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
        let integration = options.secret("private_integration_token");
        let access = options.secret("access_token");
        let id = options.text("client_id");
        let secret = options.secret("client_secret");
        if options.is_set("private_integration_token_next") && integration.is_none() {
            return Err(Error::config(
                "`private_integration_token_next` goes with `private_integration_token`",
            ));
        }
        match (integration, access, id, secret) {
            (Some(token), None, None, None) => Ok(Self::PrivateIntegration { token }),
            (None, Some(token), None, None) => Ok(Self::AccessToken { token }),
            (None, None, Some(client_id), Some(client_secret)) => {
                Ok(Self::OAuth { client_id, client_secret })
            }
            (None, None, Some(_), None) => {
                Err(Error::config("`client_secret` is missing: it goes with `client_id`"))
            }
            (None, None, None, Some(_)) => {
                Err(Error::config("`client_id` is missing: it goes with `client_secret`"))
            }
            (None, None, None, None) => Err(Error::config(
                "no credential: set `private_integration_token`, `access_token`, or `client_id` and `client_secret`",
            )),
            _ => Err(Error::config(
                "two credentials: set only one of `private_integration_token`, `access_token`, and `client_id` with `client_secret`",
            )),
        }
    }

    pub(crate) fn static_token(&self) -> Option<&Secret> {
        match self {
            Self::PrivateIntegration { token } | Self::AccessToken { token } => Some(token),
            Self::OAuth { .. } => None,
        }
    }
}
