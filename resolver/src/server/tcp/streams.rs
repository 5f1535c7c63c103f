//! The connections of a server over all listeners: their number, and which one to close.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::task::AbortHandle;

use super::connections::ConnectionTable;
use crate::{dns::query::Client, resolve::answer::STREAM_IDLE};

/// The most open connections, over all listening addresses.
pub const MAX_CONNECTIONS: usize = 1_024;
/// The most buffered bytes over all connections: long queries that have arrived in part, and
/// responses that were not read. Above it, the connection with the most is closed.
pub const MAX_BUFFERED_BYTES: usize = 16 << 20;
/// The idle time of a connection while more than half of the table is in use.
const IDLE_WHEN_CROWDED: Duration = Duration::from_secs(2);

/// All connections of a server, over all listeners.
#[derive(Clone)]
pub struct Streams(Arc<Mutex<ConnectionTable<AbortHandle>>>);

impl Streams {
    /// A table for [`MAX_CONNECTIONS`], but at most half of the file descriptors: upstreams, the
    /// store and the node's peers need some too.
    pub fn new(descriptors: u64) -> Self {
        let room =
            MAX_CONNECTIONS.min(usize::try_from(descriptors / 2).unwrap_or(usize::MAX)).max(1);
        Streams(Arc::new(Mutex::new(ConnectionTable::new(room, MAX_BUFFERED_BYTES))))
    }

    /// Adds a connection and lets `spawn` serve it; another one may be closed for it.
    pub fn admit(&self, client: Client, spawn: impl FnOnce(ConnectionSlot) -> AbortHandle) {
        let mut table = self.table();
        let (id, evict) = table.admit(client.address);
        table.attach(id, spawn(ConnectionSlot { streams: self.clone(), id }));
        drop(table);
        evict.inspect(AbortHandle::abort);
    }

    /// Whether more than half of the table is in use.
    pub fn is_crowded(&self) -> bool {
        self.table().is_crowded()
    }

    pub(super) fn table(&self) -> MutexGuard<'_, ConnectionTable<AbortHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place in the table, which is freed when it is dropped.
pub struct ConnectionSlot {
    pub(super) streams: Streams,
    pub(super) id: u64,
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.streams.table().remove(self.id);
    }
}

impl ConnectionSlot {
    /// How long the connection may be idle.
    pub fn idle_timeout(&self) -> Duration {
        if self.streams.table().is_crowded() { IDLE_WHEN_CROWDED } else { STREAM_IDLE }
    }
}

/// A query in progress.
pub struct QueryInProgress {
    pub(super) streams: Streams,
    pub(super) id: u64,
}

impl QueryInProgress {
    /// Records that a whole query has arrived over the connection.
    pub fn new(slot: &ConnectionSlot) -> Self {
        slot.streams.table().on_query(slot.id);
        QueryInProgress { streams: slot.streams.clone(), id: slot.id }
    }
}

impl Drop for QueryInProgress {
    fn drop(&mut self) {
        self.streams.table().on_answered(self.id);
    }
}
