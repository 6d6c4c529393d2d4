//! Verified webhooks.

use std::ffi::c_char;
use std::sync::{Arc, OnceLock};

use hoopauth_core::Result;
use hoopauth_core::webhook::{Applied, WebhookDelivery};

use crate::client::{hoopauth_client_t, within};
use crate::context::hoopauth_context_t;
use crate::error::hoopauth_error_t;
use crate::guard::call;
use crate::handle::{Handle, Owned, free, held, the};
use crate::lent::{Blob, Text, lend_bytes, lend_some};
use crate::status::hoopauth_status_t;

/// A verified webhook, claimed by this process: its content, and its state.
///
/// The caller owns it and frees it with `hoopauth_webhook_delivery_free`. What comes out of it
/// lives as long as it does. Any thread may use it.
pub struct hoopauth_webhook_delivery_t {
    delivery: Arc<WebhookDelivery>,
    event_type: Text,
    id: Text,
    account: Option<Text>,
    app_id: Option<Text>,
    key: Text,
    body: OnceLock<Blob>,
    json: OnceLock<Text>,
}

impl Handle for hoopauth_webhook_delivery_t {
    type Kind = Owned;
}

impl hoopauth_webhook_delivery_t {
    pub(crate) fn new(delivery: WebhookDelivery) -> Self {
        let event = delivery.event();
        Self {
            event_type: Text::new(event.event_type()),
            id: Text::new(event.webhook_id()),
            account: event.account().map(|account| Text::new(account.as_str())),
            app_id: event.app_id().map(Text::new),
            key: Text::new(delivery.key()),
            body: OnceLock::new(),
            json: OnceLock::new(),
            delivery: Arc::new(delivery),
        }
    }

    /// # Safety
    /// `context` is NULL or live.
    unsafe fn end(
        &self,
        context: *const hoopauth_context_t,
        how: fn(&WebhookDelivery) -> Result<()>,
    ) -> Result<()> {
        let store = if context.is_null() {
            None
        } else {
            hoopauth_core::binding::remembered_by(&self.delivery)
        };
        match store {
            None => how(&self.delivery),
            Some(client) => {
                let delivery = Arc::clone(&self.delivery);
                // SAFETY: the caller says so.
                unsafe { within(&client, context, move |_| how(&delivery)) }
            }
        }
    }

    fn body(&self) -> &Blob {
        self.body.get_or_init(|| Blob::copy(self.delivery.event().body()))
    }

    fn json(&self) -> &Text {
        self.json.get_or_init(|| Text::new(&self.delivery.event().json_text()))
    }
}

/// Outcome of `hoopauth_client_apply`: nothing changed, because the event says nothing about
/// grants, or nothing new.
pub const HOOPAUTH_APPLIED_NOTHING: i32 = 1;
/// Outcome of `hoopauth_client_apply`: a location's grant was minted.
pub const HOOPAUTH_APPLIED_MINTED: i32 = 2;
/// Outcome of `hoopauth_client_apply`: the company's grant is not here yet; the location's is
/// minted once it is.
pub const HOOPAUTH_APPLIED_REMEMBERED: i32 = 3;
/// Outcome of `hoopauth_client_apply`: grants were removed.
pub const HOOPAUTH_APPLIED_REMOVED: i32 = 4;
/// Outcome of `hoopauth_client_apply`: nothing changed, because the UNINSTALL is older than the
/// grant's authorization.
pub const HOOPAUTH_APPLIED_OUTDATED: i32 = 5;

/// The event's type, such as "ContactCreate"; unknown ones are passed on. Empty where the event has
/// none, as those of invoices, products and records.
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `delivery`; NULL if the
/// handle is NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_webhook_delivery_type(
    delivery: *const hoopauth_webhook_delivery_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { lend_some(delivery.as_ref().map(|delivery| &delivery.event_type), len) }
}

/// The event's `webhookId`, or a hash of the body if there is none: the same for each try of the
/// platform.
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `delivery`; NULL if the
/// handle is NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_webhook_delivery_id(
    delivery: *const hoopauth_webhook_delivery_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { lend_some(delivery.as_ref().map(|delivery| &delivery.id), len) }
}

/// Returns true if the event says when it happened, in a form that can be read; false for NULL.
/// `*timestamp_ms`, if `timestamp_ms` is not NULL, gets it, in milliseconds since the Unix epoch; 0
/// if there is none. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_webhook_delivery_timestamp(
    delivery: *const hoopauth_webhook_delivery_t,
    timestamp_ms: *mut i64,
) -> bool {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        let timestamp =
            delivery.as_ref().and_then(|delivery| delivery.delivery.event().timestamp());
        if !timestamp_ms.is_null() {
            timestamp_ms.write(timestamp.map_or(0, |timestamp| timestamp.0));
        }
        timestamp.is_some()
    }
}

/// The location it is about, else the company, such as "location:ve9EPM428h8vShlRW1KT".
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `delivery`, or NULL
/// if there is none. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_webhook_delivery_account(
    delivery: *const hoopauth_webhook_delivery_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { lend_some(delivery.as_ref().and_then(|delivery| delivery.account.as_ref()), len) }
}

/// The event's `appId`.
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `delivery`, or NULL
/// if there is none. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_webhook_delivery_app_id(
    delivery: *const hoopauth_webhook_delivery_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { lend_some(delivery.as_ref().and_then(|delivery| delivery.app_id.as_ref()), len) }
}

/// The label of the key that verified it.
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `delivery`; NULL if the
/// handle is NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_webhook_delivery_key(
    delivery: *const hoopauth_webhook_delivery_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { lend_some(delivery.as_ref().map(|delivery| &delivery.key), len) }
}

/// The body, byte for byte; a NUL stands behind it.
///
/// `len`, if not NULL, gets the length in bytes. Returns bytes borrowed from `delivery`; NULL if
/// the handle is NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_webhook_delivery_body(
    delivery: *const hoopauth_webhook_delivery_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { lend_bytes(delivery.as_ref().map(hoopauth_webhook_delivery_t::body), len) }
}

/// The body as JSON text that every parser takes: without a byte order mark, half an emoji (as
/// JavaScript escapes one that was cut) replaced by U+FFFD, a number beyond all floating-point
/// numbers as text. At most 512 levels deep; of a member that is named twice the last one counts.
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `delivery`; NULL if the
/// handle is NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_webhook_delivery_json(
    delivery: *const hoopauth_webhook_delivery_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { lend_some(delivery.as_ref().map(hoopauth_webhook_delivery_t::json), len) }
}

/// Says that it was handled: from now on the same webhook is `HOOPAUTH_WEBHOOK_REPLAYED`.
///
/// It waits for the client's store at most: `context`, or NULL, says how long. Errors:
/// `HOOPAUTH_INVALID_STATE` after a release, and those of the store: it is still claimed then, and
/// may be confirmed again. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_webhook_delivery_confirm(
    delivery: *const hoopauth_webhook_delivery_t,
    context: *const hoopauth_context_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe { call(err, || the(delivery, "delivery")?.end(context, WebhookDelivery::confirm)) }
}

/// Says that it was not handled: the next try of the platform is accepted. Answer 429, so that
/// there is one.
///
/// It waits for the client's store at most: `context`, or NULL, says how long. Errors:
/// `HOOPAUTH_INVALID_STATE` after it was confirmed, and those of the store: the claim then ends by
/// itself. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_webhook_delivery_release(
    delivery: *const hoopauth_webhook_delivery_t,
    context: *const hoopauth_context_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe { call(err, || the(delivery, "delivery")?.end(context, WebhookDelivery::release)) }
}

/// Frees a webhook, and releases it unless it was confirmed. Does nothing if `delivery` is NULL.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_webhook_delivery_free(
    delivery: *mut hoopauth_webhook_delivery_t,
) {
    // SAFETY: by the contract on the header's first page.
    unsafe { free(delivery) }
}

/// Does what a verified INSTALL or UNINSTALL means for the grants of this client. `*applied`, if
/// `applied` is not NULL, gets one of the constants `HOOPAUTH_APPLIED_`; unknown ones may come.
/// Doing it again changes nothing.
///
/// UNINSTALL removes nothing that the user authorized anew since; both are dated by the platform's
/// clock, so that this computer's need not be right. It confirms nothing:
/// `hoopauth_webhook_delivery_confirm` does. Errors: `HOOPAUTH_INVALID_STATE` without OAuth, those
/// of `hoopauth_client_mint` and of the store. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_client_apply(
    client: *const hoopauth_client_t,
    delivery: *const hoopauth_webhook_delivery_t,
    context: *const hoopauth_context_t,
    applied: *mut i32,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            let client = held(client, "client")?;
            let client = &client.0;
            let event = the(delivery, "delivery")?.delivery.event().clone();
            let done = within(client, context, move |client| client.apply(&event))?;
            if !applied.is_null() {
                applied.write(match done {
                    Applied::Minted => HOOPAUTH_APPLIED_MINTED,
                    Applied::Remembered => HOOPAUTH_APPLIED_REMEMBERED,
                    Applied::Removed => HOOPAUTH_APPLIED_REMOVED,
                    Applied::Outdated => HOOPAUTH_APPLIED_OUTDATED,
                    _ => HOOPAUTH_APPLIED_NOTHING,
                });
            }
            Ok(())
        })
    }
}

/// The name of a constant `HOOPAUTH_APPLIED_`, such as "minted"; "unknown" for a number that this
/// version does not know.
///
/// Returns static text; never NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn hoopauth_applied_name(applied: i32) -> *const c_char {
    let name = match applied {
        HOOPAUTH_APPLIED_NOTHING => c"nothing",
        HOOPAUTH_APPLIED_MINTED => c"minted",
        HOOPAUTH_APPLIED_REMEMBERED => c"remembered",
        HOOPAUTH_APPLIED_REMOVED => c"removed",
        HOOPAUTH_APPLIED_OUTDATED => c"outdated",
        _ => c"unknown",
    };
    name.as_ptr()
}
