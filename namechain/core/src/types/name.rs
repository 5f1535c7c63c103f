//! Names: one DNS label of letters, digits and hyphens.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use thiserror::Error;

use crate::{
    codec::{Decode, DecodeError, Encode, Reader},
    types::{Domain, Hash, Network, Reserved, hash},
};

/// The shortest name, in bytes.
pub const MIN_NAME_BYTES: usize = 3;
/// The longest name, in bytes: a DNS label (RFC 1035 §2.3.4).
pub const MAX_NAME_BYTES: usize = 63;

/// A name that the chain can hold: 3 to 63 of `a-z 0-9 -`, no `-` at either end, `--` at the third
/// and fourth place only as `xn--` (the R-LDH labels of RFC 5890 §2.3.1 that are not A-labels are
/// refused). Whether an A-label decodes is not looked at: IDNA's tables change, and chains must not
/// fork over it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

/// Why a string is not a name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// Fewer than 3 or more than 63 bytes.
    #[error("a name has 3 to 63 characters, this one has {0}")]
    Length(usize),
    /// Something other than `a-z`, `0-9`, `-`.
    #[error("a name has only a-z, 0-9 and '-': character {0} is none of these")]
    Character(usize),
    /// A hyphen at the start or the end.
    #[error("a name neither begins nor ends with '-'")]
    EdgeHyphen,
    /// `--` at places 3 and 4 of a name that does not begin with `xn--`.
    #[error("'--' at the third and fourth place is kept for names that begin with 'xn--'")]
    ReservedHyphens,
}

impl Name {
    /// Checks `text`, which must be in lower case already.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let bytes = text.as_bytes();
        if !(MIN_NAME_BYTES..=MAX_NAME_BYTES).contains(&bytes.len()) {
            return Err(NameError::Length(text.chars().count()));
        }
        if let Some(at) = bytes.iter().position(|b| !matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        {
            return Err(NameError::Character(text[..at].chars().count() + 1));
        }
        if bytes.first() == Some(&b'-') || bytes.last() == Some(&b'-') {
            return Err(NameError::EdgeHyphen);
        }
        if bytes[2..].starts_with(b"--") && !bytes.starts_with(b"xn--") {
            return Err(NameError::ReservedHyphens);
        }
        Ok(Name(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key of the name's entry in the state.
    pub fn key(&self, network: Network) -> Hash {
        hash(network, Domain::NameKey, &[self.0.as_bytes()])
    }

    /// Why nobody can register the name, if so.
    pub fn reserved(&self) -> Option<Reserved> {
        Reserved::of(&self.0)
    }
}

/// The length in one byte, then the characters.
impl Encode for Name {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.0.len() as u8);
        out.extend_from_slice(self.0.as_bytes());
    }
}

impl Decode for Name {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let len = usize::from(reader.u8()?);
        if len > MAX_NAME_BYTES {
            return Err(DecodeError::OverCap {
                what: "a name's length",
                found: len,
                cap: MAX_NAME_BYTES,
            });
        }
        let text = std::str::from_utf8(reader.take(len)?)
            .map_err(|_| DecodeError::Invalid("a name is not made of ASCII characters"))?;
        Name::parse(text).map_err(|_| DecodeError::Invalid("a name breaks the rules for names"))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Name::parse(text)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Name::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_for_names() {
        for good in ["abc", "a-b", "xn--alice", "0x0", "a--b", "x--y", &"a".repeat(63)] {
            assert!(Name::parse(good).is_ok(), "{good}");
        }
        let long = "a".repeat(64);
        for (bad, why) in [
            ("ab", NameError::Length(2)),
            ("", NameError::Length(0)),
            (long.as_str(), NameError::Length(64)),
            ("Alice", NameError::Character(1)),
            ("al.ce", NameError::Character(3)),
            ("alicé", NameError::Character(5)),
            ("-abc", NameError::EdgeHyphen),
            ("abc-", NameError::EdgeHyphen),
            ("ab--c", NameError::ReservedHyphens),
        ] {
            assert_eq!(Name::parse(bad), Err(why), "{bad}");
        }
    }

    #[test]
    fn decoding_checks_the_rules() {
        assert_eq!(Name::from_bytes(b"\x03abc"), Ok(Name::parse("abc").unwrap()));
        assert!(Name::from_bytes(b"\x03ABC").is_err());
        assert!(Name::from_bytes(b"\x02ab").is_err());
        assert!(Name::from_bytes(b"\xffabc").is_err());
    }
}
