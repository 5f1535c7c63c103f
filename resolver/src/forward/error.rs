//! Why a question to legacy DNS got no answer, and the extended error (RFC 8914) that tells the client so.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::rr::RecordType;

/// RFC 8914 §4.14: the server is not ready to serve.
const EDE_NOT_READY: u16 = 14;
/// RFC 8914 §4.22: the server is not supported for this question.
const EDE_NOT_SUPPORTED: u16 = 21;
/// RFC 8914 §4.23: no authority could be reached.
const EDE_NO_REACHABLE_AUTHORITY: u16 = 22;
/// RFC 8914 §4.24: an unrecoverable network error.
const EDE_NETWORK_ERROR: u16 = 23;
/// RFC 8914 §4.1: nothing more fitting.
const EDE_OTHER: u16 = 0;

/// A question to legacy DNS that stays without an answer.
///
/// An answer that is itself bad news (SERVFAIL, REFUSED, NXDOMAIN) is no error: it is a [`super::Reply`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForwardError {
    /// There is nobody to ask.
    #[error("no upstream DNS server is configured: name one with --upstream IP[:PORT]")]
    NoUpstream,
    /// Everyone was asked and nobody gave a reply that may be believed.
    #[error("no reply from {} within {timeout:?}; last: {}", tried(.servers), .last)]
    AllFailed {
        /// Who was asked, in this order, each once.
        servers: Vec<SocketAddr>,
        /// How long the question was allowed to take.
        timeout: Duration,
        /// What happened to the last try.
        last: ExchangeError,
    },
    /// The same question failed a moment ago, and the servers are not asked again yet (RFC 9520 §3.2).
    #[error(
        "the upstream DNS servers did not reply to this question a moment ago; asked again in a few seconds"
    )]
    FailedRecently,
    /// As many questions are on their way as may be.
    #[error("{limit} questions are already waiting for upstream DNS servers")]
    Busy {
        /// The bound that was reached.
        limit: usize,
    },
    /// A type of question that is no look-up (a zone transfer, a pseudo type of the protocol itself).
    #[error("{0} is not a type that can be forwarded")]
    NotForwardable(RecordType),
    /// A value of [`super::LegacyConfig`] that can't work.
    #[error("legacy DNS can't be set up: {0}")]
    Config(&'static str),
    /// A checked answer could not be read again. A bug, not the network.
    #[error("the answer can't be read: {0}")]
    Unreadable(&'static str),
    /// The task that asked ended without a result. A bug, not the network.
    #[error("the query was abandoned before it had a result")]
    Abandoned,
}

impl ForwardError {
    /// The extended DNS error that goes with the SERVFAIL: its INFO-CODE and EXTRA-TEXT (RFC 8914 §2).
    pub fn ede(&self) -> (u16, String) {
        let code = match self {
            Self::NoUpstream | Self::FailedRecently => EDE_NO_REACHABLE_AUTHORITY,
            Self::AllFailed { last, .. } if last.is_network() => EDE_NETWORK_ERROR,
            Self::AllFailed { .. } => EDE_NO_REACHABLE_AUTHORITY,
            Self::Busy { .. } => EDE_NOT_READY,
            Self::NotForwardable(_) => EDE_NOT_SUPPORTED,
            Self::Config(_) | Self::Unreadable(_) | Self::Abandoned => EDE_OTHER,
        };
        (code, self.to_string())
    }
}

/// Why one try with one server failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// Nothing that may be believed came in time.
    #[error("{0} did not reply in time")]
    Silent(SocketAddr),
    /// The network refused (no route, port closed, connection reset).
    #[error("{server}: {what}")]
    Network {
        /// Who was asked.
        server: SocketAddr,
        /// What the operating system said.
        what: String,
    },
    /// A reply came, to this query, and is not a DNS message.
    #[error("{server} sent a malformed reply: {what}")]
    Malformed {
        /// Who was asked.
        server: SocketAddr,
        /// The first thing that was wrong.
        what: &'static str,
    },
    /// The operating system gave no random numbers.
    #[error("no random numbers from the operating system: {0}")]
    Random(String),
}

impl ExchangeError {
    /// Whether the network said no, in contrast to a server that said nothing or nonsense.
    fn is_network(&self) -> bool {
        matches!(self, Self::Network { .. })
    }
}

fn tried(servers: &[SocketAddr]) -> String {
    servers.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(", ")
}
