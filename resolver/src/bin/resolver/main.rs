//! `resolver`: the DNS server, with a node in it or against one that runs elsewhere.

mod aside;
mod banner;
mod chain;
mod doors;
mod instead;
mod reload;
mod watched;

use std::{
    io::{IsTerminal, Write},
    net::SocketAddr,
    pin::pin,
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context;
use banner::Started;
use clap::Parser as _;
use namechain_node::node::{LOG_FILTER, LogOutput, Node, show_progress, stop_signal};
use resolver::{
    chain::{ChainSource, Remote},
    config::{ChainFrom, Cli, Config, Sign},
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

use aside::Aside;
use chain::{Chain, chain};
use doors::Doors;
use reload::Reload;

/// What is logged unless NAMECHAIN_LOG says otherwise. hickory writes two lines a query at info,
/// and its recursive resolver one at warn for each name that fails.
const LOG: &str = "warn,resolver=info,namechain=info,hickory_resolver=error";

fn main() -> ExitCode {
    let cli = Cli::parse();
    let asked = match asked_for(cli.clone()) {
        Ok(asked) => asked,
        Err(error) => return instead::refused(&cli, &error),
    };
    if let Some(instead) = &cli.instead {
        return instead::run(&cli, instead, &asked.config);
    }
    // Before there are threads: the environment is changed.
    let passed = match systemd::sockets() {
        Ok(passed) => passed,
        Err(error) => return fail(&error.into()),
    };
    let filter = asked.filter.clone();
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
    match runtime.block_on(run(asked, passed)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// What the user wants.
struct Asked {
    /// The command line, which stays as it is when the configuration is read again.
    cli: Cli,
    config: Config,
    filter: EnvFilter,
}

/// What the flags, the environment and the file ask for. Every error is the user's.
fn asked_for(cli: Cli) -> anyhow::Result<Asked> {
    let config = load(&cli)?;
    let filter = std::env::var("NAMECHAIN_LOG").unwrap_or_else(|_| LOG.into());
    let filter = EnvFilter::try_new(format!("{LOG_FILTER},{filter}")).with_context(|| {
        format!("NAMECHAIN_LOG: '{filter}' is no filter, use a level as in info or debug")
    })?;
    Ok(Asked { cli, config, filter })
}

/// The configuration as it is now.
fn load(cli: &Cli) -> anyhow::Result<Config> {
    let config = Config::load(cli.clone(), |key| std::env::var_os(key))?;
    if let ChainFrom::Remote { url, .. } = &config.chain {
        Remote::check_url(url)?;
    }
    Ok(config)
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("resolver: {error:#}");
    ExitCode::FAILURE
}

async fn run(asked: Asked, passed: Vec<Pair>) -> anyhow::Result<()> {
    let Asked { cli, config, .. } = asked;
    // Before anything else: once we are the machine's resolver, nobody else can tell us.
    let (upstreams, system_upstreams) = upstreams(&config);
    let bound = if passed.is_empty() {
        config.listen.iter().map(|address| bind(*address)).collect::<Result<Vec<Bound>, _>>()?
    } else {
        passed.into_iter().map(Bound::from).collect()
    };
    let doors = Doors::open(&config)?;
    let dns: Vec<SocketAddr> = bound.iter().map(Bound::address).collect();
    let upstreams = without_ourselves(upstreams, &dns);
    let stop = stop_signal().context("signals can't be watched")?;
    let mut hangup = signal(SignalKind::hangup()).context("signals can't be watched")?;
    let names = upstreams.iter().map(Upstream::to_string).collect();
    let legacy = config.legacy(upstreams);
    let (cache, clock) = (Arc::new(legacy.new_cache()), Arc::new(Clock::start()));
    let legacy = Upstreams::new(legacy, cache.clone(), clock.clone())?;
    let control = Control::default();
    let Chain { source: chain, node, aside } = chain(&config.chain, &control).await?;
    // Where a node keeps its data nobody else has a key, once it has started.
    let signer = config.sign.as_ref().map(signer).transpose()?.flatten();
    let started = Started {
        dns: dns.clone(),
        dns_tls: doors.at(Transport::Tls),
        dns_https: doors.at(Transport::Https),
        dns_quic: doors.at(Transport::Quic),
        dns_pin: doors.pin(),
        api: node.as_ref().and_then(Node::api_addr).or(aside.as_ref().map(Aside::address)),
        node: match &config.chain {
            ChainFrom::Remote { url, .. } => Some(url.clone()),
            ChainFrom::Embedded { .. } => None,
        },
        p2p: node.as_ref().map(|node| node.handle().p2p()).unwrap_or_default(),
        network: chain.network(),
        upstreams: names,
        data_dir: match &config.chain {
            ChainFrom::Embedded { data_dir, .. } => Some(data_dir.clone()),
            ChainFrom::Remote { .. } => None,
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
    responder.seen().log(config.query_log);
    let current = ResponderHandle::from(responder.with_cookies(config.cookies));
    control.serves(&current, &dns);
    let mut server = Server::start_with(bound, current.clone(), config.udp);
    let identity = doors.serve(&mut server);
    announce(&started, config.json);
    let drawing = node.as_ref().map(|node| tokio::spawn(show_progress(node.handle())));
    systemd::ready();
    let alive = tokio::spawn(watched::report(dns.clone()));
    let mut reload = Reload { cli, config, current, dns, identity };
    let mut stop = pin!(stop);
    let failure = loop {
        tokio::select! {
            () = &mut stop => break None,
            error = server.failed() => {
                break Some(anyhow::Error::from(error).context("DNS can't be answered any more"));
            }
            loss = lost(node.as_ref()) => break Some(anyhow::anyhow!("the node has stopped: {loss}")),
            Some(()) = hangup.recv() => reload.again(),
        }
    };
    systemd::stopping();
    alive.abort();
    server.stop().await;
    if let Some(drawing) = drawing {
        drawing.abort();
    }
    if let Some(aside) = aside {
        aside.stop().await;
    }
    if let Some(node) = node {
        node.stop().await;
    }
    failure.map_or(Ok(()), Err)
}

/// The upstreams, and whether they are the machine's own.
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

/// What signs. That there is no place for a key is no reason not to answer, if nobody asked for
/// signatures.
fn signer(sign: &Sign) -> anyhow::Result<Option<Arc<Signer>>> {
    match Signer::open(&sign.key, sign.algorithm) {
        Ok(signer) => Ok(Some(Arc::new(signer))),
        Err(error @ SignError::Write(..)) if !sign.asked => {
            tracing::warn!("nothing is signed: {error}");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// An upstream that is one of our own addresses would be asked for ever. One that leads back to us
/// in another way is found out when it does not answer.
fn without_ourselves(mut upstreams: Vec<Upstream>, dns: &[SocketAddr]) -> Vec<Upstream> {
    upstreams.retain(|upstream| {
        let ourselves = upstream.is_one_of(dns);
        if ourselves {
            tracing::warn!("the upstream {upstream} is this resolver itself and is left out");
        }
        !ourselves
    });
    upstreams
}

/// One line of JSON, or the text for people. Whoever started us may have closed the pipe: that is
/// no reason to stop.
fn announce(started: &Started, json: bool) {
    let mut out = std::io::stdout();
    let said = match serde_json::to_string(started) {
        Ok(line) if json => writeln!(out, "{line}"),
        _ => writeln!(out, "{started}"),
    };
    if said.and_then(|()| out.flush()).is_err() {
        tracing::debug!("the start could not be told");
    }
}

/// Why the node has stopped by itself; never, if there is none.
async fn lost(node: Option<&Node>) -> String {
    match node {
        Some(node) => node.handle().fatal_error().await.0,
        None => std::future::pending().await,
    }
}
