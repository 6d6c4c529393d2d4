//! Logs in through the authorization page, calls the API, and goes on after the token has expired.
//!
//! Set `HOOPAUTH_CLIENT_ID`, `HOOPAUTH_CLIENT_SECRET`, `HOOPAUTH_REDIRECT_URI` and
//! `HOOPAUTH_SCOPES`, then run `cargo run -p hoopauth --example oauth`: open the URL it prints, and
//! paste the URL that the browser ends at.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use hoopauth::{Client, Report};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::from_env()?;
    let base =
        std::env::var("HOOPAUTH_API_BASE").unwrap_or("https://services.leadconnectorhq.com".into());

    let pending = client.begin(client.authorization_request()?)?;
    println!("open this page: {}", pending.url());
    println!("then paste the URL that the browser was sent to:");
    let mut redirect = String::new();
    std::io::stdin().read_line(&mut redirect)?;
    let account = client.complete(&pending, &redirect)?;
    println!("authorized {account}");

    let http = reqwest::blocking::Client::new();
    let mut headers = client.headers_for(account.as_str(), "GET")?;
    loop {
        let answer = http
            .get(format!("{base}/locations/{}", account.id()))
            .headers(headers.to_header_map())
            .send()?;
        let status = answer.status().as_u16();
        let body = answer.bytes()?;
        // A token that was refused although it should live is replaced, once.
        if let Report::Repeat(again) = client.report(&headers, status, &[], &body)? {
            headers = again;
            continue;
        }
        println!("{status}: {}", String::from_utf8_lossy(&body));
        return Ok(());
    }
}
