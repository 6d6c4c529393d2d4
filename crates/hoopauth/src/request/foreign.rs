//! Requests that another HTTP library sends with hoopauth's headers: which of their answers are
//! about the token, and when the request is repeated.

use super::report::Report;
use crate::account::Account;
use crate::error::{Error, ErrorCode, Result};
use crate::headers::Headers;
use crate::refusal::may_refuse;

/// The state of one such request. An adapter asks [`look`](Self::look) about each answer. If that
/// needs the body, the adapter reports the answer and asks [`settle`](Self::settle) what to do.
///
/// A request is repeated at most once.
#[derive(Debug, Default)]
pub struct ForeignRequest {
    is_repeat: bool,
}

/// Next step after a look at the status of an answer.
#[derive(Debug)]
pub enum Look {
    /// The answer is not about the token. Note its limits.
    NoteLimits,
    /// The answer is not about a token of hoopauth. Leave it alone.
    Leave,
    /// The answer's body decides. Report the answer.
    Report,
    /// The platform refused the repeat as well. Hand out the answer with this error.
    Refused(Error),
}

impl ForeignRequest {
    /// Looks at an answer. `carries_token`: the request carried `Authorization` and went to a host
    /// that the token may be sent to. After a redirect, either may be untrue.
    pub fn look(
        &self,
        account: Option<&str>,
        status: u16,
        carries_token: impl FnOnce() -> bool,
    ) -> Look {
        if !may_refuse(status) {
            Look::NoteLimits
        } else if !carries_token() {
            Look::Leave
        } else if self.is_repeat && status == 401 {
            Look::Refused(refused_again(account))
        } else {
            Look::Report
        }
    }

    /// Takes the report of an answer. Returns the headers for the repeat, or `None` if the request
    /// is not repeated.
    pub fn settle(&mut self, account: Option<&str>, report: Report) -> Result<Option<Headers>> {
        match report {
            Report::Pass => Ok(None),
            Report::Repeat(_) if self.is_repeat => Err(refused_again(account)),
            Report::Repeat(headers) => {
                self.is_repeat = true;
                Ok(Some(headers))
            }
        }
    }

    /// Error for an answer after which [`settle`](Self::settle) gave new headers, and whose
    /// request's body can't be sent twice.
    pub fn not_repeated(account: Option<&str>) -> Error {
        unauthorized(
            account,
            "the token was refused and is replaced now, but this request's body can't be sent \
             twice: send it anew",
        )
        .with_retryable(true)
    }
}

fn refused_again(account: Option<&str>) -> Error {
    unauthorized(
        account,
        "the API refuses the refreshed token, too: wait, and check that the app is still installed",
    )
}

fn unauthorized(account: Option<&str>, message: &str) -> Error {
    let error = Error::new(ErrorCode::HttpStatus, message).with_status(401);
    match account.map(Account::parse) {
        Some(Ok(account)) => error.with_account(&account),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers() -> Headers {
        let client = crate::Client::builder().access_token("a").build().unwrap();
        client.headers("GET").unwrap()
    }

    #[test]
    fn only_answers_to_a_token_of_ours_are_reported() {
        let request = ForeignRequest::default();
        for status in [200, 304, 404, 500] {
            let look = request.look(None, status, || panic!("nobody needs to know"));
            assert!(matches!(look, Look::NoteLimits), "{status}");
        }
        for status in [400, 401, 403, 429] {
            assert!(matches!(request.look(None, status, || false), Look::Leave), "{status}");
            assert!(matches!(request.look(None, status, || true), Look::Report), "{status}");
        }
    }

    #[test]
    fn a_request_is_repeated_once() {
        let (mut request, account) = (ForeignRequest::default(), Some("location:a"));
        assert!(request.settle(account, Report::Pass).unwrap().is_none());
        assert!(request.settle(account, Report::Repeat(headers())).unwrap().is_some());
        let again = match request.look(account, 401, || true) {
            Look::Refused(error) => error,
            other => panic!("{other:?}"),
        };
        assert_eq!((again.code(), again.status()), (ErrorCode::HttpStatus, Some(401)));
        assert_eq!(again.account().map(Account::as_str), account);
        assert!(!again.is_retryable());
        assert!(matches!(request.look(account, 403, || true), Look::Report));
        assert!(request.settle(account, Report::Pass).unwrap().is_none());
        request.settle(account, Report::Repeat(headers())).unwrap_err();
        assert!(ForeignRequest::not_repeated(account).is_retryable());
    }
}
