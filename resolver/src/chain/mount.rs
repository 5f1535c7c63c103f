//! Mounts: where names of the chain appear in DNS.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use hickory_proto::rr::Name;
use thiserror::Error;

/// The most suffixes.
pub const MAX_SUFFIXES: usize = 8;
/// The most labels of one.
const MAX_LABELS: usize = 8;
/// The most lists of suffixes in one process: each is kept until its end.
const MAX_LISTS: usize = 64;

/// A suffix below which all names of the chain are mounted, such as `namechain.alt.` (RFC 9476:
/// `alt.` is for names outside DNS).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suffix {
    /// Its labels in lower case, without the root label.
    labels: &'static [&'static [u8]],
}

/// Why a text is no suffix.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SuffixError {
    /// It is not the name of a host (RFC 1123 §2.1), or has too many labels.
    #[error("'{0}' is not a name of one to {MAX_LABELS} labels of letters, digits and hyphens")]
    Name(String),
    /// Names below it are somebody else's.
    #[error("names below '{0}' are delegated in DNS: choose a suffix below alt or internal")]
    Delegated(String),
    /// There are too many, or one twice.
    #[error("more than {MAX_SUFFIXES} suffixes, or one of them twice")]
    Many,
}

impl Suffix {
    /// The one that is meant where none is said.
    pub const CANONICAL: Suffix = Suffix { labels: &[b"namechain", b"alt"] };

    /// Reads a suffix. It must end in a label whose names nobody is delegated in DNS: `alt`
    /// (RFC 9476), `internal` (reserved by ICANN in 2024), `home.arpa` (RFC 8375) or `test`
    /// (RFC 6761), and not be one of these itself.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(text: &str) -> Result<Suffix, SuffixError> {
        let lower = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let is_label = |label: &str| {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            (1..=63).contains(&label.len())
                && label.bytes().all(is_plain)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let labels: Vec<&str> = lower.split('.').collect();
        // A name of the chain and its own labels must have room before it.
        if !labels.iter().all(|label| is_label(label))
            || labels.len() > MAX_LABELS
            || lower.len() > 128
        {
            return Err(SuffixError::Name(text.to_owned()));
        }
        match labels[..] {
            [_, .., "alt" | "internal" | "test"] | [_, .., "home", "arpa"] => {}
            _ => return Err(SuffixError::Delegated(text.to_owned())),
        }
        let kept = |label: &&str| -> &'static [u8] { Box::leak(label.as_bytes().into()) };
        Ok(Suffix { labels: Box::leak(labels.iter().map(kept).collect()) })
    }

    /// The name.
    pub fn name(&self) -> Name {
        Name::from_labels(self.labels.iter().copied()).unwrap_or_default()
    }

    /// Its labels in lower case, without the root label.
    pub fn labels(&self) -> &'static [&'static [u8]] {
        self.labels
    }

    /// What stands before the suffix, if `labels` end in it.
    pub fn strip<'a, 'b>(&self, labels: &'a [&'b [u8]]) -> Option<&'a [&'b [u8]]> {
        let (above, end) = labels.split_at_checked(labels.len().checked_sub(self.labels.len())?)?;
        let is_equal = |(a, b): (&&[u8], &&[u8])| a.eq_ignore_ascii_case(b);
        end.iter().zip(self.labels).all(is_equal).then_some(above)
    }
}

impl fmt::Display for Suffix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.labels.iter().try_for_each(|label| write!(f, "{}.", label.escape_ascii()))
    }
}

/// The suffixes that are on, the canonical one first.
#[derive(Clone, Copy, Debug)]
pub struct Suffixes {
    list: &'static [Suffix],
    /// Which list of this process it is; 0: the empty one.
    id: u8,
}

impl PartialEq for Suffixes {
    fn eq(&self, other: &Suffixes) -> bool {
        self.list == other.list
    }
}

impl Eq for Suffixes {}

/// The lists of this process other than the two constants.
static LISTS: Mutex<Vec<&'static [Suffix]>> = Mutex::new(Vec::new());

impl Suffixes {
    /// None.
    pub const NONE: Suffixes = Suffixes { list: &[], id: 0 };
    /// `namechain.alt.` alone.
    pub const CANONICAL: Suffixes = Suffixes { list: &[Suffix::CANONICAL], id: 1 };

    /// A list, the first the canonical one. It is kept until the process ends, once.
    ///
    /// # Errors
    /// [`SuffixError::Many`].
    pub fn new(list: &[Suffix]) -> Result<Suffixes, SuffixError> {
        let is_twice = |at: usize| list[..at].contains(&list[at]);
        if list.len() > MAX_SUFFIXES || (0..list.len()).any(is_twice) {
            return Err(SuffixError::Many);
        }
        if let Some(known) = [Self::NONE, Self::CANONICAL].into_iter().find(|it| it.list == list) {
            return Ok(known);
        }
        let mut lists = LISTS.lock().unwrap_or_else(PoisonError::into_inner);
        let at = match lists.iter().position(|known| *known == list) {
            Some(at) => at,
            None if lists.len() == MAX_LISTS => return Err(SuffixError::Many),
            None => {
                lists.push(Box::leak(list.into()));
                lists.len() - 1
            }
        };
        Ok(Suffixes { list: lists[at], id: 2 + at as u8 })
    }

    /// Each, the canonical one first.
    pub fn iter(self) -> std::slice::Iter<'static, Suffix> {
        self.list.iter()
    }

    /// The one that names are shown with.
    pub fn canonical(self) -> Option<&'static Suffix> {
        self.list.first()
    }

    /// Which list of this process it is, below 128; 0: the empty one.
    pub fn id(self) -> u8 {
        self.id
    }

    /// The suffix that a name is below or at, and what stands before it; the longest if there are
    /// several.
    pub fn find<'a, 'b>(self, labels: &'a [&'b [u8]]) -> Option<(&'static Suffix, &'a [&'b [u8]])> {
        let below = self.list.iter().filter_map(|suffix| Some((suffix, suffix.strip(labels)?)));
        below.min_by_key(|(_, above)| above.len())
    }
}

/// Which mounts are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mounts {
    /// At the root: `alice.`.
    pub root: bool,
    /// Below suffixes: `alice.namechain.alt.`.
    pub suffixes: Suffixes,
}

impl Mounts {
    /// The root and `namechain.alt.`.
    pub const BOTH: Mounts = Mounts { root: true, suffixes: Suffixes::CANONICAL };
    /// The root alone.
    pub const ROOT: Mounts = Mounts { root: true, suffixes: Suffixes::NONE };
    /// `namechain.alt.` alone.
    pub const SUFFIX: Mounts = Mounts { root: false, suffixes: Suffixes::CANONICAL };
}

/// The mount of a question's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mount {
    /// `alice.`: an unregistered label may be a legacy name.
    Root,
    /// `alice.namechain.alt.`: all names are the chain's.
    Suffix(&'static Suffix),
}

impl Mount {
    /// The number of labels behind a name of the chain.
    pub fn labels(self) -> usize {
        match self {
            Mount::Root => 0,
            Mount::Suffix(suffix) => suffix.labels.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_are_read_and_nobody_elses_are_refused() {
        for (text, expected) in [
            ("namechain.alt", "namechain.alt."),
            ("Namechain.Internal.", "namechain.internal."),
            ("a.b.test", "a.b.test."),
            ("n.home.arpa", "n.home.arpa."),
        ] {
            assert_eq!(Suffix::parse(text).unwrap().to_string(), expected);
        }
        assert_eq!(Suffix::parse("namechain.alt"), Ok(Suffix::CANONICAL));
        let delegated = SuffixError::Delegated("chain.example.com".into());
        assert_eq!(Suffix::parse("chain.example.com"), Err(delegated));
        for text in ["", ".", "alt", "internal", "home.arpa", "com", "x.arpa"] {
            assert!(Suffix::parse(text).is_err(), "{text}");
        }
        for text in ["a..alt", "-a.alt", "a b.alt", "ä.alt", "1.2.3.4.5.6.7.8.alt"] {
            assert!(matches!(Suffix::parse(text), Err(SuffixError::Name(_))), "{text}");
        }
    }

    #[test]
    fn a_list_is_kept_once_and_the_longest_suffix_is_found() {
        let [alt, internal, longer] = ["namechain.alt", "namechain.internal", "x.namechain.alt"]
            .map(|text| Suffix::parse(text).unwrap());
        let list = || Suffixes::new(&[alt, internal, longer]).unwrap();
        assert_eq!(list().id(), list().id());
        assert!(list().id() > 1);
        assert_eq!(Suffixes::new(&[alt]).unwrap().id(), 1);
        assert_eq!(Suffixes::new(&[]).unwrap().id(), 0);
        assert_eq!(Suffixes::new(&[alt, alt]), Err(SuffixError::Many));
        assert_eq!(list().canonical(), Some(&alt));
        let find = |name: &str| {
            let labels: Vec<&[u8]> = name.split('.').map(str::as_bytes).collect();
            list().find(&labels).map(|(suffix, above)| (suffix.to_string(), above.len()))
        };
        let found = |suffix: &str, above| Some((suffix.to_owned(), above));
        assert_eq!(find("alice.NAMECHAIN.alt"), found("namechain.alt.", 1));
        assert_eq!(find("www.alice.x.namechain.alt"), found("x.namechain.alt.", 2));
        assert_eq!(find("namechain.internal"), found("namechain.internal.", 0));
        assert_eq!(find("xnamechain.alt"), None);
        assert_eq!(find("alt"), None);
    }
}
