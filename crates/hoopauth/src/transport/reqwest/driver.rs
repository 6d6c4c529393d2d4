//! The client of reqwest that the sending threads drive.

use std::future::poll_fn;
use std::io;
use std::mem;
use std::net::ToSocketAddrs as _;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use ::reqwest::dns::{Addrs, Name, Resolve, Resolving};
use ::reqwest::{Client, Proxy, Request, redirect, retry};
use rustls::crypto::{CryptoProvider, KeyProvider};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;
use rustls::{ClientConfig, RootCertStore};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::yield_now;

use super::TransportSettings;
use super::exchange::{cause, config, find, network, next_step, read_body, timed_out};
use crate::certificates;
use crate::proxy;
use crate::transport::{ResponseHeaders, TransportError, TransportErrorKind, TransportResponse};

/// The way of a request: past all proxies, or through those that are set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Direct,
    Proxied,
}

/// A client of reqwest, and the runtime that its requests run on.
pub(super) struct Built {
    pub(super) client: Client,
    /// The threads that send drive it, while they send. It is empty only while this is dropped.
    pub(super) runtime: Option<Runtime>,
    /// Has no permits, and is closed once the thread that drove the runtime has panicked: the
    /// runtime may not go on then, and the other threads would wait for ever.
    pub(super) broken: Semaphore,
    /// Reason why the system's certificates are fewer than they should be: it explains failures of
    /// TLS.
    pub(super) roots_trouble: Option<String>,
    /// The option or the variable that names the proxy, for messages: a failure to connect may be
    /// the proxy's.
    pub(super) through: Option<&'static str>,
}

impl Built {
    pub(super) fn new(settings: &TransportSettings, route: Route) -> Result<Self, TransportError> {
        let (tls, roots_trouble) = tls(settings.ca_file.as_deref())?;
        // Both routes check the proxy, so that a wrong one shows in a test against a local server
        // too.
        let own_proxy = settings.proxy.as_deref().map(own_proxy).transpose()?;
        let through = match (route, &own_proxy) {
            (Route::Direct, _) => None,
            (Route::Proxied, Some(_)) => Some("proxy"),
            // reqwest passes over what it can't read there, and would go out directly.
            (Route::Proxied, None) => {
                proxy::of_environment(|name| std::env::var_os(name)).map_err(config)?
            }
        };
        let builder = Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(Arc::new(Lookups::default()))
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

    /// Runs `work` on the calling thread, and meanwhile the connections of all threads.
    pub(super) fn block_on(
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

    /// Sends `request` and reads its answer.
    pub(super) async fn exchange(
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

    /// Words a failure of a request.
    fn explain(&self, error: &::reqwest::Error, peer: &str) -> TransportError {
        let sent = !error.is_connect();
        if error.is_builder() {
            return config(format!("the request to {peer} can't be built: {}", cause(error)));
        }
        if find::<NoThread>(error).is_some() {
            // This is the request's own trouble. The requests of other threads go on.
            return network(
                "no thread could be started to look up the host's name: this process has too many; \
                 try again"
                    .to_owned(),
                false,
            );
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

impl Drop for Built {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Nobody waits for a name lookup; and this may be another runtime's thread.
            runtime.shutdown_background();
        }
    }
}

/// Gives the connections two rounds: one to hear what happened to them, one to act on it.
///
/// It is a task because only tasks wait for the rounds of the thread that drives the runtime.
pub(super) async fn settle() {
    let rounds = tokio::spawn(async {
        yield_now().await;
        yield_now().await;
    });
    let _ = rounds.await;
}

/// Sets up TLS with the system's roots and those of `ca_file`. Returns also the reason why the
/// system's roots are fewer than they should be.
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

/// Refuses client certificates, so that the code that signs with their keys stays out of programs.
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

/// Looks up names, each on a thread of its own that ends with the lookup.
///
/// The library's own resolver panics if no thread can be started. This one answers [`NoThread`].
struct Lookups {
    /// A lookup can't be ended early, so that slow ones would pile up. Beyond this number, they
    /// wait.
    room: Arc<Semaphore>,
}

impl Default for Lookups {
    fn default() -> Self {
        Self { room: Arc::new(Semaphore::new(MOST_LOOKUPS)) }
    }
}

impl Resolve for Lookups {
    fn resolve(&self, name: Name) -> Resolving {
        let room = Arc::clone(&self.room);
        Box::pin(async move {
            let permit = room.acquire_owned().await?;
            let (tell, told) = oneshot::channel();
            let look_up = move || {
                let found = (name.as_str(), 0).to_socket_addrs();
                drop(permit);
                // The request may be over.
                let _ = tell.send(found);
            };
            thread::Builder::new()
                .name("hoopauth-lookup".to_owned())
                .spawn(look_up)
                .map_err(NoThread)?;
            Ok(Box::new(told.await??) as Addrs)
        })
    }
}

/// No thread could be started to look up a name.
#[derive(Debug, thiserror::Error)]
#[error("no thread could be started: {0}")]
struct NoThread(#[source] io::Error);

/// Most lookups at once: as many as a runtime of tokio allows by default.
const MOST_LOOKUPS: usize = 512;
/// Most idle connections: as many as threads may well send at once; each finds a connection when it
/// comes back.
const MAX_IDLE: usize = 32;
/// Shorter than the time that servers and NATs keep idle connections, so that a request seldom
/// meets a closing one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
const KEEPALIVE: Duration = Duration::from_secs(15);
