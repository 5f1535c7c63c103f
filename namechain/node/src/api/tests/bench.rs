//! A node in memory behind a real server, and a client that writes HTTP by hand.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
    sync::oneshot,
    task::JoinHandle,
};

use super::*;
use namechain_core::{
    chain::{Accepted, Chain, MemoryStorage, Storage, read_block},
    codec::Encode,
    consensus::{header::signing_context, price, work::PowHasher},
    miner::search_nonce,
    params::{FIRST_BRANCH, MAX_VALIDITY_S},
    types::{Action, Network, Record, RecordSet, SecretKey, SignedOperation, Stamp, commitment},
};

pub(super) const NETWORK: Network = Network::Dev;
const NOW: u64 = 1_800_000_000;

/// A dev chain of three blocks, on which `alice` is registered and has settled, with answers that a
/// test can set.
pub(super) struct MemoryNode {
    pub(super) chain: Mutex<Chain>,
    storage: Arc<MemoryStorage>,
    worker: Mutex<PowHasher>,
    pub(super) synced: AtomicBool,
    pub(super) panics: AtomicBool,
    /// Whether a part of it is stuck.
    pub(super) stuck: AtomicBool,
    /// Who is banned.
    pub(super) bans: Mutex<Vec<api_types::BanInfo>>,
    /// Blocks below this height are pruned.
    pub(super) first_block: AtomicU32,
    /// What [`Backend::submit`] answers; the operation's id and height if nothing is set.
    pub(super) refusal: Mutex<Option<api_types::Refusal>>,
    /// Waited for before an operation is answered.
    pub(super) gate: Mutex<Option<oneshot::Receiver<()>>>,
    /// Told when an operation has arrived.
    pub(super) arrived: Mutex<Option<oneshot::Sender<()>>>,
}

pub(super) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub(super) fn owner() -> SecretKey {
    SecretKey::from_seed(&[1; 32])
}

pub(super) fn records() -> RecordSet {
    RecordSet::new(vec![Record { owner: vec![0], rtype: 1, ttl: 300, rdata: vec![192, 0, 2, 7] }])
        .unwrap()
}

pub(super) fn commitment_of(name: &Name) -> Hash {
    commitment(NETWORK, name, &owner().public(), &owner().salt(NETWORK, name))
}

impl MemoryNode {
    pub(super) fn new() -> Arc<Self> {
        let storage = Arc::new(MemoryStorage::default());
        let node = MemoryNode {
            chain: Mutex::new(Chain::open(NETWORK, storage.clone()).unwrap()),
            storage,
            worker: Mutex::new(PowHasher::new(NETWORK)),
            synced: AtomicBool::new(true),
            panics: AtomicBool::new(false),
            stuck: AtomicBool::new(false),
            bans: Mutex::default(),
            first_block: AtomicU32::new(0),
            refusal: Mutex::default(),
            gate: Mutex::default(),
            arrived: Mutex::default(),
        };
        let alice = name("alice");
        let commit = node.commit(&alice);
        node.record(commit.clone());
        node.record(node.register(&alice, commit.id(NETWORK)));
        node.extend(&[]);
        Arc::new(node)
    }

    fn stamped(&self, mut operation: Operation, work: u64) -> Operation {
        let stamp = Stamp { anchor: self.chain.lock().unwrap().tip_id(), work, nonce: 0 };
        let subject = operation.stamp_subject(NETWORK);
        let found = self.worker.lock().unwrap().search_stamp(&subject, stamp, u64::MAX).unwrap();
        *operation.stamp_mut() = found;
        operation
    }

    pub(super) fn commit(&self, name: &Name) -> Operation {
        let multiplier = self.chain.lock().unwrap().tip_header().name_price;
        let work = price::registration(NETWORK.params(), name, multiplier);
        let stamp = Stamp { anchor: Hash::ZERO, work: 1, nonce: 0 };
        self.stamped(Operation::Commit { commitment: commitment_of(name), stamp }, work)
    }

    fn register(&self, name: &Name, commit: Hash) -> Operation {
        let action = Action::Register {
            recovery: None,
            salt: owner().salt(NETWORK, name),
            records: records(),
        };
        let stamp = Stamp { anchor: Hash::ZERO, work: 1, nonce: 0 };
        let context = signing_context(NETWORK.params(), FIRST_BRANCH.number);
        let until = self.now() + MAX_VALIDITY_S;
        let named =
            SignedOperation::sign(&context, name.clone(), commit, until, action, &owner(), stamp);
        let multiplier = self.chain.lock().unwrap().tip_header().byte_price;
        self.stamped(Operation::Named(named), price::commitment(NETWORK.params(), multiplier))
    }

    /// The time of the next block: ten seconds after the last.
    fn now(&self) -> u64 {
        self.chain.lock().unwrap().tip_header().time.max(NOW) + 10
    }

    pub(super) fn record(&self, operation: Operation) {
        self.extend(&[operation]);
    }

    /// The next block, with these operations.
    fn extend(&self, operations: &[Operation]) {
        let now = self.now();
        let mut chain = self.chain.lock().unwrap();
        let mut block = chain.assemble_block(operations.iter(), now).unwrap();
        assert_eq!(block.operations.len(), operations.len());
        block.header = search_nonce(&mut PowHasher::new(NETWORK), block.header, |_| true).unwrap();
        assert!(matches!(chain.accept(&block, now, true).unwrap(), Accepted::Tip(_)));
    }
}

impl Backend for MemoryNode {
    fn health(&self) -> Result<(), String> {
        match self.stuck.load(Ordering::Relaxed) {
            true => Err("the chain thread is stuck".into()),
            false => Ok(()),
        }
    }

    fn bans(&self) -> api_types::Bans {
        api_types::Bans { bans: self.bans.lock().unwrap().clone() }
    }

    fn ban(&self, ban: api_types::NewBan) -> Result<api_types::BanInfo, api_types::Refusal> {
        let (target, until) = (ban.target, ban.seconds);
        let ban = api_types::BanInfo { target, until, reason: "operator".into() };
        self.bans.lock().unwrap().push(ban.clone());
        Ok(ban)
    }

    fn lift_bans(
        &self,
        what: api_types::LiftBans,
    ) -> Result<api_types::Lifted, api_types::Refusal> {
        let mut bans = self.bans.lock().unwrap();
        let before = bans.len();
        bans.retain(|ban| !what.all && what.target.as_ref() != Some(&ban.target));
        Ok(api_types::Lifted { lifted: before - bans.len() })
    }

    fn status(&self) -> api_types::Status {
        assert!(
            !self.panics.load(Ordering::Relaxed),
            "the backend panics because the test wants it"
        );
        let chain = self.chain.lock().unwrap();
        api_types::Status {
            version: "0".into(),
            network: NETWORK,
            height: chain.tip_header().height,
            tip: chain.tip_id(),
            tip_time: chain.tip_header().time,
            work: chain.work().to_string(),
            serve_depth: 1,
            served_height: chain.tip_header().height - 1,
            synced: self.synced.load(Ordering::Relaxed),
            pruned: self.first_block.load(Ordering::Relaxed) > 0,
            first_block: self.first_block.load(Ordering::Relaxed),
            mempool_operations: 3,
            mempool_bytes: 456,
            mining: "off".into(),
            mining_hashes: 0,
            hold: None,
            parked_tip: None,
            tip_age: 0,
            mining_rate: 0,
            peers: api_types::PeerCounts::default(),
            sync: api_types::SyncInfo::default(),
            second_best: None,
            protocol: api_types::ProtocolInfo::default(),
            p2p: Vec::new(),
        }
    }

    fn peers(&self) -> api_types::Peers {
        let peer = api_types::PeerInfo {
            id: "12D3KooW".into(),
            address: "/ip4/192.0.2.1/tcp/7379".into(),
            direction: "out".into(),
            seconds: 5,
            block_only: false,
            latency_ms: Some(20),
            last_block_seconds: None,
            height: Some(2),
            work: Some("6".into()),
            score: -3,
            agent: "namechain/0".into(),
            doing: "nothing".into(),
        };
        api_types::Peers {
            addresses: vec!["/ip4/127.0.0.1/tcp/1/p2p/12D3".into()],
            peers: vec![peer],
        }
    }

    fn traffic(&self) -> Traffic {
        Traffic { received: 700, sent: 70 }
    }

    fn price(&self) -> api_types::Price {
        let tip = self.snapshot();
        api_types::Price {
            network: NETWORK,
            anchor: tip.id,
            height: tip.height(),
            time: tip.header.time,
            name_multiplier: tip.header.name_price,
            byte_multiplier: tip.header.byte_price,
            register: 1,
            register_5: 2,
            register_4: 3,
            register_3: 4,
            update: 5,
            renew: 6,
            rescue: 7,
        }
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        let chain = self.chain.lock().unwrap();
        Arc::new(chain.snapshot_at(chain.tip_header().height).unwrap())
    }

    fn served(&self) -> Arc<Snapshot> {
        self.snapshot_at(self.snapshot().height() - 1).unwrap()
    }

    fn snapshot_at(&self, height: u32) -> Option<Arc<Snapshot>> {
        self.chain.lock().unwrap().snapshot_at(height).map(Arc::new)
    }

    fn pending_name(&self, name: &Name) -> bool {
        name.as_str() == "waiting"
    }

    fn pending_commitment(&self, commitment: &Hash) -> bool {
        *commitment == commitment_of(&name("waiting"))
    }

    fn block(&self, id: &Hash) -> Result<Option<(StoredHeader, Block, bool)>, StorageError> {
        let Some(stored) = self.storage.header(id)? else { return Ok(None) };
        let first = self.first_block()?;
        if stored.header.height < first {
            return Err(StorageError::Pruned(first));
        }
        let block = read_block(NETWORK, &*self.storage, stored.at)?;
        Ok(Some((stored, block, true)))
    }

    fn block_at(&self, height: u32) -> Result<Option<(StoredHeader, Block, bool)>, StorageError> {
        self.storage.active(height)?.map_or(Ok(None), |id| self.block(&id))
    }

    fn header_at(&self, height: u32) -> Result<Option<StoredHeader>, StorageError> {
        self.storage.active(height)?.map_or(Ok(None), |id| self.storage.header(&id))
    }

    fn header(&self, id: &Hash) -> Result<Option<(StoredHeader, bool)>, StorageError> {
        Ok(self.storage.header(id)?.map(|stored| (stored, true)))
    }

    fn first_block(&self) -> Result<u32, StorageError> {
        Ok(self.first_block.load(Ordering::Relaxed))
    }

    fn history_heights(&self, key: &Hash) -> Result<Vec<u32>, StorageError> {
        self.storage.touched(key)
    }

    fn place(&self, height: u32, against: u32) -> Result<Option<HistoryProof>, StorageError> {
        let node = |position| self.storage.history(position).unwrap();
        Ok(HistoryProof::make(u64::from(height), u64::from(against), node))
    }

    fn template(&self) -> Result<api_types::MiningTemplate, api_types::Refusal> {
        let now = self.now();
        let chain = self.chain.lock().unwrap();
        let header = chain.assemble_block(std::iter::empty(), now).unwrap().header;
        Ok(api_types::MiningTemplate::from_header(NETWORK, &header, 2, 0, true))
    }

    fn mined(&self, header: Header) -> Result<api_types::MinedBlock, api_types::Refusal> {
        let (id, height) = (header.id(NETWORK), header.height);
        let block = Block { header, operations: Vec::new() };
        let now = self.now();
        match self.chain.lock().unwrap().accept(&block, now, true) {
            Ok(_) => Ok(api_types::MinedBlock { id, height, tip: true }),
            Err(error) => Err(api_types::Refusal {
                code: "rule".into(),
                rule: None,
                message: error.to_string(),
                hint: None,
            }),
        }
    }

    fn submit(&self, operation: Operation) -> Result<api_types::Submitted, api_types::Refusal> {
        if let Some(arrived) = self.arrived.lock().unwrap().take() {
            arrived.send(()).unwrap();
        }
        if let Some(gate) = self.gate.lock().unwrap().take() {
            gate.blocking_recv().unwrap();
        }
        match self.refusal.lock().unwrap().take() {
            Some(refusal) => Err(refusal),
            None => Ok(api_types::Submitted {
                id: operation.id(NETWORK),
                height: self.snapshot().height(),
            }),
        }
    }
}

/// A server on a free port of loopback and on an admin socket, with a node behind it.
pub(super) struct Bench {
    home: tempfile::TempDir,
    pub(super) node: Arc<MemoryNode>,
    pub(super) addr: SocketAddr,
    pub(super) stop: oneshot::Sender<()>,
    pub(super) server: JoinHandle<std::io::Result<()>>,
}

/// What the server said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Checks that it is a refusal of this status and code, with a message fit for a terminal.
    #[track_caller]
    pub(super) fn refuses(&self, status: u16, code: &str) -> api_types::Refusal {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.head.contains("content-type: application/json"), "{self:?}");
        let refusal: api_types::Refusal = self.json();
        assert_eq!(refusal.code, code);
        assert!(!refusal.message.is_empty() && !refusal.message.contains(char::is_control));
        refusal
    }
}

impl Bench {
    pub(super) async fn start() -> Self {
        Self::start_with(Extension::default()).await
    }

    pub(super) async fn start_with(extension: Extension) -> Self {
        let node = MemoryNode::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let home = tempfile::tempdir().unwrap();
        let admin = AdminSocket::bind(&home.path().join(ADMIN_SOCKET)).await.unwrap();
        let listeners = Listeners { http: Some(listener), admin: Some(admin) };
        let (stop, stopped) = oneshot::channel();
        let shutdown = async move { stopped.await.unwrap() };
        let server = tokio::spawn(serve(
            listeners,
            node.clone(),
            extension,
            vec!["node-1".to_owned()],
            shutdown,
        ));
        Bench { home, node, addr, stop, server }
    }

    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    /// Sends a request as it is and reads until the server closes the connection.
    pub(super) async fn raw(&self, request: &[u8]) -> Answer {
        raw(self.addr, request).await
    }

    pub(super) async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: &[u8],
    ) -> Answer {
        request(self.addr, method, path, headers, body).await
    }

    /// The admin socket.
    pub(super) fn admin_path(&self) -> PathBuf {
        self.home.path().join(ADMIN_SOCKET)
    }

    /// A request on the admin socket.
    pub(super) async fn admin(
        &self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: &[u8],
    ) -> Answer {
        request_at(&self.admin_path(), method, path, headers, body).await
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], b"").await
    }

    pub(super) async fn post(&self, body: &str) -> Answer {
        post(self.addr, body).await
    }

    pub(super) async fn submit(&self, operation: &Operation) -> Answer {
        submit(self.addr, operation).await
    }
}

async fn raw(addr: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(request).await.unwrap();
    read_to_end(stream).await
}

pub(super) async fn request(
    addr: SocketAddr,
    method: &str,
    path: &str,
    headers: &[&str],
    body: &[u8],
) -> Answer {
    raw(addr, &message(&addr.to_string(), method, path, headers, body)).await
}

/// A request on the admin socket at `socket`.
pub(super) async fn request_at(
    socket: &Path,
    method: &str,
    path: &str,
    headers: &[&str],
    body: &[u8],
) -> Answer {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    stream.write_all(&message("localhost", method, path, headers, body)).await.unwrap();
    read_to_end(stream).await
}

/// A request in bytes. A Host among `headers` takes the place of `host`.
fn message(host: &str, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|header| header.starts_with("Host:")) {
        head += &format!("Host: {host}\r\n");
    }
    for header in headers {
        head += &format!("{header}\r\n");
    }
    head += &format!("Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

async fn post(addr: SocketAddr, body: &str) -> Answer {
    request(addr, "POST", "/v1/ops", &["Content-Type: application/json"], body.as_bytes()).await
}

pub(super) async fn submit(addr: SocketAddr, operation: &Operation) -> Answer {
    post(addr, &format!("{{\"operation\": \"{}\"}}", hex::encode(operation.to_bytes()))).await
}

pub(super) async fn read_to_end(mut stream: impl AsyncRead + Unpin) -> Answer {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) =
        text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer but {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_lowercase(), body: body.into() }
}
