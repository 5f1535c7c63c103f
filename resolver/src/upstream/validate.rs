//! Validates upstreams' answers, and sends the queries for DS and DNSKEY that this takes.
//!
//! ```text
//! question -> who passes DNSSEC on? -> those are asked with DO and CD -> ValidationSession <-> DS, DNSKEY -> what the client gets
//!                 '- nobody -------> all are asked as if there were no DNSSEC (mode auto)
//! ```

use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use tokio::task::JoinSet;

use super::dnssec_support::UpstreamDnssec;
use super::error::ForwardError;
use super::inflight::wait_outcome;
use super::policy::ValidationPolicy;
use super::select::{Selector, UpstreamAnswer, UpstreamQuery, is_final};
use super::shared::Shared;
use super::target::Target;
use super::transport::query::QueryFlags;
use crate::cache::{Answer, AnswerKind, Hit, Key, NO_REPLY_TTL, lifetime};
use crate::dns::ede::Ede;
use crate::dns::message::{Malformed, Packet, rcode};
use crate::dns::rtype::DS;
use crate::telemetry::trace::{event, in_scope};
use crate::{
    dns::name::Name,
    dnssec::validate::{Progress, RecordQuery, Validated, ValidationSession, Verdict, rewrite},
};

/// How long the first queries wait for the probes of the upstreams' DNSSEC support. A probe takes
/// one round trip; a slower upstream is used without validation at first.
const PROBE_WAIT: Duration = Duration::from_millis(600);
/// After the first upstream has answered its probe, the others get this much more time, plus the
/// time the first one took.
const PROBE_GRACE: Duration = Duration::from_millis(50);
/// For how long an answer is cached that was not validated only because the probes had not ended.
const UNSURE_TTL: Duration = Duration::from_secs(30);
/// For how long a bogus answer is cached (RFC 4035 §4.7).
const BOGUS_TTL: Duration = Duration::from_secs(30);
/// The flags for upstreams that support DNSSEC: DO, and CD so that validation is left to us (RFC
/// 6840 §5.9). A client that set CD gets the records it asked for.
pub fn validation_flags(flags: QueryFlags) -> QueryFlags {
    QueryFlags {
        dnssec_ok: flags.dnssec_ok || !flags.checking_disabled,
        checking_disabled: true,
        ..flags
    }
}

/// Validates answers.
#[derive(Debug, Clone)]
pub struct Validation(Arc<Shared>);

impl Validation {
    /// With the shared state.
    pub fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// Starts the probes that are due, and waits for upstreams not probed before, but not for long.
    /// Returns the upstreams that support DNSSEC, and the others.
    async fn dnssec_upstreams(&self, query: &UpstreamQuery) -> (Vec<Target>, Vec<Target>) {
        let (dnssec, targets) = (&self.0.dnssec, &query.servers);
        if query.policy == ValidationPolicy::Always {
            return targets.iter().cloned().partition(|target| !target.is_recursive());
        }
        let started = self.0.selector.clock.now();
        // The built-in recursive resolver validates by itself.
        for target in targets.iter().filter(|target| !target.is_recursive()) {
            if dnssec.take_probe(target, started) {
                tokio::spawn(self.clone().probe(target.clone()));
            }
        }
        let mut news = dnssec.news.subscribe();
        let mut end = started + PROBE_WAIT;
        loop {
            let (passing, others, waiting) = dnssec.partition(targets);
            let now = self.0.selector.clock.now();
            if !waiting || !passing.is_empty() || now >= end {
                return (passing, others);
            }
            // The sender lives as long as `self`.
            if let Ok(Ok(())) = tokio::time::timeout(end - now, news.changed()).await {
                let now = self.0.selector.clock.now();
                end = end.min(now + (now - started) + PROBE_GRACE);
            }
        }
    }

    /// Sends an upstream a query for the keys of the topmost trust anchor.
    async fn probe(self, target: Target) {
        let Some((name, rtype)) = self.0.dnssec.validator.probe_query() else { return };
        let query = self.internal_query(&name, rtype, vec![target.clone()]);
        let (state, sure) = match self.0.selector.run(&query).await {
            Ok(received) if is_final(received.answer.rcode()) => {
                match self
                    .0
                    .dnssec
                    .validator
                    .check_probe_reply(received.answer.wire(), self.0.selector.clock.unix())
                {
                    Ok(()) => (UpstreamDnssec::Supported, true),
                    // Many machines start with a wrong clock.
                    Err(ede) => {
                        let in_time = !matches!(
                            ede.code,
                            Ede::SIGNATURE_EXPIRED | Ede::SIGNATURE_NOT_YET_VALID
                        );
                        (UpstreamDnssec::Unsupported(ede.text), in_time)
                    }
                }
            }
            // The upstream may have no network yet.
            Ok(received) => {
                let code = received.answer.rcode();
                (
                    UpstreamDnssec::Unsupported(format!("it answers with RCODE {code}")),
                    code != rcode::SERVFAIL,
                )
            }
            Err(_) => (UpstreamDnssec::Unknown, false),
        };
        let before = self.0.dnssec.state(&target);
        if state == UpstreamDnssec::Supported && before != UpstreamDnssec::Unknown {
            // Its earlier answers were not validated.
            self.0.cache.flush();
        }
        self.0.dnssec.record_support(&target, state, sure, self.0.selector.clock.now());
    }

    /// A query of the validator. It goes to upstreams in a forwarding loop only if there are no
    /// others.
    fn internal_query(&self, name: &Name, rtype: u16, servers: Vec<Target>) -> UpstreamQuery {
        let question = [name.wire(), &rtype.to_be_bytes(), &1u16.to_be_bytes()].concat();
        UpstreamQuery {
            flags: QueryFlags { recursive: true, dnssec_ok: true, checking_disabled: true },
            zone: self.0.zones.of(&question).name().into(),
            question: question.into(),
            servers,
            is_loop_probe: false,
            trust_ad: false,
            policy: ValidationPolicy::None,
        }
    }

    /// Asks the upstreams that support DNSSEC and validates their answer; if there are none, the
    /// answer of the others is used without validation.
    ///
    /// # Errors
    /// As [`Selector::run`].
    pub async fn run_validated(
        &self,
        query: &UpstreamQuery,
    ) -> Result<UpstreamAnswer, ForwardError> {
        let (passing, others) = self.dnssec_upstreams(query).await;
        if passing.is_empty() {
            event("dnssec", || "no upstream supports DNSSEC: the answer is not validated".into());
        }
        if !passing.is_empty() {
            let flags = validation_flags(query.flags);
            let asked = UpstreamQuery { servers: passing, flags, trust_ad: false, ..query.clone() };
            match self.0.selector.run(&asked).await {
                Ok(received)
                    if query.flags.checking_disabled || !is_final(received.answer.rcode()) =>
                {
                    return Ok(received);
                }
                Ok(received) => return Ok(self.validate(query, received).await),
                Err(error) if others.is_empty() => return Err(error),
                Err(_) => {
                    tracing::warn!(
                        "the upstreams that support DNSSEC do not reply: using another one, without validation"
                    );
                }
            }
        }
        let unsure = others.iter().any(|target| !self.0.dnssec.is_sure(target));
        let mut received =
            self.0.selector.run(&UpstreamQuery { servers: others, ..query.clone() }).await?;
        if unsure && let Some((_, life)) = &mut received.keep {
            *life = (*life).min(UNSURE_TTL);
        }
        Ok(received)
    }

    /// The answer for the client: the upstream's, or an error if it does not validate.
    async fn validate(&self, query: &UpstreamQuery, received: UpstreamAnswer) -> UpstreamAnswer {
        let validation = self.run_session(received.answer.wire());
        let validated = match tokio::time::timeout(self.0.selector.timeout, validation).await {
            Ok(Ok(validated)) => validated,
            Ok(Err(malformed)) => {
                Validated::from_verdict(Verdict::Bogus(Ede::new(Ede::DNSSEC_BOGUS, malformed.0)))
            }
            Err(_) => {
                let why = "DNSSEC: the keys for validation did not arrive in time";
                Validated::from_verdict(Verdict::Indeterminate(Ede::new(
                    Ede::NO_REACHABLE_AUTHORITY,
                    why,
                )))
            }
        };
        event("dnssec", || validated.verdict.to_string());
        apply_verdict(&self.0.selector, query.flags.dnssec_ok, &received, &validated)
            .unwrap_or(received)
    }

    /// The verdict on an answer, if no further queries are needed for it.
    pub fn validate_without_queries(shared: &Shared, message: &[u8]) -> Option<Validated> {
        let mut session = ValidationSession::new(message).ok()?;
        match session.step(&shared.dnssec.validator, shared.selector.clock.unix()) {
            Progress::Done(validated) => Some(validated),
            Progress::Query(_) => None,
        }
    }

    async fn run_session(&self, message: &[u8]) -> Result<Validated, Malformed> {
        let mut session = ValidationSession::new(message)?;
        loop {
            match session.step(&self.0.dnssec.validator, self.0.selector.clock.unix()) {
                Progress::Done(validated) => return Ok(validated),
                Progress::Query(asks) => {
                    // As many as the session may send, which is bounded.
                    let mut under_way = JoinSet::new();
                    for ask in asks {
                        under_way.spawn(in_scope(self.clone().fetch(ask)));
                    }
                    while let Some(result) = under_way.join_next().await {
                        let Ok((ask, result)) = result else { continue };
                        session.add_reply(
                            ask,
                            result.as_ref().map(|answer| answer.wire()).map_err(Ede::clone),
                        );
                    }
                }
            }
        }
    }

    /// Fetches records for the validator: from the cache, by joining a query in flight, or by a new
    /// one.
    async fn fetch(self, ask: RecordQuery) -> (RecordQuery, Result<Arc<Answer>, Ede>) {
        let (name, rtype) = &ask;
        // The parent side of a zone cut is asked of the parent's upstreams.
        let parent = if *rtype == DS { name.parent() } else { None };
        let zone = self.0.zones.of(parent.as_ref().unwrap_or(name).wire());
        let query = self.internal_query(name, *rtype, zone.targets().to_vec());
        let key = Key::new(&query.question, true, true, zone.scope());
        let failed =
            |error: &ForwardError| Ede { text: format!("DNSSEC: {name}: {error}"), ..error.ede() };
        match self.0.cache.get(&key, self.0.selector.clock.now()) {
            Some(Hit::Answer(answer, ..)) => {
                event("dnssec", || format!("{} is cached", describe_ask(&ask)));
                return (ask, Ok(answer));
            }
            Some(Hit::NoReply) => {
                let ede = failed(&ForwardError::FailedRecently);
                return (ask, Err(ede));
            }
            None => {}
        }
        let outcome = match self.0.dnssec.fetches.join(&key) {
            Ok((receiver, leader)) => {
                if let Some(leader) = leader {
                    let shared = self.0.clone();
                    tokio::spawn(in_scope(async move {
                        let (passing, others, _) = shared.dnssec.partition(&query.servers);
                        let servers = if passing.is_empty() { others } else { passing };
                        let query = UpstreamQuery { servers, ..query };
                        let received = shared.selector.run(&query).await;
                        shared.complete(leader, received);
                    }));
                }
                wait_outcome(receiver).await
            }
            Err(error) => Err(error),
        };
        let result = outcome.map(|(answer, _)| answer).map_err(|error| failed(&error));
        (ask, result)
    }
}

fn describe_ask((name, rtype): &RecordQuery) -> String {
    format!("{name} {}", RecordType::from(*rtype))
}

/// The answer for the client, and for how long it is cached, by the verdict; `None` if the message
/// can't be encoded, which can't happen for one that was decoded.
pub fn apply_verdict(
    selector: &Selector,
    dnssec_ok: bool,
    received: &UpstreamAnswer,
    validated: &Validated,
) -> Option<UpstreamAnswer> {
    let packet = Packet::parse(received.answer.wire()).ok()?;
    let bytes = match &validated.verdict {
        Verdict::Secure | Verdict::Insecure(_) => {
            rewrite::answer(&packet, received.answer.options(), validated, dnssec_ok)
        }
        Verdict::Bogus(ede) | Verdict::Indeterminate(ede) => {
            tracing::debug!(server = %received.server, why = %ede.text, "answer rejected");
            rewrite::failure(&packet, ede)
        }
    };
    let bytes = bytes.ok()?;
    let packet = Packet::parse(&bytes).ok()?;
    let answer = Arc::new(Answer::new(&packet, packet.question(), true).ok()?);
    let keep = match &validated.verdict {
        Verdict::Bogus(_) => Some((AnswerKind::Negative, BOGUS_TTL)),
        Verdict::Indeterminate(_) => Some((AnswerKind::Negative, NO_REPLY_TTL)),
        Verdict::Secure | Verdict::Insecure(_) => lifetime(&packet, false).map(|(kind, life)| {
            let most = validated
                .ttls
                .values()
                .min()
                .map_or(Duration::MAX, |ttl| Duration::from_secs((*ttl).into()));
            (kind, selector.clamp_ttl(&answer, life).min(most.max(Duration::from_secs(1))))
        }),
    };
    let bogus = matches!(validated.verdict, Verdict::Bogus(_));
    Some(UpstreamAnswer { answer, server: received.server.clone(), keep, bogus })
}
