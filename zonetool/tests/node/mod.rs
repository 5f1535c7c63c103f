//! A node for tests: it keeps one name and a few commitments, checks the work and the signature of
//! what it is given, and makes blocks when it is asked something. The rules are the real node's
//! matter; this one can be told to misbehave.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    os::unix::net::UnixListener,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use namechain_core::{
    api_types::{
        BanInfo, Bans, BlockInfo, CommitInfo, CommitmentInfo, History, LiftBans, Lifted,
        NameEntryInfo, NameInfo, NewBan, PastOperation, PeerCounts, PeerInfo, Peers, Price,
        ProtocolInfo, RecordInfo, Refusal, Standing, Status, Submit, Submitted, SyncInfo,
        TransferInfo,
    },
    codec::{Decode, Encode},
    consensus::{header::signing_context, price, work::PowHasher},
    params::{COMMIT_LIFETIME_S, PRICE_UNIT},
    types::{
        Action, Hash, Name, Network, Operation, PublicKey, Record, SignedOperation, commitment,
    },
};
use serde_json::{Value, json};

/// The network whose work is quick.
pub const NETWORK: Network = Network::Dev;
/// The blocks that a commitment must wait.
const COMMIT_AGE_BLOCKS: u32 = 10;
/// The blocks for which a name settles.
const SETTLE_BLOCKS: u32 = 8;
/// The depth below the tip from which names are served.
const SERVE_DEPTH_BLOCKS: u32 = 6;

/// A Commit that the node has.
#[derive(Clone, Copy)]
pub struct Commit {
    /// Its operation id.
    pub id: Hash,
    /// The work of its stamp.
    pub work: u64,
    /// The height that recorded it; none while it is pending.
    pub recorded: Option<u32>,
    /// Whether a name was registered by it.
    pub spent: bool,
}

/// What happens to a registration once it is recorded.
#[derive(Clone, Copy)]
pub enum Fate {
    /// A reorganisation undoes it, and nobody has the name.
    Undone,
    /// A reorganisation undoes it, and this key has the name.
    LostTo(PublicKey),
    /// The older commitment of this key displaces it.
    DisplacedBy(PublicKey),
}

/// What the node knows, and how it behaves.
#[derive(Default)]
pub struct State {
    /// The height of the tip.
    pub height: u32,
    /// Blocks that pass whenever it is asked where something stands.
    pub blocks_a_look: u32,
    /// The Commits by their commitments, the oldest first.
    pub commitments: HashMap<Hash, Vec<Commit>>,
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
    /// Below which height it has pruned blocks with operations on the name.
    pub pruned_below: Option<u32>,
    /// It is not synced.
    pub syncing: bool,
    /// What happens at the second look at a name that is recorded.
    pub fate: Option<Fate>,
    /// Looks at a name that is recorded.
    pub looks: u32,
    /// How many looks at its status it is still catching up.
    pub catching_up: u32,
    /// It forgets what it takes.
    pub forgetful: bool,
    /// It refuses what it is given.
    pub refusal: Option<Refusal>,
    /// Whom it has banned.
    pub bans: Vec<BanInfo>,
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

    /// Starts one on a Unix socket.
    pub fn start_at(socket: &Path, state: State) -> Node {
        let listener = UnixListener::bind(socket).unwrap();
        let url = format!("unix:{}", socket.display());
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

/// Seconds of Unix time: the node's clock.
#[expect(
    clippy::disallowed_methods,
    reason = "a node has a clock; the program compares with its own"
)]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// An entry that `owner` registered at height 1, with these records.
pub fn entry_of(owner: PublicKey, records: &[Record]) -> NameEntryInfo {
    NameEntryInfo {
        owner,
        recovery: None,
        title: Hash([7; 32]),
        sequence: 0,
        registered_height: 1,
        registered_time: now() - 100_000,
        commit_height: 0,
        commit_index: 0,
        settles_height: 1 + SETTLE_BLOCKS,
        settles_time: now() - 100_000,
        updated_height: 1,
        updated_time: now() - 100_000,
        expires: now() + 10_000_000,
        grace_ends: now() + 20_000_000,
        revoked: false,
        rescued_owner: 0,
        rescued_recovery: 0,
        transfer: None,
        records: records.iter().map(RecordInfo::from).collect(),
        messaging: None,
        messaging_sequence: 0,
    }
}

fn answer(stream: impl Read + Write, state: &mut State) {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    if !reader.read_line(&mut line).is_ok_and(|length| length > 0) {
        // Somebody looked whether anybody listens, or, on a slow machine, whether a DNS server
        // does.
        return;
    }
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

/// The genesis block of the network.
fn genesis() -> Value {
    let block = namechain_core::consensus::header::genesis(NETWORK);
    json!(BlockInfo {
        id: block.header.id(NETWORK),
        height: 0,
        active: true,
        previous: block.header.previous,
        time: block.header.time,
        due: block.header.time,
        work: "1".into(),
        name_multiplier: PRICE_UNIT,
        byte_multiplier: PRICE_UNIT,
        state_root: block.header.state_root,
        operations: Vec::new(),
        bytes: hex::encode(block.to_bytes()),
    })
}

/// A peer that says what it should not.
fn peers() -> Peers {
    let peer = PeerInfo {
        id: "12D3KooW".into(),
        address: "/ip4/192.0.2.1/tcp/7379".into(),
        direction: "in".into(),
        seconds: 61,
        block_only: true,
        latency_ms: Some(12),
        last_block_seconds: Some(90),
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
            ["bans"] if body.is_empty() => Ok(json!(Bans { bans: self.bans.clone() })),
            ["bans"] => {
                let NewBan { target, seconds } = serde_json::from_slice(body).unwrap();
                let until = seconds.map(|seconds| now() + seconds);
                let ban = BanInfo { target, until, reason: "operator".into() };
                self.bans.push(ban.clone());
                Ok(json!(ban))
            }
            ["bans", "lift"] => {
                let what: LiftBans = serde_json::from_slice(body).unwrap();
                let before = self.bans.len();
                self.bans.retain(|ban| !what.all && what.target.as_ref() != Some(&ban.target));
                Ok(json!(Lifted { lifted: before - self.bans.len() }))
            }
            ["price"] => Ok(json!(self.price())),
            ["names", query] if query.contains("?height=") => {
                let (name, height) = query.split_once("?height=").unwrap();
                Ok(json!(self.name(name.parse().unwrap(), height.parse().unwrap())))
            }
            ["names", name] => {
                self.look();
                let info = self.name(name.parse().unwrap(), self.height);
                self.pass();
                Ok(json!(info))
            }
            ["names", name, query] if query.starts_with("history?from=") => Ok(json!(History {
                name: name.parse().unwrap(),
                operations: self.history.clone(),
                next: self.next,
                pruned_below: self.pruned_below,
            })),
            ["commitments", commitment] => {
                let info = self.commitment(commitment.parse().unwrap());
                self.pass();
                Ok(json!(info))
            }
            ["mining", "template"] => Err(Refusal {
                code: "unavailable".into(),
                rule: None,
                message: "it gives no templates".into(),
                hint: None,
            }),
            // It keeps the first.
            ["blocks", "0"] => Ok(genesis()),
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
        if self.looks != 2 {
            return;
        }
        let Some(fate) = self.fate.take() else { return };
        let (name, entry) = self.entry.take().unwrap();
        let given_to = |owner| NameEntryInfo { owner, title: Hash([8; 32]), ..entry };
        self.entry = match fate {
            Fate::Undone | Fate::LostTo(_) => {
                self.history.clear();
                match fate {
                    Fate::LostTo(owner) => Some((name, given_to(owner))),
                    _ => None,
                }
            }
            Fate::DisplacedBy(owner) => {
                let ours = self.history[0].clone();
                let id = Hash([6; 32]);
                self.history.push(PastOperation { id, signer: owner, height: self.height, ..ours });
                Some((name, given_to(owner)))
            }
        };
    }

    /// Some blocks, which record what waits.
    fn pass(&mut self) {
        if self.blocks_a_look == 0 {
            return;
        }
        for commit in self.commitments.values_mut().flatten() {
            commit.recorded.get_or_insert(self.height + 1);
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
                entry.title = named.subject(NETWORK);
                (entry.registered_height, entry.registered_time) = (height, now());
                (entry.settles_height, entry.settles_time) = (height + SETTLE_BLOCKS, now());
                let commits = self.commitments.values_mut().flatten();
                commits
                    .filter(|commit| commit.id == named.reference)
                    .for_each(|commit| commit.spent = true);
            }
            Action::Update { records, .. } => {
                entry.records = entry_of(named.signer, records.records()).records
            }
            Action::Transfer { to, .. } => {
                entry.transfer = Some(TransferInfo {
                    to: *to,
                    subject: named.subject(NETWORK),
                    height,
                    time: now(),
                    opens_height: height + 10,
                    opens_time: now() + 86_400,
                });
            }
            Action::Cancel { .. } => entry.transfer = None,
            Action::Renew { .. } => entry.expires += NETWORK.params().lease,
            other => panic!("{other:?}"),
        }
        entry.sequence = named.action.sequence().unwrap_or(entry.sequence);
        (entry.updated_height, entry.updated_time) = (height, now());
        let operation = Operation::Named(named.clone());
        self.history.push(PastOperation {
            height,
            time: now(),
            id: operation.id(NETWORK),
            kind: operation.label().into(),
            sequence: named.action.sequence(),
            reference: named.reference,
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
            tip_time: now(),
            work: "1".into(),
            serve_depth: SERVE_DEPTH_BLOCKS,
            served_height: self.height.saturating_sub(SERVE_DEPTH_BLOCKS),
            synced: !self.syncing && self.catching_up == 0,
            pruned: self.pruned_below.is_some(),
            first_block: self.pruned_below.unwrap_or(0),
            mempool_operations: 0,
            mempool_bytes: 0,
            mining: "off".into(),
            mining_hashes: 0,
            hold: None,
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
            protocol: ProtocolInfo {
                branch: NETWORK.params().last_branch().number,
                ..Default::default()
            },
            p2p: Vec::new(),
        }
    }

    fn price(&self) -> Price {
        Price {
            network: NETWORK,
            anchor: Hash([9; 32]),
            height: self.height,
            time: now(),
            name_multiplier: PRICE_UNIT,
            byte_multiplier: PRICE_UNIT,
            register: 0,
            register_5: 0,
            register_4: 0,
            register_3: 0,
            update: 0,
            renew: 0,
            rescue: 0,
        }
    }

    fn name(&self, name: Name, height: u32) -> NameInfo {
        let entry =
            self.entry.as_ref().filter(|(there, _)| *there == name).map(|(_, entry)| entry.clone());
        NameInfo {
            standing: match &entry {
                Some(entry) if height < entry.settles_height => Standing::Settling,
                Some(_) => Standing::Active,
                None => Standing::Available,
            },
            reserved: None,
            height,
            time: now(),
            next_sequence: entry.as_ref().map_or(0, |entry| entry.sequence + 1),
            pending: self.pending.as_ref().is_some_and(|named| named.name == name),
            entry,
            name,
        }
    }

    fn commitment(&self, commitment: Hash) -> CommitmentInfo {
        let commits = self.commitments.get(&commitment).map(Vec::as_slice).unwrap_or_default();
        let shown = |commit: &Commit| {
            commit.recorded.map(|height| CommitInfo {
                id: commit.id,
                height,
                index: 0,
                time: now(),
                opens_height: height + COMMIT_AGE_BLOCKS,
                opens_time: now(),
                lapses: now() + COMMIT_LIFETIME_S,
                work: commit.work,
                price: PRICE_UNIT,
                spent: commit.spent,
            })
        };
        let all: Vec<CommitInfo> = commits.iter().filter_map(shown).collect();
        CommitmentInfo {
            commitment,
            height: self.height,
            time: now(),
            recorded: all.first().cloned(),
            all,
            pending: commits.iter().any(|commit| commit.recorded.is_none()),
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
        let label = operation.label();
        let (id, paid) = (operation.id(NETWORK), operation.stamp().work);
        match operation {
            Operation::Commit { commitment, .. } => {
                let expected = price::registration(params, &"alice".parse().unwrap(), PRICE_UNIT);
                assert_eq!(paid, expected + expected / 4, "a quarter more than the price");
                if !self.forgetful {
                    let commit = Commit { id, work: paid, recorded: None, spent: false };
                    self.commitments.entry(commitment).or_default().push(commit);
                }
            }
            Operation::Named(named) => {
                let context = signing_context(params, 2);
                assert!(named.signer.verify(&named.signing_message(&context), &named.signature));
                assert!((now()..=now() + 86_400).contains(&named.valid_until));
                if let Action::Register { salt, .. } = &named.action {
                    let opened = commitment(NETWORK, &named.name, &named.signer, salt);
                    let commits = self.commitments.get(&opened).into_iter().flatten();
                    let mut commits = commits.filter(|commit| commit.id == named.reference);
                    let Some(commit) = commits.next().filter(|commit| !commit.spent) else {
                        return Err(Refusal {
                            code: "rule".into(),
                            rule: Some("commitment-unknown".into()),
                            message: "there is no such commitment".into(),
                            hint: None,
                        });
                    };
                    let recorded = commit.recorded.unwrap();
                    assert!(
                        self.height + 1 >= recorded + COMMIT_AGE_BLOCKS,
                        "the commitment can be opened"
                    );
                }
                let price = match &named.action {
                    Action::Register { records, .. } | Action::Update { records, .. } => {
                        price::records(params, records.byte_len(), PRICE_UNIT)
                    }
                    Action::Transfer { .. } => price::transfer(params, PRICE_UNIT),
                    Action::Cancel { .. } => price::rescue(params),
                    Action::Renew { .. } => price::renewal(params, &named.name),
                    other => panic!("{other:?}"),
                };
                assert_eq!(paid, price + price.div_ceil(4), "a quarter more than the price");
                self.pending = Some(named).filter(|_| !self.forgetful);
            }
        }
        self.submitted.push(label);
        Ok(json!(Submitted { id, height: self.height }))
    }
}
