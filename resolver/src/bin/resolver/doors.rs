//! The ways in for encrypted DNS, opened before anything else happens.

use std::{net::SocketAddr, sync::Arc};

use resolver::{
    config::Config,
    dns::query::Transport,
    server::{
        Server, bind_encrypted,
        encrypted::{Door, Identity},
    },
};

/// The ways in, and by what clients know us; nothing if there are none.
#[derive(Default)]
pub struct Doors {
    doors: Vec<Door>,
    /// By what clients know us.
    pub identity: Option<Arc<Identity>>,
}

impl Doors {
    /// Opens what the configuration says.
    pub fn open(config: &Config) -> anyhow::Result<Doors> {
        let Some(encrypted) = &config.encrypted else { return Ok(Doors::default()) };
        let identity = Arc::new(Identity::load(&encrypted.identity)?);
        Ok(Doors { doors: bind_encrypted(encrypted)?, identity: Some(identity) })
    }

    /// Where those are by which questions come in like this.
    pub fn at(&self, transport: Transport) -> Vec<SocketAddr> {
        let those = self.doors.iter().filter(|door| door.transport() == transport);
        those.filter_map(|door| door.address().ok()).collect()
    }

    /// The SHA-256 of our public key.
    pub fn pin(&self) -> Option<String> {
        self.identity.as_ref()?.pin()
    }

    /// Lets clients in.
    pub fn serve(self, server: &mut Server) -> Option<Arc<Identity>> {
        if let Some(identity) = &self.identity {
            server.serve_encrypted(self.doors, identity);
        }
        self.identity
    }
}
