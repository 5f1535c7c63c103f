//! A name's whole life, on plain maps: no blocks, no work, heights as the story needs them.

use std::collections::BTreeMap;

use super::*;
use crate::{
    params::PRICE_UNIT,
    types::{
        Locators, MessagingPolicy, MessagingRecord, Network, Record, Signature,
        SignedMessagingRecord, Stamp,
    },
};

const NETWORK: Network = Network::Main;

#[derive(Default)]
struct Maps(BTreeMap<Hash, Entry>);

impl State for Maps {
    type Error = std::convert::Infallible;

    fn get(&self, key: &Hash) -> Result<Option<Entry>, Self::Error> {
        Ok(self.0.get(key).cloned())
    }

    fn set(&mut self, key: Hash, entry: Option<Entry>) {
        match entry {
            Some(entry) => self.0.insert(key, entry),
            None => self.0.remove(&key),
        };
    }
}

/// One name with an owner (1), a recovery key (9), and others.
struct Story {
    state: Maps,
    params: &'static Params,
    name: Name,
    sequence: u32,
}

fn key(number: u8) -> PublicKey {
    PublicKey([number; 32])
}

fn stamp(work: u64) -> Stamp {
    Stamp { anchor: Hash::ZERO, work, nonce: 0 }
}

fn records() -> RecordSet {
    RecordSet::new(vec![Record { owner: vec![0], rtype: 16, ttl: 60, rdata: b"\x02hi".to_vec() }])
        .unwrap()
}

impl Story {
    /// Registered at height 110 by key 1 with recovery key 9.
    fn new() -> Self {
        let name = Name::parse("example-name").unwrap();
        let mut story =
            Story { state: Maps::default(), params: NETWORK.params(), name, sequence: 0 };
        story.register(100, 110, 1).unwrap();
        story
    }

    fn register(&mut self, commit: u32, register: u32, owner: u8) -> Result<(), &'static str> {
        let commitment = commitment(NETWORK, &self.name, &key(owner), &[owner; 32]);
        let work = price::registration(self.params, &self.name, PRICE_UNIT);
        self.apply(commit, &Operation::Commit { commitment, stamp: stamp(work) })?;
        let action =
            Action::Register { recovery: Some(key(9)), salt: [owner; 32], records: records() };
        self.act(register, owner, action)
    }

    fn apply(&mut self, height: u32, operation: &Operation) -> Result<(), &'static str> {
        let context = BlockContext { height, price: PRICE_UNIT };
        apply_operation(self.params, context, operation, &mut self.state).map_err(|failure| {
            match failure {
                ApplyError::Rule(violation) => violation.id(),
                ApplyError::State(never) => match never {},
            }
        })
    }

    /// The next operation on the name, at a height, by a key.
    fn act(&mut self, height: u32, signer: u8, action: Action) -> Result<(), &'static str> {
        let operation = Operation::Named(SignedOperation {
            name: self.name.clone(),
            sequence: self.sequence,
            signer: key(signer),
            action,
            signature: Signature([0; 64]),
            stamp: stamp(self.params.base_price),
        });
        self.apply(height, &operation)?;
        self.sequence += 1;
        Ok(())
    }

    fn entry(&self) -> NameEntry {
        let Some(Entry::Name(entry)) = self.state.0.get(&self.name.key(NETWORK)) else {
            panic!("no entry")
        };
        entry.clone()
    }

    fn name_status(&self, height: u32) -> NameStatus {
        name_status(self.params, &self.entry(), height)
    }
}

#[test]
fn a_lease_its_renewal_grace_and_release() {
    let mut story = Story::new();
    let (lease, grace) = (story.params.lease, story.params.grace);
    let end = 110 + lease;
    assert_eq!(story.entry().expires, end);
    assert_eq!(story.act(end - lease / 4 - 1, 1, Action::Renew), Err("renew-early"));
    assert_eq!(story.act(end - lease / 4, 5, Action::Renew), Err("not-keyholder"));
    assert_eq!(story.act(end - lease / 4, 1, Action::Renew), Ok(()));
    let end = end + lease;
    assert_eq!(story.entry().expires, end, "the lease is added to the old end");
    assert_eq!(story.name_status(end - 1), NameStatus::Active);
    assert_eq!(story.name_status(end), NameStatus::Grace);
    assert_eq!(story.act(end, 1, Action::Update { records: records() }), Err("name-in-grace"));
    assert_eq!(story.act(end, 1, Action::Transfer { to: key(2) }), Err("name-in-grace"));
    assert_eq!(story.register(end, end + 10, 3), Err("name-taken"));
    assert_eq!(
        story.act(end + grace - 1, 9, Action::Renew),
        Ok(()),
        "the recovery key renews in the grace"
    );
    let end = end + lease;
    assert_eq!(story.name_status(end + grace - 1), NameStatus::Grace);
    assert_eq!(story.name_status(end + grace), NameStatus::Released);
    assert_eq!(story.act(end + grace, 1, Action::Renew), Err("name-unregistered"));
    assert_eq!(story.register(end + grace, end + grace + 9, 2), Err("commitment-young"));
    let sequence = story.sequence;
    let register = Action::Register { recovery: None, salt: [2; 32], records: records() };
    assert_eq!(story.act(end + grace + 10, 2, register), Ok(()));
    assert_eq!(
        (story.entry().owner, story.entry().sequence),
        (key(2), sequence),
        "the sequence number goes on"
    );
}

/// Whoever gets the name by another key than the owner's, or gets it anew, proves keys of their
/// own.
#[test]
fn a_messaging_record_goes_with_its_owner_and_its_sequence_number_stays() {
    let publish = |story: &Story, sequence: u32| {
        let before = story.entry().messaging;
        let record = MessagingRecord {
            sequence,
            previous: before.map(|entry| entry.record.hash(NETWORK)).unwrap_or_default(),
            identity: key(20),
            next: Hash::ZERO,
            x25519: [0; 32],
            bundle: Hash::ZERO,
            locators: Locators::default(),
            policy: MessagingPolicy::default(),
        };
        let signed = SignedMessagingRecord { record, possession: Signature([0; 64]), link: None };
        Action::Publish { record: Some(Box::new(signed)) }
    };
    let stands = |story: &Story| {
        let entry = story.entry();
        (entry.messaging.map(|it| it.record.sequence), entry.messaging_sequence)
    };
    let mut story = Story::new();
    assert_eq!(stands(&story), (None, 0));
    let first = publish(&story, 1);
    assert_eq!(story.act(200, 9, first.clone()), Err("not-owner"), "not even the recovery key");
    assert_eq!(story.act(200, 1, publish(&story, 2)), Err("messaging-sequence"));
    assert_eq!(story.act(200, 1, first), Ok(()));
    for action in [
        Action::Update { records: records() },
        Action::Transfer { to: key(2) },
        Action::Cancel,
        Action::Transfer { to: key(2) },
    ] {
        assert_eq!(story.act(201, 1, action), Ok(()));
        assert_eq!(stands(&story), (Some(1), 1));
    }
    let accepted = 201 + story.params.transfer_delay;
    assert_eq!(story.act(accepted, 2, Action::Accept { recovery: Some(key(9)) }), Ok(()));
    assert_eq!(stands(&story), (None, 1), "a buyer does not inherit the seller's keys");
    assert_eq!(
        story.act(2_000, 2, publish(&story, 1)),
        Err("messaging-sequence"),
        "nor can it be said again"
    );
    assert_eq!(story.act(2_000, 2, publish(&story, 2)), Ok(()));
    assert_eq!(
        story.act(2_001, 9, Action::Recover { owner: key(3), recovery: Some(key(9)) }),
        Ok(())
    );
    assert_eq!(stands(&story), (None, 2), "a thief's keys do not stay");
    assert_eq!(story.act(2_002, 3, publish(&story, 3)), Ok(()));
    assert_eq!(story.act(2_003, 3, Action::Publish { record: None }), Ok(()));
    assert_eq!(stands(&story), (None, 3), "withdrawn");
    assert_eq!(story.act(2_004, 3, publish(&story, 4)), Ok(()));
    let end = story.entry().expires;
    assert_eq!(story.act(end, 3, publish(&story, 5)), Err("name-in-grace"));
    assert_eq!(story.act(end, 3, Action::Renew), Ok(()));
    assert_eq!(stands(&story), (Some(4), 4));
    assert_eq!(story.act(end + 1, 9, Action::Revoke), Ok(()));
    assert_eq!(stands(&story), (None, 4));
    let end = story.entry().expires;
    assert_eq!(story.register(end, end + 10, 4), Ok(()));
    assert_eq!(stands(&story), (None, 4), "and the next owner's first record is the fifth");
    assert_eq!(story.act(end + 20, 4, publish(&story, 5)), Ok(()));
}

#[test]
fn a_transfer_is_offered_waited_for_and_accepted() {
    let mut story = Story::new();
    let delay = story.params.transfer_delay;
    assert_eq!(story.act(200, 2, Action::Accept { recovery: None }), Err("transfer-missing"));
    assert_eq!(story.act(200, 9, Action::Transfer { to: key(2) }), Err("not-owner"));
    assert_eq!(story.act(200, 1, Action::Transfer { to: key(2) }), Ok(()));
    assert_eq!(story.act(201, 1, Action::Transfer { to: key(3) }), Err("transfer-pending"));
    assert_eq!(story.act(201, 3, Action::Cancel), Err("not-keyholder"));
    assert_eq!(story.act(201, 9, Action::Cancel), Ok(()), "the recovery key can withdraw it");
    assert_eq!(story.act(202, 1, Action::Cancel), Err("transfer-missing"));
    assert_eq!(story.act(300, 1, Action::Transfer { to: key(2) }), Ok(()));
    assert_eq!(
        story.act(300 + delay - 1, 2, Action::Accept { recovery: Some(key(8)) }),
        Err("transfer-young")
    );
    assert_eq!(story.act(300 + delay, 3, Action::Accept { recovery: None }), Err("not-recipient"));
    assert_eq!(story.act(300 + delay, 2, Action::Accept { recovery: Some(key(8)) }), Ok(()));
    let entry = story.entry();
    assert_eq!((entry.owner, entry.recovery, entry.transfer), (key(2), Some(key(8)), None));
    assert!(entry.records.is_empty(), "a buyer does not inherit the seller's records");
    assert_eq!(entry.expires, 110 + story.params.lease, "nor a new lease");
    assert_eq!(story.act(2_000, 1, Action::Update { records: records() }), Err("not-owner"));
    assert_eq!(
        story.act(2_000, 9, Action::Recover { owner: key(1), recovery: None }),
        Err("not-recovery")
    );
}

#[test]
fn the_recovery_key_outranks_the_owner() {
    let mut story = Story::new();
    assert_eq!(
        story.act(200, 1, Action::Transfer { to: key(2) }),
        Ok(()),
        "a thief with the owner's key"
    );
    assert_eq!(
        story.act(201, 1, Action::Recover { owner: key(1), recovery: None }),
        Err("not-recovery")
    );
    assert_eq!(
        story.act(202, 9, Action::Recover { owner: key(3), recovery: Some(key(7)) }),
        Ok(())
    );
    let entry = story.entry();
    assert_eq!((entry.owner, entry.recovery, entry.transfer), (key(3), Some(key(7)), None));
    assert_eq!(entry.records, records(), "the records stay");
    assert_eq!(story.act(203, 2, Action::Accept { recovery: None }), Err("transfer-missing"));
    assert_eq!(
        story.act(203, 9, Action::Revoke),
        Err("not-keyholder"),
        "the old recovery key is out"
    );
}

#[test]
fn a_revoked_name_is_nobodys_until_its_lease_ends() {
    let mut story = Story::new();
    let end = story.entry().expires;
    assert_eq!(story.act(200, 4, Action::Revoke), Err("not-keyholder"));
    assert_eq!(story.act(200, 1, Action::Revoke), Ok(()));
    assert!(story.entry().records.is_empty());
    assert_eq!(story.name_status(200), NameStatus::Revoked);
    for action in
        [Action::Update { records: records() }, Action::Renew, Action::Cancel, Action::Revoke]
    {
        assert_eq!(story.act(end - 1, 1, action), Err("name-revoked"));
    }
    assert_eq!(
        story.act(201, 9, Action::Recover { owner: key(3), recovery: None }),
        Err("name-revoked")
    );
    assert_eq!(story.register(end - 20, end - 1, 2), Err("name-taken"));
    assert_eq!(story.name_status(end), NameStatus::Released, "without a grace");
    let register = Action::Register { recovery: None, salt: [2; 32], records: records() };
    assert_eq!(story.act(end, 2, register), Ok(()));
    assert!(!story.entry().revoked);
}

#[test]
fn nothing_changes_when_a_rule_is_broken() {
    let mut story = Story::new();
    let before = story.state.0.clone();
    for (signer, action) in [
        (2, Action::Update { records: RecordSet::default() }),
        (1, Action::Renew),
        (2, Action::Transfer { to: key(2) }),
        (2, Action::Accept { recovery: None }),
        (1, Action::Cancel),
        (1, Action::Recover { owner: key(2), recovery: None }),
        (2, Action::Revoke),
    ] {
        assert!(story.act(150, signer, action).is_err());
        assert_eq!(story.state.0, before);
    }
}

#[test]
fn after_the_last_sequence_number_there_is_no_next_one() {
    let mut story = Story::new();
    let entry = NameEntry { sequence: u32::MAX - 1, ..story.entry() };
    story.state.0.insert(story.name.key(NETWORK), Entry::Name(entry));
    story.sequence = u32::MAX;
    let update = || Action::Update { records: RecordSet::default() };
    let operation = |story: &Story| {
        Operation::Named(SignedOperation {
            name: story.name.clone(),
            sequence: u32::MAX,
            signer: key(1),
            action: update(),
            signature: Signature([0; 64]),
            stamp: stamp(story.params.base_price),
        })
    };
    let last = operation(&story);
    assert_eq!(story.apply(200, &last), Ok(()));
    assert_eq!(story.apply(201, &last), Err("sequence"), "the last one can't be repeated");
}
