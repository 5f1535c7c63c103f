//! Which upstreams a name is sent to: those of the longest matching zone, and no others.

use super::policy::ValidationPolicy;
use super::target::Target;
use crate::cache::Scope;
use crate::dns::rtype::DS;

/// The most zones with upstreams of their own.
pub const MAX_ZONES: usize = 256;

/// A zone and its upstreams.
#[derive(Debug)]
pub struct ZoneTargets {
    name: Vec<u8>,
    targets: Vec<Target>,
    policy: ValidationPolicy,
}

impl ZoneTargets {
    /// `name` in wire form.
    pub fn new(mut name: Vec<u8>, targets: Vec<Target>, policy: ValidationPolicy) -> Self {
        name.make_ascii_lowercase();
        Self { name, targets, policy }
    }

    /// Which of its answers are validated.
    pub fn policy(&self) -> ValidationPolicy {
        self.policy
    }

    /// Its name in wire form, in lower case.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Its upstreams.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// The scope of its answers in the cache.
    pub fn scope(&self) -> Scope<'_> {
        if self.is_rest() { Scope::Upstreams } else { Scope::Zone(&self.name) }
    }

    /// Whether it is the root: all names that are in no other zone.
    pub fn is_rest(&self) -> bool {
        self.name == [0]
    }

    /// Whether a name in wire form (any case, any bytes behind it) is at or below this zone.
    fn has(&self, name: &[u8]) -> bool {
        let mut at = 0;
        while let Some(&length) = name.get(at) {
            if name
                .get(at..at + self.name.len())
                .is_some_and(|tail| tail.eq_ignore_ascii_case(&self.name))
            {
                return true;
            }
            if length == 0 {
                return false;
            }
            at += 1 + usize::from(length);
        }
        false
    }
}

/// All zones. The last is the root: everything else.
#[derive(Debug)]
pub struct Zones(Vec<ZoneTargets>);

impl Zones {
    /// `rest`: the upstreams for names in none of the zones.
    pub fn new(mut zones: Vec<ZoneTargets>, rest: Vec<Target>, policy: ValidationPolicy) -> Self {
        // A longer name in wire form can't be a parent of a shorter one.
        zones.sort_by_key(|zone| std::cmp::Reverse(zone.name.len()));
        zones.push(ZoneTargets::new(vec![0], rest, policy));
        Self(zones)
    }

    /// The zone of a name in wire form.
    pub fn of(&self, name: &[u8]) -> &ZoneTargets {
        // The last zone is the root, which contains every name.
        let last = self.0.len() - 1;
        self.0[..last].iter().find(|zone| zone.has(name)).unwrap_or(&self.0[last])
    }

    /// The zone of a question: uncompressed QNAME, QTYPE and QCLASS. The DS of a zone is its
    /// parent's data (RFC 4035 §3.1.4.1).
    pub fn of_question(&self, question: &[u8]) -> &ZoneTargets {
        let (name, rest) = question.split_at(question.len().saturating_sub(4));
        let parent = name.first().map_or(0, |length| 1 + usize::from(*length));
        match name.get(parent..) {
            Some(parent) if !parent.is_empty() && rest.starts_with(&DS.to_be_bytes()) => {
                self.of(parent)
            }
            _ => self.of(name),
        }
    }

    /// All upstreams, without duplicates.
    pub fn targets(&self) -> Vec<&Target> {
        let mut all: Vec<&Target> = Vec::new();
        for target in self.0.iter().rev().flat_map(ZoneTargets::targets) {
            if !all.contains(&target) {
                all.push(target);
            }
        }
        all
    }

    /// All zones.
    pub fn all(&self) -> impl Iterator<Item = &ZoneTargets> {
        self.0.iter()
    }

    /// Whether the upstreams for all names outside the zones differ from those of `others`.
    pub fn has_other_rest(&self, others: &Self) -> bool {
        let rest = |zones: &Self| zones.0.last().map(shown_targets);
        rest(self) != rest(others)
    }

    /// The zones whose upstreams differ from those of `others`, or that are not in it.
    pub fn different_from<'a>(&'a self, others: &'a Self) -> impl Iterator<Item = &'a ZoneTargets> {
        let same = move |one: &ZoneTargets, other: &ZoneTargets| {
            one.name == other.name && shown_targets(one) == shown_targets(other)
        };
        let own = self.0.iter().filter(|zone| !zone.is_rest());
        own.filter(move |zone| !others.0.iter().any(|other| same(zone, other)))
    }
}

fn shown_targets(zone: &ZoneTargets) -> Vec<String> {
    zone.targets.iter().map(Target::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::testing::{name, question};

    #[test]
    fn the_longest_zone_has_it() {
        let zone = |text: &str| ZoneTargets::new(name(text), Vec::new(), ValidationPolicy::None);
        let zones = Zones::new(
            vec![zone("Example"), zone("corp.example"), zone("lab")],
            Vec::new(),
            ValidationPolicy::None,
        );
        for (asked, expected) in [
            ("www.corp.example", "corp.example"),
            ("CORP.Example", "corp.example"),
            ("notcorp.example", "example"),
            ("example", "example"),
            ("a.b.lab", "lab"),
            ("corp.example.com", ""),
            ("lab.com", ""),
            ("", ""),
            // The label has the bytes of a whole name in it.
            ("x\u{3}lab", ""),
        ] {
            assert_eq!(zones.of(&question(asked, 1)).name(), name(expected), "{asked}");
            assert_eq!(zones.of_question(&question(asked, 1)).name(), name(expected), "{asked}");
        }
        for (asked, expected) in [
            ("www.corp.example", "corp.example"),
            ("CORP.Example", "example"),
            ("example", ""),
            ("", ""),
        ] {
            assert_eq!(zones.of_question(&question(asked, DS)).name(), name(expected), "{asked}");
        }
    }
}
