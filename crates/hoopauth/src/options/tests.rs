use super::checks::SCOPE_LIMIT;
use super::set::{HOOPAI_TOKEN, LOCATION_ID};
use super::value::Value;
use super::*;
use crate::error::{Error, ErrorCode};

fn refuse(name: &str, value: &str) -> Error {
    let error = OptionSet::default().set(name, value).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Config, "{name}={value:.40}");
    error
}

#[test]
fn every_option_refuses_empty_long_and_control() {
    let long = "x".repeat(1 << 20);
    for row in OPTIONS {
        for bad in ["", "  ", "a\0b", "a\u{7}b", "a\u{85}b", &long] {
            let error = refuse(row.name, bad);
            assert!(error.message().contains(row.name), "{}", error.message());
        }
    }
}

#[test]
fn defaults_pass_their_own_checks() {
    for row in OPTIONS {
        if let Some(default) = row.default {
            OptionSet::default().set(row.name, default).unwrap();
        }
    }
}

#[test]
fn urls_are_https_or_loopback() {
    for good in
        ["http://127.0.0.1:1", "http://[::1]:9/x", "http://localhost", "https://example.com/a"]
    {
        OptionSet::default().set("api_base", good).unwrap();
    }
    for bad in [
        "http://example.com",
        "http://127.0.0.1.example.com",
        "ftp://localhost",
        "//x",
        "x",
        "https://u:p@example.com",
    ] {
        refuse("api_base", bad);
    }
}

#[test]
fn tokens_are_trimmed_and_one_word() {
    let mut set = OptionSet::default();
    set.set("private_integration_token", "pit-1234\r\n").unwrap();
    assert_eq!(set.secret("private_integration_token").unwrap().unwrap().expose(), "pit-1234");
    for name in ["private_integration_token", "private_integration_token_next", "access_token"] {
        let error = refuse(name, "pit-12 34");
        assert!(!error.message().contains("34"));
    }
    set.set("client_secret", " two ~words! \n").unwrap();
    assert_eq!(set.secret("client_secret").unwrap().unwrap().expose(), "two ~words!");
    for bad in ["s\u{e9}cret", "a\tb", "a\nb", "a\x7f"] {
        assert!(!refuse("client_secret", bad).message().contains(bad));
    }
}

/// Values as env files, templates and editors leave them.
const MISTAKEN: &[&str] = &[
    "\"planted-0123456789\"",
    "'planted-0123456789'",
    "`planted-0123456789`",
    "\u{201c}planted-0123456789\u{201d}",
    "\u{ab}planted-0123456789\u{bb}",
    "\"\"",
    "${PLANTED}",
    "${PLANTED:-planted}",
    "$PLANTED_NAME",
    "%PLANTED%",
    "{{ planted }}",
    "<planted name>",
    "\u{feff}planted-0123456789",
    "planted-0123456789\u{a0}",
    "planted\u{7}-0123456789",
];

/// Checks that each option of a table refuses each mistake, and that the error shows nothing of it.
pub(crate) fn refuses_every_mistake(table: &'static [OptionRow]) {
    for row in table {
        for bad in MISTAKEN {
            let error = OptionSet::of(table).set(row.name, bad).unwrap_err();
            assert_eq!(error.code(), ErrorCode::Config, "{}={bad}", row.name);
            assert!(error.message().contains(&format!("`{}`", row.name)), "{error}");
            assert!(
                !error.message().to_lowercase().contains("planted"),
                "{}={bad}: {error}",
                row.name
            );
        }
    }
}

#[test]
fn every_option_refuses_every_mistake_wherever_it_comes_from() {
    refuses_every_mistake(OPTIONS);
    for row in OPTIONS {
        let variable = row.environment();
        for bad in MISTAKEN {
            let error = OptionSet::default()
                .fill_from(|name| (name == variable).then(|| (*bad).into()))
                .unwrap_err();
            assert_eq!(error.code(), ErrorCode::Config, "{variable}={bad}");
            assert!(error.message().contains(&format!("`{variable}`")), "{error}");
            assert!(
                !error.message().to_lowercase().contains("planted"),
                "{variable}={bad}: {error}"
            );
        }
    }
    for variable in [HOOPAI_TOKEN, LOCATION_ID] {
        for bad in MISTAKEN.iter().chain(&[
            "pit-\"planted",
            "location:'planted'",
            "pit planted",
            "file:/planted/token",
        ]) {
            let error = OptionSet::default()
                .fill_from(|name| (name == variable).then(|| (*bad).into()))
                .unwrap_err();
            assert_eq!(error.code(), ErrorCode::Config, "{variable}={bad}");
            assert!(error.message().contains(&format!("`{variable}`")), "{error}");
            assert!(
                !error.message().to_lowercase().contains("planted"),
                "{variable}={bad}: {error}"
            );
        }
    }
}

#[test]
fn white_space_at_the_ends_is_trimmed_everywhere() {
    let good = |row: &OptionRow| match row.name {
        "store_key" => "0123456789abcdef".to_owned(),
        "default_account" => "location:a".to_owned(),
        "user_type" => "Location".to_owned(),
        "redirect_uri" => "https://h.example/cb".to_owned(),
        _ => row.default.unwrap_or("word").to_owned(),
    };
    for row in OPTIONS {
        let (plain, spaced) = (good(row), format!(" \t{}\r\n", good(row)));
        let parse = |text: &str| Value::parse(row, "", text).unwrap();
        assert_eq!(parse(&spaced), parse(&plain), "{}", row.name);
    }
}

#[test]
fn legal_values_with_odd_characters_are_taken() {
    for (name, value) in [
        ("client_secret", "a'b\"c$d%e{f}<g>[h],;`~"),
        ("client_secret", "$ecret-0123"),
        ("client_secret", "/8Aa+0123=="),
        ("store_key", "p\u{e4}ss'w\"ord-$x-0123"),
        ("store_key", "file:/a b/$c/\u{e9}.key"),
        ("ca_file", "/a b/it's/100%/$c/\u{e9}.pem"),
        ("user_agent", "my app/1.0 (\"quoted\"; it's)"),
        ("proxy", "http://user:p$ss%22@proxy.example:3128"),
        ("redirect_uri", "https://h.example/cb?app=x&$y=1"),
        ("scopes", "objects/schema.readonly custom-menu-link.write a_b.c"),
        ("store", "sqlite:/a b/it's $x/grants.db"),
        ("store", "postgres://u:p%22$x@h/d"),
        ("private_integration_token", "pit-0a1b2c3d-0000-4000-8000-0123456789ab"),
        ("access_token", "eyJhbGciOiJSUzI1NiJ9.e30.a-b_c=="),
    ] {
        let mut set = OptionSet::default();
        set.set(name, value).unwrap_or_else(|error| panic!("{name}={value}: {error}"));
    }
}

#[test]
fn a_secret_that_names_a_file_is_no_secret() {
    for name in [
        "client_secret",
        "private_integration_token",
        "private_integration_token_next",
        "access_token",
    ] {
        for value in [
            "file:/planted/secret",
            "FILE:/planted/secret",
            "/run/secrets/planted",
            "{\"token\":\"planted\"}",
        ] {
            let error = refuse(name, value);
            assert!(!error.message().contains("planted"), "{error}");
        }
    }
    assert!(refuse("private_integration_token", "Bearer planted").message().contains("`Bearer`"));
}

#[test]
fn what_the_login_would_stumble_over_is_refused_when_it_is_set() {
    for scopes in ["contacts.readonly,contacts.write", "a, b", "a;b", "[\"a\"]", "a%20b"] {
        assert!(refuse("scopes", scopes).message().contains("space"), "{scopes}");
    }
    for uri in [
        "https://h.example/cb?state=x",
        "https://h.example/cb?code=x",
        "https://h.example/cb?x=1&error=y",
    ] {
        assert!(refuse("redirect_uri", uri).message().contains("platform adds"), "{uri}");
    }
    assert!(refuse("redirect_uri", "https://h.example/cb#x").message().contains("fragment"));
    assert!(refuse("redirect_uri", "h.example/cb").message().contains("`https://`"));
    assert!(refuse("store", "sqlite::memory:").message().contains("`memory:`"));
    assert!(refuse("proxy", "socks5://h:1").message().contains("SOCKS"));
}

#[test]
fn numbers_have_limits() {
    for bad in ["-1", "NaN", "inf", "1e9", "1,5", "86401"] {
        refuse("refresh_before", bad);
    }
    refuse("token_requests_per_minute", "0");
    refuse("no_such_option", "1");
    assert!(refuse("Client-Id", "1").message().contains("`client_id`"));
}

#[test]
fn explicit_goes_before_environment_before_hoopai_names() {
    let env = |name: &str| match name {
        "HOOPAUTH_API_VERSION" => Some("v3".into()),
        "HOOPAI_TOKEN" => Some("pit-env\n".into()),
        "LOCATION_ID" => Some("abc".into()),
        _ => None,
    };
    let mut set = OptionSet::default();
    set.fill_from(env).unwrap();
    assert_eq!(set.text("api_version").unwrap().unwrap(), "v3");
    assert_eq!(set.secret("private_integration_token").unwrap().unwrap().expose(), "pit-env");
    assert_eq!(set.account("default_account").unwrap().unwrap().as_str(), "location:abc");

    let mut set = OptionSet::default();
    set.set("access_token", "mine").unwrap();
    set.set("api_version", "2021-04-15").unwrap();
    set.fill_from(env).unwrap();
    assert!(!set.is_set("private_integration_token"));
    assert_eq!(set.text("api_version").unwrap().unwrap(), "2021-04-15");
}

#[test]
fn scopes_are_checked() {
    assert_eq!(validate_scopes("`scopes`", ["b", "a", "b"]).unwrap(), ["b", "a"]);
    assert!(validate_scopes("`scopes`", ["!#[]~"]).is_ok());
    assert!(validate_scopes("`scopes`", [&"x".repeat(SCOPE_LIMIT)]).is_ok());
    let long = "x".repeat(SCOPE_LIMIT + 1);
    let illegal = ["", "a b", "a\"", "a\\b", "é", "a\n", "\0", "\x7f", &long];
    let mistaken = [
        "a,b", "a,", "a;b", "\"a\"", "'a'", "'a", "[a", "a]", "{a}", "<a>", "${A}", "$SCOPES",
        "a%20b", "a%2Cb",
    ];
    for scope in illegal.into_iter().chain(mistaken) {
        let error = validate_scopes("`scopes`", ["ok", scope]).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Config);
        assert!(error.message().starts_with("`scopes`: number 2 "), "{error}");
    }
    assert_eq!(validate_scopes::<&str>("`scopes`", []).unwrap_err().code(), ErrorCode::Config);
    // 64 of 127 characters with 63 spaces between: 8191 bytes.
    let many: Vec<_> = (0..65).map(|n| format!("{n:0>127}")).collect();
    assert!(validate_scopes("`scopes`", &many[..64]).is_ok());
    assert_eq!(validate_scopes("`scopes`", &many).unwrap_err().code(), ErrorCode::Config);
}
