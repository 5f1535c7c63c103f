//! The zone of a name, compiled once into an index: every query takes a few lookups, and a name
//! that does not exist costs no more than one that does.
//!
//! The algorithm is that of RFC 1034 §4.3.2 with the wildcards of RFC 4592 and DNAME of RFC 6672
//! §3.2. Owners are relative to the name and in wire form: the ancestors of an owner are its
//! suffixes.

mod view;

use std::collections::HashMap;

use namechain_core::types::{Name, NameEntry, RecordSet};

use crate::dns::{
    names,
    rtype::{ANY, CNAME, DNAME, DS, NS, NSEC, RRSIG},
};

pub use view::{DelegationPoint, NameServer, ZoneAnswer, ZoneView};

/// The records of one name, indexed.
#[derive(Debug)]
pub struct Zone {
    name: Name,
    serial: u32,
    nodes: HashMap<Box<[u8]>, Node>,
}

/// The records of one owner; none at an empty non-terminal (RFC 4592 §2.2.2).
#[derive(Debug, Default)]
struct Node {
    /// By type.
    sets: Vec<RrSet>,
}

/// The records of one owner and type.
#[derive(Debug, PartialEq, Eq)]
pub struct RrSet {
    /// The type.
    pub rtype: u16,
    /// The TTL in seconds.
    pub ttl: u32,
    /// The data of each record, in wire form.
    pub data: Vec<Box<[u8]>>,
}

/// The result of a look-up in a zone.
#[derive(Debug, PartialEq, Eq)]
pub enum ZoneLookup<'z> {
    /// These records.
    Records(&'z RrSet),
    /// The owner is an alias.
    Alias(&'z RrSet),
    /// An ancestor, this many bytes into the owner, is an alias with all that is below it.
    AliasBelow(usize, &'z RrSet),
    /// The owner exists, with these other types.
    NoData(Vec<u16>),
    /// The owner does not exist.
    NoName,
    /// The owner is delegated; the child zone begins this many bytes into the owner.
    Delegated(usize, &'z RrSet),
}

impl Node {
    fn set(&self, rtype: u16) -> Option<&RrSet> {
        self.sets.iter().find(|set| set.rtype == rtype)
    }

    /// The answer at an owner that exists. An alias has no other data (RFC 1034 §3.6.2), so it is
    /// looked for first; except for its own NSEC (RFC 4035 §2.5).
    fn answer(&self, qtype: u16) -> ZoneLookup<'_> {
        if !matches!(qtype, CNAME | ANY | RRSIG | NSEC)
            && let Some(alias) = self.set(CNAME)
        {
            return ZoneLookup::Alias(alias);
        }
        // One RRset is a full answer to ANY (RFC 8482 §4.1).
        let set = if qtype == ANY { self.sets.first() } else { self.set(qtype) };
        set.map_or_else(
            || ZoneLookup::NoData(self.sets.iter().map(|set| set.rtype).collect()),
            ZoneLookup::Records,
        )
    }

    /// The answer at a wildcard, for a name that it matches. The name is not a zone cut, whatever
    /// the wildcard has (RFC 4592 §4.2).
    fn answer_as_wildcard(&self, qtype: u16) -> ZoneLookup<'_> {
        match self.answer(qtype) {
            ZoneLookup::NoData(mut types) => {
                types.retain(|rtype| *rtype != NS);
                ZoneLookup::NoData(types)
            }
            found => found,
        }
    }

    /// The parent's answer at a zone cut to a query for DS (RFC 4035 §3.1.4.1): it is the only type
    /// there for which the parent is authoritative.
    fn ds(&self) -> ZoneLookup<'_> {
        self.set(DS).map_or_else(|| ZoneLookup::NoData(vec![NS]), ZoneLookup::Records)
    }
}

impl Zone {
    /// Compiles the records of an entry. The serial is the height of the last change.
    pub fn new(entry: &NameEntry) -> Self {
        Self::of(entry.name.clone(), entry.updated.height, &entry.records)
    }

    /// Compiles records. Those whose RDATA does not match their type are left out: a client would
    /// discard the whole answer, or take bytes in them for a compression pointer.
    pub fn of(name: Name, serial: u32, records: &RecordSet) -> Self {
        let mut nodes: HashMap<Box<[u8]>, Node> = HashMap::new();
        nodes.entry([0].into()).or_default();
        for record in records.records() {
            if crate::dns::rdata::names(record.rtype, &record.rdata).is_none() {
                continue;
            }
            for start in names::label_starts(&record.owner).into_iter().skip(1) {
                nodes.entry(record.owner[start..].into()).or_default();
            }
            let node = nodes.entry(record.owner.as_slice().into()).or_default();
            let data = record.rdata.as_slice().into();
            match node.sets.last_mut() {
                // Records come sorted by owner and type.
                Some(set) if set.rtype == record.rtype => set.data.push(data),
                _ => {
                    node.sets.push(RrSet { rtype: record.rtype, ttl: record.ttl, data: vec![data] })
                }
            }
        }
        Zone { name, serial, nodes }
    }

    /// The name whose zone this is.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The height of the last change, which is the serial of the SOA.
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// The records at a relative owner, even below a zone cut: glue, for instance.
    pub fn set(&self, owner: &[u8], rtype: u16) -> Option<&RrSet> {
        self.nodes.get(owner)?.set(rtype)
    }

    /// Looks up `owner`, relative and in lower case, and `qtype`.
    pub fn lookup(&self, owner: &[u8], qtype: u16) -> ZoneLookup<'_> {
        let starts = names::label_starts(owner);
        let mut encloser = None;
        for &start in starts.iter().rev() {
            let Some(node) = self.nodes.get(&owner[start..]) else { break };
            encloser = Some(start);
            if let Some(ns) = node.set(NS) {
                return if start == 0 && qtype == DS {
                    node.ds()
                } else {
                    ZoneLookup::Delegated(start, ns)
                };
            }
            if let Some(dname) = node.set(DNAME)
                && start > 0
            {
                return ZoneLookup::AliasBelow(start, dname);
            }
        }
        match encloser {
            Some(0) => self.nodes.get(owner).map_or(ZoneLookup::NoName, |node| node.answer(qtype)),
            Some(start) => {
                let source = [b"\x01*", &owner[start..]].concat();
                self.nodes
                    .get(source.as_slice())
                    .map_or(ZoneLookup::NoName, |node| node.answer_as_wildcard(qtype))
            }
            None => ZoneLookup::NoName,
        }
    }
}

#[cfg(test)]
mod tests {
    use namechain_core::types::Record;

    use super::*;
    use crate::dns::rtype::{A, TXT};

    /// Owner with dots, type, data in wire form.
    fn zone(records: &[(&str, u16, &[u8])]) -> Zone {
        let records = records
            .iter()
            .map(|(at, rtype, rdata)| Record {
                owner: owner(at),
                rtype: *rtype,
                ttl: 60,
                rdata: rdata.to_vec(),
            })
            .collect();
        Zone::of(Name::parse("alice").unwrap(), 7, &RecordSet::new(records).unwrap())
    }

    fn owner(dotted: &str) -> Vec<u8> {
        names::from_labels(dotted.split('.').filter(|label| !label.is_empty()).map(str::as_bytes))
    }

    /// A lookup's result in the notation of the tables below.
    fn says(zone: &Zone, at: &str, qtype: u16) -> String {
        let shown =
            |set: &RrSet| format!("{}:{}", set.rtype, String::from_utf8_lossy(&set.data[0]));
        let at = owner(at);
        match zone.lookup(&at, qtype) {
            ZoneLookup::Records(set) => format!("records {}", shown(set)),
            ZoneLookup::Alias(set) => format!("alias {}", shown(set)),
            ZoneLookup::AliasBelow(start, _) => format!("alias below {start}"),
            ZoneLookup::NoData(_) => "no data".into(),
            ZoneLookup::NoName => "no name".into(),
            ZoneLookup::Delegated(start, _) => format!("delegated at {start}"),
        }
    }

    fn check(zone: &Zone, table: &[(&str, u16, &str)]) {
        for (at, qtype, expected) in table {
            assert_eq!(says(zone, at, *qtype), *expected, "{at} {qtype}");
        }
    }

    /// The zone of RFC 4592 §2.2.1, with its answers.
    #[test]
    fn the_example_of_rfc_4592() {
        let zone = zone(&[
            ("*", TXT, b"star"),
            ("*", 15, b"\0\x0a\x05host1\0"),
            ("sub.*", TXT, b"sub"),
            ("host1", A, b"1111"),
            ("_ssh._tcp.host1", 33, b"\0\0\0\0\0\x16\0"),
            ("_ssh._tcp.host2", 33, b"\0\0\0\0\0\x16\0"),
            ("subdel", NS, b"\x02ns\0"),
        ]);
        check(
            &zone,
            &[
                ("host3", 15, "records 15:\0\n\u{5}host1\0"),
                ("host3", A, "no data"),
                ("foo.bar", TXT, "records 16:star"),
                ("host1", 15, "no data"),
                ("sub.*", 15, "no data"),
                ("_telnet._tcp.host1", 33, "no name"),
                ("host.subdel", A, "delegated at 5"),
                ("ghost.*", 15, "no name"),
                ("host2", A, "no data"),
                ("_tcp.host2", TXT, "no data"),
                ("*", TXT, "records 16:star"),
            ],
        );
    }

    #[test]
    fn aliases() {
        let zone = zone(&[
            ("www", CNAME, b"\x05alice\0"),
            ("*.any", CNAME, b"\x05other\0"),
            ("old", DNAME, b"\x03new\0"),
            ("old", TXT, b"here"),
            ("below.old", TXT, b"occluded"),
        ]);
        check(
            &zone,
            &[
                ("www", A, "alias 5:\u{5}alice\0"),
                ("www", CNAME, "records 5:\u{5}alice\0"),
                ("www", ANY, "records 5:\u{5}alice\0"),
                ("www", NSEC, "no data"),
                ("x.y.any", A, "alias 5:\u{5}other\0"),
                ("any", A, "no data"),
                ("old", TXT, "records 16:here"),
                ("old", DNAME, "records 39:\u{3}new\0"),
                ("below.old", TXT, "alias below 6"),
                ("a.b.old", A, "alias below 4"),
            ],
        );
    }

    #[test]
    fn cuts() {
        let zone = zone(&[
            ("sub", NS, b"\x02ns\x03sub\x05alice\0"),
            ("sub", DS, b"digest"),
            ("ns.sub", A, b"1111"),
            ("*.deep.sub", A, b"2222"),
            ("plain", A, b"3333"),
        ]);
        check(
            &zone,
            &[
                ("sub", A, "delegated at 0"),
                ("sub", NS, "delegated at 0"),
                ("sub", DS, "records 43:digest"),
                ("ns.sub", A, "delegated at 3"),
                ("x.sub", DS, "delegated at 2"),
                ("x.deep.sub", A, "delegated at 7"),
                ("plain", A, "records 1:3333"),
                ("", A, "no data"),
                ("", NS, "no data"),
            ],
        );
        assert_eq!(
            zone.set(&owner("ns.sub"), A).unwrap().data[0].as_ref(),
            b"1111",
            "glue is there to be found"
        );
    }

    /// The types in a denial: at a zone cut only the parent's (RFC 4035 §2.3), at an empty
    /// non-terminal none.
    #[test]
    fn the_types_beside_what_is_not_there() {
        let zone = zone(&[
            ("", A, b"1111"),
            ("", 65_280, b"x"),
            ("cut", NS, b"\x02ns\0"),
            ("cut", TXT, b"occluded"),
            ("*.wild", TXT, b"star"),
            ("*.wild", NS, b"\x02ns\0"),
            ("*.wild", 15, b"\0\x0a\x01a\0"),
        ]);
        for (at, qtype, types) in [
            ("", TXT, vec![A, 65_280]),
            ("cut", DS, vec![NS]),
            ("wild", TXT, vec![]),
            ("x.wild", A, vec![15, TXT]),
        ] {
            assert_eq!(zone.lookup(&owner(at), qtype), ZoneLookup::NoData(types), "{at} {qtype}");
        }
    }

    #[test]
    fn a_name_that_is_delegated_as_a_whole() {
        let zone = zone(&[
            ("", NS, b"\x02ns\x05alice\0"),
            ("", DS, b"digest"),
            ("ns", A, b"1111"),
            ("", TXT, b"no"),
        ]);
        check(
            &zone,
            &[
                ("", TXT, "delegated at 0"),
                ("", DS, "records 43:digest"),
                ("ns", A, "delegated at 3"),
                ("x.y", A, "delegated at 4"),
            ],
        );
    }

    #[test]
    fn an_empty_name_and_bad_data() {
        check(&zone(&[]), &[("", A, "no data"), ("www", A, "no name")]);
        let zone = zone(&[("www", A, b"123"), ("www", A, b"1234"), ("bad", CNAME, b"\xc0\x0c")]);
        check(&zone, &[("www", A, "records 1:1234"), ("bad", A, "no name")]);
        assert_eq!(zone.set(&owner("www"), A).unwrap().data.len(), 1);
    }
}
