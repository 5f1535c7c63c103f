//! Ordinary clients that send queries during a fault, and what they see.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::common::{
    clock::{now, quantile},
    load::query,
    servers::ZONE,
    state,
};

/// Clients over UDP, each with one query at a time.
const CLIENTS: usize = 16;
/// A client's pause after a response.
const PAUSE: Duration = Duration::from_millis(8);
/// After this time a query counts as lost. Stub resolvers wait five seconds.
const PATIENCE: Duration = Duration::from_secs(5);
/// The number of cached names.
pub const KNOWN: usize = 200;
/// The upstream's answer for every name (`common/responder.rs`).
const TRUTH: [u8; 4] = [192, 0, 2, 1];

/// The kind of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum About {
    /// A legacy name with a cached answer.
    Known,
    /// A name of the chain.
    Chain,
    /// A legacy name that was not queried before.
    New,
    /// A cached name, over TCP, each on a connection of its own.
    Tcp,
}

impl About {
    fn words(self) -> &'static str {
        match self {
            About::Known => "known names",
            About::Chain => "chain names",
            About::New => "new names",
            About::Tcp => "known names, TCP",
        }
    }
}

/// What the clients saw.
#[derive(Clone, Debug, Default)]
pub struct Telemetry {
    /// Latencies in milliseconds.
    pub took: Vec<f64>,
    /// Queries without a response.
    pub lost: usize,
    /// SERVFAIL responses.
    pub failed: usize,
    /// Wrong answers.
    pub wrong: usize,
}

/// The results by kind of query.
pub type AllSeen = BTreeMap<About, Telemetry>;

/// The clients.
pub struct Others {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<AllSeen>>,
}

/// A legacy name that is queried at the start.
pub fn known(number: usize) -> String {
    format!("host-{}.example.com", number % KNOWN)
}

/// Queries all names that have to be cached.
pub fn warm(server: SocketAddr) {
    for number in 0..KNOWN {
        crate::common::load::ask_once(server, &known(number), PATIENCE);
    }
}

impl Others {
    /// Starts them. `names` are on the chain.
    pub fn start(server: SocketAddr, names: u32) -> Others {
        let over = Arc::new(AtomicBool::new(false));
        let next = Arc::new(AtomicUsize::new(0));
        let mut threads = Vec::new();
        for _ in 0..CLIENTS {
            let (over, next) = (over.clone(), next.clone());
            threads.push(thread::spawn(move || ask_udp(server, names, &over, &next)));
        }
        let (stop, next) = (over.clone(), next);
        threads.push(thread::spawn(move || ask_tcp(server, &stop, &next)));
        Others { over, threads }
    }

    /// Ends them; returns what they saw.
    pub fn end(self) -> AllSeen {
        self.over.store(true, Ordering::SeqCst);
        let mut all = AllSeen::new();
        for thread in self.threads {
            for (about, seen) in thread.join().expect("a client does not panic") {
                let sum = all.entry(about).or_default();
                sum.took.extend(seen.took);
                sum.lost += seen.lost;
                sum.failed += seen.failed;
                sum.wrong += seen.wrong;
            }
        }
        all
    }
}

fn ask_udp(server: SocketAddr, names: u32, over: &AtomicBool, next: &AtomicUsize) -> AllSeen {
    let mut all = AllSeen::new();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    socket.connect(server).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket option");
    let mut buffer = [0; 4_096];
    while !over.load(Ordering::SeqCst) {
        let number = next.fetch_add(1, Ordering::SeqCst);
        let (about, name) = match number % 10 {
            0 => (About::New, format!("late-{number}.example.org")),
            1..=3 => {
                let at = (number as u32).wrapping_mul(2_654_435_761) % names.max(1);
                (About::Chain, format!("{}.{ZONE}", state::name(at)))
            }
            _ => (About::Known, known(number)),
        };
        let question = query(number as u16, &name);
        let start = now();
        let seen = all.entry(about).or_default();
        if socket.send(&question).is_err() {
            seen.lost += 1;
            continue;
        }
        loop {
            match socket.recv(&mut buffer) {
                Ok(length) if length >= 12 && buffer[..2] == question[..2] => {
                    seen.took.push(start.elapsed().as_secs_f64() * 1_000.0);
                    judge(&buffer[..length], about, seen);
                    break;
                }
                Ok(_) => {}
                Err(_) => {
                    seen.lost += 1;
                    break;
                }
            }
        }
        thread::sleep(PAUSE);
    }
    all
}

fn ask_tcp(server: SocketAddr, over: &AtomicBool, next: &AtomicUsize) -> AllSeen {
    let mut all = AllSeen::new();
    while !over.load(Ordering::SeqCst) {
        let number = next.fetch_add(1, Ordering::SeqCst);
        let question = query(number as u16, &known(number));
        let seen = all.entry(About::Tcp).or_default();
        let start = now();
        match over_tcp(server, &question) {
            Some(answer) => {
                seen.took.push(start.elapsed().as_secs_f64() * 1_000.0);
                judge(&answer, About::Tcp, seen);
            }
            None => seen.lost += 1,
        }
        thread::sleep(PAUSE);
    }
    all
}

/// Sends a query over TCP, on a connection of its own.
pub fn over_tcp(server: SocketAddr, question: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let length = u16::try_from(question.len()).ok()?.to_be_bytes();
    stream.write_all(&[&length, question].concat()).ok()?;
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).ok()?;
    (answer.len() >= 12).then_some(answer)
}

/// Whether the answer is right: the address that the only upstream has for every name, or any that
/// the chain has.
fn judge(answer: &[u8], about: About, seen: &mut Telemetry) {
    match answer[3] & 0x0f {
        0 if about == About::Chain => seen.wrong += usize::from(answer[7] == 0),
        0 => seen.wrong += usize::from(!answer.windows(4).any(|bytes| bytes == TRUTH)),
        2 => seen.failed += 1,
        _ => seen.wrong += 1,
    }
}

/// Prints the head of the table.
pub fn head() {
    println!(
        "| what goes wrong | the others ask for | questions | lost | SERVFAIL | wrong | p50 ms | p99 ms | most ms |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
}

/// The rows of one fault.
pub fn rows(what: &str, all: &AllSeen) {
    for (about, seen) in all {
        let at = |part| {
            quantile(&seen.took, part).map_or_else(|| "-".to_owned(), |ms| format!("{ms:.2}"))
        };
        println!(
            "| {what} | {} | {} | {} | {} | {} | {} | {} | {} |",
            about.words(),
            seen.took.len() + seen.lost,
            seen.lost,
            seen.failed,
            seen.wrong,
            at(0.5),
            at(0.99),
            at(1.0),
        );
    }
}
