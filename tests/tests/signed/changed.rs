//! One bit changed on the way: whoever checks finds out, wherever the bit is.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    thread,
    time::Duration,
};

use tests::{
    tools,
    validator::{Anchors, Validator, Verdict},
};

use super::{machine, with_alice};

/// `namechain.alt.` as it stands in a signature.
const SIGNER: &[u8] = b"\x09namechain\x03alt\0";
/// What stands before the signer's name in an RRSIG, and what behind it, in bytes.
const FIELDS: usize = 18;
const SIGNATURE: usize = 64;
/// The data of the wildcard's A record.
const ADDRESS: &[u8] = &[192, 0, 2, 5];
/// The types of a name that does not exist: RRSIG, NSEC and NXNAME.
const TYPES: &[u8] = b"\0\x11\0\0\0\0\0\x03\0\0\0\0\0\0\0\0\0\0\x80";

/// Somebody on the way from `server`, who changes the answers for names that begin with `bit-N`: of
/// the N-th byte that counts the bit N modulo 8. Ends with the process.
fn evil(server: SocketAddr) -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let addr = socket.local_addr().expect("an address");
    thread::spawn(move || {
        let mut packet = [0; 4_096];
        while let Ok((length, from)) = socket.recv_from(&mut packet) {
            let Some(mut answer) = pass_on(server, &packet[..length]) else { continue };
            // Other questions about the name, for a DS, are answered as they are.
            if let Some(number) = number(&packet[..length])
                && let Some(at) = places(&answer).get(number)
            {
                answer[*at] ^= 1 << (number % 8);
            }
            // The asker may be gone.
            let _ = socket.send_to(&answer, from);
        }
    });
    addr
}

fn pass_on(server: SocketAddr, query: &[u8]) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
    socket.connect(server).ok()?;
    socket.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    socket.send(query).ok()?;
    let mut answer = vec![0; 4_096];
    let length = socket.recv(&mut answer).ok()?;
    answer.truncate(length);
    Some(answer)
}

/// The N of a question for `bit-N...`.
fn number(query: &[u8]) -> Option<usize> {
    let label = query.get(13..13 + usize::from(*query.get(12)?))?.to_ascii_lowercase();
    std::str::from_utf8(label.strip_prefix(b"bit-")?).ok()?.parse().ok()
}

/// The bytes that a signature is over, or that are in one: of the address or the types of a name
/// that does not exist, and of the last RRSIG. None in other answers.
fn places(answer: &[u8]) -> Vec<usize> {
    let last = |part: &[u8]| answer.windows(part.len()).rposition(|window| window == part);
    let data = last(ADDRESS).map(|at| at..at + ADDRESS.len());
    let data = data.or_else(|| last(TYPES).map(|at| at..at + TYPES.len()));
    let (Some(data), Some(signer)) = (data, last(SIGNER)) else { return Vec::new() };
    let signature = signer + SIGNER.len();
    data.chain(signer - FIELDS..signer).chain(signature..signature + SIGNATURE).collect()
}

#[test]
fn one_changed_bit_is_noticed() {
    if !tools::available("one_changed_bit_is_noticed", &["dig", "delv", "unbound"]) {
        return;
    }
    for algorithm in [13, 15] {
        let machine = machine(algorithm);
        let (resolver, user) = with_alice(&machine);
        let between = evil(resolver.addr("dns"));
        let anchors = Anchors::of(&user, Some(between));
        let unbound = Validator::start(&anchors.unbound);
        for (zone, data) in
            [("wild.alice.namechain.alt.", ADDRESS), ("alice.namechain.alt.", TYPES)]
        {
            let untouched = format!("whole.{zone}");
            assert_eq!(unbound.ask(&untouched, "A").0, Verdict::Secure, "{untouched}");
            assert_eq!(anchors.delv(between, &untouched, "A").0, Verdict::Secure, "{untouched}");
            let count = data.len() + FIELDS + SIGNATURE;
            for number in 0..count {
                let name = format!("bit-{number}.{zone}");
                let (verdict, reply) = unbound.ask(&name, "A");
                assert_eq!(verdict, Verdict::Bogus, "{algorithm}: {name}: {reply:?}");
            }
            for number in [0, data.len(), data.len() + FIELDS - 1, count - 1] {
                let name = format!("bit-{number}.{zone}");
                let (verdict, said) = anchors.delv(between, &name, "A");
                assert_eq!(verdict, Verdict::Bogus, "{algorithm}: {name}: {said}");
            }
        }
    }
}
