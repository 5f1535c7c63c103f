//! Legacy DNS: the upstreams' answers, validated, through the cache.
//!
//! ```text
//! LegacyQuestion -> zone -> cache -> one flight per question -> servers in order of latency -> exchange -> check -> validate -> cache -> Reply
//!                                                        exchange: UDP, TCP | channel: TCP, TLS, HTTPS, QUIC, recursive
//! ```

mod config;
mod decode;
#[cfg(test)]
mod decode_tests;
mod error;
mod first_try;
mod inflight;
mod infra;
mod loop_detect;
mod question;
mod rebind;
mod resolve;
mod select;
mod target;
#[cfg(any(test, fuzzing))]
pub mod testing;
#[cfg(test)]
mod tests;
mod transport;
mod validate;
mod zones;

use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::Name;

use crate::cache::{Cache, DEFAULT_BYTES, MAX_POSITIVE_TTL, MAX_STALE_AGE};
use crate::os::clock::Clock;
use inflight::InFlight;
use resolve::Shared;
use select::{MAX_SERVERS, Selector};
use target::Targets;
use validate::DnssecSupport;
use zones::{MAX_ZONES, Zone, Zones};

pub use crate::cache::CacheStats;
pub use config::{Options, Protocol, Secure, Trust, Upstream, UpstreamError};
pub use decode::decode;
pub use error::{ExchangeError, ForwardError};
pub use first_try::{FIRST_TRY_RANDOM_BYTES, FirstReply, FirstTry};
pub use question::{LegacyQuestion, Reply, ReplySource};
pub use rebind::{Rebind, RebindPolicy, error as rebind_error, private_among};
pub use select::UpstreamStatus;
pub use target::Target;
pub use transport::{ChannelError, RecursiveConfig, sha256};
pub use validate::{UpstreamDnssec, ValidateConfig, ValidateMode};

/// How legacy DNS is asked. Every field is a bound or a place.
#[derive(Debug, Clone)]
pub struct UpstreamsConfig {
    /// Who is asked. Nobody: every question is [`ForwardError::NoUpstream`].
    pub upstreams: Vec<Upstream>,
    /// Zones with upstreams of their own.
    pub zones: Vec<ForwardZone>,
    /// How [`Upstream::Recursive`] works.
    pub recursive: RecursiveConfig,
    /// Memory for answers, in bytes, bookkeeping included.
    pub cache_bytes: usize,
    /// How long an answer is kept at least, whatever its TTL; a TTL of 0 is kept by nobody.
    pub min_ttl: Duration,
    /// How long an answer is kept at most.
    pub max_ttl: Duration,
    /// For how long an answer that has run out may be given when nobody gives a newer one (RFC
    /// 8767); zero: never.
    pub serve_stale: Duration,
    /// How long one question may take in all, over all servers and tries.
    pub timeout: Duration,
    /// How long to wait for the first server before a second try is started beside it. It adapts to
    /// the measured latency and doubles with each try; this is what it starts from.
    pub first_retry: Duration,
    /// How many different questions may be on their way to servers at a time.
    pub max_in_flight: usize,
    /// Which answers are validated, and by what.
    pub validate: ValidateConfig,
    /// Which names may not point at private addresses.
    pub rebind: Rebind,
}

/// A zone with upstreams of its own. Its names are never asked of anybody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardZone {
    /// Its name.
    pub zone: Name,
    /// Who is asked.
    pub upstreams: Vec<Upstream>,
    /// Whether its answers are validated as all others are; unless that is said, only below a trust
    /// anchor of its own.
    pub validate: Option<bool>,
}

impl Default for UpstreamsConfig {
    fn default() -> Self {
        Self {
            upstreams: Vec::new(),
            zones: Vec::new(),
            recursive: RecursiveConfig::default(),
            cache_bytes: DEFAULT_BYTES,
            min_ttl: Duration::ZERO,
            max_ttl: MAX_POSITIVE_TTL,
            serve_stale: MAX_STALE_AGE,
            timeout: Duration::from_secs(5),
            first_retry: Duration::from_millis(400),
            max_in_flight: 1024,
            validate: ValidateConfig::default(),
            rebind: Rebind::default(),
        }
    }
}

/// Legacy DNS. Its questions are asked from within a tokio runtime.
#[derive(Debug)]
pub struct Upstreams {
    shared: Arc<Shared>,
    in_flight: Arc<InFlight>,
    serve_stale: bool,
    validate: ValidateConfig,
}

impl Upstreams {
    /// Sets it up. Asks nobody yet.
    ///
    /// # Errors
    /// [`ForwardError::Config`] if a bound is zero or there are more upstreams than are ever asked,
    /// [`ForwardError::Upstream`] if one can't be set up.
    pub fn new(config: UpstreamsConfig) -> Result<Self, ForwardError> {
        let cache = Arc::new(Cache::with_stale(config.cache_bytes, config.serve_stale));
        Self::with_cache(config, cache, Arc::new(Clock::start()))
    }

    /// As [`Upstreams::new`], at another time of day: signatures are judged as if it were so many
    /// seconds after 1970 now.
    ///
    /// # Errors
    /// As [`Upstreams::new`].
    pub fn at(config: UpstreamsConfig, unix: u64) -> Result<Self, ForwardError> {
        let cache = Arc::new(Cache::with_stale(config.cache_bytes, config.serve_stale));
        Self::with_cache(config, cache, Arc::new(Clock::at(unix)))
    }

    /// The same answers with other settings, of which `cache_bytes` and how long stale answers are
    /// kept stay as they are. What is kept for names that are asked of others now is forgotten.
    ///
    /// # Errors
    /// As [`Upstreams::new`]; nothing is forgotten then.
    pub fn reconfigured(&self, config: UpstreamsConfig) -> Result<Self, ForwardError> {
        let new = Self::with_cache(
            config,
            self.shared.cache.clone(),
            self.shared.selector.clock.clone(),
        )?;
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

    fn with_cache(
        config: UpstreamsConfig,
        cache: Arc<Cache>,
        clock: Arc<Clock>,
    ) -> Result<Self, ForwardError> {
        if config.timeout.is_zero() || config.first_retry.is_zero() || config.max_in_flight == 0 {
            return Err(ForwardError::Config(
                "timeout, first_retry and max_in_flight must be more than zero",
            ));
        }
        let too_many = |upstreams: &[Upstream]| upstreams.len() > MAX_SERVERS;
        if too_many(&config.upstreams) || config.zones.iter().any(|zone| too_many(&zone.upstreams))
        {
            return Err(ForwardError::Config("more than 16 upstreams"));
        }
        if config.zones.len() > MAX_ZONES {
            return Err(ForwardError::Config("more than 256 zones with upstreams of their own"));
        }
        if config.rebind.allow.len() > rebind::MAX_ALLOWED {
            return Err(ForwardError::Config("more than 256 zones in rebind-allow"));
        }
        let mut targets = Targets::new(&config.recursive, &clock);
        let rest = targets.of(&config.upstreams)?;
        let anchors = config.validate.anchors(&config.zones)?;
        let mut zones = Vec::new();
        for zone in &config.zones {
            let name = question::name_wire(&zone.zone);
            zones.push(Zone::new(
                name,
                targets.of(&zone.upstreams)?,
                config.validate.policy_of(zone),
            ));
        }
        let ttl = (config.min_ttl.min(config.max_ttl), config.max_ttl);
        let shared = Shared {
            zones: Zones::new(zones, rest, config.validate.policy()),
            cache,
            selector: Arc::new(Selector::new(
                clock,
                config.timeout,
                config.first_retry,
                ttl,
                config.rebind,
            )),
            dnssec: DnssecSupport::new(anchors, config.max_in_flight),
        };
        Ok(Self {
            shared: Arc::new(shared),
            in_flight: InFlight::new(config.max_in_flight),
            serve_stale: !config.serve_stale.is_zero(),
            validate: config.validate,
        })
    }

    /// Whether a name is in a zone with upstreams of its own.
    pub fn has_zone(&self, name: &Name) -> bool {
        !self.shared.zones.of(&question::name_wire(name)).is_rest()
    }

    /// Whether the same upstreams are asked for both names: only then may one's answer speak of the
    /// other.
    pub fn same_zone(&self, one: &Name, other: &Name) -> bool {
        let zone = |name: &Name| self.shared.zones.of(&question::name_wire(name)).name();
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

    /// The answers that are kept.
    pub fn cache(&self) -> &Cache {
        &self.shared.cache
    }

    /// The time by which answers age: since legacy DNS was set up.
    pub fn now(&self) -> Duration {
        self.shared.selector.clock.now()
    }

    /// Puts its clock forward: answers age, and servers that failed are forgiven. For whoever plays
    /// through what takes days.
    pub fn put_forward(&self, by: Duration) {
        self.shared.selector.clock.put_forward(by);
    }

    /// How many different questions are on their way to servers.
    pub fn in_flight(&self) -> usize {
        self.in_flight.count()
    }

    /// What the cache holds and how it did.
    pub fn cache_stats(&self) -> CacheStats {
        self.shared.cache.stats()
    }

    /// Forgets every answer; how many went.
    pub fn flush(&self) -> u64 {
        self.shared.cache.flush()
    }
}

fn is_pseudo_type(qtype: u16) -> bool {
    matches!(qtype, 0 | 41 | 249..=252)
}
