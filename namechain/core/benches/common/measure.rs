//! Two clocks at once: the wall's, and the time that this process has had on processors. Where
//! other programs run on the machine the second is the one to trust.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// How long something took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Took {
    /// By the wall's clock.
    pub wall: Duration,
    /// On processors, all threads of the process together.
    pub cpu: Duration,
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Does it, and says how long it took.
#[expect(clippy::disallowed_methods, reason = "a benchmark owns a clock")]
pub fn timed<T>(what: impl FnOnce() -> T) -> (T, Took) {
    let (wall, before) = (Instant::now(), cpu());
    let result = what();
    (result, Took { cpu: cpu() - before, wall: wall.elapsed() })
}

/// The medians, of each clock by itself.
pub fn median(mut all: Vec<Took>) -> Took {
    let middle = all.len() / 2;
    all.sort_by_key(|took| took.cpu);
    let cpu = all[middle].cpu;
    all.sort_by_key(|took| took.wall);
    Took { cpu, wall: all[middle].wall }
}

impl Took {
    /// This as a multiple of `bound`, on the wall's clock and on processors.
    pub fn over(self, bound: Took) -> (f64, f64) {
        let ratio = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64();
        (ratio(self.wall, bound.wall), ratio(self.cpu, bound.cpu))
    }
}

impl std::fmt::Display for Took {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
        write!(f, "{:9.2} ms wall {:9.2} ms cpu", ms(self.wall), ms(self.cpu))
    }
}

/// The memory that this process holds now, in MB.
pub fn resident_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1_000
}
