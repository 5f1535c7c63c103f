//! Question 3: what names and bytes cost under load, under attack, and in quiet.

use crate::{
    mining::{CORE, Dating, STAMP_HASH_SECONDS, Tip},
    rng::Rng,
    rules::price::{
        BASE, BLOCK_BYTES, COMMIT_BYTES, Controller, INTERVAL, SHARE_BYTES, UNIT, factor, records,
    },
    table::{Table, heading, number, span},
    target::schedule,
};

const SEED: u64 = 1304;
/// Core-seconds of a Commit at the lowest price.
const COMMIT_SECONDS: f64 = BASE * STAMP_HASH_SECONDS;

pub fn run() {
    amounts();
    takings();
    short_names();
    rush();
    raising();
    stuffing();
    random_intervals();
    quiet();
    bursts();
    filling();
}

fn amounts() {
    println!(
        "**What an operation costs one core** (expected stamp work at the lowest price; half of"
    );
    println!("all tries take longer than 0.69 times, one in twenty 3.0 times)\n");
    let mut table = Table::new(&["operation", "stamp hashes", "seconds of one core"]);
    let rows = [
        ("Commit", BASE),
        ("Register or Update, no records; Transfer, Accept", records(0, UNIT)),
        ("Register or Update, 512 bytes", records(512, UNIT)),
        ("Update, 4,096 bytes", records(4_096, UNIT)),
        ("Renew, six letters", BASE / 16.0),
        ("Cancel, Recover, Revoke", BASE / 64.0),
        ("name of five letters", BASE * 8.0),
        ("of four", BASE * 64.0),
        ("of three", BASE * 256.0),
    ];
    for (what, hashes) in rows {
        table.row(&[what.to_owned(), number(hashes), number(hashes * STAMP_HASH_SECONDS)]);
    }
    table.print();
}

/// All names of a length: what their Commits cost at the lowest price, and how long they take at
/// the number of Commits a block at which the price stays.
fn short_names() {
    println!(
        "**All names of a length** (no randomness; letters, digits and hyphens, reserved ones not"
    );
    println!("taken off)\n");
    let mut table = Table::new(&[
        "letters",
        "names",
        "core-hours at the lowest price",
        "days at 20 Commits a block",
    ]);
    for (letters, factor) in [(3, 256.0), (4, 64.0), (5, 8.0)] {
        // No hyphen at either end.
        let names = 36.0 * 36.0 * 37f64.powi(letters - 2);
        table.row(&[
            number(f64::from(letters)),
            number(names),
            number(names * COMMIT_SECONDS * factor / 3_600.0),
            number(names / 20.0 / 720.0),
        ]);
    }
    table.print();
}

/// Names that `cores` take in `blocks` blocks: as the stamps get ready, or saved (for a day at
/// most) and put into one block whenever the price is at most `dump_at`.
fn take(controller: &Controller, cores: f64, blocks: u64, dump_at: Option<f64>) -> f64 {
    let (mut price, mut taken, mut saved) = (UNIT, 0.0, 0.0);
    let a_block = cores * INTERVAL as f64;
    for _ in 0..blocks {
        saved += a_block;
        let cost = COMMIT_SECONDS * factor(price);
        let affordable = (saved / cost).floor().min(controller.block_cap as f64);
        let count = match dump_at {
            Some(limit) if factor(price) > limit => 0.0,
            _ => affordable,
        };
        taken += count;
        saved = (saved - count * cost).min(a_block * 720.0);
        price = controller.next(price, count as u64, INTERVAL);
    }
    taken
}

fn takings() {
    println!(
        "**Names of six letters that so many cores take, nobody else bidding** (no randomness; the"
    );
    println!("better of stamping steadily and of saving stamps for cheap blocks)\n");
    let mut table = Table::new(&[
        "Commits of a block",
        "cores",
        "an hour",
        "a day",
        "a year",
        "core-hours a name, of the year's",
    ]);
    for (text, controller) in
        [("any number", Controller::NAMES_UNCAPPED), ("at most 40", Controller::NAMES)]
    {
        for cores in [1.0, 1_000.0] {
            let mut row = vec![text.to_owned(), number(cores)];
            let mut last = 0.0;
            for blocks in [30, 720, 262_800] {
                let limits = [None, Some(1.0), Some(2.0), Some(8.0), Some(64.0), Some(512.0)];
                let best = limits.iter().map(|limit| take(&controller, cores, blocks, *limit));
                last = best.fold(0.0, f64::max);
                row.push(number(last));
            }
            row.push(number(cores * 8_760.0 / last));
            table.row(&row);
        }
    }
    table.print();
}

/// Prices and Commits of a rush: so many cores stamp for `blocks` blocks.
fn rush_prices(controller: &Controller, cores: f64, blocks: u64) -> (Vec<f64>, Vec<f64>) {
    let (mut price, mut prices, mut counts, mut saved) = (UNIT, Vec::new(), Vec::new(), 0.0);
    for _ in 0..blocks {
        saved = f64::min(saved + cores * INTERVAL as f64, cores * 86_400.0);
        let cost = COMMIT_SECONDS * factor(price);
        let count = (saved / cost).floor().min(controller.block_cap as f64);
        saved -= count * cost;
        price = controller.next(price, count as u64, INTERVAL);
        prices.push(factor(price));
        counts.push(count);
    }
    (prices, counts)
}

fn rush() {
    println!(
        "**A rush for names: 8,000 cores for six hours** (no randomness). An Update pays the price"
    );
    println!("of bytes: a Register of 512 bytes for each Commit never moves it at 40 a block.\n");
    let mut table = Table::new(&[
        "Commits of a block",
        "price of a name after 20 min",
        "1 h",
        "6 h",
        "names in 1 h",
        "in 6 h",
        "most Commits in a block",
        "price of an Update",
    ]);
    for (text, controller) in
        [("any number", Controller::NAMES_UNCAPPED), ("at most 40", Controller::NAMES)]
    {
        let (prices, counts) = rush_prices(&controller, 8_000.0, 180);
        let most = counts.iter().copied().fold(0.0, f64::max);
        let mut bytes = UNIT;
        let mut highest = bytes;
        for count in &counts {
            bytes = Controller::BYTES.next(bytes, (*count as u64 * 760).min(SHARE_BYTES), INTERVAL);
            highest = highest.max(bytes);
        }
        table.row(&[
            text.to_owned(),
            format!("x {}", number(prices[9])),
            format!("x {}", number(prices[29])),
            format!("x {}", number(prices[179])),
            number(counts[..30].iter().sum()),
            number(counts.iter().sum()),
            number(most),
            format!("x {}", number(factor(highest))),
        ]);
    }
    table.print();
}

/// Blocks of this spacing until a multiplier has fallen from `from` to below twice the lowest.
fn recovery(controller: &Controller, from: f64, spacing: u64) -> f64 {
    let (mut price, mut seconds) = ((from * f64::from(UNIT)) as u32, 0);
    while price >= 2 * UNIT {
        price = controller.next(price, 0, spacing);
        seconds += spacing;
    }
    seconds as f64
}

fn raising() {
    println!("**Raising the price of names for others: what it costs, and how long it lasts** (no");
    println!("randomness; 40 Commits of the attacker in each block, then nobody pays)\n");
    let mut table = Table::new(&[
        "to",
        "core-hours",
        "blocks",
        "back below x 2 with blocks every 120 s",
        "every 20 min, one step a block",
        "every 6 h, one step a block",
        "every 6 h, one step an interval",
    ]);
    for to in [10.0, 100.0, 1_000.0] {
        let (mut price, mut cost, mut blocks) = (UNIT, 0.0, 0.0);
        while factor(price) < to {
            cost += 40.0 * COMMIT_SECONDS * factor(price) / 3_600.0;
            price = Controller::NAMES.next(price, 40, INTERVAL);
            blocks += 1.0;
        }
        let slow = Controller::NAMES_UNCAPPED;
        table.row(&[
            format!("x {}", number(to)),
            number(cost),
            number(blocks),
            span(recovery(&Controller::NAMES, factor(price), 120)),
            span(recovery(&slow, factor(price), 1_200)),
            span(recovery(&slow, factor(price), 21_600)),
            span(recovery(&Controller::NAMES, factor(price), 21_600)),
        ]);
    }
    table.print();
}

/// The mean price factor and the stuffer's core-hours a day, when a share of blocks is stuffed and
/// honest demand is `demand / price` Commits a block.
fn stuffed(share: f64, demand: f64, blocks: u64, seed: u64) -> (f64, f64, f64) {
    let (mut rng, controller) = (Rng::new(seed), Controller::NAMES);
    let (mut price, mut waiting) = (UNIT, 0u64);
    let (mut logs, mut own, mut honest) = (0.0, 0.0, 0.0);
    for _ in 0..blocks {
        waiting = (waiting + rng.poisson(demand / factor(price))).min(200);
        let cost = COMMIT_SECONDS * factor(price);
        if rng.chance(share) {
            // His own Commits only: he keeps the others out as well.
            own += 40.0 * cost;
            price = controller.next(price, 40, INTERVAL);
        } else {
            let count = waiting.min(controller.block_cap);
            waiting -= count;
            honest += count as f64;
            price = controller.next(price, count, INTERVAL);
        }
        logs += factor(price).ln();
    }
    let n = blocks as f64;
    ((logs / n).exp(), own / 3_600.0 / n * 720.0, honest / n)
}

fn stuffing() {
    let blocks = 50_000;
    heading(
        "A miner who stuffs his own blocks with 40 Commits; demand falls with the price",
        SEED,
        blocks,
    );
    let mut table = Table::new(&[
        "his share of blocks",
        "demand at the lowest price, a block",
        "price of a name, geometric mean",
        "what he pays, core-hours a day",
        "honest Commits a block",
    ]);
    for demand in [2.0, 20.0, 200.0] {
        for share in [0.0, 0.1, 0.25, 0.33, 0.45] {
            let (price, cost, honest) = stuffed(share, demand, blocks, SEED);
            table.row(&[
                format!("{:.0} %", share * 100.0),
                number(demand),
                format!("x {}", number(price)),
                number(cost),
                number(honest),
            ]);
        }
    }
    table.print();
}

/// How much a multiplier's logarithm moves in an interval in the mean, with `demand` Commits an
/// interval that come whatever the price is, and blocks at random times.
fn drift(controller: &Controller, demand: f64, blocks: u64, seed: u64) -> f64 {
    let mut rng = Rng::new(seed);
    let (mut waiting, mut moved, mut intervals) = (0, 0.0, 0.0);
    for _ in 0..blocks {
        let dt = (rng.exponential() * INTERVAL as f64) as u64;
        waiting += rng.poisson(demand * dt as f64 / INTERVAL as f64);
        let count = waiting.min(controller.block_cap);
        waiting -= count;
        // From a price so high that rounding does not show.
        let next = controller.next(1 << 24, count, dt);
        moved += (f64::from(next) / f64::from(1 << 24)).ln();
        intervals += dt as f64 / INTERVAL as f64;
    }
    moved / intervals
}

/// The demand at which the price stays.
fn balance(controller: &Controller, blocks: u64, seed: u64) -> f64 {
    let (mut low, mut high) = (0.0, 40.0);
    for _ in 0..20 {
        let middle = (low + high) / 2.0;
        if drift(controller, middle, blocks, seed) > 0.0 {
            high = middle;
        } else {
            low = middle;
        }
    }
    low
}

fn random_intervals() {
    let blocks = 100_000;
    heading("Blocks at random times, demand that does not answer to the price", SEED, blocks);
    let mut table =
        Table::new(&["the price falls", "Commits an interval at which it stays (aim 20)"]);
    for (text, controller) in [
        (
            "once a block at most, scaled by the time",
            Controller { falls_with_time: false, ..Controller::NAMES },
        ),
        ("once for each interval", Controller::NAMES),
    ] {
        table.row(&[text.to_owned(), number(balance(&controller, blocks, SEED))]);
    }
    table.print();
}

fn quiet() {
    let blocks = 262_800;
    heading("A year of quiet: two Commits and three Updates of 512 bytes a block", SEED, blocks);
    let mut rng = Rng::new(SEED);
    let (mut names, mut bytes, mut highest) = (UNIT, UNIT, (UNIT, UNIT));
    let mut above = 0.0;
    for _ in 0..blocks {
        names = Controller::NAMES.next(names, rng.poisson(2.0), INTERVAL);
        bytes = Controller::BYTES.next(bytes, rng.poisson(3.0) * 760, INTERVAL);
        highest = (highest.0.max(names), highest.1.max(bytes));
        above += f64::from(u8::from(names > UNIT || bytes > UNIT));
    }
    let mut table = Table::new(&[
        "highest price of names",
        "of bytes",
        "blocks above the lowest",
        "at the end",
    ]);
    table.row(&[
        format!("x {:.2}", factor(highest.0)),
        format!("x {:.2}", factor(highest.1)),
        number(above),
        format!("x {:.2}, x {:.2}", factor(names), factor(bytes)),
    ]);
    table.print();
}

fn bursts() {
    heading(
        "Empty blocks in a burst: price x 1,000 before, so many cores come after a silent hour",
        SEED,
        1,
    );
    let mut table = Table::new(&[
        "cores",
        "blocks in 10 min",
        "price then, if each block lowers by 1/8",
        "scaled by the time passed",
        "time alone (70 min)",
    ]);
    for cores in [10.0, 1_000.0, 8_000.0] {
        let schedule = schedule(2_700);
        let mut rng = Rng::new(SEED);
        let start = 1_800_000_000;
        let mut tip = Tip { due: start + 120, time: start };
        let (mut now, mut blocks) = (start as f64 + 3_600.0, 0.0);
        let (mut each, mut scaled) = (1_000 * UNIT, 1_000 * UNIT);
        loop {
            now = tip.found(&schedule, cores * CORE, Dating::Clock, now, &mut rng);
            if now > start as f64 + 4_200.0 {
                break;
            }
            let date = tip.date(Dating::Clock, now);
            each = Controller::NAMES_UNCAPPED.next(each, 0, INTERVAL);
            scaled = Controller::NAMES.next(scaled, 0, date - tip.time);
            tip = tip.after(&schedule, date);
            blocks += 1.0;
        }
        let alone = Controller::NAMES.next(1_000 * UNIT, 0, 4_200);
        table.row(&[
            number(cores),
            number(blocks),
            format!("x {}", number(factor(each))),
            format!("x {}", number(factor(scaled))),
            format!("x {}", number(factor(alone))),
        ]);
    }
    table.print();
}

/// Core-hours to fill every block's share with Updates of 512 bytes (760 bytes each).
fn fill(controller: &Controller, blocks: u64) -> (f64, f64) {
    let (mut price, mut cost) = (UNIT, 0.0);
    let count = controller.block_cap / 760;
    for _ in 0..blocks {
        cost += count as f64 * records(512, price) * STAMP_HASH_SECONDS / 3_600.0;
        price = controller.next(price, count * 760, INTERVAL);
    }
    (cost, factor(price))
}

fn filling() {
    println!("**Filling every block** (no randomness; core-hours)\n");
    let mut table = Table::new(&[
        "with",
        "counted",
        "10 min",
        "1 h",
        "2 h",
        "a day",
        "price of bytes after 1 h",
    ]);
    for (text, controller) in
        [("twice the aim at most", Controller::BYTES_CAPPED), ("all", Controller::BYTES)]
    {
        let mut row = vec!["Updates of 512 bytes, 7/8 of the block".to_owned(), text.to_owned()];
        row.extend([5, 30, 60, 720].map(|blocks| number(fill(&controller, blocks).0)));
        row.push(format!("x {}", number(fill(&controller, 30).1)));
        table.row(&row);
    }
    // A Recover: kind, name of 8, title, validity, signer, owner, no recovery key, signature,
    // stamp.
    let recover = 1 + 9 + 32 + 8 + 32 + 32 + 1 + 64 + 48;
    let count = (BLOCK_BYTES - 164) / recover;
    let each = records(0, UNIT) * STAMP_HASH_SECONDS / 3_600.0;
    let flat = |blocks: f64| number(blocks * count as f64 * each);
    table.row(&[
        format!("{count} Recovers of one name a block"),
        "not".to_owned(),
        flat(5.0),
        flat(30.0),
        flat(60.0),
        flat(720.0),
        "x 1.00".to_owned(),
    ]);
    let (mut price, mut costs) = (UNIT, Vec::new());
    let mut cost = 0.0;
    let in_share = SHARE_BYTES / recover;
    for block in 1..=720 {
        cost += in_share as f64 * records(0, price) * STAMP_HASH_SECONDS / 3_600.0;
        price = Controller::BYTES.next(price, in_share * recover, INTERVAL);
        if [5, 30, 60, 720].contains(&block) {
            costs.push((cost, factor(price)));
        }
    }
    let mut row = vec![format!("{in_share} Recovers of one name a block"), "all".to_owned()];
    row.extend(costs.iter().map(|(cost, _)| number(*cost)));
    row.push(format!("x {}", number(costs[1].1)));
    table.row(&row);
    table.print();
    let a_block = SHARE_BYTES / COMMIT_BYTES;
    println!("A block's share holds {a_block} Commits of {COMMIT_BYTES} bytes.\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saving_stamps_for_one_block_pays_only_without_a_cap() {
        let open = take(&Controller::NAMES_UNCAPPED, 1_000.0, 720, Some(1.0));
        let steady = take(&Controller::NAMES_UNCAPPED, 1_000.0, 720, None);
        assert!(open > 20.0 * steady, "{open} {steady}");
        let limits = [None, Some(1.0), Some(2.0), Some(8.0), Some(64.0), Some(512.0)];
        for limit in limits {
            assert!(take(&Controller::NAMES, 1_000.0, 7_200, limit) < 7_200.0 * 22.0, "{limit:?}");
        }
    }

    #[test]
    fn an_update_in_quiet_is_within_five_seconds() {
        assert!(records(512, UNIT) * STAMP_HASH_SECONDS < 5.0);
    }

    #[test]
    fn a_rush_leaves_updates_alone() {
        let (prices, counts) = rush_prices(&Controller::NAMES, 8_000.0, 180);
        assert!(prices[179] > 500.0);
        assert!(counts.iter().all(|count| count * 760.0 < 65_536.0));
    }

    #[test]
    fn a_stuffing_minority_cannot_run_the_price_up() {
        assert!(stuffed(0.33, 2.0, 5_000, 3).0 < 3.0);
        assert!(stuffed(0.45, 20.0, 5_000, 3).0 < 100.0);
    }
}
