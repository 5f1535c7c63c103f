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
use super::infra::{Servers, TEST_AGAIN};
use super::rebind::Rebind;
use super::target::Target;
use super::transport::exchange::{Exchange, Replied};
use super::transport::query::{Asking, Manners};
use super::validate::Wish;
use super::{
    loop_detect,
    loop_detect::{Loops, Token},
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
pub struct Won {
    pub answer: Arc<Answer>,
    pub server: Target,
    pub keep: Option<(AnswerKind, Duration)>,
    /// It is a refusal of ours, as what came was bogus.
    pub bogus: bool,
}

/// A question, and who may be asked.
#[derive(Debug, Clone)]
pub struct Job {
    /// QNAME without compression, QTYPE and QCLASS.
    pub question: Arc<[u8]>,
    pub asking: Asking,
    pub servers: Vec<Target>,
    /// The zone, in wire form, that the servers are asked for.
    pub zone: Arc<[u8]>,
    /// The question is another resolver's look-out for circles: whoever leads back to us is asked
    /// too.
    pub passes_through: bool,
    /// Whether AD is taken over from a server to which nobody is between.
    pub believes_ad: bool,
    /// Whether the answer is validated.
    pub wish: Wish,
}

/// How an upstream does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamStanding {
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
    pub leads_back: bool,
}

/// How questions are put to servers.
#[derive(Debug)]
pub struct Race {
    pub clock: Arc<Clock>,
    pub exchange: Exchange,
    pub loops: Loops,
    pub timeout: Duration,
    pub first_retry: Duration,
    /// How long an answer is kept at least and at most.
    pub ttl: (Duration, Duration),
    /// Which names may not have private addresses.
    pub rebind: Rebind,
    servers: Mutex<Servers>,
    /// Changes whenever somebody is found to lead back to us.
    turned_back: watch::Sender<()>,
}

type Try = Pin<Box<dyn Future<Output = Result<Won, ExchangeError>> + Send>>;

/// What has come in so far.
#[derive(Default)]
struct Seen {
    asked: Vec<Target>,
    said: Option<Won>,
    last: Option<ExchangeError>,
}

impl Race {
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
            loops: Loops::default(),
            timeout,
            first_retry,
            ttl,
            rebind,
            servers: Mutex::default(),
            turned_back: watch::Sender::new(()),
        }
    }

    /// Asks the servers, the fastest first. The next is asked when one fails, and beside it when
    /// one takes long; an earlier one's late reply still counts. What is no answer but a refusal
    /// (SERVFAIL, REFUSED, ...) is given back only when nobody said better.
    ///
    /// # Errors
    /// [`ForwardError::AllFailed`] if nobody gave a reply that may be believed,
    /// [`ForwardError::LeadsBack`] if nobody is left to ask.
    pub async fn run(self: &Arc<Self>, job: &Job) -> Result<Won, ForwardError> {
        self.test_those_in_doubt(job);
        let order = if job.passes_through {
            job.servers.clone()
        } else {
            self.servers().in_order(&job.servers, self.clock.now())
        };
        if order.is_empty() && !job.servers.is_empty() {
            return Err(ForwardError::LeadsBack { servers: job.servers.clone() });
        }
        let mut seen = Seen::default();
        let race = self.run_until_won(&order, job, &mut seen);
        let won = tokio::time::timeout(self.timeout, race).await.ok().flatten();
        let Seen { asked, said, last } = seen;
        won.or(said).ok_or_else(|| {
            if !asked.is_empty() && asked.iter().all(|server| self.servers().leads_back(server)) {
                return ForwardError::LeadsBack { servers: asked };
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

    async fn run_until_won(
        self: &Arc<Self>,
        order: &[Target],
        job: &Job,
        seen: &mut Seen,
    ) -> Option<Won> {
        let rounds = std::iter::repeat_n(order, MAX_ROUNDS).flatten();
        let mut plan: VecDeque<Target> = rounds.take(MAX_TRIES.max(order.len())).cloned().collect();
        let mut tries: Vec<(Target, Try)> = Vec::new();
        let mut patience = self.patience(plan.front()?);
        let mut turned_back = self.turned_back.subscribe();
        loop {
            let started = plan.pop_front();
            if let Some(server) = &started {
                if !seen.asked.contains(server) {
                    seen.asked.push(server.clone());
                }
                tries.push((
                    server.clone(),
                    Box::pin(self.clone().one_try(server.clone(), job.clone())),
                ));
            } else if tries.is_empty() {
                return None;
            }
            let under_way: Vec<Target> = tries.iter().map(|(server, _)| server.clone()).collect();
            tokio::select! {
                (server, result) = first_of(&mut tries) => {
                    plan.retain(|next| *next != server);
                    match result {
                        Ok(won) if is_final(won.answer.rcode()) => return Some(won),
                        Ok(won) => seen.said = Some(won),
                        Err(error) => seen.last = Some(error),
                    }
                },
                () = tokio::time::sleep(patience), if started.is_some() || seen.said.is_some() => {
                    self.slow(&started?, patience);
                    self.test_those_in_doubt(job);
                    patience *= 2;
                }
                () = self.turn_back(&mut turned_back, &under_way), if !job.passes_through => {
                    let servers = self.servers();
                    tries.retain(|(server, _)| !servers.leads_back(server));
                    plan.retain(|server| !servers.leads_back(server));
                    let back = seen.asked.iter().find(|server| servers.leads_back(server));
                    seen.last = back.map(|server| ExchangeError::LeadsBack(server.clone()));
                }
            }
        }
    }

    /// Waits until one of those that are being asked is found to lead back to us.
    async fn turn_back(&self, news: &mut watch::Receiver<()>, under_way: &[Target]) {
        // The sender lives as long as the race.
        while news.changed().await.is_ok() {
            if under_way.iter().any(|server| self.servers().leads_back(server)) {
                return;
            }
        }
        pending().await
    }

    async fn one_try(self: Arc<Self>, server: Target, job: Job) -> Result<Won, ExchangeError> {
        let started = self.clock.now();
        let manners = self.servers().manners(&server, started);
        event("upstream", || {
            format!(
                "{server} is asked for {}{}",
                shown(&job.question),
                if job.asking.recursive { "" } else { ", without recursion" }
            )
        });
        let result = self.exchange.ask(&server, &job.question, job.asking, manners).await;
        let result = result.and_then(|replied| {
            let won = self.judge(&server, &job, &replied)?;
            let now = self.clock.now();
            match won.answer.rcode() {
                rcode::REFUSED | rcode::NOTIMP => self.servers().failed(&server, now),
                _ => self.servers().replied(
                    &server,
                    now.saturating_sub(started),
                    replied.manners,
                    now,
                ),
            }
            Ok(won)
        });
        event("upstream", || {
            let took = self.clock.now().saturating_sub(started).as_micros();
            match &result {
                Ok(won) => format!("{server} replied in {took} us: {}", said(&won.answer)),
                Err(error) => format!("{error}, after {took} us"),
            }
        });
        if result.is_err() {
            self.servers().failed(&server, self.clock.now());
            self.exchange.forget(&server);
        }
        result
    }

    fn judge(&self, server: &Target, job: &Job, replied: &Replied) -> Result<Won, ExchangeError> {
        let recursive = job.asking.recursive;
        let keep_ad = recursive && job.believes_ad && server.is_near();
        let malformed = |what| ExchangeError::Malformed { server: server.clone(), what };
        // A referral is nothing without its addresses.
        let (packet, answer) =
            replied.read(keep_ad, !recursive).map_err(|error| malformed(error.0))?;
        let keep =
            lifetime(&packet, !recursive).map(|(kind, life)| (kind, self.bounded(&answer, life)));
        Ok(Won { keep, answer: Arc::new(answer), server: server.clone(), bogus: false })
    }

    /// What was won, without data if that is what rebinding protection says. A zone with upstreams
    /// of its own has its addresses from where its owner says, and what servers are asked for whom
    /// the chain names is judged by the name that the client has asked for.
    pub fn guarded(&self, job: &Job, won: Won) -> Won {
        if !job.asking.recursive || *job.zone != [0] {
            return won;
        }
        Won { answer: self.without_private(won.answer), ..won }
    }

    /// An answer for a name in no zone of its own; one without data in the place of one that points
    /// at private addresses. It is judged after validation: what is left out then is no lie.
    pub fn without_private(&self, answer: Arc<Answer>) -> Arc<Answer> {
        let nothing = Packet::parse(answer.wire())
            .ok()
            .and_then(|packet| Some(Answer::nothing(&packet, &self.rebind.objects(&packet)?)));
        nothing.map_or(answer, Arc::new)
    }

    /// How long an answer is kept: its own time within the bounds. A failure's time is not an
    /// answer's.
    pub fn bounded(&self, answer: &Answer, life: Duration) -> Duration {
        let (least, most) = self.ttl;
        if matches!(answer.rcode(), rcode::SERVFAIL | rcode::REFUSED) {
            life
        } else {
            life.max(least).min(most)
        }
    }

    /// How long to wait for a server before the next is asked beside it.
    pub fn patience(&self, server: &Target) -> Duration {
        match self.servers().expected(server, self.clock.now()) {
            Some(expected) => (expected * 3).clamp(self.first_retry / 2, self.first_retry * 2),
            None => self.first_retry,
        }
    }

    /// The server that would be asked first now.
    pub fn fastest<'a>(&self, servers: &'a [Target]) -> Option<&'a Target> {
        self.servers().fastest(servers, self.clock.now())
    }

    /// What a server takes, as far as is known.
    pub fn manners(&self, server: &Target) -> Manners {
        self.servers().manners(server, self.clock.now())
    }

    /// A server was asked elsewhere and replied after this time.
    pub fn replied(&self, server: &Target, latency: Duration, manners: Manners) {
        self.servers().replied(server, latency, manners, self.clock.now());
    }

    /// A server did not reply within this time.
    pub fn slow(&self, server: &Target, waited: Duration) {
        self.servers().slow(server, waited, self.clock.now());
        self.exchange.forget(server);
    }

    /// A question came in with which somebody looks out for a circle: the server that it was sent
    /// to, if it was us.
    pub fn came_in(&self, token: &Token) -> Option<Target> {
        let server = self.loops.came_in(token)?;
        if self.servers().found(&server, true) {
            let again = TEST_AGAIN.as_secs();
            tracing::warn!(
                "the upstream {server} leads back to this resolver: it is left out, and tested again every {again} s"
            );
            self.turned_back.send_replace(());
        }
        Some(server)
    }

    /// Tests those that kept us waiting, and those that led back to us some time ago.
    fn test_those_in_doubt(self: &Arc<Self>, job: &Job) {
        if !job.asking.recursive || job.passes_through {
            return;
        }
        let now = self.clock.now();
        for server in &job.servers {
            if !server.is_recursive() && self.servers().take_test(server, now) {
                tokio::spawn(self.clone().test(server.clone(), job.zone.clone()));
            }
        }
    }

    /// Sends a server a question that only we know, and looks whether it comes in.
    async fn test(self: Arc<Self>, server: Target, zone: Arc<[u8]>) {
        let mut token = Token::default();
        if getrandom::fill(&mut token).is_err() || !self.loops.expect(token, &server) {
            return;
        }
        let question = loop_detect::question(&token, &zone);
        let asking = Asking { recursive: true, dnssec_ok: false, checking_disabled: false };
        let manners = self.manners(&server);
        let asked = self.exchange.ask(&server, &question, asking, manners);
        // What it says is of no interest.
        let _ = tokio::time::timeout(TEST_TIMEOUT, asked).await;
        let came_back = self.loops.end(&token);
        if !came_back && self.servers().leads_back(&server) && self.servers().found(&server, false)
        {
            tracing::info!("the upstream {server} does not lead back to this resolver any more");
        }
    }

    /// What is known of a server.
    pub fn standing(&self, server: &Target) -> UpstreamStanding {
        let servers = self.servers();
        let counts = servers.counts(server);
        UpstreamStanding {
            name: server.to_string(),
            replied: counts.replied,
            failed: counts.failed,
            slow: counts.slow,
            latency: servers.expected(server, self.clock.now()),
            leads_back: servers.leads_back(server),
        }
    }

    fn servers(&self) -> MutexGuard<'_, Servers> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question in words.
fn shown(question: &[u8]) -> String {
    let (name, rest) = question.split_at(question.len().saturating_sub(4));
    let rtype = rest.first_chunk().map_or(0, |bytes| u16::from_be_bytes(*bytes));
    format!("{} {}", Name::of(name), RecordType::from(rtype))
}

/// What a reply says, in words.
fn said(answer: &Answer) -> String {
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
async fn first_of(tries: &mut Vec<(Target, Try)>) -> (Target, Result<Won, ExchangeError>) {
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
