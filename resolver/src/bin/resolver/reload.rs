//! Reload of the configuration (SIGHUP) while queries are served.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context;
use resolver::{
    chain::mount::Mounts,
    config::{Changes, Cli, Config, check_zones},
    os::systemd,
    resolve::Pipeline,
    server::{encrypted::Identity, handle::ResponderHandle},
};

use super::setup::{load_config, new_pipeline, read_upstreams, remove_own_addresses};

/// What a reload needs.
pub struct Reload {
    /// The command line.
    pub cli: Cli,
    /// The configuration in force.
    pub config: Config,
    /// The handle that gives the current responder.
    pub current: ResponderHandle,
    /// The addresses of DNS.
    pub dns: Vec<SocketAddr>,
    /// The identity of encrypted DNS.
    pub identity: Option<Arc<Identity>>,
}

impl Reload {
    /// Reloads the configuration. An invalid one changes nothing. The result is logged.
    pub fn reload(&mut self) {
        systemd::reloading();
        match self.try_reload() {
            Ok(changes) => tracing::info!("configuration reloaded; {changes}"),
            Err(error) => tracing::error!("configuration not reloaded: {error:#}"),
        }
        systemd::ready();
    }

    fn try_reload(&mut self) -> anyhow::Result<Changes> {
        let config = load_config(&self.cli)?;
        let changes = Changes::between(&self.config, &config);
        // Settings that need a restart stay in force, and are reported again at the next reload.
        let config = Config {
            chain: self.config.chain.clone(),
            mounts: Mounts { suffixes: self.config.mounts.suffixes, ..config.mounts },
            listen: self.config.listen.clone(),
            cache_bytes: self.config.cache_bytes,
            serve_stale: self.config.serve_stale,
            sign: self.config.sign.clone(),
            encrypted: self.config.encrypted.clone(),
            udp: self.config.udp,
            json: self.config.json,
            ..config
        };
        // They were checked against the suffixes of the file.
        check_zones(&config.zones, config.mounts.suffixes)?;
        let (upstreams, _) = read_upstreams(&config);
        let upstreams = remove_own_addresses(upstreams, &self.dns);
        let before = self.current.get();
        let legacy = before.pipeline().legacy.reconfigured(config.legacy(upstreams));
        let legacy = legacy.context("the upstreams can't be used")?;
        if let Some(identity) = &self.identity {
            identity.reload().context("the certificate can't be reloaded")?;
        }
        let Pipeline { chain, signer, designated, .. } = before.pipeline();
        let (chain, signer) = (chain.clone(), signer.clone());
        let pipeline = new_pipeline(&config, chain, legacy, signer, designated.clone());
        before.telemetry().set_query_log(config.query_log);
        let flush = pipeline.root_policy != before.pipeline().root_policy;
        let responder = before.successor(pipeline, config.access.clone());
        self.current.replace(responder.with_cookies(config.cookies));
        self.current.get().pipeline().legacy.take_over(&before.pipeline().legacy);
        if flush {
            // Cached answers came from the source that was right before.
            before.cache().flush();
        }
        self.config = config;
        Ok(changes)
    }
}
