//! One machine: a resolver with an embedded node of the dev network, and its data, which outlive
//! it.

use std::{fs, net::SocketAddr, path::Path};

use tempfile::TempDir;

use crate::program::{Daemon, User};

/// A home directory in which a resolver is started, once or again and again.
pub struct Machine {
    home: TempDir,
    upstream: Option<SocketAddr>,
    config: Option<String>,
}

impl Machine {
    /// A new machine whose resolver asks `upstream`. Nothing runs yet.
    ///
    /// # Panics
    /// If there is no room for a home.
    pub fn new(upstream: SocketAddr) -> Machine {
        Machine::of(Some(upstream))
    }

    fn of(upstream: Option<SocketAddr>) -> Machine {
        Machine { home: tempfile::tempdir().expect("a home"), upstream, config: None }
    }

    /// As [`Machine::new`], with more in a configuration file.
    ///
    /// # Panics
    /// If there is no room for it.
    pub fn with_config(upstream: SocketAddr, toml: &str) -> Machine {
        Machine::new(upstream).configured(toml)
    }

    /// A new machine whose configuration file says whom its resolver asks.
    ///
    /// # Panics
    /// If there is no room for it, or if it does not: a test asks nobody outside of this machine.
    pub fn with_upstreams(toml: &str) -> Machine {
        assert!(toml.contains("upstream = "), "{toml}");
        Machine::of(None).configured(toml)
    }

    fn configured(self, toml: &str) -> Machine {
        let mut machine = self;
        let file = machine.home().join("resolver.toml");
        fs::write(&file, toml).expect("room for the configuration");
        machine.config = Some(file.to_str().expect("a path in UTF-8").to_owned());
        machine
    }

    /// The home directory.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Starts the resolver on free ports, with the data that an earlier one left.
    pub fn resolver(&self) -> Daemon {
        let upstream = self.upstream.map(|upstream| upstream.to_string());
        let data = self.home().join("data");
        let data = data.to_str().expect("a path in UTF-8");
        let mut args = vec!["--dev", "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0", "--json"];
        args.extend(["--data-dir", data]);
        if let Some(upstream) = &upstream {
            args.extend(["--upstream", upstream]);
        }
        if let Some(file) = &self.config {
            args.extend(["--config", file]);
        }
        Daemon::start("resolver", &args, self.home())
    }

    /// As [`Machine::resolver`], with a user who has a new key.
    pub fn start(&self) -> (Daemon, User) {
        let resolver = self.resolver();
        let user = User::new(resolver.addr("api")).running(&resolver);
        (resolver, user)
    }
}
