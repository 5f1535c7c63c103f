//! Names inside RDATA: where they are, and putting others in their place. Nothing else of the data
//! is understood, so records of any type come out byte by byte as they went in (RFC 3597).

use std::ops::Range;

use crate::dns::names;

/// One field of RDATA, as far as names are concerned.
enum Field {
    /// So many bytes.
    Skip(usize),
    /// A character string behind its length (RFC 1035 §3.3).
    Text,
    /// A domain name without compression.
    Name,
    /// All that is left.
    Rest,
}

/// The fields of the types whose data has names in it that a resolver follows or shows.
fn layout(rtype: u16) -> Option<&'static [Field]> {
    use Field::{Name, Rest, Skip, Text};
    Some(match rtype {
        // A and AAAA (RFC 3596) have no names, but a length that every client relies on.
        1 => &[Skip(4)],
        28 => &[Skip(16)],
        // NS, MD, MF, CNAME, MB, MG, MR, PTR (RFC 1035 §3.3), DNAME (RFC 6672 §2.1).
        2..=5 | 7..=9 | 12 | 39 => &[Name],
        // SOA (RFC 1035 §3.3.13): in what delegated servers say.
        6 => &[Name, Name, Skip(20)],
        // MINFO (RFC 1035 §3.3.7), RP (RFC 1183 §2.2).
        14 | 17 => &[Name, Name],
        // MX (RFC 1035 §3.3.9), AFSDB, RT (RFC 1183), KX (RFC 2230), LP (RFC 6742 §2.4).
        15 | 18 | 21 | 36 | 107 => &[Skip(2), Name],
        // PX (RFC 2163 §4).
        26 => &[Skip(2), Name, Name],
        // SRV (RFC 2782).
        33 => &[Skip(6), Name],
        // NAPTR (RFC 3403 §4.1).
        35 => &[Skip(4), Text, Text, Text, Name],
        // SIG (RFC 2535 §4.1) and NXT (RFC 2535 §5.2): nobody asks for them, but whoever reads them
        // looks for names.
        24 => &[Skip(18), Name, Rest],
        30 => &[Name, Rest],
        // SVCB and HTTPS (RFC 9460 §2.2).
        64 | 65 => &[Skip(2), Name, Rest],
        _ => return None,
    })
}

/// Where the names in the data are; `None` if the data is not what its type says.
pub fn names(rtype: u16, rdata: &[u8]) -> Option<Vec<Range<usize>>> {
    let Some(fields) = layout(rtype) else { return Some(Vec::new()) };
    let (mut at, mut found) = (0, Vec::new());
    for field in fields {
        let rest = rdata.get(at..)?;
        let len = match field {
            Field::Skip(len) => *len,
            Field::Text => 1 + usize::from(*rest.first()?),
            Field::Name => names::name_len(rest)?,
            Field::Rest => rest.len(),
        };
        if len > rest.len() {
            return None;
        }
        if matches!(field, Field::Name) {
            found.push(at..at + len);
        }
        at += len;
    }
    (at == rdata.len()).then_some(found)
}

/// The data with `replace` applied to each of its names; a name for which it says `None` stays.
/// `None` if the data is not what its type says.
pub fn map_names(
    rtype: u16,
    rdata: &[u8],
    replace: impl Fn(&[u8]) -> Option<Vec<u8>>,
) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(rdata.len());
    let mut done = 0;
    for range in names(rtype, rdata)? {
        out.extend_from_slice(&rdata[done..range.start]);
        let name = &rdata[range.clone()];
        match replace(name) {
            Some(other) => out.extend_from_slice(&other),
            None => out.extend_from_slice(name),
        }
        done = range.end;
    }
    out.extend_from_slice(&rdata[done..]);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn swap(name: &[u8]) -> Option<Vec<u8>> {
        (name == b"\x01a\0").then(|| b"\x02bb\0".to_vec())
    }

    #[test]
    fn names_are_replaced_where_the_type_has_them() {
        for (rtype, before, after) in [
            (5, &b"\x01a\0"[..], &b"\x02bb\0"[..]),
            (15, b"\x00\x0a\x01a\0", b"\x00\x0a\x02bb\0"),
            (33, b"\0\x01\0\x02\0\x03\x01a\0", b"\0\x01\0\x02\0\x03\x02bb\0"),
            (17, b"\x01a\0\x01c\0", b"\x02bb\0\x01c\0"),
            (65, b"\0\x01\x01a\0\0\x01\0\x03\x02h2", b"\0\x01\x02bb\0\0\x01\0\x03\x02h2"),
            (35, b"\0\x01\0\x02\x01u\x03abc\0\x01a\0", b"\0\x01\0\x02\x01u\x03abc\0\x02bb\0"),
            (16, b"\x01a\0", b"\x01a\0"),
            (65280, b"\x01a\0", b"\x01a\0"),
        ] {
            assert_eq!(map_names(rtype, before, swap).as_deref(), Some(after), "type {rtype}");
        }
    }

    #[test]
    fn data_that_is_not_its_types_is_noticed() {
        for (rtype, bad) in [
            (1, &b"\x01\x02\x03"[..]),
            (1, b"\x01\x02\x03\x04\x05"),
            (28, b"\x01\x02\x03\x04"),
            (5, b"\x01a"),
            (5, b"\x01a\0x"),
            (5, b"\xc0\x0c"),
            (5, b""),
            (15, b"\0"),
            (15, b"\0\x0a"),
            (65, b"\0\x01"),
            (35, b"\0\x01\0\x02\x09u"),
            // Found by fuzzing: with ANY it got into answers, which then nobody could read.
            (24, b"\x34\x12\x0d\x03\x02hi\x02hhhh\0hhh\0hhh\0\xc0"),
            (30, b"\x40"),
        ] {
            assert_eq!(names(rtype, bad), None, "type {rtype} {bad:?}");
        }
        assert_eq!(names(65280, b""), Some(vec![]), "a type nobody knows is never wrong");
    }
}
