//! The chain sources: a node in the process, and a remote one that may lie or be unreachable.

#[path = "common/bench.rs"]
mod bench;

use std::{
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use bench::{Bench, NETWORK, name, records};
use namechain_core::{
    api_types::{HoldInfo, ProofInfo, Status},
    chain::Snapshot,
    types::{Hash, Network},
};
use resolver::chain::{
    ChainError, ChainSource, Embedded, NameState, Remote, RemoteError, Served,
    marks::{ChainMarks, MAX_TIP_AGE_SECS},
    zone::ZoneLookup,
};

/// The last byte of the address at the name, or the name's state.
fn seen(standing: Result<NameState, ChainError>) -> String {
    match standing {
        Ok(NameState::Active(zone)) => match zone.lookup(&[0], 1) {
            ZoneLookup::Records(set) => set.data[0][3].to_string(),
            other => format!("{other:?}"),
        },
        Ok(NameState::Unregistered) => "unregistered".into(),
        Ok(NameState::Inactive(_, why)) => why.to_string(),
        Ok(NameState::Contested { fork }) => format!("contested above {fork}"),
        Err(error) => format!("error: {error}"),
    }
}

#[tokio::test]
async fn a_change_is_seen_with_the_next_snapshot() {
    let mut bench = Bench::new();
    bench.register("alice", records(1));
    let served = Arc::new(Mutex::new(bench.snapshot()));
    let synced = Arc::new(AtomicBool::new(true));
    let chain = {
        let (served, synced) = (served.clone(), synced.clone());
        Embedded::new(NETWORK, move || Served {
            snapshot: served.lock().unwrap().clone(),
            synced: synced.load(Ordering::SeqCst),
            now: 0,
        })
    };
    let look = async |text: &str| seen(chain.lookup(&name(text)).await);
    assert_eq!(look("alice").await, "1");
    assert_eq!(look("nobody").await, "unregistered");
    bench.update("alice", 1, records(2));
    bench.register("nobody", records(3));
    assert_eq!(look("alice").await, "1", "the old snapshot is still the one that is served");
    *served.lock().unwrap() = bench.snapshot();
    assert_eq!(look("alice").await, "2");
    assert_eq!(look("nobody").await, "3");
    synced.store(false, Ordering::SeqCst);
    assert!(look("alice").await.starts_with("error: the node is not synced"));
    assert!(look("free").await.starts_with("error"), "what is not known is not unregistered");
}

/// A chain source over the snapshot that is in `served`, with the clock `now`.
fn embedded(served: &Arc<Mutex<Arc<Snapshot>>>, now: &Arc<AtomicU64>) -> Embedded {
    let (served, now) = (served.clone(), now.clone());
    Embedded::new(NETWORK, move || Served {
        snapshot: served.lock().unwrap().clone(),
        synced: true,
        now: now.load(Ordering::SeqCst),
    })
}

#[tokio::test]
async fn a_name_resolves_when_it_has_settled_and_until_its_lease_ends() {
    let params = NETWORK.params();
    let mut bench = Bench::new();
    bench.begin_registration("alice", records(1));
    let registered = bench.time();
    let served = Arc::new(Mutex::new(bench.snapshot()));
    let chain = embedded(&served, &Arc::default());
    let look = async || chain.lookup_with_dependency(&name("alice")).await;
    let (state, settling) = look().await.unwrap();
    let said = seen(Ok(state));
    let height = bench.snapshot().height() + params.settle_delay.blocks;
    assert!(said.contains(&format!("settles; it resolves from height {height} and ")), "{said}");
    let settling = settling.unwrap();
    assert!(chain.still_holds(&settling));

    bench.extend(&[]);
    *served.lock().unwrap() = bench.snapshot();
    assert!(!chain.still_holds(&settling), "what was cached while it settled is not served");
    let (state, active) = look().await.unwrap();
    assert_eq!(seen(Ok(state)), "1");
    let active = active.unwrap();
    assert!(chain.still_holds(&active));

    // One block, and the time in it, is all that changes.
    bench.wait(registered + params.lease - bench.time());
    bench.extend(&[]);
    *served.lock().unwrap() = bench.snapshot();
    assert!(!chain.still_holds(&active), "what was cached under the lease is not served");
    let (state, grace) = look().await.unwrap();
    let said = seen(Ok(state));
    assert!(said.starts_with("its lease ended on "), "{said}");
    let grace = grace.unwrap();

    bench.wait(params.grace);
    bench.extend(&[]);
    *served.lock().unwrap() = bench.snapshot();
    assert!(!chain.still_holds(&grace));
    assert_eq!(seen(chain.lookup(&name("alice")).await), "unregistered");
}

/// While a chain with more work is held back, a name that changed above the fork is contested.
#[tokio::test]
async fn a_held_chain_contests_what_changed_above_the_fork() {
    let mut bench = Bench::new();
    bench.register("alice", records(1));
    let fork = bench.snapshot().height();
    bench.register("bobby", records(2));
    let served = Arc::new(Mutex::new(bench.snapshot()));
    let chain = embedded(&served, &Arc::default());
    let look = async |text: &str| chain.lookup_with_dependency(&name(text)).await.unwrap();
    let (alice, bobby) = (look("alice").await.1.unwrap(), look("bobby").await.1.unwrap());
    let epoch = chain.epoch();
    assert!(chain.still_holds(&alice) && chain.marks() == ChainMarks::default());

    let mut held = Snapshot::clone(&bench.snapshot());
    held.contested_above = Some(fork);
    *served.lock().unwrap() = Arc::new(held);
    assert!(chain.epoch() != epoch && chain.marks().fork == Some(fork));
    assert!(!chain.still_holds(&alice) && !chain.still_holds(&bobby));
    assert_eq!(seen(Ok(look("alice").await.0)), "1");
    assert_eq!(seen(Ok(look("bobby").await.0)), format!("contested above {fork}"));
    assert_eq!(seen(Ok(look("nobody").await.0)), "unregistered");
}

/// Answers are marked once the tip is more than a day old, and no name fails by that.
#[tokio::test]
async fn an_old_tip_marks_answers() {
    let mut bench = Bench::new();
    bench.register("alice", records(1));
    let served = Arc::new(Mutex::new(bench.snapshot()));
    let now = Arc::new(AtomicU64::new(bench.time() + MAX_TIP_AGE_SECS));
    let chain = embedded(&served, &now);
    let (_, fresh) = chain.lookup_with_dependency(&name("alice")).await.unwrap();
    let (fresh, epoch) = (fresh.unwrap(), chain.epoch());
    assert!(chain.still_holds(&fresh) && !chain.marks().is_old);

    now.fetch_add(1, Ordering::SeqCst);
    assert!(chain.marks().is_old && chain.epoch() != epoch);
    assert!(!chain.still_holds(&fresh), "what was cached without the mark is not served");
    let (state, old) = chain.lookup_with_dependency(&name("alice")).await.unwrap();
    assert_eq!(seen(Ok(state)), "1");
    assert!(chain.still_holds(&old.unwrap()));
}

/// The API of a node over a chain.
struct Node {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
}

impl Node {
    /// Serves the chain in `bench`; `alter` turns a proof into a wrong one.
    fn start(bench: Arc<Mutex<Bench>>, alter: impl Fn(&mut ProofInfo) + Send + 'static) -> Self {
        Self::start_with_status(bench, alter, |_| ())
    }

    /// As [`Node::start`]; `alter_status` changes what the status says.
    fn start_with_status(
        bench: Arc<Mutex<Bench>>,
        alter: impl Fn(&mut ProofInfo) + Send + 'static,
        alter_status: impl Fn(&mut Status) + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let count = requests.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines =
                    BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                let Some(first) = lines.next() else { continue };
                lines.by_ref().take_while(|line| !line.is_empty()).for_each(drop);
                let path = first.split(' ').nth(1).unwrap().to_owned();
                let bench = bench.lock().unwrap();
                let body = match path.strip_prefix("/v1/names/") {
                    None => {
                        let mut status = bench.status();
                        alter_status(&mut status);
                        serde_json::to_string(&status).unwrap()
                    }
                    Some(rest) => {
                        count.fetch_add(1, Ordering::SeqCst);
                        let mut proof = bench.proof(&name(rest.strip_suffix("/proof").unwrap()));
                        alter(&mut proof);
                        serde_json::to_string(&proof).unwrap()
                    }
                };
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
                );
                stream.write_all((head + &body).as_bytes()).unwrap();
            }
        });
        Node { address, requests }
    }

    fn chain(&self) -> Remote {
        Remote::new(&format!("http://{}/", self.address), None).unwrap()
    }
}

fn bench() -> Arc<Mutex<Bench>> {
    let mut bench = Bench::new();
    bench.register("alice", records(1));
    bench.register("bobby", records(2));
    Arc::new(Mutex::new(bench))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_elsewhere() {
    let bench = bench();
    let node = Node::start(bench.clone(), |_| ());
    let chain = node.chain();
    assert_eq!(chain.network(), None);
    for (text, expected) in
        [("alice", "1"), ("bobby", "2"), ("nobody", "unregistered"), ("alice", "1")]
    {
        assert_eq!(seen(chain.lookup(&name(text)).await), expected, "{text}");
    }
    assert_eq!(chain.network(), Some(NETWORK));
    assert_eq!(
        node.requests.load(Ordering::SeqCst),
        3,
        "what is known at this tip is not asked for again"
    );
    bench.lock().unwrap().update("alice", 1, records(9));
    let changed = async {
        while seen(chain.lookup(&name("alice")).await) != "9" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), changed)
        .await
        .expect("the change is seen");
}

/// The node's statement on a held chain is applied to the proven entries.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_elsewhere_that_holds_a_chain_back() {
    let mut chain = Bench::new();
    chain.register("alice", records(1));
    let fork = chain.snapshot().height();
    chain.register("bobby", records(2));
    chain.begin_registration("carol", records(3));
    let hold = HoldInfo { tip: Hash::ZERO, fork_height: fork, seconds: 86_400, seconds_left: 9 };
    let node = Node::start_with_status(
        Arc::new(Mutex::new(chain)),
        |_| (),
        move |status| {
            (status.hold, status.tip_age) = (Some(hold.clone()), MAX_TIP_AGE_SECS + 1);
        },
    );
    let chain = node.chain();
    assert_eq!(seen(chain.lookup(&name("alice")).await), "1");
    assert_eq!(seen(chain.lookup(&name("bobby")).await), format!("contested above {fork}"));
    let said = seen(chain.lookup(&name("carol")).await);
    assert!(said.contains("settles; it resolves from height"), "{said}");
    assert_eq!(chain.marks(), ChainMarks { fork: Some(fork), is_old: true });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lies() {
    let bench = bench();
    let other = bench.lock().unwrap().proof(&name("bobby"));
    let nobody = bench.lock().unwrap().proof(&name("nobody"));
    type Lie = Box<dyn Fn(&mut ProofInfo) + Send>;
    let lies: Vec<(&str, Lie)> = vec![
        ("does not verify", Box::new(|info| info.entry = None)),
        (
            "does not verify",
            Box::new({
                let other = other.clone();
                move |info| info.entry = other.entry.clone()
            }),
        ),
        ("does not verify", Box::new(move |info| info.proof = other.proof.clone())),
        ("does not verify", Box::new(move |info| info.proof = nobody.proof.clone())),
        ("does not verify", Box::new(|info| info.proof = "0000".into())),
        ("invalid answer", Box::new(|info| info.proof = "0".into())),
        ("invalid answer", Box::new(|info| info.header.truncate(10))),
        ("invalid answer", Box::new(|info| info.entry = Some("x".repeat(100_000)))),
    ];
    for (number, (expected, lie)) in lies.into_iter().enumerate() {
        let node = Node::start(bench.clone(), lie);
        let said = seen(node.chain().lookup(&name("alice")).await);
        assert!(said.starts_with("error: ") && said.contains(expected), "lie {number}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_gone() {
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let chain = Remote::new(&format!("http://{address}"), None).unwrap();
    let said = seen(chain.lookup(&name("alice")).await);
    assert!(said.contains("can't be reached"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_another_network() {
    let node = Node::start(bench(), |_| ());
    let chain = Remote::new(&format!("http://{}", node.address), Some(Network::Main)).unwrap();
    let said = seen(chain.lookup(&name("alice")).await);
    assert!(said.contains("on the network dev, not main"), "{said}");
}

#[test]
fn urls() {
    for good in ["http://127.0.0.1:7380", "https://[::1]:7380/", "http://localhost:7380"] {
        assert!(Remote::new(good, None).is_ok(), "{good}");
    }
    for bad in ["127.0.0.1:7380", "ftp://127.0.0.1", "http://node.example:7380", "http://", ""] {
        assert!(matches!(Remote::new(bad, None), Err(RemoteError::Url { .. })), "{bad}");
    }
}
