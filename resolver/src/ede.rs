//! Extended DNS errors (RFC 8914): why an answer is what it is, for people and for clients that can use it.

use hickory_proto::rr::rdata::opt::EdnsOption;

/// The EDNS option's number.
const OPTION: u16 = 15;
/// The longest text, in bytes: it must never be what makes an answer too long.
const MAX_TEXT: usize = 200;

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
    /// The server is not ready to answer, here: the chain's state can't be read, or is not at the tip.
    pub const NOT_READY: u16 = 14;
    /// The client may not ask.
    pub const PROHIBITED: u16 = 18;
    /// We are not the authority, and were asked not to ask one.
    pub const NOT_AUTHORITATIVE: u16 = 20;
    /// The operation is not supported.
    pub const NOT_SUPPORTED: u16 = 21;
    /// No authority of a delegated zone answered.
    pub const NO_REACHABLE_AUTHORITY: u16 = 22;

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

    /// As it goes into a message.
    pub fn option(&self) -> EdnsOption {
        let mut bytes = self.code.to_be_bytes().to_vec();
        bytes.extend_from_slice(self.text.as_bytes());
        EdnsOption::Unknown(OPTION, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let ede = Ede::new(0, "é".repeat(150));
        assert_eq!(ede.text.len(), 200);
        assert!(ede.text.chars().all(|c| c == 'é'));
    }
}
