//! The command line, and the text of `--help`.

use std::{net::SocketAddr, path::PathBuf};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use namechain_core::types::Network;
use namechain_node::node::{MULTIADDR, MineMode, Multiaddr, PRUNE, prune_bytes};

use super::value::{ADDRESS, MINE};
use crate::{
    os::{NSSWITCH, RESOLV_CONF},
    telemetry::{QueryLogMode, UnknownQueryLogMode},
    upstream::Upstream,
};

const MORE: &str = "\
Examples:
  resolver --dev
      a private chain on this machine, for trying out
  resolver --dev --listen 127.0.0.1:0 --json
      on a free port, reported in one line of JSON
  resolver --upstream 9.9.9.9 --upstream 1.1.1.1
      these upstreams instead of the system's
  resolver --upstream tls://9.9.9.9#dns.quad9.net
      encrypted; so are https://NAME/dns-query?bootstrap=IP and quic://NAME?bootstrap=IP
  resolver --upstream recursive
      no upstream: resolve recursively from the root servers
  resolver --node http://127.0.0.1:7380
      with a node that is already running
  resolver --network test --peer /ip4/192.0.2.1/tcp/7379
      on the test network, with a first peer
  resolver --config resolver.toml doctor
      find out why names do not resolve; every line ends with what to do
  dig @127.0.0.1 -p 5300 www.alice
      send it a query

Environment: NAMECHAIN_NETWORK, _LISTEN, _API, _UPSTREAM, _DATA_DIR, _CONFIG, _NODE, _MOUNT_ROOT,
_P2P_LISTEN, _PEER, _MINE, _MINE_THREADS, _NO_MDNS, _ALLOW_HOST, _ADMIN_SOCKET; several values are separated by commas. Flags override the environment, the environment
overrides the file. NAMECHAIN_LOG sets the log level: error, warn, info, debug, resolver=debug.

Keys of the file only: suffixes = [\"namechain.alt\"], allow = [\"192.168.0.0/16\"] (networks that may send queries),
cache-bytes, workers (threads for UDP), fast-path = false, upstream-timeout-ms,
hedge-ms, serve-stale-seconds, min-ttl-seconds, max-ttl-seconds,
upstream = [] (no upstream), and the tables
  [[forward]] zone = \"corp.example\", upstream = [\"10.0.0.53\"]: other upstreams for some zones
  [[upstreams]] url, bootstrap, ca, pin: an encrypted upstream and how to verify its certificate
  [validate] mode = \"auto\"|\"on\"|\"off\", trust-anchors, insecure: DNSSEC of legacy names
  [recursive] root-hints, trust-anchor, validate, port, loopback
  [delegation] port = 53, loopback = false: names that delegate their zone to other servers.

SIGHUP reloads the file and logs what has changed, or why it is invalid. Sockets that a service
manager passes (LISTEN_FDS) are used in place of --listen.

Exit codes: 0 stopped on request, 1 failed, 2 invalid usage or configuration.";

/// A DNS server for this machine: names on the chain are answered from the chain, everything else
/// from legacy DNS.
#[derive(Clone, Debug, Default, Parser)]
#[command(name = "resolver", version, max_term_width = 100, after_help = MORE)]
pub struct Cli {
    /// The dev network: short for --network dev
    #[arg(long, conflicts_with = "network")]
    pub dev: bool,

    /// The network: main, test or dev [default: main]
    #[arg(long, value_name = "NETWORK")]
    pub network: Option<Network>,

    /// Listen for DNS here, over UDP and TCP; may be repeated [default: 127.0.0.1:5300]
    #[arg(long, value_name = "IP:PORT", action = ArgAction::Append, value_parser = address)]
    pub listen: Vec<SocketAddr>,

    /// Serve the HTTP API here [default: 127.0.0.1:7380; with --node the control API only, at
    /// 127.0.0.1:7381]
    #[arg(long, value_name = "IP:PORT", value_parser = address)]
    pub api: Option<SocketAddr>,

    /// Serve the whole API, with trace, cache flush, trust anchor, peers and bans, on this Unix
    /// socket, which only you can open [default: admin.sock in the data directory; with --node in
    /// the user's state directory]
    #[arg(long, value_name = "PATH")]
    pub admin_socket: Option<PathBuf>,

    /// Use this server for names that are not on the chain; may be repeated [default: the system's
    /// servers]
    #[arg(long, value_name = "IP[:PORT]|URL", action = ArgAction::Append)]
    pub upstream: Vec<Upstream>,

    /// Store the chain's data here [default: namechain/NETWORK in the user's data directory]
    #[arg(long, value_name = "DIR", conflicts_with = "node")]
    pub data_dir: Option<PathBuf>,

    /// Read this TOML file; its keys are the names of the flags
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Accept connections of other nodes here; may be repeated [default: none]
    #[arg(long, value_name = "MULTIADDR", action = ArgAction::Append, conflicts_with = "node", value_parser = multiaddr)]
    pub p2p_listen: Vec<Multiaddr>,

    /// Stay connected to this node; may be repeated. Others are found through it and remembered
    #[arg(long, value_name = "MULTIADDR", action = ArgAction::Append, conflicts_with = "node", value_parser = multiaddr)]
    pub peer: Vec<Multiaddr>,

    /// Look for nodes in this machine's own subnets (multicast DNS); never on dev
    #[arg(long)]
    pub mdns: bool,

    /// When to mine [default: on-demand on dev, off elsewhere]
    #[arg(long, value_name = "off|on-demand|always", conflicts_with = "node", value_parser = mine)]
    pub mine: Option<MineMode>,

    /// Threads that mine [default: 1]
    #[arg(long, value_name = "N", conflicts_with = "node", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub mine_threads: Option<u16>,

    /// Delete old blocks while the block log is larger than this many MiB, at least 550; the last
    /// 22,320 blocks are always kept [default: 0, which keeps all]
    #[arg(long, value_name = "MIB", conflicts_with = "node", value_parser = prune)]
    pub prune: Option<u32>,

    /// A host name that the API accepts, beside its address and localhost; may be repeated
    #[arg(long, value_name = "NAME", action = ArgAction::Append, conflicts_with = "node")]
    pub allow_host: Vec<String>,

    /// Use a remote node instead of the one in this process
    #[arg(long, value_name = "URL")]
    pub node: Option<String>,

    /// Whether names of the chain are also mounted at the root (alice.), not only under
    /// namechain.alt. [default: on]
    #[arg(long, value_name = "on|off", hide_possible_values = true)]
    pub mount_root: Option<Switch>,

    /// Log a line for each query: off, on, or with-clients (with client addresses) [default: off]
    #[arg(long, value_name = "off|on|with-clients", value_parser = logged)]
    pub query_log: Option<QueryLogMode>,

    /// Report the addresses in one line of JSON; also the output of doctor and check-config
    #[arg(long, global = true)]
    pub json: bool,

    /// A subcommand, instead of serving DNS
    #[command(subcommand)]
    pub command: Option<Command>,
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| ADDRESS)
}

fn multiaddr(text: &str) -> Result<Multiaddr, &'static str> {
    text.parse().map_err(|_| MULTIADDR)
}

fn logged(text: &str) -> Result<QueryLogMode, UnknownQueryLogMode> {
    text.parse()
}

fn prune(text: &str) -> Result<u32, &'static str> {
    let mib = text.parse().map_err(|_| PRUNE)?;
    prune_bytes(mib).map(|_| mib)
}

fn mine(text: &str) -> Result<MineMode, &'static str> {
    text.parse().map_err(|_| MINE)
}

/// A subcommand.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Validate the configuration and print a summary
    ///
    /// Nothing is started, queried or changed. Flags come first: resolver --config FILE
    /// check-config. The exit code is 0, or 2 if the configuration is invalid.
    CheckConfig,
    /// Find out why names do not resolve, and say what to do
    ///
    /// Flags come first: resolver --config FILE doctor. It checks the ports and who uses them, the
    /// system's DNS configuration, each upstream, the clock, the chain, and the running resolver,
    /// if there is one. Nothing is changed. The exit code is 0 if nothing is broken, otherwise 1.
    Doctor(DoctorArgs),
}

/// The options of `doctor`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct DoctorArgs {
    /// The file with the system's DNS servers
    #[arg(long, value_name = "FILE", default_value = RESOLV_CONF)]
    pub resolv_conf: PathBuf,
    /// The file that says how the C library looks up names
    #[arg(long, value_name = "FILE", default_value = NSSWITCH)]
    pub nsswitch: PathBuf,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}
