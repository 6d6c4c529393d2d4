//! The transport over reqwest and rustls, with a driver of its own.
//!
//! Each thread that sends drives one shared runtime while it waits for its answer. The simple way
//! would be `reqwest::blocking`, which drives the same client on a thread of its own. It was
//! measured (`docs/architecture.md` has the figures) and breaks a promise:
//!
//! - **Nothing is sent once a request's time is over, also after the computer slept.** Only the
//!   wall clock moves during a sleep. `reqwest::blocking` does not look at it between handshake and
//!   request, so it may send a refresh token that somebody else has spent meanwhile. This driver
//!   looks at both clocks before each step.
//! - **No thread stays behind.** A client of `reqwest::blocking` keeps one until it is dropped, and
//!   can't be made if no thread can be started.
//!
//! Two reasons do not count. After a process was stopped, both keep to the time, because the
//! monotonic clock goes on. Speed decides nothing: with one thread this driver is faster, with
//! eight it is slower.
//!
//! `driver.rs` holds the client and the runtime, `exchange.rs` the data that goes out and comes
//! back. Use in a forked child and inside an async runtime is decided here; both ways would need
//! it.

mod driver;
mod exchange;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use ::reqwest::{Method, Request};
use arc_swap::{ArcSwap, ArcSwapOption};
use http::header::HeaderMap;
use once_cell::sync::OnceCell;
use tokio::runtime::Handle;
use tokio::time::timeout_at;
use url::Url;

use self::driver::{Built, Route, settle};
use self::exchange::{
    KnownHeaders, Origin, Pair, config, headers, network, split_origin, target, timed_out,
};
use super::{Transport, TransportError, TransportRequest, TransportResponse};
use crate::process::Process;
use crate::secret::{note_traffic, wipe_stack_after_traffic};

/// Settings of a [`ReqwestTransport`]. `Debug` does not show the proxy: its URL may hold a
/// password.
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
            if current.process.is_this() {
                return current;
            }
            leak(&current);
            self.clients.compare_and_swap(&current, Arc::new(Clients::of_this_process()));
        }
    }

    /// Gives up the clients after a panic, because nobody knows their state. The next request makes
    /// new ones, and the threads that wait for these are told.
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
        outcome.unwrap_or_else(|_panic| {
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
        if !clients.process.is_this() {
            leak(&clients);
        }
    }
}

/// The clients that one process has built. A forked child never touches its parent's clients, not
/// even the locks of their cells.
struct Clients {
    process: Process,
    /// For loopback. reqwest's own exceptions can't be added to proxies that it takes from the
    /// environment.
    direct: OnceCell<Built>,
    /// For all other hosts.
    outside: OnceCell<Built>,
    /// The origin of the last request. Most requests go to one host, whose name need not be read
    /// again.
    last: ArcSwapOption<Origin>,
    /// The headers of the last request. Most requests have the same headers, and a copy costs less
    /// than reading them again.
    last_headers: ArcSwapOption<KnownHeaders>,
}

impl Clients {
    fn of_this_process() -> Self {
        Self {
            process: Process::this(),
            direct: OnceCell::new(),
            outside: OnceCell::new(),
            last: ArcSwapOption::empty(),
            last_headers: ArcSwapOption::empty(),
        }
    }

    /// Returns the origin that a request goes to, and its URL.
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

/// Returns `true` if this thread can't drive our runtime: it belongs to another runtime (we know
/// that we block that one), or it ends and tokio's thread-local data is gone.
fn needs_another_thread() -> bool {
    !matches!(Handle::try_current(), Err(error) if error.is_missing_context())
}

/// Takes a reference that is never given back, so that these clients are never dropped.
fn leak(clients: &Arc<Clients>) {
    mem::forget(Arc::clone(clients));
}

/// Longer timeouts are cut to it, because an `Instant` has an end.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
/// The number of headers that the library sends by itself.
const KEPT_HEADERS: usize = 5;
