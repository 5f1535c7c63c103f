//! What others hold of the network.

use std::{
    net::IpAddr,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use libp2p::Multiaddr;
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    ban_list::{Ban, BanError, BanTarget},
    bandwidth::Bytes,
};
use namechain_core::sync::{Action, Peer};

/// What the task is told.
pub(super) enum Command {
    /// Carry an action out.
    Act(Action),
    /// Change whom the operator has banned.
    ChangeBans(BanChange, oneshot::Sender<Result<usize, BanError>>),
    /// Say who is banned.
    ListBans(oneshot::Sender<Vec<Ban>>),
    /// Shut down; the sender is dropped when it is done.
    Stop(oneshot::Sender<()>),
}

/// What the operator wants of the bans.
#[derive(Debug)]
pub(super) enum BanChange {
    /// A ban, until a time in seconds of Unix time, or for good.
    Add(BanTarget, Option<u64>),
    /// The end of one, or of all.
    Lift(Option<BanTarget>),
}

/// A connected peer, as the network's shell sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerInfo {
    /// The number under which [`namechain_core::sync`] knows it.
    pub peer: Peer,
    /// Its identity: the hash of its public key, in base58.
    pub id: String,
    /// Where it is.
    pub address: String,
    /// Where it is, as an IP address.
    pub ip: Option<IpAddr>,
    /// Whether we dialled it.
    pub outbound: bool,
    /// Since when, in seconds of Unix time.
    pub since: u64,
    /// Whether the connection carries blocks only.
    pub block_only: bool,
    /// The shortest answer to a ping, in milliseconds; `None` until there was one.
    pub latency_ms: Option<u64>,
    /// When it was last the first to bring a block, in seconds of Unix time.
    pub last_block: Option<u64>,
    /// GossipSub's score of it; below zero it is at a disadvantage.
    pub gossip_score: f64,
}

/// How much went over the wire since the start, and with how many peers we are connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes received, within streams.
    pub bytes_in: u64,
    /// Bytes sent, within streams.
    pub bytes_out: u64,
    /// Peers that dialled us.
    pub inbound: usize,
    /// Peers that we dialled.
    pub outbound: usize,
}

/// What the task shows.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub bytes: Arc<Bytes>,
    inbound: AtomicUsize,
    outbound: AtomicUsize,
    peers: RwLock<Arc<Vec<PeerInfo>>>,
    addresses: RwLock<Vec<Multiaddr>>,
    /// Why the network's task has ended without being told to.
    failed: watch::Sender<Option<String>>,
}

impl Shared {
    pub fn traffic(&self) -> Traffic {
        Traffic {
            bytes_in: self.bytes.received(),
            bytes_out: self.bytes.sent(),
            inbound: self.inbound.load(Ordering::Relaxed),
            outbound: self.outbound.load(Ordering::Relaxed),
        }
    }

    /// The network's task has ended without being told to.
    pub fn set_failed(&self, why: &str) {
        self.failed.send_replace(Some(why.to_owned()));
    }

    pub fn set_peers(&self, peers: Vec<PeerInfo>, inbound: usize, outbound: usize) {
        self.inbound.store(inbound, Ordering::Relaxed);
        self.outbound.store(outbound, Ordering::Relaxed);
        *self.peers.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(peers);
    }

    pub fn set_addresses(&self, addresses: Vec<Multiaddr>) {
        *self.addresses.write().unwrap_or_else(PoisonError::into_inner) = addresses;
    }
}

/// What others hold of the network. It runs until [`NetHandle::stop`], or until the last handle is
/// gone.
#[derive(Clone, Debug)]
pub struct NetHandle {
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
    id: Arc<str>,
}

/// Whether the network carries an action out.
fn is_ours(action: &Action) -> bool {
    match action {
        Action::SendRequest { .. }
        | Action::ReportAcceptance { .. }
        | Action::BroadcastBlock(_)
        | Action::BroadcastOperation(_)
        | Action::Disconnect { .. }
        | Action::DialExtraPeer
        | Action::Ban { .. } => true,
        Action::RunJob { .. }
        | Action::ConnectBlock { .. }
        | Action::SubmitOperation(_)
        | Action::ParkChain { .. } => false,
    }
}

impl NetHandle {
    /// A handle of a network that takes its commands from the other end of `commands`.
    pub(super) fn new(commands: mpsc::Sender<Command>, shared: Arc<Shared>, id: Arc<str>) -> Self {
        NetHandle { commands, shared, id }
    }

    /// Carries an action out, and hands back one that is not the network's ([`Action::RunJob`],
    /// `Connect`, `Submit`, `ParkChain`). Does nothing once the network has stopped. Waits for room
    /// in the queue: for threads.
    ///
    /// # Panics
    /// In an asynchronous task, which uses [`NetHandle::post`].
    pub fn send(&self, action: Action) -> Option<Action> {
        if !is_ours(&action) {
            return Some(action);
        }
        // An error: the network has stopped.
        let _ = self.commands.blocking_send(Command::Act(action));
        None
    }

    /// The same, for tasks.
    pub async fn post(&self, action: Action) -> Option<Action> {
        if !is_ours(&action) {
            return Some(action);
        }
        let _ = self.commands.send(Command::Act(action)).await;
        None
    }

    /// All bans: the operator's, then those for misbehavior. Empty once the network has stopped.
    /// For threads, as all that follows about bans: in an asynchronous task it panics.
    pub fn bans(&self) -> Vec<Ban> {
        let (reply, answer) = oneshot::channel();
        if self.commands.blocking_send(Command::ListBans(reply)).is_err() {
            return Vec::new();
        }
        answer.blocking_recv().unwrap_or_default()
    }

    /// Bans an identity or a subnet until a time in seconds of Unix time, or for good; kept over a
    /// restart. Whoever is connected and meant is disconnected.
    pub fn ban(&self, target: BanTarget, until: Option<u64>) -> Result<(), BanError> {
        self.change_bans(BanChange::Add(target, until)).map(|_| ())
    }

    /// Lifts the ban of `target`, or all bans. Gives how many there were.
    pub fn lift_bans(&self, target: Option<BanTarget>) -> Result<usize, BanError> {
        self.change_bans(BanChange::Lift(target))
    }

    fn change_bans(&self, change: BanChange) -> Result<usize, BanError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.commands.blocking_send(Command::ChangeBans(change, reply));
        sent.map_err(|_| BanError::NoNetwork)?;
        answer.blocking_recv().map_err(|_| BanError::NoNetwork)?
    }

    /// Our own identity, in base58.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where we listen, with the ports that we got and our identity: what others dial.
    pub fn addresses(&self) -> Vec<Multiaddr> {
        self.shared.addresses.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Who is connected, at most a second old, by number.
    pub fn peers(&self) -> Arc<Vec<PeerInfo>> {
        self.shared.peers.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why the network has ended without being told to, if it has.
    pub fn failed(&self) -> Option<String> {
        self.shared.failed.borrow().clone()
    }

    /// Waits until the network has ended without being told to. Pending as long as all is well.
    pub async fn wait_failed(&self) -> String {
        let mut failed = self.shared.failed.subscribe();
        match failed.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            // It can't be: the sender is in what this handle holds.
            Err(_) => "the network is gone".to_owned(),
        }
    }

    /// What went over the wire.
    pub fn traffic(&self) -> Traffic {
        self.shared.traffic()
    }

    /// Says shutdown, keeps the address book, and ends the network. Returns when it has ended.
    pub async fn stop(&self) {
        let (done, ended) = oneshot::channel();
        if self.commands.send(Command::Stop(done)).await.is_ok() {
            // An error is what it ends with.
            let _ = ended.await;
        }
    }
}
