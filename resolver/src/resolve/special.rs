//! Special-use names: answered locally by the rules of their RFCs, and never sent upstream.
//!
//! The registry is IANA's "Special-Use Domain Names" with "Locally-Served DNS Zones" (RFC 6303).
//! `example.` and the other documentation domains are not here: by RFC 6761 §6.5 resolvers treat
//! them like any other name. `ipv4only.arpa` is not here: only the network's own server knows its
//! NAT64, and a resolver that does no DNS64 forwards it (RFC 8880 §7.1). `internal` is not here:
//! it is for private use (ICANN resolution 2024.07.29.06), and the network's own server answers.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    sync::LazyLock,
};

use hickory_proto::{
    op::ResponseCode,
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, AAAA, PTR, SOA},
    },
};

use crate::{
    dns::{names, query::Question},
    resolve::answer::Answer,
};

/// One special-use name.
#[derive(Debug, PartialEq, Eq)]
pub struct Special {
    /// The name, without the final dot.
    pub zone: &'static str,
    /// The RFC that says so.
    pub source: &'static str,
    rule: Rule,
}

impl Special {
    fn label_count(&self) -> usize {
        self.zone.split('.').count() + usize::from(std::ptr::eq(self, &SHARED))
    }

    /// Whether `name` is the zone itself and its parent is a zone of legacy DNS, which says whether
    /// it is signed. Of `resolver.arpa` nothing is sent upstream (RFC 9462 §6.4).
    pub fn has_legacy_parent(&self, name: &Name) -> bool {
        self.zone.ends_with(".arpa") && self.rule != Rule::NoData && self.is_apex(name)
    }

    /// Whether a name that is in the zone is the zone itself.
    pub fn is_apex(&self, name: &Name) -> bool {
        name.iter().count() == self.label_count()
    }
}

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// Loopback addresses for the name and all names below it.
    Loopback,
    /// The name and all names below it do not exist.
    Nothing,
    /// The name exists without data; names below it do not exist.
    Empty,
    /// As `Empty`, with a PTR record to `localhost` for the one address.
    LoopbackReverse,
    /// The name and all names below it exist without data.
    NoData,
    /// As `Empty`, with a PTR record to `ipv4only.arpa` at the zone itself.
    Ipv4OnlyReverse,
}

const fn row(zone: &'static str, source: &'static str, rule: Rule) -> Special {
    Special { zone, source, rule }
}

/// All special-use names.
pub static TABLE: &[Special] = &[
    row("localhost", "RFC 6761 §6.3", Rule::Loopback),
    row("invalid", "RFC 6761 §6.4", Rule::Nothing),
    row("test", "RFC 6761 §6.2", Rule::Nothing),
    row("local", "RFC 6762 §22.1", Rule::Nothing),
    row("onion", "RFC 7686 §2", Rule::Nothing),
    row("alt", "RFC 9476 §3", Rule::Nothing),
    row("home.arpa", "RFC 8375 §4", Rule::Empty),
    row("service.arpa", "RFC 9665 §10.1", Rule::Nothing),
    row("resolver.arpa", "RFC 9462 §6.4", Rule::NoData),
    row("170.0.0.192.in-addr.arpa", "RFC 8880 §7.2", Rule::Ipv4OnlyReverse),
    row("171.0.0.192.in-addr.arpa", "RFC 8880 §7.2", Rule::Ipv4OnlyReverse),
    row("eap-noob.arpa", "RFC 9140 §5.3", Rule::Nothing),
    row("eap.arpa", "RFC 9965 §3.6", Rule::Nothing),
    row("6tisch.arpa", "RFC 9031 §9", Rule::Nothing),
    row("0.in-addr.arpa", "RFC 6303 §4.2", Rule::Empty),
    row("127.in-addr.arpa", "RFC 6303 §4.2", Rule::LoopbackReverse),
    row("10.in-addr.arpa", "RFC 6303 §4.1", Rule::Empty),
    row("16.172.in-addr.arpa", "RFC 6303 §4.1", Rule::Empty),
    row("17.172.in-addr.arpa", "RFC 6303 §4.1", Rule::Empty),
    row("18.172.in-addr.arpa", "RFC 6303 §4.1", Rule::Empty),
    row("19.172.in-addr.arpa", "RFC 6303 §4.1", Rule::Empty),
    row("20.172.in-addr.arpa", "RFC 6303 §4.1", Rule::Empty),
    row("21.172.in-addr.arpa", "RFC 6303 §4.1", Rule::Empty),
    row("22.172.in-addr.arpa", "RFC 6303 §4.1", Rule::Empty),
    row("23.172.in-addr.arpa", "RFC 6303 §4.1", Rule::Empty),
    row("24.172.in-addr.arpa", "RFC 6303 §4.1", Rule::Empty),
    row("25.172.in-addr.arpa", "RFC 6303 §4.1", Rule::Empty),
    row("26.172.in-addr.arpa", "RFC 6303 §4.1", Rule::Empty),
    row("27.172.in-addr.arpa", "RFC 6303 §4.1", Rule::Empty),
    row("28.172.in-addr.arpa", "RFC 6303 §4.1", Rule::Empty),
    row("29.172.in-addr.arpa", "RFC 6303 §4.1", Rule::Empty),
    row("30.172.in-addr.arpa", "RFC 6303 §4.1", Rule::Empty),
    row("31.172.in-addr.arpa", "RFC 6303 §4.1", Rule::Empty),
    row("168.192.in-addr.arpa", "RFC 6303 §4.1", Rule::Empty),
    row("254.169.in-addr.arpa", "RFC 6303 §4.2", Rule::Empty),
    row("2.0.192.in-addr.arpa", "RFC 6303 §4.2", Rule::Empty),
    row("100.51.198.in-addr.arpa", "RFC 6303 §4.2", Rule::Empty),
    row("113.0.203.in-addr.arpa", "RFC 6303 §4.2", Rule::Empty),
    row("255.255.255.255.in-addr.arpa", "RFC 6303 §4.2", Rule::Empty),
    row(
        "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
        "RFC 6303 §4.3",
        Rule::Empty,
    ),
    row(
        "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
        "RFC 6303 §4.3",
        Rule::LoopbackReverse,
    ),
    row("8.b.d.0.1.0.0.2.ip6.arpa", "RFC 6303 §4.6", Rule::Empty),
    row("d.f.ip6.arpa", "RFC 6303 §4.4", Rule::Empty),
    row("8.e.f.ip6.arpa", "RFC 6303 §4.5", Rule::Empty),
    row("9.e.f.ip6.arpa", "RFC 6303 §4.5", Rule::Empty),
    row("a.e.f.ip6.arpa", "RFC 6303 §4.5", Rule::Empty),
    row("b.e.f.ip6.arpa", "RFC 6303 §4.5", Rule::Empty),
];

/// The shared address space, 100.64.0.0/10, is 64 zones: `64.100.in-addr.arpa` to
/// `127.100.in-addr.arpa`.
static SHARED: Special = row("100.in-addr.arpa", "RFC 7793 §2", Rule::Empty);

/// The domain by which a network tells Firefox not to go around its resolver. While names of the
/// chain stand at the root, that would hide them.
pub static CANARY: Special = row("use-application-dns.net", "Mozilla", Rule::Nothing);

/// Whether a name is at or below [`CANARY`].
pub fn is_canary(labels: &[&[u8]]) -> bool {
    matches!(labels, [.., domain, net] if domain.eq_ignore_ascii_case(b"use-application-dns")
        && net.eq_ignore_ascii_case(b"net"))
}

/// The TTL of special answers: they change with the software only (RFC 6303 §3 has 10,800 too).
const TTL_SECS: u32 = 10_800;

/// The table by name in wire form.
static BY_NAME: LazyLock<std::collections::HashMap<Vec<u8>, &'static Special>> =
    LazyLock::new(|| {
        TABLE
            .iter()
            .map(|special| {
                (names::from_labels(special.zone.split('.').map(str::as_bytes)), special)
            })
            .collect()
    });

/// The last labels of the table's names.
const LAST_LABELS: [&[u8]; 7] =
    [b"arpa", b"localhost", b"invalid", b"test", b"local", b"onion", b"alt"];

/// The special-use name that the name with these labels is or lies below; the closest one, if there
/// are two.
pub fn find(labels: &[&[u8]]) -> Option<&'static Special> {
    let last = labels.last()?;
    // Most names leave here.
    if !LAST_LABELS.iter().any(|label| last.eq_ignore_ascii_case(label)) {
        return None;
    }
    let name = names::from_labels(labels.iter().copied());
    let tails = names::label_starts(&name);
    if let Some(special) = tails.iter().find_map(|start| BY_NAME.get(&name[*start..])) {
        return Some(special);
    }
    let [.., octet, _, _, _, _] = tails.as_slice() else { return None };
    let below = name[*octet..].strip_suffix(b"\x03100\x07in-addr\x04arpa\0")?;
    let octet: u8 = std::str::from_utf8(below.get(1..)?).ok()?.parse().ok()?;
    (64..128).contains(&octet).then_some(&SHARED)
}

/// Answers a question for a name found by [`find`].
pub fn answer(special: &Special, question: &Question, name: &Name) -> Answer {
    let labels = special.label_count();
    let zone = name.trim_to(labels).to_lowercase();
    let at_zone = name.iter().count() == labels;
    let at_loopback = special.rule == Rule::LoopbackReverse
        && (names::relative(name, 0) == b"\x011\x010\x010\x03127\x07in-addr\x04arpa\0"
            || (at_zone && labels > 4));
    let records = match (special.rule, question.qtype) {
        (Rule::Loopback, RecordType::A) => vec![RData::A(A(Ipv4Addr::LOCALHOST))],
        (Rule::Loopback, RecordType::AAAA) => vec![RData::AAAA(AAAA(Ipv6Addr::LOCALHOST))],
        (Rule::LoopbackReverse, RecordType::PTR) if at_loopback => vec![pointer("localhost.")],
        (Rule::Ipv4OnlyReverse, RecordType::PTR) if at_zone => vec![pointer("ipv4only.arpa.")],
        (rule, RecordType::SOA) if at_zone && rule != Rule::Nothing => {
            return Answer::records(vec![soa(zone)]);
        }
        _ => Vec::new(),
    };
    if !records.is_empty() {
        return Answer::records(
            records
                .into_iter()
                .map(|data| Record::from_rdata(name.clone(), TTL_SECS, data))
                .collect(),
        );
    }
    let exists = match special.rule {
        Rule::Nothing => false,
        Rule::Loopback | Rule::NoData => true,
        Rule::LoopbackReverse => at_zone || at_loopback,
        Rule::Empty | Rule::Ipv4OnlyReverse => at_zone,
    };
    Answer::negative(if exists { ResponseCode::NoError } else { ResponseCode::NXDomain }, soa(zone))
}

fn pointer(target: &str) -> RData {
    RData::PTR(PTR(Name::from_ascii(target).unwrap_or_default()))
}

/// The SOA of RFC 6303 §3.
fn soa(zone: Name) -> Record {
    let mailbox = Name::from_ascii("nobody.invalid.").unwrap_or_default();
    let data = SOA::new(zone.clone(), mailbox, 1, 3_600, 1_200, 604_800, TTL_SECS);
    Record::from_rdata(zone, TTL_SECS, RData::SOA(data))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(name: &str, qtype: RecordType) -> String {
        let name = Name::from_ascii(name).unwrap();
        let Some(special) = find(&name.iter().collect::<Vec<_>>()) else {
            return "not special".into();
        };
        let question = Question {
            name: name.clone(),
            qtype,
            dnssec_ok: false,
            compact_ok: false,
            wants_ad: false,
            checking_disabled: false,
            recursion_desired: true,
        };
        let answer = answer(special, &question, &name);
        if let Some(soa) = answer.authorities.first() {
            assert!(soa.name.zone_of(&name), "the SOA {} is for {name}", soa.name);
            assert!(answer.answers.is_empty());
        }
        match (answer.rcode, answer.answers.as_slice()) {
            (ResponseCode::NXDomain, []) => "no name".into(),
            (ResponseCode::NoError, []) => "no data".into(),
            (_, records) => {
                records.iter().map(|r| r.data.to_string()).collect::<Vec<_>>().join(" ")
            }
        }
    }

    #[test]
    fn what_is_answered() {
        use RecordType::{A, AAAA, PTR, SOA, SVCB, TXT};
        for (name, qtype, expected) in [
            ("localhost.", A, "127.0.0.1"),
            ("LocalHost.", AAAA, "::1"),
            ("x.y.localhost.", A, "127.0.0.1"),
            ("localhost.", TXT, "no data"),
            ("invalid.", A, "no name"),
            ("x.invalid.", A, "no name"),
            ("test.", SOA, "no name"),
            ("www.test.", A, "no name"),
            ("printer.local.", A, "no name"),
            ("abc.onion.", A, "no name"),
            ("other.alt.", A, "no name"),
            ("host.internal.", A, "not special"),
            ("home.arpa.", A, "no data"),
            ("nas.home.arpa.", A, "no name"),
            ("_dns.resolver.arpa.", SVCB, "no data"),
            ("resolver.arpa.", A, "no data"),
            ("ipv4only.arpa.", A, "not special"),
            ("ipv4only.arpa.", AAAA, "not special"),
            ("170.0.0.192.in-addr.arpa.", PTR, "ipv4only.arpa."),
            ("1.0.0.127.in-addr.arpa.", PTR, "localhost."),
            ("2.0.0.127.in-addr.arpa.", PTR, "no name"),
            ("1.0.0.127.in-addr.arpa.", A, "no data"),
            (
                "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa.",
                PTR,
                "localhost.",
            ),
            ("5.1.168.192.in-addr.arpa.", PTR, "no name"),
            ("168.192.in-addr.arpa.", PTR, "no data"),
            ("1.0.64.100.in-addr.arpa.", PTR, "no name"),
            ("1.0.127.100.in-addr.arpa.", PTR, "no name"),
            ("1.0.63.100.in-addr.arpa.", PTR, "not special"),
            ("1.0.128.100.in-addr.arpa.", PTR, "not special"),
            ("100.in-addr.arpa.", PTR, "not special"),
            ("1.2.d.f.ip6.arpa.", PTR, "no name"),
            ("1.0.15.172.in-addr.arpa.", PTR, "not special"),
            ("example.", A, "not special"),
            ("localhost.com.", A, "not special"),
            (".", A, "not special"),
        ] {
            assert_eq!(ask(name, qtype), expected, "{name} {qtype}");
        }
    }

    #[test]
    fn every_row_is_found_and_has_a_source() {
        for special in TABLE {
            let name = Name::from_ascii(format!("below.{}.", special.zone)).unwrap();
            assert_eq!(find(&name.iter().collect::<Vec<_>>()), Some(special), "{}", special.zone);
            assert!(special.source.starts_with("RFC "));
        }
    }
}
