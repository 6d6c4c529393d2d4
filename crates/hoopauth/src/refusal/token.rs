//! The meaning of the token endpoint's refusals.

use super::body::{OAuthCode, Refusal};
use crate::error::ErrorCode;

/// State of the refresh token after a failed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureClass {
    /// The token is expired, revoked or spent.
    InvalidGrant,
    /// The token is as good as before: the request was refused before the endpoint looked at the
    /// token, or never arrived.
    Untouched,
    /// The token may have been spent: the answer was lost or cut, or something other than the
    /// endpoint made it.
    Unknown,
}
/// Proof that a token request carries. It decides what a refusal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    /// An authorization code.
    Code,
    /// A refresh token.
    Refresh,
    /// The token of a location's company.
    Mint,
}

impl Asks {
    /// Name of the option that holds the request's URL.
    pub(crate) fn url_option(self) -> &'static str {
        match self {
            Self::Code | Self::Refresh => "token_url",
            Self::Mint => "location_token_url",
        }
    }
}

/// Next step of the user if something other than the endpoint answered.
pub(crate) fn look_between(asks: Asks) -> String {
    format!(
        "check `{}`, and whether a firewall, a proxy or a login page on the way answers in its \
         place",
        asks.url_option()
    )
}

/// The meaning of a refusal.
pub(crate) struct TokenRefusal {
    pub(crate) code: ErrorCode,
    pub(crate) class: FailureClass,
    pub(crate) message: String,
    /// The same request can succeed later although no person changes anything.
    pub(crate) is_transient: bool,
}

impl TokenRefusal {
    fn new(code: ErrorCode, class: FailureClass, message: impl Into<String>) -> Self {
        Self { code, class, message: message.into(), is_transient: false }
    }

    fn transient(code: ErrorCode, class: FailureClass, message: impl Into<String>) -> Self {
        Self { is_transient: true, ..Self::new(code, class, message) }
    }

    fn rejected(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::TokenRequestRejected, FailureClass::Untouched, message)
    }

    /// Something on the way answered, so the endpoint did not see the request.
    fn between(status: u16, asks: Asks) -> Self {
        Self::new(
            ErrorCode::MalformedResponse,
            FailureClass::Untouched,
            format!(
                "an answer of status {status} came that is not the token endpoint's: {}",
                look_between(asks)
            ),
        )
    }
}

/// Reads a refusal: first the statuses that mean the same whoever sends them, then the code of RFC
/// 6749. Words count only if there is no code, because they mislead: the words of `invalid_grant`
/// name an authorization code.
pub(crate) fn classify(status: u16, body: &Refusal, asks: Asks) -> TokenRefusal {
    use FailureClass::{Unknown, Untouched};
    match status {
        429 => {
            return TokenRefusal::transient(
                ErrorCode::RateLimited,
                Untouched,
                match asks {
                    Asks::Mint => {
                        "the platform's rate limit for this company is reached: try again after \
                         `retry_after`"
                    }
                    _ => {
                        "the token endpoint's limit is reached: try again after `retry_after`; if \
                         this happens often, lower `token_requests_per_minute`, because other \
                         programs of the same app share the limit"
                    }
                },
            );
        }
        500.. => {
            return TokenRefusal::transient(
                ErrorCode::HttpStatus,
                Unknown,
                format!("the token endpoint failed with status {status}: try again later"),
            );
        }
        300..=399 => {
            return TokenRefusal::new(
                ErrorCode::MalformedResponse,
                Untouched,
                format!(
                    "the token endpoint answered with a redirect, which is not followed: {}",
                    look_between(asks)
                ),
            );
        }
        407 => {
            return TokenRefusal::new(
                ErrorCode::MalformedResponse,
                Untouched,
                "the proxy on the way to the token endpoint asks for a user and a password: write \
                 them into the proxy's URL, in the option `proxy` or in the environment's \
                 `HTTPS_PROXY`",
            );
        }
        _ => {}
    }
    if let Some(code) = body.oauth_code() {
        return by_code(code, asks);
    }
    match status {
        // A proxy waited for the endpoint in vain. The endpoint may have had the request.
        408 => {
            return TokenRefusal::transient(
                ErrorCode::HttpStatus,
                Unknown,
                "the token endpoint, or a proxy on the way, gave up waiting (status 408): try \
                 again",
            );
        }
        425 => {
            return TokenRefusal::transient(
                ErrorCode::HttpStatus,
                Untouched,
                "the token endpoint does not take the request this early in a connection (status \
                 425): try again",
            );
        }
        _ => {}
    }
    by_words(status, body, asks)
}

fn by_code(code: OAuthCode, asks: Asks) -> TokenRefusal {
    match (code, asks) {
        (_, Asks::Mint) => not_minted(),
        (OAuthCode::InvalidGrant, Asks::Refresh) => refresh_token_refused(),
        (OAuthCode::InvalidGrant, Asks::Code) => code_refused(),
        (OAuthCode::InvalidClient, _) => client_refused(),
        (OAuthCode::UnauthorizedClient, _) => TokenRefusal::rejected(
            "the platform does not let this app ask for tokens this way: check that `client_id` is \
             the one of the app that the user installed, and that the app is active",
        ),
        (OAuthCode::UnsupportedGrantType, _) => TokenRefusal::rejected(
            "the server does not know this kind of token request: check that `token_url` is the \
             platform's token endpoint",
        ),
        (OAuthCode::InvalidScope, _) => TokenRefusal::rejected(
            "the platform refuses the scopes: ask only for `scopes` that the app was given",
        ),
        (OAuthCode::InvalidRequest, _) => parameter_refused(asks),
    }
}

fn by_words(status: u16, body: &Refusal, asks: Asks) -> TokenRefusal {
    let words = body.words();
    if words.is_empty() {
        return TokenRefusal::between(status, asks);
    }
    let says = |part: &str| words.say(part);
    let ended = ["invalid", "expired", "revoked", "not found", "used"].into_iter().any(says);
    match asks {
        _ if says("not active") || says("inactive") => TokenRefusal::new(
            ErrorCode::AccountInactive,
            FailureClass::Untouched,
            "the platform says that the account is paused or unpaid: activate it there. Its grant \
             is kept, and works again then",
        ),
        Asks::Mint if words.deny_the_location() => TokenRefusal::new(
            ErrorCode::WrongAccount,
            FailureClass::Untouched,
            "the company's token has no access to this location: check that the location belongs \
             to the company and that the app is installed in it",
        ),
        _ if says("cannot post") => TokenRefusal::between(status, asks),
        Asks::Mint => not_minted(),
        _ if says("invalid client") => client_refused(),
        Asks::Refresh
            if says("invalid grant") || says("refresh token") && ended && !says("parameter") =>
        {
            refresh_token_refused()
        }
        Asks::Code
            if says("authorization code")
                || says("authorization_code")
                || says("invalid grant") =>
        {
            code_refused()
        }
        _ if says("parameter") || status == 422 => parameter_refused(asks),
        // RFC 6749 §5.2 has these two statuses. A token endpoint sends no other.
        _ if matches!(status, 400 | 401) => TokenRefusal::rejected(match asks {
            Asks::Code => {
                "the platform refuses the code exchange; `server_message` says why: check \
                 `client_id`, `client_secret` and `redirect_uri`"
            }
            _ => {
                "the platform refuses the refresh; `server_message` says why: check `client_id` \
                 and `client_secret`"
            }
        }),
        _ => TokenRefusal::between(status, asks),
    }
}

fn refresh_token_refused() -> TokenRefusal {
    TokenRefusal::new(
        ErrorCode::ReauthorizationRequired,
        FailureClass::InvalidGrant,
        "the platform refuses the refresh token: it has expired, was revoked or was used \
         elsewhere. Send the user through authorization again",
    )
}

fn code_refused() -> TokenRefusal {
    TokenRefusal::rejected(
        "the platform refuses the authorization code: it is wrong, has expired or was used before. \
         Send the user through authorization again",
    )
}

fn client_refused() -> TokenRefusal {
    TokenRefusal::rejected(
        "the platform does not know the app or refuses its secret: check `client_id` and \
         `client_secret`",
    )
}

fn parameter_refused(asks: Asks) -> TokenRefusal {
    TokenRefusal::rejected(match asks {
        Asks::Code => {
            "the platform refuses a parameter of the code exchange; `server_message` names it: \
             `redirect_uri` must be exactly as registered with the app, and `user_type` must be \
             the class of the account"
        }
        _ => {
            "the platform refuses a parameter of the refresh; `server_message` names it: check \
             `client_id` and `client_secret`"
        }
    })
}

fn not_minted() -> TokenRefusal {
    TokenRefusal::rejected(
        "the platform gives no token for this location; `server_message` says why: check that the \
         location belongs to the company, that the app is installed in it, and that the company's \
         grant has the scope `oauth.write`",
    )
}
