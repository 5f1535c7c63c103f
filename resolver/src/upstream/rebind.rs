//! Rebinding protection. A foreign name that points at an address of this machine or its network
//! would let a web page talk to services there, because a browser takes both for one site.
//!
//! The QNAME decides, as it does in a browser; the targets of aliases do not. Such an answer is
//! withheld: the client gets NODATA with EDE 15. An error code would make stub resolvers ask
//! another server.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use hickory_proto::rr::{Name, RData, Record};

use crate::dns::ede::Ede;
use crate::dns::message::{Packet, Section};
use crate::dns::rtype::{A, AAAA, HTTPS, SVCB};

/// The most zones whose names may point at private addresses.
pub const MAX_ALLOWED: usize = 256;
/// Top-level labels that exist only on local networks: they are not delegated in the root (RFC 6762
/// Appendix G, and names that ICANN reserves).
const LOCAL: [&[u8]; 7] =
    [b"lan", b"home", b"corp", b"intranet", b"private", b"localdomain", b"internal"];
/// The SVCB parameters that contain addresses (RFC 9460 §14.3.2).
const IPV4_HINT: u16 = 4;
const IPV6_HINT: u16 = 6;

/// Which answers are checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RebindPolicy {
    /// None.
    Off,
    /// Answers of legacy DNS, and of servers that the chain delegates to: both can change from one
    /// query to the next. Records on the chain are served as they are.
    #[default]
    Legacy,
    /// All, including records on the chain.
    All,
}

impl FromStr for RebindPolicy {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "off" => Ok(Self::Off),
            "legacy" => Ok(Self::Legacy),
            "all" => Ok(Self::All),
            _ => Err(()),
        }
    }
}

/// The configuration of rebinding protection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rebind {
    /// Which answers are checked.
    pub policy: RebindPolicy,
    /// Zones whose names may point at private addresses.
    pub allow: Vec<Name>,
}

impl Rebind {
    /// Whether answers for a name may not have private addresses. The caller leaves out names in
    /// zones with upstreams of their own.
    pub fn covers(&self, name: &Name) -> bool {
        let local = || {
            let last = name.iter().next_back().unwrap_or_default().to_ascii_lowercase();
            LOCAL.contains(&last.as_slice())
        };
        self.policy != RebindPolicy::Off
            && !local()
            && !self.allow.iter().any(|zone| zone.zone_of(name))
    }

    /// The extended error for a reply that has a private address where it may not.
    pub fn violation(&self, packet: &Packet<'_>) -> Option<Ede> {
        let address = private_in_answer(packet)?;
        let question = packet.question();
        let name = crate::dns::names::to_name(&question[..question.len() - 4])?;
        self.covers(&name).then(|| error(&name, address))
    }
}

/// Whether an answer section has a private address.
pub fn has_private_address(packet: &Packet<'_>) -> bool {
    private_in_answer(packet).is_some()
}

fn private_in_answer(packet: &Packet<'_>) -> Option<IpAddr> {
    let mut records = packet.section(Section::Answer);
    records.find_map(|at| private_in(at.rtype, packet.bytes().get(at.data..at.end)?))
}

/// The first private address among records. The RDATA is read as bytes: records of the chain are
/// opaque.
pub fn private_among(records: &[Record]) -> Option<IpAddr> {
    records.iter().find_map(|record| {
        let rtype = u16::from(record.record_type());
        let looked_at = matches!(rtype, A | AAAA | SVCB | HTTPS);
        looked_at.then(|| private_in(rtype, &rdata_wire(&record.data)?)).flatten()
    })
}

fn rdata_wire(data: &RData) -> Option<Vec<u8>> {
    use hickory_proto::serialize::binary::{BinEncodable, BinEncoder, NameEncoding};
    let mut bytes = Vec::new();
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    data.emit(&mut encoder).ok()?;
    Some(bytes)
}

/// The extended error for the client.
pub fn error(name: &Name, address: IpAddr) -> Ede {
    let why = format!("{name} points at the private address {address}; see rebind-allow");
    Ede::new(Ede::BLOCKED, why)
}

/// The private address in the RDATA of a record.
fn private_in(rtype: u16, data: &[u8]) -> Option<IpAddr> {
    let private = |ip: IpAddr| is_private(ip).then_some(ip);
    match rtype {
        A => private(<[u8; 4]>::try_from(data).ok()?.into()),
        AAAA => private(<[u8; 16]>::try_from(data).ok()?.into()),
        SVCB | HTTPS => private_hint(data),
        _ => None,
    }
}

/// The private address in SVCB RDATA: priority, uncompressed target, and parameters of key, length,
/// value (RFC 9460 §2.2).
fn private_hint(data: &[u8]) -> Option<IpAddr> {
    let target = data.get(2..)?;
    let mut rest = target.get(crate::dns::names::name_len(target)?..)?;
    while let Some(([k0, k1, l0, l1], after)) = rest.split_first_chunk::<4>() {
        let (value, after) = after.split_at_checked(usize::from(u16::from_be_bytes([*l0, *l1])))?;
        let found = match u16::from_be_bytes([*k0, *k1]) {
            IPV4_HINT => value
                .as_chunks::<4>()
                .0
                .iter()
                .map(|ip| IpAddr::from(*ip))
                .find(|ip| is_private(*ip)),
            IPV6_HINT => value
                .as_chunks::<16>()
                .0
                .iter()
                .map(|ip| IpAddr::from(*ip))
                .find(|ip| is_private(*ip)),
            _ => None,
        };
        if found.is_some() {
            return found;
        }
        rest = after;
    }
    None
}

/// Whether an address belongs to this machine or a private network.
pub fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_private_v4(ip),
        IpAddr::V6(ip) => is_private_v6(ip),
    }
}

fn is_private_v4(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    // "This network" (RFC 6890), RFC 1918, loopback, link-local (RFC 3927), shared (RFC 6598),
    // broadcast.
    a == 0
        || ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || (a == 100 && b & 0xc0 == 64)
        || ip.is_broadcast()
}

fn is_private_v6(ip: Ipv6Addr) -> bool {
    let [s0, s1, s2, s3, s4, s5, s6, s7] = ip.segments();
    let v4 = |high: u16, low: u16| {
        is_private_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
    };
    match [s0, s1, s2, s3, s4, s5] {
        // ::, ::1, IPv4-compatible and IPv4-mapped addresses (RFC 4291 §2.5.5).
        [0, 0, 0, 0, 0, 0 | 0xffff] => v4(s6, s7),
        // NAT64 (RFC 6052 §2.1, RFC 8215) and 6to4 (RFC 3056).
        [0x64, 0xff9b, 0, 0, 0, 0] | [0x64, 0xff9b, 1, _, _, _] => v4(s6, s7),
        [0x2002, high, low, ..] => v4(high, low),
        // Unique local (RFC 4193), link-local, site-local (RFC 3879).
        _ => s0 & 0xfe00 == 0xfc00 || s0 & 0xffc0 == 0xfe80 || s0 & 0xffc0 == 0xfec0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::testing::{AT_QUESTION, Build, question};

    #[test]
    fn what_is_private() {
        for (address, private) in [
            ("0.0.0.0", true),
            ("0.1.2.3", true),
            ("10.255.255.255", true),
            ("11.0.0.0", false),
            ("100.63.255.255", false),
            ("100.64.0.0", true),
            ("100.127.255.255", true),
            ("100.128.0.0", false),
            ("127.8.8.8", true),
            ("169.254.169.254", true),
            ("172.15.255.255", false),
            ("172.16.0.1", true),
            ("172.32.0.0", false),
            ("192.0.2.1", false),
            ("192.168.178.1", true),
            ("255.255.255.255", true),
            ("::", true),
            ("::1", true),
            ("::10.0.0.1", true),
            ("::ffff:192.168.1.1", true),
            ("::ffff:192.0.2.1", false),
            ("64:ff9b::10.1.2.3", true),
            ("64:ff9b::192.0.2.33", false),
            ("64:ff9b:1:2::192.168.0.1", true),
            ("2002:c0a8:101::1", true),
            ("2002:c000:201::1", false),
            ("2001:db8::1", false),
            ("fbff::1", false),
            ("fc00::1", true),
            ("fdff::1", true),
            ("fe80::1", true),
            ("fec0::1", true),
            ("ff02::1", false),
        ] {
            assert_eq!(is_private(address.parse().unwrap()), private, "{address}");
        }
    }

    fn svcb(params: &[(u16, &[u8])]) -> Vec<u8> {
        let mut data = vec![0, 1, 3, b'w', b'w', b'w', 0];
        for (key, value) in params {
            data.extend_from_slice(&key.to_be_bytes());
            data.extend_from_slice(&(value.len() as u16).to_be_bytes());
            data.extend_from_slice(value);
        }
        data
    }

    #[test]
    fn hints_are_looked_at_and_what_is_cut_off_is_nothing() {
        let good = [192, 0, 2, 1];
        let both = [&good[..], &[10, 0, 0, 1]].concat();
        assert_eq!(private_in(HTTPS, &svcb(&[(1, b"\x02h2"), (4, &good)])), None);
        let data = svcb(&[(1, b"\x02h2"), (4, &both)]);
        assert_eq!(private_in(HTTPS, &data), Some([10, 0, 0, 1].into()));
        for end in 0..data.len() {
            assert_eq!(private_in(SVCB, &data[..end]), None, "{end}");
        }
        let loopback = Ipv6Addr::LOCALHOST.octets();
        assert_eq!(private_in(SVCB, &svcb(&[(6, &loopback)])), Some(Ipv6Addr::LOCALHOST.into()));
        assert_eq!(private_in(SVCB, &[0, 0, 0]), None, "an alias");
    }

    fn objection(rebind: &Rebind, name: &str) -> Option<u16> {
        let answer = Build::answer(&question(name, 1)).a(60, [192, 0, 2, 1]);
        let answer = answer.record(Section::Answer, &AT_QUESTION, A, 60, &[192, 168, 1, 1]).done();
        rebind.violation(&Packet::parse(&answer).unwrap()).map(|ede| ede.code)
    }

    #[test]
    fn whose_names_may_point_anywhere() {
        let allow = ["fritz.box.", "Example."].map(|zone| Name::from_ascii(zone).unwrap()).to_vec();
        let rebind = Rebind { allow, ..Rebind::default() };
        for (name, violation) in [
            ("www.evil.example.com", true),
            ("fritz.box", false),
            ("nas.FRITZ.box", false),
            ("notfritz.box", true),
            ("a.example", false),
            ("nas.lan", false),
            ("lan.evil.com", true),
            ("", true),
        ] {
            assert_eq!(objection(&rebind, name), violation.then_some(15), "{name}");
        }
        let off = Rebind { policy: RebindPolicy::Off, ..rebind };
        assert_eq!(objection(&off, "www.evil.example.com"), None);
    }
}
