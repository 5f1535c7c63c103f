//! What is known of the walks along peers' chains.

use super::super::{requests::HeaderRequest, trail::Trail};

/// What is known of a peer's walk.
#[derive(Debug, Default)]
pub(super) struct WalkState {
    /// What was walked along and sums more than our chain: to be shown again.
    pub trail: Option<Trail>,
    /// What it is asked next, once samples of its last answer have been checked.
    pub next: Option<HeaderRequest>,
}
