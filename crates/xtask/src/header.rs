//! Makes `include/hoopauth.h`: the contract, then each noun, made by cbindgen of its own source
//! file.

use std::fmt::Write as _;

use cbindgen::{Builder, Config, DocumentationStyle, Language, Style};

use crate::sources::Sources;
use crate::{Result, root};

/// Makes `include/hoopauth.h`.
pub(crate) fn text(sources: &Sources) -> Result<String> {
    let source = root().join("crates/hoopauth-capi/src");
    let mut header = include_str!("contract.h")
        .replace("@VERSION@", env!("CARGO_PKG_VERSION"))
        .trim_end()
        .to_owned();
    header.push('\n');
    for (files, title) in SECTIONS {
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
        let builder = files.split(' ').fold(Builder::new().with_config(config), |builder, file| {
            builder.with_src(source.join(file).with_extension("rs"))
        });
        builder.generate().map_err(|error| format!("{files}: {error}"))?.write(&mut section);
        let section = String::from_utf8_lossy(&section).replace('`', "");
        // In a header, NULL is C's and backticks are noise.
        let rule = "-".repeat(64 - title.len());
        let _ = writeln!(header, "\n/* ---- {title} {rule}*/\n\n{}", section.trim());
        if *files == "operations" {
            for scope in &sources.scopes {
                let text = format!("A scope. {} Since 0.1.", scope.text.replace('`', ""));
                let text = crate::blocks::wrapped(&text, " * ");
                let (name, value) = (&scope.name, &scope.value);
                let _ =
                    writeln!(header, "\n/**\n{text} */\n#define HOOPAUTH_SCOPE_{name} \"{value}\"");
            }
        }
    }
    header.push_str(END);
    header.push('\n');
    Ok(header)
}

/// The files of each section, in an order in which each type is declared before it is used.
const SECTIONS: &[(&str, &str)] = &[
    ("version", "Versions"),
    ("status", "Status codes"),
    ("error", "Errors"),
    ("text", "Text"),
    ("context", "Deadlines and cancellation"),
    ("failure", "Failures of callbacks"),
    ("log", "Log"),
    ("ready headers", "Headers"),
    ("answer response", "Answers to API requests"),
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

const END: &str = "
#ifdef __cplusplus
} /* extern \"C\" */
#endif

#endif /* HOOPAUTH_H */";
