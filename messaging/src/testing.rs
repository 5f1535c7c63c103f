//! A small chain for tests: names with records, blocks, proofs.

pub mod mutation;

use std::collections::{BTreeMap, HashMap};

use namechain_core::{
    codec::Encode,
    consensus::{History, HistoryNode, HistoryProof, difficulty::next_due, header::genesis},
    tree::Tree,
    types::{
        BlockTime, CommitPosition, Entry, Hash, Header, Locators, MessagingEntry, MessagingPolicy,
        MessagingRecord, Name, NameEntry, Network, PublicKey, RecordSet, Rescued, SecretKey,
        SignedMessagingRecord, next_key_hash,
    },
};

use crate::{
    bundle::{Bundle, Device, VerifiedBundle},
    envelope::{Inbox, Sender},
    kem::{X25519Secret, XWingSecret},
    verify::{NameProof, TrustedHeader, VerifiedPeer, resolve_peer},
};

pub const NETWORK: Network = Network::Dev;
/// The time of all tests, in seconds of Unix time.
pub const NOW: u64 = 1_800_000_000;
pub const DAY: u64 = 24 * 3_600;
/// When the leases of the tests end, by the chain's clock.
pub const LEASE_ENDS: u64 = 1_900_000_000;

pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// The secrets of somebody, all made from one number.
pub struct Person {
    pub name: Name,
    pub number: u8,
}

impl Person {
    pub fn new(text: &str, number: u8) -> Self {
        Person { name: name(text), number }
    }

    fn seed(&self, what: u8) -> [u8; 32] {
        let mut seed = [what; 32];
        seed[0] = self.number;
        seed
    }

    /// The title that the name is first registered under.
    pub fn title(&self) -> Hash {
        title_of(&self.owner().public(), 0)
    }

    pub fn owner(&self) -> SecretKey {
        SecretKey::from_seed(&self.seed(1))
    }

    /// The identity key of this generation.
    pub fn identity(&self, generation: u8) -> SecretKey {
        SecretKey::from_seed(&self.seed(10 + generation))
    }

    pub fn x25519(&self) -> X25519Secret {
        X25519Secret::from_bytes(&self.seed(2))
    }

    pub fn last_resort(&self) -> XWingSecret {
        XWingSecret::from_seed(&self.seed(3))
    }

    pub fn one_time(&self, number: u8) -> XWingSecret {
        XWingSecret::from_seed(&self.seed(100 + number))
    }

    pub fn device(&self) -> XWingSecret {
        XWingSecret::from_seed(&self.seed(4))
    }

    /// A record with the identity key of this generation, which announces the next.
    pub fn record(&self, generation: u8, sequence: u32, previous: Hash) -> MessagingRecord {
        MessagingRecord {
            sequence,
            previous,
            identity: self.identity(generation).public(),
            next: next_key_hash(NETWORK, &self.identity(generation + 1).public()),
            x25519: self.x25519().public().0,
            bundle: Hash::ZERO,
            locators: Locators::new(vec!["/dns4/peer.example/udp/7/quic-v1".into()]).unwrap(),
            policy: MessagingPolicy { x25519_alone: true },
        }
    }

    pub fn signed(
        &self,
        record: MessagingRecord,
        generation: u8,
        linked: bool,
    ) -> SignedMessagingRecord {
        let before = linked.then(|| self.identity(generation - 1));
        SignedMessagingRecord::sign(
            NETWORK,
            &self.name,
            &self.title(),
            record,
            &self.identity(generation),
            before.as_ref(),
        )
    }

    /// An inbox with all keys: 1 X25519, 2 last resort, 3 device, 10 and 11 one-time.
    pub fn inbox(&self) -> Inbox {
        let mut inbox = Inbox::new(NETWORK, self.name.clone(), self.identity(0).public());
        inbox.add_x25519(1, self.x25519()).unwrap();
        inbox.add_xwing(2, self.last_resort()).unwrap();
        inbox.add_xwing(3, self.device()).unwrap();
        inbox.add_one_time(10, self.one_time(0)).unwrap();
        inbox.add_one_time(11, self.one_time(1)).unwrap();
        inbox
    }

    pub fn bundle(&self, sequence: u32) -> Bundle {
        Bundle {
            name: self.name.clone(),
            sequence,
            identity: self.identity(0).public(),
            created: NOW - DAY,
            expires: NOW + DAY,
            last_resort: self.last_resort().public(),
            one_time: vec![self.one_time(0).public(), self.one_time(1).public()],
            devices: vec![Device { number: 7, label: "desk".into(), key: self.device().public() }],
        }
    }

    pub fn verified_bundle(&self, peer: &VerifiedPeer) -> VerifiedBundle {
        let bundle = self.bundle(peer.sequence()).sign(NETWORK, &self.identity(0)).unwrap();
        bundle.verify(peer, NOW).unwrap()
    }
}

/// The title of the `number`th owner of a name.
pub fn title_of(owner: &PublicKey, number: u8) -> Hash {
    let mut title = owner.0;
    title[31] ^= number;
    Hash(title)
}

/// A chain whose blocks say what a test wants them to.
pub struct World {
    pub network: Network,
    pub entries: BTreeMap<Name, NameEntry>,
    headers: Vec<Header>,
    /// The trees of the headers' states, and the entries in them.
    states: Vec<(Tree, BTreeMap<Name, NameEntry>)>,
    history: History,
    nodes: HashMap<u64, HistoryNode>,
}

impl World {
    pub fn new() -> Self {
        Self::on(NETWORK)
    }

    /// A chain with as many empty blocks as a name settles for.
    pub fn on(network: Network) -> Self {
        let mut world = World {
            network,
            entries: BTreeMap::new(),
            headers: Vec::new(),
            states: Vec::new(),
            history: History::default(),
            nodes: HashMap::new(),
        };
        for _ in 0..network.params().settle_delay.blocks {
            world.block();
        }
        world
    }

    /// Registers a name without keys.
    pub fn register(&mut self, name: &Name, owner: PublicKey) {
        let entry = NameEntry {
            name: name.clone(),
            owner,
            recovery: None,
            title: title_of(&owner, 0),
            sequence: 1,
            registered: BlockTime::default(),
            commit: CommitPosition::default(),
            updated: BlockTime::default(),
            expires: LEASE_ENDS,
            revoked: false,
            rescued: Rescued::default(),
            transfer: None,
            records: RecordSet::default(),
            messaging: None,
            messaging_sequence: 0,
        };
        self.entries.insert(name.clone(), entry);
    }

    /// Puts a record under a name, as the chain would once it had checked it.
    pub fn publish(&mut self, name: &Name, record: MessagingRecord, linked: bool) {
        let (height, time) = (self.headers.len() as u32, self.time());
        let entry = self.entries.get_mut(name).unwrap();
        entry.messaging_sequence = record.sequence;
        entry.messaging = Some(Box::new(MessagingEntry { record, linked, height, time }));
    }

    /// Registers a person and publishes the first record.
    pub fn add(&mut self, person: &Person) {
        self.register(&person.name, person.owner().public());
        self.publish(&person.name, person.record(0, 1, Hash::ZERO), false);
    }

    /// Makes a block of the present state; its height.
    pub fn block(&mut self) -> u32 {
        let network = self.network;
        let mut tree = Tree::new(network);
        for entry in self.entries.values() {
            let bytes = Entry::Name(entry.clone()).to_bytes();
            tree.insert(entry.name.key(network), Entry::value_hash(network, &bytes));
        }
        let (height, params) = (self.headers.len() as u32, network.params());
        let genesis = genesis(network).header;
        let header = Header {
            height,
            state_root: tree.root(),
            history_root: self.history.root(network),
            time: self.time(),
            due: self.headers.last().map_or(genesis.due, |parent| next_due(params, parent)),
            ..genesis
        };
        let leaf = HistoryNode::of_header(params, &header.id(network), &header);
        self.nodes.extend(self.history.push(network, leaf));
        self.headers.push(header);
        self.states.push((tree, self.entries.clone()));
        height
    }

    /// The time of the next block: an interval after the last.
    fn time(&self) -> u64 {
        let params = self.network.params();
        params.genesis_time + params.block_interval * self.headers.len() as u64
    }

    pub fn header(&self, height: u32) -> &Header {
        &self.headers[height as usize]
    }

    pub fn trusted_header(&self, height: u32) -> TrustedHeader {
        TrustedHeader::new(self.network, self.header(height).clone())
    }

    /// The parts of a name proof for `name` in the state at `height`: header, proof, entry.
    pub fn parts(&self, name: &Name, height: u32) -> (Vec<u8>, Vec<u8>, Option<Vec<u8>>) {
        let (tree, entries) = &self.states[height as usize];
        let entry = entries.get(name).map(|entry| Entry::Name(entry.clone()).to_bytes());
        (self.header(height).to_bytes(), tree.prove(&name.key(self.network)).to_bytes(), entry)
    }

    /// The proof that the header at `height` is below the one at `against`.
    pub fn place(&self, height: u32, against: u32) -> Vec<u8> {
        let node = |at| self.nodes.get(&at).copied();
        HistoryProof::make(height.into(), against.into(), node).unwrap().to_bytes()
    }

    pub fn name_proof(&self, name: &Name, height: u32) -> NameProof {
        let (header, proof, entry) = self.parts(name, height);
        NameProof::read(&header, &proof, entry.as_deref(), None).unwrap()
    }

    pub fn placed(&self, name: &Name, height: u32, against: u32) -> NameProof {
        let (header, proof, entry) = self.parts(name, height);
        NameProof::read(&header, &proof, entry.as_deref(), Some(&self.place(height, against)))
            .unwrap()
    }

    /// The name in the state of a new block.
    pub fn resolve(&mut self, name: &Name) -> VerifiedPeer {
        let height = self.block();
        resolve_peer(&self.trusted_header(height), name, &self.name_proof(name, height)).unwrap()
    }
}

/// Alice, who writes, and Bob, who reads.
pub struct Pair {
    pub alice: Person,
    pub bob: Person,
    pub alice_peer: VerifiedPeer,
    pub bob_peer: VerifiedPeer,
    pub bob_bundle: VerifiedBundle,
    pub alice_key: SecretKey,
}

impl Pair {
    pub fn new() -> Self {
        let (alice, bob) = (Person::new("alice", 1), Person::new("bob", 2));
        let mut world = World::new();
        world.add(&alice);
        world.add(&bob);
        let (alice_peer, bob_peer) = (world.resolve(&alice.name), world.resolve(&bob.name));
        let bob_bundle = bob.verified_bundle(&bob_peer);
        let alice_key = alice.identity(0);
        Pair { alice, bob, alice_peer, bob_peer, bob_bundle, alice_key }
    }

    pub fn sender(&self) -> Sender<'_> {
        Sender {
            name: &self.alice.name,
            identity: &self.alice_key,
            sequence: self.alice_peer.sequence(),
        }
    }
}
