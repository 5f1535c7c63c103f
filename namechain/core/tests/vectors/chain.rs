//! A chain of the network `test` from its genesis block on, made from the page: what the block
//! vectors stand on.

use std::collections::BTreeMap;

use super::{cases::*, operation::*, page::*};

pub const NET: Net = TEST;
/// The name of the story: of key 1 in the end, of key 5 for one block.
pub const NAME: &str = "alices";
/// The height of the block that records both Commits.
pub const COMMITTED: usize = 1;
/// The heights of the two Registers, the younger Commit's first.
pub const REGISTERED: [usize; 2] = [11, 12];
/// The height at which the name has settled, and a block is as full as a block may be.
pub const FULL: usize = 42;

pub type State = BTreeMap<H32, E>;

/// A chain as it grows.
#[derive(Clone)]
pub struct Maker {
    pub heads: Vec<Head>,
    pub blocks: Vec<Vec<u8>>,
    /// The state after each block.
    pub states: Vec<State>,
}

impl Maker {
    pub fn new() -> Maker {
        let head = genesis(NET);
        Maker { blocks: vec![block(&head, &[])], heads: vec![head], states: vec![State::new()] }
    }

    /// The chain up to this height.
    pub fn cut(&self, height: usize) -> Maker {
        Maker {
            heads: self.heads[..=height].to_vec(),
            blocks: self.blocks[..=height].to_vec(),
            states: self.states[..=height].to_vec(),
        }
    }

    /// The state after the last block.
    pub fn state(&self) -> &State {
        self.states.last().unwrap()
    }

    pub fn tip(&self) -> &Head {
        self.heads.last().unwrap()
    }

    pub fn due(&self) -> u64 {
        next_due(NET, self.tip().due, self.tip().time)
    }

    /// The header of the next block, without its work.
    pub fn head(&self, time: u64, ops: &[Vec<u8>], state: &State) -> Head {
        self.head_with(time, ops, state, 0)
    }

    /// As [`Maker::head`], with so many bytes of rescues that pay for them.
    pub fn head_with(&self, time: u64, ops: &[Vec<u8>], state: &State, paid: usize) -> Head {
        let (parent, net) = (self.tip(), NET);
        let leaves: Vec<RangeNode> = self.heads.iter().map(|head| head.leaf(net)).collect();
        let hashes: Vec<(H32, H32)> =
            state.iter().map(|(key, e)| (*key, hash(net, "value", &[&e.encode()]))).collect();
        let commits = ops.iter().filter(|op| op[0] == COMMIT).count() as u64;
        let counted =
            |op: &&Vec<u8>| matches!(op[0], REGISTER | UPDATE | TRANSFER | ACCEPT | PUBLISH);
        let bytes: usize = ops.iter().filter(counted).map(Vec::len).sum();
        let dt = time.saturating_sub(parent.time);
        Head {
            version: BRANCH,
            height: parent.height + 1,
            previous: parent.id(net),
            ops_root: ops_root(net, ops),
            state_root: tree_root(net, &hashes),
            history_root: history_root(net, &leaves),
            time,
            due: self.due(),
            names: next_multiplier(net, parent.names, commits, 20, dt),
            bytes: next_multiplier(net, parent.bytes, (bytes + paid) as u64, 65_536, dt),
            nonce: 0,
        }
    }

    /// Adds a block at `time` with these operations, after which the state is this one.
    pub fn add(&mut self, time: u64, ops: &[Vec<u8>], state: State) {
        let head = self.head(time, ops, &state).search(NET, true);
        self.blocks.push(block(&head, ops));
        self.heads.push(head);
        self.states.push(state);
    }

    /// Adds an empty block at the time at which it is due.
    pub fn add_empty(&mut self) {
        self.add(self.due(), &[], self.state().clone());
    }

    fn ctx(&self, time: u64, index: u32) -> Ctx {
        let tip = self.tip();
        let anchor = Some((tip.height, tip.time, tip.names));
        Ctx { height: tip.height + 1, time, names: tip.names, bytes: tip.bytes, index, anchor }
    }
}

pub fn with(state: &State, entries: impl IntoIterator<Item = E>) -> State {
    let mut state = state.clone();
    state.extend(entries.into_iter().map(|entry| (entry.key(NET), entry)));
    state
}

/// A Commit of a key to the name, anchored to the tip.
pub fn commit(maker: &Maker, seed: u8, salt: u8) -> Op {
    let commitment = hash(NET, "commitment", &[&name_bytes(NAME), &public(seed), &[salt; 32]]);
    Op { fields: commitment.to_vec(), anchor: maker.tip().id(NET), ..good(COMMIT).op }
}

pub fn commit_entry(maker: &Maker, time: u64, index: u32, op: &Op) -> E {
    let ctx = maker.ctx(time, index);
    E::Commit(CommitE {
        id: op.id(),
        commitment: op.fields.as_slice().try_into().unwrap(),
        height: ctx.height,
        index,
        time,
        work: op.work,
        price: ctx.names,
        spent: false,
    })
}

/// A Register of the name by a key, of the Commit with this id.
pub fn register(maker: &Maker, time: u64, seed: u8, commit_id: H32) -> Op {
    Op {
        name: name_bytes(NAME),
        reference: commit_id,
        seed,
        valid_until: time + 600,
        anchor: maker.tip().id(NET),
        ..good(REGISTER).op
    }
}

/// An Update of the name by key 1 with so many bytes of records.
pub fn update(maker: &Maker, time: u64, sequence: u32, bytes: usize) -> Op {
    Op {
        fields: update_fields(sequence, &records_of(bytes)),
        work: records_price(NET, bytes, maker.tip().bytes),
        ..change(maker, time, UPDATE)
    }
}

/// An operation on the name under its title, as it usually is.
pub fn change(maker: &Maker, time: u64, kind: u8) -> Op {
    let title = maker.state().values().find_map(|entry| match entry {
        E::Name(name) => Some(name.title),
        E::Commit(_) => None,
    });
    Op {
        name: name_bytes(NAME),
        reference: title.unwrap(),
        valid_until: time + 600,
        anchor: maker.tip().id(NET),
        ..good(kind).op
    }
}

/// Two Recovers, the second under the title of the first and by the new recovery key: it pays for
/// its bytes.
pub fn recovers(maker: &Maker, time: u64) -> [Op; 2] {
    let first = change(maker, time, RECOVER);
    let second = Op {
        reference: first.subject(),
        seed: 8,
        work: records_price(NET, 0, maker.tip().bytes),
        ..first.clone()
    };
    [first, second]
}

/// The state after some of [`recovers`].
pub fn recovered(state: &State, height: u32, time: u64, ops: &[Op]) -> State {
    let mut state = state.clone();
    for entry in state.values_mut() {
        if let E::Name(name) = entry {
            (name.owner, name.recovery) = (public(7), Some(public(8)));
            (name.title, name.sequence) = (ops[ops.len() - 1].subject(), 0);
            (name.updated, name.rescued.1) = ((height, time), time);
        }
    }
    state
}

/// The state after an [`update`].
pub fn updated(maker: &Maker, time: u64, sequence: u32, bytes: usize) -> State {
    let mut state = maker.state().clone();
    for entry in state.values_mut() {
        if let E::Name(name) = entry {
            (name.sequence, name.records) = (sequence, records_of(bytes));
            name.updated = (maker.tip().height + 1, time);
        }
    }
    state
}

/// The Updates that fill 229,376 bytes, and `more`: their lengths in records.
pub fn filling(more: usize) -> Vec<usize> {
    let mut all = vec![4_096; 53];
    all.push(229_376 - 53 * (198 + 4_096) - 198 + more);
    all
}

fn register_by(maker: &mut Maker, seed: u8) {
    let time = maker.due();
    let owner = hash(NET, "commitment", &[&name_bytes(NAME), &public(seed), &SALT]);
    let commit = maker.state().values().find_map(|entry| match entry {
        E::Commit(commit) if commit.commitment == owner => Some(commit.clone()),
        _ => None,
    });
    let commit = commit.unwrap();
    let op = register(maker, time, seed, commit.id);
    let place = (commit.height, commit.index);
    let entry = NameE {
        name: NAME.into(),
        owner: public(seed),
        recovery: Some(public(RECOVERY)),
        title: op.subject(),
        sequence: 0,
        registered: (maker.tip().height + 1, time),
        commit: place,
        updated: (maker.tip().height + 1, time),
        expires: time + LEASE,
        revoked: false,
        rescued: (0, 0),
        transfer: None,
        records: one_record(),
        messaging: None,
        messaging_sequence: 0,
    };
    let spent = E::Commit(CommitE { spent: true, ..commit });
    let state = with(maker.state(), [spent, E::Name(entry)]);
    maker.add(time, &[op.bytes()], state);
}

/// Two Commits to a name, two Registers, a full block, a rush of Commits, quiet, and the end of the
/// lease.
pub fn story() -> Maker {
    let mut maker = Maker::new();
    // The first block is late: 200 s after the genesis block.
    let time = GENESIS_TIME + 200;
    let ops = [commit(&maker, OWNER, SALT[0]), commit(&maker, STRANGER, SALT[0])];
    let entries: Vec<E> =
        (0..).zip(&ops).map(|(index, op)| commit_entry(&maker, time, index, op)).collect();
    let state = with(maker.state(), entries);
    maker.add(time, &ops.map(|op| op.bytes()), state);
    while maker.heads.len() < REGISTERED[0] {
        maker.add_empty();
    }
    register_by(&mut maker, STRANGER);
    register_by(&mut maker, OWNER);
    while maker.heads.len() < FULL {
        maker.add_empty();
    }
    let (time, sizes) = (maker.due(), filling(0));
    let ops: Vec<Vec<u8>> = (1..)
        .zip(&sizes)
        .map(|(sequence, bytes)| update(&maker, time, sequence, *bytes).bytes())
        .collect();
    let state = updated(&maker, time, sizes.len() as u32, sizes[sizes.len() - 1]);
    maker.add(time, &ops, state);
    rush_and_quiet(&mut maker);
    maker
}

fn rush_and_quiet(maker: &mut Maker) {
    let time = maker.due();
    let ops: Vec<Op> = (100..140).map(|salt| commit(maker, OWNER, salt)).collect();
    let entries: Vec<E> =
        (0..).zip(&ops).map(|(index, op)| commit_entry(maker, time, index, op)).collect();
    let state = with(maker.state(), entries);
    maker.add(time, &ops.iter().map(Op::bytes).collect::<Vec<_>>(), state);
    // Early by half an interval, late by an hour: the multipliers fall with the time.
    maker.add(maker.due() - 60, &[], maker.state().clone());
    maker.add(maker.due() + 3_600, &[], maker.state().clone());
    // A day after the rush is over all Commits go, spent or not; those of one second earlier do
    // not.
    let rush = time;
    maker.add(rush + DAY, &[], lapsed(maker, rush + DAY));
    maker.add(rush + DAY + 1, &[], lapsed(maker, rush + DAY + 1));
    // The last second of the grace, and the end.
    let registered = maker.heads[REGISTERED[1]].time;
    let end = registered + LEASE + GRACE;
    maker.add(end - 1, &[], maker.state().clone());
    maker.add(end, &[], State::new());
    maker.add_empty();
}

fn lapsed(maker: &Maker, time: u64) -> State {
    let mut state = maker.state().clone();
    state.retain(|_, entry| match entry {
        E::Commit(commit) => commit.time + DAY >= time,
        E::Name(_) => true,
    });
    state
}
