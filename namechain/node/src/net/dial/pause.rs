//! How long somebody who does not answer is left alone.

use std::time::Duration;

/// The wait before a named peer is dialled again; it doubles with each failure, up to
/// [`AGAIN_MOST`].
const AGAIN_FIRST: Duration = Duration::from_secs(1);
/// The longest wait.
pub(super) const AGAIN_MOST: Duration = Duration::from_secs(60);

/// How long to wait after so many failures.
pub(super) fn again_after(failures: u32) -> Duration {
    AGAIN_MOST.min(AGAIN_FIRST * (1 << failures.min(6)))
}
