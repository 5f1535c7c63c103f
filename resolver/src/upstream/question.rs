//! What legacy DNS is asked, and what it says.

use hickory_proto::op::Message;
use hickory_proto::rr::{DNSClass, Name, RecordType};

use super::target::Target;
use crate::dns::ede::Ede;

/// A question to legacy DNS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyQuestion {
    /// The name, in the client's spelling (upper and lower case come back as they were asked).
    pub name: Name,
    /// The type.
    pub qtype: RecordType,
    /// The class, almost always IN.
    pub class: DNSClass,
    /// DO: the client wants DNSSEC records (RFC 3225).
    pub dnssec_ok: bool,
    /// CD: the client checks signatures itself (RFC 4035 §3.2.2).
    pub checking_disabled: bool,
}

impl LegacyQuestion {
    /// QNAME without compression, QTYPE and QCLASS, in the client's spelling.
    pub(super) fn wire(&self) -> Vec<u8> {
        let mut wire = name_wire(&self.name);
        wire.extend_from_slice(&u16::from(self.qtype).to_be_bytes());
        wire.extend_from_slice(&u16::from(self.class).to_be_bytes());
        wire
    }
}

/// A name without compression, in its own spelling.
pub(super) fn name_wire(name: &Name) -> Vec<u8> {
    let mut wire = Vec::with_capacity(name.len() + 5);
    for label in name.iter() {
        // A label has at most 63 bytes; hickory's names hold no other.
        wire.push(label.len() as u8);
        wire.extend_from_slice(label);
    }
    wire.push(0);
    wire
}

/// What legacy DNS said, complete: all sections, any type, any RCODE.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The reply. The id is 0, for the caller to set; the question is as asked; the TTLs are aged;
    /// there is no EDNS, which belongs to one hop. AD is set only where nobody is between the
    /// server and us: on the loopback interface, over an encrypted connection, and by the recursive
    /// resolver of our own.
    pub message: Message,
    /// The extended errors that came with it, and that it is stale, if it is.
    pub ede: Vec<Ede>,
    /// Where it comes from.
    pub source: ReplySource,
}

/// Where a reply comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplySource {
    /// Out of the cache.
    Cache,
    /// Out of the cache, though it has run out: nobody gave a newer one in time (RFC 8767).
    Stale,
    /// Fresh from this server.
    Server(Target),
}
