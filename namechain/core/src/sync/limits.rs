//! Every bound and every time of this room, with its reason. `docs/network.md` has the same names.
//!
//! Times are in milliseconds. What all of it can hold at once is added up in [`super::Usage`] and
//! tested.

use super::{event::Misbehavior, message::MAX_HEADERS};

/// A request that has not been answered by then never will be: a few seconds for two megabytes over
/// a poor line, and as much again.
pub const REQUEST_DEADLINE_MS: u64 = 15_000;
/// Whoever has not said hello by then is hung up on.
pub const HELLO_DEADLINE_MS: u64 = 10_000;
/// How often the side that dialled says hello again: a tip that moved without being announced shows
/// after this long.
pub const HELLO_EVERY_MS: u64 = 30_000;
/// How often a peer that brings blocks only says hello: there is no gossip with it, so that new
/// blocks show only so.
pub const BLOCK_ONLY_HELLO_EVERY_MS: u64 = 5_000;
/// How often one peer is asked what waits there: what gossip lost is found again.
pub const PENDING_EVERY_MS: u64 = 60_000;
/// So many requests in a row without an answer in time, and the peer is hung up on.
pub const MAX_TIMEOUTS: u8 = 4;
/// How long a peer that was busy, or had not what it said, is left in peace; doubled each time in a
/// row.
pub const BACKOFF_MS: u64 = 2_000;
/// The longest that a peer is left in peace.
pub const BACKOFF_MAX_MS: u64 = 60_000;

/// A peer that we dialled and that advertises less work than we had this long ago is hung up on, as
/// in Bitcoin Core: it takes the place of one that could show more.
pub const CHAIN_SYNC_MS: u64 = 20 * 60_000;
/// The most peers that are kept all the same, since they have had as much work as we at some time:
/// when the network splits over a rule, they keep us in touch with the other part.
pub const CHAIN_SYNC_PROTECTED: usize = 4;
/// If the tip has not moved for so long, one peer more is dialled: those that we have may keep
/// blocks from us.
pub const STALE_TIP_MS: u64 = 30 * 60_000;
/// How often that is done at most.
pub const STALE_TIP_EVERY_MS: u64 = 10 * 60_000;

/// How many peers may be asked for headers of chains of which nothing is known yet, at a time: one
/// would do if it were honest.
pub const MAX_SEARCHES: usize = 3;
/// The most candidates: chains of headers that peers have shown and that are not ours.
pub const CANDIDATES: usize = 16;
/// The most ids of all candidates: 128 MiB, sixteen years of blocks.
pub const CANDIDATE_IDS: usize = 4 * 1024 * 1024;
/// How long a candidate that no peer has any more is kept, in case one comes back: its work took
/// time to check.
pub const CANDIDATE_KEPT_MS: u64 = 600_000;
/// How many answers' headers of one candidate may be in the hands of the checks before more are
/// asked for.
pub const BATCHES: usize = 2;
/// Before many blocks are fetched, for so long at most, whoever claims a chain of even more work is
/// heard out: what is connected meanwhile may have to be undone.
pub const HEAR_OUT_MS: u64 = 30_000;
/// When a peer takes longer than this to send headers, another one is asked for them too.
pub const HEADERS_SLOW_MS: u64 = 3_000;
/// A candidate with more checked work than all others is waited for as long as it has grown within
/// this time. Then it is worth what was checked of it.
pub const GROWTH_DEADLINE_MS: u64 = 30_000;
/// How many headers are one job: about 100 ms of a core.
pub const HEADERS_A_JOB: usize = 250;
/// The most ends of candidates with what it takes to go on from there, for each candidate: a
/// locator names no others.
pub const CHECKPOINTS: usize = CANDIDATE_IDS / MAX_HEADERS;
/// The most ids of a locator that are a candidate's; the rest are of our own chain.
pub const LOCATOR_CHECKPOINTS: usize = 20;
/// A header that was announced and whose parent is not known leads to a request, but no more often
/// than this for each peer.
pub const ORPHAN_EVERY_MS: u64 = 2_000;

/// How far ahead of the last block connected blocks are fetched.
pub const WINDOW: usize = 512;
/// The most bytes of blocks that are fetched and not connected.
pub const WINDOW_BYTES: usize = 32 * 1024 * 1024;
/// The most requests for blocks in flight: each may bring 2.25 MiB.
pub const BLOCK_REQUESTS: usize = 8;
/// The most of these to one peer.
pub const BLOCK_REQUESTS_PER_PEER: u8 = 3;
/// How many bytes of blocks a request aims at.
pub const REQUEST_TARGET_BYTES: usize = 512 * 1024;
/// The most milliseconds that a peer should take for a request, by how fast it was: who is slow is
/// asked for less.
pub const REQUEST_TARGET_MS: u64 = 2_000;
/// From the end of the window, nothing is asked for before so many blocks are to be had at once.
pub const MIN_RUN: usize = 16;
/// How long a peer that did not give blocks it was asked for is not asked for any; doubled each
/// time in a row.
pub const NO_BLOCKS_MS: u64 = 5_000;
/// So many times in a row, and the peer is hung up on.
pub const NO_BLOCKS_MAX: u32 = 4;
/// When the lowest missing block is so late, somebody else is asked for it as well.
pub const STALL_MS: u64 = 3_000;
/// How many blocks are in the hands of the checks.
pub const BLOCK_JOBS: usize = 32;
/// Every so many blocks one is made durable while catching up.
pub const DURABLE_EVERY: u32 = 1_000;

/// The most announced blocks that are not connected yet.
pub const PENDING_BLOCKS: usize = 32;
/// The most peers that are remembered for having announced one of them; the last place is kept for
/// a peer that we dialled.
pub const ANNOUNCERS: usize = 8;
/// From how many announcers at a time what is missing of a block is fetched, those aside that have
/// been silent for [`SLOW_DOWNLOAD_MS`]. One of them is a peer that we dialled.
pub const PARALLEL_DOWNLOADS: usize = 3;
/// How long an announcer may be silent before the next one is asked too: a small part of the time
/// between blocks.
pub const NEXT_SOURCE_MS: u64 = 1_500;
/// How long a silent announcer takes the place of another.
pub const SLOW_DOWNLOAD_MS: u64 = 4_000;
/// The most announced blocks that wait for their time to come.
pub const EARLY_BLOCKS: usize = 16;
/// The most of them from one peer: their proof of work has not been checked.
pub const EARLY_PER_PEER: usize = 2;
/// How many announced blocks a peer may have us check at once, and then in a second. Those that
/// become our chain's do not count.
pub const ANNOUNCED_BURST: u32 = 32;
/// See [`ANNOUNCED_BURST`].
pub const ANNOUNCED_PER_SECOND: u32 = 1;

/// The most operations in the hands of the checks, or of the mempool.
pub const OPERATIONS: usize = 512;
/// How many operations a peer may have us check at once, and then in a second.
pub const OPERATION_BURST: u32 = 512;
/// See [`OPERATION_BURST`].
pub const OPERATIONS_PER_SECOND: u32 = 50;
/// How many operations one request asks for: they fit into an answer, whatever they are.
pub const OPERATIONS_PER_REQUEST: usize = 128;
/// From how many peers waiting operations are fetched at a time.
pub const FETCHERS: usize = 4;
/// What was learnt by asking is told to everybody if it was no more than this: after a partition it
/// is new to others as well, and a node that has just started learns much that is new to nobody.
pub const REBROADCAST_MAX: usize = 64;
/// How many ids of operations that were refused are remembered until the tip moves.
pub const REFUSED_IDS: usize = 16 * 1024;
/// How many ids of blocks and operations that break a rule are remembered.
pub const FAILED_IDS: usize = 4 * 1024;

/// Samples of chains that are walked along and being checked; whoever has more to show waits.
pub const SAMPLES_UNDER_WAY: usize = 64;
/// The most jobs that are given away at a time: what a queue of them must hold.
pub const JOBS: usize = CANDIDATES * BATCHES * MAX_HEADERS.div_ceil(HEADERS_A_JOB)
    + BLOCK_JOBS
    + 2 * PENDING_BLOCKS
    + OPERATIONS
    // A header of a later branch.
    + 1
    // Samples of chains that are walked along.
    + SAMPLES_UNDER_WAY;

/// A peer at this score is banned.
pub const BANNED_AT: i64 = -100;
/// Every so often a score that is below zero rises by one.
pub const FORGIVEN_EVERY_MS: u64 = 30_000;

/// How many blocks a node that had caught up before must be behind to count as not synced.
pub const MAX_BLOCKS_BEHIND: u32 = 6;
/// Clocks of most peers that are further off than this, in seconds, are worth a warning: blocks
/// that are further ahead are not taken.
pub const CLOCK_WARNING_SECONDS: u64 = 300;

/// What an misbehavior costs.
pub const fn penalty(misbehavior: Misbehavior) -> i64 {
    match misbehavior {
        Misbehavior::BrokenRule | Misbehavior::OtherNetwork => 100,
        Misbehavior::Malformed | Misbehavior::Lied => 50,
        Misbehavior::Flood => 20,
        Misbehavior::Silent => 5,
    }
}

/// For how long an misbehavior bans, in seconds.
pub const fn ban_seconds(misbehavior: Misbehavior) -> u64 {
    match misbehavior {
        Misbehavior::BrokenRule => 86_400,
        _ => 3_600,
    }
}
