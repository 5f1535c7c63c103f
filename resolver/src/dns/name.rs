//! Names in canonical form: wire form in lower case (RFC 4034 §6.1, §6.2).

use std::cmp::Ordering;
use std::fmt;

use super::names::{MAX_LABEL_BYTES, MAX_NAME_BYTES};

/// A name: labels with their lengths, ended by the root label, in lower case.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(Box<[u8]>);

impl Name {
    /// The root.
    pub fn root() -> Self {
        Name([0].into())
    }

    /// Parses the uncompressed name at the start of `bytes`; also returns its length.
    pub fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let mut at = 0;
        loop {
            let length = usize::from(*bytes.get(at)?);
            if length > MAX_LABEL_BYTES || at + 1 + length > MAX_NAME_BYTES {
                return None;
            }
            at += 1 + length;
            if length == 0 {
                // A label's length is below 'A', so all bytes can be lower-cased alike.
                return Some((Name(bytes[..at].to_ascii_lowercase().into()), at));
            }
        }
    }

    /// The name at the start of a question, an owner or other bytes; the root if there is none.
    pub fn of(bytes: &[u8]) -> Self {
        Name::read(bytes).map_or_else(Name::root, |(name, _)| name)
    }

    /// Parses text: labels separated by dots, without escapes.
    pub fn from_text(text: &str) -> Option<Self> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let mut wire = Vec::with_capacity(text.len() + 2);
        for label in text.split('.').filter(|_| !text.is_empty()) {
            if label.is_empty() || label.len() > MAX_LABEL_BYTES {
                return None;
            }
            // Checked above.
            wire.push(label.len() as u8);
            wire.extend_from_slice(label.as_bytes());
        }
        wire.push(0);
        Name::read(&wire).map(|(name, _)| name)
    }

    /// The bytes.
    pub fn wire(&self) -> &[u8] {
        &self.0
    }

    /// The labels, the leftmost first, without the root's.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first()?;
            let (label, after) =
                after.split_at_checked(usize::from(*length)).filter(|_| *length > 0)?;
            rest = after;
            Some(label)
        })
    }

    /// How many labels there are, without the root's.
    pub fn count(&self) -> usize {
        self.labels().count()
    }

    /// Whether it is the root.
    pub fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// Whether its first label is `*`.
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with(&[1, b'*'])
    }

    /// The name without its first label; none above the root.
    pub fn parent(&self) -> Option<Self> {
        (!self.is_root()).then(|| Name(self.0[1 + usize::from(self.0[0])..].into()))
    }

    /// The last `count` labels.
    pub fn suffix(&self, count: usize) -> Self {
        let mut at = 0;
        for _ in count..self.count() {
            at += 1 + usize::from(self.0[at]);
        }
        Name(self.0[at..].into())
    }

    /// This name with a label prepended; `None` if that is too long.
    pub fn child(&self, label: &[u8]) -> Option<Self> {
        if label.is_empty()
            || label.len() > MAX_LABEL_BYTES
            || label.len() + 1 + self.0.len() > MAX_NAME_BYTES
        {
            return None;
        }
        // At most 63.
        let mut wire = vec![label.len() as u8];
        wire.extend_from_slice(label);
        wire.extend_from_slice(&self.0);
        wire.make_ascii_lowercase();
        Some(Name(wire.into()))
    }

    /// `*` below this name.
    pub fn wildcard(&self) -> Option<Self> {
        self.child(b"*")
    }

    /// Whether it is `zone` or below it.
    pub fn is_in(&self, zone: &Name) -> bool {
        let (own, other) = (self.count(), zone.count());
        own >= other && self.suffix(other) == *zone
    }

    /// Whether it is below `zone`.
    pub fn is_below(&self, zone: &Name) -> bool {
        self.0.len() > zone.0.len() && self.is_in(zone)
    }

    /// How many trailing labels both have in common.
    pub fn common(&self, other: &Name) -> usize {
        let (own, others): (Vec<_>, Vec<_>) = (self.labels().collect(), other.labels().collect());
        own.iter().rev().zip(others.iter().rev()).take_while(|(a, b)| a == b).count()
    }

    /// This name with its suffix `from` replaced by `to`, as by a DNAME (RFC 6672 §2.2); `None` if
    /// it is not below `from`, or if the result is too long.
    pub fn moved(&self, from: &Name, to: &Name) -> Option<Self> {
        if !self.is_below(from) {
            return None;
        }
        let mut wire = self.0[..self.0.len() - from.0.len()].to_vec();
        wire.extend_from_slice(&to.0);
        (wire.len() <= MAX_NAME_BYTES).then(|| Name(wire.into()))
    }
}

/// The canonical order (RFC 4034 §6.1): by labels from the right, a name before those below it.
impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        let (own, others): (Vec<_>, Vec<_>) = (self.labels().collect(), other.labels().collect());
        own.iter().rev().cmp(others.iter().rev())
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Safe to print: all but letters, digits, hyphens, underscores and asterisks are escaped (RFC 1035
/// §5.1).
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str(".");
        }
        for label in self.labels() {
            for byte in label {
                match byte {
                    b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'*' => {
                        write!(f, "{}", char::from(*byte))?
                    }
                    other => write!(f, "\\{other:03}")?,
                }
            }
            f.write_str(".")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_text(text).unwrap()
    }

    /// The list of RFC 4034 §6.1.
    #[test]
    fn rfc4034_section_6_1_canonical_order() {
        let wire = |labels: &[&[u8]]| {
            let mut wire: Vec<u8> =
                labels.iter().flat_map(|l| [&[l.len() as u8], *l].concat()).collect();
            wire.push(0);
            Name::of(&wire)
        };
        let sorted = [
            wire(&[b"example"]),
            wire(&[b"a", b"example"]),
            wire(&[b"yljkjljk", b"a", b"example"]),
            wire(&[b"Z", b"a", b"example"]),
            wire(&[b"zABC", b"a", b"EXAMPLE"]),
            wire(&[b"z", b"example"]),
            wire(&[b"\x01", b"z", b"example"]),
            wire(&[b"*", b"z", b"example"]),
            wire(&[b"\xc8", b"z", b"example"]),
        ];
        for pair in sorted.windows(2) {
            assert!(pair[0] < pair[1], "{} < {}", pair[0], pair[1]);
        }
    }

    #[test]
    fn above_and_below() {
        let (zone, below) = (name("example.com"), name("WWW.Example.com."));
        assert!(
            below.is_below(&zone)
                && below.is_in(&zone)
                && zone.is_in(&zone)
                && !zone.is_below(&zone)
        );
        assert!(!name("notexample.com").is_in(&zone) && below.is_in(&Name::root()));
        assert_eq!(
            (below.count(), below.suffix(1), below.parent()),
            (3, name("com"), Some(zone.clone()))
        );
        assert_eq!(below.common(&name("a.example.com")), 2);
        assert_eq!(below.moved(&zone, &name("net")), Some(name("www.net")));
        assert_eq!((zone.moved(&zone, &name("net")), Name::root().parent()), (None, None));
        assert_eq!(zone.wildcard().map(|wild| wild.to_string()), Some("*.example.com.".into()));
    }

    #[test]
    fn what_is_no_name_is_not_read() {
        for bytes in [&b""[..], b"\x01", b"\x01a", b"\x40a\0", b"\xc0\x0c"] {
            assert_eq!(Name::read(bytes), None, "{bytes:?}");
        }
        assert_eq!(Name::read(&[&[63; 256][..], &[0]].concat()), None, "too long");
        assert_eq!((Name::from_text("a..b"), Name::from_text(".")), (None, Some(Name::root())));
        assert_eq!(Name::of(b"\x02a\x1b\0").to_string(), "a\\027.");
    }
}
