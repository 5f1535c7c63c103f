//! The key of a signed zone as a trust anchor.

use data_encoding::{BASE64, HEXUPPER};
use hickory_proto::rr::Name;

use super::{
    algorithm::Algorithm,
    key::{SigningKey, ds_record_data},
};
use crate::dns::names;

/// A key as a trust anchor, in master file format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustAnchor {
    /// The key's tag.
    pub tag: u16,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// The DNSKEY record, without a TTL.
    pub dnskey: String,
    /// The DS record, without a TTL, with a SHA-256 digest.
    pub ds: String,
}

impl TrustAnchor {
    /// The trust anchor for a key of a zone.
    pub fn from_key(key: &SigningKey, zone: &Name) -> Self {
        let dnskey = key.dnskey();
        let (tag, algorithm) = (key.tag(), key.algorithm());
        let ds = ds_record_data(&names::from_labels(zone.iter()), &dnskey);
        let number = algorithm.number();
        TrustAnchor {
            tag,
            algorithm,
            dnskey: format!("{zone} IN DNSKEY 257 3 {number} {}", BASE64.encode(key.public())),
            ds: format!("{zone} IN DS {tag} {number} 2 {}", HEXUPPER.encode(&ds[4..])),
        }
    }
}
