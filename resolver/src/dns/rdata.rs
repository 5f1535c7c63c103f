//! Names in RDATA: their offsets, and replacing them. Nothing else of the RDATA is interpreted, so
//! records of any type are copied byte by byte (RFC 3597).
//!
//! One table, [`layout`], has for each type with names in its RDATA their positions, and how they
//! may be treated.

use std::ops::Range;

use crate::dns::names;

/// One field of RDATA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// This many bytes.
    Skip(usize),
    /// A character string with a length prefix (RFC 1035 §3.3).
    Text,
    /// A domain name.
    Name,
    /// All that is left.
    Rest,
}

/// The fields of a type, and how its names are treated.
struct Layout {
    fields: &'static [Field],
    /// They may be compressed: the types of RFC 1035, and those for which RFC 3597 §4 asks
    /// receivers to decompress.
    compressible: bool,
    /// They are in lower case in signed data: the types of RFC 4034 §6.2 without NSEC (RFC 6840
    /// §5.1). Names in the RDATA of all later types stay as they are.
    lower_case: bool,
    /// A record of a name on the chain has to have exactly these fields, and its names are
    /// rewritten for the mount.
    checked: bool,
}

/// The layout of a type with names in its RDATA, or with a fixed length that clients rely on.
fn layout(rtype: u16) -> Option<Layout> {
    use Field::{Name, Rest, Skip, Text};
    let all = |fields| Layout { fields, compressible: true, lower_case: true, checked: true };
    let late = |fields| Layout { fields, compressible: false, lower_case: false, checked: true };
    Some(match rtype {
        // A and AAAA (RFC 3596) have no names.
        1 => late(&[Skip(4)]),
        28 => late(&[Skip(16)]),
        // NS, MD, MF, CNAME, MB, MG, MR, PTR (RFC 1035 §3.3), DNAME (RFC 6672 §2.1).
        2..=5 | 7..=9 | 12 | 39 => all(&[Name]),
        // SOA (RFC 1035 §3.3.13).
        6 => all(&[Name, Name, Skip(20)]),
        // MINFO (RFC 1035 §3.3.7), RP (RFC 1183 §2.2).
        14 | 17 => all(&[Name, Name]),
        // MX (RFC 1035 §3.3.9), AFSDB, RT (RFC 1183), KX (RFC 2230).
        15 | 18 | 21 | 36 => all(&[Skip(2), Name]),
        // LP (RFC 6742 §2.4).
        107 => late(&[Skip(2), Name]),
        // PX (RFC 2163 §4).
        26 => all(&[Skip(2), Name, Name]),
        // SRV (RFC 2782).
        33 => all(&[Skip(6), Name]),
        // NAPTR (RFC 3403 §4.1).
        35 => all(&[Skip(4), Text, Text, Text, Name]),
        // SIG (RFC 2535 §4.1) and NXT (RFC 2535 §5.2).
        24 => all(&[Skip(18), Name, Rest]),
        30 => all(&[Name, Rest]),
        // RRSIG and NSEC (RFC 4034 §3, §4) refer to the zone in which they were made.
        46 => Layout { checked: false, ..all(&[Skip(18), Name, Rest]) },
        47 => Layout { checked: false, lower_case: false, ..all(&[Name, Rest]) },
        // SVCB and HTTPS (RFC 9460 §2.2).
        64 | 65 => late(&[Skip(2), Name, Rest]),
        _ => return None,
    })
}

/// The fields of a type whose names may be compressed; empty for other types.
pub fn may_be_compressed(rtype: u16) -> &'static [Field] {
    layout(rtype).filter(|layout| layout.compressible).map_or(&[], |layout| layout.fields)
}

/// Lowers the case of names in uncompressed RDATA, if that is their canonical form (RFC 4034 §6.2).
/// Bytes that do not match the layout stay as they are from there on.
pub fn lower_names(rtype: u16, rdata: &mut [u8]) {
    let Some(layout) = layout(rtype).filter(|layout| layout.lower_case) else { return };
    let mut at = 0;
    for field in layout.fields {
        at += match field {
            Field::Skip(count) => *count,
            Field::Text => 1 + usize::from(rdata.get(at).copied().unwrap_or_default()),
            Field::Name => {
                let Some(length) = rdata.get(at..).and_then(names::name_len) else { return };
                // The lengths of labels are below `A`.
                rdata[at..at + length].make_ascii_lowercase();
                length
            }
            Field::Rest => return,
        };
    }
}

/// The positions of names in RDATA; `None` if it does not match its type's layout.
pub fn names(rtype: u16, rdata: &[u8]) -> Option<Vec<Range<usize>>> {
    let Some(layout) = layout(rtype).filter(|layout| layout.checked) else {
        return Some(Vec::new());
    };
    let (mut at, mut found) = (0, Vec::new());
    for field in layout.fields {
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

/// The RDATA with `replace` applied to each of its names; a name for which it returns `None` stays.
/// `None` if the RDATA does not match its type's layout.
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
            // Found by fuzzing: with ANY such a record got into an answer, which clients then could
            // not decode.
            (24, b"\x34\x12\x0d\x03\x02hi\x02hhhh\0hhh\0hhh\0\xc0"),
            (30, b"\x40"),
        ] {
            assert_eq!(names(rtype, bad), None, "type {rtype} {bad:?}");
        }
        assert_eq!(names(65280, b""), Some(vec![]), "a type nobody knows is never wrong");
    }
}
