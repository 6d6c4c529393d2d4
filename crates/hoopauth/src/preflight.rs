//! What a request needs before it is sent: whose token, of which class, with which scopes, and which `Version`.

use crate::account::Account;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::headers::Headers;
use crate::operations::Operation;

/// A request that is about to be sent.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    /// Whose token is asked for; else the default account's.
    pub(crate) account: Option<&'a str>,
    /// In capitals.
    pub(crate) method: &'a str,
    /// The path below `api_base`, from its `/` on, encoded as it is sent, without the query. `None` for a URL that is not below it.
    pub(crate) path: Option<&'a str>,
    /// The query, decoded.
    pub(crate) query: &'a [(String, String)],
    /// The body, if there is one.
    pub(crate) body: Option<&'a [u8]>,
    /// The `Version` that the caller asks for.
    pub(crate) version: Option<&'a str>,
}

/// What it is sent with.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) headers: Headers,
    /// Whose headers they are; `None` for a static token without an account.
    pub(crate) account: Option<Account>,
    pub(crate) operation: Option<Operation>,
}

impl Client {
    /// Finds the token for a request, refuses what the platform would refuse, and chooses the `Version`.
    pub(crate) fn prepare(&self, request: &Outgoing<'_>) -> Result<Prepared> {
        let headers = match request.account {
            Some(account) => self.headers_for(account, request.method)?,
            None => self.headers(request.method)?,
        };
        let headers = match request.version {
            Some(version) => headers.with_version(version)?,
            None => headers,
        };
        let account = Account::parse(headers.account()).ok();
        let operation = request.path.and_then(|path| Operation::find(request.method, path));
        if headers.authorization().is_empty() {
            return Err(Error::argument("no token"));
        }
        Ok(Prepared { headers, account, operation })
    }
}
