//! Those who check signatures, none of them ours: unbound, delv.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    process::{Child, Command, Stdio},
    thread,
};

use tempfile::TempDir;

use crate::{dig, nsd::free_port, program::User, tools, upstream, wait};

/// What somebody who checks says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Signed, and rightly so.
    Secure,
    /// Rightly unsigned.
    Insecure,
    /// Forged, or broken.
    Bogus,
}

/// How many ports are tried: between finding a free one and the server's taking it, somebody else
/// may.
const TRIES: usize = 5;

/// A validating unbound that asks somebody else, ended when it is dropped.
pub struct Validator {
    child: Child,
    dir: TempDir,
    /// Where it answers.
    pub addr: SocketAddr,
}

impl Validator {
    /// Starts it with the lines that `zonetool trust-anchor --format unbound` prints, word for
    /// word.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn start(lines: &str) -> Validator {
        (0..TRIES).find_map(|_| Validator::try_start(lines)).expect("unbound comes up")
    }

    fn try_start(lines: &str) -> Option<Validator> {
        let dir = tempfile::tempdir().expect("a directory for the server");
        let (path, addr) =
            (dir.path().display(), SocketAddr::from((Ipv4Addr::LOCALHOST, free_port())));
        let config = format!(
            "server:\n interface: 127.0.0.1@{}\n do-daemonize: no\n username: ''\n chroot: ''\n directory: {path}\n pidfile: ''\n \
             use-syslog: no\n logfile: {path}/unbound.log\n val-log-level: 2\n num-threads: 1\n ede: yes\n \
             module-config: 'validator iterator'\n local-data: 'here.invalid. A 192.0.2.1'\n{lines}\nremote-control:\n \
             control-enable: no\nforward-zone:\n name: '.'\n forward-addr: 127.0.0.1@1\n",
            addr.port()
        );
        let file = dir.path().join("unbound.conf");
        fs::write(&file, config).expect("room for the configuration");
        let child = Command::new(tools::find("unbound").expect("unbound is installed"))
            .args(["-d", "-c"])
            .arg(file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("unbound runs");
        let mut server = Validator { child, dir, addr };
        let up = wait::until("unbound answers", || match server.child.try_wait() {
            Ok(None) => upstream::probe(addr, "here.invalid.").then_some(true),
            _ => Some(false),
        });
        up.then_some(server)
    }

    /// What it says to a question, and its answer.
    pub fn ask(&self, name: &str, rtype: &str) -> (Verdict, dig::Reply) {
        let reply = dig::ask(self.addr, name, rtype, "+dnssec");
        let bogus = reply.ede.iter().any(|code| matches!(code, 1 | 2 | 5..=12));
        let verdict = match reply.status.as_str() {
            "SERVFAIL" if bogus => Verdict::Bogus,
            "NOERROR" | "NXDOMAIN" if reply.has("ad") => Verdict::Secure,
            "NOERROR" | "NXDOMAIN" => Verdict::Insecure,
            _ => panic!("unbound can't say what {name} {rtype} is: {reply:?}\n{}", self.log()),
        };
        (verdict, reply)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("unbound.log")).unwrap_or_default()
    }
}

impl Drop for Validator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!(
                "--- the end of unbound's log\n{}",
                lines[lines.len().saturating_sub(60)..].join("\n")
            );
        }
    }
}

/// The anchor of a resolver, as `zonetool trust-anchor` prints it: for unbound, and in files for
/// the others.
pub struct Anchors {
    dir: TempDir,
    /// The lines for unbound.
    pub unbound: String,
}

impl Anchors {
    /// Of the resolver that the user talks to, which is asked for at `server` if it is not to be
    /// asked itself.
    ///
    /// # Panics
    /// If it gives none.
    pub fn of(user: &User, server: Option<SocketAddr>) -> Anchors {
        let server = server.map(|server| server.to_string());
        let print = |format: &str| {
            let mut args = vec!["trust-anchor", "--format", format];
            if let Some(server) = &server {
                args.extend(["--server", server]);
            }
            user.zonetool_text(&args).ok().stdout
        };
        let dir = tempfile::tempdir().expect("room");
        fs::write(dir.path().join("ds"), print("ds")).expect("room");
        fs::write(dir.path().join("dnskey"), print("dnskey")).expect("room");
        fs::write(dir.path().join("delv"), print("delv")).expect("room");
        Anchors { dir, unbound: print("unbound") }
    }

    /// The file with one of `ds`, `dnskey` and `delv`.
    pub fn file(&self, form: &str) -> String {
        self.dir.path().join(form).to_str().expect("UTF-8").to_owned()
    }

    /// What delv says to a question to `server`, and its words. The name ends in a suffix of two
    /// labels, which is where delv's trust begins.
    ///
    /// # Panics
    /// If it can't be run.
    pub fn delv(&self, server: SocketAddr, name: &str, rtype: &str) -> (Verdict, String) {
        let labels: Vec<&str> = name.trim_end_matches('.').split('.').collect();
        let suffix = labels[labels.len() - 2..].join(".");
        let output = Command::new("delv")
            .args([
                &format!("@{}", server.ip()),
                "-p",
                &server.port().to_string(),
                "-a",
                &self.file("delv"),
            ])
            .args([&format!("+root={suffix}"), "-q", name, "-t", rtype])
            .output()
            .expect("delv runs");
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        let has = |words: &str| said.lines().any(|line| line == words);
        let unsigned = has("; unsigned answer") || has("; negative response, unsigned answer");
        let verdict = match () {
            () if unsigned => Verdict::Insecure,
            () if has("; fully validated") || has("; negative response, fully validated") => {
                Verdict::Secure
            }
            () => Verdict::Bogus,
        };
        (verdict, said)
    }
}
