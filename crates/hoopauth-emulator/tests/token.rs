//! The token endpoint.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod common;

use common::*;
use hoopauth_emulator::{
    App, Casing, Config, DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, DEFAULT_COMPANY_ID,
    DEFAULT_LOCATION_IDS, Emulator, ErrorStyle,
};
use serde_json::json;

fn start() -> Emulator {
    Emulator::start(Config::default()).unwrap()
}

#[test]
fn a_code_is_exchanged_once_for_a_location() {
    let emulator = start();
    let code = emulator.authorize(LOCATION, &["contacts.readonly", "made.up"]).unwrap();
    let answer = exchange(&emulator, &code, &[("user_type", "Location")]).send().ok().json();
    assert_eq!(answer["token_type"], "Bearer");
    assert_eq!(answer["expires_in"], 86_399);
    assert_eq!(answer["scope"], "contacts.readonly made.up");
    assert_eq!(answer["userType"], "Location");
    assert_eq!(answer["locationId"], DEFAULT_LOCATION_IDS[0]);
    assert_eq!(answer["companyId"], DEFAULT_COMPANY_ID);
    assert_eq!(answer["isBulkInstallation"], false);
    assert!(answer.get("approvedLocations").is_none());
    for name in ["userId", "planId", "traceId"] {
        assert!(!text(&answer, name).is_empty());
    }
    for name in ["access_token", "refresh_token"] {
        assert_eq!(text(&answer, name).split('.').count(), 3);
        assert!((900..1_100).contains(&text(&answer, name).len()));
    }

    let again = exchange(&emulator, &code, &[]).send();
    let body = again.json();
    assert_eq!((again.status, &body["error"]), (401, &json!("UnAuthorized!")));
    assert_eq!(body["error_description"], "Authorization code not found");
    assert_eq!(emulator.statistics().exchanges, 1);
}

#[test]
fn a_company_answer_lists_what_was_approved() {
    let emulator = start();
    emulator.uninstall(OTHER_LOCATION).unwrap();
    let code = emulator.authorize(COMPANY, &[]).unwrap();
    let answer = exchange(&emulator, &code, &[("user_type", "Company")]).send().ok().json();
    assert_eq!(answer["userType"], "Company");
    assert_eq!(answer["companyId"], DEFAULT_COMPANY_ID);
    assert!(answer.get("locationId").is_none());
    assert_eq!(
        answer["approvedLocations"],
        json!([DEFAULT_LOCATION_IDS[0], DEFAULT_LOCATION_IDS[2]])
    );
    for name in ["isBulkInstallation", "installToFutureLocations", "approveAllLocations"] {
        assert_eq!(answer[name], true);
    }
}

#[test]
fn a_code_is_looked_at_before_the_secret_and_survives_a_wrong_one() {
    let emulator = start();
    let with_secret = |code: &str, secret: &str| {
        Call::new("POST", &emulator.token())
            .form(&[
                ("client_id", DEFAULT_CLIENT_ID),
                ("client_secret", secret),
                ("grant_type", "authorization_code"),
                ("code", code),
            ])
            .send()
    };
    assert_eq!(with_secret("made-up", "wrong").json()["error"], "UnAuthorized!");
    let code = emulator.authorize(LOCATION, &[]).unwrap();
    let refused = with_secret(&code, "wrong");
    assert_eq!((refused.status, &refused.json()["error"]), (401, &json!("invalid_client")));
    with_secret(&code, DEFAULT_CLIENT_SECRET).ok();
}

#[test]
fn a_code_expires_and_belongs_to_its_app() {
    let emulator = start();
    let code = emulator.authorize(LOCATION, &[]).unwrap();
    emulator.advance(600);
    assert_eq!(exchange(&emulator, &code, &[]).send().status, 401);
    emulator.add_app(App::new("other-1", "s")).unwrap();
    let code = emulator.authorize_for(Some("other-1"), LOCATION, &[]).unwrap();
    assert_eq!(exchange(&emulator, &code, &[]).send().status, 401);
}

#[test]
fn a_refresh_rotates_and_the_window_repeats_the_same_pair() {
    let emulator = start();
    emulator.freeze();
    let old = seed(&emulator);
    let first = refresh(&emulator, &old).send().ok().json();
    assert_ne!(text(&first, "refresh_token"), old);
    assert!(!emulator.is_refresh_token_live(&old));
    emulator.advance(30);
    let repeated = refresh(&emulator, &old).send().ok().json();
    for name in ["access_token", "refresh_token", "expires_in", "scope"] {
        assert_eq!(first[name], repeated[name]);
    }
    emulator.advance(1);
    refresh(&emulator, &old).send().refused(400, "Invalid grant: refresh token is invalid");
    assert!(refresh(&emulator, &old).send().json().get("error").is_none());
    assert!(emulator.is_refresh_token_live(text(&first, "refresh_token")));
    let counted = emulator.statistics();
    assert_eq!(
        (counted.rotations, counted.reuse_inside_window, counted.reuse_outside_window),
        (1, 1, 2)
    );
}

#[test]
fn without_a_window_every_repetition_is_refused() {
    let emulator = Emulator::start(Config::default().window(0)).unwrap();
    emulator.freeze();
    let old = seed(&emulator);
    let pair = refresh(&emulator, &old).send().ok().json();
    refresh(&emulator, &old).send().refused(400, "Invalid grant: refresh token is invalid");
    refresh(&emulator, text(&pair, "refresh_token")).send().ok();
    assert_eq!(emulator.statistics().reuse_outside_window, 1);
}

#[test]
fn identical_refreshes_at_the_same_time_get_one_pair() {
    let emulator = start();
    let old = seed(&emulator);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..8).map(|_| scope.spawn(|| refresh(&emulator, &old).send().ok().json())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(answers.iter().all(|answer| answer["refresh_token"] == answers[0]["refresh_token"]));
    let counted = emulator.statistics();
    assert_eq!((counted.rotations, counted.reuse_inside_window), (1, 7));
}

#[test]
fn refresh_tokens_die_of_age_revocation_and_foreign_apps() {
    let emulator = start();
    let invalid = "Invalid grant: refresh token is invalid";
    let (unused, revoked, swept) = (seed(&emulator), seed(&emulator), seed(&emulator));
    emulator.revoke_token(&revoked).unwrap();
    refresh(&emulator, &revoked).send().refused(400, invalid);
    emulator.revoke_refresh(LOCATION).unwrap();
    refresh(&emulator, &swept).send().refused(400, invalid);
    let unused_later = seed(&emulator);
    emulator.advance(365 * 86_400);
    refresh(&emulator, &unused_later).send().refused(400, invalid);
    refresh(&emulator, &unused).send().refused(400, invalid);
    emulator.add_app(App::new("other-1", "s")).unwrap();
    let foreign =
        emulator.issue_grant_for(Some("other-1"), LOCATION, &[]).unwrap().refresh_token.unwrap();
    refresh(&emulator, &foreign).send().refused(400, invalid);
    refresh(&emulator, "made.up.token").send().refused(400, invalid);
    assert_eq!(emulator.statistics().reuse_outside_window, 0);
}

#[test]
fn a_paused_location_keeps_its_refresh_token() {
    let emulator = start();
    let token = seed(&emulator);
    emulator.pause(DEFAULT_LOCATION_IDS[0]).unwrap();
    refresh(&emulator, &token).send().refused(400, "Location is not active");
    emulator.unpause(DEFAULT_LOCATION_IDS[0]).unwrap();
    refresh(&emulator, &token).send().ok();
}

#[test]
fn wrong_requests_are_named() {
    let emulator = start();
    let all = [
        ("grant_type", "refresh_token"),
        ("client_id", DEFAULT_CLIENT_ID),
        ("client_secret", DEFAULT_CLIENT_SECRET),
        ("refresh_token", "x"),
    ];
    for (left_out, (name, _)) in all.iter().enumerate() {
        let mut form = all.to_vec();
        form.remove(left_out);
        let answer = Call::new("POST", &emulator.token()).form(&form).send();
        answer.refused(400, &format!("Missing parameter: {name}"));
    }
    let with = |name, value| {
        let mut form = all.to_vec();
        form.retain(|(known, _)| *known != name);
        form.push((name, value));
        Call::new("POST", &emulator.token()).form(&form).send()
    };
    with("grant_type", "password").refused(400, "Invalid parameter: grant_type");
    with("user_type", "Nobody").refused(400, "Invalid parameter: user_type");
    assert_eq!(with("client_id", "nobody").json()["error"], "invalid_client");
    let twice = [("client_id", "a"), ("client_id", "b")];
    Call::new("POST", &emulator.token())
        .form(&twice)
        .send()
        .refused(400, "Invalid parameter: client_id");
    let as_json =
        Call::new("POST", &emulator.token()).json(&json!({ "grant_type": "refresh_token" })).send();
    assert_eq!(as_json.status, 422);
    assert!(as_json.json()["message"].is_array());
    let plain =
        Call::new("POST", &emulator.token()).form(&all).header("content-type", "text/plain").send();
    plain.refused(400, "Missing parameter: grant_type");
    let nameless = refresh(&emulator, "x").without("user-agent").send();
    assert_eq!(nameless.status, 403);
    assert!(nameless.text().contains("Error 1010"));
}

#[test]
fn the_limit_answers_429_and_forgets_after_a_minute() {
    let emulator = start();
    emulator.freeze();
    emulator.configure(|settings| settings.token_requests_per_minute = Some(5));
    for _ in 0..5 {
        assert_eq!(refresh(&emulator, "x").send().status, 400);
    }
    refresh(&emulator, "x").send().refused(429, "Too Many Requests");
    emulator.advance(60);
    assert_eq!(refresh(&emulator, "x").send().status, 400);
    let counted = emulator.statistics();
    assert_eq!((counted.token_requests, counted.token_requests_limited), (7, 1));
    assert_eq!(counted.token_requests_peak_per_minute, 6);
    assert_eq!(counted.token_answers, [(400, 6), (429, 1)].into());
    assert_eq!(counted.token_requests_by_grant_type, [("refresh_token".to_owned(), 7)].into());
    assert_eq!(counted.token_requests_by_account, [("unknown".to_owned(), 7)].into());
}

#[test]
fn camel_case_goes_in_and_out() {
    let emulator = start();
    emulator.configure(|settings| settings.casing = Casing::Camel);
    let token = seed(&emulator);
    let form = [
        ("clientId", DEFAULT_CLIENT_ID),
        ("clientSecret", DEFAULT_CLIENT_SECRET),
        ("grantType", "refresh_token"),
        ("refreshToken", token.as_str()),
    ];
    let answer = Call::new("POST", &emulator.token()).form(&form).send().ok().json();
    for name in ["accessToken", "refreshToken", "expiresIn", "tokenType", "userType", "locationId"]
    {
        assert!(answer.get(name).is_some(), "{name}");
    }
    assert!(answer.get("access_token").is_none());
}

#[test]
fn version_v3_is_answered_in_its_own_ways() {
    let emulator = start();
    let answer = refresh(&emulator, &seed(&emulator)).header("version", "v3").send().ok().json();
    assert!(answer.get("accessToken").is_some());
    let error = refresh(&emulator, "x").header("version", "v3").send().json();
    assert_eq!(error["error"]["message"], "Invalid grant: refresh token is invalid");
    for name in ["code", "details", "resolution"] {
        assert!(error["error"].get(name).is_some());
    }
}

#[test]
fn errors_take_the_style_that_is_set() {
    let emulator = start();
    emulator.configure(|settings| settings.error_style = ErrorStyle::Rfc6749);
    let answer = refresh(&emulator, "x").send();
    assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_grant")));
    emulator.configure(|settings| settings.error_style = ErrorStyle::V3);
    assert_eq!(refresh(&emulator, "x").send().json()["error"]["code"], "INVALID_GRANT");
}

#[test]
fn answers_can_be_made_odd() {
    let emulator = start();
    for odd in [json!("86399"), json!(0), json!(-5), json!(1e300), json!(null)] {
        emulator
            .configure(|settings| drop(settings.answer.insert("expires_in".into(), odd.clone())));
        assert_eq!(refresh(&emulator, &seed(&emulator)).send().ok().json()["expires_in"], odd);
    }
    emulator.configure(|settings| {
        settings.answer =
            json!({ "userType": "Company", "locationId": "another" }).as_object().unwrap().clone();
        settings.answer_omit = vec!["expires_in".into(), "refresh_token".into()];
    });
    let answer = refresh(&emulator, &seed(&emulator)).send().ok().json();
    assert_eq!(
        (&answer["userType"], &answer["locationId"]),
        (&json!("Company"), &json!("another"))
    );
    assert!(answer.get("expires_in").is_none() && answer.get("refresh_token").is_none());
}

#[test]
fn what_was_asked_for_is_not_what_comes_back() {
    let emulator = start();
    let code = emulator.authorize(COMPANY, &[]).unwrap();
    let answer = exchange(&emulator, &code, &[("user_type", "Location")]).send().ok().json();
    assert_eq!(answer["userType"], "Company");
}

#[test]
fn a_hundred_thousand_accounts_are_no_problem() {
    let emulator = start();
    emulator.configure(|settings| settings.token_size = 0);
    let ids = emulator.add_locations(DEFAULT_COMPANY_ID, 100_000).unwrap();
    let mut last = String::new();
    for id in ids.iter().step_by(10) {
        last = emulator
            .issue_grant(&format!("location:{id}"), &["contacts.readonly"])
            .unwrap()
            .refresh_token
            .unwrap();
    }
    refresh(&emulator, &last).send().ok();
    let code = emulator.authorize(COMPANY, &[]).unwrap();
    assert_eq!(
        exchange(&emulator, &code, &[]).send().ok().json()["approvedLocations"]
            .as_array()
            .unwrap()
            .len(),
        100
    );
}

#[test]
fn answers_are_dated_by_the_emulators_clock() {
    let emulator = start();
    emulator.freeze();
    emulator.set_now(1_700_000_000);
    let code = emulator.authorize(LOCATION, &[]).unwrap();
    let answer = exchange(&emulator, &code, &[]).send();
    assert_eq!(answer.headers["date"], "Tue, 14 Nov 2023 22:13:20 GMT");
}
