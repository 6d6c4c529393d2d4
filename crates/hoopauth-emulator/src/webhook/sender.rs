//! Brings webhooks to receivers on this machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, Uri};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::shared::Shared;
use crate::state::State;
use crate::webhook::delivery::{Attempt, Round};
use crate::webhook::event::SignedWebhook;

/// Sends what is due, and what becomes due, until the runtime ends.
pub(crate) async fn run(shared: Arc<Shared>) {
    let wake = shared.lock().deliveries.wake().clone();
    loop {
        let (due, wait) = take_due(&mut shared.lock());
        for round in due {
            tokio::spawn(send(shared.clone(), round));
        }
        match wait {
            None => wake.notified().await,
            Some(wait) => drop(timeout(wait, wake.notified()).await),
        }
    }
}

/// Refuses addresses that are not on this machine.
pub(crate) fn check_url(url: &str) -> Result<(), String> {
    Receiver::parse(url).map(drop)
}

/// The rounds to send now, and how long to wait for the next one; a clock that stands still is
/// waited for without end.
fn take_due(state: &mut State) -> (Vec<Round>, Option<Duration>) {
    let now_ms = state.clock.now_ms();
    let (due, next_ms) = state.deliveries.take_due(now_ms);
    let next_ms = next_ms.filter(|_| !state.clock.is_frozen());
    let wait_ms =
        next_ms.map(|next_ms| u64::try_from(next_ms.saturating_sub(now_ms)).unwrap_or_default());
    (due, wait_ms.map(Duration::from_millis))
}

async fn send(shared: Arc<Shared>, round: Round) {
    let signed = Arc::new(round.webhook.sign());
    let at_most = Duration::from_millis(shared.lock().settings.webhook_timeout_ms);
    let copies: Vec<_> = (0..round.copies)
        .map(|_| tokio::spawn(post(round.url.clone(), signed.clone(), at_most)))
        .collect();
    let mut answers = Vec::with_capacity(copies.len());
    for copy in copies {
        answers.push(copy.await.unwrap_or_else(|why| Err(why.to_string())));
    }
    let mut state = shared.lock();
    let now_ms = state.clock.now_ms();
    let event_type =
        round.webhook.event.get("type").and_then(|value| value.as_str()).unwrap_or("unknown");
    let attempts = answers.into_iter().map(|answer| {
        let (status, error) = answer.map_or_else(|why| (0, Some(why)), |status| (status, None));
        state.counters.webhook(event_type, status);
        Attempt { at: now_ms.div_euclid(1_000), status, error }
    });
    let attempts = attempts.collect();
    state.deliveries.finish(round.id, attempts, now_ms);
    drop(state);
    shared.deliveries_progress.announce();
}

async fn post(url: String, signed: Arc<SignedWebhook>, at_most: Duration) -> Result<u16, String> {
    let receiver = Receiver::parse(&url)?;
    let too_slow = |_| Err(format!("no answer within {} ms", at_most.as_millis()));
    timeout(at_most, receiver.post(&signed)).await.unwrap_or_else(too_slow)
}

struct Receiver {
    uri: Uri,
    addresses: Vec<SocketAddr>,
}

impl Receiver {
    fn parse(url: &str) -> Result<Self, String> {
        let refused =
            || format!("`{url}` is not on this machine: write `http://127.0.0.1:<port>/<path>`");
        let uri: Uri = url.parse().map_err(|_| refused())?;
        let host = uri.host().filter(|_| uri.scheme_str() == Some("http")).ok_or_else(refused)?;
        let hosts = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) if address.is_loopback() => vec![address],
            Err(_) if host.eq_ignore_ascii_case("localhost") => {
                vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
            }
            _ => return Err(refused()),
        };
        let port = uri.port_u16().unwrap_or(80);
        let addresses = hosts.into_iter().map(|host| SocketAddr::new(host, port)).collect();
        Ok(Self { uri, addresses })
    }

    /// Posts over a connection of its own and reads the answer to its end; follows nothing.
    async fn post(&self, signed: &SignedWebhook) -> Result<u16, String> {
        let stream = TcpStream::connect(&*self.addresses).await.map_err(|why| why.to_string())?;
        let mut connection = http1::Builder::new();
        connection.title_case_headers(true);
        let (mut sender, connection) =
            connection.handshake(TokioIo::new(stream)).await.map_err(|why| why.to_string())?;
        let connection = tokio::spawn(connection);
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let host = self.uri.authority().map_or("", |authority| authority.as_str());
        let mut request = Request::post(path)
            .header("host", host)
            .header("user-agent", USER_AGENT)
            .header("connection", "close");
        for (name, value) in &signed.headers {
            request = request.header(name, value);
        }
        let request =
            request.body(Body::from(signed.body.clone())).map_err(|why| why.to_string())?;
        let answer = sender.send_request(request).await.map_err(|why| why.to_string())?;
        let status = answer.status().as_u16();
        // What it says does not matter, but a receiver that is cut off while it writes may take
        // that for a failure.
        let _ = to_bytes(Body::new(answer.into_body()), ANSWER_AT_MOST).await;
        connection.abort();
        Ok(status)
    }
}

const USER_AGENT: &str = concat!("hoopauth-emulator/", env!("CARGO_PKG_VERSION"));
const ANSWER_AT_MOST: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::check_url;

    #[test]
    fn only_this_machine_is_sent_to() {
        for good in [
            "http://127.0.0.1:1/x?y=1",
            "http://localhost:8",
            "http://[::1]:1/",
            "http://127.8.9.1",
        ] {
            assert_eq!(check_url(good), Ok(()), "{good}");
        }
        for bad in [
            "https://127.0.0.1/",
            "http://10.0.0.1/",
            "http://app.example/",
            "http://127.0.0.1.app.example/",
            "http://localhost@app.example/",
            "127.0.0.1:80",
            "",
        ] {
            assert!(check_url(bad).is_err(), "{bad}");
        }
    }
}
