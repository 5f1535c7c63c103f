//! The settings of legacy DNS.

use std::time::Duration;

use hickory_proto::rr::Name;

use super::error::ForwardError;
use super::policy::ValidationPolicy;
use super::rebind::{MAX_ALLOWED, Rebind};
use super::select::MAX_SERVERS;
use super::server::Upstream;
use super::transport::RecursiveConfig;
use super::zones::MAX_ZONES;
use crate::cache::{Cache, DEFAULT_BYTES, MAX_POSITIVE_TTL, MAX_STALE_AGE};
use crate::dns::{name::Name as WireName, names};
use crate::dnssec::validate::Anchors;

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

impl UpstreamsConfig {
    /// An empty cache of the size that is asked for.
    pub fn new_cache(&self) -> Cache {
        Cache::with_stale(self.cache_bytes, self.serve_stale)
    }

    /// # Errors
    /// [`ForwardError::Config`] if a bound is zero or a list too long.
    pub(super) fn check(&self) -> Result<(), ForwardError> {
        if self.timeout.is_zero() || self.first_retry.is_zero() || self.max_in_flight == 0 {
            return Err(ForwardError::Config(
                "timeout, first_retry and max_in_flight must be more than zero",
            ));
        }
        let too_many = |upstreams: &[Upstream]| upstreams.len() > MAX_SERVERS;
        if too_many(&self.upstreams) || self.zones.iter().any(|zone| too_many(&zone.upstreams)) {
            return Err(ForwardError::Config("more than 16 upstreams"));
        }
        if self.zones.len() > MAX_ZONES {
            return Err(ForwardError::Config("more than 256 zones with upstreams of their own"));
        }
        if self.rebind.allow.len() > MAX_ALLOWED {
            return Err(ForwardError::Config("more than 256 zones in rebind-allow"));
        }
        Ok(())
    }
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
        let name = WireName::of(&names::to_wire(&zone.zone));
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
        let names = none.map(|zone| WireName::of(&names::to_wire(&zone.zone)));
        let anchors = self.anchors.clone().with_insecure(names);
        anchors.map_err(|_| ForwardError::Config("more than 256 zones that are not validated"))
    }
}
