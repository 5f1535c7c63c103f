//! Question 5: should the work of stamps count as weight of the chain?
//!
//! All in units of one header's work at the launch target; a Commit's stamp is about half of that
//! when both are weighed by the seconds of a core that they take.

use crate::{
    mining::{HEADER_HASH_SECONDS, STAMP_HASH_SECONDS},
    rng::Rng,
    rules::{
        fork::{ForkRule, Weight},
        price::BASE,
    },
    table::{Table, heading, number, percent},
    target::schedule,
};

const SEED: u64 = 1306;

/// Core-seconds of a header at the easiest target.
fn header_seconds() -> f64 {
    schedule(2_700).easiest_work() * HEADER_HASH_SECONDS
}

/// The weight of a Commit's stamp, in headers.
fn stamp_weight() -> f64 {
    BASE * STAMP_HASH_SECONDS / header_seconds()
}

/// How much of a block's stamp work counts, in its header's work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cap(f64);

impl Cap {
    fn weight(self, stamps: f64) -> f64 {
        1.0 + stamps.min(self.0)
    }

    fn text(self) -> String {
        match self.0 {
            0.0 => "not at all".to_owned(),
            cap => format!("up to {cap:.0} x the header's"),
        }
    }
}

const CAPS: [Cap; 4] = [Cap(0.0), Cap(1.0), Cap(4.0), Cap(16.0)];

/// Core-hours to write a day anew, when `commits` a block are on the chain: the attacker has the
/// stamps of the first ten blocks for nothing (they are anchored below his fork) and works the
/// rest.
fn rewrite(cap: Cap, commits: f64) -> f64 {
    let stamps = commits * stamp_weight();
    let headers = 720.0;
    let own_stamps = (720.0 - 10.0) * stamps.min(cap.0);
    (headers + own_stamps) * header_seconds() / 3_600.0
}

fn deep() {
    println!(
        "**Writing a day of a chain at launch anew, core-hours** (no randomness; 720 blocks at the"
    );
    println!("easiest target; one stamp of a Commit weighs {:.2} headers)\n", stamp_weight());
    let mut table =
        Table::new(&["Commits a block", "not counted", "up to 1 x", "up to 4 x", "up to 16 x"]);
    for commits in [0.0, 2.0, 20.0] {
        let mut row = vec![number(commits)];
        row.extend(CAPS.map(|cap| number(rewrite(cap, commits))));
        table.row(&row);
    }
    table.print();
}

/// Whether an attacker with a share of the hash rate, who has spent `saved` seconds of it on stamps
/// beforehand, undoes the last `depth` blocks: he forks, and wins if he gets ahead before he is 40
/// blocks behind. Honest blocks have `commits` stamps each.
fn undoes(cap: Cap, share: f64, saved: f64, depth: u64, commits: f64, rng: &mut Rng) -> bool {
    // Time in intervals: the honest side finds 1 - share headers in each.
    let mut stock = share * saved / 120.0;
    let (mut own, mut theirs, mut found) = (0.0, 0.0, 0);
    loop {
        if rng.chance(share) {
            let stamps = stock.min(cap.0);
            stock -= stamps;
            own += cap.weight(stamps);
        } else {
            theirs += cap.weight(rng.poisson(commits) as f64 * stamp_weight());
            found += 1;
        }
        if found >= depth && own > theirs + 0.5 {
            return true;
        }
        let left = stock.min(cap.0 * 200.0);
        if found >= depth && own + left < theirs - 40.0 {
            return false;
        }
    }
}

fn stockpile() {
    let runs = 4_000;
    heading("Undoing blocks with stamps saved up beforehand (24 h, as anchors allow)", SEED, runs);
    let mut table = Table::new(&[
        "attacker's share",
        "Commits a block",
        "stamps count",
        "6 blocks undone",
        "30 blocks undone",
    ]);
    for share in [0.1, 0.25, 0.33] {
        for commits in [0.0, 2.0] {
            for cap in CAPS {
                let mut row = vec![percent(share), number(commits), cap.text()];
                for depth in [6, 30] {
                    let mut rng = Rng::new(SEED);
                    let won = (0..runs)
                        .filter(|_| undoes(cap, share, 86_400.0, depth, commits, &mut rng))
                        .count();
                    row.push(percent(won as f64 / runs as f64));
                }
                table.row(&row);
            }
        }
    }
    table.print();
}

/// The share of the chain that a miner gets who replaces each honest tip by a sibling with more
/// stamps in it (those of the tip, which are public, and saved ones as far as the cap), whenever
/// the fork rule lets that win.
fn replacing(cap: Cap, share: f64, commits: f64, blocks: u64, seed: u64) -> f64 {
    let mut rng = Rng::new(seed);
    let (mut own, mut total) = (0.0, 0.0);
    let mut tip: Option<f64> = None;
    for _ in 0..blocks {
        let full = cap.weight(f64::INFINITY);
        let wins = tip.is_some_and(|weight| {
            let (theirs, his) =
                (Weight { sum: weight, tip: weight }, Weight { sum: full, tip: full });
            ForkRule::HalfLighterTip.leaves(theirs, his)
        });
        if rng.chance(share) {
            own += 1.0;
            // A sibling takes the tip's place, else he extends it.
            total += if wins { 0.0 } else { 1.0 };
            tip = None;
        } else {
            total += 1.0;
            tip = Some(cap.weight(rng.poisson(commits) as f64 * stamp_weight()));
        }
    }
    own / total
}

fn selfish() {
    let blocks = 200_000;
    heading(
        "A miner who replaces the tip by a sibling with more stamps: his share of the chain",
        SEED,
        blocks,
    );
    let mut table =
        Table::new(&["Commits a block", "stamps count", "10 %", "25 %", "33 %", "45 %"]);
    for commits in [0.0, 2.0, 20.0] {
        for cap in CAPS {
            let mut row = vec![number(commits), cap.text()];
            for share in [0.1, 0.25, 0.33, 0.45] {
                row.push(percent(replacing(cap, share, commits, blocks, SEED)));
            }
            table.row(&row);
        }
    }
    table.print();
}

pub fn run() {
    deep();
    stockpile();
    selfish();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without stamps the race is Nakamoto's: at 25 % and six blocks about one in twenty (he has
    /// to get ahead, with both sides starting at the fork).
    #[test]
    fn without_stamps_the_race_is_the_known_one() {
        let mut rng = Rng::new(2);
        let won = (0..20_000).filter(|_| undoes(Cap(0.0), 0.25, 0.0, 6, 0.0, &mut rng)).count();
        let rate = won as f64 / 20_000.0;
        // Rosenfeld (2014), table for q = 0.25 and n = 6 with a tie lost: 0.0256 to 0.0496.
        assert!((0.01..0.05).contains(&rate), "{rate}");
    }

    #[test]
    fn saved_stamps_make_a_minority_a_majority() {
        let mut rng = Rng::new(2);
        let won = (0..500).filter(|_| undoes(Cap(4.0), 0.25, 86_400.0, 30, 2.0, &mut rng)).count();
        assert!(won > 150, "{won}");
        let won = (0..500).filter(|_| undoes(Cap(0.0), 0.25, 86_400.0, 30, 2.0, &mut rng)).count();
        assert!(won < 5, "{won}");
    }
}
