//! The bytes that a signature is made over (RFC 4034 §3.1.8.1 and §6, with RFC 6840 §5.1).

use super::rrset::{RrSet, Signature};

/// The data that a signature covers for an RRset; `None` if the signature has more labels than the
/// owner, which is invalid.
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

/// Whether an RRset was expanded from a wildcard, by the label count of its signature (RFC 4035
/// §5.3.4); `None` if the signature has more labels than the owner.
pub fn expanded(set: &RrSet, signature: &Signature) -> Option<bool> {
    // The label of a wildcard itself does not count (RFC 4034 §3.1.3).
    let own = set.owner.count() - usize::from(set.owner.is_wildcard());
    let labels = usize::from(signature.labels);
    (labels <= own).then_some(labels < own)
}
