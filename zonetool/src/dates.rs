//! Heights as dates: what a person reads beside a height. A date ahead is an estimate, by the
//! network's schedule of blocks.

use std::time::Duration;

use namechain_core::types::Network;

use crate::{
    clock,
    ui::{duration, utc},
};

/// A height that is to come, with the time at which it is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    height: u32,
    /// Seconds of Unix time, and how far ahead; none on a network without a schedule.
    time: Option<(u64, Duration)>,
}

/// When `height` is expected on `network`, whose chain is at `now`.
pub fn expected(network: Network, now: u32, height: u32) -> Expected {
    expected_at(network, now, height, clock::unix())
}

fn expected_at(network: Network, now: u32, height: u32, unix: u64) -> Expected {
    let interval = network.params().block_interval;
    let ahead = u64::from(height.saturating_sub(now)).saturating_mul(interval);
    let time = (interval > 0 && height > now)
        .then(|| (unix.saturating_add(ahead), Duration::from_secs(ahead)));
    Expected { height, time }
}

impl Expected {
    /// For people: `2027-11-30 (in 364 days), height 262802`; the height alone where there is no
    /// date.
    pub fn describe(&self) -> String {
        match self.time {
            Some((time, ahead)) => {
                format!("{} (in {}), height {}", date(time), span(ahead), self.height)
            }
            None => format!("height {}", self.height),
        }
    }

    /// For scripts: RFC 3339.
    pub fn rfc3339(&self) -> Option<String> {
        self.time.map(|(time, _)| utc(time))
    }

    /// The day, as a calendar file writes it.
    pub fn day(&self) -> Option<String> {
        self.time.map(|(time, _)| date(time).replace('-', ""))
    }

    /// Whether it comes within a time; `None` where there is no date.
    pub fn is_within(&self, time: Duration) -> Option<bool> {
        self.time.map(|(_, ahead)| ahead <= time)
    }
}

fn date(time: u64) -> String {
    let text = utc(time);
    text.split_once('T').map_or_else(|| text.clone(), |(day, _)| day.to_owned())
}

fn span(time: Duration) -> String {
    match time.as_secs() / 86_400 {
        0 | 1 => duration(time),
        days => format!("{days} days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_height_has_a_date_where_blocks_have_a_schedule() {
        let lease = expected_at(Network::Main, 10, 10 + 262_800, 1_795_046_400);
        assert_eq!(lease.describe(), "2027-11-19 (in 365 days), height 262810");
        assert_eq!(lease.rfc3339().as_deref(), Some("2027-11-19T00:00:00Z"));
        assert_eq!(lease.day().as_deref(), Some("20271119"));
        assert_eq!(lease.is_within(Duration::from_secs(365 * 86_400)), Some(true));
        assert_eq!(lease.is_within(Duration::from_secs(364 * 86_400)), Some(false));
        let soon = expected_at(Network::Main, 10, 40, 1_795_046_400);
        assert_eq!(soon.describe(), "2026-11-19 (in 60 min), height 40");
        for (network, now) in [(Network::Dev, 10), (Network::Main, 262_810)] {
            let none = expected_at(network, now, 262_810, 1_795_046_400);
            assert_eq!((none.describe().as_str(), none.rfc3339()), ("height 262810", None));
        }
    }
}
