//! The model: a chain's state as two plain maps, and what a block does to it, written from
//! docs/protocol.md, section 6. Without tree, store, undo and index; every block keeps its maps.
//!
//! Entries are of the crate's types, which say how one is encoded and nothing of the rules.

use std::{collections::BTreeMap, rc::Rc};

use namechain_core::types::{
    Action, BlockTime, CommitPosition, CommitmentEntry, Hash, Name, NameEntry, Network, Operation,
    Rescued, SignedOperation, Stamp, commitment,
};

use crate::{
    acts::{Now, Status, change, status},
    prices::{
        ANCHOR_BLOCKS, ANCHOR_PRICE_BLOCKS, DAY_S, HEADER_AND_COUNT, MAX_BLOCK, MAX_COMMITS,
        MAX_SHARED, Rules,
    },
};

/// The state: names by themselves, Commits by their operation ids.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    pub names: BTreeMap<Name, NameEntry>,
    pub commits: BTreeMap<Hash, CommitmentEntry>,
}

/// A block of the chain, and the state after it.
#[derive(Clone, Debug)]
pub struct Place {
    pub id: Hash,
    pub height: u32,
    pub time: u64,
    /// The multipliers in its header: of names, of bytes.
    pub prices: (u32, u32),
    pub rows: Rc<Rows>,
}

/// A chain, from its genesis block to its tip.
#[derive(Clone, Debug)]
pub struct Model {
    pub network: Network,
    pub rules: &'static Rules,
    pub places: Vec<Place>,
}

/// A block in the making.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    model: &'a Model,
    pub now: Now,
    pub rows: Rows,
    /// How many operations it has.
    count: u32,
    size: u64,
    commits: u64,
    priced: u64,
    shared: u64,
}

/// What an operation sets.
enum Effect {
    Commit(CommitmentEntry),
    /// The Commit is spent.
    Register(Hash, NameEntry),
    Change(NameEntry),
}

impl Model {
    pub fn new(network: Network, rules: &'static Rules, genesis: Hash, time: u64) -> Self {
        let rows = Rc::default();
        let place = Place { id: genesis, height: 0, time, prices: (1_024, 1_024), rows };
        Model { network, rules, places: vec![place] }
    }

    pub fn tip(&self) -> &Place {
        self.places.last().expect("there is a genesis block")
    }

    /// The next block, `blocks` above the tip (1 on a chain), after what has ended is removed.
    pub fn draft(&self, blocks: u32, time: u64) -> Draft<'_> {
        let tip = self.tip();
        let (height, prices) = (tip.height + blocks, tip.prices);
        let mut rows = (*tip.rows).clone();
        rows.names.retain(|_, e| time < e.expires + self.rules.grace);
        rows.commits.retain(|_, c| time <= c.time + DAY_S);
        let now = Now { network: self.network, height, time, prices };
        Draft { model: self, now, rows, count: 0, size: 0, commits: 0, priced: 0, shared: 0 }
    }

    /// How a name stands in the next block.
    pub fn status(&self, entry: &NameEntry, height: u32, time: u64) -> Status {
        let now = Now { network: self.network, height, time, prices: (0, 0) };
        status(self.rules, entry, &now)
    }
}

impl<'a> Draft<'a> {
    /// The chain that it follows.
    pub fn model(&self) -> &'a Model {
        self.model
    }

    /// Records an operation, or says which rule refuses it, and changes nothing then.
    pub fn apply(&mut self, op: &Operation) -> Result<(), &'static str> {
        let size = op.byte_len() as u64;
        let (effect, free) = self.judge(op)?;
        let shared = self.shared + if free { 0 } else { size };
        if shared > MAX_SHARED {
            return Err("block-share");
        }
        match effect {
            Effect::Commit(row) => {
                self.commits += 1;
                self.rows.commits.insert(row.commit_id, row);
            }
            Effect::Register(commit_id, entry) => {
                self.priced += size;
                let commit = self.rows.commits.get_mut(&commit_id);
                commit.expect("the Register names a Commit").spent = true;
                self.rows.names.insert(entry.name.clone(), entry);
            }
            Effect::Change(entry) => {
                self.priced += if free { 0 } else { size };
                self.rows.names.insert(entry.name.clone(), entry);
            }
        }
        (self.shared, self.count, self.size) = (shared, self.count + 1, self.size + size);
        Ok(())
    }

    /// What an operation sets, and whether it counts for nothing.
    fn judge(&self, op: &Operation) -> Result<(Effect, bool), &'static str> {
        let stamp = op.stamp();
        let anchor_price = self.check_times(op, stamp)?;
        let price = self.price(op);
        match op {
            Operation::Commit { commitment, .. } => {
                if stamp.work < price {
                    return Err("underpaid");
                }
                Ok((Effect::Commit(self.commit(op, *commitment, anchor_price)?), false))
            }
            Operation::Named(named) if matches!(named.action, Action::Register { .. }) => {
                let entry = self.register(named, stamp.work, price)?;
                Ok((Effect::Register(named.reference, entry), false))
            }
            Operation::Named(named) => {
                let entry = self.rows.names.get(&named.name);
                let (rules, now) = (self.model.rules, &self.now);
                let (after, free) = change(rules, now, named, stamp.work, price, entry)?;
                Ok((Effect::Change(after), free))
            }
        }
    }

    /// Whether the block has room for an operation by the rules of a block alone.
    pub fn has_room(&self, op: &Operation) -> bool {
        let is_commit = matches!(op, Operation::Commit { .. });
        HEADER_AND_COUNT + self.size + op.byte_len() as u64 <= MAX_BLOCK
            && (!is_commit || self.commits < MAX_COMMITS)
    }

    /// The multipliers after the block.
    pub fn prices(&self) -> (u32, u32) {
        let seconds = self.now.time - self.model.tip().time;
        let (rules, (names, bytes)) = (self.model.rules, self.now.prices);
        (
            rules.next_multiplier(names, self.commits, 20, seconds),
            rules.next_multiplier(bytes, self.priced, 65_536, seconds),
        )
    }

    /// The block as a place of the chain, under its id.
    pub fn place(self, id: Hash) -> Place {
        let prices = self.prices();
        let (height, time) = (self.now.height, self.now.time);
        Place { id, height, time, prices, rows: Rc::new(self.rows) }
    }

    /// The price of an operation now.
    pub fn price(&self, op: &Operation) -> u64 {
        let entry = match op {
            Operation::Named(named) => self.rows.names.get(&named.name),
            Operation::Commit { .. } => None,
        };
        self.model.rules.price(op, entry, self.now.time, self.now.prices)
    }

    /// The price of registering a name by a Commit in this block with this anchor.
    pub fn registration(&self, name: &Name, anchor: &Hash) -> u64 {
        let anchor = self.model.places.iter().find(|place| place.id == *anchor);
        let young = anchor.filter(|place| self.now.height - place.height <= ANCHOR_PRICE_BLOCKS);
        let names = young.map_or(self.now.prices.0, |place| place.prices.0);
        self.model.rules.registration(name, names)
    }

    /// The name price in the anchor if it is young enough to count, else that in force.
    fn check_times(&self, op: &Operation, stamp: &Stamp) -> Result<u32, &'static str> {
        let anchor = self.model.places.iter().find(|place| place.id == stamp.anchor);
        let anchor = anchor.ok_or("stamp-anchor")?;
        let (blocks, time) = (self.now.height - anchor.height, self.now.time);
        let is_parent = anchor.height == self.model.tip().height && blocks == 1;
        if blocks > ANCHOR_BLOCKS || !is_parent && time - anchor.time > DAY_S {
            return Err("stamp-anchor");
        }
        if let Operation::Named(named) = op
            && !(time <= named.valid_until && named.valid_until <= time + DAY_S)
        {
            return Err("validity");
        }
        let is_young = blocks <= ANCHOR_PRICE_BLOCKS;
        Ok(if is_young { anchor.prices.0 } else { self.now.prices.0 })
    }

    fn commit(
        &self,
        op: &Operation,
        commitment: Hash,
        price: u32,
    ) -> Result<CommitmentEntry, &'static str> {
        let commit_id = op.id(self.model.network);
        if self.rows.commits.contains_key(&commit_id) {
            return Err("commit-recorded");
        }
        Ok(CommitmentEntry {
            commit_id,
            commitment,
            position: CommitPosition { height: self.now.height, index: self.count },
            time: self.now.time,
            work: op.stamp().work,
            price,
            spent: false,
        })
    }

    fn register(
        &self,
        op: &SignedOperation,
        work: u64,
        price: u64,
    ) -> Result<NameEntry, &'static str> {
        let Action::Register { recovery, salt, records } = &op.action else {
            unreachable!("this is a Register")
        };
        let (rules, now) = (self.model.rules, self.now);
        let c = self.rows.commits.get(&op.reference).ok_or("commitment-unknown")?;
        if c.commitment != commitment(now.network, &op.name, &op.signer, salt) {
            return Err("commitment-unknown");
        }
        if c.spent {
            return Err("commitment-spent");
        }
        let (blocks, seconds) = rules.commit;
        if now.height < c.position.height + blocks || now.time < c.time + seconds {
            return Err("commitment-young");
        }
        if c.work < rules.registration(&op.name, c.price) {
            return Err("commitment-underpaid");
        }
        if let Some(e) = self.rows.names.get(&op.name) {
            if status(rules, e, &now) != Status::Settling {
                return Err("name-taken");
            }
            let older = (c.position.height, c.position.index) < (e.commit.height, e.commit.index);
            if !older {
                return Err("name-settling");
            }
        }
        if work < price {
            return Err("underpaid");
        }
        let block = BlockTime { height: now.height, time: now.time };
        Ok(NameEntry {
            name: op.name.clone(),
            owner: op.signer,
            recovery: *recovery,
            title: op.subject(now.network),
            sequence: 0,
            registered: block,
            commit: c.position,
            updated: block,
            expires: now.time + rules.lease,
            revoked: false,
            rescued: Rescued { owner: 0, recovery: 0 },
            transfer: None,
            records: records.clone(),
            messaging: None,
            messaging_sequence: 0,
        })
    }
}
