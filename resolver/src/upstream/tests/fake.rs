//! An upstream whose every word a test writes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinHandle;

/// Datagrams to send, and to whom.
pub type Sent = Vec<(Vec<u8>, SocketAddr)>;

/// How a query came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    Udp,
    Tcp,
}

/// A query as the upstream saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub via: Via,
    pub from: SocketAddr,
    pub bytes: Vec<u8>,
}

impl Seen {
    /// The question as it came.
    pub fn question(&self) -> &[u8] {
        let end = self.bytes[12..].iter().position(|byte| *byte == 0).unwrap() + 12 + 5;
        &self.bytes[12..end]
    }

    /// Whether it is no client's question but one to find out whether this upstream leads back.
    pub fn looks_for_a_circle(&self) -> bool {
        crate::upstream::loop_detect::token(self.question()).is_some()
    }

    pub fn has_edns(&self) -> bool {
        self.bytes[11] == 1
    }
}

/// The upstream. It ends with the test.
pub struct Fake {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Fake {
    /// Starts one on a free port. `script` gets all queries so far, the last being the one to
    /// answer, and says what to send to whom; over TCP only the bytes count, and only the first.
    pub async fn start(script: impl Fn(&[Seen]) -> Sent + Send + Sync + 'static) -> Self {
        let (udp, tcp) = both_sockets().await;
        let mut fake = Self::udp_only(udp, script);
        let (seen, script) = (fake.seen.clone(), fake.script.clone());
        fake.fake.tasks.push(tokio::spawn(async move {
            while let Ok((mut stream, from)) = tcp.accept().await {
                let Ok(length) = stream.read_u16().await else { continue };
                let mut bytes = vec![0; usize::from(length)];
                if stream.read_exact(&mut bytes).await.is_err() {
                    continue;
                }
                let replies = hear(&seen, Seen { via: Via::Tcp, from, bytes }, &*script);
                if let Some((reply, _)) = replies.first() {
                    let framed = [&(reply.len() as u16).to_be_bytes(), &reply[..]].concat();
                    // A client that has gone away is none of the upstream's business.
                    stream.write_all(&framed).await.ok();
                }
            }
        }));
        fake.fake
    }

    /// One without TCP.
    pub async fn start_without_tcp(
        script: impl Fn(&[Seen]) -> Sent + Send + Sync + 'static,
    ) -> Self {
        let (udp, tcp) = both_sockets().await;
        drop(tcp);
        Self::udp_only(udp, script).fake
    }

    /// One that answers each query with what `reply` makes of it.
    pub async fn answering(reply: impl Fn(&Seen) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start(move |seen| {
            seen.last().map(|last| (reply(last), last.from)).into_iter().collect()
        })
        .await
    }

    /// One that never says a word.
    pub async fn silent() -> Self {
        Self::start(|_| Vec::new()).await
    }

    fn udp_only(
        udp: UdpSocket,
        script: impl Fn(&[Seen]) -> Sent + Send + Sync + 'static,
    ) -> Started {
        let (seen, script): (_, Script) = (Arc::<Mutex<Vec<Seen>>>::default(), Arc::new(script));
        let address = udp.local_addr().unwrap();
        let (heard, says) = (seen.clone(), script.clone());
        let task = tokio::spawn(async move {
            let mut buffer = [0; 2048];
            loop {
                let Ok((length, from)) = udp.recv_from(&mut buffer).await else { continue };
                let query = Seen { via: Via::Udp, from, bytes: buffer[..length].to_vec() };
                for (reply, to) in hear(&heard, query, &*says) {
                    udp.send_to(&reply, to).await.unwrap();
                }
            }
        });
        Started { fake: Self { address, seen: seen.clone(), tasks: vec![task] }, seen, script }
    }

    /// The queries so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// How many queries came, by UDP and by TCP.
    pub fn counts(&self) -> (usize, usize) {
        let seen = self.seen();
        let tcp = seen.iter().filter(|seen| seen.via == Via::Tcp).count();
        (seen.len() - tcp, tcp)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

type Script = Arc<dyn Fn(&[Seen]) -> Sent + Send + Sync>;

struct Started {
    fake: Fake,
    seen: Arc<Mutex<Vec<Seen>>>,
    script: Script,
}

fn hear(
    seen: &Mutex<Vec<Seen>>,
    query: Seen,
    script: &(dyn Fn(&[Seen]) -> Sent + Send + Sync),
) -> Sent {
    let mut seen = seen.lock().unwrap();
    seen.push(query);
    script(&seen)
}

/// UDP and TCP on one free port of the loopback interface.
async fn both_sockets() -> (UdpSocket, TcpListener) {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        // The port may be taken over UDP; then another one is tried.
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
}

/// An address at which nobody listens.
pub async fn closed() -> SocketAddr {
    let (udp, _tcp) = both_sockets().await;
    udp.local_addr().unwrap()
}
