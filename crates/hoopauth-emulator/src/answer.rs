//! Answers of the server that are no answers.

use std::fmt;

use axum::body::Body;
use axum::http::Response;

/// Marks a response that must not be sent: its connection is closed instead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoAnswer;

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("closed without an answer, as told")
    }
}

impl std::error::Error for NoAnswer {}

/// The status a client will see, 0 if none.
pub(crate) fn answered_status(answer: &Response<Body>) -> u16 {
    if answer.extensions().get::<NoAnswer>().is_some() { 0 } else { answer.status().as_u16() }
}
