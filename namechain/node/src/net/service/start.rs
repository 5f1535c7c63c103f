//! Starting the network: the key, the address book, the engine, the listeners, the task.

use std::{
    collections::VecDeque,
    fs, io,
    net::{IpAddr, TcpListener, UdpSocket},
    sync::Arc,
};

use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Swarm, core::transport::ListenerId, multiaddr::Protocol, swarm::SwarmEvent,
};
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};
use tracing::{error, warn};

use super::{
    super::{
        address,
        addrman::AddrMan,
        ban_list::BanList,
        behaviour::{self, Behaviour},
        clock::Clock,
        config::{ADDRMAN_FILE, NetConfig},
        dial::Dialer,
        error::NetError,
        files,
        gossip::{PendingValidations, Topics},
        handle::{NetHandle, Shared},
        limits,
        local_network::LocalNetworks,
        metrics,
        peers::Peers,
        random::Random,
        request_table::{RequestTable, Serve},
    },
    NetworkService,
    discovery::Discovery,
    feeler::Feelers,
    names::Names,
};
use namechain_core::sync::Event;

/// Starts the network. Its events go to `events`, wrapped as whatever that channel carries; while
/// the channel is full, the network waits. Must be called in a tokio runtime. Returns once it
/// listens.
pub async fn start<C>(
    config: NetConfig,
    events: mpsc::Sender<C>,
    server: Arc<dyn Serve>,
) -> Result<NetHandle, NetError>
where
    C: From<Event> + Send + 'static,
{
    metrics::describe();
    let dir = &config.data_dir;
    fs::create_dir_all(dir).map_err(|source| NetError::File {
        what: "creating",
        path: dir.clone(),
        source,
    })?;
    let named = named(&config.peers)?;
    let keypair = files::keypair(dir)?;
    let mut random = Random::fresh();
    let addrman = open_addrman(&config, &mut random)?;
    let topics = Topics::of(config.network);
    let shared = Arc::new(Shared::default());
    let ban_list = BanList::open(dir)?;
    let mut swarm = behaviour::swarm(&config, &keypair, &topics, &shared.bytes, ban_list)?;
    listen(&mut swarm, &config.listen).await?;
    let us = keypair.public().to_peer_id();
    let (commands, inbox) = mpsc::channel(limits::ACTIONS);
    let (requests, answers) = RequestTable::new(server);
    let dialer =
        Dialer::new(named, self::named(&config.seeds)?, addrman.anchors().to_vec(), &config.limits);
    let local_networks = LocalNetworks::watch(config.mdns);
    let data_dir = config.data_dir;
    let service = NetworkService {
        swarm,
        us,
        network: config.network,
        topics,
        peers: Peers::new(&config.limits),
        limits: config.limits,
        clock: Clock::start(),
        commands: inbox,
        outbox: VecDeque::new(),
        answers,
        requests,
        feelers: Feelers::default(),
        names: Names::default(),
        validations: PendingValidations::default(),
        discovery: Discovery::new(addrman, dialer, random, local_networks, data_dir),
        shared: shared.clone(),
    };
    service.share_addresses();
    service.swarm.listeners().for_each(|address| service.listening(address));
    let task = tokio::spawn(service.run(events));
    tokio::spawn(supervise(task, shared.clone()));
    Ok(NetHandle::new(commands, shared, us.to_base58().into()))
}

/// Says so when the network's task ends without being told to: a node without its network must
/// not go on as if it had one.
pub(super) async fn supervise(task: JoinHandle<bool>, shared: Arc<Shared>) {
    match task.await {
        Ok(true) => {}
        Ok(false) => shared.set_failed("the network has ended: nobody listens to it any more"),
        Err(_) => {
            error!("the network's task panicked; please report this bug");
            shared.set_failed(
                "the network has ended by a panic: see the log, and start the node again",
            );
        }
    }
}

/// The peers that the user named.
fn named(peers: &[Multiaddr]) -> Result<Vec<(Multiaddr, Option<PeerId>)>, NetError> {
    let split =
        |peer: &Multiaddr| address::split(peer).map_err(|why| NetError::Address(peer.clone(), why));
    peers.iter().map(split).collect()
}

/// The address book of the last run. One that is damaged is no reason not to start.
fn open_addrman(config: &NetConfig, random: &mut Random) -> Result<AddrMan, NetError> {
    let path = config.data_dir.join(ADDRMAN_FILE);
    let Some(bytes) = files::read(&path)? else { return Ok(AddrMan::new(random)) };
    Ok(AddrMan::from_bytes(&bytes).unwrap_or_else(|error| {
        warn!("the address book {} is begun anew: {error}", path.display());
        AddrMan::new(random)
    }))
}

/// The engine listens with SO_REUSEPORT, which lets two nodes of one user have the same port and a
/// part of its peers each. So the port is tried without.
fn must_be_free(address: &Multiaddr) -> io::Result<()> {
    let mut parts = address.iter();
    let ip: IpAddr = match parts.next() {
        Some(Protocol::Ip4(ip)) => ip.into(),
        // Of all addresses the standard library takes those of IPv4, too, which may be our own
        // other listener's.
        Some(Protocol::Ip6(ip)) if !ip.is_unspecified() => ip.into(),
        _ => return Ok(()),
    };
    match parts.next() {
        Some(Protocol::Tcp(port)) => TcpListener::bind((ip, port)).map(drop),
        Some(Protocol::Udp(port)) => UdpSocket::bind((ip, port)).map(drop),
        _ => Ok(()),
    }
}

/// Listens on all of `addresses`; returns once each has a port.
async fn listen(swarm: &mut Swarm<Behaviour>, addresses: &[Multiaddr]) -> Result<(), NetError> {
    let mut waiting: Vec<(ListenerId, &Multiaddr)> = Vec::new();
    for address in addresses {
        must_be_free(address)
            .map_err(|error| NetError::Listen(address.clone(), error.to_string()))?;
        let listener = swarm
            .listen_on(address.clone())
            .map_err(|error| NetError::Listen(address.clone(), error.to_string()))?;
        waiting.push((listener, address));
    }
    let all = async {
        while let Some((_, first)) = waiting.first() {
            let first = (*first).clone();
            match swarm.select_next_some().await {
                SwarmEvent::NewListenAddr { listener_id, .. } => {
                    waiting.retain(|(id, _)| *id != listener_id)
                }
                SwarmEvent::ListenerClosed { reason: Err(error), .. } => {
                    return Err(NetError::Listen(first, error.to_string()));
                }
                SwarmEvent::ListenerClosed { .. } => {
                    return Err(NetError::Listen(first, "it was closed".to_owned()));
                }
                _ => {}
            }
        }
        Ok(())
    };
    match timeout(limits::HANDSHAKE_WITHIN, all).await {
        Ok(listening) => listening,
        Err(_) => Err(NetError::Setup("listening takes too long".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_of_all_networks_are_addresses() {
        use namechain_core::types::Network;
        for network in [Network::Main, Network::Test, Network::Dev] {
            for seed in network.params().seeds {
                let address = seed.parse().expect(seed);
                named(&[address]).expect(seed);
            }
        }
    }

    #[tokio::test]
    async fn a_network_that_panics_is_reported_and_one_that_is_stopped_is_not() {
        let handle = || {
            let shared = Arc::new(Shared::default());
            (NetHandle::new(mpsc::channel(1).0, shared.clone(), "us".into()), shared)
        };
        let (stopped, shared) = handle();
        supervise(tokio::spawn(async { true }), shared).await;
        assert_eq!(stopped.failed(), None);
        let (broken, shared) = handle();
        let task = tokio::spawn(async { panic!("a bug") });
        supervise(task, shared).await;
        assert!(broken.failed().is_some_and(|why| why.contains("panic")));
        assert!(broken.wait_failed().await.contains("panic"));
    }
}
