//! The settings that the resolver runs with.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use namechain_core::types::Network;
use namechain_node::node::{MineMode, P2p};

use crate::{
    chain::mount::Mounts,
    dns::cookie::Policy,
    dnssec::sign::Algorithm,
    resolve::{Delegation, route::is_registrable},
    server::{Udp, access::AccessControl, encrypted::EncryptedConfig},
    telemetry::QueryLogMode,
    upstream::{ForwardZone, Rebind, RecursiveConfig, Upstream, UpstreamsConfig, ValidateConfig},
};

/// The default address of DNS.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:5300";
/// The default address of the API.
pub const DEFAULT_API: &str = "127.0.0.1:7380";
/// The default address of the control API of a resolver that uses a remote node: next to the
/// node's.
pub const DEFAULT_CONTROL_API: &str = "127.0.0.1:7381";

/// Where the chain's state comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChainConfig {
    /// A node in this process.
    Embedded {
        /// The network.
        network: Network,
        /// The address of the API.
        api: SocketAddr,
        /// The data directory.
        data_dir: PathBuf,
        /// The path of the admin socket.
        admin: PathBuf,
        /// The node's other options.
        node: NodeOptions,
    },
    /// A remote node, over its API.
    Remote {
        /// The node's URL.
        url: String,
        /// The network that it must be on, if configured.
        network: Option<Network>,
        /// The address of the resolver's control API; by default [`DEFAULT_CONTROL_API`], if that
        /// is free.
        api: Option<SocketAddr>,
        /// The admin socket; `None` if there is no directory for it.
        admin: Option<AdminPath>,
    },
}

/// Where the admin socket of a resolver with a remote node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminPath {
    /// Its path.
    pub path: PathBuf,
    /// Whether it was configured: then it is an error if it can't be made.
    pub requested: bool,
}

/// Options of the node in this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeOptions {
    /// The peer-to-peer network; `None`: off.
    pub p2p: Option<P2p>,
    /// When it mines.
    pub mine: MineMode,
    /// Threads that mine.
    pub mine_threads: u16,
    /// Host names that the API accepts.
    pub allow_hosts: Vec<String>,
    /// How many bytes the block log may have; `None`: all blocks are kept.
    pub prune_bytes: Option<u64>,
}

/// How names of the chain are signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignConfig {
    /// The configured algorithm, if any; an existing key has its own.
    pub algorithm: Option<Algorithm>,
    /// The key file, made at the first start.
    pub key: PathBuf,
    /// Whether signing was configured: then it is an error if the key can't be written.
    pub requested: bool,
}

/// Which names at the root are left to the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeverChain {
    /// Last labels, in lower case.
    pub labels: Vec<Vec<u8>>,
    /// Whether known suffixes and labels that this machine uses are left to the network too.
    pub automatic: bool,
}

/// The configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the chain's state comes from.
    pub chain: ChainConfig,
    /// The addresses of DNS over UDP and TCP.
    pub listen: Vec<SocketAddr>,
    /// The upstreams; `None`: the system's.
    pub upstreams: Option<Vec<Upstream>>,
    /// Zones with upstreams of their own.
    pub zones: Vec<ForwardZone>,
    /// Options of the upstream `recursive`.
    pub recursive: RecursiveConfig,
    /// DNSSEC validation of legacy answers.
    pub validate: ValidateConfig,
    /// Where names of the chain are mounted.
    pub mounts: Mounts,
    /// Which names at the root are left to the network.
    pub never_chain: NeverChain,
    /// Whether names of the chain at the root have addresses as a single label.
    pub dotless_addresses: bool,
    /// Which clients are answered.
    pub access: AccessControl,
    /// The size of the cache of legacy answers, in bytes.
    pub cache_bytes: usize,
    /// How long a question to the upstreams may take.
    pub upstream_timeout: Duration,
    /// How long to wait for an upstream before a second one is asked too, initially.
    pub hedge: Duration,
    /// For how long stale answers may be served when no upstream replies; zero: never.
    pub serve_stale: Duration,
    /// The least and the greatest TTL of legacy answers.
    pub ttl: (Duration, Duration),
    /// How delegated servers are asked.
    pub delegation: Delegation,
    /// Which names may not point at private addresses.
    pub rebind: Rebind,
    /// DNS cookies for clients.
    pub cookies: Policy,
    /// DNSSEC signing of names of the chain; `None`: off.
    pub sign: Option<SignConfig>,
    /// DNS over TLS, HTTPS and QUIC; `None`: off.
    pub encrypted: Option<EncryptedConfig>,
    /// How UDP queries are served.
    pub udp: Udp,
    /// What the query log records.
    pub query_log: QueryLogMode,
    /// Whether output is JSON.
    pub json: bool,
}

impl Config {
    /// The configuration of legacy DNS with these upstreams.
    pub fn legacy(&self, upstreams: Vec<Upstream>) -> UpstreamsConfig {
        UpstreamsConfig {
            upstreams,
            zones: self.zones.clone(),
            recursive: self.recursive.clone(),
            validate: self.validate.clone(),
            cache_bytes: self.cache_bytes,
            min_ttl: self.ttl.0,
            max_ttl: self.ttl.1,
            short_nxdomain: self.mounts.root.then_some(is_registrable),
            serve_stale: self.serve_stale,
            timeout: self.upstream_timeout,
            first_retry: self.hedge,
            rebind: self.rebind.clone(),
            ..UpstreamsConfig::default()
        }
    }
}
