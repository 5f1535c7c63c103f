//! The responder that answers now. When the configuration is read again another one takes its
//! place; what the old one has in work it still answers.

use std::sync::{
    Arc, PoisonError, RwLock,
    atomic::{AtomicU64, Ordering},
};

use crate::server::responder::Responder;

/// Where everybody who has a question to be answered finds the responder. Cloning is cheap.
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
    /// The responder, for one question: the next question may have another.
    pub fn get(&self) -> Arc<Responder> {
        self.0.responder.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A number that changes whenever the responder does: whoever keeps one looks here whether it
    /// is still the one.
    pub fn version(&self) -> u64 {
        self.0.version.load(Ordering::Acquire)
    }

    /// Puts another responder in its place.
    pub fn replace(&self, responder: Responder) {
        let mut place = self.0.responder.write().unwrap_or_else(PoisonError::into_inner);
        *place = Arc::new(responder);
        self.0.version.fetch_add(1, Ordering::Release);
    }
}
