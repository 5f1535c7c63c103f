//! `namechaind`: a node of the naming chain, without DNS.

mod cli;
mod config;

use std::{io::IsTerminal, process::ExitCode};

use clap::Parser;
use namechain_node::node::{LOG_FILTER, LogOutput, Node, NodeConfig, choose, show_progress};
use serde_json::json;
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, OfflineCommand};

/// The exit code for wrong usage and for a wrong configuration, as clap has it.
const WRONG_USAGE: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let (json, command) = (cli.json, cli.command);
    let config = match config::load(cli) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("namechaind: {error}");
            return ExitCode::from(WRONG_USAGE);
        }
    };
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
    if let Some(command) = command {
        return match give_word(&config, command, json) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        };
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("the runtime can't be started: {error}")),
    };
    match runtime.block_on(run(config, json)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &str) -> ExitCode {
    eprintln!("namechaind: {error}");
    ExitCode::FAILURE
}

/// Puts a block out of the choice between chains, or back into it.
fn give_word(config: &NodeConfig, command: OfflineCommand, json: bool) -> Result<(), String> {
    let (block, reconsider) = match command {
        OfflineCommand::Invalidate { block } => (block, false),
        OfflineCommand::Reconsider { block } => (block, true),
    };
    let done = choose(config.network, &config.data_dir, &block, reconsider)
        .map_err(|error| error.to_string())?;
    if json {
        let (height, tip) = (done.height, done.tip);
        let (undone, connected) = (done.undone, done.connected);
        let line = json!({
            "height": height, "tip": tip, "undone": undone, "connected": connected
        });
        println!("{line}");
    } else {
        println!(
            "{} blocks undone, {} connected: the tip is {} at height {}",
            done.undone, done.connected, done.tip, done.height
        );
    }
    Ok(())
}

async fn run(config: NodeConfig, json: bool) -> Result<(), String> {
    let (network, data_dir) = (config.network, config.data_dir.clone());
    let stop = namechain_node::node::stop_signal()
        .map_err(|error| format!("signals can't be watched: {error}"))?;
    let node = Node::start(config).await.map_err(|error| error.to_string())?;
    let api = node.api_addr().map(|addr| addr.to_string());
    let p2p = node.handle().p2p();
    if json {
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
