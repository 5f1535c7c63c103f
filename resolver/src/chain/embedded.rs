//! The node in this process: a snapshot is a pointer, and most names are answered without reading the store.

use std::sync::Arc;

use async_trait::async_trait;
use namechain::{
    chain::{ReadError, Snapshot},
    types::{Name, Network},
};

use super::{ChainError, ChainSource, Standing, ZoneCache, zones::Compiled};

/// What the node serves names from at this moment.
pub struct Served {
    /// The state at the depth that names are served from.
    pub snapshot: Arc<Snapshot>,
    /// Whether the node believes that it is at the tip.
    pub synced: bool,
}

/// The chain of a node in this process.
pub struct Embedded {
    network: Network,
    served: Box<dyn Fn() -> Served + Send + Sync>,
    zones: ZoneCache,
}

impl Embedded {
    /// The chain of `network`, as `served` has it at each call.
    pub fn new(network: Network, served: impl Fn() -> Served + Send + Sync + 'static) -> Self {
        Embedded { network, served: Box::new(served), zones: ZoneCache::default() }
    }

    fn look(&self, name: &Name, snapshot: &Snapshot) -> Result<Standing, ReadError> {
        let key = name.key(self.network);
        let Some(value) = snapshot.value_hash(&key) else { return Ok(Standing::Unregistered) };
        let compiled = match self.zones.get(&key, &value) {
            Some(compiled) => compiled,
            None => {
                let Some(entry) = snapshot.entry(name)? else { return Ok(Standing::Unregistered) };
                let compiled = Compiled::new(entry);
                self.zones.put(key, value, compiled.clone());
                compiled
            }
        };
        Ok(compiled.standing(self.network.params(), snapshot.height()))
    }
}

#[async_trait]
impl ChainSource for Embedded {
    async fn lookup(&self, name: &Name) -> Result<Standing, ChainError> {
        let served = (self.served)();
        if !served.synced {
            return Err(ChainError::NotSynced { height: served.snapshot.height() });
        }
        match self.look(name, &served.snapshot) {
            // The chain may have moved on so far that the snapshot's values are gone. A fresh one has them.
            Err(_) => Ok(self.look(name, &(self.served)().snapshot)?),
            Ok(standing) => Ok(standing),
        }
    }

    fn network(&self) -> Option<Network> {
        Some(self.network)
    }
}
