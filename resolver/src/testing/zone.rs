//! A name's zone with any records that the chain accepts, queried for anything.

use std::{net::IpAddr, net::Ipv4Addr, sync::Arc};

use hickory_proto::{
    op::{MessageType, Metadata, OpCode, Query, ResponseCode},
    rr::RecordType,
};
use namechain_core::types::{Name as ChainName, Record, RecordSet};

use super::bytes::{Bytes, wire};
use crate::{
    chain::{
        mount::{Mount, Suffix},
        zone::{Zone, ZoneAnswer, ZoneView},
    },
    dns::{
        message::Packet,
        names,
        query::{Client, Transport},
    },
    resolve::answer::Answer,
    upstream::decode,
};

/// Records and questions. No record leaves the zone that is not one of its own or made from one,
/// and every answer is a valid message, whatever the records contain.
pub fn zone(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let (mount, suffix) = match bytes.byte() % 2 {
        0 => (Mount::Root, &b"\x05alice\0"[..]),
        _ => (Mount::Suffix(&Suffix::CANONICAL), &b"\x05alice\x09namechain\x03alt\0"[..]),
    };
    let questions: Vec<_> =
        (0..1 + bytes.byte() % 3).map(|_| (bytes.labels(), bytes.short())).collect();
    let mut records = Vec::new();
    while !bytes.is_empty() && records.len() < 64 {
        let owner = wire(&bytes.labels()).to_ascii_lowercase();
        let rtype = bytes.short();
        records.push(Record {
            owner,
            rtype,
            ttl: u32::from(bytes.short()),
            rdata: bytes.some().to_vec(),
        });
    }
    // Records that can't be on the chain are skipped.
    let Ok(set) = RecordSet::new(records) else { return };
    let alice = ChainName::parse("alice").expect("a name");
    let zone = Arc::new(Zone::of(alice, 7, &set));
    for (labels, qtype) in questions {
        let mut name = wire(&labels);
        name.pop();
        name.extend_from_slice(suffix);
        let Some(name) = names::to_name(&name) else { continue };
        let view = ZoneView::new(zone.clone(), mount, &name);
        let qtype = RecordType::from(qtype);
        let answer = match view.answer(&name, qtype) {
            ZoneAnswer::Records(records) => Answer::records(records),
            ZoneAnswer::NoName => Answer::negative(ResponseCode::NXDomain, view.soa()),
            ZoneAnswer::NoData(_) => Answer::negative(ResponseCode::NoError, view.soa()),
            ZoneAnswer::TooLong(records) => {
                Answer { rcode: ResponseCode::YXDomain, ..Answer::records(records) }
            }
            ZoneAnswer::Follow(records, _) => {
                assert!(!records.is_empty(), "an alias is shown");
                Answer::records(records)
            }
            ZoneAnswer::Delegated(cut) => {
                assert!(!cut.ns.is_empty(), "a cut has servers");
                Answer { authorities: cut.ns, additionals: cut.glue, ..Answer::default() }
            }
        };
        check(answer, Query::query(name, qtype));
    }
}

fn check(answer: Answer, query: Query) {
    let counts = (answer.answers.len(), answer.authorities.len(), answer.additionals.len());
    let negative = answer.answers.is_empty() && answer.authoritative;
    if negative {
        let soas =
            answer.authorities.iter().filter(|record| record.record_type() == RecordType::SOA);
        assert_eq!(soas.count(), 1, "what is not there says for how long");
        assert!(matches!(
            answer.rcode,
            ResponseCode::NoError | ResponseCode::NXDomain | ResponseCode::YXDomain
        ));
    }
    for transport in [Transport::Tcp, Transport::Udp] {
        let client = Client { address: IpAddr::V4(Ipv4Addr::LOCALHOST), transport };
        let asked = Metadata::new(7, MessageType::Query, OpCode::Query);
        let message =
            answer.clone().into_message(&asked, std::slice::from_ref(&query), None, client, false);
        let bytes = message.to_vec().expect("an answer has a wire form");
        assert!(transport == Transport::Tcp || bytes.len() <= 512);
        let packet = Packet::parse(&bytes).expect("our own message can be read");
        assert_eq!(packet.bytes().len(), bytes.len(), "with nothing behind it");
        // RDATA that does not match its type is the client's to judge, unless it has names (RFC
        // 3597).
        let read = decode(&bytes).expect("with all its records");
        if !message.metadata.truncation && transport == Transport::Tcp {
            assert_eq!(
                (read.answers.len(), read.authorities.len(), read.additionals.len()),
                counts
            );
        }
    }
}
