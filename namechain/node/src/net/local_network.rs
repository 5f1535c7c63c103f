//! The subnets that this machine is in: multicast DNS is believed about them, and about nothing
//! else.

use std::net::IpAddr;

use futures::{FutureExt, StreamExt};
use if_watch::{IpNet, tokio::IfWatcher};
use tracing::warn;

/// The subnets that this machine is in.
pub(super) struct LocalNetworks(Option<IfWatcher>);

impl LocalNetworks {
    /// None, if nobody is to be looked for. Must be called in a tokio runtime.
    pub fn watch(enabled: bool) -> Self {
        let watcher = enabled.then(IfWatcher::new).transpose();
        LocalNetworks(watcher.unwrap_or_else(|error| {
            warn!("this machine's subnets are not known, so none are looked at: {error}");
            None
        }))
    }

    /// Takes up what has changed.
    pub fn refresh(&mut self) {
        let Some(watcher) = &mut self.0 else { return };
        while let Some(Some(Ok(_))) = watcher.next().now_or_never() {}
    }

    /// Whether another machine at `ip` is in one of them.
    pub fn has_neighbour(&self, ip: IpAddr) -> bool {
        self.0.as_ref().is_some_and(|watcher| is_neighbour(watcher.iter(), ip))
    }
}

fn is_neighbour<'a>(mut networks: impl Iterator<Item = &'a IpNet>, ip: IpAddr) -> bool {
    networks.any(|network| {
        !network.addr().is_loopback() && network.addr() != ip && network.contains(&ip)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_other_machines_of_our_subnets_are_neighbours() {
        let networks: Vec<IpNet> = ["127.0.0.1/8", "192.168.7.20/24", "fe80::1:2/64"]
            .map(|text| text.parse().expect("a network"))
            .to_vec();
        let is = |ip: &str| is_neighbour(networks.iter(), ip.parse().expect("an ip"));
        assert!(is("192.168.7.1") && is("fe80::9"));
        for ip in ["127.0.0.1", "127.0.0.2", "192.168.7.20", "192.168.8.1", "10.0.0.1", "::1"] {
            assert!(!is(ip), "{ip}");
        }
    }
}
