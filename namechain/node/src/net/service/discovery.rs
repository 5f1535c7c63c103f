//! Whom we know, whom we dial, and when others are asked for more.

use std::{path::PathBuf, time::Duration};

use libp2p::{PeerId, swarm::ConnectionId};
use tracing::warn;

use super::super::{
    addrman::{AddrMan, Entry},
    config::ADDRMAN_FILE,
    dial::{Dialer, Target},
    files, limits,
    local_network::LocalNetworks,
    random::Random,
};

/// Whom we know, whom we dial, and when others are asked for more.
pub(super) struct Discovery {
    pub addrman: AddrMan,
    pub dialer: Dialer,
    pub random: Random,
    pub local_networks: LocalNetworks,
    data_dir: PathBuf,
    /// When the address book is written next, and when others are asked for peers.
    save_at: Duration,
    pub look_at: Duration,
    refresh_at: Duration,
}

impl Discovery {
    pub fn new(
        addrman: AddrMan,
        dialer: Dialer,
        random: Random,
        local_networks: LocalNetworks,
        data_dir: PathBuf,
    ) -> Self {
        Discovery {
            addrman,
            dialer,
            random,
            local_networks,
            data_dir,
            save_at: limits::ADDRMAN_SAVED_EVERY,
            look_at: Duration::ZERO,
            refresh_at: limits::ADDRMAN_REFRESHED_EVERY,
        }
    }

    /// A dial of ours has come through.
    pub fn on_dialled(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        now: Duration,
    ) -> Option<Target> {
        self.dialer.established(connection, peer, now)
    }

    /// Tells the address book which of its peers are connected, and has it decide about places that
    /// two want, once in a while.
    pub fn refresh(&mut self, connected: impl Iterator<Item = Entry>, now: Duration, unix: u64) {
        if now >= self.refresh_at {
            self.refresh_at = now + limits::ADDRMAN_REFRESHED_EVERY;
            connected.for_each(|entry| self.addrman.record_connected(&entry, unix));
            self.addrman.resolve_collisions(unix);
        }
    }

    /// A connection that we dialled is gone.
    pub fn on_closed(&mut self, peer: &PeerId) {
        self.dialer.closed(peer);
    }

    /// Forgets a peer's addresses.
    pub fn forget(&mut self, peer: &PeerId) {
        self.addrman.forget(peer);
    }

    /// Writes the address book if it was not written just now, or if it must be.
    pub fn save(&mut self, now: Duration, must: bool) {
        if !must && now < self.save_at {
            return;
        }
        self.save_at = now + limits::ADDRMAN_SAVED_EVERY;
        let path = self.data_dir.join(ADDRMAN_FILE);
        if let Err(error) = files::write(&path, &self.addrman.to_bytes(), false) {
            warn!("the address book can't be written: {error}");
        }
    }

    pub fn save_soon(&mut self, now: Duration) {
        self.save_at = self.save_at.min(now + limits::ADDRMAN_SAVED_AFTER);
    }
}
