//! Why a query to legacy DNS got no answer, and the extended DNS error (RFC 8914) for the client.

use std::time::Duration;

use hickory_proto::rr::RecordType;

use super::budget::MAX_MESSAGES_PER_QUESTION;
use super::target::Target;
use super::transport::ChannelError;
use crate::dns::ede::Ede;

/// Why a query to legacy DNS got no answer.
///
/// A response with an error code (SERVFAIL, REFUSED, NXDOMAIN) is not an error: it is a
/// [`super::Reply`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForwardError {
    /// There is no upstream.
    #[error("no upstream DNS server is configured: name one with --upstream IP[:PORT]")]
    NoUpstream,
    /// All servers were asked, and none gave an acceptable reply.
    #[error("no reply from {} within {timeout:?}; last: {}", tried(.servers), .last)]
    AllFailed {
        /// The servers, in the order in which they were asked.
        servers: Vec<Target>,
        /// The time limit of the query.
        timeout: Duration,
        /// How the last attempt failed.
        last: ExchangeError,
    },
    /// All servers forward to this resolver, directly or through others.
    #[error("{} {} to this resolver (a loop), and there is no other upstream", tried(.servers), forward(.servers))]
    Loop {
        /// The servers.
        servers: Vec<Target>,
    },
    /// A query that this resolver sent has come back to it.
    #[error("this query is a loop test of this resolver: its upstream {0} forwards to it")]
    LoopProbe(Target),
    /// The same query failed a moment ago, and the servers are not asked again yet (RFC 9520 §3.2).
    #[error(
        "the upstream DNS servers did not reply to this query a moment ago; they are queried again in a few seconds"
    )]
    FailedRecently,
    /// Too many queries are in flight.
    #[error("{limit} queries are already in flight to upstream DNS servers")]
    Busy {
        /// The limit.
        limit: usize,
    },
    /// The queries for one zone take up their share: its servers do not reply in time.
    #[error(
        "{limit} queries for names in {zone} are already in flight, and get no replies in time"
    )]
    ZoneBusy {
        /// The share.
        limit: usize,
        /// The zone.
        zone: String,
    },
    /// All servers of a delegation have as many queries in flight as they may.
    #[error("{limit} queries are already in flight to each of {}", tried(.servers))]
    ServersBusy {
        /// The limit.
        limit: usize,
        /// The servers.
        servers: Vec<Target>,
    },
    /// The type can't be forwarded (a zone transfer, or a pseudo type of the protocol itself).
    #[error("{0} is not a type that can be forwarded")]
    NotForwardable(RecordType),
    /// A value of [`super::UpstreamsConfig`] is invalid.
    #[error("legacy DNS can't be set up: {0}")]
    Config(&'static str),
    /// An upstream can't be set up.
    #[error("{0}")]
    Upstream(#[from] ChannelError),
    /// A checked answer could not be decoded again. A bug, not the network.
    #[error("the answer can't be decoded: {0}")]
    Unreadable(&'static str),
    /// The task that sent the query ended without a result. A bug, not the network.
    #[error("the query was abandoned before it had a result")]
    Abandoned,
}

impl ForwardError {
    /// The extended DNS error for the SERVFAIL (RFC 8914).
    pub fn ede(&self) -> Ede {
        let code = match self {
            Self::NoUpstream
            | Self::FailedRecently
            | Self::Loop { .. }
            | Self::LoopProbe(_)
            | Self::ZoneBusy { .. }
            | Self::ServersBusy { .. } => Ede::NO_REACHABLE_AUTHORITY,
            Self::AllFailed { last: ExchangeError::Network { .. }, .. } => Ede::NETWORK_ERROR,
            Self::AllFailed { last: ExchangeError::Bogus { .. }, .. } => Ede::DNSSEC_BOGUS,
            Self::AllFailed { last: ExchangeError::OverBudget, .. } => Ede::OTHER,
            Self::AllFailed { .. } => Ede::NO_REACHABLE_AUTHORITY,
            Self::NotForwardable(_) => Ede::NOT_SUPPORTED,
            Self::Busy { .. }
            | Self::Config(_)
            | Self::Upstream(_)
            | Self::Unreadable(_)
            | Self::Abandoned => Ede::OTHER,
        };
        Ede::new(code, self.to_string())
    }
}

/// Why one attempt with one server failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// No acceptable reply came in time.
    #[error("{0} did not reply in time")]
    TimedOut(Target),
    /// The server forwards to this resolver.
    #[error("{0} forwards to this resolver (a loop)")]
    Loop(Target),
    /// A network error (no route, port closed, connection reset).
    #[error("{server}: {what}")]
    Network {
        /// The server.
        server: Target,
        /// The operating system's message.
        what: String,
    },
    /// The reply to this query is not a valid DNS message.
    #[error("{server} sent a malformed reply: {what}")]
    Malformed {
        /// The server.
        server: Target,
        /// The first defect found.
        what: &'static str,
    },
    /// The answer does not validate (DNSSEC).
    #[error("{server}: DNSSEC: the answer is bogus")]
    Bogus {
        /// The server.
        server: Target,
    },
    /// The question has caused as many queries as it may.
    #[error("the question needs more than {MAX_MESSAGES_PER_QUESTION} queries to DNS servers")]
    OverBudget,
    /// The operating system gave no random bytes.
    #[error("no random bytes from the operating system: {0}")]
    Random(String),
}

fn tried(servers: &[Target]) -> String {
    servers.iter().map(Target::to_string).collect::<Vec<_>>().join(", ")
}

fn forward(servers: &[Target]) -> &'static str {
    if servers.len() == 1 { "forwards" } else { "forward" }
}
