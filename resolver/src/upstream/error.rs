//! Why a question to legacy DNS got no answer, and the extended error (RFC 8914) that tells the
//! client so.

use std::time::Duration;

use hickory_proto::rr::RecordType;

use super::target::Target;
use super::transport::ChannelError;
use crate::dns::ede::Ede;

/// A question to legacy DNS that stays without an answer.
///
/// An answer that is itself bad news (SERVFAIL, REFUSED, NXDOMAIN) is no error: it is a
/// [`super::Reply`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForwardError {
    /// There is nobody to ask.
    #[error("no upstream DNS server is configured: name one with --upstream IP[:PORT]")]
    NoUpstream,
    /// Everyone was asked and nobody gave a reply that may be believed.
    #[error("no reply from {} within {timeout:?}; last: {}", tried(.servers), .last)]
    AllFailed {
        /// Who was asked, in this order, each once.
        servers: Vec<Target>,
        /// How long the question was allowed to take.
        timeout: Duration,
        /// What happened to the last try.
        last: ExchangeError,
    },
    /// All who could be asked ask us in turn, or somebody who does.
    #[error("{} {} back to this resolver, and nobody else can be asked", tried(.servers), lead(.servers))]
    Loop {
        /// Who they are.
        servers: Vec<Target>,
    },
    /// A question that we sent has come back to us.
    #[error(
        "a question of this resolver's own, which shows that its upstream {0} leads back to it"
    )]
    LoopProbe(Target),
    /// The same question failed a moment ago, and the servers are not asked again yet (RFC 9520
    /// §3.2).
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
    /// A type of question that is no look-up (a zone transfer, a pseudo type of the protocol
    /// itself).
    #[error("{0} is not a type that can be forwarded")]
    NotForwardable(RecordType),
    /// A value of [`super::UpstreamsConfig`] that can't work.
    #[error("legacy DNS can't be set up: {0}")]
    Config(&'static str),
    /// An upstream that can't be set up.
    #[error("{0}")]
    Upstream(#[from] ChannelError),
    /// A checked answer could not be read again. A bug, not the network.
    #[error("the answer can't be read: {0}")]
    Unreadable(&'static str),
    /// The task that asked ended without a result. A bug, not the network.
    #[error("the query was abandoned before it had a result")]
    Abandoned,
}

impl ForwardError {
    /// The extended DNS error that goes with the SERVFAIL (RFC 8914).
    pub fn ede(&self) -> Ede {
        let code = match self {
            Self::NoUpstream | Self::FailedRecently | Self::Loop { .. } | Self::LoopProbe(_) => {
                Ede::NO_REACHABLE_AUTHORITY
            }
            Self::AllFailed { last: ExchangeError::Network { .. }, .. } => Ede::NETWORK_ERROR,
            Self::AllFailed { last: ExchangeError::Bogus { .. }, .. } => Ede::DNSSEC_BOGUS,
            Self::AllFailed { .. } => Ede::NO_REACHABLE_AUTHORITY,
            Self::Busy { .. } => Ede::NOT_READY,
            Self::NotForwardable(_) => Ede::NOT_SUPPORTED,
            Self::Config(_) | Self::Upstream(_) | Self::Unreadable(_) | Self::Abandoned => {
                Ede::OTHER
            }
        };
        Ede::new(code, self.to_string())
    }
}

/// Why one try with one server failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// Nothing that may be believed came in time.
    #[error("{0} did not reply in time")]
    Silent(Target),
    /// It asks us in turn.
    #[error("{0} leads back to this resolver")]
    Loop(Target),
    /// The network refused (no route, port closed, connection reset).
    #[error("{server}: {what}")]
    Network {
        /// Who was asked.
        server: Target,
        /// What the operating system said.
        what: String,
    },
    /// A reply came, to this query, and is not a DNS message.
    #[error("{server} sent a malformed reply: {what}")]
    Malformed {
        /// Who was asked.
        server: Target,
        /// The first thing that was wrong.
        what: &'static str,
    },
    /// The answer is not what its zone has signed.
    #[error("{server}: DNSSEC: the signatures of the answer do not hold")]
    Bogus {
        /// Who was asked.
        server: Target,
    },
    /// The operating system gave no random numbers.
    #[error("no random numbers from the operating system: {0}")]
    Random(String),
}

fn tried(servers: &[Target]) -> String {
    servers.iter().map(Target::to_string).collect::<Vec<_>>().join(", ")
}

fn lead(servers: &[Target]) -> &'static str {
    if servers.len() == 1 { "leads" } else { "lead" }
}
