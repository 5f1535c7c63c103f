//! Answers to what peers ask: read from the store and the list of what waits, never from the
//! chain's thread.

use std::sync::Arc;

use tokio::sync::watch;
use tracing::error;

use super::{clock, node_state::NodeState};
use crate::net::Serve;
use namechain_core::{
    chain::Storage,
    mempool::Waiting,
    sync::{
        message::{Hello, Request, Response},
        serve::{Identity, answer},
    },
};

/// What answers peers.
pub(super) struct Server {
    pub identity: Identity,
    pub storage: Arc<dyn Storage>,
    pub waiting: Waiting,
    pub published: watch::Receiver<Arc<NodeState>>,
}

impl Serve for Server {
    fn serve(&self, request: Request) -> Response {
        answer(&*self.storage, &self.identity, &self.waiting, &request, clock::now())
            .unwrap_or_else(|error| {
                error!("a peer can't be answered: {error}");
                Response::Busy
            })
    }

    fn hello(&self) -> Hello {
        let now = self.published.borrow();
        let tip = (now.tip.id, now.tip.height(), now.work);
        // What can't be read is not promised.
        let first_block = self.storage.first_block().unwrap_or(now.tip.height());
        self.identity.hello(tip, first_block, clock::now())
    }
}
