//! Question 1, last part: what a silence of the chain is worth to who dates a run of blocks through
//! it afterwards.

use crate::{
    mining::{CORE, Tip},
    rules::target::Schedule,
    table::{Table, number, span},
    target::schedule,
};

const START: u64 = 1_800_000_000;

/// What has to be over before something holds: blocks, and seconds of the chain's time.
struct Wait {
    what: &'static str,
    blocks: u64,
    seconds: u64,
}

const WAITS: [Wait; 3] = [
    Wait { what: "commit, register, settled", blocks: 42, seconds: 601 + 3_600 },
    Wait { what: "commit, register", blocks: 12, seconds: 601 },
    Wait { what: "transfer, accept", blocks: 11, seconds: 86_400 },
];

/// The work (hashes) of a run of blocks whose dates are spread evenly over the silence, and the
/// seconds of real time that are left of the wait.
fn run_through(schedule: &Schedule, silence: u64, wait: &Wait) -> (f64, u64) {
    let used = silence.min(wait.seconds);
    let mut tip = Tip { due: START + schedule.interval(), time: START };
    let mut work = 0.0;
    for block in 1..=wait.blocks {
        let date = START + silence * block / wait.blocks;
        work += schedule.work(tip.due, date);
        tip = tip.after(schedule, date);
    }
    (work, wait.seconds - used)
}

pub fn run() {
    println!("**Dates through a silence: what is left of each wait, and what the run costs** (no");
    println!("randomness)\n");
    let mut table = Table::new(&[
        "silence before",
        "wait",
        "real time left of it",
        "work, core-minutes",
        "seconds of 1,000 cores",
    ]);
    let schedule = schedule(2_700);
    for silence in [300, 1_200, 3_600, 7_200, 21_600, 86_400] {
        for wait in &WAITS {
            let (work, left) = run_through(&schedule, silence, wait);
            table.row(&[
                span(silence as f64),
                wait.what.to_owned(),
                if left == 0 { "none".to_owned() } else { span(left as f64) },
                number(work / CORE / 60.0),
                number(work / CORE / 1_000.0),
            ]);
        }
    }
    table.print();
    liveness();
}

fn liveness() {
    println!(
        "**What it costs all nodes together to keep the chain from falling silent, when nobody"
    );
    println!("else mines** (no randomness)\n");
    let mut table = Table::new(&[
        "a block every",
        "core-hours a day",
        "share of one core",
        "work of a year, core-hours",
        "real time left of settling",
        "of the transfer delay",
    ]);
    let each = schedule(2_700).easiest_work() / CORE;
    for spacing in [600.0, 1_200.0, 3_600.0, 21_600.0] {
        table.row(&[
            span(spacing),
            number(each * 86_400.0 / spacing / 3_600.0),
            format!("{:.1} %", each / spacing * 100.0),
            number(each * 31_536_000.0 / spacing / 3_600.0),
            span(f64::max(4_200.0 - spacing, 0.0)),
            span(86_400.0 - spacing),
        ]);
    }
    table.print();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_as_good_as_waiting() {
        let (work, left) = run_through(&schedule(2_700), 21_600, &WAITS[0]);
        assert_eq!(left, 0);
        assert!(work < 43.0 * 262_144.0, "each block at nearly the easiest target: {work}");
        let (_, left) = run_through(&schedule(2_700), 1_200, &WAITS[0]);
        assert_eq!(left, 3_001);
    }
}
