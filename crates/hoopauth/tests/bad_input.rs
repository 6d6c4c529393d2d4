//! Bad input of every kind: a typed error that names what is wrong and shows nothing of it, and
//! nothing is lost.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::process::Command;

use common::{World, approve, location};
use hoopauth::{Account, Client, Error, ErrorCode, Grant, OPTIONS, Redirect, Report};

const MIB: usize = 1 << 20;
const SENTINEL: &str = "SENTINEL-7f3a";

/// Values that no option and no argument may hold.
fn hostile() -> Vec<String> {
    let mut values: Vec<String> = ["\0", "\n", "\r\n", "\t", "\u{1b}[31m", "\u{7f}", "\u{85}"]
        .map(|c| format!("{SENTINEL}{c}x"))
        .into();
    values.push(format!("{SENTINEL}{}", "x".repeat(MIB)));
    values.push(String::new());
    values
}

fn check(error: &Error, code: ErrorCode, what: &str) {
    assert_eq!(error.code(), code, "{what}: {error:?}");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(SENTINEL), "{what}: {shown}");
    assert!(shown.len() < 1_000, "{what}: {} bytes", shown.len());
    assert!(error.message().len() > 15, "{what}: {}", error.message());
}

#[test]
fn every_option_refuses_every_hostile_value_and_names_itself() {
    for row in OPTIONS {
        // In a list white space of any kind separates.
        let separates = |value: &String| row.name == "scopes" && value.contains(['\n', '\t']);
        for value in hostile().into_iter().filter(|value| !separates(value)) {
            let error = Client::builder().option(row.name, &value).build().unwrap_err();
            let what = format!("{} = {:.40?}", row.name, value);
            check(&error, ErrorCode::Config, &what);
            assert!(error.message().contains(row.name), "{what}: {}", error.message());
        }
    }
}

#[test]
fn unknown_options_name_their_neighbour() {
    for (name, near) in
        [("client-id", "client_id"), ("STORE_KEY", "store_key"), ("Timeout", "timeout")]
    {
        let error = Client::builder().option(name, SENTINEL).build().unwrap_err();
        check(&error, ErrorCode::Config, name);
        assert!(error.message().contains(near), "{}", error.message());
    }
    for name in hostile() {
        let error = Client::builder().option(&name, "x").build().unwrap_err();
        assert_eq!(error.code(), ErrorCode::Config);
        assert!(error.message().len() < 200, "{}", error.message().len());
        assert!(!error.message().chars().any(char::is_control), "{:?}", error.message());
    }
}

#[test]
fn credentials_that_contradict_each_other_or_are_no_tokens() {
    type Options = &'static [(&'static str, &'static str)];
    let refused: [Options; 7] = [
        &[("private_integration_token", "pit-a"), ("access_token", "b")],
        &[("private_integration_token", "pit-a"), ("client_id", "c"), ("client_secret", "d")],
        &[("client_id", "c")],
        &[("client_secret", "d")],
        &[("private_integration_token", "pit SENTINEL-7f3a")],
        &[("access_token", "SENTINEL-7f3aé")],
        &[],
    ];
    for options in refused {
        let builder =
            options.iter().fold(Client::builder(), |b, (name, value)| b.option(name, value));
        check(&builder.build().unwrap_err(), ErrorCode::Config, &format!("{options:?}"));
    }
    let client = Client::builder().private_integration_token("pit-a\r\n").build().unwrap();
    assert_eq!(client.headers("GET").unwrap().authorization(), "Bearer pit-a");
}

#[test]
fn plain_http_is_for_loopback_alone() {
    for name in ["api_base", "authorize_url", "token_url", "location_token_url"] {
        for url in [
            "http://example.com/",
            "http://127.0.0.1.example.com",
            "http://localhost.example.com",
            "ftp://localhost",
        ] {
            let error = Client::builder()
                .option(name, url)
                .private_integration_token("p")
                .build()
                .unwrap_err();
            check(&error, ErrorCode::Config, url);
            assert!(error.message().contains(name));
        }
        for url in ["http://127.0.0.1:8080", "http://localhost:1", "http://[::1]:9/x"] {
            Client::builder().option(name, url).private_integration_token("p").build().unwrap();
        }
    }
}

#[cfg(unix)]
#[test]
fn an_environment_that_is_not_utf8_is_named() {
    use std::os::unix::ffi::OsStrExt;
    const ROLE: &str = "HOOPAUTH_BAD_INPUT_ROLE";
    if std::env::var_os(ROLE).is_some() {
        let error = Client::from_env().unwrap_err();
        check(&error, ErrorCode::Config, "environment");
        assert!(error.message().contains("HOOPAUTH_CLIENT_SECRET"), "{}", error.message());
        return;
    }
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "an_environment_that_is_not_utf8_is_named"])
        .env(ROLE, "1")
        .env("HOOPAUTH_CLIENT_ID", "c")
        .env("HOOPAUTH_CLIENT_SECRET", std::ffi::OsStr::from_bytes(b"SENTINEL-7f3a\xff"))
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn accounts_without_a_known_kind_or_with_a_bad_id() {
    let world = World::new();
    let client = world.client();
    let long = format!("location:{SENTINEL}{}", "x".repeat(MIB));
    let bad = [
        "SENTINEL-7f3a",
        "location",
        "location:",
        ":SENTINEL-7f3a",
        "user:SENTINEL-7f3a",
        "Location:SENTINEL-7f3a",
        "location: SENTINEL-7f3a",
        "location:SENTINEL-7f3a\n",
        "location:SENTINEL-7f3a\0",
        "location:SENTINEL-7f3aé",
        " location:SENTINEL-7f3a",
        long.as_str(),
    ];
    for text in bad {
        let what = format!("{text:.40?}");
        check(&Account::parse(text).unwrap_err(), ErrorCode::InvalidArgument, &what);
        check(&client.headers_for(text, "GET").unwrap_err(), ErrorCode::InvalidArgument, &what);
        check(&client.account(text).unwrap_err(), ErrorCode::InvalidArgument, &what);
    }
    for text in hostile() {
        check(&Account::location(&text).unwrap_err(), ErrorCode::InvalidArgument, "location");
        check(&Account::company(&text).unwrap_err(), ErrorCode::InvalidArgument, "company");
    }
    let nobody = Account::location("nobody").unwrap();
    for error in [
        client.headers_for(nobody.as_str(), "GET").unwrap_err(),
        client.export(&nobody).unwrap_err(),
        client.health(&nobody).unwrap_err(),
    ] {
        check(&error, ErrorCode::NoGrant, "nobody");
    }
    assert!(!client.remove(&nobody).unwrap());
    check(&client.headers("GET").unwrap_err(), ErrorCode::Config, "no default account");
}

#[test]
fn methods_and_versions() {
    let client = Client::builder().private_integration_token("p").build().unwrap();
    let long = "x".repeat(MIB);
    // A method only decides about Content-Type: what no HTTP library would send has none.
    for method in ["", "GET\r\nX: y", "PO ST", "ÉTÉ", long.as_str()] {
        assert_eq!(client.headers(method).unwrap().content_type(), None);
    }
    for method in ["post", "Post", "pUt", "PATCH"] {
        assert_eq!(client.headers(method).unwrap().content_type(), Some("application/json"));
    }
    for version in hostile().into_iter().chain(["2021-07-28é".to_owned()]) {
        let error = client.headers("GET").unwrap().with_version(&version).unwrap_err();
        check(&error, ErrorCode::InvalidArgument, &format!("{version:.40?}"));
    }
}

#[test]
fn redirects_that_are_none() {
    let world = World::new();
    let client = world.client();
    let begin = || client.begin(client.authorization_request().unwrap()).unwrap();
    let pending = begin();
    let state = pending.state().expose();
    let redirects = [
        (String::new(), ErrorCode::StateMismatch),
        ("x".repeat(MIB), ErrorCode::InvalidArgument),
        (format!("https://app.example/callback?state={state}"), ErrorCode::InvalidArgument),
        (format!("code=&state={state}"), ErrorCode::InvalidArgument),
        (format!("code=SENTINEL-7f3a&code=b&state={state}"), ErrorCode::InvalidArgument),
        (format!("code=SENTINEL-7f3a&state={state}&state={state}"), ErrorCode::InvalidArgument),
        (format!("code=SENTINEL-7f3a%00&state={state}"), ErrorCode::InvalidArgument),
        (format!("code=SENTINEL-7f3a%FF&state={state}"), ErrorCode::InvalidArgument),
        ("code=SENTINEL-7f3a".to_owned(), ErrorCode::StateMismatch),
        ("code=SENTINEL-7f3a&state=".to_owned(), ErrorCode::StateMismatch),
        (format!("code=SENTINEL-7f3a&state={state}x"), ErrorCode::StateMismatch),
        (
            format!("error=access_denied&error_description=no%0d%0ano&state={state}"),
            ErrorCode::AuthorizationDenied,
        ),
    ];
    for (redirect, code) in redirects {
        let what = format!("{redirect:.60}");
        let error = client.complete(&pending, &redirect).unwrap_err();
        check(&error, code, &what);
        assert!(!error.to_string().contains(state), "{what}");
    }
    assert_eq!(world.emulator.statistics().token_requests, 0, "nothing of that was sent");
    // None of it used the state up.
    client.complete(&pending, &approve(pending.url(), &location(0))).unwrap();

    let old = begin();
    let redirect = approve(old.url(), &location(0));
    world.pass(11 * 60);
    check(
        &client.complete(&old, &redirect).unwrap_err(),
        ErrorCode::StateMismatch,
        "eleven minutes late",
    );
    for text in hostile() {
        let _ = Redirect::read(&text);
        let error = client.complete_unsolicited(&text, &location(0)).unwrap_err();
        check(&error, ErrorCode::InvalidArgument, "code");
    }
}

#[test]
fn authorization_requests_that_cannot_be() {
    let world = World::new();
    let client = world.client();
    let request = || client.authorization_request().unwrap();
    for value in hostile() {
        let what = format!("{value:.40?}");
        check(&client.begin(request().redirect_uri(&value)).unwrap_err(), ErrorCode::Config, &what);
        check(
            &client.begin(request().version_id(&value)).unwrap_err(),
            ErrorCode::InvalidArgument,
            &what,
        );
        if !value.is_empty() {
            check(&client.begin(request().scopes([&value])).unwrap_err(), ErrorCode::Config, &what);
        }
    }
    for uri in ["/callback", "javascript:alert(1)", "https://app.example/#fragment"] {
        check(&client.begin(request().redirect_uri(uri)).unwrap_err(), ErrorCode::Config, uri);
    }
}

#[test]
fn sealed_pending_authorizations_that_were_touched() {
    let world = World::new();
    let client = world.client();
    let pending = client.begin(client.authorization_request().unwrap()).unwrap();
    let sealed = client.seal_pending(&pending).unwrap();
    let mut touched = hostile();
    for at in [0, 1, sealed.len() / 2, sealed.len() - 1] {
        let mut bytes = sealed.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        touched.push(String::from_utf8(bytes).unwrap());
        touched.push(sealed[..at].to_owned());
    }
    touched.push(format!("{sealed}{sealed}"));
    for text in touched {
        let error = client.open_pending(&text).unwrap_err();
        let code =
            if text.len() > 16_384 { ErrorCode::InvalidArgument } else { ErrorCode::StateMismatch };
        check(&error, code, &format!("{text:.40?}"));
    }
    assert_eq!(client.open_pending(&sealed).unwrap().state(), pending.state());
}

#[test]
fn grants_that_are_none_are_not_imported() {
    let world = World::new();
    let client = world.client();
    let account = location(0);
    let good = world.grant(&account);
    client.import(good.clone(), false).unwrap();
    for value in hostile().into_iter().chain([format!("{SENTINEL}é"), format!("{SENTINEL} x")]) {
        let what = format!("{value:.40?}");
        for grant in [
            Grant::new(account.clone(), value.as_str()),
            Grant::new(account.clone(), "a").with_refresh_token(value.as_str()),
            Grant::new(account.clone(), "a").with_company_id(&value),
        ] {
            check(&client.import(grant, true).unwrap_err(), ErrorCode::InvalidArgument, &what);
        }
    }
    let kept = client.export(&account).unwrap();
    assert_eq!(kept.access_token(), good.access_token());
    assert_eq!(kept.refresh_token(), good.refresh_token());

    let (company, location) = (Account::company("c").unwrap(), Account::location("l").unwrap());
    for (of, from) in [(&company, &company), (&location, &location), (&company, &location)] {
        check(&client.mint(of, from).unwrap_err(), ErrorCode::InvalidArgument, "mint");
    }
}

#[test]
fn answers_that_are_reported_may_be_anything() {
    let world = World::new();
    let client = world.client();
    let account = location(0);
    client.import(world.grant(&account), false).unwrap();
    let headers = client.headers_for(account.as_str(), "GET").unwrap();
    let bodies: [&[u8]; 7] = [
        b"",
        b"\xff\xfe",
        b"null",
        b"{\"message\":{\"message\":[]}}",
        b"{\"message\":\"\\u0000\\ud800\"}",
        &vec![b'['; 100_000],
        &vec![b'x'; MIB],
    ];
    for body in bodies {
        for status in [0, 1, 100, 200, 302, 403, 404, 429, 500, 999, u16::MAX] {
            match client.report(&headers, status, &[("retry-after", "\u{7f}"), ("", "x")], body) {
                Ok(Report::Pass) => {}
                Ok(other) => panic!("{status}: {other:?}"),
                Err(error) => check(&error, error.code(), &status.to_string()),
            }
        }
    }
    assert_eq!(world.emulator.statistics().token_requests, 0);
    client.headers_for(account.as_str(), "GET").unwrap();
}
