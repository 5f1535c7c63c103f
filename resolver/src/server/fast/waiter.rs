//! A client that waits for an upstream's answer.

use std::{net::IpAddr, time::Duration};

use smallvec::SmallVec;

use super::{
    lookup::FastQuery,
    query::{MAX_QUESTION_BYTES, ParsedQuery},
    socket::Peer,
};

/// The most clients of one worker that wait for one answer, and the most of all others.
pub const MAX_WAITING: usize = 64;
/// The length of a query that needs no allocation: most are shorter.
const SHORT_QUERY_BYTES: usize = 96;

/// A client that waits for an answer.
#[derive(Debug)]
pub struct Waiter {
    /// The query.
    pub datagram: SmallVec<[u8; SHORT_QUERY_BYTES]>,
    /// Its parts.
    parsed: ParsedQuery,
    /// The client's address, and the one it sent to.
    pub peer: Peer,
    /// The hash of the cache key.
    pub hash: u64,
    /// The client's IP address.
    client: IpAddr,
    /// When the query arrived.
    pub since: Duration,
}

impl Waiter {
    /// The client that has sent this query.
    pub fn new(asked: &FastQuery<'_>, peer: &Peer, since: Duration) -> Self {
        Self {
            datagram: asked.datagram.into(),
            parsed: asked.parsed,
            peer: *peer,
            hash: asked.hash,
            client: asked.client,
            since,
        }
    }

    /// The query again. It was parsed before, so it can be parsed.
    pub fn asked<'a>(&'a self, lower: &'a mut [u8; MAX_QUESTION_BYTES]) -> FastQuery<'a> {
        let _ = ParsedQuery::read(&self.datagram, lower);
        FastQuery {
            datagram: &self.datagram,
            parsed: self.parsed,
            lower: &lower[..self.parsed.question],
            hash: self.hash,
            client: self.client,
        }
    }
}
