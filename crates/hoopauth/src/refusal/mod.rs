//! The meaning of an answer's status and body: of the API's for `request` and `report`, and of the
//! token endpoint's for a refresh. Every such rule and text stands here.

mod api;
mod body;
mod token;

pub(crate) use self::api::{ApiCall, Meaning, TokenKind, classify, may_refuse, status_error};
pub(crate) use self::body::Refusal;
pub(crate) use self::token::{
    Asks, FailureClass, TokenRefusal, classify as classify_token_refusal, look_between,
};
