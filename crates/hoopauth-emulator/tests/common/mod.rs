//! A small HTTP client over hyper: one connection per request, no redirects followed, nothing
//! added.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]
#![allow(dead_code, reason = "each test program uses its part")]

use std::net::SocketAddr;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use hoopauth_emulator::{Control, DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET};

pub(crate) const LOCATION: &str = "location:hoopLocation00000001";
pub(crate) const OTHER_LOCATION: &str = "location:hoopLocation00000002";
pub(crate) const COMPANY: &str = "company:hoopCompany000000001";
pub(crate) const REDIRECT: &str = "https://app.example/callback";

/// A request in the making. It has a `User-Agent` unless told otherwise.
pub(crate) struct Call {
    request: Request<Full<Bytes>>,
    address: SocketAddr,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    pub(crate) fn new(method: &str, url: &str) -> Self {
        let uri: hyper::Uri = url.parse().unwrap();
        let authority = uri.authority().unwrap().clone();
        let request = Request::builder()
            .method(method)
            .uri(uri.path_and_query().unwrap().as_str())
            .header("host", authority.as_str())
            .header("user-agent", "hoopauth-test/1")
            .body(Full::default())
            .unwrap();
        Self { request, address: authority.as_str().parse().unwrap() }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.request.headers_mut().insert(name, value.parse().unwrap());
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.request.headers_mut().remove(name);
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}")).header("version", "2021-07-28")
    }

    pub(crate) fn form(mut self, pairs: &[(&str, &str)]) -> Self {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        *self.request.body_mut() = Full::from(body);
        self.header("content-type", "application/x-www-form-urlencoded")
    }

    pub(crate) fn json(mut self, body: &Value) -> Self {
        *self.request.body_mut() = Full::from(body.to_string());
        self.header("content-type", "application/json")
    }

    /// Sends and insists on a whole answer.
    pub(crate) fn send(self) -> Answer {
        self.try_send().unwrap()
    }

    /// Sends; an error means that the answer did not come, or not all of it.
    pub(crate) fn try_send(self) -> Result<Answer, hyper::Error> {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(
            async {
                let stream = TcpStream::connect(self.address).await.unwrap();
                let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
                tokio::spawn(connection);
                let (parts, body) = sender.send_request(self.request).await?.into_parts();
                let body = body.collect().await?.to_bytes();
                Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
            },
        )
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The classic error body says this, with a `traceId`.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, message: &str) {
        let body = self.json();
        assert_eq!((self.status, body["message"].as_str()), (status, Some(message)), "{body}");
        assert_eq!(body["statusCode"], status);
        assert!(body["traceId"].as_str().is_some_and(|id| id.len() == 36));
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert!(
            StatusCode::from_u16(self.status).unwrap().is_success(),
            "{} {:?}",
            self.status,
            self.body
        );
        self
    }
}

/// A refresh with the default app.
pub(crate) fn refresh(emulator: &Control, refresh_token: &str) -> Call {
    Call::new("POST", &emulator.token()).form(&[
        ("client_id", DEFAULT_CLIENT_ID),
        ("client_secret", DEFAULT_CLIENT_SECRET),
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token),
        ("user_type", "Location"),
    ])
}

/// An exchange with the default app, with further parameters.
pub(crate) fn exchange(emulator: &Control, code: &str, more: &[(&str, &str)]) -> Call {
    let mut form = vec![
        ("client_id", DEFAULT_CLIENT_ID),
        ("client_secret", DEFAULT_CLIENT_SECRET),
        ("grant_type", "authorization_code"),
        ("code", code),
    ];
    form.extend(more);
    Call::new("POST", &emulator.token()).form(&form)
}

/// A `GET` below the API base.
pub(crate) fn get(emulator: &Control, path: &str, token: &str) -> Call {
    Call::new("GET", &format!("{}{path}", emulator.api())).bearer(token)
}

/// A refresh token of a new grant for the first location.
pub(crate) fn seed(emulator: &Control) -> String {
    emulator.issue_grant(LOCATION, &[]).unwrap().refresh_token.unwrap()
}

pub(crate) fn text<'a>(json: &'a Value, name: &str) -> &'a str {
    json[name].as_str().unwrap_or_else(|| panic!("{name} in {json}"))
}
