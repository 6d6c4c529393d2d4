//! What a webhook says.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};

use super::keys::hex_byte;
use super::timestamp;
use crate::account::Account;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorCode, Result};
use crate::sorted::sorted;

/// What a webhook says.
#[derive(Clone)]
pub struct WebhookEvent {
    body: Arc<[u8]>,
    event_type: String,
    id: String,
    timestamp: Option<Timestamp>,
    account: Option<Account>,
    company: Option<Account>,
    app_id: Option<String>,
    verified: VerifiedFor,
}

impl WebhookEvent {
    /// Reads a body. Whose it is and how old is not looked at here. `WEBHOOK_MALFORMED`.
    #[doc(hidden)]
    pub fn parse(body: &[u8]) -> Result<Self> {
        let json = std::str::from_utf8(body).map_err(|_| malformed("it is not UTF-8"))?;
        let json = mend(json);
        let members = Members::read(&json)?;
        let event_type = text("type", members.event_type.as_ref())?;
        let event_type = event_type.ok_or_else(|| malformed("it has no `type`"))?;
        let location = account("locationId", members.location_id.as_ref(), Account::location)?;
        let company = account("companyId", members.company_id.as_ref(), Account::company)?;
        let id = text("webhookId", members.webhook_id.as_ref())?;
        Ok(Self {
            event_type: event_type.to_owned(),
            id: id.map_or_else(|| hash_of(body), str::to_owned),
            timestamp: members.timestamp()?,
            account: location.or_else(|| company.clone()),
            company,
            app_id: text("appId", members.app_id.as_ref())?.map(str::to_owned),
            verified: VerifiedFor::AnyApp,
            body: body.into(),
        })
    }

    /// `type`, such as `ContactCreate`; unknown ones are passed on.
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// `webhookId`, or a hash of the body where there is none.
    pub fn webhook_id(&self) -> &str {
        &self.id
    }

    /// When it happened.
    pub fn timestamp(&self) -> Option<Timestamp> {
        self.timestamp
    }

    /// The location it is about, else the company.
    pub fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    /// `appId`.
    pub fn app_id(&self) -> Option<&str> {
        self.app_id.as_deref()
    }

    /// The body, byte for byte.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body, parsed. Half an emoji, as JavaScript escapes one that was cut, is U+FFFD.
    pub fn json(&self) -> serde_json::Value {
        let json = std::str::from_utf8(&self.body).map(mend).unwrap_or_default();
        serde_json::from_str(&json).unwrap_or_default()
    }

    /// The company, of a location's event too.
    pub(super) fn company(&self) -> Option<&Account> {
        self.company.as_ref()
    }

    /// What it says about grants, if anything.
    pub(super) fn lifecycle(&self) -> Option<Lifecycle> {
        match &*self.event_type {
            "INSTALL" => Some(Lifecycle::Install),
            "UNINSTALL" => Some(Lifecycle::Uninstall),
            _ => None,
        }
    }

    pub(super) fn verified(&self) -> &VerifiedFor {
        &self.verified
    }

    pub(super) fn set_verified(&mut self, verified: VerifiedFor) {
        self.verified = verified;
    }
}

impl fmt::Debug for WebhookEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookEvent")
            .field("event_type", &self.event_type)
            .field("webhook_id", &self.id)
            .finish_non_exhaustive()
    }
}

/// What an event says about grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifecycle {
    Install,
    Uninstall,
}

/// Which app an event was verified to be of.
#[derive(Clone, Debug)]
pub(super) enum VerifiedFor {
    /// Nobody looked, or it is another's.
    AnyApp,
    /// That of its own app id.
    AppId,
    /// That of a client, by what everything stored is keyed by.
    Client(Arc<str>),
}

/// Those members of an event that are looked at.
#[derive(Default)]
struct Members<'a> {
    event_type: Option<Scalar<'a>>,
    webhook_id: Option<Scalar<'a>>,
    timestamp: Option<Scalar<'a>>,
    location_id: Option<Scalar<'a>>,
    company_id: Option<Scalar<'a>>,
    app_id: Option<Scalar<'a>>,
}

impl<'a> Members<'a> {
    fn read(text: &'a str) -> Result<Self> {
        let mut members = Self::default();
        let mut reader = serde_json::Deserializer::from_str(text);
        let walk = Walk { depth: 0, members: Some(&mut members) };
        // Its messages name places, and what was expected there; of a body's text they hold nothing.
        let whole = walk.deserialize(&mut reader).and_then(|whole| reader.end().map(|()| whole));
        match whole.map_err(|error| malformed(&format!("it is not the JSON that it should be: {error}")))? {
            Scalar::Object => Ok(members),
            _ => Err(malformed("it is not a JSON object")),
        }
    }

    fn timestamp(&self) -> Result<Option<Timestamp>> {
        match &self.timestamp {
            None | Some(Scalar::Null) => return Ok(None),
            Some(Scalar::Text(text)) if text.is_empty() => return Ok(None),
            Some(Scalar::Text(text)) => timestamp::read(text),
            Some(Scalar::Number(millis)) => millis.map(Timestamp),
            Some(_) => None,
        }
        .map(Some)
        .ok_or_else(|| malformed("`timestamp` is neither ISO 8601 nor milliseconds since 1970"))
    }
}

/// A value, as far as it can be one of those members.
enum Scalar<'a> {
    Null,
    Text(Cow<'a, str>),
    /// `None`: beyond all moments.
    Number(Option<i64>),
    Boolean,
    Array,
    Object,
}

/// Reads a value whole, and refuses what parsers disagree about: objects that name a member twice, and too deep ones.
struct Walk<'w, 'a> {
    depth: usize,
    /// At the top: where the members go.
    members: Option<&'w mut Members<'a>>,
}

impl Walk<'_, '_> {
    fn inside<E: serde::de::Error>(&self) -> std::result::Result<Self, E> {
        if self.depth == DEEPEST {
            return Err(E::custom(format_args!("it is nested deeper than {DEEPEST}")));
        }
        Ok(Self { depth: self.depth + 1, members: None })
    }
}

impl<'a> DeserializeSeed<'a> for Walk<'_, 'a> {
    type Value = Scalar<'a>;

    fn deserialize<D: serde::Deserializer<'a>>(self, reader: D) -> std::result::Result<Scalar<'a>, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Walk<'_, 'a> {
    type Value = Scalar<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> std::result::Result<Scalar<'a>, E> {
        Ok(Scalar::Null)
    }

    fn visit_bool<E>(self, _: bool) -> std::result::Result<Scalar<'a>, E> {
        Ok(Scalar::Boolean)
    }

    fn visit_i64<E>(self, number: i64) -> std::result::Result<Scalar<'a>, E> {
        Ok(Scalar::Number((-LAST_MILLISECOND..=LAST_MILLISECOND).contains(&number).then_some(number)))
    }

    fn visit_u64<E>(self, number: u64) -> std::result::Result<Scalar<'a>, E> {
        let number = i64::try_from(number).ok();
        Ok(Scalar::Number(number.filter(|number| *number <= LAST_MILLISECOND)))
    }

    fn visit_f64<E>(self, number: f64) -> std::result::Result<Scalar<'a>, E> {
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "far below 2⁵³")]
        let whole = (number.abs() <= LAST_MILLISECOND as f64).then(|| number.floor() as i64);
        Ok(Scalar::Number(whole))
    }

    fn visit_borrowed_str<E>(self, text: &'a str) -> std::result::Result<Scalar<'a>, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> std::result::Result<Scalar<'a>, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut items: A) -> std::result::Result<Scalar<'a>, A::Error> {
        while items.next_element_seed(self.inside()?)?.is_some() {}
        Ok(Scalar::Array)
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> std::result::Result<Scalar<'a>, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = map.next_key_seed(self.inside()?)? {
            let value = map.next_value_seed(self.inside()?)?;
            let Scalar::Text(name) = name else { continue };
            if let Some(members) = &mut self.members {
                let place = match &*name {
                    "type" => Some(&mut members.event_type),
                    "webhookId" => Some(&mut members.webhook_id),
                    "timestamp" => Some(&mut members.timestamp),
                    "locationId" => Some(&mut members.location_id),
                    "companyId" => Some(&mut members.company_id),
                    "appId" => Some(&mut members.app_id),
                    _ => None,
                };
                if let Some(place) = place {
                    *place = Some(value);
                }
            }
            names.push(name);
        }
        let names = sorted(names);
        if names.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
            return Err(A::Error::custom("an object names one member twice"));
        }
        Ok(Scalar::Object)
    }
}

/// Replaces the escapes of surrogates that have no partner, which no text can hold, by that of U+FFFD.
fn mend(json: &str) -> Cow<'_, str> {
    let escape = |at: usize| match json.as_bytes().get(at..)? {
        [b'\\', b'u', a, b, c, d, ..] => Some(u16::from_be_bytes([hex_byte([*a, *b])?, hex_byte([*c, *d])?])),
        _ => None,
    };
    let (mut mended, mut done, mut at) = (String::new(), 0, 0);
    while let Some(next) = json.get(at..).and_then(|rest| rest.find('\\')) {
        at += next;
        let alone = match (escape(at), escape(at + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => {
                at += 12;
                continue;
            }
            (Some(code), _) => matches!(code, 0xd800..=0xdfff),
            (None, _) => {
                // Whatever it escapes, another backslash too.
                at += 1 + json.get(at + 1..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
                continue;
            }
        };
        if alone {
            mended.push_str(json.get(done..at).unwrap_or_default());
            mended.push_str("\\ufffd");
            done = at + 6;
        }
        at += 6;
    }
    if done == 0 {
        return Cow::Borrowed(json);
    }
    mended.push_str(json.get(done..).unwrap_or_default());
    Cow::Owned(mended)
}

/// A text; an empty one and `null` are none.
fn text<'m>(name: &str, member: Option<&'m Scalar<'_>>) -> Result<Option<&'m str>> {
    match member {
        None | Some(Scalar::Null) => Ok(None),
        Some(Scalar::Text(text)) if text.is_empty() => Ok(None),
        Some(Scalar::Text(text)) if text.len() <= LONGEST_TEXT && !text.chars().any(char::is_control) => {
            Ok(Some(text))
        }
        Some(_) => Err(malformed(&format!(
            "`{name}` is not a text of at most {LONGEST_TEXT} bytes without control characters"
        ))),
    }
}

fn account(
    name: &str,
    member: Option<&Scalar<'_>>,
    account: impl Fn(&str) -> Result<Account>,
) -> Result<Option<Account>> {
    let id = text(name, member)?;
    let account = id.map(account).transpose();
    account.map_err(|error| malformed(&format!("`{name}` is not an id: {}", error.message())))
}

/// What takes the place of an id: the platform's retries are the same bytes.
fn hash_of(body: &[u8]) -> String {
    use std::fmt::Write as _;

    let hash = digest::digest(&digest::SHA256, body);
    hash.as_ref().iter().fold(String::from("sha256:"), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn malformed(why: &str) -> Error {
    Error::new(ErrorCode::WebhookMalformed, format!("the webhook's body is not an event: {why}"))
}

const DEEPEST: usize = 64;
const LONGEST_TEXT: usize = 256;
/// The last one that languages can write as a date.
const LAST_MILLISECOND: i64 = 8_640_000_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn refuse(body: &[u8]) -> String {
        let error = WebhookEvent::parse(body).unwrap_err();
        assert_eq!(error.code(), ErrorCode::WebhookMalformed, "{error}");
        assert!(!error.message().contains("planted"), "{error}");
        error.message().to_owned()
    }

    #[test]
    fn an_event_is_read() {
        let body =
            br#" {"type":"Contact\u0043reate","webhookId":"w-1","timestamp":"2026-01-31T12:00:00.123Z",
            "locationId":"l1","companyId":"c1","appId":"a1","tags":[1,{"type":"x"},null,true,-1.5e3]} "#;
        let event = WebhookEvent::parse(body).unwrap();
        assert_eq!((event.event_type(), event.webhook_id()), ("ContactCreate", "w-1"));
        assert_eq!(event.timestamp(), Some(Timestamp(1_769_860_800_123)));
        assert_eq!(event.account(), Some(&Account::location("l1").unwrap()));
        assert_eq!(event.company(), Some(&Account::company("c1").unwrap()));
        assert_eq!((event.app_id(), event.body()), (Some("a1"), &body[..]));
        assert_eq!(event.json()["tags"][1]["type"], "x");
        assert!(!format!("{event:?}").contains("l1"));
    }

    #[test]
    fn what_is_not_there_is_not_made_up() {
        let event =
            WebhookEvent::parse(br#"{"type":"X","locationId":"","companyId":"c","appId":null}"#).unwrap();
        assert_eq!(event.account(), Some(&Account::company("c").unwrap()));
        assert_eq!((event.app_id(), event.timestamp()), (None, None));
        assert_eq!(event.webhook_id(), hash_of(event.body()));
        assert_eq!(WebhookEvent::parse(br#"{"type":"X"}"#).unwrap().account(), None);
        // SHA-256 of the bytes, as `sha256sum` prints it.
        let hash = "sha256:8b04a59c54a65f8c7c2e9b0b8cf4f1d5";
        assert_eq!(hash_of(b"").split_at(23).0, "sha256:e3b0c44298fc1c14");
        assert_eq!(hash_of(b"").len(), hash.len() + 32);
    }

    #[test]
    fn milliseconds_are_a_timestamp_too() {
        let at = |text: &str| {
            let body = format!(r#"{{"type":"X","timestamp":{text}}}"#);
            WebhookEvent::parse(body.as_bytes()).unwrap().timestamp()
        };
        assert_eq!(at("1769860800123"), Some(Timestamp(1_769_860_800_123)));
        assert_eq!(at("1.7698608001239e12"), Some(Timestamp(1_769_860_800_123)));
        assert_eq!(at("-1"), Some(Timestamp(-1)));
        assert_eq!(at("null"), None);
        for bad in
            ["true", "[]", "{}", "\"yesterday\"", "9e99", "18446744073709551615", "-9223372036854775808"]
        {
            refuse(format!(r#"{{"type":"X","timestamp":{bad}}}"#).as_bytes());
        }
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for body in [
            "",
            "null",
            "[]",
            "\"planted\"",
            "1",
            "{",
            "{}",
            r#"{"type":null}"#,
            r#"{"type":""}"#,
            r#"{"type":1}"#,
            r#"{"type":["planted"]}"#,
            r#"{"type":"a\nb"}"#,
            r#"{"type":"X"} x"#,
            r#"{"type":"X"}{}"#,
            r#"{"type":"X",}"#,
            r#"{"type":"X","a":01}"#,
            r#"{"type":"X","a":1e999}"#,
            r#"{"type":"X","webhookId":1}"#,
            r#"{"type":"X","webhookId":{}}"#,
            r#"{"type":"X","appId":true}"#,
            r#"{"type":"X","locationId":"a b"}"#,
            r#"{"type":"X","locationId":"é"}"#,
            r#"{"type":"X","companyId":7}"#,
            "\u{feff}{\"type\":\"X\"}",
        ] {
            refuse(body.as_bytes());
        }
        assert!(refuse(b"{\"type\":\"\xff\"}").contains("UTF-8"));
        for name in ["type", "webhookId", "locationId"] {
            let long = format!(r#"{{"type":"X","{name}2":1,"{name}":"{}"}}"#, "planted".repeat(40));
            refuse(long.replace(r#""type":"X","type2":1,"#, "").as_bytes());
        }
    }

    #[test]
    fn a_member_is_named_once() {
        for body in [
            r#"{"type":"X","type":"X"}"#,
            r#"{"type":"X","ty\u0070e":"Y"}"#,
            r#"{"type":"X","a":[{"b":1,"c":2,"b":3}]}"#,
        ] {
            assert!(refuse(body.as_bytes()).contains("twice"));
        }
        WebhookEvent::parse(br#"{"type":"X","a":{"type":1},"b":{"type":1}}"#).unwrap();
    }

    #[test]
    fn half_an_emoji_is_replaced() {
        for (text, read) in [
            (r"cut \ud83d", "cut \u{fffd}"),
            (r"\uDE00\ud83d\ud83d\ude00\u00e9", "\u{fffd}\u{fffd}\u{1f600}é"),
            (r"\\ud83d \\\ud83d\n", "\\ud83d \\\u{fffd}\n"),
            (r"\ud83d\\ude00é", "\u{fffd}\\ude00é"),
        ] {
            let body = format!(r#"{{"type":"X","a":"{text}"}}"#);
            let event = WebhookEvent::parse(body.as_bytes()).unwrap();
            assert_eq!(event.json()["a"], read, "{text}");
            assert_eq!(event.body(), body.as_bytes());
            assert_eq!(event.webhook_id(), hash_of(body.as_bytes()));
        }
        for bad in [r#"{"type":"\ud83"}"#, r#"{"type":"X\"#, "{\"type\":\"X\\é\"}", r#"{"type":"X\ud83d\u"#]
        {
            refuse(bad.as_bytes());
        }
    }

    #[test]
    fn depth_has_a_limit() {
        let nested = |depth: usize| {
            format!(r#"{{"type":"X","a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth)).into_bytes()
        };
        WebhookEvent::parse(&nested(DEEPEST - 1)).unwrap();
        assert!(refuse(&nested(DEEPEST)).contains("deeper"));
        refuse(&nested(100_000));
    }
}
