//! Question 2, third part: how often a minority undoes blocks of a given depth, when it may date
//! its private blocks so that they are few and heavy.

use crate::{
    rng::Rng,
    rules::target::Schedule,
    table::{Table, heading, percent, span},
    target::schedule,
};

const SEED: u64 = 1309;

/// How the attacker dates his private blocks.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Private {
    /// As honest miners do: each is one unit of work.
    Clock,
    /// All as the fork: each is heavier than the one before.
    AsFork,
}

/// Whether a share of the hash rate, mining in private from the fork on, is ahead by half a block
/// when the honest chain has `depth` blocks, or at any later moment until it has half as many more.
fn undoes(schedule: &Schedule, private: Private, share: f64, depth: u64, rng: &mut Rng) -> bool {
    let growth = (schedule.interval as f64 / schedule.half_life as f64).exp2();
    // In units of an honest block's work: the sides work `share` and `1 - share` in each interval,
    // and an honest block takes one in the mean.
    let (mut own, mut work) = (0.0, 1.0);
    let mut own_at = rng.exponential() * work / share;
    let mut now = 0.0;
    for height in 1..=depth + depth / 2 {
        now += rng.exponential() / (1.0 - share);
        while own_at < now {
            own += work;
            if private == Private::AsFork {
                work *= growth;
            }
            own_at += rng.exponential() * work / share;
        }
        if height >= depth && own > height as f64 + 0.5 {
            return true;
        }
    }
    false
}

pub fn run() {
    let runs = 50_000;
    heading(
        "A private branch undoes blocks: dated by the clock, and all of it dated as the fork",
        SEED,
        runs,
    );
    let mut table = Table::new(&[
        "share",
        "half-life",
        "30 blocks: clock",
        "as the fork",
        "100: clock",
        "as the fork",
        "720: clock",
        "as the fork",
    ]);
    for share in [0.25, 0.33, 0.40, 0.45] {
        for half_life in [2_700, 7_200, 21_600] {
            let schedule = schedule(half_life);
            let mut row = vec![percent(share), span(half_life as f64)];
            for depth in [30, 100, 720] {
                for private in [Private::Clock, Private::AsFork] {
                    let mut rng = Rng::new(SEED);
                    let runs = if depth == 720 { runs / 5 } else { runs };
                    let won = (0..runs)
                        .filter(|_| undoes(&schedule, private, share, depth, &mut rng))
                        .count();
                    let rate = won as f64 / runs as f64;
                    row.push(match won {
                        0 => format!("< {:.0e}", 3.0 / runs as f64),
                        _ if rate < 1e-3 => format!("{rate:.0e}"),
                        _ => percent(rate),
                    });
                }
            }
            table.row(&row);
        }
    }
    table.print();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_heavy_blocks_are_more_of_a_gamble() {
        let rate = |private| {
            let mut rng = Rng::new(4);
            (0..4_000).filter(|_| undoes(&schedule(2_700), private, 0.40, 100, &mut rng)).count()
        };
        let (clock, as_fork) = (rate(Private::Clock), rate(Private::AsFork));
        assert!(as_fork > clock, "{as_fork} {clock}");
        assert!(as_fork < 800, "{as_fork}");
    }
}
