//! The benchmarks' clock.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Now.
#[expect(clippy::disallowed_methods, reason = "a benchmark owns a clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// Calls `ready` until it gives something; `None` when `limit` has passed.
pub fn until<T>(limit: Duration, mut ready: impl FnMut() -> Option<T>) -> Option<T> {
    let start = now();
    loop {
        if let Some(value) = ready() {
            return Some(value);
        }
        if start.elapsed() > limit {
            return None;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The value at `part` (0 to 1) of the sorted values; `None` of none.
pub fn quantile<T: Copy + PartialOrd>(values: &[T], part: f64) -> Option<T> {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    let last = sorted.len().checked_sub(1)?;
    sorted.get((last as f64 * part).round() as usize).copied()
}

/// The value in the middle.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5).unwrap_or(f64::NAN)
}
