//! Every bound of the network's shell, in one place, with its reason. `docs/network-transport.md` has the same table.

use std::time::Duration;

/// Connections that we dial and keep: enough that one honest peer among them is near certain, few enough that a public
/// node has room for everybody's.
pub const OUTBOUND: usize = 8;
/// Connections that others dial.
pub const INBOUND: usize = 96;
/// Connections that others dial from one group of addresses (/16 of IPv4, /32 of IPv6).
pub const INBOUND_PER_GROUP: usize = 8;
/// Connections that others have begun and not yet proved who they are.
pub const INBOUND_PENDING: usize = 32;
/// The same, from one group: one host must not keep the door shut.
pub const INBOUND_PENDING_PER_GROUP: usize = 8;
/// How long a connection may take until the other side has proved who it is.
pub const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// How long a peer may take, once it is connected, until it has said hello or answered ours.
pub const HELLO_WITHIN: Duration = Duration::from_secs(20);
/// How long a request and its answer may take, from the first byte to the last; a frame that arrives a byte at a time
/// ends here.
pub const REQUEST_WITHIN: Duration = Duration::from_secs(20);
/// How often a peer is pinged, and how long it may take to answer.
pub const PING_EVERY: Duration = Duration::from_secs(15);
/// How long a ping may take.
pub const PING_WITHIN: Duration = Duration::from_secs(20);
