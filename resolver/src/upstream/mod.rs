//! Legacy DNS: queries to the upstreams, validation of their answers, and the cache.
//!
//! ```text
//! Question -> zone -> cache -> one query in flight per question -> servers in order of latency
//!          -> transport -> check -> validate -> cache -> Reply
//! transport: UDP, TCP | kept connections: TCP, TLS, HTTPS, QUIC | a recursive resolver of our own
//! ```

mod budget;
mod config;
mod decode;
#[cfg(test)]
mod decode_tests;
mod dnssec_support;
mod error;
mod first_try;
mod inflight;
mod infra;
mod judge;
mod load;
mod loop_detect;
mod policy;
mod rebind;
mod reply;
mod resolve;
mod select;
mod server;
mod shared;
mod target;
#[cfg(any(test, fuzzing))]
pub mod testing;
#[cfg(test)]
mod tests;
mod transport;
mod unvalidated;
mod validate;
mod zones;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hickory_proto::rr::{Name, RecordType};

use crate::cache::Cache;
use crate::dns::names;
use crate::dns::query::Question;
use crate::dnssec::validate::ValidatorStats;
use crate::os::clock::Clock;
use dnssec_support::DnssecSupport;
use first_try::FirstTries;
use inflight::InFlight;
use resolve::CachingResolver;
use select::Selector;
use shared::Shared;
use target::Targets;
use zones::{ZoneTargets, Zones};

pub use crate::cache::CacheStats;
pub use budget::{MAX_MESSAGES_PER_QUESTION, bounded};
pub use config::{ForwardZone, UpstreamsConfig, ValidateConfig, ValidateMode};
pub use decode::decode;
pub use dnssec_support::UpstreamDnssec;
pub use error::{ExchangeError, ForwardError};
pub use first_try::{FIRST_TRY_RANDOM_BYTES, FirstReply, FirstTry};
pub use rebind::{Rebind, RebindPolicy, error as rebind_error, private_among};
pub use reply::{Reply, ReplySource};
pub use select::UpstreamStatus;
pub use server::{Options, Protocol, Secure, Trust, Upstream, UpstreamError};
pub use target::Target;
pub use transport::{ChannelError, RecursiveConfig, sha256};

/// Legacy DNS. Its functions must be called from within a tokio runtime.
#[derive(Debug)]
pub struct Upstreams {
    shared: Arc<Shared>,
    resolver: CachingResolver,
    validate: ValidateConfig,
}

impl Upstreams {
    /// Sets it up with a cache, and the clock by which answers age. Sends nothing yet.
    ///
    /// # Errors
    /// [`ForwardError::Config`] if a bound is zero or there are too many upstreams,
    /// [`ForwardError::Upstream`] if one can't be set up.
    pub fn new(
        config: UpstreamsConfig,
        cache: Arc<Cache>,
        clock: Arc<Clock>,
    ) -> Result<Self, ForwardError> {
        Self::with_generation(config, cache, clock, 0)
    }

    fn with_generation(
        config: UpstreamsConfig,
        cache: Arc<Cache>,
        clock: Arc<Clock>,
        generation: u64,
    ) -> Result<Self, ForwardError> {
        config.check()?;
        let mut targets = Targets::new(&config.recursive, &clock);
        let rest = targets.of(&config.upstreams)?;
        let anchors = config.validate.anchors(&config.zones)?;
        let mut zones = Vec::new();
        for zone in &config.zones {
            let name = names::to_wire(&zone.zone);
            let policy = config.validate.policy_of(zone);
            zones.push(ZoneTargets::new(name, targets.of(&zone.upstreams)?, policy));
        }
        let ttl = (config.min_ttl.min(config.max_ttl), config.max_ttl);
        let selector = Selector::new(
            clock,
            config.timeout,
            config.first_retry,
            ttl,
            config.short_nxdomain,
            config.rebind,
        );
        let shared = Arc::new(Shared {
            zones: Zones::new(zones, rest, config.validate.policy()),
            cache,
            selector: Arc::new(selector),
            dnssec: DnssecSupport::new(anchors, config.max_in_flight),
            generation,
            retired: AtomicBool::new(false),
        });
        let resolver = CachingResolver {
            shared: shared.clone(),
            in_flight: InFlight::new(config.max_in_flight),
            serve_stale: !config.serve_stale.is_zero(),
        };
        Ok(Self { shared, resolver, validate: config.validate })
    }

    /// With a cache and a clock of its own, for programs that send a few queries and serve none.
    ///
    /// # Errors
    /// As [`Upstreams::new`].
    pub fn standalone(config: UpstreamsConfig) -> Result<Self, ForwardError> {
        let cache = Arc::new(config.new_cache());
        Self::new(config, cache, Arc::new(Clock::start()))
    }

    /// A copy with another configuration and the same cache, whose size and stale time do not
    /// change. Once it is in force, call [`Upstreams::take_over`].
    ///
    /// # Errors
    /// As [`Upstreams::new`].
    pub fn reconfigured(&self, config: UpstreamsConfig) -> Result<Self, ForwardError> {
        let (cache, clock) = (self.shared.cache.clone(), self.shared.selector.clock.clone());
        Self::with_generation(config, cache, clock, self.shared.generation + 1)
    }

    /// Removes from the cache what `before` put there and these settings would not: answers for
    /// names that now have other upstreams, all answers if they were validated, filtered or bounded
    /// in another way, and all failures. Queries of `before` in flight still get their answers,
    /// which are not cached.
    pub fn take_over(&self, before: &Self) {
        let (old, new, cache) = (&before.shared, &self.shared, &self.shared.cache);
        old.retire();
        if self.validate != before.validate
            || new.selector.rebind != old.selector.rebind
            || new.selector.ttl != old.selector.ttl
            || new.selector.short_nxdomain.is_some() != old.selector.short_nxdomain.is_some()
            || new.zones.has_other_rest(&old.zones)
        {
            cache.flush();
            return;
        }
        new.dnssec.unvalidated.inherit(&old.dnssec.unvalidated);
        let changed =
            new.zones.different_from(&old.zones).chain(old.zones.different_from(&new.zones));
        for zone in changed {
            cache.flush_zone(zone.name());
        }
        cache.flush_failures();
    }

    /// Removes all zones' keys, and which zones are bogus.
    pub fn flush_keys(&self) {
        self.shared.dnssec.validator.flush();
    }

    /// Whether a name is in a zone with upstreams of its own.
    pub fn has_zone(&self, name: &Name) -> bool {
        !self.shared.zones.of(&names::to_wire(name)).is_rest()
    }

    /// Whether a question is for a zone with upstreams of its own: for DS that is the zone of the
    /// name's parent.
    pub fn has_zone_for(&self, name: &Name, qtype: RecordType) -> bool {
        let mut question = names::to_wire(name);
        question.extend_from_slice(&u16::from(qtype).to_be_bytes());
        question.extend_from_slice(&[0, 1]);
        !self.shared.zones.of_question(&question).is_rest()
    }

    /// Whether both names have the same upstreams: only then may an answer for one contain records
    /// of the other.
    pub fn same_zone(&self, one: &Name, other: &Name) -> bool {
        let zone = |name: &Name| self.shared.zones.of(&names::to_wire(name)).name();
        zone(one) == zone(other)
    }

    /// The status of each upstream, including those of zones.
    pub fn upstreams(&self) -> Vec<UpstreamStatus> {
        self.shared
            .zones
            .targets()
            .into_iter()
            .map(|target| self.shared.selector.status_of(target))
            .collect()
    }

    /// Which names may not point at private addresses.
    pub fn rebind(&self) -> &Rebind {
        &self.shared.selector.rebind
    }

    /// The time since legacy DNS was set up, by which answers age.
    pub fn now(&self) -> Duration {
        self.shared.selector.clock.now()
    }

    /// How many distinct queries are in flight.
    pub fn in_flight(&self) -> usize {
        self.resolver.in_flight.count()
    }

    /// The upstreams' answer (RD=1), from the cache if it is there.
    ///
    /// # Errors
    /// [`ForwardError`], if there is no answer.
    pub async fn resolve(&self, question: &Question) -> Result<Reply, ForwardError> {
        self.resolver.resolve(question).await
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
        self.resolver.ask(servers, question).await
    }

    /// Fetches an answer again in the background. For callers with a popular answer that is about
    /// to expire.
    pub fn refresh(&self, question: &Question) {
        self.resolver.refresh(question);
    }

    /// The plain-DNS upstream that would be asked first now for a name (in wire form, any case).
    /// `None` if there is none, if another transport would be used, if the name is in a zone with
    /// upstreams of its own, or if it is not known yet whether the upstreams support DNSSEC.
    pub fn first_try_server(&self, name: &[u8]) -> Option<SocketAddr> {
        FirstTries(&self.shared).server(name)
    }

    /// The query for a question (uncompressed QNAME, QTYPE, QCLASS, any case) to the upstream that
    /// would be asked first. `None` if [`Upstreams::resolve`] has to be used.
    pub fn first_try(
        &self,
        question: &[u8],
        dnssec_ok: bool,
        checking_disabled: bool,
        random: &[u8; FIRST_TRY_RANDOM_BYTES],
    ) -> Option<FirstTry> {
        FirstTries(&self.shared).start(question, dnssec_ok, checking_disabled, random)
    }

    /// Checks a datagram that came `rtt` after the query was sent (RFC 5452 §9: source, id,
    /// question and its case), caches the answer, and records the upstream's latency.
    pub fn on_first_reply(
        &self,
        asked: &FirstTry,
        from: SocketAddr,
        datagram: &[u8],
        rtt: Duration,
    ) -> FirstReply {
        FirstTries(&self.shared).on_reply(asked, from, datagram, rtt)
    }

    /// Records that no answer came within `waited`.
    pub fn on_first_timeout(&self, server: SocketAddr, waited: Duration) {
        self.shared.selector.record_timeout(&server.into(), waited);
    }

    /// The DNSSEC support of each upstream.
    pub fn upstream_dnssec(&self) -> Vec<(String, UpstreamDnssec)> {
        let zones = self.shared.zones.all();
        let mut found: Vec<(String, UpstreamDnssec)> = Vec::new();
        for target in zones.flat_map(|zone| zone.targets()) {
            if !found.iter().any(|(label, _)| *label == target.to_string()) {
                let state = match target.validates() {
                    Some(true) => UpstreamDnssec::Supported,
                    Some(false) => {
                        UpstreamDnssec::Unsupported("validation is configured off".into())
                    }
                    None => self.shared.dnssec.state(target),
                };
                found.push((target.to_string(), state));
            }
        }
        found
    }

    /// The validator's counters.
    pub fn validation_counts(&self) -> ValidatorStats {
        self.shared.dnssec.validator.stats()
    }
}
