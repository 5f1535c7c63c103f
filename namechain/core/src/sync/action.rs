//! What the state machine wants done.

use super::{
    event::{GossipId, JobId, Misbehavior, Peer, RequestId},
    message::{CompactBlock, Request},
};
use crate::{
    chain::{CheckedBlock, PowChecked},
    types::{Block, Hash, Header, Operation},
};

/// A job: it needs nothing but what is in it, and may run on any thread.
#[derive(Debug)]
pub enum Job {
    /// Check the proof of work of headers, in order.
    Headers(Vec<Header>),
    /// Check a block whose header's proof of work was checked.
    Block {
        /// Its header.
        header: PowChecked,
        /// The block, encoded.
        bytes: Vec<u8>,
    },
    /// Check a block that was put together from a compact one.
    Assembled {
        /// Its header, whose proof of work was checked.
        header: PowChecked,
        /// The block.
        block: Block,
        /// Which of its operations came from our mempool and need no second check.
        known: Vec<bool>,
    },
    /// Check an operation's signature and stamp.
    Operation {
        /// The operation.
        operation: Box<Operation>,
        /// The branch of the protocol that its signature must be for.
        branch: u32,
    },
}

/// What is to be done.
#[derive(Debug)]
pub enum Action {
    /// Send a request to a peer.
    SendRequest {
        /// The peer.
        peer: Peer,
        /// The id that its answer is reported with.
        id: RequestId,
        /// The request.
        request: Request,
    },
    /// Tell the gossip engine what becomes of a message.
    ReportAcceptance {
        /// The message.
        gossip: GossipId,
        /// What becomes of it.
        acceptance: Acceptance,
    },
    /// Publish a block by gossip.
    BroadcastBlock(CompactBlock),
    /// Publish an operation by gossip.
    BroadcastOperation(Operation),
    /// Run a job on another thread.
    RunJob {
        /// The id that its result is reported with.
        id: JobId,
        /// The job.
        job: Job,
    },
    /// Connect a block to the chain.
    ConnectBlock {
        /// The block.
        block: Box<CheckedBlock>,
        /// Whether it must survive a crash once it is taken.
        durable: bool,
    },
    /// Offer an operation, checked but for the state, to the mempool.
    SubmitOperation(Box<Operation>),
    /// Disconnect a peer.
    Disconnect {
        /// The peer.
        peer: Peer,
        /// Why, for the log.
        why: &'static str,
    },
    /// Disconnect a peer and refuse its identity for some time.
    Ban {
        /// The peer.
        peer: Peer,
        /// Why.
        misbehavior: Misbehavior,
        /// For how long, in seconds.
        seconds: u64,
    },
    /// Dial one peer more than usual: the tip has not moved for long.
    DialExtraPeer,
    /// A chain of more work forks too deep below our tip to be followed without the operator.
    ParkChain {
        /// Its tip.
        tip: Hash,
        /// How many blocks would be undone.
        depth: u32,
        /// Its chain work, in expected hashes.
        work: u128,
    },
}

/// What becomes of a gossip message, in GossipSub's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// It is valid and is forwarded.
    Accept,
    /// It is not forwarded, and that is nobody's fault.
    Ignore,
    /// It is invalid, and its sender loses score.
    Reject,
}
