//! The way of one request: its tries, hops and cure, all by one deadline.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use url::Url;

use super::target::{Target, no_method, path_of};
use super::{LONGEST_BODY, RequestBuilder, Response, fields, redirect, retry};
use crate::account::Account;
use crate::callback::calling;
use crate::client::Client;
use crate::clock::Clock;
use crate::jobs::left_of_caller;
use crate::credential::Credential;
use crate::calls::timed_out;
use crate::error::{Error, ErrorCode, Result, clean};
use crate::headers::Headers;
use crate::inner::Inner;
use crate::limits::Told;
use crate::operations::Operation;
use crate::request::preflight::{Outgoing, Prepared};
use crate::request::report::{Asked, Meaning, Report, classify};
use crate::secret::Secret;
use crate::refresh::token_endpoint::Refusal;
use crate::transport::{
    Transport, TransportError, TransportErrorKind, TransportRequest, TransportResponse,
};

pub(super) fn send(builder: &RequestBuilder) -> Result<Response> {
    let RequestBuilder { client, params, headers, is_json, .. } = builder;
    if let Some(error) = &builder.error {
        return Err(error.clone());
    }
    let inner = &client.inner;
    // Counted before it is looked at: a client that closes waits for what it let through.
    let call = inner.begin_call_of(builder.timeout.unwrap_or(inner.settings.timeout));
    inner.check_open()?;
    if !call.is_at_home() {
        inner.check_process()?;
    }
    let method = builder.method.ok_or_else(no_method)?;
    let target = Target::new(client, &builder.path, params)?;
    fields::check(headers)?;
    let body = builder.body.clone().unwrap_or_default();
    check_body(method, &body)?;
    let transport = inner.transport.clone().ok_or_else(|| {
        Error::config("no transport: enable the feature `reqwest` or give the builder a transport")
    })?;

    let query: Cow<'_, [(String, String)]> = {
        let mut own: Vec<_> = target.own_query().collect();
        if own.is_empty() {
            Cow::Borrowed(params)
        } else {
            own.extend_from_slice(params);
            Cow::Owned(own)
        }
    };
    let Prepared { headers: own, operation } = client.prepare(&Outgoing {
        account: builder.account.as_deref(),
        method,
        path: target.below(),
        query: &query,
        body: (!body.is_empty()).then_some(&body[..]),
        version: builder.version.as_deref(),
    })?;
    let request = TransportRequest {
        method,
        url: target.url,
        headers: wire_headers(&own, headers, *is_json),
        body: body.into(),
        timeout: Duration::ZERO,
        max_body: builder.max_body.unwrap_or(inner.settings.max_response_bytes),
    };
    Exchange {
        client,
        inner,
        transport: &*transport,
        request,
        headers: own,
        operation,
        repeatable: builder.repeatable || retry::is_idempotent(method),
        any_status: builder.any_status,
        has_token: true,
        cured: false,
        tries: 0,
        hops: Vec::new(),
    }
    .run()
}

/// A request under way.
#[allow(clippy::struct_excessive_bools, reason = "each is asked for on its own")]
struct Exchange<'a> {
    client: &'a Client,
    inner: &'a Inner,
    transport: &'a dyn Transport,
    request: TransportRequest,
    headers: Headers,
    operation: Option<Operation>,
    /// Whether sending it twice does no harm.
    repeatable: bool,
    any_status: bool,
    /// Not any more where a redirect led to another origin.
    has_token: bool,
    /// Whether a refused token was replaced already.
    cured: bool,
    /// How often it was tried again.
    tries: u32,
    /// Where redirects came from.
    hops: Vec<String>,
}

impl Exchange<'_> {
    fn run(mut self) -> Result<Response> {
        loop {
            if self.has_token {
                self.inner.await_turn(self.headers.account())?;
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

    /// What the caller gets, or nothing where the request is to be sent again.
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
        let told = if self.has_token {
            self.inner.note_limits(self.headers.account(), status, answer.headers.iter())
        } else {
            Told::default()
        };
        if let 200..=299 = status {
            if self.has_token {
                self.inner.note_accepted(self.headers.snapshot());
            }
            return Ok(Some(Response::new(status, answer.headers, answer.body)));
        }
        let mut why = None;
        if let Some(location) = redirect::location(self.request.method, &answer) {
            match self.follow(location) {
                Ok(()) => return Ok(None),
                Err(message) => why = Some(message),
            }
        }
        if self.repeatable && retry::after_status(status) && !told.day_spent {
            let jitter = retry::jitter(self.tries);
            // Those who were told the same moment shall not all come at it, unless it is the last
            // one that there is.
            let wait = match told.wait.map(|wait| (wait, wait.saturating_add(jitter))) {
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
        let error = match self.refusal(&response) {
            Some(_) if self.any_status => return Ok(Some(response)),
            Some(error) => error,
            None => return Ok(None),
        };
        let error = match why {
            Some(why) => self.status_error(&response, why),
            None => error,
        };
        let error = match told.wait {
            Some(wait) => error.with_retry_after(wait),
            None => error,
        };
        Err(self.about(error).with_response(response))
    }

    /// The error of an answer that is none of 2xx; nothing where it was cured.
    fn refusal(&mut self, response: &Response) -> Option<Error> {
        let status = response.status();
        if !self.has_token || !matches!(status, 400 | 401 | 403 | 429) {
            return Some(self.status_error(response, next_step(status)));
        }
        let headers: Vec<_> = response.fields().iter().collect();
        let account = self.account();
        let bearer = self.headers.snapshot().token();
        let asked = Asked {
            account: account.as_ref(),
            operation: self.operation,
            bearer,
            ..Asked::default()
        };
        // Of two Private Integration tokens, the report says that both are refused.
        if self.cured
            && matches!(self.inner.credential, Credential::OAuth { .. })
            && let Meaning::Refreshable(error) = classify(&asked, status, response.body())
        {
            // A new token was refused as well: another one costs a refresh and changes nothing.
            return Some(match &account {
                Some(account) => Inner::refused_again(account, Duration::ZERO)
                    .with_server_message(error.server_message())
                    .with_trace_id(error.trace_id()),
                None => error,
            });
        }
        let reported = self.client.report_request(
            &self.headers,
            self.request.method,
            &self.request.url,
            status,
            &headers,
            response.body(),
        );
        match reported {
            // Of two static tokens both were refused by now, and others had the first one tried
            // again.
            Ok(Report::Repeat(_)) if self.cured => {
                Some(self.status_error(response, next_step(status)))
            }
            Ok(Report::Repeat(headers)) => {
                self.cured = true;
                self.renew(headers);
                None
            }
            Ok(Report::Pass) => Some(self.status_error(response, next_step(status))),
            Err(error) => Some(error),
        }
    }

    /// Puts new headers of the library's own in the places of the old.
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

    /// Goes where a redirect points, or says why not.
    fn follow(&mut self, location: &str) -> std::result::Result<(), &'static str> {
        let first = self.hops.first().unwrap_or(&self.request.url);
        let to = redirect::target(&self.request.url, location, redirect::is_loopback(first))?;
        let (origin, here) = (to.origin(), Url::parse(&self.request.url).map(|url| url.origin()));
        let keeps_token =
            here.is_ok_and(|here| here == origin) && self.inner.settings.origins.contains(&origin);
        let to = String::from(to);
        if to == self.request.url || self.hops.contains(&to) {
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
            // For good: who leads back may have chosen the path.
            self.has_token = false;
            self.request.headers.retain(|(name, _)| {
                ["Accept", "User-Agent"].iter().any(|kept| kept.eq_ignore_ascii_case(name))
            });
        }
        self.hops.push(std::mem::replace(&mut self.request.url, to));
        Ok(())
    }

    fn may_try_again(&self, wait: Duration) -> bool {
        self.tries < self.inner.settings.max_retries && wait < self.left()
    }

    fn pause(&mut self, wait: Duration) {
        self.tries += 1;
        if !wait.is_zero() {
            self.inner.clock.sleep(wait);
        }
    }

    /// What is left of the call.
    fn left(&self) -> Duration {
        self.inner.at_most(left_of_caller())
    }

    fn status_error(&self, response: &Response, message: &str) -> Error {
        let mut refusal = Refusal::parse(response.body());
        refusal.hide(self.headers.snapshot().token());
        let said = refusal.message.or(refusal.code);
        let status = response.status();
        Error::new(
            ErrorCode::HttpStatus,
            format!("the API answered with status {status}: {message}"),
        )
        .with_status(status)
        .with_server_message(said.as_deref())
        .with_trace_id(refusal.trace_id.as_deref())
        .with_retryable(status >= 500 || matches!(status, 408 | 425))
    }

    fn about(&self, error: Error) -> Error {
        match self.account() {
            Some(account) => error.with_account(&account),
            None => error,
        }
    }

    /// Whose token it carries; none for a static token without an account.
    fn account(&self) -> Option<Account> {
        Account::parse(self.headers.account()).ok()
    }
}

fn check_body(method: &str, body: &Bytes) -> Result<()> {
    if body.len() > LONGEST_BODY {
        return Err(Error::argument("the body is longer than 512 MiB: send less at a time"));
    }
    if !body.is_empty() && matches!(method, "GET" | "HEAD") {
        return Err(Error::argument(format!(
            "a {method} carries no body: give the data as `param`, or use the method that the operation has"
        )));
    }
    Ok(())
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
    let code = match error.kind {
        TransportErrorKind::Network => ErrorCode::Network,
        TransportErrorKind::Timeout => ErrorCode::Timeout,
        TransportErrorKind::Tls => ErrorCode::Tls,
        TransportErrorKind::Config => ErrorCode::Config,
        TransportErrorKind::Callback => ErrorCode::CallbackFailed,
        TransportErrorKind::BodyTooLarge | TransportErrorKind::Malformed => {
            ErrorCode::MalformedResponse
        }
    };
    let hint = match error.kind {
        TransportErrorKind::BodyTooLarge => "; raise `max_response_bytes`, or ask for less",
        TransportErrorKind::Timeout if error.sent => {
            "; the API may have carried it out: look before you send it again, and raise `timeout` if this stays"
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

fn next_step(status: u16) -> &'static str {
    match status {
        300..=399 => {
            "it redirects, and only a GET or HEAD follows that; send the request to the URL in the answer's `Location`"
        }
        404 => "nothing is there; check the path and the ids in it",
        409 => "it conflicts with what is stored there; read that again, then send the change anew",
        405 => "it does not take this method here; check the method and the path",
        407 => {
            "a proxy on the way asks for a user and a password; write them into the proxy's URL, in the option `proxy` or in the \
             environment's `HTTPS_PROXY`"
        }
        408 | 425 => "it, or a proxy on the way, did not take the request in time; try again",
        413 => "the body is too long for it; send less at a time",
        422 | 400 => "it refuses what was sent; `server_message` and the answer's body say what",
        429 => "its rate limit is reached; try again after `retry_after`",
        500.. => "it failed; try again later",
        _ => "see `server_message` and the answer's body",
    }
}

const JSON: &str = "application/json";
