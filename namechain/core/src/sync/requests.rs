//! Our requests in flight.

use std::collections::BTreeMap;

use super::{
    event::{Peer, RequestId},
    limits::REQUEST_DEADLINE_MS,
    trail::Walk,
};
use crate::{chain::Ancestry, types::Hash};

/// A request for headers, and what was known when it was sent.
#[derive(Clone, Debug)]
pub(super) struct HeaderRequest {
    pub locator: Vec<Hash>,
    /// The work that the peer advertised: an honest one's never becomes less.
    pub advertised: Option<u128>,
    /// The most work of any chain that the locator names: if nothing comes after it, that is what
    /// the peer has at most.
    pub max_work: u128,
    /// The candidate that is to be extended; `None` to find out what the peer has.
    pub candidate: Option<u64>,
    /// The answer must go on above this height: nobody leads us in circles.
    pub above: u32,
    /// Whether the answer was as long as one can be: there may be more.
    pub full: bool,
    /// Where the answer before ended, if that is neither on our chain nor a candidate's end.
    pub from: Option<Box<Ancestry>>,
    /// How far the peer's chain was walked along.
    pub walk: Option<Box<Walk>>,
}

/// What a request asks for.
#[derive(Debug)]
pub(super) enum RequestKind {
    Hello,
    Headers(HeaderRequest),
    /// Blocks of the download window, from a height on.
    Blocks {
        first: u32,
        ids: Vec<Hash>,
    },
    /// What is missing of an announced block: some operations, or all of it.
    PendingBlock {
        block: Hash,
        whole: bool,
    },
    Pending,
    Operations(Vec<Hash>),
}

/// A request in flight.
#[derive(Debug)]
pub(super) struct InFlightRequest {
    pub peer: Peer,
    pub sent_at: u64,
    pub kind: RequestKind,
}

/// All requests in flight.
#[derive(Debug, Default)]
pub(super) struct Requests {
    in_flight: BTreeMap<RequestId, InFlightRequest>,
    last: u64,
}

impl Requests {
    pub fn insert(&mut self, peer: Peer, kind: RequestKind, now: u64) -> RequestId {
        self.last += 1;
        let id = RequestId(self.last);
        self.in_flight.insert(id, InFlightRequest { peer, sent_at: now, kind });
        id
    }

    /// Takes a request out of those in flight, if it went to this peer.
    pub fn take(&mut self, peer: Peer, id: RequestId) -> Option<InFlightRequest> {
        if self.in_flight.get(&id)?.peer == peer { self.in_flight.remove(&id) } else { None }
    }

    /// Takes a request whose deadline has passed.
    pub fn take_late(&mut self, now: u64) -> Option<(RequestId, InFlightRequest)> {
        let late = |request: &InFlightRequest| now >= request.sent_at + REQUEST_DEADLINE_MS;
        self.take_first(late)
    }

    /// Takes a request to this peer.
    pub fn take_of(&mut self, peer: Peer) -> Option<(RequestId, InFlightRequest)> {
        self.take_first(|request| request.peer == peer)
    }

    fn take_first(
        &mut self,
        wanted: impl Fn(&InFlightRequest) -> bool,
    ) -> Option<(RequestId, InFlightRequest)> {
        let id = self.in_flight.iter().find(|(_, request)| wanted(request)).map(|(id, _)| *id)?;
        Some((id, self.in_flight.remove(&id)?))
    }

    pub fn iter(&self) -> impl Iterator<Item = &InFlightRequest> {
        self.in_flight.values()
    }

    pub fn len(&self) -> usize {
        self.in_flight.len()
    }
}
