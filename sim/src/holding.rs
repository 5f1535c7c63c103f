//! Question 4: partitions heal, resolvers stay up, hidden chains are not taken at once, fresh nodes
//! are not captured.

use crate::{
    mining::CORE,
    rng::Rng,
    rules::hold::{DAY, Hold},
    table::{Table, heading, number, percent, quantile, span},
    target::schedule,
};

const SEED: u64 = 1305;
/// Seconds of a step, the interval: a side finds one block in the mean, of its hash rate's work.
const STEP: f64 = 120.0;
/// After so long without healing a run is given up, and the table says so.
const PATIENCE: f64 = 120.0 * DAY;

/// The work of both sides, in blocks of the whole network's hash rate.
struct Sides {
    rng: Rng,
    works: [f64; 2],
}

impl Sides {
    fn mine(&mut self, shares: [f64; 2]) {
        for (work, share) in self.works.iter_mut().zip(shares) {
            *work += share * self.rng.poisson(1.0) as f64;
        }
    }
}

/// A partition of so many seconds with this share of the hash rate on the second side: seconds
/// from its end until both sides are on one chain, and the share of that time in which the first
/// side's names are contested or the second's.
fn partition(seconds: f64, share: f64, seed: u64) -> (f64, f64) {
    let mut sides = Sides { rng: Rng::new(seed), works: [0.0; 2] };
    let shares = [1.0 - share, share];
    let mut now = 0.0;
    while now < seconds {
        sides.mine(shares);
        now += STEP;
    }
    let blocks = seconds / STEP;
    let mut holds = [Hold::begin(seconds), Hold::begin(seconds)];
    let (mut waited, mut contested) = (0.0, 0.0);
    while waited < PATIENCE {
        for side in 0..2 {
            let lead = sides.works[1 - side] - sides.works[side];
            let (own_tip, other_tip) = (shares[side], shares[1 - side]);
            let heavier = lead > own_tip.min(other_tip) / 2.0;
            contested += if heavier { STEP } else { 0.0 };
            let goes = if Hold::applies(blocks, seconds) {
                holds[side].pass(STEP, lead >= 6.0 * own_tip)
            } else {
                heavier
            };
            if goes {
                return (waited, contested / f64::max(waited, STEP));
            }
        }
        sides.mine(shares);
        waited += STEP;
    }
    (f64::INFINITY, contested / waited)
}

fn partitions() {
    let runs = 200;
    heading(
        "A partition ends: time until both sides are on one chain, without an operator",
        SEED,
        runs,
    );
    let mut table = Table::new(&[
        "length of the partition",
        "hash rate of the smaller side",
        "median",
        "99 %",
        "not healed after 120 days",
    ]);
    for days in [0.04, 0.9, 2.0, 7.0, 30.0] {
        for share in [0.1, 0.3, 0.45, 0.5] {
            let mut times: Vec<f64> =
                (0..runs).map(|run| partition(days * DAY, share, SEED + run).0).collect();
            let never = times.iter().filter(|time| time.is_infinite()).count();
            table.row(&[
                span(days * DAY),
                percent(share),
                span(quantile(&mut times, 0.5)),
                span(quantile(&mut times, 0.99)),
                percent(never as f64 / runs as f64),
            ]);
        }
    }
    table.print();
}

/// A hidden chain of `times` the network's hash rate, mined for `secret` seconds and shown; it is
/// mined for `kept` more. Seconds until followers of the honest chain go to it, and for which their
/// names were contested.
fn hidden(times: f64, secret: f64, kept: f64, seed: u64) -> (f64, f64) {
    let mut sides = Sides { rng: Rng::new(seed), works: [0.0; 2] };
    let mut now = 0.0;
    while now < secret {
        sides.mine([1.0, times]);
        now += STEP;
    }
    let mut hold = Hold::begin(secret);
    let (mut waited, mut contested) = (0.0, 0.0);
    while waited < PATIENCE {
        let lead = sides.works[1] - sides.works[0];
        if lead > 0.5 {
            contested += STEP;
        } else if waited >= kept {
            break;
        }
        if hold.pass(STEP, lead >= 6.0) {
            return (waited, contested);
        }
        sides.mine([1.0, if waited < kept { times } else { 0.0 }]);
        waited += STEP;
    }
    (f64::INFINITY, contested)
}

fn hidden_chains() {
    let runs = 200;
    heading("A hidden chain is shown: when do nodes that followed live go to it", SEED, runs);
    let mut table = Table::new(&[
        "attacker's hash rate",
        "mined in secret",
        "goes on for",
        "followed after: median",
        "never followed",
        "names contested for: median",
        "attacker's work, days of the honest hash rate",
    ]);
    for (times, secret, kept) in [
        (1.1, 1.5, 0.0),
        (1.1, 1.5, 5.0),
        (2.0, 1.1, 0.0),
        (2.0, 1.1, 0.5),
        (2.0, 1.1, 2.0),
        (10.0, 1.1, 0.0),
        (10.0, 7.0, 0.0),
        (100.0, 1.1, 0.0),
    ] {
        let (mut after, mut contested): (Vec<f64>, Vec<f64>) =
            (0..runs).map(|run| hidden(times, secret * DAY, kept * DAY, SEED + run)).unzip();
        let never = after.iter().filter(|time| time.is_infinite()).count();
        let mined = kept.min(quantile(&mut after, 0.5) / DAY);
        table.row(&[
            format!("x {}", number(times)),
            span(secret * DAY),
            if kept == 0.0 { "-".to_owned() } else { span(kept * DAY) },
            span(quantile(&mut after, 0.5)),
            percent(never as f64 / runs as f64),
            span(quantile(&mut contested, 0.5)),
            number(times * (secret + mined)),
        ]);
    }
    table.print();
}

fn resolvers() {
    println!(
        "**Taking resolvers down by a hold** (no randomness): only names changed since the fork are"
    );
    println!("not given, all others are, marked\n");
    let mut table = Table::new(&[
        "honest hash rate, cores",
        "to start (a day's work and six blocks), core-hours",
        "each hour that it lasts longer",
        "names not given: those changed in",
        "if nodes stopped calling themselves synced: all names, for",
    ]);
    for cores in [1.0, 10.0, 1_000.0] {
        let start = cores * (24.0 + 6.0 * 120.0 / 3_600.0);
        table.row(&[
            number(cores),
            number(start),
            number(cores),
            "the day before and while it lasts".to_owned(),
            "a day".to_owned(),
        ]);
    }
    table.print();
}

/// Core-hours that a chain of this age has in it, with so many cores mining all the time or a block
/// each `spacing` seconds.
fn chain_work(age: f64, cores: f64, spacing: f64) -> f64 {
    let idle = schedule(2_700).easiest_work() / CORE * age / spacing;
    (cores * age).max(idle) / 3_600.0
}

fn fresh_nodes() {
    println!("**A fresh node that sees only the attacker: work of a false chain, core-hours** (no");
    println!("randomness; the release states the work of its day as the least that a chain has)\n");
    let mut table = Table::new(&[
        "the chain's mining",
        "without a least work",
        "released after a day",
        "30 days",
        "a year",
    ]);
    let twelve = 12.0 * schedule(2_700).easiest_work() / CORE / 3_600.0;
    for (text, cores, spacing) in [
        ("nobody, a block every 6 h", 0.0, 21_600.0),
        ("nobody, a block every 20 min", 0.0, 1_200.0),
        ("one core", 1.0, 1_200.0),
        ("100 cores", 100.0, 1_200.0),
    ] {
        let mut row = vec![text.to_owned(), number(twelve)];
        row.extend([1.0, 30.0, 365.0].map(|days| number(chain_work(days * DAY, cores, spacing))));
        table.row(&row);
    }
    table.print();
}

pub fn run() {
    partitions();
    hidden_chains();
    resolvers();
    fresh_nodes();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_heal_by_themselves() {
        for (days, share) in [(0.5, 0.5), (2.0, 0.3), (20.0, 0.1)] {
            for run in 0..20 {
                let (time, _) = partition(days * DAY, share, run);
                assert!(time < 30.0 * DAY, "{days} days, {share}: {time}");
            }
        }
        let (short, _) = partition(0.5 * DAY, 0.1, 1);
        assert!(short < 3_600.0, "below a day nobody holds: {short}");
    }

    #[test]
    fn a_hidden_chain_is_not_taken_at_once() {
        for times in [1.5, 10.0] {
            let (after, _) = hidden(times, 1.5 * DAY, 10.0 * DAY, 3);
            assert!((DAY..20.0 * DAY).contains(&after), "{times}: {after}");
        }
        let (after, contested) = hidden(1.2, 1.5 * DAY, 0.0, 3);
        assert!(after.is_infinite(), "whoever stops mining is overtaken");
        assert!(contested < 1.5 * DAY);
    }
}
