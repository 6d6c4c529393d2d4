//! Import: a grant from elsewhere becomes the account's, unless it was here before.

use super::{ChangeKind, Content, Decision, Grant, Grants};
use crate::clock::Clock;
use crate::error::Result;

/// Outcome of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Import {
    /// The grant is stored.
    Imported,
    /// This refresh token was seen before. Nothing changed.
    Known,
    /// Another live grant is stored and was kept.
    Kept,
}

/// Imports a grant: see [`Client::import`](crate::Client::import).
pub(crate) fn import(grants: &Grants, mut grant: Grant, replace: bool) -> Result<Import> {
    grant.validate()?;
    let _call = grants.begin_call();
    let now = grants.clock.now();
    grant.obtained_at = now;
    grant.authorized_at = now;
    let (grant, account) = (&grant, &grant.account);
    let token = grant.refresh_token.as_ref().unwrap_or(&grant.access_token);
    let spent = Some(grants.vault.fingerprint(account, token.expose()));
    grants.write(account, |record| {
        let seen = record.map_or(&[][..], |record| &record.seen);
        if grants.vault.has_seen(account, token.expose(), seen)? {
            return Ok(Decision::Leave(Import::Known));
        }
        if !replace && record.is_some_and(|record| record.grant.is_some()) {
            return Ok(Decision::Leave(Import::Kept));
        }
        let content = Content::Grant { grant, spent };
        Ok(Decision::Write(content, Some(ChangeKind::Saved), Import::Imported))
    })
}
