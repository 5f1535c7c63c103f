//! Verification of the certificates of encrypted upstreams.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use crate::upstream::server::Trust;

/// The TLS configuration for an upstream that is verified by `trust`.
///
/// # Errors
/// A text if the authorities can't be read.
pub fn client_config(trust: &Trust, alpn: &[&[u8]]) -> Result<ClientConfig, String> {
    let mut config = match trust {
        // The system's verifier: its authorities, with the changes that its owner made.
        Trust::System => hickory_resolver::net::tls::client_config().map_err(|error| {
            format!("the system's certificate authorities can't be used: {error}")
        })?,
        Trust::Authorities(file) => {
            builder()?.with_root_certificates(authorities(file)?).with_no_client_auth()
        }
        Trust::Pins(pins) => builder()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned {
                pins: pins.clone(),
                provider: provider(),
            }))
            .with_no_client_auth(),
    };
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(config)
}

/// The name that the certificate must be for.
///
/// # Errors
/// A text if it is not a name.
pub fn server_name(name: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(name.to_owned()).map_err(|_| format!("'{name}' is not a name"))
}

/// The innermost cause of a TLS error, in one line.
pub fn why(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(why)) => format!("its certificate is not accepted: {why}"),
        Some(error) => format!("TLS: {error}"),
        None => error.to_string(),
    }
}

fn provider() -> CryptoProvider {
    ring::default_provider()
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, String> {
    ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())
}

fn authorities(file: &Path) -> Result<RootCertStore, String> {
    let failed =
        |why: String| format!("the certificates in {} can't be read: {why}", file.display());
    let mut roots = RootCertStore::empty();
    for certificate in
        CertificateDer::pem_file_iter(file).map_err(|error| failed(error.to_string()))?
    {
        let certificate = certificate.map_err(|error| failed(error.to_string()))?;
        roots.add(certificate).map_err(|error| failed(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(failed("there are none in PEM form".into()));
    }
    Ok(roots)
}

/// Accepts a server whose public key is one of the pinned ones (RFC 7858 §4.2), and ignores the
/// rest of its certificate.
#[derive(Debug)]
struct Pinned {
    pins: Vec<[u8; 32]>,
    provider: CryptoProvider,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let key = ParsedCertificate::try_from(end_entity)?.subject_public_key_info();
        if self.pins.iter().any(|pin| sha256(&key).as_deref() == Some(pin)) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// SHA-256, from the TLS provider.
pub fn sha256(bytes: &[u8]) -> Option<Vec<u8>> {
    let suite = ring::cipher_suite::TLS13_AES_128_GCM_SHA256.tls13()?;
    Some(suite.common.hash_provider.hash(bytes).as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_sha_256() {
        let of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex::encode(sha256(b"abc").unwrap()), of_abc);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        for text in
            [None, Some(""), Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")]
        {
            if let Some(text) = text {
                std::fs::write(&file, text).unwrap();
            }
            let why = client_config(&Trust::Authorities(file.clone()), &[]).unwrap_err();
            assert!(why.contains("ca.pem can't be read") && !why.contains('\n'), "{why}");
        }
    }
}
