//! Whether somebody between us and the server hands sessions around.
//!
//! A lease is a lock that a session holds. A connection pooler in transaction mode gives each transaction whichever session
//! is free: locks would be taken in one and given back in another, and two processes could hold one lease. So such a pooler
//! is found and refused; one in session mode is as good as none.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio_postgres::Client;
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::connection::{Connection, connect, limited, number};
use super::failure::{Failure, Outcome, store};
use super::settings::Settings;
use crate::error::Error;

/// Refuses a connection whose session is not its own.
pub(super) async fn check(
    connection: &Connection,
    settings: &Settings,
    tls: MakeRustlsConnect,
    alive: Option<mpsc::Sender<Infallible>>,
) -> Outcome<()> {
    // A server names its own process at the start. A pooler names something of its own.
    if named_backend(&connection.client).await == Some(connection.backend) {
        return Ok(());
    }
    match probe(connection, settings, tls, alive).await {
        Err(Failure::Driver(error)) if error.code().is_some() => {
            tracing::debug!(%error, "the probe for a connection pooler failed");
            Err(refused().into())
        }
        probed => probed,
    }
}

/// Why.
pub(super) fn refused() -> Error {
    store(
        "`store` leads to a connection pooler in transaction mode (PgBouncer, say), which takes away the locks that leases \
         are made of: name the server itself, or a pool in session mode",
    )
}

/// Sees whether a second connection is given the session of the first.
async fn probe(
    connection: &Connection,
    settings: &Settings,
    tls: MakeRustlsConnect,
    alive: Option<mpsc::Sender<Infallible>>,
) -> Outcome<()> {
    let longest = settings.connect_timeout;
    let backend = async |client: &Client, query: &str| {
        limited(longest, async { Ok(number(&client.simple_query(query).await?)) }).await
    };
    // While it is in a transaction, its session is its own in any mode.
    let second = async {
        let (second, _) = connect(settings, tls, alive).await?;
        let backend = backend(&second, "BEGIN; SELECT pg_backend_pid()").await?;
        Ok((second, backend))
    };
    let second = match second.await {
        Ok((_, other)) if other == Some(connection.backend) => return Err(refused().into()),
        Ok((second, _)) => Some(second),
        // A pool in session mode may have no second session to give.
        Err(Failure::TimedOut) => None,
        Err(failure) => return Err(failure),
    };
    for end in [false, true] {
        if let Some(second) = second.as_ref().filter(|_| end) {
            second.batch_execute("ROLLBACK").await?;
        }
        // Nobody else makes a session of our own wait.
        match backend(&connection.client, "SELECT pg_backend_pid()").await {
            Ok(own) if own == Some(connection.backend) => {}
            Ok(_) | Err(Failure::TimedOut) => return Err(refused().into()),
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

/// The process that was named at the start. The driver tells it in the request to cancel a query only.
async fn named_backend(client: &Client) -> Option<i32> {
    let mut request = Request::default();
    client.cancel_token().cancel_query_raw(&mut request, SameStream).await.ok()?;
    let (_, rest) = request.0.split_last_chunk::<4>()?;
    let (_, process) = rest.split_last_chunk::<4>()?;
    Some(i32::from_be_bytes(*process))
}

/// Keeps what is written; to the question whether there is TLS it answers yes.
#[derive(Default)]
struct Request(Vec<u8>);

impl AsyncRead for Request {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        buffer.put_slice(b"S");
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Request {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl TlsStream for &mut Request {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

/// TLS that changes nothing.
struct SameStream;

impl<'a> TlsConnect<&'a mut Request> for SameStream {
    type Stream = &'a mut Request;
    type Error = io::Error;
    type Future = Ready<io::Result<&'a mut Request>>;

    fn connect(self, stream: &'a mut Request) -> Self::Future {
        ready(Ok(stream))
    }
}
