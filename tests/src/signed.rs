//! A world of signed zones below a root of its own, made with the tools of ldns, served by NSD.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::nsd::Nsd;

/// A zone below `example.`, and what is done to it.
pub struct Zone {
    /// Its label.
    pub label: &'static str,
    /// Its records beside SOA, NS and the server's address, as a master file has them.
    pub records: String,
    /// What ldns-signzone is told; `None`: it is not signed.
    pub sign: Option<&'static [&'static str]>,
    /// The algorithm, as ldns-keygen calls it.
    pub algorithm: &'static str,
    /// What becomes of the lines of the signed zone.
    pub change: fn(Vec<String>) -> Vec<String>,
    /// What becomes of the DS record in `example.`
    pub ds: fn(String) -> String,
}

impl Zone {
    /// A zone with these records that is in order.
    pub fn new(label: &'static str, records: &str) -> Zone {
        Zone {
            label,
            records: records.to_owned(),
            sign: Some(&[]),
            algorithm: "ECDSAP256SHA256",
            change: |lines| lines,
            ds: |ds| ds,
        }
    }

    /// Its name.
    pub fn name(&self) -> String {
        format!("{}.example.", self.label)
    }
}

/// The world: its servers run as long as it is there.
pub struct World {
    dir: TempDir,
    /// Who serves all zones.
    pub nsd: Nsd,
    /// The names of all zones.
    pub zones: Vec<String>,
}

impl World {
    /// Makes and serves it.
    ///
    /// # Panics
    /// If that can't be done.
    pub fn start(zones: &[Zone]) -> World {
        let dir = tempfile::tempdir().expect("a directory");
        let mut served = Vec::new();
        let mut below = String::new();
        for zone in zones {
            let (text, ds) = make(dir.path(), zone);
            below.push_str(&format!(
                "{} IN NS ns.{}\nns.{} IN A 127.0.0.1\n{}\n",
                zone.label,
                zone.name(),
                zone.name(),
                (zone.ds)(ds)
            ));
            served.push((zone.name(), text));
        }
        below.push_str("www IN A 192.0.2.2\n");
        let tld = Zone::new("", &below);
        let (tld, ds) =
            sign(dir.path(), "example.", &body("example.", &tld.records), tld.algorithm, &[]);
        served.push(("example.".into(), tld));
        let root =
            body(".", &format!("example. IN NS ns.example.\nns.example. IN A 127.0.0.1\n{ds}\n"));
        let (root, _) = sign(dir.path(), ".", &root, "ECDSAP256SHA256", &[]);
        let anchor: Vec<&str> =
            root.lines().filter(|line| line.contains("\tDNSKEY\t257 ")).collect();
        fs::write(dir.path().join("anchor"), format!("{}\n", anchor.join("\n"))).expect("room");
        served.push((".".into(), root));
        let zones = served.iter().map(|(name, _)| name.clone()).collect();
        World { nsd: Nsd::start(&served), dir, zones }
    }

    /// The file with the root's key, a DNSKEY record.
    pub fn anchor(&self) -> PathBuf {
        self.dir.path().join("anchor")
    }
}

fn body(origin: &str, records: &str) -> String {
    let ns = if origin == "." { "ns.root.".to_owned() } else { format!("ns.{origin}") };
    format!(
        "$ORIGIN {origin}\n$TTL 300\n@ IN SOA {ns} host.example. 1 3600 600 86400 60\n@ IN NS {ns}\n{ns} IN A 127.0.0.1\n{records}\n"
    )
}

fn make(dir: &Path, zone: &Zone) -> (String, String) {
    let text = body(&zone.name(), &zone.records);
    let Some(options) = zone.sign else { return (text, String::new()) };
    let (signed, ds) = sign(dir, &zone.name(), &text, zone.algorithm, options);
    let lines = (zone.change)(signed.lines().map(str::to_owned).collect());
    (lines.join("\n") + "\n", ds)
}

/// Signs a zone; the signed zone, one record a line, and its DS.
fn sign(
    dir: &Path,
    origin: &str,
    text: &str,
    algorithm: &str,
    options: &[&str],
) -> (String, String) {
    fs::write(dir.join("zone"), text).expect("room for a zone");
    let mut keygen = vec!["-k", "-a", algorithm, "-r", "/dev/urandom"];
    if algorithm.starts_with("RSA") {
        keygen.extend(["-b", "2048"]);
    }
    keygen.push(origin);
    let key = run(dir, "ldns-keygen", &keygen);
    let mut args = options.to_vec();
    args.extend(["-o", origin, "zone", &key]);
    run(dir, "ldns-signzone", &args);
    let ds = run(dir, "ldns-key2ds", &["-n", "-2", &format!("{key}.key")]);
    (fs::read_to_string(dir.join("zone.signed")).expect("a signed zone"), ds)
}

fn run(dir: &Path, program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).current_dir(dir).output().expect("it runs");
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}
