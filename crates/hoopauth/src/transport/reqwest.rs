//! The transport over reqwest's blocking client, with rustls.

use std::borrow::Cow;
use std::cell::Cell;
use std::error::Error as StdError;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use ::reqwest::{Client, Method, Proxy, Request, Response, redirect, retry};
use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use once_cell::sync::OnceCell;
use rustls::crypto::{CryptoProvider, KeyProvider};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;
use rustls::{ClientConfig, RootCertStore};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::Semaphore;
use tokio::task::yield_now;
use tokio::time::timeout_at;
use url::Url;
use zeroize::Zeroizing;

use super::{
    ResponseHeaders, Transport, TransportError, TransportErrorKind, TransportRequest,
    TransportResponse,
};
use crate::certificates;
use crate::proxy;
use crate::redact::clean;
use crate::secret::{Secret, note_traffic, wipe_stack_after_traffic};
use crate::web_url::{self, Flaw, is_loopback};

/// Settings by which [`ReqwestTransport`] connects. `Debug` does not show the proxy: its URL may
/// hold a password.
#[derive(Clone)]
pub struct TransportSettings {
    /// For the connection alone: name lookup, TCP and TLS. 10 seconds by default.
    pub connect_timeout: Duration,
    /// A PEM file with certificates to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The proxy for all hosts but loopback, as `http://user:password@host:port`. Without it, the
    /// proxies that the environment or the system names. Loopback hosts are always reached
    /// directly.
    pub proxy: Option<String>,
}

impl Default for TransportSettings {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(10), ca_file: None, proxy: None }
    }
}

impl fmt::Debug for TransportSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportSettings")
            .field("connect_timeout", &self.connect_timeout)
            .field("ca_file", &self.ca_file)
            .field("proxy", &self.proxy.as_ref().map(|_| "[redacted]"))
            .finish()
    }
}

/// Sends with reqwest. The calling thread blocks and does all of it; threads of its own are there
/// for the lookup of names alone. Connections are pooled, redirects are not followed, cookies are
/// not kept. The headers of the last request, its token with them, stay in memory until the next
/// one.
///
/// Nothing is built before the first [`send`](Transport::send); wrong settings are reported there.
/// Any number of threads may send at once. A connection that the server closes while nothing is
/// sent is noticed, and closed here, before the next request: up to 32 of a host stay until then.
/// It may be used in a forked child, inside an async runtime (the calling thread blocks), and
/// dropped in either.
pub struct ReqwestTransport {
    settings: TransportSettings,
    clients: ArcSwap<Clients>,
}

impl ReqwestTransport {
    /// A transport that will connect as `settings` say.
    pub fn new(settings: TransportSettings) -> Self {
        Self { settings, clients: ArcSwap::from_pointee(Clients::of_this_process()) }
    }

    /// The clients of this process.
    ///
    /// After a fork the child holds a client whose sockets are its parent's, and the queue that
    /// tells of them too: dropping it would close TLS sessions under the parent. So it is leaked.
    /// No lock is taken that another thread could have held while the process forked.
    fn clients(&self) -> Arc<Clients> {
        loop {
            let current = self.clients.load_full();
            if current.pid == std::process::id() {
                return current;
            }
            leak(&current);
            self.clients.compare_and_swap(&current, Arc::new(Clients::of_this_process()));
        }
    }

    /// After a panic nobody knows what state the clients are in: the next request makes new ones,
    /// and who waits for these is told.
    fn discard(&self, clients: &Arc<Clients>) {
        self.clients.compare_and_swap(clients, Arc::new(Clients::of_this_process()));
        for built in [clients.direct.get(), clients.outside.get()].into_iter().flatten() {
            built.broken.close();
        }
    }

    fn exchange(
        &self,
        clients: &Clients,
        request: &TransportRequest,
        deadline: Instant,
    ) -> Result<TransportResponse, TransportError> {
        let (origin, url) = clients.target(&request.url)?;
        let headers = clients.headers(&request.headers)?;
        let method = Method::from_bytes(request.method.as_bytes()).map_err(|_| {
            config(format!("`{}` is not an HTTP method", request.method.escape_debug()))
        })?;
        let peer = &*origin.peer;
        let wall_deadline = SystemTime::now() + deadline.saturating_duration_since(Instant::now());

        let cell = clients.cell(&origin);
        let built = cell.get_or_try_init(|| Built::new(&self.settings, origin.route()))?;
        // Building takes a while.
        if Instant::now() >= deadline {
            return Err(timed_out(peer, false));
        }
        let mut sending = Request::new(method, url);
        *sending.headers_mut() = headers;
        if !request.body.is_empty() {
            *sending.body_mut() = Some(request.body.to_bytes().into());
        }
        built.block_on(async {
            let begun = Cell::new(false);
            let exchange = async {
                // Connections were left alone since the last request: those that its answer gave
                // back, or that the server closed meanwhile, are told so first.
                settle().await;
                begun.set(true);
                built.exchange(sending, request.max_body, deadline, peer).await
            };
            let mut exchange = pin!(exchange);
            // Looked at before each step, not only when a timer fires: a process that stood still
            // must not go on with a request whose time is over. While a computer sleeps, only the
            // wall clock moves.
            let in_time = poll_fn(|context| {
                if Instant::now() >= deadline || SystemTime::now() >= wall_deadline {
                    return Poll::Ready(Err(timed_out(peer, begun.get())));
                }
                exchange.as_mut().poll(context)
            });
            let outcome = timeout_at(deadline.into(), in_time).await;
            let outcome = outcome.unwrap_or_else(|_| Err(timed_out(peer, begun.get())));
            if outcome.is_err() {
                // A connection in the middle of an answer is closed now, not at the next request.
                settle().await;
            }
            outcome
        })
    }
}

impl Transport for ReqwestTransport {
    fn send(&self, request: &TransportRequest) -> Result<TransportResponse, TransportError> {
        note_traffic();
        let deadline = Instant::now() + request.timeout.min(LONGEST_TIMEOUT);
        let clients = self.clients();
        let outcome = if needs_another_thread() {
            thread::scope(|scope| {
                match thread::Builder::new().name("hoopauth-send".to_owned()).spawn_scoped(
                    scope,
                    || {
                        note_traffic();
                        let exchanged = self.exchange(&clients, request, deadline);
                        wipe_stack_after_traffic();
                        exchanged
                    },
                ) {
                    Ok(sender) => sender.join(),
                    Err(error) => Ok(Err(network(
                        format!("no thread could be started to send with ({error}): try again"),
                        false,
                    ))),
                }
            })
        } else {
            panic::catch_unwind(AssertUnwindSafe(|| self.exchange(&clients, request, deadline)))
        };
        outcome.unwrap_or_else(|panic| {
            if panic.downcast_ref::<String>().is_some_and(|text| text.contains(NO_THREAD)) {
                // The request's own trouble: those of other threads go on.
                return Err(network(
                    "no thread could be started to look up the host's name: this process has too \
                     many; try again"
                        .to_owned(),
                    false,
                ));
            }
            self.discard(&clients);
            Err(network("the HTTP client panicked; please report it".to_owned(), true))
        })
    }
}

impl fmt::Debug for ReqwestTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReqwestTransport").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Drop for ReqwestTransport {
    fn drop(&mut self) {
        let clients = self.clients.load_full();
        if clients.pid != std::process::id() {
            leak(&clients);
        }
    }
}

/// Clients that one process has built. A forked child never touches its parent's, not even the
/// locks of the cells.
struct Clients {
    pid: u32,
    /// For loopback. reqwest's own exceptions can't be added to proxies that it takes from the
    /// environment.
    direct: OnceCell<Built>,
    /// For all other hosts.
    outside: OnceCell<Built>,
    /// Target of the last request: most go to one host, whose name need not be read again.
    last: ArcSwapOption<Origin>,
    /// Headers of the last request: most requests have the same, and a copy costs less than reading
    /// them again.
    last_headers: ArcSwapOption<KnownHeaders>,
}

impl Clients {
    fn of_this_process() -> Self {
        Self {
            pid: std::process::id(),
            direct: OnceCell::new(),
            outside: OnceCell::new(),
            last: ArcSwapOption::empty(),
            last_headers: ArcSwapOption::empty(),
        }
    }

    /// Target of a request, and its URL.
    fn target(&self, text: &str) -> Result<(Arc<Origin>, Url), TransportError> {
        if let Some(last) = &*self.last.load()
            && let Some(url) = text.strip_prefix(&*last.text).and_then(|rest| last.join(rest))
        {
            return Ok((Arc::clone(last), url));
        }
        let plain = split_origin(text);
        let url = target(text)?;
        let origin = Arc::new(Origin::new(plain.map_or("", |(origin, _)| origin), &url));
        if plain.is_some() {
            self.last.store(Some(Arc::clone(&origin)));
        }
        Ok((origin, url))
    }

    fn headers(&self, pairs: &[Pair]) -> Result<HeaderMap, TransportError> {
        if let Some(last) = &*self.last_headers.load()
            && last.are(pairs)
        {
            return Ok(last.read.clone());
        }
        let read = headers(pairs)?;
        // Those of a program's own are many, long or new each time: keeping them costs more than it
        // saves.
        if pairs.len() <= KEPT_HEADERS {
            let known = KnownHeaders { pairs: pairs.to_vec(), read: read.clone() };
            self.last_headers.store(Some(Arc::new(known)));
        }
        Ok(read)
    }

    fn cell(&self, origin: &Origin) -> &OnceCell<Built> {
        match origin.route() {
            Route::Direct => &self.direct,
            Route::Proxied => &self.outside,
        }
    }
}

/// Common part of all URLs that begin alike.
struct Origin {
    /// Scheme and authority, as they are written.
    text: Box<str>,
    /// The URL of `/` there.
    root: Url,
    is_loopback: bool,
    /// Host and port: all of a URL that messages show.
    peer: String,
}

impl Origin {
    fn new(text: &str, url: &Url) -> Self {
        let mut root = url.clone();
        root.set_path("");
        root.set_query(None);
        root.set_fragment(None);
        let host = url.host_str().unwrap_or_default();
        let peer = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Self { text: text.into(), root, is_loopback: is_loopback(url), peer }
    }

    fn route(&self) -> Route {
        if self.is_loopback { Route::Direct } else { Route::Proxied }
    }

    /// The URL of a path, from its `/` on, and its query: the same that the whole text would give.
    /// Nothing where there is more.
    fn join(&self, rest: &str) -> Option<Url> {
        let mut path_end = rest.len();
        for (at, byte) in rest.bytes().enumerate() {
            match byte {
                b'#' | b'\\' | ..=b' ' => return None,
                b'?' => path_end = path_end.min(at),
                _ => {}
            }
        }
        let (path, query) = rest.split_at_checked(path_end)?;
        if !path.starts_with('/') {
            return None;
        }
        let mut url = self.root.clone();
        url.set_path(path);
        if let Some(query) = query.strip_prefix('?') {
            url.set_query(Some(query));
        }
        Some(url)
    }
}

/// Parts of a header's value.
struct SentValue(Secret);

impl AsRef<[u8]> for SentValue {
    fn as_ref(&self) -> &[u8] {
        self.0.expose().as_bytes()
    }
}

type Pair = (Cow<'static, str>, Secret);

/// Headers, as they were given and as they are sent.
struct KnownHeaders {
    pairs: Vec<Pair>,
    read: HeaderMap,
}

impl KnownHeaders {
    fn are(&self, pairs: &[Pair]) -> bool {
        let same =
            |((name, value), (other, text)): (&Pair, &Pair)| name == other && value.is_same(text);
        self.pairs.len() == pairs.len() && self.pairs.iter().zip(pairs).all(same)
    }
}

/// Scheme and authority of a URL, and the rest from its `/` on; nothing of one in which that is not
/// plain to see.
fn split_origin(text: &str) -> Option<(&str, &str)> {
    let (scheme, behind) = text.split_once("://")?;
    let is = |name: &str| scheme.eq_ignore_ascii_case(name);
    if !(is("http") || is("https")) || behind.starts_with('/') {
        return None;
    }
    let start = text.len() - behind.len();
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']');
    let end = start + text.bytes().skip(start).position(|b| !plain(b))?;
    let (origin, rest) = text.split_at_checked(end)?;
    rest.starts_with('/').then_some((origin, rest))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Route {
    Direct,
    Proxied,
}

struct Built {
    client: Client,
    /// Driven by those who send, while they do; empty only while this is dropped.
    runtime: Option<Runtime>,
    /// Without permits, and closed once who drove it panicked: it may not go on, and those who wait
    /// would do so for ever.
    broken: Semaphore,
    /// Reason why the system's certificates are fewer than they should be: it explains failures of
    /// TLS.
    roots_trouble: Option<String>,
    /// The option or the variable that names the proxy, for messages: a failure to connect may be
    /// the proxy's.
    through: Option<&'static str>,
}

impl Built {
    fn new(settings: &TransportSettings, route: Route) -> Result<Self, TransportError> {
        let (tls, roots_trouble) = tls(settings.ca_file.as_deref())?;
        // Both routes check the proxy, so that a wrong one shows in a test against a local server
        // too.
        let own_proxy = settings.proxy.as_deref().map(own_proxy).transpose()?;
        let through = match (route, &own_proxy) {
            (Route::Direct, _) => None,
            (Route::Proxied, Some(_)) => Some("proxy"),
            // reqwest ignores values that it can't read there, and would connect directly.
            (Route::Proxied, None) => {
                proxy::of_environment(|name| std::env::var_os(name)).map_err(config)?
            }
        };
        let builder = Client::builder()
            .tls_backend_preconfigured(tls)
            .connect_timeout(settings.connect_timeout)
            .redirect(redirect::Policy::none())
            // A refresh token sent twice may end the grant: only the caller decides about a second
            // try.
            .retry(retry::never())
            .referer(false)
            .gzip(true)
            .pool_max_idle_per_host(MAX_IDLE)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .tcp_keepalive(KEEPALIVE);
        let builder = match (route, own_proxy) {
            (Route::Direct, _) => builder.no_proxy(),
            (Route::Proxied, Some(proxy)) => builder.proxy(proxy),
            (Route::Proxied, None) => builder,
        };
        let client = builder.build().map_err(|error| {
            config(format!("the HTTP client can't be made: {}", cause(&error.without_url())))
        })?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(
            |error| {
                // No descriptor is free. The next request tries again.
                network(
                    format!(
                        "the HTTP client can't be made ({error}): this process may have too many \
                         files open; try again"
                    ),
                    false,
                )
            },
        )?;
        Ok(Self {
            client,
            runtime: Some(runtime),
            broken: Semaphore::new(0),
            roots_trouble,
            through,
        })
    }

    fn block_on(
        &self,
        work: impl Future<Output = Result<TransportResponse, TransportError>>,
    ) -> Result<TransportResponse, TransportError> {
        let Some(runtime) = &self.runtime else {
            return Err(network("the HTTP client is being dropped".to_owned(), false));
        };
        runtime.block_on(async {
            let (mut broken, mut work) = (pin!(self.broken.acquire()), pin!(work));
            poll_fn(|context| {
                if broken.as_mut().poll(context).is_ready() {
                    let message = "the HTTP client panicked on another thread; please report it";
                    return Poll::Ready(Err(network(message.to_owned(), true)));
                }
                work.as_mut().poll(context)
            })
            .await
        })
    }

    async fn exchange(
        &self,
        request: Request,
        max_body: usize,
        deadline: Instant,
        peer: &str,
    ) -> Result<TransportResponse, TransportError> {
        let sent = self.client.execute(request).await;
        let mut response = sent.map_err(|error| self.explain(&error.without_url(), peer))?;
        let status = response.status().as_u16();
        // The body knows its length without them.
        let headers = ResponseHeaders::of_http(mem::take(response.headers_mut()));
        let body = read_body(response, max_body, deadline, peer).await?;
        Ok(TransportResponse { status, headers, body })
    }

    fn explain(&self, error: &::reqwest::Error, peer: &str) -> TransportError {
        let sent = !error.is_connect();
        if error.is_builder() {
            return config(format!("the request to {peer} can't be built: {}", cause(error)));
        }
        if let Some(broken) = find::<rustls::Error>(error) {
            let trouble = self
                .roots_trouble
                .as_deref()
                .map_or_else(String::new, |trouble| format!("; {trouble}"));
            return TransportError {
                kind: TransportErrorKind::Tls,
                message: format!(
                    "no TLS connection to {peer}: {}{trouble}; {}",
                    cause(error),
                    next_step(broken)
                ),
                sent,
            };
        }
        if error.is_timeout() {
            return timed_out(peer, sent);
        }
        let what = if sent { "the exchange with" } else { "the connection to" };
        let proxied = self.through.map_or_else(String::new, |name| {
            format!("; requests go through the proxy that `{name}` names: check that, too")
        });
        network(format!("{what} {peer} failed: {}{proxied}", cause(error)), sent)
    }
}

/// Tells what to do about a failure of TLS.
fn next_step(error: &rustls::Error) -> &'static str {
    use rustls::CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet,
        NotValidYetContext, UnknownIssuer,
    };

    match error {
        rustls::Error::InvalidCertificate(why) => match why {
            NotValidYet | NotValidYetContext { .. } => {
                "the server's certificate is not valid yet: look at this computer's clock, which \
                 is probably behind"
            }
            Expired | ExpiredContext { .. } => {
                "the server's certificate has expired: look at this computer's clock, which may be \
                 ahead; if it is right, the server needs a new certificate"
            }
            NotValidForName | NotValidForNameContext { .. } => {
                "the server's certificate names another host: check the host in the URL"
            }
            UnknownIssuer => {
                "no authority that this computer trusts signed the server's certificate: set \
                 `ca_file` to the authority's certificates if you trust it, as for a proxy of your \
                 company"
            }
            _ => "the server needs another certificate, or `ca_file` the authority's certificates",
        },
        _ => {
            "check the host and the port in the URL, and whether a proxy or firewall stands in \
             between; set `ca_file` if the server's authority is not among the system's"
        }
    }
}

impl Drop for Built {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Nobody waits for a name lookup; and this may be another runtime's thread.
            runtime.shutdown_background();
        }
    }
}

/// Yields twice, so that hyper's tasks process pending socket events: in the first round they hear
/// of the events, in the second they act. It is a task, because the rounds belong to the thread
/// that drives it.
async fn settle() {
    let rounds = tokio::spawn(async {
        yield_now().await;
        yield_now().await;
    });
    let _ = rounds.await;
}

/// Reads the body. It trusts neither the declared length nor the inflated one.
async fn read_body(
    mut response: Response,
    max_body: usize,
    deadline: Instant,
    peer: &str,
) -> Result<Vec<u8>, TransportError> {
    let length = response.content_length();
    if length.is_some_and(|length| length > max_body as u64) {
        return Err(too_large(max_body, peer));
    }
    // C wants one byte more behind it.
    let room = length
        .and_then(|length| usize::try_from(length).ok())
        .map_or(0, |length| length.min(SHORT) + 1);
    // The buffer may hold tokens: the unused part is wiped, and so is the shorter buffer from which
    // it grew.
    let mut body = Zeroizing::new(Vec::with_capacity(room));
    while let Some(chunk) = response.chunk().await.map_err(|error| explain_body(&error, peer))? {
        if body.len() + chunk.len() > max_body {
            return Err(too_large(max_body, peer));
        }
        let needed = body.len() + chunk.len();
        if needed > body.capacity() {
            let mut larger =
                Zeroizing::new(Vec::with_capacity(needed.max(2 * body.capacity()) + 1));
            larger.extend_from_slice(&body);
            body = larger;
        }
        body.extend_from_slice(&chunk);
        // A server that never lets us wait gives a timer no turn.
        if Instant::now() >= deadline {
            return Err(timed_out(peer, true));
        }
    }
    Ok(mem::take(&mut body))
}

fn too_large(max_body: usize, peer: &str) -> TransportError {
    TransportError {
        kind: TransportErrorKind::BodyTooLarge,
        message: format!(
            "the answer of {peer} is longer than the {max_body} bytes that are accepted"
        ),
        sent: true,
    }
}

fn explain_body(error: &(dyn StdError + 'static), peer: &str) -> TransportError {
    if any(error, &is_timeout) {
        return timed_out(peer, true);
    }
    if any(error, &|e| e.is::<rustls::Error>()) {
        return TransportError {
            kind: TransportErrorKind::Tls,
            message: format!("the TLS connection to {peer} broke: {}", cause(error)),
            sent: true,
        };
    }
    network(format!("the answer of {peer} broke off: {}", cause(error)), true)
}

/// TLS with the system's roots and those of `ca_file`; and why the system's are fewer than they
/// should be.
fn tls(ca_file: Option<&Path>) -> Result<(ClientConfig, Option<String>), TransportError> {
    let mut roots = RootCertStore::empty();
    // Trouble means fewer roots. Plain HTTP to loopback must work in a container without any.
    let system = certificates::system_roots();
    roots.add_parsable_certificates(system.certificates);
    if let Some(path) = ca_file {
        let own = certificates::read(path)
            .map_err(|what| config(format!("the file `{}` of `ca_file` {what}", path.display())))?;
        roots.add_parsable_certificates(own);
    }
    // Named here: a process-wide default provider is the host program's to choose.
    let provider =
        CryptoProvider { key_provider: &NoKeys, ..rustls::crypto::aws_lc_rs::default_provider() };
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| config(format!("TLS can't be set up: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok((config, system.trouble))
}

/// No client certificates: what would sign with their keys stays out of programs.
#[derive(Debug)]
struct NoKeys;

impl KeyProvider for NoKeys {
    fn load_private_key(
        &self,
        _key: PrivateKeyDer<'static>,
    ) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        Err(rustls::Error::General("client certificates are not supported".to_owned()))
    }
}

fn own_proxy(text: &str) -> Result<Proxy, TransportError> {
    let refuse = |what: &str| config(format!("`proxy` {what}"));
    let url = proxy::parse(text).map_err(refuse)?;
    Proxy::all(url.as_str())
        .map_err(|_| refuse("can't be used by the HTTP client: write `http://host:port`"))
}

fn target(url: &str) -> Result<Url, TransportError> {
    let refuse = |what: &str| Err(config(format!("the URL to send to {what}")));
    match web_url::parse(url) {
        Ok(url) if web_url::has_user(&url) => refuse(
            "holds a user or a password: remove them, because the token identifies the \
                    caller",
        ),
        Ok(url) => Ok(url),
        Err(Flaw::Scheme) => refuse("must begin with `https://`"),
        Err(_) => refuse("is not a whole URL: write it as `https://host/path`"),
    }
}

fn headers(pairs: &[Pair]) -> Result<HeaderMap, TransportError> {
    let mut headers = HeaderMap::with_capacity(pairs.len());
    for (name, value) in pairs {
        let key = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| config(format!("`{}` is not a header name", name.escape_debug())))?;
        // The value is the secret, not a copy that nobody wipes.
        let read = Some(value).filter(|value| value.expose().is_ascii());
        let read = read.map(|value| {
            HeaderValue::from_maybe_shared(Bytes::from_owner(SentValue(value.clone())))
        });
        let mut value = read.and_then(Result::ok).ok_or_else(|| {
            config(format!(
                "the value of the header `{name}` has a line break or another character that a \
                 header must not contain: remove it"
            ))
        })?;
        value.set_sensitive(true);
        headers.append(key, value);
    }
    Ok(headers)
}

/// A thread that belongs to a runtime can't drive another (we know that we block it), nor can one
/// that ends and has wiped what tokio keeps there.
fn needs_another_thread() -> bool {
    !matches!(Handle::try_current(), Err(error) if error.is_missing_context())
}

/// One reference too many: these clients are never dropped.
fn leak(clients: &Arc<Clients>) {
    mem::forget(Arc::clone(clients));
}

/// Returns `true` if `test` holds for an error or one beneath it. An I/O error hides what it wraps
/// from `source`.
fn any(error: &(dyn StdError + 'static), test: &dyn Fn(&(dyn StdError + 'static)) -> bool) -> bool {
    let mut current = Some(error);
    while let Some(error) = current {
        if test(error) {
            return true;
        }
        current = beneath(error);
    }
    false
}

/// The error of a type, or one beneath it.
fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut current = Some(error);
    while let Some(error) = current {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        current = beneath(error);
    }
    None
}

fn is_timeout(error: &(dyn StdError + 'static)) -> bool {
    error.downcast_ref::<::reqwest::Error>().is_some_and(::reqwest::Error::is_timeout)
        || error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}

fn beneath<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

/// The words of the innermost error. The outer ones say little, and reqwest's own may hold the URL.
fn cause(error: &(dyn StdError + 'static)) -> String {
    let mut words = None;
    let mut current = Some(error);
    while let Some(error) = current {
        if !error.is::<::reqwest::Error>() {
            words = Some(error);
        }
        current = beneath(error);
    }
    words.map_or_else(|| "no cause is known".to_owned(), |error| clean(&error.to_string()))
}

fn config(message: String) -> TransportError {
    TransportError { kind: TransportErrorKind::Config, message, sent: false }
}

fn network(message: String, sent: bool) -> TransportError {
    TransportError { kind: TransportErrorKind::Network, message, sent }
}

fn timed_out(peer: &str, sent: bool) -> TransportError {
    let message = if sent {
        format!("{peer} did not answer in time")
    } else {
        format!("no connection to {peer} came about in time")
    };
    TransportError { kind: TransportErrorKind::Timeout, message, sent }
}

/// Longer ones are cut to it; an `Instant` has an end.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
/// Number of threads that may well send at once: each finds a connection when it comes back.
const MAX_IDLE: usize = 32;
/// Shorter than servers and NATs keep idle connections, so that a request seldom meets a closing
/// one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Text of the panic of tokio if no thread can be started for blocking work: the lookup of a name.
const NO_THREAD: &str = "can't spawn worker thread";
/// Number of headers that the library sends by itself.
const KEPT_HEADERS: usize = 5;
/// Room for as much is made before it arrives.
const SHORT: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::sync::{Barrier, mpsc};

    use super::super::Body;
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn carries_method_headers_and_body() {
        let server = Server::answering(
            b"HTTP/1.1 201 Created\r\nX-Test: a\xff\r\nContent-Length: 5\r\n\r\nhello",
        );
        let response = transport().send(&post(&server.url, "grant_type=refresh_token")).unwrap();
        assert_eq!((response.status, response.body.as_slice()), (201, &b"hello"[..]));
        assert_eq!(response.header("x-test"), Some("a\u{fffd}"));
        let request = server.request();
        assert!(request.starts_with("POST /oauth/token?q=1 HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("authorization: Bearer planted\r\n"), "{request}");
        assert!(request.ends_with("\r\n\r\ngrant_type=refresh_token"), "{request}");
        assert!(!request.contains("user-agent") && !request.contains("referer"), "{request}");
    }

    #[test]
    fn a_failure_status_is_an_answer_and_a_redirect_is_not_followed() {
        let answer = "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nSet-Cookie: \
                      a=b\r\nContent-Length: 0\r\n\r\n";
        let server = Server::answering(answer.as_bytes());
        let response = transport().send(&get(&server.url)).unwrap();
        assert_eq!((response.status, response.header("location")), (302, Some("/elsewhere")));
        let server = Server::answering(b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(transport().send(&get(&server.url)).unwrap().status, 503);
    }

    #[test]
    fn an_answer_without_a_body_may_still_say_gzip() {
        let server =
            Server::answering(b"HTTP/1.1 204 No Content\r\nContent-Encoding: gzip\r\n\r\n");
        let response = transport().send(&get(&server.url)).unwrap();
        assert_eq!((response.status, response.body.len()), (204, 0));
    }

    #[test]
    fn a_body_is_capped_whatever_its_length_says() {
        let mut request = get("");
        for (max_body, fits) in [(5, true), (4, false), (0, false)] {
            for head in ["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"]
            {
                let server = Server::answering(&[head.as_bytes(), b"hello"].concat());
                request.url.clone_from(&server.url);
                request.max_body = max_body;
                let kind = transport().send(&request).map_err(|e| (e.kind, e.sent)).map(|r| r.body);
                let expected = if fits {
                    Ok(b"hello".to_vec())
                } else {
                    Err((TransportErrorKind::BodyTooLarge, true))
                };
                assert_eq!(kind, expected, "{max_body} {head}");
            }
        }
    }

    #[test]
    fn bodies_of_every_length_arrive_whole_and_leave_the_connection_in_use() {
        for length in [0, 1, 8_192, SHORT - 1, SHORT, SHORT + 1, 4 * SHORT] {
            let body: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            let answer = [head.as_bytes(), &body].concat();
            let server = Server::start(move |mut stream| {
                stream.write_all(&answer)?;
                read_request(&mut stream);
                stream.write_all(&answer)
            });
            let transport = transport();
            for _ in 0..2 {
                assert_eq!(transport.send(&get(&server.url)).unwrap().body, body, "{length}");
            }
        }
    }

    #[test]
    fn gzip_is_inflated_and_counted_inflated() {
        let server = Server::answering(&gzip_answer(HELLO_GZ, HELLO_GZ.len()));
        assert_eq!(transport().send(&get(&server.url)).unwrap().body, b"hello");

        let server = Server::answering(&gzip_answer(BOMB_GZ, BOMB_GZ.len()));
        let mut request = get(&server.url);
        request.max_body = 4_096;
        assert_eq!(transport().send(&request).unwrap().body.len(), 4_096);

        let server = Server::answering(&gzip_answer(BOMB_GZ, BOMB_GZ.len()));
        request.url.clone_from(&server.url);
        request.max_body = 4_095;
        assert_eq!(failure(&transport(), &request), (TransportErrorKind::BodyTooLarge, true));
    }

    #[test]
    fn broken_answers_end_at_once() {
        let mut broken = HELLO_GZ.to_vec();
        broken[12] ^= 0xff;
        let answers = [
            b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello".to_vec(),
            b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nhello".to_vec(),
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel".to_vec(),
            gzip_answer(&broken, broken.len()),
            gzip_answer(&HELLO_GZ[..HELLO_GZ.len() - 6], HELLO_GZ.len() - 6),
            gzip_answer(b"hello", 5),
            b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(),
            b"\x00\x01\x02".to_vec(),
            Vec::new(),
        ];
        for answer in answers {
            let server = Server::answering(&answer);
            let failure = failure(&transport(), &get(&server.url));
            assert_eq!(
                failure,
                (TransportErrorKind::Network, true),
                "{}",
                String::from_utf8_lossy(&answer)
            );
        }
    }

    #[test]
    fn a_dripping_body_and_a_silent_server_are_cut_at_the_deadline() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
        let gzip = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: \
              100000\r\n\r\n\x1f\x8b\x08\x08";
        let short = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
        for head in [&head[..], &short[..], &gzip[..], b""] {
            let server = Server::dripping(head);
            let mut request = get(&server.url);
            request.timeout = Duration::from_millis(600);
            assert_eq!(failure(&transport(), &request), (TransportErrorKind::Timeout, true));
        }
    }

    #[test]
    fn no_time_left_means_nothing_is_sent() {
        let mut request = get("http://127.0.0.1:9/");
        request.timeout = Duration::ZERO;
        assert_eq!(failure(&transport(), &request), (TransportErrorKind::Timeout, false));
        let server = Server::answering(OK);
        let mut request = get(&server.url);
        request.timeout = Duration::MAX;
        assert_eq!(transport().send(&request).unwrap().status, 200);
    }

    #[test]
    fn a_refused_connection_was_not_sent() {
        let error = transport().send(&get(&format!("{}?code=planted", closed_port()))).unwrap_err();
        assert_eq!((error.kind, error.sent), (TransportErrorKind::Network, false));
        assert!(
            error.message.contains("127.0.0.1:") && !error.message.contains("planted"),
            "{error}"
        );
    }

    #[test]
    fn an_unreachable_proxy_or_an_unknown_name_was_not_sent() {
        let transport = through(&closed_port());
        for url in ["http://host.invalid/", "https://host.invalid/"] {
            let error = transport.send(&get(url)).unwrap_err();
            assert_eq!((error.kind, error.sent), (TransportErrorKind::Network, false));
            assert!(error.message.contains("`proxy`"), "{error}");
        }
        // Where the resolver knows all names under localhost, the port is closed.
        let failure = failure(
            &ReqwestTransport::new(TransportSettings::default()),
            &get("http://no.such.localhost:1/"),
        );
        assert_eq!(failure, (TransportErrorKind::Network, false));
    }

    #[test]
    fn a_handshake_that_stalls_is_cut_by_the_connect_timeout() {
        let server = Server::dripping(b"");
        let transport = ReqwestTransport::new(TransportSettings {
            connect_timeout: Duration::from_millis(300),
            ..TransportSettings::default()
        });
        let request = get(&server.url.replace("http:", "https:"));
        assert_eq!(failure(&transport, &request), (TransportErrorKind::Timeout, false));
    }

    #[test]
    fn what_does_not_speak_tls_is_a_tls_error() {
        let server = Server::answering(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let error = transport().send(&get(&server.url.replace("http:", "https:"))).unwrap_err();
        assert_eq!((error.kind, error.sent), (TransportErrorKind::Tls, false));
        assert!(error.message.contains("`ca_file`"), "{error}");
    }

    #[test]
    fn a_certificate_out_of_its_time_points_to_the_clock() {
        let folder = tempfile::tempdir().unwrap();
        for (from, until, says) in [
            (2990, 2999, Some("clock, which is probably behind")),
            (1990, 1999, Some("clock, which may be ahead")),
            (1990, 2999, None),
        ] {
            let key = rcgen::KeyPair::generate().unwrap();
            let mut certificate =
                rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
            certificate.not_before = rcgen::date_time_ymd(from, 1, 1);
            certificate.not_after = rcgen::date_time_ymd(until, 1, 1);
            let certificate = certificate.self_signed(&key).unwrap();
            let path = folder.path().join("ca.pem");
            std::fs::write(&path, certificate.pem()).unwrap();
            let server = Server::start_tls(
                certificate.der().clone(),
                key.serialize_der().try_into().unwrap(),
            );
            let trusting = ReqwestTransport::new(TransportSettings {
                ca_file: Some(path),
                ..TransportSettings::default()
            });
            match (trusting.send(&get(&server)), says) {
                (Ok(answer), None) => assert_eq!(answer.status, 200),
                (Err(error), Some(says)) => {
                    assert_eq!((error.kind, error.sent), (TransportErrorKind::Tls, false));
                    assert!(error.message.contains(says), "{error}");
                }
                (outcome, _) => panic!("{from} {until}: {outcome:?}"),
            }
            let error = transport().send(&get(&server)).unwrap_err();
            assert!(says.is_some() || error.message.contains("`ca_file`"), "{error}");
        }
    }

    #[test]
    fn wrong_requests_are_config_errors_without_secrets() {
        let transport = transport();
        let mut requests =
            vec![get("planted"), get("ftp://127.0.0.1/planted"), get("http:///"), get("")];
        let mut request = get("http://127.0.0.1:9/");
        request.headers.push(("X-Bad".into(), Secret::new("planted\r\nX-Other: 1")));
        requests.push(request);
        let mut request = get("http://127.0.0.1:9/");
        request.headers.push(("X Bad".into(), Secret::new("planted")));
        requests.push(request);
        let mut request = get("http://127.0.0.1:9/");
        request.method = "G ET";
        requests.push(request);
        for request in requests {
            let error = transport.send(&request).unwrap_err();
            assert_eq!(
                (error.kind, error.sent),
                (TransportErrorKind::Config, false),
                "{request:?}"
            );
            assert!(!error.message.contains("planted"), "{error}");
        }
    }

    #[test]
    fn a_bad_ca_file_is_named() {
        let directory = std::env::temp_dir();
        let bad = |name: &str, content: &[u8]| {
            let path = directory.join(format!("hoopauth-{name}-{}.pem", std::process::id()));
            std::fs::write(&path, content).unwrap();
            path
        };
        let files = [
            directory.join("hoopauth-no-such-file.pem"),
            directory.clone(),
            bad("empty", b""),
            bad("text", b"not a certificate"),
            bad("binary", b"\xff\x00\xff"),
            bad("broken", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            bad("cut", b"-----BEGIN CERTIFICATE-----\nAAAA\n"),
        ];
        for file in files {
            let transport = ReqwestTransport::new(TransportSettings {
                ca_file: Some(file.clone()),
                ..TransportSettings::default()
            });
            let error = transport.send(&get("http://127.0.0.1:9/")).unwrap_err();
            assert_eq!((error.kind, error.sent), (TransportErrorKind::Config, false));
            assert!(error.message.contains("`ca_file`"), "{error}");
            if file.is_file() {
                std::fs::remove_file(file).unwrap();
            }
        }
    }

    #[test]
    fn a_bad_proxy_is_named_and_its_password_is_not() {
        for proxy in [
            "",
            "http://",
            "socks5://u:planted@h:1",
            "http://u:planted@h:99999",
            "http://u:planted@",
            "a b",
            "\"http://u:planted@h:1\"",
            "http://u:${PLANTED}@h:1",
        ] {
            let transport = through(proxy);
            let error = transport.send(&get("http://example.invalid/")).unwrap_err();
            assert_eq!((error.kind, error.sent), (TransportErrorKind::Config, false), "{proxy}");
            assert!(
                error.message.contains("`proxy`") && !error.message.contains("planted"),
                "{error}"
            );
            assert!(!format!("{transport:?}").contains("planted"));
        }
    }

    #[test]
    fn a_proxy_carries_everything_but_loopback() {
        let proxy = Server::answering(OK);
        let address = proxy.url.trim_start_matches("http://").split('/').next().unwrap().to_owned();
        let transport = through(&format!("user:planted@{address}"));
        assert_eq!(transport.send(&get("http://example.invalid/a")).unwrap().status, 200);
        let request = proxy.request();
        assert!(request.starts_with("GET http://example.invalid/a HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("proxy-authorization: Basic dXNlcjpwbGFudGVk\r\n"), "{request}");

        let server = Server::answering(OK);
        assert_eq!(through(&closed_port()).send(&get(&server.url)).unwrap().status, 200);

        let refusing = Server::answering(
            b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
        );
        let error =
            through(&refusing.url).send(&get("https://example.invalid/?code=planted")).unwrap_err();
        assert_eq!((error.kind, error.sent), (TransportErrorKind::Network, false), "{error}");
        assert!(!error.message.contains("planted"), "{error}");
    }

    #[test]
    fn a_known_origin_gives_the_same_urls() {
        for origin in [
            "http://h.example",
            "HTTPS://H.example:443",
            "http://127.1:80",
            "https://[::1]:8443",
            "https://x-1",
        ] {
            let clients = Clients::of_this_process();
            clients.target(&format!("{origin}/")).unwrap();
            let first = clients.last.load_full().unwrap();
            for rest in [
                "/",
                "/?",
                "/a/b?c=d&e",
                "//evil.example/a",
                "/\\\\evil.example",
                "/a/../b/./c",
                "/%2e%2e/x",
                "/a?b?c",
                "/\u{e9}?\u{e9}",
                "/a?'",
                "/\t/evil.example",
                "/a b",
                "/a#b",
                "/a?b#c",
                "/a\r\nb",
                "",
                "?a/b",
                "#a/",
                "\\@evil.example/",
                "@evil.example/a",
                ":1/",
                "x/",
                ".evil.example/",
            ] {
                let text = format!("{origin}{rest}");
                match (clients.target(&text), Url::parse(&text)) {
                    (Ok((origin, url)), Ok(whole)) => {
                        assert_eq!(url, whole, "{text:?}");
                        assert_eq!(origin.root.origin(), whole.origin(), "{text:?}");
                        assert_eq!(origin.is_loopback, is_loopback(&whole), "{text:?}");
                        assert!(origin.peer.starts_with(whole.host_str().unwrap()), "{text:?}");
                    }
                    (Err(_), Ok(_)) => assert!(
                        web_url::parse(&text).map_or(true, |url| web_url::has_user(&url)),
                        "{text:?}"
                    ),
                    (ours, whole) => assert!(ours.is_err() && whole.is_err(), "{text:?}"),
                }
                clients.last.store(Some(Arc::clone(&first)));
            }
        }
    }

    #[test]
    fn an_origin_that_is_not_plain_to_see_is_not_kept() {
        for text in [
            "https:///h.example/a",
            "https://///h.example/a",
            "https:h.example/p?x=://y/z",
            "https:\\\\h.example/a",
        ] {
            let clients = Clients::of_this_process();
            assert!(clients.target(text).is_err(), "{text:?}");
            assert!(clients.last.load_full().is_none(), "{text:?}");
        }
        let clients = Clients::of_this_process();
        assert!(
            clients
                .target("https://me:pw@h.example/a")
                .is_err_and(|error| error.kind == TransportErrorKind::Config)
        );
    }

    #[test]
    fn only_as_many_headers_as_the_library_sends_are_kept() {
        let clients = Clients::of_this_process();
        let pairs = |count| -> Vec<Pair> {
            (0..count).map(|n| (format!("x-{n}").into(), Secret::new("a"))).collect()
        };
        clients.headers(&pairs(5)).unwrap();
        let kept = clients.last_headers.load_full().unwrap();
        assert_eq!(clients.headers(&pairs(6)).unwrap().len(), 6);
        assert!(Arc::ptr_eq(&kept, &clients.last_headers.load_full().unwrap()));
        for wrong in ["a\nb", "\u{e9}", "\u{7f}"] {
            let pair = [("x".into(), Secret::new(wrong))];
            assert_eq!(
                clients.headers(&pair).unwrap_err().kind,
                TransportErrorKind::Config,
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn sends_and_drops_inside_a_runtime() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let server = Server::answering(OK);
            let transport = transport();
            assert_eq!(transport.send(&get(&server.url)).unwrap().status, 200);
            assert_eq!(
                failure(&transport, &get(&closed_port())),
                (TransportErrorKind::Network, false)
            );
            drop(transport);
            drop(ReqwestTransport::new(TransportSettings::default()));
        });
        let server = Server::answering(OK);
        let transport = transport();
        assert_eq!(transport.send(&get(&server.url)).unwrap().status, 200);
        runtime.block_on(async move { drop(transport) });
    }

    #[test]
    fn clients_of_another_process_are_neither_used_nor_dropped() {
        let transport = transport();
        let server = Server::answering(OK);
        assert_eq!(transport.send(&get(&server.url)).unwrap().status, 200);
        let inherited = as_inherited(&transport);
        let server = Server::answering(OK);
        assert_eq!(transport.send(&get(&server.url)).unwrap().status, 200);
        assert!(inherited.upgrade().is_some());
        assert_eq!(transport.clients.load().pid, std::process::id());

        let inherited = as_inherited(&transport);
        drop(transport);
        assert!(inherited.upgrade().is_some());
    }

    #[test]
    fn nothing_is_built_before_the_first_request_and_one_client_serves_all_threads() {
        let transport = transport();
        assert!(transport.clients().direct.get().is_none());
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let server = Server::answering(OK);
                    assert_eq!(transport.send(&get(&server.url)).unwrap().status, 200);
                });
            }
        });
        assert!(transport.clients().direct.get().is_some());
        assert!(transport.clients().outside.get().is_none());
        transport.discard(&transport.clients());
        let server = Server::answering(OK);
        assert_eq!(transport.send(&get(&server.url)).unwrap().status, 200);
    }

    #[test]
    fn a_connection_that_the_server_closed_meanwhile_is_not_used() {
        for (threads, rounds) in [(1, 50), (8, 25)] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}/oauth/token?q=1", listener.local_addr().unwrap());
            let (sender, closed) = mpsc::channel();
            // All of a round are open at once, so that the client keeps as many.
            let together = Arc::new(Barrier::new(threads));
            thread::spawn(move || {
                for stream in listener.incoming() {
                    let (mut stream, together, sender) =
                        (stream.unwrap(), Arc::clone(&together), sender.clone());
                    thread::spawn(move || {
                        read_request(&mut stream);
                        together.wait();
                        stream.write_all(OK).unwrap();
                        drop(stream);
                        sender.send(()).unwrap();
                    });
                }
            });
            let transport = transport();
            for _ in 0..rounds {
                thread::scope(|scope| {
                    for _ in 0..threads {
                        // A POST, which nothing sends twice.
                        scope.spawn(|| {
                            assert_eq!(transport.send(&post(&url, "a=b")).unwrap().status, 200);
                        });
                    }
                });
                closed.iter().take(threads).for_each(drop);
            }
        }
    }

    #[test]
    fn who_sends_for_all_hands_over_when_its_own_answer_is_there() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (came, held) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, came) = (stream.unwrap(), came.clone());
                thread::spawn(move || {
                    while let Some(line) = read_request(&mut stream).lines().next() {
                        if line.contains("/hold") {
                            let (go, gone) = mpsc::channel::<()>();
                            came.send(go).unwrap();
                            let _ = gone.recv();
                        }
                        if stream.write_all(OK).is_err() {
                            break;
                        }
                    }
                });
            }
        });
        let transport = transport();
        let send = |path: &str| transport.send(&get(&format!("{url}{path}"))).unwrap().status;
        thread::scope(|scope| {
            let first = scope.spawn(|| send("/hold"));
            let first_go = held.recv().unwrap();
            // The first one waits for its answer and works for those who come after it.
            let second = scope.spawn(|| send("/hold"));
            let second_go = held.recv().unwrap();
            assert_eq!(send("/quick"), 200);
            drop(first_go);
            assert_eq!(first.join().unwrap(), 200);
            assert_eq!(send("/quick"), 200);
            drop(second_go);
            assert_eq!(second.join().unwrap(), 200);
        });
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..50).for_each(|_| assert_eq!(send("/quick"), 200)));
            }
        });
    }

    #[test]
    fn who_waits_for_clients_that_are_discarded_is_told() {
        let (go, gone) = mpsc::channel::<()>();
        let server = Server::start(move |_| gone.recv().map_err(io::Error::other));
        let transport = transport();
        thread::scope(|scope| {
            let waits = scope.spawn(|| failure(&transport, &get(&server.url)));
            server.request();
            let clients = transport.clients();
            transport.discard(&clients);
            assert_eq!(waits.join().unwrap(), (TransportErrorKind::Network, true));
            // A late request discards only the client that it used.
            let new = transport.clients();
            transport.discard(&clients);
            assert!(Arc::ptr_eq(&new, &transport.clients()));
        });
        drop(go);
    }

    #[test]
    fn a_thread_that_ends_may_still_send() {
        struct Last(Option<(String, mpsc::Sender<u16>)>);
        impl Drop for Last {
            fn drop(&mut self) {
                let (url, told) = self.0.take().unwrap();
                told.send(transport().send(&get(&url)).unwrap().status).unwrap();
            }
        }
        thread_local! {
            static LAST: std::cell::RefCell<Option<Last>> = const { std::cell::RefCell::new(None) };
        }
        let (first, last) = (Server::answering(OK), Server::answering(OK));
        let (sender, told) = mpsc::channel();
        thread::spawn(move || {
            // Made before anything of tokio's, and so dropped after it.
            LAST.with(|it| *it.borrow_mut() = Some(Last(Some((last.url.clone(), sender)))));
            assert_eq!(transport().send(&get(&first.url)).unwrap().status, 200);
        })
        .join()
        .unwrap();
        assert_eq!(told.recv().unwrap(), 200);
    }

    #[test]
    fn debug_shows_no_secret() {
        let transport = through("http://user:planted@proxy.example:1");
        assert!(!format!("{transport:?} {:?}", get("http://h/")).contains("planted"));
    }

    /// Answers one connection on a thread of its own, then closes it.
    struct Server {
        url: String,
        request: mpsc::Receiver<String>,
    }

    impl Server {
        fn answering(answer: &[u8]) -> Self {
            let answer = answer.to_vec();
            Self::start(move |mut stream| {
                stream.write_all(&answer)?;
                stream.shutdown(Shutdown::Write)
            })
        }

        fn dripping(head: &[u8]) -> Self {
            let head = head.to_vec();
            Self::start(move |mut stream| {
                stream.write_all(&head)?;
                loop {
                    thread::sleep(Duration::from_millis(50));
                    if head.is_empty() {
                        // Silent, but it notices when the other side is gone.
                        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
                        let mut rest = [0];
                        return stream.read(&mut rest).map(drop);
                    }
                    stream.write_all(b"a")?;
                }
            })
        }

        fn start(serve: impl FnOnce(TcpStream) -> io::Result<()> + Send + 'static) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}/oauth/token?q=1", listener.local_addr().unwrap());
            let (sender, request) = mpsc::channel();
            thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = sender.send(read_request(&mut stream));
                // The client may hang up first; that is what some tests want.
                let _ = serve(stream);
            });
            Self { url, request }
        }

        /// Answers any number of connections, with TLS; its URL.
        fn start_tls(
            certificate: rustls::pki_types::CertificateDer<'static>,
            key: PrivateKeyDer<'static>,
        ) -> String {
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let config = rustls::ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions();
            let config = config
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![certificate], key)
                .unwrap();
            let config = Arc::new(config);
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("https://{}/", listener.local_addr().unwrap());
            thread::spawn(move || {
                for stream in listener.incoming() {
                    let session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
                    let mut stream = rustls::StreamOwned::new(session, stream.unwrap());
                    // A client that does not trust us hangs up.
                    if stream.read(&mut [0; 1_024]).is_ok() {
                        let _ = stream.write_all(OK).and_then(|()| stream.flush());
                    }
                }
            });
            url
        }

        fn request(&self) -> String {
            self.request.recv().unwrap()
        }
    }

    fn read_request(stream: &mut TcpStream) -> String {
        let mut read = Vec::new();
        let mut chunk = [0; 1_024];
        loop {
            let count = stream.read(&mut chunk).unwrap_or(0);
            read.extend_from_slice(&chunk[..count]);
            let text = String::from_utf8_lossy(&read).into_owned();
            let complete = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                body.len() >= length.map_or(0, |length| length.parse().unwrap())
            });
            // A TLS greeting starts with 22 and never looks complete.
            if complete || count == 0 || read.first() == Some(&22) {
                return text;
            }
        }
    }

    fn transport() -> ReqwestTransport {
        ReqwestTransport::new(TransportSettings::default())
    }

    fn through(proxy: &str) -> ReqwestTransport {
        ReqwestTransport::new(TransportSettings {
            proxy: Some(proxy.to_owned()),
            ..TransportSettings::default()
        })
    }

    fn get(url: &str) -> TransportRequest {
        TransportRequest {
            method: "GET",
            url: url.to_owned(),
            headers: vec![("Authorization".into(), Secret::new("Bearer planted"))],
            body: Body::default(),
            timeout: Duration::from_secs(20),
            max_body: 1_000_000,
        }
    }

    fn post(url: &str, body: &str) -> TransportRequest {
        TransportRequest { method: "POST", body: Secret::new(body).into(), ..get(url) }
    }

    fn failure(
        transport: &ReqwestTransport,
        request: &TransportRequest,
    ) -> (TransportErrorKind, bool) {
        let error = transport.send(request).unwrap_err();
        assert!(!error.message.contains("planted") && !error.message.contains("q=1"), "{error}");
        (error.kind, error.sent)
    }

    /// Address at which nothing listens.
    fn closed_port() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    }

    /// Makes the transport's clients look like those of a parent process.
    fn as_inherited(transport: &ReqwestTransport) -> std::sync::Weak<Clients> {
        let built = transport.clients();
        let direct = OnceCell::new();
        let client = built.direct.get().unwrap().client.clone();
        assert!(
            direct
                .set(Built {
                    client,
                    runtime: None,
                    broken: Semaphore::new(0),
                    roots_trouble: None,
                    through: None,
                })
                .is_ok()
        );
        let inherited = Arc::new(Clients { pid: 0, direct, ..Clients::of_this_process() });
        let weak = Arc::downgrade(&inherited);
        transport.clients.store(inherited);
        weak
    }

    fn gzip_answer(body: &[u8], length: usize) -> Vec<u8> {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {length}\r\n\r\n"
        );
        [head.as_bytes(), body].concat()
    }

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    /// `hello`.
    const HELLO_GZ: &[u8] =
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcb\x48\xcd\xc9\xc9\x07\x00\x86\xa6\x10\x36\x05\
        \x00\x00\x00";
    /// 4096 times `a`.
    const BOMB_GZ: &[u8] =
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xed\xc1\x01\x0d\x00\x00\x00\xc2\xa0\xac\xef\x5f\
        \xc2\x1e\x0e\x28\x00\x00\x00\xe0\xdd\x00\x73\xdc\x99\x9c\x00\x10\x00\x00";
}
