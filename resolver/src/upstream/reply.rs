//! What legacy DNS says.

use hickory_proto::op::Message;

use super::target::Target;
use crate::dns::ede::Ede;

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
