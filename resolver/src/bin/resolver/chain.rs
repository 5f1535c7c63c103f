//! The source of the chain's state: a node in this process, or a remote one with a control API
//! here.

use std::sync::Arc;

use namechain_node::node::{Node, NodeConfig};
use resolver::{
    chain::{ChainSource, Embedded, Remote, Served},
    config::ChainConfig,
    control::{Control, extension},
    os::clock,
};

use super::control_api::ControlApi;

/// The chain source, and what runs for it in this process.
pub struct ChainBackend {
    /// The source that names are looked up in.
    pub source: Arc<dyn ChainSource>,
    /// The node in this process, if there is one.
    pub node: Option<Node>,
    /// The control API, if there is no node.
    pub control_api: Option<ControlApi>,
}

/// Starts the node, or connects to the remote one.
pub async fn open_chain(from: &ChainConfig, control: &Control) -> anyhow::Result<ChainBackend> {
    match from {
        ChainConfig::Embedded { network, api, data_dir, admin, node: options } => {
            let config = NodeConfig {
                network: *network,
                data_dir: data_dir.clone(),
                api: Some(*api),
                admin: Some(admin.clone()),
                allow_hosts: options.allow_hosts.clone(),
                p2p: options.p2p.clone(),
                mine: options.mine,
                mine_threads: usize::from(options.mine_threads),
                prune_bytes: options.prune_bytes,
                reindex: false,
            };
            let node = Node::start_with(config, extension(control)).await?;
            let handle = node.handle();
            let served = move || Served {
                snapshot: handle.served(),
                synced: handle.synced(),
                now: clock::unix_now(),
            };
            let source = Arc::new(Embedded::new(*network, served));
            Ok(ChainBackend { source, node: Some(node), control_api: None })
        }
        ChainConfig::Remote { url, network, api, admin } => {
            let remote = Arc::new(Remote::new(url, *network)?);
            let control_api =
                ControlApi::start((*api, admin.as_ref()), control.clone(), remote.clone()).await?;
            if let Err(error) = remote.status().await {
                tracing::warn!("{error}; names of the chain fail until the node answers");
            }
            Ok(ChainBackend { source: remote, node: None, control_api: Some(control_api) })
        }
    }
}
