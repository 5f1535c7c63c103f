//! Names that hand their zone, or a part of it, to servers of legacy DNS: those are asked, without
//! recursion, and what they say is given on.
//!
//! Who writes the records of a name chooses which addresses we send packets to. So: a bounded
//! number of servers and of referrals, no addresses but those of other hosts, and of an answer only
//! what lies in the zone that was delegated.

use std::net::IpAddr;

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{Name, RData, Record, RecordType},
};

use super::{
    answer::Answer,
    step::{Step, follow},
};
use crate::{
    chain::zone::{NameServer, ZoneView},
    dns::names,
};

/// How many addresses of delegated servers are asked.
pub(super) const MAX_SERVERS: usize = 6;
/// How many servers without addresses in the zone are looked up.
pub(super) const MAX_LOOKUPS: usize = 3;
/// How many times a delegated server may send us further down.
pub(super) const MAX_REFERRALS: usize = 6;

/// How the servers are asked to which names delegate their zones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// Their port.
    pub port: u16,
    /// Whether loopback addresses may be asked: anybody can write any address into a name's
    /// records.
    pub loopback: bool,
}

impl Delegation {
    /// Whether packets may be sent there only because the records of a name say so.
    pub fn may_ask(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
        !address.is_unspecified()
            && !address.is_multicast()
            && !broadcast
            && (self.loopback || !address.is_loopback())
    }
}

/// The zone and the servers that a reply sends us to: closer to the name than `below`, or it would
/// lead in circles.
pub(super) fn referral(
    reply: &Message,
    below: &Name,
    asked: &Name,
) -> Option<(Name, Vec<NameServer>)> {
    if reply.metadata.response_code != ResponseCode::NoError
        || reply.metadata.authoritative
        || !reply.answers.is_empty()
    {
        return None;
    }
    let closer = |record: &&Record| {
        record.record_type() == RecordType::NS
            && below.zone_of(&record.name)
            && record.name.zone_of(asked)
            && record.name.iter().count() > below.iter().count()
    };
    let zone = reply.authorities.iter().find(closer)?.name.to_lowercase();
    let mut servers = Vec::new();
    for record in reply.authorities.iter().filter(closer).filter(|record| record.name == zone) {
        let RData::NS(server) = &record.data else { continue };
        let glue = reply
            .additionals
            .iter()
            .filter(|record| below.zone_of(&server.0) && record.name == server.0);
        servers.push(NameServer {
            name: server.0.clone(),
            addresses: glue.filter_map(address).collect(),
        });
    }
    Some((zone, servers))
}

/// The reply as an answer of ours: what lies in the delegated zone, its names as they are at the
/// mount of `moved`, if they are to be moved there.
pub(super) fn relay_reply(
    reply: Message,
    below: &Name,
    asked: &Name,
    qtype: RecordType,
    moved: Option<&ZoneView>,
) -> Step {
    let inside = |record: &Record| below.zone_of(&record.name);
    let answer = Answer {
        rcode: reply.metadata.response_code,
        answers: reply.answers.into_iter().filter(inside).collect(),
        authorities: reply.authorities.into_iter().filter(inside).collect(),
        additionals: reply.additionals.into_iter().filter(inside).collect(),
        ..Answer::default()
    };
    let mut step = follow(answer, asked, qtype, |name| below.zone_of(name));
    let Some(zone) = moved else { return step };
    let moved = |records: Vec<Record>| {
        records.into_iter().filter_map(|record| zone.from_root(record)).collect()
    };
    step.answer.answers = moved(step.answer.answers);
    step.answer.authorities = moved(step.answer.authorities);
    step.answer.additionals = moved(step.answer.additionals);
    step.next = step.next.map(|name| zone.name_from_root(name));
    step
}

/// The address in an A or AAAA record.
pub(super) fn address(record: &Record) -> Option<IpAddr> {
    match &record.data {
        RData::A(address) => Some(address.0.into()),
        RData::AAAA(address) => Some(address.0.into()),
        // Records of the chain are carried as bytes.
        RData::Unknown { code: RecordType::A | RecordType::AAAA, rdata } => {
            names::address(&rdata.anything)
        }
        _ => None,
    }
}
