//! A server to which queries are sent: an address, or a channel to an upstream.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;

use super::server::Upstream;
use super::transport::{Channel, ChannelError, RecursiveConfig};
use crate::os::clock::Clock;

/// A server.
#[derive(Clone)]
pub enum Target {
    /// Over UDP, and over TCP for truncated answers.
    Plain(SocketAddr),
    /// Over a persistent connection.
    Channel(Arc<Channel>),
}

impl Target {
    /// Whether it is the built-in recursive resolver.
    pub fn is_recursive(&self) -> bool {
        matches!(self, Self::Channel(channel) if channel.recursive().is_some())
    }

    /// Whether the built-in recursive resolver validates; `None` for other servers.
    pub fn validates(&self) -> Option<bool> {
        match self {
            Self::Channel(channel) => channel.recursive().map(|recursive| recursive.validates()),
            Self::Plain(_) => None,
        }
    }

    /// Its address, if it is asked over UDP.
    pub fn plain(&self) -> Option<SocketAddr> {
        match self {
            Self::Plain(address) => Some(*address),
            Self::Channel(_) => None,
        }
    }

    /// Whether its AD bit can be trusted: nobody could have changed it on the way (RFC 4035
    /// §4.9.3).
    pub fn is_path_secure(&self) -> bool {
        match self {
            Self::Plain(address) => address.ip().is_loopback(),
            Self::Channel(channel) => channel.is_encrypted() || channel.recursive().is_some(),
        }
    }

    fn channel(&self) -> Option<*const Channel> {
        match self {
            Self::Plain(_) => None,
            Self::Channel(channel) => Some(Arc::as_ptr(channel)),
        }
    }
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self::Plain(address)
    }
}

impl PartialEq for Target {
    fn eq(&self, other: &Self) -> bool {
        self.plain() == other.plain() && self.channel() == other.channel()
    }
}

impl Eq for Target {}

impl Hash for Target {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.plain().hash(state);
        self.channel().hash(state);
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(address) => address.fmt(f),
            Self::Channel(channel) => f.write_str(channel.label()),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

/// Makes the targets of configured upstreams. Equal upstreams share one target.
pub struct Targets<'a> {
    recursive: &'a RecursiveConfig,
    clock: &'a Arc<Clock>,
    made: Vec<(Upstream, Target)>,
}

impl<'a> Targets<'a> {
    /// With no targets yet.
    pub fn new(recursive: &'a RecursiveConfig, clock: &'a Arc<Clock>) -> Self {
        Self { recursive, clock, made: Vec::new() }
    }

    /// The targets of upstreams.
    ///
    /// # Errors
    /// [`ChannelError`]
    pub fn of(&mut self, upstreams: &[Upstream]) -> Result<Vec<Target>, ChannelError> {
        upstreams.iter().map(|upstream| self.one(upstream)).collect()
    }

    fn one(&mut self, upstream: &Upstream) -> Result<Target, ChannelError> {
        if let Some((_, target)) = self.made.iter().find(|(made, _)| made == upstream) {
            return Ok(target.clone());
        }
        let target = match Channel::new(upstream, self.recursive, self.clock)? {
            Ok(channel) => Target::Channel(Arc::new(channel)),
            Err(address) => Target::Plain(address),
        };
        self.made.push((upstream.clone(), target.clone()));
        Ok(target)
    }
}
