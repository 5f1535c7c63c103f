//! Names in wire form (RFC 1035 §3.1), and conversion from and to hickory's.

use std::net::IpAddr;

use hickory_proto::{
    rr::{Name, RData, RecordType, rdata::NULL},
    serialize::binary::{BinEncodable, BinEncoder, NameEncoding},
};

/// The longest name in wire form in bytes, including the root label (RFC 1035 §2.3.4).
pub const MAX_NAME_BYTES: usize = 255;
/// The longest label in bytes (RFC 1035 §2.3.4).
pub const MAX_LABEL_BYTES: usize = 63;

/// The length of the uncompressed name at the start of `bytes`, including the root label.
pub fn name_len(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match *bytes.get(at)? {
            0 => return (at < MAX_NAME_BYTES).then_some(at + 1),
            len @ 1..=63 => at += 1 + usize::from(len),
            _ => return None,
        }
    }
}

/// The offsets of the labels of an uncompressed name, the root label's last.
pub fn label_starts(name: &[u8]) -> Vec<usize> {
    let (mut starts, mut at) = (Vec::new(), 0);
    while let Some(&len) = name.get(at) {
        starts.push(at);
        if len == 0 {
            break;
        }
        at += 1 + usize::from(len);
    }
    starts
}

/// Labels in wire form and lower case, with the root label.
pub fn from_labels<'a>(labels: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    for label in labels {
        out.push(label.len() as u8);
        out.extend(label.iter().map(u8::to_ascii_lowercase));
    }
    out.push(0);
    out
}

/// A name uncompressed, in its own spelling.
pub fn to_wire(name: &Name) -> Vec<u8> {
    // Room for a question's type and class.
    let mut wire = Vec::with_capacity(name.len() + 5);
    for label in name.iter() {
        // A label has at most 63 bytes; hickory's names guarantee that.
        wire.push(label.len() as u8);
        wire.extend_from_slice(label);
    }
    wire.push(0);
    wire
}

/// The name as hickory's type; `None` if it is not a valid name.
pub fn to_name(bytes: &[u8]) -> Option<Name> {
    (name_len(bytes)? == bytes.len()).then_some(())?;
    let starts = label_starts(bytes);
    let labels = starts.windows(2).map(|pair| &bytes[pair[0] + 1..pair[1]]);
    Name::from_labels(labels).ok()
}

/// `relative`, in wire form, below `origin`; `None` if that is too long.
pub fn below(relative: &[u8], origin: &Name) -> Option<Name> {
    let starts = label_starts(relative);
    let labels = starts.windows(2).map(|pair| &relative[pair[0] + 1..pair[1]]);
    Name::from_labels(labels.chain(origin.iter())).ok()
}

/// The labels of `name` before its last `origin_labels`, in wire form and lower case.
pub fn relative(name: &Name, origin_labels: usize) -> Vec<u8> {
    from_labels(name.iter().take(name.iter().count().saturating_sub(origin_labels)))
}

/// A name without its last labels.
pub fn without_last(name: &Name, labels: usize) -> Name {
    let keep = name.iter().count().saturating_sub(labels);
    Name::from_labels(name.iter().take(keep)).unwrap_or_default()
}

/// Opaque RDATA.
pub fn opaque(code: RecordType, data: Vec<u8>) -> RData {
    // hickory represents empty RDATA in its own way; its NULL must not be empty.
    if data.is_empty() {
        RData::Update0(code)
    } else {
        RData::Unknown { code, rdata: NULL::with(data) }
    }
}

/// The RDATA in wire form, uncompressed.
pub fn plain_rdata(data: &RData) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    data.emit(&mut encoder).ok()?;
    Some(bytes)
}

/// The address in the RDATA of an A or AAAA record.
pub fn address(data: &[u8]) -> Option<IpAddr> {
    if let Ok(bytes) = <[u8; 4]>::try_from(data) {
        return Some(bytes.into());
    }
    <[u8; 16]>::try_from(data).ok().map(IpAddr::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let name = Name::from_ascii("WWW.Alice.namechain.alt.").unwrap();
        assert_eq!(relative(&name, 3), b"\x03www\0");
        assert_eq!(relative(&name, 4), b"\0");
        assert_eq!(
            below(b"\x03www\0", &name.base_name()),
            Some(Name::from_ascii("www.alice.namechain.alt.").unwrap())
        );
        assert_eq!(to_name(b"\x03www\x05alice\0"), Some(Name::from_ascii("www.alice.").unwrap()));
        assert_eq!(to_name(b"\x03www\x05alice\0x"), None);
        assert_eq!(to_name(b"\0"), Some(Name::root()));
    }

    #[test]
    fn lengths() {
        assert_eq!(name_len(b"\x01a\0rest"), Some(3));
        assert_eq!(name_len(b"\x01a"), None);
        assert_eq!(name_len(b"\xc0\x0c"), None, "no pointers");
        let longest = [&[63u8; 64][..], &[63; 64], &[63; 64], &[61; 62], &[0]].concat();
        assert_eq!(name_len(&longest), Some(255));
        let longer = [&[63u8; 64][..], &[63; 64], &[63; 64], &[62; 63], &[0]].concat();
        assert_eq!(name_len(&longer), None);
    }
}
