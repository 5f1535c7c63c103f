//! Load: by dnsperf, as much as a server takes; by this program, one query at a time.

use std::{
    fs,
    io::{BufWriter, Write},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use super::{
    clock::{now, quantile},
    process::{CLIENT_CORE, Running, find, pinned},
};

/// A query with recursion desired, class IN, type A, no EDNS.
pub fn query(id: u16, name: &str) -> Vec<u8> {
    let mut packet = id.to_be_bytes().to_vec();
    packet.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.').filter(|label| !label.is_empty()) {
        packet.push(u8::try_from(label.len()).unwrap_or(u8::MAX));
        packet.extend_from_slice(label.as_bytes());
    }
    packet.extend_from_slice(&[0, 0, 1, 0, 1]);
    packet
}

/// Sends one query; the response, if one comes in time.
pub fn ask_once(server: SocketAddr, name: &str, patience: Duration) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
    socket.connect(server).ok()?;
    socket.set_read_timeout(Some(patience)).ok()?;
    let query = query(0x1d1d, name);
    socket.send(&query).ok()?;
    let mut answer = vec![0; 4_096];
    // Some of the servers here send other datagrams before.
    for _ in 0..16 {
        let length = socket.recv(&mut answer).ok()?;
        if length >= query.len()
            && answer[..2] == query[..2]
            && answer[12..query.len()] == query[12..]
        {
            answer.truncate(length);
            return Some(answer);
        }
    }
    None
}

/// A file of queries for dnsperf, one per line.
pub fn questions(dir: &Path, file: &str, names: impl Iterator<Item = String>) -> PathBuf {
    let path = dir.join(file);
    let mut out = BufWriter::new(fs::File::create(&path).expect("a file for the questions"));
    for name in names {
        writeln!(out, "{name} A").expect("room for the questions");
    }
    out.flush().expect("room for the questions");
    path
}

/// The result of a run of dnsperf.
#[derive(Clone, Copy, Debug, Default)]
pub struct Run {
    /// Queries that were answered.
    pub answered: u64,
    /// Queries that were not.
    pub lost: u64,
    /// Responses with another RCODE than NOERROR.
    pub not_noerror: u64,
    /// Duration in seconds.
    pub wall: f64,
    /// Processor time of the server in seconds.
    pub cpu: f64,
}

impl Run {
    /// Answers per second of the server's processor time.
    pub fn per_cpu_second(&self) -> f64 {
        self.answered as f64 / self.cpu
    }

    /// The share of a core that the server used.
    pub fn busy(&self) -> f64 {
        self.cpu / self.wall
    }
}

/// How dnsperf sends.
#[derive(Clone, Copy, Debug)]
pub struct Hardness {
    /// The most seconds; a run without repeats ends earlier with its queries.
    pub seconds: u64,
    /// Queries in flight.
    pub outstanding: u32,
    /// Whether the file is repeated.
    pub repeat: bool,
}

/// Sends the queries in `file` to `server` with dnsperf.
pub fn dnsperf(server: &Running, file: &Path, how: Hardness) -> Result<Run, String> {
    let program = find("dnsperf").ok_or("dnsperf is not installed")?;
    let mut command = pinned(CLIENT_CORE, &program);
    let (ip, port) = (server.address.ip().to_string(), server.address.port().to_string());
    command
        .args(["-s", &ip, "-p", &port, "-c", "16", "-T", "2", "-t", "3", "-b", "4096", "-W", "-d"])
        .arg(file);
    command.args(["-q", &how.outstanding.to_string(), "-l", &how.seconds.to_string()]);
    if !how.repeat {
        command.args(["-n", "1"]);
    }
    let before = server.cpu();
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    let cpu = server.cpu() - before;
    let text = String::from_utf8_lossy(&output.stdout);
    let field = |key: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(key))?;
        line.split_whitespace().next()?.parse::<f64>().ok()
    };
    let read = || {
        let codes =
            text.lines().find_map(|line| line.trim().strip_prefix("Response codes:")).unwrap_or("");
        let noerror =
            codes.split("NOERROR ").nth(1).and_then(|rest| rest.split_whitespace().next());
        let answered = field("Queries completed:")? as u64;
        Some(Run {
            answered,
            lost: field("Queries lost:")? as u64,
            not_noerror: answered - noerror.and_then(|count| count.parse().ok()).unwrap_or(0),
            wall: field("Run time (s):")?,
            cpu,
        })
    };
    read().ok_or_else(|| format!("dnsperf says: {text}"))
}

/// Sends `count` queries one after the other; their latencies in microseconds, median and 99th
/// percentile.
pub fn one_in_flight(server: SocketAddr, names: &[String], count: usize) -> Option<(f64, f64)> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
    socket.connect(server).ok()?;
    socket.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    let mut took = Vec::with_capacity(count);
    let mut buffer = [0; 4_096];
    for number in 0..count {
        let id = (number & 0xffff) as u16;
        let question = query(id, &names[number % names.len()]);
        let start = now();
        socket.send(&question).ok()?;
        loop {
            let length = socket.recv(&mut buffer).ok()?;
            if length >= 12 && buffer[..2] == id.to_be_bytes() {
                break;
            }
        }
        took.push(start.elapsed().as_nanos() as f64 / 1_000.0);
    }
    Some((quantile(&took, 0.5)?, quantile(&took, 0.99)?))
}
