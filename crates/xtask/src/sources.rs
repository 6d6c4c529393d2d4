//! The texts that the compiled core does not carry: doc comments of error codes and scopes.

use hoopauth::ErrorCode;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Expr, ExprLit, Ident, Item, Lit, LitInt, LitStr, Meta, Token};

use crate::{Result, read};

/// Error codes and scopes with their texts.
pub(crate) struct Sources {
    pub(crate) codes: Vec<Code>,
    pub(crate) scopes: Vec<Scope>,
}

/// An error code.
pub(crate) struct Code {
    /// The Rust variant, which is the Python class.
    pub(crate) variant: String,
    pub(crate) number: i32,
    /// The constant, such as `NO_GRANT`.
    pub(crate) name: String,
    /// The doc comment in one line.
    pub(crate) text: String,
    pub(crate) retryable: bool,
}

impl Code {
    /// Returns the meaning: the part of the text before the colon.
    pub(crate) fn meaning(&self) -> &str {
        self.text.split_once(": ").map_or(&*self.text, |(meaning, _)| meaning)
    }

    /// Returns the next step: the part of the text after the colon.
    pub(crate) fn next_step(&self) -> &str {
        self.text.split_once(": ").map_or("", |(_, next)| next.trim_end_matches('.'))
    }
}

/// A scope that has a constant.
pub(crate) struct Scope {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) text: String,
}

impl Sources {
    pub(crate) fn read() -> Result<Self> {
        let codes = codes("crates/hoopauth/src/error.rs")?;
        let known = ErrorCode::ALL.iter().map(|code| (code.number(), code.name()));
        if !known.eq(codes.iter().map(|code| (code.number, code.name.as_str()))) {
            return Err("error.rs: `codes!` was read otherwise than it was compiled".to_owned());
        }
        if let Some(code) = codes.iter().find(|code| code.next_step().is_empty()) {
            return Err(format!(
                "error.rs: the comment of `{}` names no next step: write `meaning: next step.`",
                code.variant
            ));
        }
        Ok(Self { codes, scopes: scopes("crates/hoopauth/src/operations.rs")? })
    }
}

fn items(path: &str) -> Result<Vec<Item>> {
    let file = syn::parse_file(&read(path)?).map_err(|error| format!("{path}: {error}"))?;
    Ok(file.items)
}

fn codes(path: &str) -> Result<Vec<Code>> {
    let list = items(path)?.into_iter().find_map(|item| match item {
        Item::Macro(item) if item.mac.path.is_ident("codes") => Some(item.mac),
        _ => None,
    });
    let list = list.ok_or_else(|| format!("{path}: `codes!` is missing"))?;
    Ok(list.parse_body::<Codes>().map_err(|error| format!("{path}: {error}"))?.0)
}

fn scopes(path: &str) -> Result<Vec<Scope>> {
    let module = items(path)?.into_iter().find_map(|item| match item {
        Item::Mod(item) if item.ident == "scopes" => item.content,
        _ => None,
    });
    let (_, items) = module.ok_or_else(|| format!("{path}: `mod scopes` is missing"))?;
    let constants = items.into_iter().filter_map(|item| {
        let Item::Const(item) = item else { return None };
        let Expr::Lit(ExprLit { lit: Lit::Str(value), .. }) = *item.expr else { return None };
        Some(Scope { name: item.ident.to_string(), value: value.value(), text: doc(&item.attrs) })
    });
    Ok(constants.collect())
}

/// A doc comment in one line.
fn doc(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) => Some(line.value()),
            _ => None,
        },
        _ => None,
    });
    lines.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The rows of `codes!`.
struct Codes(Vec<Code>);

impl Parse for Codes {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut codes = Vec::new();
        while !input.is_empty() {
            let text = doc(&input.call(Attribute::parse_outer)?);
            let variant = input.parse::<Ident>()?.to_string();
            input.parse::<Token![=]>()?;
            let number = input.parse::<LitInt>()?.base10_parse()?;
            let name = input.parse::<LitStr>()?.value();
            input.parse::<Token![,]>()?;
            let retryable = ErrorCode::ALL
                .iter()
                .find(|code| code.number() == number)
                .is_some_and(|code| hoopauth::Error::new(*code, "").is_retryable());
            codes.push(Code { variant, number, name, text, retryable });
        }
        Ok(Self(codes))
    }
}
