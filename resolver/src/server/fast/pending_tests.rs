//! Queries in flight of two workers, with an upstream that the test plays.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollTimeout};

use super::{
    lookup::{FastQuery, probe},
    pending::{Completed, PendingQueries},
    query::{MAX_QUESTION_BYTES, ParsedQuery},
    shared_flights::SharedFlights,
    socket::{Local, Peer},
    testing::query,
};
use crate::{
    dns::testing::Build,
    os::clock::Clock,
    upstream::{Upstreams, UpstreamsConfig, ValidateConfig, ValidateMode},
};

const NOW: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(10);

struct Setup {
    upstream: UdpSocket,
    legacy: Upstreams,
    shared: Arc<SharedFlights>,
    epoll: Epoll,
    runtime: tokio::runtime::Runtime,
}

impl Setup {
    fn new(workers: usize) -> Self {
        let upstream = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        upstream.set_read_timeout(Some(PATIENCE)).unwrap();
        let config = UpstreamsConfig {
            upstreams: vec![upstream.local_addr().unwrap().to_string().parse().unwrap()],
            validate: ValidateConfig { mode: ValidateMode::Off, ..ValidateConfig::default() },
            ..UpstreamsConfig::default()
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let cache = Arc::new(config.new_cache());
        let legacy = {
            let _entered = runtime.enter();
            Upstreams::new(config, cache, Arc::new(Clock::start())).unwrap()
        };
        let shared = Arc::new(SharedFlights::new(workers));
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
        Self { upstream, legacy, shared, epoll, runtime }
    }

    fn worker(&self, number: usize) -> PendingQueries {
        // Events of one worker are far from those of the next.
        PendingQueries::new(1_000 * (1 + number as u64), self.shared.clone(), number)
    }

    /// Asks for a name at a worker, from a client with this port; whether that was taken on.
    fn ask(&self, worker: &mut PendingQueries, name: &str, port: u16) -> bool {
        let taken = self.start(worker, name, port);
        worker.flush(&mut Vec::new());
        taken
    }

    /// As `ask`, without sending.
    fn start(&self, worker: &mut PendingQueries, name: &str, port: u16) -> bool {
        let _entered = self.runtime.enter();
        let datagram = query([1, 0], name, 1, None);
        let mut lower = [0; MAX_QUESTION_BYTES];
        let parsed = ParsedQuery::read(&datagram, &mut lower).unwrap();
        let lower = &lower[..parsed.question];
        let client = Ipv4Addr::LOCALHOST.into();
        // The hash in place of the cache's, which is another in each run.
        let hash = (name.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let asked = FastQuery { datagram: &datagram, parsed, lower, hash, client };
        assert_eq!(asked.probe(), probe(&parsed, lower));
        let peer = Peer { address: SocketAddr::new(client, port), local: Local::Socket };
        worker.start(&asked, Some(&peer), &self.legacy, &self.epoll, NOW)
    }

    /// The queries that have arrived at the upstream, until the one for `last`.
    fn asked_until(&self, last: &str) -> Vec<(Vec<u8>, SocketAddr)> {
        let mut all = Vec::new();
        loop {
            let mut room = [0; 512];
            let (length, from) = self.upstream.recv_from(&mut room).unwrap();
            let question = crate::dns::testing::question(last, 1);
            let is_last = room[12..length].to_ascii_lowercase().starts_with(&question);
            all.push((room[..length].to_vec(), from));
            if is_last {
                return all;
            }
        }
    }

    /// The upstream answers; the result at a worker.
    fn answer(&self, worker: &mut PendingQueries, sent: &(Vec<u8>, SocketAddr)) -> Vec<Completed> {
        let reply = Build::reply(&sent.0).a(60, [192, 0, 2, 1]).done();
        self.upstream.send_to(&reply, sent.1).unwrap();
        let mut events = [EpollEvent::empty(); 1];
        let wait = EpollTimeout::try_from(PATIENCE).unwrap();
        assert_eq!(self.epoll.wait(&mut events, wait), Ok(1));
        let mut completed = Vec::new();
        worker.readable(events[0].data(), &self.legacy, NOW, &mut completed);
        completed
    }
}

fn ports(completed: &[Completed]) -> Vec<u16> {
    let [Completed::Answer { waiters, alias: false, .. }] = completed else {
        panic!("no answer: {completed:?}")
    };
    waiters.iter().map(|waiter| waiter.peer.address.port()).collect()
}

#[test]
fn what_one_worker_has_sent_another_does_not_send() {
    let setup = Setup::new(2);
    let (mut first, mut second) = (setup.worker(0), setup.worker(1));
    assert!(setup.ask(&mut first, "same.example", 1));
    assert!(setup.ask(&mut first, "same.example", 2));
    assert!(setup.ask(&mut second, "same.example", 3));
    assert!(second.is_idle(), "the first worker has it");
    // What arrives last shows that nothing else is on the way.
    assert!(setup.ask(&mut second, "other-one.example", 4));
    let sent = setup.asked_until("other-one.example");
    assert_eq!(sent.len(), 2);
    assert_eq!(ports(&setup.answer(&mut first, &sent[0])), [1, 2, 3]);
    assert_eq!(ports(&setup.answer(&mut second, &sent[1])), [4]);
    assert!(first.is_idle() && second.is_idle());
    // The first worker has ended its query: the second sends its own.
    assert!(setup.ask(&mut second, "same.example", 5));
    let sent = setup.asked_until("same.example");
    assert_eq!(ports(&setup.answer(&mut second, &sent[0])), [5]);
}

#[test]
fn who_waits_at_another_worker_gets_its_failure_too() {
    let setup = Setup::new(2);
    let (mut first, mut second) = (setup.worker(0), setup.worker(1));
    assert!(setup.ask(&mut first, "same.example", 1));
    assert!(setup.ask(&mut second, "same.example", 2));
    let mut completed = Vec::new();
    first.expire(&setup.legacy, NOW + PATIENCE, &mut completed);
    let [Completed::Slow(waiters)] = completed.as_slice() else { panic!("{completed:?}") };
    assert_eq!(waiters.len(), 2);
}

#[test]
fn a_worker_that_ends_leaves_no_claim() {
    let setup = Setup::new(2);
    let (mut first, mut second) = (setup.worker(0), setup.worker(1));
    assert!(setup.ask(&mut first, "same.example", 1));
    drop(first);
    assert!(setup.ask(&mut second, "same.example", 2));
    assert!(!second.is_idle(), "it has sent the query itself");
}

#[test]
fn queries_of_one_batch_are_sent_together_and_each_is_answered() {
    let setup = Setup::new(1);
    let mut worker = setup.worker(0);
    // Names of different lengths, so of different hashes.
    let names: Vec<String> =
        (1..=40).map(|length| format!("{}.example", "x".repeat(length))).collect();
    for (port, name) in names.iter().enumerate() {
        assert!(setup.start(&mut worker, name, 1 + port as u16));
    }
    let mut completed = Vec::new();
    worker.flush(&mut completed);
    assert!(completed.is_empty());
    let sent = setup.asked_until(names.last().unwrap());
    assert_eq!(sent.len(), names.len());
    for (port, query) in sent.iter().enumerate() {
        assert_eq!(ports(&setup.answer(&mut worker, query)), [1 + port as u16]);
    }
    assert!(worker.is_idle());
}
