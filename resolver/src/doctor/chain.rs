//! The chain: whether the node answers, is at the tip, and hears of new blocks.

use namechain_core::{api_types::Status, types::Network};

use super::Finding;
use crate::{
    chain::{Remote, RemoteError},
    config::ChainFrom,
};

/// Blocks are 120 s apart; after so long without one, in seconds, something is wrong.
const STALE: u64 = 40 * 60;

/// Looks at the node: that in the resolver, if one is running, or that elsewhere. Its status, if
/// there is one.
pub async fn look(from: &ChainFrom, running: bool) -> (Vec<Finding>, Option<Status>) {
    let about = "chain";
    let (url, network, elsewhere) = match from {
        ChainFrom::Embedded { network, api, data_dir, .. } => {
            if !running {
                let found = match data_dir.exists() {
                    true => format!("it is in {}, and nobody runs its node", data_dir.display()),
                    false => format!("there is none in {} yet", data_dir.display()),
                };
                return (
                    vec![Finding::warn(about, found, "start the resolver: its node is in it")],
                    None,
                );
            }
            (format!("http://{api}"), Some(*network), false)
        }
        ChainFrom::Remote { url, network, .. } => (url.clone(), *network, true),
    };
    let status = match Remote::new(&url, network) {
        Ok(remote) => remote.status().await,
        Err(error) => Err(error),
    };
    match status {
        Ok(status) => (vec![judge(&status)], Some(status)),
        Err(error) => {
            let remedy = match (&error, elsewhere) {
                (RemoteError::Network { .. }, _) => {
                    "name a node of the same network with --node, or say which with --network"
                }
                (_, true) => {
                    "start that node (namechaind), or name another with --node; legacy names resolve meanwhile"
                }
                (_, false) => {
                    "look at the resolver's log for why its API is not there; --api IP:PORT puts it elsewhere"
                }
            };
            (vec![Finding::bad(about, error.to_string(), remedy)], None)
        }
    }
}

fn judge(status: &Status) -> Finding {
    let about = "chain";
    let peers = status.peers.inbound + status.peers.outbound;
    let at = format!(
        "network {}, height {}, the tip is {} s old, {peers} peers, names from {} blocks below",
        status.network, status.height, status.tip_age, status.serve_depth
    );
    if status.parked_tip.is_some() {
        let found = format!("a chain of more work departs too deep to be followed by itself; {at}");
        return Finding::bad(
            about,
            found,
            "see \"A parked chain\" in docs/operations.md: it is for you to decide",
        );
    }
    if !status.synced {
        let found = format!("the node is not at the tip, so names of the chain fail; {at}");
        let remedy = match peers {
            0 => "give it a node to begin with: --peer MULTIADDR",
            _ => "wait: zonetool status shows how far it is",
        };
        return Finding::bad(about, found, remedy);
    }
    // A chain for trying things out has a block only when there is something to record.
    if status.tip_age > STALE && status.network != Network::Dev {
        let remedy = match peers {
            0 => "it has no peers: look at the network, and give it one with --peer MULTIADDR",
            _ => "zonetool peers shows at which height others are; look at the clock, too",
        };
        return Finding::warn(about, format!("no new block for long; {at}"), remedy);
    }
    Finding::ok(about, at)
}
