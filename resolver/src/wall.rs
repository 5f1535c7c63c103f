//! The machine's idea of the date. What goes by it takes it as an argument.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, in seconds of Unix time.
#[expect(clippy::disallowed_methods, reason = "the shell of the resolver owns this clock")]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
