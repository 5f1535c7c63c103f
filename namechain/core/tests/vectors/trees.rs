//! The state's tree with proofs that hold and that don't, and removals from the state.

use serde_json::{Value, json};

use super::{operation::*, page::*};

/// The path of a key in the tree over sorted leaves: the bits and siblings from the root down, and
/// the leaf at its end.
fn path(net: Net, leaves: &[(H32, H32)], key: &H32) -> (Vec<(u8, H32)>, (H32, H32)) {
    let (mut rest, mut steps) = (leaves, Vec::new());
    while rest.len() > 1 {
        let (low, high) = (&rest[0].0, &rest[rest.len() - 1].0);
        let number = (0..256).find(|n| bit(low, *n) != bit(high, *n)).unwrap();
        let (left, right) = rest.split_at(rest.partition_point(|(key, _)| !bit(key, number)));
        let (ours, other) = if bit(key, number) { (right, left) } else { (left, right) };
        steps.push((number as u8, tree_root(net, other)));
        rest = ours;
    }
    (steps, rest[0])
}

fn encode_proof(terminal: u8, leaf: Option<(H32, H32)>, steps: &[(u8, H32)]) -> Vec<u8> {
    let mut out = vec![terminal];
    out.extend(leaf.map(|(key, value)| [key, value].concat()).unwrap_or_default());
    out.push(steps.len() as u8);
    for (bit, sibling) in steps.iter().rev() {
        out.push(*bit);
        out.extend(sibling);
    }
    out
}

pub fn tree() -> Value {
    let net = MAIN;
    let key = |number: u16| hash(net, "name-key", &[format!("name{number}").as_bytes()]);
    let filled = |number: u16| [number as u8; 32];
    let mut roots = Vec::new();
    let mut leaves: Vec<(H32, H32)> = Vec::new();
    for number in 0..=8 {
        roots.push(json!({ "keys": number, "root": hex::encode(tree_root(net, &leaves)) }));
        leaves.push((key(number), filled(number)));
        leaves.sort();
    }
    leaves.retain(|(_, value)| value[0] < 8);
    let root = tree_root(net, &leaves);
    let mut proofs = Vec::new();
    let mut add = |about: &str, root: H32, key: H32, value: Option<H32>, proof: Vec<u8>, holds| {
        proofs.push(json!({
            "about": about,
            "root": hex::encode(root),
            "key": hex::encode(key),
            "value_hash": value.map(hex::encode),
            "proof": hex::encode(proof),
            "holds": holds,
        }));
    };
    for number in 0..10 {
        let (steps, leaf) = path(net, &leaves, &key(number));
        let there = number < 8;
        let (terminal, shown) = if there { (1, None) } else { (2, Some(leaf)) };
        let value = there.then_some(filled(number));
        let proof = encode_proof(terminal, shown, &steps);
        let what = if there { "a key's value" } else { "the absence of a key" };
        add(what, root, key(number), value, proof.clone(), true);
        let wrong = if there { None } else { Some(filled(number)) };
        add("the other claim by the same proof", root, key(number), wrong, proof.clone(), false);
        add("another value", root, key(number), Some([99; 32]), proof.clone(), false);
        add("another root", [7; 32], key(number), value, proof.clone(), false);
        add("a byte more", root, key(number), value, [&proof[..], &[0]].concat(), false);
        add("a byte less", root, key(number), value, proof[..proof.len() - 1].to_vec(), false);
        if there {
            // That another key is absent, by the leaf that stands at the end of its path or not.
            let other = encode_proof(2, Some((key(number), filled(number))), &steps);
            add("absence, by the key's own leaf", root, key(number), None, other, false);
        }
    }
    let (steps, leaf) = path(net, &leaves, &key(3));
    let stray = encode_proof(2, Some(leaf), &steps);
    let strays = (8..40).map(key).find(|key| {
        steps.iter().any(|(n, _)| bit(key, usize::from(*n)) != bit(&leaf.0, usize::from(*n)))
    });
    add(
        "absence, by a leaf that is not on the key's path",
        root,
        strays.unwrap(),
        None,
        stray,
        false,
    );
    let mut twisted = steps.clone();
    twisted.reverse();
    let back = encode_proof(1, None, &twisted);
    add("the bits rise", root, key(3), Some([3; 32]), back, false);
    // A path with one bit twice leads to the root of a tree that can't be.
    let twice = [steps[0], steps[0]];
    let node = |key: &H32, step: &(u8, H32), node: H32| {
        let (left, right) = if bit(key, step.0.into()) { (step.1, node) } else { (node, step.1) };
        hash(net, "tree-node", &[&[step.0], &left, &right])
    };
    let mut impossible = hash(net, "tree-leaf", &[&key(3), &[3; 32]]);
    for step in twice.iter().rev() {
        impossible = node(&key(3), step, impossible);
    }
    add("one bit twice", impossible, key(3), Some([3; 32]), encode_proof(1, None, &twice), false);
    add("the empty tree", [0; 32], key(0), None, encode_proof(0, None, &[]), true);
    add(
        "the empty tree has a value",
        [0; 32],
        key(0),
        Some([0; 32]),
        encode_proof(0, None, &[]),
        false,
    );
    add("the empty tree, another root", root, key(0), None, encode_proof(0, None, &[]), false);
    add(
        "the empty tree with a step",
        [0; 32],
        key(0),
        None,
        encode_proof(0, None, &steps[..1]),
        false,
    );
    add("a terminal of 3", root, key(3), Some([3; 32]), encode_proof(3, None, &steps), false);
    add("a terminal of 3 for absence", root, key(9), None, encode_proof(3, None, &steps), false);
    let single = tree_root(net, &leaves[..1]);
    let (alone, value) = leaves[0];
    add("a tree of one key", single, alone, Some(value), encode_proof(1, None, &[]), true);
    add(
        "a tree of one key: another is absent",
        single,
        key(9),
        None,
        encode_proof(2, Some((alone, value)), &[]),
        true,
    );
    // Deep enough for bits beyond the first byte.
    let mut many: Vec<(H32, H32)> = (0..600).map(|n| (key(n), filled(n))).collect();
    many.sort();
    let large = tree_root(net, &many);
    for number in [0, 1, 299, 598, 599, 600, 601, 602] {
        let (steps, leaf) = path(net, &many, &key(number));
        let there = number < 600;
        let (terminal, shown) = if there { (1, None) } else { (2, Some(leaf)) };
        let proof = encode_proof(terminal, shown, &steps);
        add("of 600 keys", large, key(number), there.then_some(filled(number)), proof, true);
    }
    json!({
        "large_root": hex::encode(large),
        "about": "The keys of the names name0 to name7 with the value hashes 32 times 00 to 32 times 07: the root after each; and \
                  proofs, with whether they hold. value_hash is the claim: null is that nothing stands there. large_root is over name0 to name599, \
                  the value hash of each 32 times its number modulo 256.",
        "network": "main",
        "roots": roots,
        "proofs": proofs,
    })
}

/// What is removed at the start of a block.
pub fn removal() -> Value {
    let now = 2_000_000_000u64;
    let commit = |number: u16, time: u64| {
        let mut id = [0; 32];
        id[..2].copy_from_slice(&number.to_be_bytes());
        E::Commit(CommitE {
            id,
            commitment: [5; 32],
            height: 9,
            index: 0,
            time,
            work: 1,
            price: 1_024,
            spent: number.is_multiple_of(2),
        })
    };
    let name = |text: &str, expires: u64, revoked: bool| {
        E::Name(NameE {
            name: text.into(),
            recovery: None,
            transfer: None,
            messaging: None,
            messaging_sequence: 0,
            records: vec![0, 0],
            expires,
            revoked,
            ..super::cases::alice()
        })
    };
    let small = vec![
        commit(0, now - DAY - 1),
        commit(1, now - DAY),
        commit(2, now - DAY + 1),
        name("over", now - GRACE, false),
        name("last-second", now - GRACE + 1, false),
        name("revoked-over", now - GRACE, true),
        name("revoked-last", now - GRACE + 1, true),
        name("far", u64::MAX - 3, false),
    ];
    let many = |names: u16, commits: u16| -> Vec<E> {
        let commits = (0..commits).map(|n| commit(n, now - DAY - 2 - u64::from(n % 3)));
        let name =
            |n: u16| name(&format!("n{n:03}"), now - GRACE - u64::from(n % 3), n.is_multiple_of(5));
        commits.chain((0..names).map(name)).collect()
    };
    let cases = [
        ("both sides of each end", small),
        ("512 name entries are over and go; 514 commit entries are over, 512 go", many(512, 514)),
        ("513 name entries are over, 512 go; 512 commit entries are over and go", many(513, 512)),
    ]
    .map(|(about, entries)| {
        let mut rows: Vec<(u64, H32, E)> = entries
            .into_iter()
            .map(|entry| {
                let end = match &entry {
                    E::Name(name) => name.expires.saturating_add(GRACE),
                    E::Commit(commit) => commit.time + DAY,
                };
                (end, entry.key(MAIN), entry)
            })
            .collect();
        rows.sort_by_key(|(end, key, _)| (*end, *key));
        let all: Vec<String> =
            rows.iter().map(|(_, _, entry)| hex::encode(entry.encode())).collect();
        let (mut names, mut commits) = (0, 0);
        rows.retain(|(end, _, entry)| {
            let (count, is_over) = match entry {
                E::Name(_) => (&mut names, *end <= now),
                E::Commit(_) => (&mut commits, *end < now),
            };
            *count += usize::from(is_over);
            !is_over || *count > 512
        });
        let mut left: Vec<(H32, H32)> = rows
            .iter()
            .map(|(_, key, entry)| (*key, hash(MAIN, "value", &[&entry.encode()])))
            .collect();
        left.sort();
        let keys: Vec<String> = left.iter().map(|(key, _)| hex::encode(key)).collect();
        json!({
            "about": about,
            "time": now,
            "state": all,
            "keys_after": keys,
            "root_after": hex::encode(tree_root(MAIN, &left)),
        })
    });
    json!({
        "about": "What a block at this time removes before its operations: the entries before, the keys of those that stay, and \
                  the root over them.",
        "network": "main",
        "cases": cases,
    })
}
