//! Blocks that are mined outside of the node: templates are given away, and what comes back is
//! taken.

use metrics::counter;
use namechain_core::{
    api_types::{MinedBlock, MiningTemplate, Refusal},
    chain::{Accepted, ChainError, StorageError},
    consensus::difficulty::header_work,
    sync::Event,
    types::Header,
};

use super::ChainThread;
use crate::node::{clock, mining::STALE_BLOCKS};

impl ChainThread {
    /// The block to mine now.
    pub(super) fn template(&mut self) -> Result<Result<MiningTemplate, Refusal>, StorageError> {
        if !self.driver.may_mine() {
            return Ok(Err(Refusal {
                code: "unavailable".into(),
                rule: None,
                message: "the node is not synced: what is mined below the tip is for nothing"
                    .into(),
                hint: Some("wait until it is; /v1/status says how far it is".into()),
            }));
        }
        let (tip, now) = (self.chain.tip_id(), clock::now());
        let block = match self.templates.fresh(&tip) {
            Some(fresh) => fresh.clone(),
            None => {
                let candidates = self.mempool.by_work_rate(now);
                let block = self.chain.assemble_block(candidates.into_iter(), now)?;
                self.templates.insert(&block);
                block
            }
        };
        let (network, header) = (self.chain.network(), &block.header);
        let work = header_work(network.params(), header);
        let wanted = !block.operations.is_empty() || self.chain.is_empty_block_due(now);
        let count = block.operations.len();
        Ok(Ok(MiningTemplate::from_header(network, header, work, count, wanted)))
    }

    /// Takes a header that somebody has found the nonce of.
    pub(super) fn on_mined_outside(
        &mut self,
        header: &Header,
    ) -> Result<Result<MinedBlock, Refusal>, StorageError> {
        let Some(block) = self.templates.take(header) else {
            return Ok(Err(Refusal {
                code: "not-found".into(),
                rule: None,
                message: "this is no header of a template that was given away lately".into(),
                hint: Some("get a new template; change nothing in it but the nonce".into()),
            }));
        };
        let (id, height) = (header.id(self.chain.network()), header.height);
        match self.chain.accept(&block, clock::now(), true) {
            Ok(Accepted::Tip(change)) => {
                self.on_tip_change(&change)?;
                self.on_event(Event::BlockMined { block })?;
                self.update_mining(true)?;
                Ok(Ok(MinedBlock { id, height, tip: true }))
            }
            Ok(Accepted::Known | Accepted::Side) => {
                counter!(STALE_BLOCKS).increment(1);
                Ok(Ok(MinedBlock { id, height, tip: self.chain.tip_id() == id }))
            }
            Err(ChainError::Storage(error)) => Err(error),
            Err(error) => Ok(Err(Refusal {
                code: "rule".into(),
                rule: match &error {
                    ChainError::Rule { violation, .. } => Some(violation.id().into()),
                    _ => None,
                },
                message: error.to_string(),
                hint: None,
            })),
        }
    }
}
