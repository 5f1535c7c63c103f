//! What a client gets after decoding is what the server sent, for every type and every oddity.

use hickory_proto::rr::{RData, RecordType};
use proptest::prelude::*;

use super::decode::decode;
use crate::dns::message::{Packet, Section};
use crate::dns::testing::{AT_QUESTION, Build, name, question};

/// Section, owner, type, class, TTL, RDATA.
type Expanded = (Section, Vec<u8>, u16, u16, u32, Vec<u8>);

fn records(bytes: &[u8]) -> Vec<Expanded> {
    let packet = Packet::parse(bytes).unwrap();
    let read = |at: &crate::dns::message::RecordAt| {
        let (mut owner, mut rdata) = (Vec::new(), Vec::new());
        packet.owner(at, &mut owner).unwrap();
        packet.rdata(at, &mut rdata).unwrap();
        (at.section, owner, at.rtype, at.class, at.ttl, rdata)
    };
    packet.records().iter().map(read).collect()
}

fn decoded(rtype: u16, class: u16, rdata: &[u8]) -> RData {
    let build = Build::answer(&question("a.example", rtype));
    let bytes =
        build.record_of_class(Section::Answer, &AT_QUESTION, rtype, class, 60, rdata).done();
    let message = decode(&bytes).unwrap();
    assert_eq!(records(&message.to_vec().unwrap()), records(&bytes), "type {rtype}");
    assert_eq!(message.answers[0].record_type(), RecordType::from(rtype));
    message.answers[0].data.clone()
}

#[test]
fn common_types_are_typed() {
    let target = name("Target.example");
    let numbered = |before: &[u8]| [before, &target[..]].concat();
    let soa = [&target[..], &target[..], &[1; 20]].concat();
    let types: [(u16, Vec<u8>); 13] = [
        (1, vec![192, 0, 2, 1]),
        (2, target.clone()),
        (5, target.clone()),
        (6, soa),
        (12, target.clone()),
        (15, numbered(&[0, 10])),
        (16, b"\x02ab\x03\xffcd\x00".to_vec()),
        (28, vec![0x20; 16]),
        (33, numbered(&[0, 1, 0, 2, 0, 53])),
        (44, vec![4, 2, 1, 2, 3]),
        (52, vec![3, 1, 1, 9, 9]),
        (65, numbered(&[0, 1])),
        (257, b"\x00\x05issueca.example".to_vec()),
    ];
    for (rtype, rdata) in types {
        let typed = !matches!(decoded(rtype, 1, &rdata), RData::Unknown { .. });
        assert!(typed, "type {rtype}");
    }
}

#[test]
fn oddities_are_carried_as_they_are() {
    let odd: [(u16, u16, &[u8]); 9] = [
        (1, 1, &[192, 0, 2]),
        (1, 3, b"\x02ch\x00\x01\x02"),
        (16, 1, &[9, b'x']),
        (28, 1, &[1; 17]),
        (65, 1, &[0, 1, 0, 0, 4, 0, 4, 1, 2, 3, 4, 0, 1, 0, 3, 2, b'h', b'2']),
        (257, 1, &[0, 200, b'x']),
        (255, 1, &[1]),
        (42, 1, &[0, 1, 24, 3, 192, 0, 2]),
        (65_280, 1, &[0xc0, 12]),
    ];
    for (rtype, class, rdata) in odd {
        match decoded(rtype, class, rdata) {
            RData::Unknown { code, rdata: kept } => {
                assert_eq!((u16::from(code), &kept.anything[..]), (rtype, rdata))
            }
            typed => panic!("type {rtype} became {typed:?}"),
        }
    }
}

#[test]
fn empty_rdata_stays_empty() {
    for rtype in [1, 10, 16, 42, 65_280] {
        decoded(rtype, 1, &[]);
    }
}

proptest! {
    #[test]
    fn nothing_is_lost(
        taken in prop::collection::vec((0usize..3, 0u16..300, any::<u16>(), 0u32..1_000_000, prop::collection::vec(any::<u8>(), 0..60)), 0..8),
        flags in any::<(u8, u8)>(),
    ) {
        let mut taken = taken;
        taken.sort_by_key(|record| record.0);
        // OPT and TSIG belong to one hop and never come this far.
        taken.retain(|record| !matches!(record.1, 41 | 250));
        let mut build = Build::answer(&question("WWW.example", 1)).flags(flags.0 & 0x07, flags.1 & 0xbf);
        for (section, rtype, class, ttl, rdata) in taken {
            let section = [Section::Answer, Section::Authority, Section::Additional][section];
            build = build.record_of_class(section, &AT_QUESTION, rtype, class, ttl, &rdata);
        }
        let bytes = build.done();
        if Packet::parse(&bytes).is_ok() {
            let again = decode(&bytes).unwrap().to_vec().unwrap();
            prop_assert_eq!(records(&again), records(&bytes));
            prop_assert_eq!(&again[..12], &bytes[..12]);
        }
    }
}
