//! The chain: whether the node answers, is synced, and receives new blocks.

use namechain_core::{api_types::Status, types::Network};

use super::Finding;
use crate::{
    chain::{Remote, RemoteError},
    config::ChainConfig,
};

/// A chain without operations has a block every 20 minutes (docs/protocol.md, section 9.5); a tip
/// older than this is a problem.
const STALE_TIP_SECS: u64 = 40 * 60;

/// Checks the node: the one in the running resolver, or the remote one. Returns its status, if it
/// has one.
pub async fn check(from: &ChainConfig, running: bool) -> (Vec<Finding>, Option<Status>) {
    let about = "chain";
    let (url, network, elsewhere) = match from {
        ChainConfig::Embedded { network, api, data_dir, .. } => {
            if !running {
                let found = match data_dir.exists() {
                    true => format!(
                        "its data is in {}, and its node is not running",
                        data_dir.display()
                    ),
                    false => format!("there is no data in {} yet", data_dir.display()),
                };
                return (
                    vec![Finding::warn(about, found, "start the resolver, which runs the node")],
                    None,
                );
            }
            (format!("http://{api}"), Some(*network), false)
        }
        ChainConfig::Remote { url, network, .. } => (url.clone(), *network, true),
    };
    let status = match Remote::new(&url, network) {
        Ok(remote) => remote.status().await,
        Err(error) => Err(error),
    };
    match status {
        Ok(status) => (vec![assess(&status)], Some(status)),
        Err(error) => {
            let remedy = match (&error, elsewhere) {
                (RemoteError::Network { .. }, _) => {
                    "use a node of the same network with --node, or set --network"
                }
                (_, true) => {
                    "start that node (namechaind), or use another with --node; legacy names resolve meanwhile"
                }
                (_, false) => {
                    "see the resolver's log for why its API is not served; --api IP:PORT sets another address"
                }
            };
            (vec![Finding::bad(about, error.to_string(), remedy)], None)
        }
    }
}

fn assess(status: &Status) -> Finding {
    let about = "chain";
    let peers = status.peers.inbound + status.peers.outbound;
    let at = format!(
        "network {}, height {}, tip {} s old, {peers} peers, names served from {} blocks below",
        status.network, status.height, status.tip_age, status.serve_depth
    );
    if status.parked_tip.is_some() {
        let found = format!(
            "a chain with more work forks too deep to be followed without your decision; {at}"
        );
        return Finding::bad(
            about,
            found,
            "see \"Parked chain\" in docs/operate/troubleshooting.md",
        );
    }
    if let Some(hold) = &status.hold {
        let hours = hold.seconds_left.div_ceil(3_600);
        let found = format!(
            "a chain with more work is held back, and followed in {hours} h if it keeps its lead; names changed above height {} fail until then; {at}",
            hold.fork_height
        );
        return Finding::warn(
            about,
            found,
            "see \"Held chain\" in docs/operate/troubleshooting.md",
        );
    }
    if !status.synced {
        let found = format!("the node is not synced, so names of the chain fail; {at}");
        let remedy = match peers {
            0 => "give it a first peer: --peer MULTIADDR",
            _ => "wait; zonetool status shows its progress",
        };
        return Finding::bad(about, found, remedy);
    }
    // The dev network makes a block only when there is an operation to record.
    if status.tip_age > STALE_TIP_SECS && status.network != Network::Dev {
        let remedy = match peers {
            0 => "it has no peers: check the network connection, and add one with --peer MULTIADDR",
            _ => "compare with the peers' heights (zonetool peers), and check the clock",
        };
        return Finding::warn(about, format!("no new block for a long time; {at}"), remedy);
    }
    Finding::ok(about, at)
}
