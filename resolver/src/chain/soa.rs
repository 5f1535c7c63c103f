//! SOA records of the zones that exist only in this resolver.

use hickory_proto::rr::{Name, RData, Record, rdata::SOA};

use super::mount::Suffix;

/// The negative TTL below a suffix, in seconds: the next block can change it.
pub const SUFFIX_NEGATIVE_TTL_SECS: u32 = 30;

/// The SOA of a suffix, such as `namechain.alt.`. It is the same for all names, each of which
/// changes in its own time; the zone is never transferred, so the serial has no use.
pub fn suffix_soa(suffix: &Suffix) -> Record {
    soa(suffix.name(), 1, SUFFIX_NEGATIVE_TTL_SECS)
}

/// The SOA of a zone that exists only here. The primary server is the zone itself, the mailbox
/// `hostmaster` in it.
pub fn soa(zone: Name, serial: u32, negative_ttl: u32) -> Record {
    let mailbox = zone.prepend_label("hostmaster").unwrap_or_else(|_| zone.clone());
    let data = SOA::new(zone.clone(), mailbox, serial, 3_600, 600, 604_800, negative_ttl);
    Record::from_rdata(zone, negative_ttl, RData::SOA(data))
}
