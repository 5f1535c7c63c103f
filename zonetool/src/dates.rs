//! Unix times as dates, for people.

use std::{cmp::Ordering, time::Duration};

use crate::ui::{counted, duration, utc};

/// Beyond this distance from now, a date is shown without the time of day.
const DAYS_ONLY_FROM_S: u64 = 2 * 86_400;

/// A time of Unix time beside the time now, both in seconds: `2027-11-30 (in 364 days)`, or with
/// the time of day within two days: `2026-11-30 17:05 UTC (in 10 min)`.
pub fn describe_time(time: u64, now: u64) -> String {
    let distance = time.abs_diff(now);
    let text = utc(time);
    let shown = match text.split_once('T') {
        Some((day, _)) if distance >= DAYS_ONLY_FROM_S => day.to_owned(),
        Some((day, clock)) => format!("{day} {} UTC", clock.get(..5).unwrap_or(clock)),
        None => text,
    };
    let span = span(Duration::from_secs(distance));
    match time.cmp(&now) {
        Ordering::Greater => format!("{shown} (in {span})"),
        Ordering::Equal => format!("{shown} (now)"),
        Ordering::Less => format!("{shown} ({span} ago)"),
    }
}

/// The end of something: `until 2027-11-30 (in 364 days)`, or `ended 2026-11-20 (10 days ago)`.
pub fn describe_end(end: u64, now: u64) -> String {
    let verb = if end > now { "until" } else { "ended" };
    format!("{verb} {}", describe_time(end, now))
}

/// The day of a time as an iCalendar file writes it; `None` after the year 9999.
pub fn calendar_day(time: u64) -> Option<String> {
    utc(time).split_once('T').map(|(day, _)| day.replace('-', ""))
}

/// The block and the time that something must wait for: both must have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Earliest {
    /// The first height.
    pub height: u32,
    /// The first time of a block, in seconds of Unix time.
    pub time: u64,
}

impl Earliest {
    /// Whether the block after the one at `tip` can do it at `now`.
    pub fn is_reached(self, tip: u32, now: u64) -> bool {
        self.blocks_left(tip) == 0 && now >= self.time
    }

    /// How many blocks must come before the one that can do it.
    fn blocks_left(self, tip: u32) -> u32 {
        self.height.saturating_sub(tip.saturating_add(1))
    }

    /// When it is, at a tip of height `tip`, after a verb: `from 2026-11-30 17:05 UTC (in 10 min),
    /// after 3 more blocks`. A time that has passed is not named: `after 3 more blocks`, or `in the
    /// next block`.
    pub fn describe(self, tip: u32, now: u64) -> String {
        let blocks = match self.blocks_left(tip) {
            0 => None,
            blocks => Some(format!("after {}", counted(blocks.into(), "more block"))),
        };
        match (self.time > now, blocks) {
            (true, Some(blocks)) => format!("from {}, {blocks}", describe_time(self.time, now)),
            (true, None) => format!("from {}", describe_time(self.time, now)),
            (false, Some(blocks)) => blocks,
            (false, None) => "in the next block".into(),
        }
    }
}

fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds < DAYS_ONLY_FROM_S => duration(time),
        // To the nearest day.
        seconds => format!("{} days", (seconds / 43_200).div_ceil(2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_046_400;

    #[test]
    fn a_time_is_a_date_and_its_distance() {
        for (time, shown) in [
            (NOW + 31_536_000, "2027-11-19 (in 365 days)"),
            (NOW + 3_600, "2026-11-19 01:00 UTC (in 60 min)"),
            (NOW, "2026-11-19 00:00 UTC (now)"),
            (NOW + 31_536_000 - 5, "2027-11-18 (in 365 days)"),
            (NOW - 90, "2026-11-18 23:58 UTC (90 s ago)"),
            (NOW - 10 * 86_400, "2026-11-09 (10 days ago)"),
            (u64::MAX, "second 18446744073709551615 (in 213503982314825 days)"),
        ] {
            let found = describe_time(time, NOW);
            match time {
                u64::MAX => {
                    assert!(found.starts_with("second 18446744073709551615 (in "), "{found}")
                }
                _ => assert_eq!(found, shown),
            }
        }
        assert_eq!(calendar_day(NOW).as_deref(), Some("20261119"));
        assert_eq!(calendar_day(u64::MAX), None);
    }

    /// The block after the tip can do it, or one after more blocks.
    #[test]
    fn a_minimum_is_of_blocks_and_of_time() {
        let opens = Earliest { height: 110, time: NOW + 600 };
        assert!(!opens.is_reached(108, NOW + 600) && !opens.is_reached(109, NOW + 599));
        assert!(opens.is_reached(109, NOW + 600));
        for (tip, now, words) in [
            (109, NOW, "from 2026-11-19 00:10 UTC (in 10 min)"),
            (108, NOW, "from 2026-11-19 00:10 UTC (in 10 min), after 1 more block"),
            (99, NOW, "from 2026-11-19 00:10 UTC (in 10 min), after 10 more blocks"),
            // What has passed is not named.
            (107, NOW + 602, "after 2 more blocks"),
            (109, NOW + 600, "in the next block"),
        ] {
            assert_eq!(opens.describe(tip, now), words);
        }
    }

    #[test]
    fn a_lease_that_is_over_has_ended() {
        assert_eq!(describe_end(NOW + 90, NOW), "until 2026-11-19 00:01 UTC (in 90 s)");
        assert_eq!(describe_end(NOW - 90, NOW), "ended 2026-11-18 23:58 UTC (90 s ago)");
    }
}
