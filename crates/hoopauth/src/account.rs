//! Accounts: the parties that tokens speak for.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::mistake::{self, Form};

/// A location (sub-account) or company (agency): `location:<id>` or `company:<id>`, in every
/// language that one string.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account {
    text: Arc<str>,
}

impl Account {
    /// The location with this id.
    pub fn location(id: &str) -> Result<Self> {
        Self::of(AccountKind::Location, id)
    }

    /// The company with this id.
    pub fn company(id: &str) -> Result<Self> {
        Self::of(AccountKind::Company, id)
    }

    /// Reads `location:<id>` or `company:<id>`. The id is 1 to 128 printable ASCII characters
    /// without spaces.
    pub fn parse(text: &str) -> Result<Self> {
        let account = Self::of_store(text)?;
        // Ids of the platform have letters and digits; these are of env files and templates.
        if account.id().contains(NOT_IN_IDS) {
            let what = mistake::found(account.id(), Form::Text).unwrap_or(
                "holds a character that ids never contain, such as a quotation mark or \
                            `$`",
            );
            return Err(Error::argument(format!(
                "the account's id {what}; copy the id again from the platform"
            )));
        }
        Ok(account)
    }

    /// Reads the name of a stored row, which an earlier release may have taken as it was given: one
    /// odd name must not hide the others.
    pub(crate) fn of_store(text: &str) -> Result<Self> {
        if text.len() > MAX_LENGTH {
            return Err(Error::argument(format!(
                "an account is at most {MAX_LENGTH} bytes, this one has {}: give `location:<id>` \
                 or `company:<id>`",
                text.len()
            )));
        }
        let Some(kind) = AccountKind::of_name(text) else {
            return Err(Error::argument(match mistake::found(text, Form::Text) {
                Some(what) if !text.is_empty() => {
                    format!("the account {what}; it is written `location:<id>` or `company:<id>`")
                }
                _ => {
                    "an account is written `location:<id>` or `company:<id>`, in lower case: give \
                      it so"
                        .to_owned()
                }
            }));
        };
        let id = &text[kind.prefix().len()..];
        if id.is_empty() {
            return Err(Error::argument(
                "the account's id is empty: give `location:<id>` or `company:<id>`",
            ));
        }
        if !id.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Error::argument(
                "the account's id holds a space, a control character or a character outside ASCII: \
                 copy the id again; it is one word",
            ));
        }
        Ok(Self { text: text.into() })
    }

    /// `location:<id>` or `company:<id>`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The id without its kind.
    pub fn id(&self) -> &str {
        &self.text[self.kind().prefix().len()..]
    }

    /// Location or company.
    pub fn kind(&self) -> AccountKind {
        if self.text.starts_with(AccountKind::Location.prefix()) {
            AccountKind::Location
        } else {
            AccountKind::Company
        }
    }

    fn of(kind: AccountKind, id: &str) -> Result<Self> {
        if id.len() > MAX_LENGTH {
            return Err(Error::argument(format!(
                "the account's id is longer than {MAX_LENGTH} bytes: copy the id again"
            )));
        }
        Self::parse(&format!("{}{id}", kind.prefix()))
    }
}

impl FromStr for Account {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The class of an account and of its tokens; HoopAI's `userType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum AccountKind {
    /// A sub-account.
    Location,
    /// An agency.
    Company,
}

impl AccountKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Location, Self::Company];

    /// The spelling on the wire: `Location` or `Company`.
    pub const fn user_type(self) -> &'static str {
        match self {
            Self::Location => "Location",
            Self::Company => "Company",
        }
    }

    /// Reads the spelling on the wire, in any case.
    pub fn from_user_type(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.user_type().eq_ignore_ascii_case(text))
    }

    /// The class that an account's text begins with.
    pub(crate) fn of_name(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| text.starts_with(kind.prefix()))
    }

    const fn prefix(self) -> &'static str {
        match self {
            Self::Location => "location:",
            Self::Company => "company:",
        }
    }
}

impl fmt::Display for AccountKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.user_type())
    }
}

const MAX_LENGTH: usize = 137;
const NOT_IN_IDS: &[char] = &['"', '\'', '`', '$', '%', '<', '>', '{', '}', '\\'];

pub(crate) const NO_ACCOUNT: &str =
    "no account is named and `default_account` is not set: name an account, or set the option";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;

    #[test]
    fn reads_both_kinds() {
        let account = Account::parse("location:ve9EPM428h8vShlRW1KT").unwrap();
        assert_eq!((account.kind(), account.id()), (AccountKind::Location, "ve9EPM428h8vShlRW1KT"));
        assert_eq!(Account::company("c1").unwrap().as_str(), "company:c1");
    }

    #[test]
    fn refuses_everything_else() {
        let long = format!("location:{}", "x".repeat(1 << 20));
        for text in [
            "",
            "location",
            "location:",
            "user:1",
            "Location:1",
            " location:1",
            "location:a b",
            "location:a\n",
            "location:é",
            "company:\0",
            "\"location:planted\"",
            "location:\"planted\"",
            "location:'planted'",
            "location:${PLANTED}",
            "location:$PLANTED",
            "location:%PLANTED%",
            "location:<planted>",
            "location:{{planted}}",
            "${PLANTED}",
            "\u{201c}location:planted\u{201d}",
            "\u{feff}location:planted",
            &long,
        ] {
            let error = Account::parse(text).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidArgument, "{text:.40}");
            assert!(!error.message().to_lowercase().contains("planted"), "{error}");
        }
        assert_eq!(
            Account::location(&"x".repeat(1 << 20)).unwrap_err().code(),
            ErrorCode::InvalidArgument
        );
    }
}
