//! Six nodes, a cable between them, and what is left of two histories when it is plugged in again.

use std::thread;

use serde_json::Value;
use tests::{
    netns::{Side, Switches},
    node::Host,
    program::{Daemon, User},
    wait, zones,
};

/// A node in its namespace.
struct Placed {
    site: Host,
    node: Daemon,
}

impl Placed {
    fn status(&self) -> Value {
        self.site.status(self.node.addr("api"))
    }

    fn owner(&self, name: &str) -> Option<String> {
        self.site.owner(self.node.addr("api"), name).map(|(owner, _)| owner)
    }

    fn user(&self) -> User {
        self.site.user(&self.node)
    }
}

fn six(switches: &mut Switches) -> Vec<Placed> {
    let mut placed: Vec<Placed> = Vec::new();
    let mut addresses: Vec<String> = Vec::new();
    for side in [Side::Left, Side::Left, Side::Left, Side::Right, Side::Right, Side::Right] {
        let (namespace, ip) = switches.machine(side);
        let site = Host::in_namespace(&namespace);
        let listen = format!("/ip4/{ip}/tcp/7379");
        let mut args = vec!["--listen", &listen];
        // The first on each side mines.
        args.extend(["--mine", if placed.len().is_multiple_of(3) { "on-demand" } else { "off" }]);
        // Two of the others are known to begin with, of which one is on the same side.
        let known = [addresses.last(), addresses.first()];
        args.extend(known.into_iter().flatten().flat_map(|address| ["--peer", address.as_str()]));
        let node = site.node(&args);
        addresses.push(listen);
        placed.push(Placed { site, node });
    }
    placed
}

fn alice() -> String {
    zones::path("alice").to_str().expect("UTF-8").to_owned()
}

fn register(user: &User, name: &str) -> String {
    let done =
        user.zonetool(&["register", name, "--zone", &alice(), "--wait", "--timeout", "100"]).ok();
    done.json()["owner"].as_str().expect("an owner").to_owned()
}

/// Waits until all have the same tip, and gives it.
fn agreed(nodes: &[Placed]) -> String {
    wait::until("one tip", || {
        let tips: Vec<Value> = nodes.iter().map(|placed| placed.status()["tip"].clone()).collect();
        let first = tips[0].as_str()?;
        tips.iter().all(|tip| tip == first).then(|| first.to_owned())
    })
}

/// Waits until all of them have the name as this owner's.
fn all_know(nodes: &[Placed], name: &str, owner: &str) {
    wait::until(&format!("{name} everywhere"), || {
        nodes.iter().all(|placed| placed.owner(name).as_deref() == Some(owner)).then_some(())
    });
}

#[test]
fn both_sides_of_a_split_end_up_with_one_owner() {
    let Some(mut switches) = Switches::new("both_sides_of_a_split_end_up_with_one_owner") else {
        return;
    };
    let nodes = six(&mut switches);
    for placed in &nodes {
        placed.site.has_peers(placed.node.addr("api"), 1);
    }
    let (left, right) = (nodes[1].user(), nodes[4].user());
    let before = register(&left, "before");
    all_know(&nodes, "before", &before);

    switches.split();
    // Both sides go on, and both register the same name. More is registered on the left: its chain
    // will have more work.
    let winner = register(&left, "contested");
    for name in ["left-one", "left-two"] {
        assert_eq!(register(&left, name), winner);
    }
    let told = thread::scope(|scope| {
        // Waits for six blocks, which do not come as long as nothing else is recorded on the right.
        let waiting = scope.spawn(|| {
            let zone = alice();
            let args = [
                "register",
                "contested",
                "--zone",
                &zone,
                "--wait",
                "--depth",
                "6",
                "--timeout",
                "100",
            ];
            right.zonetool(&args)
        });
        let loser = wait::until("contested on the right", || nodes[3].owner("contested"));
        assert_ne!(loser, winner);
        assert!(!waiting.is_finished(), "one block deep is not six");
        assert!(
            nodes[..3]
                .iter()
                .all(|placed| placed.owner("contested").as_deref() == Some(winner.as_str()))
        );
        switches.heal();
        waiting.join().expect("zonetool runs")
    });
    // The loser's command line says who has it.
    assert_eq!(told.code, 7, "{told:?}");
    let error = &told.json()["error"];
    assert_eq!((&error["code"], &error["exit"]), (&"taken".into(), &7.into()));
    let message = error["message"].as_str().expect("a message");
    let shown = nodes[0].user().zonetool(&["show", "contested"]).ok().json();
    let winner_text = shown["owner_text"].as_str().expect("a key");
    assert!(message.contains(winner_text) || message.contains("undone"), "{message}");

    agreed(&nodes);
    all_know(&nodes, "contested", &winner);
    for name in ["left-one", "left-two"] {
        all_know(&nodes, name, &winner);
    }
    // The right side knows that it has reorganised, and its log says so.
    assert!(nodes[3].node.log().contains("a reorganisation has undone"), "{}", nodes[3].node.log());
    let again = right.zonetool(&["register", "contested", "--zone", &alice(), "--wait"]);
    assert_eq!(again.code, 7, "{again:?}");
    assert!(
        again.json()["error"]["message"].as_str().is_some_and(|said| said.contains(winner_text)),
        "{again:?}"
    );
    // And it goes on as before.
    let after = register(&right, "after");
    all_know(&nodes, "after", &after);
    agreed(&nodes);
}
