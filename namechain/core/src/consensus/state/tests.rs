//! A name's whole life, on plain maps: no blocks, no work, times as the story needs them.

use std::collections::BTreeMap;

use super::*;
use crate::{
    consensus::status::end,
    params::{MAX_COMMITS, PRICE_UNIT},
    types::{
        Locators, MessagingPolicy, MessagingRecord, Network, Record, Signature,
        SignedMessagingRecord, Stamp,
    },
};

const NETWORK: Network = Network::Main;
/// Work that pays for everything.
const PLENTY: u64 = 1 << 40;

#[derive(Clone, Default)]
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

    fn ended(&self, kind: EntryKind, time: u64, limit: usize) -> Result<Vec<Hash>, Self::Error> {
        let entries = self.0.iter().filter(|(_, entry)| EntryKind::of(entry) == kind);
        let mut ended: Vec<(u64, Hash)> =
            entries.map(|(key, entry)| (end(NETWORK.params(), entry), *key)).collect();
        ended.retain(|(end, _)| *end <= time);
        ended.sort();
        Ok(ended.into_iter().take(limit).map(|(_, key)| key).collect())
    }
}

/// One name with an owner (1), a recovery key (9), and others. A block every 120 s.
struct Story {
    state: Maps,
    params: &'static Params,
    name: Name,
    now: BlockTime,
    bytes_multiplier: u32,
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
    fn new() -> Self {
        Story {
            state: Maps::default(),
            params: NETWORK.params(),
            name: Name::parse("example-name").unwrap(),
            now: BlockTime { height: 100, time: 1_000_000 },
            bytes_multiplier: PRICE_UNIT,
        }
    }

    /// Registered by key 1 with recovery key 9, and settled.
    fn settled() -> Self {
        let mut story = Story::new();
        let commit = story.commit(1).unwrap();
        story.pass(10, 600);
        story.register(commit, 1).unwrap();
        story.pass(30, 3_600);
        story
    }

    fn pass(&mut self, blocks: u32, seconds: u64) {
        self.now.height += blocks;
        self.now.time += seconds;
    }

    fn apply_at(&mut self, index: u32, operation: &Operation) -> Result<(), &'static str> {
        let context = BlockContext {
            now: self.now,
            parent_time: self.now.time,
            price: Multipliers { names: PRICE_UNIT, bytes: self.bytes_multiplier },
        };
        let parent = BlockTime { height: self.now.height - 1, time: self.now.time };
        let anchor = Anchor { at: parent, name_price: PRICE_UNIT };
        let mut tally = Tally::default();
        tally.apply(self.params, context, operation, index, anchor, &mut self.state).map_err(
            |error| match error {
                ApplyError::Rule(violation) => violation.id(),
                ApplyError::State(never) => match never {},
            },
        )
    }

    /// Records the Commit of key `owner` to the name; gives its id.
    fn commit(&mut self, owner: u8) -> Result<Hash, &'static str> {
        self.commit_at(0, owner, owner, PLENTY)
    }

    fn commit_at(
        &mut self,
        index: u32,
        owner: u8,
        salt: u8,
        work: u64,
    ) -> Result<Hash, &'static str> {
        let commitment = commitment(NETWORK, &self.name, &key(owner), &[salt; 32]);
        let operation = Operation::Commit { commitment, stamp: stamp(work) };
        self.apply_at(index, &operation)?;
        Ok(operation.id(NETWORK))
    }

    fn register(&mut self, commit: Hash, owner: u8) -> Result<(), &'static str> {
        let recovery = Some(key(9));
        let action = Action::Register { recovery, salt: [owner; 32], records: records() };
        let operation = self.signed(commit, owner, action, PLENTY);
        self.apply_at(1, &operation)
    }

    fn signed(&self, reference: Hash, signer: u8, action: Action, work: u64) -> Operation {
        Operation::Named(SignedOperation {
            name: self.name.clone(),
            reference,
            valid_until: self.now.time,
            signer: key(signer),
            action,
            signature: Signature([0; 64]),
            stamp: stamp(work),
        })
    }

    /// An operation under the present title.
    fn act(&mut self, signer: u8, action: Action) -> Result<(), &'static str> {
        self.pay(signer, action, PLENTY)
    }

    fn pay(&mut self, signer: u8, action: Action, work: u64) -> Result<(), &'static str> {
        let title = self.entry().map_or(Hash::ZERO, |entry| entry.title);
        let operation = self.signed(title, signer, action, work);
        self.apply_at(1, &operation)
    }

    fn entry(&self) -> Option<NameEntry> {
        match self.state.0.get(&self.name.key(NETWORK)) {
            Some(Entry::Name(entry)) => Some(entry.clone()),
            _ => None,
        }
    }

    fn owned(&self) -> NameEntry {
        self.entry().expect("an entry")
    }

    fn status(&self) -> NameStatus {
        name_status(self.params, &self.owned(), self.now)
    }

    fn sequence(&self) -> u32 {
        self.owned().sequence + 1
    }

    fn update(&self) -> Action {
        Action::Update { sequence: self.sequence(), records: records() }
    }

    fn transfer(&self, to: u8) -> Action {
        Action::Transfer { sequence: self.sequence(), to: key(to) }
    }

    fn renew(&self) -> Action {
        Action::Renew { expires: self.owned().expires }
    }

    /// The subject of the transfer that waits.
    fn waiting(&self) -> Hash {
        self.owned().transfer.map_or(Hash::ZERO, |transfer| transfer.subject)
    }

    fn accept(&self) -> Action {
        Action::Accept { transfer: self.waiting(), recovery: Some(key(9)) }
    }

    fn cancel(&self) -> Action {
        Action::Cancel { transfer: self.waiting() }
    }

    fn publish(&self, sequence: u32) -> Action {
        let before = self.owned().messaging;
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
        Action::Publish { sequence: self.sequence(), record: Some(Box::new(signed)) }
    }
}

fn recover(owner: u8, recovery: u8) -> Action {
    Action::Recover { owner: key(owner), recovery: Some(key(recovery)) }
}

#[test]
fn a_commit_ripens_in_blocks_and_seconds_and_lapses() {
    for (blocks, seconds, expected) in [
        (9, 600, Err("commitment-young")),
        (10, 599, Err("commitment-young")),
        (10, 600, Ok(())),
        (10, 86_400, Ok(())),
        (10, 86_401, Err("commitment-unknown")),
    ] {
        let mut story = Story::new();
        let commit = story.commit(1).unwrap();
        story.pass(blocks, seconds);
        assert_eq!(story.register(commit, 1), expected, "{blocks} blocks, {seconds} s");
    }
}

#[test]
fn a_commit_is_for_one_name_by_one_key_once() {
    let mut story = Story::new();
    let commit = story.commit(1).unwrap();
    assert_eq!(story.commit(1), Err("commit-recorded"), "the same bytes");
    story.pass(10, 600);
    assert_eq!(story.register(commit, 2), Err("commitment-unknown"), "another key");
    assert_eq!(story.register(Hash::ZERO, 1), Err("commitment-unknown"));
    assert_eq!(story.register(commit, 1), Ok(()));
    assert_eq!(story.commit(1), Err("commit-recorded"), "spent ones stay until they lapse");
    assert_eq!(story.register(commit, 1), Err("commitment-spent"));
}

/// A stranger can copy a commitment with less work of his own: both stand, and only the owner's
/// key can use either.
#[test]
fn a_strangers_copy_of_a_commitment_harms_nobody() {
    let mut story = Story::new();
    let price = price::registration(story.params, &story.name, PRICE_UNIT);
    let poor = story.commit_at(0, 1, 1, price).unwrap();
    let rich = story.commit_at(1, 1, 1, price + 1).unwrap();
    assert_ne!(poor, rich);
    story.pass(10, 600);
    assert_eq!(story.register(rich, 1), Ok(()));
    assert_eq!(story.owned().commit.index, 1);
    assert_eq!(story.register(poor, 1), Ok(()), "the older copy helps the owner");
}

#[test]
fn while_a_name_settles_the_first_to_commit_takes_it() {
    let mut story = Story::new();
    let first = story.commit_at(0, 1, 1, PLENTY).unwrap();
    let second = story.commit_at(1, 2, 2, PLENTY).unwrap();
    story.pass(1, 120);
    let third = story.commit_at(0, 3, 3, PLENTY).unwrap();
    story.pass(10, 600);
    assert_eq!(story.register(second, 2), Ok(()));
    assert_eq!(story.status(), NameStatus::Settling);
    assert_eq!(story.act(2, story.update()), Err("name-settling"), "it can't be changed");
    assert_eq!(story.act(9, recover(4, 4)), Err("name-settling"), "by no key");
    assert_eq!(story.register(third, 3), Err("name-settling"), "a younger Commit is too late");
    story.pass(29, 3_599);
    assert_eq!(story.status(), NameStatus::Settling);
    let before = story.owned();
    assert_eq!(story.register(first, 1), Ok(()));
    let entry = story.owned();
    assert_eq!((entry.owner, entry.registered), (key(1), story.now), "settling begins anew");
    assert_ne!(entry.title, before.title);
    assert_eq!(story.register(second, 2), Err("commitment-spent"), "the loser can't come back");
    for (blocks, seconds) in [(29, 3_600), (30, 3_599)] {
        let now = BlockTime {
            height: entry.registered.height + blocks,
            time: entry.registered.time + seconds,
        };
        assert_eq!(name_status(story.params, &entry, now), NameStatus::Settling);
    }
    story.pass(30, 3_600);
    assert_eq!(story.status(), NameStatus::Active);
    assert_eq!(story.act(1, story.update()), Ok(()));
    let late = story.commit(5).unwrap();
    story.pass(10, 600);
    assert_eq!(story.register(late, 5), Err("name-taken"));
}

#[test]
fn a_commit_is_judged_by_the_price_of_a_recent_anchor() {
    let params = NETWORK.params();
    let now = BlockTime { height: 1_000, time: 5_000 };
    let price = Multipliers { names: 4_096, bytes: PRICE_UNIT };
    let context = BlockContext { now, parent_time: 0, price };
    let anchor = |height| Anchor { at: BlockTime { height, time: 0 }, name_price: 2_048 };
    assert_eq!(registration_multiplier(context, anchor(940)), 2_048);
    assert_eq!(registration_multiplier(context, anchor(939)), 4_096);
    let mut story = Story::new();
    let operation =
        Operation::Commit { commitment: Hash::ZERO, stamp: stamp(params.base_price * 4 - 1) };
    let mut tally = Tally::default();
    let applied = tally.apply(params, context, &operation, 0, anchor(999), &mut story.state);
    assert!(matches!(applied, Err(ApplyError::Rule(RuleViolation::Underpaid { .. }))));
}

#[test]
fn a_lease_its_renewal_grace_and_release() {
    let mut story = Story::settled();
    let (lease, grace) = (story.params.lease, story.params.grace);
    let end = story.owned().registered.time + lease;
    assert_eq!(story.owned().expires, end);
    story.now.time = end - lease / 4 - 1;
    assert_eq!(story.act(1, story.renew()), Err("renew-early"));
    story.now.time += 1;
    assert_eq!(story.act(5, story.renew()), Err("not-keyholder"));
    assert_eq!(story.act(1, Action::Renew { expires: end + 1 }), Err("renew-expires"));
    let renewal = story.renew();
    assert_eq!(story.act(1, renewal.clone()), Ok(()));
    assert_eq!(story.owned().expires, end + lease, "the lease is added to the old end");
    let end = end + lease;
    story.now.time = end - 1;
    assert_eq!(story.act(1, renewal), Err("renew-expires"), "it can't be used again");
    assert_eq!(story.status(), NameStatus::Active);
    story.now.time = end;
    assert_eq!(story.status(), NameStatus::Grace);
    assert_eq!(story.act(1, story.update()), Err("name-in-grace"));
    assert_eq!(story.act(1, story.transfer(2)), Err("name-in-grace"));
    assert_eq!(story.act(1, story.publish(1)), Err("name-in-grace"));
    let commit = story.commit(3).unwrap();
    story.pass(10, 600);
    assert_eq!(story.register(commit, 3), Err("name-taken"));
    story.now.time = end + grace - 1;
    assert_eq!(story.act(9, story.renew()), Ok(()), "the recovery key renews in the grace");
    let end = end + lease;
    story.now.time = end + grace - 1;
    assert_eq!(story.status(), NameStatus::Grace);
    let commit = story.commit(2).unwrap();
    story.pass(10, 600);
    assert_eq!(story.status(), NameStatus::Released);
    assert_eq!(story.act(1, story.renew()), Err("name-unregistered"));
    assert_eq!(story.register(commit, 2), Ok(()), "a Commit may precede the release");
    assert_eq!((story.owned().owner, story.owned().sequence), (key(2), 0));
}

/// Nothing signed under one owner holds under the next, be it the same key again.
#[test]
fn operations_are_bound_to_a_title() {
    let mut story = Story::settled();
    let title = story.owned().title;
    let old = story.signed(title, 1, story.update(), PLENTY);
    assert_eq!(story.act(9, recover(1, 9)), Ok(()));
    assert_ne!(story.owned().title, title);
    assert_eq!(story.owned().sequence, 0);
    assert_eq!(story.apply_at(0, &old), Err("title"));
    assert_eq!(story.act(1, story.update()), Ok(()));
    assert_eq!(story.owned().sequence, 1);
}

#[test]
fn a_transfer_is_offered_waited_for_and_accepted() {
    let mut story = Story::settled();
    assert_eq!(story.act(2, story.accept()), Err("transfer-missing"));
    assert_eq!(story.act(9, story.transfer(2)), Err("not-owner"));
    assert_eq!(story.act(1, story.transfer(2)), Ok(()));
    assert_eq!(story.act(1, story.transfer(3)), Err("transfer-pending"));
    assert_eq!(story.act(3, story.cancel()), Err("not-keyholder"));
    let cancel = story.cancel();
    assert_eq!(story.act(9, cancel.clone()), Ok(()), "the recovery key can withdraw it");
    assert_eq!(story.act(1, story.cancel()), Err("transfer-missing"));
    assert_eq!(story.act(1, story.transfer(2)), Ok(()));
    assert_eq!(story.act(9, cancel), Err("transfer-other"), "of another offer");
    let offered = story.now;
    for (blocks, seconds) in [(9, 86_400), (10, 86_399)] {
        story.now = offered;
        story.pass(blocks, seconds);
        assert_eq!(story.act(2, story.accept()), Err("transfer-young"), "{blocks}, {seconds}");
    }
    story.now = offered;
    story.pass(10, 86_400);
    assert_eq!(story.act(3, story.accept()), Err("not-recipient"));
    let title = story.owned().title;
    assert_eq!(story.act(2, story.accept()), Ok(()));
    let entry = story.owned();
    assert_eq!((entry.owner, entry.recovery, entry.transfer), (key(2), Some(key(9)), None));
    assert!(entry.records.is_empty(), "a buyer does not inherit the seller's records");
    assert_ne!(entry.title, title);
    assert_eq!(story.act(1, story.update()), Err("not-owner"));
}

#[test]
fn the_recovery_key_outranks_the_owner() {
    let mut story = Story::settled();
    // A thief with the owner's key takes every sequence number, and the last one at that.
    assert_eq!(story.act(1, story.transfer(2)), Ok(()));
    let entry = NameEntry { sequence: u32::MAX, ..story.owned() };
    story.state.set(story.name.key(NETWORK), Some(Entry::Name(entry)));
    assert_eq!(story.act(1, recover(1, 1)), Err("not-recovery"));
    assert_eq!(story.act(9, recover(3, 7)), Ok(()));
    let entry = story.owned();
    assert_eq!((entry.owner, entry.recovery, entry.transfer), (key(3), Some(key(7)), None));
    assert_eq!((&entry.records, entry.sequence), (&records(), 0), "the records stay");
    assert_eq!(story.act(2, story.accept()), Err("transfer-missing"));
    assert_eq!(story.act(9, Action::Revoke), Err("not-keyholder"), "the old recovery key is out");
    assert_eq!(story.act(3, story.update()), Ok(()));
}

/// A thief who revokes the name does not free it: the recovery key takes it back until lease and
/// grace are over, and nobody else can have it before that.
#[test]
fn a_revocation_releases_nothing_and_can_be_undone() {
    let mut story = Story::settled();
    assert_eq!(story.act(4, Action::Revoke), Err("not-keyholder"));
    assert_eq!(story.act(1, Action::Revoke), Ok(()));
    assert!(story.owned().records.is_empty());
    let (expires, grace) = (story.owned().expires, story.params.grace);
    let times = [story.now.time, expires, expires + grace - 1];
    for (work, time) in (PLENTY..).zip(times) {
        story.now.time = time - 600;
        let commit = story.commit_at(0, 2, 2, work).unwrap();
        story.now.height += 10;
        story.now.time = time;
        assert_eq!(story.status(), NameStatus::Revoked);
        assert_eq!(story.register(commit, 2), Err("name-taken"));
        let actions = [story.update(), story.renew(), story.cancel(), Action::Revoke];
        for action in actions {
            assert_eq!(story.act(1, action), Err("name-revoked"));
        }
        let mut other = Story { state: story.state.clone(), name: story.name.clone(), ..story };
        assert_eq!(other.act(9, recover(3, 9)), Ok(()));
        assert!(!other.owned().revoked);
    }
    story.now.time = expires + grace;
    assert_eq!(story.status(), NameStatus::Released);
    assert_eq!(story.act(9, recover(3, 9)), Err("name-unregistered"));
}

#[test]
fn a_rescue_has_its_fixed_price_once_a_day_for_each_key() {
    let mut story = Story::settled();
    story.bytes_multiplier = 1 << 20;
    let fixed = price::rescue(story.params);
    let by_bytes = price::records(story.params, 0, story.bytes_multiplier);
    assert_eq!(story.pay(9, recover(1, 9), fixed - 1), Err("underpaid"));
    assert_eq!(story.pay(9, recover(1, 9), fixed), Ok(()));
    assert_eq!(story.pay(9, recover(1, 9), fixed), Err("underpaid"), "the second of the day");
    assert_eq!(story.pay(9, recover(1, 9), by_bytes), Ok(()));
    assert_eq!(story.act(1, story.transfer(2)), Ok(()));
    assert_eq!(story.pay(1, story.cancel(), fixed), Ok(()), "the owner's own");
    story.pass(1, 86_399);
    assert_eq!(story.pay(9, recover(1, 9), fixed), Err("underpaid"));
    story.pass(1, 1);
    assert_eq!(story.pay(9, recover(1, 9), fixed), Ok(()));
}

/// Whoever gets the name by another key than the owner's, or gets it anew, proves keys of their
/// own.
#[test]
fn a_messaging_record_goes_with_its_title() {
    let stands = |story: &Story| {
        let entry = story.owned();
        (entry.messaging.map(|it| it.record.sequence), entry.messaging_sequence)
    };
    let mut story = Story::settled();
    assert_eq!(stands(&story), (None, 0));
    assert_eq!(story.act(9, story.publish(1)), Err("not-owner"), "not even the recovery key");
    assert_eq!(story.act(1, story.publish(2)), Err("messaging-sequence"));
    assert_eq!(story.act(1, story.publish(1)), Ok(()));
    assert_eq!(story.act(1, story.update()), Ok(()));
    assert_eq!(story.act(1, story.transfer(2)), Ok(()));
    assert_eq!(stands(&story), (Some(1), 1));
    let withdraw = Action::Publish { sequence: story.sequence(), record: None };
    assert_eq!(story.act(1, withdraw), Ok(()));
    assert_eq!(stands(&story), (None, 1), "withdrawn, and not to be said again");
    assert_eq!(story.act(1, story.publish(1)), Err("messaging-sequence"));
    assert_eq!(story.act(1, story.publish(2)), Ok(()));
    story.pass(10, 86_400);
    assert_eq!(story.act(2, story.accept()), Ok(()));
    assert_eq!(stands(&story), (None, 0), "a buyer does not inherit the seller's keys");
    assert_eq!(story.act(2, story.publish(1)), Ok(()));
    assert_eq!(story.act(9, recover(3, 9)), Ok(()));
    assert_eq!(stands(&story), (None, 0), "a thief's keys do not stay");
    assert_eq!(story.act(3, story.publish(1)), Ok(()));
    assert_eq!(story.act(9, Action::Revoke), Ok(()));
    assert_eq!(stands(&story), (None, 1));
}

#[test]
fn nothing_changes_when_a_rule_is_broken() {
    let mut story = Story::settled();
    let before = story.state.0.clone();
    for (signer, action) in [
        (2, story.update()),
        (1, story.renew()),
        (2, story.transfer(2)),
        (2, story.accept()),
        (1, story.cancel()),
        (1, recover(2, 2)),
        (2, Action::Revoke),
        (1, story.publish(7)),
        (1, Action::Update { sequence: 7, records: RecordSet::default() }),
    ] {
        assert!(story.act(signer, action).is_err());
        assert_eq!(story.state.0, before);
    }
}

#[test]
fn after_the_last_sequence_number_there_is_no_next_one() {
    let mut story = Story::settled();
    let entry = NameEntry { sequence: u32::MAX - 1, ..story.owned() };
    story.state.set(story.name.key(NETWORK), Some(Entry::Name(entry)));
    let last = Action::Update { sequence: u32::MAX, records: records() };
    assert_eq!(story.act(1, last.clone()), Ok(()));
    assert_eq!(story.act(1, last), Err("sequence"), "the last one can't be repeated");
    assert_eq!(
        story.act(1, Action::Update { sequence: 0, records: records() }),
        Err("sequence"),
        "nor does it begin anew"
    );
}

#[test]
fn entries_leave_the_state_a_few_at_a_time() {
    let mut story = Story::new();
    let grace = story.params.grace;
    let settled = Story::settled().owned();
    for number in 0..600u32 {
        let name = Name::parse(&format!("name-{number:04}")).unwrap();
        let expires = 2_000_000 - u64::from(number);
        let entry = NameEntry { name, expires, ..settled.clone() };
        story.state.set(entry.name.key(NETWORK), Some(Entry::Name(entry)));
    }
    story.now.time = 2_000_000 + grace - 600;
    remove_ended(story.now, &mut story.state).unwrap();
    assert_eq!(story.state.0.len(), 600, "none has ended");
    story.now.time = 2_000_000 + grace;
    remove_ended(story.now, &mut story.state).unwrap();
    assert_eq!(story.state.0.len(), 88, "512 at a time, those that ended first");
    let mut left = story.state.0.values().filter_map(|entry| match entry {
        Entry::Name(entry) => Some(entry.expires),
        Entry::Commitment(_) => None,
    });
    assert!(left.all(|expires| expires > 2_000_000 - 88));
    remove_ended(story.now, &mut story.state).unwrap();
    assert_eq!(story.state.0.len(), 0);

    story.commit(1).unwrap();
    story.now.time += 86_400;
    remove_ended(story.now, &mut story.state).unwrap();
    assert_eq!(story.state.0.len(), 1, "at its end a Commit can still be opened");
    story.now.time += 1;
    remove_ended(story.now, &mut story.state).unwrap();
    assert_eq!(story.state.0.len(), 0);
}

#[test]
fn what_is_not_a_rescue_has_its_share_of_a_block() {
    let mut story = Story::settled();
    let now = story.now;
    let context = BlockContext {
        now,
        parent_time: now.time,
        price: Multipliers { names: PRICE_UNIT, bytes: PRICE_UNIT },
    };
    let anchor = Anchor { at: BlockTime { height: now.height - 1, ..now }, name_price: PRICE_UNIT };
    let update = story.signed(story.owned().title, 1, story.update(), PLENTY);
    let room = MAX_SHARED_BYTES - update.byte_len();
    let mut tally = Tally { commits: 0, priced_bytes: 0, shared_bytes: room };
    let mut full = Tally { shared_bytes: room + 1, ..tally };
    let applied = full.apply(story.params, context, &update, 0, anchor, &mut story.state);
    assert!(matches!(applied, Err(ApplyError::Rule(RuleViolation::BlockShare(_)))));
    tally.apply(story.params, context, &update, 0, anchor, &mut story.state).unwrap();
    assert_eq!(tally.priced_bytes as usize, update.byte_len());
    let rescue = story.signed(story.owned().title, 9, Action::Revoke, PLENTY);
    tally.apply(story.params, context, &rescue, 1, anchor, &mut story.state).unwrap();
    assert_eq!(tally.shared_bytes, MAX_SHARED_BYTES, "a rescue at its fixed price is outside");
    assert!(MAX_COMMITS as u64 == 2 * TARGET_COMMITS);
}
