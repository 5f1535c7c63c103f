//! A real recursive server (unbound) on loopback, which answers over TLS and HTTPS what it is told.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use tempfile::TempDir;

use crate::{tools, upstream, wait};

/// The name in the server's certificate.
pub const NAME: &str = "dns.example.net";

/// How many times ports are looked for: between finding a free one and the server's taking it,
/// somebody else may.
const TRIES: usize = 5;

/// A running server, ended when it is dropped.
pub struct Unbound {
    child: Child,
    dir: TempDir,
    /// Where it answers plain DNS.
    pub plain: SocketAddr,
    /// Where it answers over TLS.
    pub tls: SocketAddr,
    /// Where it answers over HTTPS, at `/dns-query`.
    pub https: SocketAddr,
}

impl Unbound {
    /// Starts it with these `local-data` (master file lines), and with a certificate for [`NAME`]
    /// from an authority that nobody else knows.
    ///
    /// # Panics
    /// If the server does not come up.
    pub fn start(data: &[String]) -> Unbound {
        let data: String = data.iter().map(|line| format!(" local-data: '{line}'\n")).collect();
        Unbound::configured(&format!(
            " do-not-query-localhost: yes\n local-zone: '.' static\n{data}"
        ))
    }

    /// Starts it as a recursive server of a world whose zones, the root among them, are all served
    /// at one address. With `anchor` (a file of DNSKEY records) it validates, else it passes on
    /// what it gets.
    ///
    /// # Panics
    /// If the server does not come up.
    pub fn recursing(zones: &[String], at: SocketAddr, anchor: Option<&Path>) -> Unbound {
        let modules = match anchor {
            Some(file) => {
                format!(
                    " module-config: 'validator iterator'\n trust-anchor-file: {}\n",
                    file.display()
                )
            }
            None => " module-config: 'iterator'\n".to_owned(),
        };
        let stub = |zone: &String| {
            format!(
                "stub-zone:\n name: '{zone}'\n stub-addr: {}@{}\n stub-prime: no\n",
                at.ip(),
                at.port()
            )
        };
        let stubs: String = zones.iter().map(stub).collect();
        Unbound::configured(&format!(
            " do-not-query-localhost: no\n qname-minimisation: no\n local-zone: 'example.' nodefault\n ede: yes\n{modules}{stubs}"
        ))
    }

    fn configured(more: &str) -> Unbound {
        for _ in 0..TRIES {
            if let Some(server) = Unbound::try_start(more) {
                return server;
            }
        }
        panic!("unbound did not come up");
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A file with the authority's certificate.
    pub fn authority(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    fn try_start(more: &str) -> Option<Unbound> {
        let dir = tempfile::tempdir().expect("a directory for the server");
        certificates(&dir);
        let [plain, tls, https] =
            free_ports().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let path = dir.path().display();
        let listen =
            [plain, tls, https].map(|at| format!(" interface: 127.0.0.1@{}\n", at.port())).concat();
        let config = format!(
            "server:\n{listen} tls-port: {}\n https-port: {}\n tls-service-key: {path}/key.pem\n \
             tls-service-pem: {path}/chain.pem\n do-daemonize: no\n username: ''\n chroot: ''\n directory: {path}\n \
             pidfile: ''\n use-syslog: no\n logfile: {path}/unbound.log\n num-threads: 1\n{more}remote-control:\n control-enable: no\n",
            tls.port(),
            https.port()
        );
        let file = dir.path().join("unbound.conf");
        fs::write(&file, config).expect("room for the configuration");
        let program = tools::find("unbound").expect("unbound is installed");
        let child = Command::new(program)
            .args(["-d", "-c"])
            .arg(file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("unbound runs");
        let mut server = Unbound { child, dir, plain, tls, https };
        let up = wait::until("unbound answers", || match server.child.try_wait() {
            Ok(None) => upstream::probe(plain, ".").then_some(true),
            _ => Some(false),
        });
        up.then_some(server)
    }
}

fn certificates(dir: &TempDir) {
    let made = || -> Result<(), rcgen::Error> {
        let ca_key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = params.self_signed(&ca_key)?;
        let key = KeyPair::generate()?;
        let server =
            CertificateParams::new(vec![NAME.to_owned()])?.signed_by(&key, &ca, &ca_key)?;
        for (file, text) in
            [("ca.pem", ca.pem()), ("chain.pem", server.pem()), ("key.pem", key.serialize_pem())]
        {
            fs::write(dir.path().join(file), text).expect("room for a certificate");
        }
        Ok(())
    };
    made().expect("certificates can be made");
}

fn free_ports() -> [u16; 3] {
    let listeners =
        [(); 3].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("an address").port())
}

impl Drop for Unbound {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let log = fs::read_to_string(self.dir.path().join("unbound.log")).unwrap_or_default();
            eprintln!("--- unbound\n{log}");
        }
    }
}
