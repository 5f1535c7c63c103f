//! The labels of an answer in metrics: its origin and its outcome.

use hickory_proto::op::ResponseCode;

/// The origin of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Refused, or the query could not be parsed.
    #[default]
    Refused,
    /// A special-use name (RFC 6761), or another that is answered locally.
    Special,
    /// The chain.
    Chain,
    /// The chain, from the cache: its dependencies still hold.
    ChainCached,
    /// Legacy DNS, from an upstream.
    Legacy,
    /// Legacy DNS, from the cache.
    LegacyCached,
    /// Legacy DNS, from the cache, after its TTL (RFC 8767).
    LegacyStale,
}

impl Origin {
    /// All origins, in order of declaration.
    pub const ALL: [Origin; 7] = [
        Origin::Refused,
        Origin::Special,
        Origin::Chain,
        Origin::ChainCached,
        Origin::Legacy,
        Origin::LegacyCached,
        Origin::LegacyStale,
    ];

    /// The value of the metric label `route`.
    pub fn route(self) -> &'static str {
        match self {
            Origin::Refused => "none",
            Origin::Special => "special",
            Origin::Chain | Origin::ChainCached => "chain",
            Origin::Legacy | Origin::LegacyCached | Origin::LegacyStale => "legacy",
        }
    }

    /// The value of the metric label `cache`.
    pub fn cache(self) -> &'static str {
        match self {
            Origin::Refused | Origin::Special => "none",
            Origin::Chain | Origin::Legacy => "miss",
            Origin::ChainCached | Origin::LegacyCached => "hit",
            Origin::LegacyStale => "stale",
        }
    }
}

/// The outcome of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// NOERROR with records.
    NoError,
    /// NOERROR without records: the name exists, the type does not.
    NoData,
    /// NXDOMAIN.
    NxDomain,
    /// SERVFAIL.
    ServFail,
    /// REFUSED.
    Refused,
    /// FORMERR.
    FormErr,
    /// Any other response code.
    Other,
}

impl Outcome {
    /// All outcomes with their label values, in order of declaration.
    pub const ALL: [(Outcome, &str); 7] = [
        (Outcome::NoError, "noerror"),
        (Outcome::NoData, "nodata"),
        (Outcome::NxDomain, "nxdomain"),
        (Outcome::ServFail, "servfail"),
        (Outcome::Refused, "refused"),
        (Outcome::FormErr, "formerr"),
        (Outcome::Other, "other"),
    ];

    /// The outcome of a response code. `has_records`: the answer section has records, or the
    /// message is truncated.
    pub fn from_rcode(rcode: ResponseCode, has_records: bool) -> Self {
        match rcode {
            ResponseCode::NoError if has_records => Outcome::NoError,
            ResponseCode::NoError => Outcome::NoData,
            ResponseCode::NXDomain => Outcome::NxDomain,
            ResponseCode::ServFail => Outcome::ServFail,
            ResponseCode::Refused => Outcome::Refused,
            ResponseCode::FormErr => Outcome::FormErr,
            _ => Outcome::Other,
        }
    }

    /// The value of the metric label `outcome`.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_agree() {
        for (at, (outcome, name)) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!((outcome as usize, outcome.name()), (at, name));
        }
        for (at, origin) in Origin::ALL.into_iter().enumerate() {
            assert_eq!(origin as usize, at);
        }
    }
}
