//! The vectors of operations: what the page says of each, worked out by hand.
//!
//! A case starts from [`good`], an operation of a kind that is recorded, and is changed in the
//! place that it is about. What the state is afterwards is written here from section 6.4 of the
//! page.

mod alone;
mod change;
mod dev;
mod effects;
mod ends;
mod messaging;
mod register;

use std::rc::Rc;

use serde_json::{Value, json};

use super::{operation::*, page::*};

/// The block that operations are in, if nothing else is said.
pub const H: u32 = 5_000;
pub const T: u64 = 1_800_000_000;

/// What an operation sees of its block.
#[derive(Clone)]
pub struct Ctx {
    pub height: u32,
    pub time: u64,
    pub names: u32,
    pub bytes: u32,
    /// The place among the operations of the block.
    pub index: u32,
    /// Height, time and name price of the ancestor that the stamp is anchored to.
    pub anchor: Option<(u32, u64, u32)>,
}

/// What an accepted operation does to the state.
pub type Set = Rc<dyn Fn(&mut Vec<E>, &Op, &Ctx)>;

#[derive(Clone)]
pub struct Case {
    /// The rule whose file the case is in.
    pub rule: &'static str,
    pub about: String,
    pub ctx: Ctx,
    pub state: Vec<E>,
    pub op: Op,
    pub set: Set,
    pub is_refused: bool,
}

impl Case {
    pub fn refused(mut self, rule: &'static str, about: &str) -> Case {
        (self.rule, self.is_refused) = (rule, true);
        self.about = format!("{}: {about}", label(self.op.kind));
        self
    }

    /// Not refused, for the file of a rule that it is just within.
    pub fn accepted(mut self, rule: &'static str, about: &str) -> Case {
        (self.rule, self.is_refused) = (rule, false);
        self.about = format!("{}: {about}", label(self.op.kind));
        self
    }

    pub fn op(mut self, change: impl FnOnce(&mut Op)) -> Case {
        change(&mut self.op);
        self
    }

    pub fn ctx(mut self, change: impl FnOnce(&mut Ctx)) -> Case {
        change(&mut self.ctx);
        self
    }

    /// Changes the entry of the name in the state before.
    pub fn entry(mut self, change: impl FnOnce(&mut NameE)) -> Case {
        change(name_of(&mut self.state));
        self
    }

    /// Changes the commit entry in the state before.
    pub fn commit(mut self, change: impl FnOnce(&mut CommitE)) -> Case {
        let commit = self.state.iter_mut().find_map(|entry| match entry {
            E::Commit(commit) => Some(commit),
            E::Name(_) => None,
        });
        change(commit.expect("there is a commit entry"));
        self
    }

    pub fn state(mut self, change: impl FnOnce(&mut Vec<E>)) -> Case {
        change(&mut self.state);
        self
    }

    /// What the operation sets in the name's entry instead of what [`good`] says.
    pub fn sets(mut self, set: impl Fn(&mut NameE, &Op, &Ctx) + 'static) -> Case {
        self.set = on_name(set);
        self
    }

    pub fn json(&self) -> Value {
        let op = self.op.bytes();
        let mut after = self.state.clone();
        let mut value = json!({
            "about": self.about,
            "network": self.op.net.name,
            "height": self.ctx.height,
            "time": self.ctx.time,
            "name_price": self.ctx.names,
            "byte_price": self.ctx.bytes,
            "branch": BRANCH,
            "index": self.ctx.index,
            "anchor": self.ctx.anchor.map(|(height, time, price)| json!({ "height": height, "time": time, "name_price": price })),
            "state": encoded(self.op.net, &self.state),
            "operation": hex::encode(op),
        });
        if self.is_refused {
            value["refused"] = json!(self.rule);
        } else {
            (self.set)(&mut after, &self.op, &self.ctx);
            value["after"] = json!(encoded(self.op.net, &after));
        }
        value
    }
}

/// The entries in the order of their keys, in hexadecimal.
fn encoded(net: Net, entries: &[E]) -> Vec<String> {
    let mut all: Vec<_> = entries.iter().map(|e| (e.key(net), hex::encode(e.encode()))).collect();
    all.sort();
    all.into_iter().map(|(_, entry)| entry).collect()
}

pub fn name_of(state: &mut [E]) -> &mut NameE {
    let name = state.iter_mut().find_map(|entry| match entry {
        E::Name(name) => Some(name),
        E::Commit(_) => None,
    });
    name.expect("there is a name entry")
}

fn on_name(set: impl Fn(&mut NameE, &Op, &Ctx) + 'static) -> Set {
    Rc::new(move |state, op, ctx| {
        let entry = name_of(state);
        entry.updated = (ctx.height, ctx.time);
        set(entry, op, ctx);
    })
}

pub const TITLE: H32 = [0x11; 32];
pub const OFFER: H32 = [0x22; 32];
pub const SALT: H32 = [0x33; 32];
pub const ANCHOR: H32 = [0xaa; 32];
pub const OWNER: u8 = 1;
pub const RECIPIENT: u8 = 2;
pub const STRANGER: u8 = 5;
pub const RECOVERY: u8 = 9;

pub fn ctx() -> Ctx {
    Ctx {
        height: H,
        time: T,
        names: 1_024,
        bytes: 1_024,
        index: 3,
        anchor: Some((H - 10, T - 1_300, 1_024)),
    }
}

/// `alice` of the network `test`: of key 1, recovery key 9, in the middle of her lease.
pub fn alice() -> NameE {
    NameE {
        name: "alice".into(),
        owner: public(OWNER),
        recovery: Some(public(RECOVERY)),
        title: TITLE,
        sequence: 3,
        registered: (100, T - 15_000_000),
        commit: (80, 2),
        updated: (200, T - 14_000_000),
        expires: T + LEASE / 4,
        revoked: false,
        rescued: (0, 0),
        transfer: Some((public(RECIPIENT), OFFER, (H - 800, T - 100_000))),
        records: one_record(),
        messaging: Some((first_message().encode(), false, (150, T - 14_500_000))),
        messaging_sequence: 1,
    }
}

/// The messaging record that stands under `alice`: of key 20, which announces key 21.
pub fn first_message() -> Message {
    Message {
        sequence: 1,
        previous: [0; 32],
        identity: 20,
        next: next_key(TEST, 21),
        x25519: [20; 32],
        bundle: [0; 32],
        locators: vec![],
        policy: 0,
    }
}

/// The one that follows with the same key.
pub fn second_message() -> Message {
    Message { sequence: 2, previous: first_message().hash(TEST), ..first_message() }
}

pub fn publish_fields(sequence: u32, signed: Option<&[u8]>) -> Vec<u8> {
    [&sequence.to_be_bytes()[..], &optional(signed)].concat()
}

pub fn update_fields(sequence: u32, records: &[u8]) -> Vec<u8> {
    [&sequence.to_be_bytes()[..], records].concat()
}

pub fn register_fields(recovery: Option<u8>, records: &[u8]) -> Vec<u8> {
    let recovery = recovery.map(public);
    [optional(recovery.as_ref().map(|key| &key[..])), SALT.to_vec(), records.to_vec()].concat()
}

pub fn to_fields(first: &H32, recovery: Option<u8>) -> Vec<u8> {
    let recovery = recovery.map(public);
    [first.to_vec(), optional(recovery.as_ref().map(|key| &key[..]))].concat()
}

/// An operation on `alice` with the price that it has when multipliers are 1,024.
fn op(kind: u8, seed: u8, fields: Vec<u8>, work: u64) -> Op {
    Op {
        net: TEST,
        kind,
        name: name_bytes("alice"),
        reference: TITLE,
        valid_until: T + 3_600,
        seed,
        signer: None,
        fields,
        genesis: genesis_id(TEST),
        branch: BRANCH,
        forge: |_| {},
        anchor: ANCHOR,
        work,
        stamped: Stamped::Good,
    }
}

/// An operation of a kind that is recorded, with the least work that it takes.
pub fn good(kind: u8) -> Case {
    let price = |n| records_price(TEST, n, 1_024);
    let message = second_message().signed(TEST, &name_bytes("alice"), &TITLE, None);
    let (work, seed, fields): (u64, u8, Vec<u8>) = match kind {
        COMMIT => return register::good_commit(),
        REGISTER => return register::good_register(),
        UPDATE => (price(20), OWNER, update_fields(4, &records_of(20))),
        RENEW => (renewal(TEST, "alice"), OWNER, (T + LEASE / 4).to_be_bytes().to_vec()),
        TRANSFER => (price(0), OWNER, [&4u32.to_be_bytes()[..], &public(RECIPIENT)].concat()),
        ACCEPT => (price(0), RECIPIENT, to_fields(&OFFER, Some(STRANGER))),
        CANCEL => (rescue(TEST), OWNER, OFFER.to_vec()),
        RECOVER => (rescue(TEST), RECOVERY, to_fields(&public(7), Some(8))),
        REVOKE => (rescue(TEST), OWNER, vec![]),
        _ => (price(message.len()), OWNER, publish_fields(4, Some(&message))),
    };
    let mut entry = alice();
    if kind == TRANSFER {
        entry.transfer = None;
    }
    Case {
        rule: "effects",
        about: label(kind).into(),
        ctx: ctx(),
        state: vec![E::Name(entry)],
        op: op(kind, seed, fields, work),
        set: effect(kind),
        is_refused: false,
    }
}

/// What [`good`] of a kind sets (the table of section 6.4).
fn effect(kind: u8) -> Set {
    on_name(move |entry, op, ctx| match kind {
        UPDATE => (entry.sequence, entry.records) = (4, records_of(20)),
        RENEW => entry.expires += LEASE,
        TRANSFER => {
            entry.sequence = 4;
            let when = (ctx.height, ctx.time);
            entry.transfer = Some((public(RECIPIENT), op.subject(), when));
        }
        ACCEPT => {
            (entry.owner, entry.recovery) = (public(RECIPIENT), Some(public(STRANGER)));
            (entry.title, entry.sequence, entry.transfer) = (op.subject(), 0, None);
            (entry.records, entry.messaging, entry.messaging_sequence) = (vec![0, 0], None, 0);
        }
        CANCEL => (entry.transfer, entry.rescued.0) = (None, ctx.time),
        RECOVER => {
            (entry.owner, entry.recovery) = (public(7), Some(public(8)));
            (entry.title, entry.sequence, entry.transfer) = (op.subject(), 0, None);
            (entry.revoked, entry.rescued.1) = (false, ctx.time);
            (entry.messaging, entry.messaging_sequence) = (None, 0);
        }
        REVOKE => {
            (entry.revoked, entry.transfer, entry.rescued.0) = (true, None, ctx.time);
            (entry.records, entry.messaging) = (vec![0, 0], None);
        }
        _ => {
            (entry.sequence, entry.messaging_sequence) = (4, 2);
            let when = (ctx.height, ctx.time);
            entry.messaging = Some((second_message().encode(), false, when));
        }
    })
}

/// All cases.
pub fn all() -> Vec<Case> {
    let parts = [alone::cases(), change::cases(), dev::cases(), effects::cases(), ends::cases()];
    [parts.concat(), messaging::cases(), register::cases()].concat()
}
