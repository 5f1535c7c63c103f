//! Validates upstreams' answers, and sends the queries for DS and DNSKEY that this takes.
//!
//! ```text
//! question -> who passes DNSSEC on? -> those are asked with DO and CD -> judge: secure, insecure -> what the client gets
//!                 |                                                       '- bogus ---------> others are asked for everything
//!                 '- nobody -------> all are asked as if there were no DNSSEC (mode auto)
//! ```

use std::sync::Arc;
use std::time::Duration;

use super::dnssec_support::UpstreamDnssec;
use super::error::ForwardError;
use super::judge::{Judge, Judgement};
use super::policy::ValidationPolicy;
use super::select::{Selector, UpstreamAnswer, UpstreamQuery, is_final};
use super::shared::Shared;
use super::target::Target;
use super::transport::query::QueryFlags;
use crate::cache::{Answer, AnswerKind, NO_REPLY_TTL, lifetime};
use crate::dns::ede::Ede;
use crate::dns::message::{Packet, rcode};
use crate::dnssec::validate::{Validated, Verdict, rewrite};
use crate::telemetry::trace::event;

/// How long the first queries wait for the probes of the upstreams' DNSSEC support. A probe takes
/// one round trip; a slower upstream is used without validation at first.
const PROBE_WAIT: Duration = Duration::from_millis(600);
/// After the first upstream has answered its probe, the others get this much more time, plus the
/// time the first one took.
const PROBE_GRACE: Duration = Duration::from_millis(50);
/// The longest TTL of an answer that was not validated because the probes had not ended, or because
/// no upstream that supports DNSSEC replied.
const UNSURE_TTL: Duration = Duration::from_secs(30);
/// The most other upstreams that are asked after a bogus answer.
const MAX_BOGUS_RETRIES: usize = 2;
/// For how long a bogus answer is cached (RFC 4035 §4.7, RFC 9520 §3.2).
const BOGUS_TTL: Duration = Duration::from_secs(30);

/// The flags for upstreams that support DNSSEC: DO, and CD so that validation is left to us (RFC
/// 6840 §5.9). A client that set CD gets the records it asked for. They have shown that they
/// support EDNS, without which there are no signatures.
pub fn validation_flags(flags: QueryFlags) -> QueryFlags {
    QueryFlags {
        dnssec_ok: flags.dnssec_ok || !flags.checking_disabled,
        checking_disabled: true,
        edns_required: true,
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
        let query = Judge(self.0.clone()).query(&name, rtype, vec![target.clone()]);
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
        if state == UpstreamDnssec::Supported {
            self.0.remove_unvalidated();
        }
        self.0.dnssec.record_support(&target, state, sure, self.0.selector.clock.now());
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
        let is_fallback = !passing.is_empty();
        if passing.is_empty() {
            event("dnssec", || "no upstream supports DNSSEC: the answer is not validated".into());
        } else {
            let flags = validation_flags(query.flags);
            let asked = UpstreamQuery { servers: passing, flags, trust_ad: false, ..query.clone() };
            match self.0.selector.run(&asked).await {
                Ok(received) => {
                    self.0.remove_unvalidated();
                    let as_it_is =
                        query.flags.checking_disabled || !is_final(received.answer.rcode());
                    return Ok(if as_it_is {
                        received
                    } else {
                        self.validate(query, &asked, received).await
                    });
                }
                Err(error) if others.is_empty() => return Err(error),
                Err(_) => self.0.on_fallback(),
            }
        }
        let unsure = others.iter().any(|target| !self.0.dnssec.is_sure(target));
        let mut received =
            self.0.selector.run(&UpstreamQuery { servers: others, ..query.clone() }).await?;
        // The built-in recursive resolver validates by itself.
        received.unvalidated = !received.server.is_recursive();
        if received.unvalidated && (is_fallback || unsure) {
            shorten(&mut received, UNSURE_TTL);
        }
        Ok(received)
    }

    /// The answer for the client: the upstream's, or an error if it does not validate. `asked` is
    /// the query that it answers.
    async fn validate(
        &self,
        query: &UpstreamQuery,
        asked: &UpstreamQuery,
        mut received: UpstreamAnswer,
    ) -> UpstreamAnswer {
        let mut judgement = Judge(self.0.clone()).judge(&received, None).await;
        if judgement.may_retry {
            let others = self.ask_others(asked, &received.server, &judgement);
            // The time limit is for all of them together.
            let better = tokio::time::timeout(self.0.selector.timeout, others).await;
            if let Ok(Some(better)) = better {
                (received, judgement) = better;
            }
        }
        let validated = judgement.validated;
        event("dnssec", || validated.verdict.to_string());
        apply_verdict(&self.0.selector, query.flags.dnssec_ok, &received, &validated)
            .unwrap_or(received)
    }

    /// Asks other upstreams after a bogus answer of `first`, one after another, each for the answer
    /// and for all records that validate it: one upstream may strip or spoil signatures, and what
    /// is cached may come from it. At last `first` is asked again, if the fault may be another's.
    /// The first answer that is not bogus; `None` if there is none.
    async fn ask_others(
        &self,
        asked: &UpstreamQuery,
        first: &Target,
        judgement: &Judgement,
    ) -> Option<(UpstreamAnswer, Judgement)> {
        let judge = Judge(self.0.clone());
        let mut others: Vec<Target> =
            asked.servers.iter().filter(|other| *other != first).cloned().collect();
        let mut again = judgement.has_other_sources.then(|| first.clone());
        let mut bogus_zones = judgement.bogus_zones.clone();
        for retry in 0..=MAX_BOGUS_RETRIES {
            let servers = if retry < MAX_BOGUS_RETRIES && !others.is_empty() {
                others.clone()
            } else {
                vec![again.take()?]
            };
            let query = UpstreamQuery { servers, ..asked.clone() };
            let received = self.0.selector.run(&query).await.ok();
            let Some(received) = received.filter(|it| is_final(it.answer.rcode())) else {
                // All of them were asked.
                others.clear();
                continue;
            };
            let server = received.server.clone();
            others.retain(|other| *other != server);
            event("dnssec", || format!("bogus: {server} is asked for everything instead"));
            self.0.dnssec.validator.forget_bogus(&bogus_zones);
            let judgement = judge.judge(&received, Some(&server)).await;
            match judgement.validated.verdict {
                Verdict::Secure | Verdict::Insecure(_) => return Some((received, judgement)),
                Verdict::Bogus(_) => bogus_zones = judgement.bogus_zones,
                Verdict::Indeterminate(_) => {}
            }
        }
        None
    }
}

/// Limits the TTL of an answer, here and for clients.
fn shorten(received: &mut UpstreamAnswer, most: Duration) {
    if let Some((_, life)) = &mut received.keep {
        *life = (*life).min(most);
    }
    // It was just made, and nobody else has it.
    if let Some(answer) = Arc::get_mut(&mut received.answer) {
        answer.bound_ttls(0, u32::try_from(most.as_secs()).unwrap_or(u32::MAX));
    }
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
    let mut answer = Answer::new(&packet, packet.question(), true).ok()?;
    let keep = match &validated.verdict {
        Verdict::Bogus(_) => Some((AnswerKind::Negative, BOGUS_TTL)),
        Verdict::Indeterminate(_) => Some((AnswerKind::Negative, NO_REPLY_TTL)),
        Verdict::Secure | Verdict::Insecure(_) => {
            let signed = validated.ttls.values().min();
            let most = signed.map_or(Duration::MAX, |ttl| Duration::from_secs((*ttl).into()));
            selector.bound_ttls(&mut answer, lifetime(&packet, false), most)
        }
    };
    let bogus = matches!(validated.verdict, Verdict::Bogus(_));
    let answer = Arc::new(answer);
    let server = received.server.clone();
    Some(UpstreamAnswer { answer, server, keep, bogus, unvalidated: false })
}
