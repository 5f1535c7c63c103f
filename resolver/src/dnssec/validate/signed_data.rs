//! The bytes that a signature is made over (RFC 4034 §3.1.8.1 and §6, with RFC 6840 §5.1).

use super::rrset::{RrSet, Signature};
use crate::dns::name::Name;

/// A part of an RDATA, as far as it takes to find the names in it.
enum Part {
    Bytes(usize),
    Text,
    Name,
}

/// The types whose names are put in lower case: those of RFC 4034 §6.2 without NSEC (RFC 6840 §5.1)
/// and HINFO, which has none.
fn parts(rtype: u16) -> &'static [Part] {
    use Part::{Bytes, Name, Text};
    match rtype {
        // NS MD MF CNAME MB MG MR PTR NXT DNAME
        2 | 3 | 4 | 5 | 7 | 8 | 9 | 12 | 30 | 39 => &[Name],
        // SOA MINFO RP
        6 | 14 | 17 => &[Name, Name],
        // MX AFSDB RT KX
        15 | 18 | 21 | 36 => &[Bytes(2), Name],
        26 => &[Bytes(2), Name, Name],
        // SIG RRSIG
        24 | 46 => &[Bytes(18), Name],
        33 => &[Bytes(6), Name],
        35 => &[Bytes(4), Text, Text, Text, Name],
        _ => &[],
    }
}

/// Puts the names in a value without compression in lower case, where its type asks for that. What
/// is not what its type should be stays as it is from there on.
pub fn lower_names(rtype: u16, value: &mut [u8]) {
    let mut at = 0;
    for part in parts(rtype) {
        at += match part {
            Part::Bytes(count) => *count,
            Part::Text => 1 + usize::from(value.get(at).copied().unwrap_or_default()),
            Part::Name => {
                let Some((name, length)) = value.get(at..).and_then(Name::read) else { return };
                value[at..at + length].copy_from_slice(name.wire());
                length
            }
        };
    }
}

/// What a signature of a set signs; `None` if the signature was made for a longer name, which can't
/// be.
pub fn signed(set: &RrSet, signature: &Signature) -> Option<Vec<u8>> {
    let labels = usize::from(signature.labels);
    let own = set.owner.count();
    let owner = match expanded(set, signature)? {
        // RFC 4035 §5.3.2: "*." and the rightmost labels.
        true => set.owner.suffix(labels).wildcard()?,
        false => set.owner.suffix(own),
    };
    let values: usize = set.values.iter().map(|value| value.len() + owner.wire().len() + 10).sum();
    let mut out = Vec::with_capacity(signature.head.len() + values);
    out.extend_from_slice(&signature.head);
    for value in &set.values {
        out.extend_from_slice(owner.wire());
        out.extend_from_slice(&set.rtype.to_be_bytes());
        out.extend_from_slice(&1u16.to_be_bytes());
        out.extend_from_slice(&signature.original_ttl.to_be_bytes());
        out.extend_from_slice(&u16::try_from(value.len()).ok()?.to_be_bytes());
        out.extend_from_slice(value);
    }
    Some(out)
}

/// Whether a set was made from a wildcard, as its signature tells (RFC 4035 §5.3.4); `None` if the
/// signature has more labels than the owner.
pub fn expanded(set: &RrSet, signature: &Signature) -> Option<bool> {
    // The label of a wildcard itself does not count (RFC 4034 §3.1.3).
    let own = set.owner.count() - usize::from(set.owner.is_wildcard());
    let labels = usize::from(signature.labels);
    (labels <= own).then_some(labels < own)
}
