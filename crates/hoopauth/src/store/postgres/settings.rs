//! The option `store` of a server: PostgreSQL's own URL, from which we first take the parameters
//! that the driver does not know.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, SslNegotiation, TargetSessionAttrs};

use super::IDLE_HOLDER;
use crate::error::{Error, Result};
use crate::web_url;

/// Address of the store and the way to connect.
pub(crate) struct PostgresSettings {
    pub(super) config: Config,
    pub(super) tls: Tls,
    pub(super) roots: Roots,
    pub(super) schema: String,
    /// Host and port, for messages.
    pub(super) place: String,
    pub(super) connect_timeout: Duration,
}

impl PostgresSettings {
    /// Reads `url`. No I/O. `ca_file` and `connect_timeout` are the client's options of these
    /// names.
    pub(crate) fn parse(
        url: &str,
        ca_file: Option<PathBuf>,
        connect_timeout: Duration,
    ) -> Result<Self> {
        let (rest, own) = Own::take(url)?;
        // What the driver says names parameters, never their values.
        let mut config: Config = rest.parse().map_err(|error: tokio_postgres::Error| {
            let cause =
                std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            refuse(&format!("the URL is not usable ({cause})"))
        })?;
        let place = place(&config)?;
        let tls = match (own.tls, &own.root) {
            // As libpq does: all the world has a certificate of one of the system's roots, so the
            // name has to be looked at.
            (None, Some(Root::System)) => Tls::VerifyFull,
            // As libpq does: who names a root certificate wants it looked at.
            (Some(Tls::Require), Some(Root::File(_))) => Tls::VerifyCa,
            (Some(mode), _) => mode,
            (None, _) if is_local(&config) => Tls::Prefer,
            (None, _) => Tls::VerifyFull,
        };
        if config.get_ssl_negotiation() == SslNegotiation::Direct
            && matches!(tls, Tls::Disable | Tls::Prefer)
        {
            return Err(refuse(
                "`sslnegotiation=direct` needs `sslmode=require` or a stricter one",
            ));
        }
        if config.get_target_session_attrs() == TargetSessionAttrs::ReadOnly {
            return Err(refuse(
                "`target_session_attrs=read-only` selects read-only servers, which cannot hold a \
                 store",
            ));
        }
        config.ssl_mode(match tls {
            Tls::Disable => SslMode::Disable,
            Tls::Prefer => SslMode::Prefer,
            _ => SslMode::Require,
        });
        let connect_timeout = config.get_connect_timeout().copied().unwrap_or(connect_timeout);
        config
            .connect_timeout(connect_timeout)
            .keepalives(true)
            .keepalives_idle(KEEPALIVE_IDLE)
            .keepalives_interval(KEEPALIVE_INTERVAL)
            .keepalives_retries(KEEPALIVE_TRIES)
            .tcp_user_timeout(IDLE_HOLDER);
        if config.get_application_name().is_none() {
            config.application_name("hoopauth");
        }
        if config.get_hosts().len() > 1 {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        let absolute = |path: PathBuf| {
            std::path::absolute(path)
                .map_err(|error| refuse(&format!("a certificate's path is not usable ({error})")))
        };
        let roots = match own.root {
            Some(Root::File(path)) => Roots::Only(absolute(path)?),
            Some(Root::System) => Roots::System,
            None => Roots::SystemAnd(ca_file.map(absolute).transpose()?),
        };
        Ok(Self {
            config,
            tls,
            roots,
            schema: own.schema.unwrap_or_else(|| "hoopauth".to_owned()),
            place,
            connect_timeout,
        })
    }
}

impl PostgresSettings {
    /// Refuses settings under which a stranger's server would be told the password. Asked before
    /// anything connects.
    pub(super) fn check_roots(&self) -> Result<()> {
        if self.roots == Roots::System && self.tls != Tls::VerifyFull {
            return Err(refuse(
                "`sslrootcert=system` goes with `sslmode=verify-full` only: a weaker mode would \
                 accept a stranger's server",
            ));
        }
        Ok(())
    }
}

impl fmt::Debug for PostgresSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresSettings")
            .field("place", &self.place)
            .field("tls", &self.tls)
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

/// `sslmode`, with libpq's meanings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tls {
    /// Plain.
    Disable,
    /// TLS if the server has it; nobody is verified.
    Prefer,
    /// TLS; nobody is verified.
    Require,
    /// TLS with a certificate that a trusted root signed, for whichever host.
    VerifyCa,
    /// TLS with a certificate for this host.
    VerifyFull,
}

/// The certificates that are trusted to sign a server's.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Roots {
    /// The system's, by `sslrootcert=system`: goes with [`Tls::VerifyFull`] only.
    System,
    /// The system's, and those in the client's `ca_file`.
    SystemAnd(Option<PathBuf>),
    /// The certificates in the PEM file of `sslrootcert`, as libpq means it.
    Only(PathBuf),
}

/// `sslrootcert`.
enum Root {
    System,
    File(PathBuf),
}

/// The parameters that are ours to understand.
#[derive(Default)]
struct Own {
    tls: Option<Tls>,
    root: Option<Root>,
    schema: Option<String>,
}

impl Own {
    /// Takes them out of `url`.
    fn take(url: &str) -> Result<(String, Self)> {
        // The driver knows another form, too.
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(refuse("the URL is not usable"));
        }
        let mut own = Self::default();
        let credentials = url.find('@').unwrap_or(0);
        let Some(query) = url[credentials..].find('?').map(|at| at + credentials) else {
            return Ok((url.to_owned(), own));
        };
        let mut rest = Vec::new();
        for pair in url[query + 1..].split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match &*decoded("a parameter's name", name)? {
                "sslmode" => own.tls = Some(tls(&decoded(name, value)?)?),
                "sslrootcert" => {
                    own.root = Some(match &*decoded(name, value)? {
                        "" => {
                            return Err(refuse("`sslrootcert` is empty: name a file, or `system`"));
                        }
                        "system" => Root::System,
                        path => Root::File(path.into()),
                    });
                }
                SCHEMA => own.schema = Some(schema(&decoded(name, value)?)?),
                _ => rest.push(pair),
            }
        }
        let separator = if rest.is_empty() { "" } else { "?" };
        Ok((format!("{}{separator}{}", &url[..query], rest.join("&")), own))
    }
}

fn decoded<'a>(name: &str, value: &'a str) -> Result<Cow<'a, str>> {
    percent_decode_str(value).decode_utf8().map_err(|_| refuse(&format!("`{name}` is not UTF-8")))
}

fn tls(mode: &str) -> Result<Tls> {
    Ok(match mode {
        "disable" => Tls::Disable,
        "prefer" | "allow" => Tls::Prefer,
        "require" => Tls::Require,
        "verify-ca" => Tls::VerifyCa,
        "verify-full" => Tls::VerifyFull,
        _ => {
            return Err(refuse(
                "`sslmode` must be `disable`, `prefer`, `require`, `verify-ca` or `verify-full`",
            ));
        }
    })
}

/// Only what needs no quotes: the name appears in statements.
fn schema(name: &str) -> Result<String> {
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let goes_on = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    // Names that begin so are the server's own.
    if !starts || !goes_on || name.len() > LONGEST_NAME || name.starts_with("pg_") {
        return Err(refuse(&format!(
            "`{SCHEMA}` must be a name of lower-case letters, digits and `_`, at most \
             {LONGEST_NAME} of them"
        )));
    }
    Ok(name.to_owned())
}

/// The hosts and ports, as messages name them.
fn place(config: &Config) -> Result<String> {
    let (hosts, ports) = (config.get_hosts(), config.get_ports());
    let port = |at: usize| ports.get(at).or(ports.first()).copied().unwrap_or(5432);
    let named = |(at, host): (usize, &Host)| match host {
        // An unencoded `@` or `:` in a password would end up here, and then in messages.
        Host::Tcp(name) if !web_url::is_host(name) => Err(refuse(
            "the host is invalid: encode `@`, `:`, `/` and `?` in the password as `%40`, `%3A`, \
             `%2F` and `%3F`",
        )),
        Host::Tcp(name) if name.contains(':') => Ok(format!("[{name}]:{}", port(at))),
        Host::Tcp(name) => Ok(format!("{name}:{}", port(at))),
        #[cfg(unix)]
        Host::Unix(path) => Ok(format!("{}/.s.PGSQL.{}", path.display(), port(at))),
    };
    let mut places = hosts.iter().enumerate().map(named).collect::<Result<Vec<_>>>()?;
    if hosts.is_empty() {
        let addresses = config.get_hostaddrs().iter().enumerate();
        places.extend(addresses.map(|(at, address)| format!("{address} port {}", port(at))));
    }
    if places.is_empty() {
        return Err(refuse("the URL names no host"));
    }
    Ok(places.join(", "))
}

/// Returns `true` if no connection leaves this computer.
fn is_local(config: &Config) -> bool {
    let by_name = config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => web_url::is_loopback_host(name),
        #[cfg(unix)]
        Host::Unix(_) => true,
    });
    by_name && config.get_hostaddrs().iter().copied().all(web_url::is_loopback_address)
}

fn refuse(why: &str) -> Error {
    Error::config(format!(
        "`store`: {why}; the form is `postgres://user:password@host:port/database`"
    ))
}

const SCHEMA: &str = "hoopauth_schema";
const LONGEST_NAME: usize = 63;
const KEEPALIVE_IDLE: Duration = Duration::from_secs(4);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
const KEEPALIVE_TRIES: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;

    fn parse(url: &str) -> Result<PostgresSettings> {
        PostgresSettings::parse(url, None, Duration::from_secs(5))
    }

    #[test]
    fn only_loopback_is_trusted_unverified() {
        let mode = |url| parse(url).unwrap().tls;
        assert_eq!(mode("postgres://u:p@127.0.0.1/d"), Tls::Prefer);
        assert_eq!(mode("postgresql://localhost:1/d"), Tls::Prefer);
        assert_eq!(mode("postgres://u@%2Frun%2Fpostgresql/d"), Tls::Prefer);
        assert_eq!(mode("postgres://u:p@db.example/d"), Tls::VerifyFull);
        assert_eq!(mode("postgres://u:p@localhost,db.example/d"), Tls::VerifyFull);
        assert_eq!(mode("postgres://u:p@db.example/d?sslmode=disable"), Tls::Disable);
        assert_eq!(
            mode("postgres://u:p@db.example/d?sslmode=require&connect_timeout=3"),
            Tls::Require
        );
        assert_eq!(
            mode("postgres://u:p@db.example/d?sslmode=require&sslrootcert=x.pem"),
            Tls::VerifyCa
        );
        assert_eq!(mode("postgres://u:p@db.example/d?sslmode=verify-ca"), Tls::VerifyCa);
    }

    #[test]
    fn no_parameter_means_less_than_it_does_elsewhere() {
        let parse = |query: &str, host: &str| {
            let ca_file = Some(PathBuf::from("/own.pem"));
            PostgresSettings::parse(
                &format!("postgres://u:planted@{host}/d?{query}"),
                ca_file,
                Duration::from_secs(5),
            )
        };
        for host in ["db.example", "127.0.0.1"] {
            // The system's roots sign for everybody.
            for query in [
                "sslrootcert=system",
                "sslrootcert=s%79stem",
                "sslmode=verify-full&sslrootcert=system",
            ] {
                let settings = parse(query, host).unwrap();
                assert_eq!(
                    (settings.tls, &settings.roots),
                    (Tls::VerifyFull, &Roots::System),
                    "{query}"
                );
                settings.check_roots().unwrap();
            }
            for mode in ["disable", "allow", "prefer", "require", "verify-ca"] {
                for query in [
                    format!("sslmode={mode}&sslrootcert=system"),
                    format!("sslrootcert=system&sslmode={mode}"),
                    format!("sslrootcert=x.pem&sslmode={mode}&sslrootcert=system"),
                ] {
                    let error = parse(&query, host).unwrap().check_roots().unwrap_err();
                    assert_eq!(error.code(), ErrorCode::Config, "{query}");
                    assert!(error.message().contains("sslmode=verify-full"), "{error}");
                    assert!(!error.message().contains("planted"), "{error}");
                }
            }
            for query in [
                "sslmode=disable&sslnegotiation=direct",
                "sslmode=prefer&sslnegotiation=direct",
                "target_session_attrs=read-only",
                "sslrootcert=",
                "sslcert=x.pem",
                "sslcrl=x.pem",
                "ssl_min_protocol_version=TLSv1.3",
                "require_auth=scram-sha-256",
                "gssencmode=require",
            ] {
                assert_eq!(parse(query, host).unwrap_err().code(), ErrorCode::Config, "{query}");
            }
            // Names are read as the driver reads them.
            assert_eq!(parse("ssl%6Dode=verify-full", host).unwrap().tls, Tls::VerifyFull);
        }
        // A file is trusted alone, as libpq means it.
        let settings = parse("sslmode=verify-full&sslrootcert=/x.pem", "db.example").unwrap();
        assert_eq!(settings.roots, Roots::Only("/x.pem".into()));
        let settings = parse("sslmode=require&sslnegotiation=direct", "db.example").unwrap();
        assert_eq!(settings.tls, Tls::Require);
    }

    #[test]
    fn what_is_ours_does_not_reach_the_driver() {
        let settings = parse(
            "postgres://u:p@h:7/d?hoopauth_schema=a_1&sslrootcert=%2Fx%20y&application_name=z",
        );
        let settings = settings.unwrap();
        assert_eq!((settings.schema.as_str(), settings.place.as_str()), ("a_1", "h:7"));
        assert_eq!(settings.roots, Roots::Only(PathBuf::from("/x y")));
        assert_eq!(settings.config.get_application_name(), Some("z"));
        assert_eq!(settings.connect_timeout, Duration::from_secs(5));
    }

    #[test]
    fn a_bad_url_is_refused_and_not_shown() {
        for bad in [
            "postgres://",
            "postgres:host=h password=planted",
            "postgres:///d",
            "postgres://u:planted@h:x/d",
            "postgres://u:planted@h/d?no_such=planted",
            "postgres://u:pla@nted@h/d",
            "postgres://u:planted@h/d?sslmode=planted",
            "postgres://u:planted@h/d?hoopauth_schema=Planted",
            "postgres://u:planted@h/d?hoopauth_schema=a%22b",
            "postgres://u:planted@h/d?hoopauth_schema=pg_x",
            "postgres://u:planted@h/d?hoopauth_schema=",
        ] {
            let error = parse(bad).unwrap_err();
            assert_eq!(error.code(), ErrorCode::Config, "{bad}");
            let shown = format!("{error} {error:?}").to_lowercase();
            assert!(!shown.contains("planted") && !shown.contains("nted@"), "{shown}");
        }
        let settings = parse("postgres://u:planted@h/d?password=planted").unwrap();
        assert!(!format!("{settings:?}").contains("planted"));
    }
}
