//! A real authoritative server (NSD) on loopback.

use std::{
    fmt::Write as _,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use tempfile::TempDir;

use crate::{program::signal, tools, upstream, wait};

/// A running server, ended when it is dropped.
pub struct Nsd {
    child: Child,
    dir: TempDir,
    /// Where it answers, over UDP and TCP.
    pub addr: SocketAddr,
}

/// How many ports are tried: between finding a free one and the server's taking it, somebody else
/// may.
const TRIES: usize = 5;

impl Nsd {
    /// Serves zones, each an origin (with its dot) and the text of a whole master file, on a free
    /// port of 127.0.0.1.
    ///
    /// # Panics
    /// If the server does not come up.
    pub fn start(zones: &[(String, String)]) -> Nsd {
        for _ in 0..TRIES {
            let addr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), free_port());
            match Nsd::start_at(addr, zones) {
                Ok(server) => return server,
                Err(log) => eprintln!("nsd on {addr}: {log}"),
            }
        }
        panic!("nsd did not come up on any of {TRIES} ports");
    }

    /// As [`Nsd::start`], at `addr`; if it ends instead, what it logged.
    ///
    /// # Panics
    /// If it neither ends nor answers, or can't be run at all.
    pub fn start_at(addr: SocketAddr, zones: &[(String, String)]) -> Result<Nsd, String> {
        let dir = tempfile::tempdir().expect("a directory for the zones");
        let config = write_zones(dir.path(), addr, zones);
        let program = tools::find("nsd").expect("nsd is installed");
        // In a group of its own: it forks, and all of it has to go.
        let child = Command::new(program)
            .args(["-d", "-c"])
            .arg(config)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nsd runs");
        let mut server = Nsd { child, dir, addr };
        let up = wait::until("nsd answers", || match server.child.try_wait() {
            Ok(None) => upstream::probe(addr, &zones[0].0).then_some(true),
            _ => Some(false),
        });
        if up { Ok(server) } else { Err(server.log()) }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("nsd.log")).unwrap_or_default()
    }
}

fn write_zones(dir: &Path, addr: SocketAddr, zones: &[(String, String)]) -> PathBuf {
    let path = dir.display();
    let mut config = format!(
        "server:\n ip-address: {}@{}\n server-count: 1\n username: \"\"\n chroot: \"\"\n zonesdir: \"{path}\"\n \
         database: \"\"\n xfrdfile: \"\"\n xfrdir: \"{path}\"\n zonelistfile: \"{path}/zone.list\"\n \
         pidfile: \"{path}/nsd.pid\"\n logfile: \"{path}/nsd.log\"\n rrl-ratelimit: 0\n minimal-responses: yes\n\
         remote-control:\n control-enable: no\n",
        addr.ip(),
        addr.port()
    );
    for (number, (origin, text)) in zones.iter().enumerate() {
        fs::write(dir.join(format!("{number}.zone")), text).expect("room for a zone");
        writeln!(
            config,
            "zone:\n name: \"{origin}\"\n zonefile: \"{number}.zone\"\n provide-xfr: 127.0.0.0/8 NOKEY"
        )
        .expect("writing to a string");
    }
    let file = dir.join("nsd.conf");
    fs::write(&file, config).expect("room for the configuration");
    file
}

/// A port of 127.0.0.1 that was free for UDP and TCP a moment ago.
///
/// # Panics
/// If there is none for long.
pub fn free_port() -> u16 {
    wait::until("a port free for UDP and TCP", || {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
        let port = tcp.local_addr().ok()?.port();
        UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
        Some(port)
    })
}

impl Drop for Nsd {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            signal("KILL", &format!("-{}", self.child.id()));
            let _ = self.child.wait();
        }
        if thread::panicking() {
            eprintln!("--- nsd\n{}", self.log());
        }
    }
}
