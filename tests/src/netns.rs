//! Machines with addresses of their own, in network namespaces: two switches, and a cable between
//! them that can be pulled.

use std::{
    process::{Command, id},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::tools;

/// Two switches in a namespace of their own, and the namespaces of the machines that are plugged
/// into them. All of it goes when this is dropped.
pub struct Switches {
    tag: String,
    hub: String,
    machines: Vec<String>,
}

/// One of the two switches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// One.
    Left,
    /// The other.
    Right,
}

fn ip(args: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(args).output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "ip {}: {}",
            args.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        )),
    }
}

fn must(args: &[&str]) {
    ip(args).unwrap_or_else(|error| panic!("{error}"));
}

impl Switches {
    /// The switches, with the cable plugged in. `None`, with a line that says so, where the kernel
    /// does not allow it.
    ///
    /// # Panics
    /// If it allows a namespace and no switches in it; and if it does not, where CI demands it.
    pub fn new(test: &str) -> Option<Switches> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !tools::available(test, &["ip"]) {
            return None;
        }
        let tag = format!("nct{}-{}", id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let hub = format!("{tag}-hub");
        if let Err(error) = ip(&["netns", "add", &hub]) {
            tools::skip(test, &format!("no network namespaces: {error}"));
            return None;
        }
        let switches = Switches { tag, hub, machines: Vec::new() };
        let hub = switches.hub.as_str();
        for switch in ["left", "right"] {
            must(&["-n", hub, "link", "add", switch, "type", "bridge"]);
            must(&["-n", hub, "link", "set", switch, "up"]);
        }
        must(&["-n", hub, "link", "add", "cable", "type", "veth", "peer", "name", "socket"]);
        must(&["-n", hub, "link", "set", "cable", "master", "left", "up"]);
        must(&["-n", hub, "link", "set", "socket", "master", "right", "up"]);
        Some(switches)
    }

    /// A machine on a side; its namespace and its address.
    ///
    /// # Panics
    /// If the kernel does not allow it.
    pub fn machine(&mut self, side: Side) -> (String, String) {
        let number = self.machines.len() + 1;
        let (name, port) = (format!("{}-{number}", self.tag), format!("to-{number}"));
        let address = format!("10.199.{number}.1");
        must(&["netns", "add", &name]);
        self.machines.push(name.clone());
        let (hub, switch) = (self.hub.as_str(), if side == Side::Left { "left" } else { "right" });
        must(&[
            "link", "add", "eth0", "netns", &name, "type", "veth", "peer", "name", &port, "netns",
            hub,
        ]);
        must(&["-n", hub, "link", "set", &port, "master", switch, "up"]);
        must(&["-n", &name, "address", "add", &format!("{address}/16"), "dev", "eth0"]);
        must(&["-n", &name, "link", "set", "eth0", "up"]);
        must(&["-n", &name, "link", "set", "lo", "up"]);
        (name, address)
    }

    /// Pulls the cable: nothing passes between the two sides any more.
    ///
    /// # Panics
    /// If that fails.
    pub fn split(&self) {
        must(&["-n", &self.hub, "link", "set", "cable", "down"]);
    }

    /// Plugs it in again.
    ///
    /// # Panics
    /// If that fails.
    pub fn heal(&self) {
        must(&["-n", &self.hub, "link", "set", "cable", "up"]);
    }
}

impl Drop for Switches {
    fn drop(&mut self) {
        for namespace in self.machines.iter().chain([&self.hub]) {
            // There is nobody to tell.
            let _ = ip(&["netns", "delete", namespace]);
        }
    }
}
