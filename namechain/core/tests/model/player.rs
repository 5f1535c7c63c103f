//! A miner with a real chain and a mempool, and the model of both.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use namechain_core::{
    chain::{
        Accepted, Chain, ChainError, MemoryStorage, NameLookup, OperationVerifier, Storage,
        TipChange,
    },
    codec::Decode,
    consensus::{RuleViolation, header::genesis, state::ApplyError, work::PowHasher},
    mempool::{Mempool, MempoolError},
    miner::search_nonce,
    types::{Block, Entry, Hash, Header, Operation, SigningContext, ops_root},
};

use crate::{
    acts::Status,
    build::{Cast, Scene},
    common::{LATE, NETWORK},
    edges::block_time,
    plain_map::{Draft, Model},
    plan::{Attempt, BlockPlan},
    prices::DEV,
    rivals::{follows, is_rival, turn},
};

/// How often each rule was named, and each kind recorded.
pub type Judged = BTreeMap<&'static str, u32>;

/// Takes everything for signed and worked.
struct Trusting;

impl OperationVerifier for Trusting {
    fn check_operations(
        &mut self,
        _: &SigningContext,
        _: &[Operation],
    ) -> Result<(), RuleViolation> {
        Ok(())
    }
}

pub struct Player {
    pub chain: Chain,
    storage: Arc<MemoryStorage>,
    mempool: Mempool,
    pub model: Model,
    is_worked: bool,
    /// The blocks that the other has not been told of, and whether they are sound.
    pub untold: Vec<(Block, Option<&'static str>)>,
    /// The blocks that were mined here, the bad ones among them.
    mined: HashSet<Hash>,
    /// A block of the other's that is not on this chain.
    pub elsewhere: Hash,
}

impl Player {
    pub fn new(is_worked: bool) -> Self {
        let storage = Arc::new(MemoryStorage::default());
        let chain = open(&storage, is_worked);
        let (id, time) = (chain.tip_id(), chain.tip_header().time);
        assert_eq!(genesis(NETWORK).header.id(NETWORK), id);
        Player {
            chain,
            storage,
            mempool: Mempool::new(NETWORK),
            model: Model::new(NETWORK, &DEV, id, time),
            is_worked,
            untold: Vec::new(),
            mined: HashSet::new(),
            elsewhere: Hash([9; 32]),
        }
    }

    /// Starts again from what is stored.
    pub fn restart(&mut self) {
        let reopened = open(&self.storage, self.is_worked);
        assert_eq!(reopened.tip_id(), self.chain.tip_id());
        assert_eq!(reopened.work(), self.chain.work());
        self.chain = reopened;
    }

    /// Tries the attempts of a plan and mines a block of them.
    pub fn mine(&mut self, plan: &BlockPlan, judged: &mut Judged) {
        let time = block_time(&self.model, plan.step);
        let model = self.model.clone();
        let mut draft = model.draft(1, time);
        let mut taken: Vec<Operation> = Vec::new();
        for attempt in &plan.attempts {
            let op = self.build(&draft, attempt);
            let before = taken.len();
            self.try_next(&mut draft, &mut taken, &op, judged);
            self.offer(&op, time);
            let label = if taken.len() > before { op.label() } else { continue };
            *judged.entry(label).or_default() += 1;
        }
        let waiting: Vec<Operation> =
            self.mempool.by_work_rate(time).into_iter().cloned().collect();
        let first = if plan.is_from_mempool { Vec::new() } else { taken };
        let candidates: Vec<Operation> = first.into_iter().chain(waiting).collect();
        let block = self.assemble(&model, &candidates, time);
        if let Some(spoil) = &plan.spoil {
            self.mine_spoilt(&block, spoil, judged);
        }
        self.connect_own(block, time);
    }

    fn build(&self, draft: &Draft<'_>, attempt: &Attempt) -> Operation {
        let mut attempt = attempt.clone();
        if self.is_worked {
            // Short names cost too much to be worked here.
            attempt.name %= 3;
        }
        let scene = Scene {
            network: NETWORK,
            block: draft,
            places: &self.model.places,
            elsewhere: self.elsewhere,
            signs: self.is_worked,
        };
        let mut op = scene.build(&attempt);
        if self.is_worked {
            let subject = op.stamp_subject(NETWORK);
            let search =
                |hasher: &mut PowHasher| hasher.search_stamp(&subject, *op.stamp(), u64::MAX);
            *op.stamp_mut() = HASHER.with_borrow_mut(search).expect("a nonce is found");
        }
        op
    }

    /// The next block could record the operation after those that were taken, or not, as the model
    /// says.
    fn try_next(
        &self,
        draft: &mut Draft<'_>,
        taken: &mut Vec<Operation>,
        op: &Operation,
        judged: &mut Judged,
    ) {
        let time = draft.now.time;
        let is_displacing = is_register_of_somebodys(draft, op);
        let expected = draft.apply(op);
        let before: Vec<&Operation> = taken.iter().collect();
        let found = rule_of(self.chain.try_operation(&before, op, time));
        assert_eq!(found, expected, "at {:?}: {op:?}", draft.now);
        let early = self.chain.precheck_operation(op, time);
        assert!(early.is_ok() || expected.is_err(), "{early:?} of what can be recorded: {op:?}");
        match expected {
            Ok(()) => {
                if is_displacing {
                    *judged.entry("a name displaced").or_default() += 1;
                }
                taken.push(op.clone());
            }
            Err(rule) => *judged.entry(rule).or_default() += 1,
        }
    }

    /// The mempool takes what the next block could record after what waits on the same name.
    fn offer(&mut self, op: &Operation, time: u64) {
        if self.mempool.has(&op.id(NETWORK)) {
            // Tried again when the tip moves, not by being offered again.
            assert!(self.mempool.insert(&self.chain, op.clone(), time).is_ok());
            return;
        }
        let mut draft = self.model.draft(1, time);
        let mut earlier: Vec<&Operation> = self
            .mempool
            .all()
            .map(|(_, other)| &**other)
            .filter(|other| follows(op, other))
            .collect();
        earlier.sort_by_key(|op| turn(op).map(|(.., sequence)| sequence));
        let expected = earlier.into_iter().chain([op]).try_for_each(|op| draft.apply(op));
        match self.mempool.insert(&self.chain, op.clone(), time) {
            Ok(id) => {
                assert!(expected.is_ok() && self.mempool.has(&id), "{expected:?}: {op:?}");
            }
            Err(MempoolError::Rule(violation)) => {
                assert_eq!(Err(violation.id()), expected, "{op:?}")
            }
            Err(MempoolError::Occupied(_)) => {
                let rivals = self.mempool.all().filter(|(_, other)| is_rival(op, other));
                assert!(rivals.count() > 0, "nothing waits in the place of {op:?}");
            }
            Err(other) => panic!("{other}: {op:?}"),
        }
    }

    /// The template: those of the candidates that the model would record, one after the other.
    fn assemble(&self, model: &Model, candidates: &[Operation], time: u64) -> Block {
        let mut draft = model.draft(1, time);
        let recorded: Vec<&Operation> =
            candidates.iter().filter(|op| draft.has_room(op) && draft.apply(op).is_ok()).collect();
        let mut block = self.chain.assemble_block(candidates.iter(), time).unwrap();
        assert_eq!(block.operations.iter().collect::<Vec<_>>(), recorded);
        assert_eq!((block.header.name_price, block.header.byte_price), draft.prices());
        block.header = work(block.header);
        block
    }

    fn connect_own(&mut self, block: Block, time: u64) {
        let mut draft = self.model.draft(1, time);
        for op in &block.operations {
            draft.apply(op).expect("the model would record it");
        }
        let place = draft.place(block.header.id(NETWORK));
        match self.chain.accept(&block, LATE, true) {
            Ok(Accepted::Tip(change)) => self.follow(&change, time),
            other => panic!("{other:?}"),
        }
        self.model.places.push(place);
        self.agrees();
        self.mined.insert(block.header.id(NETWORK));
        self.untold.push((block, None));
    }

    /// A block that records what must not be recorded: refused for that, and nothing changes.
    fn mine_spoilt(&mut self, sound: &Block, spoil: &Attempt, judged: &mut Judged) {
        let model = self.model.clone();
        let mut draft = model.draft(1, sound.header.time);
        for op in &sound.operations {
            draft.apply(op).expect("the model would record it");
        }
        let op = self.build(&draft, spoil);
        // Only what the state decides is of interest, and that there is room.
        let Err(rule) = draft.apply(&op) else { return };
        let mut block = sound.clone();
        block.operations.push(op);
        block.header.ops_root = ops_root(NETWORK, &block.operations);
        block.header = work(block.header);
        let before = self.chain.tip_id();
        match self.chain.accept(&block, LATE, true) {
            Err(ChainError::Rule { violation, .. }) => assert_eq!(violation.id(), rule),
            other => panic!("{other:?} where {rule} is broken"),
        }
        assert_eq!(self.chain.tip_id(), before);
        assert!(matches!(self.chain.accept(&block, LATE, true), Err(ChainError::OnFailed(_))));
        *judged.entry("a block refused").or_default() += 1;
        self.mined.insert(block.header.id(NETWORK));
        self.untold.push((block, Some(rule)));
    }

    /// Takes the blocks that the other has mined since they met; `theirs` is their model.
    pub fn hear(&mut self, blocks: &[(Block, Option<&'static str>)], theirs: &Model) -> usize {
        let mut undone = 0;
        // All blocks come at once, when the last has been mined.
        let clock = theirs.tip().time.max(self.model.tip().time);
        for (block, broken) in blocks {
            let id = block.header.id(NETWORK);
            let is_higher = block.header.height > self.chain.tip_header().height;
            match (self.chain.accept(block, LATE, true), broken) {
                (Ok(Accepted::Tip(change)), None) if is_higher => {
                    undone += change.undone.len();
                    self.follow(&change, clock);
                    let mut model = theirs.clone();
                    model.places.truncate(block.header.height as usize + 1);
                    self.check_undone(&model, &change.undone, clock);
                }
                (Ok(Accepted::Side), _) if !is_higher => {}
                // Both have mined the same.
                (Ok(Accepted::Known), None) if self.mined.contains(&id) => {}
                (Err(ChainError::OnFailed(_)), Some(_)) if self.mined.contains(&id) => {}
                (Err(ChainError::Rule { violation, .. }), Some(rule)) if is_higher => {
                    assert_eq!(violation.id(), *rule);
                }
                other => panic!("{other:?}, higher: {is_higher}"),
            }
        }
        if theirs.tip().height > self.model.tip().height {
            self.model = theirs.clone();
        }
        self.agrees();
        undone
    }

    /// What was undone waits again, if it can be recorded now.
    fn check_undone(&self, model: &Model, undone: &[Block], time: u64) {
        for op in undone.iter().flat_map(|block| &block.operations) {
            let mut draft = model.draft(1, time);
            if draft.apply(op).is_ok() && !self.mempool.has(&op.id(NETWORK)) {
                let rivals = self.mempool.all().filter(|(_, other)| is_rival(op, other));
                assert!(rivals.count() > 0, "it was undone and does not wait: {op:?}");
            }
        }
    }

    fn follow(&mut self, change: &TipChange, time: u64) {
        let dropped = self.mempool.follow(&self.chain, change, time).unwrap();
        assert!(dropped.iter().all(|id| !self.mempool.has(id)));
        for op in change.connected.iter().flat_map(|block| &block.operations) {
            assert!(!self.mempool.has(&op.id(NETWORK)), "it is recorded, and waits: {op:?}");
        }
    }

    /// The stored state is the model's, entry by entry.
    fn agrees(&self) {
        let place = self.model.tip();
        assert_eq!(self.chain.tip_id(), place.id);
        let (mut names, mut commits) = (BTreeMap::new(), BTreeMap::new());
        let mut read = |_: Hash, bytes: &[u8]| match Entry::from_bytes(bytes).unwrap() {
            Entry::Name(entry) => _ = names.insert(entry.name.clone(), entry),
            Entry::Commitment(entry) => _ = commits.insert(entry.commit_id, entry),
        };
        self.storage.entries(&mut read).unwrap();
        assert_eq!(names, place.rows.names, "at height {}", place.height);
        assert_eq!(commits, place.rows.commits, "at height {}", place.height);
    }

    /// Every block's state can still be read, and is the model's.
    pub fn agrees_with_every_block(&self) {
        for place in &self.model.places {
            let snapshot = self.chain.snapshot_at(place.height).unwrap();
            assert_eq!((snapshot.id, snapshot.now().time), (place.id, place.time));
            for name in &Cast::of(NETWORK).names {
                let entry = place.rows.names.get(name);
                assert_eq!(snapshot.entry(name).unwrap().as_ref(), entry, "at {}", place.height);
                let status = entry.map(|e| self.model.status(e, place.height, place.time));
                assert_eq!(looked_up(&snapshot.lookup(name).unwrap()), status);
            }
            for (id, row) in &place.rows.commits {
                assert_eq!(snapshot.commit(id).unwrap().as_ref(), Some(row));
            }
        }
        for (id, row) in &self.model.tip().rows.commits {
            assert_eq!(self.chain.commit_position(id).unwrap(), Some(row.position));
        }
    }
}

thread_local! {
    static HASHER: RefCell<PowHasher> = RefCell::new(PowHasher::new(NETWORK));
}

fn work(header: Header) -> Header {
    HASHER
        .with_borrow_mut(|hasher| search_nonce(hasher, header, |_| true))
        .expect("a nonce is found")
}

fn open(storage: &Arc<MemoryStorage>, is_worked: bool) -> Chain {
    let mut chain = Chain::open(NETWORK, storage.clone()).unwrap();
    if !is_worked {
        chain.set_verifier(Box::new(Trusting));
    }
    chain
}

fn rule_of<E: std::fmt::Debug>(result: Result<(), ApplyError<E>>) -> Result<(), &'static str> {
    match result {
        Ok(()) => Ok(()),
        Err(ApplyError::Rule(violation)) => Err(violation.id()),
        Err(ApplyError::State(error)) => panic!("{error:?}"),
    }
}

/// Whether somebody has the name that an operation registers.
pub fn is_register_of_somebodys(draft: &Draft<'_>, op: &Operation) -> bool {
    matches!(op, Operation::Named(named) if op.label() == "register"
        && draft.rows.names.contains_key(&named.name))
}

fn looked_up(found: &NameLookup) -> Option<Status> {
    match found {
        NameLookup::Unregistered => None,
        NameLookup::Active(_) => Some(Status::Active),
        NameLookup::Grace(_) => Some(Status::Grace),
        NameLookup::Settling(_) => Some(Status::Settling),
        NameLookup::Revoked(_) => Some(Status::Revoked),
        NameLookup::Contested(_) => panic!("nothing is held back here"),
    }
}
