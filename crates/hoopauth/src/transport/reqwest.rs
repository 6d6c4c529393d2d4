//! The transport over reqwest's blocking client, with rustls.

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, Read};
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ::reqwest::blocking::{Client, Response};
use ::reqwest::{Method, Proxy, redirect, retry};
use arc_swap::ArcSwap;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use once_cell::sync::OnceCell;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use url::{Host, Url};

use super::{Transport, TransportError, TransportErrorKind, TransportRequest, TransportResponse};
use crate::error::clean;

/// How [`ReqwestTransport`] connects. `Debug` does not show the proxy: its URL may hold a password.
#[derive(Clone)]
pub struct TransportSettings {
    /// For the connection alone: name lookup, TCP and TLS. 10 seconds by default.
    pub connect_timeout: Duration,
    /// A PEM file with certificates to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The proxy for all hosts but loopback, as `http://user:password@host:port`. Without it, the proxies that the
    /// environment or the system names. Loopback hosts are always reached directly.
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

/// Sends with reqwest: connections are pooled, redirects are not followed, cookies are not kept.
///
/// Nothing is built and no thread is started before the first [`send`](Transport::send); wrong settings are reported
/// there. It may be used in a forked child, inside an async runtime (the calling thread blocks), and dropped in either.
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
    /// After a fork the child holds a client whose thread does not exist and whose sockets are its parent's: using it
    /// would hang, dropping it would wait for that thread and close TLS sessions under the parent. So it is leaked.
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

    /// After a panic the client's thread may be gone, and every later request would fail.
    fn discard(&self) {
        drop_clients(self.clients.swap(Arc::new(Clients::of_this_process())));
    }

    fn exchange(
        &self,
        request: &TransportRequest,
        deadline: Instant,
    ) -> Result<TransportResponse, TransportError> {
        let url = target(&request.url)?;
        let headers = headers(&request.headers)?;
        let method = Method::from_bytes(request.method.as_bytes())
            .map_err(|_| config(format!("`{}` is not an HTTP method", request.method.escape_debug())))?;
        let peer = peer(&url);

        let clients = self.clients();
        let built = clients.for_url(&url, &self.settings)?;
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(timed_out(&peer, false));
        }
        let mut sending = built.client.request(method, url).headers(headers).timeout(left);
        if !request.body.is_empty() {
            sending = sending.body(request.body.expose().to_owned());
        }
        let response = sending.send().map_err(|error| built.explain(&error.without_url(), &peer))?;
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let body = built.read(response, request.max_body, deadline, &peer)?;
        Ok(TransportResponse { status, headers, body })
    }
}

impl Transport for ReqwestTransport {
    fn send(&self, request: &TransportRequest) -> Result<TransportResponse, TransportError> {
        let deadline = Instant::now() + request.timeout.min(LONGEST_TIMEOUT);
        let outcome = if in_async_runtime() {
            // The blocking client panics on a thread that belongs to a runtime, as a warning; we know that we block.
            thread::scope(|scope| {
                match thread::Builder::new()
                    .name("hoopauth-send".to_owned())
                    .spawn_scoped(scope, || self.exchange(request, deadline))
                {
                    Ok(sender) => sender.join(),
                    Err(error) => Ok(Err(network(format!("no thread to send with: {error}"), false))),
                }
            })
        } else {
            panic::catch_unwind(AssertUnwindSafe(|| self.exchange(request, deadline)))
        };
        outcome.unwrap_or_else(|_| {
            self.discard();
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
        drop_clients(self.clients.swap(Arc::new(Clients::of_this_process())));
    }
}

/// What one process has built. A forked child never touches its parent's, not even the cells' locks.
struct Clients {
    pid: u32,
    /// For loopback. reqwest's own exceptions can't be added to proxies that it takes from the environment.
    direct: OnceCell<Built>,
    /// For all other hosts.
    outside: OnceCell<Built>,
}

impl Clients {
    fn of_this_process() -> Self {
        Self { pid: std::process::id(), direct: OnceCell::new(), outside: OnceCell::new() }
    }

    fn for_url(&self, url: &Url, settings: &TransportSettings) -> Result<&Built, TransportError> {
        if is_loopback(url) {
            self.direct.get_or_try_init(|| Built::new(settings, Route::Direct))
        } else {
            self.outside.get_or_try_init(|| Built::new(settings, Route::Proxied))
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Route {
    Direct,
    Proxied,
}

struct Built {
    client: Client,
    /// Whether the system has no CA certificates at all: it explains every TLS failure.
    no_system_roots: bool,
}

impl Built {
    fn new(settings: &TransportSettings, route: Route) -> Result<Self, TransportError> {
        let (tls, no_system_roots) = tls(settings.ca_file.as_deref())?;
        // Both routes check the proxy, so that a wrong one shows in a test against a local server too.
        let proxy = settings.proxy.as_deref().map(proxy).transpose()?;
        let builder = Client::builder()
            .tls_backend_preconfigured(tls)
            .connect_timeout(settings.connect_timeout)
            // Each request has its own; without one the builder's default of 30 seconds would count as well.
            .timeout(None)
            .redirect(redirect::Policy::none())
            // A refresh token sent twice may end the grant: only the caller decides about a second try.
            .retry(retry::never())
            .referer(false)
            .gzip(true)
            .pool_max_idle_per_host(MAX_IDLE)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .tcp_keepalive(KEEPALIVE);
        let builder = match (route, proxy) {
            (Route::Direct, _) => builder.no_proxy(),
            (Route::Proxied, Some(proxy)) => builder.proxy(proxy),
            (Route::Proxied, None) => builder,
        };
        let client = builder
            .build()
            .map_err(|error| config(format!("the HTTP client can't be built: {}", cause(&error.without_url()))))?;
        Ok(Self { client, no_system_roots })
    }

    /// Reads the body in pieces, so that neither its length nor what it inflates to is trusted.
    ///
    /// The request's timeout runs on while the body arrives and ends a read that waits, so the check between two reads
    /// only matters for a server that never lets us wait.
    fn read(
        &self,
        mut response: Response,
        max_body: usize,
        deadline: Instant,
        peer: &str,
    ) -> Result<Vec<u8>, TransportError> {
        let mut body = Vec::new();
        let mut chunk = [0; CHUNK];
        loop {
            let read = match response.read(&mut chunk) {
                Ok(0) => return Ok(body),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.explain_body(&error, peer)),
            };
            if body.len() + read > max_body {
                return Err(TransportError {
                    kind: TransportErrorKind::BodyTooLarge,
                    message: format!("the answer of {peer} is longer than {max_body} bytes"),
                    sent: true,
                });
            }
            body.extend_from_slice(chunk.get(..read).unwrap_or_default());
            if Instant::now() >= deadline {
                return Err(timed_out(peer, true));
            }
        }
    }

    fn explain(&self, error: &::reqwest::Error, peer: &str) -> TransportError {
        let sent = !error.is_connect();
        if error.is_builder() {
            return config(format!("the request to {peer} can't be built: {}", cause(error)));
        }
        if any(error, &|e| e.is::<rustls::Error>()) {
            let missing =
                if self.no_system_roots { "; this system has no CA certificates, install them" } else { "" };
            return TransportError {
                kind: TransportErrorKind::Tls,
                message: format!(
                    "no TLS connection to {peer}: {}{missing}; set `ca_file` or fix the certificate",
                    cause(error)
                ),
                sent,
            };
        }
        if error.is_timeout() {
            return timed_out(peer, sent);
        }
        let what = if sent { "the exchange with" } else { "the connection to" };
        network(format!("{what} {peer} failed: {}", cause(error)), sent)
    }

    fn explain_body(&self, error: &io::Error, peer: &str) -> TransportError {
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
}

/// The system's roots and those of `ca_file`, and whether the system has none.
fn tls(ca_file: Option<&Path>) -> Result<(ClientConfig, bool), TransportError> {
    let mut roots = RootCertStore::empty();
    // Errors mean fewer roots. Plain HTTP to loopback must work in a container without any.
    let (system, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca_file {
        let refuse = |why: String| config(format!("`ca_file` {}: {why}", path.display()));
        let pem = std::fs::read(path).map_err(|error| refuse(error.to_string()))?;
        let mut added = 0_usize;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|error| refuse(error.to_string()))?;
            roots.add(certificate).map_err(|error| refuse(error.to_string()))?;
            added += 1;
        }
        if added == 0 {
            return Err(refuse("it holds no certificate in PEM form".to_owned()));
        }
    }
    // Named here: a process-wide default provider is the host program's to choose.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| config(format!("TLS can't be set up: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok((config, system == 0))
}

/// reqwest ignores a proxy it can't use and would go out without it; here that is an error.
fn proxy(text: &str) -> Result<Proxy, TransportError> {
    let refuse = || config("`proxy` is not of the form http://host:port or https://host:port".to_owned());
    let text = text.trim();
    let url = if text.contains("://") { Url::parse(text) } else { Url::parse(&format!("http://{text}")) };
    let url = url.map_err(|_| refuse())?;
    if !matches!(url.scheme(), "http" | "https") || url.as_str().parse::<http::Uri>().is_err() {
        return Err(refuse());
    }
    Proxy::all(url.as_str()).map_err(|_| refuse())
}

fn target(url: &str) -> Result<Url, TransportError> {
    let url = Url::parse(url).map_err(|error| config(format!("the URL to send to is wrong: {error}")))?;
    if matches!(url.scheme(), "http" | "https") {
        Ok(url)
    } else {
        Err(config(format!("the URL to send to is neither http nor https but `{}`", url.scheme())))
    }
}

fn headers(pairs: &[(&'static str, crate::secret::Secret)]) -> Result<HeaderMap, TransportError> {
    let mut headers = HeaderMap::with_capacity(pairs.len());
    for (name, value) in pairs {
        let key = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| config(format!("`{}` is not a header name", name.escape_debug())))?;
        let mut value = HeaderValue::from_str(value.expose())
            .map_err(|_| config(format!("the value of the header `{name}` has characters a header can't carry")))?;
        value.set_sensitive(true);
        headers.append(key, value);
    }
    Ok(headers)
}

/// Host and port: all of a URL that messages show.
fn peer(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}

fn in_async_runtime() -> bool {
    tokio::runtime::Handle::try_current().is_ok()
}

/// Dropping a client waits for its thread, which may be in a name lookup: a runtime's thread must not wait for that.
fn drop_clients(clients: Arc<Clients>) {
    if clients.pid != std::process::id() {
        mem::forget(clients);
    } else if in_async_runtime() && (clients.direct.get().is_some() || clients.outside.get().is_some()) {
        // Where no thread can be had, the failed spawn drops the clients on this one.
        let _ = thread::Builder::new().name("hoopauth-drop".to_owned()).spawn(move || drop(clients));
    }
}

/// One reference too many: these clients are never dropped.
fn leak(clients: &Arc<Clients>) {
    mem::forget(Arc::clone(clients));
}

/// Whether `test` holds for an error or one beneath it. An I/O error hides what it wraps from `source`.
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

fn is_timeout(error: &(dyn StdError + 'static)) -> bool {
    error.downcast_ref::<::reqwest::Error>().is_some_and(::reqwest::Error::is_timeout)
        || error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
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
    let message =
        if sent { format!("no full answer of {peer} in time") } else { format!("no connection to {peer} in time") };
    TransportError { kind: TransportErrorKind::Timeout, message, sent }
}

/// Longer ones are cut to it; an `Instant` has an end.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
/// Refreshes are rare and go to one host.
const MAX_IDLE: usize = 4;
/// Shorter than servers and NATs keep idle connections, so that a request seldom meets a closing one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
const KEEPALIVE: Duration = Duration::from_secs(15);
const CHUNK: usize = 8 * 1024;
