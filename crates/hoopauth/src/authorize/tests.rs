use std::fmt;

use proptest::prelude::*;

use super::pending::{SEALED_LIMIT, associated};
use super::redirect::{CODE_LIMIT, REDIRECT_LIMIT};
use super::*;
use crate::options::REDIRECT_URI_LIMIT;
use crate::seal::{KeyRing, PENDING_LABEL};

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const APP: &str = "https://services.example client-1";

fn defaults() -> AuthorizeDefaults {
    AuthorizeDefaults {
        authorize_url: Url::parse("https://marketplace.example/oauth/chooselocation").unwrap(),
        client_id: "app-suffix".into(),
        redirect_uri: Some("https://host.example/callback".into()),
        scopes: vec!["contacts.readonly".into(), "contacts.write".into()],
    }
}

fn request() -> AuthorizationRequest {
    AuthorizationRequest::new(defaults())
}

fn pending() -> PendingAuthorization {
    request().build(NOW).unwrap()
}

fn ring(text: &str) -> KeyRing {
    KeyRing::from_secrets(&[&Secret::new(text)], PENDING_LABEL).unwrap()
}

fn parameters(url: &str) -> Vec<(String, String)> {
    Url::parse(url).unwrap().query_pairs().into_owned().collect()
}

fn code<T: fmt::Debug>(result: Result<T>) -> ErrorCode {
    result.unwrap_err().code()
}

#[test]
fn the_url_says_what_was_asked_for() {
    let pending = pending();
    let expected = format!(
        "https://marketplace.example/oauth/chooselocation?response_type=code&client_id=app-suffix\
         &redirect_uri=https%3A%2F%2Fhost.example%2Fcallback&scope=contacts.readonly%20contacts.write&state={}",
        pending.state().expose()
    );
    assert_eq!(pending.url(), expected);
    assert_eq!(pending.redirect_uri(), "https://host.example/callback");
    assert_eq!(pending.expires_at(), NOW.plus(Duration::from_secs(600)));
    assert!(pending.verifier().is_none());
}

#[test]
fn options_are_added() {
    let pending = request()
        .redirect_uri("https://höst.example/cb?next=/a&b=c+d")
        .scopes(["a/b", "c", "a/b"])
        .pkce(true)
        .login_window_self(true)
        .version_id("66f0c1")
        .build(NOW)
        .unwrap();
    let verifier = pending.verifier().unwrap().expose();
    assert_eq!(verifier.len(), 43);
    let expected: Vec<(String, String)> = [
        ("response_type", "code"),
        ("client_id", "app-suffix"),
        ("redirect_uri", "https://höst.example/cb?next=/a&b=c+d"),
        ("scope", "a/b c"),
        ("state", pending.state().expose()),
        ("code_challenge", &challenge(verifier)),
        ("code_challenge_method", "S256"),
        ("loginWindowOpenMode", "self"),
        ("version_id", "66f0c1"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    assert_eq!(parameters(pending.url()), expected);
    assert!(pending.url().contains(
        "redirect_uri=https%3A%2F%2Fh%C3%B6st.example%2Fcb%3Fnext%3D%2Fa%26b%3Dc%2Bd&scope=a%2Fb%20c&"
    ));
}

#[test]
fn the_authorize_urls_own_query_stays() {
    let url_of = |base: &str| {
        let mut request = request();
        request.defaults.authorize_url = Url::parse(base).unwrap();
        request.build(NOW).map(|pending| pending.url().to_owned())
    };
    for (base, start) in [
        ("https://m.example/c?brand=x%20y", "https://m.example/c?brand=x%20y&response_type=code&"),
        ("https://m.example/c?", "https://m.example/c?response_type=code&"),
        ("https://m.example/c?a=1&", "https://m.example/c?a=1&response_type=code&"),
        ("https://m.example", "https://m.example/?response_type=code&"),
    ] {
        let url = url_of(base).unwrap();
        assert!(url.starts_with(start), "{base}: {url}");
    }
    let error = url_of("https://m.example/?state=1").unwrap_err();
    assert_eq!(error.code(), ErrorCode::Config);
    assert!(error.message().contains("`authorize_url`"));
}

#[test]
fn redirect_uris_are_checked() {
    let long = format!("https://h.example/{}", "x".repeat(REDIRECT_URI_LIMIT));
    for uri in [
        "",
        "/callback",
        "host.example/cb",
        "https:host.example",
        "https:///",
        "https:///h.example",
        "https://",
        "ftp://h.example/",
        "https://h.example/#",
        "https://h.example/#f",
        "https://h.example/a b",
        " https://h.example/",
        "https://h.example/\n",
        "https://h.example\\@evil.example/",
        "https://h.example/\u{85}",
        "javascript://x",
        "https://h.example/cb?state=x",
        "https://h.example/cb?a=b&code=",
        "https://h.example/cb?error",
        "https://h.example/cb?error_description=x",
        "https://h.example/cb?st%61te=x",
        &long,
    ] {
        let error = request().redirect_uri(uri).build(NOW).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Config, "{uri:.60}");
        assert!(error.message().contains("`redirect_uri`"), "{uri:.60}");
    }
    for uri in ["http://127.0.0.1:8765/cb", "HTTPS://h.example", "https://h.example/cb?a=b"] {
        assert_eq!(request().redirect_uri(uri).build(NOW).unwrap().redirect_uri(), uri);
    }
    let mut request = request();
    request.defaults.redirect_uri = None;
    let error = request.build(NOW).unwrap_err();
    assert!(error.code() == ErrorCode::Config && error.message().contains("`redirect_uri`"));
}

#[test]
fn version_and_client_ids_are_checked() {
    let long = "x".repeat(VERSION_ID_LIMIT + 1);
    for version in ["", "a b", "a&b", "é", &long] {
        assert_eq!(code(request().version_id(version).build(NOW)), ErrorCode::InvalidArgument);
    }
    for client_id in ["", "a b", "a\n"] {
        let mut request = request();
        request.defaults.client_id = client_id.into();
        assert_eq!(code(request.build(NOW)), ErrorCode::Config);
    }
}

#[test]
fn s256_is_that_of_rfc_7636_appendix_b() {
    assert_eq!(
        challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    );
}

#[test]
fn state_is_fresh_and_long() {
    let (one, two) = (pending(), pending());
    assert_ne!(one.state(), two.state());
    assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(one.state().expose()).unwrap().len(), 32);
}

#[test]
fn sealed_text_opens_for_its_app_and_key_only() {
    let pending = request().pkce(true).login_window_self(true).version_id("v1").build(NOW).unwrap();
    let sealed = pending.seal(&ring("one"), APP).unwrap();
    assert!(sealed.len() < 512, "{}", sealed.len());
    assert!(sealed.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));

    let opened = PendingAuthorization::open(&sealed, &ring("one"), APP, &defaults()).unwrap();
    assert_eq!(opened.url(), pending.url());
    assert_eq!(opened.state(), pending.state());
    assert_eq!(opened.redirect_uri(), pending.redirect_uri());
    assert_eq!(opened.verifier(), pending.verifier());
    assert_eq!(opened.expires_at(), pending.expires_at());

    let open = |text: &str, key: &str, app: &str| {
        code(PendingAuthorization::open(text, &ring(key), app, &defaults()))
    };
    assert_eq!(open(&sealed, "two", APP), ErrorCode::StateMismatch);
    assert_eq!(open(&sealed, "one", "other"), ErrorCode::StateMismatch);
    assert_eq!(open(&sealed[1..], "one", APP), ErrorCode::StateMismatch);
    assert_eq!(open("", "one", APP), ErrorCode::StateMismatch);
    assert_eq!(open("é=", "one", APP), ErrorCode::StateMismatch);
    assert_eq!(open(&"A".repeat(SEALED_LIMIT + 1), "one", APP), ErrorCode::InvalidArgument);
}

#[test]
fn a_sealed_login_is_as_long_for_a_hundred_scopes_as_for_one() {
    let sealed = |count: usize| {
        let mut request = request().pkce(true);
        request.defaults.scopes =
            (0..count).map(|n| format!("product-area-{n:03}.readonly")).collect();
        request.build(NOW).unwrap().seal(&ring("one"), APP).unwrap().len()
    };
    assert_eq!(sealed(1), sealed(120));
    assert!(sealed(120) < 512, "{}", sealed(120));
}

#[test]
fn what_earlier_versions_sealed_opens() {
    let pending = request().pkce(true).build(NOW).unwrap();
    let record = serde_json::json!({
        "url": pending.url(),
        "state": pending.state().expose(),
        "redirect_uri": pending.redirect_uri(),
        "verifier": pending.verifier().unwrap().expose(),
        "expires_at": pending.expires_at(),
    });
    let sealed = ring("one").seal(&associated(APP), record.to_string().as_bytes()).unwrap();
    let opened = PendingAuthorization::open(
        &BASE64_URL_SAFE_NO_PAD.encode(sealed),
        &ring("one"),
        APP,
        &defaults(),
    )
    .unwrap();
    assert_eq!(opened.state(), pending.state());
    assert_eq!(opened.verifier(), pending.verifier());
}

#[test]
fn the_largest_request_still_seals_and_opens() {
    let mut request =
        request().redirect_uri(&format!("https://h.example/{}", "x".repeat(2030))).pkce(true);
    request.defaults.scopes = (0..50).map(|n| format!("{n:0>120}")).collect();
    let fits = request.clone().build(NOW).unwrap();
    let room = URL_LIMIT - fits.url().len();
    request.defaults.client_id.push_str(&"x".repeat(room));
    let largest = request.clone().build(NOW).unwrap();
    assert_eq!(largest.url().len(), URL_LIMIT);
    let sealed = largest.seal(&ring("one"), APP).unwrap();
    assert!(sealed.len() < 3 * 1024, "as long as its redirect URI asks for: {}", sealed.len());
    assert!(PendingAuthorization::open(&sealed, &ring("one"), APP, &defaults()).is_ok());
    request.defaults.client_id.push('x');
    assert_eq!(code(request.build(NOW)), ErrorCode::Config);
}

#[test]
fn redirects_are_read_in_every_form() {
    let pending = pending();
    let query = format!("code=c%2F+1&state={}&locale=de%zz", pending.state().expose());
    for text in [
        format!("https://host.example/callback?{query}"),
        format!("\r\n  https://relay.example:8443/a=b/c?{query}#frag=1&code=2 \t"),
        format!("myapp:callback?{query}"),
        format!("host.example/callback?{query}"),
        format!("localhost:8080?{query}"),
        format!("/callback?{query}"),
        format!("?{query}"),
        format!("{query}&x=?&y=/"),
        format!("&&{query}&"),
    ] {
        let redirect = Redirect::read(&text).unwrap();
        assert_eq!(redirect.check(&pending, NOW).unwrap().expose(), "c/ 1", "{text}");
        assert_eq!(redirect.state(), Some(pending.state()));
    }
}

#[test]
fn unreadable_redirects_are_refused() {
    for text in [
        "code=%",
        "code=%2",
        "code=%zz",
        "code=%2+",
        "code=%ff",
        "%c3=1",
        "https://h.example/?state=%C3%28",
    ] {
        assert_eq!(code(Redirect::read(text)), ErrorCode::InvalidArgument, "{text}");
    }
    for name in ["code", "state", "error", "error_description"] {
        let error = Redirect::read(&format!("?{name}=1&{name}=1")).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidArgument);
        assert!(error.message().starts_with("duplicate parameter"));
    }
    assert_eq!(code(Redirect::read("?code=1&c%6Fde=2")), ErrorCode::InvalidArgument);
    assert!(Redirect::read(&"x".repeat(REDIRECT_LIMIT)).is_ok());
    assert_eq!(code(Redirect::read(&"x".repeat(REDIRECT_LIMIT + 1))), ErrorCode::InvalidArgument);
}

#[test]
fn checks_come_in_order() {
    let pending = pending();
    let state = pending.state().expose();
    let late = pending.expires_at();
    let check =
        |query: String, now| code(Redirect::read(&query).unwrap().check(&pending, now).cloned());

    for query in [
        "",
        "https://h.example/cb",
        "code=1",
        "code=1&state=",
        "error=access_denied",
        "state=x",
        "pasted",
    ] {
        assert_eq!(check(query.into(), NOW), ErrorCode::StateMismatch, "{query}");
    }
    assert_eq!(check(format!("code=1&state={state}x"), NOW), ErrorCode::StateMismatch);
    assert_eq!(check(format!("code=1&state={state}"), late), ErrorCode::StateMismatch);
    assert_eq!(check(format!("error=x&state={state}"), late), ErrorCode::StateMismatch);
    assert_eq!(check(format!("error=x&code=1&state={state}"), NOW), ErrorCode::AuthorizationDenied);
    for code in ["", "a%0Ab", "%00", &"x".repeat(CODE_LIMIT + 1)] {
        assert_eq!(check(format!("code={code}&state={state}"), NOW), ErrorCode::InvalidArgument);
    }
    assert_eq!(check(format!("state={state}"), NOW), ErrorCode::InvalidArgument);
    assert!(
        Redirect::read(&format!("code=1&state={state}"))
            .unwrap()
            .check(&pending, late.minus(Duration::from_millis(1)))
            .is_ok()
    );
}

#[test]
fn a_refusal_carries_the_servers_words() {
    let pending = pending();
    let text = format!(
        "?error=access_denied&error_description=not+now%0A&state={}",
        pending.state().expose()
    );
    let error = Redirect::read(&text).unwrap().check(&pending, NOW).unwrap_err();
    assert_eq!(error.server_message(), Some("access_denied: not now "));

    // Without `state` nobody knows whose login it ends; the words are kept all the same.
    let stateless =
        "?error=access_denied&error_description=The+user+said%0Ano+eyJhbGciOiJSUzI1NiJ9planted";
    let error = Redirect::read(stateless).unwrap().check(&pending, NOW).unwrap_err();
    assert_eq!(error.code(), ErrorCode::StateMismatch);
    assert_eq!(error.server_message(), Some("access_denied: The user said no [redacted]"));
    assert!(error.message().contains("refused") && error.message().contains("`state`"), "{error}");
    // Words that came with another login's `state` are that one's.
    let error =
        Redirect::read("?error=access_denied&state=x").unwrap().check(&pending, NOW).unwrap_err();
    assert_eq!((error.code(), error.server_message()), (ErrorCode::StateMismatch, None));
}

#[test]
fn nothing_secret_is_printed() {
    let pending = request().pkce(true).build(NOW).unwrap();
    let redirect =
        Redirect::read(&format!("?code=planted&state={}", pending.state().expose())).unwrap();
    let printed =
        format!("{pending:?} {redirect:?} {:?}", pending.seal(&ring("k"), APP).map(|_| ()));
    for secret in [
        pending.state().expose(),
        pending.verifier().unwrap().expose(),
        "planted",
        "chooselocation",
    ] {
        assert!(!printed.contains(secret), "{printed}");
    }
    assert!(printed.contains("https://host.example/callback"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn redirect_uris_round_trip_through_the_url(path in "[a-zA-Z0-9/._~%&=+?é-]{0,60}") {
        let uri = format!("https://host.example/{path}");
        let pending = request().redirect_uri(&uri).build(NOW).unwrap();
        let found = parameters(pending.url()).into_iter().find(|(name, _)| name == "redirect_uri");
        prop_assert_eq!(found.unwrap().1, uri);
    }

    #[test]
    fn no_redirect_breaks_the_reader(text in any::<String>()) {
        let _ = Redirect::read(&text).map(|redirect| redirect.check(&pending(), NOW).is_ok());
    }
}
