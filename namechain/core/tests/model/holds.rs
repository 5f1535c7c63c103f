//! Which chain is followed and which is held back (docs/protocol.md, sections 9.1 and 9.2):
//! branches of empty blocks that come when they will, against a model that knows nothing of them
//! but their number and their times. On `dev` every block has the same work.

use std::{cell::RefCell, collections::BTreeMap, sync::Arc};

use namechain_core::{
    chain::{Chain, MemoryStorage},
    types::{Block, Hash},
};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use crate::common::{self, Miner, NETWORK};

const DAY_S: u64 = 86_400;
const HOUR_S: u64 = 3_600;
/// The most that one look at a held chain counts.
const STEP_S: u64 = 60;
/// The height of the block that all branches stand on. The first two share the next one, too.
const FORK: u32 = 1;
const BRANCHES: usize = 3;

/// When a block is dated.
#[derive(Clone, Copy, Debug)]
enum Date {
    /// So long after its parent.
    Gap(u64),
    /// So long before the clock, if its parent is not younger.
    Ago(u64),
}

#[derive(Clone, Debug)]
enum Event {
    /// So many blocks of a branch, each heard of so long after it could be at the earliest.
    Blocks {
        branch: usize,
        count: u8,
        date: Date,
        late_s: u64,
    },
    /// Time passes, and the held chain is looked at now and then.
    Pass(u64),
    /// The clock jumps.
    Jump(u64),
    Restart,
}

fn dates() -> impl Strategy<Value = Date> {
    const GAPS: [u64; 7] = [0, 1, 600, 7_200, 43_200, DAY_S, DAY_S + 1];
    const AGO: [u64; 3] = [0, HOUR_S, HOUR_S + 1];
    prop_oneof![
        3 => proptest::sample::select(&GAPS[..]).prop_map(Date::Gap),
        2 => proptest::sample::select(&AGO[..]).prop_map(Date::Ago),
    ]
}

fn events() -> impl Strategy<Value = Event> {
    let late = prop_oneof![14 => Just(0), 1 => Just(HOUR_S), 1 => Just(HOUR_S + 1)];
    let branch = 0..BRANCHES;
    prop_oneof![
        6 => (branch, 1..9u8, dates(), late).prop_map(|(branch, count, date, late_s)| {
            Event::Blocks { branch, count, date, late_s }
        }),
        4 => (1..300_000u64).prop_map(Event::Pass),
        1 => (1..2_000_000u64).prop_map(Event::Jump),
        1 => Just(Event::Restart),
    ]
}

/// A history begins with days that were followed live.
fn histories() -> impl Strategy<Value = Vec<Event>> {
    let begin = (3..9u8).prop_map(|count| {
        vec![Event::Blocks { branch: 0, count, date: Date::Gap(DAY_S / 2), late_s: 0 }]
    });
    (begin, vec(events(), 4..30)).prop_map(|(begin, more)| [begin, more].concat())
}

/// A branch that is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    branch: usize,
    /// How many blocks it has above the fork.
    blocks: usize,
    seconds: u64,
    led: u64,
}

#[derive(Default)]
struct Model {
    /// The times of the blocks of each branch.
    branches: [Vec<u64>; BRANCHES],
    on: usize,
    /// From this height on the followed chain was followed live; `None`: nothing of it.
    live_from: Option<u32>,
    held: Option<Held>,
    /// When the held chain was looked at last.
    looked: Option<u64>,
    /// How often each thing happened.
    met: BTreeMap<&'static str, u32>,
}

impl Model {
    fn own(&self) -> &[u64] {
        &self.branches[self.on]
    }

    /// How many blocks above the fork two branches have in common.
    fn common(&self, one: usize, other: usize) -> usize {
        match one == other {
            true => self.branches[one].len(),
            false => usize::from(one < 2 && other < 2),
        }
    }

    /// A block has come, as the last of its branch.
    fn hear(&mut self, branch: usize, now: u64) {
        let blocks = self.branches[branch].len();
        if branch == self.on || self.own().len() == self.common(self.on, branch) {
            self.on = branch;
            self.connect(branch, blocks - 1, now);
        } else if blocks > self.own().len() {
            match self.hold_seconds(branch) {
                None => self.switch(branch, now, "followed at once"),
                Some(seconds) => self.hold(Held { branch, blocks, seconds, led: 0 }),
            }
        }
    }

    /// For how long a heavier branch is held back, if it is.
    fn hold_seconds(&self, branch: usize) -> Option<u64> {
        let first = self.live_from?.saturating_sub(FORK + 1) as usize;
        let first = first.max(self.common(self.on, branch));
        let undone = self.own().last()? - self.own().get(first)?;
        (undone > DAY_S).then(|| undone.clamp(DAY_S, 14 * DAY_S))
    }

    fn hold(&mut self, new: Held) {
        // Branches that depart from ours with the same block are one.
        let is_same = self.held.is_some_and(|held| {
            self.common(held.branch, new.branch) > self.common(self.on, new.branch)
        });
        match &mut self.held {
            Some(held) if held.blocks >= new.blocks => {}
            Some(held) if is_same => (held.branch, held.blocks) = (new.branch, new.blocks),
            held => {
                let what = if held.is_some() { "held in another's place" } else { "held" };
                *held = Some(new);
                *self.met.entry(what).or_default() += 1;
            }
        }
    }

    fn switch(&mut self, branch: usize, now: u64, what: &'static str) {
        let first = self.common(self.on, branch);
        if self.held.is_some_and(|held| held.branch != branch) {
            *self.met.entry("another followed than is held").or_default() += 1;
        }
        self.on = branch;
        self.connect(branch, first, now);
        *self.met.entry(what).or_default() += 1;
    }

    /// The blocks of the branch from the place `first` on are the followed chain's now.
    fn connect(&mut self, branch: usize, first: usize, now: u64) {
        let times = &self.branches[branch];
        let is_late = |place: &usize| times[*place] + HOUR_S < now;
        let height = |place: usize| FORK + 1 + place as u32;
        self.live_from = match (first..times.len()).rfind(is_late) {
            Some(last) => Some(height(last + 1)).filter(|_| last + 1 < times.len()),
            None => Some(self.live_from.map_or(height(first), |from| from.min(height(first)))),
        };
        if self.held.is_some_and(|held| self.common(branch, held.branch) >= held.blocks) {
            self.held = None;
        }
    }

    /// Lets time pass for the held branch.
    fn look(&mut self, now: u64) {
        let Some(held) = &mut self.held else {
            self.looked = None;
            return;
        };
        let passed = (now - self.looked.replace(now).unwrap_or(now)).min(STEP_S);
        let own = self.branches[self.on].len();
        held.led = match held.blocks >= own + 6 {
            true => held.led + passed,
            false => held.led.saturating_sub(passed),
        };
        let held = *held;
        if held.blocks <= own && held.led == 0 {
            (self.held, self.looked) = (None, None);
            *self.met.entry("given up").or_default() += 1;
        } else if held.blocks > own {
            if self.hold_seconds(held.branch).is_none() {
                self.switch(held.branch, now, "followed as nothing is live any more");
            } else if held.led >= held.seconds {
                self.switch(held.branch, now, "followed after its time");
            }
        }
    }
}

/// A node, and those who mine the branches.
struct World {
    storage: Arc<MemoryStorage>,
    chain: Chain,
    now: u64,
    miners: Vec<Miner>,
    ids: [Vec<Hash>; BRANCHES],
    model: Model,
}

impl World {
    fn new() -> Self {
        let mut trunk = Miner { step_s: 600, ..Miner::new() };
        let storage = Arc::new(MemoryStorage::default());
        let mut chain = Chain::open(NETWORK, storage.clone()).unwrap();
        let mut mine = |trunk: &mut Miner| {
            let block = trunk.mine(&[]);
            chain.accept(&block, block.header.time, true).unwrap();
            block.header
        };
        mine(&mut trunk);
        let lower = trunk.copy();
        let second = mine(&mut trunk);
        let miners = vec![trunk.copy(), trunk, lower];
        let (id, time) = (second.id(NETWORK), second.time);
        let ids = [vec![id], vec![id], vec![]];
        let branches = [vec![time], vec![time], vec![]];
        let model = Model { live_from: Some(1), branches, ..Model::default() };
        World { storage, chain, now: time, miners, ids, model }
    }

    fn live(&mut self, event: &Event) {
        match event {
            Event::Blocks { branch, count, date, late_s } => {
                for _ in 0..*count {
                    let block = self.mine(*branch, *date);
                    self.now = self.now.max(block.header.time) + late_s;
                    self.chain.accept(&block, self.now, true).unwrap();
                    self.ids[*branch].push(block.header.id(NETWORK));
                    self.model.branches[*branch].push(block.header.time);
                    self.model.hear(*branch, self.now);
                    self.agrees();
                }
            }
            Event::Pass(seconds) => {
                let end = self.now + seconds;
                while self.now < end {
                    self.now = end.min(self.now + 45);
                    self.look();
                }
            }
            Event::Jump(seconds) => {
                self.now += seconds;
                self.look();
            }
            Event::Restart => self.restart(),
        }
        self.agrees();
    }

    fn mine(&mut self, branch: usize, date: Date) -> Block {
        let miner = &mut self.miners[branch];
        let parent = miner.chain.tip_header().time;
        let time = match date {
            Date::Gap(seconds) => parent + seconds,
            Date::Ago(seconds) => parent.max(self.now - seconds),
        };
        // No two branches begin with the same block.
        let is_first = self.ids[branch].len() == self.model.common(branch, 1 - branch.min(1));
        let time = if is_first { time / 10 * 10 + 10 + branch as u64 } else { time };
        (miner.now, miner.step_s) = (time, 0);
        miner.mine(&[])
    }

    fn look(&mut self) {
        self.chain.advance_hold(self.now).unwrap();
        self.model.look(self.now);
    }

    /// A restart forgets less than a minute of the lead, and when it was looked last.
    fn restart(&mut self) {
        self.chain = Chain::open(NETWORK, self.storage.clone()).unwrap();
        self.model.looked = None;
        if let (Some(held), Some(found)) = (&mut self.model.held, self.chain.hold()) {
            assert_eq!(held.led / 60, found.led / 60);
            held.led = found.led;
        }
        *self.model.met.entry("a restart").or_default() += 1;
    }

    fn agrees(&self) {
        let model = &self.model;
        assert_eq!(Some(&self.chain.tip_id()), self.ids[model.on].last(), "the tip");
        let held = model.held.map(|held| {
            let (ids, common) = (&self.ids[held.branch], model.common(model.on, held.branch));
            let fork = FORK + common as u32;
            (fork, ids[common], ids[held.blocks - 1], held.seconds, held.led)
        });
        let found = self.chain.hold();
        let found = found.map(|it| (it.fork_height, it.first, it.tip, it.seconds, it.led));
        assert_eq!(found, held, "the chain that is held back");
    }
}

#[test]
fn what_is_held_back_is_what_the_model_holds_back() {
    let count = common::number_from_env("NAMECHAIN_HISTORIES", 150);
    let seed = common::number_from_env("NAMECHAIN_SEED", 1);
    let mut bytes = [8; 16];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    let random = TestRng::from_seed(RngAlgorithm::XorShift, &bytes);
    let config = Config { cases: count as u32, failure_persistence: None, ..Config::default() };
    let met = RefCell::new(BTreeMap::<&str, u32>::new());
    let result = TestRunner::new_with_rng(config, random).run(&histories(), |history| {
        let mut world = World::new();
        history.iter().for_each(|event| world.live(event));
        for (what, times) in world.model.met {
            *met.borrow_mut().entry(what).or_default() += times;
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("NAMECHAIN_SEED={seed}: {error}");
    }
    let met = met.into_inner();
    println!("{count} histories from seed {seed}: {met:?}");
    if count >= 150 && seed == 1 || count >= 1_000 {
        for what in [
            "held",
            "held in another's place",
            "given up",
            "followed at once",
            "another followed than is held",
            "followed after its time",
            "followed as nothing is live any more",
            "a restart",
        ] {
            assert!(met.contains_key(what), "not met: {what}");
        }
    }
}
