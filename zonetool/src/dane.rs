//! Lines of a zone that let standard programs find and check keys: TLSA (RFC 6698), OPENPGPKEY (RFC
//! 7929), SMIMEA (RFC 8162), and an endpoint as SVCB (RFC 9460) and TXT.
//!
//! A certificate is taken apart no further than to its public key.

use std::net::IpAddr;

use sha2::{Digest, Sha256};
use thiserror::Error;

/// The most bytes of a file with a certificate or a key: what is larger fits in no zone.
pub const MAX_FILE_BYTES: u64 = 64 * 1024;
/// How many bytes of the hash of a local part are taken (RFC 7929 section 3, RFC 8162 section 3).
const LOCAL_PART_BYTES: usize = 28;
/// Certificate usage DANE-EE: the server's own certificate, whoever has signed it (RFC 7218).
const END_ENTITY: u8 = 3;

/// Why there is no line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DaneError {
    /// Not PEM, or not DER.
    #[error("the file is not a certificate in PEM or DER")]
    NoCertificate,
    /// Not an OpenPGP key.
    #[error("the file is not an OpenPGP public key, armored or binary")]
    NoOpenPgp,
    /// Not the local part of an address.
    #[error("not the local part of a mail address: give what stands before the @, 1 to 64 bytes")]
    LocalPart,
}

/// `_443._tcp.www TLSA 3 1 1 ...`: the server's public key, hashed, so that a new certificate with
/// the same key needs no new line. `host` is relative to the name; empty for the name itself.
///
/// # Errors
/// [`DaneError::NoCertificate`].
pub fn tlsa(
    certificate: &[u8],
    host: &str,
    port: u16,
    protocol: &str,
) -> Result<String, DaneError> {
    let der = certificate_of(certificate)?;
    let key = public_key(&der).ok_or(DaneError::NoCertificate)?;
    let host = if host.is_empty() { String::new() } else { format!(".{host}") };
    let hash = hex::encode(Sha256::digest(key));
    // Selector 1: the public key; matching type 1: SHA2-256.
    Ok(format!("_{port}._{protocol}{host} TLSA {END_ENTITY} 1 1 {hash}"))
}

/// `HASH._openpgpkey TYPE61 \# ...`: the key of an address at this name (RFC 7929), in the form of
/// RFC 3597.
///
/// # Errors
/// [`DaneError::LocalPart`], [`DaneError::NoOpenPgp`].
pub fn openpgpkey(local: &str, key: &[u8]) -> Result<String, DaneError> {
    let owner = owner(local)?;
    let begin = b"-----BEGIN PGP PUBLIC KEY BLOCK-----";
    let packets = if key.starts_with(begin) {
        armored(key).ok_or(DaneError::NoOpenPgp)?
    } else {
        key.to_vec()
    };
    // A packet's first byte has the top bit set; tag 6, a public key, in the old or the new form
    // (RFC 9580 section 4.2).
    match packets.first() {
        Some(first) if first & 0xfc == 0x98 || *first == 0xc6 => {
            Ok(format!("{owner}._openpgpkey {}", generic(61, &packets)))
        }
        _ => Err(DaneError::NoOpenPgp),
    }
}

/// `HASH._smimecert TYPE53 \# ...`: the certificate of an address at this name (RFC 8162), whole:
/// who writes needs it to encrypt.
///
/// # Errors
/// [`DaneError::LocalPart`], [`DaneError::NoCertificate`].
pub fn smimea(local: &str, certificate: &[u8]) -> Result<String, DaneError> {
    let owner = owner(local)?;
    let der = certificate_of(certificate)?;
    public_key(&der).ok_or(DaneError::NoCertificate)?;
    // Selector 0: the certificate; matching type 0: itself.
    let rdata = [&[END_ENTITY, 0, 0], der.as_slice()].concat();
    Ok(format!("{owner}._smimecert {}", generic(53, &rdata)))
}

/// The label of a local part: the first 28 bytes of its SHA2-256, in hexadecimal. Its case counts,
/// as RFC 7929 section 3 has it.
fn owner(local: &str) -> Result<String, DaneError> {
    if local.is_empty()
        || local.len() > 64
        || local.contains('@')
        || local.chars().any(char::is_control)
    {
        return Err(DaneError::LocalPart);
    }
    Ok(hex::encode(&Sha256::digest(local.as_bytes())[..LOCAL_PART_BYTES]))
}

/// A record of a type that not every program knows (RFC 3597 section 5).
fn generic(rtype: u16, rdata: &[u8]) -> String {
    format!("TYPE{rtype} \\# {} {}", rdata.len(), hex::encode(rdata))
}

/// Where a name is reached, by its locators: an SVCB for each multiaddress of QUIC, and of every
/// locator a TXT, for programs that do not know SVCB and for other transports. `identity` is the
/// key that answers there, in hexadecimal.
pub fn endpoint(identity: &str, locators: &[String]) -> Vec<String> {
    const OWNER: &str = "_namechain-peer";
    let mut lines = Vec::new();
    for (priority, locator) in (1..).zip(locators) {
        if let Some((host, port)) = place(locator) {
            let (target, hint) = match host.parse() {
                Ok(IpAddr::V4(ip)) => (".".to_owned(), format!(" ipv4hint={ip}")),
                Ok(IpAddr::V6(ip)) => (".".to_owned(), format!(" ipv6hint={ip}")),
                Err(_) => (format!("{host}."), String::new()),
            };
            lines.push(format!(
                "{OWNER} SVCB {priority} {target} alpn=namechain/1 port={port}{hint}"
            ));
        }
        // A locator has printable ASCII, at most 128 bytes.
        let quoted = locator.replace('\\', "\\\\").replace('"', "\\\"");
        lines.push(format!("{OWNER} TXT \"v=namechain1\" \"id={identity}\" \"at={quoted}\""));
    }
    lines
}

/// Host and port of `/ip4/192.0.2.1/udp/7381/quic-v1` and the like.
fn place(locator: &str) -> Option<(&str, u16)> {
    let parts: Vec<&str> = locator.strip_prefix('/')?.split('/').collect();
    let [kind, host, "udp", port, "quic-v1"] = parts[..] else { return None };
    let port = port.parse().ok()?;
    let fits = match kind {
        "ip4" => matches!(host.parse(), Ok(IpAddr::V4(_))),
        "ip6" => matches!(host.parse(), Ok(IpAddr::V6(_))),
        "dns" | "dns4" | "dns6" => {
            host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        }
        _ => false,
    };
    (fits && !host.is_empty() && port != 0).then_some((host.trim_end_matches('.'), port))
}

fn certificate_of(file: &[u8]) -> Result<Vec<u8>, DaneError> {
    let text = std::str::from_utf8(file).unwrap_or_default();
    let Some((_, rest)) = text.split_once("-----BEGIN CERTIFICATE-----") else {
        return Ok(file.to_vec());
    };
    let body = rest.split_once("-----END CERTIFICATE-----").map(|(body, _)| body);
    body.and_then(unbase64).ok_or(DaneError::NoCertificate)
}

/// The packets of an armored key: what stands between the empty line and the checksum (RFC 9580
/// section 6.2).
fn armored(file: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(file).ok()?;
    let lines = text.lines().skip(1).map(str::trim_end).skip_while(|line| !line.is_empty());
    let body: Vec<&str> =
        lines.take_while(|line| !line.starts_with('=') && !line.starts_with("-----")).collect();
    unbase64(&body.concat())
}

/// RFC 4648 section 4; white space is passed over.
fn unbase64(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let padding = digits.iter().rev().take_while(|b| **b == b'=').count();
    if !digits.len().is_multiple_of(4) || padding > 2 {
        return None;
    }
    let mut out = Vec::with_capacity(digits.len() / 4 * 3);
    for four in digits[..digits.len() - padding].chunks(4) {
        let mut value = 0u32;
        for digit in four {
            let six = match digit {
                b'A'..=b'Z' => digit - b'A',
                b'a'..=b'z' => digit - b'a' + 26,
                b'0'..=b'9' => digit - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            value = value << 6 | u32::from(six);
        }
        value <<= 6 * (4 - four.len());
        out.extend_from_slice(&value.to_be_bytes()[1..four.len()]);
    }
    Some(out)
}

/// An element of DER (X.690 section 8.1).
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    /// With its tag and its length.
    whole: &'a [u8],
    /// What comes after it.
    after: &'a [u8],
}

/// The SubjectPublicKeyInfo of a certificate (RFC 5280 section 4.1), whole, with its tag.
fn public_key(der: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    let certificate = element(der)?;
    let to_be_signed = element(certificate.content)?;
    if certificate.tag != SEQUENCE || to_be_signed.tag != SEQUENCE || !certificate.after.is_empty()
    {
        return None;
    }
    let mut rest = to_be_signed.content;
    // The version is there unless it is 1; then serial number, algorithm, issuer, validity,
    // subject.
    if rest.first() == Some(&0xa0) {
        rest = element(rest)?.after;
    }
    for expected in [0x02, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE] {
        let found = element(rest)?;
        rest = (found.tag == expected).then_some(found.after)?;
    }
    let key = element(rest)?;
    (key.tag == SEQUENCE).then_some(key.whole)
}

/// The first element of DER.
fn element(der: &[u8]) -> Option<Element<'_>> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    // Up to 127 the length itself, above it how many bytes the length has: three are enough for any
    // file that is read.
    let (length, rest) = match first.checked_sub(0x80) {
        None => (usize::from(first), rest),
        Some(count @ 1..=3) => {
            let (bytes, rest) = rest.split_at_checked(usize::from(count))?;
            (bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        Some(_) => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    Some(Element { tag, content, whole: &der[..der.len() - after.len()], after })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7929 section 3 and RFC 8162 section 3: hugh@example.com.
    #[test]
    fn owner_names_are_those_of_the_standards() {
        assert_eq!(
            owner("hugh").unwrap(),
            "c93f1e400f26708f98cb19d936620da35eec8f72e57f9eec01c1afd6"
        );
        assert_ne!(owner("Hugh").unwrap(), owner("hugh").unwrap());
        for bad in ["", "hugh@example.com", "a\nb", &"x".repeat(65)] {
            assert_eq!(owner(bad), Err(DaneError::LocalPart));
        }
    }

    #[test]
    fn base64_has_one_reading() {
        for (text, bytes) in
            [("", &b""[..]), ("Zg==", b"f"), ("Zm8=", b"fo"), ("Zm9v\r\nYmFy", b"foobar")]
        {
            assert_eq!(unbase64(text).as_deref(), Some(bytes));
        }
        for bad in ["Z", "Zg=", "Zg===", "Z=g=", "Zm9*", "===="] {
            assert_eq!(unbase64(bad), None, "{bad}");
        }
    }

    #[test]
    fn endpoints_follow_the_locators() {
        let locators = [
            "/ip4/192.0.2.1/udp/7381/quic-v1",
            "/dns/p.example/udp/443/quic-v1",
            "https://a.example/\"x",
        ];
        let lines = endpoint("ab", &locators.map(str::to_owned));
        assert_eq!(
            lines,
            [
                "_namechain-peer SVCB 1 . alpn=namechain/1 port=7381 ipv4hint=192.0.2.1",
                "_namechain-peer TXT \"v=namechain1\" \"id=ab\" \"at=/ip4/192.0.2.1/udp/7381/quic-v1\"",
                "_namechain-peer SVCB 2 p.example. alpn=namechain/1 port=443",
                "_namechain-peer TXT \"v=namechain1\" \"id=ab\" \"at=/dns/p.example/udp/443/quic-v1\"",
                "_namechain-peer TXT \"v=namechain1\" \"id=ab\" \"at=https://a.example/\\\"x\"",
            ]
        );
        for bad in [
            "/ip4/::1/udp/1/quic-v1",
            "/ip4/192.0.2.1/udp/0/quic-v1",
            "/dns/a b/udp/1/quic-v1",
            "/ip4/192.0.2.1/tcp/1/tls",
            "x",
        ] {
            assert_eq!(place(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_no_certificate_or_key_is_refused() {
        for bad in [
            &b""[..],
            b"0",
            b"0\x80",
            b"0\x84\0\0\0\x01",
            b"0\x03\x02\x01\x01",
            b"-----BEGIN CERTIFICATE-----",
        ] {
            assert_eq!(tlsa(bad, "", 443, "tcp"), Err(DaneError::NoCertificate), "{bad:?}");
            assert_eq!(openpgpkey("hugh", bad), Err(DaneError::NoOpenPgp));
        }
        assert!(openpgpkey("hugh", &[0x99, 1]).unwrap().ends_with("TYPE61 \\# 2 9901"));
        let armor = "-----BEGIN PGP PUBLIC KEY BLOCK-----\nComment: x\n\nmQEA\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n";
        assert!(openpgpkey("hugh", armor.as_bytes()).unwrap().ends_with("TYPE61 \\# 3 990100"));
    }
}
