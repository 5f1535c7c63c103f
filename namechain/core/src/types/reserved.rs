//! The names that nobody can register, as of one day.
//!
//! The lists are consensus: changing one forks the chain. They lie beside the page in
//! `docs/reserved/`, sorted, one label a line; `reserved` is a link to that folder, and a test pins
//! their digest.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The day whose root zone and registries the lists follow.
pub const RESERVED_AS_OF: &str = "2026-10-23";

/// Top-level domains: what the root zone delegates, and what ICANN has contracted or recently
/// retired.
const TLDS: &str = include_str!("reserved/tlds.txt");
/// Single-label entries of the special-use registry (RFC 6761, 6762, 7686, 9476), and `internal`.
const SPECIAL_USE: &str = include_str!("reserved/special-use.txt");
/// What software and networks ask for by themselves, the strings that ICANN holds back for that
/// reason first.
const COLLISIONS: &str = include_str!("reserved/collisions.txt");

/// Why a label is reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reserved {
    /// It is one or two letters long.
    Short,
    /// It is a top-level domain of the legacy root.
    TopLevelDomain,
    /// It is a special-use name.
    SpecialUse,
    /// Software or networks ask for it by themselves.
    Collision,
    /// A later branch of the protocol reserves it.
    Later,
}

impl Reserved {
    /// Why `label`, in lower case, is reserved; `None` if it can be registered. It need not be a
    /// name: DNS asks for labels of every length.
    pub fn of(label: &str) -> Option<Reserved> {
        if label.len() < super::MIN_NAME_BYTES {
            return Some(Reserved::Short);
        }
        [
            (TLDS, Reserved::TopLevelDomain),
            (SPECIAL_USE, Reserved::SpecialUse),
            (COLLISIONS, Reserved::Collision),
        ]
        .into_iter()
        .find_map(|(list, why)| contains(list, label).then_some(why))
    }
}

impl fmt::Display for Reserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reserved::Short => "one- and two-letter labels are kept for countries",
            Reserved::TopLevelDomain => "it is a top-level domain of legacy DNS",
            Reserved::SpecialUse => "it is a special-use name",
            Reserved::Collision => "software and networks ask for it by themselves",
            Reserved::Later => "a later version of the protocol reserves it",
        })
    }
}

/// Whether a sorted list of lines has `label`: a binary search over the text itself, so that
/// nothing is built.
fn contains(list: &str, label: &str) -> bool {
    let bytes = list.as_bytes();
    let (mut low, mut high) = (0, bytes.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let start = bytes[..middle].iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let end =
            start + bytes[start..].iter().position(|b| *b == b'\n').unwrap_or(bytes.len() - start);
        match bytes[start..end].cmp(label.as_bytes()) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => low = end + 1,
            std::cmp::Ordering::Greater => high = start,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Domain, Name, Network, hash};

    #[test]
    fn every_line_is_sorted_found_and_a_label() {
        for list in [TLDS, SPECIAL_USE, COLLISIONS] {
            let lines: Vec<&str> = list.lines().collect();
            assert!(lines.windows(2).all(|pair| pair[0] < pair[1]), "sorted, without duplicates");
            assert!(list.ends_with('\n'));
            for line in lines {
                assert!(contains(list, line), "{line}");
                assert!(Name::parse(line).is_ok(), "{line}");
            }
        }
        for (label, why) in [
            ("com", Some(Reserved::TopLevelDomain)),
            ("xn--p1ai", Some(Reserved::TopLevelDomain)),
            ("local", Some(Reserved::SpecialUse)),
            ("wpad", Some(Reserved::Collision)),
            ("de", Some(Reserved::Short)),
            ("", Some(Reserved::Short)),
            ("alice", None),
            ("comm", None),
            ("zzzzzz", None),
            ("000", None),
        ] {
            assert_eq!(Reserved::of(label), why, "{label}");
        }
    }

    /// A list that changes by accident would fork the chain.
    #[test]
    fn the_lists_are_pinned() {
        let digest = hash(
            Network::Main,
            Domain::Value,
            &[TLDS.as_bytes(), SPECIAL_USE.as_bytes(), COLLISIONS.as_bytes()],
        );
        assert_eq!(
            digest.to_string(),
            "0922edd07a01a97d1e85dff5874fcfb44e6786a8d2b180ee17ec414bc8488f7c"
        );
    }
}
