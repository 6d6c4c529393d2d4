use super::*;

fn refuse(body: &[u8]) -> String {
    let error = WebhookEvent::parse(body).unwrap_err();
    assert_eq!(error.code(), ErrorCode::WebhookMalformed, "{error}");
    assert!(!error.message().contains("planted"), "{error}");
    error.message().to_owned()
}

#[test]
fn an_event_is_read() {
    let body =
        br#" {"type":"Contact\u0043reate","webhookId":"w-1","timestamp":"2026-01-31T12:00:00.123Z",
        "locationId":"l1","companyId":"c1","appId":"a1","tags":[1,{"type":"x"},null,true,-1.5e3]} "#;
    let event = WebhookEvent::parse(body).unwrap();
    assert_eq!((event.event_type(), event.webhook_id()), ("ContactCreate", "w-1"));
    assert_eq!(event.timestamp(), Some(Timestamp(1_769_860_800_123)));
    assert_eq!(event.account(), Some(&Account::location("l1").unwrap()));
    assert_eq!(event.company(), Some(&Account::company("c1").unwrap()));
    assert_eq!((event.app_id(), event.body()), (Some("a1"), &body[..]));
    assert_eq!(event.json()["tags"][1]["type"], "x");
    assert!(!format!("{event:?}").contains("l1"));
}

#[test]
fn what_is_not_there_is_not_made_up() {
    let event =
        WebhookEvent::parse(br#"{"type":"X","locationId":"","companyId":"c","appId":null}"#)
            .unwrap();
    assert_eq!(event.account(), Some(&Account::company("c").unwrap()));
    assert_eq!((event.app_id(), event.timestamp()), (None, None));
    assert_eq!((event.app(), event.time()), (&NamedApp::No, EventTime::No));
    assert_eq!(event.webhook_id(), hash_of(event.body()));
    for body in ["{}", r#"{"type":null}"#, r#"{"type":""}"#, r#" {"type":["planted"]} "#] {
        let event = WebhookEvent::parse(body.as_bytes()).unwrap();
        assert_eq!((event.event_type(), event.account()), ("", None), "{body}");
    }
    // SHA-256 of the bytes, as `sha256sum` prints it.
    let hash = "sha256:8b04a59c54a65f8c7c2e9b0b8cf4f1d5";
    assert_eq!(hash_of(b"").split_at(23).0, "sha256:e3b0c44298fc1c14");
    assert_eq!(hash_of(b"").len(), hash.len() + 32);
}

#[test]
fn numbers_are_ids_as_they_are_written() {
    let event = WebhookEvent::parse(
        br#"{"type":7,"webhookId":18446744073709551616,"appId":65,"locationId":12,"companyId":-3.50}"#,
    )
    .unwrap();
    assert_eq!((event.event_type(), event.webhook_id()), ("7", "18446744073709551616"));
    assert_eq!(event.app_id(), Some("65"));
    assert_eq!(event.account(), Some(&Account::location("12").unwrap()));
    assert_eq!(event.company(), Some(&Account::company("-3.50").unwrap()));
}

#[test]
fn what_is_no_id_is_left_out_and_the_event_stays() {
    let long = format!("\"{}\"", "x".repeat(300));
    for odd in ["true", "[1]", "{}", "\"a b\"", "\"é\"", "\"a\\nb\"", &long] {
        let body =
            format!(r#"{{"type":"X","locationId":{odd},"companyId":"c","webhookId":[{odd}]}}"#);
        let event = WebhookEvent::parse(body.as_bytes()).unwrap();
        // It is about a location, whichever: not about the company.
        assert_eq!(event.account(), None, "{body}");
        assert_eq!(event.company(), Some(&Account::company("c").unwrap()));
        assert_eq!(event.webhook_id(), hash_of(body.as_bytes()));
        let body = body.replace('X', "UNINSTALL");
        assert!(refuse(body.as_bytes()).contains("`locationId`"));
    }
    for odd in ["true", "[\"a1\"]", "{\"id\":\"a1\"}", "\"a\\nb\"", &long] {
        let event = WebhookEvent::parse(format!(r#"{{"appId":{odd}}}"#).as_bytes()).unwrap();
        assert_eq!((event.app(), event.app_id()), (&NamedApp::Unclear, None));
    }
}

#[test]
fn an_account_may_be_named_the_other_way() {
    let account = |body: &str| WebhookEvent::parse(body.as_bytes()).unwrap().account().cloned();
    let location = Account::location("L1").unwrap();
    assert_eq!(account(r#"{"altId":"L1","altType":"location"}"#), Some(location.clone()));
    assert_eq!(
        account(r#"{"altId":"C","altType":"Company"}"#),
        Some(Account::company("C").unwrap())
    );
    assert_eq!(account(r#"{"altId":"x","altType":"location","locationId":"L1"}"#), Some(location));
    for none in [
        r#"{"altId":"L1"}"#,
        r#"{"altId":"L1","altType":"user"}"#,
        r#"{"altType":"location"}"#,
        r#"{"type":"UNINSTALL","altId":"L1","altType":"location"}"#,
    ] {
        assert_eq!(account(none), None, "{none}");
    }
}

#[test]
fn numbers_are_a_timestamp_too() {
    let time = |text: &str| {
        let body = format!(r#"{{"type":"X","timestamp":{text}}}"#);
        WebhookEvent::parse(body.as_bytes()).unwrap().time()
    };
    for text in [
        "1769860800123",
        "1.7698608001239e12",
        "\"1769860800123\"",
        "1769860800.123",
        "1769860800123999",
    ] {
        assert_eq!(time(text), EventTime::At(Timestamp(1_769_860_800_123)), "{text}");
    }
    assert_eq!(time("1769860800"), EventTime::At(Timestamp(1_769_860_800_000)));
    assert_eq!((time("null"), time("\"\"")), (EventTime::No, EventTime::No));
    for odd in
        ["true", "[]", "{}", "\"yesterday\"", "9e99", "1e999", "\"inf\"", "-9223372036854775808e9"]
    {
        assert_eq!(time(odd), EventTime::Unreadable, "{odd}");
    }
}

#[test]
fn what_is_no_event_is_refused() {
    for body in [
        "",
        "null",
        "[]",
        "\"planted\"",
        "1",
        "{",
        "{\"planted\"",
        "{planted:1}",
        r#"{"type":"X"} x"#,
        r#"{"type":"X"}{}"#,
        r#"{"type":"X",}"#,
        r#"{"type":"X","a":01}"#,
        r#"{"type":"X","a":[1}"#,
        "\u{feff}\u{feff}{\"type\":\"X\"}",
    ] {
        refuse(body.as_bytes());
    }
    assert!(refuse(b"{\"type\":\"\xff\"}").contains("UTF-8"));
}

#[test]
fn a_byte_order_mark_is_no_part_of_it() {
    let body = "\u{feff}{\"type\":\"X\",\"a\":1}".as_bytes();
    let event = WebhookEvent::parse(body).unwrap();
    assert_eq!((event.event_type(), event.body()), ("X", body));
    assert_eq!(
        (event.json()["a"].as_i64(), &*event.json_text()),
        (Some(1), "{\"type\":\"X\",\"a\":1}")
    );
}

#[test]
fn of_a_member_that_is_named_twice_the_last_one_counts() {
    let event = WebhookEvent::parse(
        br#"{"type":"X","ty\u0070e":"Y","a":{"b":1,"b":2},"locationId":"l","locationId":"m"}"#,
    )
    .unwrap();
    assert_eq!((event.event_type(), event.json()["a"]["b"].as_i64()), ("Y", Some(2)));
    assert_eq!(event.account(), Some(&Account::location("m").unwrap()));
    // Which app it is of must be clear, and what it says about grants.
    let app = |body: &str| WebhookEvent::parse(body.as_bytes()).unwrap().app().clone();
    assert_eq!(app(r#"{"appId":"a","appId":"a"}"#), NamedApp::One("a".into()));
    assert_eq!(app(r#"{"appId":"other","appId":"a"}"#), NamedApp::Unclear);
    assert_eq!(app(r#"{"appId":"other","appId":null}"#), NamedApp::Unclear);
    for body in [
        r#"{"type":"UNINSTALL","locationId":"l","locationId":null,"companyId":"c"}"#,
        r#"{"type":"X","type":"UNINSTALL","locationId":"l"}"#,
        r#"{"type":"INSTALL","companyId":"c","companyId":"d"}"#,
    ] {
        assert!(refuse(body.as_bytes()).contains("several times"));
    }
}

#[test]
fn numbers_beyond_all_are_text() {
    let digits = "9".repeat(400);
    let body = format!(r#"{{"a":1e999,"b":[-1E+400,{digits},1e5,-0.5],"c":"1e999","d":1}}"#);
    let event = WebhookEvent::parse(body.as_bytes()).unwrap();
    let json = event.json();
    assert_eq!((json["a"].as_str(), json["b"][0].as_str()), (Some("1e999"), Some("-1E+400")));
    assert_eq!((json["b"][1].as_str(), json["b"][2].as_f64()), (Some(&*digits), Some(1e5)));
    assert_eq!((json["c"].as_str(), json["d"].as_i64()), (Some("1e999"), Some(1)));
    assert_eq!(event.body(), body.as_bytes());
}

#[test]
fn half_an_emoji_is_replaced() {
    for (text, read) in [
        (r"cut \ud83d", "cut \u{fffd}"),
        (r"\uDE00\ud83d\ud83d\ude00\u00e9", "\u{fffd}\u{fffd}\u{1f600}é"),
        (r"\\ud83d \\\ud83d\n", "\\ud83d \\\u{fffd}\n"),
        (r"\ud83d\\ude00é", "\u{fffd}\\ude00é"),
    ] {
        let body = format!(r#"{{"type":"X","a":"{text}"}}"#);
        let event = WebhookEvent::parse(body.as_bytes()).unwrap();
        assert_eq!(event.json()["a"], read, "{text}");
        assert_eq!(event.body(), body.as_bytes());
        assert_eq!(event.webhook_id(), hash_of(body.as_bytes()));
    }
    for bad in
        [r#"{"type":"\ud83"}"#, r#"{"type":"X\"#, "{\"type\":\"X\\é\"}", r#"{"type":"X\ud83d\u"#]
    {
        refuse(bad.as_bytes());
    }
}

#[test]
fn only_depth_that_does_harm_is_refused() {
    let nested = |open: &str, close: &str, depth: usize| {
        format!(r#"{{"a":{}1{}}}"#, open.repeat(depth), close.repeat(depth)).into_bytes()
    };
    for (open, close) in [("[", "]"), ("{\"b\":", "}")] {
        let event = WebhookEvent::parse(&nested(open, close, DEEPEST - 1)).unwrap();
        let mut json = &event.json()["a"];
        for _ in 1..DEEPEST {
            json = if open == "[" { &json[0] } else { &json["b"] };
        }
        assert_eq!(json.as_i64(), Some(1));
        assert!(refuse(&nested(open, close, DEEPEST)).contains("deeper"));
        refuse(&nested(open, close, 200_000));
    }
    // Brackets within a text are none.
    let text = format!(r#"{{"a":"\"{}"}}"#, "[".repeat(10_000));
    WebhookEvent::parse(text.as_bytes()).unwrap();
}
