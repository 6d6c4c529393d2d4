//! `make demo`: a local HoopAI, a login, API calls, an expiry, and on it goes. Exits with 1 if
//! anything is off.

#![allow(clippy::print_stdout, reason = "a demonstration narrates")]

use std::error::Error;

use hoopauth::{Account, Client, ErrorCode, Report};
use hoopauth_emulator::{
    Config, DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, DEFAULT_LOCATION_IDS,
    DEFAULT_LOCATION_PRIVATE_INTEGRATION, Emulator,
};

fn main() -> Result<(), Box<dyn Error>> {
    let emulator = Emulator::start(Config::default())?;
    println!("1. a local HoopAI listens at {}", emulator.api());
    let http = reqwest::blocking::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()?;
    let location = DEFAULT_LOCATION_IDS[0];
    let call = |headers: &hoopauth::Headers| -> Result<(u16, Vec<u8>), Box<dyn Error>> {
        let url = format!("{}/locations/{location}", emulator.api());
        let answer = http.get(url).headers(headers.to_header_map()).send()?;
        Ok((answer.status().as_u16(), answer.bytes()?.to_vec()))
    };

    let simple = Client::builder()
        .private_integration_token(DEFAULT_LOCATION_PRIVATE_INTEGRATION)
        .build()?;
    let (status, _) = call(&simple.headers("GET")?)?;
    expect("a Private Integration token calls the API", status == 200)?;
    println!("2. a Private Integration token calls the API: {status}");

    let client = Client::builder()
        .client_id(DEFAULT_CLIENT_ID)
        .client_secret(DEFAULT_CLIENT_SECRET)
        .redirect_uri("https://app.example/callback")
        .scopes(["contacts.readonly", "locations.readonly"])
        .store("memory:")
        .authorize_url(emulator.authorize_url())
        .token_url(emulator.token())
        .location_token_url(emulator.location_token())
        .build()?;
    let account = Account::location(location)?;
    let pending = client.begin(client.authorization_request()?)?;
    let page = http.get(pending.url()).send()?.text()?;
    expect("the authorization page asks the user", page.contains("Approve"))?;
    println!("3. the authorization page asks the user to approve ({} bytes of HTML)", page.len());

    let redirect = http.get(format!("{}&approve={account}", pending.url())).send()?;
    let redirect = redirect.headers().get("location").ok_or("no redirect")?.to_str()?.to_owned();
    expect("the account is the chosen one", client.complete(&pending, &redirect)? == account)?;
    println!("4. the code is exchanged; {account} is authorized");
    let again = client.complete(&pending, &redirect).err().map(|error| error.code());
    expect("a used redirect is refused", again == Some(ErrorCode::StateMismatch))?;
    println!("5. the same redirect a second time is refused: {}", ErrorCode::StateMismatch);

    let headers = client.headers_for(account.as_str(), "GET")?;
    let (status, _) = call(&headers)?;
    expect("the API accepts the token", status == 200)?;
    println!("6. the API answers {status}");

    emulator.expire_access(account.as_str())?;
    let (status, body) = call(&headers)?;
    expect("the expired token is refused", status == 401)?;
    println!("7. the token expires: the API answers {status}");
    let Report::Repeat(headers) = client.report(&headers, status, &[], &body)? else {
        return Err("the report did not lead to a refresh".into());
    };
    let (status, _) = call(&headers)?;
    let statistics = emulator.statistics();
    expect("the refreshed token works", status == 200 && statistics.rotations == 1)?;
    println!("8. hoopauth refreshes it, once, and the API answers {status}");

    emulator.uninstall(account.as_str())?;
    let (status, body) = call(&headers)?;
    let code = client.report(&headers, status, &[], &body).err().map(|error| error.code());
    expect(
        "an uninstalled app asks for authorization",
        code == Some(ErrorCode::ReauthorizationRequired),
    )?;
    println!("9. the user uninstalls the app: {}", ErrorCode::ReauthorizationRequired);
    println!("all of it as it should be");
    Ok(())
}

fn expect(what: &str, held: bool) -> Result<(), Box<dyn Error>> {
    if held { Ok(()) } else { Err(format!("this did not hold: {what}").into()) }
}
