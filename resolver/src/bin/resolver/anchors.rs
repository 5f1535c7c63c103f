//! The key that is signed with, told to those who ask the API.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, OnceLock},
};

use namechain::{
    api::AnchorHook,
    rpc::{Refusal, TrustAnchor},
};
use resolver::sign::{self, Signer};

/// What the API hands questions for the key on to. It is there before there is a key: until then it says so.
#[derive(Clone, Default)]
pub struct Anchors(Arc<OnceLock<Option<TrustAnchor>>>);

impl Anchors {
    /// Says which key it is, if there is one, and where the server answers.
    pub fn are(&self, signer: Option<&Signer>, dns: &[SocketAddr]) {
        let anchor = signer.map(Signer::anchor).map(|anchor| TrustAnchor {
            zone: sign::zone().to_string(),
            key_tag: anchor.tag,
            algorithm: anchor.algorithm.number(),
            dnskey: anchor.dnskey,
            ds: anchor.ds,
            servers: dns.iter().map(|address| reachable(*address).to_string()).collect(),
        });
        // It is said once.
        let _ = self.0.set(anchor);
    }

    /// The hook for the API.
    pub fn hook(&self) -> AnchorHook {
        let anchors = self.clone();
        Arc::new(move || match anchors.0.get() {
            Some(Some(anchor)) => Ok(anchor.clone()),
            Some(None) => Err(refusal(
                "not-found",
                "this resolver does not sign",
                "its configuration says [sign] enabled = false, or there was no place for a key: see its log",
            )),
            None => Err(refusal("unavailable", "the resolver is starting", "ask again")),
        })
    }
}

/// An address by which this machine reaches a server that listens at all of them.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn refusal(code: &str, message: &str, hint: &str) -> Refusal {
    Refusal { code: code.into(), rule: None, message: message.into(), hint: Some(hint.into()) }
}
