//! Simulates the schedule of targets: 100,000 blocks of `main` for each kind of weather among the
//! miners.
//!
//! ```sh
//! cargo run --release -p namechain-core --example difficulty          # seed 1
//! cargo run --release -p namechain-core --example difficulty -- 42    # another seed
//! ```
//!
//! No network, no hashing: the time to the next block is drawn from the exponential distribution
//! that a hash rate and a target have. The same seed prints the same figures on every machine with
//! IEEE 754 arithmetic.

use std::collections::VecDeque;

use namechain_core::{
    consensus::{
        difficulty::{median_time, next_target},
        header::genesis,
    },
    params::{MAX_FUTURE_TIME, MEDIAN_TIME_SPAN, Params},
    types::{Header, Network},
};

const BLOCKS: u32 = 100_000;
/// Hashes a second of the miners in fair weather: what the genesis target is made for.
const FAIR: f64 = (1u64 << 18) as f64 / 120.0;

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    /// Uniform in (0, 1].
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((z ^ (z >> 31)) >> 11) as f64 + 1.0) / (1u64 << 53) as f64
    }
}

/// What the miners do: the hash rate before a block, and the time that its header states.
struct Weather {
    name: &'static str,
    /// Of the height and the work of the next block.
    rate: fn(u32, f64) -> f64,
    /// Of the true time, the median that it must be after, and a uniform number.
    stated: fn(u64, u64, f64) -> u64,
}

fn honest(now: u64, _: u64, _: f64) -> u64 {
    now
}

const WEATHERS: [Weather; 8] = [
    Weather { name: "steady", rate: |_, _| FAIR, stated: honest },
    Weather {
        name: "x100 from block 50,000 on",
        rate: |h, _| if h < 50_000 { FAIR } else { FAIR * 100.0 },
        stated: honest,
    },
    Weather {
        name: "/100 from block 50,000 on",
        rate: |h, _| if h < 50_000 { FAIR * 100.0 } else { FAIR },
        stated: honest,
    },
    Weather {
        name: "x10 every other 720 blocks",
        rate: |h, _| if h / 720 % 2 == 0 { FAIR } else { FAIR * 10.0 },
        stated: honest,
    },
    Weather {
        name: "nine tenths leave when it is dear",
        rate: |_, work| if work > FAIR * 120.0 * 3.0 { FAIR } else { FAIR * 10.0 },
        stated: honest,
    },
    // If all did, each block would say that no time has passed, and make the next one harder: they
    // would only lock themselves out.
    Weather {
        name: "a third states the earliest time",
        rate: |_, _| FAIR,
        stated: |now, median, coin| if coin < 1.0 / 3.0 { median + 1 } else { now },
    },
    Weather {
        name: "all state the latest time",
        rate: |_, _| FAIR,
        stated: |now, _, _| now + MAX_FUTURE_TIME,
    },
    Weather {
        name: "each states either bound",
        rate: |_, _| FAIR,
        stated: |now, median, coin| if coin < 0.5 { median + 1 } else { now + MAX_FUTURE_TIME },
    },
];

/// Mines the blocks; gives the true seconds between them.
fn run(params: &Params, weather: &Weather, random: &mut Random) -> Vec<f64> {
    let mut parent: Header = genesis(Network::Main).header;
    let mut times = VecDeque::from([parent.time]);
    let mut now = parent.time as f64;
    let mut gaps = Vec::with_capacity(BLOCKS as usize);
    for height in 1..=BLOCKS {
        let target = next_target(params, &parent);
        let work = target.work() as f64;
        let gap = -random.uniform().ln() * work / (weather.rate)(height, work);
        now += gap;
        let median = median_time(times.iter().copied().collect());
        let time = (weather.stated)(now as u64, median, random.uniform()).max(median + 1);
        // A header further ahead of the clock than allowed waits: nobody gains by it.
        let time = time.min((now as u64 + MAX_FUTURE_TIME).max(median + 1));
        parent = Header { height, time, target, ..parent };
        times.push_back(time);
        if times.len() > MEDIAN_TIME_SPAN {
            times.pop_front();
        }
        gaps.push(gap);
    }
    gaps
}

fn main() {
    let seed = std::env::args().nth(1).and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let params = Network::Main.params();
    println!(
        "seed {seed}, {BLOCKS} blocks each, aim {} s; an exponential spread has a deviation of its mean",
        params.block_interval
    );
    println!(
        "{:<36}{:>9}{:>11}{:>9}{:>9}{:>12}",
        "weather", "mean s", "deviation", "median", "99 %", "longest h"
    );
    for weather in &WEATHERS {
        let mut gaps = run(params, weather, &mut Random(seed));
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let deviation =
            (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64).sqrt();
        gaps.sort_by(f64::total_cmp);
        let at = |part: f64| gaps[(part * (gaps.len() - 1) as f64) as usize];
        println!(
            "{:<36}{mean:>9.1}{deviation:>11.1}{:>9.1}{:>9.1}{:>12.2}",
            weather.name,
            at(0.5),
            at(0.99),
            at(1.0) / 3_600.0
        );
    }
}
