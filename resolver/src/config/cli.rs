//! The flags, and what `--help` teaches.

use std::{net::SocketAddr, path::PathBuf};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use namechain_core::types::Network;
use namechain_node::node::{MULTIADDR, MineMode, Multiaddr};

use super::ADDRESS;
use crate::{
    os::{NSSWITCH, RESOLV_CONF},
    telemetry::{Logged, UnknownLogged},
    upstream::Upstream,
};

const MORE: &str = "\
Examples:
  resolver --dev
      a private chain on this machine, to try things out
  resolver --dev --listen 127.0.0.1:0 --json
      on a free port, told in one line of JSON
  resolver --upstream 9.9.9.9 --upstream 1.1.1.1
      these upstreams instead of the machine's own
  resolver --upstream tls://9.9.9.9#dns.quad9.net
      encrypted; so are https://NAME/dns-query?bootstrap=IP and quic://NAME?bootstrap=IP
  resolver --upstream recursive
      no upstream: the servers of each name are asked, from the root on
  resolver --node http://127.0.0.1:7380
      with a node that runs already
  resolver --network test --peer /ip4/192.0.2.1/tcp/7379
      on the test network, with a node that it knows to begin with
  resolver --config resolver.toml doctor
      why does it not work? Every line ends with what to do
  dig @127.0.0.1 -p 5300 www.alice
      ask it

Environment: NAMECHAIN_NETWORK, _LISTEN, _API, _UPSTREAM, _DATA_DIR, _CONFIG, _NODE, _MOUNT_ROOT,
_P2P_LISTEN, _PEER, _MINE, _MINE_THREADS, _NO_MDNS, _ALLOW_HOST; several values with commas between. A flag counts more than the environment, the environment
more than the file. NAMECHAIN_LOG says what is logged: error, warn, info, debug, resolver=debug.

Only the file has: mount-alt = true, allow = [\"192.168.0.0/16\"] (who may ask beside this machine),
cache-bytes, workers (threads that answer over UDP), fast-path = false, upstream-timeout-ms,
hedge-ms, serve-stale-seconds, min-ttl-seconds, max-ttl-seconds,
upstream = [] (ask nobody), and the tables
  [[forward]] zone = \"corp.example\", upstream = [\"10.0.0.53\"]: other upstreams for some names
  [[upstreams]] url, bootstrap, ca, pin: an encrypted upstream and whom its certificate is from
  [validate] mode = \"auto\"|\"on\"|\"off\", trust-anchors, insecure: DNSSEC of legacy names
  [recursive] root-hints, trust-anchor, validate, port, loopback
  [delegation] port = 53, loopback = false: names that delegate their zone.

SIGHUP reads the file again, and says what has changed or what is wrong with it. Sockets that a service
manager passes (LISTEN_FDS) are answered at in place of --listen.

Exit codes: 0 stopped as asked, 1 it could not start or failed, 2 wrong usage or configuration.";

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

    /// Answer DNS here, UDP and TCP; can be given several times [default: 127.0.0.1:5300]
    #[arg(long, value_name = "IP:PORT", action = ArgAction::Append, value_parser = address)]
    pub listen: Vec<SocketAddr>,

    /// Serve the HTTP API here [default: 127.0.0.1:7380; with --node a small one, at
    /// 127.0.0.1:7381]
    #[arg(long, value_name = "IP:PORT", value_parser = address)]
    pub api: Option<SocketAddr>,

    /// Ask this server for everything that is not on the chain; can be given several times
    /// [default: the machine's own]
    #[arg(long, value_name = "IP[:PORT]|URL", action = ArgAction::Append)]
    pub upstream: Vec<Upstream>,

    /// Keep the chain here [default: namechain/NETWORK in the user's data directory]
    #[arg(long, value_name = "DIR", conflicts_with = "node")]
    pub data_dir: Option<PathBuf>,

    /// Read this TOML file; its keys are the names of the flags
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Take connections of other nodes here; can be given several times [default: nowhere]
    #[arg(long, value_name = "MULTIADDR", action = ArgAction::Append, conflicts_with = "node", value_parser = multiaddr)]
    pub p2p_listen: Vec<Multiaddr>,

    /// Stay connected to this node; can be given several times. Others are found through it, and
    /// remembered
    #[arg(long, value_name = "MULTIADDR", action = ArgAction::Append, conflicts_with = "node", value_parser = multiaddr)]
    pub peer: Vec<Multiaddr>,

    /// Do not look for nodes on the local network (multicast DNS)
    #[arg(long)]
    pub no_mdns: bool,

    /// When to mine [default: on-demand on dev, off elsewhere]
    #[arg(long, value_name = "off|on-demand|always", conflicts_with = "node", value_parser = mine)]
    pub mine: Option<MineMode>,

    /// Threads that mine [default: 1]
    #[arg(long, value_name = "N", conflicts_with = "node", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub mine_threads: Option<u16>,

    /// A name by which the API may be addressed, beside its address and localhost; can be given
    /// several times
    #[arg(long, value_name = "NAME", action = ArgAction::Append, conflicts_with = "node")]
    pub allow_host: Vec<String>,

    /// Use a node that runs elsewhere instead of one of our own
    #[arg(long, value_name = "URL")]
    pub node: Option<String>,

    /// Whether names of the chain stand at the root too (alice.), not only in alice.namechain.alt.
    /// [default: on]
    #[arg(long, value_name = "on|off", hide_possible_values = true)]
    pub mount_root: Option<Switch>,

    /// Log a line for each query: off, on, or with-clients (who asked, too) [default: off]
    #[arg(long, value_name = "off|on|with-clients", value_parser = logged)]
    pub query_log: Option<Logged>,

    /// Say where it listens in one line of JSON; what doctor and check-config say, too
    #[arg(long, global = true)]
    pub json: bool,

    /// What to do instead of answering
    #[command(subcommand)]
    pub instead: Option<Instead>,
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| ADDRESS)
}

fn multiaddr(text: &str) -> Result<Multiaddr, &'static str> {
    text.parse().map_err(|_| MULTIADDR)
}

fn logged(text: &str) -> Result<Logged, UnknownLogged> {
    text.parse()
}

fn mine(text: &str) -> Result<MineMode, &'static str> {
    text.parse().map_err(|_| super::MINE)
}

/// What the program does instead of answering.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Instead {
    /// Say whether the configuration can be used, and what it comes to
    ///
    /// Nothing is started, asked or changed. The flags stand before it, as those of the resolver
    /// that it is about: resolver --config FILE check-config. It ends with 0, or with 2 and what is
    /// wrong.
    CheckConfig,
    /// Look for what keeps names from being resolved, and say what to do about it
    ///
    /// The flags stand before it, as those of the resolver that it is about: resolver --config FILE
    /// doctor. It looks at the ports and who has them, at what this machine asks for DNS, at each
    /// upstream, the clock, the chain, and the resolver that runs, if one does. Nothing is changed.
    /// It ends with 0 if nothing is broken, otherwise with 1.
    Doctor(Doctor),
}

/// `doctor`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct Doctor {
    /// Take this for the file in which the machine names its DNS servers
    #[arg(long, value_name = "FILE", default_value = RESOLV_CONF)]
    pub resolv_conf: PathBuf,
    /// Take this for the file in which the machine says how names are looked up
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
