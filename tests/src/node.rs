//! A node of a network: `namechaind` with data that outlive it, on loopback or in a network
//! namespace.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    http,
    program::{Daemon, Outcome, User, command, command_in},
    wait,
};

/// Where a node is run, once or again and again.
pub struct Host {
    home: TempDir,
    namespace: Option<String>,
}

impl Default for Host {
    fn default() -> Self {
        Host::new()
    }
}

impl Host {
    /// On loopback.
    ///
    /// # Panics
    /// If there is no room for a home.
    pub fn new() -> Host {
        Host { home: tempfile::tempdir().expect("a home"), namespace: None }
    }

    /// In a namespace.
    pub fn in_namespace(namespace: &str) -> Host {
        Host { namespace: Some(namespace.to_owned()), ..Host::new() }
    }

    /// Starts a node of the dev network with the data that an earlier one left.
    ///
    /// # Panics
    /// If it does not start.
    pub fn node(&self, args: &[&str]) -> Daemon {
        Daemon::from_command(self.node_command(args), self.home.path())
    }

    /// As [`Host::node`], with a clock that is ahead by so many seconds. `library` is that of
    /// [`faketime`](crate::tools::faketime).
    ///
    /// # Panics
    /// If it does not start.
    pub fn node_ahead(&self, library: &Path, seconds: u32, args: &[&str]) -> Daemon {
        let mut command = self.node_command(args);
        command.env("LD_PRELOAD", library).env("FAKETIME", format!("+{seconds}s"));
        command.env("DONT_FAKE_MONOTONIC", "1");
        Daemon::from_command(command, self.home.path())
    }

    fn node_command(&self, args: &[&str]) -> std::process::Command {
        let mut command = self.command("namechaind");
        command.args(["--network", "dev", "--api", "127.0.0.1:0", "--json", "--data-dir"]);
        command.arg(self.data()).args(args);
        command
    }

    /// Where the data of its nodes are.
    pub fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn command(&self, program: &str) -> std::process::Command {
        match &self.namespace {
            Some(namespace) => command_in(namespace, program, self.home.path()),
            None => command(program, self.home.path()),
        }
    }

    /// A user with a new key at the node.
    pub fn user(&self, node: &Daemon) -> User {
        match &self.namespace {
            Some(namespace) => User::new_in(namespace, node.addr("api")),
            None => User::new(node.addr("api")),
        }
    }

    /// Asks the node whose API is at `api` with `zonetool --json`, without a key, as the user who
    /// runs it.
    ///
    /// # Panics
    /// If it can't be run.
    pub fn ask(&self, api: SocketAddr, args: &[&str]) -> Outcome {
        let mut command = self.command("zonetool");
        command.args(["--node", &format!("http://{api}"), "--json"]).args(args);
        command.env("NAMECHAIN_DATA_DIR", self.home.path().join("data"));
        command.output().expect("zonetool runs").into()
    }

    /// How the node is; null if it does not answer.
    pub fn status(&self, api: SocketAddr) -> Value {
        if self.namespace.is_none() {
            return http::look(api, "/v1/status").unwrap_or_default();
        }
        let outcome = self.ask(api, &["status"]);
        if outcome.code == 0 { outcome.json() } else { Value::Null }
    }

    /// The owner of a name and the height that registered it, as the node has it; `None` if it is
    /// nobody's.
    pub fn owner(&self, api: SocketAddr, name: &str) -> Option<(String, u64)> {
        let entry = match self.namespace {
            None => http::look(api, &format!("/v1/names/{name}"))?["entry"].take(),
            Some(_) => self.ask(api, &["show", name]).json(),
        };
        Some((entry["owner"].as_str()?.to_owned(), entry["registered_height"].as_u64()?))
    }

    /// Waits until the node has as many peers.
    ///
    /// # Panics
    /// If it never has.
    pub fn has_peers(&self, api: SocketAddr, count: u64) {
        wait::until(&format!("{count} peers"), || {
            let peers = &self.status(api)["peers"];
            let sum = peers["inbound"].as_u64()? + peers["outbound"].as_u64()?;
            (sum >= count).then_some(())
        });
    }
}
