//! One question, several servers: who is asked when, and whose reply counts.

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
use super::infra::{InfraCache, TEST_AGAIN};
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

/// How often a question is sent in all.
const MAX_TRIES: usize = 6;
/// How often it is sent to one server.
const MAX_ROUNDS: usize = 3;
/// How many servers of a list are considered.
pub const MAX_SERVERS: usize = 16;
/// How long a question whether a server leads back to us may take.
const TEST_TIMEOUT: Duration = Duration::from_secs(2);

/// An answer, who gave it, and for how long it may be kept.
#[derive(Debug)]
pub struct UpstreamAnswer {
    pub answer: Arc<Answer>,
    pub server: Target,
    pub keep: Option<(AnswerKind, Duration)>,
    /// It is a refusal of ours, as what came was bogus.
    pub bogus: bool,
}

/// A question, and who may be asked.
#[derive(Debug, Clone)]
pub struct UpstreamQuery {
    /// QNAME without compression, QTYPE and QCLASS.
    pub question: Arc<[u8]>,
    pub flags: QueryFlags,
    pub servers: Vec<Target>,
    /// The zone, in wire form, that the servers are asked for.
    pub zone: Arc<[u8]>,
    /// The question is another resolver's look-out for circles: whoever leads back to us is asked
    /// too.
    pub is_loop_probe: bool,
    /// Whether AD is taken over from a server to which nobody is between.
    pub trust_ad: bool,
    /// Whether the answer is validated.
    pub policy: ValidationPolicy,
}

/// How an upstream does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamStatus {
    /// What it is.
    pub name: String,
    /// How often it replied.
    pub replied: u64,
    /// How often it could not be reached, refused, or made no sense.
    pub failed: u64,
    /// How often it let us wait, so that another was asked beside it.
    pub slow: u64,
    /// The latency that it is thought to have; `None`: it was not asked yet.
    pub latency: Option<Duration>,
    /// Whether it was found to lead back to us.
    pub is_loop: bool,
}

/// How questions are put to servers.
#[derive(Debug)]
pub struct Selector {
    pub clock: Arc<Clock>,
    pub exchange: Exchange,
    pub loops: LoopDetector,
    pub timeout: Duration,
    pub first_retry: Duration,
    /// How long an answer is kept at least and at most.
    pub ttl: (Duration, Duration),
    /// Which names may not have private addresses.
    pub rebind: Rebind,
    servers: Mutex<InfraCache>,
    /// Changes whenever somebody is found to lead back to us.
    loop_found: watch::Sender<()>,
}

type Try = Pin<Box<dyn Future<Output = Result<UpstreamAnswer, ExchangeError>> + Send>>;

/// What has come in so far.
#[derive(Default)]
struct Progress {
    asked: Vec<Target>,
    refusal: Option<UpstreamAnswer>,
    last: Option<ExchangeError>,
}

impl Selector {
    /// Nobody was asked yet.
    pub fn new(
        clock: Arc<Clock>,
        timeout: Duration,
        first_retry: Duration,
        ttl: (Duration, Duration),
        rebind: Rebind,
    ) -> Self {
        Self {
            exchange: Exchange::new(clock.clone()),
            clock,
            loops: LoopDetector::default(),
            timeout,
            first_retry,
            ttl,
            rebind,
            servers: Mutex::default(),
            loop_found: watch::Sender::new(()),
        }
    }

    /// Asks the servers, the fastest first. The next is asked when one fails, and beside it when
    /// one takes long; an earlier one's late reply still counts. What is no answer but a refusal
    /// (SERVFAIL, REFUSED, ...) is given back only when nobody said better.
    ///
    /// # Errors
    /// [`ForwardError::AllFailed`] if nobody gave a reply that may be believed,
    /// [`ForwardError::Loop`] if nobody is left to ask.
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
        let mut progress = Progress::default();
        let selector = self.run_attempts(&order, query, &mut progress);
        let received = tokio::time::timeout(self.timeout, selector).await.ok().flatten();
        let Progress { asked, refusal, last } = progress;
        received.or(refusal).ok_or_else(|| {
            if !asked.is_empty() && asked.iter().all(|server| self.servers().is_loop(server)) {
                return ForwardError::Loop { servers: asked };
            }
            let silent = asked.last().map(|server| ExchangeError::Silent(server.clone()));
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

    /// Waits until one of those that are being asked is found to lead back to us.
    async fn wait_for_loop(&self, news: &mut watch::Receiver<()>, under_way: &[Target]) {
        // The sender lives as long as the race.
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
        event("upstream", || {
            format!(
                "{server} is asked for {}{}",
                describe_question(&query.question),
                if query.flags.recursive { "" } else { ", without recursion" }
            )
        });
        let result = self.exchange.ask(&server, &query.question, query.flags, caps).await;
        let result = result.and_then(|replied| {
            let received = self.read_reply(&server, &query, &replied)?;
            let now = self.clock.now();
            match received.answer.rcode() {
                rcode::REFUSED | rcode::NOTIMP => self.servers().record_failure(&server, now),
                _ => self.servers().record_reply(
                    &server,
                    now.saturating_sub(started),
                    replied.caps,
                    now,
                ),
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
        if result.is_err() {
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
        let keep_ad = recursive && query.trust_ad && server.is_near();
        let malformed = |what| ExchangeError::Malformed { server: server.clone(), what };
        // A referral is nothing without its addresses.
        let (packet, answer) =
            replied.read(keep_ad, !recursive).map_err(|error| malformed(error.0))?;
        let keep =
            lifetime(&packet, !recursive).map(|(kind, life)| (kind, self.clamp_ttl(&answer, life)));
        Ok(UpstreamAnswer { keep, answer: Arc::new(answer), server: server.clone(), bogus: false })
    }

    /// What was won, without data if that is what rebinding protection says. A zone with upstreams
    /// of its own has its addresses from where its owner says, and what servers are asked for whom
    /// the chain names is judged by the name that the client has asked for.
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

    /// An answer for a name in no zone of its own; one without data in the place of one that points
    /// at private addresses. It is judged after validation: what is left out then is no lie.
    pub fn strip_private(&self, answer: Arc<Answer>) -> Arc<Answer> {
        let nothing = Packet::parse(answer.wire())
            .ok()
            .and_then(|packet| Some(Answer::nothing(&packet, &self.rebind.violation(&packet)?)));
        nothing.map_or(answer, Arc::new)
    }

    /// How long an answer is kept: its own time within the bounds. A failure's time is not an
    /// answer's.
    pub fn clamp_ttl(&self, answer: &Answer, life: Duration) -> Duration {
        let (least, most) = self.ttl;
        if matches!(answer.rcode(), rcode::SERVFAIL | rcode::REFUSED) {
            life
        } else {
            life.max(least).min(most)
        }
    }

    /// How long to wait for a server before the next is asked beside it.
    pub fn retry_delay(&self, server: &Target) -> Duration {
        match self.servers().expected_latency(server, self.clock.now()) {
            Some(expected) => (expected * 3).clamp(self.first_retry / 2, self.first_retry * 2),
            None => self.first_retry,
        }
    }

    /// The server that would be asked first now.
    pub fn fastest<'a>(&self, servers: &'a [Target]) -> Option<&'a Target> {
        self.servers().fastest(servers, self.clock.now())
    }

    /// What a server takes, as far as is known.
    pub fn caps(&self, server: &Target) -> ServerCaps {
        self.servers().caps(server, self.clock.now())
    }

    /// A server was asked elsewhere and replied after this time.
    pub fn record_reply(&self, server: &Target, latency: Duration, caps: ServerCaps) {
        self.servers().record_reply(server, latency, caps, self.clock.now());
    }

    /// A server did not reply within this time.
    pub fn record_timeout(&self, server: &Target, waited: Duration) {
        self.servers().record_timeout(server, waited, self.clock.now());
        self.exchange.forget(server);
    }

    /// A question came in with which somebody looks out for a circle: the server that it was sent
    /// to, if it was us.
    pub fn on_probe(&self, token: &Token) -> Option<Target> {
        let server = self.loops.on_probe(token)?;
        if self.servers().set_is_loop(&server, true) {
            let again = TEST_AGAIN.as_secs();
            tracing::warn!(
                "the upstream {server} leads back to this resolver: it is left out, and tested again every {again} s"
            );
            self.loop_found.send_replace(());
        }
        Some(server)
    }

    /// Tests those that kept us waiting, and those that led back to us some time ago.
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

    /// Sends a server a question that only we know, and looks whether it comes in.
    async fn run_loop_test(self: Arc<Self>, server: Target, zone: Arc<[u8]>) {
        let mut token = Token::default();
        if getrandom::fill(&mut token).is_err() || !self.loops.register(token, &server) {
            return;
        }
        let question = loop_detect::question(&token, &zone);
        let flags = QueryFlags { recursive: true, dnssec_ok: false, checking_disabled: false };
        let caps = self.caps(&server);
        let asked = self.exchange.ask(&server, &question, flags, caps);
        // What it says is of no interest.
        let _ = tokio::time::timeout(TEST_TIMEOUT, asked).await;
        let returned = self.loops.finish(&token);
        if !returned
            && self.servers().is_loop(&server)
            && self.servers().set_is_loop(&server, false)
        {
            tracing::info!("the upstream {server} does not lead back to this resolver any more");
        }
    }

    /// What is known of a server.
    pub fn standing(&self, server: &Target) -> UpstreamStatus {
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

/// A question in words.
fn describe_question(question: &[u8]) -> String {
    let (name, rest) = question.split_at(question.len().saturating_sub(4));
    let rtype = rest.first_chunk().map_or(0, |bytes| u16::from_be_bytes(*bytes));
    format!("{} {}", Name::of(name), RecordType::from(rtype))
}

/// What a reply says, in words.
fn describe_answer(answer: &Answer) -> String {
    let count = answer.wire().get(6..8).map_or(0, |bytes| u16::from_be_bytes([bytes[0], bytes[1]]));
    match answer.rcode() {
        rcode::NOERROR => format!("{count} records"),
        rcode::NXDOMAIN => "no such name".into(),
        code => format!("{:?}", ResponseCode::from(0, code)).to_uppercase(),
    }
}

/// An RCODE that says something about the name, and not about the server.
pub fn is_final(code: u8) -> bool {
    matches!(code, rcode::NOERROR | rcode::NXDOMAIN | rcode::YXDOMAIN)
}

/// Waits until one of the tries has ended and takes it out.
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
