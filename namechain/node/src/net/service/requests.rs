//! Requests: those of peers, answered within what each may ask for, on a bounded number of threads,
//! in bounded memory; and ours.

use std::sync::Arc;

use libp2p::{
    PeerId,
    request_response::{
        Event as Engine, InboundFailure, InboundRequestId, Message, OutboundFailure,
        OutboundRequestId, ResponseChannel,
    },
};
use tracing::debug;

use super::{
    super::{
        codec::{Reply, Room, Wanted, is_malformed},
        limits, metrics,
        request_table::{Answer, Asked, SentRequest},
    },
    NetworkService,
};
use namechain_core::{
    codec::Encode,
    sync::{
        Event, Misbehavior, Peer, RequestError, RequestId,
        message::{Request, Response},
    },
};

/// An answer that needs no room of its own.
fn small(response: &Response, peer: &Arc<()>) -> Reply {
    Reply::Sent(response.to_bytes(), Room { _bytes: None, _peer: peer.clone() })
}

impl NetworkService {
    /// Something happened to a request.
    pub(super) fn on_request(&mut self, event: Engine<Wanted, Reply>) {
        match event {
            Engine::Message {
                peer,
                message: Message::Request { request_id, request, channel },
                ..
            } => match request {
                Wanted::Read(request) => self.on_request_read(peer, request_id, request, channel),
                Wanted::Malformed => self.on_bad_request(&peer, Misbehavior::Malformed),
                Wanted::Slow => self.on_bad_request(&peer, Misbehavior::Silent),
            },
            Engine::Message {
                peer, message: Message::Response { request_id, response }, ..
            } => {
                self.on_response(peer, request_id, response);
            }
            Engine::OutboundFailure { peer, request_id, error, .. } => {
                self.on_request_failed(peer, request_id, &error)
            }
            Engine::InboundFailure { peer, request_id, error, .. } => {
                let our_fault = self.requests.forget_answer(request_id);
                self.on_answer_not_taken(&peer, &error, our_fault);
            }
            Engine::ResponseSent { .. } => {}
        }
    }

    /// A peer asks.
    fn on_request_read(
        &mut self,
        id: PeerId,
        request_id: InboundRequestId,
        request: Request,
        channel: ResponseChannel<Reply>,
    ) {
        let now = self.clock.elapsed();
        let Some(peer) = self.peers.get(&id) else { return };
        let kind = metrics::kind(&request);
        let hidden = peer.is_block_only();
        if !peer.requests.take(limits::cost(&request), now) {
            peer.requests_over += 1;
            let (over, busy) = (peer.requests_over, small(&Response::Busy, &peer.answering));
            metrics::request("in", kind, "over");
            self.send(channel, busy);
            if over >= limits::REQUESTS_OVER {
                self.on_flood(&id);
            }
            return;
        }
        peer.requests_over = peer.requests_over.saturating_sub(1);
        if let Request::Hello(hello) = request {
            peer.greeted = true;
            let event = Event::HelloReceived { peer: peer.number, hello };
            let ours = small(&Response::Hello(self.requests.server().hello()), &peer.answering);
            metrics::request("in", kind, "answered");
            self.send(channel, ours);
            self.tell(event);
            return;
        }
        // A connection for blocks only tells nothing of our operations.
        let empty = match request {
            Request::Pending if hidden => Some(Response::Pending(Vec::new())),
            Request::Operations { .. } if hidden => Some(Response::Operations(Vec::new())),
            _ => None,
        };
        match empty {
            Some(empty) => {
                let reply = small(&empty, &peer.answering);
                self.send(channel, reply);
            }
            None => self.answer(id, request_id, request, channel),
        }
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
        let kind = metrics::kind(&request);
        let most = limits::room_kib(&request);
        let room = (Arc::strong_count(&peer.answering) <= limits::ANSWERED_PER_PEER)
            .then(|| self.requests.reserve(most))
            .flatten();
        let answering = peer.answering.clone();
        // What it turns out to be less is given back.
        let may = room.is_some() && peer.answers.take(most, self.clock.elapsed());
        let Some(room) = room.filter(|_| may) else {
            metrics::request("in", kind, "busy");
            self.send(channel, small(&Response::Busy, &answering));
            return;
        };
        metrics::request("in", kind, "answered");
        let asked = Asked { id: request_id, peer: id, request, channel };
        self.requests.answer(asked, (room, most), answering);
    }

    /// An answer is made.
    pub(super) fn on_answer_ready(&mut self, answer: Answer) {
        self.requests.forget_answer(answer.id);
        if let Some(peer) = self.peers.get(&answer.peer) {
            peer.answers.give_back(answer.unused_kib);
        }
        self.send(answer.channel, answer.reply);
    }

    fn send(&mut self, channel: ResponseChannel<Reply>, reply: Reply) {
        // An error: the peer is gone, which is told elsewhere.
        let _ = self.swarm.behaviour_mut().requests.send_response(channel, reply);
    }

    /// A peer asked what can't be read, or did not ask to the end: the stream is closed.
    fn on_bad_request(&mut self, id: &PeerId, misbehavior: Misbehavior) {
        let Some(peer) = self.peers.get(id) else { return };
        let peer = peer.number;
        let outcome = if misbehavior == Misbehavior::Malformed { "malformed" } else { "slow" };
        debug!("{id} sent a request that can't be read: {outcome}");
        metrics::request("in", "unread", outcome);
        self.tell(Event::PeerMisbehaved { peer, misbehavior });
    }

    /// A peer did not take its answer.
    fn on_answer_not_taken(&mut self, id: &PeerId, error: &InboundFailure, our_fault: bool) {
        if matches!(error, InboundFailure::Timeout) && !our_fault {
            self.on_bad_request(id, Misbehavior::Silent);
        }
    }

    /// We ask.
    pub(super) fn ask(&mut self, peer: Peer, id: RequestId, request: Request) {
        let kind = metrics::kind(&request);
        let Some(connected) =
            self.peers.numbered(peer).filter(|peer| peer.asked < limits::ASKED_PER_PEER)
        else {
            metrics::request("out", kind, "closed");
            self.tell(Event::RequestFailed { peer, request: id, error: RequestError::Closed });
            return;
        };
        connected.asked += 1;
        let to = connected.id;
        let engine = self.swarm.behaviour_mut().requests.send_request(&to, Wanted::Read(request));
        self.requests.insert_sent(engine, SentRequest { peer, id, kind });
    }

    fn take_asked(&mut self, engine: OutboundRequestId) -> Option<SentRequest> {
        let asked = self.requests.take_sent(engine)?;
        if let Some(peer) = self.peers.numbered(asked.peer) {
            peer.asked = peer.asked.saturating_sub(1);
        }
        Some(asked)
    }

    fn on_response(&mut self, id: PeerId, engine: OutboundRequestId, reply: Reply) {
        if self.feelers.has_request(engine) {
            return self.on_feeler_answered(&id, reply);
        }
        let Some(asked) = self.take_asked(engine) else { return };
        let Reply::Received(response) = reply else { return };
        metrics::request(
            "out",
            asked.kind,
            if response == Response::Busy { "busy" } else { "answered" },
        );
        if matches!(response, Response::Hello(_)) {
            self.on_hello_answered(&id);
        }
        self.tell(Event::ResponseReceived { peer: asked.peer, request: asked.id, response });
    }

    fn on_request_failed(
        &mut self,
        id: PeerId,
        engine: OutboundRequestId,
        error: &OutboundFailure,
    ) {
        let Some(asked) = self.take_asked(engine) else { return };
        let (failed, outcome) = match error {
            OutboundFailure::Timeout => (RequestError::Timeout, "timeout"),
            OutboundFailure::Io(error) if is_malformed(error) => {
                (RequestError::Malformed, "malformed")
            }
            _ => (RequestError::Closed, "closed"),
        };
        metrics::request("out", asked.kind, outcome);
        self.tell(Event::RequestFailed { peer: asked.peer, request: asked.id, error: failed });
        if matches!(error, OutboundFailure::UnsupportedProtocols) {
            self.on_other_network(&id);
        }
    }
}
