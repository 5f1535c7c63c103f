//! How the resolver keeps to EDNS and what is around it: the checks of the DNS flag days and their
//! like, over UDP by both paths and over TCP, asked with dig. Run with `--nocapture` to see the
//! list.

use std::{net::SocketAddr, process::Command};

use tests::{machine::Machine, tools, upstream::Counting, zones};

/// What dig prints, whatever the status.
fn dig(server: SocketAddr, args: &str) -> String {
    let output = Command::new("dig")
        .args([
            "-r",
            &format!("@{}", server.ip()),
            "-p",
            &server.port().to_string(),
            "+tries=2",
            "+time=20",
        ])
        .args(["+noshowsearch", "+noidnin", "+noidnout"])
        .args(args.split_whitespace())
        .output()
        .expect("dig runs");
    // The first line repeats what it was told.
    let said = String::from_utf8_lossy(&output.stdout);
    said.lines().filter(|line| !line.starts_with("; <<>>")).collect::<Vec<_>>().join("\n")
}

/// One check: what it is called, what dig is told, what has to be in its output, and what may not
/// be.
struct Check(&'static str, &'static str, &'static [&'static str], &'static [&'static str]);

/// The names that every check is about: one of the chain, one of legacy DNS.
const NAMES: [&str; 2] = ["www.alice.", "www.example.com."];

const OPT: &str = "OPT PSEUDOSECTION";
const EDNS: &str = "EDNS: version: 0, flags:; udp: 1232";
const OK: &str = "status: NOERROR";
const ANSWER: &str = "ANSWER: 1";
/// Shown when what comes back has an option that is not known.
const UNKNOWN: &str = "OPT=100";

/// NAME stands for the name.
const CHECKS: &[Check] = &[
    Check("plain DNS", "+noedns NAME A", &[OK, ANSWER], &[OPT]),
    Check("plain DNS, AD and CD", "+noedns +adflag +cdflag NAME A", &[OK, ANSWER, " cd;"], &[OPT]),
    Check("plain DNS, the Z bit", "+noedns +zflag NAME A", &[OK, ANSWER], &[OPT, "MBZ"]),
    Check("EDNS", "+nocookie NAME A", &[OK, ANSWER, EDNS], &["COOKIE"]),
    Check(
        "EDNS, DO",
        "+nocookie +dnssec NAME A",
        &[OK, ANSWER, "version: 0, flags: do; udp: 1232"],
        &[],
    ),
    Check(
        "EDNS, an unknown option",
        "+nocookie +ednsopt=100 NAME A",
        &[OK, ANSWER, EDNS],
        &[UNKNOWN],
    ),
    Check(
        "EDNS, an unknown option with data",
        "+nocookie +ednsopt=100:00112233 NAME A",
        &[OK, ANSWER, EDNS],
        &[UNKNOWN],
    ),
    Check("EDNS, unknown flags", "+nocookie +ednsflags=0x40 NAME A", &[OK, ANSWER, EDNS], &["MBZ"]),
    Check(
        "EDNS, all flags",
        "+nocookie +dnssec +ednsflags=0x7fff NAME A",
        &[OK, ANSWER, "version: 0, flags: do; udp: 1232"],
        &["MBZ"],
    ),
    Check(
        "EDNS version 1",
        "+nocookie +edns=1 +noednsneg NAME A",
        &["status: BADVERS", EDNS, "ANSWER: 0", "EDE: 21"],
        &[],
    ),
    Check(
        "EDNS version 1, an unknown option",
        "+nocookie +edns=1 +noednsneg +ednsopt=100 NAME A",
        &["status: BADVERS", EDNS, "ANSWER: 0"],
        &[UNKNOWN],
    ),
    Check(
        "EDNS version 1, unknown flags",
        "+nocookie +edns=1 +noednsneg +ednsflags=0x40 NAME A",
        &["status: BADVERS", EDNS, "ANSWER: 0"],
        &["MBZ"],
    ),
    Check(
        "EDNS version 255",
        "+nocookie +edns=255 +noednsneg NAME A",
        &["status: BADVERS", EDNS],
        &[],
    ),
    Check(
        "a cookie",
        "+cookie=0102030405060708 NAME A",
        &[OK, ANSWER, "; COOKIE: 0102030405060708"],
        &[],
    ),
    Check(
        "a cookie of another server's",
        "+cookie=0102030405060708aaaaaaaaaaaaaaaa NAME A",
        &[OK, ANSWER, "; COOKIE: 0102030405060708"],
        &["aaaaaaaa"],
    ),
    Check(
        "a cookie of a wrong length",
        "+nocookie +ednsopt=10:010203040506070809 NAME A",
        &["status: FORMERR", EDNS, "EDE: 0"],
        &[],
    ),
    Check(
        "a cookie and nothing else",
        "+cookie=0102030405060708 +header-only",
        &[OK, "QUERY: 0", "; COOKIE: 0102030405060708"],
        &["EDE"],
    ),
    Check(
        "a client subnet",
        "+nocookie +subnet=192.0.2.0/24 NAME A",
        &[OK, ANSWER, EDNS],
        &["CLIENT-SUBNET"],
    ),
    Check("a name for the server", "+nocookie +nsid NAME A", &[OK, ANSWER, EDNS], &["NSID"]),
    Check(
        "padding without encryption",
        "+nocookie +padding=128 NAME A",
        &[OK, ANSWER, EDNS],
        &["PAD"],
    ),
    Check("a small buffer", "+nocookie +bufsize=1 NAME A", &[OK, ANSWER, EDNS], &[]),
    Check("a large buffer", "+nocookie +bufsize=65535 NAME A", &[OK, ANSWER, EDNS], &[]),
    Check(
        "an unknown operation",
        "+nocookie +opcode=15 NAME A",
        &["status: NOTIMP", EDNS, "EDE: 21"],
        &[],
    ),
    Check("STATUS", "+nocookie +opcode=STATUS NAME A", &["status: NOTIMP", "EDE: 21"], &[]),
    Check("NOTIFY", "+nocookie +opcode=NOTIFY NAME SOA", &["status: NOTIMP", "EDE: 21"], &[]),
    Check("an operation without EDNS", "+noedns +opcode=15 NAME A", &["status: NOTIMP"], &[OPT]),
    Check("no question", "+nocookie +header-only", &["status: FORMERR", "EDE: 0"], &[]),
    Check("class CH", "+nocookie version.bind. TXT CH", &["status: REFUSED", "EDE: 21"], &[]),
    Check("class HS", "+nocookie id.server. TXT HS", &["status: REFUSED", "EDE: 21"], &[]),
    Check("class ANY", "+nocookie -c CLASS255 NAME A", &["EDE: 21", "status: REFUSED"], &[]),
    Check("class 254", "+nocookie NAME A CLASS254", &["status: REFUSED", "EDE: 21"], &[]),
    Check("type 0", "+nocookie NAME TYPE0", &["status: FORMERR", "EDE: 30"], &[]),
    Check("type OPT", "+nocookie NAME TYPE41", &["status: FORMERR", "EDE: 30"], &[]),
    Check("type NXNAME", "+nocookie NAME TYPE128", &["status: FORMERR", "EDE: 30"], &[]),
    Check("a type of no data", "+nocookie NAME TYPE200", &["status: FORMERR", "EDE: 30"], &[]),
    Check("MAILB", "+nocookie NAME TYPE253", &["status: NOTIMP", "EDE: 21"], &[]),
    Check("MAILA", "+nocookie NAME TYPE254", &["status: NOTIMP", "EDE: 21"], &[]),
    Check("TKEY", "+nocookie NAME TYPE249", &["status: NOTIMP", "EDE: 21"], &[]),
    Check("a type that nobody has", "+nocookie NAME TYPE65280", &[OK, EDNS], &["EDE"]),
    Check("ANY", "+nocookie NAME ANY +notcp", &[OK, ANSWER, EDNS], &["EDE"]),
    Check("in capitals", "+nocookie WWW.ALICE. A", &[OK, ANSWER, "WWW.ALICE."], &[]),
];

/// Only over TCP: dig asks for these as transfers.
const TCP_CHECKS: &[Check] = &[
    Check(
        "keep-alive",
        "+nocookie +keepalive NAME A",
        &[OK, ANSWER, "TCP KEEPALIVE: 10.0 secs"],
        &[],
    ),
    Check("whole over TCP", "+nocookie +bufsize=512 NAME A", &[OK, ANSWER], &[" tc "]),
];

fn run(server: SocketAddr, path: &str, options: &str, checks: &[Check]) -> Vec<String> {
    let mut failures = Vec::new();
    for Check(what, args, wanted, unwanted) in checks {
        let before = failures.len();
        for name in NAMES {
            // Twice: from where it is made, and from where it is kept.
            for pass in ["first", "again"] {
                let args = format!("{options} {}", args.replace("NAME", name));
                let said = dig(server, &args);
                let missing: Vec<&&str> =
                    wanted.iter().filter(|text| !said.contains(**text)).collect();
                let wrong: Vec<&&str> =
                    unwanted.iter().filter(|text| said.contains(**text)).collect();
                if !missing.is_empty() || !wrong.is_empty() {
                    let why = format!(
                        "{path}: {what} ({pass}, dig {args}): missing {missing:?}, there {wrong:?}"
                    );
                    failures.push(format!("{why}\n{said}"));
                }
            }
            if !args.contains("NAME") {
                break;
            }
        }
        println!("{path}: {what}: {}", if failures.len() == before { "ok" } else { "see below" });
    }
    failures
}

#[test]
fn every_check_of_the_flag_days_is_right_on_every_path() {
    if !tools::available("every_check_of_the_flag_days_is_right_on_every_path", &["dig"]) {
        return;
    }
    let upstream = Counting::start();
    let mut failures = Vec::new();
    for (path, config) in [("fast path", "fast-path = true"), ("plain path", "fast-path = false")] {
        let machine = Machine::with_config(upstream.addr, config);
        let (resolver, user) = machine.start();
        user.register("alice", &zones::path("alice"));
        let dns = resolver.addr("dns");
        failures.extend(run(dns, path, "+notcp", CHECKS));
        if path == "fast path" {
            failures.extend(run(dns, "TCP", "+tcp", CHECKS));
            failures.extend(run(dns, "TCP", "+tcp", TCP_CHECKS));
        }
    }
    assert!(failures.is_empty(), "{} checks fail:\n{}", failures.len(), failures.join("\n"));
}
