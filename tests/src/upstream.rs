//! Upstreams that a test owns: one that counts what it is asked, and DNS messages by hand.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// An upstream that answers every question with an A record of 203.0.113.99, over UDP, and keeps
/// what it was asked.
pub struct Counting {
    asked: Arc<Mutex<Vec<String>>>,
    /// Where it answers.
    pub addr: SocketAddr,
}

impl Counting {
    /// Starts it on a free port; it ends with the process.
    ///
    /// # Panics
    /// If it can't listen.
    pub fn start() -> Counting {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let addr = socket.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        thread::spawn(move || {
            let mut packet = [0; 4_096];
            while let Ok((len, from)) = socket.recv_from(&mut packet) {
                let Some((name, _)) = question(&packet[..len]) else { continue };
                let Some(answer) = answer(&packet[..len], [203, 0, 113, 99]) else { continue };
                // With this question a resolver finds out whether it passes DNSSEC on; it is
                // nobody's.
                if name != "." {
                    kept.lock().expect("nobody panics with it").push(name);
                }
                // The asker may be gone.
                let _ = socket.send_to(&answer, from);
            }
        });
        Counting { asked, addr }
    }

    /// The names that it was asked for so far but for the root, in lower case, with their final
    /// dot.
    ///
    /// # Panics
    /// If its thread did.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("nobody panics with it").clone()
    }
}

/// The answer to a question: this address, for a minute.
pub fn answer(packet: &[u8], address: [u8; 4]) -> Option<Vec<u8>> {
    let (_, end) = question(packet)?;
    let mut answer = packet[..end].to_vec();
    // A response, recursion available, one question, one answer; the EDNS of the question is left
    // out.
    answer[2] = 0x80 | (answer[2] & 0x01);
    answer[3] = 0x80;
    answer[6..12].copy_from_slice(&[0, 1, 0, 0, 0, 0]);
    answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
    answer.extend_from_slice(&address);
    Some(answer)
}

/// The name of the first question, and where the question ends.
fn question(packet: &[u8]) -> Option<(String, usize)> {
    let mut at = 12;
    let mut name = String::new();
    loop {
        let len = usize::from(*packet.get(at)?);
        if len == 0 {
            break;
        }
        name.push_str(
            &String::from_utf8_lossy(packet.get(at + 1..at + 1 + len)?).to_ascii_lowercase(),
        );
        name.push('.');
        at += 1 + len;
    }
    let end = at + 5;
    (end <= packet.len()).then(|| (if name.is_empty() { ".".to_owned() } else { name }, end))
}

/// A query: recursion desired, class IN, no EDNS. `name` has no escapes.
pub fn query(id: u16, name: &str, rtype: u16) -> Vec<u8> {
    let mut packet = id.to_be_bytes().to_vec();
    packet.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.').filter(|label| !label.is_empty()) {
        packet.push(label.len() as u8);
        packet.extend_from_slice(label.as_bytes());
    }
    packet.push(0);
    packet.extend_from_slice(&rtype.to_be_bytes());
    packet.extend_from_slice(&[0, 1]);
    packet
}

/// Asks `server` for the A records of `name` over UDP, once; the answer, if one comes within five
/// seconds.
pub fn ask(server: SocketAddr, name: &str) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
    socket.connect(server).ok()?;
    socket.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    socket.send(&query(0x4a5b, name, 1)).ok()?;
    let mut answer = vec![0; 4_096];
    loop {
        let length = socket.recv(&mut answer).ok()?;
        if length >= 12 && answer[..2] == [0x4a, 0x5b] {
            answer.truncate(length);
            return Some(answer);
        }
    }
}

/// Whether `server` answers a question for the SOA of `name` over UDP within half a second.
pub fn probe(server: SocketAddr, name: &str) -> bool {
    let Ok(socket) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)) else { return false };
    let mut answer = [0; 512];
    socket.set_read_timeout(Some(Duration::from_millis(500))).is_ok()
        && socket.send_to(&query(0x7e57, name, 6), server).is_ok()
        && socket
            .recv_from(&mut answer)
            .is_ok_and(|(len, from)| from == server && len >= 12 && answer[..2] == [0x7e, 0x57])
}

/// Something between a resolver and its upstream that passes datagrams on, to one server and later
/// to another.
pub struct Relay {
    to: Arc<Mutex<SocketAddr>>,
    /// Where it takes them.
    pub addr: SocketAddr,
}

impl Relay {
    /// Starts it on a free port; it ends with the process.
    ///
    /// # Panics
    /// If it can't listen.
    pub fn start(to: SocketAddr) -> Relay {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let addr = socket.local_addr().expect("an address");
        let to = Arc::new(Mutex::new(to));
        let target = Arc::clone(&to);
        thread::spawn(move || {
            let mut packet = [0; 4_096];
            while let Ok((len, from)) = socket.recv_from(&mut packet) {
                let (query, server) =
                    (packet[..len].to_vec(), *target.lock().expect("nobody panics with it"));
                let Ok(back) = socket.try_clone() else { continue };
                thread::spawn(move || pass_on(&query, server, from, &back));
            }
        });
        Relay { to, addr }
    }

    /// From now on to another server.
    ///
    /// # Panics
    /// If its thread did.
    pub fn lead_to(&self, server: SocketAddr) {
        *self.to.lock().expect("nobody panics with it") = server;
    }
}

fn pass_on(query: &[u8], server: SocketAddr, from: SocketAddr, back: &UdpSocket) {
    let mut answer = [0; 4_096];
    let mut asked = || -> std::io::Result<usize> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(server)?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        socket.send(query)?;
        socket.recv(&mut answer)
    };
    if let Ok(length) = asked() {
        // The asker may be gone.
        let _ = back.send_to(&answer[..length], from);
    }
}

/// Asks `server` over TCP as a validator does: RD, CD and DO. The answer, if one comes within five
/// seconds.
pub fn ask_for_proof(server: SocketAddr, question: &[u8]) -> Option<Vec<u8>> {
    let mut query = vec![0x4a, 0x5b, 1, 0x10, 0, 1, 0, 0, 0, 0, 0, 1];
    query.extend_from_slice(question);
    query.extend_from_slice(&[0, 0, 41, 0x10, 0, 0, 0, 0x80, 0, 0, 0]);
    let mut stream = TcpStream::connect(server).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let length = u16::try_from(query.len()).ok()?;
    stream.write_all(&[&length.to_be_bytes(), query.as_slice()].concat()).ok()?;
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).ok()?;
    Some(answer)
}
