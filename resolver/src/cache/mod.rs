//! Answers as wire bytes, bounded in bytes.

/// What a cache holds and how it did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Answers held, positive and negative.
    pub entries: u64,
    /// Bytes held, bookkeeping included.
    pub bytes: u64,
    /// Look-ups that found an answer.
    pub hits: u64,
    /// Look-ups that found none.
    pub misses: u64,
}
