//! Prints `include/hoopauth.h`: the contract, then each noun, made by cbindgen of its own source
//! file.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a tool that has nothing to do but stop where it fails"
)]

use std::path::Path;

use cbindgen::{Builder, Config, DocumentationStyle, Language, Style};
use hoopauth_core::operations::scopes;

fn main() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let version = env!("CARGO_PKG_VERSION");
    println!("{}", include_str!("contract.h").replace("@VERSION@", version).trim_end());
    for (file, title) in SECTIONS {
        let mut config = Config {
            language: Language::C,
            style: Style::Type,
            no_includes: true,
            usize_is_size_t: true,
            documentation_style: DocumentationStyle::Doxy,
            line_length: 110,
            ..Config::default()
        };
        config.function.args = cbindgen::Layout::Auto;
        let mut section = Vec::new();
        Builder::new()
            .with_config(config)
            .with_src(source.join(file).with_extension("rs"))
            .generate()
            .unwrap()
            .write(&mut section);
        let section = String::from_utf8(section).unwrap();
        println!("\n/* ---- {title} {}*/\n", "-".repeat(64 - title.len()));
        // In a header, NULL is C's and backticks are noise.
        println!("{}", section.replace('`', "").trim());
        if *file == "operations" {
            for (name, scope, meaning) in SCOPES {
                println!(
                    "\n/**\n * A scope: {meaning} Since 0.1.\n */\n#define HOOPAUTH_SCOPE_{name} \
                     \"{scope}\""
                );
            }
        }
    }
    println!("{END}");
}

/// In this order each type is declared before it is used.
const SECTIONS: &[(&str, &str)] = &[
    ("version", "Versions"),
    ("status", "Status codes"),
    ("error", "Errors"),
    ("text", "Text"),
    ("context", "Deadlines and cancellation"),
    ("failure", "Failures of callbacks"),
    ("log", "Log"),
    ("headers", "Headers"),
    ("response", "Answers to API requests"),
    ("grant", "Grants"),
    ("config", "Configuration"),
    ("clock", "A clock of the host's own"),
    ("change", "News of grants"),
    ("transport", "HTTP of the host's own"),
    ("store", "A store of the host's own"),
    ("account", "Accounts"),
    ("client", "Client"),
    ("request", "API requests"),
    ("limits", "Rate limits"),
    ("installed", "Installed locations"),
    ("operations", "Operations and scopes"),
    ("authorization", "Authorization"),
    ("health", "Health"),
    ("maintenance", "Maintenance"),
    ("webhook_config", "What a verifier of webhooks is made of"),
    ("webhook_delivery", "Verified webhooks"),
    ("webhook_verifier", "Verifying webhooks"),
];

/// The core's constants, which cbindgen can't see.
const SCOPES: &[(&str, &str, &str)] = &[
    ("CONTACTS_READONLY", scopes::CONTACTS_READONLY, "reads contacts."),
    ("CONTACTS_WRITE", scopes::CONTACTS_WRITE, "creates, changes and deletes contacts."),
    ("CONVERSATIONS_READONLY", scopes::CONVERSATIONS_READONLY, "reads conversations."),
    (
        "CONVERSATIONS_WRITE",
        scopes::CONVERSATIONS_WRITE,
        "creates, changes and deletes conversations.",
    ),
    ("CALENDARS_READONLY", scopes::CALENDARS_READONLY, "reads calendars."),
    ("CALENDARS_WRITE", scopes::CALENDARS_WRITE, "creates, changes and deletes calendars."),
    ("OPPORTUNITIES_READONLY", scopes::OPPORTUNITIES_READONLY, "reads opportunities."),
    (
        "OPPORTUNITIES_WRITE",
        scopes::OPPORTUNITIES_WRITE,
        "creates, changes and deletes opportunities.",
    ),
];

const END: &str = "
#ifdef __cplusplus
} /* extern \"C\" */
#endif

#endif /* HOOPAUTH_H */";
