//! Compact denial of existence (RFC 9824).
//!
//! The NSEC record has the queried name as its owner and the very next name as its next name: it
//! lists the types that exist there, and says nothing about any other name. A name that does not
//! exist has the type NXNAME.

use hickory_proto::rr::{Name, Record, RecordType};

use crate::dns::{
    names::{self, MAX_LABEL_BYTES, MAX_NAME_BYTES},
    rtype::{NS, NSEC, NXNAME, RRSIG, SOA},
};

/// What does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The name.
    Name,
    /// The type; the name has these types.
    Data(Vec<u16>),
}

impl Denial {
    /// The NSEC record for `name`.
    pub fn nsec(&self, name: &Name, ttl: u32) -> Record {
        let mut types = match self {
            Denial::Name => vec![NXNAME],
            Denial::Data(types) => types.clone(),
        };
        // At a zone cut the names that follow belong to the child zone (RFC 9824 §3.2): none of
        // them may be covered.
        let cut = types.contains(&NS) && !types.contains(&SOA);
        types.extend([RRSIG, NSEC]);
        let mut data = successor(&names::from_labels(name.iter()), cut);
        data.extend(bitmap(types));
        Record::from_rdata(name.clone(), ttl, names::opaque(RecordType::NSEC, data))
    }
}

/// The next name in canonical order (RFC 4034 §6.1), in wire form and lower case: `\000.name`; or
/// the next name that is not below it, if names below may not be covered or would be too long (RFC
/// 4471 §3.1).
fn successor(name: &[u8], beside: bool) -> Vec<u8> {
    if !beside && name.len() + 2 <= MAX_NAME_BYTES {
        return [&[1, 0], name].concat();
    }
    let mut rest = name;
    while let Some((label, after)) = split(rest) {
        if label.len() < MAX_LABEL_BYTES && rest.len() < MAX_NAME_BYTES {
            return [&[label.len() as u8 + 1], label, &[0], after].concat();
        }
        let kept = label.iter().rposition(|byte| *byte != 0xff).map_or(0, |at| at + 1);
        if let Some((last, before)) = label[..kept].split_last() {
            // Upper-case letters are skipped: canonical order is of lower-case names.
            let next = if *last == b'A' - 1 { b'Z' + 1 } else { last + 1 };
            return [&[kept as u8], before, &[next], after].concat();
        }
        rest = after;
    }
    vec![0]
}

/// The first label, without its length, and what follows; `None` for the root.
fn split(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = name.split_first().filter(|(length, _)| **length > 0)?;
    rest.split_at_checked(usize::from(length))
}

/// The type bit map of NSEC (RFC 4034 §4.1.2): for each window of 256 types its number, a length,
/// and one bit per type, without trailing zeros.
fn bitmap(mut types: Vec<u16>) -> Vec<u8> {
    types.sort_unstable();
    types.dedup();
    let mut out = Vec::new();
    for window in types.chunk_by(|a, b| a >> 8 == b >> 8) {
        let mut bits = [0u8; 32];
        let mut length = 0;
        for rtype in window {
            let [_, low] = rtype.to_be_bytes();
            bits[usize::from(low / 8)] |= 0x80 >> (low % 8);
            length = usize::from(low / 8) + 1;
        }
        let [number, _] = window[0].to_be_bytes();
        out.extend_from_slice(&[number, length as u8]);
        out.extend_from_slice(&bits[..length]);
    }
    out
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::RData;

    use super::*;

    fn nsec(name: &str, denial: &Denial) -> Vec<u8> {
        let record = denial.nsec(&Name::from_ascii(name).unwrap(), 30);
        let RData::Unknown { code: RecordType::NSEC, rdata } = record.data else {
            panic!("{record}")
        };
        rdata.anything
    }

    /// RFC 9824 §3.1: `a.example.com. NSEC \000.a.example.com. RRSIG NSEC NXNAME`.
    #[test]
    fn a_name_that_does_not_exist() {
        let data = nsec("A.example.com.", &Denial::Name);
        let bits = b"\0\x11\0\0\0\0\0\x03\0\0\0\0\0\0\0\0\0\0\x80";
        assert_eq!(data, [&b"\x01\0\x01a\x07example\x03com\0"[..], bits].concat());
    }

    /// RFC 9824 §3.2.
    #[test]
    fn an_empty_non_terminal_has_nothing_but_the_proof() {
        let data = nsec("a.alt.", &Denial::Data(vec![]));
        assert_eq!(data, b"\x01\0\x01a\x03alt\0\0\x06\0\0\0\0\0\x03");
    }

    /// The example of RFC 4034 §4.3: A MX RRSIG NSEC TYPE1234.
    #[test]
    fn types_of_later_windows() {
        let expected =
            [&b"\x00\x06\x40\x01\x00\x00\x00\x03\x04\x1b"[..], &[0; 26], b"\x20"].concat();
        assert_eq!(bitmap(vec![1234, 1, 46, 15, 47, 1]), expected);
        assert_eq!(bitmap(vec![65_535]), [&[255, 32][..], &[0; 31], &[1]].concat());
        assert_eq!(bitmap(vec![256, 255]), [&[0, 32][..], &[0; 31], &[1], &[1, 1, 0x80]].concat());
    }

    /// Names below a cut belong to the child zone.
    #[test]
    fn the_record_at_a_cut_covers_nothing_below_it() {
        assert!(
            nsec("alice.alt.", &Denial::Data(vec![NS])).starts_with(b"\x06alice\0\x03alt\0\0\x06")
        );
        assert!(nsec("alt.", &Denial::Data(vec![NS, SOA])).starts_with(b"\x01\0\x03alt\0"));
    }

    #[test]
    fn the_next_name() {
        let label = |byte: u8, len: usize| [&[len as u8][..], &vec![byte; len]].concat();
        let long = |byte| {
            [label(byte, 63), label(b'a', 63), label(b'a', 63), label(b'a', 61), vec![0]].concat()
        };
        let mut bumped = long(b'b');
        bumped[63] = b'c';
        let full = |first: u8| [label(first, 63), b"\x03alt\0".to_vec()].concat();
        let mut beside = full(b'x');
        beside[63] = b'y';
        let mut skips = full(b'@');
        skips[63] = b'[';
        for (name, cut, next) in [
            (b"\x01a\0".to_vec(), false, b"\x01\0\x01a\0".to_vec()),
            (b"\x01a\0".to_vec(), true, b"\x02a\0\0".to_vec()),
            (long(b'b'), false, bumped),
            (full(b'x'), true, beside),
            (full(b'@'), true, skips),
            (full(0xff), true, b"\x04alt\0\0".to_vec()),
        ] {
            assert_eq!(successor(&name, cut), next);
            assert!(names::name_len(&next) == Some(next.len()));
        }
        let all = [vec![0xff; 63], vec![0xff; 63], vec![0xff; 63], vec![0xff; 61]];
        let last = [all.map(|label| [&[label.len() as u8][..], &label].concat()).concat(), vec![0]]
            .concat();
        // The label of 61 bytes could grow, but the name has its full length.
        assert_eq!(successor(&last, false), successor(&last[64 * 3..], true));
    }
}
