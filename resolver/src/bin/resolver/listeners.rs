//! The listeners of encrypted DNS, opened before anything else starts.

use std::{net::SocketAddr, sync::Arc};

use hickory_proto::rr::Name;
use resolver::{
    config::Config,
    dns::query::Transport,
    resolve::Designated,
    server::{
        Server, bind_encrypted,
        encrypted::{EncryptedListener, Identity},
    },
};

/// The listeners and their identity; empty if encrypted DNS is off.
#[derive(Default)]
pub struct EncryptedListeners {
    listeners: Vec<EncryptedListener>,
    /// The certificate or raw public key that clients see.
    pub identity: Option<Arc<Identity>>,
}

impl EncryptedListeners {
    /// Opens the configured listeners.
    pub fn open(config: &Config) -> anyhow::Result<EncryptedListeners> {
        let Some(encrypted) = &config.encrypted else { return Ok(EncryptedListeners::default()) };
        let identity = Arc::new(Identity::load(&encrypted.identity)?);
        Ok(EncryptedListeners { listeners: bind_encrypted(encrypted)?, identity: Some(identity) })
    }

    /// The addresses of a transport's listeners.
    pub fn addresses(&self, transport: Transport) -> Vec<SocketAddr> {
        let those = self.listeners.iter().filter(|listener| listener.transport() == transport);
        those.filter_map(|listener| listener.address().ok()).collect()
    }

    /// What clients can discover; nothing without a certificate for a name.
    pub fn designated(&self) -> Designated {
        let name = self.identity.as_ref().and_then(|identity| identity.dns_name());
        let Some(name) = name.and_then(|name| Name::from_ascii(name).ok()) else {
            return Designated::default();
        };
        let each = self.listeners.iter();
        let listeners = each.filter_map(|it| Some((it.transport(), it.address().ok()?)));
        Designated::new(&name, listeners)
    }

    /// The SHA-256 of the public key.
    pub fn pin(&self) -> Option<String> {
        self.identity.as_ref()?.pin()
    }

    /// Starts serving; returns the identity, for a reload.
    pub fn serve(self, server: &mut Server) -> Option<Arc<Identity>> {
        if let Some(identity) = &self.identity {
            server.serve_encrypted(self.listeners, identity);
        }
        self.identity
    }
}
