//! `namechaind`: a node of the naming chain, without DNS.

use std::{
    io::IsTerminal,
    net::{SocketAddr, UdpSocket},
    path::PathBuf,
    process::ExitCode,
};

use clap::{ArgAction, Parser, ValueEnum};
use namechain_core::types::Network;
use namechain_node::node::{
    DEFAULT_INBOUND, LOG_FILTER, LogOutput, MULTIADDR, MineMode, Multiaddr, Node, NodeConfig,
    P2P_PORT, P2p, show_progress,
};
use serde_json::json;
use tracing_subscriber::EnvFilter;

/// Run a node of the naming chain: it keeps the chain, mines, and serves the HTTP API. It does no
/// DNS; for that, run `resolver`, which can embed a node or ask this one with `--node`.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
#[command(after_help = "Examples:\n  \
    namechaind --network dev\n      a private chain, mined at once when there is something to record\n  \
    namechaind --network test --mine on-demand\n      a full node of the test network, which others can reach on port 7379\n  \
    namechaind --network test --peer /ip4/192.0.2.1/tcp/7379\n      one that knows another to begin with\n  \
    namechaind --network dev --api 127.0.0.1:0 --json\n      any free port; the line printed at the start tells which\n\n\
    Exit codes: 0 stopped as asked, 1 the node failed, 2 wrong usage.\n\
    What it logs is set by NAMECHAIN_LOG (error, warn, info, debug, trace; default info).")]
struct Cli {
    /// The network: main, test or dev.
    #[arg(long, env = "NAMECHAIN_NETWORK", default_value = "main", value_name = "NETWORK")]
    network: Network,

    /// Where the HTTP API listens; port 0 means any free port.
    #[arg(long, env = "NAMECHAIN_API", default_value = "127.0.0.1:7380", value_name = "IP:PORT")]
    api: SocketAddr,

    /// A name by which the API may be addressed, beside its address and localhost; can be given
    /// several times.
    #[arg(long, env = "NAMECHAIN_ALLOW_HOST", value_name = "NAME", value_delimiter = ',', action = ArgAction::Append)]
    allow_host: Vec<String>,

    /// Where to listen for other nodes; can be given several times. Port 0 means any free port.
    /// Default: port 7379 of all addresses, TCP and QUIC, on main and test; nowhere on dev.
    #[arg(long, env = "NAMECHAIN_P2P_LISTEN", value_name = "MULTIADDR", value_delimiter = ',',
          action = ArgAction::Append, value_parser = multiaddr)]
    listen: Vec<Multiaddr>,

    /// A node to stay connected to; can be given several times. Others are found through it, and
    /// remembered.
    #[arg(long, env = "NAMECHAIN_PEER", value_name = "MULTIADDR", value_delimiter = ',',
          action = ArgAction::Append, value_parser = multiaddr)]
    peer: Vec<Multiaddr>,

    /// Do not look for nodes on the local network (multicast DNS). On dev it never does.
    #[arg(long, env = "NAMECHAIN_NO_MDNS")]
    no_mdns: bool,

    /// How many nodes may connect to this one. It connects to eight others beside.
    #[arg(long, env = "NAMECHAIN_MAX_PEERS", default_value_t = DEFAULT_INBOUND as u16, value_name = "N",
          value_parser = clap::value_parser!(u16).range(0..=1024))]
    max_peers: u16,

    /// Where the chain is kept. Default: namechain/NETWORK in the user's data directory.
    #[arg(long, env = "NAMECHAIN_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// When to mine. Default: on-demand on dev, off elsewhere.
    #[arg(long, env = "NAMECHAIN_MINE", value_name = "WHEN")]
    mine: Option<Mine>,

    /// Threads that mine.
    #[arg(long, env = "NAMECHAIN_MINE_THREADS", default_value_t = 1, value_name = "N",
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    mine_threads: u16,

    /// Make the index anew from the block log.
    #[arg(long)]
    reindex: bool,

    /// Print the line at the start as JSON: {"api", "p2p", "network", "data_dir"}.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Mine {
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

fn multiaddr(text: &str) -> Result<Multiaddr, &'static str> {
    text.parse().map_err(|_| MULTIADDR)
}

/// How to take part in the network: on dev only if it was said how.
fn p2p(cli: &Cli) -> Option<P2p> {
    let dev = cli.network == Network::Dev;
    if dev && cli.listen.is_empty() && cli.peer.is_empty() {
        return None;
    }
    let listen =
        if cli.listen.is_empty() && !dev { listen_everywhere() } else { cli.listen.clone() };
    let peers = cli.peer.clone();
    Some(P2p { listen, peers, mdns: !dev && !cli.no_mdns, max_inbound: usize::from(cli.max_peers) })
}

/// All addresses of the machine, of the families that it has.
fn listen_everywhere() -> Vec<Multiaddr> {
    let families = [("/ip4/0.0.0.0", "0.0.0.0:0"), ("/ip6/::", "[::]:0")];
    let there = families.iter().filter(|(_, any)| UdpSocket::bind(any).is_ok());
    let of = |(ip, _): &(&str, &str)| {
        [format!("{ip}/tcp/{P2P_PORT}"), format!("{ip}/udp/{P2P_PORT}/quic-v1")]
            .map(|text| text.parse().ok())
    };
    there.flat_map(of).flatten().collect()
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let asked = std::env::var("NAMECHAIN_LOG").unwrap_or_else(|_| "info".into());
    let filter = EnvFilter::try_new(format!("{LOG_FILTER},{asked}"))
        .unwrap_or_else(|_| EnvFilter::new(format!("{LOG_FILTER},info")));
    let colour = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(LogOutput::default)
        .with_ansi(colour)
        .with_target(false)
        .init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("the runtime can't be started: {error}")),
    };
    match runtime.block_on(run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &str) -> ExitCode {
    eprintln!("namechaind: {error}");
    ExitCode::FAILURE
}

async fn run(cli: Cli) -> Result<(), String> {
    let network = cli.network;
    let p2p = p2p(&cli);
    let data_dir = match cli.data_dir {
        Some(dir) => dir,
        None => namechain_node::node::default_data_dir(network).ok_or(
            "neither XDG_DATA_HOME nor HOME is set: say where the chain is kept with --data-dir DIR",
        )?,
    };
    let config = NodeConfig {
        network,
        data_dir: data_dir.clone(),
        api: Some(cli.api),
        allow_hosts: cli.allow_host,
        p2p,
        mine: cli.mine.map_or_else(|| MineMode::default_of(network), MineMode::from),
        mine_threads: usize::from(cli.mine_threads),
        reindex: cli.reindex,
    };
    let stop = namechain_node::node::stop_signal()
        .map_err(|error| format!("signals can't be watched: {error}"))?;
    let node = Node::start(config).await.map_err(|error| error.to_string())?;
    let api = node.api_addr().map(|addr| addr.to_string());
    let p2p = node.handle().p2p();
    if cli.json {
        println!("{}", json!({ "api": api, "p2p": p2p, "network": network, "data_dir": data_dir }));
    } else {
        let api = api.unwrap_or_default();
        println!("Node of network {network}, API http://{api}, data in {}", data_dir.display());
        for address in p2p {
            println!("Others reach it with --peer {address}");
        }
        println!("Try: zonetool --node http://{api} status");
    }
    let handle = node.handle();
    let drawing = tokio::spawn(show_progress(node.handle()));
    let lost = tokio::select! {
        () = stop => None,
        loss = handle.fatal_error() => Some(loss),
    };
    drawing.abort();
    node.stop().await;
    match lost {
        None => Ok(()),
        Some(loss) => Err(format!(
            "the node has stopped: {}; nothing is lost, see to it and start again",
            loss.0
        )),
    }
}
