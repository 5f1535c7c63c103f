//! The control API: flush the cache, read metrics and the trust anchor, trace a query.

mod anchor;
mod api;
mod counts;
mod flush;
mod trace;

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use hickory_proto::rr::Name;
use namechain_core::api_types::{Flush, Flushed, Refusal, Trace, TraceAsked, TrustAnchor};

pub use api::{Ready, extension, serve_without_node};

use crate::server::{handle::ResponderHandle, responder::Responder};

/// The resolver for the API. Until [`Control::serves`] is called, requests fail with `unavailable`.
#[derive(Clone, Default)]
pub struct Control(Arc<OnceLock<Attached>>);

struct Attached {
    current: ResponderHandle,
    addresses: Vec<SocketAddr>,
}

impl Control {
    /// Sets the resolver, and the addresses of DNS.
    pub fn serves(&self, current: &ResponderHandle, addresses: &[SocketAddr]) {
        // A second call would be a bug, and does no harm.
        let _ = self.0.set(Attached { current: current.clone(), addresses: addresses.to_vec() });
    }

    fn server(&self) -> Result<&Attached, Refusal> {
        self.0.get().ok_or_else(|| refusal("unavailable", "the resolver is starting", "ask again"))
    }

    fn responder(&self) -> Result<Arc<Responder>, Refusal> {
        Ok(self.server()?.current.get())
    }
}

impl Control {
    /// Removes cached answers. May take a while.
    fn flush(&self, what: &Flush) -> Result<Flushed, Refusal> {
        flush::flush(&*self.responder()?, what)
    }

    /// Resolves a question and returns the trace.
    async fn trace(&self, asked: TraceAsked) -> Result<Trace, Refusal> {
        trace::trace(self.responder()?, asked).await
    }

    /// The DNSSEC key as a trust anchor.
    fn trust_anchor(&self) -> Result<TrustAnchor, Refusal> {
        let server = self.server()?;
        anchor::anchor(&server.current.get(), &server.addresses)
    }

    /// The metrics in Prometheus' text format.
    fn counts(&self) -> String {
        self.responder().map(|responder| counts::text(&responder)).unwrap_or_default()
    }
}

fn refusal(code: &str, message: &str, hint: &str) -> Refusal {
    Refusal { code: code.into(), rule: None, message: message.into(), hint: Some(hint.into()) }
}

/// A name as people write it, with or without its final dot, in lower case.
fn name(text: &str) -> Result<Name, Refusal> {
    let hint = "write it like www.example.com, an internationalized name in its xn-- form";
    let name = Name::from_ascii(text).ok().filter(|_| !text.is_empty());
    let mut name = name.ok_or_else(|| refusal("bad-request", "this is not a DNS name", hint))?;
    name.set_fqdn(true);
    Ok(name.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn before_there_is_anything_it_says_so() {
        let control = Control::default();
        assert_eq!(control.flush(&Flush::default()).unwrap_err().code, "unavailable");
        assert_eq!(control.trace(TraceAsked::default()).await.unwrap_err().code, "unavailable");
        assert_eq!(control.trust_anchor().unwrap_err().code, "unavailable");
        assert_eq!(control.counts(), "");
    }
}
