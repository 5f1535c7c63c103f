//! Every node is killed and started again while names are registered: what was six blocks deep is never lost.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    process::id,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::Value;
use tests::{
    program::{Daemon, User},
    site::Site,
    wait, zones,
};

const NODES: usize = 4;
/// Names registered at a time.
const AT_ONCE: usize = 3;
/// From how deep on a name is never lost.
const DEPTH: &str = "6";

/// A node that is started again and again, at the same address for its peers: one that nobody else has.
struct Place {
    site: Site,
    listen: Mutex<String>,
    api: Mutex<Option<SocketAddr>>,
}

impl Place {
    fn new(number: usize) -> Place {
        let [_, _, high, low] = id().to_be_bytes();
        let ip = Ipv4Addr::new(127, 64 + number as u8, high, low);
        let listen = Mutex::new(format!("/ip4/{ip}/tcp/0"));
        Place { site: Site::new(), listen, api: Mutex::new(None) }
    }

    fn start(&self, peers: &[String]) -> Daemon {
        let listen = self.listen.lock().expect("no panic").clone();
        let mut args = vec!["--listen", &listen];
        args.extend(peers.iter().flat_map(|peer| ["--peer", peer.as_str()]));
        let node = self.site.node(&args);
        // The port that it got is the one that it keeps.
        let address = node.p2p().first().expect("it listens").clone();
        let (address, _) = address.split_once("/p2p/").expect("with an identity");
        *self.listen.lock().expect("no panic") = address.to_owned();
        *self.api.lock().expect("no panic") = Some(node.addr("api"));
        node
    }

    fn api(&self) -> SocketAddr {
        self.api.lock().expect("no panic").expect("it was started")
    }
}

/// Registers names one after the other, each at another node, and waits until each is deep. The node may be killed
/// meanwhile: the command is then given again, to whichever node is next.
fn keep_registering(
    worker: usize,
    places: &[Place],
    over: &AtomicBool,
    deep: &Mutex<BTreeMap<String, String>>,
) {
    let zone = zones::path("minimal");
    let zone = zone.to_str().expect("UTF-8");
    let mut user = User::new(places[worker % NODES].api());
    for number in 0.. {
        let name = format!("name-{worker}-{number}");
        for turn in worker + number.. {
            if over.load(Ordering::SeqCst) {
                return;
            }
            user.move_to(places[turn % NODES].api());
            let args = ["register", &name, "--zone", zone, "--wait", "--depth", DEPTH, "--timeout", "10"];
            let outcome = user.zonetool(&args);
            if outcome.code == 0 && outcome.json()["depth"].as_u64().is_some_and(|depth| depth >= 6) {
                let owner = outcome.json()["owner"].as_str().expect("an owner").to_owned();
                deep.lock().expect("no panic").insert(name.clone(), owner);
                break;
            }
            // Killed under it, restarted, overtaken by a reorganisation, ours already: the next node is asked. What it says of
            // a name that is ours already is how deep it is.
            if let Some(owner) = ours_and_deep(&places[turn % NODES], &user, &name) {
                deep.lock().expect("no panic").insert(name.clone(), owner);
                break;
            }
        }
    }
}

/// The owner of a name that is this user's, if it is six deep at the node.
fn ours_and_deep(place: &Place, user: &User, name: &str) -> Option<String> {
    let mine = user.zonetool(&["key", "show"]);
    let shown = place.site.ask(place.api(), &["show", name]);
    let status = place.site.status(place.api());
    if mine.code != 0 || shown.code != 0 {
        return None;
    }
    let (mine, shown) = (mine.json(), shown.json());
    let deep = status["height"].as_u64()?.checked_sub(shown["registered"].as_u64()?)? >= 6;
    (shown["owner"] == mine["owner"] && deep).then(|| shown["owner"].as_str().map(str::to_owned)).flatten()
}

#[test]
fn no_name_that_was_six_blocks_deep_is_lost() {
    let places: Vec<Place> = (0..NODES).map(Place::new).collect();
    let mut nodes: Vec<Option<Daemon>> = Vec::new();
    for (number, place) in places.iter().enumerate() {
        let peers: Vec<String> =
            places[..number].iter().map(|known| known.listen.lock().expect("no panic").clone()).collect();
        nodes.push(Some(place.start(&peers)));
    }
    let everybody: Vec<String> =
        places.iter().map(|place| place.listen.lock().expect("no panic").clone()).collect();
    for place in &places {
        place.site.has_peers(place.api(), 1);
    }

    let (over, deep) = (AtomicBool::new(false), Mutex::new(BTreeMap::new()));
    let killed = AtomicUsize::new(0);
    thread::scope(|scope| {
        for worker in 0..AT_ONCE {
            let (places, over, deep) = (&places, &over, &deep);
            scope.spawn(move || keep_registering(worker, places, over, deep));
        }
        let more_than = |count: usize| {
            wait::until(&format!("{count} names that are deep"), || {
                (deep.lock().expect("no panic").len() > count).then_some(())
            });
        };
        more_than(2);
        // Each in turn, first politely, then with kill -9 in the middle of whatever it does.
        for polite in [true, false] {
            for number in 0..NODES {
                let node = nodes[number].take().expect("it runs");
                if polite {
                    assert_eq!(node.interrupt().code(), Some(0), "node {number}");
                } else {
                    node.kill();
                    killed.fetch_add(1, Ordering::SeqCst);
                }
                let before = deep.lock().expect("no panic").len();
                let others: Vec<String> = everybody
                    .iter()
                    .enumerate()
                    .filter(|(other, _)| *other != number)
                    .map(|(_, peer)| peer.clone())
                    .collect();
                nodes[number] = Some(places[number].start(&others));
                more_than(before);
            }
        }
        over.store(true, Ordering::SeqCst);
    });
    assert_eq!(killed.load(Ordering::SeqCst), NODES);

    let deep = deep.into_inner().expect("no panic");
    assert!(deep.len() > 2 * NODES, "only {deep:?}");
    wait::until("one tip", || {
        let tips: Vec<Value> =
            places.iter().map(|place| place.site.status(place.api())["tip"].clone()).collect();
        (tips[0].is_string() && tips.iter().all(|tip| *tip == tips[0])).then_some(())
    });
    for place in &places {
        for (name, owner) in &deep {
            assert_eq!(
                place.site.owner(place.api(), name).as_ref(),
                Some(owner),
                "{name} at {}",
                place.api()
            );
        }
    }
}
