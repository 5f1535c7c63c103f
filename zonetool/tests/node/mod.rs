//! A node for tests: it keeps one name and a few commitments, checks the work and the signature of
//! what it is given, and makes blocks when it is asked something. The rules are the real node's
//! matter; this one can be told to misbehave.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
    thread,
};

use namechain_core::{
    api_types::{
        CommitmentInfo, History, NameEntryInfo, NameInfo, PastOperation, PeerCounts, PeerInfo,
        Peers, Price, RecordInfo, Refusal, Standing, Status, Submit, Submitted, SyncInfo,
        TransferInfo,
    },
    codec::{Decode, Encode},
    consensus::{price, work::PowHasher},
    types::{
        Action, Hash, Name, Network, Operation, PublicKey, Record, SignedOperation, commitment,
    },
};
use serde_json::{Value, json};

/// The network whose work is quick.
pub const NETWORK: Network = Network::Dev;
/// Blocks that a commitment waits.
const COMMIT_AGE_BLOCKS: u32 = 10;
/// Blocks that names are served below the tip.
const SERVE_DEPTH_BLOCKS: u32 = 6;

/// What the node knows, and how it behaves.
#[derive(Default)]
pub struct State {
    /// The height of the tip.
    pub height: u32,
    /// Blocks that pass whenever it is asked where something stands.
    pub blocks_a_look: u32,
    /// The work of each commitment and the height that recorded it; none while it waits.
    pub commitments: HashMap<Hash, (u64, Option<u32>)>,
    /// The name that is registered.
    pub entry: Option<(Name, NameEntryInfo)>,
    /// The operation on a name that waits.
    pub pending: Option<SignedOperation>,
    /// The operations on the name that were recorded.
    pub history: Vec<PastOperation>,
    /// What it records in place of the next operation on the name.
    pub overtaken_by: Option<SignedOperation>,
    /// What it was given, by label.
    pub submitted: Vec<&'static str>,
    /// Where it says that the history goes on.
    pub next: Option<u32>,
    /// It is not synced.
    pub syncing: bool,
    /// At the second look at a name that is recorded, a reorganisation has undone that: it is this
    /// one's then, or nobody's.
    pub undone: Option<Option<PublicKey>>,
    /// Looks at a name that is recorded.
    pub looks: u32,
    /// How many looks at its status it is still catching up.
    pub catching_up: u32,
    /// It forgets what it takes.
    pub forgetful: bool,
    /// It refuses what it is given.
    pub refusal: Option<Refusal>,
    /// What it says its version is.
    pub version: String,
}

/// A running node.
pub struct Node {
    state: Arc<Mutex<State>>,
    /// Its URL.
    pub url: String,
}

impl Node {
    /// Starts one with this state, on any free port, until the test ends.
    pub fn start(state: State) -> Node {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), &mut shared.lock().unwrap());
            }
        });
        Node { state, url }
    }

    /// What it knows.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

/// An entry that `owner` registered at height 1, with these records.
pub fn entry_of(owner: PublicKey, records: &[Record]) -> NameEntryInfo {
    NameEntryInfo {
        owner,
        recovery: None,
        sequence: 0,
        registered: 1,
        updated: 1,
        expires: 1_000,
        transfer: None,
        records: records.iter().map(RecordInfo::from).collect(),
        messaging: None,
        messaging_sequence: 0,
    }
}

fn answer(stream: TcpStream, state: &mut State) {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line).unwrap();
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).unwrap() == 0 || header == "\r\n" {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let (status, value) = match state.asked(line.split(' ').nth(1).unwrap_or(""), &body) {
        Ok(value) => ("200 OK", value),
        Err(refusal) => ("422 Unprocessable Content", json!(refusal)),
    };
    let text = value.to_string();
    // The client may be gone.
    let _ = write!(
        reader.get_mut(),
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    );
}

/// A peer that says what it should not.
fn peers() -> Peers {
    let peer = PeerInfo {
        id: "12D3KooW".into(),
        address: "/ip4/192.0.2.1/tcp/7379".into(),
        direction: "in".into(),
        seconds: 61,
        height: Some(7),
        work: Some("14".into()),
        score: -20,
        agent: "evil/1 \u{1b}]0;x\u{7}\nforged line".into(),
        doing: "idle".into(),
    };
    Peers { addresses: vec!["/ip4/127.0.0.1/tcp/1/p2p/12D3".into()], peers: vec![peer] }
}

impl State {
    fn asked(&mut self, path: &str, body: &[u8]) -> Result<Value, Refusal> {
        let parts: Vec<&str> = path.split('/').skip(2).collect();
        match parts[..] {
            ["status"] => {
                let status = self.status();
                self.catching_up = self.catching_up.saturating_sub(1);
                if self.pending.is_none() {
                    self.pass();
                }
                Ok(json!(status))
            }
            ["peers"] => Ok(json!(peers())),
            ["price"] => Ok(json!(self.price())),
            ["names", name] => {
                self.look();
                let info = self.name(name.parse().unwrap());
                self.pass();
                Ok(json!(info))
            }
            ["names", name, query] if query.starts_with("history?from=") => Ok(json!(History {
                name: name.parse().unwrap(),
                operations: self.history.clone(),
                next: self.next
            })),
            ["commitments", commitment] => {
                let info = self.commitment(commitment.parse().unwrap());
                self.pass();
                Ok(json!(info))
            }
            // It keeps none.
            ["blocks", _] => Err(Refusal {
                code: "not-found".into(),
                rule: None,
                message: "there is no such block".into(),
                hint: None,
            }),
            ["ops"] => {
                let submit: Submit = serde_json::from_slice(body).unwrap();
                self.submit(Operation::from_bytes(&hex::decode(submit.operation).unwrap()).unwrap())
            }
            _ => panic!("asked for {path}"),
        }
    }

    fn look(&mut self) {
        self.looks += u32::from(self.entry.is_some());
        if self.looks == 2
            && let Some(owner) = self.undone.take()
        {
            self.entry = self
                .entry
                .take()
                .zip(owner)
                .map(|((name, entry), owner)| (name, NameEntryInfo { owner, ..entry }));
        }
    }

    /// Some blocks, which record what waits.
    fn pass(&mut self) {
        if self.blocks_a_look == 0 {
            return;
        }
        for (_, recorded) in self.commitments.values_mut() {
            recorded.get_or_insert(self.height + 1);
        }
        if let Some(named) = self.pending.take() {
            self.record(self.overtaken_by.clone().unwrap_or(named));
        }
        self.height += self.blocks_a_look;
    }

    fn record(&mut self, named: SignedOperation) {
        let height = self.height + 1;
        let mut entry = self
            .entry
            .as_ref()
            .map_or_else(|| entry_of(named.signer, &[]), |(_, entry)| entry.clone());
        match &named.action {
            Action::Register { records, .. } => {
                entry = entry_of(named.signer, records.records());
                entry.registered = height;
            }
            Action::Update { records } => {
                entry.records = entry_of(named.signer, records.records()).records
            }
            Action::Transfer { to } => {
                entry.transfer = Some(TransferInfo { to: *to, height, opens: height + 720 });
            }
            Action::Cancel => entry.transfer = None,
            other => panic!("{other:?}"),
        }
        (entry.sequence, entry.updated) = (named.sequence, height);
        let operation = Operation::Named(named.clone());
        self.history.push(PastOperation {
            height,
            time: 1_795_046_400,
            id: operation.id(NETWORK),
            kind: operation.label().into(),
            sequence: named.sequence,
            signer: named.signer,
            operation: hex::encode(operation.to_bytes()),
        });
        self.entry = Some((named.name, entry));
    }

    fn status(&self) -> Status {
        Status {
            version: self.version.clone(),
            network: NETWORK,
            height: self.height,
            tip: Hash::ZERO,
            tip_time: 0,
            work: "1".into(),
            serve_depth: SERVE_DEPTH_BLOCKS,
            served_height: self.height.saturating_sub(SERVE_DEPTH_BLOCKS),
            synced: !self.syncing && self.catching_up == 0,
            mempool_operations: 0,
            mempool_bytes: 0,
            mining: "off".into(),
            mining_hashes: 0,
            parked_tip: None,
            tip_age: 0,
            mining_rate: 0,
            peers: PeerCounts { inbound: 1, outbound: 0 },
            sync: SyncInfo {
                why: "fetching \u{1b}[2Jblocks".into(),
                target: self.height + 1_000 * self.catching_up,
                headers: self.height + 1_000 * self.catching_up,
                blocks_per_second: 100,
                seconds_left: Some(10),
                clock_off: None,
            },
            second_best: None,
            p2p: Vec::new(),
        }
    }

    fn price(&self) -> Price {
        Price {
            network: NETWORK,
            anchor: Hash([9; 32]),
            height: self.height,
            multiplier: 1_024,
            register: 0,
            register_5: 0,
            register_4: 0,
            register_3: 0,
            update: 0,
        }
    }

    fn name(&self, name: Name) -> NameInfo {
        let entry =
            self.entry.as_ref().filter(|(there, _)| *there == name).map(|(_, entry)| entry.clone());
        NameInfo {
            standing: if entry.is_some() { Standing::Active } else { Standing::Available },
            reserved: None,
            height: self.height,
            next_sequence: entry.as_ref().map_or(0, |entry| entry.sequence + 1),
            pending: self.pending.as_ref().is_some_and(|named| named.name == name),
            entry,
            name,
        }
    }

    fn commitment(&self, commitment: Hash) -> CommitmentInfo {
        let there = self.commitments.get(&commitment);
        let recorded = there.and_then(|(_, recorded)| *recorded);
        CommitmentInfo {
            commitment,
            height: self.height,
            recorded,
            opens: recorded.map(|height| height + COMMIT_AGE_BLOCKS),
            lapses: recorded.map(|height| height + 720),
            work: recorded.and(there).map(|(work, _)| *work),
            price: recorded.map(|_| 1_024),
            pending: there.is_some() && recorded.is_none(),
        }
    }

    /// Takes an operation whose stamp and signature hold and that is paid for.
    fn submit(&mut self, operation: Operation) -> Result<Value, Refusal> {
        if let Some(refusal) = &self.refusal {
            return Err(refusal.clone());
        }
        let params = NETWORK.params();
        assert!(PowHasher::new(NETWORK).has_stamp_work(&operation), "the stamp has its work");
        assert_eq!(operation.stamp().anchor, Hash([9; 32]));
        self.submitted.push(operation.label());
        let (id, paid) = (operation.id(NETWORK), operation.stamp().work);
        match operation {
            Operation::Commit { commitment, .. } => {
                let expected = price::registration(params, &"alice".parse().unwrap(), 1_024);
                assert_eq!(paid, expected + expected / 4, "a quarter more than the price");
                if !self.forgetful {
                    self.commitments.insert(commitment, (paid, None));
                }
            }
            Operation::Named(named) => {
                assert!(named.signer.verify(&named.signing_message(NETWORK), &named.signature));
                if let Action::Register { salt, .. } = &named.action {
                    let opened = commitment(NETWORK, &named.name, &named.signer, salt);
                    let recorded = self.commitments[&opened].1.unwrap();
                    assert!(
                        self.height + 1 >= recorded + COMMIT_AGE_BLOCKS,
                        "the commitment can be opened"
                    );
                }
                let price = match &named.action {
                    Action::Register { records, .. } | Action::Update { records } => {
                        price::records(params, records.byte_len(), 1_024)
                    }
                    Action::Transfer { .. } => price::transfer(params, 1_024),
                    Action::Cancel => price::rescue(params, 1_024),
                    other => panic!("{other:?}"),
                };
                assert_eq!(paid, price + price.div_ceil(4), "a quarter more than the price");
                self.pending = Some(named).filter(|_| !self.forgetful);
            }
        }
        Ok(json!(Submitted { id, height: self.height }))
    }
}
