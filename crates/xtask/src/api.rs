//! `bindings/api.json`: the description that a binding can be made from.

use hoopauth::webhook::WEBHOOK_OPTIONS;
use hoopauth::{OPTIONS, OptionKind, OptionRow};
use serde_json::{Value, json};

use crate::Result;
use crate::c::Declaration;
use crate::sources::Sources;

/// Writes the description.
pub(crate) fn json(sources: &Sources, declarations: &[Declaration]) -> Result<String> {
    let codes = sources.codes.iter().map(|code| {
        json!({
            "number": code.number, "name": code.name, "class": code.variant, "text": code.text,
            "meaning": code.meaning(), "next_step": code.next_step(), "retryable": code.retryable,
        })
    });
    let scopes = sources
        .scopes
        .iter()
        .map(|scope| json!({"name": scope.name, "value": scope.value, "text": scope.text}));
    let pick = |which: fn(&Declaration) -> bool| {
        declarations.iter().filter(move |one| which(one)).map(declared).collect::<Vec<Value>>()
    };
    let api = json!({
        "generated": "by `make generate`; never edited",
        "version": env!("CARGO_PKG_VERSION"),
        "options": OPTIONS.iter().map(option).collect::<Vec<_>>(),
        "webhook_options": WEBHOOK_OPTIONS.iter().map(option).collect::<Vec<_>>(),
        "errors": codes.collect::<Vec<_>>(),
        "scopes": scopes.collect::<Vec<_>>(),
        "c": {
            "constants": pick(Declaration::is_constant),
            "types": pick(Declaration::is_type),
            "functions": pick(Declaration::is_function),
        },
    });
    let text = serde_json::to_string_pretty(&api).map_err(|error| error.to_string())?;
    Ok(text + "\n")
}

fn option(row: &OptionRow) -> Value {
    let (kind, limits, choices): (_, Option<[Value; 2]>, &[&str]) = match row.kind {
        OptionKind::Text => ("text", None, &[]),
        OptionKind::Secret => ("secret", None, &[]),
        OptionKind::Seconds(low, high) => ("seconds", Some([json!(low), json!(high)]), &[]),
        OptionKind::Number(low, high) => ("number", Some([json!(low), json!(high)]), &[]),
        OptionKind::List => ("list", None, &[]),
        OptionKind::Url => ("url", None, &[]),
        OptionKind::Account => ("account", None, &[]),
        OptionKind::UserType => ("choice", None, &["Location", "Company"]),
        OptionKind::Boolean => ("boolean", None, &[]),
        OptionKind::Choice(words) => ("choice", None, words),
        _ => ("unknown", None, &[]),
    };
    let mut option = json!({
        "name": row.name, "kind": kind, "default": row.default, "text": row.meaning,
    });
    if let Some(limits) = limits {
        option["limits"] = json!(limits);
    }
    if !choices.is_empty() {
        option["choices"] = json!(choices);
    }
    option
}

/// A declaration of the header. A member whose code has `(*` is a callback.
fn declared(one: &Declaration) -> Value {
    let mut value = json!({"name": one.name(), "code": one.code, "text": one.comment});
    if !one.members.is_empty() {
        let members = one.members.iter().map(|(code, comment)| {
            json!({"code": code, "text": comment, "callback": code.contains("(*")})
        });
        value["members"] = json!(members.collect::<Vec<_>>());
    }
    value
}
