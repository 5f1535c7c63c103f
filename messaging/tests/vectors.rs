//! The published vectors of the standards that letters stand on (`testdata/messaging/README.md`).
//! The counts are pinned.

use std::{convert::Infallible, fs};

use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, Serializable,
    aead::ChaCha20Poly1305,
    kdf::HkdfSha256,
    kem::{X25519HkdfSha256, XWing},
    rand_core::{TryCryptoRng, TryRng},
    setup_receiver, setup_sender_with_rng,
};
use messaging::{X25519Secret, XWingPublic, XWingSecret};
use ml_kem::{FromSeed, MlKem768, kem::Decapsulate};
use serde::{Deserialize, de::DeserializeOwned};

fn load<T: DeserializeOwned>(file: &str) -> T {
    let path = format!("{}/../testdata/messaging/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Bytes that are given, instead of random ones.
struct Given(Vec<u8>);

impl TryRng for Given {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("only whole keys are asked for")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("only whole keys are asked for")
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        out.copy_from_slice(&self.0.drain(..out.len()).collect::<Vec<u8>>());
        Ok(())
    }
}

impl TryCryptoRng for Given {}

#[derive(Deserialize)]
#[serde(transparent)]
struct Hex(#[serde(with = "hex::serde")] Vec<u8>);

#[derive(Deserialize)]
#[allow(non_snake_case, reason = "as the vectors spell them")]
struct HpkeCase {
    mode: u8,
    kem_id: u16,
    kdf_id: u16,
    aead_id: u16,
    info: Hex,
    ikmE: Hex,
    ikmR: Hex,
    skRm: Hex,
    pkRm: Hex,
    enc: Hex,
    encryptions: Vec<Encryption>,
    exports: Vec<Export>,
}

#[derive(Deserialize)]
struct Encryption {
    aad: Hex,
    ct: Hex,
    pt: Hex,
}

#[derive(Deserialize)]
struct Export {
    exporter_context: Hex,
    #[serde(rename = "L")]
    length: usize,
    exported_value: Hex,
}

/// Both ways through a case, with exactly the suite that letters are sealed with.
fn check<K: Kem>(case: &HpkeCase) {
    assert_eq!((case.mode, case.kem_id, case.kdf_id, case.aead_id), (0, K::KEM_ID, 1, 3));
    let secret = K::PrivateKey::from_bytes(&case.skRm.0).unwrap();
    let public = K::sk_to_pk(&secret);
    assert_eq!(public.to_bytes().as_slice(), case.pkRm.0);
    let mut given = Given(case.ikmE.0.clone());
    let info = &case.info.0;
    let (enc, mut sender) = setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, K>(
        &OpModeS::Base,
        &public,
        info,
        &mut given,
    )
    .unwrap();
    assert!(given.0.is_empty(), "all that was given was used");
    assert_eq!(enc.to_bytes().as_slice(), case.enc.0);
    let mut receiver =
        setup_receiver::<ChaCha20Poly1305, HkdfSha256, K>(&OpModeR::Base, &secret, &enc, info)
            .unwrap();
    for Encryption { aad, ct, pt } in &case.encryptions {
        assert_eq!(sender.seal(&pt.0, &aad.0).unwrap(), ct.0);
        assert_eq!(receiver.open(&ct.0, &aad.0).unwrap(), pt.0);
    }
    for Export { exporter_context, length, exported_value } in &case.exports {
        let mut out = vec![0; *length];
        receiver.export(&exporter_context.0, &mut out).unwrap();
        assert_eq!(out, exported_value.0);
    }
}

#[test]
fn hpke_with_x25519() {
    let cases: Vec<HpkeCase> = load("rfc9180/cases.json");
    assert_eq!(cases.len(), 1);
    for case in &cases {
        assert_eq!((case.encryptions.len(), case.exports.len()), (257, 3));
        let (secret, _) = X25519HkdfSha256::derive_keypair(&case.ikmR.0);
        // The vector's secret key is not clamped, the derived one is: the same key.
        let listed = <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(&case.skRm.0).unwrap();
        assert_eq!(secret.to_bytes(), listed.to_bytes());
        check::<X25519HkdfSha256>(case);
        let ours = X25519Secret::from_bytes(case.skRm.0.as_slice().try_into().unwrap());
        assert_eq!(ours.public().0.as_slice(), case.pkRm.0);
    }
}

#[test]
fn hpke_with_x_wing() {
    let cases: Vec<HpkeCase> = load("hpke-pq/cases.json");
    assert_eq!(cases.len(), 1);
    for case in &cases {
        assert_eq!((case.encryptions.len(), case.exports.len()), (10, 5));
        check::<XWing>(case);
        let ours = XWingSecret::from_seed(case.skRm.0.as_slice().try_into().unwrap());
        assert_eq!(ours.public().as_bytes(), case.pkRm.0);
        assert_eq!(XWingPublic::parse(&case.pkRm.0), Some(ours.public()));
    }
}

#[derive(Deserialize)]
struct WingCase {
    seed: Hex,
    eseed: Hex,
    ss: Hex,
    sk: Hex,
    pk: Hex,
    ct: Hex,
}

#[test]
fn x_wing() {
    let cases: Vec<WingCase> = load("xwing/cases.json");
    assert_eq!(cases.len(), 3);
    for case in &cases {
        assert_eq!(case.seed.0, case.sk.0);
        let ours = XWingSecret::from_seed(case.sk.0.as_slice().try_into().unwrap());
        assert_eq!(ours.public().as_bytes(), case.pk.0);
        let key: [u8; 32] = case.sk.0.as_slice().try_into().unwrap();
        let secret = x_wing::DecapsulationKey::from(key);
        let eseed = case.eseed.0.as_slice().try_into().unwrap();
        let (ct, shared) =
            x_wing::Decapsulator::encapsulation_key(&secret).encapsulate_deterministic(eseed);
        assert_eq!(
            (ct.as_slice(), shared.as_slice()),
            (case.ct.0.as_slice(), case.ss.0.as_slice())
        );
        assert_eq!(secret.decapsulate(&ct).as_slice(), case.ss.0);
    }
}

#[derive(Deserialize)]
struct Wycheproof<T> {
    #[serde(rename = "testGroups")]
    groups: Vec<Group<T>>,
}

#[derive(Deserialize)]
struct Group<T> {
    tests: Vec<T>,
}

fn wycheproof<T: DeserializeOwned>(file: &str) -> Vec<T> {
    let file: Wycheproof<T> = load(file);
    file.groups.into_iter().flat_map(|group| group.tests).collect()
}

#[derive(Deserialize)]
struct DhCase {
    #[serde(rename = "tcId")]
    id: u32,
    public: Hex,
    private: Hex,
    shared: Hex,
    flags: Vec<String>,
}

/// Every shared secret is as the vectors have it; and where it is zero, HPKE refuses the key.
#[test]
fn x25519() {
    let cases: Vec<DhCase> = wycheproof("wycheproof/x25519_test.json");
    assert_eq!(cases.len(), 518);
    let mut refused = 0;
    for case in &cases {
        let key = |hex: &Hex| -> [u8; 32] { hex.0.as_slice().try_into().unwrap() };
        let secret = x25519_dalek::StaticSecret::from(key(&case.private));
        let shared = secret.diffie_hellman(&x25519_dalek::PublicKey::from(key(&case.public)));
        assert_eq!(shared.as_bytes().as_slice(), case.shared.0, "{}", case.id);
        let to = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(&case.public.0).unwrap();
        let mut given = Given(vec![1; 32]);
        let sealed = setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeS::Base,
            &to,
            b"",
            &mut given,
        );
        let zero = case.flags.iter().any(|flag| flag == "ZeroSharedSecret");
        assert_eq!(zero, case.shared.0 == [0; 32], "{}", case.id);
        assert_eq!(sealed.is_err(), zero, "{}", case.id);
        refused += u32::from(zero);
    }
    assert_eq!(refused, 31);
}

#[derive(Deserialize)]
struct KemCase {
    #[serde(rename = "tcId")]
    id: u32,
    #[serde(default)]
    seed: Option<Hex>,
    #[serde(default)]
    m: Option<Hex>,
    ek: Option<Hex>,
    c: Hex,
    #[serde(rename = "K")]
    shared: Option<Hex>,
    result: String,
}

#[test]
fn ml_kem_decapsulation() {
    let cases: Vec<KemCase> = wycheproof("wycheproof/mlkem_768_test.json");
    assert_eq!(cases.len(), 201);
    let mut good = 0;
    for case in &cases {
        let seed = case.seed.as_ref().unwrap().0.as_slice().try_into().ok();
        let shared = seed.and_then(|seed| {
            let (secret, _) = MlKem768::from_seed(&seed);
            Some(secret.decapsulate(&case.c.0.as_slice().try_into().ok()?).to_vec())
        });
        match case.result.as_str() {
            "valid" => {
                assert_eq!(shared.as_ref(), case.shared.as_ref().map(|hex| &hex.0), "{}", case.id)
            }
            _ => assert!(shared.is_none(), "{}", case.id),
        }
        good += u32::from(case.result == "valid");
    }
    assert_eq!(good, 161);
}

/// An ML-KEM key that is not reduced or of another length is no part of an X-Wing key either.
#[test]
fn ml_kem_encapsulation() {
    let cases: Vec<KemCase> = wycheproof("wycheproof/mlkem_768_encaps_test.json");
    assert_eq!(cases.len(), 265);
    let mut good = 0;
    for case in &cases {
        let key = &case.ek.as_ref().unwrap().0;
        let wing = XWingPublic::parse(&[key.as_slice(), &[9; 32]].concat());
        assert_eq!(wing.is_some(), case.result == "valid", "{}", case.id);
        if wing.is_some() {
            let key = key.as_slice().try_into().unwrap();
            let key =
                <ml_kem::ml_kem_768::EncapsulationKey as ml_kem::TryKeyInit>::new(&key).unwrap();
            let (ct, shared) = key.encapsulate_deterministic(
                &case.m.as_ref().unwrap().0.as_slice().try_into().unwrap(),
            );
            assert_eq!(ct.as_slice(), case.c.0, "{}", case.id);
            assert_eq!(shared.as_slice(), case.shared.as_ref().unwrap().0, "{}", case.id);
            good += 1;
        }
    }
    assert_eq!(good, 133);
}
