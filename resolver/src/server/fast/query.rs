//! Parses a query that can be answered from cached bytes, in one pass over the datagram.
//!
//! ```text
//!  id | QR 0, opcode 0, AA 0, TC 0, RD | RA 0, Z 0, AD, CD, RCODE 0 | 1 question | 0 | 0 | nothing or one OPT
//! ```
//!
//! A query that is unusual in any way is not refused here: it goes to the slow path.

use crate::{
    dns::{cookie, cookie::Sent, message::HEADER_BYTES, query::is_looked_up, rtype},
    resolve::answer::{MAX_UDP_BYTES, PLAIN_UDP_BYTES},
};

/// The longest question in bytes: name, type and class.
pub const MAX_QUESTION_BYTES: usize = 255 + 4;
const RD: u8 = 0x01;
const AD: u8 = 0x20;
const CD: u8 = 0x10;
/// The fixed part of an OPT: root name, type, class, TTL, length.
const OPT_FIXED_BYTES: usize = 11;
/// Options that the slow path parses: RFC 6975, RFC 5001, RFC 7871.
const DAU: u16 = 5;
const NSID: u16 = 3;
const CLIENT_SUBNET: u16 = 8;
/// DO in the third byte of the OPT's TTL.
const DO: u8 = 0x80;

/// The parts of a query, beside the bytes of its question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParsedQuery {
    /// The length of the question, which follows the header.
    pub question: usize,
    /// RD: upstreams may be asked.
    pub recursion_desired: bool,
    /// CD.
    pub checking_disabled: bool,
    /// AD or DO: the client understands AD.
    pub wants_ad: bool,
    /// DO.
    pub dnssec_ok: bool,
    /// There is an OPT.
    pub edns: bool,
    /// The most bytes that the response may have.
    pub limit: usize,
    /// Offset and length of the first COOKIE option's data in the datagram; 0 if there is none, as
    /// the data have at least 8 bytes.
    cookie: (u16, u8),
}

impl ParsedQuery {
    /// Parses a datagram and writes the question with its name in lower case to the start of
    /// `lower`. All bytes of the name are lower-cased alike, which is right because the length of a
    /// label is below `A`.
    pub fn read(datagram: &[u8], lower: &mut [u8; MAX_QUESTION_BYTES]) -> Option<Self> {
        let (header, rest) = datagram.split_first_chunk::<HEADER_BYTES>()?;
        let (high, low) = (header[2], header[3]);
        let &[_, _, _, _, 0, 1, 0, 0, 0, 0, 0, additional] = header else { return None };
        if high & !RD != 0 || low & !(AD | CD) != 0 || additional > 1 {
            return None;
        }
        let name = name_len(rest)?;
        let question = name + 4;
        let (asked, rest) = rest.split_at_checked(question)?;
        if !is_answerable(&asked[name..]) {
            return None;
        }
        let lower = &mut lower[..question];
        lower.copy_from_slice(asked);
        lower[..name].make_ascii_lowercase();
        let mut parsed = Self {
            question,
            recursion_desired: high & RD != 0,
            checking_disabled: low & CD != 0,
            wants_ad: low & AD != 0,
            dnssec_ok: false,
            edns: additional == 1,
            limit: usize::from(PLAIN_UDP_BYTES),
            cookie: (0, 0),
        };
        if parsed.edns {
            parsed.read_opt(rest, HEADER_BYTES + question)?;
        } else if !rest.is_empty() {
            return None;
        }
        Some(parsed)
    }

    /// The client's cookie in its datagram.
    pub fn cookie<'a>(&self, datagram: &'a [u8]) -> Option<Sent<'a>> {
        let (at, length) = (usize::from(self.cookie.0), usize::from(self.cookie.1));
        Sent::read(datagram.get(at..at + length)?)
    }

    /// The OPT at `start` has to be the last record of the datagram (RFC 6891 §6.1.2). Of its
    /// options only COOKIE counts: PADDING and keepalive have no effect over UDP (RFC 7830 §6, RFC
    /// 7828 §3.2.1), and unknown options are ignored.
    fn read_opt(&mut self, bytes: &[u8], start: usize) -> Option<()> {
        let (fixed, mut options) = bytes.split_first_chunk::<OPT_FIXED_BYTES>()?;
        let &[0, 0, OPT, size_high, size_low, 0, 0, flags, 0, length_high, length_low] = fixed
        else {
            return None;
        };
        if flags & !DO != 0
            || usize::from(u16::from_be_bytes([length_high, length_low])) != options.len()
        {
            return None;
        }
        while let Some((&[c0, c1, l0, l1], rest)) = options.split_first_chunk::<4>() {
            let length = usize::from(u16::from_be_bytes([l0, l1]));
            let (data, after) = rest.split_at_checked(length)?;
            match u16::from_be_bytes([c0, c1]) {
                cookie::OPTION if self.cookie.1 == 0 => {
                    // A cookie of the wrong length is left to the slow path.
                    Sent::read(data)?;
                    let at = start + bytes.len() - rest.len();
                    self.cookie = (u16::try_from(at).ok()?, u8::try_from(length).ok()?);
                }
                // The slow path checks the form of these.
                DAU | NSID | CLIENT_SUBNET => return None,
                _ => {}
            }
            options = after;
        }
        self.dnssec_ok = flags & DO != 0;
        self.wants_ad |= self.dnssec_ok;
        let size = u16::from_be_bytes([size_high, size_low]);
        self.limit = usize::from(size.clamp(PLAIN_UDP_BYTES, MAX_UDP_BYTES));
        options.is_empty().then_some(())
    }
}

const OPT: u8 = rtype::OPT as u8;

/// Class IN, and a type that is data or ANY: what [`crate::dns::query::read`] accepts.
fn is_answerable(rest: &[u8]) -> bool {
    let &[high, low, 0, 1] = rest else { return false };
    let qtype = u16::from_be_bytes([high, low]);
    is_looked_up(qtype)
}

/// The length of an uncompressed name, including the root label.
fn name_len(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match *bytes.get(at)? {
            0 if at < 255 => return Some(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dns::testing::question;

    fn query(flags: [u8; 2], name: &str, qtype: u16, opt: &[u8]) -> Vec<u8> {
        let mut bytes =
            vec![0xab, 0xcd, flags[0], flags[1], 0, 1, 0, 0, 0, 0, 0, u8::from(!opt.is_empty())];
        bytes.extend_from_slice(&question(name, qtype));
        bytes.extend_from_slice(opt);
        bytes
    }

    fn read(bytes: &[u8]) -> Option<(ParsedQuery, Vec<u8>)> {
        let mut lower = [0; MAX_QUESTION_BYTES];
        let parsed = ParsedQuery::read(bytes, &mut lower)?;
        Some((parsed, lower[..parsed.question].to_vec()))
    }

    const PLAIN: [u8; 11] = [0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0];

    fn opt(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut bytes = PLAIN.to_vec();
        change(&mut bytes);
        query([1, 0], "a.example", 1, &bytes)
    }

    #[test]
    fn only_the_name_is_lower_cased() {
        // Type 65 is an `A` as a byte.
        let (parsed, lower) = read(&query([1, 0], "WWW.eXample", 65, &[])).unwrap();
        assert_eq!(lower, question("www.example", 65));
        assert!(
            parsed.recursion_desired
                && !parsed.edns
                && !parsed.wants_ad
                && !parsed.checking_disabled
        );
        assert_eq!(parsed.limit, 512);
    }

    #[test]
    fn flags_and_sizes() {
        let (parsed, _) = read(&query([0, 0x30], "a.example", 1, &PLAIN)).unwrap();
        assert!(
            !parsed.recursion_desired && parsed.checking_disabled && parsed.wants_ad && parsed.edns
        );
        assert_eq!((parsed.dnssec_ok, parsed.limit), (false, 1232));
        let (parsed, _) = read(&opt(|opt| opt[7] = 0x80)).unwrap();
        assert!(parsed.dnssec_ok && parsed.wants_ad);
        for (size, limit) in [(0u16, 512), (511, 512), (700, 700), (4096, 1232)] {
            let bytes = opt(|opt| opt[3..5].copy_from_slice(&size.to_be_bytes()));
            assert_eq!(read(&bytes).unwrap().0.limit, limit);
        }
        let cookie = opt(|opt| {
            opt[10] = 12;
            opt.extend_from_slice(&[0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
        });
        let (parsed, _) = read(&cookie).unwrap();
        assert_eq!(parsed.cookie(&cookie), Sent::read(&[1, 2, 3, 4, 5, 6, 7, 8]));
        let unknown = opt(|opt| {
            opt[10] = 4;
            opt.extend_from_slice(&[0, 100, 0, 0]);
        });
        assert_eq!(read(&unknown).unwrap().0.cookie(&unknown), None);
    }

    #[test]
    fn what_is_for_the_slow_path() {
        let plain = query([1, 0], "a.example", 1, &[]);
        assert!(read(&plain).is_some());
        let with = |at: usize, value: u8| {
            let mut bytes = plain.clone();
            bytes[at] = value;
            bytes
        };
        for (what, bytes) in [
            ("an answer", with(2, 0x81)),
            ("another opcode", with(2, 0x29)),
            ("AA", with(2, 0x05)),
            ("TC", with(2, 0x03)),
            ("RA", with(3, 0x80)),
            ("Z", with(3, 0x40)),
            ("an RCODE", with(3, 1)),
            ("no question", with(5, 0)),
            ("two questions", with(5, 2)),
            ("an answer section", with(7, 1)),
            ("an authority section", with(9, 1)),
            ("two additional records", with(11, 2)),
            ("a missing OPT", with(11, 1)),
            ("a pointer", with(12, 0xc0)),
            ("a label of 64 bytes", with(12, 64)),
            ("something behind it", [&plain[..], &[0]].concat()),
            (
                "another class",
                query([1, 0], "a.example", 1, &[])
                    .iter()
                    .rev()
                    .skip(1)
                    .rev()
                    .copied()
                    .chain([3])
                    .collect(),
            ),
            ("type 0", query([1, 0], "a.example", 0, &[])),
            ("AXFR", query([1, 0], "a.example", 252, &[])),
            ("OPT as a question", query([1, 0], "a.example", 41, &[])),
            ("another record", opt(|opt| opt[2] = 1)),
            ("an OPT with a name", opt(|opt| opt[0] = 1)),
            ("another version", opt(|opt| opt[6] = 1)),
            ("an extended RCODE", opt(|opt| opt[5] = 1)),
            ("a flag nobody knows", opt(|opt| opt[7] = 0x40)),
            ("a length that is not there", opt(|opt| opt[10] = 1)),
            (
                "an option that is read",
                opt(|opt| {
                    opt[10] = 4;
                    opt.extend_from_slice(&[0, 8, 0, 0]);
                }),
            ),
            (
                "a cookie of no length that one can have",
                opt(|opt| {
                    opt[10] = 13;
                    opt.extend_from_slice(&[0, 10, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
                }),
            ),
            ("a type that nothing can have", query([1, 0], "a.example", 128, &[])),
            (
                "an option that ends early",
                opt(|opt| {
                    opt[10] = 4;
                    opt.extend_from_slice(&[0, 10, 0, 1]);
                }),
            ),
            (
                "half an option",
                opt(|opt| {
                    opt[10] = 2;
                    opt.extend_from_slice(&[0, 10]);
                }),
            ),
        ] {
            assert_eq!(read(&bytes), None, "{what}");
        }
    }

    #[test]
    fn names_of_every_length() {
        for last in 61..=62 {
            let labels =
                ["x".repeat(63), "y".repeat(63), "z".repeat(63), "w".repeat(last)].join(".");
            assert_eq!(read(&query([1, 0], &labels, 1, &[])).is_some(), last == 61);
        }
        assert!(read(&query([1, 0], "", 2, &[])).is_some(), "the root");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            read(&bytes);
        }

        #[test]
        fn whatever_is_changed_is_read_without_a_panic(
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = query([1, 0], "www.example.com", 1, &PLAIN);
            for (at, byte) in flips {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            read(&bytes[..cut.index(bytes.len() + 1)]);
        }
    }
}
