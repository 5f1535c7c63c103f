//! A batch of queries: taken together, read together, and what they ask for brought in together.

use std::{
    io,
    net::{IpAddr, UdpSocket},
    sync::atomic::AtomicBool,
};

use super::{
    lookup::{FastQuery, probe},
    query::{MAX_QUESTION, ParsedQuery},
    socket::{BATCH, Inbox, Peer},
};
use crate::server::responder::Responder;

/// From so many queries on it is worth while to bring all that they ask for in together.
const WORTH_WARMING: usize = 3;

/// The batch.
pub struct Batch {
    inbox: Inbox,
    /// What is read of each; `None` is for the slow path.
    read: Vec<Option<Read>>,
    /// The questions in lower case.
    lower: Box<[[u8; MAX_QUESTION]; BATCH]>,
    hashes: Vec<u64>,
}

struct Read {
    parsed: ParsedQuery,
    hash: u64,
    client: IpAddr,
}

impl Batch {
    /// An empty one for a socket.
    pub fn new(socket: &UdpSocket) -> io::Result<Self> {
        Ok(Self {
            inbox: Inbox::new(socket)?,
            read: Vec::with_capacity(BATCH),
            lower: Box::new([[0; MAX_QUESTION]; BATCH]),
            hashes: Vec::with_capacity(BATCH),
        })
    }

    /// Takes what is there, as [`Inbox::receive`]; whether there may be more.
    pub fn receive(
        &mut self,
        socket: &UdpSocket,
        wait: bool,
        stopped: &AtomicBool,
    ) -> io::Result<bool> {
        self.inbox.receive(socket, wait, stopped)
    }

    /// Reads the queries, and has what they ask for brought into the processor's cache.
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
        if self.hashes.len() >= WORTH_WARMING {
            cache.cpu_prefetch(&self.hashes);
        }
    }

    /// The datagrams, who sent them, and what they are; `None` for the slow path.
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
