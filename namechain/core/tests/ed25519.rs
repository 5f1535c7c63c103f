//! The edge cases on which implementations of Ed25519 disagree, in `testdata/ed25519/` (sources and
//! licences there): each gets exactly the answer of strict verification, as `docs/protocol.md`
//! section 1 has it.

use std::{collections::BTreeSet, env, fs, path::PathBuf};

use namechain_core::types::{PublicKey, SecretKey, Signature};
use serde_json::Value;

/// The only flags with which CCTV's classes leave a signature good: a part of small order in a
/// point that is itself of large order.
const GOOD_WITH: [&str; 2] = ["low_order_component_A", "low_order_component_R"];

fn load(path: PathBuf) -> Value {
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

fn data(file: &str) -> Value {
    load(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/ed25519").join(file))
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

/// `None` where the signature is not of 64 bytes: there is no such value, the codec reads 64.
fn verify(key: &Value, message: &[u8], signature: &Value) -> Option<bool> {
    let key = PublicKey(bytes(key).try_into().unwrap());
    let signature = Signature(bytes(signature).try_into().ok()?);
    Some(key.verify(message, &signature))
}

/// Checks a file in CCTV's form. Returns its number of cases, the number of good ones and all flags
/// that occur.
fn check_flagged(cases: &Value) -> (usize, usize, BTreeSet<String>) {
    let (mut good, mut all_flags) = (0, BTreeSet::new());
    let cases = cases.as_array().unwrap();
    for case in cases {
        // CCTV writes null where there are no flags.
        let flags = case["flags"].as_array().cloned().unwrap_or_default();
        let expected = flags.iter().all(|flag| GOOD_WITH.contains(&flag.as_str().unwrap()));
        let message = case["msg"].as_str().unwrap().as_bytes();
        assert_eq!(verify(&case["key"], message, &case["sig"]), Some(expected), "{case}");
        good += usize::from(expected);
        all_flags.extend(flags.iter().map(|flag| flag.as_str().unwrap().to_owned()));
    }
    (cases.len(), good, all_flags)
}

#[test]
fn rfc_8032() {
    let cases = data("rfc8032/cases.json");
    let cases = cases.as_array().unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let secret = SecretKey::from_seed(&bytes(&case["seed"]).try_into().unwrap());
        let message = bytes(&case["msg"]);
        assert_eq!(secret.public().0.as_slice(), bytes(&case["key"]), "{}", case["name"]);
        assert_eq!(secret.sign(&message).0.as_slice(), bytes(&case["sig"]), "{}", case["name"]);
        assert_eq!(verify(&case["key"], &message, &case["sig"]), Some(true), "{}", case["name"]);
    }
}

#[test]
fn wycheproof() {
    let file = data("wycheproof/ed25519_test.json");
    let (mut cases, mut good, mut of_another_length) = (0, 0, 0);
    for group in file["testGroups"].as_array().unwrap() {
        for case in group["tests"].as_array().unwrap() {
            let valid = case["result"] == "valid";
            match verify(&group["publicKey"]["pk"], &bytes(&case["msg"]), &case["sig"]) {
                Some(answer) => assert_eq!(answer, valid, "{case}"),
                None => {
                    assert!(!valid, "{case}");
                    of_another_length += 1;
                }
            }
            cases += 1;
            good += usize::from(valid);
        }
    }
    assert_eq!((cases, good, of_another_length), (151, 88, 12));
}

#[test]
fn speccheck() {
    // The row "Dalek strict" of the table that the vectors' authors publish.
    let published = "X X X V X X X X X X X X".split(' ').map(|answer| answer == "V");
    let cases = data("speccheck/cases.json");
    let cases = cases.as_array().unwrap();
    assert_eq!(cases.len(), 12);
    for (number, (case, expected)) in cases.iter().zip(published).enumerate() {
        let answer = verify(&case["pub_key"], &bytes(&case["message"]), &case["signature"]);
        assert_eq!(answer, Some(expected), "case {number}");
    }
}

#[test]
fn zip_215() {
    let cases = data("zip215/cases.json");
    let cases = cases.as_array().unwrap();
    assert_eq!(cases.len(), 196);
    for case in cases {
        assert_eq!(
            verify(&case["public_key"], b"Zcash", &case["signature"]),
            Some(false),
            "{case}"
        );
    }
}

#[test]
fn every_edge_of_both_points() {
    let (cases, good, flags) = check_flagged(&data("edges/vectors.json"));
    assert_eq!((cases, good, flags.len()), (1135, 44, 15));
}

#[test]
fn cctv_where_its_file_is_at_hand() {
    let Some(path) = env::var_os("NAMECHAIN_CCTV") else {
        println!("skipped: NAMECHAIN_CCTV does not name CCTV's ed25519vectors.json");
        return;
    };
    let (cases, good, flags) = check_flagged(&load(path.into()));
    assert_eq!((cases, good, flags.len()), (914, 43, 8));
}

/// What strict verification does not look at: whether the key's own encoding is canonical. It is
/// not refused for it, but all such keys that are points of large order are listed here (y from p
/// to p + 18 is all there is), and nobody knows the secret of one, so no signature shows the
/// difference.
#[test]
fn keys_with_an_encoding_that_is_not_canonical() {
    let large: Vec<u8> = (0..19)
        .filter(|y| {
            // p = 2^255 - 19 is ed ff .. ff 7f.
            let mut encoding = [0xff; 32];
            encoding[0] = 0xed + y;
            encoding[31] = 0x7f;
            ed25519_dalek::VerifyingKey::from_bytes(&encoding).is_ok_and(|key| !key.is_weak())
        })
        .collect();
    assert_eq!(large, [3, 4, 5, 6, 9, 10, 14, 15, 16, 18]);
}
