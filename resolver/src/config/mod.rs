//! The resolver's configuration: flags over environment over file, validated once.

mod answers;
mod changes;
mod cli;
mod encrypted;
mod file;
mod one_or_many;
mod sign;
#[cfg(test)]
mod tests;
mod upstreams;
mod validate;

use std::{
    ffi::OsString,
    fs,
    net::SocketAddr,
    num::NonZeroU16,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use ipnet::IpNet;
use namechain_core::types::{Network, UnknownNetwork};
use namechain_node::node::{
    DEFAULT_INBOUND, MULTIADDR, MineMode, Multiaddr, P2p, default_data_dir,
};
use thiserror::Error;

pub use changes::Changes;
pub use cli::{Cli, Command, DoctorArgs, Switch};
pub use sign::SignConfig;

use crate::{
    chain::mount::Mounts,
    dns::cookie::Policy,
    resolve::Delegation,
    server::{MAX_WORKERS, Udp, encrypted::EncryptedConfig},
    telemetry::QueryLogMode,
    upstream::{
        ForwardZone, Rebind, RecursiveConfig, Upstream, UpstreamError, UpstreamsConfig,
        ValidateConfig,
    },
};

/// The default address of DNS.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:5300";
/// The default address of the API.
pub const DEFAULT_API: &str = "127.0.0.1:7380";
/// The default address of the control API of a resolver that uses a remote node: next to the
/// node's.
pub const DEFAULT_CONTROL_API: &str = "127.0.0.1:7381";
/// The default port of the servers that a name delegates to.
const DNS_PORT: u16 = 53;
/// The longest configuration file that is read.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// The default size of the cache of legacy answers.
const CACHE_BYTES: usize = 32 << 20;
/// The default time for a question to the upstreams: less than the 5 seconds after which stub
/// resolvers give up, so that they receive the SERVFAIL and its reason.
const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(4);

/// Why the configuration is invalid.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("the configuration file {0} can't be read: {1}")]
    Unreadable(PathBuf, String),
    /// The file is not valid.
    #[error("{0}: {1}")]
    File(PathBuf, String),
    /// A value is not valid.
    #[error("{place}: '{value}' {why}")]
    Value {
        /// An environment variable, or a key of the file.
        place: String,
        /// The value.
        value: String,
        /// What is expected.
        why: String,
    },
    /// Settings that exclude each other.
    #[error("{0}")]
    Conflict(&'static str),
    /// There is no home directory for the data.
    #[error("there is no home directory for the chain's data: set a directory with --data-dir DIR")]
    NoHome,
}

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
    },
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
    /// Networks that may send queries, beside this machine.
    pub allow: Vec<IpNet>,
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
    /// Merges flags, environment and file. `env` looks up an environment variable.
    pub fn load(cli: Cli, env: impl Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let cli = with_environment(cli, &env)?;
        let file = match &cli.config {
            Some(path) => read_file(path)?,
            None => file::File::default(),
        };
        Merge { cli, file }.config(env)
    }

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
            serve_stale: self.serve_stale,
            timeout: self.upstream_timeout,
            first_retry: self.hedge,
            rebind: self.rebind.clone(),
            ..UpstreamsConfig::default()
        }
    }
}

fn read_file(path: &Path) -> Result<file::File, ConfigError> {
    let unreadable = |why: String| ConfigError::Unreadable(path.to_owned(), why);
    let length = fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
    if length > MAX_FILE_BYTES {
        return Err(unreadable(format!("it has more than {MAX_FILE_BYTES} bytes")));
    }
    let text = fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    file::parse(&text).map_err(|why| ConfigError::File(path.to_owned(), why))
}

/// Parses a value. The error says where it is from and what is expected.
fn read<T>(place: &str, value: &str, hint: &str) -> Result<T, ConfigError>
where
    T: FromStr,
{
    let value = value.trim();
    value.parse().map_err(|_| ConfigError::Value {
        place: place.into(),
        value: value.into(),
        why: hint.into(),
    })
}

const ADDRESS: &str = "is not IP:PORT, as in 127.0.0.1:5300";
const MINE: &str = "is neither off nor on-demand nor always";
const THREADS: &str = "is not a number from 1 to 1024";
const LOGGED: &str = "is neither off nor on nor with-clients";
const NETWORK: &str = "is not a network: use main, test or dev";

/// Fills in from the environment what the flags leave open.
fn with_environment(
    mut cli: Cli,
    env: &impl Fn(&str) -> Option<OsString>,
) -> Result<Cli, ConfigError> {
    let text = |key: &str| -> Result<Option<String>, ConfigError> {
        let Some(value) = env(key).filter(|value| !value.is_empty()) else { return Ok(None) };
        let why = "is not UTF-8".to_owned();
        let lossy = value.to_string_lossy().into_owned();
        value.into_string().map(Some).map_err(|_| ConfigError::Value {
            place: key.into(),
            value: lossy,
            why,
        })
    };
    let list = |key: &str| -> Result<Vec<String>, ConfigError> {
        Ok(text(key)?.map(|all| all.split(',').map(str::to_owned).collect()).unwrap_or_default())
    };
    if !cli.dev && cli.network.is_none() {
        let key = "NAMECHAIN_NETWORK";
        cli.network = text(key)?.map(|value| read(key, &value, NETWORK)).transpose()?;
    }
    if cli.listen.is_empty() {
        let key = "NAMECHAIN_LISTEN";
        cli.listen =
            list(key)?.iter().map(|value| read(key, value, ADDRESS)).collect::<Result<_, _>>()?;
    }
    if cli.upstream.is_empty() {
        let key = "NAMECHAIN_UPSTREAM";
        let read = |text: &String| {
            text.parse().map_err(|error: UpstreamError| ConfigError::Value {
                place: key.into(),
                value: text.clone(),
                why: error.to_string(),
            })
        };
        cli.upstream = list(key)?.iter().map(read).collect::<Result<_, _>>()?;
    }
    // Settings of one kind of node are not used for the other.
    if cli.node.is_none() && cli.data_dir.is_none() {
        cli.node = text("NAMECHAIN_NODE")?;
    }
    if cli.api.is_none() {
        let key = "NAMECHAIN_API";
        cli.api = text(key)?.map(|value| read(key, &value, ADDRESS)).transpose()?;
    }
    if cli.node.is_none() {
        cli.data_dir = cli
            .data_dir
            .or_else(|| env("NAMECHAIN_DATA_DIR").filter(|d| !d.is_empty()).map(PathBuf::from));
        if cli.p2p_listen.is_empty() {
            let key = "NAMECHAIN_P2P_LISTEN";
            cli.p2p_listen = list(key)?
                .iter()
                .map(|value| read(key, value, MULTIADDR))
                .collect::<Result<_, _>>()?;
        }
        if cli.peer.is_empty() {
            let key = "NAMECHAIN_PEER";
            cli.peer = list(key)?
                .iter()
                .map(|value| read(key, value, MULTIADDR))
                .collect::<Result<_, _>>()?;
        }
        if cli.mine.is_none() {
            let key = "NAMECHAIN_MINE";
            cli.mine = text(key)?.map(|value| read(key, &value, MINE)).transpose()?;
        }
        if cli.mine_threads.is_none() {
            let key = "NAMECHAIN_MINE_THREADS";
            let given: Option<NonZeroU16> =
                text(key)?.map(|value| read(key, &value, THREADS)).transpose()?;
            cli.mine_threads = given.map(NonZeroU16::get);
        }
        if cli.allow_host.is_empty() {
            cli.allow_host = list("NAMECHAIN_ALLOW_HOST")?;
        }
        cli.no_mdns =
            cli.no_mdns || text("NAMECHAIN_NO_MDNS")?.is_some_and(|value| value != "false");
    }
    cli.config = cli
        .config
        .or_else(|| env("NAMECHAIN_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from));
    if cli.mount_root.is_none() {
        let key = "NAMECHAIN_MOUNT_ROOT";
        cli.mount_root = text(key)?.map(|value| switch(key, &value)).transpose()?;
    }
    Ok(cli)
}

fn switch(place: &str, value: &str) -> Result<Switch, ConfigError> {
    match value {
        "on" => Ok(Switch::On),
        "off" => Ok(Switch::Off),
        _ => {
            let why = "is neither on nor off".into();
            Err(ConfigError::Value { place: place.into(), value: value.into(), why })
        }
    }
}

/// The flags with the environment, and the file.
struct Merge {
    cli: Cli,
    file: file::File,
}

impl Merge {
    fn config(self, env: impl Fn(&str) -> Option<OsString>) -> Result<Config, ConfigError> {
        let network = self.network()?;
        let chain = self.chain(network)?;
        let Merge { cli, file } = self;
        let mut listen = cli.listen;
        if listen.is_empty() {
            let default = || vec![DEFAULT_LISTEN.to_owned()];
            let given = file.listen.unwrap_or_else(default);
            listen =
                given.iter().map(|text| read("listen", text, ADDRESS)).collect::<Result<_, _>>()?;
        }
        if listen.is_empty() {
            return Err(ConfigError::Conflict(
                "listen: the list is empty: give at least one IP:PORT",
            ));
        }
        let upstreams = upstreams::upstreams(cli.upstream, file.upstream, &file.upstreams)?;
        let defaults = UpstreamsConfig::default();
        let seconds = |given: Option<u64>, default| given.map_or(default, Duration::from_secs);
        let ttl = (
            seconds(file.min_ttl_seconds, defaults.min_ttl),
            seconds(file.max_ttl_seconds, defaults.max_ttl),
        );
        if ttl.0 > ttl.1 {
            return Err(ConfigError::Conflict("min-ttl-seconds is greater than max-ttl-seconds"));
        }
        let hint = "is not a network, as in 192.168.0.0/16";
        let allow = file.allow.unwrap_or_default();
        let allow = allow.iter().map(|text| read("allow", text, hint)).collect::<Result<_, _>>()?;
        let root =
            cli.mount_root.map_or(file.mount_root.unwrap_or(true), |switch| switch == Switch::On);
        let udp = match (file.fast_path, file.workers) {
            (Some(false), _) => Udp::Plain,
            (_, None) => Udp::default(),
            (_, Some(workers @ 1..=MAX_WORKERS)) => Udp::Fast(workers),
            _ => {
                return Err(ConfigError::Conflict("workers: use a number from 1 to 256"));
            }
        };
        let query_log = match (cli.query_log, file.query_log) {
            (Some(logged), _) => logged,
            (None, Some(text)) => read("query-log", &text, LOGGED)?,
            (None, None) => QueryLogMode::default(),
        };
        let on_dev = network == Some(Network::Dev);
        let sign = file.sign.read(&chain, env)?;
        Ok(Config {
            chain,
            sign,
            listen,
            upstreams,
            zones: upstreams::zones(&file.forward)?,
            recursive: upstreams::recursive(file.recursive),
            validate: validate::config(&file.validate)?,
            hedge: file.hedge_ms.map_or(defaults.first_retry, Duration::from_millis),
            serve_stale: seconds(file.serve_stale_seconds, defaults.serve_stale),
            ttl,
            mounts: Mounts { root, alt: file.mount_alt.unwrap_or(true) },
            allow,
            cache_bytes: file.cache_bytes.unwrap_or(CACHE_BYTES),
            upstream_timeout: file
                .upstream_timeout_ms
                .map_or(UPSTREAM_TIMEOUT, Duration::from_millis),
            delegation: Delegation {
                port: file.delegation.port.unwrap_or(DNS_PORT),
                loopback: file.delegation.loopback.unwrap_or(on_dev),
            },
            rebind: answers::rebind(
                file.rebind_protection.as_deref(),
                file.rebind_allow.as_deref(),
            )?,
            cookies: answers::cookies(file.cookies.as_deref())?,
            encrypted: encrypted::encrypted(&file.encrypted)?,
            udp,
            query_log,
            json: cli.json,
        })
    }

    fn network(&self) -> Result<Option<Network>, ConfigError> {
        if self.cli.dev {
            return Ok(Some(Network::Dev));
        }
        if self.cli.network.is_some() {
            return Ok(self.cli.network);
        }
        let parse = |text: &String| {
            text.parse().map_err(|error: UnknownNetwork| ConfigError::Value {
                place: "network".into(),
                value: text.clone(),
                why: error.to_string(),
            })
        };
        self.file.network.as_ref().map(parse).transpose()
    }

    fn chain(&self, network: Option<Network>) -> Result<ChainConfig, ConfigError> {
        let embedded_by_flag = self.cli.data_dir.is_some();
        let api = match (self.cli.api, &self.file.api) {
            (Some(api), _) => Some(api),
            (None, Some(given)) => Some(read("api", given, ADDRESS)?),
            (None, None) => None,
        };
        let node =
            self.cli.node.clone().or_else(|| self.file.node.clone().filter(|_| !embedded_by_flag));
        if let Some(url) = node {
            if self.cli.node.is_none() && self.file.data_dir.is_some() {
                let why = "node and data-dir exclude each other: data-dir is for the node in the resolver";
                return Err(ConfigError::Conflict(why));
            }
            let file = &self.file;
            if self.cli.node.is_none()
                && (file.p2p_listen.is_some() || file.peer.is_some() || file.mine.is_some())
            {
                let why = "node excludes p2p-listen, peer and mine: those are for the node in the resolver";
                return Err(ConfigError::Conflict(why));
            }
            return Ok(ChainConfig::Remote { url, network, api });
        }
        let network = network.unwrap_or(Network::Main);
        let api = api.map_or_else(|| read("api", DEFAULT_API, ADDRESS), Ok)?;
        let data_dir = match self.cli.data_dir.clone().or_else(|| self.file.data_dir.clone()) {
            Some(dir) => dir,
            None => default_data_dir(network).ok_or(ConfigError::NoHome)?,
        };
        Ok(ChainConfig::Embedded { network, api, data_dir, node: self.node(network)? })
    }

    /// The options of the node in this process. By default it dials peers and accepts no
    /// connections; on dev it has no network unless a peer or an address to listen at is
    /// configured.
    fn node(&self, network: Network) -> Result<NodeOptions, ConfigError> {
        let (cli, file) = (&self.cli, &self.file);
        let addresses = |flags: &Vec<Multiaddr>, key: &str, file: &Option<Vec<String>>| match flags
            .is_empty()
        {
            false => Ok(flags.clone()),
            true => file.iter().flatten().map(|text| read(key, text, MULTIADDR)).collect(),
        };
        let listen = addresses(&cli.p2p_listen, "p2p-listen", &file.p2p_listen)?;
        let peers = addresses(&cli.peer, "peer", &file.peer)?;
        let dev = network == Network::Dev;
        let mdns = !dev && !cli.no_mdns && file.mdns.unwrap_or(true);
        let alone = dev && listen.is_empty() && peers.is_empty();
        let mine = match (cli.mine, &file.mine) {
            (Some(mine), _) => mine,
            (None, Some(text)) => read("mine", text, MINE)?,
            (None, None) => MineMode::default_of(network),
        };
        let mine_threads = cli.mine_threads.or(file.mine_threads).unwrap_or(1);
        if !(1..=1_024).contains(&mine_threads) {
            let (place, value) = ("mine-threads".into(), mine_threads.to_string());
            return Err(ConfigError::Value { place, value, why: THREADS.into() });
        }
        let allow_hosts = match cli.allow_host.is_empty() {
            false => cli.allow_host.clone(),
            true => file.allow_host.clone().unwrap_or_default(),
        };
        let p2p = (!alone).then_some(P2p { listen, peers, mdns, max_inbound: DEFAULT_INBOUND });
        Ok(NodeOptions { p2p, mine, mine_threads, allow_hosts })
    }
}
