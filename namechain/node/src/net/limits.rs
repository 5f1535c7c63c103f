//! Every bound of the network's shell, in one place, with its reason. `docs/network-transport.md`
//! has the same table.

use std::time::Duration;

use namechain_core::{
    sync::message::{MAX_BLOCK_OPERATIONS, MAX_RESPONSE_BYTES, Request},
    types::HEADER_BYTES,
};

/// Connections that we dial and keep: enough that one honest peer among them is near certain, few
/// enough that a public node has room for everybody's.
pub const OUTBOUND: usize = 8;
/// Connections that we dial beside them and that carry blocks only, as in Bitcoin Core: who watches
/// operations does not learn of them.
pub const BLOCK_ONLY: usize = 2;
/// Connections that we dial to peers of our own subnet, which multicast DNS has found: anybody on
/// the local network can announce as many as it likes.
pub const LOCAL: usize = 2;
/// Peers of our own subnet that are remembered.
pub const LOCAL_KNOWN: usize = 32;
/// How often, on average, an address is dialled only to see whether somebody answers, as in Bitcoin
/// Core: the address book gets to know good addresses before they are needed.
pub const FEELER_EVERY: Duration = Duration::from_secs(120);
/// After so long with connections for blocks only, one of them is closed, to be dialled for
/// everything.
pub const ONLY_BLOCKS_FOR: Duration = Duration::from_secs(60);
/// How long a connection that was dialled beside the slots has to show what it has, before the one
/// of least use among them is closed.
pub const EXTRA_FOR: Duration = Duration::from_secs(60);
/// How long a node without a connection that knows nobody waits before it dials a seed, and how
/// long before it dials another.
pub const SEED_AFTER: Duration = Duration::from_secs(10);
/// How long a seed is kept when there are other connections: it has others to serve.
pub const SEED_KEPT: Duration = Duration::from_secs(30);
/// How often the address book hears which of its peers are connected, and decides about places that
/// two want.
pub const ADDRMAN_REFRESHED_EVERY: Duration = Duration::from_secs(60);
/// Connections that others dial.
pub const INBOUND: usize = 96;
/// Connections that others dial from one group of addresses (/16 of IPv4, /32 of IPv6, one private
/// address). Those from this machine are only counted among all.
pub const INBOUND_PER_GROUP: usize = 8;
/// Connections that others have begun and not yet proved who they are; the oldest makes room for a
/// new one.
pub const INBOUND_PENDING: usize = 256;
/// The same, from one group: one host must not keep the door shut.
pub const INBOUND_PENDING_PER_GROUP: usize = 8;
/// Connections that may begin at once from one group; that of this machine is not counted.
pub const INBOUND_BURST: u32 = 40;
/// The same, in a second: each costs a handshake's cryptography.
pub const INBOUND_PER_SECOND: u32 = 4;
/// How long a connection may take until the other side has proved who it is.
pub const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// How long a peer may take, once it is connected, until it has said hello or answered ours.
pub const HELLO_WITHIN: Duration = Duration::from_secs(20);
/// How long a request and its answer may take, from the first byte to the last; a frame that
/// arrives a byte at a time ends here.
pub const REQUEST_WITHIN: Duration = Duration::from_secs(20);
/// How often a peer is pinged.
pub const PING_EVERY: Duration = Duration::from_secs(15);
/// How long it may take to answer a ping; a connection that doesn't is closed.
pub const PING_WITHIN: Duration = Duration::from_secs(20);
/// Two connections between the same two peers within this time were dialled by both at once, and
/// both keep the same one. Later, the new one replaces the old, whose end has not been noticed yet.
pub const SIMULTANEOUS: Duration = Duration::from_secs(10);

/// Streams that a peer may have open on a connection: requests both ways, gossip both ways, and a
/// few short ones.
pub const STREAMS: usize = 40;
/// yamux: bytes that a peer may send on all streams of a connection before we have read them. A
/// stream may always have 256 KiB, so that is the least that there can be.
pub const YAMUX_CONNECTION_BYTES: usize = STREAMS * 256 * 1024;
/// Streams on a connection whose protocol is not agreed on yet.
pub const STREAMS_NEGOTIATING: usize = 16;
/// Requests under way on a connection, both ways together.
pub const REQUESTS_PER_PEER: usize = 2 * ASKED_PER_PEER;
/// Requests of ours that a peer has not answered yet.
pub const ASKED_PER_PEER: usize = 12;
/// Requests of a peer that are being answered; one more is answered with `Busy`.
pub const ANSWERED_PER_PEER: usize = 8;
/// Requests that are being answered at once, by as many threads.
pub const ANSWERED_AT_ONCE: usize = 4;
/// Bytes of answers that are made and not sent yet, all peers together, in KiB.
pub const ANSWERS_KIB: usize = 48 * 1024;
/// QUIC: handshakes that may be under way with addresses that were not validated; further ones are
/// answered with Retry. Fewer than may be pending from one group, whose place nobody can take by
/// packets in its name.
pub const QUIC_UNVALIDATED: usize = 4;
/// QUIC: bytes that a peer may send on a stream before we have read them.
pub const QUIC_STREAM_BYTES: u32 = 1024 * 1024;
/// QUIC: the same, for all streams of a connection.
pub const QUIC_CONNECTION_BYTES: u32 = 2 * 1024 * 1024;

/// What a peer may ask for: tokens a second. See [`cost`].
pub const REQUEST_TOKENS_PER_SECOND: u32 = 400;
/// What a peer that was quiet may ask for at once, in tokens.
pub const REQUEST_TOKENS: u32 = 4_000;
/// Bytes of answers that a peer that was quiet may have at once, in KiB.
pub const ANSWER_KIB_AT_ONCE: u32 = 64 * 1024;
/// The same, in a second: more than a node that catches up can check of full blocks, and a small
/// part of what a server's line carries.
pub const ANSWER_KIB_PER_SECOND: u32 = 8 * 1024;
/// Requests over what a peer may ask for, each answered with `Busy`, until it is hung up on.
pub const REQUESTS_OVER: u32 = 500;
/// Operations that a peer may bring to everybody: so many a second. A little less than
/// [`namechain_core::sync`] has checked for one peer, so that whoever passes on what an honest user
/// made in a hurry is not to blame: what is over is passed over, and found again by asking what
/// waits.
pub const OPERATIONS_PER_SECOND: u32 = 45;
/// Operations that a peer that was quiet may bring at once.
pub const OPERATIONS_AT_ONCE: u32 = 500;
/// Blocks that a peer may bring: so many in two seconds. As with operations, a little less than is
/// checked. Those that become our chain's do not count.
pub const BLOCKS_PER_TWO_SECONDS: u32 = 1;
/// Blocks that a peer that was quiet may bring at once.
pub const BLOCKS_AT_ONCE: u32 = 30;
/// Messages over what a peer may bring until it is hung up on: more than an honest one ever has to
/// pass on at once.
pub const GOSSIP_OVER: u32 = 10_000;
/// What a block over that counts for: they are rarer, and larger.
pub const BLOCK_OVER: u32 = 20;
/// What else a peer may tell of itself at once: who it is, which topics it wants.
pub const SIGNALS_AT_ONCE: u32 = 100;
/// The same, in a second.
pub const SIGNALS_PER_SECOND: u32 = 2;
/// Messages of Kademlia that a peer may send at once; one more is not looked at.
pub const SEARCHES_AT_ONCE: u32 = 200;
/// The same, in a second.
pub const SEARCHES_PER_SECOND: u32 = 10;
/// For how long a peer that on_flood us is refused, in seconds.
pub const FLOOD_REFUSED_SECONDS: u64 = 600;
/// For how long an identity on another network is refused, in seconds.
pub const ELSEWHERE_REFUSED_SECONDS: u64 = 600;

/// The most bytes of a message to everybody: a compact block of as many operations as there can be,
/// and the envelope.
pub const GOSSIP_BYTES: usize = HEADER_BYTES + 4 + 8 * MAX_BLOCK_OPERATIONS + 1024;
/// Messages to everybody that wait for a verdict; another one is passed over.
pub const GOSSIP_WAITING: usize = 2_048;
/// How long a message waits for its verdict; then it is passed over.
pub const GOSSIP_WITHIN: Duration = Duration::from_secs(20);
/// GossipSub keeps messages for this many of its beats, of a second each: longer than they wait for
/// a verdict.
pub const GOSSIP_HISTORY: usize = 25;
/// Messages to everybody that wait to be sent to one peer.
pub const GOSSIP_QUEUE: usize = 512;

/// Actions that wait for the network's task before the chain thread waits too.
pub const ACTIONS: usize = 256;
/// Events that wait for the chain thread's channel before nothing more is taken from peers.
pub const EVENTS: usize = 64;
/// Identities that are refused for some time; the one whose time ends first makes room.
pub const BANS: usize = 4_096;
/// Identities and subnets that the operator may ban.
pub const OPERATOR_BANS: usize = 1_024;

/// Addresses that a peer may tell us of itself.
pub const ADDRESSES_PER_PEER: usize = 4;

/// Addresses that are taken up at once from the local network.
pub const DISCOVERED_AT_ONCE: usize = 32;
/// How soon others are asked for peers once there is a new one.
pub const LOOK_AFTER: Duration = Duration::from_secs(2);
/// How often others are asked for peers while a slot is free.
pub const LOOK_EVERY: Duration = Duration::from_secs(30);
/// How often they are asked otherwise.
pub const LOOK_SELDOM: Duration = Duration::from_secs(600);
/// How often the address book is written.
pub const ADDRMAN_SAVED_EVERY: Duration = Duration::from_secs(300);
/// How soon it is written after its anchors have changed.
pub const ADDRMAN_SAVED_AFTER: Duration = Duration::from_secs(5);
/// How long shutdown may take.
pub const SHUTDOWN_WITHIN: Duration = Duration::from_millis(500);

/// What answering a request costs, in tokens: about a tenth of a millisecond each.
pub fn cost(request: &Request) -> u32 {
    match request {
        Request::Hello(_) => 20,
        Request::Headers { .. } => 20,
        Request::Blocks { .. } => 4,
        Request::BlockOperations { .. } => 10,
        Request::Pending => 50,
        Request::Operations { .. } => 10,
    }
}

/// The room that an answer may take, in KiB: what is set aside for it before it is made.
pub fn room_kib(request: &Request) -> u32 {
    let bytes = match request {
        Request::Hello(_) => 0,
        Request::Blocks { .. } => MAX_RESPONSE_BYTES,
        Request::Headers { .. } => 512 * 1024,
        Request::Pending => 512 * 1024,
        Request::BlockOperations { .. } | Request::Operations { .. } => 1_300 * 1024,
    };
    bytes.div_ceil(1024) as u32
}

/// The bounds that an operator, or a test, may set otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// [`OUTBOUND`].
    pub outbound: usize,
    /// [`INBOUND`].
    pub inbound: usize,
    /// [`INBOUND_PER_GROUP`].
    pub inbound_per_group: usize,
    /// [`INBOUND_PENDING`].
    pub inbound_pending: usize,
    /// [`INBOUND_PENDING_PER_GROUP`].
    pub inbound_pending_per_group: usize,
    /// [`HANDSHAKE_WITHIN`].
    pub handshake_within: Duration,
    /// [`HELLO_WITHIN`].
    pub hello_within: Duration,
    /// [`REQUEST_WITHIN`].
    pub request_within: Duration,
    /// [`PING_EVERY`].
    pub ping_every: Duration,
    /// [`PING_WITHIN`].
    pub ping_within: Duration,
    /// [`FEELER_EVERY`].
    pub feeler_every: Duration,
    /// [`SEED_AFTER`].
    pub seed_after: Duration,
    /// [`ANSWER_KIB_AT_ONCE`].
    pub answer_kib_at_once: u32,
    /// [`ANSWER_KIB_PER_SECOND`].
    pub answer_kib_per_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            outbound: OUTBOUND,
            inbound: INBOUND,
            inbound_per_group: INBOUND_PER_GROUP,
            inbound_pending: INBOUND_PENDING,
            inbound_pending_per_group: INBOUND_PENDING_PER_GROUP,
            handshake_within: HANDSHAKE_WITHIN,
            hello_within: HELLO_WITHIN,
            request_within: REQUEST_WITHIN,
            ping_every: PING_EVERY,
            ping_within: PING_WITHIN,
            feeler_every: FEELER_EVERY,
            seed_after: SEED_AFTER,
            answer_kib_at_once: ANSWER_KIB_AT_ONCE,
            answer_kib_per_second: ANSWER_KIB_PER_SECOND,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_the_largest_kind_has_room() {
        assert!(room_kib(&Request::Blocks { ids: Vec::new() }) as usize * 8 < ANSWERS_KIB);
        assert!(room_kib(&Request::Pending) as usize * 1024 > 8_192 * 32);
    }
}
