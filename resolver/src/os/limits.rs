//! How many files and sockets this process may have open (getrlimit(2)).

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// More are never asked for.
const ENOUGH: u64 = 65_536;

/// Asks for as many file descriptors as this process may have: what it starts with is often 1,024,
/// which is less than a thousand clients over TCP need. How many it has then.
pub fn raise_descriptors() -> u64 {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard.min(ENOUGH)
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard.min(ENOUGH), hard)
    {
        tracing::debug!(%error, "the limit of open files stays at {soft}");
    }
    descriptors()
}

/// How many file descriptors this process may have.
pub fn descriptors() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(ENOUGH, |(soft, _)| soft)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_never_shrinks() {
        let before = descriptors();
        let after = raise_descriptors();
        assert!(after >= before && after >= 64, "{before}, then {after}");
    }
}
