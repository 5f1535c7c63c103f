//! A verifier that knows only `docs/protocol.md`, in another language, agrees with this code on a
//! chain made here of random operations, most of them refused, and of blocks that break a rule: on
//! every verdict, by the rule's id, and on every state root. (The vectors are judged alike in
//! `vectors`.)
//!
//! What is tried comes from the plain-map model's tests, whose model has its say too.
//! `NAMECHAIN_BLOCKS` sets how many random blocks there are (default 120), `NAMECHAIN_SEED` the
//! seed.

#[allow(dead_code, reason = "the model is used in part")]
#[path = "model/acts.rs"]
mod acts;
#[allow(dead_code, reason = "the model is used in part")]
#[path = "model/build.rs"]
mod build;
mod common;
#[path = "model/edges.rs"]
mod edges;
#[allow(dead_code, reason = "the model is used in part")]
#[path = "model/plain_map.rs"]
mod plain_map;
#[allow(dead_code, reason = "the model is used in part")]
#[path = "model/plan.rs"]
mod plan;
#[allow(dead_code, reason = "the model is used in part")]
#[path = "model/prices.rs"]
mod prices;
#[path = "common/python.rs"]
mod python;

use std::{collections::BTreeMap, fs};

use build::Scene;
use common::{Miner, NETWORK, Random, context};
use edges::block_time;
use namechain_core::{
    chain::{Accepted, ChainError},
    codec::{Decode, Encode},
    consensus::{
        RuleViolation,
        block::{check_operation_alone, check_times},
        state::ApplyError,
    },
    types::{
        Action, Block, BlockTime, Hash, Header, Operation, SigningContext, Stamp, commitment,
        ops_root,
    },
};
use plain_map::{Draft, Model};
use plan::{Act, Attempt, BlockPlan, Size, Twist, Who};
use prices::DEV;
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Value, json};

/// Enough for every rule to be broken.
const BLOCKS: u64 = 120;

/// A chain that grows, and the story of it.
struct Teller {
    miner: Miner,
    model: Model,
    random: Random,
    plans: TestRunner,
    story: String,
    /// How often each rule was named.
    verdicts: BTreeMap<&'static str, u32>,
}

impl Teller {
    fn new(seed: u64) -> Self {
        let mut bytes = [7; 16];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let random = TestRng::from_seed(RngAlgorithm::XorShift, &bytes);
        let miner = Miner::new();
        let genesis = (miner.chain.tip_id(), miner.chain.tip_header().time);
        Teller {
            model: Model::new(NETWORK, &DEV, genesis.0, genesis.1),
            miner,
            random: Random(seed),
            plans: TestRunner::new_with_rng(Config::default(), random),
            story: String::new(),
            verdicts: BTreeMap::new(),
        }
    }

    fn tell(&mut self, line: &Value, verdict: &'static str) {
        self.story += &format!("{line}\n");
        *self.verdicts.entry(verdict).or_default() += 1;
    }

    fn worked(&mut self, mut operation: Operation) -> Operation {
        let subject = operation.stamp_subject(NETWORK);
        let stamp = Stamp { nonce: 0, ..*operation.stamp() };
        *operation.stamp_mut() = self.miner.worker.search_stamp(&subject, stamp, u64::MAX).unwrap();
        operation
    }

    /// The rule for which this code refuses an operation in the next block after those that it
    /// records already, in the order of the page.
    fn refusal(&mut self, bytes: &[u8], taken: &[Operation], time: u64) -> Option<&'static str> {
        let Ok(operation) = Operation::from_bytes(bytes) else { return Some("encoding") };
        let chain = &self.miner.chain;
        let now = BlockTime { height: chain.tip_header().height + 1, time };
        let anchor = chain.anchor(&operation.stamp().anchor);
        let alone =
            |hasher| check_operation_alone(NETWORK.params(), &context(), &operation, hasher);
        let judged = check_times(&operation, anchor, now).map(|_| ());
        if let Err(violation) = judged.and_then(|()| alone(&mut self.miner.worker)) {
            return Some(violation.id());
        }
        let before: Vec<&Operation> = taken.iter().collect();
        match self.miner.chain.try_operation(&before, &operation, time) {
            Ok(()) => None,
            Err(ApplyError::Rule(violation)) => Some(violation.id()),
            Err(ApplyError::State(error)) => panic!("{error}"),
        }
    }

    /// Writes down an operation and what this code thinks of it.
    fn offer(&mut self, bytes: &[u8], taken: &[Operation], time: u64) -> Option<&'static str> {
        let refused = self.refusal(bytes, taken, time);
        let told = refused.map_or(json!(false), |id| json!(id));
        let line = json!({ "operation": hex::encode(bytes), "time": time, "refused": told });
        self.tell(&line, refused.unwrap_or("recorded"));
        refused
    }

    /// A block of random operations; those that it can record, others in its place that break a
    /// rule, then itself.
    fn tell_block(&mut self) {
        let plans = [(); 4].map(|()| plan::blocks().new_tree(&mut self.plans).unwrap().current());
        let plan = plans[0].clone();
        let time = block_time(&self.model, plan.step);
        let model = self.model.clone();
        let mut draft = model.draft(1, time);
        let mut taken = Vec::new();
        for attempt in plans.iter().flat_map(|plan| &plan.attempts) {
            self.try_attempt(attempt, &mut draft, &mut taken);
        }
        let block = self.next_block(&taken, time);
        let (one, other) = (self.break_block(&block), self.break_block(&block));
        self.tell_bad_block(&one);
        if other != one {
            self.tell_bad_block(&other);
        }
        if let Some(bad) = self.spoil_block(&plan, &block, &draft) {
            self.tell_bad_block(&bad);
        }
        self.connect(block, draft);
    }

    /// Tries an operation whole, then with one thing broken if it is fine.
    fn try_attempt(
        &mut self,
        attempt: &Attempt,
        draft: &mut Draft<'_>,
        taken: &mut Vec<Operation>,
    ) {
        let (time, operation) = (draft.now.time, self.build(attempt, draft));
        if self.random.below(2) == 0 {
            let broken = self.break_operation(&operation);
            if self.refusal(&broken, taken, time).is_some() {
                self.offer(&broken, taken, time);
            }
        }
        let refused = self.offer(&operation.to_bytes(), taken, time);
        // The model doesn't look at what an operation is by itself.
        if refused != Some("name-reserved") {
            assert_eq!(draft.apply(&operation).err(), refused, "{operation:?}");
        }
        if refused.is_none() {
            taken.push(operation);
        }
    }

    fn build(&mut self, attempt: &Attempt, draft: &Draft<'_>) -> Operation {
        let mut attempt = attempt.clone();
        // Shorter names cost too much to be worked here.
        attempt.name = attempt.name.min(3);
        let elsewhere = Hash([9; 32]);
        let places = &self.model.places;
        let scene = Scene { network: NETWORK, block: draft, places, elsewhere, signs: true };
        let operation = scene.build(&attempt);
        self.worked(operation)
    }

    /// An operation with one thing broken: a byte of the encoding, a signature, the branch that it
    /// was signed for, its work.
    fn break_operation(&mut self, operation: &Operation) -> Vec<u8> {
        let mut broken = operation.clone();
        let kind = self.random.below(6);
        match (&mut broken, kind) {
            (Operation::Named(named), 0) => named.signature.0[40] ^= 1,
            (Operation::Named(named), 1) => {
                let signing = SigningContext { branch: 3, ..context() };
                let key = (1..=plan::KEYS).map(common::key).find(|k| k.public() == named.signer);
                named.signature = key.unwrap().sign(&named.signing_message(&signing));
            }
            (Operation::Named(named), 2 | 3) => {
                if let Action::Publish { record: Some(signed), .. } = &mut named.action {
                    match &mut signed.link {
                        Some(link) => link.signature.0[40] ^= 1,
                        _ => signed.possession.0[40] ^= 1,
                    }
                    let key =
                        (1..=plan::KEYS).map(common::key).find(|k| k.public() == named.signer);
                    named.signature = key.unwrap().sign(&named.signing_message(&context()));
                } else {
                    named.signature.0[63] |= 0xf0;
                }
            }
            (_, 4) => {
                broken.stamp_mut().nonce ^= 1 << 40;
                return broken.to_bytes();
            }
            _ => {
                let mut bytes = broken.to_bytes();
                let at = self.random.below(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << self.random.below(8);
                return bytes;
            }
        }
        self.worked(broken).to_bytes()
    }

    fn next_block(&mut self, operations: &[Operation], time: u64) -> Block {
        let block = self.miner.chain.assemble_block(operations.iter(), time).unwrap();
        assert_eq!(block.operations, operations);
        self.miner.work(block)
    }

    /// A block with one field of its header changed.
    fn break_block(&mut self, block: &Block) -> Block {
        let mut block = block.clone();
        let parent = self.miner.chain.tip_header().clone();
        let header = &mut block.header;
        match self.random.below(11) {
            0 => header.height += 1,
            1 => header.time = parent.time - 1,
            2 => header.due += 1,
            3 => header.history_root.0[0] ^= 1,
            4 => header.ops_root.0[0] ^= 1,
            5 => header.state_root.0[31] ^= 1,
            6 => header.name_price += 1,
            7 => header.byte_price -= 1,
            8 => header.version = 1,
            9 => header.version = 3,
            _ => {
                block.header = self.without_work(block.header);
                return block;
            }
        }
        self.miner.work(block)
    }

    fn without_work(&mut self, mut header: Header) -> Header {
        while self.miner.worker.has_header_work(&header) {
            header.nonce += 1;
        }
        header
    }

    /// The block with an operation more, which it must not record.
    fn spoil_block(&mut self, plan: &BlockPlan, block: &Block, draft: &Draft<'_>) -> Option<Block> {
        let operation = self.build(plan.spoil.as_ref()?, draft);
        draft.clone().apply(&operation).err()?;
        let mut operations = block.operations.clone();
        operations.push(operation);
        Some(self.with_operations(block, operations))
    }

    /// The block with other operations, and all else as it was.
    fn with_operations(&mut self, block: &Block, operations: Vec<Operation>) -> Block {
        let mut block = Block { header: block.header.clone(), operations };
        block.header.ops_root = ops_root(NETWORK, &block.operations);
        self.miner.work(block)
    }

    fn tell_bad_block(&mut self, block: &Block) {
        let (verdict, told) = match self.miner.refuses(block) {
            ChainError::Rule { violation, .. } => {
                (violation.id(), json!({ "refused": violation.id() }))
            }
            ChainError::UpgradeNeeded(_) => ("upgrade needed", json!({ "upgrade_needed": true })),
            other => panic!("{other:?}"),
        };
        let mut line = json!({ "block": hex::encode(block.to_bytes()) });
        line.as_object_mut().unwrap().append(&mut told.as_object().unwrap().clone());
        self.tell(&line, verdict);
    }

    fn connect(&mut self, block: Block, draft: Draft<'_>) {
        assert!(matches!(self.miner.accept(&block), Accepted::Tip(_)));
        self.model.places.push(draft.place(self.miner.chain.tip_id()));
        let line = json!({ "block": hex::encode(block.to_bytes()), "accepted": true });
        self.tell(&line, "accepted");
    }

    /// A block of these attempts, all of which can be recorded.
    fn record(&mut self, attempts: &[Attempt], seconds: u64) {
        let model = self.model.clone();
        let time = model.tip().time + seconds;
        let mut draft = model.draft(1, time);
        let mut taken = Vec::new();
        attempts.iter().for_each(|attempt| self.try_attempt(attempt, &mut draft, &mut taken));
        assert_eq!(taken.len(), attempts.len());
        let block = self.next_block(&taken, time);
        self.connect(block, draft);
    }

    /// A name that is reserved can be committed to, as nobody sees which it is.
    fn tell_reserved(&mut self) {
        let (name, key) = (common::name("localhost"), common::key(1));
        let salt = key.salt(NETWORK, &name);
        let commitment = commitment(NETWORK, &name, &key.public(), &salt);
        let stamp = Stamp { anchor: self.miner.chain.tip_id(), work: 64, nonce: 0 };
        let commit = self.worked(Operation::Commit { commitment, stamp });
        let model = self.model.clone();
        let time = model.tip().time + 1;
        let mut draft = model.draft(1, time);
        draft.apply(&commit).unwrap();
        assert_eq!(self.offer(&commit.to_bytes(), &[], time), None);
        let block = self.next_block(std::slice::from_ref(&commit), time);
        self.connect(block, draft);
        self.miner.now = time + 1;
        let register = self.miner.register_by(&name, &key, 1, commit.id(NETWORK));
        assert_eq!(self.offer(&register.to_bytes(), &[], time + 1), Some("name-reserved"));
    }

    /// Blocks that are too full in each of the three ways.
    fn tell_full_blocks(&mut self) {
        let attempt = |act| Attempt { name: 0, who: Who::Right, act, twist: Twist::None };
        // Whatever was registered before is over.
        self.record(&[], DEV.lease * 2 + DEV.grace);
        self.record(&[attempt(Act::Commit(0))], 1);
        self.record(&[attempt(Act::Register { commit: Some(0), recovery: None })], 1);
        let model = self.model.clone();
        let time = model.tip().time + 1;
        let mut draft = model.draft(1, time);
        let (mut updates, mut share) = (Vec::new(), None);
        while share.is_none() {
            let update = self.build(&attempt(Act::Update(Size::Bytes(4_096))), &draft);
            share = draft.apply(&update).err();
            updates.push(update);
        }
        assert_eq!(share, Some("block-share"));
        let last = updates.pop().unwrap();
        let block = self.next_block(&updates, time);
        updates.push(last);
        let over_share = self.with_operations(&block, updates.clone());
        updates.extend(updates.clone());
        let over_size = self.with_operations(&block, updates);
        let commit = self.build(&attempt(Act::Commit(0)), &draft);
        let over_commits = self.with_operations(&block, vec![commit; 41]);
        for bad in [over_share, over_size, over_commits] {
            self.tell_bad_block(&bad);
        }
        self.connect(block, draft);
    }

    /// Anchors of 720 and 721 blocks below.
    fn tell_old_anchors(&mut self) {
        let anchor = self.miner.chain.tip_id();
        let height = self.model.tip().height;
        while self.model.tip().height < height + 719 {
            self.record(&[], 1);
        }
        let time = self.model.tip().time + 1;
        let commitment = Hash([3; 32]);
        let stamp = Stamp { anchor, work: 64, nonce: 0 };
        let commit = self.worked(Operation::Commit { commitment, stamp });
        assert_eq!(self.offer(&commit.to_bytes(), &[], time), None);
        let model = self.model.clone();
        let mut draft = model.draft(1, time);
        draft.apply(&commit).unwrap();
        let block = self.next_block(&[commit], time);
        self.connect(block, draft);
        let commitment = Hash([4; 32]);
        let late = self.worked(Operation::Commit { commitment, stamp });
        assert_eq!(self.offer(&late.to_bytes(), &[], time + 1), Some("stamp-anchor"));
        self.record(&[], 1);
    }
}

#[test]
fn random_chains_are_judged_alike() {
    let Some(python) = python::python() else { return };
    let seed = common::number_from_env("NAMECHAIN_SEED", 1);
    let mut teller = Teller::new(seed);
    for _ in 0..common::number_from_env("NAMECHAIN_BLOCKS", BLOCKS) {
        teller.tell_block();
    }
    teller.tell_reserved();
    teller.tell_full_blocks();
    teller.tell_old_anchors();
    println!("{:?}", teller.verdicts);
    let (agrees, passed, said) = judge(python, &teller.story);
    println!("{said}");
    assert!(agrees, "{said}");
    assert_eq!(passed as usize, teller.story.lines().count());
    let met = |rule: &&&str| !teller.verdicts.contains_key(**rule);
    let missed: Vec<_> = RuleViolation::IDS.iter().filter(met).collect();
    // Another seed may miss one.
    assert!(missed.is_empty() || seed != 1, "not met: {missed:?}");
}

/// What the verifier says of a story.
fn judge(python: &str, story: &str) -> (bool, u64, String) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("story");
    fs::write(&file, story).unwrap();
    python::verify_story(python, &file)
}

#[test]
fn another_verdict_is_noticed() {
    let Some(python) = python::python() else { return };
    let mut teller = Teller::new(2);
    teller.tell_reserved();
    let told = teller.story.lines().count() as u64;
    assert_eq!(judge(python, &teller.story), (true, told, format!("{told} passed, 0 failed\n")));
    for (from, to) in [("\"name-reserved\"", "\"signature\""), ("\"name-reserved\"", "false")] {
        assert!(teller.story.contains(from));
        let (agrees, passed, said) = judge(python, &teller.story.replace(from, to));
        assert!(!agrees && passed == told - 1, "{said}");
        assert!(said.contains("got name-reserved"), "{said}");
    }
}
