//! The host's HTTP.

use std::ffi::{c_char, c_void};
use std::fmt;
use std::mem::size_of;
use std::sync::Arc;

use hoopauth_core::transport::{
    Transport, TransportError, TransportErrorKind, TransportRequest, TransportResponse,
};
use hoopauth_core::{Error, ErrorCode};

use crate::argument::{bytes, text, text_bytes};
use crate::callbacks::{Callbacks, Table, missing};
use crate::config::hoopauth_config_t;
use crate::error::hoopauth_error_t;
use crate::failure::hoopauth_failure_t;
use crate::guard::call;
use crate::handle::{the, the_mut};
use crate::headers::{hoopauth_header_t, put_header};
use crate::lent::{Blob, Text, lend_bytes, lend_some};
use crate::status::{
    HOOPAUTH_CONFIG, HOOPAUTH_MALFORMED_RESPONSE, HOOPAUTH_NETWORK, HOOPAUTH_OK, HOOPAUTH_TIMEOUT,
    HOOPAUTH_TLS, hoopauth_status_t,
};

/// A request that the host is to send. It is the library's, and valid until `send` returns.
pub struct hoopauth_transport_request_t {
    method: Text,
    url: Text,
    headers: Vec<(Text, Text)>,
    body: Blob,
    timeout: f64,
    max_body: usize,
}

/// Place where the host puts the answer. It belongs to the library, and is valid until `send`
/// returns.
pub struct hoopauth_transport_response_t {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    max_body: usize,
    too_large: bool,
    not_sent: bool,
}

/// HTTP of the host's own, instead of the library's. See "Callbacks" on the first page.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct hoopauth_transport_callbacks_t {
    /// `sizeof(hoopauth_transport_callbacks_t)`.
    pub struct_size: usize,
    /// Given to each callback.
    pub user_data: *mut c_void,
    /// Called once, when the table is not used any more; may be NULL.
    pub destroy: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
    /// Sends `request` and puts the answer into `response`. It must not follow redirects, must
    /// verify certificates, and must give up after the request's timeout. An HTTP status of 4xx or
    /// 5xx is an answer, not an error.
    ///
    /// Returns `HOOPAUTH_OK`, or `HOOPAUTH_NETWORK`, `HOOPAUTH_TIMEOUT`, `HOOPAUTH_TLS`,
    /// `HOOPAUTH_MALFORMED_RESPONSE` (not HTTP) or `HOOPAUTH_CONFIG` (no retry can help); anything
    /// else is `HOOPAUTH_CALLBACK_FAILED`.
    pub send: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            request: *const hoopauth_transport_request_t,
            response: *mut hoopauth_transport_response_t,
            failure: *mut hoopauth_failure_t,
        ) -> hoopauth_status_t,
    >,
}

// SAFETY: `repr(C)`, size first, and all members are valid as zeros.
unsafe impl Table for hoopauth_transport_callbacks_t {
    const LEAST: usize = size_of::<usize>() * 4;

    fn user_data(&self) -> *mut c_void {
        self.user_data
    }

    fn destroy(&self) -> Option<unsafe extern "C" fn(user_data: *mut c_void)> {
        self.destroy
    }
}

/// Lets the host carry the HTTP of clients.
///
/// The table is copied; its `destroy` is called if and only if this succeeds. Errors:
/// `HOOPAUTH_INVALID_ARGUMENT`. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_config_set_transport(
    config: *mut hoopauth_config_t,
    callbacks: *const hoopauth_transport_callbacks_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            let config = the_mut(config, "config")?;
            let table = Callbacks::copy("callbacks", callbacks)?;
            if table.send.is_none() {
                return Err(missing("callbacks", "send"));
            }
            config.transport = Some(Arc::new(HostTransport(Callbacks(table))));
            Ok(())
        })
    }
}

/// The method, in capitals.
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `request`; NULL if the
/// handle is NULL. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_transport_request_method(
    request: *const hoopauth_transport_request_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { lend_some(request.as_ref().map(|request| &request.method), len) }
}

/// The absolute URL.
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `request`; NULL if the
/// handle is NULL. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_transport_request_url(
    request: *const hoopauth_transport_request_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { lend_some(request.as_ref().map(|request| &request.url), len) }
}

/// Returns the number of headers to send; 0 for NULL. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_transport_request_header_count(
    request: *const hoopauth_transport_request_t,
) -> usize {
    // SAFETY: by the contract on the header's first page.
    unsafe { request.as_ref() }.map_or(0, |request| request.headers.len())
}

/// One of the headers to send, by its number from 0. Values may be secret.
///
/// `*header` gets texts borrowed from `request`. Errors: `HOOPAUTH_INVALID_ARGUMENT` for NULL and
/// for a number that is not below the count. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_transport_request_header_at(
    request: *const hoopauth_transport_request_t,
    index: usize,
    header: *mut hoopauth_header_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe { call(err, || put_header(&the(request, "request")?.headers, index, header)) }
}

/// The body to send; a secret. Its length is 0 if there is none. It may hold NULs, and one more
/// stands behind it.
///
/// `len`, if not NULL, gets the length in bytes. Returns bytes borrowed from `request`; NULL if the
/// handle is NULL. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_transport_request_body(
    request: *const hoopauth_transport_request_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { lend_bytes(request.as_ref().map(|request| &request.body), len) }
}

/// Returns the seconds that the whole exchange may take, the body included, counted from the
/// callback's beginning; 0 for NULL. A process that stood still meanwhile must not send once they
/// are over: others may have spent the refresh token. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_transport_request_timeout(
    request: *const hoopauth_transport_request_t,
) -> f64 {
    // SAFETY: by the contract on the header's first page.
    unsafe { request.as_ref() }.map_or(0.0, |request| request.timeout)
}

/// The longest body to accept, in bytes after decompression; 0 for NULL. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_transport_request_max_body(
    request: *const hoopauth_transport_request_t,
) -> usize {
    // SAFETY: by the contract on the header's first page.
    unsafe { request.as_ref() }.map_or(0, |request| request.max_body)
}

/// Sets the HTTP status of the answer, 100 to 599. An answer without one is no answer.
///
/// Errors: `HOOPAUTH_INVALID_ARGUMENT`. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_transport_response_set_status(
    response: *mut hoopauth_transport_response_t,
    http_status: u16,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            let response = the_mut(response, "response")?;
            if !(100..=599).contains(&http_status) {
                return Err(Error::new(
                    ErrorCode::InvalidArgument,
                    "`http_status` is not an HTTP status: give a number from 100 to 599",
                ));
            }
            response.status = http_status;
            Ok(())
        })
    }
}

/// Adds a header of the answer. Copied; bytes of its value that are not UTF-8 are replaced.
///
/// Errors: `HOOPAUTH_INVALID_ARGUMENT`. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_transport_response_add_header(
    response: *mut hoopauth_transport_response_t,
    name: *const c_char,
    name_len: usize,
    value: *const c_char,
    value_len: usize,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            let name = text("name", name, name_len)?;
            // Servers send any bytes; bytes of a value that are not UTF-8 are replaced, because
            // nothing that is looked at has any.
            let value = String::from_utf8_lossy(text_bytes("value", value, value_len)?);
            let headers = &mut the_mut(response, "response")?.headers;
            if headers.len() >= MOST_HEADERS {
                return Err(Error::new(
                    ErrorCode::InvalidArgument,
                    format!("the answer has more than {MOST_HEADERS} headers: fail the request"),
                ));
            }
            headers.push((name.to_owned(), value.into_owned()));
            Ok(())
        })
    }
}

/// Adds a piece of the answer's body, decompressed. Copied.
///
/// Errors: `HOOPAUTH_INVALID_ARGUMENT` where the body gets longer than the request allows: stop
/// then, the answer is refused. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_transport_response_append_body(
    response: *mut hoopauth_transport_response_t,
    data: *const u8,
    data_len: usize,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            let response = the_mut(response, "response")?;
            let data = bytes("data", data, data_len)?;
            if data.len() > response.max_body.saturating_sub(response.body.len()) {
                response.too_large = true;
                return Err(Error::new(
                    ErrorCode::InvalidArgument,
                    format!(
                        "the body is longer than the {} bytes that the request allows: stop \
                         reading it and return",
                        response.max_body
                    ),
                ));
            }
            response.body.extend_from_slice(data);
            Ok(())
        })
    }
}

/// Says, beside a failure, that no byte of the request can have reached the server: then it may be
/// sent again without risk. When in doubt, don't.
///
/// Errors: for NULL. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_transport_response_set_not_sent(
    response: *mut hoopauth_transport_response_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            the_mut(response, "response")?.not_sent = true;
            Ok(())
        })
    }
}

struct HostTransport(Callbacks<hoopauth_transport_callbacks_t>);

impl fmt::Debug for HostTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostTransport")
    }
}

impl Transport for HostTransport {
    fn send(&self, request: &TransportRequest) -> Result<TransportResponse, TransportError> {
        let lent = hoopauth_transport_request_t {
            method: Text::new(request.method),
            url: Text::new(&request.url),
            headers: request
                .headers
                .iter()
                .map(|(name, value)| (Text::new(name), Text::new(value.expose())))
                .collect(),
            body: Blob::copy(request.body.as_bytes()),
            timeout: request.timeout.as_secs_f64(),
            max_body: request.max_body,
        };
        let mut answer = hoopauth_transport_response_t {
            status: 0,
            headers: Vec::new(),
            body: Vec::new(),
            max_body: request.max_body,
            too_large: false,
            not_sent: false,
        };
        let mut failure = hoopauth_failure_t::default();
        let status = match self.0.0.send {
            // SAFETY: the host's function, with what lives until it returns.
            Some(send) => unsafe {
                send(self.0.0.user_data, &raw const lent, &raw mut answer, &raw mut failure)
            },
            None => HOOPAUTH_CONFIG,
        };
        let fail = |kind, message: String, sent| Err(TransportError { kind, message, sent });
        if answer.too_large {
            return fail(
                TransportErrorKind::BodyTooLarge,
                format!("the answer is longer than {} bytes", request.max_body),
                true,
            );
        }
        let kind = match status {
            HOOPAUTH_OK if answer.status == 0 => {
                let message = "the host's transport returned success without an HTTP status: call \
                               hoopauth_transport_response_set_status first"
                    .to_owned();
                return fail(TransportErrorKind::Callback, message, true);
            }
            HOOPAUTH_OK => {
                let hoopauth_transport_response_t { status, headers, body, .. } = answer;
                return Ok(TransportResponse { status, headers: headers.into(), body });
            }
            HOOPAUTH_NETWORK => TransportErrorKind::Network,
            HOOPAUTH_TIMEOUT => TransportErrorKind::Timeout,
            HOOPAUTH_TLS => TransportErrorKind::Tls,
            HOOPAUTH_MALFORMED_RESPONSE => TransportErrorKind::Malformed,
            HOOPAUTH_CONFIG => TransportErrorKind::Config,
            _ => TransportErrorKind::Callback,
        };
        let message = match failure.message() {
            Some(message) => format!("the host's transport failed: {message}"),
            None => format!(
                "the host's transport failed with status {status} and gave no message: look for \
                 the cause in the host program"
            ),
        };
        fail(kind, message, !answer.not_sent)
    }
}

const MOST_HEADERS: usize = 10_000;
