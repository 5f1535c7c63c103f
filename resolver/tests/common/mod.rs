//! What the tests of this crate share: a chain made of given zones, a server on a free port, an
//! upstream with programmed replies, and clients that send bytes.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use hickory_proto::{
    op::{Edns, Message, MessageType, Metadata, OpCode, Query},
    rr::{Name, RecordType},
};
use namechain_core::{
    chain::ReadError,
    types::{Hash, Name as ChainName, Network, Record, RecordSet},
};
use resolver::{
    chain::{
        ChainError, ChainSource, Inactive, NameState, marks::ChainMarks, mount::Mounts, zone::Zone,
    },
    dns::names,
    dnssec::sign::Signer,
    os::clock::Clock,
    resolve::{Delegation, Pipeline},
    server::{
        Bound, Server, Udp, bind,
        responder::{Clients, Responder},
    },
    upstream::{Upstreams, UpstreamsConfig},
};

/// How long a test waits for an expected response.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A chain of given names. `broken` can't be read.
#[derive(Default)]
pub struct Names(HashMap<String, NameState>, ChainMarks);

impl Names {
    /// Adds a name with records: owner with dots, type, RDATA in wire form.
    pub fn with(mut self, name: &str, records: &[(&str, u16, Vec<u8>)]) -> Self {
        self.0.insert(name.into(), NameState::Active(zone(name, records)));
        self
    }

    /// Sets the marks of answers.
    pub fn marked(mut self, marks: ChainMarks) -> Self {
        self.1 = marks;
        self
    }

    /// Adds a name that was changed above the fork from a held chain.
    pub fn contested(mut self, name: &str, fork: u32) -> Self {
        self.0.insert(name.into(), NameState::Contested { fork });
        self
    }

    /// Adds a registered name that does not resolve.
    pub fn inactive(mut self, name: &str, why: Inactive) -> Self {
        self.0.insert(name.into(), NameState::Inactive(zone(name, &[]), why));
        self
    }
}

/// A zone from records as [`Names::with`] takes them.
pub fn zone(name: &str, records: &[(&str, u16, Vec<u8>)]) -> Arc<Zone> {
    let records = records
        .iter()
        .map(|(at, rtype, rdata)| Record {
            owner: names::from_labels(
                at.split('.').filter(|label| !label.is_empty()).map(str::as_bytes),
            ),
            rtype: *rtype,
            ttl: 60,
            rdata: rdata.clone(),
        })
        .collect();
    Arc::new(Zone::of(ChainName::parse(name).unwrap(), 7, &RecordSet::new(records).unwrap()))
}

/// A name in wire form.
pub fn dname(dotted: &str) -> Vec<u8> {
    names::from_labels(dotted.split('.').filter(|label| !label.is_empty()).map(str::as_bytes))
}

#[async_trait]
impl ChainSource for Names {
    async fn lookup(&self, name: &ChainName) -> Result<NameState, ChainError> {
        if name.as_str() == "broken" {
            return Err(ReadError::Gone { key: Hash::ZERO, height: 3 }.into());
        }
        Ok(self.0.get(name.as_str()).cloned().unwrap_or(NameState::Unregistered))
    }

    fn marks(&self) -> ChainMarks {
        self.1
    }

    fn network(&self) -> Option<Network> {
        Some(Network::Dev)
    }
}

/// A running resolver.
pub struct Resolver {
    pub address: SocketAddr,
    pub server: Server,
}

/// The parameters of a test.
pub struct Setup {
    pub upstreams: Vec<SocketAddr>,
    pub mounts: Mounts,
    pub delegation_port: u16,
    /// Threads of the fast path; `None`: as many as there are cores.
    pub workers: Option<usize>,
    /// The signer.
    pub signer: Option<Signer>,
}

impl Default for Setup {
    fn default() -> Self {
        Setup {
            upstreams: Vec::new(),
            mounts: Mounts::BOTH,
            delegation_port: 53,
            workers: None,
            signer: None,
        }
    }
}

impl Setup {
    /// Starts a resolver over `chain` at a free port.
    pub fn start(self, chain: impl ChainSource) -> Resolver {
        self.start_at(bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap(), chain)
    }

    /// Starts a resolver over `chain`.
    pub fn start_at(self, bound: Bound, chain: impl ChainSource) -> Resolver {
        let address = bound.address();
        let timeout = Duration::from_secs(3);
        let upstreams = self.upstreams.into_iter().map(Into::into).collect();
        let legacy = UpstreamsConfig { upstreams, timeout, ..UpstreamsConfig::default() };
        let (cache, clock) = (Arc::new(legacy.new_cache()), Arc::new(Clock::start()));
        let pipeline = Pipeline {
            mounts: self.mounts,
            root_policy: Default::default(),
            chain: Arc::new(chain),
            legacy: Upstreams::new(legacy, cache.clone(), clock.clone()).unwrap(),
            designated: Default::default(),
            delegation: Delegation { port: self.delegation_port, loopback: true },
            signer: self.signer.map(Arc::new),
        };
        let udp = self.workers.map_or_else(Udp::default, Udp::Fast);
        let server = Server::start_with(
            vec![bound],
            Responder::new(pipeline, cache, clock, Clients::default()),
            udp,
        );
        Resolver { address, server }
    }
}

/// A server of legacy DNS that replies to every query with what `reply` makes of it, and counts the
/// queries.
pub struct Upstream {
    pub address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Upstream {
    /// Starts it. `reply` gets a prepared response: id and question are set.
    pub fn start(reply: impl Fn(&Query, &mut Message) + Send + 'static) -> Self {
        Self::start_where_answered(move |query, answer| {
            reply(query, answer);
            true
        })
    }

    /// As [`Upstream::start`], but sends no response where `reply` returns false.
    pub fn start_where_answered(
        reply: impl Fn(&Query, &mut Message) -> bool + Send + 'static,
    ) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            while let Ok((len, from)) = socket.recv_from(&mut buffer) {
                let Ok(request) = Message::from_vec(&buffer[..len]) else { continue };
                count.fetch_add(1, Ordering::SeqCst);
                let mut answer = Message::response(request.metadata.id, OpCode::Query);
                answer.metadata = Metadata::response_from_request(&request.metadata);
                answer.metadata.recursion_available = true;
                answer.add_queries(request.queries.clone());
                if reply(&request.queries[0], &mut answer) {
                    socket.send_to(&answer.to_vec().unwrap(), from).unwrap();
                }
            }
        });
        Upstream { address, asked }
    }

    /// One that must not be queried: it does not reply, and counts.
    pub fn silent() -> Self {
        Self::start(|_, _| ())
    }

    /// The number of queries received.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// A query as a message. `edns`: the client's UDP payload size.
pub fn question(name: &str, qtype: u16, edns: Option<u16>) -> Message {
    let mut message = Message::new(4_711, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::from(qtype)));
    if let Some(size) = edns {
        let mut edns = Edns::new();
        edns.set_max_payload(size);
        message.set_edns(edns);
    }
    message
}

impl Resolver {
    /// Sends a query over UDP with EDNS.
    pub fn ask(&self, name: &str, qtype: u16) -> Message {
        self.udp(&question(name, qtype, Some(1_232)))
    }

    /// Sends a message over UDP and waits for the response.
    pub fn udp(&self, message: &Message) -> Message {
        let bytes = self.udp_bytes(&message.to_vec().unwrap()).expect("no answer");
        Message::from_vec(&bytes).unwrap()
    }

    /// Sends bytes over UDP and waits for a response.
    pub fn udp_bytes(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.send_to(bytes, self.address).unwrap();
        let mut buffer = vec![0; 65_535];
        let len = socket.recv(&mut buffer).ok()?;
        buffer.truncate(len);
        Some(buffer)
    }

    /// A new connection.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends a query over TCP.
    pub fn tcp(&self, message: &Message) -> Message {
        let mut stream = self.connect();
        send(&mut stream, &message.to_vec().unwrap());
        Message::from_vec(&receive(&mut stream).expect("no answer")).unwrap()
    }
}

/// Sends one message on a stream.
pub fn send(stream: &mut TcpStream, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    stream.write_all(&[&length, bytes].concat()).unwrap();
}

/// Receives one message from a stream; `None` when it is closed.
pub fn receive(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).ok()?;
    Some(message)
}

/// The answer section of a message, one line per record: owner, type, RDATA.
pub fn shown(message: &Message) -> Vec<String> {
    message.answers.iter().map(|r| format!("{} {} {}", r.name, r.record_type(), r.data)).collect()
}

/// The code and the text of the first extended error.
pub fn ede(message: &Message) -> Option<(u16, String)> {
    use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
    match message.edns.as_ref()?.option(EdnsCode::from(15))? {
        EdnsOption::Unknown(_, bytes) => Some((
            u16::from_be_bytes([bytes[0], bytes[1]]),
            String::from_utf8(bytes[2..].to_vec()).unwrap(),
        )),
        _ => None,
    }
}
