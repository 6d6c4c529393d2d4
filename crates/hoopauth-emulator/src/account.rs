use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::ControlError;

/// Account that a token speaks for, written `location:<id>` or `company:<id>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Account {
    /// A sub-account.
    Location(Arc<str>),
    /// An agency.
    Company(Arc<str>),
}

impl Account {
    /// The location with this id.
    pub fn location(id: &str) -> Self {
        Self::Location(id.into())
    }

    /// The company with this id.
    pub fn company(id: &str) -> Self {
        Self::Company(id.into())
    }

    /// The id, without the class in front of it.
    pub fn id(&self) -> &str {
        match self {
            Self::Location(id) | Self::Company(id) => id,
        }
    }

    /// The class of the tokens that speak for this account.
    pub fn class(&self) -> Class {
        match self {
            Self::Location(_) => Class::Location,
            Self::Company(_) => Class::Company,
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Location(id) => write!(f, "location:{id}"),
            Self::Company(id) => write!(f, "company:{id}"),
        }
    }
}

impl FromStr for Account {
    type Err = ControlError;

    fn from_str(text: &str) -> Result<Self, ControlError> {
        match text.split_once(':') {
            Some(("location", id)) if !id.is_empty() => Ok(Self::location(id)),
            Some(("company", id)) if !id.is_empty() => Ok(Self::company(id)),
            _ => Err(ControlError::Malformed(format!(
                "`{text}` is not an account: write `location:<id>` or `company:<id>`"
            ))),
        }
    }
}

impl Serialize for Account {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Account {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The class of a token: the platform calls it `userType` in answers and `authClass` in claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Class {
    /// Speaks for one location.
    Location,
    /// Speaks for a company.
    Company,
}

impl Class {
    /// The word the platform uses on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Location => "Location",
            Self::Company => "Company",
        }
    }
}
