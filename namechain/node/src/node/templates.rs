//! The blocks in the making that were given to miners outside of the node.

use std::{collections::VecDeque, time::Duration};

use namechain_core::types::{Block, Hash, Header};

use super::clock::Since;

/// How many templates are remembered. A miner that works on an older one has missed a tip.
const KEPT: usize = 8;
/// For how long the same template is given away while the tip stays: making one reads the state.
const FRESH: Duration = Duration::from_secs(2);

/// The templates that were given away, the newest last.
#[derive(Default)]
pub struct Templates {
    kept: VecDeque<Block>,
    made: Option<Since>,
}

impl Templates {
    /// The newest, if it is on this tip and fresh.
    pub fn fresh(&self, tip: &Hash) -> Option<&Block> {
        let fresh = self.made.as_ref().is_some_and(|made| made.elapsed() < FRESH);
        self.kept.back().filter(|block| fresh && block.header.previous == *tip)
    }

    /// Remembers a template.
    pub fn insert(&mut self, block: &Block) {
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(block.clone());
        self.made = Some(Since::now());
    }

    /// The block that `header` is the header of, but for the nonce.
    pub fn take(&self, header: &Header) -> Option<Block> {
        let template = Header { nonce: 0, ..header.clone() };
        let block = self.kept.iter().find(|block| block.header == template)?;
        Some(Block { header: header.clone(), operations: block.operations.clone() })
    }
}
