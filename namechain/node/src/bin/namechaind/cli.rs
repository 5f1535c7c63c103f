//! The flags and `--help`.

use std::{net::SocketAddr, path::PathBuf};

use clap::{ArgAction, Parser, Subcommand, ValueEnum};
use namechain_core::{
    params::Branch,
    types::{Hash, Network},
};
use namechain_node::node::{MULTIADDR, MineMode, Multiaddr, PRUNE, prune_bytes};

use crate::{genesis, rehearsal};

const MORE: &str = "\
Examples:
  namechaind --network dev
      a private chain that mines when there is something to record
  namechaind --network test --mine on-demand
      a full node of the test network that others can reach on port 7379
  namechaind --network test --peer /ip4/192.0.2.1/tcp/7379
      a node that knows a first peer
  namechaind --network dev --api 127.0.0.1:0 --json
      on a free port; the line printed at the start says which
  namechaind --network test invalidate BLOCK
      with the node stopped: leave the chain that this block is on

A flag takes precedence over its environment variable, that over the file.
NAMECHAIN_LOG sets the log level: error, warn, info (default), debug, trace.

Exit codes: 0 stopped as requested, 1 the node failed, 2 wrong usage or configuration.";

/// Run a full node of the naming chain: it keeps the chain, connects to peers, mines, and serves
/// the HTTP API. It does no DNS: run `resolver` for that, which contains a node or uses this one
/// (`--node`).
#[derive(Debug, Default, Parser)]
#[command(version, max_term_width = 100, after_help = MORE)]
pub struct Cli {
    /// Read this TOML file; its keys are the names of the flags.
    #[arg(long, global = true, env = "NAMECHAIN_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The network: main, test or dev. Default: main.
    #[arg(long, global = true, env = "NAMECHAIN_NETWORK", value_name = "NETWORK")]
    pub network: Option<Network>,

    /// Serve the HTTP API here; port 0 means any free port. Default: 127.0.0.1:7380.
    #[arg(long, env = "NAMECHAIN_API", value_name = "IP:PORT")]
    pub api: Option<SocketAddr>,

    /// Accept API requests for this host name, beside the API's address and localhost; repeatable.
    #[arg(long, env = "NAMECHAIN_ALLOW_HOST", value_name = "NAME", value_delimiter = ',',
          action = ArgAction::Append)]
    pub allow_host: Vec<String>,

    /// Listen for peers here; repeatable. Port 0 means any free port. Default: port 7379 of all
    /// addresses, TCP and QUIC, on main and test; nowhere on dev.
    #[arg(long, env = "NAMECHAIN_P2P_LISTEN", value_name = "MULTIADDR", value_delimiter = ',',
          action = ArgAction::Append, value_parser = multiaddr)]
    pub listen: Vec<Multiaddr>,

    /// Stay connected to this node; repeatable. Other nodes are found through it and remembered.
    #[arg(long, env = "NAMECHAIN_PEER", value_name = "MULTIADDR", value_delimiter = ',',
          action = ArgAction::Append, value_parser = multiaddr)]
    pub peer: Vec<Multiaddr>,

    /// Look for nodes in the machine's own subnets (multicast DNS), and connect to two of them at
    /// most. On dev it never does.
    #[arg(long, env = "NAMECHAIN_MDNS")]
    pub mdns: bool,

    /// Accept connections of this many peers, beside eight that the node connects to. Default: 96.
    #[arg(long, env = "NAMECHAIN_MAX_PEERS", value_name = "N",
          value_parser = clap::value_parser!(u16).range(0..=1024))]
    pub max_peers: Option<u16>,

    /// Keep the chain here. Default: namechain/NETWORK in the user's data directory.
    #[arg(long, global = true, env = "NAMECHAIN_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// Serve the whole API, with peers and bans, on this Unix socket, which only you can open.
    /// Default: admin.sock in the data directory.
    #[arg(long, env = "NAMECHAIN_ADMIN_SOCKET", value_name = "PATH")]
    pub admin_socket: Option<PathBuf>,

    /// When to mine. Default: on-demand on dev, off elsewhere.
    #[arg(long, env = "NAMECHAIN_MINE", value_name = "WHEN")]
    pub mine: Option<Mine>,

    /// Threads that mine. Default: 1.
    #[arg(long, env = "NAMECHAIN_MINE_THREADS", value_name = "N",
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub mine_threads: Option<u16>,

    /// Delete old blocks while the block log is larger than this many MiB, at least 550; 0 keeps
    /// all. The last 22,320 blocks are always kept. Names are served as before. Default: 0.
    #[arg(long, env = "NAMECHAIN_PRUNE", value_name = "MIB", value_parser = prune)]
    pub prune: Option<u32>,

    /// On dev: rehearse an upgrade. From TIME on the branch NUMBER of the protocol is in force, and
    /// reserves these names too. As in 3@2027-01-31T12:00:00Z/newtld,othertld.
    #[arg(long, value_name = "NUMBER@TIME[/LABEL,...]", value_parser = rehearsal::parse_branch)]
    pub rehearse_upgrade: Option<Branch>,

    /// Rebuild the index from the block log.
    #[arg(long)]
    pub reindex: bool,

    /// Print the line at the start as JSON: {"api", "admin", "p2p", "network",
    /// "data_dir"}.
    #[arg(long, global = true)]
    pub json: bool,

    /// What to do instead of running a node.
    #[command(subcommand)]
    pub command: Option<OfflineCommand>,
}

/// What there is to do beside running a node. The node on the data directory must be stopped.
#[derive(Clone, Debug, Subcommand)]
pub enum OfflineCommand {
    /// Never follow this block nor any block after it, and switch to the best other chain.
    Invalidate {
        /// The block's id.
        block: Hash,
    },
    /// Make the genesis block of a public network from an announced time and announced values, and
    /// print its id and the lines for the parameters.
    Genesis {
        /// The announced time: seconds of Unix time, or as in 2027-01-31T12:00:00Z.
        #[arg(long, value_name = "TIME", value_parser = genesis::parse_time)]
        time: u64,
        /// A value that nobody could know before that time, in hexadecimal; repeatable, in the
        /// announced order.
        #[arg(long, required = true, value_name = "HEX", value_parser = genesis::parse_value)]
        entropy: Vec<genesis::Value>,
    },
    /// Take back 'invalidate': follow the block again if its chain has the most work.
    Reconsider {
        /// The block's id.
        block: Hash,
    },
}

/// When the node mines, as a flag.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Mine {
    /// Never.
    Off,
    /// Only while operations wait.
    OnDemand,
    /// Always.
    Always,
}

impl From<Mine> for MineMode {
    fn from(mine: Mine) -> Self {
        match mine {
            Mine::Off => MineMode::Off,
            Mine::OnDemand => MineMode::OnDemand,
            Mine::Always => MineMode::Always,
        }
    }
}

fn prune(text: &str) -> Result<u32, &'static str> {
    let mib = text.parse().map_err(|_| PRUNE)?;
    prune_bytes(mib).map(|_| mib)
}

fn multiaddr(text: &str) -> Result<Multiaddr, &'static str> {
    text.parse().map_err(|_| MULTIADDR)
}
