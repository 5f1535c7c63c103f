//! What the network counts, for whoever records metrics: names and labels from fixed lists only,
//! nothing of a peer's.

use metrics::{counter, describe_counter, describe_gauge, gauge};

use super::handle::Traffic;
use namechain_core::sync::message::Request;

const BYTES: &str = "namechain_net_bytes_total";
const REQUESTS: &str = "namechain_net_requests_total";
const KNOWN: &str = "namechain_net_addresses";
const GOSSIP: &str = "namechain_net_gossip_total";
const REFUSED: &str = "namechain_net_refused_total";

/// Says what is counted.
pub(super) fn describe() {
    describe_counter!(BYTES, "Bytes on streams with peers, by direction.");
    describe_counter!(REQUESTS, "Requests of peers and ours, by direction, kind and outcome.");
    describe_gauge!(KNOWN, "Addresses in the addrman: all, and those that have answered.");
    describe_counter!(GOSSIP, "Messages to everybody, by what they are and what became of them.");
    describe_counter!(REFUSED, "Connections that were refused or cut off, by reason.");
}

/// How many bytes there were.
pub(super) fn traffic(traffic: Traffic) {
    counter!(BYTES, "direction" => "in").absolute(traffic.bytes_in);
    counter!(BYTES, "direction" => "out").absolute(traffic.bytes_out);
}

/// How many addresses the address book has.
pub(super) fn known(all: usize, tried: usize) {
    gauge!(KNOWN, "which" => "all").set(all as f64);
    gauge!(KNOWN, "which" => "tried").set(tried as f64);
}

/// The kind of a request, as a label.
pub(super) fn kind(request: &Request) -> &'static str {
    match request {
        Request::Hello(_) => "hello",
        Request::Headers { .. } => "headers",
        Request::Blocks { .. } => "blocks",
        Request::BlockOperations { .. } => "block_operations",
        Request::Pending => "pending",
        Request::Operations { .. } => "operations",
    }
}

/// A request of a peer's (`in`) or of ours (`out`), and its outcome.
pub(super) fn request(direction: &'static str, kind: &'static str, outcome: &'static str) {
    counter!(REQUESTS, "direction" => direction, "kind" => kind, "outcome" => outcome).increment(1);
}

/// A message to everybody, and what became of it.
pub(super) fn gossip(what: &'static str, outcome: &'static str) {
    counter!(GOSSIP, "what" => what, "outcome" => outcome).increment(1);
}

/// A connection that was refused or cut off.
pub(super) fn refused(reason: &'static str) {
    counter!(REFUSED, "reason" => reason).increment(1);
}
