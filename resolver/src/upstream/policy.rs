//! Which answers are validated.

/// Which answers to the questions of one zone are validated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValidationPolicy {
    /// None.
    None,
    /// Those of upstreams that pass on what it takes.
    IfSupported,
    /// All.
    Always,
}
