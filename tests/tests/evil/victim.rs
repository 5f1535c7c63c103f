//! The real node, and what it says about itself.

use std::{thread, time::Duration};

use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};
use serde_json::Value;
use tempfile::TempDir;
use tests::{http, program::Daemon, wait};

/// How much more memory than at rest the node may take, whatever anybody does to it, in KiB.
const MEMORY_KIB: u64 = 256 * 1024;

/// A node that is attacked.
pub struct Victim {
    daemon: Daemon,
    _home: TempDir,
    /// Where it listens, without its identity.
    pub address: Multiaddr,
    /// Its identity.
    pub id: PeerId,
    /// Its memory before anybody came, in KiB.
    at_rest: Option<u64>,
}

impl Victim {
    /// A node of `network` on loopback, which knows nobody and does not mine.
    pub fn start(network: &str, args: &[&str]) -> Victim {
        let home = tempfile::tempdir().expect("a home");
        let data = home.path().join("data");
        let mut all = vec!["--network", network, "--api", "127.0.0.1:0", "--json", "--mine", "off"];
        all.extend([
            "--listen",
            "/ip4/127.0.0.1/tcp/0",
            "--data-dir",
            data.to_str().expect("UTF-8"),
        ]);
        all.extend(args);
        let daemon = Daemon::start("namechaind", &all, home.path());
        let mut address: Multiaddr = daemon.p2p()[0].parse().expect("an address");
        let Some(Protocol::P2p(id)) = address.pop() else {
            panic!("no identity in {}", daemon.line)
        };
        // At rest: what the start took and gave back is over.
        http::get(daemon.addr("api"), "/v1/status");
        thread::sleep(Duration::from_millis(500));
        let at_rest = daemon.memory_kib("VmRSS");
        Victim { daemon, _home: home, address, id, at_rest }
    }

    /// Its address as a socket's.
    pub fn socket(&self) -> std::net::SocketAddr {
        let mut parts = self.address.iter();
        match (parts.next(), parts.next()) {
            (Some(Protocol::Ip4(ip)), Some(Protocol::Tcp(port))) => (ip, port).into(),
            _ => panic!("{} is not TCP", self.address),
        }
    }

    /// `GET /v1/status`.
    pub fn status(&self) -> Value {
        http::get(self.daemon.addr("api"), "/v1/status").json()
    }

    /// The peers that are connected.
    pub fn peers(&self) -> Vec<Value> {
        let peers = http::get_admin(self.daemon.admin(), "/v1/peers").json();
        peers["peers"].as_array().cloned().unwrap_or_default()
    }

    /// What it says of a peer.
    pub fn peer(&self, id: PeerId) -> Option<Value> {
        self.peers().into_iter().find(|peer| peer["id"] == id.to_base58())
    }

    /// The sum of a metric over all labels that contain each of `with`.
    pub fn metric(&self, name: &str, with: &[&str]) -> u64 {
        let text = http::get(self.daemon.addr("api"), "/metrics").body;
        let lines = text.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
                && with.iter().all(|label| line.contains(label))
        });
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64
    }

    /// Waits until its log has a line with all of `parts`.
    pub fn logs(&self, parts: &[&str]) {
        wait::until(&format!("{parts:?} in the log"), || {
            let log = self.daemon.log();
            log.lines().any(|line| parts.iter().all(|part| line.contains(part))).then_some(())
        });
    }

    /// It runs, answers, is at no other height than it was, and never took more memory than it may.
    pub fn must_be_unharmed(mut self, what: &str) {
        assert!(self.daemon.runs(), "{what}: the node has ended");
        let status = self.status();
        assert_eq!(
            (&status["height"], &status["mempool_operations"]),
            (&0.into(), &0.into()),
            "{what}: {status}"
        );
        match (self.at_rest, self.daemon.memory_kib("VmHWM")) {
            (Some(before), Some(most)) => {
                let more = most.saturating_sub(before);
                eprintln!(
                    "{what}: {before} KiB at rest, {most} at the most: {} MiB more",
                    more / 1024
                );
                assert!(more <= MEMORY_KIB, "{what}: {more} KiB more than at rest");
            }
            _ => eprintln!("{what}: memory is not measured on this system"),
        }
        assert_eq!(self.daemon.interrupt().code(), Some(0));
    }
}
