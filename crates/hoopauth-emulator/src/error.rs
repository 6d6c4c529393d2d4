use std::error::Error;
use std::fmt;

/// Reason why a control call was refused. The emulator's state did not change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ControlError {
    /// No account, app, company or token goes by this name.
    Unknown(String),
    /// Something else already has this name.
    Exists(String),
    /// The call itself can't be understood.
    Malformed(String),
}

impl ControlError {
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Unknown(_) => 404,
            Self::Exists(_) => 409,
            Self::Malformed(_) => 400,
        }
    }
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(what) => write!(f, "the emulator does not know {what}"),
            Self::Exists(what) => write!(f, "the emulator already has {what}"),
            Self::Malformed(why) => f.write_str(why),
        }
    }
}

impl Error for ControlError {}
