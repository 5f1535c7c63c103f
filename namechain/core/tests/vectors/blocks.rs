//! The vectors of blocks: each is a block after some of the [`chain`]'s, changed in one place.

use serde_json::{Value, json};

use super::{cases::*, chain::*, operation::*, page::*};

/// A block after the first blocks of the chain, and what becomes of it.
struct Case {
    rule: &'static str,
    about: &'static str,
    /// How many blocks stand before it, without the genesis block.
    before: usize,
    block: Vec<u8>,
    padding: usize,
    /// The clock, if not that of the chain.
    now: Option<u64>,
    verdict: Verdict,
}

enum Verdict {
    Accepted,
    Refused,
    /// Refused for another rule than the one that the file is about.
    RefusedFor(&'static str),
    UpgradeNeeded,
    /// Ahead of the clock.
    Postponed,
}

impl Case {
    fn json(&self) -> Value {
        let mut value = json!({
            "about": self.about,
            "before": self.before,
            "block": hex::encode(&self.block),
        });
        if self.padding > 0 {
            value["padding"] = json!(self.padding);
        }
        if let Some(now) = self.now {
            value["now"] = json!(now);
        }
        match self.verdict {
            Verdict::Accepted => value["accepted"] = json!(true),
            Verdict::Refused => value["refused"] = json!(self.rule),
            Verdict::RefusedFor(rule) => value["refused"] = json!(rule),
            Verdict::UpgradeNeeded => value["upgrade_needed"] = json!(true),
            Verdict::Postponed => value["postponed"] = json!(true),
        }
        value
    }
}

/// The empty block after the first two, which both Commits are before.
struct Empty<'a> {
    story: &'a Maker,
    head: Head,
}

const BEFORE: usize = 2;

impl Empty<'_> {
    fn new(story: &Maker) -> Empty<'_> {
        let head = story.heads[BEFORE + 1].clone();
        Empty { story, head }
    }

    fn with(&self, rule: &'static str, about: &'static str, change: impl Fn(&mut Head)) -> Case {
        let mut head = Head { nonce: 0, ..self.head.clone() };
        change(&mut head);
        let block = block(&head.search(NET, true), &[]);
        Case {
            rule,
            about,
            before: BEFORE,
            block,
            padding: 0,
            now: None,
            verdict: Verdict::Refused,
        }
    }

    fn accepted(
        &self,
        rule: &'static str,
        about: &'static str,
        change: impl Fn(&mut Head),
    ) -> Case {
        Case { verdict: Verdict::Accepted, ..self.with(rule, about, change) }
    }

    fn bytes(&self, rule: &'static str, about: &'static str, bytes: Vec<u8>) -> Case {
        let verdict = Verdict::Refused;
        Case { rule, about, before: BEFORE, block: bytes, padding: 0, now: None, verdict }
    }

    fn good(&self) -> Vec<u8> {
        self.story.blocks[BEFORE + 1].clone()
    }
}

fn headers(story: &Maker) -> Vec<Case> {
    let empty = Empty::new(story);
    let parent = story.heads[BEFORE].clone();
    let older = story.heads[BEFORE].history_root;
    let mut unknown = empty.with("header-version", "version 3 with its work", |h| h.version = 3);
    unknown.verdict = Verdict::UpgradeNeeded;
    let unworked = Head { version: 3, ..empty.head.clone() }.search(NET, false);
    let mut unworked =
        empty.bytes("header-work", "version 3 without its work", block(&unworked, &[]));
    unworked.verdict = Verdict::Refused;
    let bad = empty.head.search(NET, false);
    // Its work reaches the easiest target, not that of a header which is early.
    let early = Head { time: empty.head.due - 100, nonce: 0, ..empty.head.clone() };
    let easiest = target_value(NET.easiest);
    let hard = target_value(target(NET, early.time, early.due));
    let what = [&b"between"[..], &early.encode()].concat();
    let between =
        |nonce| (hard + 1..=easiest).contains(&Head { nonce, ..early.clone() }.value(NET));
    let early = Head { nonce: search(&what, between), ..early.clone() };
    vec![
        empty.with("header-version", "version 1", |h| h.version = 1),
        empty.with("header-version", "version 0", |h| h.version = 0),
        unknown,
        empty.accepted("header-version", "version 2", |_| {}),
        unworked,
        empty.bytes("header-work", "a nonce whose value is over the target", block(&bad, &[])),
        empty.bytes(
            "header-work",
            "100 s early, the work reaches the easiest target only",
            block(&early, &[]),
        ),
        empty.accepted("header-work", "100 s early, with its work", |h| h.time = h.due - 100),
        empty.with("header-height", "one more", |h| h.height += 1),
        empty.with("header-height", "that of the parent", |h| h.height -= 1),
        empty.with("header-time", "a second before the parent", |h| h.time = parent.time - 1),
        empty.accepted("header-time", "the time of the parent", |h| h.time = parent.time),
        empty.with("header-due", "a second less", |h| h.due -= 1),
        empty.with("header-due", "a second more", |h| h.due += 1),
        empty.with("header-due", "its own time", |h| {
            h.time += 7;
            h.due = h.time;
        }),
        empty.with("history-root", "zeros", |h| h.history_root = [0; 32]),
        empty.with("history-root", "that of the parent", |h| h.history_root = older),
        empty.with("ops-root", "zeros", |h| h.ops_root = [0; 32]),
        empty.with("state-root", "zeros", |h| h.state_root = [0; 32]),
        empty.with("price", "a name price of one more", |h| h.names += 1),
        empty.with("price", "a byte price of one more", |h| h.bytes += 1),
        empty.with("price", "a name price of 1,023", |h| h.names -= 1),
        empty.with("price", "a byte price of 1,023", |h| h.bytes -= 1),
    ]
}

/// The due time after a parent that was early is the parent's due and an interval.
fn after_early(story: &Maker) -> Vec<Case> {
    // The block before the last but six was 60 s early.
    let at = story.heads.iter().position(|h| h.height > 1 && h.time < h.due).unwrap();
    let head = story.heads[at + 1].clone();
    let with = |about, change: &dyn Fn(&mut Head)| {
        let mut head = Head { nonce: 0, ..head.clone() };
        change(&mut head);
        let block = block(&head.search(NET, true), &[]);
        Case {
            rule: "header-due",
            about,
            before: at,
            block,
            padding: 0,
            now: None,
            verdict: Verdict::Refused,
        }
    };
    let time = story.heads[at].time;
    let mut price =
        with("a name price of one less than half an interval makes it", &|h| h.names -= 1);
    price.rule = "price";
    vec![
        with("after an early parent: the parent's time and an interval", &|h| {
            h.due = time + NET.interval;
        }),
        price,
    ]
}

fn encodings(story: &Maker) -> Vec<Case> {
    let empty = Empty::new(story);
    let good = empty.good();
    let changed = |about, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        empty.bytes("encoding", about, bytes)
    };
    let padded = |size: usize, about, verdict| Case {
        padding: size - good.len(),
        verdict,
        ..empty.bytes("block-size", about, good.clone())
    };
    vec![
        changed("a byte more", &|b| b.push(0)),
        changed("a byte less", &|b| {
            b.pop();
        }),
        changed("one operation is counted, none is there", &|b| b[171] = 1),
        changed("2^32 - 1 operations are counted", &|b| b[168..172].fill(0xff)),
        changed("no bytes", &|b| b.clear()),
        padded(262_145, "zeros up to one byte over the limit", Verdict::Refused),
        padded(262_144, "zeros up to the limit", Verdict::RefusedFor("encoding")),
    ]
}

/// Blocks with operations.
fn operations(story: &Maker) -> Vec<Case> {
    let maker = story.cut(BEFORE);
    let time = maker.due();
    let block_of = |ops: &[Vec<u8>], entries: Vec<E>| {
        let state = with(maker.state(), entries);
        block(&maker.head(time, ops, &state).search(NET, true), ops)
    };
    let one = commit(&maker, OWNER, 77);
    let entry = |index, op: &Op| commit_entry(&maker, time, index, op);
    let unknown = Op { anchor: [1; 32], ..one.clone() };
    let genesis = Op { anchor: genesis_id(NET), ..one.clone() };
    let cheap = Op { work: NET.base - 1, ..one.clone() };
    let two = commit(&maker, OWNER, 78);
    let pair = [one.bytes(), two.bytes()];
    let entries = || vec![entry(0, &one), entry(1, &two)];
    let good = block_of(&pair, entries());
    let mut swapped = good[..172].to_vec();
    swapped.extend([two.bytes(), one.bytes()].concat());
    let case = |rule, about, block, verdict| Case {
        rule,
        about,
        before: BEFORE,
        block,
        padding: 0,
        now: None,
        verdict,
    };
    let wrong_index = block_of(&pair, vec![entry(1, &one), entry(0, &two)]);
    let recorded = commit(&story.cut(COMMITTED - 1), OWNER, SALT[0]).bytes();
    vec![
        case("effects", "two Commits", good, Verdict::Accepted),
        case("ops-root", "the operations in another order", swapped, Verdict::Refused),
        case("state-root", "the indexes of two Commits swapped", wrong_index, Verdict::Refused),
        case(
            "stamp-anchor",
            "the anchor is no block",
            block_of(&[unknown.bytes()], vec![entry(0, &unknown)]),
            Verdict::Refused,
        ),
        case(
            "stamp-anchor",
            "the anchor is the genesis block",
            block_of(&[genesis.bytes()], vec![entry(0, &genesis)]),
            Verdict::Accepted,
        ),
        case(
            "underpaid",
            "the second of two operations is underpaid: the whole block is refused",
            block_of(&[two.bytes(), cheap.bytes()], vec![entry(0, &two), entry(1, &cheap)]),
            Verdict::Refused,
        ),
        case(
            "commit-recorded",
            "the same Commit twice in a block",
            block_of(&[one.bytes(), one.bytes()], vec![entry(0, &one)]),
            Verdict::Refused,
        ),
        case(
            "commit-recorded",
            "a Commit that an earlier block records",
            block_of(&[recorded], vec![]),
            Verdict::Refused,
        ),
    ]
}

/// A block as full as the rule allows, and what more it may have.
fn share(story: &Maker) -> Vec<Case> {
    let maker = story.cut(FULL - 1);
    let (time, height) = (maker.due(), FULL as u32);
    let full_of = |sizes: &[usize], recovers: &[Op]| {
        let mut ops: Vec<Vec<u8>> = (1..)
            .zip(sizes)
            .map(|(sequence, bytes)| update(&maker, time, sequence, *bytes).bytes())
            .collect();
        let mut state = updated(&maker, time, sizes.len() as u32, sizes[sizes.len() - 1]);
        ops.extend(recovers.iter().map(Op::bytes));
        if !recovers.is_empty() {
            state = recovered(&state, height, time, recovers);
        }
        let paid = recovers.iter().skip(1).map(|op| op.bytes().len()).sum();
        let head = maker.head_with(time, &ops, &state, paid);
        block(&head.search(NET, true), &ops)
    };
    let case = |about, block, verdict| Case {
        rule: "block-share",
        about,
        before: FULL - 1,
        block,
        padding: 0,
        now: None,
        verdict,
    };
    let recovers = recovers(&maker, time);
    vec![
        case(
            "229,377 bytes of Updates; block 42 of the chain has 229,376",
            full_of(&filling(1), &[]),
            Verdict::Refused,
        ),
        case(
            "229,376 bytes of Updates and a Recover at the fixed price",
            full_of(&filling(0), &recovers[..1]),
            Verdict::Accepted,
        ),
        case(
            "229,376 bytes of Updates, a Recover at the fixed price, and one that pays for its bytes",
            full_of(&filling(0), &recovers),
            Verdict::Refused,
        ),
    ]
}

/// What counts for the byte price, where it has risen.
fn counted(story: &Maker) -> Vec<Case> {
    let maker = story.cut(FULL);
    let (time, height) = (maker.due(), FULL as u32 + 1);
    let recovers = recovers(&maker, time);
    let of = |ops: &[Op], paid: usize| {
        let state = recovered(maker.state(), height, time, ops);
        let ops: Vec<Vec<u8>> = ops.iter().map(Op::bytes).collect();
        block(&maker.head_with(time, &ops, &state, paid).search(NET, true), &ops)
    };
    let case = |about, block, verdict| Case {
        rule: "price",
        about,
        before: FULL,
        block,
        padding: 0,
        now: None,
        verdict,
    };
    let bytes = recovers[1].bytes().len();
    vec![
        case(
            "a Recover at the fixed price does not count",
            of(&recovers[..1], 0),
            Verdict::Accepted,
        ),
        case(
            "a Recover at the fixed price is counted",
            of(&recovers[..1], bytes),
            Verdict::Refused,
        ),
        case("a Recover that pays for its bytes counts", of(&recovers, bytes), Verdict::Accepted),
        case(
            "a Recover that pays for its bytes is not counted",
            of(&recovers, 0),
            Verdict::Refused,
        ),
    ]
}

/// Headers ahead of the clock, on both sides of the limit.
fn postponed(story: &Maker) -> Vec<Case> {
    let empty = Empty::new(story);
    let time = empty.head.time;
    let maker = story.cut(BEFORE);
    let last = maker.head(u64::MAX, &[], &State::new()).search(NET, true);
    let last = block(&last, &[]);
    let at = |about, block: &[u8], now, verdict| Case {
        now: Some(now),
        verdict,
        ..empty.bytes("postponed", about, block.to_vec())
    };
    let good = empty.good();
    let bad = block(&Head { nonce: 0, ..empty.head.clone() }.search(NET, false), &[]);
    vec![
        at("299 s ahead of the clock", &good, time - 299, Verdict::Accepted),
        at("300 s ahead of the clock", &good, time - 300, Verdict::Accepted),
        at("301 s ahead of the clock", &good, time - 301, Verdict::Postponed),
        at("a clock at 0", &good, 0, Verdict::Postponed),
        at(
            "without its work, 300 s ahead of the clock",
            &bad,
            time - 300,
            Verdict::RefusedFor("header-work"),
        ),
        at("of the time 2^64 - 1, 300 s ahead", &last, u64::MAX - 300, Verdict::Accepted),
        at("of the time 2^64 - 1, 301 s ahead", &last, u64::MAX - 301, Verdict::Postponed),
        at("of the time 2^64 - 1, 299 s ahead", &last, u64::MAX - 299, Verdict::Accepted),
    ]
}

/// 41 Commits where the chain has 40.
fn commits(story: &Maker) -> Case {
    let maker = story.cut(FULL);
    let time = maker.due();
    let ops: Vec<Op> = (100..141).map(|salt| commit(&maker, OWNER, salt)).collect();
    let entries = (0..).zip(&ops).map(|(index, op)| commit_entry(&maker, time, index, op));
    let state = with(maker.state(), entries);
    let ops: Vec<Vec<u8>> = ops.iter().map(Op::bytes).collect();
    Case {
        rule: "block-commits",
        about: "41 Commits; block 43 of the chain has 40",
        before: FULL,
        block: block(&maker.head(time, &ops, &state).search(NET, true), &ops),
        padding: 0,
        now: None,
        verdict: Verdict::Refused,
    }
}

/// All files: `chain.json`, `forks.json`, and one for each rule.
pub fn files() -> Vec<(String, Value)> {
    let story = story();
    let blocks: Vec<String> = story.blocks[1..].iter().map(hex::encode).collect();
    let chain = json!({
        "about": "the blocks of the network test from height 1 on that the cases of the other files stand on, all accepted",
        "network": NET.name,
        "now": 1_900_000_000u64,
        "blocks": blocks,
    });
    let mut files = std::collections::BTreeMap::<&str, Vec<Value>>::new();
    let cases = [
        headers(&story),
        after_early(&story),
        encodings(&story),
        operations(&story),
        share(&story),
        counted(&story),
        postponed(&story),
        vec![commits(&story)],
    ];
    for case in cases.iter().flatten() {
        files.entry(case.rule).or_default().push(case.json());
    }
    let files = files.into_iter().map(|(rule, cases)| {
        (format!("blocks/{rule}.json"), json!({ "rule": rule, "cases": cases }))
    });
    let beside = [("chain.json", chain), ("forks.json", super::forks::forks(&story))];
    files.chain(beside.map(|(path, value)| (path.to_owned(), value))).collect()
}
