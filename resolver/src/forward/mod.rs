//! Legacy DNS: the upstreams' answers through the cache.
//!
//! ```text
//! LegacyQuestion -> cache -> one flight per question -> servers in order of latency -> UDP, TCP -> check -> cache -> Reply
//! ```

mod clock;
mod decode;
#[cfg(test)]
mod decode_tests;
mod error;
mod exchange;
mod flight;
mod plain;
mod query;
mod question;
mod race;
mod servers;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::RecordType;

use crate::cache::{Answer, Cache, DEFAULT_BYTES, Hit, Key, Scope};
use clock::Clock;
use flight::{Flights, Landed, Pilot, landing};
use query::Asking;
use race::{MAX_SERVERS, Race};

pub use crate::cache::CacheStats;
pub use decode::decode;
pub use error::{ExchangeError, ForwardError};
pub use plain::{PLAIN_RANDOM, PlainReply, PlainTry};
pub use question::{LegacyQuestion, Reply, ReplySource};

/// How legacy DNS is asked. Every field is a bound or a place.
#[derive(Debug, Clone)]
pub struct LegacyConfig {
    /// The recursive servers to ask. Empty: every question is [`ForwardError::NoUpstream`].
    pub upstreams: Vec<SocketAddr>,
    /// Memory for answers, in bytes, bookkeeping included.
    pub cache_bytes: usize,
    /// How long one question may take in all, over all servers and tries.
    pub timeout: Duration,
    /// How long to wait for the first server before a second try is started beside it. It adapts to the measured
    /// latency and doubles with each try; this is what it starts from.
    pub first_retry: Duration,
    /// How many different questions may be on their way to servers at a time.
    pub max_in_flight: usize,
}

impl Default for LegacyConfig {
    fn default() -> Self {
        Self {
            upstreams: Vec::new(),
            cache_bytes: DEFAULT_BYTES,
            timeout: Duration::from_secs(5),
            first_retry: Duration::from_millis(400),
            max_in_flight: 1024,
        }
    }
}

/// Legacy DNS. Its questions are asked from within a tokio runtime.
#[derive(Debug)]
pub struct Legacy {
    upstreams: Vec<SocketAddr>,
    cache: Arc<Cache>,
    flights: Arc<Flights>,
    race: Arc<Race>,
}

impl Legacy {
    /// Sets it up. Asks nobody yet.
    ///
    /// # Errors
    /// [`ForwardError::Config`] if a bound is zero or there are more upstreams than are ever asked.
    pub fn new(config: LegacyConfig) -> Result<Self, ForwardError> {
        if config.timeout.is_zero() || config.first_retry.is_zero() || config.max_in_flight == 0 {
            return Err(ForwardError::Config(
                "timeout, first_retry and max_in_flight must be more than zero",
            ));
        }
        if config.upstreams.len() > MAX_SERVERS {
            return Err(ForwardError::Config("more than 16 upstreams"));
        }
        let race = Race {
            clock: Clock::start(),
            servers: Arc::default(),
            timeout: config.timeout,
            first_retry: config.first_retry,
        };
        Ok(Self {
            upstreams: config.upstreams,
            cache: Arc::new(Cache::new(config.cache_bytes)),
            flights: Flights::new(config.max_in_flight),
            race: Arc::new(race),
        })
    }

    /// Legacy DNS with other upstreams and times, and with what this one knows: its answers, which keep their room, what
    /// is on its way, and how its servers did.
    ///
    /// # Errors
    /// As [`Legacy::new`].
    pub fn reconfigured(&self, config: LegacyConfig) -> Result<Self, ForwardError> {
        let fresh = Self::new(LegacyConfig { cache_bytes: 0, ..config })?;
        let race = Race {
            clock: self.race.clock,
            servers: self.race.servers.clone(),
            timeout: fresh.race.timeout,
            first_retry: fresh.race.first_retry,
        };
        Ok(Self {
            upstreams: fresh.upstreams,
            cache: self.cache.clone(),
            flights: self.flights.clone(),
            race: Arc::new(race),
        })
    }

    /// The answer of the upstreams (RD=1), out of the cache if it is there.
    ///
    /// # Errors
    /// [`ForwardError`], when there is no answer at all.
    pub async fn resolve(&self, question: &LegacyQuestion) -> Result<Reply, ForwardError> {
        self.answer(&self.upstreams, Scope::Upstreams, question).await
    }

    /// The answer of these servers (RD=0), for names that the chain delegates. Cached apart from the upstreams' answers
    /// and from those of other servers. Of a long list the first 16 are asked.
    ///
    /// # Errors
    /// [`ForwardError`], when there is no answer at all.
    pub async fn ask(
        &self,
        servers: &[SocketAddr],
        question: &LegacyQuestion,
    ) -> Result<Reply, ForwardError> {
        let servers = &servers[..servers.len().min(MAX_SERVERS)];
        self.answer(servers, Scope::Servers(servers), question).await
    }

    /// The answers that are kept.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The time by which answers age: since legacy DNS was set up.
    pub fn now(&self) -> Duration {
        self.race.clock.now()
    }

    /// What the cache holds and how it did.
    pub fn cache_stats(&self) -> CacheStats {
        self.cache.stats()
    }

    /// Forgets every answer; how many went.
    pub fn flush(&self) -> u64 {
        self.cache.flush()
    }

    async fn answer(
        &self,
        servers: &[SocketAddr],
        scope: Scope<'_>,
        question: &LegacyQuestion,
    ) -> Result<Reply, ForwardError> {
        refuse_pseudo_types(question.qtype)?;
        if servers.is_empty() {
            return Err(ForwardError::NoUpstream);
        }
        let wire = question.wire();
        let key = Key::new(&wire, question.dnssec_ok, question.checking_disabled, scope);
        match self.cache.get(&key, self.race.clock.now()) {
            Some(Hit::Answer(answer, age, _due)) => return reply(&answer, age, &wire, ReplySource::Cache),
            Some(Hit::NoReply) => return Err(ForwardError::FailedRecently),
            None => {}
        }
        let (receiver, pilot) = self.flights.join(&key)?;
        if let Some(pilot) = pilot {
            let asking = Asking {
                recursive: scope == Scope::Upstreams,
                dnssec_ok: question.dnssec_ok,
                checking_disabled: question.checking_disabled,
            };
            // A task of its own: whoever asked first may go away while others wait.
            let (race, cache, servers) = (self.race.clone(), self.cache.clone(), servers.to_vec());
            let wire: Arc<[u8]> = wire.as_slice().into();
            tokio::spawn(async move { fly(&race, &cache, &servers, &wire, asking, pilot).await });
        }
        let (answer, server) = landing(receiver).await?;
        reply(&answer, 0, &wire, ReplySource::Server(server))
    }
}

async fn fly(
    race: &Arc<Race>,
    cache: &Cache,
    servers: &[SocketAddr],
    wire: &Arc<[u8]>,
    asking: Asking,
    pilot: Pilot,
) {
    let result: Landed = match race.run(servers, wire, asking).await {
        Ok(won) => {
            if let Some((kind, lifetime)) = won.keep {
                cache.insert(pilot.key(), won.answer.clone(), kind, lifetime, race.clock.now());
            }
            Ok((won.answer, won.server))
        }
        Err(error) => {
            if matches!(error, ForwardError::AllFailed { .. }) {
                cache.insert_no_reply(pilot.key(), race.clock.now());
            }
            Err(error)
        }
    };
    pilot.land(result);
}

fn reply(answer: &Answer, age: u32, question: &[u8], source: ReplySource) -> Result<Reply, ForwardError> {
    let mut wire = Vec::new();
    answer.write(age, 0, question, &mut wire);
    let message = decode(&wire).map_err(|malformed| ForwardError::Unreadable(malformed.0))?;
    Ok(Reply { message, source })
}

/// Transfers need a connection of their own, and OPT, TSIG and their like are no data (RFC 6895 §3.1).
fn refuse_pseudo_types(qtype: RecordType) -> Result<(), ForwardError> {
    if is_pseudo_type(qtype.into()) { Err(ForwardError::NotForwardable(qtype)) } else { Ok(()) }
}

fn is_pseudo_type(qtype: u16) -> bool {
    matches!(qtype, 0 | 41 | 249..=252)
}
