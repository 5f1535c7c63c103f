//! What legacy DNS is asked, and what it says.

use std::net::SocketAddr;

use hickory_proto::op::Message;
use hickory_proto::rr::{DNSClass, Name, RecordType};

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

/// What legacy DNS said, complete: all sections, any type, any RCODE.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The reply. The id is 0, for the caller to set; the question is as asked; the TTLs are aged; there is no EDNS, which
    /// belongs to one hop. AD is set only by a server on the loopback interface.
    pub message: Message,
    /// Where it comes from.
    pub source: ReplySource,
}

/// Where a reply comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplySource {
    /// Out of the cache.
    Cache,
    /// Fresh from this server.
    Server(SocketAddr),
}
