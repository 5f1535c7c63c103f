//! What to ask peers for, and what to believe: a state machine. Events and the time go in, actions
//! come out; it knows no sockets, threads, files or clocks, so that a whole network runs in one
//! thread of a test.
//!
//! ```text
//! net: Event -> Sync::handle(chain, mempool, event, now) -> Action: send a request, forward gossip
//!                    ^                      |
//!                    |                      +--> Action::RunJob: proof of work, signatures
//!                    +-- Event::JobDone <---'
//!                    |                      +--> Action::ConnectBlock: the chain takes a block
//!                    +-- BlockConnected <---'
//! ```
//!
//! `dispatch` hands each event to one of four machines, which own their state: [`headers`] finds
//! the chain of most work, [`blocks`] downloads it, [`relay`] takes announced blocks, and
//! [`operations`] keeps mempools alike. They share the peers, requests and jobs of a `Context`.

mod action;
mod blocks;
mod context;
mod dispatch;
mod event;
mod headers;
mod job;
mod jobs;
mod lagging;
pub mod limits;
pub mod message;
mod operations;
mod peers;
mod rate;
mod recent_ids;
mod relay;
mod requests;
pub mod serve;
mod status;
mod trail;

pub use action::{Acceptance, Action, Job};
pub use dispatch::Sync;
pub use event::{
    ConnectOutcome, Event, GossipId, JobId, JobOutcome, Misbehavior, Peer, RequestError, RequestId,
    SubmitOutcome,
};
pub use status::{PeerStatus, SyncConfig, SyncPhase, SyncReason, SyncStatus, Usage};
