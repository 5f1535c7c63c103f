//! X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem): a key exchange that holds as long as one of X25519
//! and ML-KEM-768 does, so that who records a channel today and has a quantum computer one day
//! reads nothing.
//!
//! ```text
//! dialler's share:  | ML-KEM-768 key 1184 | X25519 key 32 |
//! listener's share: | ciphertext 1088 | X25519 key 32 |
//! shared secret:    | of ML-KEM-768 32 | of X25519 32 |
//! ```

use ml_kem::{
    FromSeed, KeyExport, MlKem768, TryKeyInit,
    kem::Decapsulate,
    ml_kem_768::{DecapsulationKey, EncapsulationKey},
};
use rustls::{
    Error, NamedGroup, PeerMisbehaved, ProtocolVersion,
    crypto::{
        ActiveKeyExchange, CompletedKeyExchange, SharedSecret, SupportedKxGroup,
        ring::{default_provider, kx_group::X25519},
    },
    ffdhe_groups::FfdheGroup,
};
use zeroize::Zeroizing;

const KEY_BYTES: usize = 1_184;
const CIPHERTEXT_BYTES: usize = 1_088;
const BAD_SHARE: Error = Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare);

/// The group.
#[derive(Debug)]
pub(super) struct Hybrid;

/// A dialler's secrets, until the listener has answered.
struct Active {
    classical: Box<dyn ActiveKeyExchange>,
    secret: DecapsulationKey,
    share: Vec<u8>,
}

fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, Error> {
    let mut bytes = Zeroizing::new([0; N]);
    let filled = default_provider().secure_random.fill(bytes.as_mut_slice());
    filled.map(|()| bytes).map_err(|_| Error::FailedToGetRandomBytes)
}

fn secret(wing: &[u8], classical: &SharedSecret) -> SharedSecret {
    SharedSecret::from([wing, classical.secret_bytes()].concat())
}

impl SupportedKxGroup for Hybrid {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let classical = X25519.start()?;
        let seed = random::<64>()?;
        let seed = seed.as_slice().try_into().map_err(|_| Error::FailedToGetRandomBytes)?;
        let (secret, public) = MlKem768::from_seed(&seed);
        let share = [public.to_bytes().as_slice(), classical.pub_key()].concat();
        Ok(Box::new(Active { classical, secret, share }))
    }

    fn start_and_complete(&self, theirs: &[u8]) -> Result<CompletedKeyExchange, Error> {
        let (key, classical) = theirs.split_at_checked(KEY_BYTES).ok_or(BAD_SHARE)?;
        let key = key.try_into().map_err(|_| BAD_SHARE)?;
        // A key that is not reduced is refused (FIPS 203 section 7.2).
        let key = <EncapsulationKey as TryKeyInit>::new(&key).map_err(|_| BAD_SHARE)?;
        let classical = X25519.start_and_complete(classical)?;
        let message = random::<32>()?;
        let message = message.as_slice().try_into().map_err(|_| Error::FailedToGetRandomBytes)?;
        let (ciphertext, shared) = key.encapsulate_deterministic(&message);
        Ok(CompletedKeyExchange {
            group: self.name(),
            pub_key: [ciphertext.as_slice(), &classical.pub_key].concat(),
            secret: secret(&shared, &classical.secret),
        })
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519MLKEM768
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        version == ProtocolVersion::TLSv1_3
    }
}

impl ActiveKeyExchange for Active {
    fn complete(self: Box<Self>, theirs: &[u8]) -> Result<SharedSecret, Error> {
        let (ciphertext, classical) = theirs.split_at_checked(CIPHERTEXT_BYTES).ok_or(BAD_SHARE)?;
        let ciphertext = ciphertext.try_into().map_err(|_| BAD_SHARE)?;
        let classical = self.classical.complete(classical)?;
        Ok(secret(&self.secret.decapsulate(&ciphertext), &classical))
    }

    /// X25519 alone, for who knows no more.
    fn hybrid_component(&self) -> Option<(NamedGroup, &[u8])> {
        Some((self.classical.group(), self.classical.pub_key()))
    }

    fn complete_hybrid_component(self: Box<Self>, theirs: &[u8]) -> Result<SharedSecret, Error> {
        self.classical.complete(theirs)
    }

    fn pub_key(&self) -> &[u8] {
        &self.share
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519MLKEM768
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_come_to_the_same_secret() {
        let dialler = Hybrid.start().unwrap();
        assert_eq!(dialler.pub_key().len(), 1_216);
        let answer = Hybrid.start_and_complete(dialler.pub_key()).unwrap();
        assert_eq!(answer.pub_key.len(), 1_120);
        let secret = dialler.complete(&answer.pub_key).unwrap();
        assert_eq!(secret.secret_bytes(), answer.secret.secret_bytes());
        assert_eq!(secret.secret_bytes().len(), 64);
    }

    #[test]
    fn shares_that_are_none() {
        let share = Hybrid.start().unwrap().pub_key().to_vec();
        let mut unreduced = share.clone();
        unreduced[..3].copy_from_slice(&[0xff; 3]);
        for bad in [&[][..], &share[..1_215], &[share.as_slice(), &[0]].concat(), &unreduced] {
            assert!(Hybrid.start_and_complete(bad).is_err(), "{}", bad.len());
        }
        let answer = Hybrid.start_and_complete(&share).unwrap().pub_key;
        for bad in [&[][..], &answer[..1_119], &[answer.as_slice(), &[0]].concat()] {
            assert!(Hybrid.start().unwrap().complete(bad).is_err(), "{}", bad.len());
        }
        // Zeros are a point of small order: the secret would be nobody's.
        let mut small = share;
        small[KEY_BYTES..].fill(0);
        assert!(Hybrid.start_and_complete(&small).is_err());
    }
}
