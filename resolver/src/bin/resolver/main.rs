//! `resolver`: the DNS server, with a node in the process or a remote one.

mod banner;
mod chain;
mod control_api;
mod listeners;
mod reload;
mod setup;
mod subcommand;
mod watchdog;

use std::{io::Write, net::SocketAddr, path::Path, pin::pin, process::ExitCode, sync::Arc};

use anyhow::Context;
use banner::StartupReport;
use clap::Parser as _;
use namechain_node::node::{Node, init_log, show_progress, stop_signal};
use resolver::{
    config::{ChainConfig, Cli},
    control::Control,
    dns::query::Transport,
    os,
    os::{clock::Clock, systemd, systemd::Pair},
    server::{Bound, Server, bind, handle::ResponderHandle, responder::Responder},
    upstream::{Upstream, Upstreams},
};
use tokio::signal::unix::{SignalKind, signal};

use chain::{ChainBackend, open_chain};
use control_api::ControlApi;
use listeners::EncryptedListeners;
use reload::Reload;
use setup::{
    Startup, load_startup, new_pipeline, open_signer, read_upstreams, remove_own_addresses,
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let startup = match load_startup(cli.clone()) {
        Ok(startup) => startup,
        Err(error) => return subcommand::report_invalid_config(&cli, &error),
    };
    if let Some(command) = &cli.command {
        return subcommand::run(&cli, command, &startup.config);
    }
    // Before there are threads: the environment is changed.
    let passed = match systemd::sockets() {
        Ok(passed) => passed,
        Err(error) => return fail(&error.into()),
    };
    init_log(startup.filter.clone());
    os::raise_descriptors();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    match runtime.block_on(run(startup, passed)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("resolver: {error:#}");
    ExitCode::FAILURE
}

async fn run(startup: Startup, passed: Vec<Pair>) -> anyhow::Result<()> {
    let Startup { cli, config, .. } = startup;
    // First: once this resolver is the system's, resolv.conf names no other server.
    let (upstreams, system_upstreams) = read_upstreams(&config);
    let bound = if passed.is_empty() {
        config.listen.iter().map(|address| bind(*address)).collect::<Result<Vec<Bound>, _>>()?
    } else {
        passed.into_iter().map(Bound::from).collect()
    };
    let encrypted = EncryptedListeners::open(&config)?;
    let dns: Vec<SocketAddr> = bound.iter().map(Bound::address).collect();
    let upstreams = remove_own_addresses(upstreams, &dns);
    let stop = stop_signal().context("signal handlers can't be installed")?;
    let mut hangup = signal(SignalKind::hangup()).context("signal handlers can't be installed")?;
    let names = upstreams.iter().map(Upstream::to_string).collect();
    let legacy = config.legacy(upstreams);
    let (cache, clock) = (Arc::new(legacy.new_cache()), Arc::new(Clock::start()));
    let legacy = Upstreams::new(legacy, cache.clone(), clock.clone())?;
    let control = Control::default();
    let ChainBackend { source: chain, node, control_api } =
        open_chain(&config.chain, &control).await?;
    // After the node: its lock on the data directory also protects the key.
    let signer = config.sign.as_ref().map(open_signer).transpose()?.flatten();
    let started = StartupReport {
        dns: dns.clone(),
        dns_tls: encrypted.addresses(Transport::Tls),
        dns_https: encrypted.addresses(Transport::Https),
        dns_quic: encrypted.addresses(Transport::Quic),
        dns_pin: encrypted.pin(),
        api: node
            .as_ref()
            .and_then(Node::api_addr)
            .or_else(|| control_api.as_ref().and_then(ControlApi::address)),
        admin: node
            .as_ref()
            .and_then(Node::admin_path)
            .or_else(|| control_api.as_ref().and_then(ControlApi::admin))
            .map(Path::to_owned),
        node: match &config.chain {
            ChainConfig::Remote { url, .. } => Some(url.clone()),
            ChainConfig::Embedded { .. } => None,
        },
        p2p: node.as_ref().map(|node| node.handle().p2p()).unwrap_or_default(),
        network: chain.network(),
        upstreams: names,
        data_dir: match &config.chain {
            ChainConfig::Embedded { data_dir, .. } => Some(data_dir.clone()),
            ChainConfig::Remote { .. } => None,
        },
        system_upstreams,
        at_root: config.mounts.root,
        zonetool: if std::env::var_os("CARGO").is_some() {
            "cargo run --release --bin zonetool --"
        } else {
            "zonetool"
        },
    };
    let pipeline = new_pipeline(&config, chain, legacy, signer, encrypted.designated());
    let responder = Responder::new(pipeline, cache, clock, config.access.clone());
    responder.telemetry().set_query_log(config.query_log);
    let current = ResponderHandle::from(responder.with_cookies(config.cookies));
    control.serves(&current, &dns);
    let mut server = Server::start_with(bound, current.clone(), config.udp);
    let identity = encrypted.serve(&mut server);
    print_report(&started, config.json);
    let drawing = node.as_ref().map(|node| tokio::spawn(show_progress(node.handle())));
    systemd::ready();
    let alive = tokio::spawn(watchdog::run(dns.clone()));
    let mut reload = Reload { cli, config, current, dns, identity };
    let mut stop = pin!(stop);
    let failure = loop {
        tokio::select! {
            () = &mut stop => break None,
            error = server.failed() => {
                break Some(anyhow::Error::from(error).context("the DNS server failed"));
            }
            loss = node_failure(node.as_ref()) => break Some(anyhow::anyhow!("the node has stopped: {loss}")),
            Some(()) = hangup.recv() => reload.reload(),
        }
    };
    systemd::stopping();
    alive.abort();
    server.stop().await;
    if let Some(drawing) = drawing {
        drawing.abort();
    }
    if let Some(control_api) = control_api {
        control_api.stop().await;
    }
    if let Some(node) = node {
        node.stop().await;
    }
    failure.map_or(Ok(()), Err)
}

/// Prints the startup report as one line of JSON or as text. A closed pipe is not an error.
fn print_report(started: &StartupReport, json: bool) {
    let mut out = std::io::stdout();
    let said = match serde_json::to_string(started) {
        Ok(line) if json => writeln!(out, "{line}"),
        _ => writeln!(out, "{started}"),
    };
    if said.and_then(|()| out.flush()).is_err() {
        tracing::debug!("the startup report could not be printed");
    }
}

/// Waits for the node to fail and returns why; waits for ever without a node.
async fn node_failure(node: Option<&Node>) -> String {
    match node {
        Some(node) => node.handle().fatal_error().await.0,
        None => std::future::pending().await,
    }
}
