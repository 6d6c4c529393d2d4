//! The one table of options. Builder, environment, every binding and the documentation page come
//! from it.

mod checks;
mod set;
#[cfg(test)]
pub(crate) mod tests;
mod value;

pub(crate) use self::checks::{REDIRECT_URI_LIMIT, validate_redirect_uri, validate_scopes};
pub(crate) use self::set::OptionSet;
pub(crate) use self::value::Value;

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OptionRow {
    /// The option's name, the same in every language.
    pub name: &'static str,
    /// The form that its text must have.
    pub kind: OptionKind,
    /// The default, as text; `None` if there is none.
    pub default: Option<&'static str>,
    /// Effect, unit and limits of the option.
    pub meaning: &'static str,
}

impl OptionRow {
    /// The environment variable that `from_env` reads: `HOOPAUTH_<NAME>`.
    pub fn environment(&self) -> String {
        format!("HOOPAUTH_{}", self.name.to_ascii_uppercase())
    }
}

/// Form that the text of an option must have.
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

/// Hands the rows of the client's options to the macro `$then`: `rows` makes the table of them,
/// `setters` the methods of the builder.
#[rustfmt::skip] // It moves the continued lines of texts to the left, each time it runs.
macro_rules! client_options {
    ($then:ident) => {
        $then! {
            private_integration_token OptionKind::Secret, None,
                "A Private Integration token: the credential of programs that serve one account.";
            private_integration_token_next OptionKind::Secret, None,
                "The second Private Integration token during a rotation; both work for seven \
                 days. When the platform refuses the token in use, in whatever words, hoopauth \
                 tries the other token once and keeps it in use. The log and \
                 `refused_private_integration_token` name the refused token.";
            access_token OptionKind::Secret, None,
                "A static access token from elsewhere. It is never refreshed.";
            client_id OptionKind::Text, None, "The OAuth client id, `<app id>-<suffix>`.";
            client_secret OptionKind::Secret, None,
                "The OAuth client secret: printable ASCII, spaces inside it included.";
            redirect_uri OptionKind::Text, None,
                "The URL that the authorization page sends the user back to, exactly as \
                 registered with the app. It has no fragment, and no parameter `state`, `code` \
                 or `error` of its own: the platform adds them.";
            scopes OptionKind::List, None,
                "The scopes to ask for, separated by spaces (not by commas). Ask for the least.";
            user_type OptionKind::UserType, None,
                "`Location` or `Company`: the class of token that a code exchange asks for. \
                 Unset: the class that the user chose.";
            default_account OptionKind::Account, None, "The account of every call that names none.";
            api_base OptionKind::Url, Some("https://services.leadconnectorhq.com"),
                "The API's base URL.";
            authorize_url OptionKind::Url,
                Some("https://marketplace.gohighlevel.com/oauth/chooselocation"),
                "The URL of the authorization page.";
            token_url OptionKind::Url, Some("https://services.leadconnectorhq.com/oauth/token"),
                "The URL of the token endpoint.";
            location_token_url OptionKind::Url,
                Some("https://services.leadconnectorhq.com/oauth/locationToken"),
                "The URL of the endpoint that mints a location's token from its company's token.";
            api_version OptionKind::Text, Some("2021-07-28"),
                "The `Version` header of the program's requests. The library's own calls (the \
                 list of installed locations, minting) keep `2021-07-28`.";
            store OptionKind::Text, Some("sqlite:"),
                "The store of the grants: `sqlite:` (a file of this user that processes share, \
                 and a key beside it, both made at the first use: \
                 `$XDG_DATA_HOME/hoopauth/grants.db`, else `~/.local/share/hoopauth/grants.db`; \
                 on macOS in `~/Library/Application Support`, on Windows in `%LOCALAPPDATA%`), \
                 `sqlite:PATH` (a file at a place of your own; needs `store_key`), `memory:` \
                 (this process only; it ends with the process), or \
                 `postgres://USER:PASSWORD@HOST:PORT/DATABASE` (a PostgreSQL database, 14 or \
                 later, that computers share; needs `store_key`). PostgreSQL's own URL \
                 parameters apply, such as `sslmode` and `sslrootcert`. If `sslrootcert` names a \
                 file, only the authorities in it are trusted; `sslrootcert=system` goes with \
                 `sslmode=verify-full` only. Without `sslmode`, hosts other than loopback must \
                 show a certificate for their name. `hoopauth_schema=NAME` names the schema \
                 (`hoopauth`), which is made at the first use. Do not connect through a pooler \
                 in transaction mode.";
            store_key OptionKind::Secret, None,
                "The secret that seals grants and pending authorizations; at least 16 bytes. \
                 Several secrets are separated by spaces: the first seals, all open. A grant \
                 that an older secret sealed is sealed with the first when it is refreshed; \
                 maintenance does so with all of them. A sealed grant opens for its app, account \
                 and generation only, so that nobody can put an older one in its place. Or \
                 `file:PATH`: a file that holds the secret as UTF-8 text; a byte order mark is \
                 not part of it. As with the database, hoopauth takes away the rights of others \
                 to read the file, and refuses the file if it can't; root's files may be \
                 readable by their group.";
            refresh_before OptionKind::Seconds(0.0, 86_400.0), Some("60"),
                "Seconds of remaining life below which callers wait for a refresh; never more \
                 than a tenth of the token's life.";
            timeout OptionKind::Seconds(0.001, 86_400.0), Some("30"),
                "Seconds for a whole call with all its tries and waits, those for the store and \
                 for other callers included. A grant that has just arrived gets up to one second \
                 more to be saved.";
            attempt_timeout OptionKind::Seconds(0.001, 9.0), Some("8"),
                "Seconds for one HTTP attempt; at most 9, so that two fit into the 20 seconds in \
                 which a refresh can be repeated.";
            connect_timeout OptionKind::Seconds(0.001, 9.0), Some("5"), "Seconds to connect.";
            max_wait OptionKind::Seconds(0.0, 3_600.0), Some("10"),
                "Seconds that a caller waits at most for a refresh under way elsewhere or for \
                 the token-request budget.";
            max_retries OptionKind::Number(0, 10), Some("2"),
                "Repeats of a failed request at most. A refresh is repeated at most once within \
                 a call: always after a lost answer, and after an answer that is a failure only \
                 if this is not 0.";
            token_requests_per_minute OptionKind::Number(1, 1_000_000), Some("5"),
                "The budget of the token endpoint: requests per minute of all processes that \
                 share the store. Above 2, the last one is kept for the repeat of a lost answer. \
                 Accounts that keep failing while others are served share a tenth of it.";
            max_response_bytes OptionKind::Number(1, 1 << 40), Some("33554432"),
                "The longest body to accept in an API answer, in bytes after decompression.";
            documented_version OptionKind::Boolean, Some("false"),
                "`true`: `request` sends the `Version` that the platform documents for the \
                 operation instead of `api_version`, if the platform documents one.";
            scope_preflight OptionKind::Choice(&["off", "warn", "refuse"]), Some("off"),
                "The reaction of `request` to an operation that the grant's scopes do not cover: \
                 `off` sends it, `warn` logs a warning and sends it, `refuse` fails with \
                 `INSUFFICIENT_SCOPE`. Operations and scopes that are not documented always \
                 pass.";
            pacing OptionKind::Boolean, Some("false"),
                "`true`: `request` holds requests back, per account and in this process, before \
                 the platform would refuse them.";
            requests_per_interval OptionKind::Number(1, 1_000_000), Some("100"),
                "Requests of one account that pacing lets through in each interval.";
            request_interval OptionKind::Seconds(0.001, 86_400.0), Some("10"),
                "The length of the interval of pacing, in seconds.";
            requests_per_day OptionKind::Number(1, 1_000_000_000), Some("200000"),
                "Requests of one account that pacing lets through in a day (UTC).";
            cache_accounts OptionKind::Number(0, u64::MAX), Some("0"),
                "Accounts whose headers are kept in memory at most. 0: all accounts in use, or \
                 4096 with a static token.";
            ca_file OptionKind::Text, None,
                "A PEM file whose certificates are trusted beside the system's; each stands on \
                 lines of its own. `SSL_CERT_FILE` and `SSL_CERT_DIR` of the environment replace \
                 the system's certificates.";
            proxy OptionKind::Text, None,
                "The HTTP proxy for everything but loopback (`localhost`, `127.0.0.0/8`, `::1`), \
                 as `http://user:password@host:port`. Unset: the proxy of the environment \
                 (`HTTPS_PROXY`, `ALL_PROXY`, with the exceptions of `NO_PROXY`), in capitals or \
                 small letters. A proxy that can't be read is `CONFIG`, and nothing is sent \
                 without it. SOCKS is not supported.";
            user_agent OptionKind::Text, None,
                "The `User-Agent` header. Unset: `hoopauth/<version> (<language>)`.";
        }
    };
}

/// Makes the rows of a table.
macro_rules! rows {
    ($(
        $name:ident OptionKind::$kind:ident $(($($limit:expr),*))?,
        $default:expr, $meaning:literal;
    )*) => {
        &[$($crate::options::OptionRow {
            name: stringify!($name),
            kind: $crate::options::OptionKind::$kind $(($($limit),*))?,
            default: $default,
            meaning: $meaning,
        },)*]
    };
}

/// Makes a method of a builder for each row of a table. The row's kind decides what the method
/// takes.
macro_rules! setters {
    ($(
        $name:ident OptionKind::$kind:ident $(($($limit:expr),*))?,
        $default:expr, $meaning:literal;
    )*) => {
        $($crate::options::setter! { $kind $name $meaning })*
    };
}

/// Makes the method of one row.
macro_rules! setter {
    (Text $name:ident $meaning:literal) => {
        #[doc = $meaning]
        pub fn $name(self, text: impl Into<String>) -> Self {
            self.option(stringify!($name), &text.into())
        }
    };
    (Url $name:ident $meaning:literal) => {
        #[doc = $meaning]
        pub fn $name(self, url: impl Into<String>) -> Self {
            self.option(stringify!($name), &url.into())
        }
    };
    (Choice $name:ident $meaning:literal) => {
        #[doc = $meaning]
        pub fn $name(self, word: &str) -> Self {
            self.option(stringify!($name), word)
        }
    };
    (Secret $name:ident $meaning:literal) => {
        #[doc = $meaning]
        pub fn $name(self, secret: impl Into<$crate::secret::Secret>) -> Self {
            self.option(stringify!($name), secret.into().expose())
        }
    };
    (List $name:ident $meaning:literal) => {
        #[doc = $meaning]
        ///
        /// Here each is an item.
        pub fn $name<S: AsRef<str>>(self, items: impl IntoIterator<Item = S>) -> Self {
            self.set(|options| options.set_list(stringify!($name), items))
        }
    };
    (Seconds $name:ident $meaning:literal) => {
        $crate::options::setter! { $name span std::time::Duration, Seconds(span), $meaning }
    };
    (Number $name:ident $meaning:literal) => {
        $crate::options::setter! { $name number u64, Number(number), $meaning }
    };
    (Boolean $name:ident $meaning:literal) => {
        $crate::options::setter! { $name on bool, Boolean(on), $meaning }
    };
    (Account $name:ident $meaning:literal) => {
        $crate::options::setter! {
            $name account &$crate::account::Account, Account(account.clone()), $meaning
        }
    };
    (UserType $name:ident $meaning:literal) => {
        $crate::options::setter! {
            $name kind $crate::account::AccountKind, UserType(kind), $meaning
        }
    };
    ($name:ident $value:ident $type:ty, $kind:ident($content:expr), $meaning:literal) => {
        #[doc = $meaning]
        pub fn $name(self, $value: $type) -> Self {
            let value = $crate::options::Value::$kind($content);
            self.set(|options| options.set_value(stringify!($name), value))
        }
    };
}

pub(crate) use {client_options, rows, setter, setters};

/// Every option there is.
pub static OPTIONS: &[OptionRow] = client_options!(rows);

/// Writes the documentation page in Markdown: the client's options, and those of a verifier.
pub(crate) fn page(verifier: &[OptionRow]) -> String {
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
    for row in verifier {
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

/// Exactly one of these makes the credential.
pub(crate) const CREDENTIALS: &[&str] =
    &["private_integration_token", "access_token", "client_id", "client_secret"];

const PAGE_HEAD: &str = "# Options

Every option has one name in every language. Values are text: seconds as decimals, lists separated
by spaces. A value that the program sets comes before the environment, which is read by `from_env`
(C: `hoopauth_config_use_environment`) only. HoopAI's own names come last: `HOOPAI_TOKEN` (a Private
Integration token) and `LOCATION_ID` (the default account).

White space at the ends of a value is dropped. A value that an env file, a template or an editor
spoilt is `CONFIG`: quotation marks around it, a placeholder that nothing replaced (`${NAME}`,
`$NAME`, `%NAME%`, `{{name}}`, `<name>`), a byte order mark, a control character. The message names
the option (and the variable) and the mistake, and shows nothing of the value. A secret that is only
the place of a secret (`file:…`, a path) is refused, too, but for `store_key`, which reads
`file:PATH`.

An account is `location:<id>` or `company:<id>`, as in
`default_account=location:ve9EPM428h8vShlRW1KT`. `LOCATION_ID` alone is the bare id, as HoopAI's
pages show it, and means `location:<id>`; it takes the full form, too.

| option | kind | default | environment | meaning |
|---|---|---|---|---|
";
const PAGE_WEBHOOKS: &str = "
## Of a verifier of webhooks

These are set on the verifier, not on the client; none of them comes from the environment.

| option | kind | default | meaning |
|---|---|---|---|
";
