//! Reads the body of a webhook.
//!
//! A genuine body is always delivered: the signature proves it, so we leave out a member that we
//! can't read, and the program has the body. Only harmful bodies are refused: a body that is not a
//! JSON object, and a body that is nested so deep that a recursive parser of the host program could
//! crash.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer as _};
use serde_json::value::RawValue;

use super::timestamp;
use crate::account::Account;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorCode, Result};
use crate::web_url::hex_byte;

/// Content of a webhook.
#[derive(Clone)]
pub struct WebhookEvent {
    body: Arc<[u8]>,
    event_type: String,
    id: String,
    has_id: bool,
    time: EventTime,
    account: Option<Account>,
    company: Option<Account>,
    app: NamedApp,
    verified: VerifiedFor,
}

impl WebhookEvent {
    /// Reads a body. This does not check its app and its age. `WEBHOOK_MALFORMED`.
    pub(crate) fn parse(body: &[u8]) -> Result<Self> {
        let text = readable(body)?;
        let members = Members::read(&text)?;
        let event_type = members.event_type.text().unwrap_or_default();
        let mut location = Named::of(&members.location_id, Account::location);
        let company = Named::of(&members.company_id, Account::company);
        if lifecycle_of(&event_type).is_some() {
            // These events change grants: an unclear event changes nothing.
            members.check_clear()?;
            if matches!(location, Named::Unreadable) || matches!(company, Named::Unreadable) {
                return Err(malformed(
                    "its `locationId` or `companyId` is not an id, so its grant is unknown",
                ));
            }
        } else if matches!((&location, &company), (Named::No, Named::No)) {
            location = members.other_account();
        }
        let company = company.account();
        let account = match location {
            Named::No => company.clone(),
            // Not the company: the event is about a location.
            Named::Unreadable => None,
            Named::Account(account) => Some(account),
        };
        let id = members.webhook_id.text();
        Ok(Self {
            event_type,
            has_id: id.is_some(),
            id: id.unwrap_or_else(|| hash_of(body)),
            time: members.time(),
            account,
            company,
            app: members.app(),
            verified: VerifiedFor::AnyApp,
            body: body.into(),
        })
    }

    /// Returns `type`, such as `ContactCreate`; unknown types are passed on. Empty if the event has
    /// none, as events of invoices, products and records.
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// Returns `webhookId`, or a hash of the body if there is none.
    pub fn webhook_id(&self) -> &str {
        &self.id
    }

    /// Returns the moment of the event; `None` if the event names none, or names it in an unknown
    /// form.
    pub fn timestamp(&self) -> Option<Timestamp> {
        match self.time {
            EventTime::At(at) => Some(at),
            EventTime::No | EventTime::Unreadable => None,
        }
    }

    /// Returns the location of the event, else the company. An event without `locationId` and
    /// `companyId` may name it by `altId` and `altType`, as those of invoices do.
    pub fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    /// `appId`.
    pub fn app_id(&self) -> Option<&str> {
        match &self.app {
            NamedApp::One(app_id) => Some(app_id),
            NamedApp::No | NamedApp::Unclear => None,
        }
    }

    /// The body, byte for byte.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Returns the body as JSON text that every parser accepts: without a byte order mark; with
    /// U+FFFD for half an emoji (as JavaScript escapes one that was cut); and with text for a
    /// number beyond all floating-point numbers.
    pub fn json_text(&self) -> Cow<'_, str> {
        match readable(&self.body) {
            Ok(Cow::Borrowed(text)) => quote_huge_numbers(text),
            Ok(Cow::Owned(text)) => match quote_huge_numbers(&text) {
                Cow::Owned(quoted) => Cow::Owned(quoted),
                Cow::Borrowed(_) => Cow::Owned(text),
            },
            Err(_) => Cow::Borrowed("null"),
        }
    }

    /// Returns the parsed body; see [`json_text`](Self::json_text). If a member is named twice, the
    /// last one counts.
    pub fn json(&self) -> serde_json::Value {
        let text = self.json_text();
        let mut reader = serde_json::Deserializer::from_str(&text);
        // How deep it is was looked at when it was read.
        reader.disable_recursion_limit();
        serde_json::Value::deserialize(&mut reader).unwrap_or_default()
    }

    /// Returns the company, also for an event of a location.
    pub(super) fn company(&self) -> Option<&Account> {
        self.company.as_ref()
    }

    /// Returns the meaning of the event for grants, if it has one.
    pub(super) fn lifecycle(&self) -> Option<Lifecycle> {
        lifecycle_of(&self.event_type)
    }

    /// Returns the app that the event names.
    pub(super) fn app(&self) -> &NamedApp {
        &self.app
    }

    pub(super) fn time(&self) -> EventTime {
        self.time
    }

    /// Returns `true` if two events of the same bytes may be two events: neither an id nor a time
    /// tells them apart.
    pub(super) fn is_indistinct(&self) -> bool {
        !self.has_id && self.time == EventTime::No
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

/// Meaning of an event for grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifecycle {
    Install,
    Uninstall,
}

fn lifecycle_of(event_type: &str) -> Option<Lifecycle> {
    match event_type {
        "INSTALL" => Some(Lifecycle::Install),
        "UNINSTALL" => Some(Lifecycle::Uninstall),
        _ => None,
    }
}

/// App that an event was verified for.
#[derive(Clone, Debug)]
pub(super) enum VerifiedFor {
    /// Nobody checked, or the app is another one.
    AnyApp,
    /// App of the verifier, by its app id.
    AppId,
    /// App of a client, by the key of everything that is stored.
    Client(Arc<str>),
}

/// App that an event names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NamedApp {
    /// None.
    No,
    /// This one.
    One(String),
    /// Several apps, or a value that is not an id: not certainly ours.
    Unclear,
}

/// Moment of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventTime {
    /// The event names no moment.
    No,
    At(Timestamp),
    /// The event names the moment in an unknown form.
    Unreadable,
}

/// The account that an id names.
enum Named {
    No,
    Account(Account),
    Unreadable,
}

impl Named {
    fn of(member: &Member<'_>, account: impl Fn(&str) -> Result<Account>) -> Self {
        match (member.text(), &member.value) {
            (Some(id), _) => account(&id).map_or(Self::Unreadable, Self::Account),
            (None, Some(value)) if is_something(value) => Self::Unreadable,
            (None, _) => Self::No,
        }
    }

    fn account(self) -> Option<Account> {
        match self {
            Self::Account(account) => Some(account),
            Self::No | Self::Unreadable => None,
        }
    }
}

/// Members of an event that are used.
#[derive(Default)]
struct Members<'a> {
    event_type: Member<'a>,
    webhook_id: Member<'a>,
    timestamp: Member<'a>,
    location_id: Member<'a>,
    company_id: Member<'a>,
    app_id: Member<'a>,
    alt_id: Member<'a>,
    alt_type: Member<'a>,
}

impl<'a> Members<'a> {
    fn read(text: &'a str) -> Result<Self> {
        // Checked here, because serde's message would quote the value that stands there instead.
        if !text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{') {
            return Err(malformed("it is not a JSON object"));
        }
        check_depth(text)?;
        let mut reader = serde_json::Deserializer::from_str(text);
        let members =
            reader.deserialize_map(Walk).and_then(|members| reader.end().map(|()| members));
        // Its messages name places, and what was expected there; of a body's text they hold
        // nothing.
        members.map_err(|error| malformed(&format!("it is not valid JSON: {error}")))
    }

    fn place(&mut self, name: Name) -> Option<&mut Member<'a>> {
        match name {
            Name::Type => Some(&mut self.event_type),
            Name::WebhookId => Some(&mut self.webhook_id),
            Name::Timestamp => Some(&mut self.timestamp),
            Name::LocationId => Some(&mut self.location_id),
            Name::CompanyId => Some(&mut self.company_id),
            Name::AppId => Some(&mut self.app_id),
            Name::AltId => Some(&mut self.alt_id),
            Name::AltType => Some(&mut self.alt_type),
            Name::Other => None,
        }
    }

    /// Refuses an event that contradicts itself.
    fn check_clear(&self) -> Result<()> {
        let named = [
            ("type", &self.event_type),
            ("timestamp", &self.timestamp),
            ("locationId", &self.location_id),
            ("companyId", &self.company_id),
        ];
        match named.iter().find(|(_, member)| member.differs) {
            None => Ok(()),
            Some((name, _)) => Err(malformed(&format!(
                "it names `{name}` several times with different values, so its grant is unknown"
            ))),
        }
    }

    fn app(&self) -> NamedApp {
        match self.app_id.text() {
            _ if self.app_id.differs => NamedApp::Unclear,
            Some(app_id) => NamedApp::One(app_id),
            None if self.app_id.value.is_some_and(is_something) => NamedApp::Unclear,
            None => NamedApp::No,
        }
    }

    /// Returns the account that `altId` and `altType` name.
    fn other_account(&self) -> Named {
        match self.alt_type.text().unwrap_or_default().to_ascii_lowercase().as_str() {
            "location" => Named::of(&self.alt_id, Account::location),
            "company" | "agency" => Named::of(&self.alt_id, Account::company),
            _ => Named::No,
        }
    }

    fn time(&self) -> EventTime {
        let Some(value) = self.timestamp.value.filter(|value| is_something(value)) else {
            return EventTime::No;
        };
        let text = string(value).unwrap_or_else(|| value.get().to_owned());
        let read = timestamp::read(text.trim()).or_else(|| timestamp::from_number(text.trim()));
        read.map_or(EventTime::Unreadable, EventTime::At)
    }
}

/// One member of an event, as the body writes it.
#[derive(Default)]
struct Member<'a> {
    /// The last one of that name.
    value: Option<&'a RawValue>,
    /// The event has the name several times, with different values.
    differs: bool,
}

impl Member<'_> {
    /// A text, or a number as it is written. Empty ones and `null` are none; nor is what no id or
    /// type looks like.
    fn text(&self) -> Option<String> {
        let value = self.value?;
        let text = match value.get().as_bytes() {
            [b'"', ..] => string(value)?,
            [b'-' | b'0'..=b'9', ..] => value.get().to_owned(),
            _ => return None,
        };
        let fits =
            !text.is_empty() && text.len() <= LONGEST_TEXT && !text.chars().any(char::is_control);
        fits.then_some(text)
    }
}

/// Returns `false` for `null` and an empty text, which say nothing.
fn is_something(value: &RawValue) -> bool {
    !matches!(value.get(), "null" | "\"\"")
}

fn string(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// The names that are looked at.
#[derive(Clone, Copy)]
enum Name {
    Type,
    WebhookId,
    Timestamp,
    LocationId,
    CompanyId,
    AppId,
    AltId,
    AltType,
    Other,
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(reader: D) -> std::result::Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_str<E>(self, name: &str) -> std::result::Result<Name, E> {
                Ok(match name {
                    "type" => Name::Type,
                    "webhookId" => Name::WebhookId,
                    "timestamp" => Name::Timestamp,
                    "locationId" => Name::LocationId,
                    "companyId" => Name::CompanyId,
                    "appId" => Name::AppId,
                    "altId" => Name::AltId,
                    "altType" => Name::AltType,
                    _ => Name::Other,
                })
            }
        }
        reader.deserialize_str(Read)
    }
}

/// Reads the object at the top. Deeper values are skipped; serde does that without recursion, and
/// without making numbers of it.
struct Walk;

impl<'a> Visitor<'a> for Walk {
    type Value = Members<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> std::result::Result<Members<'a>, A::Error> {
        let mut members = Members::default();
        while let Some(name) = map.next_key::<Name>()? {
            let Some(member) = members.place(name) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value: &RawValue = map.next_value()?;
            member.differs |= member.value.is_some_and(|before| before.get() != value.get());
            member.value = Some(value);
        }
        Ok(members)
    }
}

/// The text of a body in a form that serde reads.
fn readable(body: &[u8]) -> Result<Cow<'_, str>> {
    let text = std::str::from_utf8(body).map_err(|_| malformed("it is not UTF-8"))?;
    Ok(mend(text.strip_prefix('\u{feff}').unwrap_or(text)))
}

/// Refuses what could end a program whose parser is recursive.
fn check_depth(text: &str) -> Result<()> {
    let mut depth = 0_usize;
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => skip_string(&mut bytes),
            b'[' | b'{' => {
                depth += 1;
                if depth > DEEPEST {
                    return Err(malformed(&format!(
                        "it is nested deeper than {DEEPEST}, which could crash a JSON parser"
                    )));
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// Skips the rest of a string, including its closing quote.
fn skip_string(bytes: &mut std::str::Bytes<'_>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
}

/// Puts numbers that are beyond all floating-point numbers in quotes: some parsers refuse a whole
/// text for one of them.
fn quote_huge_numbers(json: &str) -> Cow<'_, str> {
    let (mut quoted, mut done) = (String::new(), 0);
    let mut bytes = json.bytes();
    while let Some(byte) = bytes.next() {
        let at = json.len() - bytes.len() - 1;
        match byte {
            b'"' => skip_string(&mut bytes),
            b'-' | b'0'..=b'9' => {
                let rest = json.get(at..).unwrap_or_default();
                let in_number = |b: u8| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
                let number = rest
                    .split(|c: char| !u8::try_from(c).is_ok_and(in_number))
                    .next()
                    .unwrap_or_default();
                for _ in 1..number.len() {
                    bytes.next();
                }
                if is_huge(number) {
                    quoted.push_str(json.get(done..at).unwrap_or_default());
                    quoted.push('"');
                    quoted.push_str(number);
                    quoted.push('"');
                    done = at + number.len();
                }
            }
            _ => {}
        }
    }
    if done == 0 {
        return Cow::Borrowed(json);
    }
    quoted.push_str(json.get(done..).unwrap_or_default());
    Cow::Owned(quoted)
}

fn is_huge(number: &str) -> bool {
    // Shorter ones without an exponent are in reach.
    (number.len() > 300 || number.contains(['e', 'E']))
        && number.parse::<f64>().is_ok_and(f64::is_infinite)
}

/// Replaces the escapes of surrogates that have no partner, which no text can hold, by that of
/// U+FFFD.
fn mend(json: &str) -> Cow<'_, str> {
    let escape = |at: usize| match json.as_bytes().get(at..)? {
        [b'\\', b'u', a, b, c, d, ..] => {
            Some(u16::from_be_bytes([hex_byte([*a, *b])?, hex_byte([*c, *d])?]))
        }
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
                at += 1 + json
                    .get(at + 1..)
                    .and_then(|rest| rest.chars().next())
                    .map_or(0, char::len_utf8);
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

/// Makes a substitute for an id: the platform's retries are the same bytes.
fn hash_of(body: &[u8]) -> String {
    use std::fmt::Write as _;

    let hash = digest::digest(&digest::SHA256, body);
    hash.as_ref().iter().fold(String::from("sha256:"), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn malformed(why: &str) -> Error {
    Error::new(
        ErrorCode::WebhookMalformed,
        format!("the webhook is signed, but its body can't be read as an event: {why}; answer 400"),
    )
}

/// Deeper than anybody writes an event, and not so deep that a recursive parser runs out of stack
/// or patience.
const DEEPEST: usize = 512;
const LONGEST_TEXT: usize = 256;

#[cfg(test)]
mod tests;
