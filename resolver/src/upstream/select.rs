//! Selects servers for a query: the order, retries in parallel, and which reply counts.

use std::collections::VecDeque;
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use tokio::sync::watch;

use super::error::{ExchangeError, ForwardError};
use super::infra::{InfraCache, LOOP_TEST_INTERVAL};
use super::load::ServerLoad;
use super::policy::ValidationPolicy;
use super::rebind::Rebind;
use super::target::Target;
use super::transport::exchange::{CheckedReply, Exchange};
use super::transport::query::{QueryFlags, ServerCaps};
use super::{
    loop_detect,
    loop_detect::{LoopDetector, Token},
};
use crate::cache::{Answer, AnswerKind, lifetime};
use crate::dns::message::{Packet, rcode};
use crate::dns::name::Name;
use crate::os::clock::Clock;
use crate::telemetry::trace::event;

/// The most attempts for a query.
const MAX_TRIES: usize = 6;
/// The most attempts with one server.
const MAX_ROUNDS: usize = 3;
/// The most servers of a list that are used.
pub const MAX_SERVERS: usize = 16;
/// The longest time for which NXDOMAIN is cached, here and by clients, for a name that may be
/// registered on the chain at the next block.
const SHORT_NXDOMAIN_TTL: Duration = Duration::from_secs(30);
/// The time limit of a loop test.
const TEST_TIMEOUT: Duration = Duration::from_secs(2);

/// An answer of an upstream, and for how long it may be cached.
#[derive(Debug)]
pub struct UpstreamAnswer {
    pub answer: Arc<Answer>,
    pub server: Target,
    pub keep: Option<(AnswerKind, Duration)>,
    /// It is a SERVFAIL made here, because the upstream's answer was bogus.
    pub bogus: bool,
    /// It was taken without validation, and other upstreams may be validated again later.
    pub unvalidated: bool,
}

/// A query to be sent to one of several servers.
#[derive(Debug, Clone)]
pub struct UpstreamQuery {
    /// The question: uncompressed QNAME, QTYPE and QCLASS.
    pub question: Arc<[u8]>,
    pub flags: QueryFlags,
    pub servers: Vec<Target>,
    /// The zone, in wire form, that the servers are configured for.
    pub zone: Arc<[u8]>,
    /// The query is another resolver's loop test: it is sent to servers known to loop too.
    pub is_loop_probe: bool,
    /// Whether the AD bit is kept if nobody could have changed it.
    pub trust_ad: bool,
    /// Whether the answer is validated.
    pub policy: ValidationPolicy,
}

/// The status of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamStatus {
    /// Its address or URL.
    pub name: String,
    /// The number of replies.
    pub replied: u64,
    /// The number of failures: not reachable, refused, or malformed.
    pub failed: u64,
    /// The number of timeouts after which another upstream was asked in parallel.
    pub slow: u64,
    /// The expected latency; `None`: it was not asked yet.
    pub latency: Option<Duration>,
    /// Whether it was found to be in a forwarding loop.
    pub is_loop: bool,
}

/// Sends queries to servers and selects replies.
#[derive(Debug)]
pub struct Selector {
    pub clock: Arc<Clock>,
    pub exchange: Exchange,
    pub loops: LoopDetector,
    pub timeout: Duration,
    pub first_retry: Duration,
    /// The least and the greatest TTL of answers.
    pub ttl: (Duration, Duration),
    /// Names (questions in wire form) that may exist a moment later, so that NXDOMAIN is cached for
    /// [`SHORT_NXDOMAIN_TTL`] at most.
    pub short_nxdomain: Option<fn(&[u8]) -> bool>,
    /// Rebinding protection.
    pub rebind: Rebind,
    /// The queries in flight to servers of delegations.
    load: Arc<ServerLoad>,
    servers: Mutex<InfraCache>,
    /// Notified whenever a server is found to be in a forwarding loop.
    loop_found: watch::Sender<()>,
}

type Try = Pin<Box<dyn Future<Output = Result<UpstreamAnswer, ExchangeError>> + Send>>;

/// The state of a query.
#[derive(Default)]
struct Progress {
    asked: Vec<Target>,
    refusal: Option<UpstreamAnswer>,
    last: Option<ExchangeError>,
}

impl Selector {
    /// With no servers known yet.
    pub fn new(
        clock: Arc<Clock>,
        timeout: Duration,
        first_retry: Duration,
        ttl: (Duration, Duration),
        short_nxdomain: Option<fn(&[u8]) -> bool>,
        rebind: Rebind,
    ) -> Self {
        Self {
            exchange: Exchange::new(clock.clone()),
            clock,
            loops: LoopDetector::default(),
            timeout,
            first_retry,
            ttl,
            short_nxdomain,
            rebind,
            load: Arc::default(),
            servers: Mutex::default(),
            loop_found: watch::Sender::new(()),
        }
    }

    /// Sends a query to the servers, fastest first. The next one is asked when one fails, and in
    /// parallel when one is slow; late replies still count. An error code (SERVFAIL, REFUSED, ...)
    /// is returned only if no server gave an answer.
    ///
    /// # Errors
    /// [`ForwardError::AllFailed`] if no server gave an acceptable reply, [`ForwardError::Loop`] if
    /// all servers are in a forwarding loop.
    pub async fn run(
        self: &Arc<Self>,
        query: &UpstreamQuery,
    ) -> Result<UpstreamAnswer, ForwardError> {
        self.start_loop_tests(query);
        let order = if query.is_loop_probe {
            query.servers.clone()
        } else {
            self.servers().order_by_latency(&query.servers, self.clock.now())
        };
        if order.is_empty() && !query.servers.is_empty() {
            return Err(ForwardError::Loop { servers: query.servers.clone() });
        }
        let order = self.load.without_busy(order, query.flags.recursive)?;
        let mut progress = Progress::default();
        let selector = self.run_attempts(&order, query, &mut progress);
        let received = tokio::time::timeout(self.timeout, selector).await.ok().flatten();
        let Progress { asked, refusal, last } = progress;
        received.or(refusal).ok_or_else(|| {
            if !asked.is_empty() && asked.iter().all(|server| self.servers().is_loop(server)) {
                return ForwardError::Loop { servers: asked };
            }
            let silent = asked.last().map(|server| ExchangeError::TimedOut(server.clone()));
            match last.or(silent) {
                Some(last) => {
                    ForwardError::AllFailed { servers: asked, timeout: self.timeout, last }
                }
                None => ForwardError::NoUpstream,
            }
        })
    }

    async fn run_attempts(
        self: &Arc<Self>,
        order: &[Target],
        query: &UpstreamQuery,
        progress: &mut Progress,
    ) -> Option<UpstreamAnswer> {
        let rounds = std::iter::repeat_n(order, MAX_ROUNDS).flatten();
        let mut plan: VecDeque<Target> = rounds.take(MAX_TRIES.max(order.len())).cloned().collect();
        let mut tries: Vec<(Target, Try)> = Vec::new();
        let mut retry_delay = self.retry_delay(plan.front()?);
        let mut loop_found = self.loop_found.subscribe();
        loop {
            let started = plan.pop_front();
            if let Some(server) = &started {
                if !progress.asked.contains(server) {
                    progress.asked.push(server.clone());
                }
                tries.push((
                    server.clone(),
                    Box::pin(self.clone().attempt(server.clone(), query.clone())),
                ));
            } else if tries.is_empty() {
                return None;
            }
            let under_way: Vec<Target> = tries.iter().map(|(server, _)| server.clone()).collect();
            tokio::select! {
                (server, result) = first_of(&mut tries) => {
                    plan.retain(|next| *next != server);
                    match result {
                        Ok(received) if is_final(received.answer.rcode()) => return Some(received),
                        Ok(received) => progress.refusal = Some(received),
                        Err(error) => progress.last = Some(error),
                    }
                },
                () = tokio::time::sleep(retry_delay), if started.is_some() || progress.refusal.is_some() => {
                    self.record_timeout(&started?, retry_delay);
                    self.start_loop_tests(query);
                    retry_delay *= 2;
                }
                () = self.wait_for_loop(&mut loop_found, &under_way), if !query.is_loop_probe => {
                    let servers = self.servers();
                    tries.retain(|(server, _)| !servers.is_loop(server));
                    plan.retain(|server| !servers.is_loop(server));
                    let back = progress.asked.iter().find(|server| servers.is_loop(server));
                    progress.last = back.map(|server| ExchangeError::Loop(server.clone()));
                }
            }
        }
    }

    /// Waits until one of the servers being asked is found to be in a forwarding loop.
    async fn wait_for_loop(&self, news: &mut watch::Receiver<()>, under_way: &[Target]) {
        // The sender lives as long as `self`.
        while news.changed().await.is_ok() {
            if under_way.iter().any(|server| self.servers().is_loop(server)) {
                return;
            }
        }
        pending().await
    }

    async fn attempt(
        self: Arc<Self>,
        server: Target,
        query: UpstreamQuery,
    ) -> Result<UpstreamAnswer, ExchangeError> {
        let started = self.clock.now();
        let caps = self.servers().caps(&server, started);
        let _counted = (!query.flags.recursive).then(|| self.load.count(&server));
        event("upstream", || {
            format!(
                "query to {server}: {}{}",
                describe_question(&query.question),
                if query.flags.recursive { "" } else { " (RD=0)" }
            )
        });
        let result = self.exchange.ask(&server, &query.question, query.flags, caps).await;
        let result = result.and_then(|replied| {
            let received = self.read_reply(&server, &query, &replied)?;
            let now = self.clock.now();
            match received.answer.rcode() {
                // NOTIMP may be about this one type.
                rcode::REFUSED => self.servers().record_failure(&server, now),
                code => {
                    // That it lacks something is known only if the query without it succeeded.
                    let shown = if is_final(code) { replied.caps } else { caps };
                    let latency = now.saturating_sub(started);
                    self.servers().record_reply(&server, latency, shown, now);
                }
            }
            Ok(received)
        });
        event("upstream", || {
            let took = self.clock.now().saturating_sub(started).as_micros();
            match &result {
                Ok(received) => {
                    format!("{server} replied in {took} us: {}", describe_answer(&received.answer))
                }
                Err(error) => format!("{error}, after {took} us"),
            }
        });
        if result.as_ref().is_err_and(|error| *error != ExchangeError::OverBudget) {
            self.servers().record_failure(&server, self.clock.now());
            self.exchange.forget(&server);
        }
        result
    }

    fn read_reply(
        &self,
        server: &Target,
        query: &UpstreamQuery,
        replied: &CheckedReply,
    ) -> Result<UpstreamAnswer, ExchangeError> {
        let recursive = query.flags.recursive;
        let keep_ad = recursive && query.trust_ad && server.is_path_secure();
        let malformed = |what| ExchangeError::Malformed { server: server.clone(), what };
        // A referral is useless without its glue.
        let (packet, mut answer) =
            replied.read(keep_ad, !recursive).map_err(|error| malformed(error.0))?;
        let found = lifetime(&packet, !recursive);
        let keep = self.bound_ttls(&mut answer, found, Duration::MAX);
        Ok(UpstreamAnswer {
            keep,
            answer: Arc::new(answer),
            server: server.clone(),
            bogus: false,
            unvalidated: false,
        })
    }

    /// Applies rebinding protection to an answer. It does not apply to zones with upstreams of
    /// their own, nor here to servers that the chain delegates to: those answers are checked under
    /// the client's QNAME.
    pub fn apply_rebind_policy(
        &self,
        query: &UpstreamQuery,
        received: UpstreamAnswer,
    ) -> UpstreamAnswer {
        if !query.flags.recursive || *query.zone != [0] {
            return received;
        }
        UpstreamAnswer { answer: self.strip_private(received.answer), ..received }
    }

    /// The answer, or NODATA if it points at private addresses. This comes after validation:
    /// removing records does not make the answer bogus.
    pub fn strip_private(&self, answer: Arc<Answer>) -> Arc<Answer> {
        let nothing = Packet::parse(answer.wire())
            .ok()
            .and_then(|packet| Some(Answer::nothing(&packet, &self.rebind.violation(&packet)?)));
        nothing.map_or(answer, Arc::new)
    }

    /// Brings the TTLs of an answer within the configured bounds, and returns for how long it is
    /// cached; `None` if it may not be. `found`: its kind and lifetime; `most`: the longest time
    /// that signatures permit. A negative answer's TTLs are its lifetime: the least of the SOA's
    /// TTL and its MINIMUM (RFC 2308 §5). Error codes are not subject to the bounds.
    pub fn bound_ttls(
        &self,
        answer: &mut Answer,
        found: Option<(AnswerKind, Duration)>,
        most: Duration,
    ) -> Option<(AnswerKind, Duration)> {
        let (kind, life) = found?;
        if rcode::is_failure(answer.rcode()) {
            return found;
        }
        let mut most = most.min(self.ttl.1);
        if answer.rcode() == rcode::NXDOMAIN
            && self.short_nxdomain.is_some_and(|is_short| is_short(answer.question()))
        {
            most = most.min(SHORT_NXDOMAIN_TTL);
        }
        let least = self.ttl.0.min(most);
        let life = life.max(least).min(most);
        let longest = if kind == AnswerKind::Negative { life } else { most };
        let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        answer.bound_ttls(seconds(least), seconds(longest));
        (!life.is_zero()).then_some((kind, life))
    }

    /// How long to wait for a server before the next one is asked in parallel.
    pub fn retry_delay(&self, server: &Target) -> Duration {
        self.retry_delay_after(self.servers().expected_latency(server, self.clock.now()))
    }

    fn retry_delay_after(&self, expected: Option<Duration>) -> Duration {
        match expected {
            Some(expected) => (expected * 3).clamp(self.first_retry / 2, self.first_retry * 2),
            None => self.first_retry,
        }
    }

    /// The server that would be asked first at `now`, its capabilities as far as known, and how
    /// long to wait for it before the next one is asked.
    pub fn fastest<'a>(
        &self,
        servers: &'a [Target],
        now: Duration,
    ) -> Option<(&'a Target, ServerCaps, Duration)> {
        let (server, caps, expected) = self.servers().fastest(servers, now)?;
        Some((server, caps, self.retry_delay_after(expected)))
    }

    /// The capabilities of a server, as far as known.
    pub fn caps(&self, server: &Target) -> ServerCaps {
        self.servers().caps(server, self.clock.now())
    }

    /// Records a reply to a query that was sent elsewhere.
    pub fn record_reply(&self, server: &Target, latency: Duration, caps: ServerCaps) {
        self.servers().record_reply(server, latency, caps, self.clock.now());
    }

    /// Records that a server did not reply within `waited`.
    pub fn record_timeout(&self, server: &Target, waited: Duration) {
        self.servers().record_timeout(server, waited, self.clock.now());
        self.exchange.forget(server);
    }

    /// Records that the query of a loop test has arrived. Returns the server that it was sent to,
    /// if the test is one of ours.
    pub fn on_probe(&self, token: &Token) -> Option<Target> {
        let server = self.loops.on_probe(token)?;
        if self.servers().set_is_loop(&server, true) {
            let again = LOOP_TEST_INTERVAL.as_secs();
            tracing::warn!(
                "the upstream {server} forwards to this resolver (a loop): it is not used, and tested again every {again} s"
            );
            self.loop_found.send_replace(());
        }
        Some(server)
    }

    /// Starts the loop tests that are due.
    fn start_loop_tests(self: &Arc<Self>, query: &UpstreamQuery) {
        if !query.flags.recursive || query.is_loop_probe {
            return;
        }
        let now = self.clock.now();
        for server in &query.servers {
            if !server.is_recursive() && self.servers().take_loop_test(server, now) {
                tokio::spawn(self.clone().run_loop_test(server.clone(), query.zone.clone()));
            }
        }
    }

    /// Sends a server a query that only this resolver knows, and checks whether it arrives here.
    async fn run_loop_test(self: Arc<Self>, server: Target, zone: Arc<[u8]>) {
        let mut token = Token::default();
        if getrandom::fill(&mut token).is_err() || !self.loops.register(token, &server) {
            return;
        }
        let question = loop_detect::question(&token, &zone);
        let flags = QueryFlags::plain();
        let caps = self.caps(&server);
        let asked = self.exchange.ask(&server, &question, flags, caps);
        // The reply does not matter.
        let _ = tokio::time::timeout(TEST_TIMEOUT, asked).await;
        let returned = self.loops.finish(&token);
        if !returned
            && self.servers().is_loop(&server)
            && self.servers().set_is_loop(&server, false)
        {
            tracing::info!("the upstream {server} does not forward to this resolver any more");
        }
    }

    /// The status of a server.
    pub fn status_of(&self, server: &Target) -> UpstreamStatus {
        let servers = self.servers();
        let counts = servers.counts(server);
        UpstreamStatus {
            name: server.to_string(),
            replied: counts.replied,
            failed: counts.failed,
            slow: counts.slow,
            latency: servers.expected_latency(server, self.clock.now()),
            is_loop: servers.is_loop(server),
        }
    }

    fn servers(&self) -> MutexGuard<'_, InfraCache> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The question as text.
fn describe_question(question: &[u8]) -> String {
    let (name, rest) = question.split_at(question.len().saturating_sub(4));
    let rtype = rest.first_chunk().map_or(0, |bytes| u16::from_be_bytes(*bytes));
    format!("{} {}", Name::of(name), RecordType::from(rtype))
}

/// The reply as text.
fn describe_answer(answer: &Answer) -> String {
    let count = answer.wire().get(6..8).map_or(0, |bytes| u16::from_be_bytes([bytes[0], bytes[1]]));
    match answer.rcode() {
        rcode::NOERROR if count == 1 => "NOERROR, 1 answer record".into(),
        rcode::NOERROR => format!("NOERROR, {count} answer records"),
        code => format!("{:?}", ResponseCode::from(0, code)).to_uppercase(),
    }
}

/// Whether an RCODE is about the name, and not about the server.
pub fn is_final(code: u8) -> bool {
    matches!(code, rcode::NOERROR | rcode::NXDOMAIN | rcode::YXDOMAIN)
}

/// Waits until one of the attempts ends, and removes it.
async fn first_of(
    tries: &mut Vec<(Target, Try)>,
) -> (Target, Result<UpstreamAnswer, ExchangeError>) {
    if tries.is_empty() {
        return pending().await;
    }
    poll_fn(|context| {
        for at in 0..tries.len() {
            if let Poll::Ready(ended) = tries[at].1.as_mut().poll(context) {
                let (server, _) = tries.swap_remove(at);
                return Poll::Ready((server, ended));
            }
        }
        Poll::Pending
    })
    .await
}
