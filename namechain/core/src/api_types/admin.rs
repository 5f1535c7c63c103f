//! What only the user who runs a node asks of it: peers and bans.

use serde::{Deserialize, Serialize};
#[cfg(feature = "openapi")]
use utoipa::ToSchema;

/// `GET /v1/bans`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Bans {
    /// The operator's bans, then those for misbehaving.
    pub bans: Vec<BanInfo>,
}

/// A ban.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct BanInfo {
    /// Whom it is about: an identity, or a subnet as in 192.0.2.0/24.
    pub target: String,
    /// Until when, in seconds of Unix time; absent: for good.
    pub until: Option<u64>,
    /// `operator`: it was added by hand, and survives a restart. `misbehavior`: the node refuses an
    /// identity that broke a rule, until it is started again at the latest.
    pub reason: String,
}

/// `POST /v1/bans`: whom to ban.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct NewBan {
    /// An identity, an IP address or a subnet.
    #[cfg_attr(feature = "openapi", schema(example = "192.0.2.0/24"))]
    pub target: String,
    /// For how many seconds; absent: for good.
    pub seconds: Option<u64>,
}

/// `POST /v1/bans/lift`: which ban to lift, or all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct LiftBans {
    /// The target of the ban.
    pub target: Option<String>,
    /// All bans, those for misbehaving among them.
    #[serde(default)]
    pub all: bool,
}

/// How many bans were lifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Lifted {
    /// How many.
    pub lifted: usize,
}
