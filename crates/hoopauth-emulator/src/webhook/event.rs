use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::webhook::keys::{HmacStyle, SigningKey, WebhookScheme};

/// A webhook to be signed or sent: what it says, and with which keys it is signed.
///
/// Signed with the newest Ed25519 and RSA keys unless told otherwise, as the platform does.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Webhook {
    /// The members of the event. `type`, `webhookId`, `timestamp` (the emulator's) and `appId` are
    /// filled in where they are left out, for `INSTALL` and `UNINSTALL` also the platform's other
    /// members; `null` leaves a member out.
    #[serde(default)]
    pub event: Map<String, Value>,
    /// The body itself, character for character, in place of an event.
    #[serde(default)]
    pub body: Option<String>,
    /// The schemes it is signed in; none for an unsigned one.
    #[serde(default = "platform_schemes")]
    pub schemes: Vec<WebhookScheme>,
    /// The label of the key in every scheme; none is the newest.
    #[serde(default)]
    pub key: Option<String>,
    /// The app it is for; none is the default one.
    #[serde(default)]
    pub client_id: Option<String>,
}

impl Webhook {
    /// An event of these members; what is no JSON object counts as none.
    pub fn event(members: Value) -> Self {
        let event = if let Value::Object(event) = members { event } else { Map::new() };
        Self { event, body: None, schemes: platform_schemes(), key: None, client_id: None }
    }

    /// This body, character for character.
    pub fn body(text: &str) -> Self {
        Self { body: Some(text.into()), ..Self::event(Value::Null) }
    }

    /// Sets the schemes it is signed in.
    #[must_use]
    pub fn schemes(mut self, schemes: &[WebhookScheme]) -> Self {
        self.schemes = schemes.to_vec();
        self
    }

    /// Sets the label of the key it is signed with.
    #[must_use]
    pub fn key(mut self, label: &str) -> Self {
        self.key = Some(label.into());
        self
    }

    /// Sets the app it is for.
    #[must_use]
    pub fn client_id(mut self, client_id: &str) -> Self {
        self.client_id = Some(client_id.into());
        self
    }
}

/// A webhook as it goes over the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SignedWebhook {
    /// The signatures, then `Content-Type`, spelled as the platform does.
    pub headers: Vec<(String, String)>,
    /// The body the signatures are of.
    pub body: String,
}

/// A webhook that lacks nothing but its signatures, which are the same at every call.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    /// Returns the members of the body; empty if it is no JSON object.
    pub(crate) event: Map<String, Value>,
    pub(crate) body: String,
    pub(crate) keys: Vec<Arc<SigningKey>>,
    pub(crate) style: HmacStyle,
}

impl Prepared {
    pub(crate) fn sign(&self) -> SignedWebhook {
        let signature = |key: &Arc<SigningKey>| {
            (key.scheme.header().to_owned(), key.sign(self.body.as_bytes(), self.style))
        };
        let mut headers: Vec<_> = self.keys.iter().map(signature).collect();
        headers.push(("Content-Type".into(), "application/json".into()));
        SignedWebhook { headers, body: self.body.clone() }
    }
}

/// `2026-01-31T23:59:59.999Z`
pub(crate) fn iso8601(ms: i64) -> String {
    let (days, in_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    let (hour, minute) = (in_day / 3_600_000, in_day / 60_000 % 60);
    let (second, milli) = (in_day / 1_000 % 60, in_day % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// The date of a day counted from 1970, in the Gregorian calendar: years are counted from March, so
/// that the day that may be missing is the last one.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_TO_1970;
    let (era, in_era) = (days.div_euclid(DAYS_OF_ERA), days.rem_euclid(DAYS_OF_ERA));
    let year_of_era = (in_era - in_era / 1_460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * in_year + 2) / 153;
    let day = in_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

fn platform_schemes() -> Vec<WebhookScheme> {
    vec![WebhookScheme::Ed25519, WebhookScheme::RsaSha256]
}

/// From the first of March of the year 0.
const DAYS_TO_1970: i64 = 719_468;
/// 400 years.
const DAYS_OF_ERA: i64 = 146_097;

#[cfg(test)]
mod tests {
    use super::iso8601;

    #[test]
    fn timestamps_are_dates_of_the_calendar() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_700_000_000_123, "2023-11-14T22:13:20.123Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(iso8601(ms), text);
        }
    }
}
