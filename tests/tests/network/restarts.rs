//! Every node is killed and started again while names are registered: what was six blocks deep is
//! never lost.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    process::id,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use serde_json::Value;
use tests::{
    node::Host,
    program::{Daemon, User},
    wait, zones,
};

const NODES: usize = 4;
/// How often the tips are looked at before there is one block more.
const LOOKS: usize = 50;
/// Names registered at a time.
const AT_ONCE: usize = 3;
/// From how deep on a name is never lost.
const DEPTH: u64 = 6;

/// A node that is started again and again, at the same address for its peers: one that nobody else
/// has.
struct Place {
    site: Host,
    listen: Mutex<String>,
    api: Mutex<Option<SocketAddr>>,
}

impl Place {
    fn new(number: usize) -> Place {
        let [_, _, high, low] = id().to_be_bytes();
        let ip = Ipv4Addr::new(127, 64 + number as u8, high, low);
        let listen = Mutex::new(format!("/ip4/{ip}/tcp/0"));
        Place { site: Host::new(), listen, api: Mutex::new(None) }
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

/// Sets it when it is dropped: by a test that fails, too.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Registers names one after the other, each at another node. The node may be killed meanwhile,
/// restarted, or overtaken by a reorganisation: the command is then given again, to whichever node
/// is next.
fn keep_registering(
    worker: usize,
    places: &[Place],
    over: &AtomicBool,
    registered: &Mutex<Vec<String>>,
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
            let outcome =
                user.zonetool(&["register", &name, "--zone", zone, "--wait", "--timeout", "10"]);
            let ours = || {
                outcome.json()["error"]["message"]
                    .as_str()
                    .is_some_and(|said| said.contains("you own"))
            };
            if outcome.code == 0 || (outcome.code == 7 && ours()) {
                registered.lock().expect("no panic").push(name);
                break;
            }
        }
    }
}

/// The names that are six deep, with their owners: looked at on one node after the other.
#[derive(Default)]
struct Deep {
    names: BTreeMap<String, String>,
    looks: usize,
}

impl Deep {
    /// Looks at those that are registered and not known to be deep. A node that does not answer
    /// knows of none.
    fn look(&mut self, places: &[Place], registered: &Mutex<Vec<String>>) -> usize {
        let place = &places[self.looks % NODES];
        self.looks += 1;
        let status = place.site.status(place.api());
        let all = registered.lock().expect("no panic").clone();
        for name in all {
            if self.names.contains_key(&name) {
                continue;
            }
            let Some((owner, at)) = place.site.owner(place.api(), &name) else { continue };
            if status["height"].as_u64().is_some_and(|height| height >= at + DEPTH) {
                self.names.insert(name, owner);
            }
        }
        self.names.len()
    }
}

#[test]
fn no_name_that_was_six_blocks_deep_is_lost() {
    let places: Vec<Place> = (0..NODES).map(Place::new).collect();
    let mut nodes: Vec<Option<Daemon>> = Vec::new();
    for (number, place) in places.iter().enumerate() {
        let peers: Vec<String> = places[..number]
            .iter()
            .map(|known| known.listen.lock().expect("no panic").clone())
            .collect();
        nodes.push(Some(place.start(&peers)));
    }
    let everybody: Vec<String> =
        places.iter().map(|place| place.listen.lock().expect("no panic").clone()).collect();
    for place in &places {
        place.site.has_peers(place.api(), 1);
    }

    let (over, registered) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let (mut deep, mut killed) = (Deep::default(), 0);
    thread::scope(|scope| {
        let _ends = Ends(&over);
        for worker in 0..AT_ONCE {
            let (places, over, registered) = (&places, &over, &registered);
            scope.spawn(move || keep_registering(worker, places, over, registered));
        }
        let mut more_than = |count: usize| {
            wait::until(&format!("more than {count} names that are deep"), || {
                let found = deep.look(&places, &registered);
                (found > count).then_some(found)
            })
        };
        let mut known = more_than(2);
        // Each in turn, first politely, then with kill -9 in the middle of whatever it does.
        for polite in [true, false] {
            for number in 0..NODES {
                let node = nodes[number].take().expect("it runs");
                if polite {
                    assert_eq!(node.interrupt().code(), Some(0), "node {number}");
                } else {
                    node.kill();
                    killed += 1;
                }
                let others = everybody.iter().enumerate().filter(|(other, _)| *other != number);
                let others: Vec<String> = others.map(|(_, peer)| peer.clone()).collect();
                nodes[number] = Some(places[number].start(&others));
                known = more_than(known);
            }
        }
    });
    let deep = deep.names;
    assert!(killed == NODES && deep.len() > 2 * NODES, "only {deep:?}");
    // Of two blocks with the same work everybody keeps the one that came first, and only the next
    // one decides. Nobody makes one while there is nothing to record: so there is.
    let (user, mut looks) = (User::new(places[0].api()), 0);
    let zone = zones::path("minimal");
    wait::until("one tip", || {
        let tips: Vec<Value> =
            places.iter().map(|place| place.site.status(place.api())["tip"].clone()).collect();
        looks += 1;
        if looks % LOOKS == 0 {
            // What comes of it the tips will show.
            let name = format!("decides-{looks}");
            user.zonetool(&[
                "register",
                &name,
                "--zone",
                zone.to_str().expect("UTF-8"),
                "--wait",
                "--timeout",
                "10",
            ]);
        }
        (tips[0].is_string() && tips.iter().all(|tip| *tip == tips[0])).then_some(())
    });
    for place in &places {
        for (name, owner) in &deep {
            assert_eq!(
                place.site.owner(place.api(), name).map(|(owner, _)| owner).as_ref(),
                Some(owner),
                "{name} at {}",
                place.api()
            );
        }
    }
}
