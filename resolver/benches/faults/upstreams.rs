//! Upstreams that are slow, or that lie.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    thread,
    time::Duration,
};

use crate::common::responder::answer;

/// The delay of the slow one.
const SLOW: Duration = Duration::from_millis(300);
/// Datagrams that may wait for their slow answers.
const MAX_WAITING: usize = 256;

/// Gives the right answer late.
pub fn slow(address: SocketAddr) -> io::Result<()> {
    let socket = UdpSocket::bind(address)?;
    let (sender, receiver) =
        std::sync::mpsc::sync_channel::<(std::time::Instant, Vec<u8>, SocketAddr)>(MAX_WAITING);
    let answers = socket.try_clone()?;
    thread::spawn(move || {
        for (due, bytes, client) in receiver {
            thread::sleep(due.saturating_duration_since(crate::common::clock::now()));
            // A client that is gone needs no answer.
            let _ = answers.send_to(&bytes, client);
        }
    });
    let mut question = [0; 4_096];
    loop {
        let (length, client) = socket.recv_from(&mut question)?;
        let mut bytes = Vec::new();
        if answer(&question[..length], &mut bytes) {
            // Full: the query is lost, as with any overloaded server.
            let _ = sender.try_send((crate::common::clock::now() + SLOW, bytes, client));
        }
    }
}

/// Before the right answer, sends four wrong ones: another id, another question, another case of
/// the question, noise; each with a wrong address. And the same from another port.
pub fn lying(address: SocketAddr) -> io::Result<()> {
    let socket = UdpSocket::bind(address)?;
    let listener = TcpListener::bind(address)?;
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // Over TCP, where replies can't be forged, the answer is right.
            let _ = tell(&mut stream);
        }
    });
    let elsewhere = UdpSocket::bind((address.ip(), 0))?;
    let mut question = [0; 4_096];
    loop {
        let (length, client) = socket.recv_from(&mut question)?;
        let mut truth = Vec::new();
        if !answer(&question[..length], &mut truth) {
            continue;
        }
        let mut lie = truth.clone();
        if let Some(at) = lie.windows(4).rposition(|bytes| bytes == [192, 0, 2, 1]) {
            lie[at..at + 4].copy_from_slice(&[203, 0, 113, 66]);
        }
        let (mut id, mut name, mut case) = (lie.clone(), lie.clone(), lie.clone());
        id[1] ^= 0x01;
        name[13] = if name[13] == b'x' { b'y' } else { b'x' };
        case[12..].iter_mut().take_while(|byte| **byte != 0).for_each(|byte| {
            if byte.is_ascii_alphabetic() {
                *byte ^= 0x20;
            }
        });
        let noise: Vec<u8> = lie.iter().rev().copied().collect();
        for bytes in [&id, &name, &case, &noise] {
            let _ = socket.send_to(bytes, client);
        }
        let _ = elsewhere.send_to(&lie, client);
        let _ = socket.send_to(&truth, client);
    }
}

fn tell(stream: &mut TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut question)?;
    let mut truth = Vec::new();
    if answer(&question, &mut truth) {
        let length = u16::try_from(truth.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes()[..], &truth].concat())?;
    }
    Ok(())
}
