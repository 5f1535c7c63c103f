//! The handle to the current responder. A reload of the configuration replaces the responder; the
//! old one completes its queries.

use std::sync::{
    Arc, PoisonError, RwLock,
    atomic::{AtomicU64, Ordering},
};

use crate::server::responder::Responder;

/// The handle. Cloning is cheap.
#[derive(Clone)]
pub struct ResponderHandle(Arc<Inner>);

struct Inner {
    version: AtomicU64,
    responder: RwLock<Arc<Responder>>,
}

impl From<Responder> for ResponderHandle {
    fn from(responder: Responder) -> Self {
        let responder = RwLock::new(Arc::new(responder));
        ResponderHandle(Arc::new(Inner { version: AtomicU64::new(0), responder }))
    }
}

impl ResponderHandle {
    /// The responder for one query; it may be another one for the next.
    pub fn get(&self) -> Arc<Responder> {
        self.0.responder.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A number that changes with the responder, for those who keep a copy.
    pub fn version(&self) -> u64 {
        self.0.version.load(Ordering::Acquire)
    }

    /// Replaces the responder.
    pub fn replace(&self, responder: Responder) {
        let mut place = self.0.responder.write().unwrap_or_else(PoisonError::into_inner);
        *place = Arc::new(responder);
        self.0.version.fetch_add(1, Ordering::Release);
    }
}
