//! Calls the API with a Private Integration token from the environment.
//!
//! `HOOPAI_TOKEN=pit-... LOCATION_ID=... cargo run -p hoopauth --example private_integration`

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use hoopauth::Client;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::from_env()?;
    let location = std::env::var("LOCATION_ID")?;
    let base =
        std::env::var("HOOPAUTH_API_BASE").unwrap_or("https://services.leadconnectorhq.com".into());

    let answer = reqwest::blocking::Client::new()
        .get(format!("{base}/locations/{location}"))
        .headers(client.headers("GET")?.to_header_map())
        .send()?;
    println!("{}: {}", answer.status(), answer.text()?);
    Ok(())
}
