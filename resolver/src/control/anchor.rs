//! The DNSSEC key of signed answers, as a trust anchor.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use namechain_core::api_types::{Refusal, TrustAnchor};

use super::refusal;
use crate::{dnssec::sign, server::responder::Responder};

/// The trust anchor for a server that listens at these addresses.
pub fn anchor(responder: &Responder, addresses: &[SocketAddr]) -> Result<TrustAnchor, Refusal> {
    let signer = responder.pipeline().signer.as_ref().ok_or_else(|| {
        let hint =
            "its configuration says [sign] enabled = false, or its key could not be written: see its log";
        refusal("not-found", "this resolver does not sign", hint)
    })?;
    let anchor = signer.anchor();
    Ok(TrustAnchor {
        zone: sign::zone().to_string(),
        key_tag: anchor.tag,
        algorithm: anchor.algorithm.number(),
        dnskey: anchor.dnskey,
        ds: anchor.ds,
        servers: addresses.iter().map(|address| reachable(*address).to_string()).collect(),
    })
}

/// An address at which this machine reaches a server that listens at the unspecified address.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
