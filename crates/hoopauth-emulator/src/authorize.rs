//! The authorize page: `GET` shows it, `POST` (or a `GET` that says the decision) redirects.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{Request, State as Extract};
use axum::http::{StatusCode, Uri, header};
use axum::response::{Html, IntoResponse as _, Response};

use crate::account::Account;
use crate::request::{Parameters, read};
use crate::shared::Shared;
use crate::state::{Code, State};

pub(crate) async fn page(Extract(shared): Extract<Arc<Shared>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    respond(&mut shared.lock(), &Parameters::of_query(&parts))
}

pub(crate) async fn decide(Extract(shared): Extract<Arc<Shared>>, request: Request) -> Response {
    let (_, body) = read(request).await;
    respond(&mut shared.lock(), &Parameters::parse(&body))
}

/// Adds parameters to a redirect URI, which may have a query of its own.
pub(crate) fn redirect_to(redirect_uri: &str, parameters: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters);
    let joint = match redirect_uri.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some(_) => "&",
    };
    format!("{redirect_uri}{joint}{}", query.finish())
}

fn respond(state: &mut State, asked: &Parameters) -> Response {
    match Authorization::check(state, asked) {
        Ok(authorization) => authorization.answer(state, asked),
        Err(why) => refuse(&why),
    }
}

/// An authorization request that passed all checks.
struct Authorization<'a> {
    app: usize,
    redirect_uri: &'a str,
    scopes: &'a str,
    code_challenge: Option<&'a str>,
}

impl<'a> Authorization<'a> {
    fn check(state: &State, asked: &'a Parameters) -> Result<Self, String> {
        let required = |name| asked.value(name).ok_or_else(|| format!("Missing parameter: {name}"));
        if required("response_type")? != "code" {
            return Err("Invalid parameter: response_type (only `code` is known)".into());
        }
        let app = state
            .app_index(required("client_id")?)
            .ok_or("Invalid parameter: client_id (no app has this client id)")?;
        let redirect_uri = required("redirect_uri")?;
        check_redirect_uri(redirect_uri, &state.apps[app].redirect_uris)?;
        let scopes = required("scope")?;
        let allowed = &state.apps[app].scopes;
        let foreign = scopes
            .split(' ')
            .find(|scope| !allowed.is_empty() && !allowed.iter().any(|a| a == scope));
        if let Some(scope) = foreign {
            return Err(format!("Invalid parameter: scope (the app may not ask for `{scope}`)"));
        }
        let code_challenge = asked.value("code_challenge");
        if code_challenge.is_some() && asked.value("code_challenge_method") != Some("S256") {
            return Err("Invalid parameter: code_challenge_method (only `S256` is known)".into());
        }
        Ok(Self { app, redirect_uri, scopes, code_challenge })
    }

    fn answer(&self, state: &mut State, asked: &Parameters) -> Response {
        if asked.has("deny") || asked.value("decision") == Some("deny") {
            let description = "The user denied the request";
            return self.redirect(
                asked,
                &[("error", "access_denied"), ("error_description", description)],
            );
        }
        let chosen = match asked.value("decision") {
            Some("approve") => asked
                .value("account_id")
                .filter(|typed| !typed.trim().is_empty())
                .or(asked.value("account")),
            _ => asked.value("approve"),
        };
        match chosen {
            Some(account) => self.approve(state, asked, account.trim()),
            None => Html(self.html(state, asked)).into_response(),
        }
    }

    fn approve(&self, state: &mut State, asked: &Parameters, account: &str) -> Response {
        let code = account.parse::<Account>().and_then(|account| {
            let expires_ms = state
                .clock
                .now_ms()
                .saturating_add(state.settings.code_lifetime.saturating_mul(1_000));
            state.issue_code(Code {
                app: self.app,
                account,
                scopes: self.scopes.into(),
                redirect_uri: Some(self.redirect_uri.to_owned()),
                challenge: self.code_challenge.map(ToOwned::to_owned),
                expires_ms,
            })
        });
        match code {
            Ok(code) => self.redirect(asked, &[("code", &code)]),
            Err(why) => refuse(&why.to_string()),
        }
    }

    /// Sends the browser back; `state` goes with it if and only if it came.
    fn redirect(&self, asked: &Parameters, answer: &[(&str, &str)]) -> Response {
        let mut parameters = answer.to_vec();
        if asked.has("state") {
            parameters.push(("state", asked.value("state").unwrap_or_default()));
        }
        (StatusCode::FOUND, [(header::LOCATION, redirect_to(self.redirect_uri, &parameters))])
            .into_response()
    }

    fn html(&self, state: &State, asked: &Parameters) -> String {
        let app = &state.apps[self.app];
        let mut html = format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Connect \
             {name}</title><style>{CSS}</style></head><body><main>\n<h1>Connect {name}</h1>\n<p \
             class=\"note\">This is the hoopauth emulator. No real account is touched.</p>\n<form \
             method=\"post\">\n",
            name = escape(&app.name),
        );
        for name in CARRIED {
            if asked.has(name) {
                let value = escape(asked.value(name).unwrap_or_default());
                let _ = writeln!(html, "<input type=\"hidden\" name=\"{name}\" value=\"{value}\">");
            }
        }
        html.push_str("<h2>Account</h2>\n");
        choices(&mut html, state);
        html.push_str("<h2>Scopes</h2>\n<ul>\n");
        for scope in self.scopes.split(' ') {
            let _ = writeln!(html, "<li><code>{}</code></li>", escape(scope));
        }
        let _ = write!(
            html,
            "</ul>\n<p>You return to <code>{}</code>.</p>\n<button name=\"decision\" \
             value=\"approve\">Approve</button>\n<button name=\"decision\" \
             value=\"deny\">Deny</button>\n</form>\n</main></body></html>\n",
            escape(self.redirect_uri),
        );
        html
    }
}

/// Radio buttons for every company and its first locations, and a field for all others.
fn choices(html: &mut String, state: &State) {
    let mut checked = " checked";
    let mut choice = |html: &mut String, account: &Account, name: &str| {
        let (value, name) = (escape(&account.to_string()).into_owned(), escape(name));
        let _ = writeln!(
            html,
            "<label><input type=\"radio\" name=\"account\" value=\"{value}\"{checked}> {name} \
             <code>{value}</code></label>"
        );
        checked = "";
    };
    let mut left_out = false;
    for (id, company) in state.companies.iter().take(SHOWN_AT_MOST) {
        for location_id in company.locations.iter().take(SHOWN_AT_MOST) {
            let name = state.locations.get(location_id).map_or("", |location| &location.name);
            choice(html, &Account::Location(location_id.clone()), name);
        }
        choice(html, &Account::Company(id.clone()), &company.name);
        left_out |= company.locations.len() > SHOWN_AT_MOST;
    }
    if left_out || state.companies.len() > SHOWN_AT_MOST {
        html.push_str(
            "<label>Another one: <input name=\"account_id\" placeholder=\"location:…\"></label>\n",
        );
    }
}

fn check_redirect_uri(uri: &str, registered: &[String]) -> Result<(), String> {
    let scheme = uri.split_once(':').map(|(scheme, _)| scheme).unwrap_or_default();
    let sound = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && uri.bytes().all(|byte| byte.is_ascii_graphic())
        && !uri.contains('#')
        && (!matches!(scheme, "http" | "https")
            || uri.parse::<Uri>().is_ok_and(|uri| uri.host().is_some()));
    if !sound {
        return Err("Invalid parameter: redirect_uri (not an absolute URI without fragment)".into());
    }
    if !registered.is_empty() && !registered.iter().any(|known| known == uri) {
        return Err("Invalid parameter: redirect_uri (not registered for this app)".into());
    }
    Ok(())
}

fn refuse(why: &str) -> Response {
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta \
         charset=\"utf-8\"><title>Error</title></head><body><h1>This request can't be \
         authorized</h1><p>{}</p></body></html>\n",
        escape(why)
    );
    (StatusCode::BAD_REQUEST, Html(page)).into_response()
}

/// Makes text safe inside elements and quoted attributes.
fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return text.into();
    }
    text.chars()
        .fold(String::with_capacity(text.len() + 16), |mut safe, letter| {
            match letter {
                '&' => safe.push_str("&amp;"),
                '<' => safe.push_str("&lt;"),
                '>' => safe.push_str("&gt;"),
                '"' => safe.push_str("&quot;"),
                '\'' => safe.push_str("&#39;"),
                other => safe.push(other),
            }
            safe
        })
        .into()
}

/// Values that the form carries from the request to the decision.
const CARRIED: [&str; 9] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "version_id",
    "login_window_open_mode",
];
const SHOWN_AT_MOST: usize = 50;
const CSS: &str = "body{font:16px/1.5 system-ui,sans-serif;background:#f4f5f7;color:#1c1e21}\
    main{max-width:36rem;margin:3rem auto;padding:2rem;background:#fff;border-radius:8px}\
    label{display:block}code{color:#555}.note{color:#777}button{font:inherit;padding:.4rem 1.4rem}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_uri_keeps_its_own_query() {
        let parameters = [("code", "a b"), ("state", "x&y")];
        assert_eq!(
            redirect_to("https://a.example/cb", &parameters),
            "https://a.example/cb?code=a+b&state=x%26y"
        );
        assert_eq!(
            redirect_to("https://a.example/cb?t=1", &parameters),
            "https://a.example/cb?t=1&code=a+b&state=x%26y"
        );
        assert_eq!(redirect_to("app:cb?", &parameters[..1]), "app:cb?code=a+b");
    }

    #[test]
    fn redirect_uris_must_be_absolute_and_registered_if_any_is() {
        assert!(check_redirect_uri("https://a.example/cb?x=1", &[]).is_ok());
        assert!(check_redirect_uri("http://127.0.0.1:9/cb", &[]).is_ok());
        assert!(check_redirect_uri("com.example.app:/cb", &[]).is_ok());
        for bad in ["/cb", "https:///cb", "https://a.example/cb#x", "https://a.example/ö", ""] {
            assert!(check_redirect_uri(bad, &[]).is_err(), "{bad}");
        }
        let registered = ["https://a.example/cb".to_owned()];
        assert!(check_redirect_uri("https://a.example/cb", &registered).is_ok());
        assert!(check_redirect_uri("https://a.example/cb/", &registered).is_err());
    }

    #[test]
    fn nothing_escapes_from_the_page() {
        assert_eq!(escape("<a href=\"x\">&'"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
        assert_eq!(escape("plain"), "plain");
    }
}
