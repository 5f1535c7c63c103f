//! Names that hand their zone, or a part of it, to servers of legacy DNS: those are asked, without
//! recursion, and what they say is given on.
//!
//! Who writes the records of a name chooses which addresses we send packets to. So: a bounded
//! number of servers and of referrals, no addresses but those of other hosts, and of an answer only
//! what lies in the zone that was delegated.

use std::net::{IpAddr, SocketAddr};

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{Name, RData, Record, RecordType},
};

use super::{Pipeline, Step, failed, follow, legacy_question};
use crate::{
    chain::zone::{DelegationPoint, NameServer, ZoneView},
    dns::{ede::Ede, names, query::Question},
    resolve::answer::Answer,
    telemetry::trace::event,
};

/// How many addresses of delegated servers are asked.
const MAX_SERVERS: usize = 6;
/// How many servers without addresses in the zone are looked up.
const MAX_LOOKUPS: usize = 3;
/// How many times a delegated server may send us further down.
const MAX_REFERRALS: usize = 6;

impl Pipeline {
    /// The answer of the servers that a zone delegates to.
    pub(super) async fn delegated(
        &self,
        question: &Question,
        name: &Name,
        zone: &ZoneView,
        cut: DelegationPoint,
        steps: &mut u8,
    ) -> Step {
        // A signed zone is signed under one name, and signatures do not survive another: it is
        // asked for as the client asks.
        let moved = cut.ds.is_empty();
        let (asked, at) =
            if moved { (zone.to_root(name), cut.zone) } else { (name.clone(), cut.at) };
        let (mut below, mut servers) = (at, cut.servers);
        for _ in 0..=MAX_REFERRALS {
            let addresses = self.reachable(servers, steps).await;
            if addresses.is_empty() {
                let why = format!("no server of {below} has an address that may be asked");
                return Answer::failure(
                    ResponseCode::ServFail,
                    Ede::new(Ede::NO_REACHABLE_AUTHORITY, why),
                )
                .into();
            }
            event("delegated", || {
                format!(
                    "{below} is asked of {}",
                    addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(", ")
                )
            });
            let reply = match self.legacy.ask(&addresses, &legacy_question(question, &asked)).await
            {
                Ok(reply) => reply.message,
                Err(error) => return failed(&error).into(),
            };
            if !moved && reply.metadata.response_code == ResponseCode::Refused {
                let why = format!(
                    "the servers of {below}, which has a DS, refuse to answer for it by this name"
                );
                return Answer::failure(
                    ResponseCode::ServFail,
                    Ede::new(Ede::NO_REACHABLE_AUTHORITY, why),
                )
                .into();
            }
            match referral(&reply, &below, &asked) {
                Some((deeper, named)) => (below, servers) = (deeper, named),
                None => {
                    return relay_reply(
                        reply,
                        &below,
                        &asked,
                        question.qtype,
                        Some(zone).filter(|_| moved),
                    );
                }
            }
        }
        let why = format!("{name} is referred on more than {MAX_REFERRALS} times");
        Answer::failure(ResponseCode::ServFail, Ede::new(Ede::NO_REACHABLE_AUTHORITY, why)).into()
    }

    /// Where the servers can be asked.
    async fn reachable(&self, servers: Vec<NameServer>, steps: &mut u8) -> Vec<SocketAddr> {
        let mut addresses: Vec<IpAddr> =
            servers.iter().flat_map(|server| &server.addresses).copied().collect();
        addresses.retain(|address| self.may_ask(*address));
        let without = servers.iter().filter(|server| server.addresses.is_empty()).take(MAX_LOOKUPS);
        for server in without {
            if !addresses.is_empty() {
                break;
            }
            addresses.extend(
                self.addresses(&server.name, steps)
                    .await
                    .into_iter()
                    .filter(|address| self.may_ask(*address)),
            );
        }
        addresses.truncate(MAX_SERVERS);
        addresses
            .into_iter()
            .map(|address| SocketAddr::new(address, self.delegation.port))
            .collect()
    }

    /// Whether packets may be sent there only because the records of a name say so.
    fn may_ask(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
        !address.is_unspecified()
            && !address.is_multicast()
            && !broadcast
            && (self.delegation.loopback || !address.is_loopback())
    }
}

/// The zone and the servers that a reply sends us to: closer to the name than `below`, or it would
/// lead in circles.
fn referral(reply: &Message, below: &Name, asked: &Name) -> Option<(Name, Vec<NameServer>)> {
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
fn relay_reply(
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
