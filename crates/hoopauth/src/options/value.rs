//! The value of an option: text is parsed once, when the option is set.

use std::path::Path;
use std::time::Duration;

use url::Url;

use super::checks::{check_url, validate_redirect_uri, validate_scopes};
use super::{OptionKind, OptionRow};
use crate::account::{Account, AccountKind};
use crate::error::{Error, Result};
use crate::mistake::{self, Form};
use crate::proxy;
use crate::secret::Secret;
use crate::store_key::StoreKey;
use crate::store_name::StoreName;

/// The value of an option in the form that it is used in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// Text, shown or not.
    Text(Secret),
    Seconds(Duration),
    Number(u64),
    List(Vec<String>),
    Url(Url),
    Account(Account),
    UserType(AccountKind),
    Boolean(bool),
    Choice(&'static str),
    /// The option `store`.
    Store(StoreName),
    /// The option `store_key`.
    StoreKey(StoreKey),
}

impl Value {
    /// Parses the text of an option. `label` names the option in messages, which never show the
    /// text.
    pub(super) fn parse(row: &OptionRow, label: &str, text: &str) -> Result<Self> {
        if text.len() > MAX_VALUE {
            return Err(Error::config(format!(
                "{label} is longer than {MAX_VALUE} bytes: give the value itself, not the content \
                 of a file"
            )));
        }
        let text = text.trim_ascii();
        if text.is_empty() {
            return Err(Error::config(format!(
                "{label} is empty: give it a value, or leave it out"
            )));
        }
        let refuse = |what: &str| Err(Error::config(format!("{label} {what}")));
        let form = form(row);
        // In a list white space of any kind separates.
        let spaced = (row.kind == OptionKind::List)
            .then(|| text.split_ascii_whitespace().collect::<Vec<_>>().join(" "));
        if let Some(what) = mistake::found(spaced.as_deref().unwrap_or(text), form)
            && !(form == Form::Path && Path::new(text).exists())
        {
            return refuse(what);
        }
        let value = match row.kind {
            OptionKind::Text => parse_text(row.name, label, text)?,
            OptionKind::List => Self::List(validate_scopes(label, text.split_ascii_whitespace())?),
            OptionKind::Secret => parse_secret(row.name, label, text)?,
            OptionKind::Seconds(low, high) => {
                let Ok(seconds) = text.parse::<f64>() else {
                    return refuse(
                        "is not a number of seconds: write a decimal such as `2.5`, without a unit",
                    );
                };
                match Duration::try_from_secs_f64(seconds) {
                    Ok(span) if (low..=high).contains(&seconds) => Self::Seconds(span),
                    _ => return refuse(&outside(low, high, " seconds")),
                }
            }
            OptionKind::Number(..) => match text.parse() {
                Ok(number) => Self::Number(number),
                Err(_) => return refuse("is not a whole number: write digits only, such as `5`"),
            },
            OptionKind::Url => Self::Url(check_url(label, text)?),
            OptionKind::Account => Self::Account(
                Account::parse(text)
                    .map_err(|error| Error::config(format!("{label}: {}", error.message())))?,
            ),
            OptionKind::UserType => match AccountKind::from_user_type(text) {
                Some(kind) => Self::UserType(kind),
                None => return refuse("must be `Location` or `Company`"),
            },
            OptionKind::Boolean => match text {
                "true" => Self::Boolean(true),
                "false" => Self::Boolean(false),
                _ => return refuse("must be `true` or `false`"),
            },
            OptionKind::Choice(words) => match words.iter().find(|word| **word == text) {
                Some(word) => Self::Choice(word),
                None => return refuse(&format!("must be one of: {}", words.join(", "))),
            },
        };
        value.within_limits(row, label)
    }

    /// Refuses what the row's limits do not allow.
    pub(super) fn within_limits(self, row: &OptionRow, label: &str) -> Result<Self> {
        let what = match (&self, row.kind) {
            (Self::Seconds(span), OptionKind::Seconds(low, high))
                if !(low..=high).contains(&span.as_secs_f64()) =>
            {
                outside(low, high, " seconds")
            }
            (Self::Number(number), OptionKind::Number(low, high))
                if !(low..=high).contains(number) =>
            {
                outside(low, high, "")
            }
            _ => return Ok(self),
        };
        Err(Error::config(format!("{label} {what}")))
    }
}

fn outside<T: std::fmt::Display>(low: T, high: T, unit: &str) -> String {
    format!("must be between {low} and {high}{unit}")
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

fn parse_text(name: &str, label: &str, text: &str) -> Result<Value> {
    if HEADER_TEXT.contains(&name) && !text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Err(Error::config(format!(
            "{label} holds a character outside ASCII, which no header carries: write it in ASCII"
        )));
    }
    let refuse = |what: &str| Error::config(format!("{label} {what}"));
    match name {
        "redirect_uri" => validate_redirect_uri(label, text)?,
        "proxy" => {
            proxy::parse(text).map_err(refuse)?;
        }
        "store" => {
            return StoreName::parse(text).map(Value::Store).map_err(|what| refuse(&what));
        }
        _ => {}
    }
    Ok(Value::Text(Secret::new(text)))
}

fn parse_secret(name: &str, label: &str, text: &str) -> Result<Value> {
    let refuse = |what: &str| Err(Error::config(format!("{label} {what}")));
    match name {
        "store_key" => return StoreKey::parse(label, text).map(Value::StoreKey),
        // RFC 6749 A.2: a client secret is any printable ASCII.
        "client_secret" if !text.bytes().all(|b| (0x20..0x7f).contains(&b)) => {
            return refuse("holds a character outside ASCII: copy it again");
        }
        _ => {}
    }
    Ok(Value::Text(Secret::new(text)))
}

const HEADER_TEXT: &[&str] = &["api_version", "user_agent", "client_id", "proxy", "redirect_uri"];
const MAX_VALUE: usize = 65_536;
