//! Identities and addresses that are refused for some time. Kept in memory: a restart forgives.

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use libp2p::PeerId;

use super::limits::BANS;

/// Who is refused until when.
#[derive(Debug, Default)]
pub(super) struct Bans {
    peers: HashMap<PeerId, Duration>,
    ips: HashMap<IpAddr, Duration>,
}

/// What stands for an address: a whole /64 of IPv6, which any host has. Nothing for this machine's
/// own: its programs are told apart by identity only.
fn refused_as(ip: IpAddr) -> Option<IpAddr> {
    match ip {
        ip if ip.is_loopback() => None,
        IpAddr::V4(_) => Some(ip),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Some(IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)))
        }
    }
}

fn put<K: Copy + Eq + Hash>(bans: &mut HashMap<K, Duration>, key: K, until: Duration) {
    if bans.len() >= BANS
        && !bans.contains_key(&key)
        && let Some(first) = bans.iter().min_by_key(|(_, until)| **until).map(|(key, _)| *key)
    {
        bans.remove(&first);
    }
    let entry = bans.entry(key).or_default();
    *entry = until.max(*entry);
}

impl Bans {
    /// Refuses both until then.
    pub fn ban(&mut self, peer: PeerId, ip: Option<IpAddr>, until: Duration) {
        put(&mut self.peers, peer, until);
        if let Some(ip) = ip.and_then(refused_as) {
            put(&mut self.ips, ip, until);
        }
    }

    /// Forgets what is over.
    pub fn tick(&mut self, now: Duration) {
        self.peers.retain(|_, until| *until > now);
        self.ips.retain(|_, until| *until > now);
    }

    /// Whether an identity is refused.
    pub fn has_peer(&self, peer: &PeerId) -> bool {
        self.peers.contains_key(peer)
    }

    /// Whether an address is refused.
    pub fn has_ip(&self, ip: IpAddr) -> bool {
        refused_as(ip).is_some_and(|ip| self.ips.contains_key(&ip))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn identity_and_address_are_refused_until_the_time_is_over() {
        let (mut bans, peer) = (Bans::default(), PeerId::random());
        let ip: IpAddr = "203.0.113.9".parse().expect("an ip");
        bans.ban(peer, Some(ip), HOUR);
        bans.ban(peer, None, Duration::from_secs(1));
        bans.tick(HOUR - Duration::from_secs(1));
        assert!(bans.has_peer(&peer) && bans.has_ip(ip), "a shorter ban does not end a longer one");
        assert!(!bans.has_ip("203.0.113.10".parse().expect("an ip")));
        bans.tick(HOUR);
        assert!(!bans.has_peer(&peer) && !bans.has_ip(ip));
    }

    #[test]
    fn this_machine_is_never_refused_as_a_whole_and_a_host_has_all_of_a_64() {
        let mut bans = Bans::default();
        for ip in ["127.0.0.1", "::1", "2001:db8:1:2::3"] {
            bans.ban(PeerId::random(), Some(ip.parse().expect("an ip")), HOUR);
        }
        let refused = |ip: &str| bans.has_ip(ip.parse().expect("an ip"));
        assert!(!refused("127.0.0.1") && !refused("::1"));
        assert!(refused("2001:db8:1:2:ffff::9") && !refused("2001:db8:1:3::3"));
    }

    #[test]
    fn there_is_a_bound_and_the_first_to_end_makes_room() {
        let mut bans = Bans::default();
        let first = PeerId::random();
        bans.ban(first, None, HOUR);
        for _ in 0..BANS {
            bans.ban(PeerId::random(), None, 2 * HOUR);
        }
        assert_eq!(bans.peers.len(), BANS);
        assert!(!bans.has_peer(&first));
    }
}
