//! A model of the names' state, plain maps without tree, store or undo, against the real chain,
//! over long random histories with reorganisations.
//!
//! Two miners each make random operations, right and wrong ones, on chains of their own; the model
//! says of each whether it is refused and for which rule. Then they hear of each other's blocks,
//! and the branch of more work wins. A witness sees everything in the order of arrival. In the end
//! all hold the model's state, entry by entry.
//!
//! `NAMECHAIN_ROUNDS` sets how long a history is (default 60), `NAMECHAIN_SEED` the first of three
//! seeds.

mod common;

use std::collections::BTreeMap;

use common::{Miner, NETWORK, NOW, Random, number_from_env, records};
use namechain_core::{
    chain::Chain,
    consensus::state::ApplyError,
    types::{
        Action, Block, Hash, Locators, MessagingPolicy, MessagingRecord, Name, Operation,
        SecretKey, SignedMessagingRecord, SignedOperation, Stamp, commitment, next_key_hash,
    },
};

/// What every operation pays: more than any costs, while the multiplier stays low.
const WORK: u64 = 80;

/// A name, as the model has it: keys by their numbers.
#[derive(Clone, Debug, PartialEq)]
struct ModelName {
    owner: u8,
    recovery: Option<u8>,
    sequence: u32,
    revoked: bool,
    offered: Option<(u8, u32)>,
    record: Option<u8>,
    messaging: Option<ModelMessaging>,
    messaging_sequence: u32,
}

/// What stands under a name.
#[derive(Clone, Debug, PartialEq)]
struct ModelMessaging {
    hash: Hash,
    identity: u8,
    next: Option<u8>,
    linked: bool,
    height: u32,
}

/// A messaging record that somebody publishes: keys by their numbers.
#[derive(Clone, Copy, Debug)]
struct Draft {
    sequence: u32,
    previous: Hash,
    identity: u8,
    next: Option<u8>,
    link: Option<u8>,
}

/// The whole state: names by number, commitments by name and key with the height that recorded
/// them.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    names: BTreeMap<u8, ModelName>,
    commitments: BTreeMap<(u8, u8), u32>,
}

/// What somebody tries.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    name: u8,
    key: u8,
    sequence: u32,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Commit,
    Register(Option<u8>, u8),
    Update(u8),
    Renew,
    Transfer(u8),
    Accept(Option<u8>),
    Cancel,
    Recover(u8, Option<u8>),
    Revoke,
    Withdraw,
    Publish(Draft),
}

impl Draft {
    fn record(self) -> MessagingRecord {
        let next = self.next.map(|next| next_key_hash(NETWORK, &key(next).public()));
        MessagingRecord {
            sequence: self.sequence,
            previous: self.previous,
            identity: key(self.identity).public(),
            next: next.unwrap_or_default(),
            x25519: [0; 32],
            bundle: Hash::ZERO,
            locators: Locators::default(),
            policy: MessagingPolicy::default(),
        }
    }

    /// The draft that follows what stands under a name, but for an error now and then.
    fn random(random: &mut Random, entry: Option<&ModelName>) -> Self {
        let maybe = |random: &mut Random| (random.below(3) > 0).then(|| random.below(KEYS) as u8);
        let stands = entry.and_then(|entry| entry.messaging.as_ref());
        let announced = stands.and_then(|stands| stands.next);
        let next = entry.map_or(0, |entry| entry.messaging_sequence) + 1;
        Draft {
            sequence: if random.below(12) == 0 { next - 1 } else { next },
            previous: stands
                .filter(|_| random.below(12) > 0)
                .map(|stands| stands.hash)
                .unwrap_or_default(),
            identity: announced
                .filter(|_| random.below(2) == 0)
                .unwrap_or(random.below(KEYS) as u8),
            next: maybe(random),
            link: stands
                .filter(|_| random.below(2) == 0)
                .map(|stands| stands.identity)
                .or(maybe(random)),
        }
    }

    /// What stands after it, or the rule that refuses it.
    fn published(self, entry: &ModelName, height: u32) -> Result<ModelMessaging, &'static str> {
        let stands = entry.messaging.as_ref();
        if self.sequence != entry.messaging_sequence + 1 {
            return Err("messaging-sequence");
        }
        if self.previous != stands.map(|stands| stands.hash).unwrap_or_default() {
            return Err("messaging-previous");
        }
        if self.link.is_some() && self.link != stands.map(|stands| stands.identity) {
            return Err("link-identity");
        }
        if self.link.is_some() && stands.and_then(|stands| stands.next) != Some(self.identity) {
            return Err("link-announced");
        }
        let same = stands.filter(|stands| stands.identity == self.identity);
        Ok(ModelMessaging {
            hash: self.record().hash(NETWORK),
            identity: self.identity,
            next: self.next,
            linked: same.map_or(self.link.is_some(), |same| same.linked),
            height,
        })
    }
}

impl Model {
    /// What happens to an attempt in a block at `height`: the rule that refuses it, or nothing. No
    /// lease ends here.
    fn attempt(&mut self, attempt: Attempt, height: u32) -> Result<(), &'static str> {
        let Attempt { name, key, sequence, what } = attempt;
        match what {
            What::Commit if self.commitments.contains_key(&(name, key)) => {
                return Err("commitment-open");
            }
            What::Commit => {
                self.commitments.insert((name, key), height);
                return Ok(());
            }
            What::Register(recovery, record) => {
                if self.names.contains_key(&name) {
                    return Err("name-taken");
                }
                if sequence != 0 {
                    return Err("sequence");
                }
                match self.commitments.get(&(name, key)) {
                    None => return Err("commitment-unknown"),
                    Some(made) if height < made + 1 => return Err("commitment-young"),
                    Some(_) => {}
                }
                self.commitments.remove(&(name, key));
                let offered = None;
                let record = Some(record);
                let (messaging, messaging_sequence) = (None, 0);
                self.names.insert(
                    name,
                    ModelName {
                        owner: key,
                        recovery,
                        sequence,
                        revoked: false,
                        offered,
                        record,
                        messaging,
                        messaging_sequence,
                    },
                );
                return Ok(());
            }
            _ => {}
        }
        let Some(entry) = self.names.get_mut(&name) else { return Err("name-unregistered") };
        if entry.revoked {
            return Err("name-revoked");
        }
        if sequence != entry.sequence + 1 {
            return Err("sequence");
        }
        let (owner, recovery) = (key == entry.owner, Some(key) == entry.recovery);
        match what {
            What::Update(_) | What::Transfer(_) | What::Withdraw | What::Publish(_) if !owner => {
                return Err("not-owner");
            }
            What::Renew | What::Cancel | What::Revoke if !owner && !recovery => {
                return Err("not-keyholder");
            }
            What::Recover(..) if !recovery => return Err("not-recovery"),
            What::Accept(_) => match entry.offered {
                None => return Err("transfer-missing"),
                Some((to, _)) if to != key => return Err("not-recipient"),
                Some((_, at)) if height < at + 2 => return Err("transfer-young"),
                Some(_) => {}
            },
            What::Transfer(_) if entry.offered.is_some() => return Err("transfer-pending"),
            What::Cancel if entry.offered.is_none() => return Err("transfer-missing"),
            // A lease is far longer than these histories.
            What::Renew => return Err("renew-early"),
            What::Publish(draft) => {
                entry.messaging = Some(draft.published(entry, height)?);
                entry.messaging_sequence = draft.sequence;
            }
            _ => {}
        }
        entry.sequence = sequence;
        match what {
            What::Publish(_) => {}
            What::Withdraw => entry.messaging = None,
            What::Update(record) => entry.record = Some(record),
            What::Transfer(to) => entry.offered = Some((to, height)),
            What::Accept(recovery) => {
                let of_seller = entry.clone();
                *entry = ModelName {
                    owner: key,
                    recovery,
                    offered: None,
                    record: None,
                    messaging: None,
                    ..of_seller
                };
            }
            What::Cancel => entry.offered = None,
            What::Recover(owner, recovery) => {
                *entry =
                    ModelName { owner, recovery, offered: None, messaging: None, ..entry.clone() };
            }
            _ => {
                let before = entry.clone();
                *entry = ModelName {
                    revoked: true,
                    offered: None,
                    record: None,
                    messaging: None,
                    ..before
                };
            }
        }
        Ok(())
    }
}

const KEYS: u64 = 4;
const NAMES: u64 = 6;

/// Keys and names by the model's numbers, which begin at 0.
fn key(number: u8) -> SecretKey {
    common::key(number + 1)
}

fn name(number: u8) -> Name {
    common::name(&format!("some-name-{number}"))
}

fn random_attempt(random: &mut Random, model: &Model) -> Attempt {
    let key = |random: &mut Random| random.below(KEYS) as u8;
    let maybe = |random: &mut Random| (random.below(3) > 0).then(|| random.below(KEYS) as u8);
    let name = random.below(NAMES) as u8;
    let what = match random.below(22) {
        0..=2 => What::Commit,
        3..=5 => What::Register(maybe(random), random.below(250) as u8),
        6..=7 => What::Update(random.below(250) as u8),
        8 => What::Renew,
        9..=10 => What::Transfer(key(random)),
        11..=12 => What::Accept(maybe(random)),
        13 => What::Cancel,
        14 => What::Recover(key(random), maybe(random)),
        15 if random.below(6) == 0 => What::Revoke,
        15 => What::Commit,
        16 => What::Withdraw,
        _ => What::Publish(Draft::random(random, model.names.get(&name))),
    };
    let next = model.names.get(&name).map_or(0, |entry| entry.sequence + 1);
    // Mostly the next one.
    let sequence = if random.below(12) == 0 { next + 1 } else { next };
    // Records are published by owners, mostly.
    let owner = model.names.get(&name).map(|entry| entry.owner);
    let owner = owner.filter(|_| matches!(what, What::Publish(_)) && random.below(4) > 0);
    Attempt { name, key: owner.unwrap_or(key(random)), sequence, what }
}

struct Player(Miner);

impl Player {
    fn operation(&mut self, attempt: Attempt) -> Operation {
        let (name, key) = (name(attempt.name), key(attempt.key));
        let salt = key.salt(NETWORK, &name);
        let public = |number: u8| self::key(number).public();
        let action = match attempt.what {
            What::Commit => None,
            What::Register(recovery, record) => Some(Action::Register {
                recovery: recovery.map(public),
                salt,
                records: records(record),
            }),
            What::Update(record) => Some(Action::Update { records: records(record) }),
            What::Renew => Some(Action::Renew),
            What::Transfer(to) => Some(Action::Transfer { to: public(to) }),
            What::Accept(recovery) => Some(Action::Accept { recovery: recovery.map(public) }),
            What::Cancel => Some(Action::Cancel),
            What::Recover(owner, recovery) => {
                Some(Action::Recover { owner: public(owner), recovery: recovery.map(public) })
            }
            What::Revoke => Some(Action::Revoke),
            What::Withdraw => Some(Action::Publish { record: None }),
            What::Publish(draft) => {
                let (record, identity, link) =
                    (draft.record(), self::key(draft.identity), draft.link.map(self::key));
                let signed =
                    SignedMessagingRecord::sign(NETWORK, &name, record, &identity, link.as_ref());
                Some(Action::Publish { record: Some(Box::new(signed)) })
            }
        };
        let stamp = Stamp { anchor: Hash::ZERO, work: 1, nonce: 0 };
        let operation = match action {
            None => Operation::Commit {
                commitment: commitment(NETWORK, &name, &key.public(), &salt),
                stamp,
            },
            Some(action) => Operation::Named(SignedOperation::sign(
                NETWORK,
                name,
                attempt.sequence,
                action,
                &key,
                stamp,
            )),
        };
        self.0.stamped(operation, WORK)
    }

    /// Mines a block of a few random attempts, each of which the chain must judge as the model
    /// does.
    fn mine(
        &mut self,
        model: &mut Model,
        random: &mut Random,
        judged: &mut BTreeMap<&'static str, u32>,
    ) -> Block {
        let height = self.0.chain.tip_header().height + 1;
        let mut taken: Vec<Operation> = Vec::new();
        for _ in 0..random.below(5) {
            let attempt = random_attempt(random, model);
            // Only what is likely to be of interest is worth its work.
            let expected = model.attempt(attempt, height);
            let operation = self.operation(attempt);
            let before: Vec<&Operation> = taken.iter().collect();
            let found = match self.0.chain.try_operation(&before, &operation) {
                Ok(()) => Ok(()),
                Err(ApplyError::Rule(violation)) => Err(violation.id()),
                Err(ApplyError::State(error)) => panic!("{error}"),
            };
            assert_eq!(found, expected, "{attempt:?} at height {height} in {model:?}");
            *judged.entry(found.err().unwrap_or("fine")).or_default() += 1;
            if found.is_ok() {
                taken.push(operation);
            }
        }
        self.0.mine(&taken)
    }

    /// The chain's state is the model's, and so is what a reopened one reads.
    fn agrees(&self, model: &Model) {
        let reopened = Chain::open(NETWORK, self.0.storage.clone()).unwrap();
        assert_eq!(reopened.tip_id(), self.0.chain.tip_id());
        let snapshot = self.0.chain.snapshot_at(self.0.chain.tip_header().height).unwrap();
        for number in 0..NAMES as u8 {
            let found = snapshot.entry(&name(number)).unwrap().map(|entry| {
                let number_of = |public| {
                    (0..KEYS as u8).find(|number| key(*number).public() == public).unwrap()
                };
                ModelName {
                    owner: number_of(entry.owner),
                    recovery: entry.recovery.map(number_of),
                    sequence: entry.sequence,
                    revoked: entry.revoked,
                    offered: entry
                        .transfer
                        .map(|transfer| (number_of(transfer.to), transfer.height)),
                    record: entry.records.records().first().map(|record| record.rdata[3]),
                    messaging: entry.messaging.map(|entry| ModelMessaging {
                        hash: entry.record.hash(NETWORK),
                        identity: number_of(entry.record.identity),
                        next: (0..KEYS as u8).find(|number| {
                            next_key_hash(NETWORK, &key(*number).public()) == entry.record.next
                        }),
                        linked: entry.linked,
                        height: entry.height,
                    }),
                    messaging_sequence: entry.messaging_sequence,
                }
            });
            assert_eq!(found.as_ref(), model.names.get(&number), "name {number}");
            for key_number in 0..KEYS as u8 {
                let key = key(key_number);
                let salt = key.salt(NETWORK, &name(number));
                let commitment = commitment(NETWORK, &name(number), &key.public(), &salt);
                let height = snapshot.commitment(&commitment).unwrap().map(|entry| entry.height);
                assert_eq!(height, model.commitments.get(&(number, key_number)).copied());
            }
        }
    }
}

#[test]
fn the_chain_behaves_as_its_model() {
    let rounds = number_from_env("NAMECHAIN_ROUNDS", 60);
    let first_seed = number_from_env("NAMECHAIN_SEED", 1);
    let mut judged = BTreeMap::new();
    for seed in first_seed..first_seed + 3 {
        println!("seed {seed}, {rounds} rounds");
        history(&mut Random(seed), rounds, &mut judged);
    }
    println!("judgements: {judged:?}");
    assert!(judged.len() > 16, "most rules are met: {judged:?}");
}

fn history(random: &mut Random, rounds: u64, judged: &mut BTreeMap<&'static str, u32>) {
    let mut miners = [Player(Miner::new()), Player(Miner::new())];
    let mut witness = Player(Miner::new());
    let mut model = Model::default();
    let mut tips: Vec<Hash> = Vec::new();
    for _ in 0..rounds {
        let shorter = random.below(4);
        let counts =
            if random.below(2) == 0 { [shorter, shorter + 1] } else { [shorter + 1, shorter] };
        let mut branches = Vec::new();
        for (miner, count) in miners.iter_mut().zip(counts) {
            let mut own = model.clone();
            let blocks: Vec<Block> =
                (0..count).map(|_| miner.mine(&mut own, random, judged)).collect();
            branches.push((own, blocks));
        }
        for block in branches.iter().flat_map(|(_, blocks)| blocks) {
            witness.0.chain.accept(block, NOW, true).unwrap();
        }
        for (miner, (_, theirs)) in miners.iter_mut().zip(branches.iter().rev()) {
            for block in theirs {
                miner.0.chain.accept(block, NOW, true).unwrap();
            }
        }
        let winner = if counts[0] > counts[1] { 0 } else { 1 };
        model = branches.swap_remove(winner).0;
        tips.push(witness.0.chain.tip_id());
        assert!(miners.iter().all(|miner| miner.0.chain.tip_id() == witness.0.chain.tip_id()));
    }
    for miner in miners.iter().chain([&witness]) {
        miner.agrees(&model);
    }
    let height = witness.0.chain.tip_header().height;
    assert!(u64::from(height) >= rounds && tips.len() as u64 == rounds);
}
