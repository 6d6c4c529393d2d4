//! The way of one request: tries, redirects and a new token after a refusal, all by one deadline.

use std::borrow::Cow;
use std::time::Duration;

use url::{Position, Url};

use super::method::Method;
use super::outgoing::Outgoing;
use super::preflight::prepare;
use super::report::{Answer, Report};
use super::target::path_of;
use super::{RequestBuilder, Response, redirect, retry};
use crate::account::Account;
use crate::callback::calling;
use crate::calls::timed_out;
use crate::clock::Clock;
use crate::credential::Credential;
use crate::error::{Error, ErrorCode, Result};
use crate::headers::Headers;
use crate::inner::Inner;
use crate::jobs::left_of_caller;
use crate::limits::WaitHint;
use crate::operations::Operation;
use crate::redact::clean;
use crate::refresh::refused_again;
use crate::refusal::{Meaning, may_refuse, status_error};
use crate::secret::Secret;
use crate::transport::{
    self, Transport, TransportError, TransportErrorKind, TransportRequest, TransportResponse,
};
use crate::web_url;

pub(super) fn send(builder: &RequestBuilder) -> Result<Response> {
    if let Some(error) = &builder.error {
        return Err(error.clone());
    }
    let inner = &builder.inner;
    // Counted before the client is checked: a client that closes waits for the calls it let
    // through.
    let call = inner
        .grants()
        .calls
        .begin(inner.clock(), builder.timeout.unwrap_or(inner.settings().timeout));
    inner.check_open()?;
    if !call.is_at_home() {
        inner.check_process()?;
    }
    let outgoing = Outgoing::parse(builder, inner.settings(), inner.default_name.as_deref())?;
    let transport = transport::of(inner.refresher.transport.as_ref())?;
    let headers = prepare(inner, &outgoing)?;
    let Outgoing { method, target, operation, body, .. } = outgoing;
    let request = TransportRequest {
        method: method.as_str(),
        url: target.url,
        headers: wire_headers(&headers, &builder.headers, builder.is_json),
        body: body.into(),
        timeout: Duration::ZERO,
        max_body: builder.max_body.unwrap_or(inner.settings().max_response_bytes),
    };
    Sending {
        inner,
        transport,
        method,
        request,
        headers,
        operation,
        repeatable: builder.repeatable || method.is_idempotent(),
        any_status: builder.any_status,
        has_token: true,
        cured: false,
        tries: 0,
        hops: Vec::new(),
    }
    .run()
}

/// A request under way.
#[allow(clippy::struct_excessive_bools, reason = "each stands for a fact of its own")]
struct Sending<'a> {
    inner: &'a Inner,
    transport: &'a dyn Transport,
    method: Method,
    request: TransportRequest,
    headers: Headers,
    operation: Option<Operation>,
    /// Sending it twice does no harm.
    repeatable: bool,
    any_status: bool,
    /// Not any more after a redirect to another origin.
    has_token: bool,
    /// A refused token was replaced already.
    cured: bool,
    /// Number of tries after the first.
    tries: u32,
    /// The URLs that redirected.
    hops: Vec<Url>,
}

impl Sending<'_> {
    fn run(mut self) -> Result<Response> {
        loop {
            if self.has_token {
                let (inner, account) = (self.inner, self.headers.account());
                let pacing = inner.settings().pacing.as_ref();
                let left = || inner.grants().at_most(Duration::MAX);
                inner.refresher.limits.await_turn(inner.clock(), pacing, account, left)?;
            }
            self.request.timeout = self.left();
            if self.request.timeout.is_zero() {
                return Err(self.about(timed_out()));
            }
            match calling(|| self.transport.send(&self.request)) {
                Ok(answer) => {
                    if let Some(response) = self.after_answer(answer)? {
                        return Ok(response);
                    }
                }
                Err(error) => self.after_failure(&error)?,
            }
        }
    }

    /// Waits for the next try, or gives up.
    fn after_failure(&mut self, error: &TransportError) -> Result<()> {
        tracing::debug!(
            method = self.request.method,
            path = path_of(&self.request.url),
            kind = ?error.kind,
            sent = error.sent,
            tries = self.tries,
            "no answer to an API request"
        );
        let wait = retry::jitter(self.tries);
        if retry::after_failure(error, self.repeatable) && self.may_try_again(wait) {
            self.pause(wait);
            return Ok(());
        }
        Err(self.about(no_answer(error)))
    }

    /// Returns the caller's answer, or `None` if the request is to be sent again.
    fn after_answer(&mut self, answer: TransportResponse) -> Result<Option<Response>> {
        let status = answer.status;
        tracing::debug!(
            method = self.request.method,
            path = path_of(&self.request.url),
            status,
            tries = self.tries,
            "an API request was answered"
        );
        if answer.body.len() > self.request.max_body {
            return Err(self.about(too_long(self.request.max_body)).with_status(status));
        }
        let hint = if self.has_token {
            let (inner, account) = (self.inner, self.headers.account());
            let pacing = inner.settings().pacing.as_ref();
            let (limits, told) = (&inner.refresher.limits, answer.headers.iter());
            limits.note(inner.clock(), pacing, account, status, told)
        } else {
            WaitHint::default()
        };
        if let 200..=299 = status {
            if self.has_token {
                self.inner.refresher.credential.note_accepted(self.headers.snapshot().token());
            }
            return Ok(Some(Response::new(status, answer.headers, answer.body)));
        }
        let mut why = None;
        if let Some(location) = redirect::location(self.method, &answer) {
            match self.follow(location) {
                Ok(()) => return Ok(None),
                Err(message) => why = Some(message),
            }
        }
        if self.repeatable && retry::after_status(status) && !hint.day_spent {
            let jitter = retry::jitter(self.tries);
            // Many clients may have been told the same moment. The jitter spreads them, unless the
            // moment is the last one that there is.
            let wait = match hint.wait.map(|wait| (wait, wait.saturating_add(jitter))) {
                None => jitter,
                Some((_, later)) if later < self.left() => later,
                Some((wait, _)) => wait,
            };
            if self.may_try_again(wait) {
                self.pause(wait);
                return Ok(None);
            }
        }
        let response = Response::new(status, answer.headers, answer.body);
        let error = match self.refusal(&response, hint.wait) {
            Some(_) if self.any_status => return Ok(Some(response)),
            Some(error) => error,
            None => return Ok(None),
        };
        let error = match why {
            Some(why) => self.status_error(&response, Some(why)),
            None => error,
        };
        let error = match hint.wait {
            Some(wait) => error.with_retry_after(wait),
            None => error,
        };
        Err(self.about(error).with_response(response))
    }

    /// Returns the error of an answer that is not 2xx, or `None` after a new token was found.
    fn refusal(&mut self, response: &Response, wait: Option<Duration>) -> Option<Error> {
        let status = response.status();
        if !self.has_token || !may_refuse(status) {
            return Some(self.status_error(response, None));
        }
        let answer = Answer::new(&self.headers, self.operation, status, response.body(), wait);
        let meaning = answer.meaning(&self.inner.refresher.credential);
        // Of two Private Integration tokens, the report says that both are refused.
        if self.cured
            && matches!(self.inner.refresher.credential, Credential::OAuth { .. })
            && let Meaning::Refreshable(error) = meaning
        {
            // The API refused the new token as well. Another one costs a refresh and changes
            // nothing.
            return Some(match answer.account() {
                Some(account) => refused_again(account, Duration::ZERO)
                    .with_server_message(error.server_message())
                    .with_trace_id(error.trace_id()),
                None => error,
            });
        }
        let settled = self.inner.check_open().and_then(|()| answer.settle(self.inner, meaning));
        match settled {
            // Both static tokens were refused by now, and another caller had the first one tried
            // again.
            Ok(Report::Repeat(_)) if self.cured => Some(self.status_error(response, None)),
            Ok(Report::Repeat(headers)) => {
                self.cured = true;
                self.renew(headers);
                None
            }
            Ok(Report::Pass) => Some(self.status_error(response, None)),
            Err(error) => Some(error),
        }
    }

    /// Replaces the library's own headers by new ones.
    fn renew(&mut self, headers: Headers) {
        for (name, value) in &mut self.request.headers {
            if let Some((_, new)) =
                headers.secrets().find(|(own, _)| own == name && name != "Content-Type")
            {
                *value = new;
            }
        }
        self.headers = headers;
    }

    /// Follows a redirect, or returns the reason why hoopauth does not.
    fn follow(&mut self, location: &str) -> std::result::Result<(), &'static str> {
        let from = Url::parse(&self.request.url).map_err(|_| redirect::NO_URL)?;
        let is_here = web_url::is_loopback(self.hops.first().unwrap_or(&from));
        let to = redirect::target(&from, location, is_here)?;
        let origin = to.origin();
        let keeps_token =
            from.origin() == origin && self.inner.settings().origins.contains(&origin);
        if to == from || self.hops.contains(&to) {
            return Err("it redirects in a circle; check the path and `api_base`");
        }
        if self.hops.len() >= redirect::MOST_HOPS {
            return Err(
                "it redirects more than five times in a row; check the path and `api_base`",
            );
        }
        tracing::debug!(
            method = self.request.method,
            path = path_of(&self.request.url),
            keeps_token,
            "following a redirect"
        );
        if !keeps_token && self.has_token {
            // For good: the other server may choose the path of the way back.
            self.has_token = false;
            self.request.headers.retain(|(name, _)| {
                ["Accept", "User-Agent"].iter().any(|kept| kept.eq_ignore_ascii_case(name))
            });
        }
        let path = self.inner.settings().api_base.below(&to[..Position::AfterPath]);
        self.operation = path.and_then(|path| Operation::find_path(self.method.as_str(), path));
        self.request.url = to.into();
        self.hops.push(from);
        Ok(())
    }

    fn may_try_again(&self, wait: Duration) -> bool {
        self.tries < self.inner.settings().max_retries && wait < self.left()
    }

    fn pause(&mut self, wait: Duration) {
        self.tries += 1;
        if !wait.is_zero() {
            self.inner.clock().sleep(wait);
        }
    }

    /// Returns the time that is left of the call.
    fn left(&self) -> Duration {
        self.inner.grants().at_most(left_of_caller())
    }

    fn status_error(&self, response: &Response, next_step: Option<&str>) -> Error {
        let bearer = self.headers.snapshot().token();
        status_error(response.status(), response.body(), bearer, next_step)
    }

    fn about(&self, error: Error) -> Error {
        match self.account() {
            Some(account) => error.with_account(&account),
            None => error,
        }
    }

    /// Account of the token; `None` for a static token without an account.
    fn account(&self) -> Option<Account> {
        Account::parse(self.headers.account()).ok()
    }
}

fn wire_headers(
    own: &Headers,
    added: &[(String, String)],
    is_json: bool,
) -> Vec<(Cow<'static, str>, Secret)> {
    let adds = |name: &str| added.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
    let (other_type, other_accept) = (adds("Content-Type"), adds("Accept"));
    let mut headers = Vec::with_capacity(added.len() + 5);
    headers.extend(
        own.secrets()
            .filter(|(name, _)| !(other_type && *name == "Content-Type"))
            .map(|(name, value)| (Cow::Borrowed(name), value)),
    );
    if is_json && !other_type && own.content_type().is_none() {
        headers.push((Cow::Borrowed("Content-Type"), Secret::public(JSON)));
    }
    if !other_accept {
        headers.push((Cow::Borrowed("Accept"), Secret::public(JSON)));
    }
    headers.extend(
        added.iter().map(|(name, value)| (Cow::Owned(name.clone()), Secret::new(value.as_str()))),
    );
    headers
}

fn no_answer(error: &TransportError) -> Error {
    let code = error.kind.code();
    let hint = match error.kind {
        TransportErrorKind::BodyTooLarge => "; raise `max_response_bytes`, or ask for less",
        TransportErrorKind::Timeout if error.sent => {
            "; the API may have carried it out: look before you send it again, and raise `timeout` \
             if this stays"
        }
        TransportErrorKind::Network if error.sent => {
            "; the API may have carried it out: look before you send it again"
        }
        _ => "",
    };
    let what =
        if code == ErrorCode::Config { "nothing was sent" } else { "the API gave no answer" };
    Error::new(code, format!("{what}: {}{hint}", clean(&error.message)))
}

fn too_long(max_body: usize) -> Error {
    Error::malformed(format!(
        "the answer is longer than {max_body} bytes; raise `max_response_bytes`, or ask for less"
    ))
}

const JSON: &str = "application/json";

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::Client;

    /// Refuses the first token, takes any other.
    #[derive(Debug)]
    struct Refusing;

    impl Transport for Refusing {
        fn send(
            &self,
            request: &TransportRequest,
        ) -> std::result::Result<TransportResponse, TransportError> {
            let old = request.headers.iter().any(|(_, value)| value.expose() == "Bearer pit-1");
            let (status, body) = if old {
                (401, &b"{\"message\":\"Invalid Private Integration token\"}"[..])
            } else {
                (200, &b"{}"[..])
            };
            let headers = vec![("x-ratelimit-remaining".to_owned(), "7".to_owned())].into();
            Ok(TransportResponse { status, headers, body: body.into() })
        }
    }

    #[test]
    fn each_answer_counts_once_for_the_limits() {
        let client = Client::builder()
            .private_integration_token("pit-1")
            .private_integration_token_next("pit-2")
            .transport(Arc::new(Refusing))
            .build()
            .unwrap();
        let response = client.request("post", "/contacts/").body("{}").send().unwrap();
        assert_eq!(response.status(), 200);
        // The refused request and its repeat.
        assert_eq!(client.inner.refresher.limits.answers_noted.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_refusal_that_nothing_cures_counts_once() {
        let client = Client::builder()
            .private_integration_token("pit-1")
            .transport(Arc::new(Refusing))
            .build()
            .unwrap();
        let error = client.request("GET", "/contacts/").send().unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidPrivateIntegration);
        assert_eq!(client.inner.refresher.limits.answers_noted.load(Ordering::Relaxed), 1);
    }
}
