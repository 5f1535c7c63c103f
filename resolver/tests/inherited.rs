//! Sockets that the service manager keeps open and passes to the next process.

mod common;

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    sync::Arc,
    time::Duration,
};

use common::{Names, Resolver};
use resolver::{
    chain::mount::Mounts,
    os::clock::Clock,
    resolve::{Delegation, Pipeline},
    server::{
        Bound, Server, Udp,
        responder::{Clients, Responder},
    },
    upstream::{Upstreams, UpstreamsConfig},
};
use tokio::time::timeout;

/// Workers of the fast path: they share the one socket, or have more beside it.
const WORKERS: usize = 2;

fn start((address, udp, tcp): &(SocketAddr, UdpSocket, TcpListener)) -> Resolver {
    let config = UpstreamsConfig::default();
    let (cache, clock) = (Arc::new(config.new_cache()), Arc::new(Clock::start()));
    let pipeline = Pipeline {
        mounts: Mounts::BOTH,
        root_policy: Default::default(),
        chain: Arc::new(Names::default()),
        legacy: Upstreams::new(config, cache.clone(), clock.clone()).unwrap(),
        designated: Default::default(),
        delegation: Delegation { port: 53, loopback: true },
        signer: None,
    };
    let responder = Responder::new(pipeline, cache, clock, Clients::default());
    // A process gets descriptors of the same open sockets.
    let bound = Bound::from((*address, udp.try_clone().unwrap(), tcp.try_clone().unwrap()));
    let server = Server::start_with(vec![bound], responder, Udp::Fast(WORKERS));
    Resolver { address: *address, server }
}

/// `shutdown(SHUT_RD)` on such a socket is permanent: the next process would receive empty
/// datagrams for ever, and lose queries between them.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_leaves_the_sockets_as_they_were() {
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = udp.local_addr().unwrap();
    let kept = (address, udp, TcpListener::bind(address).unwrap());
    for run in 0..3 {
        let resolver = start(&kept);
        for question in 0..8 {
            // From different ports, so that the queries are distributed over the workers.
            let answer = resolver.ask("localhost.", 1);
            assert_eq!(answer.answers.len(), 1, "run {run}, question {question}");
        }
        let stopped = timeout(Duration::from_secs(5), resolver.server.stop()).await;
        assert!(stopped.is_ok(), "a worker that waits for questions is woken");
        // There is nothing to read, and the socket says so: it returns no empty datagrams.
        kept.1.set_nonblocking(true).unwrap();
        let read = kept.1.recv_from(&mut [0; 16]);
        let quiet =
            read.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(quiet, "run {run}: {read:?}");
    }
}
