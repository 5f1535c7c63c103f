//! What the resolver is to do: flags over environment over file, checked once.

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
pub use cli::{Cli, Doctor, Instead, Switch};
pub use sign::Sign;

use crate::{
    chain::mount::Mounts,
    dns::cookie::Policy,
    resolve::Delegation,
    server::{MAX_WORKERS, Udp, encrypted::EncryptedConfig},
    telemetry::Logged,
    upstream::{
        ForwardZone, Rebind, RecursiveConfig, Upstream, UpstreamError, UpstreamsConfig,
        ValidateConfig,
    },
};

/// Where DNS is answered unless it is said otherwise.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:5300";
/// Where the API is served unless it is said otherwise.
pub const DEFAULT_API: &str = "127.0.0.1:7380";
/// Where the small API of a resolver that uses another's node is served unless it is said
/// otherwise: beside the node's.
pub const DEFAULT_ASIDE: &str = "127.0.0.1:7381";
/// The port of the servers that a name delegates to.
const DNS_PORT: u16 = 53;
/// The longest configuration file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// Memory for legacy answers, in bytes.
const CACHE_BYTES: usize = 32 << 20;
/// How long a question to the upstreams may take: less than the 5 seconds after which stubs stop
/// listening, so that they hear why there is no answer.
const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(4);

/// What is wrong with what was asked for.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("the configuration file {0} can't be read: {1}")]
    Unreadable(PathBuf, String),
    /// The file is not what it should be.
    #[error("{0}: {1}")]
    File(PathBuf, String),
    /// A value can't be used.
    #[error("{place}: '{value}' {why}")]
    Value {
        /// Where it is from: an environment variable or a key of the file.
        place: String,
        /// The value.
        value: String,
        /// What is expected.
        why: String,
    },
    /// Two things that exclude each other.
    #[error("{0}")]
    Conflict(&'static str),
    /// There is no place for the data.
    #[error("there is no home directory to keep the chain in: say where with --data-dir DIR")]
    NoHome,
}

/// Where the chain is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChainFrom {
    /// In this process.
    Embedded {
        /// The network.
        network: Network,
        /// Where the API is served.
        api: SocketAddr,
        /// Where the chain is kept.
        data_dir: PathBuf,
        /// What else its node does.
        node: NodeOptions,
    },
    /// Behind a node's API.
    Remote {
        /// The node's URL.
        url: String,
        /// The network that it must be on, if that was said.
        network: Option<Network>,
        /// Where the resolver's own small API is served, if that was said; else at
        /// [`DEFAULT_ASIDE`], if that is free.
        api: Option<SocketAddr>,
    },
}

/// How the node in this process mines, takes part in the network, and is addressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeOptions {
    /// How it takes part in the network; `None`: it is alone.
    pub p2p: Option<P2p>,
    /// When it mines.
    pub mine: MineMode,
    /// Threads that mine.
    pub mine_threads: u16,
    /// Names by which the API may be addressed.
    pub allow_hosts: Vec<String>,
}

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the chain is.
    pub chain: ChainFrom,
    /// Where DNS is answered.
    pub listen: Vec<SocketAddr>,
    /// The upstreams; `None`: the machine's own.
    pub upstreams: Option<Vec<Upstream>>,
    /// Zones with upstreams of their own.
    pub zones: Vec<ForwardZone>,
    /// How the recursive resolver works, where it is an upstream.
    pub recursive: RecursiveConfig,
    /// Which answers of legacy DNS are validated, and by what.
    pub validate: ValidateConfig,
    /// Where the chain's names stand.
    pub mounts: Mounts,
    /// Who may ask beside this machine.
    pub allow: Vec<IpNet>,
    /// Memory for legacy answers, in bytes.
    pub cache_bytes: usize,
    /// How long a question to the upstreams may take.
    pub upstream_timeout: Duration,
    /// How long to wait for one upstream before another is asked beside it, to begin with.
    pub hedge: Duration,
    /// For how long an answer that has run out is given when no upstream replies; zero: never.
    pub serve_stale: Duration,
    /// How long a legacy answer is kept at least and at most.
    pub ttl: (Duration, Duration),
    /// How delegated servers are asked.
    pub delegation: Delegation,
    /// Which names may not point at private addresses.
    pub rebind: Rebind,
    /// Whether clients are given cookies.
    pub cookies: Policy,
    /// How the chain's names are signed; `None`: not at all.
    pub sign: Option<Sign>,
    /// Where encrypted DNS is answered.
    pub encrypted: Option<EncryptedConfig>,
    /// How queries over UDP are served.
    pub udp: Udp,
    /// What is logged of queries.
    pub query_log: Logged,
    /// Whether the start is told as JSON.
    pub json: bool,
}

impl Config {
    /// Puts flags, environment and file together. `env` looks up an environment variable.
    pub fn load(cli: Cli, env: impl Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let cli = with_environment(cli, &env)?;
        let file = match &cli.config {
            Some(path) => read_file(path)?,
            None => file::File::default(),
        };
        Merge { cli, file }.config(env)
    }

    /// How legacy DNS is asked, with these upstreams.
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
    if length > MAX_FILE {
        return Err(unreadable(format!("it has more than {MAX_FILE} bytes")));
    }
    let text = fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    file::parse(&text).map_err(|why| ConfigError::File(path.to_owned(), why))
}

/// Reads a value, or says where it stands and what it should be.
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

/// Fills in what the flags leave open.
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
    // What belongs to one kind of node is not taken over for the other.
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
                "listen: an empty list leaves nothing to do: give an IP:PORT",
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
            return Err(ConfigError::Conflict("min-ttl-seconds is more than max-ttl-seconds"));
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
                return Err(ConfigError::Conflict(
                    "workers: there can be 1 to 256 at each address",
                ));
            }
        };
        let query_log = match (cli.query_log, file.query_log) {
            (Some(logged), _) => logged,
            (None, Some(text)) => read("query-log", &text, LOGGED)?,
            (None, None) => Logged::default(),
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

    fn chain(&self, network: Option<Network>) -> Result<ChainFrom, ConfigError> {
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
                let why = "node excludes data-dir: that belongs to a node of the resolver's own";
                return Err(ConfigError::Conflict(why));
            }
            let file = &self.file;
            if self.cli.node.is_none()
                && (file.p2p_listen.is_some() || file.peer.is_some() || file.mine.is_some())
            {
                let why = "node excludes p2p-listen, peer and mine: those belong to a node of the resolver's own";
                return Err(ConfigError::Conflict(why));
            }
            return Ok(ChainFrom::Remote { url, network, api });
        }
        let network = network.unwrap_or(Network::Main);
        let api = api.map_or_else(|| read("api", DEFAULT_API, ADDRESS), Ok)?;
        let data_dir = match self.cli.data_dir.clone().or_else(|| self.file.data_dir.clone()) {
            Some(dir) => dir,
            None => default_data_dir(network).ok_or(ConfigError::NoHome)?,
        };
        Ok(ChainFrom::Embedded { network, api, data_dir, node: self.node(network)? })
    }

    /// What the node in this process does. By default it dials others and takes no connections; on
    /// dev it is alone unless it is told of another node, or where to listen.
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
