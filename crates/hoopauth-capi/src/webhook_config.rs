//! Configuration of a verifier of webhooks.

use std::ffi::c_char;

use hoopauth_core::webhook::{SignatureScheme, WebhookKey, WebhookVerifierBuilder};
use hoopauth_core::{Error, ErrorCode, Secret, Timestamp};

use crate::argument::text;
use crate::error::hoopauth_error_t;
use crate::guard::{call, make};
use crate::handle::{Handle, Owned, free, the_mut};
use crate::status::hoopauth_status_t;

/// Configuration of a verifier of webhooks: options by name, and keys beside the platform's own.
///
/// The caller owns it and frees it with `hoopauth_webhook_config_free`; verifiers keep what they
/// need of it. One thread at a time.
#[derive(Default)]
pub struct hoopauth_webhook_config_t {
    options: Vec<(String, Secret)>,
    keys: Vec<WebhookKey>,
}

impl Handle for hoopauth_webhook_config_t {
    type Kind = Owned;
}

impl hoopauth_webhook_config_t {
    pub(crate) fn apply(&self, mut builder: WebhookVerifierBuilder) -> WebhookVerifierBuilder {
        for (name, value) in &self.options {
            builder = builder.option(name, value.expose());
        }
        for key in &self.keys {
            builder = builder.key(key.clone());
        }
        builder
    }
}

/// Makes an empty configuration: the platform's Ed25519 key alone.
///
/// `*out` is the caller's to free. Errors: only for NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_webhook_config_new(
    out: *mut *mut hoopauth_webhook_config_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe { make(out, err, || Ok(hoopauth_webhook_config_t::default())) }
}

/// Sets an option by its name. Every option, its meaning, unit and limits stand in docs/options.md;
/// the last value wins.
///
/// Values are text, as for `hoopauth_config_set`. Copied. Errors: `HOOPAUTH_INVALID_ARGUMENT`; an
/// unknown name or a wrong value is told when a verifier is made. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_webhook_config_set(
    config: *mut hoopauth_webhook_config_t,
    name: *const c_char,
    name_len: usize,
    value: *const c_char,
    value_len: usize,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            let config = the_mut(config, "config")?;
            let name = text("name", name, name_len)?;
            let value = Secret::new(text("value", value, value_len)?);
            config.options.retain(|(before, _)| before != name);
            config.options.push((name.to_owned(), value));
            Ok(())
        })
    }
}

/// Adds a key that webhooks may be signed with, of the scheme "ed25519", "rsa-sha256" or
/// "hmac-sha256".
///
/// A public key is PEM, or SPKI DER or (Ed25519) the 32 raw bytes as base64 or hex; an HMAC secret
/// is taken as it is and has at least 16 bytes. `label` is for people: a verified delivery tells
/// it. The key counts from `not_before_ms` until `not_after_ms`, in milliseconds since the Unix
/// epoch; 0 where there is no such limit. Copied. Errors: `HOOPAUTH_CONFIG` for a wrong scheme or
/// key. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_webhook_config_add_key(
    config: *mut hoopauth_webhook_config_t,
    scheme: *const c_char,
    scheme_len: usize,
    label: *const c_char,
    label_len: usize,
    key: *const c_char,
    key_len: usize,
    not_before_ms: i64,
    not_after_ms: i64,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            let config = the_mut(config, "config")?;
            let scheme = SignatureScheme::from_name(text("scheme", scheme, scheme_len)?)
                .ok_or_else(|| {
                    Error::new(
                        ErrorCode::Config,
                        "`scheme` is unknown: give `ed25519`, `rsa-sha256` or `hmac-sha256`",
                    )
                })?;
            let label = text("label", label, label_len)?;
            let mut key = WebhookKey::new(scheme, label, text("key", key, key_len)?)?;
            if not_before_ms != 0 {
                key = key.not_before(Timestamp(not_before_ms));
            }
            if not_after_ms != 0 {
                key = key.not_after(Timestamp(not_after_ms));
            }
            config.keys.push(key);
            Ok(())
        })
    }
}

/// Frees a configuration and wipes it. Does nothing for NULL. Verifiers made of it go
/// on. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_webhook_config_free(config: *mut hoopauth_webhook_config_t) {
    // SAFETY: by the contract on the header's first page.
    unsafe { free(config) }
}
