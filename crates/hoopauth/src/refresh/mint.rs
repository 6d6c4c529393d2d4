//! Minting: a location's token from its company's.

use std::time::Duration;

use super::Refresher;
use super::refused::replace_refused;
use crate::account::Account;
use crate::calls::timed_out;
use crate::clock::Clock;
use crate::error::{Error, ErrorCode, Result};
use crate::grants::Grant;
use crate::operations::Operation;
use crate::refusal::{ApiCall, Meaning, classify};
use crate::transport::TransportResponse;

/// Asks for a location's token, to follow `before`. Refreshes the company's token once if the
/// platform refuses it, with growing pauses if that cures nothing.
pub(crate) fn mint_grant(
    refresher: &Refresher,
    company: &Account,
    location: &Account,
    before: Option<&Grant>,
    timeout: Duration,
) -> Result<Grant> {
    // It can't wait for its turn among API requests: a lease or a call waits for it.
    count_turn(refresher, company);
    mint_counted(refresher, company, location, before, timeout)
}

/// Mints as [`mint_grant`] does, for a caller who counted the first request already.
pub(crate) fn mint_counted(
    refresher: &Refresher,
    company: &Account,
    location: &Account,
    before: Option<&Grant>,
    timeout: Duration,
) -> Result<Grant> {
    let grants = &refresher.grants;
    let heard = |answer: &TransportResponse| {
        let pacing = grants.settings.pacing.as_ref();
        let (status, headers) = (answer.status, answer.headers.iter());
        refresher.limits.note(&grants.clock, pacing, company.as_str(), status, headers);
    };
    let mut bearer = refresher.serve(company).map_err(|error| error.with_account(company))?;
    let mut repeated = false;
    loop {
        let endpoint = refresher.token_endpoint()?;
        let left = grants.at_most(timeout);
        if left.is_zero() {
            return Err(timed_out());
        }
        let asked = grants.clock.now();
        match endpoint.mint(company, location, bearer.authorization(), left, &heard) {
            Ok(answer) => {
                answer.check_new(location, MINT_FROM_ITS_OWN)?;
                if answer.company_id.as_deref().is_some_and(|id| id != company.id()) {
                    return Err(Error::new(
                        ErrorCode::WrongAccount,
                        format!(
                            "the platform gave a token of another company's location, so nothing \
                             was stored: {MINT_FROM_ITS_OWN}"
                        ),
                    )
                    .with_account(location));
                }
                let mut grant = answer.into_grant(location, before, asked, true);
                grant.company_id = Some(company.id().to_owned());
                return Ok(grant);
            }
            Err(failure) if failure.error.status() == Some(401) && !repeated => {
                let call = ApiCall {
                    account: Some(company),
                    operation: Operation::find("POST", "/oauth/locationToken"),
                    bearer: bearer.token(),
                    ..ApiCall::default()
                };
                let refused = match classify(&call, 401, &failure.body) {
                    Meaning::Refreshable(error) => error,
                    Meaning::Final(error) | Meaning::PrivateIntegration(error) => {
                        return Err(error);
                    }
                    Meaning::Pass => return Err(failure.error),
                };
                repeated = true;
                // A refusal that no new token cures must not cost one refresh token per location.
                bearer = replace_refused(refresher, company, &bearer, &refused)?;
                count_turn(refresher, company);
            }
            Err(failure) => return Err(failure.error),
        }
    }
}

fn count_turn(refresher: &Refresher, company: &Account) {
    let Refresher { grants, limits, .. } = refresher;
    limits.count_turn(&grants.clock, grants.settings.pacing.as_ref(), company.as_str());
}

/// The next step after a location was minted from another company than its own.
const MINT_FROM_ITS_OWN: &str =
    "check that the location belongs to the company that you mint it from";
