//! Sending the user to the authorization page, and reading the redirect back: `state`, PKCE, what
//! the host program keeps in between.

use std::borrow::Cow;
use std::collections::HashSet;
use std::time::Duration;
use std::{fmt, str};

use aws_lc_rs::digest;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;
use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::error::{Error, ErrorCode, Result};
use crate::mistake::{self, Form};
use crate::secret::Secret;
use crate::seal::{KeyRing, random};

/// An authorization request being put together (RFC 6749, 4.1.1).
///
/// It starts with the client's own redirect URI and scopes; what is set here counts for this
/// request only. Values are checked when the request is built.
#[derive(Clone, Debug)]
#[must_use]
pub struct AuthorizationRequest {
    defaults: AuthorizeDefaults,
    pkce: bool,
    login_window_self: bool,
    version_id: Option<String>,
}

impl AuthorizationRequest {
    pub(crate) fn new(defaults: AuthorizeDefaults) -> Self {
        Self { defaults, pkce: false, login_window_self: false, version_id: None }
    }

    /// Where the user comes back to; exactly as registered with the app.
    ///
    /// An absolute `http` or `https` URL without a fragment (RFC 6749, 3.1.2), at most 2048 bytes.
    pub fn redirect_uri(mut self, redirect_uri: &str) -> Self {
        self.defaults.redirect_uri = Some(redirect_uri.to_owned());
        self
    }

    /// What to ask for, one scope per item, instead of the client's scopes. Repeated ones are asked
    /// for once.
    pub fn scopes<S: AsRef<str>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.defaults.scopes = scopes.into_iter().map(|scope| scope.as_ref().to_owned()).collect();
        self
    }

    /// Adds a code challenge, method `S256` (RFC 7636). Off by default: HoopAI does not document
    /// it.
    pub fn pkce(mut self, pkce: bool) -> Self {
        self.pkce = pkce;
        self
    }

    /// Asks for the login in the same window, not in a new one (`loginWindowOpenMode=self`).
    pub fn login_window_self(mut self, same_window: bool) -> Self {
        self.login_window_self = same_window;
        self
    }

    /// The version of an app that is not published (`version_id`).
    pub fn version_id(mut self, version_id: &str) -> Self {
        self.version_id = Some(version_id.to_owned());
        self
    }

    /// Checks everything and draws `state` and verifier. The user has ten minutes from `now`.
    pub(crate) fn build(self, now: Timestamp) -> Result<PendingAuthorization> {
        let AuthorizeDefaults { authorize_url, client_id, redirect_uri, scopes } = self.defaults;
        let redirect_uri = redirect_uri.ok_or_else(|| {
            Error::config(
                "`redirect_uri` is missing: set it to the redirect URL that is registered with the app",
            )
        })?;
        validate_redirect_uri("`redirect_uri`", &redirect_uri)?;
        validate_client_id(&client_id)?;
        let scope = validate_scopes("`scopes`", &scopes)?.join(" ");
        if let Some(version_id) = &self.version_id {
            validate_version_id(version_id)?;
        }
        let base = extensible(&authorize_url)?;

        let state = random_text()?;
        let verifier = if self.pkce { Some(random_text()?) } else { None };
        let mut pending = PendingAuthorization {
            url: Secret::public(""),
            state,
            redirect_uri,
            verifier,
            login_window_self: self.login_window_self,
            version_id: self.version_id,
            expires_at: now.plus(LIFETIME),
        };
        pending.url = pending.url_with(&base, &client_id, &scope);
        if pending.url.expose().len() > URL_LIMIT {
            return Err(Error::config(format!(
                "the authorization URL would have {} bytes, more than {URL_LIMIT}: ask for fewer `scopes` or shorten \
                 `redirect_uri`",
                pending.url.expose().len()
            )));
        }
        Ok(pending)
    }
}

/// What an authorization request takes from the client's options.
#[derive(Clone, Debug)]
pub(crate) struct AuthorizeDefaults {
    pub(crate) authorize_url: String,
    pub(crate) client_id: String,
    pub(crate) redirect_uri: Option<String>,
    pub(crate) scopes: Vec<String>,
}

/// An authorization that was begun: send the user to [`url`](Self::url), keep this until the
/// redirect arrives.
///
/// It serves one redirect, and only the browser that was sent away may bring it: keep it where that
/// browser's session is. Sealed, it holds what completing needs and none of the scopes; where a
/// token answer names no scopes, those of the client's option `scopes` then count as granted.
/// `Debug` shows neither the URL nor the `state`.
#[derive(Clone)]
pub struct PendingAuthorization {
    url: Secret,
    state: Secret,
    redirect_uri: String,
    verifier: Option<Secret>,
    login_window_self: bool,
    version_id: Option<String>,
    expires_at: Timestamp,
}

impl PendingAuthorization {
    /// The URL to send the user to. It holds the `state`: don't log it. Once this was sealed and
    /// opened again, it asks for the client's scopes.
    pub fn url(&self) -> &str {
        self.url.expose()
    }

    /// The value that ties the redirect to this request (RFC 6749, 10.12); 256 random bits.
    pub fn state(&self) -> &Secret {
        &self.state
    }

    /// Where the user comes back to. The exchange of the code repeats it.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// From this moment on the redirect is refused.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// The PKCE verifier (RFC 7636, 4.1), if a challenge was sent.
    pub(crate) fn verifier(&self) -> Option<&Secret> {
        self.verifier.as_ref()
    }

    /// Seals what completing needs as text: it fits a cookie, whatever the number of scopes. Opens
    /// for the same `app` only.
    pub(crate) fn seal(&self, ring: &KeyRing, app: &str) -> Result<String> {
        let record = Record {
            state: self.state.expose().into(),
            redirect_uri: self.redirect_uri.as_str().into(),
            verifier: self.verifier.as_ref().map(|verifier| verifier.expose().into()),
            login_window_self: self.login_window_self,
            version_id: self.version_id.as_deref().map(Cow::Borrowed),
            expires_at: self.expires_at,
        };
        // Roomy from the start: growing it would leave copies behind.
        let mut plain = Zeroizing::new(Vec::with_capacity(RECORD_ROOM));
        serde_json::to_writer(&mut *plain, &record).map_err(|_| {
            Error::new(
                ErrorCode::Internal,
                "the pending login could not be written as text; please report it",
            )
        })?;
        Ok(BASE64_URL_SAFE_NO_PAD.encode(ring.seal(&associated(app), &plain)?))
    }

    /// Reads what [`seal`](Self::seal) made. Text that does not open, whatever the reason, is
    /// `STATE_MISMATCH`.
    pub(crate) fn open(
        text: &str,
        ring: &KeyRing,
        app: &str,
        defaults: &AuthorizeDefaults,
    ) -> Result<Self> {
        if text.len() > SEALED_LIMIT {
            return Err(Error::argument(format!(
                "the sealed login has {} bytes, more than {SEALED_LIMIT}: give exactly the text that sealing gave you",
                text.len()
            )));
        }
        let unreadable = || {
            mismatch(
                "the sealed login can't be opened: it was changed or cut short on the way, or it was sealed by another app \
                 or with another key; begin the login again",
            )
        };
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| unreadable())?;
        let plain = ring.open(&associated(app), &sealed).map_err(|_| unreadable())?;
        let record: Record<'_> = serde_json::from_slice(&plain).map_err(|_| unreadable())?;
        let mut pending = Self {
            url: Secret::public(""),
            state: Secret::new(record.state),
            redirect_uri: record.redirect_uri.into_owned(),
            verifier: record.verifier.map(Secret::new),
            login_window_self: record.login_window_self,
            version_id: record.version_id.map(Cow::into_owned),
            expires_at: record.expires_at,
        };
        let scope = validate_scopes("`scopes`", &defaults.scopes).unwrap_or_default().join(" ");
        pending.url =
            pending.url_with(&extensible(&defaults.authorize_url)?, &defaults.client_id, &scope);
        Ok(pending)
    }

    /// The URL to send the user to, on the authorization page `base`.
    fn url_with(&self, base: &str, client_id: &str, scope: &str) -> Secret {
        let challenge = self.verifier.as_ref().map(|verifier| challenge(verifier.expose()));
        let mut pairs = vec![
            ("response_type", "code"),
            ("client_id", client_id),
            ("redirect_uri", &*self.redirect_uri),
            ("scope", scope),
            ("state", self.state.expose()),
        ];
        if let Some(challenge) = &challenge {
            pairs.push(("code_challenge", challenge));
            pairs.push(("code_challenge_method", "S256"));
        }
        if self.login_window_self {
            pairs.push(("loginWindowOpenMode", "self"));
        }
        if let Some(version_id) = &self.version_id {
            pairs.push(("version_id", version_id));
        }
        encode_after(base, &pairs)
    }
}

impl fmt::Debug for PendingAuthorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingAuthorization")
            .field("url", &self.url)
            .field("state", &self.state)
            .field("redirect_uri", &self.redirect_uri)
            .field("verifier", &self.verifier)
            .field("login_window_self", &self.login_window_self)
            .field("version_id", &self.version_id)
            .field("expires_at", &self.expires_at)
            .finish()
    }
}

/// What came back to the redirect URI (RFC 6749, 4.1.2). `Debug` shows nothing of it.
#[derive(Clone, Debug)]
pub struct Redirect {
    code: Option<Secret>,
    state: Option<Secret>,
    error: Option<Secret>,
    error_description: Option<Secret>,
}

impl Redirect {
    /// Reads the URL the user came back to, or only its query, with or without the `?`.
    ///
    /// Spaces around it and a fragment are dropped; parameters of other names are ignored. More
    /// than 16 KiB, a broken percent-escape, or `code`, `state`, `error` or `error_description`
    /// given twice is `INVALID_ARGUMENT`.
    ///
    /// Scheme, host and path are not compared with the redirect URI: behind a proxy or a relay they
    /// differ. What ties the redirect to the request is `state`.
    pub fn read(text: &str) -> Result<Self> {
        if text.len() > REDIRECT_LIMIT {
            return Err(Error::argument(format!(
                "a redirect has at most {REDIRECT_LIMIT} bytes, this one has {}: give the URL the user came back to",
                text.len()
            )));
        }
        let mut redirect = Self { code: None, state: None, error: None, error_description: None };
        for pair in query_of(text.trim_ascii()).split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name)?;
            let slot = match name.expose() {
                "code" => &mut redirect.code,
                "state" => &mut redirect.state,
                "error" => &mut redirect.error,
                "error_description" => &mut redirect.error_description,
                _ => continue,
            };
            if slot.is_some() {
                return Err(Error::argument(format!(
                    "duplicate parameter `{}` in the redirect: give the URL exactly as the user came back to it",
                    name.expose()
                )));
            }
            *slot = Some(decode(value)?);
        }
        Ok(redirect)
    }

    /// The `state` it carries, by which a host with several pending authorizations finds the one to
    /// check against.
    pub fn state(&self) -> Option<&Secret> {
        self.state.as_ref()
    }

    /// The code, if this answers `pending` and the user agreed.
    ///
    /// `STATE_MISMATCH` if `state` is missing or another one, or `pending` has expired by `now`;
    /// `AUTHORIZATION_DENIED`, with the server's words, if it brings an error; `INVALID_ARGUMENT`
    /// if it brings no usable code. An error is believed only with the right `state`, else anyone
    /// could end a login with a link; one without any `state` is `STATE_MISMATCH`, with the
    /// server's words.
    pub fn check(&self, pending: &PendingAuthorization, now: Timestamp) -> Result<&Secret> {
        let Some(state) = present(self.state.as_ref()) else {
            return Err(match self.denial() {
                Some(said) => mismatch(
                    "the authorization page says that the login was refused (`server_message` has its words), but the \
                     redirect carries no `state`, so that it can't be told whose login that was: nothing was stored; ask \
                     the user, and begin the login again",
                )
                .with_server_message(Some(&said)),
                None => mismatch(
                    "the redirect carries no `state`, so that it can't be told whose login it ends: give the whole URL that \
                     the user came back to; for installations that begin on the marketplace, use `complete_unsolicited`",
                ),
            });
        };
        if *state != pending.state {
            return Err(mismatch(
                "the redirect belongs to another login than this one (its `state` is another): begin the login again, and \
                 finish it in the same browser session",
            ));
        }
        if now >= pending.expires_at {
            return Err(mismatch(
                "the login took longer than ten minutes and is no longer accepted: begin the login again",
            ));
        }
        if let Some(said) = self.denial() {
            return Err(Error::new(
                ErrorCode::AuthorizationDenied,
                "the user or the platform refused the login; `server_message` says why: ask the user to agree, or correct \
                 what it names, such as `scopes` or `redirect_uri`, then begin the login again",
            )
            .with_server_message(Some(&said)));
        }
        let code = present(self.code.as_ref()).ok_or_else(|| {
            Error::argument(
                "the redirect carries no `code`: give the whole URL that the user came back to",
            )
        })?;
        if code.expose().len() > CODE_LIMIT || code.expose().chars().any(char::is_control) {
            return Err(Error::argument(format!(
                "the redirect's `code` is longer than {CODE_LIMIT} bytes or holds a control character: give the URL \
                 exactly as the user came back to it"
            )));
        }
        Ok(code)
    }

    /// Returns the server's words, if it refused.
    fn denial(&self) -> Option<String> {
        let error = present(self.error.as_ref())?;
        Some(match present(self.error_description.as_ref()) {
            Some(description) => format!("{}: {}", error.expose(), description.expose()),
            None => error.expose().to_owned(),
        })
    }
}

/// The scopes without repetitions, in their order; `CONFIG` if there is none, or one is not a
/// `scope-token` (RFC 6749, 3.3) of the platform's kind. `label` names the option.
pub(crate) fn validate_scopes<S: AsRef<str>>(
    label: &str,
    scopes: impl IntoIterator<Item = S>,
) -> Result<Vec<String>> {
    let mut seen = HashSet::new();
    let mut unique = Vec::new();
    let mut total = 0;
    for (index, scope) in scopes.into_iter().enumerate() {
        let scope = scope.as_ref();
        // Counted, not quoted: a token given here by mistake must not end up in a log.
        let refuse = |what: &str| {
            Err(Error::config(format!(
                "{label}: number {} {what}; one scope is a word such as `contacts.readonly`, and several are separated by \
                 spaces or are items of a list",
                index + 1
            )))
        };
        if scope.is_empty() || scope.len() > SCOPE_LIMIT {
            return refuse(&format!("is empty or longer than {SCOPE_LIMIT} characters"));
        }
        // RFC 6749 allows commas, but no scope of the platform has one, and lists of programs do.
        if scope.contains([',', ';']) {
            return refuse("holds a comma or a semicolon: put a space in its place");
        }
        if let Some(what) = mistake::found(scope, Form::Text) {
            return refuse(what);
        }
        if !scope.bytes().all(is_scope_byte) {
            return refuse(
                "holds a space, a quotation mark, a backslash, a control character or one outside ASCII",
            );
        }
        if scope.starts_with(['\'', '`', '[', '{', '<'])
            || scope.ends_with(['\'', '`', ']', '}', '>'])
        {
            return refuse("begins or ends with a quotation mark or a bracket: remove it");
        }
        if ["%20", "%2c", "%2C"].iter().any(|separator| scope.contains(separator)) {
            return refuse("holds a separator as a URL writes it: put a space in its place");
        }
        if seen.contains(scope) {
            continue;
        }
        total += scope.len() + 1;
        if total > SCOPES_LIMIT + 1 {
            return Err(Error::config(format!(
                "{label}: all together they have more than {SCOPES_LIMIT} bytes: ask for fewer scopes"
            )));
        }
        seen.insert(scope.to_owned());
        unique.push(scope.to_owned());
    }
    if unique.is_empty() {
        return Err(Error::config(format!(
            "{label}: name at least one scope that the app was given, such as `contacts.readonly`"
        )));
    }
    Ok(unique)
}

/// `application/x-www-form-urlencoded` text, for requests to the token endpoint (RFC 6749, appendix
/// B).
pub(crate) fn encode_form(pairs: &[(&str, &str)]) -> Secret {
    encode_after("", pairs)
}

/// Spaces become `%20`, not `+`: form decoders and URI decoders both read that rightly.
fn encode_after(prefix: &str, pairs: &[(&str, &str)]) -> Secret {
    // An escape has three bytes. Roomy from the start: growing it would leave copies behind.
    let room: usize = pairs.iter().map(|(name, value)| 3 * (name.len() + value.len()) + 2).sum();
    let mut text = Zeroizing::new(String::with_capacity(prefix.len() + room));
    text.push_str(prefix);
    for (index, (name, value)) in pairs.iter().enumerate() {
        if index > 0 {
            text.push('&');
        }
        text.extend(utf8_percent_encode(name, ESCAPED));
        text.push('=');
        text.extend(utf8_percent_encode(value, ESCAPED));
    }
    Secret::new(text.as_str())
}

/// One name or value of a query, `+` and escapes resolved.
fn decode(text: &str) -> Result<Secret> {
    let broken = || {
        Error::argument(
            "the redirect holds a broken percent-escape or bytes that are not UTF-8: give the URL exactly as the user \
             came back to it",
        )
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = rest.next().and_then(hex_value).ok_or_else(broken)?;
                let low = rest.next().and_then(hex_value).ok_or_else(broken)?;
                high << 4 | low
            }
            byte => byte,
        });
    }
    Ok(Secret::new(str::from_utf8(&bytes).map_err(|_| broken())?))
}

fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// The query of a URL, of a path with a query, or of a query alone.
fn query_of(text: &str) -> &str {
    let text = text.split_once('#').map_or(text, |(before, _fragment)| before);
    // In a query alone the first of these is the `=` or `&` of its first parameter; a later `?` is
    // data.
    match text.find([':', '/', '?', '=', '&']) {
        Some(at) if matches!(text.as_bytes().get(at), Some(b':' | b'/' | b'?')) => {
            text.split_once('?').map_or("", |(_, query)| query)
        }
        _ => text,
    }
}

fn present(value: Option<&Secret>) -> Option<&Secret> {
    value.filter(|value| !value.is_empty())
}

fn mismatch(message: &str) -> Error {
    Error::new(ErrorCode::StateMismatch, message)
}

/// Checks a redirect URI as it is registered with the app; `label` names the option.
pub(crate) fn validate_redirect_uri(label: &str, text: &str) -> Result<()> {
    let refuse = |what: &str| Err(Error::config(format!("{label} {what}")));
    if text.len() > REDIRECT_URI_LIMIT {
        return refuse(&format!(
            "has {} bytes, more than {REDIRECT_URI_LIMIT}: register a shorter one with the app",
            text.len()
        ));
    }
    // The URL parser would repair these in silence, and the server compares the exact text.
    if text.chars().any(|c| c.is_control() || c.is_whitespace() || NOT_IN_URI.contains(&c)) {
        return refuse(
            "holds a space, a control character or one of \" < > \\ ^ ` { | }: percent-encode it, as it is registered \
             with the app",
        );
    }
    // The server compares the text as it stands: whether a host is a good international name is not
    // for us to say.
    let ascii: String = text.chars().map(|c| if c.is_ascii() { c } else { 'x' }).collect();
    let Some(url) = http_url(&ascii) else {
        return refuse(
            "is not a whole URL: write it with `https://` in front, exactly as it is registered with the app",
        );
    };
    if url.fragment().is_some() {
        return refuse(
            "has a fragment (`#…`), which no redirect URI may have: remove it, and register it without",
        );
    }
    if let Some((name, _)) = url.query_pairs().find(|(name, _)| ITS_PARAMETERS.contains(&&**name)) {
        return refuse(&format!(
            "has a parameter `{name}` of its own, which the platform adds itself and would be there twice: give yours \
             another name, or keep its value in the user's session, and register the URL without it"
        ));
    }
    Ok(())
}

fn validate_client_id(text: &str) -> Result<()> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Error::config(
            "`client_id` is empty or holds a space, a control character or a character outside ASCII: copy it again from \
             the app's page on the marketplace",
        ));
    }
    Ok(())
}

fn validate_version_id(text: &str) -> Result<()> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    if text.is_empty() || text.len() > VERSION_ID_LIMIT || !text.bytes().all(allowed) {
        return Err(Error::argument(format!(
            "`version_id` has 1 to {VERSION_ID_LIMIT} characters, and only letters, digits, `-`, `.`, `_` and `~`: copy it \
             from the app's install link"
        )));
    }
    Ok(())
}

/// The authorization page's URL, ready for more parameters. Its own query stays (RFC 6749, 3.1).
fn extensible(authorize_url: &str) -> Result<String> {
    let url = http_url(authorize_url).filter(|url| url.fragment().is_none()).ok_or_else(|| {
        Error::config(
            "`authorize_url` is not a whole URL, or has a fragment (`#…`): write it as `https://host/path`",
        )
    })?;
    if let Some((name, _)) = url.query_pairs().find(|(name, _)| OUR_PARAMETERS.contains(&&**name)) {
        return Err(Error::config(format!(
            "`authorize_url` already has the parameter `{name}`, which hoopauth adds: remove it there"
        )));
    }
    let mut text = String::from(url);
    match text.split_once('?') {
        None => text.push('?'),
        Some((_, query)) if query.is_empty() || query.ends_with('&') => {}
        Some(_) => text.push('&'),
    }
    Ok(text)
}

/// The parser alone would also take `https:host` and `https:///host`, and put the slashes right.
fn http_url(text: &str) -> Option<Url> {
    let (scheme, rest) = text.split_once("://")?;
    let http = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
    if http && !rest.starts_with('/') { Url::parse(text).ok() } else { None }
}

fn is_scope_byte(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E)
}

/// 32 random bytes as 43 characters: RFC 7636, 4.1 asks that of a verifier.
fn random_text() -> Result<Secret> {
    let bytes = Zeroizing::new(random::<32>()?);
    Ok(Secret::from(BASE64_URL_SAFE_NO_PAD.encode(*bytes)))
}

/// RFC 7636, 4.2, method `S256`.
fn challenge(verifier: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
}

fn associated(app: &str) -> [&[u8]; 2] {
    [b"pending", app.as_bytes()]
}

/// What is in a sealed pending authorization. Borrowed, so that reading leaves no copies behind.
///
/// Earlier versions sealed the URL, too, which grows with the scopes; it is passed over, and made
/// anew of the client's options.
#[derive(serde::Serialize, serde::Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    state: Cow<'a, str>,
    #[serde(borrow)]
    redirect_uri: Cow<'a, str>,
    #[serde(borrow)]
    verifier: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    login_window_self: bool,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    version_id: Option<Cow<'a, str>>,
    expires_at: Timestamp,
}

const LIFETIME: Duration = Duration::from_secs(600);
const REDIRECT_URI_LIMIT: usize = 2048;
const SCOPE_LIMIT: usize = 128;
const SCOPES_LIMIT: usize = 8 * 1024;
const VERSION_ID_LIMIT: usize = 128;
const CODE_LIMIT: usize = 4096;
const REDIRECT_LIMIT: usize = 16 * 1024;
/// Servers take request lines of about this size.
const URL_LIMIT: usize = 9 * 1024;
/// Longest sealed login; those of earlier versions held the URL.
const SEALED_LIMIT: usize = 16 * 1024;
/// Room for the longest redirect URI, of whose characters JSON escapes none but the backslash,
/// which it can't have.
const RECORD_ROOM: usize = REDIRECT_URI_LIMIT + 512;
/// Everything but the unreserved characters of RFC 3986, 2.3.
pub(crate) const ESCAPED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// RFC 3986, appendix A, has no place for them; letters outside ASCII are let through as
/// registered.
const NOT_IN_URI: &[char] = &['"', '<', '>', '\\', '^', '`', '{', '|', '}'];
/// Parameters that the platform adds to a redirect URI (RFC 6749, 4.1.2).
const ITS_PARAMETERS: &[&str] = &["state", "code", "error", "error_description", "error_uri"];
const OUR_PARAMETERS: &[&str] = &[
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "loginWindowOpenMode",
    "version_id",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::seal::PENDING_LABEL;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);
    const APP: &str = "https://services.example client-1";

    fn defaults() -> AuthorizeDefaults {
        AuthorizeDefaults {
            authorize_url: "https://marketplace.example/oauth/chooselocation".into(),
            client_id: "app-suffix".into(),
            redirect_uri: Some("https://host.example/callback".into()),
            scopes: vec!["contacts.readonly".into(), "contacts.write".into()],
        }
    }

    fn request() -> AuthorizationRequest {
        AuthorizationRequest::new(defaults())
    }

    fn pending() -> PendingAuthorization {
        request().build(NOW).unwrap()
    }

    fn ring(text: &str) -> KeyRing {
        KeyRing::from_secrets(&[&Secret::new(text)], PENDING_LABEL).unwrap()
    }

    fn parameters(url: &str) -> Vec<(String, String)> {
        Url::parse(url).unwrap().query_pairs().into_owned().collect()
    }

    fn code<T: fmt::Debug>(result: Result<T>) -> ErrorCode {
        result.unwrap_err().code()
    }

    #[test]
    fn the_url_says_what_was_asked_for() {
        let pending = pending();
        let expected = format!(
            "https://marketplace.example/oauth/chooselocation?response_type=code&client_id=app-suffix\
             &redirect_uri=https%3A%2F%2Fhost.example%2Fcallback&scope=contacts.readonly%20contacts.write&state={}",
            pending.state().expose()
        );
        assert_eq!(pending.url(), expected);
        assert_eq!(pending.redirect_uri(), "https://host.example/callback");
        assert_eq!(pending.expires_at(), NOW.plus(Duration::from_secs(600)));
        assert!(pending.verifier().is_none());
    }

    #[test]
    fn options_are_added() {
        let pending = request()
            .redirect_uri("https://höst.example/cb?next=/a&b=c+d")
            .scopes(["a/b", "c", "a/b"])
            .pkce(true)
            .login_window_self(true)
            .version_id("66f0c1")
            .build(NOW)
            .unwrap();
        let verifier = pending.verifier().unwrap().expose();
        assert_eq!(verifier.len(), 43);
        let expected: Vec<(String, String)> = [
            ("response_type", "code"),
            ("client_id", "app-suffix"),
            ("redirect_uri", "https://höst.example/cb?next=/a&b=c+d"),
            ("scope", "a/b c"),
            ("state", pending.state().expose()),
            ("code_challenge", &challenge(verifier)),
            ("code_challenge_method", "S256"),
            ("loginWindowOpenMode", "self"),
            ("version_id", "66f0c1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        assert_eq!(parameters(pending.url()), expected);
        assert!(pending.url().contains(
            "redirect_uri=https%3A%2F%2Fh%C3%B6st.example%2Fcb%3Fnext%3D%2Fa%26b%3Dc%2Bd&scope=a%2Fb%20c&"
        ));
    }

    #[test]
    fn the_authorize_urls_own_query_stays() {
        let url_of = |base: &str| {
            let mut request = request();
            request.defaults.authorize_url = base.into();
            request.build(NOW).map(|pending| pending.url().to_owned())
        };
        for (base, start) in [
            (
                "https://m.example/c?brand=x%20y",
                "https://m.example/c?brand=x%20y&response_type=code&",
            ),
            ("https://m.example/c?", "https://m.example/c?response_type=code&"),
            ("https://m.example/c?a=1&", "https://m.example/c?a=1&response_type=code&"),
            ("https://m.example", "https://m.example/?response_type=code&"),
        ] {
            let url = url_of(base).unwrap();
            assert!(url.starts_with(start), "{base}: {url}");
        }
        for base in [
            "",
            "m.example",
            "ftp://m.example/",
            "https://m.example/#f",
            "https://m.example/?state=1",
        ] {
            let error = url_of(base).unwrap_err();
            assert_eq!(error.code(), ErrorCode::Config, "{base}");
            assert!(error.message().contains("`authorize_url`"));
        }
    }

    #[test]
    fn redirect_uris_are_checked() {
        let long = format!("https://h.example/{}", "x".repeat(REDIRECT_URI_LIMIT));
        for uri in [
            "",
            "/callback",
            "host.example/cb",
            "https:host.example",
            "https:///",
            "https:///h.example",
            "https://",
            "ftp://h.example/",
            "https://h.example/#",
            "https://h.example/#f",
            "https://h.example/a b",
            " https://h.example/",
            "https://h.example/\n",
            "https://h.example\\@evil.example/",
            "https://h.example/\u{85}",
            "javascript://x",
            "https://h.example/cb?state=x",
            "https://h.example/cb?a=b&code=",
            "https://h.example/cb?error",
            "https://h.example/cb?error_description=x",
            "https://h.example/cb?st%61te=x",
            &long,
        ] {
            let error = request().redirect_uri(uri).build(NOW).unwrap_err();
            assert_eq!(error.code(), ErrorCode::Config, "{uri:.60}");
            assert!(error.message().contains("`redirect_uri`"), "{uri:.60}");
        }
        for uri in ["http://127.0.0.1:8765/cb", "HTTPS://h.example", "https://h.example/cb?a=b"] {
            assert_eq!(request().redirect_uri(uri).build(NOW).unwrap().redirect_uri(), uri);
        }
        let mut request = request();
        request.defaults.redirect_uri = None;
        let error = request.build(NOW).unwrap_err();
        assert!(error.code() == ErrorCode::Config && error.message().contains("`redirect_uri`"));
    }

    #[test]
    fn scopes_are_checked() {
        assert_eq!(validate_scopes("`scopes`", ["b", "a", "b"]).unwrap(), ["b", "a"]);
        assert!(validate_scopes("`scopes`", ["!#[]~"]).is_ok());
        assert!(validate_scopes("`scopes`", [&"x".repeat(SCOPE_LIMIT)]).is_ok());
        let long = "x".repeat(SCOPE_LIMIT + 1);
        let illegal = ["", "a b", "a\"", "a\\b", "é", "a\n", "\0", "\x7f", &long];
        let mistaken = [
            "a,b", "a,", "a;b", "\"a\"", "'a'", "'a", "[a", "a]", "{a}", "<a>", "${A}", "$SCOPES",
            "a%20b", "a%2Cb",
        ];
        for scope in illegal.into_iter().chain(mistaken) {
            let error = validate_scopes("`scopes`", ["ok", scope]).unwrap_err();
            assert_eq!(error.code(), ErrorCode::Config);
            assert!(error.message().starts_with("`scopes`: number 2 "), "{error}");
        }
        assert_eq!(code(validate_scopes::<&str>("`scopes`", [])), ErrorCode::Config);
        // 64 of 127 characters with 63 spaces between: 8191 bytes.
        let many: Vec<_> = (0..65).map(|n| format!("{n:0>127}")).collect();
        assert!(validate_scopes("`scopes`", &many[..64]).is_ok());
        assert_eq!(code(validate_scopes("`scopes`", &many)), ErrorCode::Config);
    }

    #[test]
    fn version_and_client_ids_are_checked() {
        let long = "x".repeat(VERSION_ID_LIMIT + 1);
        for version in ["", "a b", "a&b", "é", &long] {
            assert_eq!(code(request().version_id(version).build(NOW)), ErrorCode::InvalidArgument);
        }
        for client_id in ["", "a b", "a\n"] {
            let mut request = request();
            request.defaults.client_id = client_id.into();
            assert_eq!(code(request.build(NOW)), ErrorCode::Config);
        }
    }

    #[test]
    fn s256_is_that_of_rfc_7636_appendix_b() {
        assert_eq!(
            challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn state_is_fresh_and_long() {
        let (one, two) = (pending(), pending());
        assert_ne!(one.state(), two.state());
        assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(one.state().expose()).unwrap().len(), 32);
    }

    #[test]
    fn sealed_text_opens_for_its_app_and_key_only() {
        let pending =
            request().pkce(true).login_window_self(true).version_id("v1").build(NOW).unwrap();
        let sealed = pending.seal(&ring("one"), APP).unwrap();
        assert!(sealed.len() < 512, "{}", sealed.len());
        assert!(sealed.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));

        let opened = PendingAuthorization::open(&sealed, &ring("one"), APP, &defaults()).unwrap();
        assert_eq!(opened.url(), pending.url());
        assert_eq!(opened.state(), pending.state());
        assert_eq!(opened.redirect_uri(), pending.redirect_uri());
        assert_eq!(opened.verifier(), pending.verifier());
        assert_eq!(opened.expires_at(), pending.expires_at());

        let open = |text: &str, key: &str, app: &str| {
            code(PendingAuthorization::open(text, &ring(key), app, &defaults()))
        };
        assert_eq!(open(&sealed, "two", APP), ErrorCode::StateMismatch);
        assert_eq!(open(&sealed, "one", "other"), ErrorCode::StateMismatch);
        assert_eq!(open(&sealed[1..], "one", APP), ErrorCode::StateMismatch);
        assert_eq!(open("", "one", APP), ErrorCode::StateMismatch);
        assert_eq!(open("é=", "one", APP), ErrorCode::StateMismatch);
        assert_eq!(open(&"A".repeat(SEALED_LIMIT + 1), "one", APP), ErrorCode::InvalidArgument);
    }

    #[test]
    fn a_sealed_login_is_as_long_for_a_hundred_scopes_as_for_one() {
        let sealed = |count: usize| {
            let mut request = request().pkce(true);
            request.defaults.scopes =
                (0..count).map(|n| format!("product-area-{n:03}.readonly")).collect();
            request.build(NOW).unwrap().seal(&ring("one"), APP).unwrap().len()
        };
        assert_eq!(sealed(1), sealed(120));
        assert!(sealed(120) < 512, "{}", sealed(120));
    }

    #[test]
    fn what_earlier_versions_sealed_opens() {
        let pending = request().pkce(true).build(NOW).unwrap();
        let record = serde_json::json!({
            "url": pending.url(),
            "state": pending.state().expose(),
            "redirect_uri": pending.redirect_uri(),
            "verifier": pending.verifier().unwrap().expose(),
            "expires_at": pending.expires_at(),
        });
        let sealed = ring("one").seal(&associated(APP), record.to_string().as_bytes()).unwrap();
        let opened = PendingAuthorization::open(
            &BASE64_URL_SAFE_NO_PAD.encode(sealed),
            &ring("one"),
            APP,
            &defaults(),
        )
        .unwrap();
        assert_eq!(opened.state(), pending.state());
        assert_eq!(opened.verifier(), pending.verifier());
    }

    #[test]
    fn the_largest_request_still_seals_and_opens() {
        let mut request =
            request().redirect_uri(&format!("https://h.example/{}", "x".repeat(2030))).pkce(true);
        request.defaults.scopes = (0..50).map(|n| format!("{n:0>120}")).collect();
        let fits = request.clone().build(NOW).unwrap();
        let room = URL_LIMIT - fits.url().len();
        request.defaults.client_id.push_str(&"x".repeat(room));
        let largest = request.clone().build(NOW).unwrap();
        assert_eq!(largest.url().len(), URL_LIMIT);
        let sealed = largest.seal(&ring("one"), APP).unwrap();
        assert!(sealed.len() < 3 * 1024, "as long as its redirect URI asks for: {}", sealed.len());
        assert!(PendingAuthorization::open(&sealed, &ring("one"), APP, &defaults()).is_ok());
        request.defaults.client_id.push('x');
        assert_eq!(code(request.build(NOW)), ErrorCode::Config);
    }

    #[test]
    fn redirects_are_read_in_every_form() {
        let pending = pending();
        let query = format!("code=c%2F+1&state={}&locale=de%zz", pending.state().expose());
        for text in [
            format!("https://host.example/callback?{query}"),
            format!("\r\n  https://relay.example:8443/a=b/c?{query}#frag=1&code=2 \t"),
            format!("myapp:callback?{query}"),
            format!("host.example/callback?{query}"),
            format!("localhost:8080?{query}"),
            format!("/callback?{query}"),
            format!("?{query}"),
            format!("{query}&x=?&y=/"),
            format!("&&{query}&"),
        ] {
            let redirect = Redirect::read(&text).unwrap();
            assert_eq!(redirect.check(&pending, NOW).unwrap().expose(), "c/ 1", "{text}");
            assert_eq!(redirect.state(), Some(pending.state()));
        }
    }

    #[test]
    fn unreadable_redirects_are_refused() {
        for text in [
            "code=%",
            "code=%2",
            "code=%zz",
            "code=%2+",
            "code=%ff",
            "%c3=1",
            "https://h.example/?state=%C3%28",
        ] {
            assert_eq!(code(Redirect::read(text)), ErrorCode::InvalidArgument, "{text}");
        }
        for name in ["code", "state", "error", "error_description"] {
            let error = Redirect::read(&format!("?{name}=1&{name}=1")).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidArgument);
            assert!(error.message().starts_with("duplicate parameter"));
        }
        assert_eq!(code(Redirect::read("?code=1&c%6Fde=2")), ErrorCode::InvalidArgument);
        assert!(Redirect::read(&"x".repeat(REDIRECT_LIMIT)).is_ok());
        assert_eq!(
            code(Redirect::read(&"x".repeat(REDIRECT_LIMIT + 1))),
            ErrorCode::InvalidArgument
        );
    }

    #[test]
    fn checks_come_in_order() {
        let pending = pending();
        let state = pending.state().expose();
        let late = pending.expires_at();
        let check = |query: String, now| {
            code(Redirect::read(&query).unwrap().check(&pending, now).cloned())
        };

        for query in [
            "",
            "https://h.example/cb",
            "code=1",
            "code=1&state=",
            "error=access_denied",
            "state=x",
            "pasted",
        ] {
            assert_eq!(check(query.into(), NOW), ErrorCode::StateMismatch, "{query}");
        }
        assert_eq!(check(format!("code=1&state={state}x"), NOW), ErrorCode::StateMismatch);
        assert_eq!(check(format!("code=1&state={state}"), late), ErrorCode::StateMismatch);
        assert_eq!(check(format!("error=x&state={state}"), late), ErrorCode::StateMismatch);
        assert_eq!(
            check(format!("error=x&code=1&state={state}"), NOW),
            ErrorCode::AuthorizationDenied
        );
        for code in ["", "a%0Ab", "%00", &"x".repeat(CODE_LIMIT + 1)] {
            assert_eq!(
                check(format!("code={code}&state={state}"), NOW),
                ErrorCode::InvalidArgument
            );
        }
        assert_eq!(check(format!("state={state}"), NOW), ErrorCode::InvalidArgument);
        assert!(
            Redirect::read(&format!("code=1&state={state}"))
                .unwrap()
                .check(&pending, late.minus(Duration::from_millis(1)))
                .is_ok()
        );
    }

    #[test]
    fn a_refusal_carries_the_servers_words() {
        let pending = pending();
        let text = format!(
            "?error=access_denied&error_description=not+now%0A&state={}",
            pending.state().expose()
        );
        let error = Redirect::read(&text).unwrap().check(&pending, NOW).unwrap_err();
        assert_eq!(error.server_message(), Some("access_denied: not now "));

        // Without `state` nobody knows whose login it ends; the words are kept all the same.
        let stateless =
            "?error=access_denied&error_description=The+user+said%0Ano+eyJhbGciOiJSUzI1NiJ9planted";
        let error = Redirect::read(stateless).unwrap().check(&pending, NOW).unwrap_err();
        assert_eq!(error.code(), ErrorCode::StateMismatch);
        assert_eq!(error.server_message(), Some("access_denied: The user said no [redacted]"));
        assert!(
            error.message().contains("refused") && error.message().contains("`state`"),
            "{error}"
        );
        // Words that came with another login's `state` are that one's.
        let error = Redirect::read("?error=access_denied&state=x")
            .unwrap()
            .check(&pending, NOW)
            .unwrap_err();
        assert_eq!((error.code(), error.server_message()), (ErrorCode::StateMismatch, None));
    }

    #[test]
    fn nothing_secret_is_printed() {
        let pending = request().pkce(true).build(NOW).unwrap();
        let redirect =
            Redirect::read(&format!("?code=planted&state={}", pending.state().expose())).unwrap();
        let printed =
            format!("{pending:?} {redirect:?} {:?}", pending.seal(&ring("k"), APP).map(|_| ()));
        for secret in [
            pending.state().expose(),
            pending.verifier().unwrap().expose(),
            "planted",
            "chooselocation",
        ] {
            assert!(!printed.contains(secret), "{printed}");
        }
        assert!(printed.contains("https://host.example/callback"));
    }

    #[test]
    fn forms_are_encoded_exactly() {
        let form = encode_form(&[
            ("a b", "1+1=2&/é"),
            ("empty", ""),
            ("plain", "AZaz09-._~"),
            ("x", "\u{1F600}%*'()!"),
        ]);
        assert_eq!(
            form.expose(),
            "a%20b=1%2B1%3D2%26%2F%C3%A9&empty=&plain=AZaz09-._~&x=%F0%9F%98%80%25%2A%27%28%29%21"
        );
        assert!(encode_form(&[]).is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn forms_come_back_as_they_went(pairs in prop::collection::vec((any::<String>(), any::<String>()), 0..6)) {
            let borrowed: Vec<_> = pairs.iter().map(|(name, value)| (&**name, &**value)).collect();
            let form = encode_form(&borrowed);
            let decoded: Vec<(String, String)> =
                url::form_urlencoded::parse(form.expose().as_bytes()).into_owned().collect();
            prop_assert_eq!(decoded, pairs);
        }

        #[test]
        fn our_decoder_reads_our_encoder(text in any::<String>()) {
            let form = encode_form(&[("k", &text)]);
            let value = decode(form.expose().strip_prefix("k=").unwrap()).unwrap();
            prop_assert_eq!(value.expose(), text);
        }

        #[test]
        fn our_decoder_agrees_with_the_url_crate(text in "[a-z+%=0-9A-F/?é -]{0,40}") {
            if let Ok(value) = decode(&text) {
                let whole = format!("k={text}");
                let (_, expected) = url::form_urlencoded::parse(whole.as_bytes()).next().unwrap();
                prop_assert_eq!(value.expose(), &*expected);
            }
        }

        #[test]
        fn redirect_uris_round_trip_through_the_url(path in "[a-zA-Z0-9/._~%&=+?é-]{0,60}") {
            let uri = format!("https://host.example/{path}");
            let pending = request().redirect_uri(&uri).build(NOW).unwrap();
            let found = parameters(pending.url()).into_iter().find(|(name, _)| name == "redirect_uri");
            prop_assert_eq!(found.unwrap().1, uri);
        }

        #[test]
        fn no_redirect_breaks_the_reader(text in any::<String>()) {
            let _ = Redirect::read(&text).map(|redirect| redirect.check(&pending(), NOW).is_ok());
        }
    }
}
