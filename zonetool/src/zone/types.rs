//! The registered record types whose text form the `domain` library does not know, by their fields
//! (IANA, DNS Parameters). One table: reading, writing and checking all go by it.

use domain::base::iana::Rtype;

/// A field of record data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// An unsigned number of one byte.
    U8,
    /// Of two bytes.
    U16,
    /// Of four bytes.
    U32,
    /// An IPv4 address.
    Ipv4,
    /// A domain name.
    Name,
    /// A character string.
    Text,
    /// A character string that may be left out.
    OptionalText,
    /// One character string or more.
    Texts,
    /// The rest, as one quoted text without a length.
    Rest,
    /// The rest in hexadecimal, possibly in several tokens.
    Hex,
    /// The rest in Base64, possibly in several tokens; `-` is nothing where it may be empty.
    Base64,
    /// The same, which may be left out.
    OptionalBase64,
    /// So many bytes as pairs of hexadecimal digits with hyphens (RFC 7043).
    Eui(usize),
    /// Eight bytes as four groups of hexadecimal digits with colons (RFC 6742).
    Locator64,
    /// A list of types as a bitmap (RFC 4034 §4.1.2).
    Types,
    /// One type.
    Type,
    /// The type of a certificate (RFC 4398 §2.1).
    CertificateType,
    /// A DNSSEC algorithm.
    Algorithm,
    /// The scheme of a notification (RFC 9859 §2.2).
    Scheme,
    /// An NSAP address (RFC 1706).
    Nsap,
    /// A location (RFC 1876).
    Location,
    /// Address prefixes (RFC 3123).
    Prefixes,
    /// HIT, public key and rendezvous servers (RFC 8005).
    HostIdentity,
    /// Discovery bit, relay type and relay (RFC 8777).
    Relay,
}

/// A type by number, mnemonic and fields.
#[derive(Debug)]
pub struct TypeInfo {
    /// The number.
    pub number: u16,
    /// The mnemonic.
    pub mnemonic: &'static str,
    /// The fields in their order; the last may take the rest.
    pub fields: &'static [Field],
}

use Field::{
    Algorithm, Base64, CertificateType, Eui, Hex, HostIdentity, Ipv4, Location, Locator64, Name,
    Nsap, OptionalBase64, OptionalText, Prefixes, Relay, Rest, Scheme, Text, Texts, Type, Types,
    U8, U16, U32,
};

const fn of(number: u16, mnemonic: &'static str, fields: &'static [Field]) -> TypeInfo {
    TypeInfo { number, mnemonic, fields }
}

/// The table.
const TYPES: &[TypeInfo] = &[
    of(18, "AFSDB", &[U16, Name]),
    of(19, "X25", &[Text]),
    of(20, "ISDN", &[Text, OptionalText]),
    of(21, "RT", &[U16, Name]),
    of(22, "NSAP", &[Nsap]),
    of(23, "NSAP-PTR", &[Name]),
    of(25, "KEY", &[U16, U8, Algorithm, Base64]),
    of(26, "PX", &[U16, Name, Name]),
    of(27, "GPOS", &[Text, Text, Text]),
    of(29, "LOC", &[Location]),
    of(31, "EID", &[Hex]),
    of(32, "NIMLOC", &[Hex]),
    of(36, "KX", &[U16, Name]),
    of(37, "CERT", &[CertificateType, U16, Algorithm, Base64]),
    of(40, "SINK", &[U8, U8, U8, OptionalBase64]),
    of(42, "APL", &[Prefixes]),
    of(49, "DHCID", &[Base64]),
    of(53, "SMIMEA", &[U8, U8, U8, Hex]),
    of(55, "HIP", &[HostIdentity]),
    of(56, "NINFO", &[Texts]),
    of(57, "RKEY", &[U16, U8, Algorithm, Base64]),
    of(58, "TALINK", &[Name, Name]),
    of(62, "CSYNC", &[U32, U16, Types]),
    of(66, "DSYNC", &[Type, Scheme, U16, Name]),
    of(67, "HHIT", &[Base64]),
    of(68, "BRID", &[Base64]),
    of(99, "SPF", &[Texts]),
    of(104, "NID", &[U16, Locator64]),
    of(105, "L32", &[U16, Ipv4]),
    of(106, "L64", &[U16, Locator64]),
    of(107, "LP", &[U16, Name]),
    of(108, "EUI48", &[Eui(6)]),
    of(109, "EUI64", &[Eui(8)]),
    of(256, "URI", &[U16, U16, Rest]),
    of(258, "AVC", &[Texts]),
    of(259, "DOA", &[U32, U32, U8, Text, Base64]),
    of(260, "AMTRELAY", &[U8, Relay]),
    of(261, "RESINFO", &[Texts]),
    of(262, "WALLET", &[Texts]),
    of(32_768, "TA", &[U16, Algorithm, U8, Hex]),
    of(32_769, "DLV", &[U16, Algorithm, U8, Hex]),
];

/// A type of the table by its number.
pub fn by_number(number: u16) -> Option<&'static TypeInfo> {
    TYPES.iter().find(|info| info.number == number)
}

/// A type's number by its mnemonic, or by `TYPEnnn`.
pub fn number(text: &str) -> Option<u16> {
    let known = TYPES.iter().find(|info| info.mnemonic.eq_ignore_ascii_case(text));
    known.map(|info| info.number).or_else(|| text.parse::<Rtype>().ok().map(Rtype::to_int))
}

/// `TYPEnnn`, or the type's mnemonic.
pub fn mnemonic(number: u16) -> String {
    by_number(number)
        .map_or_else(|| Rtype::from_int(number).to_string(), |info| info.mnemonic.to_owned())
}

/// Certificate types by mnemonic (RFC 4398 §2.1).
pub const CERTIFICATE_TYPES: &[(u16, &str)] = &[
    (1, "PKIX"),
    (2, "SPKI"),
    (3, "PGP"),
    (4, "IPKIX"),
    (5, "ISPKI"),
    (6, "IPGP"),
    (7, "ACPKIX"),
    (8, "IACPKIX"),
    (253, "URI"),
    (254, "OID"),
];

/// Schemes of notifications by mnemonic (RFC 9859 §6.2).
pub const SCHEMES: &[(u16, &str)] = &[(1, "NOTIFY")];

/// DNSSEC algorithms by mnemonic (IANA, DNS Security Algorithm Numbers).
pub const ALGORITHMS: &[(u16, &str)] = &[
    (1, "RSAMD5"),
    (2, "DH"),
    (3, "DSA"),
    (5, "RSASHA1"),
    (6, "NSEC3DSA"),
    (7, "NSEC3RSASHA1"),
    (8, "RSASHA256"),
    (10, "RSASHA512"),
    (12, "ECCGOST"),
    (13, "ECDSAP256SHA256"),
    (14, "ECDSAP384SHA384"),
    (15, "ED25519"),
    (16, "ED448"),
    (252, "INDIRECT"),
    (253, "PRIVATEDNS"),
    (254, "PRIVATEOID"),
];
