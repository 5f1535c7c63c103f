//! Question 6: what it costs to keep a registration out until a younger commitment has settled.

use crate::{
    mining::{CORE, STAMP_HASH_SECONDS},
    rng::Rng,
    rules::price::{BASE, Controller, INTERVAL, SHARE_BYTES, UNIT, factor, records},
    table::{Table, heading, number, percent, span},
    target::schedule,
};

const SEED: u64 = 1307;
/// The settling window: blocks, and seconds.
const SETTLE_BLOCKS: u64 = 30;
const SETTLE_SECONDS: f64 = 3_600.0;
/// Bytes of a Register with few records.
const REGISTER_BYTES: u64 = 1 + 9 + 32 + 8 + 32 + 1 + 32 + 2 + 64 + 48;

/// Whether a miner with a share of the hash rate keeps an operation out of the chain from block 0
/// until the window is over: he mines without it on his own branch, all others with it, and in the
/// end the heavier one stands. Gives the intervals that it took as well.
fn keeps_out(share: f64, rng: &mut Rng) -> (bool, f64) {
    let (mut own, mut theirs, mut now) = (0u64, 0u64, 0.0);
    loop {
        now += rng.exponential();
        if rng.chance(share) {
            own += 1;
        } else {
            theirs += 1;
        }
        // Nodes go for more than half a block's work; the operation is in as long as theirs leads.
        let over = own >= SETTLE_BLOCKS && now * 120.0 >= SETTLE_SECONDS;
        if over && own > theirs {
            return (true, now);
        }
        if theirs > own + 60 {
            return (false, now);
        }
    }
}

fn orphaning() {
    let runs = 20_000;
    heading("Orphaning every block with the Register, for 30 blocks and an hour", SEED, runs);
    let mut table = Table::new(&[
        "share of the hash rate",
        "succeeds",
        "takes, when it does",
        "not including it in own blocks only: succeeds",
    ]);
    for share in [0.10_f64, 0.25, 0.33, 0.45, 0.51, 0.6, 0.75, 0.9] {
        let mut rng = Rng::new(SEED);
        let (mut won, mut took) = (0u64, 0.0);
        for _ in 0..runs {
            let (kept, intervals) = keeps_out(share, &mut rng);
            if kept {
                won += 1;
                took += intervals * 120.0;
            }
        }
        table.row(&[
            percent(share),
            percent(won as f64 / runs as f64),
            span(took / won.max(1) as f64),
            format!("{:.0e}", share.powi(SETTLE_BLOCKS as i32)),
        ]);
    }
    table.print();
}

/// Registers that fill a block's share.
const REGISTERS_A_BLOCK: u64 = SHARE_BYTES / REGISTER_BYTES;

/// Records Commits, 40 a block, until there are `needed` or the first ones lapse after a day: their
/// number, and the core-hours.
fn record_commits(needed: u64) -> (u64, f64) {
    let (mut price, mut cost, mut have) = (UNIT, 0.0, 0);
    for _ in 0..720 {
        if have >= needed {
            break;
        }
        have += 40;
        cost += 40.0 * BASE * factor(price) * STAMP_HASH_SECONDS / 3_600.0;
        price = Controller::NAMES.next(price, 40, INTERVAL);
    }
    (have, cost)
}

fn filling() {
    println!("**Filling 30 blocks so that a Register does not fit** (no randomness)\n");
    let mut table = Table::new(&[
        "what honest templates do",
        "what the attacker needs",
        "core-hours",
        "possible",
    ]);
    // By price a byte: he outbids with Updates of 512 bytes, at the multiplier that he drives up.
    for (text, blocks) in [("by work a byte, 10 blocks", 10), ("by work a byte, 30 blocks", 30)] {
        let (mut price, mut cost) = (UNIT, 0.0);
        let count = SHARE_BYTES / 760;
        for _ in 0..blocks {
            cost += count as f64 * records(512, price) * STAMP_HASH_SECONDS / 3_600.0;
            price = Controller::BYTES.next(price, count * 760, INTERVAL);
        }
        table.row(&[
            text.to_owned(),
            format!(
                "{} Updates, the price of bytes then x {}",
                count * blocks,
                number(factor(price))
            ),
            number(cost),
            "yes".to_owned(),
        ]);
    }
    // Registers first, by the age of their Commits: he needs older ones, all unlapsed at once.
    let needed = REGISTERS_A_BLOCK * SETTLE_BLOCKS;
    let at_the_lowest = 20 * 720;
    let (have, cost) = record_commits(needed);
    table.row(&[
        "Registers first, oldest Commit first".to_owned(),
        format!("{needed} older Commits within a day; 20 a block give {at_the_lowest}, 40 a block {have}"),
        number(cost),
        if have < needed { "no".to_owned() } else { "yes".to_owned() },
    ]);
    table.print();
}

fn dictionary() {
    println!(
        "**A dictionary of commitments, to be the oldest for any of its names** (no randomness; each is"
    );
    println!("paid anew every day)\n");
    let mut table = Table::new(&["names", "core-hours a day", "Commits a block", "possible"]);
    for names in [1_000.0, 14_400.0, 100_000.0] {
        let a_block = names / 720.0;
        table.row(&[
            number(names),
            if a_block <= 20.0 {
                number(names * BASE * STAMP_HASH_SECONDS / 3_600.0)
            } else {
                "-".to_owned()
            },
            number(a_block),
            if a_block <= 20.0 {
                "yes, at the lowest price".to_owned()
            } else {
                "no: above 20 a block the price doubles every six blocks".to_owned()
            },
        ]);
    }
    table.print();
}

fn launch() {
    println!(
        "**What a window is worth at launch: the work of 30 blocks at the easiest target is {} core-minutes**\n",
        number(30.0 * schedule(2_700).easiest_work() / CORE / 60.0)
    );
}

pub fn run() {
    orphaning();
    filling();
    dictionary();
    launch();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minority_does_not_keep_a_registration_out() {
        let kept = |share: f64| {
            let mut rng = Rng::new(3);
            (0..2_000).filter(|_| keeps_out(share, &mut rng).0).count()
        };
        assert!(kept(0.25) < 5);
        assert!(kept(0.6) > 1_900);
    }

    #[test]
    fn blocks_cannot_be_filled_with_older_registers() {
        let needed = REGISTERS_A_BLOCK * SETTLE_BLOCKS;
        assert!(record_commits(needed).0 < needed);
        assert_eq!(record_commits(1_000).0, 1_000);
    }
}
