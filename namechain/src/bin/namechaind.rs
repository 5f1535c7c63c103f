//! `namechaind`: a node of the naming chain, without DNS.

use std::{io::IsTerminal, net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Parser, ValueEnum};
use namechain::{
    node::{MineMode, Node, NodeConfig},
    types::Network,
};
use serde_json::json;
use tracing_subscriber::EnvFilter;

/// Run a node of the naming chain: it keeps the chain, mines, and serves the HTTP API. It does no DNS; for that, run
/// `resolver`, which can embed a node or ask this one with `--node`.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
#[command(after_help = "Examples:\n  \
    namechaind --network dev\n      a private chain, mined at once when there is something to record\n  \
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

    /// Print the line at the start as JSON: {"api", "network", "data_dir"}.
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

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_env("NAMECHAIN_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let colour = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
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
    let data_dir = match cli.data_dir {
        Some(dir) => dir,
        None => namechain::node::default_data_dir(network).ok_or(
            "neither XDG_DATA_HOME nor HOME is set: say where the chain is kept with --data-dir DIR",
        )?,
    };
    let config = NodeConfig {
        network,
        data_dir: data_dir.clone(),
        api: Some(cli.api),
        mine: cli.mine.map_or_else(|| MineMode::default_of(network), MineMode::from),
        mine_threads: usize::from(cli.mine_threads),
        reindex: cli.reindex,
    };
    let stop =
        namechain::node::stop_signal().map_err(|error| format!("signals can't be watched: {error}"))?;
    let node = Node::start(config).await.map_err(|error| error.to_string())?;
    let api = node.api_addr().map(|addr| addr.to_string());
    if cli.json {
        println!("{}", json!({ "api": api, "network": network, "data_dir": data_dir }));
    } else {
        let api = api.unwrap_or_default();
        println!("Node of network {network}, API http://{api}, data in {}", data_dir.display());
        println!("Try: zonetool --node http://{api} status");
    }
    let handle = node.handle();
    let lost = tokio::select! {
        () = stop => None,
        loss = handle.lost() => Some(loss),
    };
    node.stop().await;
    match lost {
        None => Ok(()),
        Some(loss) => {
            Err(format!("the node has stopped: {}; nothing is lost, see to it and start again", loss.0))
        }
    }
}
