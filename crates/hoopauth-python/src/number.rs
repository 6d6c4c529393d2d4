//! Numbers as Python gives them: too large ones are no crash and no `OverflowError`.

use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;

/// A number of seconds, of any size; too large for a float is infinity.
#[derive(Clone, Copy)]
pub(crate) struct Seconds(pub(crate) f64);

impl<'py> FromPyObject<'_, 'py> for Seconds {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match object.extract::<f64>() {
            Ok(seconds) => Ok(Self(seconds)),
            Err(raised) if raised.is_instance_of::<PyOverflowError>(object.py()) => {
                Ok(Self(if object.lt(0)? { f64::NEG_INFINITY } else { f64::INFINITY }))
            }
            Err(raised) => Err(raised),
        }
    }
}

impl Seconds {
    /// A moment, in seconds since the epoch: from 1970 to the end of the year 9999. `None` for
    /// anything else.
    pub(crate) fn moment(self) -> Option<f64> {
        (0.0..=LATEST).contains(&self.0).then_some(self.0)
    }
}

/// A whole number, of any size; too large is as far as it goes.
#[derive(Clone, Copy)]
pub(crate) struct Whole(pub(crate) i64);

impl<'py> FromPyObject<'_, 'py> for Whole {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match object.extract::<i64>() {
            Ok(number) => Ok(Self(number)),
            Err(raised) if raised.is_instance_of::<PyOverflowError>(object.py()) => {
                Ok(Self(i64::MAX))
            }
            Err(raised) => Err(raised),
        }
    }
}

impl Whole {
    /// An HTTP status.
    pub(crate) fn status(self) -> Option<u16> {
        u16::try_from(self.0).ok().filter(|status| (100..=599).contains(status))
    }
}

const LATEST: f64 = 253_402_300_800.0;
