//! Loads the configuration, and makes from it what answers queries.

use std::{net::SocketAddr, sync::Arc};

use anyhow::anyhow;
use namechain_core::types::{Name, Reserved};
use namechain_node::node::log_filter;
use resolver::{
    chain::{ChainSource, Remote},
    config::{self, ChainConfig, Cli, Config, SignConfig},
    dnssec::sign::{SignError, Signer},
    os,
    resolve::{Designated, KNOWN_SUFFIXES, Pipeline, RootPolicy},
    upstream::{Upstream, Upstreams},
};
use tracing_subscriber::filter::Targets;

/// The default log filter. hickory logs two lines per query at info, and its recursive resolver one
/// at warn for each name that fails.
const DEFAULT_LOG_FILTER: &str = "warn,resolver=info,namechain=info,hickory_resolver=error";

/// What the program starts with.
pub struct Startup {
    /// The command line, which a reload uses again.
    pub cli: Cli,
    /// The configuration.
    pub config: Config,
    /// What is logged.
    pub filter: Targets,
}

/// Loads flags, environment and file. Every error is a usage error.
pub fn load_startup(cli: Cli) -> anyhow::Result<Startup> {
    let config = load_config(&cli)?;
    let filter = std::env::var("NAMECHAIN_LOG")
        .ok()
        .filter(|filter| !filter.is_empty())
        .unwrap_or_else(|| DEFAULT_LOG_FILTER.into());
    let filter = log_filter(&filter).map_err(|error| anyhow!("NAMECHAIN_LOG: {error}"))?;
    Ok(Startup { cli, config, filter })
}

/// Loads and validates the configuration.
pub fn load_config(cli: &Cli) -> anyhow::Result<Config> {
    let config = config::load(cli.clone(), |key| std::env::var_os(key))?;
    if let ChainConfig::Remote { url, .. } = &config.chain {
        Remote::check_url(url)?;
    }
    Ok(config)
}

/// The upstreams, and whether they are the system's.
pub fn read_upstreams(config: &Config) -> (Vec<Upstream>, bool) {
    if let Some(upstreams) = &config.upstreams {
        return (upstreams.clone(), false);
    }
    let servers = os::system_dns().map(|dns| dns.servers).unwrap_or_else(|error| {
        tracing::warn!("{error}");
        Vec::new()
    });
    (servers.into_iter().map(Upstream::Plain).collect(), true)
}

/// The pipeline that answers queries by this configuration.
pub fn new_pipeline(
    config: &Config,
    chain: Arc<dyn ChainSource>,
    legacy: Upstreams,
    signer: Option<Arc<Signer>>,
    designated: Designated,
) -> Pipeline {
    Pipeline {
        mounts: config.mounts,
        root_policy: root_policy(config),
        chain,
        legacy,
        delegation: config.delegation,
        signer,
        designated,
    }
}

/// Which names at the root are left to the network: those of the configuration, and unless that is
/// turned off, known suffixes and what this machine uses.
fn root_policy(config: &Config) -> RootPolicy {
    let mut labels = config.never_chain.labels.clone();
    if config.never_chain.automatic && config.mounts.root {
        labels.extend(KNOWN_SUFFIXES.map(|label| label.as_bytes().to_vec()));
        let mut local = os::local_labels();
        // Of the others nothing is looked up on the chain anyway.
        local.retain(|label| std::str::from_utf8(label).is_ok_and(can_be_registered));
        if !local.is_empty() {
            let shown: Vec<_> =
                local.iter().map(|label| label.escape_ascii().to_string()).collect();
            tracing::info!(
                "left to the network, because this machine uses them: names below {}",
                shown.join(", ")
            );
        }
        labels.extend(local);
    }
    RootPolicy::new(labels.iter().map(Vec::as_slice), config.dotless_addresses)
}

/// Whether a label can be registered on the chain.
fn can_be_registered(label: &str) -> bool {
    Name::parse(label).is_ok() && Reserved::of(label).is_none()
}

/// The signer. If signing is not configured explicitly, a key that can't be written only turns it
/// off.
pub fn open_signer(sign: &SignConfig) -> anyhow::Result<Option<Arc<Signer>>> {
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
pub fn remove_own_addresses(mut upstreams: Vec<Upstream>, dns: &[SocketAddr]) -> Vec<Upstream> {
    upstreams.retain(|upstream| {
        let ourselves = upstream.is_one_of(dns);
        if ourselves {
            tracing::warn!("the upstream {upstream} is this resolver itself and is not used");
        }
        !ourselves
    });
    upstreams
}
