use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use crate::config::ErrorStyle;
use crate::tokens::uuid;

/// An error answer of the platform, before it takes one of its shapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) kind: RefusalKind,
    pub(crate) message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusalKind {
    InvalidGrant,
    InvalidClient,
    InvalidRequest,
    CodeNotFound,
    /// The message is an array in the classic shape.
    Validation,
    /// An error of the API, which has no words of RFC 6749.
    Api,
    /// The edge's page of this number, which is HTML.
    Edge,
}

impl Refusal {
    pub(crate) fn new(status: u16, kind: RefusalKind, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into() }
    }

    pub(crate) fn api(status: u16, message: impl Into<String>) -> Self {
        Self::new(status, RefusalKind::Api, message)
    }

    pub(crate) fn invalid_grant() -> Self {
        Self::new(400, RefusalKind::InvalidGrant, "Invalid grant: refresh token is invalid")
    }

    /// In every shape without a code of RFC 6749: the refresh token stays valid.
    pub(crate) fn inactive() -> Self {
        Self::api(400, "Location is not active")
    }

    pub(crate) fn missing(parameter: &str) -> Self {
        Self::new(400, RefusalKind::InvalidRequest, format!("Missing parameter: {parameter}"))
    }

    pub(crate) fn invalid(parameter: &str) -> Self {
        Self::new(400, RefusalKind::InvalidRequest, format!("Invalid parameter: {parameter}"))
    }

    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new(422, RefusalKind::Validation, message)
    }

    pub(crate) fn too_many() -> Self {
        Self::api(429, "Too Many Requests")
    }

    pub(crate) fn edge_1010() -> Self {
        Self::new(403, RefusalKind::Edge, "Error 1010")
    }

    pub(crate) fn answer(&self, style: ErrorStyle) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if self.kind == RefusalKind::Edge {
            return (status, [("content-type", "text/html; charset=UTF-8")], EDGE_PAGE)
                .into_response();
        }
        (status, axum::Json(self.body(style))).into_response()
    }

    fn body(&self, style: ErrorStyle) -> Value {
        let trace_id = uuid();
        let message = &self.message;
        match (style, self.kind) {
            (ErrorStyle::V3, kind) => json!({
                "error": {
                    "code": kind.word().to_uppercase(),
                    "message": message,
                    "details": [],
                    "resolution": "See the documentation of this operation.",
                },
                "traceId": trace_id,
            }),
            (ErrorStyle::Rfc6749, kind) if kind != RefusalKind::Api => {
                json!({ "error": kind.word(), "error_description": message, "traceId": trace_id })
            }
            (_, RefusalKind::CodeNotFound) => {
                json!({ "error": "UnAuthorized!", "error_description": message,
                    "traceId": trace_id })
            }
            (_, RefusalKind::InvalidClient) => {
                json!({ "error": "invalid_client", "error_description": message,
                    "traceId": trace_id })
            }
            (_, RefusalKind::Validation) => json!({
                "statusCode": self.status,
                "message": [message],
                "error": "Unprocessable Entity",
                "traceId": trace_id,
            }),
            _ => json!({ "statusCode": self.status, "message": message, "traceId": trace_id }),
        }
    }
}

impl RefusalKind {
    fn word(self) -> &'static str {
        match self {
            Self::InvalidGrant | Self::CodeNotFound => "invalid_grant",
            Self::InvalidClient => "invalid_client",
            Self::InvalidRequest | Self::Validation => "invalid_request",
            Self::Api | Self::Edge => "request_refused",
        }
    }
}

const EDGE_PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Access \
                         denied</title></head><body><h1>Error 1010</h1><p>The owner of this \
                         website has banned your access based on your browser's \
                         signature.</p></body></html>\n";
