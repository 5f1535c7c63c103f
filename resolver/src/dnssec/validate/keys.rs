//! Keys and what they sign: a set of records by the keys of its zone (RFC 4035 §5.3), the keys of a
//! zone by what its parent says of them (§5.2).

use super::algorithm;
use super::budget::{MAX_CHECKS_PER_SET, MAX_KEYS, MAX_SAME_TAG, Work};
use super::rrset::{RrSet, Signature};
use super::signed_data;
use super::verdict::Fault;
use crate::dns::ede::Ede;
use crate::dns::name::Name;

const ZONE_KEY: u16 = 0x0100;
/// RFC 5011 §3.
const REVOKED: u16 = 0x0080;
/// RFC 4034 §2.1.2.
const PROTOCOL: u8 = 3;

/// A DNSKEY (RFC 4034 §2.1).
///
/// ```text
/// 0 flags (2)  2 protocol  3 algorithm  4 public key
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    rdata: Box<[u8]>,
    tag: u16,
}

impl Key {
    /// Reads the value of a DNSKEY.
    pub fn read(rdata: &[u8]) -> Option<Self> {
        (rdata.len() > 4).then(|| Self { rdata: rdata.into(), tag: key_tag(rdata) })
    }

    /// The whole value.
    pub fn rdata(&self) -> &[u8] {
        &self.rdata
    }

    /// Its tag, by which signatures refer to it.
    pub fn tag(&self) -> u16 {
        self.tag
    }

    /// Its algorithm.
    pub fn algorithm(&self) -> u8 {
        self.rdata[3]
    }

    fn flags(&self) -> u16 {
        u16::from_be_bytes([self.rdata[0], self.rdata[1]])
    }

    /// Whether it signs zones, at all and still.
    fn signs_zones(&self) -> bool {
        self.flags() & ZONE_KEY != 0 && self.flags() & REVOKED == 0 && self.rdata[2] == PROTOCOL
    }
}

/// The tag of a key, from the value of its DNSKEY (RFC 4034 Appendix B).
pub fn key_tag(rdata: &[u8]) -> u16 {
    let sum: u32 = rdata.chunks(2).fold(0, |sum: u32, pair| {
        sum.wrapping_add(u32::from(pair[0]) << 8)
            .wrapping_add(pair.get(1).map_or(0, |low| u32::from(*low)))
    });
    (sum.wrapping_add(sum >> 16) & 0xffff) as u16
}

/// A DS (RFC 4034 §5.1).
///
/// ```text
/// 0 key tag (2)  2 algorithm  3 kind of digest  4 digest
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ds {
    /// The tag of the key.
    pub tag: u16,
    /// Its algorithm.
    pub algorithm: u8,
    /// The kind of the digest.
    pub kind: u8,
    /// The digest of owner and key.
    pub digest: Box<[u8]>,
}

impl Ds {
    /// Reads the value of a DS.
    pub fn read(rdata: &[u8]) -> Option<Self> {
        let (head, digest) = rdata.split_first_chunk::<4>()?;
        let [high, low, algorithm, kind] = *head;
        Some(Self { tag: u16::from_be_bytes([high, low]), algorithm, kind, digest: digest.into() })
    }

    fn names(&self, owner: &Name, key: &Key) -> bool {
        key.tag == self.tag
            && key.algorithm() == self.algorithm
            && algorithm::is_digest(self.kind, &[owner.wire(), &key.rdata], &self.digest)
    }
}

/// The DS records by which a zone can be judged: with a digest and an algorithm that are known, and
/// none with SHA-1 if there are better ones (RFC 4509 §3). If there are none, why the zone counts
/// as unsigned (RFC 4035 §5.2).
///
/// # Errors
/// The extended error to that.
pub fn usable(all: &[Ds]) -> Result<Vec<&Ds>, Ede> {
    let known: Vec<&Ds> = all.iter().filter(|ds| algorithm::is_supported_digest(ds.kind)).collect();
    if known.is_empty() {
        return Err(Ede::new(
            Ede::UNSUPPORTED_DIGEST,
            "the parent names the zone's keys by unknown digests only",
        ));
    }
    let mut usable: Vec<&Ds> =
        known.into_iter().filter(|ds| algorithm::is_supported(ds.algorithm)).collect();
    if usable.is_empty() {
        return Err(Ede::new(
            Ede::UNSUPPORTED_ALGORITHM,
            "the zone is signed by unknown algorithms only",
        ));
    }
    if usable.iter().any(|ds| ds.kind != 1) {
        usable.retain(|ds| ds.kind != 1);
    }
    Ok(usable)
}

/// What holds of a set that its zone has signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed {
    /// For how many seconds it may be kept at most: its TTL, the one it was signed with, and what
    /// is left of the signature (RFC 4035 §5.3.3).
    pub ttl: u32,
    /// How many labels the wildcard's parent has that it was made from, if it was.
    pub expanded: Option<usize>,
}

/// Checks the signatures of a set by the keys of its zone until one holds.
///
/// # Errors
/// [`Fault`] that says what was wrong with the one that came closest.
pub fn check(
    set: &RrSet,
    zone: &Name,
    keys: &[Key],
    now: u64,
    work: &mut Work,
) -> Result<Signed, Fault> {
    // RFC 1982: both count seconds modulo 2^32.
    let now = (now & 0xffff_ffff) as u32;
    let mut worst = Fault::new(Ede::RRSIGS_MISSING, format!("nothing signs {}", said(set)));
    let mut checks = 0;
    for signature in set.signatures.iter().filter(|signature| signature.signer == *zone) {
        if let Err(fault) = in_time(set, signature, now) {
            worst = fault;
            continue;
        }
        if !algorithm::is_supported(signature.algorithm) {
            let text = format!("{} is signed by algorithm {}", said(set), signature.algorithm);
            worst = Fault::bogus(text);
            continue;
        }
        let Some(expanded) = signed_data::expanded(set, signature) else {
            worst = Fault::bogus(format!("the signature of {} is of a longer name", said(set)));
            continue;
        };
        let Some(data) = signed_data::signed(set, signature) else { continue };
        match try_keys(set, signature, keys, &data, &mut checks, work)? {
            Ok(()) => {
                let ttl =
                    set.ttl.min(signature.original_ttl).min(signature.expiration.wrapping_sub(now));
                let expanded = expanded.then_some(usize::from(signature.labels));
                return Ok(Signed { ttl, expanded });
            }
            Err(fault) => worst = fault,
        }
    }
    Err(worst)
}

/// Tries the keys that a signature may be made with.
fn try_keys(
    set: &RrSet,
    signature: &Signature,
    keys: &[Key],
    data: &[u8],
    checks: &mut u32,
    work: &mut Work,
) -> Result<Result<(), Fault>, Fault> {
    let meant = |key: &&Key| key.tag == signature.tag && key.algorithm() == signature.algorithm;
    let mut found = keys.iter().filter(meant).take(MAX_SAME_TAG).peekable();
    if found.peek().is_none() {
        let text = format!("the key {} that signs {} is not there", signature.tag, said(set));
        return Ok(Err(Fault::new(Ede::DNSKEY_MISSING, text)));
    }
    let mut fault = Fault::bogus(format!("the signature of {} does not hold", said(set)));
    for key in found {
        if !key.signs_zones() {
            let text = format!("the key {} that signs {} is no zone key", signature.tag, said(set));
            fault = Fault::new(Ede::NO_ZONE_KEY, text);
            continue;
        }
        if *checks >= MAX_CHECKS_PER_SET {
            return Err(Fault::bogus(format!(
                "{} takes more checks than are allowed for one set",
                said(set)
            )));
        }
        *checks += 1;
        work.check()?;
        if algorithm::verifies(signature.algorithm, &key.rdata[4..], data, &signature.bytes) {
            return Ok(Ok(()));
        }
        work.failures += 1;
    }
    Ok(Err(fault))
}

fn in_time(set: &RrSet, signature: &Signature, now: u32) -> Result<(), Fault> {
    let before = |a: u32, b: u32| (a.wrapping_sub(b) as i32) < 0;
    if before(signature.expiration, signature.inception) {
        return Err(Fault::bogus(format!("the signature of {} ends before it begins", said(set))));
    }
    if before(signature.expiration, now) {
        let ago = now.wrapping_sub(signature.expiration);
        let text = format!("the signature of {} has expired {ago} s ago", said(set));
        return Err(Fault::new(Ede::SIGNATURE_EXPIRED, text));
    }
    if before(now, signature.inception) {
        let ahead = signature.inception.wrapping_sub(now);
        let text = format!("the signature of {} begins to hold in {ahead} s", said(set));
        return Err(Fault::new(Ede::SIGNATURE_NOT_YET_VALID, text));
    }
    Ok(())
}

/// Checks the keys of a zone: one that is known already, by a DS or as a trust anchor, has to sign
/// all of them.
///
/// # Errors
/// [`Fault`]
pub fn check_keys(
    set: &RrSet,
    zone: &Name,
    known: &Known<'_>,
    now: u64,
    work: &mut Work,
) -> Result<(Vec<Key>, u32), Fault> {
    let keys: Vec<Key> =
        set.values.iter().filter_map(|value| Key::read(value)).take(MAX_KEYS).collect();
    let mut fault =
        Fault::new(Ede::DNSKEY_MISSING, format!("no key of {zone} is one that is known of it"));
    let mut entries = Vec::new();
    for key in &keys {
        if !known.has(zone, key, work)? {
            continue;
        }
        if key.signs_zones() {
            entries.push(key.clone());
        } else {
            let text = format!("the key {} that is known of {zone} is no zone key", key.tag);
            fault = Fault::new(Ede::NO_ZONE_KEY, text);
        }
    }
    if entries.is_empty() {
        return Err(fault);
    }
    let signed = check(set, zone, &entries, now, work)?;
    Ok((keys, signed.ttl))
}

/// By what a zone's keys are known.
#[derive(Debug)]
pub struct Known<'a> {
    /// Digests.
    pub digests: Vec<&'a Ds>,
    /// Keys themselves.
    pub keys: &'a [Key],
}

impl Known<'_> {
    fn has(&self, zone: &Name, key: &Key, work: &mut Work) -> Result<bool, Fault> {
        if self.keys.contains(key) {
            return Ok(true);
        }
        for ds in &self.digests {
            if ds.tag == key.tag && ds.algorithm == key.algorithm() {
                work.digest()?;
                if ds.names(zone, key) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// A set, for people.
pub fn said(set: &RrSet) -> String {
    format!("{} {}", set.owner, hickory_proto::rr::RecordType::from(set.rtype))
}
