//! Whole networks in one thread: nodes with the machine, a chain, a mempool and a disk each, over
//! links that delay, lose, double, reorder and split; nodes crash, some are dishonest. Everything
//! comes from a seed, which a failure prints.
//!
//! `SIMULATOR_SEEDS` sets how many seeds are lived through (default 1,000), `SIMULATOR_SEED` runs
//! one and tells everything, `SIMULATOR_FIRST` is the first one. `fresh` and `propagation` have
//! seeds of their own: `SIMULATOR_FRESH_SEEDS`, `SIMULATOR_LARGE_SEEDS`.

#[path = "../common/mod.rs"]
mod common;

mod cache;
mod cases;
mod cpu;
mod disk;
mod evil;
mod fresh;
mod gossip;
mod node;
mod plan;
mod propagation;
mod world;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering},
};

use plan::{Story, live};

const DEFAULT_SEEDS: u64 = 1_000;

#[test]
fn after_every_heal_all_honest_nodes_agree() {
    if let Ok(seed) = std::env::var("SIMULATOR_SEED") {
        println!("{:?}", live(seed.parse().unwrap(), true));
        return;
    }
    let seeds = common::number_from_env("SIMULATOR_SEEDS", DEFAULT_SEEDS);
    let stories: Vec<Story> = over_seeds(seeds, |seed| live(seed, false));
    let sum = |of: fn(&Story) -> u64| stories.iter().map(of).sum::<u64>();
    println!(
        "{} seeds: {} nodes, {} of them dishonest, {} blocks, {} bans, reorganisations of up to {} blocks",
        stories.len(),
        sum(|story| (story.nodes + story.evil) as u64),
        sum(|story| story.evil as u64),
        sum(|story| story.blocks),
        sum(|story| story.bans),
        stories.iter().map(|story| story.deepest).max().unwrap_or(0),
    );
}

/// What `live` makes of so many seeds, on all cores. Panics with the seeds that fail.
fn over_seeds<T: Send>(seeds: u64, live: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let first = common::number_from_env("SIMULATOR_FIRST", 1);
    let next = AtomicU64::new(first);
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let work = || {
        let (mut stories, mut failed) = (Vec::new(), Vec::new());
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + seeds {
                return (stories, failed);
            }
            match catch_unwind(AssertUnwindSafe(|| live(seed))) {
                Ok(story) => stories.push(story),
                Err(_) => {
                    println!("seed {seed} fails: SIMULATOR_SEED={seed} tells its story");
                    failed.push(seed);
                }
            }
        }
    };
    let (mut stories, mut failed): (Vec<T>, Vec<u64>) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            let (more, bad) = worker.join().unwrap();
            stories.extend(more);
            failed.extend(bad);
        }
    });
    assert!(failed.is_empty(), "seeds that fail: {failed:?}");
    stories
}

/// The number at so many hundredths of a list, which is sorted.
fn percentile(sorted: &[u64], hundredths: usize) -> u64 {
    sorted[(sorted.len() * hundredths / 100).min(sorted.len() - 1)]
}

/// A seed tells the same story every time.
#[test]
fn a_seed_is_a_story() {
    for seed in [3, 4] {
        assert_eq!(live(seed, false).digest, live(seed, false).digest, "seed {seed}");
    }
}
