//! Question 2, third part: how often a minority undoes blocks of a given depth, when it may date
//! its private blocks so that they are few and heavy.

use crate::{
    rng::Rng,
    rules::{hold::Hold, target::Schedule},
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

/// Two sides mine on their own chains, in units of an honest block's work: an honest block takes an
/// interval in the mean while both work on one chain.
struct Duel<'a> {
    growth: f64,
    private: Private,
    share: f64,
    /// Work of the attacker's chain, and of the block that he looks for.
    own: f64,
    work: f64,
    own_at: f64,
    /// Blocks of the honest chain, and intervals since the fork.
    height: u64,
    now: f64,
    rng: &'a mut Rng,
}

impl<'a> Duel<'a> {
    fn new(schedule: &Schedule, private: Private, share: f64, rng: &'a mut Rng) -> Self {
        let growth = (schedule.interval() as f64 / schedule.half_life() as f64).exp2();
        let own_at = rng.exponential() / share;
        Duel { growth, private, share, own: 0.0, work: 1.0, own_at, height: 0, now: 0.0, rng }
    }

    /// Goes on to the next honest block.
    fn honest_block(&mut self) {
        self.now += self.rng.exponential() / (1.0 - self.share);
        while self.own_at < self.now {
            self.own += self.work;
            if self.private == Private::AsFork {
                self.work *= self.growth;
            }
            self.own_at += self.rng.exponential() * self.work / self.share;
        }
        self.height += 1;
    }

    fn lead(&self) -> f64 {
        self.own - self.height as f64
    }

    /// Whether the attacker is ahead by half a block when the honest chain has `depth` blocks, or
    /// at a later moment until it has half as many more.
    fn gets_ahead(&mut self, depth: u64) -> bool {
        while self.height < depth + depth / 2 {
            self.honest_block();
            if self.height >= depth && self.lead() > 0.5 {
                return true;
            }
        }
        false
    }

    /// Whether nodes that hold for as long as the branch is old go to it: it has to lead by six
    /// blocks for so long. He gives up when he is 60 behind.
    fn outlasts(&mut self) -> bool {
        let mut hold = Hold { need: self.now, timer: 0.0 };
        while self.lead() > -60.0 && self.now < 20.0 * hold.need {
            let before = self.now;
            self.honest_block();
            if hold.pass(self.now - before, self.lead() >= 6.0) {
                return true;
            }
        }
        false
    }
}

fn undoes(schedule: &Schedule, private: Private, share: f64, depth: u64, rng: &mut Rng) -> bool {
    Duel::new(schedule, private, share, rng).gets_ahead(depth)
}

/// The same against nodes that hold.
fn undoes_held(schedule: &Schedule, share: f64, depth: u64, rng: &mut Rng) -> bool {
    let mut duel = Duel::new(schedule, Private::AsFork, share, rng);
    duel.gets_ahead(depth) && duel.outlasts()
}

fn rate_text(won: u64, runs: u64) -> String {
    let rate = won as f64 / runs as f64;
    match won {
        0 => format!("< {:.0e}", 3.0 / runs as f64),
        _ if rate < 1e-3 => format!("{rate:.0e}"),
        _ => percent(rate),
    }
}

fn held() {
    let runs = 50_000;
    heading(
        "The same, dated as the fork, half-life 45 min, if nodes hold for as long as the branch is old",
        SEED,
        runs,
    );
    let mut table = Table::new(&[
        "share",
        "30 blocks: at once",
        "held",
        "100: at once",
        "held",
        "720: at once",
        "held",
    ]);
    let schedule = schedule(2_700);
    for share in [0.33, 0.40, 0.45] {
        let mut row = vec![percent(share)];
        for depth in [30, 100, 720] {
            let runs = if depth == 720 { runs / 5 } else { runs };
            for held in [false, true] {
                let mut rng = Rng::new(SEED);
                let tries = (0..runs).filter(|_| match held {
                    false => undoes(&schedule, Private::AsFork, share, depth, &mut rng),
                    true => undoes_held(&schedule, share, depth, &mut rng),
                });
                row.push(rate_text(tries.count() as u64, runs));
            }
        }
        table.row(&row);
    }
    table.print();
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
                    row.push(rate_text(won as u64, runs));
                }
            }
            table.row(&row);
        }
    }
    table.print();
    held();
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

    #[test]
    fn a_hold_takes_the_gamble_away() {
        let (mut rng, schedule) = (Rng::new(4), schedule(2_700));
        let at_once =
            (0..2_000).filter(|_| undoes(&schedule, Private::AsFork, 0.45, 100, &mut rng)).count();
        let held = (0..2_000).filter(|_| undoes_held(&schedule, 0.45, 100, &mut rng)).count();
        assert!(held * 4 < at_once, "{held} {at_once}");
    }
}
