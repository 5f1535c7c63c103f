//! A model of docs/protocol.md's operations, two plain maps without tree, store, undo and index,
//! against the real chain over random histories.
//!
//! Two miners each try random operations, right and wrong ones, on chains of their own. The model
//! says of each whether it can be recorded, or which rule refuses it; the chain, the mempool and
//! the block templates must agree. Then the miners hear of each other's blocks, bad ones among
//! them, and the longer branch wins. After every block all stored entries are the model's, and in
//! the end those of every block. Most histories take signatures and stamps for granted, which are
//! other tests' concern; some make and check them all.
//!
//! On the network `dev` multipliers stand still; `prices` has the same operations on the numbers of
//! `test`, without blocks to be mined.
//!
//! `holds` has which branch is followed and which is held back, against a model of its own.
//!
//! `NAMECHAIN_HISTORIES` sets how many histories there are (default 300, 400 and 150),
//! `NAMECHAIN_SEED` the seed that they come from (default 1). What fails is shrunk and printed.
//!
//! ```text
//! NAMECHAIN_HISTORIES=100000 cargo test -p namechain-core --test model
//! ```

mod acts;
mod build;
#[path = "../common/mod.rs"]
mod common;
mod edges;
mod holds;
mod ledger;
mod plain_map;
mod plan;
mod player;
mod prices;
mod rivals;

use std::cell::RefCell;

use proptest::{
    strategy::Strategy,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use plan::RandomHistory;
use player::{Judged, Player};

/// The rules of operations that depend on the state, and what is counted besides.
const MET: [&str; 40] = [
    "stamp-anchor",
    "validity",
    "underpaid",
    "commit-recorded",
    "commitment-unknown",
    "commitment-spent",
    "commitment-young",
    "commitment-underpaid",
    "name-taken",
    "name-settling",
    "name-unregistered",
    "name-revoked",
    "name-in-grace",
    "title",
    "sequence",
    "not-owner",
    "not-keyholder",
    "not-recovery",
    "renew-expires",
    "renew-early",
    "transfer-pending",
    "transfer-missing",
    "transfer-other",
    "transfer-young",
    "not-recipient",
    "messaging-sequence",
    "messaging-previous",
    "link-identity",
    "link-announced",
    "commit",
    "register",
    "update",
    "renew",
    "transfer",
    "accept",
    "cancel",
    "recover",
    "revoke",
    "publish",
    "a name displaced",
];

/// Runs as many histories as are asked for, or so many, and says what they met.
fn run<T: std::fmt::Debug>(
    histories: u64,
    strategy: impl Strategy<Value = T>,
    live: impl Fn(&T, &mut Judged),
) -> Judged {
    let asked = common::number_from_env("NAMECHAIN_HISTORIES", histories);
    let seed = common::number_from_env("NAMECHAIN_SEED", 1);
    let config = Config {
        cases: asked as u32,
        failure_persistence: None,
        max_shrink_iters: 4_000,
        ..Config::default()
    };
    let mut bytes = [7; 16];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    let random = TestRng::from_seed(RngAlgorithm::XorShift, &bytes);
    let judged = RefCell::new(Judged::new());
    println!("{asked} histories from seed {seed}");
    let result = TestRunner::new_with_rng(config, random).run(&strategy, |history| {
        live(&history, &mut judged.borrow_mut());
        Ok(())
    });
    if let Err(error) = result {
        panic!("NAMECHAIN_SEED={seed}: {error}");
    }
    let judged = judged.into_inner();
    println!("{judged:?}");
    // By the default seed, or by so many that no seed misses one.
    if asked >= histories && seed == 1 || asked >= 1_000 {
        let missed: Vec<_> = MET.iter().filter(|rule| !judged.contains_key(**rule)).collect();
        assert!(missed.is_empty(), "not met: {missed:?}");
    }
    judged
}

#[test]
fn the_chain_behaves_as_its_model() {
    let judged = run(300, plan::histories(), live);
    println!("blocks undone: {}", judged.get("a block undone").unwrap_or(&0));
}

fn live(history: &RandomHistory, judged: &mut Judged) {
    let mut players = [Player::new(history.is_worked), Player::new(history.is_worked)];
    for round in &history.rounds {
        for (player, plans) in players.iter_mut().zip(&round.blocks) {
            plans.iter().for_each(|plan| player.mine(plan, judged));
        }
        for (player, restarts) in players.iter_mut().zip(round.restarts) {
            if restarts {
                player.restart();
            }
        }
        meet(&mut players, judged);
    }
    players.iter().for_each(Player::agrees_with_every_block);
}

fn meet(players: &mut [Player; 2], judged: &mut Judged) {
    let [left, right] = players;
    let (from_left, from_right) =
        (std::mem::take(&mut left.untold), std::mem::take(&mut right.untold));
    let left_model = left.model.clone();
    let undone = left.hear(&from_right, &right.model) + right.hear(&from_left, &left_model);
    *judged.entry("a block undone").or_default() += undone as u32;
    let is_apart = left.chain.tip_id() != right.chain.tip_id();
    left.elsewhere = if is_apart { right.chain.tip_id() } else { left.elsewhere };
    right.elsewhere = if is_apart { left_model.tip().id } else { right.elsewhere };
}
