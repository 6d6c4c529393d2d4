use super::*;
use crate::clock::{ManualClock, Timestamp};

/// Answers each request in the same way.
#[derive(Debug)]
struct Made {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Transport for Made {
    fn send(&self, _: &TransportRequest) -> Result<TransportResponse, TransportError> {
        let (headers, body) = (self.headers.clone().into(), self.body.clone().into());
        Ok(TransportResponse { status: self.status, headers, body })
    }
}

fn failure(asks: Asks, status: u16, headers: &[(&str, &str)], body: &str) -> TokenFailure {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let made = Made { status, headers: headers.collect(), body: body.to_owned() };
    let endpoint = TokenEndpoint {
        transport: &made,
        token_url: "https://h.example/token",
        location_token_url: "https://h.example/mint",
        client_id: "id",
        client_secret: &Secret::new("planted secret"),
        constants: &Constants::new("2021-07-28", "test"),
        clock: &ManualClock::new(NOON),
    };
    let (location, company) = (Account::location("l").unwrap(), Account::company("c").unwrap());
    let (token, longest) = (Secret::new("planted-token"), Duration::from_secs(1));
    let result = match asks {
        Asks::Code => endpoint.exchange(&token, None, None, None, longest),
        Asks::Refresh => endpoint.refresh(&location, &token, longest),
        Asks::Mint => endpoint.mint(&company, &location, "Bearer planted-token", longest, &|_| ()),
    };
    result.err().unwrap_or_else(|| panic!("{status} {body} is no failure"))
}

const NOON: Timestamp = Timestamp(1_700_049_600_000);
const ALL: [Asks; 3] = [Asks::Code, Asks::Refresh, Asks::Mint];

/// A code in each of the shapes that servers have for it, with words that say something else.
fn coded(code: &str, words: &str) -> Vec<String> {
    let upper = code.to_uppercase();
    let spaced = code.replace('_', " ");
    vec![
        serde_json::json!({ "error": code }).to_string(),
        serde_json::json!({ "error": code, "error_description": words }).to_string(),
        serde_json::json!({ "error": code, "message": words, "statusCode": 400 }).to_string(),
        serde_json::json!({ "error": spaced, "error_description": words }).to_string(),
        serde_json::json!({ "error": { "code": upper, "message": words, "details": [],
            "resolution": "y" } })
        .to_string(),
        serde_json::json!({ "error": { "code": code, "message": [words] },
            "traceId": "t" })
        .to_string(),
        serde_json::json!({ "code": upper, "message": words }).to_string(),
        // What strict parsers refuse.
        format!(
            "\u{feff}{{\"x\":1e999,\"error\":\"{code}\",\"error\":\"{code}\",\"y\":\"\\ud800\"}}"
        ),
        format!("{{\"x\":{}{},\"error\":\"{code}\"}}", "[".repeat(500), "]".repeat(500)),
    ]
}

#[test]
fn a_code_decides_whatever_the_words_say() {
    use ErrorCode::{ReauthorizationRequired as Reauthorize, TokenRequestRejected as Rejected};
    let words = [
        "The provided authorization grant (e.g., authorization code, resource owner credentials) \
         or refresh token is invalid, expired, revoked, does not match the redirection URI used in \
         the authorization request",
        "Location is not active",
        "Invalid grant: refresh token is invalid",
        "Authorization code not found",
        "invalid client",
        "Invalid parameter: user_type",
    ];
    for words in words {
        for status in [200, 400, 401, 403, 408, 418] {
            for (code, refresh) in [
                ("invalid_grant", (Reauthorize, FailureClass::InvalidGrant, "refresh token")),
                ("invalid_client", (Rejected, FailureClass::Untouched, "`client_secret`")),
                ("unauthorized_client", (Rejected, FailureClass::Untouched, "`client_id`")),
                ("unsupported_grant_type", (Rejected, FailureClass::Untouched, "`token_url`")),
                ("invalid_scope", (Rejected, FailureClass::Untouched, "`scopes`")),
                ("invalid_request", (Rejected, FailureClass::Untouched, "parameter")),
            ] {
                for body in coded(code, words) {
                    let failure = failure(Asks::Refresh, status, &[], &body);
                    let told = (failure.error.code(), failure.class);
                    assert_eq!(told, (refresh.0, refresh.1), "{status} {body}");
                    assert!(failure.error.message().contains(refresh.2), "{status} {body}");
                    assert_eq!(failure.error.status(), Some(status));
                    assert!(!failure.error.is_retryable());

                    for asks in [Asks::Code, Asks::Mint] {
                        let other = tests::failure(asks, status, &[], &body);
                        let told = (other.error.code(), other.class);
                        assert_eq!(
                            told,
                            (Rejected, FailureClass::Untouched),
                            "{asks:?} {status} {body}"
                        );
                    }
                }
            }
        }
    }
    let failure =
        failure(Asks::Code, 400, &[], r#"{"error":"invalid_grant","error_description":"x"}"#);
    assert!(failure.error.message().contains("authorization code"), "{}", failure.error);
}

#[test]
fn words_are_read_where_there_is_no_code() {
    use ErrorCode::{
        AccountInactive as Inactive, MalformedResponse as Malformed,
        ReauthorizationRequired as Reauthorize, TokenRequestRejected as Rejected,
    };
    let refused = FailureClass::InvalidGrant;
    let untouched = FailureClass::Untouched;
    for (asks, status, body, code, class) in [
        (Asks::Refresh, 400, "Invalid grant: refresh token is invalid", Reauthorize, refused),
        (Asks::Refresh, 401, "Refresh token not found", Reauthorize, refused),
        (Asks::Refresh, 400, "This refresh token has expired", Reauthorize, refused),
        (Asks::Code, 400, "Invalid grant: refresh token is invalid", Rejected, untouched),
        (Asks::Code, 401, "Authorization code not found", Rejected, untouched),
        (Asks::Refresh, 401, "Authorization code not found", Rejected, untouched),
        (Asks::Refresh, 400, "Location is not active", Inactive, untouched),
        (Asks::Code, 400, "Location is not active", Inactive, untouched),
        (Asks::Mint, 400, "Location is not active", Inactive, untouched),
        (Asks::Refresh, 400, "Invalid parameter: user_type", Rejected, untouched),
        (Asks::Refresh, 400, "Invalid parameter: refresh token", Rejected, untouched),
        (Asks::Code, 400, "Missing parameter: code", Rejected, untouched),
        (Asks::Refresh, 422, "grant_type must be a string", Rejected, untouched),
        (Asks::Refresh, 400, "nobody has recorded this one", Rejected, untouched),
        (Asks::Refresh, 403, "Forbidden", Malformed, untouched),
        (Asks::Refresh, 404, "Cannot POST /oauth/tokn", Malformed, untouched),
        (Asks::Mint, 404, "Cannot POST /oauth/locationTokn", Malformed, untouched),
        (Asks::Mint, 404, "Location not found", Rejected, untouched),
        (
            Asks::Mint,
            403,
            "The token does not have access to this location.",
            ErrorCode::WrongAccount,
            untouched,
        ),
    ] {
        for body in [
            serde_json::json!({ "statusCode": status, "message": body }),
            serde_json::json!({ "statusCode": status, "message": [body], "error": "Bad Request" }),
            serde_json::json!({ "error": "UnAuthorized!", "error_description": body }),
            serde_json::json!({ "error": body }),
            serde_json::json!({ "error": { "code": "REQUEST_REFUSED", "message": body } }),
        ] {
            let failure = failure(asks, status, &[], &body.to_string());
            assert_eq!((failure.error.code(), failure.class), (code, class), "{asks:?} {body}");
        }
    }
}

#[test]
fn what_stands_in_the_way_is_not_the_apps_configuration() {
    let page = "<!DOCTYPE html><html><head><title>403 Forbidden</title></head></html>";
    for asks in ALL {
        for status in [400, 401, 403, 404, 405, 413, 418, 421, 451, 302, 307] {
            for body in
                [page, "", "{}", "[]", "null", "Forbidden", "\"Forbidden\"", "{\"a\":1}", "{"]
            {
                let failure = failure(asks, status, &[], body);
                let told = (failure.error.code(), failure.class);
                let expected = (ErrorCode::MalformedResponse, FailureClass::Untouched);
                assert_eq!(told, expected, "{asks:?} {status} {body}");
                let message = failure.error.message();
                for part in [asks.url_option(), "firewall", "proxy"] {
                    assert!(message.contains(part), "{message}");
                }
                assert!(!message.contains("settings") && !failure.error.is_retryable());
            }
        }
        for body in [page, "", "{}", "{\"message\":\"Request Timeout\"}"] {
            for (status, class) in [(408, FailureClass::Unknown), (425, FailureClass::Untouched)] {
                let failure = failure(asks, status, &[], body);
                assert_eq!((failure.error.code(), failure.class), (ErrorCode::HttpStatus, class));
                assert!(failure.error.is_retryable(), "{status}");
            }
            let failure = failure(asks, 407, &[], body);
            assert_eq!(failure.class, FailureClass::Untouched);
            assert!(failure.error.message().contains("`proxy`"), "{}", failure.error);
        }
        for body in
            [page, "", "{}", "[]", "null", "{\"access_token\":\"a b\"}", "{\"access_token\":"]
        {
            let failure = failure(asks, 200, &[], body);
            let told = (failure.error.code(), failure.class);
            assert_eq!(told, (ErrorCode::MalformedResponse, FailureClass::Unknown), "{body}");
            assert!(failure.error.message().contains("`token_url`"), "{}", failure.error);
        }
        for status in [500, 502, 503, 504, 599] {
            let failure = failure(asks, status, &[], page);
            let told = (failure.error.code(), failure.class);
            assert_eq!(told, (ErrorCode::HttpStatus, FailureClass::Unknown));
            assert!(failure.error.is_retryable());
        }
        let failure = failure(asks, 429, &[], page);
        let told = (failure.error.code(), failure.class);
        assert_eq!(told, (ErrorCode::RateLimited, FailureClass::Untouched));
        assert!(failure.error.is_retryable());
    }
}

#[test]
fn an_answer_that_breaks_off_is_asked_for_again_while_the_refresh_token_may_be_in_the_rest() {
    let cut = r#"{"access_token":"a","refresh_to"#;
    let failure = failure(Asks::Refresh, 200, &[], cut);
    let told = (failure.error.code(), failure.class);
    assert_eq!(told, (ErrorCode::MalformedResponse, FailureClass::Unknown));
}

#[test]
fn what_the_server_says_of_waiting_is_read_in_both_forms() {
    let wait = |status: u16, headers: &[(&str, &str)], body: &str| {
        failure(Asks::Refresh, status, headers, body).error.retry_after().map(|wait| wait.as_secs())
    };
    let at_noon = "Wed, 15 Nov 2023 12:00:00 GMT";
    let later = "Wed, 15 Nov 2023 12:02:00 GMT";
    for status in [429, 503, 500, 408, 425] {
        for (headers, seconds) in [
            (&[("Retry-After", "120")][..], Some(120)),
            (&[("retry-after", " 120 ")], Some(120)),
            (&[("Retry-After", later)], Some(120)),
            (&[("Retry-After", "Wednesday, 15-Nov-23 12:02:00 GMT")], Some(120)),
            (&[("Retry-After", "Wed Nov 15 12:02:00 2023")], Some(120)),
            // The server's clock is a minute behind.
            (&[("Retry-After", later), ("Date", "Wed, 15 Nov 2023 11:59:00 GMT")], Some(180)),
            (&[("Date", at_noon), ("Retry-After", later)], Some(120)),
            (&[("Date", "soon"), ("Retry-After", later)], Some(120)),
            (&[("Retry-After", at_noon)], Some(0)),
            (&[("Retry-After", "Wed, 15 Nov 2023 11:00:00 GMT")], Some(0)),
            (&[("Retry-After", "99999999999999999999999")], Some(86_400)),
            (&[("Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT")], Some(86_400)),
            (&[("Retry-After", "-1")], None),
            (&[("Retry-After", "+1")], None),
            (&[("Retry-After", "1.5")], None),
            (&[("Retry-After", "1e3")], None),
            (&[("Retry-After", "")], None),
            (&[("Retry-After", "soon")], None),
            (&[("Retry-After", "2023-11-15T12:02:00Z")], None),
            (&[], None),
        ] {
            assert_eq!(wait(status, headers, "{}"), seconds, "{status} {headers:?}");
            let error = failure(Asks::Refresh, status, headers, "{}").error;
            assert!(error.is_retryable(), "{status} {headers:?}");
        }
    }
    // A refusal of the request itself does not pass by waiting; what stands in the way may.
    assert_eq!(wait(400, &[("Retry-After", "120")], r#"{"error":"invalid_grant"}"#), None);
    assert_eq!(wait(403, &[("Retry-After", "120")], "<html>"), Some(120));
}

#[test]
fn server_words_and_trace_id_are_kept_and_secrets_are_not() {
    let failure = failure(
        Asks::Refresh,
        422,
        &[],
        r#"{"message":["a planted secret be","b planted-token be"],"traceId":"t-1"}"#,
    );
    assert_eq!(failure.error.server_message(), Some("a [redacted] be; b [redacted] be"));
    assert_eq!(failure.error.trace_id(), Some("t-1"));
}
