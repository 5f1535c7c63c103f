//! The connections of a server, over all listeners: how many, and whose turn it is to go.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::task::AbortHandle;

use super::connections::ConnectionTable;
use crate::{dns::query::Client, resolve::answer::STREAM_IDLE};

/// How many connections are open at a time, over all listening addresses.
pub const MAX_CONNECTIONS: usize = 1_024;
/// How many bytes may be kept for all connections: long questions that have not come in whole, and
/// answers that have not been taken. When there are more, the connection goes that holds the most.
pub const MAX_HELD_BYTES: usize = 16 << 20;
/// How long a connection may be without a question while more than half of the room is taken.
const IDLE_WHEN_CROWDED: Duration = Duration::from_secs(2);

/// All connections of a server, whichever listener they came by.
#[derive(Clone)]
pub struct Streams(Arc<Mutex<ConnectionTable<AbortHandle>>>);

impl Streams {
    /// Room for [`MAX_CONNECTIONS`], and for no more than half of the file descriptors that there
    /// are: upstreams, the store and the node's peers need some too.
    pub fn new(descriptors: u64) -> Self {
        let room =
            MAX_CONNECTIONS.min(usize::try_from(descriptors / 2).unwrap_or(usize::MAX)).max(1);
        Streams(Arc::new(Mutex::new(ConnectionTable::new(room, MAX_HELD_BYTES))))
    }

    /// Lets a connection in, which `spawn` begins to serve; another one may have to go for it.
    pub fn admit(&self, client: Client, spawn: impl FnOnce(ConnectionSlot) -> AbortHandle) {
        let mut table = self.table();
        let (id, evict) = table.admit(client.address);
        table.attach(id, spawn(ConnectionSlot { streams: self.clone(), id }));
        drop(table);
        evict.inspect(AbortHandle::abort);
    }

    /// Whether more than half of the room is taken.
    pub fn is_crowded(&self) -> bool {
        self.table().is_crowded()
    }

    pub(super) fn table(&self) -> MutexGuard<'_, ConnectionTable<AbortHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place in the table, given back when it ends however it ends.
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
    /// How long the connection may be without a question.
    pub fn patience(&self) -> Duration {
        if self.streams.table().is_crowded() { IDLE_WHEN_CROWDED } else { STREAM_IDLE }
    }
}

/// A question in work.
pub struct Work {
    pub(super) streams: Streams,
    pub(super) id: u64,
}

impl Work {
    /// A whole question has come over the connection.
    pub fn begin(place: &ConnectionSlot) -> Self {
        place.streams.table().on_query(place.id);
        Work { streams: place.streams.clone(), id: place.id }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.streams.table().on_answered(self.id);
    }
}
