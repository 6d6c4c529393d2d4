//! Applying a verified INSTALL or UNINSTALL to the grants of a client.

use super::event::{Lifecycle, VerifiedFor, WebhookEvent};
use crate::account::AccountKind;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::inner::Inner;
use crate::installs::{Applied, Uninstalled};

/// Does what the event means: see [`Client::apply`](crate::Client::apply).
pub(crate) fn apply(inner: &Inner, event: &WebhookEvent) -> Result<Applied> {
    inner.check_open()?;
    inner.refresher.credential.oauth()?;
    let Some(lifecycle) = event.lifecycle() else { return Ok(Applied::Nothing) };
    let is_ours = match event.verified() {
        VerifiedFor::AnyApp => false,
        VerifiedFor::AppId => event.app_id() == inner.refresher.credential.app_id(),
        VerifiedFor::Client(app) => **app == *inner.settings().app,
    };
    if !is_ours {
        return Err(Error::argument(
            "the event was not verified for this client's app: verify it with a verifier that this \
             client's `webhook_verifier` made",
        ));
    }
    inner.check_process()?;
    let Some(account) = event.account() else { return Ok(Applied::Nothing) };
    let _call = inner.begin_call();
    let uninstalled = match event.timestamp() {
        Some(at) => Uninstalled { at, is_platforms: true },
        None => Uninstalled { at: inner.clock().now(), is_platforms: false },
    };
    let installations = inner.installations();
    match (lifecycle, account.kind()) {
        (Lifecycle::Install, AccountKind::Location) => {
            installations.install(account, event.company(), uninstalled.at)
        }
        (Lifecycle::Install, AccountKind::Company) => Ok(Applied::Nothing),
        (Lifecycle::Uninstall, AccountKind::Location) => {
            installations.uninstall(account, uninstalled)
        }
        (Lifecycle::Uninstall, AccountKind::Company) => {
            installations.uninstall_company(account, uninstalled)
        }
    }
}
