//! TLS 1.3 with raw public keys (RFC 7250) at both ends: who is there is a key, and nothing else.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use namechain_core::types::{PublicKey, SecretKey, Signature};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error,
    PeerIncompatible, PeerMisbehaved, ServerConfig, SignatureAlgorithm, SignatureScheme,
    client::{
        AlwaysResolvesClientRawPublicKeys, Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime},
    server::{
        AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::{CertifiedKey, Signer, SigningKey},
    version::TLS13,
};

use super::kx::Hybrid;

/// What both sides say they speak (ALPN, RFC 7301).
pub const ALPN: &[u8] = b"namechain/1";
/// The label of the keying material that a HELLO is bound to (RFC 8446 section 7.5).
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-namechain/1";
/// The SubjectPublicKeyInfo of an Ed25519 key (RFC 8410 section 4) up to its 32 bytes.
const SPKI_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The SubjectPublicKeyInfo of an identity key.
fn spki(key: &PublicKey) -> Vec<u8> {
    [SPKI_PREFIX.as_slice(), &key.0].concat()
}

/// The Ed25519 key in a SubjectPublicKeyInfo, if it is one.
pub(super) fn key_of(spki: &[u8]) -> Option<PublicKey> {
    spki.strip_prefix(&SPKI_PREFIX)?.try_into().ok().map(PublicKey)
}

/// The cipher suites and key exchanges that are offered and taken.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = ring::default_provider();
    provider.cipher_suites.retain(|suite| suite.version() == &TLS13);
    // X25519 alone for those who don't know the other, such as GnuTLS of Debian 12.
    provider.kx_groups = vec![&Hybrid, ring::kx_group::X25519];
    Arc::new(provider)
}

/// Whose key a verifier takes.
#[derive(Clone)]
pub(super) enum ExpectedKey {
    /// Any Ed25519 key: who it is, is asked next.
    Any,
    /// This one. Whatever else was shown is left in the second.
    Only(PublicKey, Arc<OnceLock<PublicKey>>),
}

impl ExpectedKey {
    pub(super) fn only(key: PublicKey) -> (Self, Arc<OnceLock<PublicKey>>) {
        let found = Arc::new(OnceLock::new());
        (ExpectedKey::Only(key, found.clone()), found)
    }
}

/// Takes raw Ed25519 keys, and signatures as the chain does: strictly.
#[derive(Clone)]
struct Verifier(ExpectedKey);

/// rustls wants it; a key is no secret.
impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            ExpectedKey::Any => f.write_str("Verifier(any key)"),
            ExpectedKey::Only(key, _) => write!(f, "Verifier({key})"),
        }
    }
}

impl Verifier {
    fn check_key(
        &self,
        shown: &CertificateDer<'_>,
        more: &[CertificateDer<'_>],
    ) -> Result<(), Error> {
        let key = key_of(shown).filter(|_| more.is_empty());
        let key = key.ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
        match &self.0 {
            ExpectedKey::Only(wanted, found) if *wanted != key => {
                // Only the first is of interest, and there is only one.
                let _ = found.set(key);
                Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
            }
            _ => Ok(()),
        }
    }

    fn check_signature(
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if signed.scheme != SignatureScheme::ED25519 {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        }
        let signature = signed.signature().try_into().ok().map(Signature);
        let valid = key_of(shown)
            .zip(signature)
            .is_some_and(|(key, signature)| key.verify(message, &signature));
        match valid {
            true => Ok(HandshakeSignatureValid::assertion()),
            false => Err(Error::InvalidCertificate(CertificateError::BadSignature)),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        more: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check_key(shown, more).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::ServerDoesNotSupportTls12Or13.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::check_signature(message, shown, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        shown: &CertificateDer<'_>,
        more: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check_key(shown, more).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls13RequiredForQuic.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::check_signature(message, shown, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// Signs handshakes with an identity key, which stays in one place and is wiped there.
#[derive(Clone, Debug)]
struct Identity(SecretKey);

impl SigningKey for Identity {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered
            .contains(&SignatureScheme::ED25519)
            .then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(SubjectPublicKeyInfoDer::from(spki(&self.0.public())))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl Signer for Identity {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.0.sign(message).0.to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

fn certified(identity: &SecretKey) -> Arc<CertifiedKey> {
    let shown = CertificateDer::from(spki(&identity.public()));
    Arc::new(CertifiedKey::new(vec![shown], Arc::new(Identity(identity.clone()))))
}

/// A dialler's side: shows the key of `identity`, and only to who has shown the wanted one. Nothing
/// is resumed: every connection proves both keys anew.
pub(super) fn client(identity: &SecretKey, wanted: ExpectedKey) -> Result<ClientConfig, Error> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier(wanted)))
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(certified(
            identity,
        ))));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    // The name would be readable on the way.
    config.enable_sni = false;
    Ok(config)
}

/// A listener's side.
pub(super) fn server(identity: &SecretKey, wanted: ExpectedKey) -> Result<ServerConfig, Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(Arc::new(Verifier(wanted)))
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(certified(identity))));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// A dialler's TLS alone, for who speaks another protocol over it: shows the key of `identity`,
/// accepts `wanted` and no other. What a HELLO adds is missing: who the key belongs to, and that
/// both know that both agree.
///
/// # Errors
/// If rustls can't be set up.
pub fn client_config(identity: &SecretKey, wanted: PublicKey) -> Result<ClientConfig, Error> {
    client(identity, ExpectedKey::only(wanted).0)
}

/// A listener's TLS alone, as [`client_config`].
///
/// # Errors
/// If rustls can't be set up.
pub fn server_config(identity: &SecretKey, wanted: PublicKey) -> Result<ServerConfig, Error> {
    server(identity, ExpectedKey::only(wanted).0)
}
