//! Resolves a question: from its name to the complete answer.
//!
//! ```text
//! Question -> route -> special | chain | legacy -> Answer
//!               ^________ an alias leads on ________|
//! ```

pub mod answer;
mod answer_builder;
mod chain_answer;
mod delegate;
mod designated;
mod root_policy;
pub mod route;
pub mod special;
mod step;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use hickory_proto::{
    op::ResponseCode,
    rr::{Name, RecordType},
};
use namechain_core::types::Name as ChainName;

use crate::{
    chain::{
        ChainError, ChainSource, NameState,
        mount::{Mount, Mounts},
        soa::suffix_soa,
        zone::{DelegationPoint, NameServer, ZoneAnswer, ZoneView},
    },
    dns::{ede::Ede, query::Question},
    dnssec::sign::{Denial, Signer},
    telemetry::{Origin, trace::event},
    upstream,
    upstream::{RebindPolicy, ReplySource, Upstreams},
};
use answer::Answer;
use answer_builder::AnswerBuilder;
use chain_answer::ChainAnswers;
use delegate::{MAX_LOOKUPS, MAX_REFERRALS, MAX_SERVERS};
use route::{Route, route};
use step::{Step, contested, failed, follow, not_ready};

pub use delegate::Delegation;
pub use designated::Designated;
pub use root_policy::{KNOWN_SUFFIXES, RootPolicy};
pub use step::is_whole;

/// The most steps that one query may take: aliases, and addresses of delegated servers.
pub const MAX_STEPS: u8 = 24;

/// What answers are made from.
pub struct Pipeline {
    /// Where names of the chain are mounted.
    pub mounts: Mounts,
    /// Which names at the root are the network's.
    pub root_policy: RootPolicy,
    /// The chain.
    pub chain: Arc<dyn ChainSource>,
    /// Legacy DNS.
    pub legacy: Upstreams,
    /// How servers of delegated zones are queried.
    pub delegation: Delegation,
    /// The signer of the chain's answers.
    pub signer: Option<Arc<Signer>>,
    /// The encrypted transports of this server.
    pub designated: Designated,
}

/// A name of the chain to be looked up in the course of a query.
struct ChainQuery<'a> {
    question: &'a Question,
    name: &'a Name,
    chain_answers: &'a ChainAnswers<'a>,
}

impl Pipeline {
    /// Answers a question. Errors become answers with a response code and an extended error.
    pub async fn answer(&self, question: &Question) -> Answer {
        upstream::bounded(self.resolve(question, &mut { MAX_STEPS })).await
    }

    /// Answers a question in at most `steps` steps, which it counts down.
    async fn resolve(&self, question: &Question, steps: &mut u8) -> Answer {
        let signer = self.signer.as_deref();
        let chain_answers = ChainAnswers::new(signer, question, self.chain.is_trusted());
        let mut builder = AnswerBuilder::default();
        let mut name = question.name.clone();
        while *steps > 0 {
            *steps -= 1;
            let route = self.route_question(&name, question.qtype);
            event("route", || route.describe(&name, self.legacy.has_zone(&name)));
            let by_route = origin_of(&route);
            let query = ChainQuery { question, name: &name, chain_answers: &chain_answers };
            let step = self.step(route, &query, steps, &mut builder).await;
            builder.observe(&step.answer, by_route);
            if let Some(ede) =
                self.rebind_violation(&question.name, &step.answer, builder.has_foreign())
            {
                return builder.withhold(ede);
            }
            match step.next {
                Some(target) => {
                    event("route", || format!("{name} is an alias of {target}"));
                    builder.add_alias(step.answer);
                    name = target;
                }
                None => return builder.finish(step.answer),
            }
        }
        let why = format!(
            "{} needs more than {MAX_STEPS} steps (aliases and delegations)",
            question.name
        );
        Answer::failure(ResponseCode::ServFail, Ede::new(Ede::OTHER, why))
    }

    /// One step: the part of the answer that the name's source gives.
    async fn step(
        &self,
        route: Route,
        query: &ChainQuery<'_>,
        steps: &mut u8,
        builder: &mut AnswerBuilder,
    ) -> Step {
        let ChainQuery { question, name, chain_answers } = *query;
        match route {
            Route::Special(special) => {
                let designated = self.designated.answer(question, name);
                designated.unwrap_or_else(|| special::answer(special, question, name)).into()
            }
            Route::MountPoint(suffix) => chain_answers.mount_point(suffix, question, name).into(),
            Route::NoSuchName(suffix) => {
                let soa = suffix_soa(suffix);
                let mount = Mount::Suffix(suffix);
                chain_answers.negative(mount, question, name, Denial::Name, soa).into()
            }
            Route::Chain(label, mount) => self.chain(query, label, mount, steps, builder).await,
            Route::Legacy => {
                builder.depend_on(None);
                self.legacy(question, name).await
            }
        }
    }

    /// Why the answer to a query for `asked` is withheld: it points at a private address. The
    /// upstreams' answer to the question itself was checked when it arrived; this covers the
    /// targets of aliases, answers made here and those of zones with upstreams of their own, and
    /// the chain. `foreign`: whether sources other than the chain contributed.
    fn rebind_violation(&self, asked: &Name, step: &Answer, foreign: bool) -> Option<Ede> {
        let rebind = self.legacy.rebind();
        let address = upstream::private_among(&step.answers)?;
        let judged = matches!(self.route(asked), Route::Legacy | Route::Chain(..))
            && !self.legacy.has_zone(asked)
            && (foreign || rebind.policy == RebindPolicy::All);
        (judged && rebind.covers(asked)).then(|| upstream::rebind_error(asked, address))
    }

    /// The source for a name. A zone with upstreams of its own comes first, even for special-use
    /// names, because it was configured on purpose.
    fn route(&self, name: &Name) -> Route {
        if self.legacy.has_zone(name) { Route::Legacy } else { self.route_without_zones(name) }
    }

    fn route_without_zones(&self, name: &Name) -> Route {
        match route(name, self.mounts) {
            Route::Chain(_, Mount::Root) if self.root_policy.is_never_chain(name) => Route::Legacy,
            route => route,
        }
    }

    /// The source for a question. The DS of a zone is its parent's data (RFC 4035 §3.1.4.1): that
    /// of a special-use zone below `arpa.` is in legacy DNS, and proves that the zone is unsigned
    /// (RFC 8375 §4). So is that of a special-use zone that has upstreams of its own.
    fn route_question(&self, name: &Name, qtype: RecordType) -> Route {
        if qtype != RecordType::DS {
            return self.route(name);
        }
        if self.legacy.has_zone_for(name, qtype) {
            return Route::Legacy;
        }
        match self.route_without_zones(name) {
            Route::Special(special)
                if special.has_legacy_parent(name)
                    || (special.is_apex(name) && self.legacy.has_zone(name)) =>
            {
                Route::Legacy
            }
            route => route,
        }
    }

    /// Looks the name up on the chain, and in legacy DNS only if the label is known to be
    /// unregistered.
    async fn chain(
        &self,
        query: &ChainQuery<'_>,
        label: ChainName,
        mount: Mount,
        steps: &mut u8,
        builder: &mut AnswerBuilder,
    ) -> Step {
        let ChainQuery { question, name, chain_answers } = *query;
        let mut marks = self.chain.marks();
        let looked = self.chain.lookup_with_dependency(&label).await.map(|(state, dependency)| {
            marks = dependency.as_ref().map_or(marks, |dependency| dependency.marks);
            builder.depend_on(dependency);
            state
        });
        event("chain", || describe_lookup(&label, &looked));
        let zone = match (looked, mount) {
            (Ok(NameState::Active(zone)), _) => ZoneView::new(zone, mount, name),
            (Ok(NameState::Unregistered), Mount::Root) => {
                builder.depend_on(None);
                return self.legacy(question, name).await;
            }
            (Ok(NameState::Unregistered), Mount::Suffix(suffix)) => {
                let soa = suffix_soa(suffix);
                return chain_answers.negative(mount, question, name, Denial::Name, soa).into();
            }
            (Ok(NameState::Contested { fork }), _) => {
                builder.depend_on(None);
                return contested(&label, fork).into();
            }
            (Ok(NameState::Inactive(zone, why)), _) => {
                let soa = ZoneView::new(zone, mount, name).soa();
                let ede = vec![Ede::new(Ede::OTHER, format!("{label}: {why}"))];
                return Answer {
                    ede,
                    ..chain_answers.negative(mount, question, name, Denial::Name, soa)
                }
                .into();
            }
            (Err(error), _) => {
                builder.depend_on(None);
                return not_ready(&label, &error).into();
            }
        };
        let mut step = self.zone_step(query, &zone, mount, steps, builder).await;
        step.answer.ede.extend(marks.extended_errors());
        step
    }

    /// The part of the answer that the zone of a name gives.
    async fn zone_step(
        &self,
        query: &ChainQuery<'_>,
        zone: &ZoneView,
        mount: Mount,
        steps: &mut u8,
        builder: &mut AnswerBuilder,
    ) -> Step {
        let ChainQuery { question, name, chain_answers } = *query;
        let nothing =
            |denial| chain_answers.negative(mount, question, name, denial, zone.soa()).into();
        if mount == Mount::Root && self.root_policy.withholds(name, question.qtype) {
            event("zone", || "a name of one label has no addresses here".into());
            return nothing(Denial::Data(Vec::new()));
        }
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
                builder.depend_on(None);
                chain_answers.referral(mount, cut).into()
            }
            ZoneAnswer::Delegated(cut) => {
                builder.depend_on(None);
                self.delegated(question, name, zone, cut, steps).await
            }
        }
    }

    /// Queries the upstreams. Without RD nothing is queried, which also ends a loop through a
    /// server that queries us.
    async fn legacy(&self, question: &Question, name: &Name) -> Step {
        if !question.recursion_desired {
            let why = "not a name of the chain, and the question is not to ask others";
            return Answer::failure(ResponseCode::Refused, Ede::new(Ede::NOT_AUTHORITATIVE, why))
                .into();
        }
        let (reply, ede, origin) =
            match self.legacy.resolve(&question.with_name(name.clone())).await {
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
        // An alias of legacy DNS may lead to a name of the chain or of other upstreams: then the
        // target's own source answers.
        follow(answer, name, question.qtype, |target| {
            self.route(target) == Route::Legacy && self.legacy.same_zone(name, target)
        })
    }

    /// The answer of the servers of a delegated zone.
    async fn delegated(
        &self,
        question: &Question,
        name: &Name,
        zone: &ZoneView,
        cut: DelegationPoint,
        steps: &mut u8,
    ) -> Step {
        // A signed zone is signed under one name, and its signatures are not valid under another:
        // it is queried by the name that the client uses.
        let moved = cut.ds.is_empty();
        let (asked, at) =
            if moved { (zone.to_root(name), cut.zone) } else { (name.clone(), cut.at) };
        let (mut below, mut servers) = (at, cut.servers);
        for _ in 0..=MAX_REFERRALS {
            let addresses = self.server_addresses(servers, steps).await;
            if addresses.is_empty() {
                let why = format!("no name server of {below} has an address that may be queried");
                return Answer::failure(
                    ResponseCode::ServFail,
                    Ede::new(Ede::NO_REACHABLE_AUTHORITY, why),
                )
                .into();
            }
            event("delegated", || {
                format!(
                    "querying the servers of {below}: {}",
                    addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(", ")
                )
            });
            let reply = match self.legacy.ask(&addresses, &question.with_name(asked.clone())).await
            {
                Ok(reply) => reply.message,
                Err(error) => return failed(&error).into(),
            };
            if !moved && reply.metadata.response_code == ResponseCode::Refused {
                let why = format!(
                    "the servers of {below}, a signed zone, refuse to answer for this name"
                );
                return Answer::failure(
                    ResponseCode::ServFail,
                    Ede::new(Ede::NO_REACHABLE_AUTHORITY, why),
                )
                .into();
            }
            match delegate::referral(&reply, &below, &asked) {
                Some((deeper, named)) => (below, servers) = (deeper, named),
                None => {
                    return delegate::relay_reply(
                        reply,
                        &below,
                        &asked,
                        question.qtype,
                        Some(zone).filter(|_| moved),
                    );
                }
            }
        }
        let why = format!("{name} needs more than {MAX_REFERRALS} referrals");
        Answer::failure(ResponseCode::ServFail, Ede::new(Ede::NO_REACHABLE_AUTHORITY, why)).into()
    }

    /// The addresses of the servers.
    async fn server_addresses(&self, servers: Vec<NameServer>, steps: &mut u8) -> Vec<SocketAddr> {
        let mut addresses: Vec<IpAddr> =
            servers.iter().flat_map(|server| &server.addresses).copied().collect();
        addresses.retain(|address| self.delegation.may_ask(*address));
        let without = servers.iter().filter(|server| server.addresses.is_empty()).take(MAX_LOOKUPS);
        for server in without {
            if !addresses.is_empty() {
                break;
            }
            addresses.extend(
                self.addresses(&server.name, steps)
                    .await
                    .into_iter()
                    .filter(|address| self.delegation.may_ask(*address)),
            );
        }
        addresses.truncate(MAX_SERVERS);
        addresses
            .into_iter()
            .map(|address| SocketAddr::new(address, self.delegation.port))
            .collect()
    }

    /// The addresses of a server outside the zone that names it.
    async fn addresses(&self, server: &Name, steps: &mut u8) -> Vec<IpAddr> {
        let mut found = Vec::new();
        for qtype in [RecordType::A, RecordType::AAAA] {
            let question = Question::new(server.clone(), qtype);
            let answer = Box::pin(self.resolve(&question, steps)).await;
            found.extend(answer.answers.iter().filter_map(delegate::address));
            if !found.is_empty() {
                break;
            }
        }
        found
    }
}

/// The chain's result as text.
fn describe_lookup(label: &ChainName, looked: &Result<NameState, ChainError>) -> String {
    match looked {
        Ok(NameState::Active(zone)) => {
            format!("{label} is registered, last changed at height {}", zone.serial())
        }
        Ok(NameState::Unregistered) => format!("{label} is not registered"),
        Ok(NameState::Inactive(_, why)) => format!("{label}: {why}"),
        Ok(NameState::Contested { fork }) => format!(
            "{label} was changed above height {fork}, where a chain with more work that is held back forks off"
        ),
        Err(error) => format!("{label} can't be looked up: {error}"),
    }
}

/// The origin of an answer, unless the answer has another.
fn origin_of(route: &Route) -> Origin {
    match route {
        Route::Special(_) => Origin::Special,
        Route::MountPoint(_) | Route::NoSuchName(_) | Route::Chain(..) => Origin::Chain,
        Route::Legacy => Origin::Refused,
    }
}

/// The origin of a reply of legacy DNS.
fn origin(source: &ReplySource) -> Origin {
    match source {
        ReplySource::Server(_) => Origin::Legacy,
        ReplySource::Cache => Origin::LegacyCached,
        ReplySource::Stale => Origin::LegacyStale,
    }
}
