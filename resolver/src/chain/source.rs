//! The interface of a source of the chain's state.

use async_trait::async_trait;
use namechain_core::types::{Name, Network};

use super::{error::ChainError, marks::ChainMarks, name_state::NameState, validity::Dependency};

/// A source of the chain's state.
#[async_trait]
pub trait ChainSource: Send + Sync + 'static {
    /// The state of `name` at the served height.
    async fn lookup(&self, name: &Name) -> Result<NameState, ChainError>;

    /// As [`ChainSource::lookup`], with what the answer depends on, if that is known.
    async fn lookup_with_dependency(
        &self,
        name: &Name,
    ) -> Result<(NameState, Option<Dependency>), ChainError> {
        Ok((self.lookup(name).await?, None))
    }

    /// The epoch of the state served now, at least 1; it changes with every state. `None` if no
    /// answer may be given now. Cheap.
    fn epoch(&self) -> Option<u32> {
        None
    }

    /// Whether a dependency holds in the state served now; `false` if that can't be decided without
    /// waiting.
    fn still_holds(&self, dependency: &Dependency) -> bool {
        let _ = dependency;
        false
    }

    /// The marks of answers from the state served now.
    fn marks(&self) -> ChainMarks {
        ChainMarks::default()
    }

    /// Whether the chain was validated in this process or on this machine. The tip of another node
    /// is only its claim.
    fn is_trusted(&self) -> bool {
        false
    }

    /// The network, once it is known.
    fn network(&self) -> Option<Network>;
}
