//! The operator's word on blocks, given while no node runs on the data directory.

use std::path::Path;

use super::{clock, open::open_chain};
use crate::store::Options;
use namechain_core::{
    chain::ChainError,
    types::{Hash, Network},
};

/// Where a chain stands after the operator's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The height of the tip.
    pub height: u32,
    /// The id of the tip.
    pub tip: Hash,
    /// How many blocks were undone.
    pub undone: usize,
    /// How many blocks were connected.
    pub connected: usize,
}

/// Puts a block and all that follows it out of the choice between chains, or back into it if
/// `reconsider`, and follows the best chain of the others.
///
/// # Errors
/// If the block is not known or lies too deep, or the store can't be used: a node that runs on it
/// has to be stopped first.
pub fn choose(
    network: Network,
    data_dir: &Path,
    block: &Hash,
    reconsider: bool,
) -> Result<Choice, ChainError> {
    let (_, mut chain) = open_chain(network, data_dir, Options::default())?;
    let now = clock::now();
    let change = match reconsider {
        true => chain.reconsider(block, now)?,
        false => chain.invalidate(block, now)?,
    };
    let change = change.unwrap_or_default();
    Ok(Choice {
        height: chain.tip_header().height,
        tip: chain.tip_id(),
        undone: change.undone.len(),
        connected: change.connected.len(),
    })
}
