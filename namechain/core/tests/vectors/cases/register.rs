//! Commit and Register: who may have a name.

use super::*;

/// The id of the Commit that [`good_register`] names.
const COMMIT_ID: H32 = [0x44; 32];

fn commitment(name: &str, owner: u8) -> H32 {
    hash(TEST, "commitment", &[&name_bytes(name), &public(owner), &SALT])
}

/// A Commit of key 1 to `alice`.
pub fn good_commit() -> Case {
    Case {
        rule: "effects",
        about: "commit".into(),
        ctx: ctx(),
        state: vec![],
        op: Op {
            fields: commitment("alice", OWNER).to_vec(),
            ..op(COMMIT, OWNER, vec![], TEST.base)
        },
        set: recorded_at(1_024),
        is_refused: false,
    }
}

/// The entry of a Commit that is recorded, with this price.
pub fn recorded_at(price: u32) -> Set {
    Rc::new(move |state, op, ctx| {
        state.push(E::Commit(CommitE {
            id: op.id(),
            commitment: op.fields.as_slice().try_into().unwrap(),
            height: ctx.height,
            index: ctx.index,
            time: ctx.time,
            work: op.work,
            price,
            spent: false,
        }));
    })
}

/// The entry of the Commit to `alice` that has just become old enough.
fn open() -> CommitE {
    CommitE {
        id: COMMIT_ID,
        commitment: commitment("alice", OWNER),
        height: H - 10,
        index: 5,
        time: T - 600,
        work: registration(TEST, "alice", 1_024),
        price: 1_024,
        spent: false,
    }
}

pub fn good_register() -> Case {
    let fields = register_fields(Some(RECOVERY), &one_record());
    Case {
        rule: "effects",
        about: "register".into(),
        ctx: ctx(),
        state: vec![E::Commit(open())],
        op: Op {
            reference: COMMIT_ID,
            ..op(REGISTER, OWNER, fields, records_price(TEST, 15, 1_024))
        },
        set: registered("alice", OWNER, Some(RECOVERY), one_record()),
        is_refused: false,
    }
}

/// The state after a Register: the Commit that it names is spent, the entry is a new one.
pub fn registered(name: &str, owner: u8, recovery: Option<u8>, records: Vec<u8>) -> Set {
    let name = name.to_owned();
    Rc::new(move |state, op, ctx| {
        let mut place = None;
        for entry in state.iter_mut() {
            if let E::Commit(commit) = entry
                && commit.id == op.reference
            {
                commit.spent = true;
                place = Some((commit.height, commit.index));
            }
        }
        state.retain(|entry| !matches!(entry, E::Name(entry) if entry.name == name));
        state.push(E::Name(NameE {
            name: name.clone(),
            owner: public(owner),
            recovery: recovery.map(public),
            title: op.subject(),
            sequence: 0,
            registered: (ctx.height, ctx.time),
            commit: place.expect("the Commit is there"),
            updated: (ctx.height, ctx.time),
            expires: ctx.time.saturating_add(LEASE),
            revoked: false,
            rescued: (0, 0),
            transfer: None,
            records: records.clone(),
            messaging: None,
            messaging_sequence: 0,
        }));
    })
}

/// A name entry that stands already.
fn beside(change: impl FnOnce(&mut NameE)) -> impl FnOnce(&mut Vec<E>) {
    let mut entry = alice();
    change(&mut entry);
    move |state| state.push(E::Name(entry))
}

pub fn cases() -> Vec<Case> {
    [commits(), commitments(), ages(), lengths(), taken(), settling(), reserved()].concat()
}

fn commits() -> Vec<Case> {
    let recorded = |change: fn(&mut CommitE)| {
        let case = good_commit();
        let mut state = vec![];
        recorded_at(1_024)(&mut state, &case.op, &case.ctx);
        let [E::Commit(mut entry)] = <[E; 1]>::try_from(state).ok().unwrap() else {
            unreachable!()
        };
        (entry.height, entry.time) = (H - 20, T - 1_300);
        change(&mut entry);
        case.state(move |state| state.push(E::Commit(entry)))
    };
    let at = |below: u32, anchored: u32, price: u32| {
        let mut case = good_commit()
            .op(|op| op.work = 9_000)
            .ctx(move |ctx| ctx.names = 1_100)
            .ctx(move |ctx| ctx.anchor = Some((H - below, T - 7_000, anchored)));
        case.set = recorded_at(price);
        case
    };
    vec![
        recorded(|_| {}).refused("commit-recorded", "the same Commit is there, open"),
        recorded(|entry| entry.spent = true)
            .refused("commit-recorded", "the same Commit is there, spent"),
        recorded(|entry| entry.time = T - DAY)
            .refused("commit-recorded", "the same Commit is there, in its last second"),
        recorded(|entry| entry.time = T - DAY - 1)
            .refused("commit-recorded", "the same Commit is there, lapsed and not removed yet"),
        good_commit()
            .state(|state| state.push(E::Commit(open())))
            .accepted("commit-recorded", "another Commit to the same is there"),
        at(60, 1_024, 1_024).accepted("effects", "the anchor is 60 blocks below: its price"),
        at(61, 1_024, 1_100)
            .accepted("effects", "the anchor is 61 blocks below: the price in force"),
        at(60, 5_000, 5_000).accepted("effects", "the anchor's price may be the higher one"),
        good_commit()
            .op(|op| op.fields = vec![0; 32])
            .accepted("effects", "a commitment of zeros: any 32 bytes are one"),
    ]
}

fn commitments() -> Vec<Case> {
    vec![
        good_register()
            .op(|op| op.reference = [0x45; 32])
            .refused("commitment-unknown", "no Commit of that id is recorded"),
        good_register()
            .commit(|c| c.commitment = commitment("alice", STRANGER))
            .refused("commitment-unknown", "the Commit is to another owner"),
        good_register()
            .commit(|c| c.commitment = commitment("alices", OWNER))
            .refused("commitment-unknown", "the Commit is to another name"),
        good_register()
            .op(|op| op.fields[33..65].fill(0x34))
            .refused("commitment-unknown", "the salt is another"),
        good_register()
            .commit(|c| (c.height, c.time) = (H - 700, T - DAY))
            .accepted("commitment-unknown", "the Commit is 86,400 s old"),
        good_register()
            .commit(|c| (c.height, c.time) = (H - 700, T - DAY - 1))
            .refused("commitment-unknown", "the Commit is 86,401 s old and not removed yet"),
        good_register()
            .commit(|c| (c.height, c.time) = (H - 2_000, T - DAY))
            .accepted("commitment-unknown", "the Commit is 2,000 blocks old: blocks don't count"),
        good_register().commit(|c| c.spent = true).refused("commitment-spent", "it is spent"),
        good_register().accepted("commitment-spent", "it is not spent"),
        good_register()
            .commit(|c| c.work -= 1)
            .refused("commitment-underpaid", "one expected hash less than the price"),
        good_register().accepted("commitment-underpaid", "the price"),
        good_register()
            .commit(|c| (c.work, c.price) = (8_192 * 8 * 3, 3_072))
            .accepted("commitment-underpaid", "the price under a multiplier of 3,072"),
        good_register()
            .commit(|c| (c.work, c.price) = (8_192 * 8 * 3 - 1, 3_072))
            .refused("commitment-underpaid", "one hash less under a multiplier of 3,072"),
        good_register()
            .ctx(|ctx| ctx.names = 1 << 31)
            .accepted("commitment-underpaid", "the name price in force does not count"),
        good_register()
            .commit(|c| (c.work, c.price) = (8_192 * 8 + 64, 1_025))
            .accepted("commitment-underpaid", "the price under a multiplier of 1,025: exact"),
    ]
}

fn ages() -> Vec<Case> {
    let aged = |blocks: u32, seconds: u64| {
        good_register().commit(move |c| (c.height, c.time) = (H - blocks, T - seconds))
    };
    vec![
        aged(9, 6_000).refused("commitment-young", "9 blocks and 6,000 s after its Commit"),
        aged(10, 599).refused("commitment-young", "10 blocks and 599 s after its Commit"),
        aged(10, 600).accepted("commitment-young", "10 blocks and 600 s after its Commit"),
        aged(0, 600).refused("commitment-young", "in the block of its Commit"),
    ]
}

fn lengths() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, times) in [("abc", 256), ("abcd", 64), ("abcde", 8), ("abcdef", 1)] {
        let case = |work: u64| {
            let mut case = good_register()
                .op(move |op| op.name = name_bytes(name))
                .commit(move |c| (c.commitment, c.work) = (commitment(name, OWNER), work));
            case.set = registered(name, OWNER, Some(RECOVERY), one_record());
            case
        };
        let (price, about) = (TEST.base * times, format!("{} characters", name.len()));
        cases.push(case(price).accepted("commitment-underpaid", &about));
        let less = format!("{about}, one hash less");
        cases.push(case(price - 1).refused("commitment-underpaid", &less));
    }
    let long = "a".repeat(63);
    let text = long.clone();
    let mut case = good_register()
        .op(|op| op.name = name_bytes(&long))
        .commit(|c| (c.commitment, c.work) = (commitment(&long, OWNER), TEST.base));
    case.set = registered(&text, OWNER, Some(RECOVERY), one_record());
    cases.push(case.accepted("effects", "63 characters"));
    cases
}

fn taken() -> Vec<Case> {
    let with = |change: fn(&mut NameE)| good_register().state(beside(change));
    vec![
        with(|_| {}).refused("name-taken", "it is active"),
        with(|e| e.expires = T).refused("name-taken", "its grace has begun"),
        with(|e| e.expires = T - GRACE + 1).refused("name-taken", "the last second of its grace"),
        with(|e| e.revoked = true).refused("name-taken", "it is revoked, in its lease"),
        with(|e| (e.revoked, e.expires) = (true, T - GRACE + 1))
            .refused("name-taken", "it is revoked, in the last second of its grace"),
        with(|e| e.expires = T - GRACE)
            .accepted("name-taken", "it is released and not removed yet: nothing of it stays"),
        with(|e| (e.revoked, e.expires) = (true, T - GRACE))
            .accepted("name-taken", "it was revoked, and is released and not removed yet"),
        // Settling is over.
        with(|e| (e.registered, e.commit) = ((H - 30, T - 3_600), (H - 5, 9))).refused(
            "name-taken",
            "30 blocks and 3,600 s after it was registered by a younger Commit",
        ),
    ]
}

fn settling() -> Vec<Case> {
    let young = |registered: At, commit: (u32, u32)| {
        good_register().state(beside(move |e| {
            (e.registered, e.commit, e.updated) = (registered, commit, registered);
        }))
    };
    // The Commit of the case is at (H - 10, 5).
    let same = [
        ((H - 10, 6), Some("its Commit is of the same block, one place later")),
        ((H - 9, 0), Some("its Commit is of the block after, first in it")),
        ((H - 10, 4), None),
        ((H - 11, 9), None),
    ];
    let mut cases = Vec::new();
    for (commit, wins) in same {
        let case = young((H - 1, T - 60), commit);
        cases.push(match wins {
            Some(about) => case.accepted("name-settling", about),
            None => case.refused("name-settling", "the Commit of the settling name is older"),
        });
    }
    cases.extend([
        young((H - 29, T - 90_000), (H - 9, 0))
            .accepted("name-settling", "29 blocks after it was registered by a younger Commit"),
        young((H - 700, T - 3_599), (H - 9, 0))
            .accepted("name-settling", "3,599 s after it was registered by a younger Commit"),
        young((H, T), (H - 9, 0))
            .accepted("name-settling", "in the block in which it was registered"),
        young((H - 30, T - 3_600), (H - 11, 0))
            .refused("name-taken", "30 blocks and 3,600 s after it was registered"),
    ]);
    // The displaced Commit stays spent.
    cases.push(
        young((H - 1, T - 60), (H - 9, 0))
            .state(|state| {
                state.push(E::Commit(CommitE {
                    id: [0x46; 32],
                    commitment: commitment("alice", STRANGER),
                    height: H - 9,
                    index: 0,
                    spent: true,
                    ..open()
                }));
            })
            .accepted("name-settling", "the displaced Commit stays, spent"),
    );
    cases
}

fn reserved() -> Vec<Case> {
    let named = |name: &'static str| {
        let mut case = good_register()
            .op(|op| op.name = name_bytes(name))
            .commit(|c| (c.commitment, c.work) = (commitment(name, OWNER), 1 << 40));
        case.set = registered(name, OWNER, Some(RECOVERY), one_record());
        case
    };
    vec![
        named("com").refused("name-reserved", "com is in the first list"),
        named("localhost").refused("name-reserved", "localhost is in the second list"),
        named("wpad").refused("name-reserved", "wpad is in the third list"),
        named("xn--p1ai").refused("name-reserved", "xn--p1ai is in the first list"),
        named("comm").accepted("name-reserved", "comm is in none"),
    ]
}
