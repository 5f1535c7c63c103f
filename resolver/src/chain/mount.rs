//! Mounts: where names of the chain appear in DNS.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use hickory_proto::rr::Name;
use thiserror::Error;

use crate::dns::names::MAX_LABEL_BYTES;

/// The most suffixes.
const MAX_SUFFIXES: usize = 8;
/// The most labels of one, and the most characters.
const MAX_LABELS: usize = 8;
const MAX_SUFFIX_BYTES: usize = 128;
/// The most lists of suffixes that one process keeps.
const MAX_LISTS: usize = 64;

/// A suffix below which all names of the chain are mounted, such as `namechain.alt.` (RFC 9476:
/// `alt.` is for names outside DNS).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suffix {
    /// Its labels in lower case, without the root label.
    labels: &'static [&'static [u8]],
}

/// Why a list of texts is no list of suffixes: what is said of [`SuffixError::text`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SuffixError {
    /// One is not the name of a host (RFC 1123 §2.1), or has too many labels.
    #[error("is not a name of one to {MAX_LABELS} labels of letters, digits and hyphens")]
    Name(String),
    /// Names below one are somebody else's.
    #[error("is a name that DNS delegates: choose one below alt or internal")]
    Delegated(String),
    /// One is below another or the same: names below it would belong to two zones.
    #[error("is at or below another suffix of the list")]
    Nested(String),
    /// There are too many.
    #[error("has more than {MAX_SUFFIXES} suffixes")]
    TooMany(String),
    /// The configuration was read with other lists too often.
    #[error("comes after {MAX_LISTS} other lists since the start: restart the resolver")]
    TooManyLists(String),
}

impl SuffixError {
    /// What is wrong: one of the texts, or all of them.
    pub fn text(&self) -> &str {
        match self {
            SuffixError::Name(text)
            | SuffixError::Delegated(text)
            | SuffixError::Nested(text)
            | SuffixError::TooMany(text)
            | SuffixError::TooManyLists(text) => text,
        }
    }
}

/// The labels of a suffix in lower case.
///
/// It must end in a label whose names nobody is delegated in DNS: `alt` (RFC 9476), `internal`
/// (reserved by ICANN in 2024), `home.arpa` (RFC 8375) or `test` (RFC 6761), and not be one of
/// these itself.
fn read_labels(text: &str) -> Result<Vec<String>, SuffixError> {
    let lower = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_label = |label: &str| {
        (1..=MAX_LABEL_BYTES).contains(&label.len())
            && label.bytes().all(is_plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let labels: Vec<&str> = lower.split('.').collect();
    // A name of the chain and its own labels must have room before it.
    if !labels.iter().all(|label| is_label(label))
        || labels.len() > MAX_LABELS
        || lower.len() > MAX_SUFFIX_BYTES
    {
        return Err(SuffixError::Name(text.to_owned()));
    }
    match labels[..] {
        [_, .., "alt" | "internal" | "test"] | [_, .., "home", "arpa"] => {}
        _ => return Err(SuffixError::Delegated(text.to_owned())),
    }
    Ok(labels.into_iter().map(str::to_owned).collect())
}

impl Suffix {
    /// The one that is meant where none is said.
    pub const CANONICAL: Suffix = Suffix { labels: &[b"namechain", b"alt"] };

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

/// The suffixes that are on, the canonical one first. None is at or below another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suffixes(&'static [Suffix]);

/// The lists that were read, other than the two constants: each is kept until the process ends.
static LISTS: Mutex<Vec<&'static [Suffix]>> = Mutex::new(Vec::new());

impl Suffixes {
    /// None.
    pub const NONE: Suffixes = Suffixes(&[]);
    /// `namechain.alt.` alone.
    pub const CANONICAL: Suffixes = Suffixes(&[Suffix::CANONICAL]);

    /// Reads a list, the first the canonical one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(texts: &[String]) -> Result<Suffixes, SuffixError> {
        if texts.len() > MAX_SUFFIXES {
            return Err(SuffixError::TooMany(texts.join(", ")));
        }
        let list: Vec<Vec<String>> =
            texts.iter().map(|text| read_labels(text.trim())).collect::<Result<_, _>>()?;
        for (at, labels) in list.iter().enumerate() {
            let mut others = list.iter().enumerate().filter(|(other, _)| *other != at);
            if others.any(|(_, other)| labels.ends_with(other)) {
                return Err(SuffixError::Nested(labels.join(".")));
            }
        }
        let is_it = |known: &[Suffix]| {
            let is_same = |(suffix, labels): (&Suffix, &Vec<String>)| {
                suffix.labels.iter().copied().eq(labels.iter().map(String::as_bytes))
            };
            known.len() == list.len() && known.iter().zip(&list).all(is_same)
        };
        let mut lists = LISTS.lock().unwrap_or_else(PoisonError::into_inner);
        let constants = [Self::NONE.0, Self::CANONICAL.0];
        if let Some(known) = constants.into_iter().chain(lists.iter().copied()).find(|it| is_it(it))
        {
            return Ok(Suffixes(known));
        }
        if lists.len() == MAX_LISTS {
            return Err(SuffixError::TooManyLists(texts.join(", ")));
        }
        let kept = |label: &String| -> &'static [u8] { Box::leak(label.as_bytes().into()) };
        let suffix = |labels: &Vec<String>| {
            let labels: &'static [&'static [u8]] = Box::leak(labels.iter().map(kept).collect());
            Suffix { labels }
        };
        let made: &'static [Suffix] = Box::leak(list.iter().map(suffix).collect());
        lists.push(made);
        Ok(Suffixes(made))
    }

    /// Each, the canonical one first.
    pub fn iter(self) -> std::slice::Iter<'static, Suffix> {
        self.0.iter()
    }

    /// Whether there is one.
    pub fn is_any(self) -> bool {
        !self.0.is_empty()
    }

    /// The suffix that a name is below or at, and what stands before it.
    pub fn find<'a, 'b>(self, labels: &'a [&'b [u8]]) -> Option<(&'static Suffix, &'a [&'b [u8]])> {
        self.0.iter().find_map(|suffix| Some((suffix, suffix.strip(labels)?)))
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

    fn read(texts: &[&str]) -> Result<Suffixes, SuffixError> {
        Suffixes::read(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn suffixes_are_read_and_nobody_elses_are_refused() {
        for (text, expected) in [
            ("namechain.alt", "namechain.alt."),
            ("Namechain.Internal.", "namechain.internal."),
            ("a.b.test", "a.b.test."),
            ("n.home.arpa", "n.home.arpa."),
        ] {
            assert_eq!(read(&[text]).unwrap().iter().next().unwrap().to_string(), expected);
        }
        let delegated = SuffixError::Delegated("chain.example.com".into());
        assert_eq!(read(&["chain.example.com"]), Err(delegated));
        for text in ["", ".", "alt", "internal", "home.arpa", "com", "x.arpa"] {
            assert!(read(&[text]).is_err(), "{text}");
        }
        for text in ["a..alt", "-a.alt", "a b.alt", "ä.alt", "1.2.3.4.5.6.7.8.alt"] {
            assert!(matches!(read(&[text]), Err(SuffixError::Name(_))), "{text}");
        }
        for list in [["n.alt", "N.alt."], ["n.alt", "x.n.alt"], ["x.n.alt", "n.alt"]] {
            assert!(matches!(read(&list), Err(SuffixError::Nested(_))), "{list:?}");
        }
        assert!(read(&["n.alt", "xn.alt"]).is_ok());
        assert!(matches!(read(&["n.alt"; 9]), Err(SuffixError::TooMany(_))));
    }

    #[test]
    fn a_list_is_kept_once_and_a_name_has_one_suffix() {
        let list = || read(&["namechain.alt", "namechain.internal"]).unwrap();
        assert!(std::ptr::eq(list().0, list().0), "kept once");
        assert_eq!(read(&["namechain.alt."]), Ok(Suffixes::CANONICAL));
        assert_eq!(read(&[]), Ok(Suffixes::NONE));
        let find = |name: &str| {
            let labels: Vec<&[u8]> = name.split('.').map(str::as_bytes).collect();
            list().find(&labels).map(|(suffix, above)| (suffix.to_string(), above.len()))
        };
        let found = |suffix: &str, above| Some((suffix.to_owned(), above));
        assert_eq!(find("alice.NAMECHAIN.alt"), found("namechain.alt.", 1));
        assert_eq!(find("www.alice.namechain.internal"), found("namechain.internal.", 2));
        assert_eq!(find("namechain.internal"), found("namechain.internal.", 0));
        assert_eq!(find("xnamechain.alt"), None);
        assert_eq!(find("alt"), None);
    }
}
