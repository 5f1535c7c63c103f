//! The address book as bytes: a version, the key, the anchors, what is known, and a checksum over
//! all of it.

use std::net::IpAddr;

use blake2::{Blake2b, Digest, digest::consts::U32};
use libp2p::PeerId;

use super::{
    ANCHORS, AddrMan, Entry, Known, NEW_BUCKETS, NEW_PLACES, Place, TRIED_BUCKETS, TRIED_PLACES,
};
use crate::net::address::{Address, Carrier, Group, group};
use namechain_core::codec::{DecodeError, Reader};

const VERSION: &[u8; 8] = b"NCpeers2";
/// As many as there are places.
const MAX_KNOWN: usize = NEW_BUCKETS * NEW_PLACES + TRIED_BUCKETS * TRIED_PLACES;

impl AddrMan {
    /// The address book as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = VERSION.to_vec();
        out.extend_from_slice(&self.key);
        out.push(self.anchors.len() as u8);
        self.anchors.iter().for_each(|anchor| put_entry(&mut out, anchor));
        let all = || self.new.iter().chain(&self.tried).flatten();
        out.extend_from_slice(&(all().count() as u32).to_be_bytes());
        for known in all() {
            put_entry(&mut out, &known.entry);
            put_group(&mut out, known.teller);
            let tried = matches!(self.places.get(&known.entry), Some(Place::Tried(_)));
            out.extend_from_slice(&[u8::from(tried), known.failures]);
            for time in [known.heard, known.tried, known.answered] {
                out.extend_from_slice(&time.to_be_bytes());
            }
        }
        let sum: [u8; 32] = Blake2b::<U32>::digest(&out).into();
        out.extend_from_slice(&sum);
        out
    }

    /// Reads it. An error if it is not whole, or of another version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let damaged = DecodeError::Invalid("it is not whole");
        let (body, sum) = bytes.split_last_chunk::<32>().ok_or(damaged.clone())?;
        if <[u8; 32]>::from(Blake2b::<U32>::digest(body)) != *sum {
            return Err(damaged);
        }
        let mut reader = Reader::new(body);
        if &reader.array::<8>()? != VERSION {
            return Err(DecodeError::Invalid("it is of another version"));
        }
        let mut addrman = AddrMan::with_key(reader.array()?);
        let anchors = cap("the number of anchors", reader.u8()?.into(), ANCHORS)?;
        addrman.anchors = (0..anchors).map(|_| entry(&mut reader)).collect::<Result<_, _>>()?;
        for _ in 0..cap("the number of addresses", reader.u32()? as usize, MAX_KNOWN)? {
            let (entry, teller) = (entry(&mut reader)?, read_group(&mut reader)?);
            let (tried, failures) = (reader.u8()? != 0, reader.u8()?);
            let known = Known {
                entry,
                teller,
                failures,
                heard: reader.u64()?,
                tried: reader.u64()?,
                answered: reader.u64()?,
            };
            addrman.put_back(known, tried);
        }
        reader.finish()?;
        Ok(addrman)
    }

    /// Where it stood follows from the key, so two never meet.
    fn put_back(&mut self, known: Known, tried: bool) {
        let (table, place) = if tried {
            let at = self.place_in_tried(&known.entry);
            (&mut self.tried[at], Place::Tried(at))
        } else {
            let at = self.place_in_new(&known.entry, known.teller);
            (&mut self.new[at], Place::New(at))
        };
        if table.is_none() {
            self.places.insert(known.entry, place);
            *table = Some(known);
        }
    }
}

fn cap(what: &'static str, found: usize, cap: usize) -> Result<usize, DecodeError> {
    if found > cap { Err(DecodeError::OverCap { what, found, cap }) } else { Ok(found) }
}

fn put_ip(out: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => {
            out.push(4);
            out.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out.push(6);
            out.extend_from_slice(&ip.octets());
        }
    }
}

fn ip(reader: &mut Reader<'_>) -> Result<IpAddr, DecodeError> {
    match reader.u8()? {
        4 => Ok(IpAddr::from(reader.array::<4>()?)),
        6 => Ok(IpAddr::from(reader.array::<16>()?)),
        _ => Err(DecodeError::Invalid("an address is neither of IPv4 nor of IPv6")),
    }
}

fn put_entry(out: &mut Vec<u8>, (peer, address): &Entry) {
    let peer = peer.to_bytes();
    out.push(peer.len() as u8);
    out.extend_from_slice(&peer);
    put_ip(out, address.ip);
    out.extend_from_slice(&address.port.to_be_bytes());
    out.push(u8::from(address.carrier == Carrier::Quic));
}

fn entry(reader: &mut Reader<'_>) -> Result<Entry, DecodeError> {
    let len = reader.u8()?;
    let peer = PeerId::from_bytes(reader.take(len.into())?)
        .map_err(|_| DecodeError::Invalid("an identity is not one"))?;
    let ip = ip(reader)?;
    let port = reader.u16()?;
    let carrier = if reader.u8()? == 0 { Carrier::Tcp } else { Carrier::Quic };
    Ok((peer, Address { ip, port, carrier }))
}

fn put_group(out: &mut Vec<u8>, group: Group) {
    let (kind, bytes): (u8, [u8; 4]) = match group {
        Group::V4([a, b]) => (4, [a, b, 0, 0]),
        Group::V6(bytes) => (6, bytes),
        Group::Loopback(port) => {
            let [a, b] = port.to_be_bytes();
            (1, [a, b, 0, 0])
        }
        Group::Private(ip) => {
            out.push(2);
            return put_ip(out, ip);
        }
    };
    out.push(kind);
    out.extend_from_slice(&bytes);
}

fn read_group(reader: &mut Reader<'_>) -> Result<Group, DecodeError> {
    let kind = reader.u8()?;
    if kind == 2 {
        return Ok(group(ip(reader)?));
    }
    let bytes: [u8; 4] = reader.array()?;
    Ok(match kind {
        1 => Group::Loopback(u16::from_be_bytes([bytes[0], bytes[1]])),
        4 => Group::V4([bytes[0], bytes[1]]),
        6 => Group::V6(bytes),
        _ => return Err(DecodeError::Invalid("a group is of no kind")),
    })
}
