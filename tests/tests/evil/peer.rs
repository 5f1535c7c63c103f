//! A peer whose every byte is the test's to choose: the engine's handshakes are real, what goes
//! over the streams is not checked by anybody.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher},
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, StreamExt};
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, gossipsub, identify,
    identity::Keypair,
    noise, ping, request_response,
    request_response::{Message, ProtocolSupport},
    swarm::{NetworkBehaviour, SwarmEvent, dial_opts::DialOpts},
    tcp, yamux,
};
use namechain_core::{
    codec::{Decode, Encode},
    consensus::{difficulty::header_work, header::genesis_of},
    sync::message::{Hello, PROTOCOL_VERSION, Request, Response},
    types::{Hash, Network},
};
use tests::wait;
use tokio::sync::mpsc;

/// Bytes on a stream, as they are, with a pause before each if it is said.
#[derive(Clone, Debug)]
pub struct Raw {
    pub bytes: Vec<u8>,
    pub pause: Option<Duration>,
}

impl Raw {
    /// A frame as it should be.
    pub fn frame(message: &impl Encode) -> Raw {
        let message = message.to_bytes();
        let length = (message.len() as u32).to_be_bytes();
        Raw::bytes([&length[..], &message].concat())
    }

    /// Any bytes.
    pub fn bytes(bytes: Vec<u8>) -> Raw {
        Raw { bytes, pause: None }
    }
}

#[derive(Clone)]
struct Streams;

impl request_response::Codec for Streams {
    type Protocol = StreamProtocol;
    type Request = Raw;
    type Response = Raw;

    async fn read_request<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Raw> {
        read(io).await
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Raw> {
        read(io).await
    }

    async fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        raw: Raw,
    ) -> io::Result<()> {
        write(io, raw).await
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        raw: Raw,
    ) -> io::Result<()> {
        write(io, raw).await
    }
}

/// One frame, without its length.
async fn read<T: AsyncRead + Unpin + Send>(io: &mut T) -> io::Result<Raw> {
    let mut length = [0; 4];
    io.read_exact(&mut length).await?;
    let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
    io.read_exact(&mut bytes).await?;
    Ok(Raw::bytes(bytes))
}

async fn write<T: AsyncWrite + Unpin + Send>(io: &mut T, raw: Raw) -> io::Result<()> {
    let Some(pause) = raw.pause else { return io.write_all(&raw.bytes).await };
    for byte in raw.bytes {
        tokio::time::sleep(pause).await;
        io.write_all(&[byte]).await?;
        io.flush().await?;
    }
    Ok(())
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    ping: ping::Behaviour,
    identify: identify::Behaviour,
    gossip: gossipsub::Behaviour,
    requests: request_response::Behaviour<Streams>,
}

/// How it answers: `None` is silence.
type Answers = Box<dyn Fn(&Request) -> Option<Raw> + Send>;

/// What it says and how it answers.
pub struct Manners {
    pub network: Network,
    pub answers: Answers,
}

/// A hello that an honest node of `network` with nothing but the genesis block would say.
pub fn hello(network: Network, genesis: Hash) -> Hello {
    let params = network.params();
    let work = header_work(params, &genesis_of(params).header);
    let time = std::time::UNIX_EPOCH.elapsed().expect("a clock after 1970").as_secs();
    Hello {
        version: PROTOCOL_VERSION,
        genesis,
        tip: genesis,
        height: 0,
        first_block: 0,
        work,
        time,
        agent: "evil".into(),
    }
}

/// Answers hello with `hello`, and everything else with nothing.
pub fn saying(hello: Hello) -> Answers {
    Box::new(move |request| {
        Some(Raw::frame(&match request {
            Request::Hello(_) => Response::Hello(hello.clone()),
            Request::Headers { .. } => Response::Headers(Vec::new()),
            Request::Blocks { .. } => Response::Blocks(Vec::new()),
            Request::BlockOperations { .. } | Request::Operations { .. } => {
                Response::Operations(Vec::new())
            }
            Request::Pending => Response::Pending(Vec::new()),
        }))
    })
}

enum Order {
    Dial(PeerId, Multiaddr),
    Ask(PeerId, Raw),
    Tell(String, Vec<u8>),
}

/// What has happened to it so far.
#[derive(Default)]
pub struct Seen {
    connected: AtomicUsize,
    closed: AtomicUsize,
    refused: AtomicUsize,
    busy: AtomicUsize,
    failed: AtomicUsize,
    answers: Mutex<Vec<Response>>,
    asked: Mutex<Vec<Request>>,
}

/// An evil peer.
pub struct Evil {
    /// Its identity.
    pub id: PeerId,
    orders: mpsc::UnboundedSender<Order>,
    seen: Arc<Seen>,
    network: Network,
}

impl Evil {
    /// Must be called in a runtime.
    pub fn new(manners: Manners) -> Evil {
        let (orders, inbox) = mpsc::unbounded_channel();
        let seen = Arc::new(Seen::default());
        let swarm = swarm(manners.network);
        let (id, network) = (*swarm.local_peer_id(), manners.network);
        tokio::spawn(run(swarm, manners, inbox, seen.clone()));
        Evil { id, orders, seen, network }
    }

    fn order(&self, order: Order) {
        self.orders.send(order).unwrap_or_else(|_| panic!("the evil peer has ended"));
    }

    /// Dials; what comes of it is seen later.
    pub fn dial(&self, id: PeerId, address: &Multiaddr) {
        self.order(Order::Dial(id, address.clone()));
    }

    /// Dials and waits until it is connected.
    pub fn connect(&self, id: PeerId, address: &Multiaddr) {
        let before = self.connected();
        self.dial(id, address);
        wait::until("a connection", || (self.connected() > before).then_some(()));
    }

    /// Asks, with any bytes.
    pub fn ask(&self, id: PeerId, raw: Raw) {
        self.order(Order::Ask(id, raw));
    }

    /// Tells everybody.
    pub fn tell(&self, topic: &str, message: Vec<u8>) {
        self.order(Order::Tell(format!("namechain/{}/{topic}/1", self.network), message));
    }

    /// How often it was connected.
    pub fn connected(&self) -> usize {
        self.seen.connected.load(Ordering::SeqCst)
    }

    /// How often it was hung up on.
    pub fn closed(&self) -> usize {
        self.seen.closed.load(Ordering::SeqCst)
    }

    /// How many of its dials came to nothing.
    pub fn refused(&self) -> usize {
        self.seen.refused.load(Ordering::SeqCst)
    }

    /// How many of its requests were answered with `Busy`.
    pub fn busy(&self) -> usize {
        self.seen.busy.load(Ordering::SeqCst)
    }

    /// How many of its requests failed.
    pub fn failed(&self) -> usize {
        self.seen.failed.load(Ordering::SeqCst)
    }

    /// What it was answered, but for `Busy`.
    pub fn answers(&self) -> Vec<Response> {
        self.seen.answers.lock().expect("no panic").clone()
    }

    /// What it was asked.
    pub fn asked(&self) -> Vec<Request> {
        self.seen.asked.lock().expect("no panic").clone()
    }

    /// Waits until it is hung up on.
    pub fn is_hung_up_on(&self) {
        wait::until("the end of a connection", || {
            (self.closed() >= self.connected()).then_some(())
        });
    }

    /// Waits until it is hung up on, and not let in again: the connection ends as soon as it has
    /// said who it is.
    pub fn is_banned_by(&self, id: PeerId, address: &Multiaddr) {
        self.is_hung_up_on();
        let (refused, closed) = (self.refused(), self.closed());
        self.dial(id, address);
        wait::until("a refusal", || {
            (self.refused() > refused || self.closed() > closed).then_some(())
        });
        assert!(self.closed() >= self.connected(), "it is connected again");
    }
}

fn swarm(network: Network) -> Swarm<Behaviour> {
    let behaviour = move |key: &Keypair| {
        let identify = identify::Config::new(format!("/namechain/{network}/1"), key.public());
        let gossip = gossipsub::ConfigBuilder::default()
            .protocol_id_prefix(format!("/namechain/{network}/gossip"))
            .validation_mode(gossipsub::ValidationMode::Anonymous)
            .message_id_fn(|message| {
                let mut hasher = DefaultHasher::new();
                (message.topic.as_str(), &message.data).hash(&mut hasher);
                gossipsub::MessageId::new(&hasher.finish().to_be_bytes())
            })
            .max_transmit_size(1 << 20)
            .connection_handler_queue_len(1 << 20)
            .publish_queue_duration(Duration::from_secs(60))
            .build()
            .expect("a configuration");
        let mut gossip =
            gossipsub::Behaviour::new(gossipsub::MessageAuthenticity::Anonymous, gossip)
                .expect("gossip");
        for what in ["blocks", "operations"] {
            let topic = gossipsub::IdentTopic::new(format!("namechain/{network}/{what}/1"));
            gossip.subscribe(&topic).expect("subscribed");
        }
        let protocol =
            StreamProtocol::try_from_owned(format!("/namechain/{network}/sync/1")).expect("a name");
        let config = request_response::Config::default()
            .with_request_timeout(Duration::from_secs(90))
            .with_max_concurrent_streams(100_000);
        Behaviour {
            ping: ping::Behaviour::default(),
            identify: identify::Behaviour::new(identify),
            gossip,
            requests: request_response::Behaviour::with_codec(
                Streams,
                [(protocol, ProtocolSupport::Full)],
                config,
            ),
        }
    };
    SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
        .expect("a transport")
        .with_behaviour(behaviour)
        .expect("a behaviour")
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(3_600)))
        .build()
}

async fn run(
    mut swarm: Swarm<Behaviour>,
    manners: Manners,
    mut inbox: mpsc::UnboundedReceiver<Order>,
    seen: Arc<Seen>,
) {
    loop {
        tokio::select! {
            order = inbox.recv() => match order {
                None => return,
                Some(order) => obey(&mut swarm, order, &seen),
            },
            event = swarm.select_next_some() => notice(&mut swarm, &manners, event, &seen),
        }
    }
}

fn obey(swarm: &mut Swarm<Behaviour>, order: Order, seen: &Seen) {
    match order {
        Order::Dial(id, address) => {
            let options =
                DialOpts::peer_id(id).addresses(vec![address]).allocate_new_port().build();
            if swarm.dial(options).is_err() {
                seen.refused.fetch_add(1, Ordering::SeqCst);
            }
        }
        Order::Ask(id, raw) => {
            if swarm.is_connected(&id) {
                swarm.behaviour_mut().requests.send_request(&id, raw);
            } else {
                seen.failed.fetch_add(1, Ordering::SeqCst);
            }
        }
        // Nobody has to be there to hear it.
        Order::Tell(topic, message) => {
            _ = swarm.behaviour_mut().gossip.publish(gossipsub::IdentTopic::new(topic), message);
        }
    }
}

fn notice(
    swarm: &mut Swarm<Behaviour>,
    manners: &Manners,
    event: SwarmEvent<BehaviourEvent>,
    seen: &Seen,
) {
    let count = |counter: &AtomicUsize| {
        counter.fetch_add(1, Ordering::SeqCst);
    };
    match event {
        SwarmEvent::ConnectionEstablished { .. } => count(&seen.connected),
        SwarmEvent::ConnectionClosed { .. } => count(&seen.closed),
        SwarmEvent::OutgoingConnectionError { .. } => count(&seen.refused),
        SwarmEvent::Behaviour(BehaviourEvent::Requests(event)) => match event {
            request_response::Event::Message {
                message: Message::Request { request, channel, .. },
                ..
            } => {
                let request =
                    Request::from_bytes(&request.bytes).expect("the node's requests can be read");
                if let Some(raw) = (manners.answers)(&request) {
                    // The node may be gone by now.
                    let _ = swarm.behaviour_mut().requests.send_response(channel, raw);
                } else {
                    // Silence: the stream stays open as long as the channel is there.
                    std::mem::forget(channel);
                }
                seen.asked.lock().expect("no panic").push(request);
            }
            request_response::Event::Message {
                message: Message::Response { response, .. },
                ..
            } => {
                match Response::from_bytes(&response.bytes).expect("the node's answers can be read")
                {
                    Response::Busy => count(&seen.busy),
                    answer => seen.answers.lock().expect("no panic").push(answer),
                }
            }
            request_response::Event::OutboundFailure { .. } => count(&seen.failed),
            _ => {}
        },
        _ => {}
    }
}
