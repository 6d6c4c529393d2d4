//! The verifier.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use hoopauth::binding::Process;
use hoopauth::{Secret, webhook};
use pyo3::PyTraverseError;
use pyo3::class::PyVisit;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::{WebhookDelivery, WebhookKey, fields};
use crate::callback::Slot;
use crate::clock::PyClock;
use crate::context::{Context, of_call};
use crate::error::raised;
use crate::live::foreign;
use crate::number::Seconds;
use crate::option;
use crate::owner::Owner;
use crate::wait::{call, inline};

/// Verifies webhooks: signature, event, app and age, and that the event was not handled before. Any
/// thread may use it at any time.
///
/// This verifier belongs to no client: it remembers events in this process only, and `app_id` or
/// `any_app` must be set. It knows no grants: an event that names no app raises
/// `hoopauth.WebhookForeign`, unless a shared secret signed it. `Client.webhook_verifier` makes a
/// verifier that knows its app and its grants, and remembers events in the client's store.
///
/// Options are keyword arguments; `hoopauth.WebhookOptions` documents them. A wrong one raises
/// `hoopauth.Config`.
///
/// Args:
///     keys: keys beside the platform's own.
///     clock: the source of the time, see `hoopauth.Clock`.
#[pyclass(frozen, weakref, module = "hoopauth")]
pub(crate) struct WebhookVerifier {
    /// Empty only while this is dropped.
    made: ArcSwapOption<Made>,
    keys: Vec<webhook::WebhookKey>,
    options: Vec<(String, Secret)>,
    owner: Option<Owner>,
    clock: Option<Arc<Slot>>,
}

/// The core's verifier, and the process it was made in.
struct Made {
    verifier: Arc<webhook::WebhookVerifier>,
    process: Process,
}

impl Drop for Made {
    fn drop(&mut self) {
        if foreign(self.process) {
            // In a forked child: the connections and locks behind it are the parent's. It is never
            // dropped.
            std::mem::forget(Arc::clone(&self.verifier));
        }
    }
}

impl WebhookVerifier {
    pub(crate) fn make(
        py: Python<'_>,
        keys: Option<&Bound<'_, PyAny>>,
        clock: Option<Py<PyAny>>,
        options: Option<&Bound<'_, PyDict>>,
        owner: Option<Owner>,
    ) -> PyResult<Self> {
        let mut own = Vec::new();
        if let Some(keys) = keys {
            for key in keys.try_iter()? {
                own.push(key?.cast::<WebhookKey>()?.get().inner.clone());
            }
        }
        let verifier = Self {
            made: ArcSwapOption::empty(),
            keys: own,
            options: option::texts(options)?,
            owner,
            clock: clock.map(|clock| Arc::new(Slot::new("clock", "clock", clock))),
        };
        verifier.made.store(Some(Arc::new(verifier.build(py)?)));
        Ok(verifier)
    }

    fn build(&self, py: Python<'_>) -> PyResult<Made> {
        let mut builder = match &self.owner {
            Some(owner) => owner.live.core(py)?.client.webhook_verifier(),
            None => webhook::WebhookVerifier::builder(),
        };
        if let Some(clock) = &self.clock {
            builder = builder.clock(Arc::new(PyClock::new(py, Arc::clone(clock))?));
        }
        for key in &self.keys {
            builder = builder.key(key.clone());
        }
        for (name, value) in &self.options {
            builder = builder.option(name, value.expose());
        }
        Ok(Made { verifier: Arc::new(raised(py, builder.build())?), process: Process::this() })
    }

    /// The core's verifier of this process; a forked child makes its own.
    fn verifier(&self, py: Python<'_>) -> PyResult<Arc<webhook::WebhookVerifier>> {
        let made = self.made.load();
        match &*made {
            Some(made) if !foreign(made.process) => Ok(Arc::clone(&made.verifier)),
            made => {
                let own = Arc::new(self.build(py)?);
                // Another thread of the child may have been faster: what it remembers counts.
                let before = self.made.compare_and_swap(made, Some(Arc::clone(&own)));
                let current =
                    before.as_ref().filter(|before| !foreign(before.process)).unwrap_or(&own);
                Ok(Arc::clone(&current.verifier))
            }
        }
    }

    fn max_body(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.verifier(py)?.max_body())
    }
}

#[pymethods]
impl WebhookVerifier {
    #[new]
    #[pyo3(signature = (keys=None, *, clock=None, **options))]
    fn new(
        py: Python<'_>,
        keys: Option<&Bound<'_, PyAny>>,
        clock: Option<Py<PyAny>>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        Self::make(py, keys, clock, options, None)
    }

    /// Verifies a webhook, and claims it until it is confirmed or released: use the result in
    /// `with`.
    ///
    /// An event that names another app is foreign. An event that names no app is accepted if the
    /// client has a grant for its account or for its company, or if a shared secret signed it.
    /// `any_app` accepts both. INSTALL and UNINSTALL must name this app.
    ///
    /// Exceptions, and the statuses to answer with: `hoopauth.WebhookReplayed` and
    /// `hoopauth.WebhookForeign` (200, do nothing), `hoopauth.SignatureMissing` and
    /// `hoopauth.SignatureInvalid` (401), `hoopauth.WebhookMalformed` and `hoopauth.WebhookStale`
    /// (400); anything else, such as `hoopauth.LeaseTimeout` while another worker handles it, or
    /// `hoopauth.Store`: 429. The platform sends again only what was answered with 429.
    ///
    /// Args:
    ///     headers: all headers of the request: a mapping, a list of pairs, or a WSGI environment;
    ///         names in any case.
    ///     body: the raw body.
    ///     timeout, context: as everywhere; a verifier without a client never waits.
    #[pyo3(signature = (headers, body, *, timeout=None, context=None))]
    fn verify(
        &self,
        py: Python<'_>,
        headers: &Bound<'_, PyAny>,
        body: &Bound<'_, PyAny>,
        timeout: Option<Seconds>,
        context: Option<&Bound<'_, Context>>,
    ) -> PyResult<WebhookDelivery> {
        let context = of_call(py, timeout, context)?;
        let verifier = self.verifier(py)?;
        let fields = fields::Fields::read(headers)?;
        let body = fields::body(body)?;
        let delivery = match &self.owner {
            None => {
                let pairs = fields.pairs()?;
                let pairs: Vec<_> = pairs.iter().map(|(name, value)| (&**name, *value)).collect();
                inline(py, || verifier.verify(pairs.iter().copied(), &body))
            }
            Some(owner) => {
                let pairs = fields.owned()?;
                call(py, &owner.live, context, move |_| {
                    verifier.verify(
                        pairs.iter().map(|(name, value)| (name.as_str(), value.as_slice())),
                        &body,
                    )
                })
            }
        }?;
        Ok(WebhookDelivery::new(delivery, self.owner.as_ref().map(|owner| owner.clone_ref(py))))
    }

    /// Verifies only the signature, and returns the label of the key that made it. Nothing is
    /// claimed: you check replays, age and app yourself. Never waits.
    fn verify_signature(
        &self,
        py: Python<'_>,
        headers: &Bound<'_, PyAny>,
        body: &Bound<'_, PyAny>,
    ) -> PyResult<String> {
        let verifier = self.verifier(py)?;
        let fields = fields::Fields::read(headers)?;
        let body = fields::body(body)?;
        let pairs = fields.pairs()?;
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (&**name, *value)).collect();
        inline(py, || {
            verifier
                .verify_signature(pairs.iter().copied(), &body)
                .map(|key| key.label().to_owned())
        })
    }

    /// Verifies, as `verify` does, a request of Flask (Werkzeug) or Django. It takes the raw bytes
    /// from the request, at most `max_body` and one more. Answer 200 to `hoopauth.WebhookForeign`:
    /// the event is genuine, but not for this app. Raises `hoopauth.InvalidState` if the body was
    /// read before, or if the server hands over no chunked bodies; answer 429 to that.
    #[pyo3(signature = (request, *, timeout=None, context=None))]
    fn verify_request<'py>(
        slf: &Bound<'py, Self>,
        request: &Bound<'py, PyAny>,
        timeout: Option<Seconds>,
        context: Option<&Bound<'py, Context>>,
    ) -> PyResult<WebhookDelivery> {
        let py = slf.py();
        let read = py
            .import("hoopauth._webhooks")?
            .call_method1("read", (request, slf.get().max_body(py)?))?;
        let (headers, body): (Bound<'py, PyAny>, Bound<'py, PyAny>) = read.extract()?;
        slf.get().verify(py, &headers, &body, timeout, context)
    }

    /// Verifies, as `verify_request` does, a request of FastAPI or Starlette (or of Flask or Django
    /// in an async view): await it. The event loop never waits.
    fn verify_request_async<'py>(
        slf: &Bound<'py, Self>,
        request: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let waits = slf.get().owner.is_some();
        let most = slf.get().max_body(slf.py())?;
        slf.py().import("hoopauth._webhooks")?.call_method1("verify", (slf, request, waits, most))
    }

    fn __repr__(&self) -> &'static str {
        if self.owner.is_some() {
            "<hoopauth.WebhookVerifier of a client>"
        } else {
            "<hoopauth.WebhookVerifier>"
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.clock.as_ref().map_or(Ok(()), |clock| clock.visit(&visit))?;
        self.owner.as_ref().map_or(Ok(()), |owner| owner.visit(&visit))
    }

    fn __clear__(&self) {
        if let Some(clock) = &self.clock {
            clock.clear();
        }
    }
}

impl Drop for WebhookVerifier {
    fn drop(&mut self) {
        let made = self.made.swap(None);
        // What ends with it may wait for other threads, and they for the interpreter.
        Python::try_attach(|py| py.detach(|| drop(made)));
    }
}
