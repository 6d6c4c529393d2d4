//! Configuration of a client.

use std::ffi::c_char;
use std::sync::Arc;

use hoopauth_core::binding::BuilderBinding as _;
use hoopauth_core::store::RowStore;
use hoopauth_core::transport::Transport;
use hoopauth_core::{
    Change, Client, ClientBuilder, Clock, Error, ErrorCode, OPTIONS, Result, Secret,
};

use crate::argument::text;
use crate::error::hoopauth_error_t;
use crate::guard::{call, make};
use crate::handle::{Handle, Owned, free, the_mut};
use crate::status::hoopauth_status_t;

/// Configuration of a client: options by name, and the host's own store, transport and clock.
///
/// The caller owns it and frees it with `hoopauth_config_free`; clients keep what they need of it.
/// One thread at a time.
#[derive(Default)]
pub struct hoopauth_config_t {
    options: Vec<(&'static str, Secret)>,
    environment: bool,
    language: Option<String>,
    pub(crate) store: Option<Arc<dyn RowStore>>,
    pub(crate) transport: Option<Arc<dyn Transport>>,
    pub(crate) clock: Option<Arc<dyn Clock>>,
    pub(crate) change: Option<Arc<ChangeHook>>,
    #[cfg(feature = "fault-injection")]
    pub(crate) panic_at: Option<hoopauth_core::binding::Step>,
}

/// A function that is told of each change of a grant.
type ChangeHook = dyn Fn(&Change) + Send + Sync;

impl Handle for hoopauth_config_t {
    type Kind = Owned;
}

impl hoopauth_config_t {
    pub(crate) fn build(&self) -> Result<Client> {
        let mut builder = Client::builder().language(self.language.as_deref().unwrap_or("c"));
        for (name, value) in &self.options {
            builder = builder.option(name, value.expose());
        }
        if self.environment {
            builder = builder.environment();
        }
        if let Some(store) = &self.store {
            builder = builder.row_store(Arc::clone(store));
        }
        if let Some(transport) = &self.transport {
            builder = builder.transport(Arc::clone(transport));
        }
        if let Some(clock) = &self.clock {
            builder = builder.clock(Arc::clone(clock));
        }
        if let Some(change) = &self.change {
            let change = Arc::clone(change);
            builder = builder.on_change(move |news| change(news));
        }
        self.finish(builder).build()
    }

    #[cfg(feature = "fault-injection")]
    fn finish(&self, builder: ClientBuilder) -> ClientBuilder {
        let panic_at = self.panic_at;
        builder.step_hook(move |step, _| {
            assert!(panic_at != Some(step), "a panic that a test asked for");
            Ok(())
        })
    }

    #[cfg(not(feature = "fault-injection"))]
    #[allow(clippy::unused_self, reason = "the other build uses it")]
    fn finish(&self, builder: ClientBuilder) -> ClientBuilder {
        builder
    }
}

/// Makes an empty configuration.
///
/// `*out` is the caller's to free. Errors: only for NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_config_new(
    out: *mut *mut hoopauth_config_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe { make(out, err, || Ok(hoopauth_config_t::default())) }
}

/// Sets an option by its name. Every option, its meaning, unit and limits stand in docs/options.md;
/// the last value wins.
///
/// Values are text: seconds as decimals, lists separated by spaces. Both texts are copied, and the
/// value is wiped with the configuration. Errors: `HOOPAUTH_CONFIG`, with the option's name in the
/// message. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_config_set(
    config: *mut hoopauth_config_t,
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
            hoopauth_core::binding::check_option(name, value.expose())?;
            // It was found, or the check would have failed.
            if let Some(row) = OPTIONS.iter().find(|row| row.name == name) {
                config.options.retain(|(before, _)| *before != row.name);
                config.options.push((row.name, value));
            }
            Ok(())
        })
    }
}

/// Lets the environment fill the unset options when a client is made: `HOOPAUTH_<OPTION>`, then
/// HoopAI's own `HOOPAI_TOKEN` (a Private Integration token) and `LOCATION_ID` (the default
/// account).
///
/// Errors: only for NULL. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_config_use_environment(
    config: *mut hoopauth_config_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            the_mut(config, "config")?.environment = true;
            Ok(())
        })
    }
}

/// Names the language of a binding, for the `User-Agent`: "hoopauth/0.1.0 (<language>)". Unset, it
/// is "c".
///
/// 1 to 32 letters, digits, '+', '#', '.', '-', '/' or spaces; copied. Errors:
/// `HOOPAUTH_INVALID_ARGUMENT`. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_config_set_language(
    config: *mut hoopauth_config_t,
    language: *const c_char,
    language_len: usize,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            let language = text("language", language, language_len)?;
            let fits = |b: u8| b.is_ascii_alphanumeric() || b"+#.-/ ".contains(&b);
            if !(1..=32).contains(&language.len()) || !language.bytes().all(fits) {
                return Err(Error::new(
                    ErrorCode::InvalidArgument,
                    "`language` is empty, too long or holds other characters: give 1 to 32 \
                     letters, digits or `+#.-/ `",
                ));
            }
            the_mut(config, "config")?.language = Some(language.to_owned());
            Ok(())
        })
    }
}

/// Frees a configuration and wipes it. Does nothing for NULL. Clients made of it go
/// on. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_config_free(config: *mut hoopauth_config_t) {
    // SAFETY: by the contract on the header's first page.
    unsafe { free(config) }
}
