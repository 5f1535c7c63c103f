//! What is kept of headers that were walked along without being checked.

use crate::{
    chain::Ancestry,
    types::{Hash, Header},
};

/// How far a peer's chain was walked along.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    /// The end of the chain with the last header.
    pub end: Ancestry,
    /// What was walked along.
    pub trail: Trail,
}

/// The heights and ids at the ends of a walk's answers: 36 bytes for 2,000 headers.
#[derive(Clone, Debug, Default)]
pub(super) struct Trail(pub Vec<(u32, Hash)>);

impl Trail {
    /// Whether headers, with their ids, are those that were walked along.
    pub fn matches(&self, headers: &[Header], ids: &[Hash]) -> bool {
        let (Some(first), Some(last)) = (headers.first(), headers.last()) else { return true };
        self.0.iter().filter(|(height, _)| (first.height..=last.height).contains(height)).all(
            |(height, id)| ids.get((height - first.height) as usize).is_some_and(|it| it == id),
        )
    }
}
