//! The locations that a company installed the app in.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hoopauth::{Account, Context};
use pyo3::prelude::*;

use crate::error::exception;
use crate::live::Live;
use crate::wait::call;

/// A location of a company, as the platform lists it.
#[pyclass(frozen, get_all, module = "hoopauth")]
pub(crate) struct InstalledLocation {
    /// `location:<id>`.
    account: String,
    /// Name of the location.
    name: Option<String>,
    /// True if the app is installed in the location.
    installed: bool,
}

impl From<hoopauth::InstalledLocation> for InstalledLocation {
    fn from(location: hoopauth::InstalledLocation) -> Self {
        Self {
            account: location.account.as_str().to_owned(),
            name: location.name,
            installed: location.installed,
        }
    }
}

#[pymethods]
impl InstalledLocation {
    fn __repr__(&self) -> String {
        format!("<hoopauth.InstalledLocation {}>", self.account)
    }
}

/// Result of `Client.mint_all`.
#[pyclass(frozen, get_all, eq, module = "hoopauth")]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct MintSummary {
    /// Locations whose grant was minted.
    minted: u64,
    /// Locations that had a live grant already.
    kept: u64,
    /// Locations that could not be minted.
    failed: u64,
}

impl From<hoopauth::MintSummary> for MintSummary {
    fn from(summary: hoopauth::MintSummary) -> Self {
        Self { minted: summary.minted, kept: summary.kept, failed: summary.failed }
    }
}

#[pymethods]
impl MintSummary {
    fn __repr__(&self) -> String {
        format!(
            "<hoopauth.MintSummary minted={} kept={} failed={}>",
            self.minted, self.kept, self.failed
        )
    }
}

/// Progress of `Client.mint_all`.
#[pyclass(frozen, module = "hoopauth")]
pub(crate) struct MintProgress {
    account: String,
    error: Option<Py<PyAny>>,
    summary: MintSummary,
}

#[pymethods]
impl MintProgress {
    /// The location that was just looked at.
    #[getter]
    fn account(&self) -> &str {
        &self.account
    }

    /// Error of the location, a `hoopauth.Error`, if it could not be minted.
    #[getter]
    fn error(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.error.as_ref().map(|error| error.clone_ref(py))
    }

    /// Summary so far.
    #[getter]
    fn summary(&self) -> MintSummary {
        self.summary
    }

    fn __repr__(&self) -> String {
        format!("<hoopauth.MintProgress {} {}>", self.account, self.summary.__repr__())
    }
}

/// Mints for all locations of a company, and tells `progress`; unlike other calls it does not go on
/// without its caller.
pub(crate) fn mint_all(
    py: Python<'_>,
    live: &Live,
    company: Account,
    progress: Option<Py<PyAny>>,
    context: Option<Context>,
) -> PyResult<MintSummary> {
    let listener =
        Arc::new(Listener { progress, ended: AtomicBool::new(false), raised: Mutex::new(None) });
    let inner = Arc::clone(&listener);
    let result =
        call(py, live, context, move |client| client.mint_all(&company, |step| inner.tell(step)));
    listener.ended.store(true, Ordering::SeqCst);
    let raised = listener.raised.lock().unwrap_or_else(PoisonError::into_inner).take();
    match raised {
        Some(raised) => Err(raised),
        None => result.map(MintSummary::from),
    }
}

struct Listener {
    progress: Option<Py<PyAny>>,
    ended: AtomicBool,
    /// Exception that the callback raised: it goes to the caller.
    raised: Mutex<Option<PyErr>>,
}

impl Listener {
    fn tell(&self, step: &hoopauth::MintProgress) -> bool {
        if self.ended.load(Ordering::SeqCst) {
            return false;
        }
        let Some(progress) = &self.progress else { return true };
        // Where the interpreter is ending there is nobody to go on for.
        let told = Python::try_attach(|py| {
            let step = MintProgress {
                account: step.account.as_str().to_owned(),
                error: step
                    .error
                    .as_ref()
                    .map(|error| exception(py, error, None).into_value(py).into_any()),
                summary: step.summary.into(),
            };
            // Only False ends it: a function without an answer goes on.
            progress
                .call1(py, (step,))
                .map(|answer| !answer.bind(py).is(&*pyo3::types::PyBool::new(py, false)))
        });
        match told {
            Some(Ok(on)) => on && !self.ended.load(Ordering::SeqCst),
            Some(Err(raised)) => {
                *self.raised.lock().unwrap_or_else(PoisonError::into_inner) = Some(raised);
                false
            }
            None => false,
        }
    }
}
