//! What every handler works with.

use std::sync::{Arc, OnceLock};

use serde_json::Value;
use tokio::sync::Semaphore;

use super::{backend::Backend, extension::Extension, polls::Polls, refuse::Refused};

/// Requests that may ask the backend at once; the others wait.
const MAX_ASKING: usize = 32;

/// What every handler has.
#[derive(Clone)]
pub(super) struct App {
    backend: Arc<dyn Backend>,
    pub extension: Arc<Extension>,
    pub polls: Polls,
    /// The description of the API, once somebody has asked for it.
    pub document: Arc<OnceLock<Value>>,
    asking: Arc<Semaphore>,
}

impl App {
    pub fn new(backend: Arc<dyn Backend>, extension: Arc<Extension>) -> Self {
        let asking = Arc::new(Semaphore::new(MAX_ASKING));
        App { backend, extension, polls: Polls::default(), asking, document: Arc::default() }
    }

    /// Whether the node works; if not, why.
    pub fn health(&self) -> Result<(), String> {
        self.backend.health()
    }

    /// Asks the backend on a thread that may block.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Backend) -> T + Send + 'static,
    ) -> Result<T, Refused> {
        let backend = self.backend.clone();
        // Held by the question, not by the request: a client that goes away does not make room for
        // another question.
        let permit = self.asking.clone().acquire_owned().await.map_err(Refused::internal)?;
        let asked = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            question(&*backend)
        });
        asked.await.map_err(Refused::internal)
    }
}
