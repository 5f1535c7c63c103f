//! What to ask peers for, and what to believe: a state machine. Events and the time go in, actions
//! come out; it knows no sockets, threads, files or clocks, so that a whole network runs in one
//! thread of a test.
//!
//! ```text
//! net: Event --> Sync::handle(chain, mempool, event, now) --> Action: ask a peer, judge what was told, tell everybody
//!                      ^                      |
//!                      |                      +--> Action::RunJob: work, signatures, on any core
//!                      +---- Event::JobDone <-'
//!                      |                      +--> Action::ConnectBlock: the chain takes a block
//!                      +-- Event::BlockConnected <-'
//! ```

mod blocks;
mod candidates;
mod download;
mod headers;
mod job;
pub mod limits;
mod machine;
pub mod message;
mod operations;
mod peers;
mod relay;
mod remember;
pub mod serve;
mod standing;
mod target;

pub use machine::Sync;
pub use standing::{PeerStatus, SyncConfig, SyncPhase, SyncReason, SyncStatus, Usage};

use core::net::IpAddr;

use crate::{
    chain::{CheckedBlock, PowChecked, PowCheckedHeader},
    consensus::RuleViolation,
    types::{Block, Hash, Header, Operation},
};
use message::{CompactBlock, Request, Response};

/// A peer as long as it is connected. Numbers are given by whoever reports the connection and never
/// used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer(pub u64);

/// A request of ours that is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Something that was told to everybody and waits for our word before it goes further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GossipId(pub u64);

/// A piece of work that was given away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// A peer is there.
    PeerConnected {
        /// It.
        peer: Peer,
        /// Where it is.
        ip: Option<IpAddr>,
        /// Whether we dialled it.
        outbound: bool,
    },
    /// A peer is gone.
    PeerDisconnected {
        /// It.
        peer: Peer,
    },
    /// A peer said hello: its request, which has been answered with [`Sync`]'s own hello.
    HelloReceived {
        /// It.
        peer: Peer,
        /// What it said.
        hello: message::Hello,
    },
    /// A peer answered.
    ResponseReceived {
        /// It.
        peer: Peer,
        /// What it answered.
        request: RequestId,
        /// Its answer.
        response: Response,
    },
    /// A request failed.
    RequestFailed {
        /// The peer.
        peer: Peer,
        /// What failed.
        request: RequestId,
        /// How.
        error: RequestError,
    },
    /// A block was told to everybody.
    BlockAnnounced {
        /// Who told us.
        peer: Peer,
        /// What it is known as until it is judged.
        gossip: GossipId,
        /// The block.
        block: CompactBlock,
    },
    /// An operation was told to everybody.
    OperationAnnounced {
        /// Who told us.
        peer: Peer,
        /// What it is known as until it is judged.
        gossip: GossipId,
        /// The operation.
        operation: Operation,
    },
    /// A peer did what no honest one does.
    PeerMisbehaved {
        /// It.
        peer: Peer,
        /// What it did.
        misbehavior: Misbehavior,
    },
    /// A job is done.
    JobDone {
        /// Which.
        job: JobId,
        /// How it came out.
        outcome: JobOutcome,
    },
    /// The chain has taken a block, or not: the answer to [`Action::ConnectBlock`].
    BlockConnected {
        /// The block.
        id: Hash,
        /// What became of it.
        outcome: ConnectOutcome,
    },
    /// The best chain has moved by a block of our own making.
    BlockMined {
        /// The block.
        block: Block,
    },
    /// The mempool has taken an operation that our own user made, or has answered
    /// [`Action::SubmitOperation`].
    OperationSubmitted {
        /// The operation's id.
        id: Hash,
        /// What became of it.
        outcome: SubmitOutcome,
    },
    /// Time has passed: at least once a second.
    Tick,
}

/// SyncReason a request was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// Not in time.
    Timeout,
    /// The connection broke, or the peer does not take requests.
    Closed,
    /// What came can't be read, or was longer than it may be.
    Malformed,
}

/// What no honest peer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misbehavior {
    /// It sent what can't be read, or was longer than it may be.
    Malformed,
    /// It asked for more than anybody needs.
    Flood,
    /// It is on another network.
    OtherNetwork,
    /// It sent what breaks a rule that needs no state: work, signature, structure.
    BrokenRule,
    /// It claimed what it could not show.
    Lied,
    /// It was silent for too long, too often.
    Silent,
}

/// How a job came out.
#[derive(Debug)]
pub enum JobOutcome {
    /// All headers have their work.
    Headers(Vec<PowCheckedHeader>),
    /// The block is fine by itself.
    Block(Box<CheckedBlock>),
    /// The operation is fine by itself.
    Operation(Box<Operation>),
    /// It is not: which rule it breaks. Of headers, the first one's.
    Invalid(RuleViolation),
    /// It can't be read.
    Malformed,
}

/// Work to give away: it needs nothing but what is in it.
#[derive(Debug)]
pub enum Job {
    /// The work of headers, in order.
    Headers(Vec<Header>),
    /// A block whose header's work was checked.
    Block {
        /// Its header, as it was checked.
        header: PowChecked,
        /// The block, encoded.
        bytes: Vec<u8>,
    },
    /// A block put together from a compact one; its header's work was checked.
    Assembled {
        /// Its header, as it was checked.
        header: PowChecked,
        /// The block.
        block: Block,
        /// Which of its operations waited in our mempool, and so were checked before.
        known: Vec<bool>,
    },
    /// An operation's signature and stamp.
    Operation(Box<Operation>),
}

/// What became of a block.
#[derive(Debug)]
pub enum ConnectOutcome {
    /// It is on the best chain, or beside it, or was there already.
    Accepted,
    /// It breaks a rule, or follows one that does.
    Invalid(RuleViolation),
    /// It can't be taken now: its parent is missing, its time is too far ahead, or it departs too
    /// deep.
    Deferred,
}

/// What became of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubmitOutcome {
    /// It waits: everybody should hear of it.
    Accepted,
    /// It is not taken, and that need not be its maker's fault: the mempool is full, another one
    /// waits, our tip is another.
    Rejected,
}

/// What to do.
#[derive(Debug)]
pub enum Action {
    /// Ask a peer.
    SendRequest {
        /// Whom.
        peer: Peer,
        /// What the answer is to be known by.
        id: RequestId,
        /// What.
        request: Request,
    },
    /// Judge what was told to everybody.
    ReportAcceptance {
        /// What.
        gossip: GossipId,
        /// How.
        verdict: Acceptance,
    },
    /// Tell everybody of a block.
    BroadcastBlock(CompactBlock),
    /// Tell everybody of an operation.
    BroadcastOperation(Operation),
    /// Do a piece of work somewhere else.
    RunJob {
        /// What its outcome is to be known by.
        id: JobId,
        /// What.
        job: Job,
    },
    /// Let the chain take a block. Durable unless there are many more to come.
    ConnectBlock {
        /// The block.
        block: Box<CheckedBlock>,
        /// Whether it must survive a crash once it is taken.
        durable: bool,
    },
    /// Let the mempool take an operation that has been checked by itself.
    SubmitOperation(Box<Operation>),
    /// Hang up.
    Disconnect {
        /// On whom.
        peer: Peer,
        /// SyncReason, for the log.
        why: &'static str,
    },
    /// Hang up, and refuse the peer's address and identity for some time.
    Ban {
        /// Whom.
        peer: Peer,
        /// SyncReason.
        misbehavior: Misbehavior,
        /// For how long, in seconds.
        seconds: u64,
    },
    /// A chain of more work departs too deep below ours to be followed.
    ParkChain {
        /// Its tip.
        tip: Hash,
        /// How many blocks would be undone.
        depth: u32,
        /// Its summed work, in expected hashes.
        work: u128,
    },
}

/// What becomes of something that was told to everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// It is sound: it goes further.
    Accept,
    /// It is nothing that everybody needs, and nobody's fault.
    Ignore,
    /// It breaks a rule: whoever told us is the worse for it.
    Reject,
}
