//! Whether answers are validated, and the asking that it takes.
//!
//! ```text
//! question -> who passes DNSSEC on? -> those are asked with DO and CD -> ValidationSession <-> DS, DNSKEY -> what the client gets
//!                 '- nobody -------> all are asked as if there were no DNSSEC (mode auto)
//! ```

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hickory_proto::rr::RecordType;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::error::ForwardError;
use super::inflight::{InFlight, wait_outcome};
use super::question::name_wire;
use super::resolve::Shared;
use super::select::{Selector, UpstreamAnswer, UpstreamQuery, is_final};
use super::target::Target;
use super::transport::query::QueryFlags;
use super::zones::Zone;
use super::{ForwardZone, Upstreams};
use crate::cache::{Answer, AnswerKind, Hit, Key, NO_REPLY_TTL, lifetime};
use crate::dns::ede::Ede;
use crate::dns::message::{Malformed, Packet, rcode};
use crate::telemetry::trace::{event, in_scope};
use crate::{
    dns::name::Name,
    dnssec::validate::{
        Anchors, Progress, RecordQuery, Validated, ValidationSession, Validator, ValidatorStats,
        Verdict, rewrite,
    },
};

/// How long the first questions wait to learn whether an upstream passes DNSSEC on. One round trip
/// is what it takes; and an upstream that takes longer is asked without at first.
const PROBE_WAIT: Duration = Duration::from_millis(600);
/// When one upstream has answered the probe, the others have so much longer, and as long again as
/// that one took.
const PROBE_GRACE: Duration = Duration::from_millis(50);
/// An upstream that did not pass is tried again after this time: it may be another one by now.
const PROBE_AGAIN: Duration = Duration::from_secs(600);
/// One that did not answer the probe is tried again after this time.
const PROBE_SOON: Duration = Duration::from_secs(10);
/// How long an answer is kept that was taken without validation only because it was not known yet
/// who passes it on.
const UNSURE: Duration = Duration::from_secs(30);
/// How long it is kept that an answer is bogus (RFC 4035 §4.7).
const BOGUS: Duration = Duration::from_secs(30);
/// Upstreams of which it is remembered what they pass on: as many as there can be.
const MAX_KNOWN: usize = 4_352;

/// Whether the answers of legacy DNS are validated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ValidateMode {
    /// Those of upstreams that pass on what it takes.
    Auto,
    /// All.
    On,
    /// None.
    #[default]
    Off,
}

/// How a question is asked at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirstTryMode {
    /// As if there were no DNSSEC.
    Unvalidated,
    /// One of these, and what it says is validated.
    Validated(Vec<Target>),
    /// Not at all: first it has to be found out who passes DNSSEC on.
    Undetermined,
}

/// What is asked of those who pass DNSSEC on: with DO, and with CD so that they leave the judgement
/// to us (RFC 6840 §5.9). Who asks with CD gets what it asked for.
pub fn validation_flags(flags: QueryFlags) -> QueryFlags {
    QueryFlags {
        dnssec_ok: flags.dnssec_ok || !flags.checking_disabled,
        checking_disabled: true,
        ..flags
    }
}

/// Which answers to the questions of one zone are validated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValidationPolicy {
    /// None.
    None,
    /// Those of upstreams that pass on what it takes.
    IfSupported,
    /// All.
    Always,
}

/// How answers are validated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValidateConfig {
    /// Which.
    pub mode: ValidateMode,
    /// Where trust begins.
    pub anchors: Anchors,
}

impl ValidateConfig {
    /// Which answers are validated that are in no zone of their own.
    pub fn policy(&self) -> ValidationPolicy {
        match self.mode {
            ValidateMode::Auto => ValidationPolicy::IfSupported,
            ValidateMode::On => ValidationPolicy::Always,
            ValidateMode::Off => ValidationPolicy::None,
        }
    }

    /// Zones with upstreams of their own are nobody else's business: nothing of them is validated,
    /// unless an anchor covers them or they say otherwise.
    pub fn policy_of(&self, zone: &ForwardZone) -> ValidationPolicy {
        let name = Name::of(&name_wire(&zone.zone));
        let validates = zone.validate.unwrap_or_else(|| self.anchors.covers(&name));
        if validates && self.mode != ValidateMode::Off {
            ValidationPolicy::Always
        } else {
            ValidationPolicy::None
        }
    }

    /// The anchors, without what is not validated.
    ///
    /// # Errors
    /// [`ForwardError::Config`] if that is too much.
    pub fn anchors(&self, zones: &[ForwardZone]) -> Result<Anchors, ForwardError> {
        let none = zones.iter().filter(|zone| self.policy_of(zone) == ValidationPolicy::None);
        let names = none.map(|zone| Name::of(&name_wire(&zone.zone)));
        let anchors = self.anchors.clone().with_insecure(names);
        anchors.map_err(|_| ForwardError::Config("more than 256 zones that are not validated"))
    }
}

/// What is known of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamDnssec {
    /// Nothing yet: it was not asked, or did not answer.
    Unknown,
    /// It passes on what validation takes. From then on all of its answers have to validate.
    Validates,
    /// It does not; and what was wrong with what it gave.
    Strips(String),
}

#[derive(Debug, Clone)]
struct ProbeState {
    state: UpstreamDnssec,
    /// When it is tried again; `None` while it is.
    again: Option<Duration>,
    /// Whether that is what it is like, and not what a moment was like.
    sure: bool,
}

/// Validation, and what it knows of the upstreams.
#[derive(Debug)]
pub struct DnssecSupport {
    pub validator: Validator,
    pub fetches: Arc<InFlight>,
    seen: Mutex<HashMap<Target, ProbeState>>,
    /// Changes whenever something is learned of an upstream.
    news: watch::Sender<()>,
}

impl DnssecSupport {
    /// Nothing is known of anybody yet. `limit`: how many questions of its own may be under way.
    pub fn new(anchors: Anchors, limit: usize) -> Self {
        Self {
            validator: Validator::new(anchors),
            fetches: InFlight::new(limit),
            seen: Mutex::default(),
            news: watch::Sender::new(()),
        }
    }

    /// What is known of an upstream.
    pub fn state(&self, target: &Target) -> UpstreamDnssec {
        self.lock().get(target).map_or(UpstreamDnssec::Unknown, |seen| seen.state.clone())
    }

    /// Whether it was found out what an upstream passes on, or need not be.
    fn is_sure(&self, target: &Target) -> bool {
        target.is_recursive() || self.lock().get(target).is_some_and(|seen| seen.sure)
    }

    /// How a question in this zone is asked by who does not wait for probes, and makes none.
    pub fn first_try_mode(&self, zone: &Zone, now: Duration) -> FirstTryMode {
        let all = self.lock();
        let targets = || zone.targets().iter().filter(|target| !target.is_recursive());
        match zone.policy() {
            ValidationPolicy::None => return FirstTryMode::Unvalidated,
            ValidationPolicy::Always => {
                return FirstTryMode::Validated(targets().cloned().collect());
            }
            ValidationPolicy::IfSupported => {}
        }
        let seen = |target: &Target| all.get(target).map(|seen| (&seen.state, seen.again));
        let passed =
            |target: &&Target| matches!(seen(target), Some((UpstreamDnssec::Validates, _)));
        let due = |target: &Target| match seen(target) {
            None => true,
            Some((UpstreamDnssec::Validates, _)) => false,
            Some((_, again)) => again.is_some_and(|again| again <= now),
        };
        let passing: Vec<Target> = targets().filter(passed).cloned().collect();
        let unknown = |target: &Target| all.get(target).is_some_and(|seen| !seen.sure);
        if targets().any(due) || (passing.is_empty() && targets().any(unknown)) {
            FirstTryMode::Undetermined
        } else if passing.is_empty() {
            FirstTryMode::Unvalidated
        } else {
            FirstTryMode::Validated(passing)
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Target, ProbeState>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this upstream is to be probed now by whoever asks; and whether nothing was learned
    /// of it so far.
    fn take_probe(&self, target: &Target, now: Duration) -> bool {
        let mut all = self.lock();
        if let Some(seen) = all.get_mut(target) {
            let due = seen.state != UpstreamDnssec::Validates
                && seen.again.is_some_and(|again| again <= now);
            if due {
                seen.again = None;
            }
            return due;
        }
        if all.len() >= MAX_KNOWN {
            return false;
        }
        all.insert(
            target.clone(),
            ProbeState { state: UpstreamDnssec::Unknown, again: None, sure: false },
        );
        true
    }

    /// Those that pass DNSSEC on, the others, and whether one of those is probed for the first time
    /// right now.
    fn partition(&self, targets: &[Target]) -> (Vec<Target>, Vec<Target>, bool) {
        let all = self.lock();
        let is = |target: &Target, state: &UpstreamDnssec| {
            all.get(target).is_some_and(|seen| seen.state == *state)
        };
        let waiting = targets.iter().any(|target| {
            all.get(target)
                .is_some_and(|seen| seen.state == UpstreamDnssec::Unknown && seen.again.is_none())
        });
        let (passing, others) =
            targets.iter().cloned().partition(|target| is(target, &UpstreamDnssec::Validates));
        (passing, others, waiting)
    }

    fn record_support(&self, target: &Target, state: UpstreamDnssec, sure: bool, now: Duration) {
        let again = Some(now + if sure { PROBE_AGAIN } else { PROBE_SOON });
        let before =
            self.lock().insert(target.clone(), ProbeState { state: state.clone(), again, sure });
        if before.as_ref().map(|seen| &seen.state) != Some(&state) {
            match &state {
                UpstreamDnssec::Validates => {
                    tracing::info!(
                        "the upstream {target} passes on DNSSEC: its answers are validated from now on"
                    );
                }
                UpstreamDnssec::Strips(why) => {
                    tracing::warn!(
                        "the upstream {target} does not pass on DNSSEC: its answers are taken as they are ({why})"
                    );
                }
                UpstreamDnssec::Unknown => {}
            }
        }
        self.news.send_replace(());
    }
}

impl Shared {
    /// Starts the probes that are due, and waits for those of which nothing is known yet, but not
    /// for long.
    async fn dnssec_upstreams(
        self: &Arc<Self>,
        query: &UpstreamQuery,
    ) -> (Vec<Target>, Vec<Target>) {
        let (dnssec, targets) = (&self.dnssec, &query.servers);
        if query.policy == ValidationPolicy::Always {
            return targets.iter().cloned().partition(|target| !target.is_recursive());
        }
        let started = self.selector.clock.now();
        // The recursive resolver of our own sees to it by itself.
        for target in targets.iter().filter(|target| !target.is_recursive()) {
            if dnssec.take_probe(target, started) {
                tokio::spawn(self.clone().probe(target.clone()));
            }
        }
        let mut news = dnssec.news.subscribe();
        let mut end = started + PROBE_WAIT;
        loop {
            let (passing, others, waiting) = dnssec.partition(targets);
            let now = self.selector.clock.now();
            if !waiting || !passing.is_empty() || now >= end {
                return (passing, others);
            }
            // The sender lives as long as the validation.
            if let Ok(Ok(())) = tokio::time::timeout(end - now, news.changed()).await {
                let now = self.selector.clock.now();
                end = end.min(now + (now - started) + PROBE_GRACE);
            }
        }
    }

    /// Asks one upstream for the keys of the topmost trust anchor.
    async fn probe(self: Arc<Self>, target: Target) {
        let Some((name, rtype)) = self.dnssec.validator.probe_query() else { return };
        let query = self.internal_query(&name, rtype, vec![target.clone()]);
        let (state, sure) = match self.selector.run(&query).await {
            Ok(received) if is_final(received.answer.rcode()) => {
                match self
                    .dnssec
                    .validator
                    .check_probe_reply(received.answer.wire(), self.selector.clock.unix())
                {
                    Ok(()) => (UpstreamDnssec::Validates, true),
                    // A clock is wrong for a while after the start of many a machine.
                    Err(ede) => {
                        let in_time = !matches!(
                            ede.code,
                            Ede::SIGNATURE_EXPIRED | Ede::SIGNATURE_NOT_YET_VALID
                        );
                        (UpstreamDnssec::Strips(ede.text), in_time)
                    }
                }
            }
            // It may have no network yet.
            Ok(received) => {
                let code = received.answer.rcode();
                (
                    UpstreamDnssec::Strips(format!("it answers with RCODE {code}")),
                    code != rcode::SERVFAIL,
                )
            }
            Err(_) => (UpstreamDnssec::Unknown, false),
        };
        let before = self.dnssec.state(&target);
        if state == UpstreamDnssec::Validates && before != UpstreamDnssec::Unknown {
            // What it gave before was not validated.
            self.cache.flush();
        }
        self.dnssec.record_support(&target, state, sure, self.selector.clock.now());
    }

    /// A question of validation's own. It passes through those who lead back to us if there is
    /// nobody else.
    fn internal_query(&self, name: &Name, rtype: u16, servers: Vec<Target>) -> UpstreamQuery {
        let question = [name.wire(), &rtype.to_be_bytes(), &1u16.to_be_bytes()].concat();
        UpstreamQuery {
            flags: QueryFlags { recursive: true, dnssec_ok: true, checking_disabled: true },
            zone: self.zones.of(&question).name().into(),
            question: question.into(),
            servers,
            is_loop_probe: false,
            trust_ad: false,
            policy: ValidationPolicy::None,
        }
    }

    /// Asks those who pass DNSSEC on and validates what they say; where there are none, what the
    /// others say is taken as it is.
    ///
    /// # Errors
    /// As [`Selector::run`].
    pub async fn run_validated(
        self: &Arc<Self>,
        query: &UpstreamQuery,
    ) -> Result<UpstreamAnswer, ForwardError> {
        let (passing, others) = self.dnssec_upstreams(query).await;
        if passing.is_empty() {
            event("dnssec", || {
                "no upstream passes on what validation takes: what they say is taken as it is"
                    .into()
            });
        }
        if !passing.is_empty() {
            let flags = validation_flags(query.flags);
            let asked = UpstreamQuery { servers: passing, flags, trust_ad: false, ..query.clone() };
            match self.selector.run(&asked).await {
                Ok(received)
                    if query.flags.checking_disabled || !is_final(received.answer.rcode()) =>
                {
                    return Ok(received);
                }
                Ok(received) => return Ok(self.validate(query, received).await),
                Err(error) if others.is_empty() => return Err(error),
                Err(_) => {
                    tracing::warn!(
                        "those upstreams do not reply that pass on DNSSEC: another is asked, and its answer taken as it is"
                    );
                }
            }
        }
        let unsure = others.iter().any(|target| !self.dnssec.is_sure(target));
        let mut received =
            self.selector.run(&UpstreamQuery { servers: others, ..query.clone() }).await?;
        if unsure && let Some((_, life)) = &mut received.keep {
            *life = (*life).min(UNSURE);
        }
        Ok(received)
    }

    /// What a client gets of an answer that came.
    async fn validate(
        self: &Arc<Self>,
        query: &UpstreamQuery,
        received: UpstreamAnswer,
    ) -> UpstreamAnswer {
        let judging = self.run_session(received.answer.wire());
        let judged = match tokio::time::timeout(self.selector.timeout, judging).await {
            Ok(Ok(judged)) => judged,
            Ok(Err(malformed)) => {
                Validated::from_verdict(Verdict::Bogus(Ede::new(Ede::DNSSEC_BOGUS, malformed.0)))
            }
            Err(_) => {
                let why =
                    "DNSSEC: the keys that it takes to validate the answer did not come in time";
                Validated::from_verdict(Verdict::Indeterminate(Ede::new(
                    Ede::NO_REACHABLE_AUTHORITY,
                    why,
                )))
            }
        };
        event("dnssec", || judged.verdict.to_string());
        apply_verdict(&self.selector, query.flags.dnssec_ok, &received, &judged).unwrap_or(received)
    }

    /// The judgement on an answer, if nothing has to be asked for it.
    pub fn validate_without_queries(&self, message: &[u8]) -> Option<Validated> {
        let mut session = ValidationSession::new(message).ok()?;
        match session.step(&self.dnssec.validator, self.selector.clock.unix()) {
            Progress::Done(judged) => Some(judged),
            Progress::Query(_) => None,
        }
    }

    async fn run_session(self: &Arc<Self>, message: &[u8]) -> Result<Validated, Malformed> {
        let mut session = ValidationSession::new(message)?;
        loop {
            match session.step(&self.dnssec.validator, self.selector.clock.unix()) {
                Progress::Done(judged) => return Ok(judged),
                Progress::Query(asks) => {
                    // As many as the session may ask, which is bounded.
                    let mut under_way = JoinSet::new();
                    for ask in asks {
                        under_way.spawn(in_scope(self.clone().fetch(ask)));
                    }
                    while let Some(heard) = under_way.join_next().await {
                        let Ok((ask, heard)) = heard else { continue };
                        session.add_reply(
                            ask,
                            heard.as_ref().map(|answer| answer.wire()).map_err(Ede::clone),
                        );
                    }
                }
            }
        }
    }

    /// Asks what validation has to know: out of the cache, with others who ask the same, or anew.
    async fn fetch(self: Arc<Self>, ask: RecordQuery) -> (RecordQuery, Result<Arc<Answer>, Ede>) {
        let (name, rtype) = &ask;
        // What a parent says of its child is asked of those who are asked for the parent.
        let parent = if *rtype == DS { name.parent() } else { None };
        let zone = self.zones.of(parent.as_ref().unwrap_or(name).wire());
        let query = self.internal_query(name, *rtype, zone.targets().to_vec());
        let key = Key::new(&query.question, true, true, zone.scope());
        let failed =
            |error: &ForwardError| Ede { text: format!("DNSSEC: {name}: {error}"), ..error.ede() };
        match self.cache.get(&key, self.selector.clock.now()) {
            Some(Hit::Answer(answer, ..)) => {
                event("dnssec", || format!("{} is kept", describe_ask(&ask)));
                return (ask, Ok(answer));
            }
            Some(Hit::NoReply) => {
                let ede = failed(&ForwardError::FailedRecently);
                return (ask, Err(ede));
            }
            None => {}
        }
        let outcome = match self.dnssec.fetches.join(&key) {
            Ok((receiver, leader)) => {
                if let Some(leader) = leader {
                    let shared = self.clone();
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
        let heard = outcome.map(|(answer, _)| answer).map_err(|error| failed(&error));
        (ask, heard)
    }
}

const DS: u16 = 43;

fn describe_ask((name, rtype): &RecordQuery) -> String {
    format!("{name} {}", RecordType::from(*rtype))
}

/// What is given out and kept of an answer with this verdict; `None` if its message can't be
/// written, which is none that was read.
pub fn apply_verdict(
    selector: &Selector,
    dnssec_ok: bool,
    received: &UpstreamAnswer,
    judged: &Validated,
) -> Option<UpstreamAnswer> {
    let packet = Packet::parse(received.answer.wire()).ok()?;
    let bytes = match &judged.verdict {
        Verdict::Secure | Verdict::Insecure(_) => {
            rewrite::answer(&packet, received.answer.options(), judged, dnssec_ok)
        }
        Verdict::Bogus(ede) | Verdict::Indeterminate(ede) => {
            tracing::debug!(server = %received.server, why = %ede.text, "an answer is refused");
            rewrite::failure(&packet, ede)
        }
    };
    let bytes = bytes.ok()?;
    let packet = Packet::parse(&bytes).ok()?;
    let answer = Arc::new(Answer::new(&packet, packet.question(), true).ok()?);
    let keep = match &judged.verdict {
        Verdict::Bogus(_) => Some((AnswerKind::Negative, BOGUS)),
        Verdict::Indeterminate(_) => Some((AnswerKind::Negative, NO_REPLY_TTL)),
        Verdict::Secure | Verdict::Insecure(_) => lifetime(&packet, false).map(|(kind, life)| {
            let most = judged
                .ttls
                .values()
                .min()
                .map_or(Duration::MAX, |ttl| Duration::from_secs((*ttl).into()));
            (kind, selector.clamp_ttl(&answer, life).min(most.max(Duration::from_secs(1))))
        }),
    };
    let bogus = matches!(judged.verdict, Verdict::Bogus(_));
    Some(UpstreamAnswer { answer, server: received.server.clone(), keep, bogus })
}

impl Upstreams {
    /// What is known of each upstream: whether its answers are validated.
    pub fn upstream_dnssec(&self) -> Vec<(String, UpstreamDnssec)> {
        let zones = self.shared.zones.all();
        let mut found: Vec<(String, UpstreamDnssec)> = Vec::new();
        for target in zones.flat_map(|zone| zone.targets()) {
            if !found.iter().any(|(label, _)| *label == target.to_string()) {
                let state = match target.validates() {
                    Some(true) => UpstreamDnssec::Validates,
                    Some(false) => UpstreamDnssec::Strips("it is told not to validate".into()),
                    None => self.shared.dnssec.state(target),
                };
                found.push((target.to_string(), state));
            }
        }
        found
    }

    /// How many answers had which verdict, and what that took.
    pub fn validation_counts(&self) -> ValidatorStats {
        self.shared.dnssec.validator.stats()
    }
}
