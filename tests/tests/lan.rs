//! Nodes on one local network find each other by multicast DNS, if they are told to look.

use serde_json::Value;
use tempfile::TempDir;
use tests::{
    netns::{Side, Switches},
    program::{Daemon, Outcome, command_in},
    wait,
};

/// A node of the test network in a namespace, and its home.
fn node(namespace: &str, address: &str, args: &[&str]) -> (Daemon, TempDir) {
    let home = tempfile::tempdir().expect("a home");
    let mut command = command_in(namespace, "namechaind", home.path());
    command.args([
        "--network",
        "test",
        "--api",
        "127.0.0.1:0",
        "--json",
        "--mine",
        "off",
        "--data-dir",
    ]);
    command
        .arg(home.path().join("data"))
        .args(["--listen", &format!("/ip4/{address}/tcp/0")])
        .args(args);
    (Daemon::from_command(command, home.path()), home)
}

/// The peers of a node in a namespace.
fn peers(namespace: &str, (daemon, home): &(Daemon, TempDir)) -> Vec<Value> {
    let mut command = command_in(namespace, "zonetool", home.path());
    command.args(["--node", &format!("http://{}", daemon.addr("api")), "--json", "peers"]);
    command.arg("--data-dir").arg(home.path().join("data"));
    let outcome: Outcome = command.output().expect("zonetool runs").into();
    outcome.ok().json()["peers"].as_array().cloned().unwrap_or_default()
}

#[test]
fn nodes_on_a_local_network_find_each_other_if_they_are_told_to_look() {
    let Some(mut switches) = Switches::new("nodes on a local network") else { return };
    let machines = [Side::Left, Side::Left, Side::Right].map(|side| switches.machine(side));
    let alone = node(&machines[2].0, &machines[2].1, &[]);
    let one = node(&machines[0].0, &machines[0].1, &["--mdns"]);
    let two = node(&machines[1].0, &machines[1].1, &["--mdns"]);
    wait::until("a peer on the local network", || {
        (peers(&machines[0].0, &one).len() == 1).then_some(())
    });
    wait::until("a peer on the local network", || {
        (peers(&machines[1].0, &two).len() == 1).then_some(())
    });
    // It was there first, and has had as much time as the others took.
    assert_eq!(peers(&machines[2].0, &alone), Vec::<Value>::new());
}
