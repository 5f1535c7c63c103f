//! What is told to everybody: GossipSub over two topics, one for blocks and one for operations. A
//! message is known by its content, and goes no further before it has its verdict.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use blake2::{Blake2b, Digest, digest::consts::U20};
use libp2p::{
    PeerId,
    gossipsub::{
        self, ConfigBuilder, DataTransform, IdentTopic, Message, MessageAuthenticity, MessageId,
        PeerScoreParams, PeerScoreThresholds, RawMessage, TopicHash, TopicScoreParams,
        ValidationMode, WhitelistSubscriptionFilter,
    },
};

use super::{error::NetError, limits};
use namechain_core::{
    codec::{Decode, DecodeError},
    sync::{GossipId, message::CompactBlock},
    types::{Network, Operation},
};

pub(super) type Behaviour = gossipsub::Behaviour<Only, WhitelistSubscriptionFilter>;

/// What is told to everybody.
#[derive(Debug)]
pub(super) enum GossipMessage {
    /// A block.
    Block(CompactBlock),
    /// An operation.
    Operation(Box<Operation>),
}

/// The two topics of a network.
#[derive(Clone, Debug)]
pub(super) struct Topics {
    /// Blocks.
    pub blocks: IdentTopic,
    /// Operations.
    pub operations: IdentTopic,
}

impl Topics {
    /// Those of `network`.
    pub fn of(network: Network) -> Self {
        let topic = |what| IdentTopic::new(format!("namechain/{network}/{what}/1"));
        Topics { blocks: topic("blocks"), operations: topic("operations") }
    }

    /// Reads a message of one of them.
    pub fn read(&self, topic: &TopicHash, data: &[u8]) -> Result<GossipMessage, DecodeError> {
        if *topic == self.blocks.hash() {
            CompactBlock::from_bytes(data).map(GossipMessage::Block)
        } else {
            Operation::from_bytes(data)
                .map(|operation| GossipMessage::Operation(Box::new(operation)))
        }
    }
}

/// Lets no message of another topic in: the engine would keep it for a while without telling
/// anybody.
#[derive(Clone, Debug)]
pub(super) struct Only([TopicHash; 2]);

impl DataTransform for Only {
    fn inbound_transform(&self, raw: RawMessage) -> Result<Message, io::Error> {
        if !self.0.contains(&raw.topic) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "another topic"));
        }
        let RawMessage { source, data, sequence_number, topic, .. } = raw;
        Ok(Message { source, data, sequence_number, topic })
    }

    fn outbound_transform(&self, _: &TopicHash, data: Vec<u8>) -> Result<Vec<u8>, io::Error> {
        Ok(data)
    }
}

/// The name of a message: the same content has the same, whoever sends it.
fn message_id(message: &Message) -> MessageId {
    let mut hasher = Blake2b::<U20>::new();
    hasher.update(message.topic.as_str().as_bytes());
    hasher.update([0]);
    hasher.update(&message.data);
    MessageId::new(&hasher.finalize())
}

/// The engine, with both topics.
pub(super) fn behaviour(network: Network, topics: &Topics) -> Result<Behaviour, NetError> {
    let setup = |error: &dyn std::fmt::Display| NetError::Setup(format!("gossip: {error}"));
    let config = ConfigBuilder::default()
        .protocol_id_prefix(format!("/namechain/{network}/gossip"))
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(message_id)
        .heartbeat_initial_delay(Duration::from_secs(1))
        .max_transmit_size(limits::GOSSIP_BYTES)
        .history_length(limits::GOSSIP_HISTORY)
        .history_gossip(5)
        .connection_handler_queue_len(limits::GOSSIP_QUEUE)
        .max_publish_messages(limits::GOSSIP_QUEUE)
        .max_control_messages_sent(limits::GOSSIP_QUEUE)
        .build()
        .map_err(|error| setup(&error))?;
    let hashes = [topics.blocks.hash(), topics.operations.hash()];
    let filter = WhitelistSubscriptionFilter(hashes.iter().cloned().collect());
    let only = Only(hashes);
    let mut behaviour = Behaviour::new_with_subscription_filter_and_transform(
        MessageAuthenticity::Anonymous,
        config,
        filter,
        only,
    )
    .map_err(|error| setup(&error))?;
    behaviour.with_peer_score(score_params(topics), thresholds()).map_err(|error| setup(&error))?;
    for topic in [&topics.blocks, &topics.operations] {
        behaviour.subscribe(topic).map_err(|error| setup(&error))?;
    }
    Ok(behaviour)
}

/// GossipSub's own score decides who is in the mesh; [`namechain_core::sync`] decides who is
/// banned. A quiet network is no fault: nobody is the worse for few deliveries (P3 is off). One bad
/// block costs as much as twenty times telling us a good one first; three are the end. A bad
/// operation is cheaper to make by mistake (two nodes at odds about the tip), so seven are.
fn score_params(topics: &Topics) -> PeerScoreParams {
    let hour = gossipsub::score_parameter_decay(Duration::from_secs(3600));
    let topic = |invalid: f64| TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.01,
        time_in_mesh_quantum: Duration::from_secs(1),
        time_in_mesh_cap: 300.0,
        first_message_deliveries_weight: 1.0,
        first_message_deliveries_decay: gossipsub::score_parameter_decay(Duration::from_secs(600)),
        first_message_deliveries_cap: 20.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: invalid,
        invalid_message_deliveries_decay: hour,
        ..TopicScoreParams::default()
    };
    let own = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    PeerScoreParams {
        topics: HashMap::from([
            (topics.blocks.hash(), topic(-20.0)),
            (topics.operations.hash(), topic(-2.0)),
        ]),
        topic_score_cap: 30.0,
        ip_colocation_factor_weight: -5.0,
        ip_colocation_factor_threshold: limits::INBOUND_PER_GROUP as f64,
        ip_colocation_factor_whitelist: HashSet::from(own),
        behaviour_penalty_weight: -10.0,
        // A node that is restarted grafts again before its time.
        behaviour_penalty_threshold: 6.0,
        behaviour_penalty_decay: gossipsub::score_parameter_decay(Duration::from_secs(600)),
        slow_peer_threshold: 20.0,
        ..PeerScoreParams::default()
    }
}

fn thresholds() -> PeerScoreThresholds {
    PeerScoreThresholds {
        gossip_threshold: -20.0,
        publish_threshold: -50.0,
        graylist_threshold: -80.0,
        accept_px_threshold: 100.0,
        opportunistic_graft_threshold: 1.0,
    }
}

/// A message that waits for its verdict.
#[derive(Debug)]
pub(super) struct Waiting {
    /// The engine's name for it.
    pub message: MessageId,
    /// Who brought it.
    pub from: PeerId,
    /// Whether it is a block.
    pub is_block: bool,
    until: Duration,
}

/// Messages that wait for their verdicts: bounded in number and in time.
#[derive(Debug, Default)]
pub(super) struct PendingValidations {
    waiting: BTreeMap<GossipId, Waiting>,
    next: u64,
}

impl PendingValidations {
    /// Takes a message up; `None` if too many wait.
    pub fn open(
        &mut self,
        message: MessageId,
        from: PeerId,
        is_block: bool,
        now: Duration,
    ) -> Option<GossipId> {
        if self.waiting.len() >= limits::GOSSIP_WAITING {
            return None;
        }
        let id = GossipId(self.next);
        self.next += 1;
        self.waiting
            .insert(id, Waiting { message, from, is_block, until: now + limits::GOSSIP_WITHIN });
        Some(id)
    }

    /// The message that a verdict is about, unless its time is over.
    pub fn close(&mut self, id: GossipId) -> Option<Waiting> {
        self.waiting.remove(&id)
    }

    /// A message whose time is over.
    pub fn overdue(&mut self, now: Duration) -> Option<Waiting> {
        let first = self.waiting.first_entry()?;
        (first.get().until <= now).then(|| first.remove())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_takes_our_parameters() {
        for network in Network::ALL {
            behaviour(network, &Topics::of(network)).expect("set up");
        }
    }

    #[test]
    fn a_message_is_known_by_topic_and_content_alone() {
        let topics = Topics::of(Network::Dev);
        let message = |topic: &IdentTopic, data: &[u8], source| Message {
            source,
            data: data.to_vec(),
            sequence_number: None,
            topic: topic.hash(),
        };
        let id = |topic, data, source| message_id(&message(topic, data, source));
        let some = Some(PeerId::random());
        assert_eq!(id(&topics.blocks, b"x", None), id(&topics.blocks, b"x", some));
        assert_ne!(id(&topics.blocks, b"x", None), id(&topics.operations, b"x", None));
        assert_ne!(id(&topics.blocks, b"x", None), id(&topics.blocks, b"y", None));
    }

    #[test]
    fn another_topic_is_not_let_in() {
        let topics = Topics::of(Network::Dev);
        let only = Only([topics.blocks.hash(), topics.operations.hash()]);
        let raw = |topic: &str| RawMessage {
            source: None,
            data: vec![1],
            sequence_number: None,
            topic: TopicHash::from_raw(topic),
            signature: None,
            key: None,
            validated: false,
        };
        assert!(only.inbound_transform(raw("namechain/dev/blocks/1")).is_ok());
        assert!(only.inbound_transform(raw("namechain/main/blocks/1")).is_err());
    }

    #[test]
    fn verdicts_are_bounded_in_number_and_time() {
        let (mut verdicts, start, from) =
            (PendingValidations::default(), Duration::ZERO, PeerId::random());
        let message = MessageId::new(b"m");
        for _ in 0..limits::GOSSIP_WAITING {
            verdicts.open(message.clone(), from, true, start).expect("room");
        }
        assert!(verdicts.open(message.clone(), from, true, start).is_none());
        assert!(
            verdicts.close(GossipId(7)).is_some() && verdicts.close(GossipId(7)).is_none(),
            "once"
        );
        assert!(verdicts.overdue(limits::GOSSIP_WITHIN - Duration::from_millis(1)).is_none());
        let mut overdue = 0;
        while verdicts.overdue(limits::GOSSIP_WITHIN).is_some() {
            overdue += 1;
        }
        assert_eq!(overdue, limits::GOSSIP_WAITING - 1);
    }
}
