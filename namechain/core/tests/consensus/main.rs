//! Each consensus rule has a vector in `testdata/consensus/`, named by the rule's id: something
//! that is refused for exactly that rule and, changed in one place, accepted.
//!
//! The files stand on their own, for readers in any language (`testdata/consensus/README.md` has
//! their form). With `NAMECHAIN_BLESS=1` this test writes them anew from `story.rs`; without, it
//! only reads them.

mod story;

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc};

use namechain_core::{
    chain::{Chain, ChainError, MemoryStorage},
    codec::Decode,
    consensus::{
        RuleViolation,
        block::check_operation_alone,
        state::{ApplyError, BlockContext, State, apply_operation},
        work::PowHasher,
    },
    types::{Block, Entry, Hash, Network, Operation},
};
use serde::{Deserialize, Serialize};

/// The clock of all block vectors, in seconds of Unix time.
const NOW: u64 = 1_800_000_000;

/// A vector.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    /// The rule's id.
    rule: String,
    /// What differs between the two, in words.
    about: String,
    network: Network,
    case: Case,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Case {
    /// Blocks from height 1 on that are accepted, and one after them. All bytes in hexadecimal.
    /// `padding` zero bytes are to be thought after the refused one.
    Block {
        before: Vec<String>,
        refused: String,
        #[serde(default, skip_serializing_if = "is_zero")]
        padding: usize,
        accepted: String,
    },
    /// Entries of the state, and an operation in a block at this height under this price
    /// multiplier.
    Operation { state: Vec<String>, height: u32, price: u32, refused: String, accepted: String },
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

fn dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/consensus")
}

/// The state in a plain map.
#[derive(Clone)]
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

/// The rule that refuses a block after the others, if any does.
fn judge_block(network: Network, before: &[String], bytes: &str) -> Result<(), RuleViolation> {
    let mut chain = Chain::open(network, Arc::new(MemoryStorage::default())).unwrap();
    let parse =
        |bytes: &str| Block::parse(&hex::decode(bytes).unwrap()).map_err(RuleViolation::from);
    for block in before {
        chain.accept(&parse(block)?, NOW, true).expect("the blocks before are accepted");
    }
    match chain.accept(&parse(bytes)?, NOW, true) {
        Ok(_) => Ok(()),
        Err(ChainError::Rule { violation, .. }) => Err(violation),
        Err(other) => panic!("neither accepted nor refused for a rule: {other}"),
    }
}

/// The rule that refuses an operation in a state, if any does.
fn judge_operation(
    network: Network,
    state: &[String],
    context: BlockContext,
    bytes: &str,
) -> Result<(), RuleViolation> {
    let operation =
        Operation::from_bytes(&hex::decode(bytes).unwrap()).map_err(RuleViolation::Encoding)?;
    let entries =
        state.iter().map(|bytes| Entry::from_bytes(&hex::decode(bytes).unwrap()).unwrap());
    let mut state = Maps(entries.map(|entry| (entry.key(network), entry)).collect());
    check_operation_alone(network, &operation, &mut PowHasher::new(network))?;
    apply_operation(network.params(), context, &operation, &mut state).map_err(|failure| {
        match failure {
            ApplyError::Rule(violation) => violation,
            ApplyError::State(never) => match never {},
        }
    })
}

#[test]
fn every_rule_has_a_vector_that_breaks_only_it() {
    if std::env::var_os("NAMECHAIN_BLESS").is_some() {
        for vector in story::vectors() {
            let text = serde_json::to_string_pretty(&vector).unwrap();
            fs::write(dir().join(format!("{}.json", vector.rule)), text + "\n").unwrap();
        }
    }
    let mut seen = Vec::new();
    for entry in fs::read_dir(dir()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let vector: Vector = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(path.file_stem().and_then(|stem| stem.to_str()), Some(&*vector.rule));
        let (refused, accepted) = match &vector.case {
            Case::Block { before, refused, padding, accepted } => {
                let refused = format!("{refused}{}", "00".repeat(*padding));
                (
                    judge_block(vector.network, before, &refused),
                    judge_block(vector.network, before, accepted),
                )
            }
            Case::Operation { state, height, price, refused, accepted } => {
                let context = BlockContext { height: *height, price: *price };
                let judge = |bytes: &str| judge_operation(vector.network, state, context, bytes);
                (judge(refused), judge(accepted))
            }
        };
        assert_eq!(
            refused.map_err(|violation| violation.id()),
            Err(&*vector.rule),
            "{}",
            vector.rule
        );
        assert_eq!(accepted, Ok(()), "{}", vector.rule);
        seen.push(vector.rule);
    }
    seen.sort();
    let mut rules = RuleViolation::IDS;
    rules.sort_unstable();
    assert_eq!(seen, rules);
}
