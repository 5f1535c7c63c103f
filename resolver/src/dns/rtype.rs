//! Record types with a meaning here (IANA's list of DNS parameters). All others are opaque (RFC
//! 3597).

/// IPv4 address (RFC 1035 §3.4.1).
pub const A: u16 = 1;
/// Name server (RFC 1035 §3.3.11).
pub const NS: u16 = 2;
/// Alias (RFC 1035 §3.3.1).
pub const CNAME: u16 = 5;
/// Start of authority (RFC 1035 §3.3.13).
pub const SOA: u16 = 6;
/// Text (RFC 1035 §3.3.14).
pub const TXT: u16 = 16;
/// IPv6 address (RFC 3596).
pub const AAAA: u16 = 28;
/// Alias of a subtree (RFC 6672).
pub const DNAME: u16 = 39;
/// EDNS (RFC 6891).
pub const OPT: u16 = 41;
/// Delegation signer (RFC 4034 §5).
pub const DS: u16 = 43;
/// Signature (RFC 4034 §3).
pub const RRSIG: u16 = 46;
/// Denial of existence (RFC 4034 §4).
pub const NSEC: u16 = 47;
/// Zone key (RFC 4034 §2).
pub const DNSKEY: u16 = 48;
/// Hashed denial of existence (RFC 5155 §3).
pub const NSEC3: u16 = 50;
/// Service binding (RFC 9460).
pub const SVCB: u16 = 64;
/// Service binding of HTTPS (RFC 9460).
pub const HTTPS: u16 = 65;
/// In the bitmap of a compact denial: the name does not exist (RFC 9824 §3.4).
pub const NXNAME: u16 = 128;
/// Transaction signature (RFC 8945).
pub const TSIG: u16 = 250;
/// All types (RFC 1035 §3.2.3).
pub const ANY: u16 = 255;

/// Whether a type can't be fetched as data: OPT, TSIG and other meta-types (RFC 6895 §3.1), and
/// zone transfers, which need a connection of their own.
pub fn is_pseudo(rtype: u16) -> bool {
    matches!(rtype, 0 | OPT | 249..=252)
}
