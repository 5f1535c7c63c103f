//! The jobs that run on other threads, and what each is for.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    event::{JobId, Peer},
    limits::JOBS,
};
use crate::types::Hash;

/// What a job is for.
#[derive(Debug)]
pub(super) enum JobPurpose {
    /// A part of a batch of a candidate's headers.
    Headers { candidate: u64, batch: u64, part: usize },
    /// A block: of the download window, with who gave it, or an announced one.
    Block { height: u32, id: Hash, from: Option<Peer> },
    /// A few of the headers of a peer that are walked along.
    HeaderSample(Peer),
    /// The proof of work of an announced block's header.
    AnnouncedHeader(Hash),
    /// A header of a branch that this program does not know, from this peer.
    LaterBranch(Peer),
    /// An operation.
    Operation(Hash),
}

/// The jobs under way.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    running: BTreeMap<JobId, JobPurpose>,
    last: u64,
    /// The blocks among them: none is checked twice at a time, whoever wants to know.
    blocks: BTreeSet<Hash>,
}

impl Jobs {
    pub fn insert(&mut self, purpose: JobPurpose) -> JobId {
        debug_assert!(self.running.len() < JOBS, "the verify pool's queue has room for {JOBS}");
        self.last += 1;
        let id = JobId(self.last);
        self.running.insert(id, purpose);
        id
    }

    /// Takes a job that is done.
    pub fn take(&mut self, id: JobId) -> Option<JobPurpose> {
        let purpose = self.running.remove(&id)?;
        if let JobPurpose::Block { id, .. } = &purpose {
            self.blocks.remove(id);
        }
        Some(purpose)
    }

    /// Notes that a block is being checked; false if it is already.
    pub fn insert_block(&mut self, id: Hash) -> bool {
        self.blocks.insert(id)
    }

    pub fn len(&self) -> usize {
        self.running.len()
    }
}
