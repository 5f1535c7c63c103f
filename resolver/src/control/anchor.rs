//! The DNSSEC key of signed answers, as a trust anchor.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use namechain_core::api_types::{Refusal, TrustAnchor, ZoneAnchor};

use super::refusal;
use crate::server::responder::Responder;

/// The trust anchor for a server that listens at these addresses.
pub fn anchor(responder: &Responder, addresses: &[SocketAddr]) -> Result<TrustAnchor, Refusal> {
    let pipeline = responder.pipeline();
    let signer = pipeline.signer.as_ref().ok_or_else(|| {
        let hint =
            "its configuration says [sign] enabled = false, or its key could not be written: see its log";
        refusal("not-found", "this resolver does not sign", hint)
    })?;
    let mut anchors = pipeline.mounts.suffixes.iter().map(|suffix| {
        let zone = suffix.name();
        (zone.to_string(), signer.anchor(&zone))
    });
    let Some((zone, anchor)) = anchors.next() else {
        let hint = "its configuration says suffixes = []";
        return Err(refusal("not-found", "this resolver has no signed zone", hint));
    };
    let also =
        anchors.map(|(zone, anchor)| ZoneAnchor { zone, dnskey: anchor.dnskey, ds: anchor.ds });
    Ok(TrustAnchor {
        also: also.collect(),
        zone,
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
