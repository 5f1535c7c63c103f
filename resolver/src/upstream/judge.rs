//! Validates one answer: fetches the DS and DNSKEY records that its validation session needs, from
//! the cache or from upstreams.

use std::sync::Arc;

use hickory_proto::rr::RecordType;
use tokio::task::JoinSet;

use super::budget::in_budget;
use super::error::ForwardError;
use super::inflight::wait_outcome;
use super::policy::ValidationPolicy;
use super::select::{UpstreamAnswer, UpstreamQuery};
use super::shared::Shared;
use super::target::Target;
use super::transport::query::QueryFlags;
use crate::cache::{Answer, Hit, Key};
use crate::dns::ede::Ede;
use crate::telemetry::trace::{event, in_scope};
use crate::{
    dns::name::Name,
    dnssec::validate::{Progress, RecordQuery, Validated, ValidationSession, Verdict},
};

/// Validates answers one by one.
#[derive(Debug, Clone)]
pub struct Judge(pub Arc<Shared>);

/// The verdict on an answer, and what it was based on.
#[derive(Debug)]
pub struct Judgement {
    pub validated: Validated,
    /// The answer is bogus, and another upstream may have a better one.
    pub may_retry: bool,
    /// Records were used that came from the cache, or from another server than the answer.
    pub has_other_sources: bool,
    /// The zones that were found bogus.
    pub bogus_zones: Vec<Name>,
}

/// A record that a session needs, the result, and which server it came from; no server: the cache.
struct Fetched {
    ask: RecordQuery,
    reply: Result<Arc<Answer>, Ede>,
    server: Option<Target>,
}

impl Judge {
    /// Validates an answer. What it needs is asked of `only`, if given, and not taken from the
    /// cache. If the answer is bogus, the fetched records leave the cache: one of them may be the
    /// cause (RFC 4035 §4.7).
    pub async fn judge(&self, received: &UpstreamAnswer, only: Option<&Target>) -> Judgement {
        let mut session = match ValidationSession::new(received.answer.wire()) {
            Ok(session) => session,
            Err(malformed) => {
                let ede = Ede::new(Ede::DNSSEC_BOGUS, malformed.0);
                return Judgement {
                    validated: Validated::from_verdict(Verdict::Bogus(ede)),
                    may_retry: true,
                    has_other_sources: false,
                    bogus_zones: Vec::new(),
                };
            }
        };
        let mut sources = Vec::new();
        let run = self.run_session(&mut session, only, &mut sources);
        let validated = match tokio::time::timeout(self.0.selector.timeout, run).await {
            Ok(validated) => validated,
            Err(_) => {
                let why = "DNSSEC: the keys for validation did not arrive in time";
                Validated::from_verdict(Verdict::Indeterminate(Ede::new(
                    Ede::NO_REACHABLE_AUTHORITY,
                    why,
                )))
            }
        };
        let is_bogus = matches!(validated.verdict, Verdict::Bogus(_));
        if is_bogus {
            session.used_replies().for_each(|ask| self.forget_reply(ask));
        }
        Judgement {
            validated,
            may_retry: is_bogus && session.may_differ_elsewhere(),
            has_other_sources: sources
                .iter()
                .any(|source| *source != Some(received.server.clone())),
            bogus_zones: session.bogus_zones(),
        }
    }

    /// The verdict on an answer, if no further queries are needed for it: neither records, nor
    /// another upstream because it is bogus.
    pub fn judge_without_queries(shared: &Shared, message: &[u8]) -> Option<Validated> {
        let mut session = ValidationSession::new(message).ok()?;
        match session.step(&shared.dnssec.validator, shared.selector.clock.unix()) {
            Progress::Done(Validated { verdict: Verdict::Bogus(_), .. })
                if session.may_differ_elsewhere() =>
            {
                None
            }
            Progress::Done(validated) => Some(validated),
            Progress::Query(_) => None,
        }
    }

    /// A query of the validator. It goes to upstreams in a forwarding loop only if there are no
    /// others.
    pub fn query(&self, name: &Name, rtype: u16, servers: Vec<Target>) -> UpstreamQuery {
        let question = question(name, rtype);
        UpstreamQuery {
            flags: QueryFlags {
                recursive: true,
                dnssec_ok: true,
                checking_disabled: true,
                edns_required: true,
            },
            zone: self.0.zones.of_question(&question).name().into(),
            question: question.into(),
            servers,
            is_loop_probe: false,
            trust_ad: false,
            policy: ValidationPolicy::None,
        }
    }

    /// Runs a session to its end. `sources` gets the servers of the fetched records.
    async fn run_session(
        &self,
        session: &mut ValidationSession,
        only: Option<&Target>,
        sources: &mut Vec<Option<Target>>,
    ) -> Validated {
        loop {
            match session.step(&self.0.dnssec.validator, self.0.selector.clock.unix()) {
                Progress::Done(validated) => return validated,
                Progress::Query(asks) => {
                    // As many as the session may send, which is bounded.
                    let mut under_way = JoinSet::new();
                    for ask in asks {
                        let fetch = self.clone().fetch(ask, only.cloned());
                        under_way.spawn(in_budget(in_scope(fetch)));
                    }
                    while let Some(fetched) = under_way.join_next().await {
                        let Ok(Fetched { ask, reply, server }) = fetched else { continue };
                        sources.push(server);
                        session.add_reply(
                            ask,
                            reply.as_ref().map(|answer| answer.wire()).map_err(Ede::clone),
                        );
                    }
                }
            }
        }
    }

    /// The query for records that a session needs, and the cache key of its reply.
    fn fetch_query(&self, (name, rtype): &RecordQuery) -> (UpstreamQuery, Key) {
        let zone = self.0.zones.of_question(&question(name, *rtype));
        let query = self.query(name, *rtype, zone.targets().to_vec());
        let key = Key::new(&query.question, true, true, zone.scope());
        (query, key)
    }

    fn forget_reply(&self, ask: &RecordQuery) {
        self.0.cache.remove(&self.fetch_query(ask).1);
    }

    /// Fetches records that a session needs.
    async fn fetch(self, ask: RecordQuery, only: Option<Target>) -> Fetched {
        let (query, key) = self.fetch_query(&ask);
        let (reply, server) = match only.filter(|server| query.servers.contains(server)) {
            Some(server) => self.fetch_from(query, &key, server).await,
            None => self.fetch_anywhere(&ask, query, &key).await,
        };
        let reply = reply
            .map_err(|error| Ede { text: format!("DNSSEC: {}: {error}", ask.0), ..error.ede() });
        Fetched { ask, reply, server }
    }

    async fn fetch_from(
        &self,
        query: UpstreamQuery,
        key: &Key,
        server: Target,
    ) -> (Result<Arc<Answer>, ForwardError>, Option<Target>) {
        let query = UpstreamQuery { servers: vec![server.clone()], ..query };
        let received = self.0.selector.run(&query).await;
        let received = received.inspect(|received| self.0.cache_answer(key, received));
        (received.map(|received| received.answer), Some(server))
    }

    /// From the cache, by joining a query in flight, or by a new one.
    async fn fetch_anywhere(
        &self,
        ask: &RecordQuery,
        query: UpstreamQuery,
        key: &Key,
    ) -> (Result<Arc<Answer>, ForwardError>, Option<Target>) {
        match self.0.cache.get(key, self.0.selector.clock.now()) {
            Some(Hit::Answer(answer, ..)) => {
                event("dnssec", || format!("{} is cached", describe_ask(ask)));
                return (Ok(answer), None);
            }
            Some(Hit::NoReply) => return (Err(ForwardError::FailedRecently), None),
            None => {}
        }
        let outcome = match self.0.dnssec.fetches.join(key, self.0.selector.clock.now()) {
            Ok((receiver, leader)) => {
                if let Some(mut leader) = leader {
                    let shared = self.0.clone();
                    tokio::spawn(in_budget(in_scope(async move {
                        let (passing, others, _) = shared.dnssec.partition(&query.servers);
                        let servers = if passing.is_empty() { others } else { passing };
                        let query = UpstreamQuery { servers, ..query };
                        tokio::select! {
                            received = shared.selector.run(&query) => {
                                shared.complete(leader, received);
                            }
                            () = leader.displaced() => {}
                        }
                    })));
                }
                wait_outcome(receiver).await
            }
            Err(error) => Err(error),
        };
        match outcome {
            Ok((answer, server)) => (Ok(answer), Some(server)),
            Err(error) => (Err(error), None),
        }
    }
}

/// Uncompressed QNAME, QTYPE and QCLASS.
fn question(name: &Name, rtype: u16) -> Vec<u8> {
    [name.wire(), &rtype.to_be_bytes(), &1u16.to_be_bytes()].concat()
}

fn describe_ask((name, rtype): &RecordQuery) -> String {
    format!("{name} {}", RecordType::from(*rtype))
}
