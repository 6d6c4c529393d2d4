//! A program's webhook endpoint, over real sockets.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, mpsc};

use hoopauth::ErrorCode;
use hoopauth::webhook::{WebhookDelivery, WebhookVerifier};

/// Serves webhooks as a program would: verifies, handles, answers. `handle` says whether it could
/// be handled. What could not is answered with 429, after which the platform sends it again
/// whatever its policy.
pub fn serve(
    verifier: WebhookVerifier,
    handle: impl Fn(&WebhookDelivery) -> bool + Send + Sync + 'static,
) -> (String, mpsc::Receiver<u16>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (sender, answers) = mpsc::channel();
    let shared = Arc::new((verifier, handle));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (shared, sender) = (Arc::clone(&shared), sender.clone());
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.unwrap());
                let mut lines = Vec::new();
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    match line.trim_end().split_once(": ") {
                        Some((name, value)) => lines.push((name.to_owned(), value.to_owned())),
                        None if line.trim_end().is_empty() => break,
                        None => {}
                    }
                }
                let length =
                    lines.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
                let mut body = vec![0; length.unwrap().1.parse().unwrap()];
                reader.read_exact(&mut body).unwrap();
                let headers = lines.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
                let status = match shared.0.verify(headers, &body) {
                    Ok(delivery) if shared.1(&delivery) => delivery.confirm().map_or(429, |()| 200),
                    Ok(_) => 429,
                    Err(error) => match error.code() {
                        ErrorCode::WebhookReplayed | ErrorCode::WebhookForeign => 200,
                        ErrorCode::SignatureMissing | ErrorCode::SignatureInvalid => 401,
                        ErrorCode::WebhookMalformed | ErrorCode::WebhookStale => 400,
                        _ => 429,
                    },
                };
                sender.send(status).unwrap();
                write!(reader.into_inner(), "HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n")
                    .unwrap();
            });
        }
    });
    (url, answers)
}
