//! kill -9 at any moment loses nothing that was acknowledged.

use std::{
    net::SocketAddr,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use tests::{
    compare::{self, Depth},
    dig::{self, Row},
    http,
    machine::Machine,
    nsd::Nsd,
    program::{Daemon, User},
    tools,
    upstream::Counting,
    wait,
    zones::{self, ZoneFile},
};

/// Names registered at a time.
const AT_ONCE: usize = 8;
const NAMES: usize = 200;

/// Registers all zones, some at a time, and calls `each` with the number of names that `zonetool`
/// says are registered so far; gives up on the rest when `over` is set.
fn register(
    user: &User,
    zones: &[ZoneFile],
    over: &AtomicBool,
    each: impl Fn(usize) + Sync,
) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(zone) = zones.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let file = zone.path.to_str().expect("UTF-8");
                    let registered = user
                        .zonetool_until(over, &["register", &zone.name, "--zone", file, "--wait"]);
                    if registered {
                        let mut done = done.lock().expect("no other thread panicked");
                        done.push(zone.name.clone());
                        each(done.len());
                    } else {
                        assert!(over.load(Ordering::SeqCst), "{} is not registered", zone.name);
                        return;
                    }
                }
            });
        }
    });
    done.into_inner().expect("no thread panicked")
}

/// The questions of a zone that have one right answer: delegated servers are asked for what is
/// theirs, what leaves the zone is answered by somebody else, and a circle has no end.
fn of_the_zone(rows: &[Row], origin: &str) -> Vec<(String, String)> {
    let cuts: Vec<&str> =
        rows.iter().filter(|row| row.rtype == "NS").map(|row| row.owner.as_str()).collect();
    let below = |name: &str, zone: &str| name == zone || name.ends_with(&format!(".{zone}"));
    let leaves = |name: &str| {
        let is_it = |row: &&Row| row.rtype == "CNAME" && row.owner == name;
        rows.iter()
            .find(is_it)
            .is_some_and(|row| !below(&row.rdata, origin) || row.owner.starts_with("left."))
    };
    let loops = |name: &str| name.starts_with("left.") || name.starts_with("right.");
    let mut questions = compare::questions(rows);
    // SOA and NS are made by us.
    questions.retain(|(name, rtype)| {
        below(name, origin)
            && !cuts.iter().any(|cut| below(name, cut))
            && !leaves(name)
            && !loops(name)
            && rtype != "SOA"
    });
    questions
}

/// 200 names with 200 different zones, registered in one go: each answers everything as NSD answers
/// it from the same file, before and after a kill -9.
#[test]
fn two_hundred_names_outlive_kill_9() {
    if !tools::available("two_hundred_names_outlive_kill_9", &["dig", "nsd"]) {
        return;
    }
    let made = tempfile::tempdir().expect("a directory");
    let mut zones = zones::kept();
    zones.extend(zones::make(made.path(), NAMES - zones.len()));
    assert_eq!(zones.len(), NAMES);
    let whole: Vec<(String, String)> = zones.iter().map(ZoneFile::for_server).collect();
    let reference = Nsd::start(&whole);
    let mut questions = Vec::new();
    for (origin, _) in &whole {
        let rows = dig::transfer(reference.addr, origin);
        questions.extend(of_the_zone(&rows, origin));
    }
    assert!(questions.len() > 10 * NAMES, "only {} questions", questions.len());

    let upstream = Counting::start();
    let machine = Machine::new(upstream.addr);
    let (resolver, user) = machine.start();
    assert_eq!(register(&user, &zones, &AtomicBool::new(false), |_| ()).len(), NAMES);
    let check = |resolver: &Daemon, when: &str| {
        let dns = resolver.addr("dns");
        let lines = compare::differences(reference.addr, dns, &questions, "+notcp", Depth::Answer);
        let shown = lines.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
        assert!(
            lines.is_empty(),
            "{when}: {} of {} differ:\n{shown}",
            lines.len(),
            questions.len()
        );
    };
    check(&resolver, "before");
    let height = height(resolver.addr("api"));
    resolver.kill();
    let resolver = machine.resolver();
    assert_eq!(self::height(resolver.addr("api")), height);
    check(&resolver, "after kill -9");
    assert_eq!(
        upstream.asked(),
        Vec::<String>::new(),
        "names of the chain never leave the machine"
    );
}

fn height(api: SocketAddr) -> u64 {
    http::get(api, "/v1/status").json()["height"].as_u64().expect("a height")
}

/// Killed while names are registered: those that `zonetool` has said are registered are there.
#[test]
fn kill_9_in_the_middle_loses_nothing_acknowledged() {
    if !tools::available("kill_9_in_the_middle_loses_nothing_acknowledged", &["dig"]) {
        return;
    }
    let made = tempfile::tempdir().expect("a directory");
    let zones = zones::make(made.path(), 120);
    let machine = Machine::new(Counting::start().addr);
    let (resolver, mut user) = machine.start();
    let mut acknowledged: Vec<String> = Vec::new();
    let mut running = Some(resolver);
    for round in 0..3 {
        let daemon = running.take().expect("started");
        user.move_to(daemon.addr("api"));
        let part = &zones[round * 40..(round + 1) * 40];
        let (count, over) = (AtomicUsize::new(0), AtomicBool::new(false));
        let registered = thread::scope(|scope| {
            let registering = scope
                .spawn(|| register(&user, part, &over, |done| count.store(done, Ordering::SeqCst)));
            wait::until("eight names", || {
                (count.load(Ordering::SeqCst) >= 8 || registering.is_finished()).then_some(())
            });
            // First said, then done: from here on a name may fail, and who waits for one looks
            // again only in a while.
            over.store(true, Ordering::SeqCst);
            daemon.kill();
            registering.join().expect("no name is refused")
        });
        assert!(
            (8..part.len()).contains(&registered.len()),
            "it was killed in the middle: {registered:?}"
        );
        acknowledged.extend(registered);
        let daemon = machine.resolver();
        let questions: Vec<(String, String)> =
            acknowledged.iter().map(|name| (format!("www.{name}."), "A".to_owned())).collect();
        for (question, reply) in
            questions.iter().zip(dig::ask_all(daemon.addr("dns"), &questions, ""))
        {
            assert_eq!(
                (reply.status.as_str(), reply.rdata("A").len()),
                ("NOERROR", 1),
                "round {round}: {question:?}"
            );
        }
        running = Some(daemon);
    }
}

/// A node that finds its store half written says so or goes on; it never starts from nothing in
/// silence.
#[test]
fn the_index_can_be_made_anew_from_the_log() {
    let machine = Machine::new(Counting::start().addr);
    let home = machine.home();
    let data = home.join("data");
    let data = data.to_str().expect("UTF-8");
    let args = ["--network", "dev", "--api", "127.0.0.1:0", "--data-dir", data, "--json"];
    let node = Daemon::start("namechaind", &args, home);
    let user = User::new(node.addr("api"));
    for name in ["alice", "minimal", "wildcard"] {
        user.register(name, &zones::path(name));
    }
    let names = |node: &Daemon| {
        let api = node.addr("api");
        let mut said: Vec<_> = ["alice", "minimal", "wildcard"]
            .iter()
            .map(|name| http::get(api, &format!("/v1/names/{name}")).json())
            .collect();
        said.push(http::get(api, "/v1/status").json()["tip"].clone());
        said
    };
    let before = names(&node);
    node.kill();
    let mut again = args.to_vec();
    again.push("--reindex");
    let node = Daemon::start("namechaind", &again, home);
    assert_eq!(names(&node), before);
    assert_eq!(node.interrupt().code(), Some(0));
}
