//! A batch of queries: received together, parsed together, and their cache entries prefetched
//! together.

use std::{
    io,
    net::{IpAddr, UdpSocket},
    sync::atomic::AtomicBool,
};

use super::{
    lookup::{FastQuery, probe},
    query::{MAX_QUESTION_BYTES, ParsedQuery},
    socket::{BATCH, Inbox, Peer},
};
use crate::server::responder::Responder;

/// The least number of queries for which the processor's cache is prefetched.
const MIN_PREFETCHED: usize = 3;

/// The batch.
pub struct Batch {
    inbox: Inbox,
    /// The parsed queries; `None` is for the slow path.
    read: Vec<Option<Read>>,
    /// The questions in lower case.
    lower: Box<[[u8; MAX_QUESTION_BYTES]; BATCH]>,
    hashes: Vec<u64>,
}

struct Read {
    parsed: ParsedQuery,
    hash: u64,
    client: IpAddr,
}

impl Batch {
    /// An empty batch for a socket.
    pub fn new(socket: &UdpSocket) -> io::Result<Self> {
        Ok(Self {
            inbox: Inbox::new(socket)?,
            read: Vec::with_capacity(BATCH),
            lower: Box::new([[0; MAX_QUESTION_BYTES]; BATCH]),
            hashes: Vec::with_capacity(BATCH),
        })
    }

    /// Receives what has arrived, as [`Inbox::receive`]; whether there may be more.
    pub fn receive(
        &mut self,
        socket: &UdpSocket,
        wait: bool,
        stopped: &AtomicBool,
    ) -> io::Result<bool> {
        self.inbox.receive(socket, wait, stopped)
    }

    /// Parses the queries and prefetches their cache entries into the processor's cache.
    pub fn read(&mut self, responder: &Responder) {
        let cache = responder.cache();
        self.read.clear();
        self.hashes.clear();
        for ((datagram, peer), lower) in self.inbox.datagrams().zip(self.lower.iter_mut()) {
            let admitted = peer.ip().filter(|ip| responder.is_allowed(*ip));
            let read = admitted.and_then(|ip| {
                let parsed = ParsedQuery::read(datagram, lower)?;
                let hash = cache.hash(&probe(&parsed, &lower[..parsed.question]));
                self.hashes.push(hash);
                Some(Read { parsed, hash, client: ip })
            });
            self.read.push(read);
        }
        if self.hashes.len() >= MIN_PREFETCHED {
            cache.cpu_prefetch(&self.hashes);
        }
    }

    /// The datagrams, their senders, and the parsed queries; `None` is for the slow path.
    pub fn queries(&self) -> impl Iterator<Item = (&[u8], &Peer, Option<FastQuery<'_>>)> {
        let read = self.read.iter().zip(self.lower.iter());
        self.inbox.datagrams().zip(read).map(|((datagram, peer), (read, lower))| {
            let asked = read.as_ref().map(|read| FastQuery {
                datagram,
                parsed: read.parsed,
                lower: &lower[..read.parsed.question],
                hash: read.hash,
                client: read.client,
            });
            (datagram, peer, asked)
        })
    }
}
