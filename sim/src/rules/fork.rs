//! When a node leaves its tip for another chain.

/// A rule, and those that it was compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ForkRule {
    /// The heavier chain; of equals the first seen.
    Heaviest,
    /// Only for more than half the work of the node's own tip block.
    HalfOwnTip,
    /// Only for more than half the work of the lighter of the two tip blocks.
    HalfLighterTip,
}

/// Summed work, and the work of the last block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weight {
    pub sum: f64,
    pub tip: f64,
}

impl ForkRule {
    /// Whether a node at `own` goes to `other`.
    pub fn leaves(self, own: Weight, other: Weight) -> bool {
        let threshold = match self {
            ForkRule::Heaviest => 0.0,
            ForkRule::HalfOwnTip => own.tip / 2.0,
            ForkRule::HalfLighterTip => own.tip.min(other.tip) / 2.0,
        };
        other.sum > own.sum + threshold
    }

    /// How the tables call it.
    pub fn text(self) -> &'static str {
        match self {
            ForkRule::Heaviest => "heavier",
            ForkRule::HalfOwnTip => "half of own tip",
            ForkRule::HalfLighterTip => "half of lighter tip",
        }
    }
}
