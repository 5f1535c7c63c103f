//! What the state machine is told.

use core::net::IpAddr;

use super::message::{CompactBlock, Hello, Response};
use crate::{
    chain::{CheckedBlock, PowCheckedHeader},
    consensus::RuleViolation,
    types::{Block, Hash, Operation},
};

/// A connection with a peer. Whoever reports the connection assigns the number and never uses it
/// again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer(pub u64);

/// One of our requests that is in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// A gossip message that is not forwarded before it has been validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GossipId(pub u64);

/// A job that runs on another thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// A peer has connected.
    PeerConnected {
        /// The peer.
        peer: Peer,
        /// Its address.
        ip: Option<IpAddr>,
        /// Whether we dialled it.
        outbound: bool,
        /// Whether the connection, which we dialled, carries blocks only: no gossip, and nothing of
        /// operations.
        block_only: bool,
    },
    /// A peer has disconnected.
    PeerDisconnected {
        /// The peer.
        peer: Peer,
    },
    /// A peer sent its hello as a request. The transport has answered it with ours.
    HelloReceived {
        /// The peer.
        peer: Peer,
        /// Its hello.
        hello: Hello,
    },
    /// A peer answered a request.
    ResponseReceived {
        /// The peer.
        peer: Peer,
        /// Our request.
        request: RequestId,
        /// The answer.
        response: Response,
    },
    /// A request failed.
    RequestFailed {
        /// The peer.
        peer: Peer,
        /// Our request.
        request: RequestId,
        /// Why it failed.
        error: RequestError,
    },
    /// A block came by gossip.
    BlockAnnounced {
        /// Who forwarded it to us.
        peer: Peer,
        /// The message, to be accepted, ignored or rejected.
        gossip: GossipId,
        /// The block.
        block: CompactBlock,
    },
    /// An operation came by gossip.
    OperationAnnounced {
        /// Who forwarded it to us.
        peer: Peer,
        /// The message, to be accepted, ignored or rejected.
        gossip: GossipId,
        /// The operation.
        operation: Operation,
    },
    /// The transport saw a peer do what no honest one does.
    PeerMisbehaved {
        /// The peer.
        peer: Peer,
        /// What it did.
        misbehavior: Misbehavior,
    },
    /// A job is done.
    JobDone {
        /// The job.
        job: JobId,
        /// Its result.
        outcome: JobOutcome,
    },
    /// The chain answered [`super::Action::ConnectBlock`].
    BlockConnected {
        /// The block.
        id: Hash,
        /// Whether it was taken.
        outcome: ConnectOutcome,
    },
    /// This node has mined a block, which is the new tip.
    BlockMined {
        /// The block.
        block: Block,
    },
    /// The mempool answered [`super::Action::SubmitOperation`], or took an operation of a local
    /// user.
    OperationSubmitted {
        /// The operation's id.
        id: Hash,
        /// Whether it was taken.
        outcome: SubmitOutcome,
    },
    /// Time has passed. To be sent at least once a second.
    Tick,
}

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// No answer in time.
    Timeout,
    /// The connection broke, or the peer takes no requests.
    Closed,
    /// The answer can't be decoded, or is over its size limit.
    Malformed,
}

/// What no honest peer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misbehavior {
    /// It sent what can't be decoded, or is over its size limit.
    Malformed,
    /// It sent or asked for far more than it may.
    Flood,
    /// It is on another network.
    OtherNetwork,
    /// It sent what breaks a rule that needs no state: proof of work, signature, structure.
    BrokenRule,
    /// It advertised what it could not show.
    Lied,
    /// It did not answer in time.
    Silent,
}

/// The result of a job.
#[derive(Debug)]
pub enum JobOutcome {
    /// All headers have their proof of work.
    Headers(Vec<PowCheckedHeader>),
    /// The block is valid but for the state.
    Block(Box<CheckedBlock>),
    /// The operation is valid but for the state.
    Operation(Box<Operation>),
    /// A rule is broken; of headers, the first one's.
    Invalid(RuleViolation),
    /// It is of a branch of the protocol that this program does not know, and has its work.
    UpgradeNeeded(u32),
    /// The operation is not valid now, and is under the rules before or after those in force: its
    /// sender's clock or program is another.
    OtherBranch,
    /// It can't be decoded.
    Malformed,
}

/// Whether the chain took a block.
#[derive(Debug)]
pub enum ConnectOutcome {
    /// It is on the best chain or on a branch, now or before.
    Accepted,
    /// It breaks a rule, or follows a block that does.
    Invalid(RuleViolation),
    /// It can't be taken now: the parent is missing, its time is too far ahead, or it forks too
    /// deep.
    Deferred,
}

/// Whether the mempool took an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubmitOutcome {
    /// It waits to be mined, and is to be broadcast.
    Accepted,
    /// It was not taken, which need not be its sender's fault: the mempool is full, another one
    /// waits for the same name, or our tip is another.
    Rejected,
}
