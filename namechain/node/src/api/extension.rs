//! What a program that has a node in it adds to the node's API: served behind the same bounds.

use std::sync::Arc;

use axum::routing::MethodRouter;

/// What a program counts by itself, in Prometheus' text format.
pub type Counts = Arc<dyn Fn() -> String + Send + Sync>;
/// A path, and what answers there.
pub type Route = (&'static str, MethodRouter);

/// What a program adds to the API of its node.
#[derive(Clone, Default)]
pub struct Extension {
    /// Its routes for the admin socket. None of them may be one of the node's.
    pub admin: Vec<Route>,
    /// The OpenAPI description of its routes, which becomes part of `/openapi.json`.
    pub document: Option<&'static str>,
    /// What is told at `/metrics` behind the node's metrics.
    pub counts: Option<Counts>,
}

impl Extension {
    /// What the program counts; empty if it counts nothing.
    pub(super) fn counted(&self) -> String {
        self.counts.as_ref().map(|counts| counts()).unwrap_or_default()
    }
}
