//! Warnings about records that are allowed and have no effect, as named-checkzone gives them.

use std::collections::{BTreeMap, BTreeSet};

use namechain_core::types::{Name, RecordSet};

use super::{
    CNAME,
    names::{absolute, below, name_len, text_of},
};

const A: u16 = 1;
const NS: u16 = 2;
const MX: u16 = 15;
const AAAA: u16 = 28;
const SRV: u16 = 33;
const DNAME: u16 = 39;
const DS: u16 = 43;

/// The zone as it is looked up: types by owner, an absolute name in wire form and lower case.
struct Owners<'a> {
    apex: Vec<u8>,
    types: BTreeMap<Vec<u8>, BTreeSet<u16>>,
    records: &'a RecordSet,
}

/// The warnings about these records of `name`, a sentence each.
pub fn warnings(name: &Name, records: &RecordSet) -> Vec<String> {
    let apex = absolute(&format!("{name}."));
    let mut types: BTreeMap<Vec<u8>, BTreeSet<u16>> = BTreeMap::new();
    for record in records.records() {
        types.entry(owner_of(&record.owner, &apex)).or_default().insert(record.rtype);
    }
    let zone = Owners { apex, types, records };
    let mut found = zone.beside_delegations();
    found.extend(zone.targets());
    found
}

fn owner_of(relative: &[u8], apex: &[u8]) -> Vec<u8> {
    let labels = relative.len().saturating_sub(1);
    [&relative[..labels], apex].concat()
}

impl Owners<'_> {
    fn has(&self, owner: &[u8], rtypes: &[u16]) -> bool {
        self.types.get(owner).is_some_and(|types| rtypes.iter().any(|rtype| types.contains(rtype)))
    }

    /// The owner of the NS records at or above `owner`, if it is delegated; for those of a
    /// delegation itself, itself.
    fn delegation_of(&self, owner: &[u8]) -> Option<&Vec<u8>> {
        self.types
            .iter()
            .filter(|(_, types)| types.contains(&NS))
            .map(|(at, _)| at)
            .find(|at| below(owner, at).is_some())
    }

    fn beside_delegations(&self) -> Vec<String> {
        let glue: BTreeSet<Vec<u8>> = self.targets_of(NS).map(|(_, target)| target).collect();
        let mut found = Vec::new();
        for (owner, types) in &self.types {
            let Some(at) = self.delegation_of(owner) else { continue };
            let is_glue = glue.contains(owner);
            let hidden: Vec<String> = types
                .iter()
                .filter(|rtype| match **rtype {
                    NS | DS => at != owner,
                    A | AAAA => !is_glue,
                    _ => true,
                })
                .map(|rtype| super::types::mnemonic(*rtype))
                .collect();
            if !hidden.is_empty() {
                found.push(format!(
                    "{} {} is not served: {} is delegated by its NS records",
                    text_of(owner),
                    hidden.join(", "),
                    text_of(at)
                ));
            }
        }
        found
    }

    /// The names that records of a type point at, with the owner.
    fn targets_of(&self, rtype: u16) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
        let skip = match rtype {
            MX => 2,
            SRV => 6,
            _ => 0,
        };
        let of_type = self.records.records().iter().filter(move |record| record.rtype == rtype);
        of_type.filter_map(move |record| {
            let rest = record.rdata.get(skip..)?;
            let target = rest.get(..name_len(rest)?)?.to_ascii_lowercase();
            Some((owner_of(&record.owner, &self.apex), target))
        })
    }

    fn targets(&self) -> Vec<String> {
        let mut found = Vec::new();
        for rtype in [NS, CNAME, MX, SRV] {
            for (owner, target) in self.targets_of(rtype) {
                if below(&target, &self.apex).is_none() || target == [0] {
                    continue;
                }
                let (from, to) = (text_of(&owner), text_of(&target));
                let what = format!("{from} {} points at {to}", super::types::mnemonic(rtype));
                if rtype != CNAME && self.has(&target, &[CNAME]) {
                    found.push(format!("{what}, which is an alias (CNAME): it must not be"));
                } else if rtype == NS && !self.has(&target, &[A, AAAA]) {
                    found.push(format!("{what}, which has no address: {from} does not resolve"));
                } else if rtype != NS && !self.is_answered(&target, rtype) {
                    found.push(format!("{what}, which has no records"));
                }
            }
        }
        found
    }

    /// Whether the zone, or whoever it is delegated to, can have an answer.
    fn is_answered(&self, target: &[u8], rtype: u16) -> bool {
        let parents = || {
            let mut at = 0;
            std::iter::from_fn(move || {
                at += 1 + usize::from(*target.get(at)?);
                target.get(at..).filter(|rest| !rest.is_empty())
            })
        };
        let addresses = [A, AAAA, CNAME];
        let there = match rtype {
            CNAME => self.types.contains_key(target),
            _ => self.has(target, &addresses),
        };
        there
            || self.delegation_of(target).is_some()
            || parents().any(|parent| {
                self.has(parent, &[DNAME])
                    || self.types.contains_key([b"\x01*", parent].concat().as_slice())
            })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::read::read, *};

    fn of(text: &str) -> Vec<String> {
        let name = Name::parse("alice").unwrap();
        let zone = read(&name, text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        warnings(&name, &zone.records)
    }

    #[test]
    fn what_works_is_not_warned_of() {
        for text in [
            "",
            "@ A 192.0.2.1\nwww CNAME @\n@ MX 10 mail\nmail A 192.0.2.1\n",
            "@ NS ns\nns A 192.0.2.1\n@ DS 1 13 2 00\n",
            "@ NS ns.example.\n",
            "sub NS ns.sub\nns.sub AAAA 2001:db8::1\n@ MX 0 mail.sub\n",
            "*.dyn A 192.0.2.1\n@ MX 1 a.dyn\n",
            "@ MX 0 .\n",
        ] {
            assert_eq!(of(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn what_does_not_work_is_named() {
        for (text, expected) in [
            (
                "@ NS ns\n",
                "alice. NS points at ns.alice., which has no address: alice. does not resolve",
            ),
            (
                "@ NS ns.example.\n@ A 192.0.2.1\n",
                "alice. A is not served: alice. is delegated by its NS records",
            ),
            (
                "sub NS ns.example.\nwww.sub A 192.0.2.1\n",
                "www.sub.alice. A is not served: sub.alice. is delegated by its NS records",
            ),
            ("@ MX 10 mail\n", "alice. MX points at mail.alice., which has no records"),
            ("www CNAME web\n", "www.alice. CNAME points at web.alice., which has no records"),
            (
                "@ MX 10 mail\nmail CNAME web\nweb A 192.0.2.1\n",
                "alice. MX points at mail.alice., which is an alias (CNAME): it must not be",
            ),
        ] {
            assert_eq!(of(text), [expected], "{text}");
        }
    }
}
