//! Where the chain comes from: a node in this process, or one elsewhere and then a small API of our
//! own.

use std::sync::Arc;

use namechain_node::node::{Node, NodeConfig};
use resolver::{
    chain::{ChainSource, Embedded, Remote, Served},
    config::ChainFrom,
    control::{Control, extension},
};

use super::aside::Aside;

/// The chain, and what serves it here.
pub struct Chain {
    /// What names are looked up in.
    pub source: Arc<dyn ChainSource>,
    /// The node in this process, if there is one.
    pub node: Option<Node>,
    /// The small API, if there is no node.
    pub aside: Option<Aside>,
}

/// Starts the node, or finds the one elsewhere.
pub async fn chain(from: &ChainFrom, control: &Control) -> anyhow::Result<Chain> {
    match from {
        ChainFrom::Embedded { network, api, data_dir, node: options } => {
            let config = NodeConfig {
                network: *network,
                data_dir: data_dir.clone(),
                api: Some(*api),
                allow_hosts: options.allow_hosts.clone(),
                p2p: options.p2p.clone(),
                mine: options.mine,
                mine_threads: usize::from(options.mine_threads),
                reindex: false,
            };
            let node = Node::start_with(config, extension(control)).await?;
            let handle = node.handle();
            let served = move || Served { snapshot: handle.served(), synced: handle.synced() };
            let source = Arc::new(Embedded::new(*network, served));
            Ok(Chain { source, node: Some(node), aside: None })
        }
        ChainFrom::Remote { url, network, api } => {
            let remote = Arc::new(Remote::new(url, *network)?);
            let aside = Aside::start(*api, control.clone(), remote.clone()).await?;
            if let Err(error) = remote.status().await {
                tracing::warn!("{error}; names of the chain fail until it answers");
            }
            Ok(Chain { source: remote, node: None, aside })
        }
    }
}
