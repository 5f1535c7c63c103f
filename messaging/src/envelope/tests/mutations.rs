//! Envelopes that somebody changed: none is accepted, nothing panics.
//!
//! `MESSAGING_MUTATIONS` says how many; a million takes a few minutes with `--release`.

use std::collections::HashMap;

use super::*;
use crate::testing::mutation::{Mutator, count};

/// As a stranger on the way can: he changes the envelope.
#[test]
fn changed_outside() {
    let pair = Pair::new();
    let (mut inbox, mut mutator) = (pair.bob.inbox(), Mutator::new(1));
    let good: Vec<Vec<u8>> = keys(&pair)
        .iter()
        .enumerate()
        .map(|(number, to)| seal(&pair.sender(), to, &draft(TEXT), random(number as u8)).unwrap())
        .collect();
    let mut verdicts = HashMap::new();
    for round in 0..count() {
        let changed = mutator.change(&good[round % good.len()], &good[(round + 1) % good.len()]);
        if good.contains(&changed) {
            continue;
        }
        let error = read(&pair, &mut inbox, &mut ReplayCache::new(), &changed).err();
        let error = error.unwrap_or_else(|| panic!("accepted: {}", hex::encode(&changed)));
        *verdicts.entry(std::mem::discriminant(&error)).or_insert(0) += 1;
    }
    // Truncated, too long, version, kind, class, recipient tag, no key.
    assert_eq!(verdicts.len(), 7, "not every refusal was met: {verdicts:?}");
}

/// As a stranger can who knows Bob's key: he seals what he likes, which is a changed letter of
/// Alice's.
#[test]
fn changed_inside() {
    let pair = Pair::new();
    let (mut inbox, mut mutator) = (pair.bob.inbox(), Mutator::new(2));
    let mut verdicts = HashMap::new();
    for round in 0..count() {
        let kem = if round % 4 == 0 { Kem::XWing } else { Kem::X25519 };
        let mut same = false;
        let envelope = seal_any(&pair, kem, round as u8, |binding, length| {
            let plain = parts(&pair, TEXT).sign_and_pad(&pair.alice_key, binding, length);
            let mut changed = mutator.change(&plain, &plain);
            changed.resize(length, 0);
            same = changed == *plain;
            Zeroizing::new(changed)
        });
        let pin_status = read(&pair, &mut inbox, &mut ReplayCache::new(), &envelope).map(drop);
        match pin_status {
            Ok(()) => assert!(same, "accepted in round {round}"),
            Err(error) => *verdicts.entry(std::mem::discriminant(&error)).or_insert(0) += 1,
        }
    }
    // Malformed, padding, readdressed, another identity, signature.
    assert_eq!(verdicts.len(), 5, "not every refusal was met: {verdicts:?}");
}
