//! The uses of a company's token: minting location tokens, listing installed locations.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod common;

use common::*;
use hoopauth_emulator::{
    Company, Config, DEFAULT_CLIENT_ID, DEFAULT_COMPANY_ID, DEFAULT_COMPANY_PRIVATE_INTEGRATION,
    DEFAULT_LOCATION_IDS, Emulator,
};
use serde_json::json;

const APP_ID: &str = "65f0a1b2c3d4e5f607182930";

fn start() -> (Emulator, String) {
    let stranger = Company::new("stranger", "Stranger").location("strangerLocation", "Stranger's");
    let emulator = Emulator::start(Config::default().company(stranger)).unwrap();
    let token = emulator.issue_grant(COMPANY, &[]).unwrap().access_token;
    (emulator, token)
}

fn mint(emulator: &Emulator, token: &str, company: &str, location: &str) -> Call {
    let form = [("companyId", company), ("locationId", location)];
    Call::new("POST", &emulator.location_token()).bearer(token).form(&form)
}

#[test]
fn a_company_token_mints_location_tokens() {
    let (emulator, company) = start();
    let answer = mint(&emulator, &company, DEFAULT_COMPANY_ID, DEFAULT_LOCATION_IDS[1]).send();
    assert_eq!(answer.status, 201);
    let answer = answer.json();
    assert_eq!(answer["userType"], "Location");
    assert_eq!(answer["locationId"], DEFAULT_LOCATION_IDS[1]);
    assert_eq!(answer["companyId"], DEFAULT_COMPANY_ID);
    get(&emulator, "/contacts/", text(&answer, "access_token")).send().ok();
    refresh(&emulator, text(&answer, "refresh_token")).send().ok();
    let counted = emulator.statistics();
    assert_eq!((counted.location_token_requests, counted.location_tokens_minted), (1, 1));
    assert_eq!(counted.location_tokens_minted_by_account, [(OTHER_LOCATION.to_owned(), 1)].into());

    emulator.configure(|settings| settings.location_refresh_token = false);
    let bare =
        mint(&emulator, &company, DEFAULT_COMPANY_ID, DEFAULT_LOCATION_IDS[1]).send().ok().json();
    assert!(bare.get("refresh_token").is_none());
}

#[test]
fn minting_is_refused_with_the_platform_s_words() {
    let (emulator, company) = start();
    let own = DEFAULT_LOCATION_IDS[0];
    let mint_own = |token: &str| mint(&emulator, token, DEFAULT_COMPANY_ID, own);
    mint_own(&company).without("version").send().refused(401, "version header was not found.");
    let location = emulator.issue_grant(LOCATION, &[]).unwrap().access_token;
    mint_own(&location).send().refused(401, "Token's user type mismatch!");
    mint_own(DEFAULT_COMPANY_PRIVATE_INTEGRATION)
        .send()
        .refused(401, "This token's user type is not yet supported!");
    let narrow = emulator.issue_grant(COMPANY, &["contacts.readonly"]).unwrap().access_token;
    mint_own(&narrow).send().refused(401, "The token is not authorized for this scope.");
    let foreign = "This location is not accessible from this token!";
    mint(&emulator, &company, DEFAULT_COMPANY_ID, "strangerLocation").send().refused(403, foreign);
    assert_eq!(mint(&emulator, &company, "stranger", own).send().status, 403);
    assert_eq!(mint(&emulator, &company, DEFAULT_COMPANY_ID, "").send().status, 422);
    emulator.pause(own).unwrap();
    mint_own(&company).send().refused(400, "Location is not active");
    emulator.unpause(own).unwrap();
    emulator.uninstall(LOCATION).unwrap();
    mint_own(&company).send().refused(403, foreign);
    emulator.issue_grant(LOCATION, &[]).unwrap();
    mint_own(&company).send().ok();
}

#[test]
fn installed_locations_come_in_pages() {
    let (emulator, company) = start();
    emulator.add_locations(DEFAULT_COMPANY_ID, 30).unwrap();
    emulator.uninstall(OTHER_LOCATION).unwrap();
    let page = |more: &str| {
        let path = format!(
            "/oauth/installedLocations?companyId={DEFAULT_COMPANY_ID}&appId={APP_ID}{more}"
        );
        get(&emulator, &path, &company).send().ok().json()
    };
    let first = page("");
    assert_eq!(first["locations"].as_array().unwrap().len(), 20);
    assert_eq!(first["count"], 33);
    let shown =
        json!({ "_id": DEFAULT_LOCATION_IDS[1], "name": "Hoop Location 2", "isInstalled": false });
    assert_eq!(first["locations"][1], shown);
    assert_eq!(page("&skip=20")["locations"].as_array().unwrap().len(), 13);
    assert_eq!(page("&skip=2&limit=1")["locations"][0]["_id"], DEFAULT_LOCATION_IDS[2]);
    assert_eq!(page("&isInstalled=false")["locations"].as_array().unwrap().len(), 1);
    assert_eq!(emulator.statistics().installed_locations_requests, 4);
}

#[test]
fn installed_locations_need_both_ids_and_the_scope() {
    assert!(DEFAULT_CLIENT_ID.starts_with(APP_ID));
    let (emulator, company) = start();
    for query in ["", "companyId=x", "appId=x", "companyId=hoopCompany000000001&appId=x&skip=many"]
    {
        let answer = get(&emulator, &format!("/oauth/installedLocations?{query}"), &company).send();
        assert_eq!(answer.status, 422, "{query}");
        assert!(answer.json()["message"].is_array());
    }
    let narrow = emulator.issue_grant(COMPANY, &["oauth.write"]).unwrap().access_token;
    let path = format!("/oauth/installedLocations?companyId={DEFAULT_COMPANY_ID}&appId={APP_ID}");
    get(&emulator, &path, &narrow)
        .send()
        .refused(401, "The token is not authorized for this scope.");
}
