use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use proptest::prelude::*;

use super::*;

fn parse(json: &str) -> Result<TokenAnswer> {
    TokenAnswer::parse(json.as_bytes())
}

const GOOD: &str = r#"{"access_token":"at","refresh_token":"rt","expires_in":3600,"token_type":"Bearer","scope":"x y","userType":"Location","locationId":"l","companyId":"c","userId":"u"}"#;

/// Everything of [`GOOD`].
fn is_good(answer: &TokenAnswer) {
    assert_eq!(answer.access_token.expose(), "at");
    assert_eq!(answer.refresh_token.as_ref().unwrap().expose(), "rt");
    assert_eq!(answer.lifetime, Duration::from_secs(3600));
    assert_eq!(answer.scopes.as_deref().unwrap(), ["x", "y"]);
    assert_eq!(answer.account(None).unwrap().as_str(), "location:l");
    assert_eq!((answer.company_id.as_deref(), answer.user_id.as_deref()), (Some("c"), Some("u")));
}

#[test]
fn each_member_is_taken_in_either_casing() {
    let camel = r#"{"accessToken":"at","refreshToken":"rt","expiresIn":"3600","tokenType":"bearer","scope":["x","y"],"user_type":"location","location_id":"l","company_id":"c","user_id":"u"}"#;
    let mixed = r#"{"access_token":"at","refreshToken":"rt","expires_in":[3600.9],"scopes":"x,y","userType":["Location"],"locationId":["l"],"companyId":"c","userId":" u "}"#;
    let end = &camel[1..];
    let both = format!("{},{end}", &GOOD[..GOOD.len() - 1]);
    for json in [GOOD, camel, mixed, &both] {
        is_good(&parse(json).unwrap());
    }
}

#[test]
fn an_odd_frame_costs_nothing() {
    let deep = format!(r#"{{"deep":{}{},{}"#, "[".repeat(10_000), "]".repeat(10_000), &GOOD[1..]);
    for json in [
        format!("\u{feff}{GOOD}"),
        format!("  \r\n{GOOD}\n\n"),
        format!("{GOOD} trailing"),
        format!("{GOOD}{GOOD}"),
        GOOD[..GOOD.len() - 1].to_owned(),
        format!("[{GOOD}]"),
        format!(r#"{{"data":{GOOD},"status":"ok"}}"#),
        format!(r#"{{"huge":1e999,"half":"\ud83d","\ud83d":1,{}"#, &GOOD[1..]),
        deep,
    ] {
        is_good(&parse(&json).unwrap());
    }
    let mut bytes = br#"{"name":"caf"#.to_vec();
    bytes.extend(b"\xe9\",");
    bytes.extend(&GOOD.as_bytes()[1..]);
    is_good(&TokenAnswer::parse(&bytes).unwrap());
}

#[test]
fn what_cannot_be_read_is_passed_over() {
    for odd in ["{}", "[]", "true", "-1", "1.5", r#"["a","b"]"#, r#""a b\n""#, r#""\ud800""#] {
        let json = format!(
            r#"{{"access_token":"at","refresh_token":{odd},"token_type":{odd},"userType":{odd},"companyId":{odd},"locationId":{odd},"userId":{odd}}}"#
        );
        let answer = parse(&json).unwrap();
        assert!(answer.refresh_token.is_none() && answer.user_type.is_none(), "{odd}");
        assert!(answer.company_id.is_none() && answer.location_id.is_none(), "{odd}");
        for account in [Account::location("l").unwrap(), Account::company("c").unwrap()] {
            answer.check(&account).unwrap();
        }
    }
    for (id, read) in [
        ("7", "7"),
        ("[8]", "8"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
    ] {
        let answer = parse(&format!(r#"{{"access_token":"at","locationId":{id}}}"#)).unwrap();
        assert_eq!(answer.location_id.as_deref(), Some(read));
    }
    for scope in ["\"\"", "\" \"", "[]", "{}", "null", "7.5", "[{}]"] {
        assert!(
            parse(&format!(r#"{{"access_token":"a","scope":{scope}}}"#)).unwrap().scopes.is_none()
        );
    }
}

#[test]
fn every_kind_of_expires_in() {
    let of = |raw: &str| {
        parse(&format!(r#"{{"access_token":"a","expires_in":{raw}}}"#)).unwrap().lifetime.as_secs()
    };
    for (raw, seconds) in [
        ("3600", 3600),
        ("\"3600\"", 3600),
        ("3600.9", 3600),
        ("\"3600.0\"", 3600),
        ("0", 60),
        ("-0", 60),
        ("0.5", 60),
        ("-5", 60),
        ("\"-5\"", 60),
        ("1e99", 86_399),
        ("1e400", 86_399),
        ("99999999999999999999999999", 86_399),
        ("null", 86_399),
        ("\"soon\"", 86_399),
        ("true", 86_399),
        ("{}", 86_399),
        ("\"NaN\"", 86_399),
        ("\"inf\"", 86_399),
    ] {
        assert_eq!(of(raw), seconds, "{raw}");
    }
    assert_eq!(parse(r#"{"access_token":"a"}"#).unwrap().lifetime.as_secs(), 86_399);
}

#[test]
fn without_a_usable_access_token_it_is_malformed_and_shows_nothing() {
    for json in [
        "",
        "[]",
        "{}",
        "null",
        "<html>planted</html>",
        r#"{"access_token":""}"#,
        r#"{"access_token":{}}"#,
        r#"{"access_token":"planted\nplanted"}"#,
        r#"{"access_token":"planté"}"#,
        r#"{"access_token":["planted","planted"]}"#,
        r#"{"access_token":"planted"#,
        r#"{"refresh_token":"planted"}"#,
    ] {
        let Err(error) = parse(json) else { panic!("{json}") };
        assert_eq!(error.code(), ErrorCode::MalformedResponse);
        assert!(!format!("{error:?}").contains("planted"));
    }
}

#[test]
fn class_is_told_by_user_type_then_by_what_was_asked_then_by_the_ids() {
    let account = |json: &str, asked| parse(json).unwrap().account(asked);
    let both = r#"{"access_token":"a","userType":"Company","companyId":"c","locationId":"l"}"#;
    assert_eq!(account(both, Some(AccountKind::Location)).unwrap().as_str(), "company:c");
    for unknown in ["", r#""userType":null,"#, r#""userType":"Agency","#, r#""userType":7,"#] {
        let both = format!(r#"{{"access_token":"a",{unknown}"companyId":"c","locationId":"l"}}"#);
        assert_eq!(account(&both, Some(AccountKind::Company)).unwrap().as_str(), "company:c");
        assert_eq!(account(&both, None).unwrap().as_str(), "location:l");
        let company = format!(r#"{{"access_token":"a",{unknown}"companyId":"c"}}"#);
        assert_eq!(account(&company, None).unwrap().as_str(), "company:c");
        assert_eq!(account(&company, Some(AccountKind::Location)).unwrap().as_str(), "company:c");
    }
    for nobody in
        [r#"{"access_token":"a"}"#, r#"{"access_token":"a","userType":"Location","companyId":"c"}"#]
    {
        assert_eq!(account(nobody, None).unwrap_err().code(), ErrorCode::MalformedResponse);
    }
    let answer = parse(both).unwrap();
    let code = |account: Account| answer.check(&account).unwrap_err().code();
    assert_eq!(code(Account::location("l").unwrap()), ErrorCode::WrongTokenClass);
    assert_eq!(code(Account::company("d").unwrap()), ErrorCode::WrongAccount);
}

#[test]
fn a_pair_of_someone_else_is_held_and_serves_nobody() {
    let account = Account::location("l").unwrap();
    let now = Timestamp(1_000_000);
    let before = Grant::new(account, "old")
        .with_refresh_token("spent")
        .with_expires_at(now.plus(Duration::from_secs(9)));
    let answer = || parse(&GOOD.replace("\"l\"", "\"other\"")).unwrap();
    let held = answer().into_held(&before, now, false);
    assert_eq!((held.access_token.expose(), held.expires_at), ("at", now));
    assert_eq!(held.refresh_token.as_ref().unwrap().expose(), "rt");
    let held = answer().into_held(&before, now, true);
    assert_eq!((held.access_token.expose(), held.expires_at), ("old", before.expires_at));
    assert_eq!(held.refresh_token.as_ref().unwrap().expose(), "rt");
}

/// JSON of any kind, with the members that matter among the names.
fn anything() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("1e999".to_owned()),
        Just(r#""\ud800""#.to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        any::<f64>()
            .prop_filter("JSON has no other", |value| value.is_finite())
            .prop_map(|value| value.to_string()),
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        let member = (any::<String>(), inner.clone())
            .prop_map(|(name, value)| format!("{}:{value}", serde_json::to_string(&name).unwrap()));
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(member, 0..4)
                .prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
}

/// Values in the place of a token that are no tokens.
fn no_token() -> impl Strategy<Value = String> {
    anything().prop_filter("a usable token", |json| token(json).is_none())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// A usable pair is found, whatever stands beside it, before and behind it, twice or in the
    /// other casing.
    #[test]
    fn every_answer_that_holds_a_usable_pair_is_taken(
        camel in any::<[bool; 2]>(),
        listed in any::<[bool; 2]>(),
        odd_tokens in prop::collection::vec((0..4usize, no_token()), 0..4),
        odd_members in prop::collection::vec((0..16usize, anything()), 0..8),
        unknown in prop::collection::vec((any::<String>(), anything()), 0..4),
        order in any::<prop::sample::Index>(),
        frame in 0..6usize,
    ) {
        let member = |name: &str, value: &str| format!("{}:{value}",
            serde_json::to_string(name).unwrap());
        let value = |text: &str,
            listed: bool| if listed { format!("[\"{text}\"]") } else { format!("\"{text}\"") };
        let mut members = vec![
            member(ACCESS_TOKEN[usize::from(camel[0])], &value("at.new_1", listed[0])),
            member(REFRESH_TOKEN[usize::from(camel[1])], &value("rt.new_1", listed[1])),
        ];
        let tokens = [ACCESS_TOKEN, REFRESH_TOKEN].concat();
        members.extend(odd_tokens.iter().map(|(name, json)| member(tokens[*name], json)));
        let others =
            [TOKEN_TYPE, EXPIRES_IN, SCOPE, USER_TYPE, COMPANY_ID, LOCATION_ID, USER_ID, ["error",
                "x"]].concat();
        members.extend(odd_members.iter().map(|(name, json)| member(others[*name], json)));
        let unknown = unknown.iter().filter(|(name, _)| !tokens.contains(&name.as_str()));
        members.extend(unknown.map(|(name, json)| member(name, json)));
        let middle = order.index(members.len());
        members.rotate_left(middle);
        let object = format!("{{{}}}", members.join(", "));
        let body = match frame {
            0 => format!("\u{feff}{object}"),
            1 => format!(" \n{object}\r\n"),
            2 => format!("{object}]}} and more"),
            3 => format!("[{object}]"),
            4 => format!("{{\"data\":{object}}}"),
            _ => object,
        };
        let answer = parse(&body).unwrap();
        prop_assert_eq!(answer.access_token.expose(), "at.new_1");
        prop_assert_eq!(answer.refresh_token.as_ref().map(Secret::expose), Some("rt.new_1"));
        prop_assert!(answer.lifetime >= SHORTEST && answer.lifetime.as_secs_f64() <= TEN_YEARS);
        for id in [&answer.company_id, &answer.location_id, &answer.user_id].into_iter().flatten() {
            prop_assert!(Account::location(id).is_ok());
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0..GOOD.len()) {
        let _ = TokenAnswer::parse(&bytes);
        let mixed = [&GOOD.as_bytes()[..cut], &bytes, &GOOD.as_bytes()[cut..]].concat();
        let _ = TokenAnswer::parse(&mixed);
    }
}

/// A token that says that it was issued in second `iat`.
fn jwt(iat: &str) -> String {
    let claims = BASE64_URL_SAFE_NO_PAD.encode(format!(r#"{{"sub":"x","iat":{iat}}}"#));
    format!("e30.{claims}.c2ln")
}

fn answered(token: &str, date: Option<&str>, asked: i64) -> Grant {
    let answer =
        parse(&format!(r#"{{"access_token":"{token}","refresh_token":"r"}}"#)).unwrap().dated(date);
    answer.into_grant(&Account::location("l").unwrap(), None, Timestamp(asked), false)
}

#[test]
fn an_authorization_is_dated_by_the_platform() {
    let date = "Tue, 14 Nov 2023 22:13:20 GMT";
    let second = 1_700_000_000_000;
    let dated = |token: &str, date: Option<&str>, asked: i64| {
        answered(token, date, asked).authorized_for_webhooks().0 - second
    };
    // Our clock tells the part of the second, where it agrees; elsewhere it is not believed.
    for (asked, at) in
        [(second, 0), (second + 640, 640), (second - 1, 0), (second + 1_000, 0), (0, 0)]
    {
        assert_eq!(dated("opaque", Some(date), asked), at);
        assert_eq!(dated(&jwt("1700000000"), None, asked), at);
    }
    assert_eq!(dated(&jwt("1700000002.9"), Some(date), second), 2_000);
    assert_eq!(dated(&jwt("1600000000"), Some(" Tuesday, 14-Nov-23 22:13:20 GMT "), second), 0);
    // Neither of them says anything that could be: then it is our clock.
    for token in [
        "opaque",
        "a.b.c",
        "a.!.c",
        &jwt("0"),
        &jwt("-1"),
        &jwt("1e99"),
        &jwt("\"x\""),
        &jwt("null"),
    ] {
        for date in [None, Some(""), Some("yesterday"), Some("Thu, 01 Jan 1970 00:00:00 GMT")] {
            assert_eq!(dated(token, date, second - 60_000), -60_000, "{token} {date:?}");
        }
    }
}

#[test]
fn the_date_of_an_authorization_outlives_refreshes_and_the_store() {
    let grant = answered("opaque", Some("Tue, 14 Nov 2023 22:13:20 GMT"), 5);
    let back = Grant::from_bytes(&grant.account, &grant.to_bytes().unwrap()).unwrap();
    let later =
        parse(r#"{"access_token":"b"}"#).unwrap().dated(Some("Tue, 14 Nov 2023 23:13:20 GMT"));
    let later = later.into_grant(&grant.account, Some(&back), Timestamp(9), false);
    assert_eq!(later.authorized_for_webhooks(), Timestamp(1_700_000_000_000));
    assert_eq!(later.authorized_at, Timestamp(5));
    // A row of an older version, and an import: the first access token knows, and what it knows
    // is kept.
    let mut old = answered(&jwt("1700000000"), None, 5);
    old.platform_authorized_at = None;
    assert!(!String::from_utf8_lossy(&old.to_bytes().unwrap()).contains("\"p\""));
    assert_eq!(old.authorized_for_webhooks(), Timestamp(1_700_000_000_000));
    let later = parse(r#"{"access_token":"b"}"#).unwrap();
    let later = later.into_grant(&old.account, Some(&old), Timestamp(9), false);
    assert_eq!(later.authorized_for_webhooks(), Timestamp(1_700_000_000_000));
    // A later token says nothing of the authorization.
    old.obtained_at = Timestamp(6);
    assert_eq!(old.authorized_for_webhooks(), Timestamp(5));
}
