//! Names that delegate their zone, or a part of it, to name servers in legacy DNS: those are
//! queried without recursion, and their answers relayed.
//!
//! The owner of a name decides which addresses receive packets. So the number of servers and of
//! referrals is bounded, only addresses of other hosts are used, and only records in the delegated
//! zone are relayed.

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

/// The most addresses of delegated servers that are queried.
pub(super) const MAX_SERVERS: usize = 6;
/// The most servers without glue that are looked up.
pub(super) const MAX_LOOKUPS: usize = 3;
/// The most referrals that are followed.
pub(super) const MAX_REFERRALS: usize = 6;

/// How the servers of delegated zones are queried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// Their port.
    pub port: u16,
    /// Whether loopback addresses may be queried: a name's records can contain any address.
    pub loopback: bool,
}

impl Delegation {
    /// Whether packets may be sent to an address only because a name's records contain it.
    pub fn may_ask(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
        !address.is_unspecified()
            && !address.is_multicast()
            && !broadcast
            && (self.loopback || !address.is_loopback())
    }
}

/// The zone and the servers of a referral: it has to be closer to the name than `below`, so that
/// referrals end.
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

/// A reply as an answer: the records in the delegated zone. With `moved`, its names are rewritten
/// for that mount.
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
        // Records of the chain are opaque bytes.
        RData::Unknown { code: RecordType::A | RecordType::AAAA, rdata } => {
            names::address(&rdata.anything)
        }
        _ => None,
    }
}
