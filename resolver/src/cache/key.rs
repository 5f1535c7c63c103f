//! The key of a cached answer.

use std::net::{IpAddr, SocketAddr};

/// Who was asked. An answer of one scope is never served for a question to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// The configured upstreams, which are taken to agree.
    Upstreams,
    /// The upstreams of a zone that has its own; the zone's name in wire format, lower case.
    Zone(&'a [u8]),
    /// These servers; their order does not matter.
    Servers(&'a [SocketAddr]),
}

const DNSSEC_OK: u8 = 1;
const CHECKING_DISABLED: u8 = 2;

/// A question in lower case, its DO and CD, and its scope.
///
/// ```text
/// QNAME, QTYPE, QCLASS in lower case | flags (1): DO, CD | for each server: 4 or 6, address, port, IPv6 scope id (4)
///                                                                | or of a zone: 0, its name
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    bytes: Box<[u8]>,
    question: usize,
}

/// A borrowed key, for look-ups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe<'a> {
    /// QNAME in lower case, QTYPE, QCLASS.
    pub question: &'a [u8],
    /// DO and CD, as [`flags`] has them.
    pub flags: u8,
    /// The servers or the zone; empty for the configured upstreams.
    pub suffix: &'a [u8],
}

impl<'a> Probe<'a> {
    /// The key of the configured upstreams' answer to a question in lower case.
    pub fn of_upstreams(question: &'a [u8], dnssec_ok: bool, checking_disabled: bool) -> Self {
        Self { question, flags: flags(dnssec_ok, checking_disabled), suffix: &[] }
    }
}

/// DO and CD in one octet.
fn flags(dnssec_ok: bool, checking_disabled: bool) -> u8 {
    (u8::from(dnssec_ok) * DNSSEC_OK) | (u8::from(checking_disabled) * CHECKING_DISABLED)
}

impl Key {
    /// Makes a key. `question` is QNAME without compression, QTYPE and QCLASS. The name is
    /// lower-cased as flat bytes, which is right because the length of a label is below `A`.
    pub fn new(
        question: &[u8],
        dnssec_ok: bool,
        checking_disabled: bool,
        scope: Scope<'_>,
    ) -> Self {
        let name = question.len().saturating_sub(4);
        let mut key = Vec::with_capacity(question.len() + 1);
        key.extend_from_slice(question);
        key[..name].make_ascii_lowercase();
        key.push(flags(dnssec_ok, checking_disabled));
        match scope {
            Scope::Upstreams => {}
            Scope::Zone(name) => {
                key.push(0);
                key.extend_from_slice(name);
            }
            Scope::Servers(servers) => {
                let mut servers = servers.to_vec();
                servers.sort_unstable();
                servers.dedup();
                servers.iter().for_each(|server| push_server(&mut key, server));
            }
        }
        Self { bytes: key.into(), question: question.len() }
    }

    /// The key, borrowed.
    pub fn probe(&self) -> Probe<'_> {
        let (question, rest) = self.bytes.split_at(self.question);
        Probe {
            question,
            flags: rest.first().copied().unwrap_or_default(),
            suffix: rest.get(1..).unwrap_or_default(),
        }
    }

    /// The key as bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn push_server(key: &mut Vec<u8>, server: &SocketAddr) {
    match server.ip() {
        IpAddr::V4(ip) => {
            key.push(4);
            key.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            key.push(6);
            key.extend_from_slice(&ip.octets());
        }
    }
    key.extend_from_slice(&server.port().to_be_bytes());
    if let SocketAddr::V6(server) = server {
        key.extend_from_slice(&server.scope_id().to_be_bytes());
    }
}
