//! The data that a signature covers: the canonical form of an RRset (RFC 4034 §6, RFC 6840 §5.1).

use hickory_proto::rr::{Name, RData, Record};

use crate::dns::{names, rdata};

/// The fixed part of an RRSIG, and the signer's name.
///
/// ```text
/// type covered (2) | algorithm (1) | labels (1) | original TTL (4) | expiration (4) | inception (4) | key tag (2) | signer's name
/// ```
///
/// RFC 4034 §3.1. The signature follows.
#[derive(Clone, Debug)]
pub struct RrsigFields<'a> {
    /// The algorithm's number.
    pub algorithm: u8,
    /// When the signature expires.
    pub expiration: u32,
    /// When it becomes valid.
    pub inception: u32,
    /// The key's tag.
    pub key_tag: u16,
    /// The name of the signed zone.
    pub signer: &'a Name,
}

impl RrsigFields<'_> {
    /// The RDATA of an RRSIG before the signature, for an RRset whose first record is `first`.
    pub fn prefix(&self, first: &Record) -> Vec<u8> {
        let mut out = Vec::with_capacity(18 + self.signer.len());
        out.extend_from_slice(&u16::from(first.record_type()).to_be_bytes());
        out.extend_from_slice(&[self.algorithm, labels(&first.name)]);
        out.extend_from_slice(&first.ttl.to_be_bytes());
        out.extend_from_slice(&self.expiration.to_be_bytes());
        out.extend_from_slice(&self.inception.to_be_bytes());
        out.extend_from_slice(&self.key_tag.to_be_bytes());
        out.extend_from_slice(&names::from_labels(self.signer.iter()));
        out
    }
}

/// The number of labels of an owner as in an RRSIG: without the root, and without a leading `*`
/// (RFC 4034 §3.1.3).
fn labels(owner: &Name) -> u8 {
    let star = usize::from(owner.iter().next() == Some(b"*"));
    // A name has at most 127 labels.
    u8::try_from(owner.iter().count() - star).unwrap_or(u8::MAX)
}

/// The signed data: the RRSIG's RDATA before the signature, and the RRset in canonical form and
/// order without duplicates (RFC 4034 §3.1.8.1, §6.3). `None` if the set is empty or a record can't
/// be encoded.
pub fn signed_data(prefix: &[u8], set: &[Record]) -> Option<Vec<u8>> {
    let first = set.first()?;
    let mut all =
        set.iter().map(|record| canonical_rdata(&record.data)).collect::<Option<Vec<_>>>()?;
    all.sort_unstable();
    all.dedup();
    let owner = names::from_labels(first.name.iter());
    let mut out = prefix.to_vec();
    for data in all {
        out.extend_from_slice(&owner);
        out.extend_from_slice(&u16::from(first.record_type()).to_be_bytes());
        out.extend_from_slice(&u16::from(first.dns_class).to_be_bytes());
        out.extend_from_slice(&first.ttl.to_be_bytes());
        out.extend_from_slice(&u16::try_from(data.len()).ok()?.to_be_bytes());
        out.extend_from_slice(&data);
    }
    Some(out)
}

/// RDATA in canonical form: without compression, names in lower case where the type requires it.
fn canonical_rdata(data: &RData) -> Option<Vec<u8>> {
    let mut plain = names::plain_rdata(data)?;
    let rtype = data.record_type().into();
    // RDATA that does not match its type is signed as it is.
    if rdata::names(rtype, &plain).is_some() {
        rdata::lower_names(rtype, &mut plain);
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::RecordType;

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn record(owner: &str, rtype: u16, data: &[u8]) -> Record {
        Record::from_rdata(name(owner), 300, names::opaque(RecordType::from(rtype), data.to_vec()))
    }

    /// The RDATA of the records in the order and form in which they are signed.
    fn data(set: &[Record]) -> Vec<Vec<u8>> {
        let bytes = signed_data(&[], set).unwrap();
        let (mut rest, mut found) = (bytes.as_slice(), Vec::new());
        let owner = names::from_labels(set[0].name.iter());
        while let Some(after) = rest.strip_prefix(owner.as_slice()) {
            assert_eq!(after[2..8], [0, 1, 0, 0, 1, 44], "class IN, 300 seconds");
            let length = usize::from(u16::from_be_bytes([after[8], after[9]]));
            found.push(after[10..10 + length].to_vec());
            rest = &after[10 + length..];
        }
        assert!(rest.is_empty());
        found
    }

    /// RFC 4034 §6.3: sorted as bytes, the shorter first, no duplicates.
    #[test]
    fn records_are_put_in_order() {
        let set = [&b"\x02b\0"[..], b"\x01", b"\x01\0", b"", b"\xff", b"\x01"]
            .map(|data| record("a.", 99, data));
        assert_eq!(data(&set), [&b""[..], b"\x01", b"\x01\0", b"\x02b\0", b"\xff"]);
    }

    /// RFC 4034 §6.2, as RFC 6840 §5.1 has it.
    #[test]
    fn owners_and_the_old_types_names_are_in_lower_case() {
        for (rtype, given, signed) in [
            (5, &b"\x03WwW\x01A\0"[..], &b"\x03www\x01a\0"[..]),
            (15, b"\0\x41\x01A\0", b"\0\x41\x01a\0"),
            (33, b"\0A\0B\0C\x01A\0", b"\0A\0B\0C\x01a\0"),
            (35, b"\0\x01\0\x02\x01U\x03ABC\0\x01A\0", b"\0\x01\0\x02\x01U\x03ABC\0\x01a\0"),
            (39, b"\x01A\0", b"\x01a\0"),
            (64, b"\0\x01\x01A\0", b"\0\x01\x01A\0"),
            (65, b"\0\x01\x01A\0", b"\0\x01\x01A\0"),
            (47, b"\x01A\0\0\x01\x40", b"\x01A\0\0\x01\x40"),
            (16, b"\x01A", b"\x01A"),
            (65_280, b"\x01A\0", b"\x01A\0"),
        ] {
            assert_eq!(data(&[record("WWW.Alice.", rtype, given)]), [signed], "type {rtype}");
        }
        assert!(
            signed_data(&[], &[record("WWW.Alice.", 1, &[1, 2, 3, 4])])
                .unwrap()
                .starts_with(b"\x03www\x05alice\0")
        );
    }

    /// RFC 4034 §3.1.3.
    #[test]
    fn labels_are_counted_without_a_star_in_front() {
        for (owner, count) in [
            (".", 0),
            ("a.", 1),
            ("www.alice.namechain.alt.", 4),
            ("*.alice.", 1),
            ("a.*.alice.", 3),
        ] {
            assert_eq!(labels(&name(owner)), count, "{owner}");
        }
    }

    #[test]
    fn the_fields_of_a_signature() {
        let fields = RrsigFields {
            algorithm: 13,
            expiration: 2,
            inception: 1,
            key_tag: 0x1234,
            signer: &name("Alt."),
        };
        let prefix = fields.prefix(&record("www.alice.", 1, &[1, 2, 3, 4]));
        assert_eq!(prefix, b"\0\x01\x0d\x02\0\0\x01\x2c\0\0\0\x02\0\0\0\x01\x12\x34\x03alt\0");
    }
}
