//! Requests: those of peers, answered within what each may ask for, on a bounded number of threads,
//! in bounded memory; and ours.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use libp2p::{
    PeerId,
    request_response::{
        Event as Engine, InboundFailure, InboundRequestId, Message, OutboundFailure,
        OutboundRequestId, ResponseChannel,
    },
};
use tokio::sync::{Semaphore, mpsc};
use tracing::debug;

use super::{
    Serve,
    codec::{Reply, Room, Wanted, is_malformed},
    counters, limits,
    swarm::Shell,
};
use namechain_core::{
    codec::Encode,
    sync::{
        Event, Failure, Offence, Peer, RequestId,
        message::{Request, Response},
    },
};

/// An answer that is made and can be sent.
pub(super) struct Answer {
    id: InboundRequestId,
    channel: ResponseChannel<Reply>,
    reply: Reply,
}

/// A request of ours.
struct Asked {
    peer: Peer,
    id: RequestId,
    kind: &'static str,
}

/// The requests under way.
pub(super) struct Desk {
    server: Arc<dyn Serve>,
    /// Threads that make answers.
    turns: Arc<Semaphore>,
    /// Room for the answers that are made and not sent, in KiB.
    room: Arc<Semaphore>,
    answers: mpsc::Sender<Answer>,
    asked: HashMap<OutboundRequestId, Asked>,
    /// Requests of peers that wait for our answer: being late with these is not their fault.
    owed: HashSet<InboundRequestId>,
}

impl Desk {
    /// Nothing is under way; answers arrive at the receiver.
    pub fn new(server: Arc<dyn Serve>) -> (Self, mpsc::Receiver<Answer>) {
        let (answers, made) = mpsc::channel(limits::ANSWERED_AT_ONCE);
        let desk = Desk {
            server,
            turns: Arc::new(Semaphore::new(limits::ANSWERED_AT_ONCE)),
            room: Arc::new(Semaphore::new(limits::ANSWERS_KIB)),
            answers,
            asked: HashMap::new(),
            owed: HashSet::new(),
        };
        (desk, made)
    }
}

/// An answer that needs no room of its own.
fn small(response: &Response, peer: &Arc<()>) -> Reply {
    Reply::Sent(response.to_bytes(), Room { _bytes: None, _peer: peer.clone() })
}

impl Shell {
    /// Something happened to a request.
    pub(super) fn on_request(&mut self, event: Engine<Wanted, Reply>) {
        match event {
            Engine::Message {
                peer,
                message: Message::Request { request_id, request, channel },
                ..
            } => match request {
                Wanted::Read(request) => self.asked_by(peer, request_id, request, channel),
                Wanted::Malformed => self.asked_badly(&peer, Offence::Malformed),
                Wanted::Slow => self.asked_badly(&peer, Offence::Silent),
            },
            Engine::Message {
                peer, message: Message::Response { request_id, response }, ..
            } => {
                self.answered(peer, request_id, response);
            }
            Engine::OutboundFailure { peer, request_id, error, .. } => {
                self.not_answered(peer, request_id, &error)
            }
            Engine::InboundFailure { peer, request_id, error, .. } => {
                let our_fault = self.desk.owed.remove(&request_id);
                self.not_taken(&peer, &error, our_fault);
            }
            Engine::ResponseSent { .. } => {}
        }
    }

    /// A peer asks.
    fn asked_by(
        &mut self,
        id: PeerId,
        request_id: InboundRequestId,
        request: Request,
        channel: ResponseChannel<Reply>,
    ) {
        let now = self.clock.elapsed();
        let Some(peer) = self.peers.get(&id) else { return };
        let kind = counters::kind(&request);
        if !peer.requests.take(limits::cost(&request), now) {
            peer.requests_over += 1;
            let (over, busy) = (peer.requests_over, small(&Response::Busy, &peer.answering));
            counters::request("in", kind, "over");
            self.send(channel, busy);
            if over >= limits::REQUESTS_OVER {
                self.flooded(&id);
            }
            return;
        }
        peer.requests_over = peer.requests_over.saturating_sub(1);
        if let Request::Hello(hello) = request {
            peer.greeted = true;
            let event = Event::Greeted { peer: peer.number, hello };
            let ours = small(&Response::Hello(self.desk.server.hello()), &peer.answering);
            counters::request("in", kind, "answered");
            self.send(channel, ours);
            self.tell(event);
            return;
        }
        self.answer(id, request_id, request, channel);
    }

    /// Has an answer made, if there is room for it.
    fn answer(
        &mut self,
        id: PeerId,
        request_id: InboundRequestId,
        request: Request,
        channel: ResponseChannel<Reply>,
    ) {
        let Some(peer) = self.peers.get(&id) else { return };
        let kind = counters::kind(&request);
        let most = limits::room_kib(&request);
        let room = (Arc::strong_count(&peer.answering) <= limits::ANSWERED_PER_PEER)
            .then(|| self.desk.room.clone().try_acquire_many_owned(most).ok())
            .flatten();
        let answering = peer.answering.clone();
        let Some(mut room) = room else {
            counters::request("in", kind, "busy");
            self.send(channel, small(&Response::Busy, &answering));
            return;
        };
        counters::request("in", kind, "answered");
        self.desk.owed.insert(request_id);
        let (server, turns, answers) =
            (self.desk.server.clone(), self.desk.turns.clone(), self.desk.answers.clone());
        tokio::spawn(async move {
            let Ok(turn) = turns.acquire_owned().await else { return };
            let made = tokio::task::spawn_blocking(move || server.serve(request).to_bytes()).await;
            drop(turn);
            let bytes = made.unwrap_or_else(|_| Response::Busy.to_bytes());
            // What was set aside was for the largest.
            let unused = (most as usize).saturating_sub(bytes.len().div_ceil(1024));
            drop(room.split(unused));
            let reply = Reply::Sent(bytes, Room { _bytes: Some(room), _peer: answering });
            // Nobody takes it once the network has stopped.
            let _ = answers.send(Answer { id: request_id, channel, reply }).await;
        });
    }

    /// An answer is made.
    pub(super) fn made(&mut self, answer: Answer) {
        self.desk.owed.remove(&answer.id);
        self.send(answer.channel, answer.reply);
    }

    fn send(&mut self, channel: ResponseChannel<Reply>, reply: Reply) {
        // An error: the peer is gone, which is told elsewhere.
        let _ = self.swarm.behaviour_mut().requests.send_response(channel, reply);
    }

    /// A peer asked what can't be read, or did not ask to the end: the stream is closed.
    fn asked_badly(&mut self, id: &PeerId, offence: Offence) {
        let Some(peer) = self.peers.get(id) else { return };
        let peer = peer.number;
        let outcome = if offence == Offence::Malformed { "malformed" } else { "slow" };
        debug!("{id} sent a request that can't be read: {outcome}");
        counters::request("in", "unread", outcome);
        self.tell(Event::Misbehaved { peer, offence });
    }

    /// A peer did not take its answer.
    fn not_taken(&mut self, id: &PeerId, error: &InboundFailure, our_fault: bool) {
        if matches!(error, InboundFailure::Timeout) && !our_fault {
            self.asked_badly(id, Offence::Silent);
        }
    }

    /// We ask.
    pub(super) fn ask(&mut self, peer: Peer, id: RequestId, request: Request) {
        let kind = counters::kind(&request);
        let Some(connected) =
            self.peers.numbered(peer).filter(|peer| peer.asked < limits::ASKED_PER_PEER)
        else {
            counters::request("out", kind, "closed");
            self.tell(Event::Failed { peer, request: id, failure: Failure::Closed });
            return;
        };
        connected.asked += 1;
        let to = connected.id;
        let engine = self.swarm.behaviour_mut().requests.send_request(&to, Wanted::Read(request));
        self.desk.asked.insert(engine, Asked { peer, id, kind });
    }

    fn take_asked(&mut self, engine: OutboundRequestId) -> Option<Asked> {
        let asked = self.desk.asked.remove(&engine)?;
        if let Some(peer) = self.peers.numbered(asked.peer) {
            peer.asked = peer.asked.saturating_sub(1);
        }
        Some(asked)
    }

    fn answered(&mut self, id: PeerId, engine: OutboundRequestId, reply: Reply) {
        let Some(asked) = self.take_asked(engine) else { return };
        let Reply::Received(response) = reply else { return };
        counters::request(
            "out",
            asked.kind,
            if response == Response::Busy { "busy" } else { "answered" },
        );
        if matches!(response, Response::Hello(_)) {
            self.is_good(&id);
        }
        self.tell(Event::Answered { peer: asked.peer, request: asked.id, response });
    }

    fn not_answered(&mut self, id: PeerId, engine: OutboundRequestId, error: &OutboundFailure) {
        let Some(asked) = self.take_asked(engine) else { return };
        let (failure, outcome) = match error {
            OutboundFailure::Timeout => (Failure::Timeout, "timeout"),
            OutboundFailure::Io(error) if is_malformed(error) => (Failure::Malformed, "malformed"),
            _ => (Failure::Closed, "closed"),
        };
        counters::request("out", asked.kind, outcome);
        self.tell(Event::Failed { peer: asked.peer, request: asked.id, failure });
        if matches!(error, OutboundFailure::UnsupportedProtocols) {
            self.is_elsewhere(&id);
        }
    }
}
