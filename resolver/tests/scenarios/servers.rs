//! The servers of a scenario: their responses in a step, and the recursive server that queries them
//! for us.
//!
//! Most scenarios were written for resolvers that query authoritative servers from the root down.
//! We query a recursive server, so there is one in between: it follows the referrals and aliases of
//! the scenario and relays what it found, unchanged.

use std::{cell::RefCell, collections::HashMap};

use super::{
    message::{AD, CD, Message, QR, Question, RA, RD, Record},
    rpl::{Entry, Scenario},
    settings::Settings,
};

const NS: u16 = 2;
const CNAME: u16 = 5;
const SOA: u16 = 6;
const DNAME: u16 = 39;
const DS: u16 = 43;
const NSEC: u16 = 47;
const NSEC3: u16 = 50;
const ANY: u16 = 255;
/// The most queries of the recursive server for one question.
const MAX_QUERIES: u32 = 60;

/// How the files of a collection are interpreted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Unbound's: each server answers at its address.
    Unbound,
    /// Stelline's client and validator: where the referrals of a file do not lead to an answer, any
    /// of its servers gives it.
    Stelline,
}

/// The servers in one step.
pub struct Servers<'a> {
    pub scenario: &'a Scenario,
    pub settings: &'a Settings,
    pub kind: Kind,
    /// The next step.
    pub step: u32,
    /// The zone cuts that the recursive server has been referred to, and their servers.
    pub cuts: RefCell<HashMap<Vec<u8>, Vec<String>>>,
}

impl Servers<'_> {
    /// The response to a query to the upstream at `address`, or, without one, to the recursive
    /// server; `None` if there is none.
    pub fn answer(&self, query: &Message, address: Option<&str>) -> Option<Message> {
        if address.is_some() {
            return self.said(query, address);
        }
        let mut left = MAX_QUERIES;
        let Some(mut found) = self.resolve(query, query.question.as_ref()?, &mut left) else {
            return (self.kind == Kind::Stelline).then(|| self.said(query, None)).flatten();
        };
        found.id = query.id;
        found.question = query.question.clone();
        found.flags = QR | RA | query.flags & (RD | CD);
        found.edns = query
            .edns
            .as_ref()
            .map(|edns| super::message::Edns { options: Vec::new(), ..edns.clone() });
        Some(found)
    }

    /// The entry of this step that answers the query at an address.
    fn said(&self, query: &Message, address: Option<&str>) -> Option<Message> {
        let here = |range: &&super::rpl::Range| {
            let asked = address.is_none_or(|address| {
                range.addresses.is_empty() || range.addresses.iter().any(|a| a == address)
            });
            (range.first..=range.last).contains(&self.step) && asked
        };
        let ranges = self.scenario.ranges.iter().filter(here);
        let entry = ranges.flat_map(|range| &range.entries).find(|entry| is_asked(entry, query))?;
        Some(adjusted(entry, query))
    }

    fn resolve(&self, query: &Message, asked: &Question, left: &mut u32) -> Option<Message> {
        let mut answers: Vec<Record> = Vec::new();
        let mut asked = asked.clone();
        loop {
            let said = self.top_down(query, &asked, left);
            let said = if asked.qtype == DS { self.with_ds(said, query, &asked) } else { said };
            let mut said = said?;
            let end = end_of_aliases(&said.sections[0], &asked);
            answers.append(&mut said.sections[0]);
            match end {
                Some(target) if said.rcode == 0 => asked.name = target,
                _ => {
                    said.sections[0] = answers;
                    return Some(said);
                }
            }
        }
    }

    /// The DS of a name, which many scenarios have in a referral only, and there for another type
    /// than DS.
    fn with_ds(&self, said: Option<Message>, query: &Message, asked: &Question) -> Option<Message> {
        let is_proof = |record: &Record| matches!(record.rtype, NSEC | NSEC3);
        if said.as_ref().is_some_and(|said| {
            !said.sections[0].is_empty() || said.sections[1].iter().any(is_proof)
        }) {
            return said;
        }
        let is_ds = |record: &&Record| {
            record.covered() == DS && record.owner.eq_ignore_ascii_case(&asked.name)
        };
        let now = self
            .scenario
            .ranges
            .iter()
            .filter(|range| (range.first..=range.last).contains(&self.step));
        let referral = now
            .flat_map(|range| &range.entries)
            .find(|entry| entry.message.sections[1].iter().any(|record| is_ds(&record)));
        let Some(referral) = referral else { return said };
        let mut found = adjusted(referral, query);
        found.question = Some(asked.clone());
        found.sections =
            [referral.message.sections[1].iter().filter(is_ds).cloned().collect(), vec![], vec![]];
        Some(found)
    }

    /// Queries the configured servers and down until there is an answer for this name.
    fn top_down(&self, query: &Message, asked: &Question, left: &mut u32) -> Option<Message> {
        let mut tops: Vec<(Vec<u8>, Vec<String>)> = self.tops(asked);
        tops.sort_by_key(|(zone, _)| std::cmp::Reverse(zone.len()));
        tops.into_iter().find_map(|(at, servers)| self.descend(query, asked, at, servers, left))
    }

    /// The zones to start from: the configured ones and the known cuts above the name. A DS belongs
    /// to the parent.
    fn tops(&self, asked: &Question) -> Vec<(Vec<u8>, Vec<String>)> {
        let zones = self.settings.stubs.iter().chain(&self.settings.forward);
        let mut tops: Vec<_> =
            zones.map(|zone| (zone.name.clone(), zone.servers.clone())).collect();
        if tops.is_empty()
            && let Some(root) = self.scenario.ranges.first()
        {
            // Root hints are built in; the root servers come first in such a file.
            tops.push((vec![0], root.addresses.clone()));
        }
        tops.extend(
            self.cuts.borrow().iter().map(|(zone, servers)| (zone.clone(), servers.clone())),
        );
        let own = |zone: &[u8]| {
            asked.qtype == DS && zone.len() > 1 && zone.eq_ignore_ascii_case(&asked.name)
        };
        tops.retain(|(zone, _)| is_below(&asked.name, zone) && !own(zone));
        tops
    }

    fn descend(
        &self,
        query: &Message,
        asked: &Question,
        mut at: Vec<u8>,
        mut servers: Vec<String>,
        left: &mut u32,
    ) -> Option<Message> {
        'cut: loop {
            let mut failed = None;
            for server in &servers {
                *left = left.checked_sub(1)?;
                let down = Message { question: Some(asked.clone()), flags: CD, ..query.clone() };
                let Some(said) = self.said(&down, Some(server)) else { continue };
                if !matches!(said.rcode, 0 | 3 | 6) {
                    failed = failed.or(Some(said));
                    continue;
                }
                let Some(cut) = referral(&said, asked, &at) else { return Some(said) };
                servers = self.servers(query, &said, &cut, left);
                self.cuts.borrow_mut().insert(cut.to_ascii_lowercase(), servers.clone());
                at = cut;
                continue 'cut;
            }
            return failed;
        }
    }

    /// The addresses of the servers that a referral names.
    fn servers(&self, query: &Message, said: &Message, cut: &[u8], left: &mut u32) -> Vec<String> {
        let ns = said.sections[1]
            .iter()
            .filter(|record| record.rtype == NS && record.owner.eq_ignore_ascii_case(cut));
        let names: Vec<&Vec<u8>> = ns.map(|record| &record.data).collect();
        let mut found: Vec<String> = Vec::new();
        for name in &names {
            let glue =
                said.sections[2].iter().filter(|record| record.owner.eq_ignore_ascii_case(name));
            found.extend(glue.filter_map(address));
        }
        for name in names {
            if !found.is_empty() {
                break;
            }
            let asked = Question { name: name.clone(), qtype: 1, class: 1 };
            if let Some(said) = self.resolve(query, &asked, left) {
                found.extend(said.sections[0].iter().filter_map(address));
            }
        }
        found
    }
}

fn address(record: &Record) -> Option<String> {
    match (record.rtype, record.data.as_slice()) {
        (1, data) => {
            <[u8; 4]>::try_from(data).ok().map(|ip| std::net::Ipv4Addr::from(ip).to_string())
        }
        (28, data) => {
            <[u8; 16]>::try_from(data).ok().map(|ip| std::net::Ipv6Addr::from(ip).to_string())
        }
        _ => None,
    }
}

/// The zone cut that a message refers to: below `at`, above the name, without an answer. The DS of
/// a cut is queried at its parent.
fn referral(said: &Message, asked: &Question, at: &[u8]) -> Option<Vec<u8>> {
    let authority = &said.sections[1];
    if !said.sections[0].is_empty()
        || said.rcode != 0
        || authority.iter().any(|record| record.rtype == SOA)
    {
        return None;
    }
    let below = |record: &&Record| {
        record.rtype == NS
            && record.owner.len() > at.len()
            && is_below(&record.owner, at)
            && is_below(&asked.name, &record.owner)
            && !(asked.qtype == DS && record.owner.eq_ignore_ascii_case(&asked.name))
    };
    authority.iter().find(below).map(|record| record.owner.clone())
}

/// The end of the aliases in an answer, if the answer has no records for it.
fn end_of_aliases(answers: &[Record], asked: &Question) -> Option<Vec<u8>> {
    if matches!(asked.qtype, CNAME | ANY | DNAME) {
        return None;
    }
    let mut at = asked.name.clone();
    for _ in answers {
        let alias = answers
            .iter()
            .find(|record| record.rtype == CNAME && record.owner.eq_ignore_ascii_case(&at));
        match alias {
            Some(alias) => at.clone_from(&alias.data),
            None => break,
        }
    }
    let there = answers
        .iter()
        .any(|record| record.rtype == asked.qtype && record.owner.eq_ignore_ascii_case(&at));
    (!there && !at.eq_ignore_ascii_case(&asked.name)).then_some(at)
}

/// Whether a name is at or below another.
pub fn is_below(name: &[u8], above: &[u8]) -> bool {
    let mut at = 0;
    while name.len() - at > above.len() {
        at += 1 + usize::from(name[at]);
    }
    name.get(at..).is_some_and(|rest| rest.eq_ignore_ascii_case(above))
}

/// Whether an entry matches a query.
pub fn is_asked(entry: &Entry, query: &Message) -> bool {
    let (Some(mine), Some(asked)) = (&entry.message.question, &query.question) else {
        return !entry.matches("qname") && !entry.matches("qtype");
    };
    let flag = |word: &str, bit: u16| !entry.matches(word) || query.flags & bit != 0;
    (!entry.matches("opcode") || entry.message.opcode == query.opcode)
        && (!entry.matches("qname") || mine.name.eq_ignore_ascii_case(&asked.name))
        && (!entry.matches("qtype") || mine.qtype == asked.qtype)
        && (!entry.matches("subdomain") || is_below(&asked.name, &mine.name))
        && (!entry.matches("question")
            || (mine.qtype == asked.qtype && mine.name.eq_ignore_ascii_case(&asked.name)))
        && (!entry.matches("DO") || query.edns.as_ref().is_some_and(|edns| edns.dnssec_ok))
        && (!entry.matches("noedns") || query.edns.is_none())
        && flag("AD", AD)
        && flag("CD", CD)
        && flag("RD", RD)
}

/// An entry as the response to a query.
pub fn adjusted(entry: &Entry, query: &Message) -> Message {
    let mut said = entry.message.clone();
    said.flags |= QR;
    if entry.adjusts("copy_id") {
        said.id = query.id;
    }
    if entry.adjusts("copy_query") {
        said.question.clone_from(&query.question);
    } else if let (Some(mine), Some(asked)) = (&mut said.question, &query.question)
        && mine.name.eq_ignore_ascii_case(&asked.name)
    {
        // Real servers copy the question from the query, including its case.
        mine.name.clone_from(&asked.name);
    }
    said
}
