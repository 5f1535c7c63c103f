//! From a question to its reply: what is kept, a flight where nothing is, and what has run out
//! where the flight fails.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::decode::decode;
use super::error::ForwardError;
use super::inflight::{Landed, Pilot, landing};
use super::question::{LegacyQuestion, Reply, ReplySource};
use super::select::{Job, MAX_SERVERS, Race, Won, is_final};
use super::target::Target;
use super::transport::query::Asking;
use super::validate::{Validation, Wish};
use super::zones::{Zone, Zones};
use super::{Legacy, is_pseudo_type, loop_detect};
use crate::cache::{Answer, Cache, Hit, Key, Scope};
use crate::dns::ede::Ede;
use crate::telemetry::trace::{event, in_scope};

/// How long to wait for a newer answer before one that has run out is given (RFC 8767 §5).
const STALE_AFTER: Duration = Duration::from_millis(1_800);
/// The TTL of an answer that has run out, in seconds (RFC 8767 §4).
const STALE_TTL: u32 = 30;

/// What a flight needs on its way; it may outlive the settings that it began with.
#[derive(Debug)]
pub struct Desk {
    pub zones: Zones,
    pub cache: Arc<Cache>,
    pub race: Arc<Race>,
    pub validation: Validation,
}

impl Legacy {
    /// The answer of the upstreams (RD=1), out of the cache if it is there.
    ///
    /// # Errors
    /// [`ForwardError`], when there is no answer at all.
    pub async fn resolve(&self, question: &LegacyQuestion) -> Result<Reply, ForwardError> {
        let wire: Arc<[u8]> = question.wire().into();
        let zone = self.desk.zones.of(&wire);
        let token = loop_detect::token(&wire);
        if let Some(server) = token.and_then(|token| self.desk.race.came_in(&token)) {
            return Err(ForwardError::CameBack(server));
        }
        let job = self.job(wire, question, zone, token.is_some());
        self.answer(job, zone.scope(), question).await
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
        question: &LegacyQuestion,
    ) -> Result<Reply, ForwardError> {
        let servers = &servers[..servers.len().min(MAX_SERVERS)];
        let job = Job {
            question: question.wire().into(),
            asking: asking(question, false),
            servers: servers.iter().copied().map(Target::Plain).collect(),
            zone: [0].as_slice().into(),
            passes_through: false,
            believes_ad: false,
            wish: Wish::None,
        };
        self.answer(job, Scope::Servers(servers), question).await
    }

    async fn answer(
        &self,
        job: Job,
        scope: Scope<'_>,
        question: &LegacyQuestion,
    ) -> Result<Reply, ForwardError> {
        refuse_pseudo_types(question.qtype)?;
        if job.servers.is_empty() {
            return Err(ForwardError::NoUpstream);
        }
        let wire = job.question.clone();
        let key = Key::new(&wire, question.dnssec_ok, question.checking_disabled, scope);
        let now = self.desk.race.clock.now();
        match self.desk.cache.get(&key, now) {
            Some(Hit::Answer(answer, age, due)) => {
                event("cache", || {
                    format!(
                        "an answer is kept, {age} s old{}",
                        if due { "; it is fetched again" } else { "" }
                    )
                });
                if due {
                    self.fetch_again(&key, job);
                }
                return reply(&answer, age, &wire, ReplySource::Cache);
            }
            Some(Hit::NoReply) => {
                event("cache", || "nobody replied a moment ago: nobody is asked again yet".into());
                return self.stale_or(&key, &wire, ForwardError::FailedRecently);
            }
            None => event("cache", || "nothing is kept".into()),
        }
        let (receiver, pilot) = match self.flights.join(&key) {
            Ok(joined) => joined,
            Err(error) => return self.stale_or(&key, &wire, error),
        };
        match pilot {
            Some(pilot) => self.start(pilot, job),
            None => event("legacy", || "the same question is already on its way".into()),
        }
        let landed = match self.stale(&key) {
            Some(_) => tokio::time::timeout(STALE_AFTER, landing(receiver)).await,
            None => Ok(landing(receiver).await),
        };
        match landed {
            Ok(Ok((answer, server))) => {
                match self.stale(&key).filter(|_| !is_final(answer.rcode())) {
                    Some(stale) => stale_reply(&stale, &wire),
                    None => reply(&answer, 0, &wire, ReplySource::Server(server)),
                }
            }
            Ok(Err(error)) => self.stale_or(&key, &wire, error),
            // The answer that comes later is kept for the next one.
            Err(_) => self.stale_or(&key, &wire, ForwardError::FailedRecently),
        }
    }

    /// Asks the upstreams for what is kept but near its end, unless there is enough to do.
    fn fetch_again(&self, key: &Key, job: Job) {
        if !self.flights.is_busy()
            && let Ok((_, Some(pilot))) = self.flights.join(key)
        {
            self.start(pilot, job);
        }
    }

    /// Fetches an answer anew, in the background, for whoever found out elsewhere that it is
    /// popular and near its end.
    pub fn refresh(&self, question: &LegacyQuestion) {
        let wire: Arc<[u8]> = question.wire().into();
        let zone = self.desk.zones.of(&wire);
        if zone.targets().is_empty() || is_pseudo_type(question.qtype.into()) {
            return;
        }
        let key = Key::new(&wire, question.dnssec_ok, question.checking_disabled, zone.scope());
        let job = self.job(wire, question, zone, false);
        self.fetch_again(&key, job);
    }

    fn start(&self, pilot: Pilot, job: Job) {
        // A task of its own: whoever asked first may go away while others wait.
        let desk = self.desk.clone();
        tokio::spawn(in_scope(async move {
            let won = match job.wish {
                Wish::None => desk.race.run(&job).await,
                Wish::WherePassed | Wish::Always => desk.validated(&job).await,
            };
            desk.land(pilot, won.map(|won| desk.race.guarded(&job, won)));
        }));
    }

    fn job(
        &self,
        wire: Arc<[u8]>,
        question: &LegacyQuestion,
        zone: &Zone,
        passes_through: bool,
    ) -> Job {
        Job {
            question: wire,
            asking: asking(question, true),
            servers: zone.targets().to_vec(),
            zone: zone.name().into(),
            passes_through,
            believes_ad: true,
            wish: if passes_through { Wish::None } else { zone.wish() },
        }
    }

    fn stale(&self, key: &Key) -> Option<Arc<Answer>> {
        if !self.serve_stale {
            return None;
        }
        self.desk.cache.get_stale(key, self.desk.race.clock.now()).map(|(answer, _)| answer)
    }

    /// What has run out, if there is something (RFC 8767), or the error.
    fn stale_or(
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

fn asking(question: &LegacyQuestion, recursive: bool) -> Asking {
    Asking {
        recursive,
        dnssec_ok: question.dnssec_ok,
        checking_disabled: question.checking_disabled,
    }
}

impl Desk {
    /// Keeps what came, if it may be kept.
    pub fn keep(&self, key: &Key, won: &Won) {
        let now = self.race.clock.now();
        match won.keep {
            // It takes the place of whatever was there: nothing that has run out may be given for
            // it.
            Some((_, life)) if won.bogus => {
                self.cache.replace_with_failure(key, won.answer.clone(), life, now)
            }
            Some((kind, life)) => self.cache.insert(key, won.answer.clone(), kind, life, now),
            None => {}
        }
    }

    /// Keeps what came, and gives it to all who wait.
    pub fn land(&self, pilot: Pilot, won: Result<Won, ForwardError>) {
        let result: Landed = match won {
            Ok(won) => {
                self.keep(pilot.key(), &won);
                Ok((won.answer, won.server))
            }
            Err(error) => {
                if matches!(error, ForwardError::AllFailed { .. }) {
                    self.cache.insert_no_reply(pilot.key(), self.race.clock.now());
                }
                Err(error)
            }
        };
        pilot.land(result);
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
    if is_pseudo_type(qtype.into()) { Err(ForwardError::NotForwardable(qtype)) } else { Ok(()) }
}
