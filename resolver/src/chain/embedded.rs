//! The chain source with a node in this process: a snapshot is a pointer, and most names are
//! answered without reading the store.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use namechain_core::{
    chain::{ReadError, Snapshot},
    types::{Hash, Name, Network},
};

use super::{
    error::ChainError,
    marks::{ChainMarks, MAX_TIP_AGE_SECS},
    name_state::NameState,
    source::ChainSource,
    validity::{BlockRange, Dependency},
    zone_cache::{CompiledZone, ZoneCache},
};

/// The state that the node serves now.
pub struct Served {
    /// The state at the depth that names are served from.
    pub snapshot: Arc<Snapshot>,
    /// Whether the node is synced.
    pub synced: bool,
    /// The node's clock, in seconds of Unix time.
    pub now: u64,
}

impl Served {
    /// The marks of answers from this state.
    fn marks(&self) -> ChainMarks {
        let age = self.now.saturating_sub(self.snapshot.header.time);
        ChainMarks { fork: self.snapshot.contested_above, is_old: age > MAX_TIP_AGE_SECS }
    }
}

/// The chain of a node in this process.
pub struct Embedded {
    network: Network,
    served: Box<dyn Fn() -> Served + Send + Sync>,
    zones: ZoneCache,
    /// The block whose state was served last, the marks then, and the epoch of both.
    last: Mutex<(Hash, ChainMarks, u32)>,
}

impl Embedded {
    /// The chain of `network`, as `served` has it at each call.
    pub fn new(network: Network, served: impl Fn() -> Served + Send + Sync + 'static) -> Self {
        Embedded {
            network,
            served: Box::new(served),
            zones: ZoneCache::default(),
            last: Mutex::new((Hash::ZERO, ChainMarks::default(), 0)),
        }
    }

    /// The epoch of a state, one per block and marks: the node may publish several snapshots of a
    /// block.
    fn epoch_of(&self, served: &Served) -> u32 {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // 0 is not a valid epoch.
        let (state, epoch) = ((served.snapshot.id, served.marks()), last.2);
        if epoch == 0 || state != (last.0, last.1) {
            *last = (state.0, state.1, epoch.wrapping_add(1).max(1));
        }
        last.2
    }

    fn lookup_in(
        &self,
        name: &Name,
        served: &Served,
    ) -> Result<(NameState, Dependency), ReadError> {
        let snapshot = &served.snapshot;
        let (params, now, marks) = (self.network.params(), snapshot.now(), served.marks());
        let key = name.key(self.network);
        let dependency = |value, range| Dependency {
            name: name.clone(),
            value,
            range,
            marks,
            epoch: self.epoch_of(served),
        };
        let nothing = || Ok((NameState::Unregistered, dependency(None, BlockRange::ALL)));
        let Some(value) = snapshot.value_hash(&key) else { return nothing() };
        let compiled = match self.zones.get(&key, &value) {
            Some(compiled) => compiled,
            None => {
                let Some(entry) = snapshot.entry(name)? else { return nothing() };
                let compiled = CompiledZone::new(entry);
                self.zones.insert(key, value, compiled.clone());
                compiled
            }
        };
        let range = compiled.range_around(params, now);
        Ok((compiled.state_at(params, now, marks.fork), dependency(Some(value), range)))
    }
}

#[async_trait]
impl ChainSource for Embedded {
    async fn lookup(&self, name: &Name) -> Result<NameState, ChainError> {
        Ok(self.lookup_with_dependency(name).await?.0)
    }

    async fn lookup_with_dependency(
        &self,
        name: &Name,
    ) -> Result<(NameState, Option<Dependency>), ChainError> {
        let served = (self.served)();
        if !served.synced {
            return Err(ChainError::NotSynced { height: served.snapshot.height() });
        }
        let (state, dependency) = match self.lookup_in(name, &served) {
            // The chain may have advanced so far that the snapshot's values are gone. A new
            // snapshot has them.
            Err(_) => self.lookup_in(name, &(self.served)())?,
            Ok(found) => found,
        };
        Ok((state, Some(dependency)))
    }

    fn epoch(&self) -> Option<u32> {
        let served = (self.served)();
        served.synced.then(|| self.epoch_of(&served))
    }

    fn still_holds(&self, dependency: &Dependency) -> bool {
        let served = (self.served)();
        let snapshot = &served.snapshot;
        let value = snapshot.value_hash(&dependency.name.key(self.network));
        served.synced && dependency.holds_at(value.as_ref(), snapshot.now(), served.marks())
    }

    fn marks(&self) -> ChainMarks {
        (self.served)().marks()
    }

    fn is_trusted(&self) -> bool {
        true
    }

    fn network(&self) -> Option<Network> {
        Some(self.network)
    }
}

#[cfg(test)]
mod tests {
    use namechain_core::{
        chain::{Chain, MemoryStorage},
        consensus::work::PowHasher,
        miner::search_nonce,
    };

    use super::*;

    const NETWORK: Network = Network::Dev;

    /// The node publishes its state now and then, changed or not. Answers are checked again only if
    /// it has changed.
    #[test]
    fn the_epoch_is_the_blocks_and_not_the_snapshots() {
        let chain = Chain::open(NETWORK, Arc::new(MemoryStorage::default())).unwrap();
        let now = chain.tip_header().time + 1;
        let block = chain.assemble_block(std::iter::empty(), now).unwrap();
        let chain = Arc::new(Mutex::new(chain));
        let served = chain.clone();
        let source = Embedded::new(NETWORK, move || {
            let chain = served.lock().unwrap();
            let snapshot = chain.snapshot_at(chain.tip_header().height).unwrap();
            Served { snapshot: Arc::new(snapshot), synced: true, now }
        });
        let first = source.epoch().unwrap();
        assert!((0..3).all(|_| source.epoch() == Some(first)));
        let header = search_nonce(&mut PowHasher::new(NETWORK), block.header, |_| true).unwrap();
        chain
            .lock()
            .unwrap()
            .accept(&namechain_core::types::Block { header, ..block }, now, true)
            .unwrap();
        assert!(source.epoch().is_some_and(|epoch| epoch != first));
    }
}
