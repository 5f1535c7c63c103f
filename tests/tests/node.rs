//! The node without DNS, and the resolver that uses it instead of one of its own.

use tests::{
    dig, http,
    machine::Machine,
    program::{Daemon, User, command},
    tools,
    upstream::Counting,
    wait, zones,
};

const NODE: [&str; 7] = ["--network", "dev", "--api", "127.0.0.1:0", "--data-dir", "", "--json"];

#[test]
fn a_resolver_answers_from_a_node_that_runs_elsewhere() {
    if !tools::available("a_resolver_answers_from_a_node_that_runs_elsewhere", &["dig"]) {
        return;
    }
    let home = tempfile::tempdir().expect("a home");
    let data = home.path().join("node");
    let mut args = NODE;
    args[5] = data.to_str().expect("UTF-8");
    let node = Daemon::start("namechaind", &args, home.path());
    assert_eq!(node.line["network"], "dev");
    assert_eq!(node.line["data_dir"], args[5]);
    let url = format!("http://{}", node.addr("api"));
    let upstream = Counting::start();
    let asked = upstream.addr.to_string();
    let resolver = Daemon::start(
        "resolver",
        &["--dev", "--node", &url, "--listen", "127.0.0.1:0", "--upstream", &asked, "--json"],
        home.path(),
    );
    let dns = resolver.addr("dns");
    let user = User::new(node.addr("api"));
    // Before, it is nobody's: legacy DNS is asked.
    assert_eq!(dig::ask(dns, "www.alice.", "A", "").rdata("A"), ["203.0.113.99"]);
    assert_eq!(upstream.asked(), ["www.alice."]);
    user.register("alice", &zones::path("alice"));
    let chain = |name: &str, rtype: &str, expected: &str| {
        wait::until(&format!("{name} {rtype}"), || {
            let reply = dig::ask(dns, name, rtype, "");
            (reply.rdata(rtype) == [expected]).then_some(reply)
        })
    };
    assert!(chain("www.alice.", "A", "192.0.2.10").has("aa"));
    chain("blog.alice.namechain.alt.", "A", "192.0.2.10");
    let minimal = zones::path("minimal");
    user.zonetool(&["update", "alice", "--zone", minimal.to_str().expect("UTF-8"), "--wait"]).ok();
    chain("alice.", "A", "192.0.2.1");
    let before = upstream.asked().len();

    // The node is gone: what it would have said is not guessed, and legacy DNS is not asked in its
    // place.
    node.kill();
    let reply = wait::until("SERVFAIL", || {
        let reply = dig::ask(dns, "another-name-never-asked.", "A", "");
        (reply.status == "SERVFAIL").then_some(reply)
    });
    assert!(!reply.ede.is_empty(), "{reply:?}");
    let reply = dig::ask(dns, "another-name-never-asked.namechain.alt.", "A", "");
    assert_eq!((reply.status.as_str(), reply.ede.is_empty()), ("SERVFAIL", false), "{reply:?}");
    let guessed: Vec<String> = upstream
        .asked()
        .split_off(before)
        .into_iter()
        .filter(|name| name.contains("never-asked"))
        .collect();
    assert_eq!(guessed, Vec::<String>::new());
    // Legacy names go on.
    assert_eq!(dig::ask(dns, "example.com.", "A", "").rdata("A"), ["203.0.113.99"]);
}

/// Two programs on one store would each undo what the other did.
#[test]
fn one_store_has_one_node() {
    let machine = Machine::new(Counting::start().addr);
    let resolver = machine.resolver();
    let data = resolver.line["data_dir"].as_str().expect("a directory").to_owned();
    let mut args = NODE;
    args[5] = &data;
    let second =
        tests::program::command("namechaind", machine.home()).args(args).output().expect("it runs");
    assert_eq!(second.status.code(), Some(1), "{second:?}");
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains(&data), "it says which: {said}");
    assert_eq!(http::get(resolver.addr("api"), "/healthz").status, 200);
}

/// A network without a genesis block that everybody knows is not run.
#[test]
fn main_has_not_been_launched() {
    let home = tempfile::tempdir().expect("a home");
    let run = |program, args: &[&str]| {
        let ended = command(program, home.path()).args(args).output().expect("it runs");
        (ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned())
    };
    let local = ["--listen", "127.0.0.1:0", "--api", "127.0.0.1:0", "--upstream", "127.0.0.1:9"];
    for (program, args) in [("namechaind", &["--api", "127.0.0.1:0"][..]), ("resolver", &local)] {
        let (code, said) = run(program, args);
        assert_eq!(code, Some(1), "{program}: {said}");
        for words in ["network main has not been launched", "--network test", "--dev"] {
            assert!(said.contains(words), "{program}: '{words}' in {said}");
        }
    }
    let announced = ["genesis", "--time", "2027-01-31T12:00:00Z", "--entropy", "00ff"];
    let made = command("namechaind", home.path())
        .args(announced)
        .args(["--network", "main", "--json"])
        .output()
        .expect("it runs");
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).expect("a line of JSON");
    assert_eq!((&made["network"], &made["time"]), (&"main".into(), &1_801_396_800_u64.into()));
    assert_eq!(made["id"].as_str().map(str::len), Some(64));
}

/// With the node stopped, the operator leaves the chain that a block is on, and comes back to it.
#[test]
fn the_operator_puts_a_block_out_of_the_choice_and_back() {
    let home = tempfile::tempdir().expect("a home");
    let data = home.path().join("node");
    let mut args = NODE;
    args[5] = data.to_str().expect("UTF-8");
    let node = Daemon::start("namechaind", &args, home.path());
    let user = User::new(node.addr("api"));
    user.register("alice", &zones::path("minimal"));
    let alice = http::get(node.addr("api"), "/v1/names/alice").json();
    let height = alice["entry"]["registered_height"].as_u64().expect("a height");
    let block = http::get(node.addr("api"), &format!("/v1/blocks/{height}")).json();
    let id = block["id"].as_str().expect("an id");
    let offline = |word| {
        let words = [word, id, "--network", "dev", "--data-dir", args[5], "--json"];
        command("namechaind", home.path()).args(words).output().expect("it runs")
    };
    // A node runs on the directory.
    let busy = offline("invalidate");
    assert_eq!(busy.status.code(), Some(1), "{busy:?}");
    assert_eq!(node.interrupt().code(), Some(0));

    let left = offline("invalidate");
    let left: serde_json::Value = serde_json::from_slice(&left.stdout).expect("a line of JSON");
    assert_eq!(left["height"], height - 1, "{left}");
    assert_eq!(left["tip"], block["previous"], "{left}");
    let node = Daemon::start("namechaind", &[&args[..], &["--mine", "off"]].concat(), home.path());
    assert_eq!(http::get(node.addr("api"), "/v1/names/alice").json()["standing"], "available");
    assert_eq!(node.interrupt().code(), Some(0));

    let back = offline("reconsider");
    let back: serde_json::Value = serde_json::from_slice(&back.stdout).expect("a line of JSON");
    assert!(back["height"].as_u64() >= Some(height), "{back}");
    let node = Daemon::start("namechaind", &[&args[..], &["--mine", "off"]].concat(), home.path());
    assert_eq!(http::get(node.addr("api"), "/v1/names/alice").json()["standing"], "active");
    assert_eq!(node.interrupt().code(), Some(0));
    let unknown = "0".repeat(64);
    let words = ["invalidate", &unknown, "--network", "dev", "--data-dir", args[5]];
    let refused = command("namechaind", home.path()).args(words).output().expect("it runs");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains(&unknown), "{said}");
}
