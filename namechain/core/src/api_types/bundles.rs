//! What is said of messaging bundles.

use serde::{Deserialize, Serialize};
#[cfg(feature = "openapi")]
use utoipa::ToSchema;

use crate::types::Name;

/// `GET /v1/bundles/{name}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct BundleInfo {
    /// The name.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub name: Name,
    /// The encoded bundle (`docs/messaging.md` section 3), in hexadecimal.
    pub bundle: String,
    /// When it was made, in seconds of Unix time.
    pub created: u64,
    /// When it is over, in seconds of Unix time.
    pub expires: u64,
    /// How many one-time prekeys are left to be given away here.
    pub one_time_left: u8,
}

/// The body of `PUT /v1/bundles/{name}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PutBundle {
    /// The encoded bundle, in hexadecimal.
    pub bundle: String,
    /// Whether this node gives its one-time prekeys away, each once. Only one node may: of two
    /// letters to the same one the second is lost.
    #[serde(default)]
    pub gives_one_time: bool,
}

/// `POST /v1/bundles/{name}/prekey`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct PrekeyInfo {
    /// When the bundle was made whose prekey it is, in seconds of Unix time.
    pub created: u64,
    /// The place of a one-time prekey that nobody else is given; absent if none is left: then the
    /// key of last resort serves.
    pub one_time: Option<u8>,
}
