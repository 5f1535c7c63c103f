//! A parsed DNS message: the offsets of its records, and expansion of its names.
//!
//! ```text
//!   0  id        2  QR opcode AA TC RD | RA Z AD CD RCODE     4 QDCOUNT  6 ANCOUNT  8 NSCOUNT  10 ARCOUNT      (RFC 1035 §4.1.1)
//!  12  question: QNAME, QTYPE (2), QCLASS (2)                                                                  (§4.1.2)
//!      record:   NAME, TYPE (2), CLASS (2), TTL (4), RDLENGTH (2), RDATA                                       (§4.1.3)
//! ```
//!
//! Nothing is copied and nothing is trusted: every length and every compression pointer is checked
//! once, here.

use std::ops::Range;

use smallvec::SmallVec;

use super::{
    names::MAX_NAME_BYTES,
    rdata::{self, Field},
};

/// The length of the header in bytes.
pub const HEADER_BYTES: usize = 12;
/// The longest message: TCP's length prefix has two bytes (RFC 1035 §4.2.2).
pub const MAX_MESSAGE_BYTES: usize = 65_535;
/// A pointer to the name of the question, which follows the header.
const QUESTION_POINTER: [u8; 2] = [0xc0, HEADER_BYTES as u8];
/// Bytes of a record between its name and its RDATA.
const RECORD_FIXED_BYTES: usize = 10;
/// As many records as most replies have: those need no allocation.
const FEW_RECORDS: usize = 4;

/// The RCODEs with a meaning here (RFC 1035 §4.1.1).
pub mod rcode {
    /// No error.
    pub const NOERROR: u8 = 0;
    /// The server could not parse the query.
    pub const FORMERR: u8 = 1;
    /// The server failed.
    pub const SERVFAIL: u8 = 2;
    /// The name does not exist.
    pub const NXDOMAIN: u8 = 3;
    /// The server does not support the request.
    pub const NOTIMP: u8 = 4;
    /// The server refuses the request.
    pub const REFUSED: u8 = 5;
    /// A name that a DNAME makes too long (RFC 6672 §2.2).
    pub const YXDOMAIN: u8 = 6;

    /// Whether the server failed to answer (RFC 9520 §2).
    pub fn is_failure(code: u8) -> bool {
        matches!(code, FORMERR | SERVFAIL | NOTIMP | REFUSED)
    }
}

/// A message that violates the format, with the first defect found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// A message that exceeds the length prefix of a stream.
pub const TOO_LONG: Malformed = Malformed("longer than 65535 bytes");

/// The section of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    /// The answer.
    Answer,
    /// The authority.
    Authority,
    /// The additional records.
    Additional,
}

/// The offsets and fields of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordAt {
    /// Its section.
    pub section: Section,
    /// Its type.
    pub rtype: u16,
    /// Its class.
    pub class: u16,
    /// Its TTL in seconds; one with the highest bit set counts as 0 (RFC 2181 §8).
    pub ttl: u32,
    /// The offset of its name.
    pub start: usize,
    /// The offset of its TTL.
    pub ttl_at: usize,
    /// The offset of its RDATA.
    pub data: usize,
    /// The offset after its RDATA.
    pub end: usize,
}

/// A message with one question and checked records.
#[derive(Debug)]
pub struct Packet<'a> {
    bytes: &'a [u8],
    question_end: usize,
    records: SmallVec<[RecordAt; FEW_RECORDS]>,
}

impl<'a> Packet<'a> {
    /// Parses a message. Bytes after the last record are ignored.
    ///
    /// # Errors
    /// [`Malformed`] if a count, length or pointer is invalid, or if there is not exactly one
    /// question.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        if bytes.len() < HEADER_BYTES {
            return Err(Malformed("shorter than a header"));
        }
        if u16_at(bytes, 4)? != 1 {
            return Err(Malformed("not exactly one question"));
        }
        let question_end = skip_name(bytes, HEADER_BYTES, &Fields::default())? + 4;
        if question_end > bytes.len() {
            return Err(Malformed("the question ends early"));
        }
        let mut fields = Fields { question: HEADER_BYTES..question_end, ttls: SmallVec::new() };
        let mut records = SmallVec::new();
        let mut at = question_end;
        for (section, count_at) in
            [(Section::Answer, 6), (Section::Authority, 8), (Section::Additional, 10)]
        {
            for _ in 0..u16_at(bytes, count_at)? {
                let record = read_record(bytes, at, section, &mut fields)?;
                at = record.end;
                records.push(record);
            }
        }
        Ok(Self { bytes: &bytes[..at], question_end, records })
    }

    /// The message, without what followed its last record.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The question: name, type, class.
    pub fn question(&self) -> &'a [u8] {
        &self.bytes[HEADER_BYTES..self.question_end]
    }

    /// The type that was asked.
    pub fn qtype(&self) -> u16 {
        u16::from_be_bytes([self.bytes[self.question_end - 4], self.bytes[self.question_end - 3]])
    }

    /// All records in order.
    pub fn records(&self) -> &[RecordAt] {
        &self.records
    }

    /// The records of one section.
    pub fn section(&self, section: Section) -> impl Iterator<Item = &RecordAt> {
        self.records.iter().filter(move |record| record.section == section)
    }

    /// The RCODE of the header, without the bits that EDNS adds.
    pub fn rcode(&self) -> u8 {
        self.bytes[3] & 0x0f
    }

    /// Appends a record's name, uncompressed.
    ///
    /// # Errors
    /// [`Malformed`], never for a record of this packet.
    pub fn owner(&self, record: &RecordAt, out: &mut Vec<u8>) -> Result<(), Malformed> {
        expand_name(self.bytes, record.start, &Fields::default(), out).map(|_| ())
    }

    /// Appends a record's RDATA with every name in it uncompressed, as it has to be in another
    /// message.
    ///
    /// # Errors
    /// [`Malformed`], never for a record of this packet.
    pub fn rdata(&self, record: &RecordAt, out: &mut Vec<u8>) -> Result<(), Malformed> {
        walk_rdata(self.bytes, record, &Fields::default(), Some(out))
    }

    /// How many records are left if the last ones are dropped; `None` if one that stays follows a
    /// dropped one.
    pub fn kept_prefix(&self, dropped: impl Fn(&RecordAt) -> bool) -> Option<usize> {
        let kept = self.records.iter().position(&dropped).unwrap_or(self.records.len());
        self.records[kept..].iter().all(dropped).then_some(kept)
    }

    /// The message with its first `kept` records only.
    pub fn prefix(&self, kept: usize) -> Vec<u8> {
        let end = self.records.get(kept).map_or(self.bytes.len(), |record| record.start);
        let mut wire = self.bytes[..end].to_vec();
        write_counts(&mut wire, self.records.iter().take(kept));
        wire
    }

    /// The message without some of its records. Bytes before the first removed record are
    /// unchanged; later records are written uncompressed, because their pointers would be wrong.
    ///
    /// # Errors
    /// [`Malformed`] if that makes the message too long.
    pub fn without(&self, dropped: impl Fn(&RecordAt) -> bool) -> Result<Vec<u8>, Malformed> {
        let records = self.records();
        let Some(first) = records.iter().position(&dropped) else {
            return Ok(self.bytes().to_vec());
        };
        let mut wire = self.bytes()[..records[first].start].to_vec();
        let mut name = Vec::new();
        for record in &records[first..] {
            if dropped(record) {
                continue;
            }
            name.clear();
            self.owner(record, &mut name)?;
            let question_name = &self.question()[..self.question().len() - 4];
            wire.extend_from_slice(if name == question_name { &QUESTION_POINTER } else { &name });
            wire.extend_from_slice(&self.bytes()[record.data - 10..record.data - 2]);
            let length_at = wire.len();
            wire.extend_from_slice(&[0, 0]);
            self.rdata(record, &mut wire)?;
            let length = u16::try_from(wire.len() - length_at - 2).map_err(|_| TOO_LONG)?;
            wire[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
        }
        if wire.len() > MAX_MESSAGE_BYTES {
            return Err(TOO_LONG);
        }
        write_counts(&mut wire, records.iter().filter(|record| !dropped(record)));
        Ok(wire)
    }
}

/// Writes the numbers of records into a header.
fn write_counts<'r>(wire: &mut [u8], records: impl Iterator<Item = &'r RecordAt>) {
    let mut counts = [0_u16; 3];
    // No more than the header of the message that they come from said.
    records.for_each(|record| counts[record.section as usize] += 1);
    for (place, count) in wire[6..HEADER_BYTES].chunks_exact_mut(2).zip(counts) {
        place.copy_from_slice(&count.to_be_bytes());
    }
}

/// Reads two bytes.
///
/// # Errors
/// [`Malformed`] if they are not there.
pub fn u16_at(bytes: &[u8], at: usize) -> Result<u16, Malformed> {
    match bytes.get(at..at + 2) {
        Some(&[high, low]) => Ok(u16::from_be_bytes([high, low])),
        _ => Err(Malformed("ends early")),
    }
}

/// Reads four bytes.
///
/// # Errors
/// [`Malformed`] if they are not there.
pub fn u32_at(bytes: &[u8], at: usize) -> Result<u32, Malformed> {
    match bytes.get(at..at + 4) {
        Some(&[a, b, c, d]) => Ok(u32::from_be_bytes([a, b, c, d])),
        _ => Err(Malformed("ends early")),
    }
}

/// The bytes of a message that are patched when it is served: no name may overlap them, or it would
/// change. Only a compression pointer could do that.
#[derive(Debug, Default)]
struct Fields {
    /// The name of the question, which gets the client's spelling: a pointer into it has to lead to
    /// the start of a label.
    question: Range<usize>,
    /// The offsets of the TTLs so far, in order.
    ttls: SmallVec<[usize; FEW_RECORDS]>,
}

impl Fields {
    /// Whether `length` bytes from `at` on contain no TTL.
    fn spare(&self, at: usize, length: usize) -> bool {
        let first = self.ttls.partition_point(|ttl| ttl + 4 <= at);
        self.ttls.get(first).is_none_or(|ttl| at + length <= *ttl)
    }

    /// Whether a pointer may lead to `target`.
    fn may_lead_to(&self, bytes: &[u8], target: usize) -> bool {
        if !self.question.contains(&target) {
            return true;
        }
        let mut label = self.question.start;
        while label < target {
            label += 1 + usize::from(bytes[label]);
        }
        label == target
    }
}

fn read_record(
    bytes: &[u8],
    start: usize,
    section: Section,
    fields: &mut Fields,
) -> Result<RecordAt, Malformed> {
    let fixed = skip_name(bytes, start, fields)?;
    let data = fixed + RECORD_FIXED_BYTES;
    let end = data + usize::from(u16_at(bytes, fixed + 8)?);
    if end > bytes.len() {
        return Err(Malformed("a record ends behind the message"));
    }
    let ttl = u32_at(bytes, fixed + 4)?;
    let record = RecordAt {
        section,
        rtype: u16_at(bytes, fixed)?,
        class: u16_at(bytes, fixed + 2)?,
        ttl: if ttl > i32::MAX as u32 { 0 } else { ttl },
        start,
        ttl_at: fixed + 4,
        data,
        end,
    };
    fields.ttls.push(record.ttl_at);
    walk_rdata(bytes, &record, fields, None)?;
    Ok(record)
}

/// The offset after a name, all of whose pointers are valid.
fn skip_name(bytes: &[u8], at: usize, fields: &Fields) -> Result<usize, Malformed> {
    walk_name(bytes, at, fields, None).map(|(end, _)| end)
}

/// Appends a name uncompressed; returns the offset after it.
fn expand_name(
    bytes: &[u8],
    at: usize,
    fields: &Fields,
    out: &mut Vec<u8>,
) -> Result<usize, Malformed> {
    let mut name = [0; MAX_NAME_BYTES];
    let (end, length) = walk_name(bytes, at, fields, Some(&mut name))?;
    out.extend_from_slice(&name[..length]);
    Ok(end)
}

/// Walks a name, and writes it uncompressed to `name`: the offset after it, and its length. A
/// pointer has to lead to before the labels that it continues, so the walk ends (RFC 1035 §4.1.4).
fn walk_name(
    bytes: &[u8],
    at: usize,
    fields: &Fields,
    mut name: Option<&mut [u8; MAX_NAME_BYTES]>,
) -> Result<(usize, usize), Malformed> {
    // The target of a pointer is a prior name (RFC 1035 §4.1.4), so it ends before `limit`, the
    // start of the name with the pointer.
    let (mut at, mut run, mut limit, mut length, mut end) = (at, at, usize::MAX, 0, None);
    loop {
        let octet = *bytes.get(at).ok_or(Malformed("a name ends early"))?;
        let taken = if octet & 0xc0 == 0 { 1 + usize::from(octet) } else { 2 };
        if at + taken > limit {
            return Err(Malformed("a name runs into itself"));
        }
        if end.is_some() && !fields.spare(at, taken) {
            return Err(Malformed("a name lies across a TTL"));
        }
        match octet & 0xc0 {
            0x00 => {
                let next = at + taken;
                let label = bytes.get(at..next).ok_or(Malformed("a label ends early"))?;
                let before = length;
                length += label.len();
                if length > MAX_NAME_BYTES {
                    return Err(Malformed("a name is longer than 255 bytes"));
                }
                if let Some(name) = &mut name {
                    name[before..length].copy_from_slice(label);
                }
                at = next;
                if octet == 0 {
                    return Ok((end.unwrap_or(at), length));
                }
            }
            0xc0 => {
                let target = usize::from(u16_at(bytes, at)? & 0x3fff);
                if target >= run || target < HEADER_BYTES {
                    return Err(Malformed("a compression pointer does not lead back"));
                }
                if !fields.may_lead_to(bytes, target) {
                    return Err(Malformed(
                        "a compression pointer leads into a label of the question",
                    ));
                }
                end = end.or(Some(at + 2));
                (at, run, limit) = (target, target, run);
            }
            _ => return Err(Malformed("an unknown kind of label")),
        }
    }
}

/// Checks the names in the RDATA of a record, and appends it to `out` with all of them
/// uncompressed.
fn walk_rdata(
    bytes: &[u8],
    record: &RecordAt,
    fields: &Fields,
    mut out: Option<&mut Vec<u8>>,
) -> Result<(), Malformed> {
    const SHORT: Malformed = Malformed("an RDATA is shorter than its type needs");
    let mut at = record.data;
    // An empty RDATA has no names: it is copied as it is.
    let layout =
        if record.data == record.end { &[] } else { rdata::may_be_compressed(record.rtype) };
    for field in layout {
        let start = at;
        at = match field {
            Field::Skip(count) => start + count,
            Field::Text => start + 1 + usize::from(*bytes.get(start).ok_or(SHORT)?),
            Field::Name => match &mut out {
                Some(out) => expand_name(bytes, start, fields, out)?,
                None => skip_name(bytes, start, fields)?,
            },
            Field::Rest => record.end,
        };
        if at > record.end {
            return Err(SHORT);
        }
        if let Some(out) = out.as_mut().filter(|_| !matches!(field, Field::Name)) {
            out.extend_from_slice(&bytes[start..at]);
        }
    }
    if let Some(out) = out {
        out.extend_from_slice(&bytes[at..record.end]);
    }
    Ok(())
}
