//! The documentation of the error codes.

use std::fmt::Write as _;

use crate::Result;
use crate::blocks::replace;
use crate::sources::Sources;

/// Writes `docs/errors.md`.
pub(crate) fn errors(sources: &Sources) -> String {
    let mut page = String::from(HEAD);
    for code in &sources.codes {
        let next = code.next_step();
        let retry = if code.retryable { "yes" } else { "no" };
        let (number, name, meaning) = (code.number, &code.name, code.meaning());
        let (class, cpp) = (&code.variant, name.to_lowercase());
        let _ = writeln!(
            page,
            "| {number} | `{name}` | `{class}` | `{cpp}` | {meaning} | {next} | {retry} |"
        );
    }
    page
}

/// Writes the table of exceptions in the manual of the Python package.
pub(crate) fn python_manual(sources: &Sources) -> Result<String> {
    let mut table = String::from("| code | class | what to do |\n|---|---|---|\n");
    for code in &sources.codes {
        let (number, class, next) = (code.number, &code.variant, code.next_step());
        let _ = writeln!(table, "| {number} | `{class}` | {next} |");
    }
    replace("python/README.md", &[("errors -->", table)])
}

const HEAD: &str = "\
<!-- Written by `make generate`. -->
# Error codes

Every language knows a failure by the same number. C has the constant `HOOPAUTH_<NAME>`, Rust the
variant of `ErrorCode`, Python an exception of that variant's name, C++ a value of `hoopauth::code`
and an exception in `hoopauth::errors`. A later release may add codes: treat an unknown number as a
failure. The message of an error says more about the case at hand.

The last column is the value of `retryable` for an error of the code by itself. An error that knows
when to try again (`retry_after`) is retryable, whatever its code.

| number | name | Rust and Python | C++ | meaning | next step | retryable |
|---|---|---|---|---|---|---|
";
