//! Wrong values in the environment: a typed error that names the variable, and shows nothing of its
//! value.
//!
//! The environment belongs to a whole process, so that each case is a process of its own.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::ffi::OsString;
use std::fs;
use std::process::Command;

use hoopauth::Client;

const ROLE: &str = "HOOPAUTH_ENVIRONMENT_ROLE";
/// No name that anybody answers to, so that a request which nothing refuses ends there.
const NOWHERE: &str = "https://api.hoopauth.invalid";

/// The other process: prints the code and the message of what it meets.
#[test]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let outcome = match role.as_str() {
        "build" => Client::from_env().map(drop),
        url => Client::builder()
            .private_integration_token("pit-0")
            .api_base(url)
            .max_retries(0)
            .build()
            .and_then(|client| client.request("GET", "/x").send().map(drop)),
    };
    match outcome {
        Ok(()) => println!("<<OK>>"),
        Err(error) => println!("<<{}|{}>>", error.code(), error.message()),
    }
}

/// Code and message that a process with these variables ends with.
fn said(role: &str, variables: &[(&str, OsString)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture"]);
    for name in [
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "REQUEST_METHOD",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
    ] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    let output = command.env(ROLE, role).envs(variables.iter().cloned()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let inside = text
        .split_once("<<")
        .and_then(|(_, rest)| rest.rsplit_once(">>"))
        .map(|(inside, _)| inside.to_owned());
    inside.unwrap_or_else(|| panic!("{text} {}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn a_proxy_that_is_none_is_told_and_nothing_goes_out_directly() {
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"]
    {
        for value in [
            "\"http://u:planted@proxy:80\"",
            "http://u:planted@proxy:99999",
            "socks5://u:planted@proxy:1",
        ] {
            let said = said(NOWHERE, &[(name, value.into())]);
            assert!(
                said.starts_with("CONFIG|") && said.contains(&format!("`{name}`")),
                "{name}={value}: {said}"
            );
            assert!(!said.contains("planted"), "{said}");
            assert_eq!(value.starts_with("socks"), said.contains("SOCKS"), "{said}");
        }
    }
    for name in ["NO_PROXY", "no_proxy"] {
        let said = said(NOWHERE, &[(name, "\"localhost\"".into())]);
        assert!(said.starts_with("CONFIG|") && said.contains(&format!("`{name}`")), "{said}");
    }
    // A good one is used, and named where it can't be reached.
    let said = said(
        NOWHERE,
        &[("HTTPS_PROXY", "http://127.0.0.1:1".into()), ("NO_PROXY", "localhost,127.0.0.1".into())],
    );
    assert!(said.starts_with("NETWORK|") && said.contains("`HTTPS_PROXY`"), "{said}");
}

#[cfg(unix)]
#[test]
fn variables_that_are_not_utf8_are_named() {
    use std::os::unix::ffi::OsStringExt;

    let broken = || OsString::from_vec(b"planted\xff".to_vec());
    for (role, name) in [
        (NOWHERE, "HTTPS_PROXY"),
        (NOWHERE, "no_proxy"),
        ("build", "HOOPAI_TOKEN"),
        ("build", "LOCATION_ID"),
        ("build", "HOOPAUTH_STORE_KEY"),
    ] {
        let said = said(role, &[(name, broken())]);
        assert!(
            said.starts_with("CONFIG|") && said.contains(name) && !said.contains("planted"),
            "{said}"
        );
    }
}

#[test]
fn quotes_of_an_env_file_are_told_with_the_variable() {
    for (name, value) in [
        ("HOOPAI_TOKEN", "\"pit-planted\""),
        ("HOOPAI_TOKEN", "${HOOPAI_TOKEN}"),
        ("LOCATION_ID", "'planted'"),
        ("HOOPAUTH_CLIENT_SECRET", "\"planted\""),
        ("HOOPAUTH_STORE_KEY", "File:/planted/store.key"),
        ("HOOPAUTH_SCOPES", "contacts.readonly,planted"),
        ("HOOPAUTH_STORE", "sqlite::memory:"),
        ("HOOPAUTH_CA_FILE", "\"/planted/ca.pem\""),
    ] {
        let said = said("build", &[(name, value.into())]);
        assert!(
            said.starts_with("CONFIG|") && said.contains(&format!("`{name}`")),
            "{name}: {said}"
        );
        assert!(!said.contains("planted"), "{said}");
    }
}

#[test]
fn certificates_of_the_environment_that_are_not_there_are_named() {
    // It never speaks TLS: what fails is told with what is known of the certificates.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            use std::io::{Read as _, Write as _};
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 64]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let good = folder.path().join("ca.pem");
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["h.example".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    fs::write(&good, certificate.pem()).unwrap();
    let empty = folder.path().join("empty.pem");
    fs::write(&empty, "").unwrap();
    fs::create_dir(folder.path().join("none")).unwrap();

    let quoted = format!("\"{}\"", good.display());
    let missing = folder.path().join("planted.pem");
    for (name, value, what) in [
        ("SSL_CERT_FILE", quoted.clone().into(), "quotes"),
        ("SSL_CERT_FILE", missing.clone().into(), "not there"),
        ("SSL_CERT_FILE", empty.into(), "empty"),
        ("SSL_CERT_FILE", folder.path().into(), "folder"),
        ("SSL_CERT_DIR", missing.into(), "not there"),
        ("SSL_CERT_DIR", folder.path().join("none").into(), "no file holds"),
    ] {
        let said = said(&url, &[(name, value)]);
        assert!(
            said.starts_with("TLS|") && said.contains(&format!("`{name}`")),
            "{name} {what}: {said}"
        );
        assert!(said.contains(what) && !said.contains("planted"), "{what}: {said}");
    }
    for (name, value) in [("SSL_CERT_FILE", good), ("SSL_CERT_DIR", folder.path().to_owned())] {
        let said = said(&url, &[(name, value.into())]);
        assert!(said.starts_with("TLS|") && !said.contains("SSL_CERT"), "{said}");
    }
}
