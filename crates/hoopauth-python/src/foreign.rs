//! Requests of other HTTP libraries, for the adapters.

use std::sync::{Mutex, PoisonError};

use hoopauth::binding::Look;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};

use crate::client::Client;
use crate::context::Context;
use crate::error::exception;
use crate::number::Whole;
use crate::text::{Data, Str, arg};

/// A request that another HTTP library sends, from its first answer on: for the adapters.
#[pyclass(frozen, module = "hoopauth._hoopauth")]
pub(crate) struct ForeignRequest {
    client: Py<Client>,
    account: Option<String>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    core: hoopauth::binding::ForeignRequest,
    error: Option<Py<PyAny>>,
}

#[pymethods]
impl ForeignRequest {
    #[new]
    fn new(client: Py<Client>, account: Option<Str<'_, arg::account>>) -> Self {
        let account = account.map(|account| account.to_owned());
        Self { client, account, state: Mutex::default() }
    }

    /// The exception that explains the last answer; None if the answer has nothing to do with
    /// authentication, or if it was cured.
    #[getter]
    fn error(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state().error.as_ref().map(|error| error.clone_ref(py))
    }

    /// Looks at an answer without its body. Returns True if `report` needs it. Never waits.
    fn look(
        &self,
        py: Python<'_>,
        headers: &Bound<'_, PyAny>,
        status: u16,
        answer_headers: &Bound<'_, PyAny>,
        url: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let (client, account) = (self.client.get(), self.account.as_deref());
        let carries_token = || {
            headers.contains(intern!(py, "Authorization")).unwrap_or(false)
                && url
                    .str()
                    .is_ok_and(|url| url.to_str().is_ok_and(|url| client.may_go_to(py, url)))
        };
        let look = self.state().core.look(account, status, carries_token);
        let mut error = None;
        let needs_body = match look {
            Look::Report => true,
            Look::NoteLimits => {
                client.take_limits(py, headers, status, answer_headers, account)?;
                false
            }
            Look::Refused(refused) => {
                error = Some(exception(py, &refused, None).into_value(py).into_any());
                false
            }
            Look::Leave => false,
        };
        self.state().error = error;
        Ok(needs_body)
    }

    /// Reports an answer that `look` asked for. Returns the headers with which to repeat the
    /// request, once.
    #[pyo3(signature = (headers, status, answer_headers, body, method, url, *, context=None))]
    #[allow(clippy::too_many_arguments, reason = "each has a name in Python")]
    fn report<'py>(
        &self,
        py: Python<'py>,
        headers: &Bound<'py, PyAny>,
        status: Whole,
        answer_headers: &Bound<'py, PyAny>,
        body: Data<arg::body>,
        method: Str<'_, arg::method>,
        url: Str<'_, arg::url>,
        context: Option<&Bound<'py, Context>>,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        let (client, account) = (self.client.get(), self.account.as_deref());
        let sent = Some((&*method, &*url));
        let report = client.report_to_core(
            py,
            headers,
            status,
            Some(answer_headers),
            Some(body),
            sent,
            account,
            None,
            context,
        );
        let settled = report.and_then(|report| {
            let settled = self.state().core.settle(account, report);
            settled.map_err(|error| exception(py, &error, None))
        });
        match settled {
            Ok(None) => Ok(None),
            Ok(Some(headers)) => client.repeat_dict(py, &headers).map(Some),
            Err(error) if error.is_instance(py, base(py)?) => {
                self.state().error = Some(error.into_value(py).into_any());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Says that the request's body can't be sent twice. Returns the exception for the answer.
    fn not_repeated(&self, py: Python<'_>) -> Py<PyAny> {
        let error = hoopauth::binding::ForeignRequest::not_repeated(self.account.as_deref());
        exception(py, &error, None).into_value(py).into_any()
    }
}

impl ForeignRequest {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `hoopauth.Error`.
fn base(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static BASE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    BASE.import(py, "hoopauth._errors", "Error")
}
