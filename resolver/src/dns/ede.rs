//! Extended DNS errors (RFC 8914): the reason for an answer, for people and for programs.

use std::fmt;

use hickory_proto::{op::Edns, rr::rdata::opt::EdnsOption};

/// The EDNS option's number.
const OPTION: u16 = 15;
/// The longest text, in bytes: it must never make an answer too long.
const MAX_TEXT: usize = 200;

/// The names of the codes, from 0 on.
const NAMES: [&str; 31] = [
    "Other",
    "Unsupported DNSKEY Algorithm",
    "Unsupported DS Digest Type",
    "Stale Answer",
    "Forged Answer",
    "DNSSEC Indeterminate",
    "DNSSEC Bogus",
    "Signature Expired",
    "Signature Not Yet Valid",
    "DNSKEY Missing",
    "RRSIGs Missing",
    "No Zone Key Bit Set",
    "NSEC Missing",
    "Cached Error",
    "Not Ready",
    "Blocked",
    "Censored",
    "Filtered",
    "Prohibited",
    "Stale NXDomain Answer",
    "Not Authoritative",
    "Not Supported",
    "No Reachable Authority",
    "Network Error",
    "Invalid Data",
    "Signature Expired before Valid",
    "Too Early",
    "Unsupported NSEC3 Iterations Value",
    "Unable to conform to policy",
    "Synthesized",
    "Invalid Query Type",
];

/// An extended DNS error (RFC 8914).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ede {
    /// The code.
    pub code: u16,
    /// The text for people.
    pub text: String,
}

impl Ede {
    /// No registered code fits.
    pub const OTHER: u16 = 0;
    /// The answer is stale: no upstream gave a newer one.
    pub const STALE_ANSWER: u16 = 3;
    /// A zone is signed by algorithms that are not supported here.
    pub const UNSUPPORTED_ALGORITHM: u16 = 1;
    /// A zone's DS records use digests that are not supported here.
    pub const UNSUPPORTED_DIGEST: u16 = 2;
    /// The answer does not validate.
    pub const DNSSEC_BOGUS: u16 = 6;
    /// The operator of this resolver blocks the answer.
    pub const BLOCKED: u16 = 15;
    /// All signatures have expired.
    pub const SIGNATURE_EXPIRED: u16 = 7;
    /// No signature is valid yet.
    pub const SIGNATURE_NOT_YET_VALID: u16 = 8;
    /// The DNSKEY of a signature is missing.
    pub const DNSKEY_MISSING: u16 = 9;
    /// Signatures are missing.
    pub const RRSIGS_MISSING: u16 = 10;
    /// The DNSKEY of a signature is not a zone key.
    pub const NO_ZONE_KEY: u16 = 11;
    /// A proof of nonexistence is missing.
    pub const NSEC_MISSING: u16 = 12;
    /// NSEC3 with more iterations than are supported here.
    pub const NSEC3_ITERATIONS: u16 = 27;
    /// The resolver is not ready: the chain's state can't be read, or the node is not synced.
    pub const NOT_READY: u16 = 14;
    /// The client may not send queries.
    pub const PROHIBITED: u16 = 18;
    /// As [`Ede::STALE_ANSWER`], for an NXDOMAIN.
    pub const STALE_NXDOMAIN: u16 = 19;
    /// The resolver is not authoritative, and the query forbids recursion.
    pub const NOT_AUTHORITATIVE: u16 = 20;
    /// The operation is not supported.
    pub const NOT_SUPPORTED: u16 = 21;
    /// No authoritative server of a zone replied.
    pub const NO_REACHABLE_AUTHORITY: u16 = 22;
    /// The type can't be queried (RFC 9824 §9).
    pub const INVALID_QUERY_TYPE: u16 = 30;
    /// A network error.
    pub const NETWORK_ERROR: u16 = 23;

    /// An error with a text, which is truncated if it is too long.
    pub fn new(code: u16, text: impl Into<String>) -> Self {
        let mut text: String = text.into();
        if let Some((end, _)) = text.char_indices().find(|(at, c)| at + c.len_utf8() > MAX_TEXT) {
            text.truncate(end);
        }
        Ede { code, text }
    }

    /// The option in wire form (RFC 6891 §6.1.2): code, length, data.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&OPTION.to_be_bytes());
        // The text is at most MAX_TEXT bytes.
        out.extend_from_slice(&(2 + self.text.len() as u16).to_be_bytes());
        out.extend_from_slice(&self.code.to_be_bytes());
        out.extend_from_slice(self.text.as_bytes());
    }

    /// The extended errors among EDNS options in wire form; control characters in texts are
    /// removed.
    pub fn read_all(options: &[u8]) -> Vec<Self> {
        let mut found = Vec::new();
        let mut rest = options;
        while let Some(([a, b, c, d], after)) = rest.split_first_chunk::<4>() {
            let length = usize::from(u16::from_be_bytes([*c, *d]));
            let Some((data, after)) = after.split_at_checked(length) else { break };
            if u16::from_be_bytes([*a, *b]) == OPTION
                && let Some((code, text)) = data.split_first_chunk::<2>()
            {
                let text = String::from_utf8_lossy(text);
                let shown: String = text.chars().filter(|c| !c.is_control()).collect();
                found.push(Self::new(u16::from_be_bytes(*code), shown));
            }
            rest = after;
        }
        found
    }

    /// The extended errors of a message made here.
    pub fn all_of(edns: &Edns) -> Vec<Self> {
        let read = |option: &EdnsOption| match option {
            EdnsOption::Unknown(OPTION, data) => {
                let (code, text) = data.split_first_chunk::<2>()?;
                Some(Self::new(u16::from_be_bytes(*code), String::from_utf8_lossy(text)))
            }
            _ => None,
        };
        edns.options().as_ref().iter().filter_map(|(_, option)| read(option)).collect()
    }

    /// The name of the code in the IANA registry (RFC 8914 §5.2).
    pub fn name(&self) -> &'static str {
        NAMES.get(usize::from(self.code)).copied().unwrap_or("unregistered")
    }

    /// The error as an EDNS option.
    pub fn option(&self) -> EdnsOption {
        let mut bytes = self.code.to_be_bytes().to_vec();
        bytes.extend_from_slice(self.text.as_bytes());
        EdnsOption::Unknown(OPTION, bytes)
    }
}

impl fmt::Display for Ede {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.code, self.name())?;
        if self.text.is_empty() { Ok(()) } else { write!(f, ": {}", self.text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_cut_off_is_not() {
        let both = [Ede::new(15, "blocked\u{1b}[31m"), Ede::new(22, "")];
        let mut bytes = vec![0, 12, 0, 1, 0];
        both.iter().for_each(|ede| ede.write(&mut bytes));
        assert_eq!(Ede::read_all(&bytes), [Ede::new(15, "blocked[31m"), Ede::new(22, "")]);
        assert_eq!(Ede::read_all(&bytes[..bytes.len() - 1]).len(), 1);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let ede = Ede::new(0, "é".repeat(150));
        assert_eq!(ede.text.len(), 200);
        assert!(ede.text.chars().all(|c| c == 'é'));
    }
}
