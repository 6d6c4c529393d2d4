//! The one table of options. Builder, environment, every binding and the documentation page come
//! from it.

use std::time::Duration;

use url::Url;

use crate::account::{Account, AccountKind};
use crate::authorize::{validate_redirect_uri, validate_scopes};
use crate::error::{Error, Result};
use crate::keys::check_store_key;
use crate::mistake::{self, Form};
use crate::secret::Secret;
use crate::web_url::{self, Flaw};
use crate::{proxy, store_name};

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OptionRow {
    /// The option's name, the same in every language.
    pub name: &'static str,
    /// What its text must be.
    pub kind: OptionKind,
    /// The default, as text; `None` where there is none.
    pub default: Option<&'static str>,
    /// What it does, its unit and limits.
    pub meaning: &'static str,
}

impl OptionRow {
    /// The environment variable that `from_env` reads: `HOOPAUTH_<NAME>`.
    pub fn environment(&self) -> String {
        format!("HOOPAUTH_{}", self.name.to_ascii_uppercase())
    }
}

/// What the text of an option must be.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum OptionKind {
    /// Visible text, white space trimmed at the ends.
    Text,
    /// Text that is never shown.
    Secret,
    /// Seconds as a decimal, between the two limits.
    Seconds(f64, f64),
    /// A whole number between the two limits.
    Number(u64, u64),
    /// Words separated by spaces.
    List,
    /// An absolute URL; `http` on loopback hosts only.
    Url,
    /// `location:<id>` or `company:<id>`.
    Account,
    /// `Location` or `Company`.
    UserType,
    /// `true` or `false`.
    Boolean,
    /// One of these words.
    Choice(&'static [&'static str]),
}

/// Makes a table, and a method of a builder for each of its rows.
macro_rules! table {
    ($(#[$doc:meta])* $table:ident of $builder:ty: $($name:ident $variant:expr, $default:expr, $meaning:literal;)*) => {
        $(#[$doc])*
        pub static $table: &[$crate::options::OptionRow] = &[
            $($crate::options::OptionRow { name: stringify!($name), kind: $variant, default: $default, meaning: $meaning },)*
        ];

        impl $builder {
            $(
                #[doc = $meaning]
                ///
                /// The same as `option` with this name: durations in seconds, lists separated by
                /// spaces.
                pub fn $name(self, value: impl std::fmt::Display) -> Self {
                    self.option(stringify!($name), &value.to_string())
                }
            )*
        }
    };
}

pub(crate) use table;

table! {
    /// Every option there is.
    OPTIONS of crate::builder::ClientBuilder:
    private_integration_token OptionKind::Secret, None, "A Private Integration token: the credential of programs that serve one account.";
    private_integration_token_next OptionKind::Secret, None, "The second Private Integration token while one is rotated; both work for seven days. When the platform refuses the one in use, in whatever words, the other is tried once and stays in use; the log and `refused_private_integration_token` tell which one is dead.";
    access_token OptionKind::Secret, None, "A static access token from elsewhere. It is never refreshed.";
    client_id OptionKind::Text, None, "The OAuth client id, `<app id>-<suffix>`.";
    client_secret OptionKind::Secret, None, "The OAuth client secret: printable ASCII, spaces inside it included.";
    redirect_uri OptionKind::Text, None, "The URL that the authorization page sends the user back to, exactly as registered with the app. It has no fragment, and no parameter `state`, `code` or `error` of its own: the platform adds them.";
    scopes OptionKind::List, None, "The scopes to ask for, separated by spaces (not by commas). Ask for the least.";
    user_type OptionKind::UserType, None, "`Location` or `Company`: the class of token a code exchange asks for. Unset: whatever the user chose.";
    default_account OptionKind::Account, None, "The account that is meant where none is named.";
    api_base OptionKind::Url, Some("https://services.leadconnectorhq.com"), "The API's base URL.";
    authorize_url OptionKind::Url, Some("https://marketplace.gohighlevel.com/oauth/chooselocation"), "The authorization page.";
    token_url OptionKind::Url, Some("https://services.leadconnectorhq.com/oauth/token"), "The token endpoint.";
    location_token_url OptionKind::Url, Some("https://services.leadconnectorhq.com/oauth/locationToken"), "The endpoint that mints a location's token from its company's.";
    api_version OptionKind::Text, Some("2021-07-28"), "The `Version` header of the program's requests. The library's own calls (the list of installed locations, minting) keep `2021-07-28`.";
    store OptionKind::Text, Some(DEFAULT_STORE), "Where grants live: `sqlite:` (a file of this user that processes share, and a key beside it, both made at the first use: `$XDG_DATA_HOME/hoopauth/grants.db`, else `~/.local/share/hoopauth/grants.db`; on macOS in `~/Library/Application Support`, on Windows in `%LOCALAPPDATA%`), `sqlite:PATH` (a file at a place of your own; needs `store_key`), `memory:` (this process only, and gone with it), or `postgres://USER:PASSWORD@HOST:PORT/DATABASE` (a PostgreSQL database, 14 or later, that computers share; needs `store_key`). PostgreSQL's own URL parameters apply, `sslmode` and `sslrootcert` among them: only the authorities in a file named there are trusted; `sslrootcert=system` goes with `sslmode=verify-full` only. Where `sslmode` is not given, hosts other than loopback must show a certificate for their name. `hoopauth_schema=NAME` names the schema (`hoopauth`), which is made at the first use. Not through a connection pooler in transaction mode.";
    store_key OptionKind::Secret, None, "The secret that grants and pending authorizations are sealed with; at least 16 bytes. Several, separated by spaces: the first seals, all open; what an older one sealed is sealed with the first when it is refreshed, and all of it by maintenance. A sealed grant opens for its app, account and generation only: an older one can't be put in its place. Or `file:PATH`: a file that holds it, as UTF-8 text; a byte order mark is not part of the key. As with the database, hoopauth takes away the rights of others to read the file, and refuses a file if it can't; root's files may be readable by their group.";
    refresh_before OptionKind::Seconds(0.0, 86_400.0), Some("60"), "Seconds of life below which callers wait for a refresh; never more than a tenth of the token's life.";
    timeout OptionKind::Seconds(0.001, 86_400.0), Some("30"), "Seconds for a whole call with all its tries and waits, those for the store and for other callers included. A grant that has just come gets up to one second more to be saved.";
    attempt_timeout OptionKind::Seconds(0.001, 9.0), Some("8"), "Seconds for one HTTP attempt; at most 9, so that two fit into the 20 seconds in which a refresh can be repeated.";
    connect_timeout OptionKind::Seconds(0.001, 9.0), Some("5"), "Seconds to connect.";
    max_wait OptionKind::Seconds(0.0, 3_600.0), Some("10"), "The longest, in seconds, that a caller waits for a refresh under way elsewhere or for the token-request budget.";
    max_retries OptionKind::Number(0, 10), Some("2"), "How often a failed request is repeated. A refresh is repeated at most once within a call: after a lost answer always, after an answer that is a failure only if this is not 0.";
    token_requests_per_minute OptionKind::Number(1, 1_000_000), Some("5"), "The budget of the token endpoint: requests in a minute, of all processes that share the store. Above 2, the last one is kept for the repeat of a lost answer. Accounts that keep failing while others are served share a tenth of it.";
    max_response_bytes OptionKind::Number(1, 1 << 40), Some("33554432"), "The longest body to accept in an API answer, in bytes after decompression.";
    documented_version OptionKind::Boolean, Some("false"), "Whether `request` sends the `Version` that the platform documents for the operation, where it documents one, instead of `api_version`.";
    scope_preflight OptionKind::Choice(&["off", "warn", "refuse"]), Some("off"), "What `request` does before it sends what the grant's scopes do not cover: nothing, log a warning, or refuse it with `INSUFFICIENT_SCOPE`. Operations and scopes that are not documented always pass.";
    pacing OptionKind::Boolean, Some("false"), "Whether `request` holds requests back, per account and in this process, before the platform would refuse them.";
    requests_per_interval OptionKind::Number(1, 1_000_000), Some("100"), "Requests of one account that pacing lets through in each interval.";
    request_interval OptionKind::Seconds(0.001, 86_400.0), Some("10"), "The length of such an interval, in seconds.";
    requests_per_day OptionKind::Number(1, 1_000_000_000), Some("200000"), "Requests of one account that pacing lets through in a day (UTC).";
    cache_accounts OptionKind::Number(0, u64::MAX), Some("0"), "How many accounts' headers are kept in memory; 0: as many as are used, or 4096 with a static token.";
    ca_file OptionKind::Text, None, "A PEM file whose certificates are trusted beside the system's; each stands on lines of its own. `SSL_CERT_FILE` and `SSL_CERT_DIR` of the environment take the place of the system's.";
    proxy OptionKind::Text, None, "The HTTP proxy for everything but loopback, as `http://user:password@host:port`. Unset: that of the environment (`HTTPS_PROXY`, `ALL_PROXY`, with the exceptions of `NO_PROXY`), in capitals or small letters. One that can't be read is `CONFIG`, and nothing goes out without it. SOCKS is not supported.";
    user_agent OptionKind::Text, None, "The `User-Agent` header. Unset: `hoopauth/<version> (<language>)`.";
}

/// A static token is in no store, whatever this says.
const DEFAULT_STORE: &str = if cfg!(feature = "sqlite") { "sqlite:" } else { "memory:" };

/// Option values as text, checked one by one as they are set.
#[derive(Clone, Debug)]
pub(crate) struct OptionSet {
    table: &'static [OptionRow],
    values: Vec<(&'static str, Secret)>,
}

impl Default for OptionSet {
    fn default() -> Self {
        Self::of(OPTIONS)
    }
}

impl OptionSet {
    /// None of a table's options is set.
    pub(crate) fn of(table: &'static [OptionRow]) -> Self {
        Self { table, values: Vec::new() }
    }

    /// Sets an option; the last value wins. An empty value is refused: leave the option out
    /// instead.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let row = row(self.table, name)?;
        self.set_row(row, &format!("`{}`", row.name), value)
    }

    /// Sets an option from the environment: errors name the variable, too.
    fn set_from(&mut self, variable: &str, name: &str, value: &str) -> Result<()> {
        let row = row(self.table, name)?;
        self.set_row(row, &format!("`{}` (environment variable `{variable}`)", row.name), value)
    }

    fn set_row(&mut self, row: &'static OptionRow, label: &str, value: &str) -> Result<()> {
        let value = check(row, label, value)?;
        self.values.retain(|(n, _)| *n != row.name);
        self.values.push((row.name, value));
        Ok(())
    }

    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.values.iter().any(|(n, _)| *n == name)
    }

    pub(crate) fn secret(&self, name: &str) -> Option<Secret> {
        self.values.iter().find(|(n, _)| *n == name).map(|(_, value)| value.clone())
    }

    /// The value, else the row's default.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.secret(name).map(|value| value.expose().to_owned()).or_else(|| {
            self.table
                .iter()
                .find(|row| row.name == name)
                .and_then(|row| row.default)
                .map(str::to_owned)
        })
    }

    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        self.text(name)
            .map(|text| text.split_ascii_whitespace().map(str::to_owned).collect())
            .unwrap_or_default()
    }

    pub(crate) fn seconds(&self, name: &str) -> Duration {
        let seconds = self.text(name).and_then(|text| text.parse().ok()).unwrap_or(0.0);
        Duration::try_from_secs_f64(seconds).unwrap_or_default()
    }

    pub(crate) fn number(&self, name: &str) -> u64 {
        self.text(name).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    pub(crate) fn boolean(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| text == "true")
    }

    pub(crate) fn account(&self, name: &str) -> Result<Option<Account>> {
        self.text(name).map(|text| Account::parse(&text)).transpose()
    }

    pub(crate) fn user_type(&self) -> Option<AccountKind> {
        self.text("user_type").and_then(|text| AccountKind::from_user_type(&text))
    }

    /// Fills what is unset from the environment: `HOOPAUTH_<NAME>`, then HoopAI's own names.
    pub(crate) fn fill_from(
        &mut self,
        read: impl Fn(&str) -> Option<std::ffi::OsString>,
    ) -> Result<()> {
        let text = |name: &str| match read(name).map(std::ffi::OsString::into_string) {
            None => Ok(None),
            Some(Ok(text)) if text.trim_ascii().is_empty() => Ok(None),
            Some(Ok(text)) => Ok(Some(text)),
            Some(Err(_)) => Err(Error::config(format!(
                "the environment variable `{name}` is not UTF-8 text: write its value as UTF-8"
            ))),
        };
        let own_credential = CREDENTIALS.iter().any(|name| self.is_set(name));
        for row in OPTIONS.iter().filter(|row| !(own_credential && CREDENTIALS.contains(&row.name)))
        {
            if self.is_set(row.name) {
                continue;
            }
            let variable = row.environment();
            if let Some(value) = text(&variable)? {
                self.set_from(&variable, row.name, &value)?;
            }
        }
        if !CREDENTIALS.iter().any(|name| self.is_set(name))
            && let Some(token) = text(HOOPAI_TOKEN)?
        {
            self.set_from(HOOPAI_TOKEN, "private_integration_token", &token)?;
        }
        if !self.is_set("default_account")
            && let Some(id) = text(LOCATION_ID)?
        {
            let id = id.trim_ascii();
            if let Some(what) = mistake::found(id, Form::Word) {
                return Err(Error::config(format!(
                    "the environment variable `{LOCATION_ID}` {what}"
                )));
            }
            let account = if id.contains(':') { id.to_owned() } else { format!("location:{id}") };
            self.set_from(LOCATION_ID, "default_account", &account)?;
        }
        Ok(())
    }
}

/// The documentation page, in Markdown; `docs/options.md` is this text.
pub fn options_page() -> String {
    use std::fmt::Write as _;

    let mut page = String::from(PAGE_HEAD);
    for row in OPTIONS {
        let (default, kind) = described(row);
        let _ = writeln!(
            page,
            "| `{}` | {kind} | {default} | `{}` | {} |",
            row.name,
            row.environment(),
            row.meaning
        );
    }
    page.push_str(PAGE_WEBHOOKS);
    for row in crate::webhook::WEBHOOK_OPTIONS {
        let (default, kind) = described(row);
        let _ = writeln!(page, "| `{}` | {kind} | {default} | {} |", row.name, row.meaning);
    }
    page
}

/// A row's default and kind, for the page.
fn described(row: &OptionRow) -> (String, String) {
    let default = row.default.map_or_else(|| "-".to_owned(), |text| format!("`{text}`"));
    let kind = match row.kind {
        OptionKind::Text => "text".to_owned(),
        OptionKind::Secret => "secret".to_owned(),
        OptionKind::Seconds(low, high) => format!("seconds, {low} to {high}"),
        OptionKind::Number(low, u64::MAX) => format!("number, from {low}"),
        OptionKind::Number(low, high) => format!("number, {low} to {high}"),
        OptionKind::List => "list".to_owned(),
        OptionKind::Url => "URL".to_owned(),
        OptionKind::Account => "account".to_owned(),
        OptionKind::UserType => "`Location` or `Company`".to_owned(),
        OptionKind::Boolean => "`true` or `false`".to_owned(),
        OptionKind::Choice(words) => {
            words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
        }
    };
    (default, kind)
}

fn row(table: &'static [OptionRow], name: &str) -> Result<&'static OptionRow> {
    table.iter().find(|row| row.name == name).ok_or_else(|| {
        let shown: String = name.chars().take(64).filter(char::is_ascii_graphic).collect();
        let near = table
            .iter()
            .find(|row| row.name.eq_ignore_ascii_case(&shown.replace('-', "_")))
            .map_or_else(String::new, |row| format!("; did you mean `{}`?", row.name));
        Error::config(format!("there is no option `{shown}`{near}"))
    })
}

/// Checks a value and trims it. `label` names the option in messages, and the value is never shown.
fn check(row: &OptionRow, label: &str, value: &str) -> Result<Secret> {
    if value.len() > MAX_VALUE {
        return Err(Error::config(format!(
            "{label} is longer than {MAX_VALUE} bytes: give the value itself, not the content of a file"
        )));
    }
    let value = value.trim_ascii();
    if value.is_empty() {
        return Err(Error::config(format!("{label} is empty: give it a value, or leave it out")));
    }
    let refuse = |what: &str| Err(Error::config(format!("{label} {what}")));
    let form = form(row);
    // In a list white space of any kind separates.
    let spaced = (row.kind == OptionKind::List)
        .then(|| value.split_ascii_whitespace().collect::<Vec<_>>().join(" "));
    if let Some(what) = mistake::found(spaced.as_deref().unwrap_or(value), form)
        && !(form == Form::Path && std::path::Path::new(value).exists())
    {
        return refuse(what);
    }
    match row.kind {
        OptionKind::Text => check_text(row.name, label, value)?,
        OptionKind::List => {
            validate_scopes(label, value.split_ascii_whitespace())?;
        }
        OptionKind::Secret => check_secret(row.name, label, value)?,
        OptionKind::Seconds(low, high) => {
            let Ok(seconds) = value.parse::<f64>() else {
                return refuse(
                    "is not a number of seconds: write a decimal such as `2.5`, without a unit",
                );
            };
            if !(low..=high).contains(&seconds) {
                return refuse(&format!("must be between {low} and {high} seconds"));
            }
        }
        OptionKind::Number(low, high) => {
            let Ok(number) = value.parse::<u64>() else {
                return refuse("is not a whole number: write digits only, such as `5`");
            };
            if !(low..=high).contains(&number) {
                return refuse(&format!("must be between {low} and {high}"));
            }
        }
        OptionKind::Url => {
            check_url(label, value)?;
        }
        OptionKind::Account => {
            Account::parse(value)
                .map_err(|error| Error::config(format!("{label}: {}", error.message())))?;
        }
        OptionKind::UserType => {
            if AccountKind::from_user_type(value).is_none() {
                return refuse("must be `Location` or `Company`");
            }
        }
        OptionKind::Boolean => {
            if !matches!(value, "true" | "false") {
                return refuse("must be `true` or `false`");
            }
        }
        OptionKind::Choice(words) => {
            if !words.contains(&value) {
                return refuse(&format!("must be one of: {}", words.join(", ")));
            }
        }
    }
    Ok(Secret::new(value))
}

/// Tells which kind of text an option is.
fn form(row: &OptionRow) -> Form {
    match row.name {
        "private_integration_token"
        | "private_integration_token_next"
        | "access_token"
        | "client_id"
        | "api_version"
        | "app_id" => Form::Word,
        "client_secret" => Form::Secret,
        "redirect_uri" | "proxy" => Form::Url,
        "ca_file" => Form::Path,
        _ if row.kind == OptionKind::Url => Form::Url,
        // `store` and `store_key` have grammars of their own; of an account its own type tells
        // more.
        _ => Form::Text,
    }
}

fn check_text(name: &str, label: &str, value: &str) -> Result<()> {
    if HEADER_TEXT.contains(&name) && !value.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Err(Error::config(format!(
            "{label} holds a character outside ASCII, which no header carries: write it in ASCII"
        )));
    }
    match name {
        "redirect_uri" => validate_redirect_uri(label, value),
        "proxy" => {
            proxy::parse(value).map(drop).map_err(|what| Error::config(format!("{label} {what}")))
        }
        "store" => store_name::check(label, value),
        _ => Ok(()),
    }
}

fn check_secret(name: &str, label: &str, value: &str) -> Result<()> {
    if name == "store_key" {
        return check_store_key(label, value);
    }
    // RFC 6749 A.2: a client secret is any printable ASCII.
    if name == "client_secret" {
        if !value.bytes().all(|b| (0x20..0x7f).contains(&b)) {
            return Err(Error::config(format!(
                "{label} holds a character outside ASCII: copy it again"
            )));
        }
        return Ok(());
    }
    if !value.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Error::config(format!(
            "{label} holds white space or a character outside ASCII: copy it again, it is one word"
        )));
    }
    Ok(())
}

fn check_url(label: &str, value: &str) -> Result<Url> {
    let refuse = |what: &str| Err(Error::config(format!("{label} {what}")));
    let url = match web_url::parse(value) {
        Ok(url) => url,
        Err(Flaw::NotWhole) => {
            return refuse(
                "is not a whole URL: write it as `https://host/path`, with `https://` in front",
            );
        }
        Err(Flaw::NoHost) => return refuse("names no host: write it as `https://host/path`"),
        Err(Flaw::Ambiguous) => {
            return refuse("must be written as `https://host/path`, with `https://` in front");
        }
        Err(Flaw::Scheme) => return refuse("must begin with `https://`"),
    };
    if !web_url::has_usable_host(&url) {
        return refuse(
            "has a host name with a character that no host name has: write the name of the real host",
        );
    }
    if !web_url::is_private(&url) {
        return refuse(
            "must begin with `https://`: `http://` is for this computer only (`localhost`)",
        );
    }
    if web_url::has_user(&url) || url.fragment().is_some() {
        return refuse("must hold no user, password or fragment (`#…`): remove it");
    }
    Ok(url)
}

/// Exactly one of these makes the credential.
pub(crate) const CREDENTIALS: &[&str] =
    &["private_integration_token", "access_token", "client_id", "client_secret"];

const HOOPAI_TOKEN: &str = "HOOPAI_TOKEN";
const LOCATION_ID: &str = "LOCATION_ID";
const HEADER_TEXT: &[&str] = &["api_version", "user_agent", "client_id", "proxy", "redirect_uri"];
const MAX_VALUE: usize = 65_536;
const PAGE_HEAD: &str = "# Options

Every option has one name in every language. Values are text: seconds as decimals, lists separated by spaces.
What the program sets explicitly goes before the environment; the environment is read by `from_env` (C: `hoopauth_config_use_environment`) only. HoopAI's own
names come last: `HOOPAI_TOKEN` (a Private Integration token) and `LOCATION_ID` (the default account).

White space at the ends of a value is dropped. A value that an env file, a template or an editor spoilt is `CONFIG`, with a message that names
the option (and the variable) and the mistake, and shows nothing of the value: quotation marks around it, a placeholder that nothing replaced
(`${NAME}`, `$NAME`, `%NAME%`, `{{name}}`, `<name>`), a byte order mark, a control character. A secret that is only the place of a secret
(`file:…`, a path) is refused, too, but for `store_key`, which reads `file:PATH`.

An account is `location:<id>` or `company:<id>`, as in `default_account=location:ve9EPM428h8vShlRW1KT`. `LOCATION_ID` alone is the bare
id, as HoopAI's pages have it, and means `location:<id>`; it takes the full form, too.

| option | kind | default | environment | meaning |
|---|---|---|---|---|
";
const PAGE_WEBHOOKS: &str = "
## Of a verifier of webhooks

These are set on the verifier, not on the client; none of them comes from the environment.

| option | kind | default | meaning |
|---|---|---|---|
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;

    fn refuse(name: &str, value: &str) -> Error {
        let error = OptionSet::default().set(name, value).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Config, "{name}={value:.40}");
        error
    }

    #[test]
    fn every_option_refuses_empty_long_and_control() {
        let long = "x".repeat(1 << 20);
        for row in OPTIONS {
            for bad in ["", "  ", "a\0b", "a\u{7}b", "a\u{85}b", &long] {
                let error = refuse(row.name, bad);
                assert!(error.message().contains(row.name), "{}", error.message());
            }
        }
    }

    #[test]
    fn defaults_pass_their_own_checks() {
        for row in OPTIONS {
            if let Some(default) = row.default {
                OptionSet::default().set(row.name, default).unwrap();
            }
        }
    }

    #[test]
    fn urls_are_https_or_loopback() {
        for good in
            ["http://127.0.0.1:1", "http://[::1]:9/x", "http://localhost", "https://example.com/a"]
        {
            OptionSet::default().set("api_base", good).unwrap();
        }
        for bad in [
            "http://example.com",
            "http://127.0.0.1.example.com",
            "ftp://localhost",
            "//x",
            "x",
            "https://u:p@example.com",
        ] {
            refuse("api_base", bad);
        }
    }

    #[test]
    fn tokens_are_trimmed_and_one_word() {
        let mut set = OptionSet::default();
        set.set("private_integration_token", "pit-1234\r\n").unwrap();
        assert_eq!(set.secret("private_integration_token").unwrap().expose(), "pit-1234");
        for name in ["private_integration_token", "private_integration_token_next", "access_token"]
        {
            let error = refuse(name, "pit-12 34");
            assert!(!error.message().contains("34"));
        }
        set.set("client_secret", " two ~words! \n").unwrap();
        assert_eq!(set.secret("client_secret").unwrap().expose(), "two ~words!");
        for bad in ["s\u{e9}cret", "a\tb", "a\nb", "a\x7f"] {
            assert!(!refuse("client_secret", bad).message().contains(bad));
        }
    }

    /// Values as env files, templates and editors leave them.
    const MISTAKEN: &[&str] = &[
        "\"planted-0123456789\"",
        "'planted-0123456789'",
        "`planted-0123456789`",
        "\u{201c}planted-0123456789\u{201d}",
        "\u{ab}planted-0123456789\u{bb}",
        "\"\"",
        "${PLANTED}",
        "${PLANTED:-planted}",
        "$PLANTED_NAME",
        "%PLANTED%",
        "{{ planted }}",
        "<planted name>",
        "\u{feff}planted-0123456789",
        "planted-0123456789\u{a0}",
        "planted\u{7}-0123456789",
    ];

    #[test]
    fn every_option_refuses_every_mistake_wherever_it_comes_from() {
        for row in OPTIONS.iter().chain(crate::webhook::WEBHOOK_OPTIONS) {
            for bad in MISTAKEN {
                let table =
                    if OPTIONS.contains(row) { OPTIONS } else { crate::webhook::WEBHOOK_OPTIONS };
                let error = OptionSet::of(table).set(row.name, bad).unwrap_err();
                assert_eq!(error.code(), ErrorCode::Config, "{}={bad}", row.name);
                assert!(error.message().contains(&format!("`{}`", row.name)), "{error}");
                assert!(
                    !error.message().to_lowercase().contains("planted"),
                    "{}={bad}: {error}",
                    row.name
                );
            }
        }
        for row in OPTIONS {
            let variable = row.environment();
            for bad in MISTAKEN {
                let error = OptionSet::default()
                    .fill_from(|name| (name == variable).then(|| (*bad).into()))
                    .unwrap_err();
                assert_eq!(error.code(), ErrorCode::Config, "{variable}={bad}");
                assert!(error.message().contains(&format!("`{variable}`")), "{error}");
                assert!(
                    !error.message().to_lowercase().contains("planted"),
                    "{variable}={bad}: {error}"
                );
            }
        }
        for variable in [HOOPAI_TOKEN, LOCATION_ID] {
            for bad in MISTAKEN.iter().chain(&[
                "pit-\"planted",
                "location:'planted'",
                "pit planted",
                "file:/planted/token",
            ]) {
                let error = OptionSet::default()
                    .fill_from(|name| (name == variable).then(|| (*bad).into()))
                    .unwrap_err();
                assert_eq!(error.code(), ErrorCode::Config, "{variable}={bad}");
                assert!(error.message().contains(&format!("`{variable}`")), "{error}");
                assert!(
                    !error.message().to_lowercase().contains("planted"),
                    "{variable}={bad}: {error}"
                );
            }
        }
    }

    #[test]
    fn white_space_at_the_ends_is_trimmed_everywhere() {
        let good = |row: &OptionRow| match row.name {
            "store_key" => "0123456789abcdef".to_owned(),
            "default_account" => "location:a".to_owned(),
            "user_type" => "Location".to_owned(),
            "redirect_uri" => "https://h.example/cb".to_owned(),
            _ => row.default.unwrap_or("word").to_owned(),
        };
        for row in OPTIONS {
            let mut set = OptionSet::default();
            set.set(row.name, &format!(" \t{}\r\n", good(row))).unwrap();
            assert_eq!(set.text(row.name).unwrap(), good(row), "{}", row.name);
        }
    }

    #[test]
    fn legal_values_with_odd_characters_are_taken() {
        for (name, value) in [
            ("client_secret", "a'b\"c$d%e{f}<g>[h],;`~"),
            ("client_secret", "$ecret-0123"),
            ("client_secret", "/8Aa+0123=="),
            ("store_key", "p\u{e4}ss'w\"ord-$x-0123"),
            ("store_key", "file:/a b/$c/\u{e9}.key"),
            ("ca_file", "/a b/it's/100%/$c/\u{e9}.pem"),
            ("user_agent", "my app/1.0 (\"quoted\"; it's)"),
            ("proxy", "http://user:p$ss%22@proxy.example:3128"),
            ("redirect_uri", "https://h.example/cb?app=x&$y=1"),
            ("scopes", "objects/schema.readonly custom-menu-link.write a_b.c"),
            ("store", "sqlite:/a b/it's $x/grants.db"),
            ("store", "postgres://u:p%22$x@h/d"),
            ("private_integration_token", "pit-0a1b2c3d-0000-4000-8000-0123456789ab"),
            ("access_token", "eyJhbGciOiJSUzI1NiJ9.e30.a-b_c=="),
        ] {
            let mut set = OptionSet::default();
            set.set(name, value).unwrap_or_else(|error| panic!("{name}={value}: {error}"));
        }
    }

    #[test]
    fn a_secret_that_names_a_file_is_no_secret() {
        for name in [
            "client_secret",
            "private_integration_token",
            "private_integration_token_next",
            "access_token",
        ] {
            for value in [
                "file:/planted/secret",
                "FILE:/planted/secret",
                "/run/secrets/planted",
                "{\"token\":\"planted\"}",
            ] {
                let error = refuse(name, value);
                assert!(!error.message().contains("planted"), "{error}");
            }
        }
        assert!(
            refuse("private_integration_token", "Bearer planted").message().contains("`Bearer`")
        );
    }

    #[test]
    fn what_the_login_would_stumble_over_is_refused_when_it_is_set() {
        for scopes in ["contacts.readonly,contacts.write", "a, b", "a;b", "[\"a\"]", "a%20b"] {
            assert!(refuse("scopes", scopes).message().contains("space"), "{scopes}");
        }
        for uri in [
            "https://h.example/cb?state=x",
            "https://h.example/cb?code=x",
            "https://h.example/cb?x=1&error=y",
        ] {
            assert!(refuse("redirect_uri", uri).message().contains("platform adds"), "{uri}");
        }
        assert!(refuse("redirect_uri", "https://h.example/cb#x").message().contains("fragment"));
        assert!(refuse("redirect_uri", "h.example/cb").message().contains("`https://`"));
        assert!(refuse("store", "sqlite::memory:").message().contains("`memory:`"));
        assert!(refuse("proxy", "socks5://h:1").message().contains("SOCKS"));
    }

    #[test]
    fn numbers_have_limits() {
        for bad in ["-1", "NaN", "inf", "1e9", "1,5", "86401"] {
            refuse("refresh_before", bad);
        }
        refuse("token_requests_per_minute", "0");
        refuse("no_such_option", "1");
        assert!(refuse("Client-Id", "1").message().contains("`client_id`"));
    }

    #[test]
    fn explicit_goes_before_environment_before_hoopai_names() {
        let env = |name: &str| match name {
            "HOOPAUTH_API_VERSION" => Some("v3".into()),
            "HOOPAI_TOKEN" => Some("pit-env\n".into()),
            "LOCATION_ID" => Some("abc".into()),
            _ => None,
        };
        let mut set = OptionSet::default();
        set.fill_from(env).unwrap();
        assert_eq!(set.text("api_version").unwrap(), "v3");
        assert_eq!(set.secret("private_integration_token").unwrap().expose(), "pit-env");
        assert_eq!(set.text("default_account").unwrap(), "location:abc");

        let mut set = OptionSet::default();
        set.set("access_token", "mine").unwrap();
        set.set("api_version", "2021-04-15").unwrap();
        set.fill_from(env).unwrap();
        assert!(!set.is_set("private_integration_token"));
        assert_eq!(set.text("api_version").unwrap(), "2021-04-15");
    }

    #[test]
    #[cfg(feature = "sqlite")] // Without it the default store is another.
    fn the_page_is_the_committed_one() {
        let committed = include_str!("../../../docs/options.md");
        assert_eq!(committed, options_page(), "run `make docs`");
    }
}
