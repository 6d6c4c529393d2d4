//! NULL for every pointer of every function that the header declares, one by one and all at once.

use std::fmt::Write as _;
use std::fs;

use crate::harness::{Bench, Mode, text};
use crate::header::{Function, functions};

/// Parameters that may be NULL: an option, or a way to ask for the default.
const OPTIONAL: [(&str, &str); 14] = [
    ("", "err"),
    ("", "len"),
    ("", "context"),
    ("", "outcome"),
    ("", "removed"),
    ("", "applied"),
    ("", "user_data"),
    ("", "summary"),
    ("hoopauth_client_begin", "request"),
    ("hoopauth_log_set", "callbacks"),
    ("", "company"),
    ("hoopauth_client_mint", "location"),
    ("hoopauth_client_complete_unsolicited", "expected"),
    ("hoopauth_webhook_verifier_new", "client"),
];

#[test]
fn a_null_is_refused_and_never_a_crash() {
    let bench = Bench::new();
    let source = bench.folder.path().join("nulls.c");
    fs::write(&source, program()).unwrap();
    for mode in [Mode::Plain, Mode::Sanitized, Mode::Valgrind] {
        let program = bench.compile(&source, mode, "-lhoopauth");
        let output = bench.run(&program, mode, &[]);
        assert!(output.status.success(), "{mode:?}: {}", text(&output));
    }
    assert_eq!(bench.emulator.statistics().token_requests_by_grant_type.get("refresh_token"), None);
}

/// Bytes that are not UTF-8 for every text of every function, one by one: refused, and nothing of
/// them is shown.
#[test]
fn text_that_is_not_utf8_is_refused_and_never_shown() {
    let bench = Bench::new();
    let source = bench.folder.path().join("texts.c");
    let (mut functions_of_it, mut calls, mut texts) = (String::new(), String::new(), 0);
    for function in functions() {
        let text = |i: &usize| {
            function.parameters[*i].0 == "const char *" && !takes_any_bytes(&function, *i)
        };
        let broken: Vec<usize> = (0..function.parameters.len()).filter(text).collect();
        if function.returns != "hoopauth_status_t" || broken.is_empty() {
            continue;
        }
        texts += broken.len();
        writeln!(functions_of_it, "static void {}_(void)\n{{", function.name).unwrap();
        for index in broken {
            let given = (0..function.parameters.len()).map(|i| match i {
                i if i == index => "\"planted\\xff\"".to_owned(),
                i => argument(&function, i, &[]),
            });
            let call = format!("{}({})", function.name, given.collect::<Vec<_>>().join(", "));
            let [declared, freed] = [outs(&function, 0), outs(&function, 1)];
            writeln!(functions_of_it, "  {{{declared}\n    UNREADABLE({call});{freed}\n  }}")
                .unwrap();
        }
        writeln!(functions_of_it, "}}\n").unwrap();
        writeln!(calls, "  {}_();", function.name).unwrap();
    }
    assert!(texts > 30, "{texts} texts were found");
    fs::write(
        &source,
        format!(
            "#include \"nulls.h\"\n\n{functions_of_it}int main(void)\n{{\n{calls}  return 0;\n}}\n"
        ),
    )
    .unwrap();
    let program = bench.compile(&source, Mode::Sanitized, "-lhoopauth");
    let output = bench.run(&program, Mode::Sanitized, &[]);
    assert!(output.status.success(), "{}", text(&output));
}

/// Values of headers are bytes, as HTTP has them. The method of a request that the program sends
/// itself decides about `Content-Type` alone: on the way to cached headers it is compared, not
/// read.
fn takes_any_bytes(function: &Function, index: usize) -> bool {
    match function.parameters[index].1.as_str() {
        "value" => function.name == "hoopauth_transport_response_add_header",
        "method" => [
            "hoopauth_client_headers",
            "hoopauth_client_headers_by_name",
            "hoopauth_account_headers",
        ]
        .contains(&function.name.as_str()),
        _ => false,
    }
}

fn program() -> String {
    let (mut functions_of_it, mut calls) = (String::new(), String::new());
    for function in functions() {
        let body = function_with_nulls(&function);
        writeln!(functions_of_it, "static void {}_(void)\n{{\n{body}}}\n", function.name).unwrap();
        writeln!(calls, "  {}_();", function.name).unwrap();
    }
    format!("#include \"nulls.h\"\n\n{functions_of_it}int main(void)\n{{\n{calls}  return 0;\n}}\n")
}

fn function_with_nulls(function: &Function) -> String {
    let Function { name, returns, parameters, .. } = function;
    let pointers: Vec<usize> =
        (0..parameters.len()).filter(|i| parameters[*i].0.contains('*')).collect();
    let call = |nulls: &[usize]| {
        let given: Vec<String> =
            (0..parameters.len()).map(|i| argument(function, i, nulls)).collect();
        format!("{name}({})", given.join(", "))
    };
    let mut body = String::new();
    if returns == "hoopauth_status_t" && parameters.last().is_some_and(|(_, name)| name == "err") {
        let mut each: Vec<Vec<usize>> = pointers.iter().map(|pointer| vec![*pointer]).collect();
        each.push(pointers.clone());
        for nulls in each {
            let refused = nulls.iter().any(|i| !optional(function, *i));
            let within_callback = parameters.iter().any(|(kind, _)| only_in_callbacks(kind));
            let check = if refused || within_callback { "REFUSED" } else { "SURVIVED" };
            writeln!(
                body,
                "  {{{}\n    {check}({});{}\n  }}",
                outs(function, 0),
                call(&nulls),
                outs(function, 1)
            )
            .unwrap();
        }
        return body;
    }
    // Accessors, and what frees or counts: a NULL handle is nothing, and has no text.
    let expected = match (name.as_str(), returns.as_str()) {
        (_, "void") => "",
        ("hoopauth_error_retry_after", _) => " < 0",
        ("hoopauth_health_idle_days_left", _) => " == -1",
        (_, "const char *") if parameters.iter().all(|(kind, _)| !kind.contains('*')) => " != NULL",
        ("hoopauth_abi_version", _) => " > 0",
        _ => " == 0",
    };
    let handle = [0];
    let nulls: &[usize] = if pointers.contains(&0) { &handle } else { &[] };
    if expected.is_empty() {
        return format!("  {};\n", call(nulls));
    }
    writeln!(body, "  size_t length = 7;\n  (void)length;\n  CHECK({}{expected});", call(nulls))
        .unwrap();
    if parameters.last().is_some_and(|(kind, name)| kind == "size_t *" && name == "len") {
        writeln!(body, "  CHECK(length == 0);\n  CHECK({}{expected});", call(&pointers)).unwrap();
        writeln!(body, "  set_up();\n  (void){};\n  tear_down();", call(&[parameters.len() - 1]))
            .unwrap();
    }
    body
}

fn optional(function: &Function, index: usize) -> bool {
    let (kind, name) = &function.parameters[index];
    let account = kind == "const hoopauth_account_t *"
        && name == "account"
        && function.name.starts_with("hoopauth_client_");
    account
        || OPTIONAL.iter().any(|(of, what)| (of.is_empty() || *of == function.name) && what == name)
}

fn only_in_callbacks(kind: &str) -> bool {
    ["failure_t", "transport_request_t", "transport_response_t", "row_t", "row_list_t"]
        .iter()
        .any(|handle| kind.contains(&format!("hoopauth_{handle}")))
}

/// The out-parameter's declaration, or what frees it.
fn outs(function: &Function, part: usize) -> String {
    let out = function.parameters.iter().find(|(kind, name)| kind.ends_with("**") && name != "err");
    let Some((kind, _)) = out else { return String::new() };
    let handle = kind.trim_end_matches(" **");
    match part {
        0 => format!("\n    {handle} *out = NULL;"),
        _ => format!("\n    {}_free(out);", handle.trim_end_matches("_t")),
    }
}

fn argument(function: &Function, index: usize, nulls: &[usize]) -> String {
    let (kind, name) = &function.parameters[index];
    if nulls.contains(&index) {
        return "NULL".to_owned();
    }
    let handle = kind.trim_start_matches("const ").trim_end_matches(" *");
    let noun = handle.trim_start_matches("hoopauth_").trim_end_matches("_t");
    match kind.as_str() {
        "hoopauth_error_t **" => "&err".to_owned(),
        kind if kind.ends_with("**") => "&out".to_owned(),
        "const char *" => match name.as_str() {
            "account" => "LOCATION",
            "method" => "\"GET\"",
            "name" => "\"timeout\"",
            "value" | "version" => "\"3\"",
            "authorization" => "\"Bearer x\"",
            "scheme" => "\"hmac-sha256\"",
            "key" => "\"a secret of some length\"",
            "path" => "\"/contacts/\"",
            _ => "\"c\"",
        }
        .to_owned(),
        "const uint8_t *" => "(const uint8_t *)\"x\"".to_owned(),
        "const char *const *" => "operations".to_owned(),
        "void *" | "hoopauth_mint_callback_t" => "NULL".to_owned(),
        "hoopauth_rate_limit_t *" | "hoopauth_mint_summary_t *" => format!("&{noun}"),
        "int64_t *" => "&(int64_t){0}".to_owned(),
        "size_t *" => "&length".to_owned(),
        "bool *" => "&(bool){false}".to_owned(),
        "int32_t *" => "&(int32_t){0}".to_owned(),
        "const hoopauth_header_t *" | "hoopauth_header_t *" => "&header".to_owned(),
        kind if kind.ends_with("callbacks_t *") => format!("&{noun}"),
        kind if kind.ends_with('*') => noun.to_owned(),
        "size_t" if name.ends_with("_len") => {
            let of = name.trim_end_matches("_len");
            let bytes = function
                .parameters
                .iter()
                .any(|(kind, name)| name == of && kind == "const uint8_t *");
            if bytes { "1" } else { "NUL" }.to_owned()
        }
        "size_t" if name.ends_with("_count") => "1".to_owned(),
        "bool" => "false".to_owned(),
        "double" => "1.0".to_owned(),
        "uint16_t" => "200".to_owned(),
        "size_t" | "int64_t" | "uint64_t" | "int32_t" | "hoopauth_status_t" => "0".to_owned(),
        kind => {
            panic!("what is plausible for `{kind} {name}` of {}? tell this test", function.name)
        }
    }
}
