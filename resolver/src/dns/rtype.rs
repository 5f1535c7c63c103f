//! The types of records that are treated one by one (IANA's list of DNS parameters). All others
//! are carried as they are (RFC 3597).

/// RFC 1035 §3.4.1.
pub const A: u16 = 1;
/// RFC 1035 §3.3.11.
pub const NS: u16 = 2;
/// RFC 1035 §3.3.1.
pub const CNAME: u16 = 5;
/// RFC 1035 §3.3.13.
pub const SOA: u16 = 6;
/// RFC 1035 §3.3.14.
pub const TXT: u16 = 16;
/// RFC 3596.
pub const AAAA: u16 = 28;
/// RFC 6672.
pub const DNAME: u16 = 39;
/// RFC 6891.
pub const OPT: u16 = 41;
/// RFC 4034 §5.
pub const DS: u16 = 43;
/// RFC 4034 §3.
pub const RRSIG: u16 = 46;
/// RFC 4034 §4.
pub const NSEC: u16 = 47;
/// RFC 4034 §2.
pub const DNSKEY: u16 = 48;
/// RFC 5155 §3.
pub const NSEC3: u16 = 50;
/// RFC 9460.
pub const SVCB: u16 = 64;
/// RFC 9460.
pub const HTTPS: u16 = 65;
/// In the bitmap of a compact denial: the name does not exist (RFC 9824 §3.4).
pub const NXNAME: u16 = 128;
/// RFC 8945.
pub const TSIG: u16 = 250;
/// RFC 1035 §3.2.3, every type.
pub const ANY: u16 = 255;

/// Whether a type is no data that can be fetched: OPT, TSIG and their like (RFC 6895 §3.1), and
/// transfers, which need a connection of their own.
pub fn is_pseudo(rtype: u16) -> bool {
    matches!(rtype, 0 | OPT | 249..=252)
}
