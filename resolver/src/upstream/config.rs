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

/// The configuration of legacy DNS.
#[derive(Debug, Clone)]
pub struct UpstreamsConfig {
    /// The upstreams. With none, every query fails with [`ForwardError::NoUpstream`].
    pub upstreams: Vec<Upstream>,
    /// Zones with upstreams of their own.
    pub zones: Vec<ForwardZone>,
    /// The configuration of [`Upstream::Recursive`].
    pub recursive: RecursiveConfig,
    /// The size of the cache in bytes, including its bookkeeping.
    pub cache_bytes: usize,
    /// The least TTL of answers, here and for clients. Signatures may permit less.
    pub min_ttl: Duration,
    /// The greatest TTL of answers, here and for clients.
    pub max_ttl: Duration,
    /// Whether a name (a question in wire form) may exist a moment later: then NXDOMAIN has a TTL
    /// of 30 seconds at most.
    pub short_nxdomain: Option<fn(&[u8]) -> bool>,
    /// For how long an expired answer may be served when no upstream gives a newer one (RFC 8767);
    /// zero: never.
    pub serve_stale: Duration,
    /// How long one query may take in all, over all servers and retries.
    pub timeout: Duration,
    /// The initial delay before a second server is asked in parallel. The delay adapts to the
    /// measured latency and doubles with each retry.
    pub first_retry: Duration,
    /// The most distinct queries that may be in flight at once.
    pub max_in_flight: usize,
    /// Which answers are validated, and the trust anchors.
    pub validate: ValidateConfig,
    /// Rebinding protection: which names may not point at private addresses.
    pub rebind: Rebind,
}

impl UpstreamsConfig {
    /// An empty cache of the configured size.
    pub fn new_cache(&self) -> Cache {
        Cache::with_stale(self.cache_bytes, self.serve_stale)
    }

    /// # Errors
    /// [`ForwardError::Config`] if a bound is zero or a list is too long.
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

/// A zone with upstreams of its own. Its names are never sent to other upstreams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardZone {
    /// The name of the zone.
    pub zone: Name,
    /// The upstreams of the zone.
    pub upstreams: Vec<Upstream>,
    /// Whether its answers are validated. `None`: only at or below a trust anchor of its own.
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
            short_nxdomain: None,
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
    /// Answers of upstreams that pass DNSSEC records on.
    Auto,
    /// All answers.
    On,
    /// No answers.
    #[default]
    Off,
}

/// How answers are validated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValidateConfig {
    /// Which answers are validated.
    pub mode: ValidateMode,
    /// The trust anchors.
    pub anchors: Anchors,
}

impl ValidateConfig {
    /// The policy for names outside the zones with upstreams of their own.
    pub fn policy(&self) -> ValidationPolicy {
        match self.mode {
            ValidateMode::Auto => ValidationPolicy::IfSupported,
            ValidateMode::On => ValidationPolicy::Always,
            ValidateMode::Off => ValidationPolicy::None,
        }
    }

    /// The policy for a zone with upstreams of its own. It is usually private, so its answers are
    /// not validated unless a trust anchor covers it or the configuration says so.
    pub fn policy_of(&self, zone: &ForwardZone) -> ValidationPolicy {
        let name = WireName::of(&names::to_wire(&zone.zone));
        let validates = zone.validate.unwrap_or_else(|| self.anchors.covers(&name));
        if validates && self.mode != ValidateMode::Off {
            ValidationPolicy::Always
        } else {
            ValidationPolicy::None
        }
    }

    /// The trust anchors, without the zones that are not validated.
    ///
    /// # Errors
    /// [`ForwardError::Config`] if there are too many.
    pub fn anchors(&self, zones: &[ForwardZone]) -> Result<Anchors, ForwardError> {
        let none = zones.iter().filter(|zone| self.policy_of(zone) == ValidationPolicy::None);
        let names = none.map(|zone| WireName::of(&names::to_wire(&zone.zone)));
        let anchors = self.anchors.clone().with_insecure(names);
        anchors.map_err(|_| ForwardError::Config("more than 256 zones that are not validated"))
    }
}
