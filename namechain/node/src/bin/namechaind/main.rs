//! `namechaind`: a node of the naming chain, without DNS.

mod cli;
mod config;
mod genesis;
mod rehearsal;

use std::{path::Path, process::ExitCode};

use clap::Parser;
use namechain_core::types::{Hash, Network};
use namechain_node::node::{Node, NodeConfig, choose, init_log, log_filter, show_progress};
use serde_json::json;

use crate::cli::{Cli, OfflineCommand};

/// The exit code for wrong usage and for a wrong configuration, as clap has it.
const WRONG_USAGE: u8 = 2;

fn main() -> ExitCode {
    let mut cli = Cli::parse();
    let (json, command) = (cli.json, cli.command.take());
    let rehearsed = cli.rehearse_upgrade.take().map_or(Ok(()), rehearsal::begin);
    let config = match rehearsed.and_then(|()| config::load(cli)) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("namechaind: {error}");
            return ExitCode::from(WRONG_USAGE);
        }
    };
    let asked = std::env::var("NAMECHAIN_LOG")
        .ok()
        .filter(|filter| !filter.is_empty())
        .unwrap_or_else(|| "info".into());
    match log_filter(&asked) {
        Ok(filter) => init_log(filter),
        Err(error) => {
            eprintln!("namechaind: NAMECHAIN_LOG: {error}");
            return ExitCode::from(WRONG_USAGE);
        }
    }
    if let Some(command) = command {
        return match run_command(&config, command, json) {
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

/// Does what there is to do beside running a node.
fn run_command(config: &NodeConfig, command: OfflineCommand, json: bool) -> Result<(), String> {
    match command {
        OfflineCommand::Invalidate { block } => print_choice(config, &block, false, json),
        OfflineCommand::Reconsider { block } => print_choice(config, &block, true, json),
        OfflineCommand::Genesis { time, entropy } => {
            print_genesis(config.network, &genesis::make(config.network, time, &entropy), json);
            Ok(())
        }
    }
}

fn print_genesis(network: Network, made: &genesis::Genesis, json: bool) {
    let genesis::Genesis { id, time, entropy } = made;
    if json {
        println!("{}", json!({ "network": network, "id": id, "time": time, "entropy": entropy }));
        return;
    }
    println!("The genesis block of network {network} is {id}. Its parameters are:");
    println!("    launched: true,");
    println!("    genesis_time: {time},");
    println!("    entropy: Hash({:?}),", entropy.0);
}

/// Puts a block out of the choice between chains, or back into it.
fn print_choice(
    config: &NodeConfig,
    block: &Hash,
    reconsider: bool,
    json: bool,
) -> Result<(), String> {
    let done = choose(config.network, &config.data_dir, block, reconsider)
        .map_err(|error| error.to_string())?;
    let (height, tip) = (done.height, done.tip);
    let (undone, connected) = (done.undone, done.connected);
    if json {
        let line = json!({
            "height": height, "tip": tip, "undone": undone, "connected": connected
        });
        println!("{line}");
    } else {
        println!(
            "{undone} blocks undone, {connected} connected: the tip is {tip} at height {height}"
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
    let admin = node.admin_path().map(Path::to_owned).unwrap_or_default();
    let p2p = node.handle().p2p();
    if json {
        let line = json!({
            "api": api, "admin": admin, "p2p": p2p, "network": network, "data_dir": data_dir
        });
        println!("{line}");
    } else {
        let api = api.unwrap_or_default();
        println!("Node of network {network}, API http://{api}, data in {}", data_dir.display());
        println!("Admin socket: {}", admin.display());
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
