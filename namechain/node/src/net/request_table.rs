//! The requests under way: those of peers that are being answered, and ours.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use libp2p::{
    PeerId,
    request_response::{InboundRequestId, OutboundRequestId, ResponseChannel},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::{
    codec::{Reply, Room},
    limits,
};
use namechain_core::{
    codec::Encode,
    sync::{
        Peer, RequestId,
        message::{Hello, Request, Response},
    },
};

/// Who answers requests: read-only, from many threads at once.
pub trait Serve: Send + Sync + 'static {
    /// Answers a request; never called with [`Request::Hello`], which [`Serve::hello`] answers.
    fn serve(&self, request: Request) -> Response;
    /// What we say of ourselves. Must not wait for anything.
    fn hello(&self) -> Hello;
}

/// An answer that is made and can be sent.
pub(super) struct Answer {
    pub id: InboundRequestId,
    pub peer: PeerId,
    /// What was set aside for it and is not used, in KiB.
    pub unused_kib: u32,
    pub channel: ResponseChannel<Reply>,
    pub reply: Reply,
}

/// A request of a peer that is to be answered.
pub(super) struct Asked {
    pub id: InboundRequestId,
    pub peer: PeerId,
    pub request: Request,
    pub channel: ResponseChannel<Reply>,
}

/// A request of ours.
pub(super) struct SentRequest {
    pub peer: Peer,
    pub id: RequestId,
    pub kind: &'static str,
}

/// The requests under way.
pub(super) struct RequestTable {
    server: Arc<dyn Serve>,
    /// Threads that make answers.
    turns: Arc<Semaphore>,
    /// Room for the answers that are made and not sent, in KiB.
    room: Arc<Semaphore>,
    answers: mpsc::Sender<Answer>,
    sent: HashMap<OutboundRequestId, SentRequest>,
    /// Requests of peers that wait for our answer: being late with these is not their fault.
    awaiting_response: HashSet<InboundRequestId>,
}

impl RequestTable {
    /// Nothing is under way; answers arrive at the receiver.
    pub fn new(server: Arc<dyn Serve>) -> (Self, mpsc::Receiver<Answer>) {
        let (answers, made) = mpsc::channel(limits::ANSWERED_AT_ONCE);
        let table = RequestTable {
            server,
            turns: Arc::new(Semaphore::new(limits::ANSWERED_AT_ONCE)),
            room: Arc::new(Semaphore::new(limits::ANSWERS_KIB)),
            answers,
            sent: HashMap::new(),
            awaiting_response: HashSet::new(),
        };
        (table, made)
    }

    /// Who answers.
    pub fn server(&self) -> &Arc<dyn Serve> {
        &self.server
    }

    /// Room for an answer of so many KiB; `None` if there is none now.
    pub fn reserve(&self, kib: u32) -> Option<OwnedSemaphorePermit> {
        self.room.clone().try_acquire_many_owned(kib).ok()
    }

    /// Has an answer made on one of a few threads, then sent.
    pub fn answer(
        &mut self,
        asked: Asked,
        (mut room, kib): (OwnedSemaphorePermit, u32),
        answering: Arc<()>,
    ) {
        let Asked { id, peer, request, channel } = asked;
        self.awaiting_response.insert(id);
        let (server, turns, answers) =
            (self.server.clone(), self.turns.clone(), self.answers.clone());
        tokio::spawn(async move {
            let Ok(turn) = turns.acquire_owned().await else { return };
            let made = tokio::task::spawn_blocking(move || server.serve(request).to_bytes()).await;
            drop(turn);
            let bytes = made.unwrap_or_else(|_| Response::Busy.to_bytes());
            // What was set aside was for the largest.
            let unused = (kib as usize).saturating_sub(bytes.len().div_ceil(1024));
            drop(room.split(unused));
            let unused_kib = unused as u32;
            let reply = Reply::Sent(bytes, Room { _bytes: Some(room), _peer: answering });
            // Nobody takes it once the network has stopped.
            let _ = answers.send(Answer { id, peer, unused_kib, channel, reply }).await;
        });
    }

    /// A request of a peer is over. Whether it still waited for our answer.
    pub fn forget_answer(&mut self, id: InboundRequestId) -> bool {
        self.awaiting_response.remove(&id)
    }

    /// Notes a request of ours.
    pub fn insert_sent(&mut self, id: OutboundRequestId, sent: SentRequest) {
        self.sent.insert(id, sent);
    }

    /// Takes a request of ours that is over.
    pub fn take_sent(&mut self, id: OutboundRequestId) -> Option<SentRequest> {
        self.sent.remove(&id)
    }
}
