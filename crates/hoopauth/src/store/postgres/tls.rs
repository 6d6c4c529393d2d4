//! TLS to the server, as `sslmode` says.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tokio_postgres::config::SslNegotiation;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::settings::{PostgresSettings, Roots, Tls};
use crate::certificates;
use crate::error::{Error, Result};

/// Makes TLS connections. Reads the certificates.
pub(super) fn connector(settings: &PostgresSettings) -> Result<MakeRustlsConnect> {
    settings.check_roots()?;
    // Named here: a process-wide default provider is the host program's to choose.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let failed =
        |error: &dyn std::fmt::Display| Error::config(format!("TLS can't be set up: {error}"));
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?;
    let mut config = match settings.tls {
        Tls::VerifyFull => builder.with_root_certificates(roots(settings)?).with_no_client_auth(),
        mode => {
            let chain = if mode == Tls::VerifyCa {
                let roots = Arc::new(roots(settings)?);
                let verifier =
                    WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
                        .build();
                Some(verifier.map_err(|error| failed(&error))?)
            } else {
                None
            };
            let verifier = Arc::new(AnyName { chain, provider });
            builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
        }
    };
    if settings.config.get_ssl_negotiation() == SslNegotiation::Direct {
        // The server speaks TLS at once only to who says that it means PostgreSQL.
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok(MakeRustlsConnect::new(config))
}

/// The certificates that are trusted.
fn roots(settings: &PostgresSettings) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let mut trouble = String::new();
    match &settings.roots {
        Roots::Only(path) => add(&mut roots, path, "`sslrootcert` of `store`")?,
        Roots::System | Roots::SystemAnd(_) => {
            // Trouble means fewer roots.
            let system = certificates::system_roots();
            roots.add_parsable_certificates(system.certificates);
            trouble = system.trouble.unwrap_or_default();
        }
    }
    if let Roots::SystemAnd(Some(path)) = &settings.roots {
        add(&mut roots, path, "`ca_file`")?;
    }
    if roots.is_empty() {
        return Err(Error::config(format!(
            "`store`: no authority is trusted: {trouble}; or set `ca_file`"
        )));
    }
    Ok(roots)
}

fn add(roots: &mut RootCertStore, path: &Path, option: &str) -> Result<()> {
    let own = certificates::read(path)
        .map_err(|what| Error::config(format!("{option}: the file `{}` {what}", path.display())))?;
    roots.add_parsable_certificates(own);
    Ok(())
}

/// Takes a certificate for whichever name: one that a root signed if there is a chain to verify,
/// else any.
#[derive(Debug)]
struct AnyName {
    chain: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        use rustls::Error::InvalidCertificate;

        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        // The name is looked at last.
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
