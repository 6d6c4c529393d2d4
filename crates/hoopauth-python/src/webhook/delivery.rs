//! Verified events.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hoopauth::binding::Process;
use hoopauth::webhook;
use pyo3::PyTraverseError;
use pyo3::class::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyString};

use crate::clock::seconds;
use crate::context::{Context, of_call};
use crate::number::Seconds;
use crate::owner::Owner;
use crate::wait::{call, inline};

/// A verified webhook, claimed by the process that verified it.
///
/// `with delivery:` (or `async with`) confirms the delivery at the end of the block, and releases
/// it if the block raises, unless the block did either itself. A delivery that is dropped without
/// `confirm()` is released: the platform's next try is then accepted. The platform tries again
/// after a 429, not after a 500: answer 429 if your handler fails.
#[pyclass(frozen, weakref, module = "hoopauth")]
pub(crate) struct WebhookDelivery {
    /// Empty only while this is dropped.
    inner: Option<Arc<webhook::WebhookDelivery>>,
    event: webhook::WebhookEvent,
    key: String,
    owner: Option<Owner>,
    body: PyOnceLock<Py<PyBytes>>,
    /// `true` if the program itself confirmed or released the delivery.
    ended: AtomicBool,
    process: Process,
}

impl WebhookDelivery {
    pub(crate) fn new(delivery: webhook::WebhookDelivery, owner: Option<Owner>) -> Self {
        Self {
            event: delivery.event().clone(),
            key: delivery.key().to_owned(),
            inner: Some(Arc::new(delivery)),
            owner,
            body: PyOnceLock::new(),
            ended: AtomicBool::new(false),
            process: Process::this(),
        }
    }

    pub(crate) fn event(&self) -> webhook::WebhookEvent {
        self.event.clone()
    }

    fn bytes(&self, py: Python<'_>) -> &Py<PyBytes> {
        self.body.get_or_init(py, || PyBytes::new(py, self.event.body()).unbind())
    }

    fn end(
        &self,
        py: Python<'_>,
        context: Option<hoopauth::Context>,
        how: fn(&webhook::WebhookDelivery) -> hoopauth::Result<()>,
    ) -> PyResult<()> {
        let Some(delivery) = self.inner.clone() else { return Ok(()) };
        match &self.owner {
            Some(owner) => call(py, &owner.live, context, move |_| how(&delivery)),
            None => inline(py, || how(&delivery)),
        }?;
        self.ended.store(true, Ordering::SeqCst);
        Ok(())
    }
}

#[pymethods]
impl WebhookDelivery {
    /// `type`, such as `ContactCreate`; unknown types are passed on. Empty if the event has none,
    /// as events of invoices, products and records.
    #[getter]
    fn r#type(&self) -> &str {
        self.event.event_type()
    }

    /// `webhookId`, or a hash of the body if there is none.
    #[getter]
    fn webhook_id(&self) -> &str {
        self.event.webhook_id()
    }

    /// Moment of the event, as an aware `datetime`; None if the event names none, or names it in an
    /// unknown form.
    #[getter]
    fn timestamp<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(at) = self.event.timestamp() else { return Ok(None) };
        let datetime = py.import(intern!(py, "datetime"))?;
        let utc = datetime.getattr(intern!(py, "timezone"))?.getattr(intern!(py, "utc"))?;
        datetime
            .getattr(intern!(py, "datetime"))?
            .call_method1(intern!(py, "fromtimestamp"), (seconds(at), utc))
            .map(Some)
    }

    /// The location of the event, as `location:<id>`, else the company; None if the event names
    /// none. Invoices name theirs by `altId` and `altType`.
    #[getter]
    fn account(&self) -> Option<&str> {
        self.event.account().map(hoopauth::Account::as_str)
    }

    /// `appId`.
    #[getter]
    fn app_id(&self) -> Option<&str> {
        self.event.app_id()
    }

    /// The body, byte for byte.
    #[getter]
    fn body(&self, py: Python<'_>) -> Py<PyBytes> {
        self.bytes(py).clone_ref(py)
    }

    /// Returns the parsed body. Half an emoji (as JavaScript escapes one that was cut) is U+FFFD,
    /// as in every language; a number beyond all floating-point numbers is text. If a member is
    /// named twice, the last one counts.
    fn json<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        crate::response::loads(py, &PyString::new(py, &self.event.json_text()))
    }

    /// The label of the key that verified the event.
    #[getter]
    fn key(&self) -> &str {
        &self.key
    }

    /// Confirms that the delivery was handled: from now on it is `hoopauth.WebhookReplayed`.
    ///
    /// Args:
    ///     timeout, context: as everywhere; a delivery of a verifier without a client never waits.
    #[pyo3(signature = (*, timeout=None, context=None))]
    fn confirm(
        &self,
        py: Python<'_>,
        timeout: Option<Seconds>,
        context: Option<&Bound<'_, Context>>,
    ) -> PyResult<()> {
        self.end(py, of_call(py, timeout, context)?, webhook::WebhookDelivery::confirm)
    }

    /// Releases a delivery that was not handled: the platform's next try is accepted. Answer 429,
    /// so that the platform tries again.
    ///
    /// Args:
    ///     timeout, context: as everywhere; a delivery of a verifier without a client never waits.
    #[pyo3(signature = (*, timeout=None, context=None))]
    fn release(
        &self,
        py: Python<'_>,
        timeout: Option<Seconds>,
        context: Option<&Bound<'_, Context>>,
    ) -> PyResult<()> {
        self.end(py, of_call(py, timeout, context)?, webhook::WebhookDelivery::release)
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (kind=None, value=None, traceback=None, /))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: Option<&Bound<'_, PyAny>>,
        value: Option<&Bound<'_, PyAny>>,
        traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let _ = (value, traceback);
        if self.ended.load(Ordering::SeqCst) {
            return Ok(());
        }
        if kind.is_none() {
            return self.end(py, None, webhook::WebhookDelivery::confirm);
        }
        // What the block raised is what counts; the claim ends by itself, later.
        if let Err(raised) = self.end(py, None, webhook::WebhookDelivery::release) {
            let kind = crate::callback::type_name(&raised.get_type(py));
            crate::log::warn(
                py,
                "hoopauth.webhook",
                &format!(
                    "a webhook could not be released in the store (`{kind}`); it is accepted again \
                     after `claim_seconds`"
                ),
            );
        }
        Ok(())
    }

    fn __aenter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("hoopauth._webhooks")?.call_method1("entered", (slf,))
    }

    #[pyo3(signature = (kind=None, value=None, traceback=None, /))]
    fn __aexit__<'py>(
        slf: &Bound<'py, Self>,
        kind: Option<&Bound<'py, PyAny>>,
        value: Option<&Bound<'py, PyAny>>,
        traceback: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let waits = slf.get().owner.is_some();
        slf.py()
            .import("hoopauth._webhooks")?
            .call_method1("left", (slf, waits, kind, value, traceback))
    }

    fn __repr__(&self) -> String {
        format!(
            "<hoopauth.WebhookDelivery {:?} {:?}>",
            self.event.event_type(),
            self.event.webhook_id()
        )
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.owner.as_ref().map_or(Ok(()), |owner| owner.visit(&visit))
    }
}

impl Drop for WebhookDelivery {
    fn drop(&mut self) {
        let inner = self.inner.take();
        if !self.process.is_this() {
            // In a forked child: it is the parent's to confirm or release.
            std::mem::forget(inner);
            return;
        }
        // It is released in the store.
        Python::try_attach(|py| py.detach(|| drop(inner)));
    }
}
