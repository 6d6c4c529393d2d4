//! The Python module `hoopauth._hoopauth`: the core's nouns as Python classes, one file each.
//!
//! Nothing is decided here. What can wait runs detached from the interpreter; what the program
//! brings (store, transport, clock, hook) is called attached, and never with a lock held.
#![allow(
    clippy::needless_pass_by_value,
    clippy::doc_markdown,
    clippy::unused_self,
    reason = "arguments come by value from Python, doc comments are docstrings, methods have a self"
)]

mod answer;
mod callback;
mod change;
mod client;
mod clock;
mod context;
mod error;
mod exit;
mod foreign;
mod grant;
mod green;
mod header;
mod health;
mod in_call;
mod installed;
mod limits;
mod live;
mod log;
mod maintenance;
mod number;
mod operation;
mod option;
mod owner;
mod pending;
mod reentry;
mod request;
mod response;
mod store;
mod text;
mod transport;
mod wait;
mod webhook;

use hoopauth_wiping::Wiping;
use pyo3::prelude::*;

#[global_allocator]
static ALLOCATOR: Wiping = Wiping;

/// The native part of hoopauth. Import `hoopauth` instead.
#[pymodule(gil_used = false)]
mod _hoopauth {
    use pyo3::prelude::*;
    use pyo3::types::PyDict;

    #[pymodule_export]
    use crate::answer::Response;
    #[pymodule_export]
    use crate::change::Change;
    #[pymodule_export]
    use crate::client::Client;
    #[pymodule_export]
    use crate::context::Context;
    #[pymodule_export]
    use crate::exit::close_all;
    #[pymodule_export]
    use crate::foreign::ForeignRequest;
    #[pymodule_export]
    use crate::grant::Grant;
    #[pymodule_export]
    use crate::health::Health;
    #[pymodule_export]
    use crate::installed::{InstalledLocation, MintProgress, MintSummary};
    #[pymodule_export]
    use crate::limits::RateLimit;
    #[pymodule_export]
    use crate::maintenance::Maintenance;
    #[pymodule_export]
    use crate::operation::{Operation, operation, scopes_for};
    #[pymodule_export]
    use crate::pending::PendingAuthorization;
    #[pymodule_export]
    use crate::transport::TransportRequest;
    #[pymodule_export]
    use crate::webhook::{WebhookDelivery, WebhookKey, WebhookVerifier};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let py = module.py();
        crate::exit::refuse_subinterpreter()?;
        hoopauth::binding::set_let_others_run(crate::green::let_others_run);
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        let codes = PyDict::new(py);
        for code in hoopauth::ErrorCode::ALL {
            codes.set_item(code.number(), code.name())?;
        }
        module.add("ERROR_CODES", codes)?;
        module.add("OPTIONS", hoopauth::OPTIONS.iter().map(|row| row.name).collect::<Vec<_>>())?;
        let webhook_options = hoopauth::webhook::WEBHOOK_OPTIONS.iter().map(|row| row.name);
        module.add("WEBHOOK_OPTIONS", webhook_options.collect::<Vec<_>>())?;
        crate::log::forward();
        crate::exit::register(module)
    }
}
