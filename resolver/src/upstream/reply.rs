//! A reply of legacy DNS.

use hickory_proto::op::Message;

use super::target::Target;
use crate::dns::ede::Ede;

/// A reply of legacy DNS: all sections, any type, any RCODE.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The message. The id is 0, for the caller to set; the question is as asked; TTLs are
    /// decreased by the age; EDNS is removed, as it is hop by hop. AD is set only if the upstream
    /// set it and nobody could change it: on the loopback interface, over an encrypted connection,
    /// or by the built-in recursive resolver.
    pub message: Message,
    /// The extended errors of the reply, and the one for stale answers.
    pub ede: Vec<Ede>,
    /// Its source.
    pub source: ReplySource,
}

/// The source of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplySource {
    /// The cache.
    Cache,
    /// The cache, after the TTL has expired: no upstream gave a newer answer in time (RFC 8767).
    Stale,
    /// This server, just now.
    Server(Target),
}
