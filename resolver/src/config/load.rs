//! Merges flags, environment and file into the settings.

use std::{ffi::OsString, fs, net::SocketAddr, path::Path, time::Duration};

use namechain_core::types::{Network, UnknownNetwork};
use namechain_node::node::{
    DEFAULT_INBOUND, MULTIADDR, MineMode, Multiaddr, P2p, admin_socket, default_data_dir,
    prune_bytes,
};

use super::{
    answers,
    cli::{Cli, Switch},
    encrypted,
    environment::with_environment,
    error::ConfigError,
    file,
    settings::{AdminPath, ChainConfig, Config, DEFAULT_API, DEFAULT_LISTEN, NodeOptions},
    sign::state_dir,
    upstreams, validate,
    value::{ADDRESS, LOGGED, MINE, THREADS, read_value},
};
use crate::{
    chain::mount::Mounts,
    resolve::Delegation,
    server::{MAX_WORKERS, Udp},
    telemetry::QueryLogMode,
    upstream::UpstreamsConfig,
};

/// The default port of the servers that a name delegates to.
const DNS_PORT: u16 = 53;
/// The longest configuration file that is read.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// The default size of the cache of legacy answers.
const CACHE_BYTES: usize = 32 << 20;
/// The default time for a question to the upstreams: less than the 5 seconds after which stub
/// resolvers give up, so that they receive the SERVFAIL and its reason.
const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(4);

/// Merges flags, environment and file. `env` looks up an environment variable.
pub fn load(cli: Cli, env: impl Fn(&str) -> Option<OsString>) -> Result<Config, ConfigError> {
    let cli = with_environment(cli, &env)?;
    let file = match &cli.config {
        Some(path) => read_file(path)?,
        None => file::File::default(),
    };
    Merge { cli, file }.config(env)
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

fn listen_addresses(
    flags: Vec<SocketAddr>,
    file: Option<Vec<String>>,
) -> Result<Vec<SocketAddr>, ConfigError> {
    if !flags.is_empty() {
        return Ok(flags);
    }
    let given = file.unwrap_or_else(|| vec![DEFAULT_LISTEN.to_owned()]);
    if given.is_empty() {
        return Err(ConfigError::Conflict("listen: the list is empty: give at least one IP:PORT"));
    }
    given.iter().map(|text| read_value("listen", text, ADDRESS)).collect()
}

/// The least and the greatest TTL of legacy answers.
fn ttl_bounds(
    file: &file::File,
    defaults: &UpstreamsConfig,
) -> Result<(Duration, Duration), ConfigError> {
    let seconds = |given: Option<u64>, default| given.map_or(default, Duration::from_secs);
    let min = seconds(file.min_ttl_seconds, defaults.min_ttl);
    let max = seconds(file.max_ttl_seconds, defaults.max_ttl);
    if min > max {
        return Err(ConfigError::Conflict("min-ttl-seconds is greater than max-ttl-seconds"));
    }
    Ok((min, max))
}

fn udp_mode(fast_path: Option<bool>, workers: Option<usize>) -> Result<Udp, ConfigError> {
    match (fast_path, workers) {
        (Some(false), _) => Ok(Udp::Plain),
        (_, None) => Ok(Udp::default()),
        (_, Some(workers @ 1..=MAX_WORKERS)) => Ok(Udp::Fast(workers)),
        _ => Err(ConfigError::Conflict("workers: use a number from 1 to 256")),
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
        let chain = self.chain(network, &env)?;
        let Merge { cli, file } = self;
        let defaults = UpstreamsConfig::default();
        let ttl = ttl_bounds(&file, &defaults)?;
        let access = answers::access(&file)?;
        let listen = listen_addresses(cli.listen, file.listen)?;
        let upstreams = upstreams::upstreams(cli.upstream, file.upstream, &file.upstreams)?;
        let root =
            cli.mount_root.map_or(file.mount_root.unwrap_or(true), |switch| switch == Switch::On);
        let udp = udp_mode(file.fast_path, file.workers)?;
        let query_log = match (cli.query_log, file.query_log) {
            (Some(logged), _) => logged,
            (None, Some(text)) => read_value("query-log", &text, LOGGED)?,
            (None, None) => QueryLogMode::default(),
        };
        let suffixes = answers::suffixes(file.suffixes.as_ref())?;
        let zones = upstreams::zones(&file.forward)?;
        upstreams::check_zones(&zones, suffixes)?;
        let on_dev = network == Some(Network::Dev);
        let sign = file.sign.into_config(&chain, env)?;
        Ok(Config {
            chain,
            sign,
            listen,
            upstreams,
            zones,
            recursive: upstreams::recursive(file.recursive),
            validate: validate::config(&file.validate)?,
            hedge: file.hedge_ms.map_or(defaults.first_retry, Duration::from_millis),
            serve_stale: file.serve_stale_seconds.map_or(defaults.serve_stale, Duration::from_secs),
            ttl,
            never_chain: answers::never_chain(file.never_chain.as_deref(), file.never_chain_auto)?,
            dotless_addresses: file.dotless_addresses.unwrap_or(true),
            mounts: Mounts { root, suffixes },
            access,
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

    fn chain(
        &self,
        network: Option<Network>,
        env: impl Fn(&str) -> Option<OsString>,
    ) -> Result<ChainConfig, ConfigError> {
        let embedded_by_flag = self.cli.data_dir.is_some();
        let api = match (self.cli.api, &self.file.api) {
            (Some(api), _) => Some(api),
            (None, Some(given)) => Some(read_value("api", given, ADDRESS)?),
            (None, None) => None,
        };
        let admin = self.cli.admin_socket.clone().or_else(|| self.file.admin_socket.clone());
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
            let requested = admin.is_some();
            let path = admin.or_else(|| state_dir(env).map(|dir| admin_socket(&dir)));
            let admin = path.map(|path| AdminPath { path, requested });
            return Ok(ChainConfig::Remote { url, network, api, admin });
        }
        let network = network.unwrap_or(Network::Main);
        let api = api.map_or_else(|| read_value("api", DEFAULT_API, ADDRESS), Ok)?;
        let data_dir = match self.cli.data_dir.clone().or_else(|| self.file.data_dir.clone()) {
            Some(dir) => dir,
            None => default_data_dir(network).ok_or(ConfigError::NoHome)?,
        };
        let admin = admin.unwrap_or_else(|| admin_socket(&data_dir));
        Ok(ChainConfig::Embedded { network, api, data_dir, admin, node: self.node(network)? })
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
            true => file.iter().flatten().map(|text| read_value(key, text, MULTIADDR)).collect(),
        };
        let listen = addresses(&cli.p2p_listen, "p2p-listen", &file.p2p_listen)?;
        let peers = addresses(&cli.peer, "peer", &file.peer)?;
        let dev = network == Network::Dev;
        let mdns = !dev && (cli.mdns || file.mdns.unwrap_or(false));
        let alone = dev && listen.is_empty() && peers.is_empty();
        let mine = match (cli.mine, &file.mine) {
            (Some(mine), _) => mine,
            (None, Some(text)) => read_value("mine", text, MINE)?,
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
        let prune = cli.prune.or(file.prune).unwrap_or(0);
        let prune_bytes = prune_bytes(prune).map_err(|why| {
            let (place, value) = ("prune".into(), prune.to_string());
            ConfigError::Value { place, value, why: why.into() }
        })?;
        Ok(NodeOptions { p2p, mine, mine_threads, allow_hosts, prune_bytes })
    }
}
