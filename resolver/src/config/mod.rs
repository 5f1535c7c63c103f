//! What the resolver is to do: flags over environment over file, checked once.

mod changes;
mod cli;
mod file;
mod upstreams;

use std::{
    ffi::OsString,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use ipnet::IpNet;
use namechain::{
    node::default_data_dir,
    types::{Network, UnknownNetwork},
};
use thiserror::Error;

pub use changes::Changes;
pub use cli::{Cli, Switch};

use crate::{
    forward::{ForwardZone, LegacyConfig, RecursiveConfig, Upstream, UpstreamError},
    listen::{MAX_WORKERS, Udp},
    mount::Mounts,
    pipeline::Delegation,
};

/// Where DNS is answered unless it is said otherwise.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:5300";
/// Where the API is served unless it is said otherwise.
pub const DEFAULT_API: &str = "127.0.0.1:7380";
/// Where the small API of a resolver that uses another's node is served unless it is said otherwise: beside the node's.
pub const DEFAULT_ASIDE: &str = "127.0.0.1:7381";
/// The port of the servers that a name delegates to.
const DNS_PORT: u16 = 53;
/// The longest configuration file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// Memory for legacy answers, in bytes.
const CACHE_BYTES: usize = 32 << 20;
/// How long a question to the upstreams may take: less than the 5 seconds after which stubs stop listening, so that they
/// hear why there is no answer.
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
    },
    /// Behind a node's API.
    Remote {
        /// The node's URL.
        url: String,
        /// The network that it must be on, if that was said.
        network: Option<Network>,
        /// Where the resolver's own small API is served, if that was said; else at [`DEFAULT_ASIDE`], if that is free.
        api: Option<SocketAddr>,
    },
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
    /// How queries over UDP are served.
    pub udp: Udp,
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
        Merge { cli, file }.config()
    }

    /// How legacy DNS is asked, with these upstreams.
    pub fn legacy(&self, upstreams: Vec<Upstream>) -> LegacyConfig {
        LegacyConfig {
            upstreams,
            zones: self.zones.clone(),
            recursive: self.recursive.clone(),
            cache_bytes: self.cache_bytes,
            min_ttl: self.ttl.0,
            max_ttl: self.ttl.1,
            serve_stale: self.serve_stale,
            timeout: self.upstream_timeout,
            first_retry: self.hedge,
            ..LegacyConfig::default()
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
const NETWORK: &str = "is not a network: use main, test or dev";

/// Fills in what the flags leave open.
fn with_environment(mut cli: Cli, env: &impl Fn(&str) -> Option<OsString>) -> Result<Cli, ConfigError> {
    let text = |key: &str| -> Result<Option<String>, ConfigError> {
        let Some(value) = env(key).filter(|value| !value.is_empty()) else { return Ok(None) };
        let why = "is not UTF-8".to_owned();
        let lossy = value.to_string_lossy().into_owned();
        value.into_string().map(Some).map_err(|_| ConfigError::Value { place: key.into(), value: lossy, why })
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
        cli.listen = list(key)?.iter().map(|value| read(key, value, ADDRESS)).collect::<Result<_, _>>()?;
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
        cli.data_dir =
            cli.data_dir.or_else(|| env("NAMECHAIN_DATA_DIR").filter(|d| !d.is_empty()).map(PathBuf::from));
    }
    cli.config =
        cli.config.or_else(|| env("NAMECHAIN_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from));
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
    fn config(self) -> Result<Config, ConfigError> {
        let network = self.network()?;
        let chain = self.chain(network)?;
        let Merge { cli, file } = self;
        let mut listen = cli.listen;
        if listen.is_empty() {
            let default = || vec![DEFAULT_LISTEN.to_owned()];
            let given = file.listen.unwrap_or_else(default);
            listen = given.iter().map(|text| read("listen", text, ADDRESS)).collect::<Result<_, _>>()?;
        }
        if listen.is_empty() {
            return Err(ConfigError::Conflict("listen: an empty list leaves nothing to do: give an IP:PORT"));
        }
        let upstreams = upstreams::upstreams(cli.upstream, file.upstream, &file.upstreams)?;
        let defaults = LegacyConfig::default();
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
        let root = cli.mount_root.map_or(file.mount_root.unwrap_or(true), |switch| switch == Switch::On);
        let udp = match (file.fast_path, file.workers) {
            (Some(false), _) => Udp::Plain,
            (_, None) => Udp::default(),
            (_, Some(workers @ 1..=MAX_WORKERS)) => Udp::Fast(workers),
            _ => return Err(ConfigError::Conflict("workers: there can be 1 to 256 at each address")),
        };
        let on_dev = network == Some(Network::Dev);
        Ok(Config {
            chain,
            listen,
            upstreams,
            zones: upstreams::zones(&file.forward)?,
            recursive: upstreams::recursive(file.recursive),
            hedge: file.hedge_ms.map_or(defaults.first_retry, Duration::from_millis),
            serve_stale: seconds(file.serve_stale_seconds, defaults.serve_stale),
            ttl,
            mounts: Mounts { root, alt: file.mount_alt.unwrap_or(true) },
            allow,
            cache_bytes: file.cache_bytes.unwrap_or(CACHE_BYTES),
            upstream_timeout: file.upstream_timeout_ms.map_or(UPSTREAM_TIMEOUT, Duration::from_millis),
            delegation: Delegation {
                port: file.delegation.port.unwrap_or(DNS_PORT),
                loopback: file.delegation.loopback.unwrap_or(on_dev),
            },
            udp,
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
        let node = self.cli.node.clone().or_else(|| self.file.node.clone().filter(|_| !embedded_by_flag));
        if let Some(url) = node {
            if self.cli.node.is_none() && self.file.data_dir.is_some() {
                let why = "node excludes data-dir: that belongs to a node of the resolver's own";
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
        Ok(ChainFrom::Embedded { network, api, data_dir })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use clap::Parser;

    use super::*;

    /// The configuration of a command line, environment and file.
    fn load(flags: &str, env: &[(&str, &str)], file: Option<&str>) -> Result<Config, String> {
        let mut flags: Vec<String> = flags.split_whitespace().map(str::to_owned).collect();
        let dir = tempfile::tempdir().unwrap();
        if let Some(text) = file {
            let path = dir.path().join("resolver.toml");
            fs::write(&path, text).unwrap();
            flags.extend(["--config".to_owned(), path.to_str().unwrap().to_owned()]);
        }
        let cli = Cli::try_parse_from(std::iter::once("resolver".to_owned()).chain(flags))
            .map_err(|error| error.to_string())?;
        let map: HashMap<&str, &str> = env.iter().copied().collect();
        Config::load(cli, |key| map.get(key).map(OsString::from)).map_err(|error| error.to_string())
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_defaults() {
        let config = load("--dev", &[], None).unwrap();
        assert_eq!(config.listen, [address("127.0.0.1:5300")]);
        assert_eq!(config.upstreams, None, "the machine's own");
        assert_eq!(config.mounts, Mounts { root: true, alt: true });
        let ChainFrom::Embedded { network, api, .. } = config.chain else { panic!("a node of its own") };
        assert_eq!((network, api), (Network::Dev, address("127.0.0.1:7380")));
        let main = load("--data-dir /data", &[], None).unwrap();
        let expected = ChainFrom::Embedded { network: Network::Main, api, data_dir: "/data".into() };
        assert_eq!(main.chain, expected);
        assert!(config.delegation.loopback && !main.delegation.loopback);
    }

    #[test]
    fn flags_over_environment_over_file() {
        let file =
            "listen = ['127.0.0.1:1']\nupstream = ['192.0.2.1']\nmount-root = false\ncache-bytes = 5\n";
        let env = [("NAMECHAIN_LISTEN", "127.0.0.1:2, 127.0.0.1:3"), ("NAMECHAIN_MOUNT_ROOT", "on")];
        let all = load("--dev --listen 127.0.0.1:4 --listen [::1]:4", &env, Some(file)).unwrap();
        assert_eq!(all.listen, [address("127.0.0.1:4"), address("[::1]:4")]);
        assert_eq!(all.upstreams, Some(vec![Upstream::Plain(address("192.0.2.1:53"))]));
        assert!(all.mounts.root);
        assert_eq!(all.cache_bytes, 5);
        assert_eq!(all.udp, Udp::default());
        assert_eq!(load("", &[], Some("workers = 3")).unwrap().udp, Udp::Fast(3));
        assert_eq!(load("", &[], Some("fast-path = false")).unwrap().udp, Udp::Plain);
        let env_and_file = load("", &env, Some(file)).unwrap();
        assert_eq!(env_and_file.listen, [address("127.0.0.1:2"), address("127.0.0.1:3")]);
        let only_file = load("", &[], Some(file)).unwrap();
        assert_eq!(only_file.listen, [address("127.0.0.1:1")]);
        assert!(!only_file.mounts.root);
        assert_eq!(load("", &[], Some("upstream = []")).unwrap().upstreams, Some(vec![]), "none at all");
    }

    #[test]
    fn upstreams_of_every_kind() {
        let file = "upstream = ['9.9.9.9', 'tls://1.1.1.1#one.one.one.one', 'recursive']\n\
                    serve-stale-seconds = 0\nhedge-ms = 100\nmin-ttl-seconds = 5\n\
                    [[upstreams]]\nurl = 'https://dns.example/q'\nbootstrap = ['192.0.2.1', '2001:db8::1']\nca = '/ca.pem'\n\
                    [[forward]]\nzone = 'Corp.Example'\nupstream = ['192.0.2.53']\n\
                    [[forward]]\nzone = '10.in-addr.arpa.'\nupstream = 'tcp://192.0.2.53'\n\
                    [recursive]\nroot-hints = '/hints'\nvalidate = false\nport = 5353\n";
        let config = load("--dev", &[], Some(file)).unwrap();
        let shown: Vec<String> = config.upstreams.clone().unwrap().iter().map(ToString::to_string).collect();
        let expected = [
            "9.9.9.9:53",
            "tls://1.1.1.1:853#one.one.one.one",
            "recursive",
            "https://192.0.2.1:443/q#dns.example",
        ];
        assert_eq!(shown, expected);
        let legacy = config.legacy(Vec::new());
        let zones: Vec<String> = legacy.zones.iter().map(|zone| zone.zone.to_string()).collect();
        assert_eq!(zones, ["corp.example.", "10.in-addr.arpa."]);
        assert_eq!(legacy.zones[1].upstreams[0].to_string(), "tcp://192.0.2.53:53");
        assert_eq!((legacy.serve_stale, legacy.min_ttl), (Duration::ZERO, Duration::from_secs(5)));
        assert_eq!(legacy.first_retry, Duration::from_millis(100));
        assert!(!legacy.recursive.validate && legacy.recursive.port == 5353);
        let one = load("--dev --upstream recursive", &[], Some(file)).unwrap();
        assert_eq!(one.upstreams, Some(vec![Upstream::Recursive]), "a flag counts more");
    }

    #[test]
    fn a_flag_counts_more_than_the_environment() {
        let config = load("--dev", &[("NAMECHAIN_NETWORK", "main")], None).unwrap();
        assert!(matches!(config.chain, ChainFrom::Embedded { network: Network::Dev, .. }));
        let config = load("--node http://127.0.0.1:1", &[("NAMECHAIN_API", "127.0.0.1:2")], None).unwrap();
        let aside = Some(address("127.0.0.1:2"));
        assert!(matches!(config.chain, ChainFrom::Remote { api, .. } if api == aside));
        let config = load("--data-dir /data", &[("NAMECHAIN_NODE", "http://127.0.0.1:1")], None).unwrap();
        assert!(matches!(config.chain, ChainFrom::Embedded { .. }));
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line() {
        for (flags, env, file, expected) in [
            ("--listen localhost", vec![], None, "is not IP:PORT, as in 127.0.0.1:5300"),
            ("--upstream dns.example", vec![], None, "as in 9.9.9.9"),
            ("--network live", vec![], None, "use main, test or dev"),
            ("--dev --network main", vec![], None, "cannot be used with"),
            ("--node http://x --data-dir /data", vec![], None, "cannot be used with"),
            ("", vec![("NAMECHAIN_LISTEN", "5300")], None, "NAMECHAIN_LISTEN: '5300' is not IP:PORT"),
            ("", vec![("NAMECHAIN_NETWORK", "live")], None, "NAMECHAIN_NETWORK: 'live' is not a network"),
            ("", vec![], Some("\nupstrem = []"), "line 2: unknown key `upstrem`, expected one of"),
            ("", vec![], Some("upstream = 5"), "line 1:"),
            (
                "",
                vec![],
                Some("upstream = 'dns.example'"),
                "upstream: 'dns.example' is not an upstream: write IP",
            ),
            ("", vec![], Some("upstream = ['tls://dns.example']"), "write ?bootstrap=IP behind it"),
            ("", vec![("NAMECHAIN_UPSTREAM", "here")], None, "NAMECHAIN_UPSTREAM: 'here' is not an upstream"),
            (
                "",
                vec![],
                Some("[[upstreams]]\nurl = 'tls://a.example'\nboot = []"),
                "line 3: unknown key `boot`",
            ),
            (
                "",
                vec![],
                Some("[[forward]]\nzone = 'a..b'\nupstream = '9.9.9.9'"),
                "is not the name of a zone",
            ),
            (
                "",
                vec![],
                Some("[[forward]]\nzone = '.'\nupstream = '9.9.9.9'"),
                "write its upstreams as upstream",
            ),
            ("", vec![], Some("[[forward]]\nzone = 'alt'\nupstream = '9.9.9.9'"), "names of the chain"),
            ("", vec![], Some("[[forward]]\nzone = 'a.namechain.alt'\nupstream = '9.9.9.9'"), "of the chain"),
            ("", vec![], Some("[[forward]]\nzone = 'corp'\nupstream = []"), "has no upstream"),
            ("", vec![], Some("[[forward]]\nzone = 'corp'"), "missing field `upstream`"),
            ("", vec![], Some("min-ttl-seconds = 9\nmax-ttl-seconds = 8"), "is more than max-ttl-seconds"),
            ("", vec![], Some("[delegation]\nports = 1"), "line 2: unknown key `ports`"),
            ("", vec![], Some("listen = ['x']"), "listen: 'x' is not IP:PORT"),
            ("", vec![], Some("listen = []"), "an empty list"),
            ("", vec![], Some("listen = 5"), "line 1:"),
            ("", vec![], Some("network = 'live'"), "use main, test or dev"),
            ("", vec![], Some("workers = 0"), "there can be 1 to 256"),
            ("", vec![], Some("allow = ['home']"), "as in 192.168.0.0/16"),
            ("", vec![], Some("node = 'http://127.0.0.1'\ndata-dir = '/data'"), "node excludes data-dir"),
            ("--config /does/not/exist", vec![], None, "/does/not/exist can't be read"),
        ] {
            let error = load(flags, &env, file).unwrap_err();
            assert!(error.contains(expected), "{flags} {file:?}: {error}");
            let first = error.lines().next().unwrap();
            assert!(first.len() < 400 && (file.is_none() || error.lines().count() == 1), "{error}");
        }
    }
}
