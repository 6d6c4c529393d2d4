//! A request as the program gave it, parsed once into types.

use std::borrow::Cow;

use bytes::Bytes;

use super::method::Method;
use super::target::Target;
use super::{LONGEST_BODY, RequestBuilder, fields};
use crate::error::{Error, Result};
use crate::operations::Operation;
use crate::settings::Settings;

/// A checked request that still needs its headers.
#[derive(Debug)]
pub(super) struct Outgoing<'a> {
    pub(super) method: Method,
    pub(super) target: Target,
    /// The documented operation, if there is one.
    pub(super) operation: Option<Operation>,
    /// Account whose token the request asks for, or the default account.
    pub(super) account: Option<&'a str>,
    /// The whole query, decoded.
    pub(super) query: Cow<'a, [(String, String)]>,
    pub(super) body: Bytes,
    /// `Version` that the caller asks for.
    pub(super) version: Option<&'a str>,
}

impl<'a> Outgoing<'a> {
    /// Checks everything that needs no token. `default`: the client's default account.
    pub(super) fn parse(
        request: &'a RequestBuilder,
        settings: &Settings,
        default: Option<&'a str>,
    ) -> Result<Self> {
        let method = request.method.ok_or_else(no_method)?;
        let target = Target::new(settings, &request.path, &request.params)?;
        fields::check(&request.headers)?;
        let body = request.body.clone().unwrap_or_default();
        check_body(method, &body)?;
        let operation = target.below().and_then(|path| Operation::find_path(method.as_str(), path));
        let mut query: Vec<_> = target.own_query().collect();
        let query = if query.is_empty() {
            Cow::Borrowed(&*request.params)
        } else {
            query.extend_from_slice(&request.params);
            Cow::Owned(query)
        };
        Ok(Self {
            method,
            target,
            operation,
            account: request.account.as_deref().or(default),
            query,
            body,
            version: request.version.as_deref(),
        })
    }
}

fn check_body(method: Method, body: &Bytes) -> Result<()> {
    if body.len() > LONGEST_BODY {
        return Err(Error::argument("the body is longer than 512 MiB: send less at a time"));
    }
    if !body.is_empty() && method.only_reads() {
        return Err(Error::argument(format!(
            "a {method} carries no body: give the data as `param`, or use the method that the \
             operation has"
        )));
    }
    Ok(())
}

#[cold]
fn no_method() -> Error {
    Error::argument("the method must be one of GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS")
}
