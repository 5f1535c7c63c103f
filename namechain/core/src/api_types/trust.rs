//! What others need to trust the key that a resolver signs with.

use serde::{Deserialize, Serialize};
#[cfg(feature = "openapi")]
use utoipa::ToSchema;

/// `GET /v1/dnssec/anchor`: the key with which the DNS server in this process signs the names of
/// the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct TrustAnchor {
    /// The zone that it signs, with its dot.
    #[cfg_attr(feature = "openapi", schema(example = "namechain.alt."))]
    pub zone: String,
    /// The key's tag (RFC 4034 appendix B).
    pub key_tag: u16,
    /// The algorithm's number.
    #[cfg_attr(feature = "openapi", schema(example = 13))]
    pub algorithm: u8,
    /// The DNSKEY record in master file format, without a TTL.
    pub dnskey: String,
    /// The DS record in master file format, without a TTL; its digest is SHA-256.
    pub ds: String,
    /// The same key for the other zones that it signs: one for each further suffix.
    #[serde(default)]
    pub also: Vec<ZoneAnchor>,
    /// Where the server answers, IP:PORT each.
    pub servers: Vec<String>,
}

/// The key of a [`TrustAnchor`], for another zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct ZoneAnchor {
    /// The zone, with its dot.
    #[cfg_attr(feature = "openapi", schema(example = "namechain.internal."))]
    pub zone: String,
    /// The DNSKEY record in master file format, without a TTL.
    pub dnskey: String,
    /// The DS record in master file format, without a TTL; its digest is SHA-256.
    pub ds: String,
}
