//! Extended DNS errors (RFC 8914): why an answer is what it is, for people and for clients that can
//! use it.

use std::fmt;

use hickory_proto::{op::Edns, rr::rdata::opt::EdnsOption};

/// The EDNS option's number.
const OPTION: u16 = 15;
/// The longest text, in bytes: it must never be what makes an answer too long.
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
    /// For people.
    pub text: String,
}

impl Ede {
    /// None of the registered codes fits.
    pub const OTHER: u16 = 0;
    /// The answer has run out, and nobody gave a newer one.
    pub const STALE_ANSWER: u16 = 3;
    /// A zone is signed by algorithms that are not known here.
    pub const UNSUPPORTED_ALGORITHM: u16 = 1;
    /// A zone's keys are named by digests that are not known here.
    pub const UNSUPPORTED_DIGEST: u16 = 2;
    /// Signatures do not hold.
    pub const DNSSEC_BOGUS: u16 = 6;
    /// The operator of this resolver does not want it given.
    pub const BLOCKED: u16 = 15;
    /// All signatures have expired.
    pub const SIGNATURE_EXPIRED: u16 = 7;
    /// No signature holds yet.
    pub const SIGNATURE_NOT_YET_VALID: u16 = 8;
    /// The key that signs is not among the zone's.
    pub const DNSKEY_MISSING: u16 = 9;
    /// There are no signatures where there should be.
    pub const RRSIGS_MISSING: u16 = 10;
    /// The key that signs is not one for zones.
    pub const NO_ZONE_KEY: u16 = 11;
    /// What is not there is not proven not to be.
    pub const NSEC_MISSING: u16 = 12;
    /// NSEC3 with more iterations than are hashed here.
    pub const NSEC3_ITERATIONS: u16 = 27;
    /// The server is not ready to answer, here: the chain's state can't be read, or is not at the
    /// tip.
    pub const NOT_READY: u16 = 14;
    /// The client may not ask.
    pub const PROHIBITED: u16 = 18;
    /// As [`Ede::STALE_ANSWER`], for an NXDOMAIN.
    pub const STALE_NXDOMAIN: u16 = 19;
    /// We are not the authority, and were asked not to ask one.
    pub const NOT_AUTHORITATIVE: u16 = 20;
    /// The operation is not supported.
    pub const NOT_SUPPORTED: u16 = 21;
    /// No authority of a delegated zone answered.
    pub const NO_REACHABLE_AUTHORITY: u16 = 22;
    /// The type is not one to ask for (RFC 9824 §9).
    pub const INVALID_QUERY_TYPE: u16 = 30;
    /// The network refused.
    pub const NETWORK_ERROR: u16 = 23;

    /// An error with a text, which is cut where it is too long.
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

    /// The extended errors among EDNS options in wire form; texts are made safe to show.
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

    /// The extended errors of a message of ours.
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

    /// The name of the code in the registry that RFC 8914 §5.2 began.
    pub fn name(&self) -> &'static str {
        NAMES.get(usize::from(self.code)).copied().unwrap_or("unregistered")
    }

    /// As it goes into a message.
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
