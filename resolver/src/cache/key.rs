//! Under what an answer is kept.

use std::net::{IpAddr, SocketAddr};

/// Whose answer it is. Answers of one scope are never given for a question to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// The configured upstreams, which are taken to be of one mind.
    Upstreams,
    /// These servers; their order does not matter.
    Servers(&'a [SocketAddr]),
}

const DNSSEC_OK: u8 = 1;
const CHECKING_DISABLED: u8 = 2;

/// A question in lower case, its DO and CD, and its scope.
///
/// ```text
/// QNAME, QTYPE, QCLASS in lower case | flags (1): DO, CD | for each server: 4 or 6, address, port, IPv6 scope id (4)
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key(Box<[u8]>);

impl Key {
    /// Makes a key. `question` is QNAME without compression, QTYPE and QCLASS. The name is lower-cased as flat bytes, which
    /// is right because the length of a label is below `A`.
    pub fn new(question: &[u8], dnssec_ok: bool, checking_disabled: bool, scope: Scope<'_>) -> Self {
        let name = question.len().saturating_sub(4);
        let mut key = question.to_vec();
        key[..name].make_ascii_lowercase();
        key.push((u8::from(dnssec_ok) * DNSSEC_OK) | (u8::from(checking_disabled) * CHECKING_DISABLED));
        if let Scope::Servers(servers) = scope {
            let mut servers = servers.to_vec();
            servers.sort_unstable();
            servers.dedup();
            servers.iter().for_each(|server| push_server(&mut key, server));
        }
        Self(key.into())
    }

    /// The key as bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
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
