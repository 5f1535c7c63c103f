//! Mining from outside of the node.

use serde::{Deserialize, Serialize};

use crate::types::Hash;

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

/// `GET /v1/mining/template`: a block in the making.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct MiningTemplate {
    /// Its id: that of the header below. For `?after=`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub template: Hash,
    /// The 168 bytes of its header in hexadecimal, with nonce 0. Nothing but the nonce, the last
    /// eight bytes, may be changed.
    pub header: String,
    /// Its height.
    pub height: u32,
    /// Its time, in seconds of Unix time.
    pub time: u64,
    /// The expected hashes of its work, in decimal.
    pub work: String,
    /// How many operations it records.
    pub operations: usize,
    /// Whether there is a reason to mine it: it records something, or somebody waits for a block.
    pub wanted: bool,
}

/// The body of `POST /v1/mining/blocks`: a template's header with a nonce that has the work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct MinedHeader {
    /// The header in hexadecimal.
    pub header: String,
}

/// What became of a mined block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct MinedBlock {
    /// Its id.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: Hash,
    /// Its height.
    pub height: u32,
    /// Whether it is the tip now; if not, another block came first.
    pub tip: bool,
}
