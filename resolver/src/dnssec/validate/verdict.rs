//! What validation says, and why.

use std::fmt;

use crate::dns::ede::Ede;

/// What became of an answer (RFC 4033 §5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Signed, from a trust anchor down.
    Secure,
    /// It is proven that it is not signed, or signed in a way that nobody here can check; if so,
    /// how.
    Insecure(Option<Ede>),
    /// It should be signed, and is not as it should be.
    Bogus(Ede),
    /// What it takes to find out could not be had.
    Undecided(Ede),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Secure => f.write_str("secure: signed, from a trust anchor down"),
            Verdict::Insecure(None) => {
                f.write_str("insecure: it is proven, or configured, that it is not signed")
            }
            Verdict::Insecure(Some(ede)) => write!(f, "insecure: {}", ede.text),
            Verdict::Bogus(ede) => write!(f, "bogus: {}", ede.text),
            Verdict::Undecided(ede) => write!(f, "undecided: {}", ede.text),
        }
    }
}

/// Why something is bogus: a code of RFC 8914 and the text to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The code.
    pub code: u16,
    /// For people.
    pub text: String,
    /// Whether it is only that the answer has cost too much.
    pub exhausted: bool,
}

impl Fault {
    /// A fault.
    pub fn new(code: u16, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), exhausted: false }
    }

    /// Signatures or proofs do not hold.
    pub fn bogus(text: impl Into<String>) -> Self {
        Self::new(Ede::DNSSEC_BOGUS, text)
    }

    /// As an extended error.
    pub fn ede(&self) -> Ede {
        Ede::new(self.code, format!("DNSSEC: {}", self.text))
    }
}

/// Why a step of validation does not end in a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// Something has to be asked first.
    Need,
    /// It is bogus.
    Bogus(Fault),
    /// Something was asked, and there was no answer.
    Undecided(Ede),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Stop::Bogus(fault)
    }
}
