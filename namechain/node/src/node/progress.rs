//! How far a node has caught up, in words.

use std::fmt;

use namechain_core::{api_types::SyncInfo, sync::SyncStatus};

/// How far a node has caught up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    why: String,
    height: u32,
    headers: u32,
    target: u32,
    rate: u64,
    clock_off: Option<i64>,
}

impl Progress {
    pub(super) fn of(sync_status: &SyncStatus, height: u32) -> Self {
        let target = sync_status.target_height.max(height);
        Progress {
            why: sync_status.why.to_string(),
            height,
            headers: sync_status.headers_done.clamp(height, target),
            target,
            rate: sync_status.blocks_per_second.round() as u64,
            clock_off: sync_status.clock_off,
        }
    }

    fn seconds_left(&self) -> Option<u64> {
        let left = u64::from(self.target - self.height);
        (left > 0 && self.rate > 0).then(|| left.div_ceil(self.rate))
    }

    /// As the API says it.
    pub(super) fn info(self) -> SyncInfo {
        SyncInfo {
            seconds_left: self.seconds_left(),
            why: self.why,
            target: self.target,
            headers: self.headers,
            blocks_per_second: self.rate,
            clock_off: self.clock_off,
        }
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Progress { why, height, headers, target, rate, .. } = self;
        if target == height {
            return write!(f, "height {height}: {why}");
        }
        if headers < target {
            write!(f, "headers {headers} of {target}, ")?;
        }
        write!(f, "blocks {height} of {target}, {rate} a second")?;
        match self.seconds_left() {
            Some(seconds @ 0..=119) => write!(f, ", {seconds} s left"),
            Some(seconds) => write!(f, ", {} min left", seconds.div_ceil(60)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(height: u32, headers: u32, target: u32, rate: u64) -> Progress {
        Progress {
            why: "there is no peer yet".into(),
            height,
            headers,
            target,
            rate,
            clock_off: None,
        }
    }

    #[test]
    fn it_is_said_in_words() {
        for (progress, text) in [
            (progress(7, 7, 7, 0), "height 7: there is no peer yet"),
            (progress(7, 2_000, 9_000, 0), "headers 2000 of 9000, blocks 7 of 9000, 0 a second"),
            (progress(1_000, 9_000, 9_000, 100), "blocks 1000 of 9000, 100 a second, 80 s left"),
            (progress(0, 9_000, 9_000, 10), "blocks 0 of 9000, 10 a second, 15 min left"),
        ] {
            assert_eq!(progress.to_string(), text);
        }
        assert_eq!(progress(1, 5, 5, 3).info().seconds_left, Some(2));
        assert_eq!(progress(5, 5, 5, 3).info().seconds_left, None);
    }
}
