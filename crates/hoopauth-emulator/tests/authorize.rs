//! The authorize page.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod common;

use common::*;
use hoopauth_emulator::{App, Config, DEFAULT_CLIENT_ID, DEFAULT_LOCATION_IDS, Emulator};

fn start() -> Emulator {
    Emulator::start(Config::default()).unwrap()
}

fn query(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

const ASKED: [(&str, &str); 4] = [
    ("response_type", "code"),
    ("client_id", DEFAULT_CLIENT_ID),
    ("redirect_uri", REDIRECT),
    ("scope", "contacts.readonly contacts.write"),
];

/// Opens the page with these changes to a good request; an empty value leaves the parameter out.
fn open(emulator: &Emulator, changes: &[(&str, &str)]) -> Answer {
    let mut pairs: Vec<_> = ASKED
        .into_iter()
        .filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name))
        .collect();
    pairs.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    Call::new("GET", &format!("{}?{}", emulator.authorize_url(), query(&pairs))).send()
}

/// The parameters a redirect carries.
fn carried(answer: &Answer) -> Vec<(String, String)> {
    assert_eq!(answer.status, 302, "{:?}", answer.body);
    let (_, query) = answer.header("location").split_once('?').unwrap();
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

#[test]
fn the_page_shows_app_accounts_and_scopes() {
    let emulator = start();
    emulator.add_location("hoopCompany000000001", "evil", "<script>alert(1)</script>").unwrap();
    let page = open(&emulator, &[("state", "\"><script>"), ("loginWindowOpenMode", "self")]);
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"));
    for shown in [
        "Emulated App",
        "Hoop Agency",
        COMPANY,
        LOCATION,
        "contacts.write",
        "Approve",
        "Deny",
        REDIRECT,
    ] {
        assert!(page.text().contains(shown), "{shown}");
    }
    assert!(!page.text().contains("<script>"));
    assert!(page.text().contains("value=\"&quot;&gt;&lt;script&gt;\""));
}

#[test]
fn the_newer_path_is_the_same_page() {
    let emulator = start();
    let url = format!("{}/v2/oauth/chooselocation?{}", emulator.api(), query(&ASKED));
    assert_eq!(Call::new("GET", &url).send().status, 200);
}

#[test]
fn the_form_approves_and_denies() {
    let emulator = start();
    let mut form = ASKED.to_vec();
    form.extend([("state", "a b&c"), ("account", LOCATION), ("decision", "approve")]);
    let approved = carried(&Call::new("POST", &emulator.authorize_url()).form(&form).send());
    assert_eq!((approved[0].0.as_str(), &approved[1]), ("code", &("state".into(), "a b&c".into())));
    let answer =
        exchange(&emulator, &approved[0].1, &[("redirect_uri", REDIRECT)]).send().ok().json();
    assert_eq!(answer["locationId"], DEFAULT_LOCATION_IDS[0]);
    assert_eq!(answer["scope"], "contacts.readonly contacts.write");

    form.pop();
    form.push(("decision", "deny"));
    let denied = carried(&Call::new("POST", &emulator.authorize_url()).form(&form).send());
    assert_eq!(denied[0], ("error".into(), "access_denied".into()));
    assert_eq!(denied.last(), Some(&("state".into(), "a b&c".into())));
}

#[test]
fn tests_decide_without_a_browser() {
    let emulator = start();
    let company = carried(&open(&emulator, &[("approve", COMPANY)]));
    assert_eq!(company.len(), 1, "no state was sent, none comes back");
    let answer =
        exchange(&emulator, &company[0].1, &[("redirect_uri", REDIRECT)]).send().ok().json();
    assert_eq!(answer["userType"], "Company");
    let denied = carried(&open(&emulator, &[("deny", "1"), ("state", "s")]));
    assert_eq!(denied[0].1, "access_denied");
    assert_eq!(open(&emulator, &[("approve", "location:nobody")]).status, 400);
}

#[test]
fn a_redirect_uri_keeps_its_query() {
    let emulator = start();
    let uri = "https://app.example/callback?tenant=7";
    let answer = open(&emulator, &[("redirect_uri", uri), ("approve", LOCATION), ("state", "s")]);
    assert!(answer.header("location").starts_with("https://app.example/callback?tenant=7&code="));
    assert!(answer.header("location").ends_with("&state=s"));
}

#[test]
fn wrong_requests_get_a_page_and_no_redirect() {
    let app = App::new("limited-1", "s").redirect_uri(REDIRECT).scopes(&["contacts.readonly"]);
    let emulator = Emulator::start(Config::default().app(app)).unwrap();
    for wrong in [
        [("response_type", "token"), ("state", "s")],
        [("response_type", ""), ("state", "s")],
        [("client_id", "nobody"), ("state", "s")],
        [("redirect_uri", "not a uri"), ("state", "s")],
        [("redirect_uri", "https://app.example/#fragment"), ("state", "s")],
        [("scope", ""), ("state", "s")],
        [("client_id", "limited-1"), ("redirect_uri", "https://other.example/")],
        [("client_id", "limited-1"), ("scope", "contacts.readonly contacts.write")],
        [("code_challenge", "x"), ("code_challenge_method", "plain")],
        [("code_challenge", "x"), ("code_challenge_method", "")],
    ] {
        let mut wrong = wrong.to_vec();
        wrong.push(("approve", LOCATION));
        let answer = open(&emulator, &wrong);
        assert_eq!((answer.status, answer.header("location")), (400, ""), "{wrong:?}");
        assert!(answer.header("content-type").starts_with("text/html"));
    }
    open(&emulator, &[("client_id", "limited-1"), ("scope", "contacts.readonly")]).ok();
}

#[test]
fn the_exchange_repeats_the_redirect_uri() {
    let emulator = start();
    let code = &carried(&open(&emulator, &[("approve", LOCATION)]))[0].1;
    exchange(&emulator, code, &[]).send().refused(400, "Missing parameter: redirect_uri");
    let other = exchange(&emulator, code, &[("redirect_uri", "https://other.example/")]).send();
    other.refused(400, "Invalid parameter: redirect_uri");
    exchange(&emulator, code, &[("redirect_uri", REDIRECT)]).send().ok();
}

#[test]
fn a_challenge_asks_for_its_verifier() {
    // The example of RFC 7636, appendix B.
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let emulator = start();
    let asked =
        [("code_challenge", challenge), ("code_challenge_method", "S256"), ("approve", LOCATION)];
    let code = &carried(&open(&emulator, &asked))[0].1;
    let with = |more: &[(&str, &str)]| {
        let mut form = vec![("redirect_uri", REDIRECT)];
        form.extend(more);
        exchange(&emulator, code, &form).send()
    };
    with(&[]).refused(400, "Missing parameter: code_verifier");
    with(&[("code_verifier", "wrong")]).refused(400, "Invalid grant: code verifier is invalid");
    with(&[("code_verifier", verifier)]).ok();
}

#[test]
fn an_install_from_the_marketplace_has_no_state() {
    let emulator = start();
    let redirect = emulator.install(LOCATION, "https://app.example/callback?x=1").unwrap();
    let (before, code) = redirect.split_once("&code=").unwrap();
    assert_eq!(before, "https://app.example/callback?x=1");
    exchange(&emulator, code, &[("redirect_uri", "https://app.example/whatever")]).send().ok();
}
