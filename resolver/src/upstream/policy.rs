//! Which answers are validated.

/// Which answers for the names of a zone are validated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValidationPolicy {
    /// No answers.
    None,
    /// Answers of upstreams that pass DNSSEC records on.
    IfSupported,
    /// All answers.
    Always,
}
