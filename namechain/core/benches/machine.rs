//! What the machine that syncs costs by itself: a fresh node takes a chain from three peers, all in
//! this process and without a network, and the time on processors is told apart: checks, the chain,
//! the answers, the machine. `cargo bench -p namechain-core --bench machine`;
//! `NAMECHAIN_BENCH_BLOCKS` sets how long the chain is.

#[allow(dead_code, reason = "each benchmark uses its part")]
mod common;

use std::{
    collections::{BTreeMap, VecDeque},
    env,
    sync::Arc,
};

use common::{
    long::grow,
    measure::{Took, timed},
    state::NETWORK,
};
use namechain_core::{
    chain::{Chain, MemoryStorage},
    consensus::work::PowHasher,
    mempool::{Mempool, Waiting},
    sync::{
        Action, ConnectOutcome, Event, Peer, Sync, SyncConfig,
        serve::{self, Identity},
    },
};

/// How many blocks there are unless the environment says otherwise.
const BLOCKS: u32 = 4_000;
/// How many peers have them.
const PEERS: u64 = 3;

fn main() {
    let blocks = env::var("NAMECHAIN_BENCH_BLOCKS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(BLOCKS);
    for names in [false, true] {
        let storage = Arc::new(MemoryStorage::default());
        grow(storage.clone(), blocks, names);
        println!("{blocks} blocks, {}", if names { "a name each" } else { "empty" });
        catch_up(&storage, blocks);
    }
}

fn catch_up(served: &MemoryStorage, blocks: u32) {
    let mut chain = Chain::open(NETWORK, Arc::new(MemoryStorage::default())).expect("a chain");
    let (mempool, mut worker, waiting) =
        (Mempool::new(NETWORK), PowHasher::new(NETWORK), Waiting::default());
    let config = SyncConfig {
        network: NETWORK,
        agent: "bench".into(),
        alone_is_synced: false,
        ever_synced: false,
        secret: 1,
    };
    let (mut sync, identity) = (Sync::new(config), Identity::new(NETWORK, "bench"));
    let mut spent: BTreeMap<&str, Took> = BTreeMap::new();
    let mut count = |what: &'static str, took: Took| {
        let sum = spent.entry(what).or_default();
        (sum.wall, sum.cpu) = (sum.wall + took.wall, sum.cpu + took.cpu);
    };
    let hello = serve::hello(served, &identity, u64::MAX).expect("a hello");
    let mut events: VecDeque<Event> = (1..=PEERS)
        .flat_map(|number| {
            let peer = Peer(number);
            let connected =
                Event::PeerConnected { peer, ip: None, outbound: false, block_only: false };
            [connected, Event::HelloReceived { peer, hello: hello.clone() }]
        })
        .collect();
    let mut now = 0;
    while chain.tip_header().height < blocks {
        now += 1;
        let event = events.pop_front().unwrap_or(Event::Tick);
        let ((), took) =
            timed(|| sync.handle(&chain, &mempool, event, now, u64::MAX).expect("no error"));
        count("the machine", took);
        while let Some(action) = sync.next_action() {
            match action {
                Action::SendRequest { peer, id, request } => {
                    let (response, took) = timed(|| {
                        serve::answer(served, &identity, &waiting, &request, u64::MAX)
                            .expect("an answer")
                    });
                    count("the answers", took);
                    events.push_back(Event::ResponseReceived { peer, request: id, response });
                }
                Action::RunJob { id, job } => {
                    let (outcome, took) = timed(|| job.run(NETWORK, &mut worker));
                    count("the checks", took);
                    events.push_back(Event::JobDone { job: id, outcome });
                }
                Action::ConnectBlock { block, durable } => {
                    let id = block.id();
                    let (taken, took) = timed(|| chain.accept_checked(&block, u64::MAX, durable));
                    taken.expect("a sound block");
                    count("the chain", took);
                    let event = Event::BlockConnected { id, outcome: ConnectOutcome::Accepted };
                    let ((), took) = timed(|| {
                        sync.handle(&chain, &mempool, event, now, u64::MAX).expect("no error")
                    });
                    count("the machine", took);
                }
                Action::BroadcastBlock(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    let checks = spent["the checks"];
    for (what, took) in &spent {
        let each = took.cpu.as_secs_f64() * 1e6 / f64::from(blocks);
        println!(
            "  {what:12} {took}, {each:7.2} us a block, {:.3} of the checks",
            took.over(checks).1
        );
    }
}
