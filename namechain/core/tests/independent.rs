//! A verifier that knows only `docs/protocol.md`, in another language, agrees with this code: on
//! every vector in `testdata/`, and on chains made here of random operations, most of them refused.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use namechain_core::{
    chain::{Accepted, Chain, MemoryStorage},
    codec::Encode,
    consensus::{block::check_operation_alone, price, state::ApplyError, work::PowHasher},
    miner::search_nonce,
    types::{
        Action, Hash, Locators, MessagingPolicy, MessagingRecord, Name, NameEntry, Network,
        Operation, Record, RecordSet, SecretKey, SignedMessagingRecord, SignedOperation, Stamp,
        commitment, next_key_hash,
    },
};
use serde_json::json;

const NETWORK: Network = Network::Dev;
const NOW: u64 = 1_800_000_000;
/// Enough for every rule of operations to be broken and kept many times.
const BLOCKS_WITH_OPERATIONS: usize = 60;
const OFFERED_A_BLOCK: usize = 16;
/// Commitments lapse after 720.
const EMPTY_BLOCKS: usize = 721;

fn testdata() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata")
}

/// A Python that can run the verifier. `None`, said in a line, where there is none and none is
/// demanded.
fn python() -> Option<&'static str> {
    let can = |python: &&str| {
        Command::new(python)
            .args(["-c", "import argon2.low_level"])
            .output()
            .is_ok_and(|o| o.status.success())
    };
    // The system's comes with Debian's python3-argon2, whichever other is found first.
    let found = ["python3", "/usr/bin/python3"].into_iter().find(can);
    if found.is_none() {
        let missing = "no python3 with argon2-cffi (Debian: python3-argon2)";
        assert!(env::var_os("NAMECHAIN_REQUIRE_TOOLS").is_none_or(|v| v != "1"), "{missing}");
        println!("skipped: {missing}");
    }
    found
}

/// Runs the verifier: whether it was content, how many checks passed, and all that it said.
fn verify(python: &str, arguments: &[&Path]) -> (bool, u64, String) {
    let mut command = Command::new(python);
    command.arg(testdata().join("verifier/verify.py"));
    if let [_] = arguments
        && arguments[0].is_file()
    {
        command.arg("--story");
    }
    let output = command.args(arguments).output().unwrap();
    let said =
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    let passed = said.lines().find_map(|line| line.split_once(" passed, ")?.0.parse().ok());
    (output.status.success(), passed.unwrap_or(0), said)
}

#[test]
fn every_vector_is_judged_alike() {
    let Some(python) = python() else { return };
    let (content, passed, said) = verify(python, &[]);
    println!("{said}");
    assert!(content, "{said}");
    assert!(passed >= 6_600, "only {passed} checks: {said}");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_changed_vector_is_noticed() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    for part in ["testdata/wire", "testdata/consensus", "testdata/ed25519", "docs"] {
        copy(&testdata().join("..").join(part), &dir.path().join(part));
    }
    let file = dir.path().join("testdata/consensus/signature.json");
    let text = fs::read_to_string(&file).unwrap();
    // What is refused for its signature is said to be refused for its sequence number.
    fs::write(&file, text.replace("\"rule\": \"signature\"", "\"rule\": \"sequence\"")).unwrap();
    let (content, _, said) = verify(python, &[&dir.path().join("testdata")]);
    assert!(!content, "{said}");
    assert!(
        said.contains("FAILED sequence: the refused: got signature, wanted sequence"),
        "{said}"
    );
    assert!(said.contains(" passed, 1 failed"), "{said}");
}

/// A chain that grows, and the story of it.
struct Teller {
    chain: Chain,
    worker: PowHasher,
    random: u64,
    story: String,
    /// How often each rule was named.
    verdicts: BTreeMap<&'static str, usize>,
}

impl Teller {
    fn new(seed: u64) -> Self {
        let chain = Chain::open(NETWORK, Arc::new(MemoryStorage::default())).unwrap();
        let worker = PowHasher::new(NETWORK);
        Teller { chain, worker, random: seed, story: String::new(), verdicts: BTreeMap::new() }
    }

    /// A number below `end` (xorshift).
    fn below(&mut self, end: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % end
    }

    fn key(&mut self) -> SecretKey {
        SecretKey::from_seed(&[1 + self.below(3) as u8; 32])
    }

    fn name(&mut self) -> Name {
        Name::parse(&match self.below(40) {
            0 => "com".into(),
            1 => "alice".into(),
            number => format!("name-{}", number % 16),
        })
        .unwrap()
    }

    fn records(&mut self) -> RecordSet {
        let rdata = vec![192, 0, 2, self.below(200) as u8];
        RecordSet::new(vec![Record { owner: vec![0], rtype: 1, ttl: 300, rdata }]).unwrap()
    }

    fn action(&mut self, signer: &SecretKey, name: &Name, entry: Option<&NameEntry>) -> Action {
        let (other, recovery) = (self.key().public(), Some(self.key().public()));
        match self.below(44) {
            0..6 => Action::Register {
                recovery,
                salt: signer.salt(NETWORK, name),
                records: self.records(),
            },
            6..10 => Action::Update { records: self.records() },
            10 => Action::Renew,
            11..14 => Action::Transfer { to: other },
            14..18 => Action::Accept { recovery },
            18 | 19 => Action::Cancel,
            20..23 => Action::Recover { owner: other, recovery },
            23 => Action::Revoke,
            24 => Action::Publish { record: None },
            _ => Action::Publish { record: Some(Box::new(self.messaging(name, entry))) },
        }
    }

    /// A messaging record that follows the one that stands, but for a small error now and then.
    fn messaging(&mut self, name: &Name, entry: Option<&NameEntry>) -> SignedMessagingRecord {
        let name_status = entry.and_then(|entry| entry.messaging.as_ref());
        let before =
            name_status.filter(|_| self.below(8) > 0).map(|entry| entry.record.hash(NETWORK));
        let (identity, next, link) = (self.key(), self.key().public(), self.key());
        let record = MessagingRecord {
            sequence: entry.map_or(0, |entry| entry.messaging_sequence)
                + u32::from(self.below(10) > 0),
            previous: before.unwrap_or_default(),
            identity: if self.below(12) == 0 { next } else { identity.public() },
            next: if self.below(4) == 0 { Hash::ZERO } else { next_key_hash(NETWORK, &next) },
            x25519: [self.below(200) as u8; 32],
            bundle: Hash([self.below(2) as u8; 32]),
            locators: Locators::new(vec!["https://a.example".into(); self.below(4) as usize])
                .unwrap(),
            policy: MessagingPolicy { x25519_alone: self.below(2) == 0 },
        };
        let link = (self.below(2) == 0).then_some(&link);
        let mut signed = SignedMessagingRecord::sign(NETWORK, name, record, &identity, link);
        if let Some(link) = &mut signed.link
            && self.below(12) == 0
        {
            link.signature.0[40] ^= 1;
        }
        signed
    }

    /// An operation that somebody might send: right in most of its parts.
    fn operation(&mut self) -> Operation {
        let (params, price) = (NETWORK.params(), self.chain.tip_header().price);
        let (signer, name) = (self.key(), self.name());
        let mut stamp = Stamp { anchor: self.chain.tip_id(), work: 1, nonce: 0 };
        let operation = if self.below(3) == 0 {
            stamp.work = price::registration(params, &name, price).min(600);
            let commitment =
                commitment(NETWORK, &name, &signer.public(), &signer.salt(NETWORK, &name));
            Operation::Commit { commitment, stamp }
        } else {
            let tip = self.chain.tip_header().height;
            let entry = self.chain.snapshot_at(tip).unwrap().entry(&name).unwrap();
            let next = entry.as_ref().map_or(0, |entry| entry.sequence + 1);
            let sequence = if self.below(20) == 0 { next + 1 } else { next };
            let action = self.action(&signer, &name, entry.as_ref());
            stamp.work = match &action {
                Action::Register { records, .. } | Action::Update { records } => {
                    price::records(params, records.to_bytes().len() - 2, price)
                }
                Action::Publish { record } => price::records(
                    params,
                    record.as_ref().map_or(0, |record| record.to_bytes().len()),
                    price,
                ),
                Action::Renew => price::renewal(params, &name, price),
                Action::Transfer { .. } | Action::Accept { .. } => price::transfer(params, price),
                Action::Cancel | Action::Recover { .. } | Action::Revoke => {
                    price::rescue(params, price)
                }
            };
            Operation::Named(SignedOperation::sign(NETWORK, name, sequence, action, &signer, stamp))
        };
        self.stamped(operation)
    }

    fn stamped(&mut self, mut operation: Operation) -> Operation {
        let subject = operation.stamp_subject(NETWORK);
        let stamp = *operation.stamp();
        *operation.stamp_mut() = self.worker.search_stamp(&subject, stamp, u64::MAX).unwrap();
        operation
    }

    /// The rule for which this code refuses an operation, if it does.
    fn refusal(&mut self, operation: &Operation) -> Option<&'static str> {
        if let Err(violation) = check_operation_alone(NETWORK, operation, &mut self.worker) {
            return Some(violation.id());
        }
        match self.chain.try_operation(&[], operation) {
            Ok(()) => None,
            Err(ApplyError::Rule(violation)) => Some(violation.id()),
            Err(ApplyError::State(error)) => panic!("{error}"),
        }
    }

    /// Writes down an operation and what this code thinks of it. Which rule is named is only the
    /// protocol's business where one alone is broken: `single` says that it is so.
    fn offer(&mut self, operation: &Operation, single: bool) -> bool {
        let refused = self.refusal(operation);
        let told = refused.map_or(json!(false), |id| if single { json!(id) } else { json!(true) });
        let line = json!({ "operation": hex::encode(operation.to_bytes()), "refused": told });
        self.story += &format!("{line}\n");
        *self.verdicts.entry(refused.unwrap_or("recorded")).or_default() += 1;
        refused.is_none()
    }

    /// An operation that was fine, broken in one place.
    fn offer_broken(&mut self, operation: &Operation) {
        let mut broken = operation.clone();
        match self.below(3) {
            0 => broken.stamp_mut().anchor = Hash([9; 32]),
            1 if broken.stamp().work > 1 => broken.stamp_mut().work = 1,
            _ => {
                // One bit of the signature; a commitment has none.
                match &mut broken {
                    Operation::Named(named) => named.signature.0[40] ^= 1,
                    Operation::Commit { stamp, .. } => stamp.anchor = Hash([8; 32]),
                }
            }
        }
        let broken = self.stamped(broken);
        assert!(!self.offer(&broken, true));
    }

    fn extend(&mut self, operations: &[Operation]) {
        let mut block = self.chain.assemble_block(operations.iter(), NOW).unwrap();
        block.header = search_nonce(&mut PowHasher::new(NETWORK), block.header, |_| true).unwrap();
        assert!(matches!(self.chain.accept(&block, NOW, false).unwrap(), Accepted::Tip(_)));
        self.story += &format!("{}\n", json!({ "block": hex::encode(block.to_bytes()) }));
    }

    fn tell(&mut self, blocks: usize) {
        for _ in 0..blocks {
            let mut taken = Vec::new();
            for _ in 0..OFFERED_A_BLOCK {
                let operation = self.operation();
                if self.offer(&operation, false) {
                    self.offer_broken(&operation);
                    taken.push(operation);
                }
            }
            self.extend(&taken);
        }
    }
}

#[test]
fn random_chains_are_judged_alike() {
    let Some(python) = python() else { return };
    let mut teller = Teller::new(0x9e37_79b9_7f4a_7c15);
    teller.tell(BLOCKS_WITH_OPERATIONS);
    for _ in 0..EMPTY_BLOCKS {
        teller.extend(&[]);
    }
    // What lapsed meanwhile can be committed to again.
    teller.tell(5);
    println!("{:?}", teller.verdicts);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("story");
    fs::write(&file, &teller.story).unwrap();
    let (content, passed, said) = verify(python, &[&file]);
    println!("{said}");
    assert!(content, "{said}");
    assert_eq!(passed as usize, teller.story.lines().count());
    assert!(
        teller.verdicts["recorded"] > 50,
        "hardly anything was recorded: {:?}",
        teller.verdicts
    );
    for rule in [
        "possession",
        "link-signature",
        "messaging-sequence",
        "messaging-previous",
        "link-identity",
        "link-announced",
    ] {
        assert!(teller.verdicts.contains_key(rule), "{rule} was not met: {:?}", teller.verdicts);
    }
    assert!(teller.verdicts.len() > 20, "few rules were met: {:?}", teller.verdicts);
}
