//! A server with a constant answer, in batches and without parsing: the upper bound that the kernel
//! allows. It is the bound in the tables, and the upstream that knows every name.

use std::{
    io::{self, IoSlice, IoSliceMut},
    net::{SocketAddr, UdpSocket},
    os::fd::AsRawFd,
};

use nix::{
    errno::Errno,
    sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg},
};

/// Datagrams received and sent at a time.
const BATCH: usize = 32;
/// The longest question that is read, in bytes.
const MAX_QUESTION: usize = 512;
/// A pointer to the question's name, A, IN, an hour, 192.0.2.1.
const ANSWER: [u8; 16] = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0x0e, 0x10, 0, 4, 192, 0, 2, 1];
/// An OPT record: 1,232 bytes, nothing else (RFC 6891 §6.1.2).
const OPT: [u8; 11] = [0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0];

/// Answers queries at `address` until the process is killed.
pub fn serve(address: SocketAddr) -> io::Result<()> {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::DGRAM,
        Some(socket2::Protocol::UDP),
    )?;
    socket.set_recv_buffer_size(4 << 20)?;
    socket.set_send_buffer_size(4 << 20)?;
    socket.bind(&address.into())?;
    let socket = UdpSocket::from(socket);
    let mut questions = vec![[0; MAX_QUESTION]; BATCH];
    let mut answers = vec![Vec::new(); BATCH];
    loop {
        let received = receive(&socket, &mut questions)?;
        let mut count = 0;
        let mut clients = [None; BATCH];
        for ((length, client), question) in received.into_iter().zip(&questions) {
            if answer(&question[..length.min(MAX_QUESTION)], &mut answers[count]) {
                clients[count] = client;
                count += 1;
            }
        }
        send(&socket, &answers[..count], &clients[..count]);
    }
}

type Received = Vec<(usize, Option<SockaddrStorage>)>;

fn receive(socket: &UdpSocket, buffers: &mut [[u8; MAX_QUESTION]]) -> io::Result<Received> {
    let mut headers = MultiHeaders::preallocate(BATCH, None);
    let mut slices: Vec<[IoSliceMut; 1]> =
        buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
    let flags = MsgFlags::MSG_WAITFORONE;
    match recvmmsg(socket.as_raw_fd(), &mut headers, slices.iter_mut(), flags, None) {
        Ok(messages) => Ok(messages.map(|message| (message.bytes, message.address)).collect()),
        // An ICMP error of a client that is gone is ignored.
        Err(Errno::EINTR | Errno::ECONNREFUSED) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

fn send(socket: &UdpSocket, answers: &[Vec<u8>], clients: &[Option<SockaddrStorage>]) {
    let mut headers = MultiHeaders::preallocate(BATCH, None);
    let mut done = 0;
    while done < answers.len() {
        let slices: Vec<[IoSlice; 1]> =
            answers[done..].iter().map(|answer| [IoSlice::new(answer)]).collect();
        let sent = sendmmsg(
            socket.as_raw_fd(),
            &mut headers,
            &slices,
            &clients[done..],
            [],
            MsgFlags::empty(),
        );
        // What can't be sent is lost, as datagrams may be.
        done += sent.map_or(1, Iterator::count).max(1);
    }
}

/// Makes the response to a query; false, if it is not a query.
pub fn answer(question: &[u8], answer: &mut Vec<u8>) -> bool {
    if question.len() < 17 || question[2] & 0x80 != 0 {
        return false;
    }
    let mut at = 12;
    while let Some(length) = question.get(at).copied().filter(|length| *length != 0) {
        at += 1 + usize::from(length);
    }
    let end = at + 5;
    if end > question.len() {
        return false;
    }
    let edns = question[11] == 1;
    answer.clear();
    answer.extend_from_slice(&question[..2]);
    answer.extend_from_slice(&[
        0x80 | question[2] & 0x01,
        0x80,
        0,
        1,
        0,
        1,
        0,
        0,
        0,
        u8::from(edns),
    ]);
    answer.extend_from_slice(&question[12..end]);
    answer.extend_from_slice(&ANSWER);
    if edns {
        answer.extend_from_slice(&OPT);
    }
    true
}
