//! The options of a verifier.

use std::time::Duration;

use super::WebhookVerifierBuilder;
use crate::error::Result;
use crate::options::{OptionRow, OptionSet, rows, setters};

#[rustfmt::skip] // It moves the continued lines of texts to the left, each time it runs.
macro_rules! verifier_options {
    ($then:ident) => {
        $then! {
            platform_key OptionKind::Boolean, Some("true"),
                "`true` accepts signatures of the platform's Ed25519 key, under the label \
                 `platform`.";
            platform_rsa_key OptionKind::Boolean, Some("false"),
                "`true` accepts signatures of the platform's older RSA key, under the label \
                 `platform-rsa`; the platform announced its end for 1 September 2026.";
            app_id OptionKind::Text, None,
                "The app whose events are accepted: the platform signs the events of all apps \
                 with one key. Unset: the part of the client's `client_id` before the `-`. An \
                 event that names no app is accepted if the client has a grant for its account \
                 or company, or if a shared secret signed it.";
            any_app OptionKind::Boolean, Some("false"),
                "`true` accepts events of other apps, and events that name no app and belong to \
                 an account without a grant of the client. An INSTALL or UNINSTALL that does not \
                 name this app is never accepted.";
            max_age OptionKind::Seconds(1.0, 31_536_000.0), Some("259200"),
                "The age, in seconds, of the oldest event to accept. For an hour and more, the \
                 platform repeats an event that was answered with 429; `300` refuses such \
                 repeats. With `replay` in a store, which others share, at most the default.";
            without_timestamp OptionKind::Boolean, None,
                "`true` accepts events without a `timestamp`, or with one in an unknown form; \
                 `false` refuses them. Unset: they are accepted if a shared secret signed them. \
                 Such an event, once handled, is refused for as long as `max_age`, and no \
                 longer; without a `webhookId` too, for 15 minutes, because its next occurrence \
                 looks the same.";
            replay OptionKind::Choice(&["store", "memory", "off"]), None,
                "The place that remembers the ids of deliveries: `store` (the client's store, \
                 for all processes that share it), `memory` (this process, until it ends) or \
                 `off` (the program does it). Unset: `store` with a client of OAuth, else \
                 `memory`. With a client whose own store is `memory:` both are the same bounded \
                 memory.";
            replay_memory OptionKind::Number(1, 100_000_000), Some("100000"),
                "Deliveries that `memory` remembers. Events as old as one that it had to forget \
                 are refused.";
            claim_seconds OptionKind::Seconds(1.0, 86_400.0), Some("600"),
                "Seconds that the handling of a delivery may take: a delivery that is neither \
                 confirmed nor released by then is accepted again.";
            max_body OptionKind::Number(1, 1 << 30), Some("1048576"),
                "The longest body to accept, in bytes. Adapters stop reading there.";
        }
    };
}

/// The options of a verifier, by name as text: the same in every language.
pub static WEBHOOK_OPTIONS: &[OptionRow] = verifier_options!(rows);

/// One method for each option; the last value wins.
impl WebhookVerifierBuilder {
    verifier_options!(setters);
}

/// The options in the form they are used in.
#[derive(Clone, Debug)]
pub(super) struct VerifierSettings {
    pub(super) app_id: Option<String>,
    pub(super) any_app: bool,
    pub(super) max_age: Duration,
    /// Unset: as the signature says.
    pub(super) without_timestamp: Option<bool>,
    pub(super) claim: Duration,
    pub(super) max_body: usize,
}

impl VerifierSettings {
    pub(super) fn read(options: &OptionSet, client_app_id: Option<&str>) -> Result<Self> {
        Ok(Self {
            app_id: options.text("app_id")?.or_else(|| client_app_id.map(str::to_owned)),
            any_app: options.is_on("any_app")?,
            max_age: options.seconds("max_age")?,
            without_timestamp: options.boolean("without_timestamp")?,
            claim: options.seconds("claim_seconds")?,
            max_body: options.size("max_body")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::tests::refuses_every_mistake;

    #[test]
    fn every_option_refuses_every_mistake() {
        refuses_every_mistake(WEBHOOK_OPTIONS);
    }
}
