//! The configuration read again (SIGHUP): what can be taken over is, while questions are answered.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context;
use resolver::{
    config::{Changes, Cli, Config},
    os::systemd,
    resolve::Pipeline,
    server::{encrypted::Identity, handle::Current, responder::Clients},
};

use super::{load, pipeline, upstreams, without_ourselves};

/// What a resolver that runs is made from.
pub struct Reload {
    /// The command line.
    pub cli: Cli,
    /// The configuration that holds.
    pub config: Config,
    /// Where the responder is.
    pub current: Current,
    /// Where DNS is answered.
    pub dns: Vec<SocketAddr>,
    /// By what clients of encrypted DNS know us.
    pub identity: Option<Arc<Identity>>,
}

impl Reload {
    /// Reads the configuration again. If something is wrong with it, everything stays as it is;
    /// either is said in a line.
    pub fn again(&mut self) {
        systemd::reloading();
        match self.try_again() {
            Ok(changes) => tracing::info!("the configuration was read again; {changes}"),
            Err(error) => tracing::error!("the configuration stays as it was: {error:#}"),
        }
        systemd::ready();
    }

    fn try_again(&mut self) -> anyhow::Result<Changes> {
        let config = load(&self.cli)?;
        let changes = Changes::between(&self.config, &config);
        // What takes a restart stays in force, and is told again at the next time.
        let config = Config {
            chain: self.config.chain.clone(),
            listen: self.config.listen.clone(),
            cache_bytes: self.config.cache_bytes,
            serve_stale: self.config.serve_stale,
            sign: self.config.sign.clone(),
            encrypted: self.config.encrypted.clone(),
            udp: self.config.udp,
            json: self.config.json,
            ..config
        };
        let (upstreams, _) = upstreams(&config);
        let upstreams = without_ourselves(upstreams, &self.dns);
        let before = self.current.get();
        let legacy = before.pipeline().legacy.reconfigured(config.legacy(upstreams));
        let legacy = legacy.context("the upstreams can't be used")?;
        if let Some(identity) = &self.identity {
            identity.reload().context("the certificate can't be renewed")?;
        }
        let Pipeline { chain, signer, .. } = before.pipeline();
        let pipeline = pipeline(&config, chain.clone(), legacy, signer.clone());
        before.seen().log(config.query_log);
        let responder = before.successor(pipeline, Clients::local_and(config.allow.clone()));
        self.current.replace(responder.with_cookies(config.cookies));
        self.config = config;
        Ok(changes)
    }
}
