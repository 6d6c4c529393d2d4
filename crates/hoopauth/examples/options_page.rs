//! Prints the documentation page of all options; `make docs` writes it to `docs/options.md`.

#[allow(clippy::print_stdout, reason = "this is what it is for")]
fn main() {
    print!("{}", hoopauth::options_page());
}
