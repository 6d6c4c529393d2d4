//! Finds out if a pooler between us and the server hands sessions around.
//!
//! A lease is a lock that a session holds. A connection pooler in transaction mode gives each
//! transaction whichever session is free: locks would be taken in one and given back in another,
//! and two processes could hold one lease. So such a pooler is found and refused; one in session
//! mode is as good as none.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::connection::{Connection, connect, limited, number};
use super::failure::{Failure, Outcome, store};
use super::settings::PostgresSettings;
use crate::error::Error;

/// Refuses a connection whose session is not its own.
pub(super) async fn check(
    connection: &Connection,
    settings: &PostgresSettings,
    tls: MakeRustlsConnect,
    alive: Option<mpsc::Sender<Infallible>>,
) -> Outcome<()> {
    // A server names its own process at the start. A pooler names something of its own.
    if named_backend(&connection.client).await == Some(connection.backend) {
        return Ok(());
    }
    probe(connection, settings, tls, alive).await
}

/// Makes the error for a pooler in transaction mode.
pub(super) fn refused() -> Error {
    store(
        "`store` names a connection pooler in transaction mode (such as PgBouncer), where a lock \
         does not stay with its connection: name the PostgreSQL server itself in `store`, or a \
         pool in session mode",
    )
}

/// Sees whether a second connection is given the session of the first.
async fn probe(
    connection: &Connection,
    settings: &PostgresSettings,
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
        let backend =
            backend(&second, "BEGIN; SELECT pg_backend_pid()").await.map_err(|failure| {
                match failure {
                    // A pooler that allows no transactions says so itself, in the name of the
                    // protocol; a server never does here.
                    Failure::Driver(error)
                        if error.code() == Some(&SqlState::PROTOCOL_VIOLATION) =>
                    {
                        refused().into()
                    }
                    failure => failure,
                }
            })?;
        Ok((second, backend))
    };
    let second = match second.await {
        Ok((_, other)) if other == Some(connection.backend) => return Err(refused().into()),
        Ok((second, _)) => Some(second),
        // A pool in session mode may have no second session to give. What else fails says so
        // itself.
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

/// The process that was named at the start. The driver tells it in the request to cancel a query
/// only.
async fn named_backend(client: &Client) -> Option<i32> {
    let mut request = Request::default();
    client.cancel_token().cancel_query_raw(&mut request, SameStream).await.ok()?;
    process_to_cancel(&request.0)
}

/// The process in a request to cancel: length, code, process, secret key, each 4 bytes; before it,
/// with TLS, the question for that.
fn process_to_cancel(request: &[u8]) -> Option<i32> {
    let (_, request) = request.split_last_chunk::<16>()?;
    let (head, rest) = request.split_first_chunk::<8>()?;
    let (process, _) = rest.split_first_chunk::<4>()?;
    (*head == CANCEL_REQUEST).then(|| i32::from_be_bytes(*process))
}

/// Length, 16, and code of the request.
const CANCEL_REQUEST: [u8; 8] = [0, 0, 0, 16, 4, 210, 22, 46];

/// Keeps the written bytes; answers yes to the question for TLS.
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
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_is_told_from_its_secret_key() {
        let request = [&CANCEL_REQUEST[..], &7_i32.to_be_bytes(), &9_i32.to_be_bytes()].concat();
        assert_eq!(process_to_cancel(&request), Some(7));
        let with_tls = [&[0, 0, 0, 8, 4, 210, 22, 47][..], &request].concat();
        assert_eq!(process_to_cancel(&with_tls), Some(7));
        assert_eq!(process_to_cancel(&request[..12]), None);
        assert_eq!(process_to_cancel(&[0; 16]), None);
    }
}
