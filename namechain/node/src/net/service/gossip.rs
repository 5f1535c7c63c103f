//! Gossip: what comes is validated by the chain thread before it goes further.

use libp2p::{PeerId, gossipsub};
use tracing::debug;

use super::{
    super::{gossip::GossipMessage, limits, metrics},
    NetworkService,
};
use namechain_core::sync::{Acceptance, Event, GossipId, Misbehavior};

/// What a block takes of its bucket, which counts in halves.
const BLOCK_COST: u32 = 2;

impl NetworkService {
    pub(super) fn publish(
        &mut self,
        topic: gossipsub::TopicHash,
        what: &'static str,
        data: Vec<u8>,
    ) {
        match self.swarm.behaviour_mut().gossip.engine.publish(topic, data) {
            Ok(_) => metrics::gossip(what, "told"),
            // It came by gossip, and goes further when it is accepted.
            Err(gossipsub::PublishError::Duplicate) => {}
            Err(gossipsub::PublishError::NoPeersSubscribedToTopic) => {
                metrics::gossip(what, "nobody_there")
            }
            Err(error) => {
                metrics::gossip(what, "not_told");
                debug!("a message to everybody was not sent: {error}");
            }
        }
    }

    pub(super) fn on_gossip(&mut self, event: gossipsub::Event) {
        let (from, message_id, message) = match event {
            gossipsub::Event::Message { propagation_source, message_id, message } => {
                (propagation_source, message_id, message)
            }
            gossipsub::Event::Subscribed { peer_id, .. }
            | gossipsub::Event::Unsubscribed { peer_id, .. } => {
                return self.on_signal(peer_id);
            }
            _ => return,
        };
        let now = self.clock.elapsed();
        let is_block = message.topic == self.topics.blocks.hash();
        let what = if is_block { "block" } else { "operation" };
        let Some(peer) = self.peers.get(&from) else {
            return self.report(&message_id, &from, Acceptance::Ignore);
        };
        let number = peer.number;
        let may =
            if is_block { peer.blocks.take(BLOCK_COST, now) } else { peer.operations.take(1, now) };
        if !may {
            peer.gossip_over += if is_block { limits::BLOCK_OVER } else { 1 };
            let over = peer.gossip_over;
            metrics::gossip(what, "over");
            self.report(&message_id, &from, Acceptance::Ignore);
            if over >= limits::GOSSIP_OVER {
                self.on_flood(&from);
            }
            return;
        }
        peer.gossip_over = peer.gossip_over.saturating_sub(1);
        let told = match self.topics.read(&message.topic, &message.data) {
            Ok(told) => told,
            Err(_) => {
                metrics::gossip(what, "malformed");
                self.report(&message_id, &from, Acceptance::Reject);
                return self.tell(Event::PeerMisbehaved {
                    peer: number,
                    misbehavior: Misbehavior::Malformed,
                });
            }
        };
        let Some(gossip) = self.validations.open(message_id.clone(), from, is_block, now) else {
            metrics::gossip(what, "too_many");
            return self.report(&message_id, &from, Acceptance::Ignore);
        };
        metrics::gossip(what, "heard");
        self.tell(match told {
            GossipMessage::Block(block) => Event::BlockAnnounced { peer: number, gossip, block },
            GossipMessage::Operation(operation) => {
                Event::OperationAnnounced { peer: number, gossip, operation: *operation }
            }
        });
    }

    pub(super) fn report_acceptance(&mut self, gossip: GossipId, acceptance: Acceptance) {
        if let Some(waiting) = self.validations.close(gossip) {
            if acceptance == Acceptance::Accept {
                let limits = &mut self.swarm.behaviour_mut().connection_limits;
                limits.record_useful(&waiting.from, waiting.is_block);
            }
            // Blocks of our chain may come as fast as they are made.
            if acceptance == Acceptance::Accept
                && waiting.is_block
                && let Some(peer) = self.peers.get(&waiting.from)
            {
                peer.blocks.give_back(BLOCK_COST);
            }
            self.report(&waiting.message, &waiting.from, acceptance);
        }
    }

    pub(super) fn report(
        &mut self,
        message: &gossipsub::MessageId,
        from: &PeerId,
        acceptance: Acceptance,
    ) {
        let (result, outcome) = match acceptance {
            Acceptance::Accept => (gossipsub::MessageAcceptance::Accept, "accepted"),
            Acceptance::Ignore => (gossipsub::MessageAcceptance::Ignore, "ignored"),
            Acceptance::Reject => (gossipsub::MessageAcceptance::Reject, "rejected"),
        };
        metrics::gossip("validation", outcome);
        let gossip = &mut self.swarm.behaviour_mut().gossip.engine;
        if !gossip.report_message_validation_result(message, from, result) {
            debug!("a message was validated too late");
        }
    }
}
