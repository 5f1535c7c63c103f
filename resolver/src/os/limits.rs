//! The limit of file descriptors of this process (getrlimit(2)).

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// The most file descriptors that are requested.
const MAX_DESCRIPTORS: u64 = 65_536;

/// Raises the limit of file descriptors as far as allowed: the default is often 1,024, which is
/// less than a thousand clients over TCP need. Returns the limit.
pub fn raise_descriptors() -> u64 {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard.min(MAX_DESCRIPTORS)
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard.min(MAX_DESCRIPTORS), hard)
    {
        tracing::debug!(%error, "the limit of open files stays at {soft}");
    }
    descriptors()
}

/// The limit of file descriptors.
pub fn descriptors() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(MAX_DESCRIPTORS, |(soft, _)| soft)
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
