//! Resolves a question: from the cache, by a query upstream, or by a stale answer if that fails.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::budget::in_budget;
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

/// How long to wait for a newer answer before a stale one is served (RFC 8767 §5).
const STALE_DELAY: Duration = Duration::from_millis(1_800);
/// The TTL of a stale answer, in seconds (RFC 8767 §4).
const STALE_TTL_SECS: u32 = 30;

/// Resolves questions through the cache.
#[derive(Debug)]
pub struct CachingResolver {
    pub shared: Arc<Shared>,
    pub in_flight: Arc<InFlight>,
    pub serve_stale: bool,
}

impl CachingResolver {
    /// The upstreams' answer (RD=1), from the cache if it is there.
    ///
    /// # Errors
    /// [`ForwardError`], if there is no answer.
    pub async fn resolve(&self, question: &Question) -> Result<Reply, ForwardError> {
        let wire: Arc<[u8]> = question.wire().into();
        let zone = self.shared.zones.of_question(&wire);
        let token = loop_detect::token(&wire);
        if let Some(server) = token.and_then(|token| self.shared.selector.on_probe(&token)) {
            return Err(ForwardError::LoopProbe(server));
        }
        let query = self.new_query(wire, question, zone, token.is_some());
        self.answer(query, zone.scope(), question).await
    }

    /// The answer of these servers (RD=0), for names that the chain delegates. It is cached apart
    /// from the answers of the upstreams and of other servers. Only the first 16 servers are used.
    ///
    /// # Errors
    /// [`ForwardError`], if there is no answer.
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
                        "cached answer, {age} s old{}",
                        if due { "; it is being refreshed" } else { "" }
                    )
                });
                if due {
                    self.prefetch(&key, query);
                }
                return reply(&answer, age, &wire, ReplySource::Cache);
            }
            Some(Hit::NoReply) => {
                event("cache", || "no upstream replied a moment ago: not queried again yet".into());
                return self.stale_or_error(&key, &wire, ForwardError::FailedRecently);
            }
            None => event("cache", || "not cached".into()),
        }
        let (receiver, leader) = match self.in_flight.join(&key, now) {
            Ok(joined) => joined,
            Err(error) => return self.stale_or_error(&key, &wire, error),
        };
        match leader {
            Some(leader) => self.spawn_query(leader, query),
            None => event("legacy", || "the same query is already in flight".into()),
        }
        let outcome = match self.stale(&key) {
            Some(_) => tokio::time::timeout(STALE_DELAY, wait_outcome(receiver)).await,
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
            // A later answer is cached for the next query.
            Err(_) => self.stale_or_error(&key, &wire, ForwardError::FailedRecently),
        }
    }

    /// Fetches a cached answer that is about to expire again, unless too much is in flight.
    fn prefetch(&self, key: &Key, query: UpstreamQuery) {
        if !self.in_flight.is_busy()
            && let Ok((_, Some(leader))) =
                self.in_flight.join(key, self.shared.selector.clock.now())
        {
            self.spawn_query(leader, query);
        }
    }

    /// Fetches an answer again in the background. For callers with a popular answer that is about
    /// to expire.
    pub fn refresh(&self, question: &Question) {
        let wire: Arc<[u8]> = question.wire().into();
        let zone = self.shared.zones.of_question(&wire);
        if zone.targets().is_empty() || rtype::is_pseudo(question.qtype.into()) {
            return;
        }
        let key = Key::new(&wire, question.dnssec_ok, question.checking_disabled, zone.scope());
        let query = self.new_query(wire, question, zone, false);
        self.prefetch(&key, query);
    }

    fn spawn_query(&self, mut leader: Leader, query: UpstreamQuery) {
        // A task of its own: the client that asked first may give up while others wait.
        let shared = self.shared.clone();
        tokio::spawn(in_budget(in_scope(async move {
            let work = async {
                match query.policy {
                    ValidationPolicy::None => shared.selector.run(&query).await,
                    ValidationPolicy::IfSupported | ValidationPolicy::Always => {
                        Validation::new(shared.clone()).run_validated(&query).await
                    }
                }
            };
            let received = tokio::select! {
                received = work => received,
                () = leader.displaced() => return,
            };
            shared.complete(
                leader,
                received.map(|received| shared.selector.apply_rebind_policy(&query, received)),
            );
        })));
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

    /// The stale answer, if there is one (RFC 8767), or the error.
    fn stale_or_error(
        &self,
        key: &Key,
        question: &[u8],
        error: ForwardError,
    ) -> Result<Reply, ForwardError> {
        match self.stale(key) {
            Some(stale) => {
                event("cache", || format!("serving the stale answer: {error}"));
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
        edns_required: false,
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
        section.iter_mut().for_each(|record| record.ttl = STALE_TTL_SECS);
    }
    let code = match message.metadata.response_code {
        ResponseCode::NXDomain => Ede::STALE_NXDOMAIN,
        _ => Ede::STALE_ANSWER,
    };
    reply.ede.insert(0, Ede::new(code, "the upstream DNS servers gave no newer answer"));
    Ok(reply)
}

/// Zone transfers need a connection of their own; OPT, TSIG and other pseudo types are not data
/// (RFC 6895 §3.1).
fn refuse_pseudo_types(qtype: RecordType) -> Result<(), ForwardError> {
    if rtype::is_pseudo(qtype.into()) { Err(ForwardError::NotForwardable(qtype)) } else { Ok(()) }
}
