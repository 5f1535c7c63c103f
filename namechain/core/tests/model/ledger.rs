//! The same operations on the numbers of the network `test`, whose multipliers move: blocks that
//! nobody mines are applied to a plain map through the interface of the crate's rules.

use std::{collections::BTreeMap, convert::Infallible};

use namechain_core::{
    consensus::{
        block::{Anchor, check_times},
        context::{BlockContext, Multipliers},
        state::{ApplyError, State, Tally, remove_ended},
        status::{EntryKind, end},
    },
    types::{BlockTime, Entry, Hash, Network, Operation},
};
use proptest::{collection::vec, prelude::*};

use crate::{
    MET,
    build::Scene,
    edges::block_time,
    plain_map::{Draft, Model, Place},
    plan::{self, Act, Attempt, BlockPlan, Size, Step, Twist, Who},
    player::{Judged, is_register_of_somebodys},
    prices::TEST,
    run,
};

const NETWORK: Network = Network::Test;

/// A state in a map, as the crate's rules see one.
#[derive(Default)]
struct Ledger(BTreeMap<Hash, Entry>);

impl State for Ledger {
    type Error = Infallible;

    fn get(&self, key: &Hash) -> Result<Option<Entry>, Infallible> {
        Ok(self.0.get(key).cloned())
    }

    fn set(&mut self, key: Hash, entry: Option<Entry>) {
        match entry {
            Some(entry) => _ = self.0.insert(key, entry),
            None => _ = self.0.remove(&key),
        }
    }

    fn ended(&self, kind: EntryKind, time: u64, limit: usize) -> Result<Vec<Hash>, Infallible> {
        let params = NETWORK.params();
        let of_kind = self.0.iter().filter(|(_, entry)| EntryKind::of(entry) == kind);
        let mut ended: Vec<(u64, Hash)> =
            of_kind.map(|(key, entry)| (end(params, entry), *key)).collect();
        ended.retain(|(end, _)| *end <= time);
        ended.sort_unstable();
        Ok(ended.into_iter().take(limit).map(|(_, key)| key).collect())
    }
}

impl Ledger {
    /// The entries are the model's.
    fn agrees(&self, place: &Place) {
        let names = place.rows.names.values().cloned().map(Entry::Name);
        let commits = place.rows.commits.values().cloned().map(Entry::Commitment);
        let expected: BTreeMap<Hash, Entry> =
            names.chain(commits).map(|entry| (entry.key(NETWORK), entry)).collect();
        assert_eq!(self.0, expected, "at height {}", place.height);
    }
}

/// A block of a plan, and what fills it besides.
#[derive(Clone, Debug)]
struct LedgerBlock {
    plan: BlockPlan,
    /// How many Commits of strangers it has.
    rush: u32,
    /// How many Updates of the most bytes it has.
    large: u32,
    /// The multipliers before it, if they are not what the parent left.
    prices: Option<(u32, u32)>,
}

fn ledger_blocks() -> impl Strategy<Value = LedgerBlock> {
    let rush = prop_oneof![9 => Just(0u32), 1 => 15u32..41];
    let price = || prop_oneof![1_024u32..4_096, 1_024u32..=1 << 31, Just(1_024), Just(1 << 31)];
    let prices = proptest::option::weighted(0.3, (price(), price()));
    let large = prop_oneof![9 => Just(0u32), 1 => 10u32..60];
    // Beside those of every network, steps and gaps as long as the delays of this one.
    let seconds = prop::sample::select(vec![120, 599, 600, 3_599, 3_600, 86_399, 86_400]);
    let step = proptest::option::weighted(0.5, seconds.prop_map(Step::Seconds));
    let gap = prop::sample::select(vec![0u32, 9, 29, 30, 58, 59, 719]);
    let gap = proptest::option::weighted(0.5, gap);
    (plan::blocks(), step, gap, rush, large, prices).prop_map(
        |(mut plan, step, gap, rush, large, prices)| {
            plan.step = step.unwrap_or(plan.step);
            plan.gap = gap.unwrap_or(plan.gap);
            LedgerBlock { plan, rush, large, prices }
        },
    )
}

#[test]
fn prices_and_long_times_are_the_models() {
    let judged = run(400, vec(ledger_blocks(), 1..40), |blocks, judged| live(blocks, judged));
    assert!(judged.contains_key("block-share") || judged.len() < MET.len(), "no block was full");
}

fn live(blocks: &[LedgerBlock], judged: &mut Judged) {
    let genesis = Hash([1; 32]);
    let mut model = Model::new(NETWORK, &TEST, genesis, NETWORK.params().genesis_time);
    let mut ledger = Ledger::default();
    for (number, block) in blocks.iter().enumerate() {
        let time = block_time(&model, block.plan.step);
        if let Some(prices) = block.prices {
            let tip = model.places.last_mut().expect("there is a genesis block");
            tip.prices = prices;
        }
        let place = apply(&model, &mut ledger, block, time, judged).place(id(number as u64));
        ledger.agrees(&place);
        model.places.push(place);
    }
}

fn id(number: u64) -> Hash {
    let mut bytes = [2; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Hash(bytes)
}

fn apply<'a>(
    model: &'a Model,
    ledger: &mut Ledger,
    block: &LedgerBlock,
    time: u64,
    judged: &mut Judged,
) -> Draft<'a> {
    let mut draft = model.draft(1 + block.plan.gap, time);
    let tip = model.tip();
    let now = BlockTime { height: draft.now.height, time };
    let price = Multipliers { names: tip.prices.0, bytes: tip.prices.1 };
    let context = BlockContext { now, parent_time: tip.time, price };
    remove_ended(now, ledger).unwrap_or_else(|never| match never {});
    let mut tally = Tally::default();
    let mut index = 0;
    let mut record = |draft: &mut Draft<'a>, op: &Operation| {
        let is_displacing = is_register_of_somebodys(draft, op);
        let expected = draft.apply(op);
        let anchor = model.places.iter().find(|place| place.id == op.stamp().anchor);
        let anchor = anchor.map(|place| Anchor {
            at: BlockTime { height: place.height, time: place.time },
            name_price: place.prices.0,
        });
        let found = check_times(op, anchor, now)
            .map_err(ApplyError::Rule)
            .and_then(|anchor| tally.apply(NETWORK.params(), context, op, index, anchor, ledger));
        let found = found.map_err(|error| match error {
            ApplyError::Rule(violation) => violation.id(),
            ApplyError::State(never) => match never {},
        });
        assert_eq!(found, expected, "at {now:?}: {op:?}");
        index += u32::from(found.is_ok());
        *judged.entry(found.err().unwrap_or(op.label())).or_default() += 1;
        if found.is_ok() && is_displacing {
            *judged.entry("a name displaced").or_default() += 1;
        }
    };
    for number in 0..block.rush {
        let op = stranger(&draft, block, number);
        record(&mut draft, &op);
    }
    let (act, twist) = (Act::Update(Size::Bytes(4_096)), Twist::None);
    let large = Attempt { name: 0, who: Who::Right, act, twist };
    let large = std::iter::repeat_n(&large, block.large as usize);
    for attempt in large.chain(&block.plan.attempts) {
        let op = scene(model, &draft).build(attempt);
        record(&mut draft, &op);
    }
    let found = tally.multipliers(NETWORK.params(), context);
    assert_eq!((found.names, found.bytes), draft.prices(), "at {now:?}");
    draft
}

fn scene<'a>(model: &'a Model, draft: &'a Draft<'a>) -> Scene<'a> {
    let elsewhere = Hash([9; 32]);
    Scene { network: NETWORK, block: draft, places: &model.places, elsewhere, signs: false }
}

/// A Commit of somebody whom nobody knows.
fn stranger(draft: &Draft<'_>, block: &LedgerBlock, number: u32) -> Operation {
    let (act, twist) = (Act::Commit(0), Twist::None);
    let attempt = Attempt { name: 0, who: Who::Right, act, twist };
    let model = draft.model();
    let mut op = scene(model, draft).build(&attempt);
    if let Operation::Commit { commitment, .. } = &mut op {
        commitment.0[..4].copy_from_slice(&(number + block.rush * 100).to_be_bytes());
        commitment.0[4..12].copy_from_slice(&draft.now.time.to_be_bytes());
    }
    op
}
