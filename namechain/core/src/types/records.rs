//! The records of a name: a small zone in wire form.
//!
//! Consensus checks the structure only. Any type number is carried (RFC 3597), but the ones that a
//! signer or the zone cut makes itself.

use thiserror::Error;

use crate::codec::{Decode, DecodeError, Encode, Reader};

/// The most bytes that the records of one name may have, encoded.
pub const MAX_RECORDS_BYTES: usize = 4_096;

/// The longest relative owner in wire form, its closing zero included: with a label of 64 bytes and
/// `namechain.alt.` behind it the whole is still a DNS name of 255 bytes (RFC 1035 §2.3.4).
pub const MAX_OWNER_BYTES: usize = 255 - 64 - 15 + 1;

/// Types that no record may have: SOA, RRSIG, NSEC, DNSKEY, NSEC3, NSEC3PARAM (made by whoever
/// serves the zone), OPT, and the query types 128 to 255 that are not data (RFC 6895 §3.1), TKEY to
/// ANY.
pub const REFUSED_TYPES: [u16; 6] = [6, 46, 47, 48, 50, 51];

/// One record.
///
/// ```text
/// | owner        | labels of 1 to 63 bytes, each behind its length, then a zero; relative to the name, lower case |
/// | type         | u16                                                                                          |
/// | ttl          | u32, seconds, at most 2^31 - 1 (RFC 2181 §8)                                                 |
/// | rdata length | u16                                                                                          |
/// | rdata        | wire form, names without compression                                                         |
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// The owner relative to the name, in wire form: a single zero byte is the name itself.
    pub owner: Vec<u8>,
    /// The type's number.
    pub rtype: u16,
    /// The data in wire form.
    pub rdata: Vec<u8>,
    /// How long it may be cached, in seconds.
    pub ttl: u32,
}

/// The records of a name: sorted by owner, type and data, no two alike in these three; every RRset
/// with one TTL (RFC 2181 §5.2). Encoded in at most [`MAX_RECORDS_BYTES`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordSet(Vec<Record>);

/// Why records can't be held by a name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RecordError {
    /// The owner is not a well-formed relative name in lower case.
    #[error("a record's owner is not a relative name in lower case and wire form")]
    Owner,
    /// The owner is too long.
    #[error("a record's owner has {0} bytes in wire form, at most {MAX_OWNER_BYTES} are allowed")]
    OwnerTooLong(usize),
    /// The type is one of those that no name may hold.
    #[error("records of type {0} can't be held by a name")]
    Type(u16),
    /// The TTL is over 2^31 - 1.
    #[error("a TTL of {0} s is over 2147483647")]
    Ttl(u32),
    /// Two records are the same, or they are not in order.
    #[error("records must be sorted by owner, type and data, without duplicates")]
    Order,
    /// Two records of one RRset differ in TTL.
    #[error("the records of one owner and type must have one TTL")]
    MixedTtl,
    /// More than [`MAX_RECORDS_BYTES`].
    #[error("the records have {0} bytes, at most {MAX_RECORDS_BYTES} are allowed")]
    TooLarge(usize),
}

impl Record {
    fn check(&self) -> Result<(), RecordError> {
        check_owner(&self.owner)?;
        if REFUSED_TYPES.contains(&self.rtype)
            || self.rtype == 0
            || self.rtype == 41
            || (128..=255).contains(&self.rtype)
        {
            return Err(RecordError::Type(self.rtype));
        }
        if self.ttl > i32::MAX as u32 {
            return Err(RecordError::Ttl(self.ttl));
        }
        Ok(())
    }

    fn rrset(&self) -> (&[u8], u16) {
        (&self.owner, self.rtype)
    }

    fn sort_key(&self) -> (&[u8], u16, &[u8]) {
        (&self.owner, self.rtype, &self.rdata)
    }
}

fn check_owner(owner: &[u8]) -> Result<(), RecordError> {
    if owner.len() > MAX_OWNER_BYTES {
        return Err(RecordError::OwnerTooLong(owner.len()));
    }
    let mut rest = owner;
    loop {
        match rest {
            [0] => return Ok(()),
            [len @ 1..=63, tail @ ..] if tail.len() > usize::from(*len) => {
                let (label, after) = tail.split_at(usize::from(*len));
                if label.iter().any(u8::is_ascii_uppercase) {
                    return Err(RecordError::Owner);
                }
                rest = after;
            }
            _ => return Err(RecordError::Owner),
        }
    }
}

impl RecordSet {
    /// Sorts `records`, drops those that are there twice, and checks the rest.
    pub fn new(mut records: Vec<Record>) -> Result<Self, RecordError> {
        records.sort();
        records.dedup();
        let set = RecordSet(records);
        set.check()?;
        Ok(set)
    }

    /// The records, in order.
    pub fn records(&self) -> &[Record] {
        &self.0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The length of the records' encoding in bytes, without the length field before it.
    pub fn byte_len(&self) -> usize {
        self.0.iter().map(|r| r.owner.len() + 2 + 4 + 2 + r.rdata.len()).sum()
    }

    fn check(&self) -> Result<(), RecordError> {
        if self.byte_len() > MAX_RECORDS_BYTES {
            return Err(RecordError::TooLarge(self.byte_len()));
        }
        for record in &self.0 {
            record.check()?;
        }
        for pair in self.0.windows(2) {
            if pair[0].sort_key() >= pair[1].sort_key() {
                return Err(RecordError::Order);
            }
            if pair[0].rrset() == pair[1].rrset() && pair[0].ttl != pair[1].ttl {
                return Err(RecordError::MixedTtl);
            }
        }
        Ok(())
    }
}

impl Encode for Record {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.owner);
        out.extend_from_slice(&self.rtype.to_be_bytes());
        out.extend_from_slice(&self.ttl.to_be_bytes());
        out.extend_from_slice(&(self.rdata.len() as u16).to_be_bytes());
        out.extend_from_slice(&self.rdata);
    }
}

impl Decode for Record {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.offset();
        loop {
            let len = usize::from(reader.u8()?);
            reader.take(len)?;
            let length = reader.offset() - start;
            if length > MAX_OWNER_BYTES {
                return Err(DecodeError::OverCap {
                    what: "a record's owner",
                    found: length,
                    cap: MAX_OWNER_BYTES,
                });
            }
            if len == 0 {
                break;
            }
        }
        let owner = reader.since(start).to_vec();
        let rtype = reader.u16()?;
        let ttl = reader.u32()?;
        let len = usize::from(reader.u16()?);
        Ok(Record { owner, rtype, ttl, rdata: reader.take(len)?.to_vec() })
    }
}

/// The length of all records in bytes (u16), then the records.
impl Encode for RecordSet {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.byte_len() as u16).to_be_bytes());
        for record in &self.0 {
            record.encode(out);
        }
    }
}

impl Decode for RecordSet {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let len = usize::from(reader.u16()?);
        if len > MAX_RECORDS_BYTES {
            return Err(DecodeError::OverCap {
                what: "the records' length",
                found: len,
                cap: MAX_RECORDS_BYTES,
            });
        }
        let mut inner = Reader::new(reader.take(len)?);
        let mut records = Vec::new();
        while inner.offset() < len {
            records.push(Record::decode(&mut inner)?);
        }
        let set = RecordSet(records);
        set.check().map_err(|error| match error {
            RecordError::Owner => {
                DecodeError::Invalid("a record's owner is not a relative name in lower case")
            }
            RecordError::OwnerTooLong(_) => DecodeError::Invalid("a record's owner is too long"),
            RecordError::Type(_) => {
                DecodeError::Invalid("a record has a type that no name may hold")
            }
            RecordError::Ttl(_) => DecodeError::Invalid("a record's TTL is over 2147483647"),
            RecordError::Order => {
                DecodeError::Invalid("the records are not sorted, or one is there twice")
            }
            RecordError::MixedTtl => DecodeError::Invalid("an RRset has two TTLs"),
            RecordError::TooLarge(_) => DecodeError::Invalid("the records are too large"),
        })?;
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(owner: &[u8], rtype: u16, rdata: &[u8]) -> Record {
        Record { owner: owner.to_vec(), rtype, ttl: 300, rdata: rdata.to_vec() }
    }

    #[test]
    fn new_sorts_and_drops_duplicates() {
        let set = RecordSet::new(vec![
            record(b"\x03www\0", 1, &[1, 2, 3, 4]),
            record(b"\0", 16, b"\x01x"),
            record(b"\x03www\0", 1, &[1, 2, 3, 4]),
        ])
        .unwrap();
        assert_eq!(set.records().len(), 2);
        assert_eq!(set.records()[0].owner, b"\0");
        assert_eq!(RecordSet::from_bytes(&set.to_bytes()), Ok(set));
    }

    #[test]
    fn what_a_name_cannot_hold() {
        for (bad, why) in [
            (record(b"\x03WWW\0", 1, &[]), RecordError::Owner),
            (record(b"\x03www", 1, &[]), RecordError::Owner),
            (record(b"\x03www\0\0", 1, &[]), RecordError::Owner),
            (record(b"", 1, &[]), RecordError::Owner),
            (record(b"\0", 6, &[]), RecordError::Type(6)),
            (record(b"\0", 255, &[]), RecordError::Type(255)),
            (record(b"\0", 41, &[]), RecordError::Type(41)),
            (Record { ttl: 1 << 31, ..record(b"\0", 1, &[]) }, RecordError::Ttl(1 << 31)),
        ] {
            assert_eq!(RecordSet::new(vec![bad.clone()]), Err(why), "{bad:?}");
        }
        assert_eq!(
            RecordSet::new(vec![
                record(b"\0", 1, &[1]),
                Record { ttl: 9, ..record(b"\0", 1, &[2]) }
            ]),
            Err(RecordError::MixedTtl)
        );
        assert!(matches!(
            RecordSet::new(vec![record(b"\0", 16, &[0; 4_096])]),
            Err(RecordError::TooLarge(_))
        ));
    }

    #[test]
    fn decoding_refuses_another_order() {
        let a = record(b"\0", 1, &[1]);
        let b = record(b"\0", 1, &[2]);
        let bytes = RecordSet(vec![b, a]).to_bytes();
        assert!(matches!(RecordSet::from_bytes(&bytes), Err(DecodeError::Invalid(_))));
    }
}
