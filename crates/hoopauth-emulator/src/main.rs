//! The emulator as a program: one JSON line of addresses on stdout, then it answers until stdin
//! closes.
#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;
use std::thread;

use clap::{Parser, ValueEnum};
use hoopauth_emulator::{
    App, Casing, Config, DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, DEFAULT_COMPANY_ID, Emulator,
    ErrorStyle,
};
use serde_json::json;

/// A local HoopAI for development and tests.
///
/// Prints one JSON line with its addresses and ends when stdin closes.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Keep running when stdin closes
    #[arg(long)]
    stay: bool,
    /// Seconds in which a used refresh token still answers with the same new pair; 0 is strict
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    window: u64,
    /// Lifetime of access tokens
    #[arg(long, value_name = "SECONDS", default_value_t = 86_399)]
    lifetime: i64,
    /// Client id of the app
    #[arg(long, default_value = DEFAULT_CLIENT_ID)]
    client_id: String,
    /// Client secret of the app
    #[arg(long, default_value = DEFAULT_CLIENT_SECRET)]
    client_secret: String,
    /// Redirect URI the app registers (repeatable); without any, all are accepted
    #[arg(long, value_name = "URI")]
    redirect_uri: Vec<String>,
    /// Token requests a minute before the app is answered 429; the platform's limit is 5 [default:
    /// unlimited]
    #[arg(long, value_name = "N")]
    token_requests_per_minute: Option<u32>,
    /// API requests in 10 seconds before an account is answered 429; 0 is unlimited
    #[arg(long, value_name = "N", default_value_t = 100)]
    api_requests_per_10_seconds: u32,
    /// Further locations of the default company, with random ids
    #[arg(long, value_name = "N", default_value_t = 0)]
    locations: usize,
    /// Milliseconds the token endpoint waits before it answers
    #[arg(long, value_name = "MS", default_value_t = 0)]
    token_latency: u64,
    /// Length of tokens in characters, about
    #[arg(long, value_name = "CHARACTERS", default_value_t = 1_000)]
    token_size: usize,
    /// Spelling of the members of token answers
    #[arg(long, value_enum, default_value_t = CasingFlag::Snake)]
    casing: CasingFlag,
    /// Form of errors
    #[arg(long, value_enum, default_value_t = ErrorStyleFlag::Classic)]
    error_style: ErrorStyleFlag,
    /// Minted location tokens come without a refresh token
    #[arg(long)]
    no_location_refresh_token: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum CasingFlag {
    Snake,
    Camel,
}

#[derive(Clone, Copy, ValueEnum)]
enum ErrorStyleFlag {
    Classic,
    Rfc6749,
    V3,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _ = writeln!(io::stderr(), "hoopauth-emulator: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let stay = arguments.stay;
    let locations = arguments.locations;
    let emulator = Emulator::start(config(arguments))?;
    emulator.add_locations(DEFAULT_COMPANY_ID, locations)?;
    let addresses = json!({
        "api": emulator.api(),
        "authorize": emulator.authorize_url(),
        "token": emulator.token(),
        "location_token": emulator.location_token(),
        "control": emulator.control(),
    });
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{addresses}")?;
    stdout.flush()?;
    if stay {
        loop {
            thread::park();
        }
    }
    let mut ignored = [0; 4_096];
    while io::stdin().read(&mut ignored)? > 0 {}
    Ok(())
}

fn config(arguments: Arguments) -> Config {
    let mut app = App::new(&arguments.client_id, &arguments.client_secret);
    app.redirect_uris = arguments.redirect_uri;
    let mut config = Config::default()
        .port(arguments.port)
        .window(arguments.window)
        .lifetime(arguments.lifetime)
        .settings(|settings| {
            settings.token_requests_per_minute = arguments.token_requests_per_minute;
            settings.api_requests_per_10_seconds =
                Some(arguments.api_requests_per_10_seconds).filter(|limit| *limit > 0);
            settings.token_latency_ms = arguments.token_latency;
            settings.token_size = arguments.token_size;
            settings.casing = match arguments.casing {
                CasingFlag::Snake => Casing::Snake,
                CasingFlag::Camel => Casing::Camel,
            };
            settings.error_style = match arguments.error_style {
                ErrorStyleFlag::Classic => ErrorStyle::Classic,
                ErrorStyleFlag::Rfc6749 => ErrorStyle::Rfc6749,
                ErrorStyleFlag::V3 => ErrorStyle::V3,
            };
            settings.location_refresh_token = !arguments.no_location_refresh_token;
        });
    config.apps = vec![app];
    config
}
