//! Verifying webhooks.

use hoopauth_core::webhook::WebhookVerifier;
use hoopauth_core::{Error, ErrorCode, Result};

use crate::argument::{bytes, null, text, text_bytes};
use crate::client::{hoopauth_client_t, within};
use crate::context::hoopauth_context_t;
use crate::error::hoopauth_error_t;
use crate::guard::make;
use crate::handle::{Handle, Shared, free, share, the};
use crate::headers::hoopauth_header_t;
use crate::lent::Text;
use crate::status::hoopauth_status_t;
use crate::text::hoopauth_text_t;
use crate::webhook_config::hoopauth_webhook_config_t;
use crate::webhook_delivery::hoopauth_webhook_delivery_t;

/// Verifies webhooks: signature, event, app, age, and that it was not handled before.
///
/// Counted: `hoopauth_webhook_verifier_ref`, `hoopauth_webhook_verifier_free`; it may outlive its
/// client. Any thread may use it at any time. Make it once and keep it: without a client's store,
/// it is what remembers the webhooks that were handled.
pub struct hoopauth_webhook_verifier_t(WebhookVerifier);

impl Handle for hoopauth_webhook_verifier_t {
    type Kind = Shared;
}

/// Makes a verifier for the app of `client`: its id comes from the option `client_id`, and what was
/// handled is remembered in the client's store, by all who share that (of a client without OAuth,
/// in this process). Without a client (NULL) it is remembered in this process, the option `app_id`
/// or `any_app` must be set, and there are no grants that could tell whose an event is that names
/// no app.
///
/// No I/O happens here. `config` stays the caller's. `*out` is the caller's to free. Errors:
/// `HOOPAUTH_CONFIG`, with the option's name in the message. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_webhook_verifier_new(
    client: *const hoopauth_client_t,
    config: *const hoopauth_webhook_config_t,
    out: *mut *mut hoopauth_webhook_verifier_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        make(out, err, || {
            let config = the(config, "config")?;
            let builder = match client.as_ref() {
                Some(client) => client.0.webhook_verifier(),
                None => WebhookVerifier::builder(),
            };
            config.apply(builder).build().map(hoopauth_webhook_verifier_t)
        })
    }
}

/// Verifies a webhook: all headers of the request, in any order, names in any case, and the body as
/// it came, byte for byte.
///
/// A delivery that it hands out is claimed: until it is confirmed, released or freed, the same
/// webhook is refused, here and by all who share the store. `headers` may be NULL with count 0. It
/// waits for the client's store at most: `context`, or NULL, says how long; what is left is not
/// claimed, or released. `*out` is the caller's to free.
///
/// The platform signs the events of all apps with one key. An event that names another app is
/// foreign. One that names no app is accepted if the client has a grant for its account or for its
/// company, or if a shared secret signed it. The option `any_app` accepts both. INSTALL and
/// UNINSTALL must name this app.
///
/// The platform repeats only webhooks that were answered with 429, at least under one of its
/// documented policies: answer that to whatever you can't handle now, not 5xx. Errors:
/// `HOOPAUTH_WEBHOOK_REPLAYED` and `HOOPAUTH_WEBHOOK_FOREIGN` (answer 200, do nothing),
/// `HOOPAUTH_SIGNATURE_MISSING` and `HOOPAUTH_SIGNATURE_INVALID` (401),
/// `HOOPAUTH_WEBHOOK_MALFORMED` and `HOOPAUTH_WEBHOOK_STALE` (400), `HOOPAUTH_LEASE_TIMEOUT` while
/// another worker handles it (429), and those of the store (429). Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_webhook_verifier_verify(
    verifier: *const hoopauth_webhook_verifier_t,
    headers: *const hoopauth_header_t,
    header_count: usize,
    body: *const u8,
    body_len: usize,
    context: *const hoopauth_context_t,
    out: *mut *mut hoopauth_webhook_delivery_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        make(out, err, || {
            let verifier = &the(verifier, "verifier")?.0;
            let headers = signed_headers(headers, header_count)?;
            let body = bytes("body", body, body_len)?;
            let store =
                if context.is_null() { None } else { hoopauth_core::binding::waits_for(verifier) };
            let delivery = match store {
                None => verifier.verify(headers, body),
                Some(client) => {
                    let headers: Vec<_> = headers
                        .into_iter()
                        .map(|(name, value)| (name.to_owned(), value.to_owned()))
                        .collect();
                    let (verifier, body) = (verifier.clone(), body.to_owned());
                    within(&client, context, move |_| {
                        verifier
                            .verify(headers.iter().map(|(name, value)| (&**name, &**value)), &body)
                    })
                }
            };
            delivery.map(hoopauth_webhook_delivery_t::new)
        })
    }
}

/// Verifies only the signature, and hands out the label of the key that made it. Nothing is
/// claimed: you check replays, age and app yourself.
///
/// `*label` is the caller's to free. Errors: `HOOPAUTH_SIGNATURE_MISSING`,
/// `HOOPAUTH_SIGNATURE_INVALID`. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_webhook_verifier_verify_signature(
    verifier: *const hoopauth_webhook_verifier_t,
    headers: *const hoopauth_header_t,
    header_count: usize,
    body: *const u8,
    body_len: usize,
    label: *mut *mut hoopauth_text_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        make(label, err, || {
            let verifier = &the(verifier, "verifier")?.0;
            let headers = signed_headers(headers, header_count)?;
            let key = verifier.verify_signature(headers, bytes("body", body, body_len)?)?;
            Ok(hoopauth_text_t(Text::new(key.label())))
        })
    }
}

/// One more reference, to be freed like the first; returns `verifier`, NULL if the handle is NULL.
/// Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_webhook_verifier_ref(
    verifier: *const hoopauth_webhook_verifier_t,
) -> *mut hoopauth_webhook_verifier_t {
    // SAFETY: by the contract on the header's first page.
    unsafe { share(verifier) }
}

/// Gives up one reference. Does nothing for NULL. Deliveries that it verified go on.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_webhook_verifier_free(
    verifier: *mut hoopauth_webhook_verifier_t,
) {
    // SAFETY: by the contract on the header's first page.
    unsafe { free(verifier) }
}

/// # Safety
/// `headers` is NULL or valid for `count` headers, whose texts are.
unsafe fn signed_headers<'a>(
    headers: *const hoopauth_header_t,
    count: usize,
) -> Result<Vec<(&'a str, &'a [u8])>> {
    if headers.is_null() {
        return if count == 0 { Ok(Vec::new()) } else { Err(null("headers")) };
    }
    if count > MOST_HEADERS {
        return Err(Error::new(
            ErrorCode::InvalidArgument,
            format!("the request has more than {MOST_HEADERS} headers: refuse it"),
        ));
    }
    // SAFETY: the caller says so.
    unsafe {
        std::slice::from_raw_parts(headers, count)
            .iter()
            .map(|header| {
                let name = text("name", header.name, header.name_len)?;
                Ok((name, text_bytes("value", header.value, header.value_len)?))
            })
            .collect()
    }
}

const MOST_HEADERS: usize = 10_000;
