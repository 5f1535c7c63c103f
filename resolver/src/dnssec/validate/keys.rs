//! Verification of RRsets by the keys of their zone (RFC 4035 §5.3), and of a zone's keys by its DS
//! records (§5.2).

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
pub struct Dnskey {
    rdata: Box<[u8]>,
    tag: u16,
}

impl Dnskey {
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

    fn is_too_short(&self) -> bool {
        algorithm::is_too_short(self.algorithm(), &self.rdata[4..])
    }

    fn flags(&self) -> u16 {
        u16::from_be_bytes([self.rdata[0], self.rdata[1]])
    }

    /// Whether it is a zone key that is not revoked.
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

    fn matches_key(&self, owner: &Name, key: &Dnskey) -> bool {
        key.tag == self.tag
            && key.algorithm() == self.algorithm
            && algorithm::is_digest(self.kind, &[owner.wire(), &key.rdata], &self.digest)
    }
}

/// The DS records with a supported digest and algorithm, without SHA-1 if there are better ones
/// (RFC 4509 §3).
///
/// # Errors
/// If there is none, the extended error with which the zone counts as insecure (RFC 4035 §5.2).
pub fn usable_ds(all: &[Ds]) -> Result<Vec<&Ds>, Ede> {
    let known: Vec<&Ds> = all.iter().filter(|ds| algorithm::is_supported_digest(ds.kind)).collect();
    if known.is_empty() {
        return Err(Ede::new(
            Ede::UNSUPPORTED_DIGEST,
            "all DS records of the zone use unsupported digests",
        ));
    }
    let mut usable: Vec<&Ds> =
        known.into_iter().filter(|ds| algorithm::is_supported(ds.algorithm)).collect();
    if usable.is_empty() {
        return Err(Ede::new(
            Ede::UNSUPPORTED_ALGORITHM,
            "all DS records of the zone use unsupported algorithms",
        ));
    }
    if usable.iter().any(|ds| ds.kind != 1) {
        usable.retain(|ds| ds.kind != 1);
    }
    Ok(usable)
}

/// A verified RRset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedSet {
    /// For how many seconds it may be cached: the least of its TTL, the original TTL, and the time
    /// left of the signature (RFC 4035 §5.3.3).
    pub ttl: u32,
    /// If it was expanded from a wildcard: the number of labels after the `*`.
    pub expanded: Option<usize>,
}

/// Verifies an RRset by the keys of its zone: one valid signature is enough.
///
/// # Errors
/// [`Fault`] of the last signature that did not verify.
pub fn verify_rrset(
    set: &RrSet,
    zone: &Name,
    keys: &[Dnskey],
    now: u64,
    work: &mut Work,
) -> Result<VerifiedSet, Fault> {
    // RFC 1982: both count seconds modulo 2^32.
    let now = (now & 0xffff_ffff) as u32;
    let mut worst =
        Fault::new(Ede::RRSIGS_MISSING, format!("there is no signature for {}", describe(set)));
    let mut checks = 0;
    for signature in set.signatures.iter().filter(|signature| signature.signer == *zone) {
        if let Err(fault) = check_validity_period(set, signature, now) {
            worst = fault;
            continue;
        }
        if !algorithm::is_supported(signature.algorithm) {
            let text = format!("{} is signed by algorithm {}", describe(set), signature.algorithm);
            worst = Fault::bogus(text);
            continue;
        }
        let Some(expanded) = signed_data::expanded(set, signature) else {
            worst =
                Fault::bogus(format!("the signature of {} is for a longer name", describe(set)));
            continue;
        };
        let Some(data) = signed_data::signed(set, signature) else { continue };
        match try_keys(set, signature, keys, &data, &mut checks, work)? {
            Ok(()) => {
                let ttl =
                    set.ttl.min(signature.original_ttl).min(signature.expiration.wrapping_sub(now));
                let expanded = expanded.then_some(usize::from(signature.labels));
                return Ok(VerifiedSet { ttl, expanded });
            }
            Err(fault) => worst = fault,
        }
    }
    Err(worst)
}

/// Tries the keys that may have made a signature.
fn try_keys(
    set: &RrSet,
    signature: &Signature,
    keys: &[Dnskey],
    data: &[u8],
    checks: &mut u32,
    work: &mut Work,
) -> Result<Result<(), Fault>, Fault> {
    let meant = |key: &&Dnskey| key.tag == signature.tag && key.algorithm() == signature.algorithm;
    let mut found = keys.iter().filter(meant).take(MAX_SAME_TAG).peekable();
    if found.peek().is_none() {
        let text = format!("the zone has no key {}, which signed {}", signature.tag, describe(set));
        return Ok(Err(Fault::new(Ede::DNSKEY_MISSING, text)));
    }
    let mut fault = Fault::bogus(format!("the signature of {} does not verify", describe(set)));
    for key in found {
        if !key.signs_zones() {
            let text = format!(
                "the key {}, which signed {}, is not a zone key",
                signature.tag,
                describe(set)
            );
            fault = Fault::new(Ede::NO_ZONE_KEY, text);
            continue;
        }
        if *checks >= MAX_CHECKS_PER_SET {
            return Err(Fault::bogus(format!(
                "{} needs more signature checks than the limit for one RRset allows",
                describe(set)
            )));
        }
        *checks += 1;
        work.count_check()?;
        if algorithm::verifies(signature.algorithm, &key.rdata[4..], data, &signature.bytes) {
            return Ok(Ok(()));
        }
        work.failures += 1;
    }
    Ok(Err(fault))
}

fn check_validity_period(set: &RrSet, signature: &Signature, now: u32) -> Result<(), Fault> {
    let before = |a: u32, b: u32| (a.wrapping_sub(b) as i32) < 0;
    if before(signature.expiration, signature.inception) {
        return Err(Fault::bogus(format!(
            "the signature of {} expires before its inception",
            describe(set)
        )));
    }
    if before(signature.expiration, now) {
        let ago = now.wrapping_sub(signature.expiration);
        let text = format!("the signature of {} expired {ago} s ago", describe(set));
        return Err(Fault::new(Ede::SIGNATURE_EXPIRED, text));
    }
    if before(now, signature.inception) {
        let ahead = signature.inception.wrapping_sub(now);
        let text = format!("the signature of {} becomes valid in {ahead} s", describe(set));
        return Err(Fault::new(Ede::SIGNATURE_NOT_YET_VALID, text));
    }
    Ok(())
}

/// Why a zone counts as insecure, if every key that its DS records name is too short to be verified
/// with (RFC 4035 §5.2, as for an algorithm that is not supported). The digests bind the keys, so
/// that nobody can leave out a better one.
///
/// # Errors
/// [`Fault`], if that takes too much work.
pub fn unsupported_keys(
    set: &RrSet,
    zone: &Name,
    known: &TrustedKeys<'_>,
    work: &mut Work,
) -> Result<Option<Ede>, Fault> {
    let short: Vec<Dnskey> = set.values.iter().filter_map(|value| Dnskey::read(value)).collect();
    let short: Vec<Dnskey> =
        short.into_iter().take(MAX_KEYS).filter(Dnskey::is_too_short).collect();
    if short.is_empty() || !known.keys.is_empty() {
        return Ok(None);
    }
    for ds in &known.digests {
        let mut is_named = false;
        for key in short.iter().filter(|key| key.tag == ds.tag) {
            work.count_digest()?;
            is_named |= ds.matches_key(zone, key);
        }
        if !is_named {
            return Ok(None);
        }
    }
    let why = "all keys that the zone's DS records name are RSA keys of less than 1024 bits";
    Ok(Some(Ede::new(Ede::UNSUPPORTED_ALGORITHM, why)))
}

/// Verifies a zone's DNSKEY RRset: it must be signed by a key that a DS or a trust anchor names.
///
/// # Errors
/// [`Fault`]
pub fn verify_dnskeys(
    set: &RrSet,
    zone: &Name,
    known: &TrustedKeys<'_>,
    now: u64,
    work: &mut Work,
) -> Result<(Vec<Dnskey>, u32), Fault> {
    let keys: Vec<Dnskey> =
        set.values.iter().filter_map(|value| Dnskey::read(value)).take(MAX_KEYS).collect();
    let mut fault = Fault::new(
        Ede::DNSKEY_MISSING,
        format!("no key of {zone} matches its DS records or trust anchor"),
    );
    let mut entries = Vec::new();
    for key in &keys {
        if !known.contains(zone, key, work)? {
            continue;
        }
        if key.signs_zones() {
            entries.push(key.clone());
        } else {
            let text = format!("the key {} of {zone} is not a zone key", key.tag);
            fault = Fault::new(Ede::NO_ZONE_KEY, text);
        }
    }
    if entries.is_empty() {
        return Err(fault);
    }
    let signed = verify_rrset(set, zone, &entries, now, work)?;
    Ok((keys, signed.ttl))
}

/// What makes a zone's keys trusted.
#[derive(Debug)]
pub struct TrustedKeys<'a> {
    /// DS records.
    pub digests: Vec<&'a Ds>,
    /// Keys configured as trust anchors.
    pub keys: &'a [Dnskey],
}

impl TrustedKeys<'_> {
    fn contains(&self, zone: &Name, key: &Dnskey, work: &mut Work) -> Result<bool, Fault> {
        if self.keys.contains(key) {
            return Ok(true);
        }
        for ds in &self.digests {
            if ds.tag == key.tag && ds.algorithm == key.algorithm() {
                work.count_digest()?;
                if ds.matches_key(zone, key) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// An RRset as text: owner and type.
pub fn describe(set: &RrSet) -> String {
    format!("{} {}", set.owner, hickory_proto::rr::RecordType::from(set.rtype))
}
