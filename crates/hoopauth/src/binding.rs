//! Internal interface of the language bindings and the project's own tests. It is no part of the
//! public API and may change with every release.
//!
//! The traits add methods to public types, so that a binding calls them as it calls the others.

use std::sync::Arc;
use std::time::Duration;

use crate::account::Account;
use crate::builder::ClientBuilder;
use crate::client::{AccountHandle, Client};
use crate::context::Context;
use crate::error::Result;
use crate::headers::Headers;
use crate::operations;
use crate::options::OptionSet;
use crate::refresh::Maintenance;
use crate::request::RequestBuilder;
use crate::response::Response;
use crate::transport::ResponseHeaders;
use crate::webhook::{WebhookDelivery, WebhookEvent, WebhookVerifier};

pub use crate::builder::options_page;
pub use crate::callback::{outside, set_let_others_run};
pub use crate::client::HeadersWork;
pub use crate::headers::carries_body;
pub use crate::host_log::{LogRecord, LogSink, set_log};
pub use crate::process::Process;
pub use crate::redact::clean as clean_text;
pub use crate::request::{ForeignRequest, LONGEST_BODY, Look};
pub use crate::snapshot::Snapshot;
pub use crate::steps::Step;

/// Methods of clients.
pub trait ClientBinding: Sized {
    /// Returns the counted snapshot behind [`Client::fresh_headers`]. Nobody needs to have checked
    /// that `account` is UTF-8.
    fn fresh_snapshot(&self, account: &[u8]) -> Option<Arc<Snapshot>>;

    /// Gets headers as [`Client::headers_within`] does. Calls `check` on the calling thread,
    /// `every` so often; its error ends the wait. `work` makes the work that gets the headers of an
    /// account.
    fn headers_within_checking(
        &self,
        context: &Context,
        every: Duration,
        check: impl FnMut() -> Result<()>,
        account: &str,
        method: &str,
        work: impl Fn() -> HeadersWork,
    ) -> Result<Headers>;

    /// Does work as [`Client::within`] does. Calls `check` on the calling thread, `every` so often;
    /// its error ends the wait.
    fn within_checking<T: Send + 'static>(
        &self,
        context: &Context,
        every: Duration,
        check: impl FnMut() -> Result<()>,
        work: impl FnOnce(&Client) -> Result<T> + Send + 'static,
    ) -> Result<T>;

    /// Does work as [`Client::within`] does. Without a context, does it here and now.
    fn within_if<T: Send + 'static>(
        &self,
        context: Option<&Context>,
        work: impl FnOnce(&Client) -> Result<T> + Send + 'static,
    ) -> Result<T>;

    /// Maintains as [`Client::maintain_in_background`] does. The thread drops `held` when it ends.
    fn maintain_in_background_holding<T: Send + 'static>(&self, held: T) -> Result<Maintenance>;

    /// Returns `true` if a Private Integration token was refused, for those who would report every
    /// good answer otherwise.
    fn any_refused_token(&self) -> bool;

    /// Waits for the calls under way, at most `timeout`. The last reference does this in languages
    /// in which freeing it may end the program's hold on them.
    fn finish(&self);
}

impl ClientBinding for Client {
    #[allow(clippy::inline_always, reason = "the hot path of the C library")]
    #[inline(always)]
    fn fresh_snapshot(&self, account: &[u8]) -> Option<Arc<Snapshot>> {
        Self::fresh_snapshot(self, account)
    }

    fn headers_within_checking(
        &self,
        context: &Context,
        every: Duration,
        check: impl FnMut() -> Result<()>,
        account: &str,
        method: &str,
        work: impl Fn() -> HeadersWork,
    ) -> Result<Headers> {
        Self::headers_within_checking(self, context, every, check, account, method, work)
    }

    fn within_checking<T: Send + 'static>(
        &self,
        context: &Context,
        every: Duration,
        check: impl FnMut() -> Result<()>,
        work: impl FnOnce(&Client) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        Self::within_checking(self, context, every, check, work)
    }

    fn within_if<T: Send + 'static>(
        &self,
        context: Option<&Context>,
        work: impl FnOnce(&Client) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        match context {
            Some(context) => self.within(context, work),
            None => work(self),
        }
    }

    fn maintain_in_background_holding<T: Send + 'static>(&self, held: T) -> Result<Maintenance> {
        Self::maintain_in_background_holding(self, held)
    }

    fn any_refused_token(&self) -> bool {
        Self::any_refused_token(self)
    }

    fn finish(&self) {
        Self::finish(self);
    }
}

/// Methods of account handles.
pub trait HandleBinding {
    /// Returns `true` if the handle was made with this client or a clone of it.
    fn is_of(&self, client: &Client) -> bool;

    /// Returns a number that changes with each snapshot that is published for this account.
    fn version(&self) -> u64;

    /// Returns `true` while a snapshot that stood here at `version` is still the one that is
    /// served.
    fn is_current(&self, version: u64, snapshot: &Snapshot) -> bool;
}

impl HandleBinding for AccountHandle {
    #[inline]
    fn is_of(&self, client: &Client) -> bool {
        Self::is_of(self, client)
    }

    #[inline]
    fn version(&self) -> u64 {
        Self::version(self)
    }

    #[inline]
    fn is_current(&self, version: u64, snapshot: &Snapshot) -> bool {
        Self::is_current(self, version, snapshot)
    }
}

/// Methods of client builders.
pub trait BuilderBinding {
    /// Calls `hook` at each step of a refresh, so that a test can stop or fail it there.
    #[must_use]
    fn step_hook(self, hook: impl Fn(Step, &Account) -> Result<()> + Send + Sync + 'static)
    -> Self;

    /// Names the language of a binding, for the `User-Agent`.
    #[must_use]
    fn language(self, language: &str) -> Self;
}

impl BuilderBinding for ClientBuilder {
    fn step_hook(
        self,
        hook: impl Fn(Step, &Account) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::step_hook(self, hook)
    }

    fn language(self, language: &str) -> Self {
        Self::language(self, language)
    }
}

/// Methods of headers.
pub trait HeadersBinding {
    /// Takes the headers apart for C, which counts references to the snapshot: the snapshot, `true`
    /// if there is a `Content-Type`, and the `Version` if it is not the client's.
    fn into_parts(self) -> (Arc<Snapshot>, bool, Option<Arc<str>>);

    /// Puts together the parts that [`into_parts`](Self::into_parts) took apart.
    fn from_parts(snapshot: Arc<Snapshot>, content_type: bool, version: Option<Arc<str>>) -> Self;

    /// Returns names and values with a NUL behind each text, for C.
    fn with_nuls(&self) -> [Option<(&'static str, &str)>; 4];
}

impl HeadersBinding for Headers {
    #[inline]
    fn into_parts(self) -> (Arc<Snapshot>, bool, Option<Arc<str>>) {
        Self::into_parts(self)
    }

    #[inline]
    fn from_parts(snapshot: Arc<Snapshot>, content_type: bool, version: Option<Arc<str>>) -> Self {
        Self::from_parts(snapshot, content_type, version)
    }

    fn with_nuls(&self) -> [Option<(&'static str, &str)>; 4] {
        with_nuls(self.snapshot(), self.has_content_type(), self.own_version_with_nul())
    }
}

/// Returns names and values of the headers of a snapshot with a NUL behind each text, for C.
/// `version`: the `Version` with its NUL, if it is not the client's.
pub fn with_nuls<'a>(
    snapshot: &'a Snapshot,
    content_type: bool,
    version: Option<&'a str>,
) -> [Option<(&'static str, &'a str)>; 4] {
    let constants = snapshot.constants();
    [
        Some(("Authorization\0", snapshot.authorization_with_nul())),
        Some(("Version\0", version.unwrap_or(&constants.version))),
        Some(("User-Agent\0", &*constants.user_agent)),
        content_type.then_some(("Content-Type\0", "application/json\0")),
    ]
}

/// Methods of request builders.
pub trait RequestBinding {
    /// Sets the account as [`RequestBuilder::account`] does, in place.
    fn set_account(&mut self, account: &str);

    /// Sends as [`RequestBuilder::send`] does, and keeps the builder.
    fn send_kept(&self) -> Result<Response>;
}

impl RequestBinding for RequestBuilder {
    fn set_account(&mut self, account: &str) {
        Self::set_account(self, account);
    }

    fn send_kept(&self) -> Result<Response> {
        Self::send_kept(self)
    }
}

/// Methods of responses.
pub trait ResponseBinding {
    /// Returns the headers as the transport had them.
    fn fields(&self) -> &ResponseHeaders;

    /// Takes the response apart: status, headers and body. Copies them only if others hold them
    /// too.
    fn into_parts(self) -> (u16, ResponseHeaders, Vec<u8>);
}

impl ResponseBinding for Response {
    fn fields(&self) -> &ResponseHeaders {
        Self::fields(self)
    }

    fn into_parts(self) -> (u16, ResponseHeaders, Vec<u8>) {
        Self::into_parts(self)
    }
}

/// Checks an option and its value as [`ClientBuilder::option`] would, without a builder.
pub fn check_option(name: &str, value: &str) -> Result<()> {
    OptionSet::default().set(name, value)
}

/// Returns the bytes of a program that the table of operations takes.
pub fn table_bytes() -> usize {
    operations::table_bytes()
}

/// Reads the name of a stored row. An earlier release may have stored an odd name, which must not
/// hide the others.
pub fn account_of_store(text: &str) -> Result<Account> {
    Account::of_store(text)
}

/// Reads the body of a webhook, and checks nothing else.
pub fn parse_webhook(body: &[u8]) -> Result<WebhookEvent> {
    WebhookEvent::parse(body)
}

/// Returns the client whose store a verification may wait for.
pub fn waits_for(verifier: &WebhookVerifier) -> Option<Client> {
    verifier.waits_for().map(|inner| Client { inner: Arc::clone(inner) })
}

/// Returns the client whose store remembers a delivery.
pub fn remembered_by(delivery: &WebhookDelivery) -> Option<Client> {
    delivery.remembered_by().map(|inner| Client { inner: Arc::clone(inner) })
}
