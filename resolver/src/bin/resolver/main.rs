//! `resolver`: the DNS server, with a node in the process or a remote one.

mod banner;
mod chain;
mod control_api;
mod listeners;
mod reload;
mod subcommand;
mod watchdog;

use std::{
    io::{IsTerminal, Write},
    net::SocketAddr,
    pin::pin,
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context;
use banner::StartupReport;
use clap::Parser as _;
use namechain_node::node::{LOG_FILTER, LogOutput, Node, show_progress, stop_signal};
use resolver::{
    chain::{ChainSource, Remote},
    config::{ChainConfig, Cli, Config, SignConfig},
    control::Control,
    dns::query::Transport,
    dnssec::sign::{SignError, Signer},
    os,
    os::{clock::Clock, systemd, systemd::Pair},
    resolve::Pipeline,
    server::{
        Bound, Server, bind,
        handle::ResponderHandle,
        responder::{Clients, Responder},
    },
    upstream::{Upstream, Upstreams},
};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use chain::{ChainBackend, open_chain};
use control_api::ControlApi;
use listeners::EncryptedListeners;
use reload::Reload;

/// The default log filter. hickory logs two lines per query at info, and its recursive resolver one
/// at warn for each name that fails.
const DEFAULT_LOG_FILTER: &str = "warn,resolver=info,namechain=info,hickory_resolver=error";

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
    let filter = startup.filter.clone();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(LogOutput::default)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
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

/// What the program starts with.
struct Startup {
    /// The command line, which a reload uses again.
    cli: Cli,
    config: Config,
    filter: EnvFilter,
}

/// Loads flags, environment and file. Every error is a usage error.
fn load_startup(cli: Cli) -> anyhow::Result<Startup> {
    let config = load(&cli)?;
    let filter = std::env::var("NAMECHAIN_LOG").unwrap_or_else(|_| DEFAULT_LOG_FILTER.into());
    let filter = EnvFilter::try_new(format!("{LOG_FILTER},{filter}")).with_context(|| {
        format!("NAMECHAIN_LOG: '{filter}' is not a log filter; use a level such as info or debug")
    })?;
    Ok(Startup { cli, config, filter })
}

/// Loads and validates the configuration.
fn load(cli: &Cli) -> anyhow::Result<Config> {
    let config = Config::load(cli.clone(), |key| std::env::var_os(key))?;
    if let ChainConfig::Remote { url, .. } = &config.chain {
        Remote::check_url(url)?;
    }
    Ok(config)
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("resolver: {error:#}");
    ExitCode::FAILURE
}

async fn run(startup: Startup, passed: Vec<Pair>) -> anyhow::Result<()> {
    let Startup { cli, config, .. } = startup;
    // First: once this resolver is the system's, resolv.conf names no other server.
    let (upstreams, system_upstreams) = upstreams(&config);
    let bound = if passed.is_empty() {
        config.listen.iter().map(|address| bind(*address)).collect::<Result<Vec<Bound>, _>>()?
    } else {
        passed.into_iter().map(Bound::from).collect()
    };
    let encrypted = EncryptedListeners::open(&config)?;
    let dns: Vec<SocketAddr> = bound.iter().map(Bound::address).collect();
    let upstreams = without_own_addresses(upstreams, &dns);
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
    let signer = config.sign.as_ref().map(signer).transpose()?.flatten();
    let started = StartupReport {
        dns: dns.clone(),
        dns_tls: encrypted.addresses(Transport::Tls),
        dns_https: encrypted.addresses(Transport::Https),
        dns_quic: encrypted.addresses(Transport::Quic),
        dns_pin: encrypted.pin(),
        api: node
            .as_ref()
            .and_then(Node::api_addr)
            .or(control_api.as_ref().map(ControlApi::address)),
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
    let pipeline = pipeline(&config, chain, legacy, signer);
    let clients = Clients::local_and(config.allow.clone());
    let responder = Responder::new(pipeline, cache, clock, clients);
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

/// The upstreams, and whether they are the system's.
fn upstreams(config: &Config) -> (Vec<Upstream>, bool) {
    if let Some(upstreams) = &config.upstreams {
        return (upstreams.clone(), false);
    }
    let servers = os::system_dns().map(|dns| dns.servers).unwrap_or_else(|error| {
        tracing::warn!("{error}");
        Vec::new()
    });
    (servers.into_iter().map(Upstream::Plain).collect(), true)
}

fn pipeline(
    config: &Config,
    chain: Arc<dyn ChainSource>,
    legacy: Upstreams,
    signer: Option<Arc<Signer>>,
) -> Pipeline {
    Pipeline { mounts: config.mounts, chain, legacy, delegation: config.delegation, signer }
}

/// The signer. If signing is not configured explicitly, a key that can't be written only turns it
/// off.
fn signer(sign: &SignConfig) -> anyhow::Result<Option<Arc<Signer>>> {
    match Signer::open(&sign.key, sign.algorithm) {
        Ok(signer) => Ok(Some(Arc::new(signer))),
        Err(error @ SignError::Write(..)) if !sign.requested => {
            tracing::warn!("answers are not signed: {error}");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Removes upstreams that are addresses of this resolver, which would loop. Longer loops are
/// detected when the upstream does not answer.
fn without_own_addresses(mut upstreams: Vec<Upstream>, dns: &[SocketAddr]) -> Vec<Upstream> {
    upstreams.retain(|upstream| {
        let ourselves = upstream.is_one_of(dns);
        if ourselves {
            tracing::warn!("the upstream {upstream} is this resolver itself and is not used");
        }
        !ourselves
    });
    upstreams
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
