//! Text that a program gives.
//!
//! A `str` of Python may hold halves of surrogate pairs: `os.environ` has them for bytes that are
//! not UTF-8. Python's own exception for that shows the whole text, which may be a secret, so that
//! it is never raised here.

use std::marker::PhantomData;
use std::ops::Deref;

use hoopauth::{Error, ErrorCode};
use pyo3::exceptions::{PyTypeError, PyUnicodeEncodeError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyString;

use crate::callback::{Fault, type_name};
use crate::error::exception;

/// An argument that is text. What can't be written as UTF-8 is `INVALID_ARGUMENT`, which names the
/// argument.
pub(crate) struct Str<'a, N> {
    text: &'a str,
    name: PhantomData<N>,
}

impl<N> Str<'static, N> {
    /// A default.
    pub(crate) const fn of(text: &'static str) -> Self {
        Self { text, name: PhantomData }
    }
}

impl<'a, N> Str<'a, N> {
    /// The text, for as long as the object lives.
    #[inline]
    pub(crate) fn get(&self) -> &'a str {
        self.text
    }
}

impl<N> Deref for Str<'_, N> {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        self.text
    }
}

impl<'a, N: Name> FromPyObject<'a, '_> for Str<'a, N> {
    type Error = PyErr;

    #[inline]
    fn extract(object: Borrowed<'a, '_, PyAny>) -> PyResult<Self> {
        let text = object.extract::<&'a str>().map_err(|raised| {
            let shows = raised.is_instance_of::<PyUnicodeEncodeError>(object.py());
            if shows { unwritable(object.py(), N::NAME) } else { raised }
        })?;
        Ok(Self { text, name: PhantomData })
    }
}

/// An argument that is a list of text.
pub(crate) struct Strs<N> {
    words: Vec<String>,
    name: PhantomData<N>,
}

impl<N> Deref for Strs<N> {
    type Target = [String];

    fn deref(&self) -> &[String] {
        &self.words
    }
}

impl<N: Name> FromPyObject<'_, '_> for Strs<N> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        let words = object.extract::<Vec<Bound<'_, PyAny>>>()?;
        let words =
            words.iter().map(|word| word.extract::<Str<'_, N>>().map(|word| word.to_owned()));
        Ok(Self { words: words.collect::<PyResult<_>>()?, name: PhantomData })
    }
}

/// An argument that is text, or a list of it.
pub(crate) struct Words<N> {
    words: Vec<String>,
    name: PhantomData<N>,
}

impl<N> Deref for Words<N> {
    type Target = [String];

    fn deref(&self) -> &[String] {
        &self.words
    }
}

impl<N: Name> FromPyObject<'_, '_> for Words<N> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        let words = if object.is_instance_of::<PyString>() {
            object.extract::<Str<'_, N>>()?.split_ascii_whitespace().map(str::to_owned).collect()
        } else {
            object.extract::<Strs<N>>()?.words
        };
        Ok(Self { words, name: PhantomData })
    }
}

/// An argument that is bytes, or text, which is UTF-8.
pub(crate) struct Data<N> {
    bytes: Bytes,
    name: PhantomData<N>,
}

enum Bytes {
    Given(PyBackedBytes),
    Text(Vec<u8>),
}

impl<N> Deref for Data<N> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Given(bytes) => bytes,
            Bytes::Text(bytes) => bytes,
        }
    }
}

impl<N: Name> FromPyObject<'_, '_> for Data<N> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        let bytes = if object.is_instance_of::<PyString>() {
            Bytes::Text(object.extract::<Str<'_, N>>()?.as_bytes().to_vec())
        } else {
            let bytes = object.extract::<PyBackedBytes>();
            Bytes::Given(bytes.map_err(|_| {
                PyTypeError::new_err(format!(
                    "`{}` is a `{}`: give bytes or text",
                    N::NAME,
                    type_name(&object.get_type())
                ))
            })?)
        };
        Ok(Self { bytes, name: PhantomData })
    }
}

/// Text that a callback answered.
pub(crate) fn answered(object: &Bound<'_, PyAny>) -> Result<String, Fault> {
    let text = object.cast::<PyString>().map_err(|_| {
        Fault::Answered(format!("a `{}` where text belongs", type_name(&object.get_type())))
    })?;
    text.to_str()
        .map(str::to_owned)
        .map_err(|_| Fault::Answered("text that can't be written as UTF-8".to_owned()))
}

/// Says that a text can't be written as UTF-8, and shows nothing of it.
#[cold]
pub(crate) fn unwritable(py: Python<'_>, name: &str) -> PyErr {
    exception(py, &Error::new(ErrorCode::InvalidArgument, format!("`{name}` {UNWRITABLE}")), None)
}

pub(crate) const UNWRITABLE: &str = "holds a character that can't be written as UTF-8, such as a \
                                     byte of another encoding from the environment: correct the \
                                     text";

/// The name of an argument, for messages.
pub(crate) trait Name {
    const NAME: &'static str;
}

macro_rules! names {
    ($($name:ident)*) => {
        /// The arguments that are text.
        #[allow(non_camel_case_types, reason = "named as the arguments are")]
        pub(crate) mod arg {
            $(
                pub(crate) enum $name {}

                impl super::Name for $name {
                    const NAME: &'static str = stringify!($name);
                }
            )*
        }
    };
}

names! {
    access_token account body code company company_id data expected key label location method
    operations path redirect redirect_uri refresh_token scheme scopes sealed url version version_id
}
