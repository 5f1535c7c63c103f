//! Nodes that find each other: what is registered at one is known to all.

use tests::{
    dig, http,
    node::Host,
    program::{Daemon, User, command},
    tools,
    upstream::Counting,
    wait, zones,
};

const ANY: &str = "/ip4/127.0.0.1/tcp/0";
const ANY_QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";

/// Waits until the node knows the name as this owner's.
fn knows(site: &Host, node: &Daemon, name: &str, owner: &str) {
    let api = node.addr("api");
    wait::until(&format!("{name} at {api}"), || {
        site.owner(api, name).filter(|(found, _)| found == owner)
    });
}

fn alice() -> String {
    zones::path("alice").to_str().expect("UTF-8").to_owned()
}

fn register(user: &User, name: &str) -> String {
    let done = user.zonetool(&["register", name, "--zone", &alice(), "--wait"]).ok();
    done.json()["owner"].as_str().expect("an owner").to_owned()
}

#[test]
fn a_node_without_a_network_says_so() {
    let site = Host::new();
    let node = site.node(&["--allow-host", "node-1"]);
    assert_eq!(node.p2p(), Vec::<String>::new());
    let status = site.status(node.addr("api"));
    assert_eq!(
        (&status["synced"], &status["peers"]["outbound"]),
        (&true.into(), &0.into()),
        "{status}"
    );
    let peers = site.ask(node.addr("api"), &["peers"]).ok().json();
    assert_eq!(peers["peers"].as_array().map(Vec::len), Some(0));
    // Over TCP the peers are nobody's business, and at the end the socket is gone.
    assert_eq!(http::get(node.addr("api"), "/v1/peers").status, 403);
    let socket = node.admin().to_owned();
    assert_eq!(http::get_admin(&socket, "/v1/status").status, 200);
    // Its API is addressed by a name only if that was allowed.
    for (host, status) in [("node-1", 200), ("node-1:7380", 200), ("node-2", 403)] {
        let answer =
            http::send(node.addr("api"), "GET", "/v1/status", &format!("Host: {host}\r\n"), "");
        assert_eq!(answer.status, status, "{host}: {answer:?}");
    }
    assert_eq!(node.interrupt().code(), Some(0));
    assert!(!socket.exists());
}

/// Over TCP and over QUIC; the third comes when there is something to fetch, and all of them find
/// each other again.
#[test]
fn what_one_registers_all_know() {
    let sites = [Host::new(), Host::new(), Host::new()];
    let first = sites[0].node(&["--listen", ANY, "--listen", ANY_QUIC]);
    let addresses = first.p2p();
    assert!(
        addresses.len() == 2 && addresses.iter().all(|address| address.contains("/p2p/")),
        "{addresses:?}"
    );
    let quic = addresses.iter().find(|address| address.contains("quic")).expect("QUIC").clone();
    let tcp = addresses.iter().find(|address| address.contains("tcp")).expect("TCP").clone();
    let second = sites[1].node(&["--listen", ANY, "--peer", &quic]);
    sites[1].has_peers(second.addr("api"), 1);

    let (one, two) = (sites[0].user(&first), sites[1].user(&second));
    let owner = register(&one, "alice");
    knows(&sites[1], &second, "alice", &owner);
    let other = register(&two, "bobby");
    knows(&sites[0], &first, "bobby", &other);

    // A fresh one has nothing, and gets all of it.
    let third = sites[2].node(&["--mine", "off", "--peer", &tcp]);
    let watched =
        sites[2].ask(third.addr("api"), &["status", "--watch", "--timeout", "100"]).ok().json();
    assert_eq!(watched["synced"], true, "{watched}");
    knows(&sites[2], &third, "alice", &owner);
    knows(&sites[2], &third, "bobby", &other);
    // The list is as of the last second.
    let peers = wait::until("a peer that has said hello", || {
        let peers = sites[2].ask(third.addr("api"), &["peers"]).ok().json();
        peers["peers"][0]["height"].is_u64().then_some(peers)
    });
    let peer = &peers["peers"][0];
    assert_eq!((&peer["direction"], &peer["score"]), (&"out".into(), &0.into()), "{peers}");
    assert_eq!(peer["block_only"], false, "{peers}");
    assert!(peer["agent"].as_str().is_some_and(|agent| agent.starts_with("namechain/")), "{peers}");

    let metrics = http::get(third.addr("api"), "/metrics").body;
    let metric = |name: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse::<f64>().ok())
            .unwrap_or_else(|| panic!("no {name} in {metrics}"))
    };
    assert!(metric("namechain_peers{direction=\"out\"}") >= 1.0);
    assert!(metric("namechain_p2p_received_bytes_total") > 1_000.0);
    assert!(metric("namechain_checks_total{what=\"block\"}") >= 4.0);
    assert_eq!(metric("namechain_synced"), 1.0);

    // Stopped and started again without a word about peers, it finds them by itself.
    assert_eq!(third.interrupt().code(), Some(0));
    let owner = register(&one, "while-it-was-away");
    let third = sites[2].node(&["--mine", "off"]);
    sites[2].has_peers(third.addr("api"), 1);
    knows(&sites[2], &third, "while-it-was-away", &owner);
    let status = sites[2].status(third.addr("api"));
    assert_eq!(
        (&status["synced"], &status["sync"]["target"]),
        (&true.into(), &status["height"]),
        "{status}"
    );
}

/// One process each that resolves, syncs and relays.
#[test]
fn what_is_registered_at_one_resolver_resolves_at_another() {
    if !tools::available("what_is_registered_at_one_resolver_resolves_at_another", &["dig"]) {
        return;
    }
    let upstream = Counting::start().addr.to_string();
    let homes = [tempfile::tempdir().expect("a home"), tempfile::tempdir().expect("a home")];
    let start = |home: &std::path::Path, args: &[&str]| {
        let mut process = command("resolver", home);
        process.args([
            "--dev",
            "--listen",
            "127.0.0.1:0",
            "--api",
            "127.0.0.1:0",
            "--upstream",
            &upstream,
            "--json",
        ]);
        process.arg("--data-dir").arg(home.join("data")).args(args);
        Daemon::from_command(process, home)
    };
    let one = start(homes[0].path(), &["--p2p-listen", ANY]);
    let address = one.p2p().first().expect("it listens").clone();
    let other = start(homes[1].path(), &["--peer", &address, "--mine", "off"]);
    assert_eq!(other.p2p(), Vec::<String>::new(), "it only dials");
    Host::new().has_peers(other.addr("api"), 1);
    User::new(one.addr("api")).register("alice", &zones::path("alice"));
    let reply = wait::until("www.alice at the other", || {
        let reply = dig::ask(other.addr("dns"), "www.alice.", "A", "");
        (reply.rdata("A") == ["192.0.2.10"]).then_some(reply)
    });
    assert!(reply.has("aa"), "{reply:?}");
    // And the other way: it does not mine itself, the first one does it for it.
    User::new(other.addr("api")).register("minimal", &zones::path("minimal"));
    wait::until("minimal at the first", || {
        (dig::ask(one.addr("dns"), "minimal.", "A", "").rdata("A") == ["192.0.2.1"]).then_some(())
    });
}

#[test]
fn addresses_that_are_none_are_refused() {
    let home = tempfile::tempdir().expect("a home");
    for (args, words) in [
        (["--peer", "192.0.2.1:7379"], "is not a multiaddr"),
        (["--listen", "/ip4/127.0.0.1"], "/ip4/127.0.0.1"),
        (["--peer", "/ip4/192.0.2.1/tcp/1/p2p/notanid"], "is not a multiaddr"),
        (["--max-peers", "5000"], "1024"),
    ] {
        let mut process = command("namechaind", home.path());
        process
            .args(["--network", "dev", "--api", "127.0.0.1:0", "--data-dir"])
            .arg(home.path().join("data"));
        let output = process.args(args).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(words), "{args:?}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

/// Two nodes at one address would have a part of its peers each.
#[test]
fn an_address_has_one_node() {
    for address in ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"] {
        let first = Host::new().node(&["--listen", address]);
        let taken = first.p2p().first().expect("it listens").clone();
        let (taken, _) = taken.split_once("/p2p/").expect("with an identity");
        let home = tempfile::tempdir().expect("a home");
        let mut second = command("namechaind", home.path());
        second.args(["--network", "dev", "--api", "127.0.0.1:0", "--listen", taken, "--data-dir"]);
        let output = second.arg(home.path().join("data")).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{taken}: {said}");
        assert!(said.contains("Is another node running?"), "{taken}: {said}");
    }
}
