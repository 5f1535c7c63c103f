//! How many queries are in flight to each server of a delegation (BIND has `fetches-per-server`):
//! the owner of a name decides who is asked, and many names may name one victim.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::ForwardError;
use super::target::Target;

/// The most queries in flight to one server of delegations.
pub const MAX_PER_SERVER: usize = 128;

/// The numbers of queries in flight.
#[derive(Debug, Default)]
pub struct ServerLoad(Mutex<HashMap<Target, usize>>);

/// One query in flight, until it is dropped.
#[derive(Debug)]
pub struct InFlightTo {
    load: Arc<ServerLoad>,
    server: Target,
}

impl ServerLoad {
    /// Counts a query to a server.
    pub fn count(self: &Arc<Self>, server: &Target) -> InFlightTo {
        *self.lock().entry(server.clone()).or_default() += 1;
        InFlightTo { load: self.clone(), server: server.clone() }
    }

    /// The servers that may get one more query. `recursive`: they are upstreams, which always may.
    ///
    /// # Errors
    /// [`ForwardError::ServersBusy`] if there is none.
    pub fn without_busy(
        &self,
        mut servers: Vec<Target>,
        recursive: bool,
    ) -> Result<Vec<Target>, ForwardError> {
        if recursive {
            return Ok(servers);
        }
        let load = self.lock();
        let is_free =
            |server: &Target| load.get(server).is_none_or(|count| *count < MAX_PER_SERVER);
        if !servers.is_empty() && !servers.iter().any(is_free) {
            return Err(ForwardError::ServersBusy { limit: MAX_PER_SERVER, servers });
        }
        servers.retain(is_free);
        Ok(servers)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Target, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InFlightTo {
    fn drop(&mut self) {
        let mut load = self.load.lock();
        if let Some(count) = load.get_mut(&self.server) {
            *count -= 1;
            if *count == 0 {
                load.remove(&self.server);
            }
        }
    }
}
