//! Question 1: the schedule of targets.

use crate::{
    mining::{CORE, Dating, Tip},
    rng::Rng,
    rules::target::Schedule,
    table::{Table, heading, moments, number, percent, quantile, span},
};

const SEED: u64 = 1301;
/// Wall time at which simulated chains begin, far from zero so that nothing saturates.
const START: u64 = 1_800_000_000;
const HALF_LIVES: [u64; 7] = [900, 1_800, 2_700, 3_600, 5_400, 7_200, 21_600];

/// Main's schedule with another half-life.
pub fn schedule(half_life: u64) -> Schedule {
    Schedule::new(half_life)
}

pub fn run() {
    steady();
    spike();
    stall_cost();
    liars();
    zero_interval();
    idle();
    bootstrap();
}

/// A chain that one group mines: returns wall times of its blocks until `until`.
fn mine(
    schedule: &Schedule,
    tip: &mut Tip,
    now: &mut f64,
    rate: f64,
    until: f64,
    rng: &mut Rng,
) -> Vec<f64> {
    let mut found = Vec::new();
    loop {
        let next = tip.found(schedule, rate, Dating::Clock, *now, rng);
        // Waiting has no memory: what was not found by then is sampled anew at the next rate.
        if next > until {
            *now = until;
            return found;
        }
        *now = next;
        *tip = tip.after(schedule, tip.date(Dating::Clock, next));
        found.push(next);
    }
}

/// Mean, deviation over mean, and the longest of 10,000 of the intervals at a steady hash rate.
fn steady_intervals(
    half_life: u64,
    forgets: bool,
    blocks: usize,
    seed: u64,
) -> (f64, f64, f64, f64) {
    let schedule = Schedule { forgets, ..schedule(half_life) };
    let (mut rng, rate) = (Rng::new(seed), 100.0 * CORE);
    let (mut tip, mut now) = (Tip::settled(&schedule, rate, START), START as f64);
    let (mut intervals, mut works) = (Vec::new(), Vec::new());
    for _ in 0..blocks {
        let next = tip.found(&schedule, rate, Dating::Clock, now, &mut rng);
        let date = tip.date(Dating::Clock, next);
        works.push(schedule.work(tip.due, date).log2());
        tip = tip.after(&schedule, date);
        intervals.push(next - now);
        now = next;
    }
    let (mean, deviation) = moments(&intervals);
    let (_, swing) = moments(&works);
    (mean, deviation / mean, swing.exp2() - 1.0, quantile(&mut intervals, 0.9999))
}

fn steady() {
    let blocks = 200_000;
    heading(
        "Intervals at a steady hash rate of 100 cores; the ideal deviation is the mean",
        SEED,
        blocks,
    );
    let mut table = Table::new(&[
        "half-life",
        "mean interval",
        "deviation / mean",
        "swing of the work (one deviation)",
        "longest of 10,000",
    ]);
    for half_life in HALF_LIVES {
        let (mean, deviation, swing, longest) =
            steady_intervals(half_life, true, blocks as usize, SEED);
        table.row(&[
            span(half_life as f64),
            format!("{mean:.1} s"),
            format!("{deviation:.3}"),
            percent(swing),
            span(longest),
        ]);
    }
    table.print();
}

/// Longest gaps (from the end of the spike on) and blocks of spikes, sorted by nobody.
fn spikes(half_life: u64, factor: f64, hours: f64, runs: u64, seed: u64) -> (Vec<f64>, Vec<f64>) {
    let schedule = schedule(half_life);
    let rate = 10.0 * CORE;
    let (mut gaps, mut blocks) = (Vec::new(), Vec::new());
    for run in 0..runs {
        let mut rng = Rng::new(seed + run);
        let (mut tip, mut now) = (Tip::settled(&schedule, rate, START), START as f64);
        let before = now + 7_200.0;
        mine(&schedule, &mut tip, &mut now, rate, before, &mut rng);
        let end = before + hours * 3_600.0;
        let spike = mine(&schedule, &mut tip, &mut now, rate * factor, end, &mut rng);
        blocks.push(spike.len() as f64);
        let mut last = spike.last().copied().unwrap_or(before);
        let mut longest = 0.0f64;
        let after = mine(&schedule, &mut tip, &mut now, rate, end + 3.0 * 86_400.0, &mut rng);
        for next in after {
            longest = longest.max(next - last);
            last = next;
        }
        gaps.push(longest);
    }
    (gaps, blocks)
}

fn spike() {
    let runs = 1_000;
    heading("Longest gap after six hours with a multiple of the hash rate", SEED, runs);
    let mut table = Table::new(&[
        "half-life",
        "x 10: median",
        "99 %",
        "x 1,000: median",
        "99 %",
        "blocks in the spike's six hours",
    ]);
    for half_life in HALF_LIVES {
        let (mut ten, _) = spikes(half_life, 10.0, 6.0, runs, SEED);
        let (mut thousand, blocks) = spikes(half_life, 1_000.0, 6.0, runs, SEED);
        table.row(&[
            span(half_life as f64),
            span(quantile(&mut ten, 0.5)),
            span(quantile(&mut ten, 0.99)),
            span(quantile(&mut thousand, 0.5)),
            span(quantile(&mut thousand, 0.99)),
            number(moments(&blocks).0),
        ]);
    }
    table.print();
}

/// What somebody pays who raises the target for others and leaves.
fn stall_cost() {
    let runs = 400;
    heading("Stopping the chain: a spike of one hour, half-life 45 min", SEED, runs);
    let mut table = Table::new(&[
        "multiple of the hash rate",
        "blocks in the hour",
        "longest gap after it: median",
        "99 %",
        "cost in hours of the honest hash rate",
    ]);
    for factor in [10.0, 100.0, 1_000.0, 10_000.0, 100_000.0] {
        let (mut gaps, blocks) = spikes(2_700, factor, 1.0, runs, SEED);
        table.row(&[
            number(factor),
            number(moments(&blocks).0),
            span(quantile(&mut gaps, 0.5)),
            span(quantile(&mut gaps, 0.99)),
            number(factor),
        ]);
    }
    table.print();
}

/// What a share of the hash rate that dates its headers otherwise gets: its share of blocks, of
/// work, the mean interval, and how far the chain's time is from the clock's in the mean.
fn lie(schedule: &Schedule, share: f64, dating: Dating, blocks: u64, seed: u64) -> [f64; 4] {
    let (mut rng, rate) = (Rng::new(seed), 100.0 * CORE);
    let (mut tip, mut now) = (Tip::settled(schedule, rate, START), START as f64);
    let (mut own, mut own_work, mut work, mut off) = (0.0, 0.0, 0.0, 0.0);
    for _ in 0..blocks {
        let liar = tip.found(schedule, rate * share, dating, now, &mut rng);
        let honest = tip.found(schedule, rate * (1.0 - share), Dating::Clock, now, &mut rng);
        now = liar.min(honest);
        let date = tip.date(if liar < honest { dating } else { Dating::Clock }, now);
        let gained = schedule.work(tip.due, date);
        work += gained;
        if liar < honest {
            own += 1.0;
            own_work += gained;
        }
        tip = tip.after(schedule, date);
        off += tip.time as f64 - now;
    }
    let n = blocks as f64;
    [own / n, own_work / work, (now - START as f64) / n, off / n]
}

fn liars() {
    let blocks = 200_000;
    heading("A minority that dates its headers otherwise, half-life 45 min", SEED, blocks);
    let mut table = Table::new(&[
        "share",
        "dates",
        "its share of blocks",
        "its share of work",
        "mean interval",
        "chain's time - clock",
    ]);
    let schedule = schedule(2_700);
    for share in [0.10, 0.25, 0.33, 0.45] {
        for (dating, text) in [
            (Dating::AsParent, "as the parent"),
            (Dating::Ahead(300), "300 s ahead"),
            (Dating::Ahead(600), "600 s ahead"),
        ] {
            let [own, work, interval, off] = lie(&schedule, share, dating, blocks, SEED);
            table.row(&[
                percent(share),
                text.to_owned(),
                percent(own),
                percent(work),
                format!("{interval:.1} s"),
                format!("{off:.0} s"),
            ]);
        }
    }
    table.print();
}

/// What `count` blocks of one date cost, in works of the first.
fn run_cost(schedule: &Schedule, count: u64) -> f64 {
    let mut tip = Tip { due: START, time: START };
    let first = schedule.work(tip.due, tip.time);
    let mut sum = 0.0;
    for _ in 0..count {
        sum += schedule.work(tip.due, tip.time);
        tip = tip.after(schedule, tip.time);
    }
    sum / first
}

fn zero_interval() {
    println!("**A run of blocks of one date: its work in works of the first** (no randomness)\n");
    let mut table = Table::new(&["half-life", "10 blocks", "30", "100", "300", "720"]);
    for half_life in [2_700, 7_200, 21_600] {
        let schedule = schedule(half_life);
        let mut row = vec![span(half_life as f64)];
        row.extend([10, 30, 100, 300, 720].map(|count| number(run_cost(&schedule, count))));
        table.row(&row);
    }
    table.print();
}

/// Blocks within each of `spans` seconds after `idle` seconds without any, and the works of the
/// blocks below a tenth of what an interval of this rate would do.
fn after_idle(
    schedule: &Schedule,
    idle: u64,
    rate: f64,
    spans: &[f64],
    seed: u64,
) -> (Vec<f64>, f64) {
    let mut rng = Rng::new(seed);
    let mut tip = Tip { due: START + schedule.interval(), time: START };
    let mut now = (START + idle) as f64;
    let begin = now;
    let (mut counts, mut cheap) = (vec![0.0; spans.len()], 0.0);
    let end = spans.iter().copied().fold(0.0, f64::max);
    loop {
        now = tip.found(schedule, rate, Dating::Clock, now, &mut rng);
        if now - begin > end {
            return (counts, cheap);
        }
        let date = tip.date(Dating::Clock, now);
        if schedule.work(tip.due, date) < rate * schedule.interval() as f64 / 10.0 {
            cheap += 1.0;
        }
        for (count, span) in counts.iter_mut().zip(spans) {
            *count += f64::from(u8::from(now - begin <= *span));
        }
        tip = tip.after(schedule, date);
    }
}

fn idle() {
    heading("180 days without a block, then miners come (easiest target 2^18)", SEED, 1);
    let mut table = Table::new(&[
        "cores",
        "schedule",
        "blocks in 10 min",
        "1 h",
        "6 h",
        "24 h",
        "of them below a tenth of the work of an interval",
    ]);
    let spans = [600.0, 3_600.0, 21_600.0, 86_400.0];
    for cores in [1.0, 100.0, 1_000.0, 8_000.0] {
        for (name, half_life, forgets) in [
            ("forgets, 45 min", 2_700, true),
            ("forgets, 2 h", 7_200, true),
            ("absolute, 45 min", 2_700, false),
        ] {
            let schedule = Schedule { forgets, ..schedule(half_life) };
            let (counts, cheap) = after_idle(&schedule, 180 * 86_400, cores * CORE, &spans, SEED);
            let mut row = vec![number(cores), name.to_owned()];
            row.extend(counts.into_iter().map(number));
            row.push(number(cheap));
            table.row(&row);
        }
    }
    table.print();
}

fn bootstrap() {
    let runs = 100;
    heading("The first day after genesis, from its time on", SEED, runs);
    let mut table = Table::new(&[
        "cores",
        "first block: median",
        "blocks in the first hour",
        "in the first day",
        "mean interval of the second day",
        "work of a block then, core-seconds",
    ]);
    let schedule = schedule(2_700);
    for cores in [0.25, 1.0, 2.0, 10.0, 1_000.0, 8_000.0] {
        let (mut first, mut hour, mut day, mut second, mut works) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for run in 0..runs {
            let mut rng = Rng::new(SEED + run);
            let (mut tip, mut now) =
                (Tip { due: START + schedule.interval(), time: START }, START as f64);
            let end = now + 172_800.0;
            let blocks = mine(&schedule, &mut tip, &mut now, cores * CORE, end, &mut rng);
            let since = |at: &f64| at - START as f64;
            first.push(blocks.first().map_or(f64::INFINITY, since));
            hour.push(blocks.iter().filter(|at| since(at) < 3_600.0).count() as f64);
            let today = blocks.iter().filter(|at| since(at) < 86_400.0).count() as f64;
            day.push(today);
            second.push(86_400.0 / (blocks.len() as f64 - today).max(1.0));
            works.push(schedule.work(tip.due, tip.time + 120) / CORE);
        }
        table.row(&[
            number(cores),
            span(quantile(&mut first, 0.5)),
            number(moments(&hour).0),
            number(moments(&day).0),
            format!("{:.1} s", moments(&second).0),
            number(moments(&works).0),
        ]);
    }
    table.print();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steady_intervals_are_nearly_exponential() {
        let (mean, deviation, ..) = steady_intervals(2_700, true, 20_000, 5);
        assert!((mean / 120.0 - 1.0).abs() < 0.02, "{mean}");
        assert!((0.9..1.02).contains(&deviation), "{deviation}");
    }

    #[test]
    fn the_gap_after_a_spike_is_below_six_hours() {
        let (mut gaps, _) = spikes(2_700, 1_000.0, 6.0, 60, 5);
        assert!(quantile(&mut gaps, 0.5) < 4.0 * 3_600.0);
        assert!(quantile(&mut gaps, 0.95) < 6.0 * 3_600.0);
        let (mut slow, _) = spikes(21_600, 1_000.0, 6.0, 20, 5);
        assert!(
            quantile(&mut slow, 0.5) > quantile(&mut gaps, 0.5),
            "a longer half-life waits longer"
        );
    }

    #[test]
    fn a_date_buys_no_work() {
        for dating in [Dating::AsParent, Dating::Ahead(300)] {
            let [_, work, interval, _] = lie(&schedule(2_700), 0.33, dating, 20_000, 5);
            assert!((work - 0.33).abs() < 0.015, "{dating:?}: {work}");
            assert!((interval / 120.0 - 1.0).abs() < 0.03, "{dating:?}: {interval}");
        }
    }

    #[test]
    fn idle_days_make_no_debt() {
        let blocks = |forgets| {
            let schedule = Schedule { forgets, ..schedule(2_700) };
            after_idle(&schedule, 180 * 86_400, 1_000.0 * CORE, &[3_600.0], 5).0[0]
        };
        assert!(blocks(true) < 400.0);
        assert!(blocks(false) > 10_000.0);
    }
}
