//! Verdicts of validation, and their reasons.

use std::fmt;

use crate::dns::ede::Ede;

/// The security status of an answer (RFC 4033 §5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// There is a chain of signatures from a trust anchor.
    Secure,
    /// It is proven that it is unsigned, or signed in a way that is not supported: then, which.
    Insecure(Option<Ede>),
    /// It should be signed, and the signatures or proofs are missing or wrong.
    Bogus(Ede),
    /// Records that validation needs could not be obtained.
    Indeterminate(Ede),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Secure => f.write_str("secure: signed, with a chain of trust from an anchor"),
            Verdict::Insecure(None) => {
                f.write_str("insecure: the zone is proven, or configured, to be unsigned")
            }
            Verdict::Insecure(Some(ede)) => write!(f, "insecure: {}", ede.text),
            Verdict::Bogus(ede) => write!(f, "bogus: {}", ede.text),
            Verdict::Indeterminate(ede) => write!(f, "indeterminate: {}", ede.text),
        }
    }
}

/// Why an answer is bogus: an info code of RFC 8914 and a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The info code.
    pub code: u16,
    /// The text.
    pub text: String,
    /// Whether only a limit of [`super::budget`] was reached.
    pub exhausted: bool,
}

impl Fault {
    /// A fault with an info code.
    pub fn new(code: u16, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), exhausted: false }
    }

    /// Signatures or proofs that do not verify.
    pub fn bogus(text: impl Into<String>) -> Self {
        Self::new(Ede::DNSSEC_BOGUS, text)
    }

    /// As an extended error.
    pub fn ede(&self) -> Ede {
        Ede::new(self.code, format!("DNSSEC: {}", self.text))
    }
}

/// Why a step of validation has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// Records have to be queried first.
    NeedsRecords,
    /// The data is bogus.
    Bogus(Fault),
    /// A query got no answer.
    Indeterminate(Ede),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Stop::Bogus(fault)
    }
}
