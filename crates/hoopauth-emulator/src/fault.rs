use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use flate2::{Compress, Compression, Crc, FlushCompress};
use hyper::body::Frame;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::time::{Instant, Sleep, sleep};

use crate::answer::NoAnswer;
use crate::tokens::random;

/// Endpoint at which a fault strikes or a request is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// `POST /oauth/token`.
    Token,
    /// `POST /oauth/locationToken`.
    LocationToken,
    /// `GET /oauth/installedLocations`.
    InstalledLocations,
    /// Everything else under the API base.
    Api,
}

impl Endpoint {
    pub(crate) const COUNT: usize = 4;
    pub(crate) const ALL: [Self; Self::COUNT] =
        [Self::Token, Self::LocationToken, Self::InstalledLocations, Self::Api];
}

/// A misbehaviour of one endpoint, queued until requests meet it.
///
/// The faults of an endpoint strike in the order they were queued. Most replace the whole request:
/// nothing happens but the fault. Those that are [`processed`](Fault::processed) let the request
/// take effect first.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// Endpoint at which the fault strikes.
    pub endpoint: Endpoint,
    /// Kind of failure.
    pub kind: FaultKind,
    /// Number of requests that the fault strikes.
    pub times: u32,
    /// Number of requests that the fault lets pass first.
    pub after: u32,
    /// `true` if the request takes effect (a refresh token rotates, say) although its answer goes
    /// wrong.
    pub processed: bool,
}

impl Fault {
    /// A fault that strikes the next request once. Lost, cut and odd answers are processed, all
    /// others are not.
    pub fn new(endpoint: Endpoint, kind: FaultKind) -> Self {
        let processed = matches!(
            kind,
            FaultKind::LostAnswer | FaultKind::CutBody | FaultKind::OddAnswer { .. }
        );
        Self { endpoint, kind, times: 1, after: 0, processed }
    }

    /// Answers with this status and body, as `application/json`.
    pub fn status(endpoint: Endpoint, status: u16, body: &str) -> Self {
        Self::new(endpoint, FaultKind::Status { status, headers: Vec::new(), body: body.into() })
    }

    /// Sets how many requests it strikes.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// Sets how many requests it lets pass first.
    #[must_use]
    pub fn after(mut self, requests: u32) -> Self {
        self.after = requests;
        self
    }

    /// Sets whether the request takes effect all the same.
    #[must_use]
    pub fn processed(mut self, processed: bool) -> Self {
        self.processed = processed;
        self
    }

    /// Plays the fault; `real` is the answer of a request that was processed.
    pub(crate) async fn play(self, real: Option<Response>) -> Response {
        match self.kind {
            FaultKind::Status { status, headers, body } => {
                let mut answer =
                    json(StatusCode::from_u16(status).unwrap_or(StatusCode::IM_A_TEAPOT), body);
                for (name, value) in headers {
                    if let (Ok(name), Ok(value)) =
                        (name.parse::<HeaderName>(), HeaderValue::from_str(&value))
                    {
                        answer.headers_mut().insert(name, value);
                    }
                }
                answer
            }
            FaultKind::Timeout => pending().await,
            FaultKind::Close | FaultKind::LostAnswer => {
                let mut answer = Response::default();
                answer.extensions_mut().insert(NoAnswer);
                answer
            }
            FaultKind::CutBody => {
                cut(real.unwrap_or_else(|| json(StatusCode::OK, UNFINISHED))).await
            }
            FaultKind::OddAnswer { members, omit, first, before } => {
                let real = real.unwrap_or_else(|| json(StatusCode::OK, EMPTY_OBJECT));
                odd(real, &members, &omit, &first, &before).await
            }
            FaultKind::MalformedJson => json(StatusCode::OK, UNFINISHED),
            FaultKind::Garbage => json(StatusCode::OK, random::<4_096>().to_vec()),
            FaultKind::LargeBody { bytes } => {
                json(StatusCode::OK, Body::new(Flood { left: bytes }))
            }
            FaultKind::Drip { pause_ms } => json(StatusCode::OK, Body::new(Drip::new(pause_ms))),
            FaultKind::GzipBomb { bytes } => {
                let mut answer = json(StatusCode::OK, gzip_of_spaces(bytes));
                answer
                    .headers_mut()
                    .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                answer
            }
            FaultKind::Redirect { location } => {
                let mut answer = Response::default();
                *answer.status_mut() = StatusCode::TEMPORARY_REDIRECT;
                if let Ok(location) = HeaderValue::from_str(&location) {
                    answer.headers_mut().insert(header::LOCATION, location);
                }
                answer
            }
        }
    }
}

/// Treatment of a request that meets a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// An answer made up beforehand.
    Status {
        /// The status, 200 to 999.
        status: u16,
        /// Headers; `content-type` is `application/json` unless it is among them.
        headers: Vec<(String, String)>,
        /// The body.
        body: String,
    },
    /// The request is accepted and never answered; the connection stays open until the client
    /// leaves.
    Timeout,
    /// The connection is closed without an answer and without effect.
    Close,
    /// The request takes effect, then the connection is closed without an answer.
    LostAnswer,
    /// Half of the answer's body, less than its `Content-Length` says, then the connection is
    /// closed.
    CutBody,
    /// The real answer, rewritten. A refusal stays as it is.
    OddAnswer {
        /// Members that are set, by their names as they come on the wire.
        members: Map<String, Value>,
        /// Members that are left out.
        omit: Vec<String>,
        /// Text behind the first `{`, such as `"access_token":null,`: a member that comes twice, or
        /// JSON that few writers make.
        first: String,
        /// Text in front of the body, such as a byte order mark.
        before: String,
    },
    /// A complete answer whose JSON stops in the middle.
    MalformedJson,
    /// A complete answer of random bytes that says it is JSON.
    Garbage,
    /// A 307 to this address.
    Redirect {
        /// The `Location`.
        location: String,
    },
    /// JSON of this many bytes.
    LargeBody {
        /// Length of the body.
        bytes: usize,
    },
    /// One byte of white space at a time, for ever: every read of the client succeeds, the answer
    /// never ends.
    Drip {
        /// Real milliseconds between two bytes.
        pause_ms: u64,
    },
    /// A short gzip body that unpacks to JSON white space of about this many bytes.
    GzipBomb {
        /// Length when unpacked, rounded up to whole MiB.
        bytes: usize,
    },
}

/// The faults that wait for requests.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    queues: [VecDeque<Fault>; Endpoint::COUNT],
}

impl Faults {
    pub(crate) fn push(&mut self, fault: Fault) {
        if fault.times > 0 {
            self.queues[fault.endpoint as usize].push_back(fault);
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The fault that strikes this request, if any.
    pub(crate) fn next(&mut self, endpoint: Endpoint) -> Option<Fault> {
        let queue = &mut self.queues[endpoint as usize];
        let first = queue.front_mut()?;
        if first.after > 0 {
            first.after -= 1;
            return None;
        }
        first.times -= 1;
        if first.times > 0 { Some(first.clone()) } else { queue.pop_front() }
    }

    /// Returns the number of requests that will still be struck.
    pub(crate) fn pending(&self) -> usize {
        self.queues.iter().flatten().map(|fault| fault.times as usize).sum()
    }
}

fn json(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// Announces the whole body and sends half of it.
async fn cut(real: Response) -> Response {
    let (mut parts, body) = real.into_parts();
    let whole = to_bytes(body, usize::MAX).await.unwrap_or_default();
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len()));
    Response::from_parts(parts, Body::new(Cut::Half(whole.slice(..whole.len() / 2))))
}

/// Rewrites a good answer.
async fn odd(
    real: Response,
    members: &Map<String, Value>,
    omit: &[String],
    first: &str,
    before: &str,
) -> Response {
    let (mut parts, body) = real.into_parts();
    let whole = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let Some(mut object) = serde_json::from_slice::<Map<String, Value>>(&whole)
        .ok()
        .filter(|_| parts.status.is_success())
    else {
        return Response::from_parts(parts, Body::from(whole));
    };
    object.retain(|name, _| !omit.contains(name));
    object.extend(members.clone());
    let written = Value::Object(object).to_string();
    let rest = written.strip_prefix('{').unwrap_or_default();
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(format!("{before}{{{first}{rest}")))
}

/// A body that breaks after its first half.
enum Cut {
    Half(Bytes),
    /// One round of doing nothing lets the first half go out before the connection breaks.
    Flushing,
    Broken,
}

impl HttpBody for Cut {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut *self {
            Self::Half(half) => {
                let half = std::mem::take(half);
                *self = Self::Flushing;
                Poll::Ready(Some(Ok(Frame::data(half))))
            }
            Self::Flushing => {
                *self = Self::Broken;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Self::Broken => Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into()))),
        }
    }
}

/// A body of spaces with `{}` at its end, made while it is sent.
struct Flood {
    left: usize,
}

impl HttpBody for Flood {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        static SPACES: [u8; 65_536] = [b' '; 65_536];
        let chunk = match self.left {
            0 => return Poll::Ready(None),
            left if left <= EMPTY_OBJECT.len() => Bytes::from_static(&EMPTY_OBJECT[..left]),
            left => Bytes::from_static(&SPACES[..(left - EMPTY_OBJECT.len()).min(SPACES.len())]),
        };
        self.left -= chunk.len();
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }
}

/// A body of single spaces that never ends.
struct Drip {
    pause: Duration,
    next: Pin<Box<Sleep>>,
}

impl Drip {
    fn new(pause_ms: u64) -> Self {
        Self { pause: Duration::from_millis(pause_ms), next: Box::pin(sleep(Duration::ZERO)) }
    }
}

impl HttpBody for Drip {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        std::task::ready!(self.next.as_mut().poll(context));
        let next = Instant::now() + self.pause;
        self.next.as_mut().reset(next);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b" ")))))
    }
}

/// Gzip of this many spaces, in whole MiB.
///
/// One MiB is packed once; after a full flush the packer remembers nothing, so its output can be
/// repeated.
fn gzip_of_spaces(bytes: usize) -> Vec<u8> {
    let plain = vec![b' '; MIB];
    let mut packed = Vec::with_capacity(16 * 1_024);
    let packing = Compress::new(Compression::best(), false).compress_vec(
        &plain,
        &mut packed,
        FlushCompress::Full,
    );
    debug_assert!(packing.is_ok());
    let mut mib_check = Crc::new();
    mib_check.update(&plain);
    let mut check = Crc::new();
    let times = bytes.div_ceil(MIB).max(1);
    let mut body = Vec::with_capacity(packed.len() * times + 32);
    body.extend(GZIP_HEADER);
    for _ in 0..times {
        body.extend(&packed);
        check.combine(&mib_check);
    }
    body.extend(LAST_BLOCK);
    body.extend(check.sum().to_le_bytes());
    body.extend(check.amount().to_le_bytes());
    body
}

const MIB: usize = 1 << 20;
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255];
/// An empty block that ends the stream.
const LAST_BLOCK: [u8; 2] = [3, 0];
const EMPTY_OBJECT: &[u8] = b"{}";
const UNFINISHED: &str = "{\"access_token\":\"eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJhdXRoQ2";

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn the_bomb_is_small_and_unpacks_to_what_it_says() {
        let packed = gzip_of_spaces(3 * MIB - 5);
        assert!(packed.len() < 64 * 1_024);
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut plain).unwrap();
        assert_eq!(plain.len(), 3 * MIB);
    }

    #[test]
    fn faults_strike_in_order_after_those_they_let_pass() {
        let mut faults = Faults::default();
        faults.push(Fault::new(Endpoint::Token, FaultKind::Close).after(1).times(2));
        faults.push(Fault::new(Endpoint::Token, FaultKind::Timeout));
        faults.push(Fault::new(Endpoint::Api, FaultKind::Garbage).times(0));
        assert_eq!(faults.pending(), 3);
        assert_eq!(faults.next(Endpoint::Api), None);
        assert_eq!(faults.next(Endpoint::Token), None);
        let struck: Vec<_> =
            (0..3).filter_map(|_| faults.next(Endpoint::Token)).map(|f| f.kind).collect();
        assert_eq!(struck, [FaultKind::Close, FaultKind::Close, FaultKind::Timeout]);
        assert_eq!((faults.next(Endpoint::Token), faults.pending()), (None, 0));
    }
}
