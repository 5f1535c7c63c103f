//! A zone at one of its mounts: the same records, with the names in the zone rewritten for the
//! mount.
//!
//! In the records, names of the zone are always written as if mounted at the root (`www.alice.`).
//! In an answer under `namechain.alt.`, owners and names in RDATA are rewritten
//! (`www.alice.namechain.alt.`), so that an answer never sends a client to a mount that may be off.

use std::{net::IpAddr, sync::Arc};

use hickory_proto::rr::{Name, RData, Record, RecordType, rdata::CNAME};

use super::{RrSet, Zone, ZoneLookup};
use crate::{
    chain::{
        mount::{Mount, Suffix},
        soa::{soa, suffix_soa},
    },
    dns::{
        names, rdata,
        rtype::{A, AAAA, DS},
    },
};

/// The negative TTL in seconds (RFC 2308 §5): the next block may change a name.
const NEGATIVE_TTL_SECS: u32 = 300;

/// A zone at one of its mounts.
#[derive(Clone, Debug)]
pub struct ZoneView {
    zone: Arc<Zone>,
    mount: Mount,
    /// The zone's name at the mount.
    apex: Name,
}

/// The zone's answer to a question.
#[derive(Debug)]
pub enum ZoneAnswer {
    /// The whole answer.
    Records(Vec<Record>),
    /// The name does not exist.
    NoName,
    /// The name exists, and has these types only.
    NoData(Vec<u16>),
    /// The DNAME that makes the name too long (RFC 6672 §2.2).
    TooLong(Vec<Record>),
    /// The records so far, and the name to continue with. The CNAME after a DNAME is synthesized.
    Follow(Vec<Record>, Name),
    /// The name is delegated to other servers.
    Delegated(DelegationPoint),
}

/// A delegation in the zone.
#[derive(Debug)]
pub struct DelegationPoint {
    /// The cut, as a name at the root.
    pub zone: Name,
    /// The cut, as a name at the mount.
    pub at: Name,
    /// The DS records: the child zone is signed if there are some.
    pub ds: Vec<Record>,
    /// The NS records, for clients that ask without recursion.
    pub ns: Vec<Record>,
    /// The glue in the zone, for the same clients.
    pub glue: Vec<Record>,
    /// The servers, with their glue.
    pub servers: Vec<NameServer>,
}

/// A server that a zone is delegated to.
#[derive(Debug)]
pub struct NameServer {
    /// Its name, as at the root.
    pub name: Name,
    /// Its addresses, as far as the zone has glue.
    pub addresses: Vec<IpAddr>,
}

impl ZoneAnswer {
    /// Describes the answer for a trace.
    pub fn describe(&self, qtype: RecordType) -> String {
        match self {
            ZoneAnswer::NoName => "the zone has no such name".into(),
            ZoneAnswer::NoData(_) => format!("the zone has the name, without {qtype}"),
            ZoneAnswer::Records(records) => {
                format!("the zone has the answer: {} records", records.len())
            }
            ZoneAnswer::TooLong(_) => "a DNAME makes the name too long".into(),
            ZoneAnswer::Follow(_, target) => {
                format!("the zone has an alias to {target}")
            }
            ZoneAnswer::Delegated(cut) => {
                let servers: Vec<String> =
                    cut.servers.iter().map(|server| server.name.to_string()).collect();
                format!("the zone delegates {} to {}", cut.zone, servers.join(", "))
            }
        }
    }
}

impl ZoneView {
    /// The zone of `name`, which lies at or below the zone's name at `mount`.
    pub fn new(zone: Arc<Zone>, mount: Mount, name: &Name) -> Self {
        let apex = name.trim_to(mount.labels() + 1).to_lowercase();
        ZoneView { zone, mount, apex }
    }

    /// The SOA of the zone that contains the name: at the root each name is a zone of its own;
    /// `namechain.alt.` is one zone with all names.
    pub fn soa(&self) -> Record {
        match self.mount {
            Mount::Root => soa(self.apex.clone(), self.zone.serial(), NEGATIVE_TTL_SECS),
            Mount::Suffix(suffix) => suffix_soa(suffix),
        }
    }

    /// Answers a question for `name`, which keeps the client's spelling.
    pub fn answer(&self, name: &Name, qtype: RecordType) -> ZoneAnswer {
        let owner = names::relative(name, self.apex.iter().count());
        match self.zone.lookup(&owner, qtype.into()) {
            ZoneLookup::Records(set) => ZoneAnswer::Records(self.records(name, set)),
            ZoneLookup::NoData(_)
                if qtype == RecordType::SOA && owner == [0] && self.mount == Mount::Root =>
            {
                ZoneAnswer::Records(vec![self.soa()])
            }
            ZoneLookup::NoData(types) => ZoneAnswer::NoData(types),
            ZoneLookup::NoName => ZoneAnswer::NoName,
            ZoneLookup::Alias(set) => match self.target(set) {
                Some(target) => ZoneAnswer::Follow(
                    self.records(name, set).into_iter().take(1).collect(),
                    target,
                ),
                None => ZoneAnswer::NoData(Vec::new()),
            },
            ZoneLookup::AliasBelow(start, set) => self.alias_below(name, &owner, start, set),
            ZoneLookup::Delegated(start, ns) => {
                ZoneAnswer::Delegated(self.cut(&owner[start..], ns))
            }
        }
    }

    /// The answer below a DNAME: the DNAME, and the CNAME synthesized from it (RFC 6672 §3.1).
    fn alias_below(&self, name: &Name, owner: &[u8], start: usize, set: &RrSet) -> ZoneAnswer {
        let mut records = match names::below(&owner[start..], &self.apex) {
            Some(above) => self.records(&above, set),
            None => Vec::new(),
        };
        records.truncate(1);
        let Some(target) = self.target(set) else {
            return ZoneAnswer::NoData(Vec::new());
        };
        let prefix = [&owner[..start], &[0]].concat();
        let Some(target) = names::below(&prefix, &target) else {
            return ZoneAnswer::TooLong(records);
        };
        records.push(Record::from_rdata(
            name.clone(),
            set.ttl,
            RData::CNAME(CNAME(target.clone())),
        ));
        ZoneAnswer::Follow(records, target)
    }

    /// The target of an alias, at this mount.
    fn target(&self, alias: &RrSet) -> Option<Name> {
        names::to_name(&self.data(alias.rtype, alias.data.first()?))
    }

    fn cut(&self, owner: &[u8], ns: &RrSet) -> DelegationPoint {
        let zone = names::below(owner, &self.root_apex()).unwrap_or_else(|| self.root_apex());
        // The client's name is at least as long.
        let at = names::below(owner, &self.apex).unwrap_or_else(|| self.apex.clone());
        let ds = self.zone.set(owner, DS).map_or_else(Vec::new, |set| self.records(&at, set));
        let ns_records = self.records(&at, ns);
        let mut cut =
            DelegationPoint { zone, at, ds, ns: ns_records, glue: Vec::new(), servers: Vec::new() };
        for name in ns.data.iter().filter_map(|data| names::to_name(data)) {
            let mut addresses = Vec::new();
            if self.root_apex().zone_of(&name) {
                let relative = names::relative(&name, 1);
                for set in [A, AAAA].into_iter().filter_map(|rtype| self.zone.set(&relative, rtype))
                {
                    addresses.extend(set.data.iter().filter_map(|data| names::address(data)));
                    if let Some(at) = names::below(&relative, &self.apex) {
                        cut.glue.extend(self.records(&at, set));
                    }
                }
            }
            cut.servers.push(NameServer { name, addresses });
        }
        cut
    }

    /// The zone's name at the root.
    fn root_apex(&self) -> Name {
        names::without_last(&self.apex, self.mount.labels())
    }

    /// A set's records with the owner `name`.
    fn records(&self, name: &Name, set: &RrSet) -> Vec<Record> {
        let code = RecordType::from(set.rtype);
        let record = |data: &[u8]| {
            Record::from_rdata(
                name.clone(),
                set.ttl,
                names::opaque(code, self.data(set.rtype, data)),
            )
        };
        set.data.iter().map(|data| record(data)).collect()
    }

    /// RDATA with the names of the zone rewritten for this mount.
    fn data(&self, rtype: u16, data: &[u8]) -> Vec<u8> {
        match self.mount {
            Mount::Root => data.to_vec(),
            Mount::Suffix(suffix) => rdata::map_names(rtype, data, |name| self.below(suffix, name))
                .unwrap_or_else(|| data.to_vec()),
        }
    }

    /// A name of the zone in wire form, rewritten from the root to a suffix; `None` for other names
    /// and those that would be too long.
    fn below(&self, suffix: &Suffix, name: &[u8]) -> Option<Vec<u8>> {
        let [.., last, end] = names::label_starts(name)[..] else { return None };
        let label = &name[last + 1..end];
        if !label.eq_ignore_ascii_case(self.zone.name().as_str().as_bytes()) {
            return None;
        }
        let mut out = name[..end].to_vec();
        out.extend(names::from_labels(suffix.labels().iter().copied()));
        names::name_len(&out).map(|_| out)
    }

    /// A name at this mount as it is at the root, for queries to delegated servers.
    pub fn to_root(&self, name: &Name) -> Name {
        names::without_last(name, self.mount.labels())
    }

    /// A record of a delegated server, rewritten from the root to this mount. `None` for records
    /// that can't be rewritten: signatures cover the names.
    pub fn from_root(&self, mut record: Record) -> Option<Record> {
        let Mount::Suffix(suffix) = self.mount else { return Some(record) };
        let code = record.record_type();
        if matches!(code, RecordType::RRSIG | RecordType::NSEC | RecordType::NSEC3) {
            return None;
        }
        let owner = names::relative(&record.name, 0);
        if let Some(moved) = self.below(suffix, &owner) {
            record.name = names::to_name(&moved)?;
        }
        let data = names::plain_rdata(&record.data)?;
        record.data = names::opaque(code, self.data(code.into(), &data));
        Some(record)
    }

    /// A name from a delegated server, rewritten for this mount.
    pub fn name_from_root(&self, name: Name) -> Name {
        match self.mount {
            Mount::Root => name,
            Mount::Suffix(suffix) => self
                .below(suffix, &names::relative(&name, 0))
                .and_then(|moved| names::to_name(&moved))
                .unwrap_or(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use namechain_core::types::{Name as ChainName, Record as ChainRecord, RecordSet};

    use super::*;

    const ALT: Mount = Mount::Suffix(&Suffix::CANONICAL);

    fn view(mount: Mount, rtype: u16, rdata: Vec<u8>) -> ZoneView {
        let record = ChainRecord { owner: b"\x01x\0".to_vec(), rtype, ttl: 60, rdata };
        let records = RecordSet::new(vec![record]).unwrap();
        let zone = Arc::new(Zone::of(ChainName::parse("alice").unwrap(), 7, &records));
        let apex = match mount {
            Mount::Root => "alice.",
            Mount::Suffix(_) => "Alice.namechain.ALT.",
        };
        ZoneView::new(zone, mount, &Name::from_ascii(apex).unwrap())
    }

    /// A name in wire form with so many bytes, the last label `alice`.
    fn long(len: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let mut left = len - b"\x05alice\0".len();
        while left > 0 {
            let label = match left {
                1..=64 => left - 1,
                65 => 62,
                _ => 63,
            };
            out.push(label as u8);
            out.resize(out.len() + label, b'a');
            left -= label + 1;
        }
        out.extend_from_slice(b"\x05alice\0");
        out
    }

    fn target(view: &ZoneView, name: &str) -> Option<Name> {
        match view.answer(&Name::from_ascii(name).unwrap(), RecordType::A) {
            ZoneAnswer::Follow(_, target) => Some(target),
            _ => None,
        }
    }

    #[test]
    fn targets_move_with_the_mount_as_long_as_they_fit() {
        for (len, moved) in [(20, true), (241, true), (242, false), (255, false)] {
            let target = target(&view(ALT, 5, long(len)), "x.alice.namechain.alt.").unwrap();
            let last = target.iter().next_back().unwrap();
            assert_eq!(last == b"alt", moved, "a target of {len} bytes");
            let at_root =
                super::tests::target(&view(Mount::Root, 5, long(len)), "x.alice.").unwrap();
            assert_eq!(at_root.iter().next_back(), Some(&b"alice"[..]));
        }
    }

    #[test]
    fn names_of_others_stay() {
        let other =
            target(&view(ALT, 5, b"\x03www\x06malice\0".to_vec()), "x.alice.namechain.alt.");
        assert_eq!(other, Some(Name::from_ascii("www.malice.").unwrap()));
        let root = target(&view(ALT, 5, b"\0".to_vec()), "x.alice.namechain.alt.");
        assert_eq!(root, Some(Name::root()));
    }

    #[test]
    fn a_name_that_a_dname_makes_too_long() {
        let name = Name::from_ascii(format!("{}.x.alice.", "b".repeat(60))).unwrap();
        let said = view(Mount::Root, 39, long(220)).answer(&name, RecordType::A);
        let ZoneAnswer::TooLong(records) = said else { panic!("{said:?}") };
        assert_eq!(records.len(), 1, "with the DNAME that says why");
    }

    #[test]
    fn what_delegated_servers_say_moves_too() {
        let view = view(ALT, 1, vec![1, 2, 3, 4]);
        let name = |text: &str| Name::from_ascii(text).unwrap();
        let record = soa(name("alice."), 5, 6);
        let moved = view.from_root(record).unwrap();
        assert_eq!(moved.name, name("alice.namechain.alt."));
        let RData::Unknown { rdata, .. } = &moved.data else { panic!("{moved}") };
        let names = rdata::names(6, &rdata.anything).unwrap();
        let mailbox = names::to_name(&rdata.anything[names[1].clone()]);
        assert_eq!(mailbox, Some(name("hostmaster.alice.namechain.alt.")));
        assert_eq!(view.to_root(&name("www.alice.namechain.alt.")), name("www.alice."));
        assert_eq!(view.name_from_root(name("www.alice.")), name("www.alice.namechain.alt."));
        assert_eq!(view.name_from_root(name("www.example.")), name("www.example."));
    }
}
