//! `resolver doctor` and `zonetool trace` where something is broken: each names the cause and what
//! to do.
//!
//! `cargo test -p tests --test doctor -- --nocapture` shows what they say.

use std::{
    fs,
    net::UdpSocket,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;
use tests::{
    nsd::free_port,
    program::{Daemon, User, command},
    tools,
    unbound::{NAME, Unbound},
    upstream::Counting,
};

/// A machine with a configuration, whose system asks nobody in particular.
struct Patient {
    home: TempDir,
    toml: String,
}

/// What the doctor said.
struct Said {
    code: i32,
    text: String,
    findings: Vec<Value>,
}

impl Patient {
    /// One whose resolver asks this upstream and listens there, with these lines in its
    /// configuration beside.
    fn new(upstream: &str, listen: &str, more: &str) -> Patient {
        let home = tempfile::tempdir().expect("a home");
        let data = home.path().join("data");
        let toml = format!(
            "network = 'dev'\nlisten = ['{listen}']\napi = '127.0.0.1:{}'\nupstream = ['{upstream}']\ndata-dir = '{}'\n{more}",
            free_port(),
            data.display(),
        );
        let patient = Patient { home, toml };
        patient.write("resolv.conf", "nameserver 127.0.0.1\n");
        patient.write("nsswitch.conf", "hosts: files dns\n");
        patient
    }

    /// One that has a live upstream and nothing wrong with it.
    fn well(more: &str) -> (Patient, Counting) {
        let upstream = Counting::start();
        (
            Patient::new(&upstream.addr.to_string(), &format!("127.0.0.1:{}", free_port()), more),
            upstream,
        )
    }

    fn without(self, key: &str) -> Patient {
        let kept: Vec<&str> = self.toml.lines().filter(|line| !line.starts_with(key)).collect();
        Patient { toml: kept.join("\n") + "\n", ..self }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.home.path().join(name);
        fs::write(&file, text).expect("room for a file");
        file
    }

    fn config(&self) -> PathBuf {
        self.write("resolver.toml", &self.toml)
    }

    fn starts(&self) -> Daemon {
        let config = self.config();
        Daemon::start(
            "resolver",
            &["--json", "--config", config.to_str().expect("UTF-8")],
            self.home.path(),
        )
    }

    /// What the doctor says, as text and as JSON.
    fn doctor(&self, title: &str) -> Said {
        self.doctor_at(title, None)
    }

    /// The same, with the clock set otherwise.
    fn doctor_at(&self, title: &str, time: Option<&str>) -> Said {
        let run = |json: bool| {
            let mut doctor = self.command("resolver", time);
            doctor.arg("--config").arg(self.config()).args(json.then_some("--json")).arg("doctor");
            doctor.arg("--resolv-conf").arg(self.home.path().join("resolv.conf"));
            doctor.arg("--nsswitch").arg(self.home.path().join("nsswitch.conf"));
            doctor.output().expect("the doctor runs")
        };
        let (text, json) = (run(false), run(true));
        let said = Said {
            code: json.status.code().expect("it ended by itself"),
            text: String::from_utf8(text.stdout).expect("UTF-8"),
            findings: serde_json::from_slice(&json.stdout).expect("a list of findings"),
        };
        println!("--- {title}\n{}", said.text);
        assert_eq!(text.status.code(), Some(said.code));
        for line in said.text.lines() {
            let (_, remedy) = line.rsplit_once(" -> ").expect("every line ends with what to do");
            assert!(!remedy.is_empty(), "{line}");
        }
        said
    }

    fn command(&self, program: &str, time: Option<&str>) -> Command {
        let inner = command(program, self.home.path());
        let Some(time) = time else { return inner };
        let mut command = Command::new("faketime");
        command.arg(time).arg(inner.get_program());
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home.path());
        command
    }

    fn home(&self) -> &Path {
        self.home.path()
    }
}

impl Said {
    /// There is a finding about this, as bad as that, with these words in its cause and in its
    /// remedy.
    fn names(&self, about: &str, severity: &str, cause: &str, remedy: &str) {
        let found = self.findings.iter().any(|finding| {
            let has = |key: &str, words: &str| {
                finding[key].as_str().is_some_and(|text| text.contains(words))
            };
            has("about", about)
                && finding["severity"] == severity
                && has("found", cause)
                && has("remedy", remedy)
        });
        assert!(found, "no {severity} about {about} with '{cause}' and '{remedy}':\n{}", self.text);
        assert_eq!(
            self.code,
            i32::from(self.findings.iter().any(|finding| finding["severity"] == "bad"))
        );
    }
}

/// What `zonetool trace` says, which is shown.
fn trace(resolver: &Daemon, args: &[&str]) -> String {
    let user = User::without_key(resolver.addr("api")).running(resolver);
    let said = user.zonetool_text(&[&["trace"], args].concat()).ok().stdout;
    println!("--- zonetool trace {}\n{said}", args.join(" "));
    said
}

fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "no '{word}' in\n{text}");
    }
}

#[test]
fn nothing_is_broken() {
    let (patient, _upstream) = Patient::well("");
    let resolver = patient.starts();
    let said = patient.doctor("a resolver that works, on another port than 53");
    assert_eq!(said.code, 0, "{}", said.text);
    said.names("port 127.0.0.1", "ok", "answered by resolver", "nothing to do");
    said.names("resolver", "ok", "answers over TCP", "nothing to do");
    said.names("chain", "ok", "network dev, height 0", "nothing to do");
    let text = trace(&resolver, &["www.example.com", "--fresh"]);
    says(
        &text,
        &[
            "www.example.com. is for legacy DNS",
            "query to",
            "replied in",
            "NOERROR",
            "203.0.113.99",
        ],
    );
    says(&trace(&resolver, &["www.example.com"]), &["cached answer"]);
    says(
        &trace(&resolver, &["nobody.namechain.alt", "TXT"]),
        &["nobody is not registered", "NXDOMAIN"],
    );
    says(&trace(&resolver, &["printer.local"]), &["special-use", "never sent upstream"]);
}

#[test]
fn the_configuration_is_wrong() {
    let (patient, _upstream) = Patient::well("cache-byte = 7\n");
    let said = patient.doctor("a key that there is not");
    said.names("configuration", "bad", "cache-byte", "correct it");
    let mut check = command("resolver", patient.home());
    let checked =
        check.arg("--config").arg(patient.config()).arg("check-config").output().expect("it runs");
    assert_eq!(checked.status.code(), Some(2));
    says(&String::from_utf8_lossy(&checked.stderr), &["resolver.toml: line", "cache-byte"]);
    let right = Patient {
        toml: patient.toml.replace("cache-byte = 7", "cache-bytes = 9000000"),
        ..patient
    };
    let mut check = command("resolver", right.home());
    let checked = check
        .arg("--config")
        .arg(right.config())
        .args(["check-config", "--json"])
        .output()
        .expect("it runs");
    let json: Value = serde_json::from_slice(&checked.stdout).expect("JSON");
    assert_eq!(
        (checked.status.code(), &json["ok"], &json["query_log"]),
        (Some(0), &true.into(), &"off".into())
    );
}

#[test]
fn the_port_is_taken() {
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let listen = taken.local_addr().expect("an address").to_string();
    let upstream = Counting::start();
    let patient = Patient::new(&upstream.addr.to_string(), &listen, "");
    let said = patient.doctor("another program has the port");
    let cause = format!("(process {})", std::process::id());
    said.names("port 127.0.0.1", "bad", &cause, "choose another port with --listen");
}

#[test]
fn the_machine_has_no_such_address() {
    let upstream = Counting::start();
    let patient = Patient::new(&upstream.addr.to_string(), "192.0.2.1:53", "");
    let said = patient.doctor("an address of others");
    said.names("port 192.0.2.1:53", "bad", "no address 192.0.2.1", "ip address lists them");
}

#[test]
fn the_upstream_is_dead() {
    let patient = Patient::new(
        &format!("127.0.0.1:{}", free_port()),
        &format!("127.0.0.1:{}", free_port()),
        "",
    );
    let resolver = patient.starts();
    let said = patient.doctor("nobody is at the upstream's address");
    said.names("upstream", "bad", "Connection refused", "set another with --upstream");
    let text = trace(&resolver, &["www.example.com"]);
    says(&text, &["query to", "Connection refused", "SERVFAIL", "23 (Network Error)"]);
    let again = trace(&resolver, &["www.example.com"]);
    says(&again, &["no upstream replied a moment ago", "SERVFAIL", "22 (No Reachable Authority)"]);
}

#[test]
fn the_upstream_is_this_resolver() {
    let listen = format!("127.0.0.1:{}", free_port());
    let patient = Patient::new(&listen, &listen, "");
    let resolver = patient.starts();
    let said = patient.doctor("the upstream is this resolver itself");
    said.names("upstream", "bad", "is this resolver itself", "set another with --upstream");
    says(
        &trace(&resolver, &["www.example.com"]),
        &["no upstream DNS server is configured", "SERVFAIL"],
    );
}

#[test]
fn the_upstream_forwards_to_this_resolver() {
    let (one, other) = (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
    // Who is asked first waits longest, and so finds out.
    let patient = Patient::new(&other, &one, "");
    let mirror = Patient::new(&one, &other, "");
    let (resolver, _mirror) = (patient.starts(), mirror.starts());
    let text = trace(&resolver, &["www.example.com"]);
    says(&text, &["SERVFAIL", "to this resolver (a loop)"]);
    let said = patient.doctor("the upstream asks this resolver");
    said.names("upstream", "bad", "forwards to this resolver", "make ");
}

#[test]
fn the_upstream_shows_another_certificate() {
    if !tools::available("the_upstream_shows_another_certificate", &["unbound"]) {
        return;
    }
    let server = Unbound::start(&["www.example.com. A 192.0.2.1".into()]);
    let upstream = format!("tls://{}#{NAME}", server.tls);
    let patient = Patient::new(&upstream, &format!("127.0.0.1:{}", free_port()), "");
    let resolver = patient.starts();
    let said = patient.doctor("an encrypted upstream whose certificate is from nobody known");
    said.names("upstream", "bad", "certificate", "set another with --upstream");
    says(&trace(&resolver, &["www.example.com"]), &["query to", "certificate", "SERVFAIL"]);
}

#[test]
fn the_upstream_passes_no_signatures() {
    let (patient, _upstream) = Patient::well("");
    let said = patient.doctor("an upstream that knows nothing of DNSSEC");
    said.names(
        "upstream",
        "warn",
        "its answers do not validate",
        "use an upstream that passes DNSSEC",
    );
}

#[test]
fn a_stub_is_in_the_way() {
    let (patient, _upstream) = Patient::well("");
    patient.write("resolv.conf", "nameserver 127.0.0.53\noptions edns0 trust-ad\n");
    patient.write("nsswitch.conf", "hosts: files resolve [!UNAVAIL=return] dns\n");
    let said = patient.doctor("systemd-resolved answers programs");
    said.names(
        "system's DNS",
        "warn",
        "programs use systemd-resolved",
        "/etc/systemd/resolved.conf.d/namechain.conf",
    );
    said.names("host look-ups", "warn", "systemd-resolved", "remove \"resolve\"");
}

#[test]
fn the_system_asks_somebody_else() {
    let (patient, _upstream) = Patient::well("");
    patient.write("resolv.conf", "nameserver 192.0.2.53\nnameserver nonsense\n");
    patient.write("nsswitch.conf", "hosts: files\n");
    let said = patient.doctor("the machine's DNS server is another");
    said.names(
        "system's DNS",
        "warn",
        "programs use 192.0.2.53:53, not this resolver",
        "nameserver 127.0.0.1",
    );
    said.names("system's DNS", "warn", "line 2: nameserver nonsense", "correct or remove");
    said.names("host look-ups", "bad", "never uses DNS", "add \"dns\"");
}

#[test]
fn the_clock_is_wrong() {
    if !tools::available("the_clock_is_wrong", &["faketime"]) {
        return;
    }
    let (patient, _upstream) = Patient::well("");
    let _resolver = patient.starts();
    let said = patient.doctor_at("the clock is years behind", Some("2020-01-01 00:00:00"));
    said.names("clock", "bad", "behind: the chain's tip is newer", "timedatectl set-ntp true");
}

#[test]
fn the_chain_is_stale() {
    let (patient, _upstream) = Patient::well("no-such = 1\n");
    let patient = Patient {
        toml: patient.toml.replace("'dev'", "'test'").replace("no-such = 1\n", "mdns = false\n"),
        ..patient
    };
    let resolver = patient.starts();
    let said = patient.doctor("a node that hears of no blocks");
    let chain =
        said.findings.iter().find(|finding| finding["about"] == "chain").expect("a finding");
    assert_ne!(chain["severity"], "ok", "{chain}");
    said.names("chain", chain["severity"].as_str().expect("text"), "0 peers", "--peer MULTIADDR");
    trace(&resolver, &["alice.namechain.alt"]);
}

#[test]
fn the_node_is_gone() {
    let (patient, _upstream) = Patient::well("");
    let node = format!("node = 'http://127.0.0.1:{}'\n", free_port());
    let patient = Patient { toml: patient.toml.clone() + &node, ..patient }
        .without("data-dir")
        .without("network");
    let resolver = patient.starts();
    let said = patient.doctor("the node that it asks does not run");
    said.names("chain", "bad", "127.0.0.1", "start that node (namechaind)");
    says(
        &trace(&resolver, &["alice.namechain.alt"]),
        &["alice can't be looked up", "SERVFAIL", "14 (Not Ready)"],
    );
    says(&trace(&resolver, &["www.example.com"]), &["NOERROR", "203.0.113.99"]);
}

#[test]
fn nobody_runs_it() {
    let (patient, _upstream) = Patient::well("");
    let said = patient.doctor("it was not started");
    said.names("port 127.0.0.1", "warn", "no program listens there", "start the resolver");
    said.names("chain", "warn", "there is no data in", "start the resolver");
}

#[test]
fn the_trust_anchor_is_missing() {
    let (patient, _upstream) = Patient::well("[validate]\ntrust-anchors = '/nowhere/root.key'\n");
    let said = patient.doctor("a trust anchor that is not there");
    said.names("configuration", "bad", "/nowhere/root.key", "correct it");
}

#[test]
fn the_key_that_is_signed_with_is_no_secret() {
    let (patient, _upstream) = Patient::well("");
    drop(patient.starts());
    let key = patient.home().join("data/dnssec.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("it is ours");
    let said = patient.doctor("others may read the key");
    said.names("signing", "bad", "dnssec.key", "chmod 600");
}
