//! The infrastructure cache: latency, capabilities and forwarding loops of each server.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::target::Target;
use super::transport::query::ServerCaps;

/// The most servers that are remembered. The oldest is evicted, and is measured again when it is
/// used.
const MAX_KNOWN: usize = 1024;
/// The expected latency of an idle server halves in this time, so that every server is measured
/// again now and then and a failed one gets another chance.
const HALF_LIFE: Duration = Duration::from_secs(30);
/// The latency that counts for a failure. Nine half-lives make it 20 ms.
const FAILURE_LATENCY: Duration = Duration::from_secs(10);
/// How long a missing capability is remembered. The server may be upgraded.
const CAPS_LIFETIME: Duration = Duration::from_secs(15 * 60);
/// The least time between two loop tests of a server.
pub const LOOP_TEST_INTERVAL: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy)]
struct ServerState {
    latency: Duration,
    failing: bool,
    used: Duration,
    no_edns_until: Duration,
    no_case_until: Duration,
    /// When it was last tested for a forwarding loop.
    tested: Option<Duration>,
    is_loop: bool,
    /// It timed out, and was not tested for a loop since.
    suspect: bool,
    /// Replies, failures and timeouts.
    counts: Counts,
}

impl ServerState {
    fn expected_latency(&self, now: Duration) -> Duration {
        let idle = now.saturating_sub(self.used).as_secs() / HALF_LIFE.as_secs();
        self.latency / 2u32.saturating_pow(u32::try_from(idle).unwrap_or(u32::MAX))
    }

    fn caps(known: Option<&Self>, now: Duration) -> ServerCaps {
        ServerCaps {
            edns: known.is_none_or(|known| now >= known.no_edns_until),
            mixed_case: known.is_none_or(|known| now >= known.no_case_until),
        }
    }
}

/// How the attempts with a server ended, since it is in the cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub replied: u64,
    pub failed: u64,
    pub slow: u64,
}

/// The table. Times are since any fixed moment.
#[derive(Debug, Default)]
pub struct InfraCache {
    known: HashMap<Target, ServerState>,
    arrived: VecDeque<Target>,
}

impl InfraCache {
    /// The servers that are not in a forwarding loop, fastest first. Servers never asked come
    /// first, in the given order; the built-in recursive resolver comes last.
    pub fn order_by_latency(&self, servers: &[Target], now: Duration) -> Vec<Target> {
        let mut order: Vec<Target> = Vec::with_capacity(servers.len());
        for server in servers {
            if !order.contains(server) && !self.is_loop(server) {
                order.push(server.clone());
            }
        }
        order.sort_by_key(|server| self.rank(server, now));
        order
    }

    /// The first of [`InfraCache::order_by_latency`], with its capabilities and expected latency.
    pub fn fastest<'a>(
        &self,
        servers: &'a [Target],
        now: Duration,
    ) -> Option<(&'a Target, ServerCaps, Option<Duration>)> {
        let known = servers.iter().map(|server| (server, self.known.get(server)));
        let latency = |known: Option<&ServerState>| known.map(|known| known.expected_latency(now));
        let (server, known) =
            known.filter(|(_, known)| !known.is_some_and(|known| known.is_loop)).min_by_key(
                |(server, known)| (server.is_recursive(), latency(*known).unwrap_or_default()),
            )?;
        Some((server, ServerState::caps(known, now), latency(known)))
    }

    fn rank(&self, server: &Target, now: Duration) -> (bool, Duration) {
        (server.is_recursive(), self.expected_latency(server, now).unwrap_or_default())
    }

    /// The expected latency of a server.
    pub fn expected_latency(&self, server: &Target, now: Duration) -> Option<Duration> {
        self.known.get(server).map(|known| known.expected_latency(now))
    }

    /// How the attempts with a server ended.
    pub fn counts(&self, server: &Target) -> Counts {
        self.known.get(server).map(|known| known.counts).unwrap_or_default()
    }

    /// The capabilities of a server, as far as known.
    pub fn caps(&self, server: &Target, now: Duration) -> ServerCaps {
        ServerState::caps(self.known.get(server), now)
    }

    /// Records a reply, its latency, and the capabilities that it showed.
    pub fn record_reply(
        &mut self,
        server: &Target,
        latency: Duration,
        caps: ServerCaps,
        now: Duration,
    ) {
        let known = self.entry(server, latency);
        let before = ServerState::caps(Some(known), now);
        known.latency = if known.failing { latency } else { (known.latency * 7 + latency) / 8 };
        (known.failing, known.suspect, known.used) = (false, false, now);
        known.counts.replied += 1;
        if before.edns && !caps.edns {
            known.no_edns_until = now + CAPS_LIFETIME;
        }
        if before.mixed_case && !caps.mixed_case {
            known.no_case_until = now + CAPS_LIFETIME;
        }
    }

    /// Records that a server did not reply within `waited`.
    pub fn record_timeout(&mut self, server: &Target, waited: Duration, now: Duration) {
        let known = self.entry(server, waited);
        known.latency = (known.latency * 2).max(waited).min(FAILURE_LATENCY);
        (known.failing, known.suspect, known.used) = (true, true, now);
        known.counts.slow += 1;
    }

    /// Records that a server can't be reached, or refuses everything.
    pub fn record_failure(&mut self, server: &Target, now: Duration) {
        let known = self.entry(server, FAILURE_LATENCY);
        (known.latency, known.failing, known.used) = (FAILURE_LATENCY, true, now);
        known.counts.failed += 1;
    }

    /// Whether a server is known to be in a forwarding loop.
    pub fn is_loop(&self, server: &Target) -> bool {
        self.known.get(server).is_some_and(|known| known.is_loop)
    }

    /// Records whether a server is in a forwarding loop; whether that changed.
    pub fn set_is_loop(&mut self, server: &Target, is_loop: bool) -> bool {
        let known = self.entry(server, FAILURE_LATENCY);
        std::mem::replace(&mut known.is_loop, is_loop) != is_loop
    }

    /// Claims the loop test of a server if it is due: it timed out or was in a loop, and its last
    /// test is long enough ago. The caller has to run it.
    pub fn take_loop_test(&mut self, server: &Target, now: Duration) -> bool {
        let Some(known) = self.known.get_mut(server) else { return false };
        let wanted = known.suspect || known.is_loop;
        let due = wanted && known.tested.is_none_or(|tested| now >= tested + LOOP_TEST_INTERVAL);
        if due {
            (known.tested, known.suspect) = (Some(now), false);
        }
        due
    }

    fn entry(&mut self, server: &Target, latency: Duration) -> &mut ServerState {
        if self.arrived.len() >= MAX_KNOWN
            && !self.known.contains_key(server)
            && let Some(oldest) = self.arrived.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.known.entry(server.clone()).or_insert_with(|| {
            self.arrived.push_back(server.clone());
            ServerState {
                latency,
                failing: false,
                used: Duration::ZERO,
                no_edns_until: Duration::ZERO,
                no_case_until: Duration::ZERO,
                tested: None,
                is_loop: false,
                suspect: false,
                counts: Counts::default(),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: ServerCaps = ServerCaps { edns: true, mixed_case: true };

    fn server(n: u16) -> Target {
        Target::Plain(([192, 0, 2, 1], n).into())
    }

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn the_fastest_comes_first_and_the_unknown_before_it() {
        let mut servers = InfraCache::default();
        let all = [server(1), server(2), server(3), server(1)];
        assert_eq!(servers.order_by_latency(&all, ms(0)), all[..3], "as given, each once");
        servers.record_reply(&server(1), ms(30), WELL, ms(0));
        servers.record_reply(&server(2), ms(20), WELL, ms(0));
        assert_eq!(servers.order_by_latency(&all, ms(0)), [server(3), server(2), server(1)]);
        assert_eq!(servers.fastest(&all, ms(0)).map(|fastest| fastest.0), Some(&server(3)));
    }

    #[test]
    fn a_failed_server_goes_last_comes_back_in_time_and_recovers_at_once() {
        let mut servers = InfraCache::default();
        let both = [server(1), server(2)];
        for (at, fail) in
            [InfraCache::record_failure, |s: &mut InfraCache, server: &Target, now| {
                s.record_timeout(server, ms(400), now)
            }]
            .iter()
            .enumerate()
        {
            let start = ms(at as u64 * 10_000_000);
            servers.record_reply(&server(1), ms(10), WELL, start);
            servers.record_reply(&server(2), ms(20), WELL, start);
            fail(&mut servers, &server(1), start);
            assert_eq!(servers.order_by_latency(&both, start), [server(2), server(1)]);
            let later = start + 12 * HALF_LIFE;
            servers.record_reply(&server(2), ms(20), WELL, later);
            assert_eq!(servers.order_by_latency(&both, later), both, "it is tried again");
            servers.record_reply(&server(1), ms(5), WELL, later);
            assert_eq!(servers.expected_latency(&server(1), later), Some(ms(5)));
        }
    }

    #[test]
    fn what_a_server_lacks_is_remembered_for_a_while() {
        let mut servers = InfraCache::default();
        let lacking = ServerCaps { edns: false, mixed_case: false };
        assert_eq!(servers.caps(&server(1), ms(0)), WELL);
        servers.record_reply(&server(1), ms(1), lacking, ms(0));
        // A query without EDNS shows nothing about EDNS: it must not prolong the time.
        servers.record_reply(&server(1), ms(1), lacking, CAPS_LIFETIME - ms(1));
        assert_eq!(servers.caps(&server(1), CAPS_LIFETIME - ms(1)), lacking);
        assert_eq!(servers.caps(&server(1), CAPS_LIFETIME), WELL);
    }

    #[test]
    fn it_remembers_no_more_than_its_bound() {
        let mut servers = InfraCache::default();
        (0..2 * MAX_KNOWN as u16)
            .for_each(|n| servers.record_reply(&server(n), ms(1), WELL, ms(0)));
        assert_eq!((servers.known.len(), servers.arrived.len()), (MAX_KNOWN, MAX_KNOWN));
        assert_eq!(servers.expected_latency(&server(0), ms(0)), None, "the oldest went");
    }

    #[test]
    fn a_slow_server_is_tested_for_a_loop_and_not_used_while_in_one() {
        let mut servers = InfraCache::default();
        let both = [server(1), server(2)];
        assert!(!servers.take_loop_test(&server(1), ms(0)), "nothing is known of it");
        servers.record_reply(&server(1), ms(10), WELL, ms(0));
        assert!(!servers.take_loop_test(&server(1), ms(0)), "it replies");
        servers.record_timeout(&server(1), ms(400), ms(0));
        assert!(servers.take_loop_test(&server(1), ms(0)));
        servers.record_timeout(&server(1), ms(400), ms(1));
        assert!(!servers.take_loop_test(&server(1), ms(1)), "it was tested a moment ago");
        assert!(
            servers.set_is_loop(&server(1), true) && !servers.set_is_loop(&server(1), true),
            "news only once"
        );
        assert_eq!(servers.order_by_latency(&both, ms(2)), [server(2)]);
        assert_eq!(servers.fastest(&both[..1], ms(2)), None);
        assert!(servers.take_loop_test(&server(1), LOOP_TEST_INTERVAL), "it may be another by now");
        assert!(servers.set_is_loop(&server(1), false));
        assert_eq!(servers.order_by_latency(&both, LOOP_TEST_INTERVAL).len(), 2);
    }
}
