//! Harmful clients: slow ones, those that reset connections, those that query random names, and
//! those that send noise.

use std::{
    io::Write,
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Slow clients over TCP.
pub const SLOW_CLIENTS: usize = 1_024;
/// How often each of them sends a byte.
const DRIP: Duration = Duration::from_millis(500);

/// A fault that goes on until it is ended.
pub struct Trouble {
    over: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Trouble {
    fn start(body: impl Fn(&AtomicBool, &AtomicUsize) + Send + 'static) -> Trouble {
        let (over, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stop, counted) = (over.clone(), count.clone());
        Trouble { over, count, thread: thread::spawn(move || body(&stop, &counted)) }
    }

    /// Ends it; returns how often it was caused.
    pub fn end(self) -> usize {
        self.over.store(true, Ordering::SeqCst);
        self.thread.join().expect("trouble does not panic");
        self.count.load(Ordering::SeqCst)
    }
}

/// 1,024 connections: half of them silent, half sending a query one byte at a time and never
/// completing it. A closed connection is opened again. Counts the connections.
pub fn slow_clients(server: SocketAddr) -> Trouble {
    Trouble::start(move |over, count| {
        let mut streams: Vec<Option<TcpStream>> = (0..SLOW_CLIENTS).map(|_| None).collect();
        while !over.load(Ordering::SeqCst) {
            for (number, place) in streams.iter_mut().enumerate() {
                if gone(place.as_ref()) {
                    *place = TcpStream::connect_timeout(&server, Duration::from_secs(1)).ok();
                    count.fetch_add(1, Ordering::SeqCst);
                }
                let Some(stream) = place else { continue };
                if stream.set_nonblocking(true).is_err()
                    || (number % 2 == 0 && stream.write(&[0x01]).is_err())
                {
                    *place = None;
                }
            }
            thread::sleep(DRIP);
        }
    })
}

/// Whether there is no connection, or the server has closed it.
fn gone(stream: Option<&TcpStream>) -> bool {
    let Some(stream) = stream else { return true };
    match stream.peek(&mut [0]) {
        Ok(length) => length == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}

/// Connections that are reset before the server accepts them.
pub fn resets(server: SocketAddr) -> Trouble {
    Trouble::start(move |over, count| {
        while !over.load(Ordering::SeqCst) {
            for _ in 0..20 {
                if let Ok(stream) = TcpStream::connect_timeout(&server, Duration::from_secs(1)) {
                    // With a linger time of 0, closing is a reset.
                    let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
                    count.fetch_add(1, Ordering::SeqCst);
                }
            }
            thread::sleep(Duration::from_millis(2));
        }
    })
}

/// Datagrams of noise and of queries with changed bytes, five thousand per second.
pub fn noise(server: SocketAddr) -> Trouble {
    Trouble::start(move |over, count| {
        let Ok(socket) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)) else { return };
        let mut state = 0x6e61_6d65_6368_6169_u64;
        let mut random = move || {
            // splitmix64.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        while !over.load(Ordering::SeqCst) {
            for _ in 0..10 {
                let mut packet = crate::common::load::query(random() as u16, "www.example.com");
                match random() % 3 {
                    0 => packet = (0..random() % 600).map(|_| random() as u8).collect(),
                    1 => packet.truncate((random() % 33) as usize),
                    _ => {
                        let at = (random() % packet.len() as u64) as usize;
                        packet[at] = random() as u8;
                    }
                }
                // The buffer may be full: that is intended.
                let _ = socket.send_to(&packet, server);
                count.fetch_add(1, Ordering::SeqCst);
            }
            thread::sleep(Duration::from_millis(2));
        }
    })
}
