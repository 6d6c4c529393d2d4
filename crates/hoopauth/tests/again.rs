//! Calls that adapters and forked children make on a client.
#![allow(missing_docs, clippy::unwrap_used)]

use hoopauth::binding::BuilderBinding as _;
use hoopauth::{Client, ErrorCode};

#[test]
fn the_bearer_goes_to_the_configured_origins_only() {
    let client = Client::builder()
        .access_token("a")
        .api_base("https://api.example/v")
        .token_url("https://token.example:8443/oauth/token")
        .build()
        .unwrap();
    for good in [
        "https://api.example/contacts/",
        "https://API.example:443/",
        "https://token.example:8443/oauth/locationToken",
        "https://services.leadconnectorhq.com/oauth/locationToken",
    ] {
        client.check_url(good).unwrap();
    }
    for bad in [
        "http://api.example/contacts/",
        "https://api.example:444/",
        "https://api.example.evil.example/",
        "https://api.example@evil.example/",
        "https://@api.example/",
        "https://api.example\\@evil.example/",
        "https://%61pi.example/",
        "https:///api.example/",
        "https://api.example/?x=file:///y",
        "https://token.example/",
        "file:///etc/passwd",
        "/contacts/",
        "",
    ] {
        assert_eq!(client.check_url(bad).unwrap_err().code(), ErrorCode::InvalidArgument, "{bad}");
    }
}

#[test]
fn a_client_is_made_again_of_the_same_options() {
    let client = Client::builder()
        .access_token("planted")
        .api_version("v3")
        .language("there")
        .build()
        .unwrap();
    let again = client.again().unwrap().build().unwrap();
    let (before, after) = (client.headers("GET").unwrap(), again.headers("GET").unwrap());
    assert_eq!(before.iter().collect::<Vec<_>>(), after.iter().collect::<Vec<_>>());
    assert!(after.user_agent().ends_with("(there)"));
    assert!(!format!("{:?}", client.again().unwrap()).contains("planted"));
}

#[test]
fn grants_in_memory_are_not_made_again() {
    let oauth = || Client::builder().client_id("a-b").client_secret("c");
    assert_eq!(
        oauth().store("memory:").build().unwrap().again().unwrap_err().code(),
        ErrorCode::InvalidState
    );
    let own = oauth().token_store(std::sync::Arc::new(hoopauth::store::MemoryStore::new()));
    let _ = own.build().unwrap().again().unwrap();
    let file = oauth().store("sqlite:/nowhere/grants.db").store_key("0123456789abcdef");
    let _ = file.build().unwrap().again().unwrap();
}
