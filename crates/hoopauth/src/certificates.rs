//! Certificates of authorities: the system's, and those of PEM files.
//!
//! A file is checked before the library's reader gets it: that reader ignores unexpected lines, and
//! its errors quote the file's lines. The messages here show nothing of the content.

use std::ffi::OsString;
use std::path::Path;
use std::{fs, io};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::mistake::{self, Form};

/// The certificates that the system trusts.
pub(crate) struct SystemRoots {
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    /// Reason why they are fewer than they should be: it explains failures of TLS.
    pub(crate) trouble: Option<String>,
}

/// Loads the certificates that the system trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR` take their
/// place.
pub(crate) fn system_roots() -> SystemRoots {
    let certificates = rustls_native_certs::load_native_certs().certs;
    let trouble = trouble_of_environment(|name| std::env::var_os(name), certificates.is_empty())
        .or_else(|| {
            certificates.is_empty().then(|| {
                "this system has no certificates of authorities: install them (on many systems the \
                 package `ca-certificates`)"
                    .to_owned()
            })
        });
    SystemRoots { certificates, trouble }
}

/// The certificates in a PEM file. The error goes on after the file's name.
pub(crate) fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    parse(&fs::read(path).map_err(|error| unreadable(&error))?)
}

fn trouble_of_environment(
    read_variable: impl Fn(&str) -> Option<OsString>,
    found_none: bool,
) -> Option<String> {
    let trouble =
        |name: &str, what: &str| Some(format!("the environment variable `{name}` {what}"));
    let text = |value: &OsString| value.to_str().and_then(|text| mistake::found(text, Form::Path));
    if let Some(value) = read_variable(FILE) {
        if value.is_empty() {
            return trouble(FILE, "is empty: unset it, or give it the path of a PEM file");
        }
        if let Err(what) = read(Path::new(&value)) {
            let what = text(&value).map_or(what, str::to_owned);
            return trouble(FILE, &format!("does not lead to certificates: it {what}"));
        }
    }
    if let Some(value) = read_variable(FOLDER) {
        for folder in std::env::split_paths(&value).filter(|folder| !folder.as_os_str().is_empty())
        {
            if let Err(error) = fs::read_dir(&folder) {
                let what = text(&folder.into_os_string())
                    .map_or_else(|| unreadable(&error), str::to_owned);
                return trouble(FOLDER, &format!("does not lead to certificates: it {what}"));
            }
        }
        if found_none && !value.is_empty() {
            return trouble(
                FOLDER,
                "names folders in which no file holds a certificate in PEM form: correct or unset \
                 it",
            );
        }
    }
    None
}

fn parse(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let refuse = |what: &str| Err(what.to_owned());
    if bytes.trim_ascii().is_empty() {
        return refuse("is empty: put certificates in PEM form there");
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return refuse("is UTF-16 text: save it as UTF-8 or ASCII");
    }
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    if !text.contains(BEGIN) {
        return if bytes[0] == 0x30 && text.chars().any(|c| c.is_control() || c == '\u{fffd}') {
            refuse(
                "is in binary form (DER), not PEM: convert it, for a certificate with \
                 `openssl x509 -inform der -in FILE -out FILE.pem`",
            )
        } else {
            refuse("holds no certificate in PEM form: it has no line `-----BEGIN CERTIFICATE-----`")
        };
    }
    let mut certificates = Vec::new();
    let mut others = Vec::new();
    let mut block: Option<Block<'_>> = None;
    for line in text.split(['\n', '\r']) {
        let number = certificates.len() + 1;
        let here = line.trim_ascii();
        if here.contains(BEGIN) && (here.contains("\\n") || here.contains("\\r")) {
            return refuse("has its line ends written as `\\n`: put real line ends in their place");
        }
        if let Some(rest) = here.strip_prefix(BEGIN) {
            if let Some(open) = &block {
                return Err(open.without_end(number));
            }
            let Some((label, behind)) = rest.split_once("-----") else {
                return Err(format!(
                    "has a line `{BEGIN}…` that is cut short: copy the file again"
                ));
            };
            if !behind.is_empty() {
                return refuse(
                    "has more behind a line `-----BEGIN …-----`: put each line of the PEM text on \
                     a line of its own",
                );
            }
            if line.starts_with(|c: char| c.is_ascii_whitespace()) {
                return refuse(
                    "has white space in front of `-----BEGIN`: remove it from all lines",
                );
            }
            block = Some(Block { label, text: String::new() });
        } else if let Some(rest) = here.strip_prefix(END) {
            let Some(open) = block.take() else {
                return refuse(
                    "has a line `-----END …-----` without its beginning: copy the file again",
                );
            };
            if rest.contains(BEGIN) {
                return Err(format!(
                    "has the beginning of the next certificate on the last line of number \
                     {number}: put a line break between `-----END CERTIFICATE-----` and \
                     `-----BEGIN CERTIFICATE-----`"
                ));
            }
            if rest.strip_prefix(open.label) != Some("-----") {
                return Err(open.without_end(number));
            }
            if open.label == CERTIFICATE {
                certificates.push(open.certificate(number)?);
            } else {
                others.push(open.label);
            }
        } else if here.contains(BEGIN) || here.contains(END) {
            return refuse(
                "has other text in front of `-----BEGIN` or `-----END` on one line: put a line \
                 break between them",
            );
        } else if let Some(open) = &mut block {
            open.text.push_str(line);
            open.text.push('\n');
        }
    }
    if let Some(open) = block {
        return Err(open.without_end(certificates.len() + 1));
    }
    if certificates.is_empty() {
        let has = |what: &str| others.iter().any(|label| label.contains(what));
        return refuse(if has("PRIVATE KEY") {
            "holds a private key and no certificate: give the certificates of the authority, and \
             let nobody see that key"
        } else if has("TRUSTED CERTIFICATE") {
            "holds certificates in OpenSSL's own form: convert each with `openssl x509 -in FILE \
             -out FILE.pem`"
        } else {
            "holds no certificate, but something else in PEM form: give the certificates of the \
             authority"
        });
    }
    Ok(certificates)
}

/// One block of PEM text while its lines are read.
struct Block<'a> {
    label: &'a str,
    text: String,
}

impl Block<'_> {
    fn certificate(&self, number: usize) -> Result<CertificateDer<'static>, String> {
        let pem = format!("{BEGIN}{CERTIFICATE}-----\n{}{END}{CERTIFICATE}-----\n", self.text);
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| {
            format!(
                "is damaged in certificate number {number}: what stands there is not base64; copy \
                 it again"
            )
        })?;
        RootCertStore::empty().add(certificate.clone()).map_err(|_| {
            format!(
                "is damaged in certificate number {number}: what stands there is no X.509 \
                 certificate; copy it again"
            )
        })?;
        Ok(certificate)
    }

    fn without_end(&self, number: usize) -> String {
        if self.label == CERTIFICATE {
            format!(
                "is cut short in certificate number {number}: it has no line \
                 `{END}{CERTIFICATE}-----`; copy it again"
            )
        } else {
            "is cut short: a line `-----BEGIN …-----` has no line `-----END …-----`; copy the file \
             again"
                .to_owned()
        }
    }
}

fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "is not there: correct the path".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "may not be read by this user: give this user the right to read it".to_owned()
        }
        io::ErrorKind::IsADirectory => "is a folder: give the path of one file".to_owned(),
        io::ErrorKind::NotADirectory => {
            "is not a folder, or lies behind a file: correct the path".to_owned()
        }
        _ => format!("can't be read ({error})"),
    }
}

const FILE: &str = "SSL_CERT_FILE";
const FOLDER: &str = "SSL_CERT_DIR";
const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const CERTIFICATE: &str = "CERTIFICATE";

#[cfg(test)]
mod tests {
    use super::*;

    fn pem() -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        rcgen::CertificateParams::new(vec!["h.example".to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap()
            .pem()
    }

    fn says(content: &[u8]) -> String {
        parse(content).unwrap_err()
    }

    #[test]
    fn good_files_are_read_whole() {
        let (one, two) = (pem(), pem());
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        for text in [
            format!("{one}{two}"),
            format!("# the first\n{one}\n\n# the second\n{two}"),
            format!("{one}{two}").replace('\n', "\r\n"),
            format!("\u{feff}{one}{two}"),
            format!("{one}{key}{two}"),
            format!("{one}{two}").trim_end().to_owned(),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap().len(), 2, "{text}");
        }
    }

    #[test]
    fn a_wrong_file_is_told_which_certificate_is_wrong_and_why() {
        let (one, two, three) = (pem(), pem(), pem());
        let glued = format!("{}{two}", one.trim_end());
        assert!(says(glued.as_bytes()).contains("number 1"), "{}", says(glued.as_bytes()));
        let glued = format!("{one}{}{three}", two.trim_end());
        assert!(says(glued.as_bytes()).contains("number 2"));

        let lines: Vec<_> = two.lines().collect();
        let without_end = two.replace("-----END CERTIFICATE-----", "");
        let damaged = two.replace(lines[2], "pla*nted");
        let cut = two.replace(lines[2], "");
        let nonsense = "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n";
        for bad in [without_end.as_str(), &damaged, &cut, nonsense] {
            let said = says(format!("{one}{bad}{three}").as_bytes());
            assert!(said.contains("number 2"), "{said}");
            assert!(!said.contains("pla*nted") && !said.contains(lines[1]), "{said}");
        }
        for flat in [
            one.replace('\n', "\\n"),
            one.replace('\n', "\\r\\n"),
            format!("{one}{}", two.replace('\n', "\\n")),
        ] {
            assert!(says(flat.as_bytes()).contains("`\\n`"));
        }
        assert!(says(one.replace('\n', " ").as_bytes()).contains("line of its own"));
        assert!(
            says(one.replace('\n', "\n  ").replacen("-----BEGIN", "  -----BEGIN", 1).as_bytes())
                .contains("white space")
        );
    }

    #[test]
    fn what_is_no_certificate_is_named_and_not_shown() {
        let key = rcgen::KeyPair::generate().unwrap();
        let secret = key.serialize_pem();
        let der = rcgen::CertificateParams::new(vec!["h.example".to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        for (content, what) in [
            (secret.as_bytes(), "private key"),
            (secret.replace('\n', "\\n").as_bytes(), "`\\n`"),
            (der.der().as_ref(), "DER"),
            (b"".as_slice(), "empty"),
            (b" \n\n", "empty"),
            (b"\xff\xfe-\0-\0", "UTF-16"),
            (b"planted", "PEM"),
            (b"-----BEGIN planted", "cut short"),
            (
                b"-----BEGIN CERTIFICATE REQUEST-----\nplanted\n-----END CERTIFICATE \
                  REQUEST-----\n",
                "something else",
            ),
            (
                b"-----BEGIN TRUSTED CERTIFICATE-----\nplanted\n-----END TRUSTED \
               CERTIFICATE-----\n",
                "OpenSSL",
            ),
            (b"-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\n", "without its beginning"),
            (b"x-----BEGIN CERTIFICATE-----\nplanted\n", "in front"),
        ] {
            let said = says(content);
            assert!(said.contains(what), "{what}: {said}");
            let shown = said.contains("planted")
                || secret.lines().any(|line| line.len() > 40 && said.contains(line));
            assert!(!shown, "{said}");
        }
    }

    #[test]
    fn the_environments_own_certificates_are_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let good = folder.path().join("good.pem");
        fs::write(&good, pem()).unwrap();
        let empty = folder.path().join("empty.pem");
        fs::write(&empty, "").unwrap();
        let said = |name: &'static str, value: &Path, none: bool| {
            trouble_of_environment(
                |asked| (asked == name).then(|| value.as_os_str().to_owned()),
                none,
            )
        };
        assert_eq!(said(FILE, &good, false), None);
        assert_eq!(said(FOLDER, folder.path(), false), None);
        let quoted = format!("\"{}\"", good.display());
        for (value, what) in [
            (folder.path().join("planted"), "not there"),
            (folder.path().to_owned(), "folder"),
            (empty, "empty"),
            (quoted.into(), "quotes"),
            ("${CERTS}".into(), "placeholder"),
            ("".into(), "empty"),
        ] {
            let said = said(FILE, &value, true).unwrap();
            assert!(
                said.contains("`SSL_CERT_FILE`")
                    && said.contains(what)
                    && !said.contains("planted"),
                "{said}"
            );
        }
        for (value, what) in [
            (folder.path().join("planted"), "not there"),
            (good.clone(), "not a folder"),
            (format!("'{}'", folder.path().display()).into(), "quotes"),
            (folder.path().to_owned(), "no file holds"),
        ] {
            let said = said(FOLDER, &value, true).unwrap();
            assert!(
                said.contains("`SSL_CERT_DIR`") && said.contains(what) && !said.contains("planted"),
                "{said}"
            );
        }
    }
}
