//! Legacy DNS: the upstreams' answers, validated, through the cache.
//!
//! ```text
//! Question -> zone -> cache -> one query in flight per question -> servers in order of latency
//!          -> transport -> check -> validate -> cache -> Reply
//! transport: UDP, TCP | kept connections: TCP, TLS, HTTPS, QUIC | a recursive resolver of our own
//! ```

mod config;
mod decode;
#[cfg(test)]
mod decode_tests;
mod dnssec_support;
mod error;
mod first_try;
mod inflight;
mod infra;
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
mod validate;
mod zones;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::Name;

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

/// Legacy DNS. Its questions are asked from within a tokio runtime.
#[derive(Debug)]
pub struct Upstreams {
    shared: Arc<Shared>,
    resolver: CachingResolver,
    validate: ValidateConfig,
}

impl Upstreams {
    /// Sets it up with a cache for its answers and the clock by which they age. Asks nobody yet.
    ///
    /// # Errors
    /// [`ForwardError::Config`] if a bound is zero or there are more upstreams than are ever asked,
    /// [`ForwardError::Upstream`] if one can't be set up.
    pub fn new(
        config: UpstreamsConfig,
        cache: Arc<Cache>,
        clock: Arc<Clock>,
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
        let selector = Selector::new(clock, config.timeout, config.first_retry, ttl, config.rebind);
        let shared = Arc::new(Shared {
            zones: Zones::new(zones, rest, config.validate.policy()),
            cache,
            selector: Arc::new(selector),
            dnssec: DnssecSupport::new(anchors, config.max_in_flight),
        });
        let resolver = CachingResolver {
            shared: shared.clone(),
            in_flight: InFlight::new(config.max_in_flight),
            serve_stale: !config.serve_stale.is_zero(),
        };
        Ok(Self { shared, resolver, validate: config.validate })
    }

    /// With a cache and a clock of its own, for whoever has a few questions and no server.
    ///
    /// # Errors
    /// As [`Upstreams::new`].
    pub fn standalone(config: UpstreamsConfig) -> Result<Self, ForwardError> {
        let cache = Arc::new(config.new_cache());
        Self::new(config, cache, Arc::new(Clock::start()))
    }

    /// The same answers with other settings, of which `cache_bytes` and how long stale answers are
    /// kept stay as they are. What is kept for names that are asked of others now is forgotten.
    ///
    /// # Errors
    /// As [`Upstreams::new`]; nothing is forgotten then.
    pub fn reconfigured(&self, config: UpstreamsConfig) -> Result<Self, ForwardError> {
        let (cache, clock) = (self.shared.cache.clone(), self.shared.selector.clock.clone());
        let new = Self::new(config, cache, clock)?;
        for zone in new
            .shared
            .zones
            .other_than(&self.shared.zones)
            .chain(self.shared.zones.other_than(&new.shared.zones))
        {
            self.shared.cache.flush_zone(zone.name());
        }
        // What is kept was judged as it came.
        if new.validate != self.validate
            || new.shared.selector.rebind != self.shared.selector.rebind
        {
            self.shared.cache.flush();
        }
        Ok(new)
    }

    /// Whether a name is in a zone with upstreams of its own.
    pub fn has_zone(&self, name: &Name) -> bool {
        !self.shared.zones.of(&names::to_wire(name)).is_rest()
    }

    /// Whether the same upstreams are asked for both names: only then may one's answer speak of the
    /// other.
    pub fn same_zone(&self, one: &Name, other: &Name) -> bool {
        let zone = |name: &Name| self.shared.zones.of(&names::to_wire(name)).name();
        zone(one) == zone(other)
    }

    /// How the upstreams do, each once, those of zones of their own included.
    pub fn upstreams(&self) -> Vec<UpstreamStatus> {
        self.shared
            .zones
            .targets()
            .into_iter()
            .map(|target| self.shared.selector.standing(target))
            .collect()
    }

    /// Which names may not point at private addresses.
    pub fn rebind(&self) -> &Rebind {
        &self.shared.selector.rebind
    }

    /// The time by which answers age: since legacy DNS was set up.
    pub fn now(&self) -> Duration {
        self.shared.selector.clock.now()
    }

    /// How many different questions are on their way to servers.
    pub fn in_flight(&self) -> usize {
        self.resolver.in_flight.count()
    }

    /// The answer of the upstreams (RD=1), out of the cache if it is there.
    ///
    /// # Errors
    /// [`ForwardError`], when there is no answer at all.
    pub async fn resolve(&self, question: &Question) -> Result<Reply, ForwardError> {
        self.resolver.resolve(question).await
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
        question: &Question,
    ) -> Result<Reply, ForwardError> {
        self.resolver.ask(servers, question).await
    }

    /// Fetches an answer anew, in the background, for whoever found out elsewhere that it is
    /// popular and near its end.
    pub fn refresh(&self, question: &Question) {
        self.resolver.refresh(question);
    }

    /// The plain-DNS upstream that would be asked first now for a name (in wire form, any case).
    /// `None` if there is none, if the one that would be asked first speaks something else, if the
    /// name is in a zone with upstreams of its own, or if nobody has found out yet whether the
    /// upstreams pass DNSSEC on.
    pub fn first_try_server(&self, name: &[u8]) -> Option<SocketAddr> {
        FirstTries(&self.shared).server(name)
    }

    /// How long to wait for an upstream before somebody else is asked.
    pub fn first_try_delay(&self, server: SocketAddr) -> Duration {
        self.shared.selector.retry_delay(&server.into())
    }

    /// The query for a question (QNAME without compression, QTYPE, QCLASS, in any case) to the
    /// upstream that would be asked first. `None` if that is for [`Upstreams::resolve`] to do.
    pub fn first_try(
        &self,
        question: &[u8],
        dnssec_ok: bool,
        checking_disabled: bool,
        random: &[u8; FIRST_TRY_RANDOM_BYTES],
    ) -> Option<FirstTry> {
        FirstTries(&self.shared).start(question, dnssec_ok, checking_disabled, random)
    }

    /// Judges a datagram that came `rtt` after the query was sent (RFC 5452 §9: source, id,
    /// question and its case), keeps an answer, and keeps in mind how fast the upstream is.
    pub fn on_first_reply(
        &self,
        asked: &FirstTry,
        from: SocketAddr,
        datagram: &[u8],
        rtt: Duration,
    ) -> FirstReply {
        FirstTries(&self.shared).on_reply(asked, from, datagram, rtt)
    }

    /// No answer came within `waited`: the upstream is thought of as slow from now on.
    pub fn on_first_timeout(&self, server: SocketAddr, waited: Duration) {
        self.shared.selector.record_timeout(&server.into(), waited);
    }

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
