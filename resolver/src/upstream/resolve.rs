//! From a question to its reply: what is kept, a flight where nothing is, and what has run out
//! where the flight fails.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::decode::decode;
use super::error::ForwardError;
use super::inflight::{InFlight, Leader, wait_outcome};
use super::loop_detect;
use super::policy::ValidationPolicy;
use super::reply::{Reply, ReplySource};
use super::select::{MAX_SERVERS, UpstreamQuery, is_final};
use super::shared::Shared;
use super::target::Target;
use super::transport::query::QueryFlags;
use super::validate::Validation;
use super::zones::ZoneTargets;
use crate::cache::{Answer, Hit, Key, Scope};
use crate::dns::ede::Ede;
use crate::dns::query::Question;
use crate::dns::rtype;
use crate::telemetry::trace::{event, in_scope};

/// How long to wait for a newer answer before one that has run out is given (RFC 8767 §5).
const STALE_AFTER: Duration = Duration::from_millis(1_800);
/// The TTL of an answer that has run out, in seconds (RFC 8767 §4).
const STALE_TTL: u32 = 30;

/// The way from a question to its reply.
#[derive(Debug)]
pub struct CachingResolver {
    pub shared: Arc<Shared>,
    pub in_flight: Arc<InFlight>,
    pub serve_stale: bool,
}

impl CachingResolver {
    /// The answer of the upstreams (RD=1), out of the cache if it is there.
    ///
    /// # Errors
    /// [`ForwardError`], when there is no answer at all.
    pub async fn resolve(&self, question: &Question) -> Result<Reply, ForwardError> {
        let wire: Arc<[u8]> = question.wire().into();
        let zone = self.shared.zones.of(&wire);
        let token = loop_detect::token(&wire);
        if let Some(server) = token.and_then(|token| self.shared.selector.on_probe(&token)) {
            return Err(ForwardError::LoopProbe(server));
        }
        let query = self.new_query(wire, question, zone, token.is_some());
        self.answer(query, zone.scope(), question).await
    }

    /// The answer of these servers (RD=0), for names that the chain delegates. Cached apart from
    /// the upstreams' answers and from those of other servers. Of a long list the first 16 are
    /// asked.
    ///
    /// # Errors
    /// [`ForwardError`], when there is no answer at all.
    pub async fn ask(
        &self,
        servers: &[SocketAddr],
        question: &Question,
    ) -> Result<Reply, ForwardError> {
        let servers = &servers[..servers.len().min(MAX_SERVERS)];
        let query = UpstreamQuery {
            question: question.wire().into(),
            flags: flags_of(question, false),
            servers: servers.iter().copied().map(Target::Plain).collect(),
            zone: [0].as_slice().into(),
            is_loop_probe: false,
            trust_ad: false,
            policy: ValidationPolicy::None,
        };
        self.answer(query, Scope::Servers(servers), question).await
    }

    async fn answer(
        &self,
        query: UpstreamQuery,
        scope: Scope<'_>,
        question: &Question,
    ) -> Result<Reply, ForwardError> {
        refuse_pseudo_types(question.qtype)?;
        if query.servers.is_empty() {
            return Err(ForwardError::NoUpstream);
        }
        let wire = query.question.clone();
        let key = Key::new(&wire, question.dnssec_ok, question.checking_disabled, scope);
        let now = self.shared.selector.clock.now();
        match self.shared.cache.get(&key, now) {
            Some(Hit::Answer(answer, age, due)) => {
                event("cache", || {
                    format!(
                        "an answer is kept, {age} s old{}",
                        if due { "; it is fetched again" } else { "" }
                    )
                });
                if due {
                    self.prefetch(&key, query);
                }
                return reply(&answer, age, &wire, ReplySource::Cache);
            }
            Some(Hit::NoReply) => {
                event("cache", || "nobody replied a moment ago: nobody is asked again yet".into());
                return self.stale_or_error(&key, &wire, ForwardError::FailedRecently);
            }
            None => event("cache", || "nothing is kept".into()),
        }
        let (receiver, leader) = match self.in_flight.join(&key) {
            Ok(joined) => joined,
            Err(error) => return self.stale_or_error(&key, &wire, error),
        };
        match leader {
            Some(leader) => self.spawn_query(leader, query),
            None => event("legacy", || "the same question is already on its way".into()),
        }
        let outcome = match self.stale(&key) {
            Some(_) => tokio::time::timeout(STALE_AFTER, wait_outcome(receiver)).await,
            None => Ok(wait_outcome(receiver).await),
        };
        match outcome {
            Ok(Ok((answer, server))) => {
                match self.stale(&key).filter(|_| !is_final(answer.rcode())) {
                    Some(stale) => stale_reply(&stale, &wire),
                    None => reply(&answer, 0, &wire, ReplySource::Server(server)),
                }
            }
            Ok(Err(error)) => self.stale_or_error(&key, &wire, error),
            // The answer that comes later is kept for the next one.
            Err(_) => self.stale_or_error(&key, &wire, ForwardError::FailedRecently),
        }
    }

    /// Asks the upstreams for what is kept but near its end, unless there is enough to do.
    fn prefetch(&self, key: &Key, query: UpstreamQuery) {
        if !self.in_flight.is_busy()
            && let Ok((_, Some(leader))) = self.in_flight.join(key)
        {
            self.spawn_query(leader, query);
        }
    }

    /// Fetches an answer anew, in the background, for whoever found out elsewhere that it is
    /// popular and near its end.
    pub fn refresh(&self, question: &Question) {
        let wire: Arc<[u8]> = question.wire().into();
        let zone = self.shared.zones.of(&wire);
        if zone.targets().is_empty() || rtype::is_pseudo(question.qtype.into()) {
            return;
        }
        let key = Key::new(&wire, question.dnssec_ok, question.checking_disabled, zone.scope());
        let query = self.new_query(wire, question, zone, false);
        self.prefetch(&key, query);
    }

    fn spawn_query(&self, leader: Leader, query: UpstreamQuery) {
        // A task of its own: whoever asked first may go away while others wait.
        let shared = self.shared.clone();
        tokio::spawn(in_scope(async move {
            let received = match query.policy {
                ValidationPolicy::None => shared.selector.run(&query).await,
                ValidationPolicy::IfSupported | ValidationPolicy::Always => {
                    Validation::new(shared.clone()).run_validated(&query).await
                }
            };
            shared.complete(
                leader,
                received.map(|received| shared.selector.apply_rebind_policy(&query, received)),
            );
        }));
    }

    fn new_query(
        &self,
        wire: Arc<[u8]>,
        question: &Question,
        zone: &ZoneTargets,
        is_loop_probe: bool,
    ) -> UpstreamQuery {
        UpstreamQuery {
            question: wire,
            flags: flags_of(question, true),
            servers: zone.targets().to_vec(),
            zone: zone.name().into(),
            is_loop_probe,
            trust_ad: true,
            policy: if is_loop_probe { ValidationPolicy::None } else { zone.policy() },
        }
    }

    fn stale(&self, key: &Key) -> Option<Arc<Answer>> {
        if !self.serve_stale {
            return None;
        }
        self.shared.cache.get_stale(key, self.shared.selector.clock.now()).map(|(answer, _)| answer)
    }

    /// What has run out, if there is something (RFC 8767), or the error.
    fn stale_or_error(
        &self,
        key: &Key,
        question: &[u8],
        error: ForwardError,
    ) -> Result<Reply, ForwardError> {
        match self.stale(key) {
            Some(stale) => {
                event("cache", || format!("what has run out is given: {error}"));
                stale_reply(&stale, question)
            }
            None => Err(error),
        }
    }
}

fn flags_of(question: &Question, recursive: bool) -> QueryFlags {
    QueryFlags {
        recursive,
        dnssec_ok: question.dnssec_ok,
        checking_disabled: question.checking_disabled,
    }
}

fn reply(
    answer: &Answer,
    age: u32,
    question: &[u8],
    source: ReplySource,
) -> Result<Reply, ForwardError> {
    let mut wire = Vec::new();
    answer.write(age, 0, question, &mut wire);
    let message = decode(&wire).map_err(|malformed| ForwardError::Unreadable(malformed.0))?;
    Ok(Reply { message, ede: Ede::read_all(answer.options()), source })
}

fn stale_reply(answer: &Answer, question: &[u8]) -> Result<Reply, ForwardError> {
    let mut reply = reply(answer, 0, question, ReplySource::Stale)?;
    let message = &mut reply.message;
    for section in [&mut message.answers, &mut message.authorities, &mut message.additionals] {
        section.iter_mut().for_each(|record| record.ttl = STALE_TTL);
    }
    let code = match message.metadata.response_code {
        ResponseCode::NXDomain => Ede::STALE_NXDOMAIN,
        _ => Ede::STALE_ANSWER,
    };
    reply.ede.insert(0, Ede::new(code, "the upstream DNS servers gave no newer answer"));
    Ok(reply)
}

/// Transfers need a connection of their own, and OPT, TSIG and their like are no data (RFC 6895
/// §3.1).
fn refuse_pseudo_types(qtype: RecordType) -> Result<(), ForwardError> {
    if rtype::is_pseudo(qtype.into()) { Err(ForwardError::NotForwardable(qtype)) } else { Ok(()) }
}
