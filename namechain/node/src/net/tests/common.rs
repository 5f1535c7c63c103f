//! A node without a chain: it says hello, answers what it is told to, and keeps what it hears.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use tempfile::TempDir;
use tokio::{sync::mpsc, time::timeout};

use crate::net::{self, Multiaddr, NetConfig, NetHandle, Serve};
use namechain_core::{
    sync::{
        Action, Event, Peer, RequestId,
        message::{Hello, PROTOCOL_VERSION, Request, Response},
    },
    types::{Hash, Network},
};

/// How long anything here may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Answers with what it is given; what it is asked for is kept.
#[derive(Default)]
pub(crate) struct Fake {
    pub asked: Mutex<Vec<Request>>,
    pub answer: Mutex<Option<Response>>,
}

pub(crate) fn hello() -> Hello {
    Hello {
        version: PROTOCOL_VERSION,
        genesis: Hash([1; 32]),
        tip: Hash([2; 32]),
        height: 7,
        first_block: 0,
        work: 9,
        time: 1_800_000_000,
        agent: "fake".to_owned(),
    }
}

impl Serve for Fake {
    fn serve(&self, request: Request) -> Response {
        self.asked.lock().expect("no panic").push(request);
        self.answer.lock().expect("no panic").clone().unwrap_or(Response::Pending(Vec::new()))
    }

    fn hello(&self) -> Hello {
        hello()
    }
}

/// One node.
pub(crate) struct Node {
    pub net: NetHandle,
    pub fake: Arc<Fake>,
    events: mpsc::Receiver<Event>,
    seen: VecDeque<Event>,
    next: u64,
    pub dir: Arc<TempDir>,
}

/// How a test's node is set up: on loopback, on any free port.
pub(crate) fn config(dir: &Path) -> NetConfig {
    NetConfig {
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")],
        ..NetConfig::new(Network::Dev, dir.to_owned())
    }
}

impl Node {
    pub async fn start() -> Node {
        Node::with(|_| {}).await
    }

    pub async fn joining(others: &[&Node]) -> Node {
        let peers: Vec<Multiaddr> = others.iter().map(|other| other.address()).collect();
        Node::with(|config| config.peers = peers).await
    }

    pub async fn with(change: impl FnOnce(&mut NetConfig)) -> Node {
        let dir = Arc::new(tempfile::tempdir().expect("a directory"));
        Node::in_dir(dir, change).await
    }

    pub async fn in_dir(dir: Arc<TempDir>, change: impl FnOnce(&mut NetConfig)) -> Node {
        let mut config = config(dir.path());
        change(&mut config);
        let (sender, events) = mpsc::channel(64);
        let fake = Arc::new(Fake::default());
        let net = net::start(config, sender, fake.clone()).await.expect("started");
        Node { net, fake, events, seen: VecDeque::new(), next: 0, dir }
    }

    /// Where it listens first.
    pub fn address(&self) -> Multiaddr {
        self.net.addresses().into_iter().next().expect("it listens")
    }

    /// The next event that `wanted` makes something of; those before it are kept for later.
    pub async fn wait<T>(&mut self, what: &str, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        for at in 0..self.seen.len() {
            if let Some(found) = wanted(&self.seen[at]) {
                self.seen.remove(at);
                return found;
            }
        }
        let found = timeout(PATIENCE, async {
            loop {
                let event = self.events.recv().await.expect("the network runs");
                match wanted(&event) {
                    Some(found) => return found,
                    None => self.seen.push_back(event),
                }
            }
        });
        let found = found.await;
        found.unwrap_or_else(|_| panic!("no {what} came; there was {:?}", self.seen))
    }

    /// Whether no event has come that nobody has waited for.
    pub fn heard_nothing(&mut self) -> bool {
        self.seen.is_empty() && self.events.try_recv().is_err()
    }

    /// Waits until a peer is there.
    pub async fn connected(&mut self) -> Peer {
        self.wait("peer", |event| match event {
            Event::PeerConnected { peer, .. } => Some(*peer),
            _ => None,
        })
        .await
    }

    /// Waits until a peer is gone.
    pub async fn disconnected(&mut self, gone: Peer) {
        self.wait("end", |event| match event {
            Event::PeerDisconnected { peer } if *peer == gone => Some(()),
            _ => None,
        })
        .await;
    }

    /// Asks a peer; the answer comes as an event.
    pub async fn ask(&mut self, peer: Peer, request: Request) -> RequestId {
        let id = RequestId(self.next);
        self.next += 1;
        assert!(self.net.post(Action::SendRequest { peer, id, request }).await.is_none());
        id
    }

    /// Asks a peer and waits for its answer.
    pub async fn answer(&mut self, peer: Peer, request: Request) -> Response {
        let id = self.ask(peer, request).await;
        self.wait("answer", |event| match event {
            Event::ResponseReceived { request, response, .. } if *request == id => {
                Some(response.clone())
            }
            Event::RequestFailed { request, error, .. } if *request == id => panic!("{error:?}"),
            _ => None,
        })
        .await
    }

    /// Connected, and greeted both ways.
    pub async fn greet(&mut self) -> Peer {
        let peer = self.connected().await;
        assert_eq!(self.answer(peer, Request::Hello(hello())).await, Response::Hello(hello()));
        peer
    }
}
