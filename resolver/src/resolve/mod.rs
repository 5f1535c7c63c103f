//! From a question to its answer: the whole way on one screen.
//!
//! ```text
//! Question -> route -> special | chain | legacy -> Answer
//!               ^________ an alias leads on ________|
//! ```

pub mod answer;
mod chain_answer;
mod delegate;
pub mod route;
pub mod special;

use std::{net::IpAddr, sync::Arc};

use hickory_proto::{
    op::ResponseCode,
    rr::{DNSClass, Name, Record, RecordType},
};
use namechain_core::types::Name as ChainName;

use crate::{
    chain::{
        ChainError, ChainSource, NameState,
        mount::{Mount, Mounts},
        soa::alt_soa,
        validity::Dependency,
        zone::{ZoneAnswer, ZoneView},
    },
    dns::{ede::Ede, query::Question},
    dnssec::sign::{Denial, Signer},
    telemetry::{Origin, trace::event},
    upstream,
    upstream::{ForwardError, LegacyQuestion, RebindPolicy, ReplySource, Upstreams},
};
use answer::Answer;
use chain_answer::{ChainAnswers, is_proof};
use route::{Route, route};

/// How many questions one question of a client may become: aliases, and the addresses of delegated
/// servers.
pub const MAX_STEPS: u8 = 24;

/// Everything that answers are made from.
pub struct Pipeline {
    /// Where the chain's names stand.
    pub mounts: Mounts,
    /// The chain.
    pub chain: Arc<dyn ChainSource>,
    /// Legacy DNS.
    pub legacy: Upstreams,
    /// How delegated servers are asked.
    pub delegation: Delegation,
    /// What signs the chain's answers.
    pub signer: Option<Arc<Signer>>,
}

/// How the servers are asked to which names delegate their zones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// Their port.
    pub port: u16,
    /// Whether loopback addresses may be asked: anybody can write any address into a name's
    /// records.
    pub loopback: bool,
}

/// A name of the chain that is asked for, and how it is answered.
struct ChainQuery<'a> {
    question: &'a Question,
    name: &'a Name,
    label: ChainName,
    mount: Mount,
    chain_answers: &'a ChainAnswers<'a>,
}

/// A part of an answer, and where the rest is.
#[derive(Debug, Default)]
struct Step {
    pub answer: Answer,
    pub next: Option<Name>,
}

impl From<Answer> for Step {
    fn from(answer: Answer) -> Self {
        Step { answer, next: None }
    }
}

impl Pipeline {
    /// Answers a question. Never fails: what goes wrong is an answer that says so.
    pub async fn answer(&self, question: &Question) -> Answer {
        self.resolve(question, &mut { MAX_STEPS }).await
    }

    /// Answers a question in at most `steps` steps, which it counts down.
    async fn resolve(&self, question: &Question, steps: &mut u8) -> Answer {
        let mut name = question.name.clone();
        let mut records: Vec<Record> = Vec::new();
        let (mut authoritative, mut authentic, mut signed) = (None, true, 0);
        let mut foreign = false;
        let mut proofs: Vec<Record> = Vec::new();
        let mut dependencies = Some(Vec::new());
        let mut origin = None;
        let chain_answers = self.chain_answers(question);
        while *steps > 0 {
            *steps -= 1;
            let route = self.route(&name);
            event("route", || self.describe_route(&name, &route));
            let by_route = match route {
                Route::Special(_) => Origin::Special,
                Route::MountPoint | Route::NoSuchName | Route::Chain(..) => Origin::Chain,
                Route::Legacy => Origin::Refused,
            };
            let mut step = match route {
                Route::Special(special) => special::answer(special, question, &name).into(),
                Route::MountPoint => self.mount_point(question, &name, &chain_answers).into(),
                Route::NoSuchName => chain_answers
                    .negative(Mount::Alt, question, &name, Denial::Name, alt_soa())
                    .into(),
                Route::Chain(label, mount) => {
                    let place = ChainQuery {
                        question,
                        name: &name,
                        label,
                        mount,
                        chain_answers: &chain_answers,
                    };
                    self.chain(place, steps, &mut dependencies).await
                }
                Route::Legacy => {
                    dependencies = None;
                    self.legacy(question, &name).await
                }
            };
            // Counted is whose name was asked for, not where its aliases lead.
            let origin = *origin.get_or_insert(match step.answer.origin {
                Origin::Refused => by_route,
                other => other,
            });
            // What we are the authority of is the chain's, or special.
            foreign |= !step.answer.authoritative;
            if let Some(ede) = self.rebind_violation(&question.name, &step.answer, foreign) {
                return Answer { ede: vec![ede], dependencies, origin, ..Answer::default() };
            }
            // AA speaks of the first owner (RFC 1035 §4.1.1), AD of everything.
            let authoritative = *authoritative.get_or_insert(step.answer.authoritative);
            authentic &= step.answer.authentic;
            signed = signed.max(step.answer.signed);
            records.extend(std::mem::take(&mut step.answer.answers));
            match step.next {
                Some(target) => {
                    event("route", || format!("{name} leads on to {target}"));
                    proofs.extend(step.answer.authorities.into_iter().filter(is_proof));
                    name = target;
                }
                None if step.answer.rcode == ResponseCode::ServFail => {
                    return Answer { answers: Vec::new(), origin, ..step.answer };
                }
                None => {
                    proofs.extend(std::mem::take(&mut step.answer.authorities));
                    let (answers, authorities) = (records, proofs);
                    let last = step.answer;
                    return Answer {
                        authoritative,
                        authentic,
                        signed,
                        answers,
                        authorities,
                        dependencies,
                        origin,
                        ..last
                    };
                }
            }
        }
        let why = format!("{} leads through more than {MAX_STEPS} names", question.name);
        Answer::failure(ResponseCode::ServFail, Ede::new(Ede::OTHER, why))
    }

    /// Why a step's answer is not given to who asked for `asked`: it points at a private address,
    /// and nobody has said that it may. What legacy DNS says to the question itself was judged when
    /// it came; here it is what aliases lead to, this machine and zones with upstreams of their own
    /// included, and the chain. `foreign`: others than the chain had a say.
    fn rebind_violation(&self, asked: &Name, step: &Answer, foreign: bool) -> Option<Ede> {
        let rebind = self.legacy.rebind();
        let address = upstream::private_among(&step.answers)?;
        let judged = matches!(self.route(asked), Route::Legacy | Route::Chain(..))
            && !self.legacy.has_zone(asked)
            && (foreign || rebind.policy == RebindPolicy::All);
        (judged && rebind.covers(asked)).then(|| upstream::rebind_error(asked, address))
    }

    /// Whose name it is. A zone with upstreams of its own is theirs, be it special or not: whoever
    /// wrote it down knows.
    fn route(&self, name: &Name) -> Route {
        if self.legacy.has_zone(name) { Route::Legacy } else { route(name, self.mounts) }
    }

    /// The same in words, for a trace.
    fn describe_route(&self, name: &Name, route: &Route) -> String {
        match route {
            Route::Special(_) => {
                format!("{name} is a special-use name: answered here, asked of nobody")
            }
            Route::MountPoint => format!("{name} is where the names of the chain stand"),
            Route::NoSuchName => {
                format!("{name} is below namechain.alt., with a label that no name can have")
            }
            Route::Chain(label, Mount::Alt) => {
                format!("{name} is for the chain: {label}, below namechain.alt.")
            }
            Route::Chain(label, Mount::Root) => {
                format!(
                    "{name} is for the chain: {label} at the root, and for legacy DNS if nobody has registered that"
                )
            }
            Route::Legacy if self.legacy.has_zone(name) => {
                format!("{name} is for legacy DNS: it is in a zone with upstreams of its own")
            }
            Route::Legacy => {
                format!("{name} is for legacy DNS: its last label can't be registered on the chain")
            }
        }
    }

    /// Asks the chain, and legacy DNS only when the chain knows that nobody has registered the
    /// label.
    async fn chain(
        &self,
        place: ChainQuery<'_>,
        steps: &mut u8,
        dependencies: &mut Option<Vec<Dependency>>,
    ) -> Step {
        let ChainQuery { question, name, label, mount, chain_answers } = place;
        let looked =
            self.chain.lookup_with_dependency(&label).await.map(|(standing, dependency)| {
                match (dependencies.as_mut(), dependency) {
                    (Some(dependencies), Some(dependency)) => dependencies.push(dependency),
                    _ => *dependencies = None,
                }
                standing
            });
        event("chain", || describe_lookup(&label, &looked));
        let zone = match (looked, mount) {
            (Ok(NameState::Active(zone)), _) => ZoneView::new(zone, mount, name),
            (Ok(NameState::Unregistered), Mount::Root) => {
                *dependencies = None;
                return self.legacy(question, name).await;
            }
            (Ok(NameState::Unregistered), Mount::Alt) => {
                return chain_answers
                    .negative(mount, question, name, Denial::Name, alt_soa())
                    .into();
            }
            (Ok(NameState::Lapsed(zone, why)), _) => {
                let soa = ZoneView::new(zone, mount, name).soa();
                let ede = vec![Ede::new(Ede::OTHER, format!("{label}: {why}"))];
                return Answer {
                    ede,
                    ..chain_answers.negative(mount, question, name, Denial::Name, soa)
                }
                .into();
            }
            (Err(error), _) => {
                *dependencies = None;
                return not_ready(&label, &error).into();
            }
        };
        let nothing =
            |denial| chain_answers.negative(mount, question, name, denial, zone.soa()).into();
        let said = zone.answer(name, question.qtype);
        event("zone", || said.describe(question.qtype));
        match said {
            ZoneAnswer::Records(records) => chain_answers.records(mount, records).into(),
            ZoneAnswer::NoName => nothing(Denial::Name),
            ZoneAnswer::NoData(types) => nothing(Denial::Data(types)),
            ZoneAnswer::TooLong(records) => {
                Answer { rcode: ResponseCode::YXDomain, ..chain_answers.records(mount, records) }
                    .into()
            }
            ZoneAnswer::Follow(records, target) => {
                Step { answer: chain_answers.records(mount, records), next: Some(target) }
            }
            ZoneAnswer::Delegated(cut) if !question.recursion_desired => {
                *dependencies = None;
                chain_answers.referral(mount, cut).into()
            }
            ZoneAnswer::Delegated(cut) => {
                *dependencies = None;
                self.delegated(question, name, &zone, cut, steps).await
            }
        }
    }

    /// Asks the upstreams. Without RD nobody is asked, which also ends a loop through a server that
    /// asks us.
    async fn legacy(&self, question: &Question, name: &Name) -> Step {
        if !question.recursion_desired {
            let why = "not a name of the chain, and the question is not to ask others";
            return Answer::failure(ResponseCode::Refused, Ede::new(Ede::NOT_AUTHORITATIVE, why))
                .into();
        }
        let (reply, ede, origin) = match self.legacy.resolve(&legacy_question(question, name)).await
        {
            Ok(reply) => (reply.message, reply.ede, origin(&reply.source)),
            Err(error) => {
                event("legacy", || format!("no answer: {error}"));
                return Answer { origin: Origin::Legacy, ..failed(&error) }.into();
            }
        };
        let answer = Answer {
            rcode: reply.metadata.response_code,
            authoritative: false,
            authentic: reply.metadata.authentic_data,
            answers: reply.answers,
            authorities: reply.authorities,
            additionals: reply.additionals,
            ede,
            origin,
            signed: 0,
            dependencies: None,
            cookie: None,
        };
        // Legacy DNS has no say in what an alias of it leads to, once that is a name of ours or of
        // other upstreams.
        follow(answer, name, question.qtype, |target| {
            self.route(target) == Route::Legacy && self.legacy.same_zone(name, target)
        })
    }

    /// The addresses of a server that is not in the zone that names it.
    async fn addresses(&self, server: &Name, steps: &mut u8) -> Vec<IpAddr> {
        let mut found = Vec::new();
        for qtype in [RecordType::A, RecordType::AAAA] {
            let question = Question {
                name: server.clone(),
                qtype,
                dnssec_ok: false,
                compact_ok: false,
                wants_ad: false,
                checking_disabled: false,
                recursion_desired: true,
            };
            let answer = Box::pin(self.resolve(&question, steps)).await;
            found.extend(answer.answers.iter().filter_map(delegate::address));
            if !found.is_empty() {
                break;
            }
        }
        found
    }
}

/// What the chain said, in words.
fn describe_lookup(label: &ChainName, looked: &Result<NameState, ChainError>) -> String {
    match looked {
        Ok(NameState::Active(zone)) => {
            format!("{label} is registered, last changed at height {}", zone.serial())
        }
        Ok(NameState::Unregistered) => format!("nobody has registered {label}"),
        Ok(NameState::Lapsed(_, why)) => format!("{label}: {why}"),
        Err(error) => format!("{label} can't be looked up: {error}"),
    }
}

/// From where a reply of legacy DNS came.
fn origin(source: &ReplySource) -> Origin {
    match source {
        ReplySource::Server(_) => Origin::Legacy,
        ReplySource::Cache => Origin::LegacyKept,
        ReplySource::Stale => Origin::LegacyStale,
    }
}

/// The question to legacy DNS.
fn legacy_question(question: &Question, name: &Name) -> LegacyQuestion {
    LegacyQuestion {
        name: name.clone(),
        qtype: question.qtype,
        class: DNSClass::IN,
        dnssec_ok: question.dnssec_ok,
        checking_disabled: question.checking_disabled,
    }
}

/// Keeps of an answer what its giver may say: the aliases from `name` on as long as they lead to
/// names for which `believed` says so. The first that leads elsewhere, or of which nothing more is
/// said, is where the rest is.
fn follow(
    mut answer: Answer,
    name: &Name,
    qtype: RecordType,
    believed: impl Fn(&Name) -> bool,
) -> Step {
    if matches!(qtype, RecordType::CNAME | RecordType::ANY) {
        return answer.into();
    }
    let mut at = name.clone();
    // Every record is an alias at most once.
    for _ in 0..answer.answers.len() {
        let Some(target) = answer.answers.iter().find_map(|record| alias(record, &at)) else {
            break;
        };
        at = target;
        if !believed(&at) {
            answer.answers.retain(|record| believed(&record.name));
            // What proves that the aliases are what is there goes with them.
            answer.authorities.retain(is_proof);
            let answer = Answer { additionals: Vec::new(), ..answer };
            return Step { answer, next: Some(at) };
        }
    }
    let ends = answer.rcode != ResponseCode::NoError
        || answer.answers.iter().any(|record| record.name == at)
        || answer.authorities.iter().any(|record| record.record_type() == RecordType::SOA);
    let next = (at != *name && !ends).then_some(at);
    Step { answer, next }
}

/// Whether a message of legacy DNS, in wire form, is all that there is to say to its question: no
/// alias in it leads to a name of ours or of other upstreams, or to one of which it says nothing.
pub fn is_whole(message: &[u8], mounts: Mounts, legacy: &Upstreams) -> bool {
    let Ok(message) = upstream::decode(message) else { return false };
    let [query] = message.queries.as_slice() else { return false };
    let (name, qtype) = (query.name().clone(), query.query_type());
    let count = message.answers.len();
    let answer = Answer {
        rcode: message.metadata.response_code,
        answers: message.answers,
        authorities: message.authorities,
        ..Answer::default()
    };
    let believed = |target: &Name| {
        legacy.same_zone(&name, target)
            && (legacy.has_zone(target) || route(target, mounts) == Route::Legacy)
    };
    let step = follow(answer, &name, qtype, believed);
    step.next.is_none() && step.answer.answers.len() == count
}

/// The target of the record, if it is an alias for `name`.
fn alias(record: &Record, name: &Name) -> Option<Name> {
    match &record.data {
        hickory_proto::rr::RData::CNAME(target) if record.name == *name => Some(target.0.clone()),
        _ => None,
    }
}

fn not_ready(label: &ChainName, error: &ChainError) -> Answer {
    tracing::debug!(name = %label, %error, "the chain can't be asked");
    Answer::failure(ResponseCode::ServFail, Ede::new(Ede::NOT_READY, error.to_string()))
}

/// The answer when nobody could be asked.
fn failed(error: &ForwardError) -> Answer {
    Answer::failure(ResponseCode::ServFail, error.ede())
}
