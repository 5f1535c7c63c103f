//! What the engine does for us, put together: the carriers and the behaviours.

use std::sync::Arc;

use futures::future::Either;
use libp2p::{
    PeerId, StreamProtocol, Swarm, Transport,
    core::{muxing::StreamMuxerBox, transport::Boxed, upgrade::Version},
    dns, identify,
    identity::Keypair,
    mdns, noise, ping, quic, request_response,
    request_response::ProtocolSupport,
    swarm::{self, NetworkBehaviour, behaviour::toggle::Toggle},
    tcp, yamux,
};
use tracing::warn;

use super::{
    ban_list::BanList,
    bandwidth::{Bytes, Metered},
    codec::Codec,
    config::NetConfig,
    connection_limits::ConnectionLimits,
    error::NetError,
    gossip,
    gossip::Topics,
    gossip_links::GossipLinks,
    kad::Kademlia,
    limits,
    limits::Limits,
    pending::PendingInbound,
};
use namechain_core::types::Network;

/// What we say of our software, and of our network, to whoever asks.
const AGENT: &str = concat!("namechain/", env!("CARGO_PKG_VERSION"));

/// All behaviours. The limits of connections come first: no other hears of what they refuse.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    pub connection_limits: ConnectionLimits,
    pub ping: ping::Behaviour,
    pub identify: identify::Behaviour,
    pub kad: Kademlia,
    pub mdns: Toggle<mdns::tokio::Behaviour>,
    pub gossip: GossipLinks,
    pub requests: request_response::Behaviour<Codec>,
}

/// What identifies the network in what peers say of themselves.
pub(super) fn protocol_version(network: Network) -> String {
    format!("/namechain/{network}/1")
}

fn setup(error: impl std::fmt::Display) -> NetError {
    NetError::Setup(error.to_string())
}

/// The engine, ready to listen and to dial.
pub(super) fn swarm(
    config: &NetConfig,
    keypair: &Keypair,
    topics: &Topics,
    bytes: &Arc<Bytes>,
    ban_list: BanList,
) -> Result<Swarm<Behaviour>, NetError> {
    let us = keypair.public().to_peer_id();
    let transport = transport(keypair, &config.limits, bytes)?;
    // Connections end when we say so or when they break, not by being quiet.
    let swarm_config = swarm::Config::with_tokio_executor()
        .with_idle_connection_timeout(std::time::Duration::from_secs(24 * 3600))
        .with_max_negotiating_inbound_streams(limits::STREAMS_NEGOTIATING)
        .with_per_connection_event_buffer_size(8);
    Ok(Swarm::new(transport, behaviour(config, keypair, topics, ban_list)?, us, swarm_config))
}

fn behaviour(
    config: &NetConfig,
    keypair: &Keypair,
    topics: &Topics,
    ban_list: BanList,
) -> Result<Behaviour, NetError> {
    let (network, limits, us) = (config.network, &config.limits, keypair.public().to_peer_id());
    let identify = identify::Config::new(protocol_version(network), keypair.public())
        .with_agent_version(AGENT.to_owned())
        .with_push_listen_addr_updates(true)
        .with_cache_size(0);
    // Half of the time to ask, half to be answered.
    let codec = Codec { request_within: limits.request_within / 2 };
    let requests = request_response::Config::default()
        .with_request_timeout(limits.request_within)
        .with_max_concurrent_streams(limits::REQUESTS_PER_PEER);
    let protocol =
        StreamProtocol::try_from_owned(format!("/namechain/{network}/sync/1")).map_err(setup)?;
    let mdns = config.mdns.then(|| mdns::tokio::Behaviour::new(mdns::Config::default(), us));
    let mdns = mdns.and_then(|mdns| {
        // A machine without a local network is no reason not to start.
        mdns.inspect_err(|error| warn!("peers on the local network can't be looked for: {error}"))
            .ok()
    });
    Ok(Behaviour {
        connection_limits: ConnectionLimits::new(us, limits.clone(), ban_list),
        ping: ping::Behaviour::new(
            ping::Config::new().with_interval(limits.ping_every).with_timeout(limits.ping_within),
        ),
        identify: identify::Behaviour::new(identify),
        kad: Kademlia::new(us, network)?,
        mdns: Toggle::from(mdns),
        gossip: GossipLinks::new(gossip::behaviour(network, topics)?),
        requests: request_response::Behaviour::with_codec(
            codec,
            [(protocol, ProtocolSupport::Full)],
            requests,
        ),
    })
}

/// TCP with Noise and yamux, and QUIC; names are looked up with the system's resolver.
fn transport(
    keypair: &Keypair,
    limits: &Limits,
    bytes: &Arc<Bytes>,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, NetError> {
    let carriers = || -> Result<_, NetError> {
        let mut yamux = yamux::Config::default();
        yamux.set_max_num_streams(limits::STREAMS);
        yamux.set_max_connection_receive_window(limits::YAMUX_CONNECTION_BYTES);
        let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
            .upgrade(Version::V1Lazy)
            .authenticate(noise::Config::new(keypair).map_err(setup)?)
            .multiplex(yamux)
            .timeout(limits.handshake_within)
            .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
        let mut quic = quic::Config::new(keypair);
        quic.handshake_timeout = limits.handshake_within;
        quic.max_concurrent_stream_limit = limits::STREAMS as u32;
        quic.max_unvalidated_handshakes = limits::QUIC_UNVALIDATED;
        quic.max_stream_data = limits::QUIC_STREAM_BYTES;
        quic.max_connection_data = limits::QUIC_CONNECTION_BYTES;
        let quic = quic::tokio::Transport::new(quic)
            .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
        let bytes = bytes.clone();
        Ok(tcp.or_transport(quic).map(move |either, _| {
            let (Either::Left((peer, muxer)) | Either::Right((peer, muxer))) = either;
            (peer, StreamMuxerBox::new(Metered::new(muxer, bytes)))
        }))
    };
    let bounded =
        |carriers: Boxed<_>| PendingInbound::new(carriers, limits.inbound_pending).boxed();
    match dns::tokio::Transport::system(carriers()?) {
        Ok(transport) => Ok(bounded(transport.boxed())),
        Err(error) => {
            warn!(
                "peers can't be reached by name, only by address: the system's resolver is not set up: {error}"
            );
            Ok(bounded(carriers()?.boxed()))
        }
    }
}
