//! The HTTP API: JSON over HTTP/1.1, described by `/openapi.json`, types in
//! [`namechain_core::api_types`].
//!
//! ```text
//! connection -> serve (bounds, timeouts) -> guard (Host, Origin, time) -> a handler -> Backend
//! ```
//!
//! The public routes are served over TCP. All routes, those of the admin among them, are served on
//! a Unix socket that only the user who runs the node can open.
//!
//! Everything that is refused is refused with an [`api_types::Refusal`], by the router as well as
//! by the handlers; only what is no HTTP at all gets hyper's bare 400.

mod admin_socket;
mod app;
mod backend;
mod bans;
mod blocks;
mod bundles;
mod connections;
mod extension;
mod guard;
mod layers;
mod metrics;
mod mining;
mod names;
mod node;
mod openapi;
mod ops;
mod polls;
mod process;
mod rate_limit;
mod recorder;
mod refuse;
mod router;
mod serve;
mod standalone;
#[cfg(test)]
mod tests;

pub use admin_socket::{ADMIN_SOCKET, AdminSocket, AdminSocketError, make_private_dir};
pub use backend::{Backend, Traffic, no_bundle};
pub use extension::{Counts, Extension, Route};
pub use metrics::install as install_metrics;
pub use openapi::merge_documents;
pub use ops::read_json;
pub use refuse::Refused;
pub use serve::{Listeners, serve};
pub use standalone::{render_metrics, serve_routes};
