//! Keys of hosts and people in the chain, used by those who use none without DNSSEC.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use tests::{
    dig,
    machine::Machine,
    netns::{Side, Switches},
    program::{Daemon, User, command_in},
    tools,
    upstream::Counting,
    validator::{Anchors, Validator, Verdict},
};

/// TLSA, SSHFP, OPENPGPKEY and SMIMEA are signed, and marked as authentic for programs that go by
/// AD: OpenSSH's VerifyHostKeyDNS with `options trust-ad`, Postfix, GnuPG.
#[test]
fn keys_in_the_chain_are_secure() {
    if !tools::available("keys_in_the_chain_are_secure", &["dig", "delv", "unbound"]) {
        return;
    }
    let machine = Machine::new(Counting::start().addr);
    let (resolver, alice) = machine.start();
    let file = machine.home().join("alice.zone");
    let hash = "AB".repeat(32);
    let zone = format!(
        "$TTL 300\n@ SSHFP 4 2 {hash}\n_443._tcp.www TLSA 3 1 1 {hash}\nhugh._openpgpkey OPENPGPKEY mDNaWlo=\n\
         hugh._smimecert TYPE53 \\# 35 030101 {hash}\n"
    );
    fs::write(&file, zone).expect("room for a zone");
    alice.register("alice", &file);
    let (dns, anchors) = (resolver.addr("dns"), Anchors::of(&alice, None));
    let unbound = Validator::start(&anchors.unbound);
    for (below, rtype) in [
        ("", "SSHFP"),
        ("_443._tcp.www.", "TLSA"),
        ("hugh._openpgpkey.", "OPENPGPKEY"),
        ("hugh._smimecert.", "SMIMEA"),
    ] {
        let name = format!("{below}alice.namechain.alt.");
        let (verdict, said) = anchors.delv(dns, &name, rtype);
        assert_eq!(verdict, Verdict::Secure, "{said}");
        let (verdict, reply) = unbound.ask(&name, rtype);
        assert_eq!((verdict, reply.rdata(rtype).len()), (Verdict::Secure, 1), "{reply:?}");
        for name in [name, format!("{below}alice.")] {
            let reply = dig::ask(dns, &name, rtype, "+adflag");
            assert!(reply.has("ad") && reply.rdata(rtype).len() == 1, "{reply:?}");
        }
    }
}

/// A self-signed web server of OpenSSL's in a network namespace.
struct Server {
    child: Child,
    certificate: String,
    port: String,
}

impl Server {
    fn start(namespace: &str, dir: &Path, name: &str) -> Server {
        let file =
            |end: &str| dir.join(format!("{name}.{end}")).to_str().expect("UTF-8").to_owned();
        let (key, certificate) = (file("key"), file("pem"));
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
            ])
            .args(["-subj", "/CN=www.alice.namechain.alt", "-keyout", &key, "-out", &certificate])
            .output()
            .expect("openssl runs");
        assert!(made.status.success(), "{made:?}");
        let mut child = Command::new("ip")
            .args([
                "netns",
                "exec",
                namespace,
                "openssl",
                "s_server",
                "-accept",
                "127.0.0.1:0",
                "-www",
            ])
            .args(["-cert", &certificate, "-key", &key])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl runs");
        let mut lines =
            BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let accept = lines.find_map(|line| Some(line.strip_prefix("ACCEPT ")?.to_owned()));
        let port = accept.expect("where it listens").rsplit_once(':').expect("a port").1.to_owned();
        Server { child, certificate, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// ldns-dane asks our resolver, climbs from the TLSA record to the anchor, and only then believes
/// it.
#[test]
fn ldns_dane_tells_the_right_server_from_another() {
    const TEST: &str = "ldns_dane_tells_the_right_server_from_another";
    if !tools::available(TEST, &["ldns-dane", "openssl"]) {
        return;
    }
    let Some(mut switches) = Switches::new(TEST) else { return };
    let (machine, _) = switches.machine(Side::Left);
    let home = tempfile::tempdir().expect("a home");
    let mut command = command_in(&machine, "resolver", home.path());
    command.args([
        "--dev",
        "--listen",
        "127.0.0.1:53",
        "--api",
        "127.0.0.1:0",
        "--json",
        "--data-dir",
    ]);
    command.arg(home.path().join("data")).args(["--upstream", "127.0.0.1:1"]);
    let resolver = Daemon::from_command(command, home.path());
    let alice = User::new_in(&machine, resolver.addr("api")).running(&resolver);
    let [right, wrong] = ["right", "wrong"].map(|name| Server::start(&machine, home.path(), name));
    let line = |port: &str| {
        let args = ["peer", "dane", "tlsa", &right.certificate, "--host", "www", "--port", port];
        alice.zonetool_text(&args).ok().stdout
    };
    let zone = home.path().join("alice.zone");
    fs::write(&zone, format!("www A 127.0.0.1\n{}{}", line(&right.port), line(&wrong.port)))
        .expect("room");
    alice.register("alice", &zone);
    let anchors = Anchors::of(&alice, None);
    let verify = |port: &str, anchor: &str| {
        let output = Command::new("ip")
            .args([
                "netns",
                "exec",
                &machine,
                "ldns-dane",
                "-4",
                "-r",
                "127.0.0.1",
                "-S",
                "-k",
                anchor,
                "-n",
            ])
            .args(["verify", "www.alice.namechain.alt", port])
            .output()
            .expect("ldns-dane runs");
        (output.status.success(), format!("{output:?}"))
    };
    let anchor = anchors.file("dnskey");
    let (good, said) = verify(&right.port, &anchor);
    assert!(good, "{said}");
    let (good, said) = verify(&wrong.port, &anchor);
    assert!(!good, "{said}");
    // With the key of somebody else nothing is believed.
    let other = home.path().join("other");
    fs::write(&other, "namechain.alt. IN DS 1 13 2 ".to_owned() + &"00".repeat(32)).expect("room");
    let (good, said) = verify(&right.port, other.to_str().expect("UTF-8"));
    assert!(!good, "{said}");
}
