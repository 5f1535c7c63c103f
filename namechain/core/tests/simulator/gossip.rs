//! Gossip: what is told to everybody goes from link to link, as far as those who hear of it accept
//! it.

use std::sync::Arc;

use blake2::{Blake2b, Digest, digest::consts::U32};
use namechain_core::{
    codec::Encode,
    sync::{Acceptance, Event, GossipId, message::CompactBlock},
    types::{Hash, Operation},
};

use crate::world::{Happening, Link, Member, World};

/// What is told to everybody.
pub enum Message {
    Block(CompactBlock),
    Operation(Operation),
}

impl World {
    pub fn publish(&mut self, node: usize, message: Message) {
        let message = Arc::new(message);
        // What the transport has seen it does not send again.
        if self.seen[node].insert(message_id(&message)) {
            self.flood(node, &message, None);
        }
    }

    pub fn flood(&mut self, node: usize, message: &Arc<Message>, but: Option<u64>) {
        let links: Vec<(u64, usize)> = self
            .links
            .iter()
            .filter(|(link, _)| Some(**link) != but)
            .filter_map(|(link, Link { ends, .. })| {
                Some((*link, (0..2).find(|end| ends[*end] == node)?))
            })
            .collect();
        for (link, end) in links {
            let message = message.clone();
            self.send(link, || Happening::Told { link, end: 1 - end, message });
        }
    }

    pub fn told(&mut self, link: u64, end: usize, message: &Arc<Message>) {
        let Some(Link { ends, peers }) = self.links.get(&link) else { return };
        let (node, peer) = (ends[end], peers[end]);
        let twice = self.random.below(1_000) < self.weather.twice;
        if !self.up[node] || !self.seen[node].insert(message_id(message)) && !twice {
            return;
        }
        if !matches!(self.members[node], Member::Honest(_)) {
            return;
        }
        self.next_gossip += 1;
        let gossip = GossipId(self.next_gossip);
        self.judging.insert((node, gossip), (link, message.clone()));
        let event = match &**message {
            Message::Block(block) => Event::BlockAnnounced { peer, gossip, block: block.clone() },
            Message::Operation(operation) => {
                Event::OperationAnnounced { peer, gossip, operation: operation.clone() }
            }
        };
        self.event(node, event);
    }

    pub fn judged(&mut self, node: usize, gossip: GossipId, verdict: Acceptance) {
        let (link, message) =
            self.judging.remove(&(node, gossip)).expect("everything is judged once");
        match verdict {
            Acceptance::Accept => self.flood(node, &message, Some(link)),
            Acceptance::Ignore => {}
            Acceptance::Reject => {
                // The link may be gone with a ban that came of the same.
                let Some(Link { ends, .. }) = self.links.get(&link) else { return };
                let other = if ends[0] == node { ends[1] } else { ends[0] };
                let evil = matches!(self.members[other], Member::Evil(_));
                assert!(evil, "{node} rejects what the honest {other} told it");
            }
        }
    }
}

/// A message is known by its content alone, as GossipSub knows it here: another encoding is another
/// message.
fn message_id(message: &Message) -> Hash {
    let (topic, bytes) = match message {
        Message::Block(block) => (0u8, block.to_bytes()),
        Message::Operation(operation) => (1, operation.to_bytes()),
    };
    let mut hasher = Blake2b::<U32>::new();
    hasher.update([topic]);
    hasher.update(&bytes);
    Hash(hasher.finalize().into())
}
