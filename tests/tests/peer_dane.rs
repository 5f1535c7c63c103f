//! Keys in standard form: lines that `zonetool peer dane` makes, put into a zone, asked for with
//! dig, and used by OpenSSL and GnuTLS to tell the right self-signed server from another one.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use tests::{
    dig,
    machine::Machine,
    netns::{Side, Switches},
    program::{Daemon, User, command_in},
    tools,
    upstream::Counting,
};

/// A self-signed web server of OpenSSL's on a free port.
struct Server {
    child: Child,
    certificate: PathBuf,
    port: String,
}

impl Server {
    /// Starts it, with `before` in front of the command.
    fn start(before: &[&str], dir: &Path, name: &str) -> Server {
        let file = |end: &str| dir.join(format!("{name}.{end}"));
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
            .args(["-subj", "/CN=www.alice", "-addext", "subjectAltName=DNS:www.alice"])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .expect("openssl runs");
        assert!(made.status.success(), "{made:?}");
        let words = [before, &["openssl"]].concat();
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .args(["s_server", "-accept", "127.0.0.1:0", "-www", "-cert"])
            .arg(&certificate)
            .arg("-key")
            .arg(&key)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl runs");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let accept = lines
            .map_while(Result::ok)
            .find_map(|line| Some(line.strip_prefix("ACCEPT ")?.to_owned()));
        let accept = accept.expect("it says where it listens");
        let port = accept.rsplit_once(':').expect("a port").1.to_owned();
        Server { child, certificate, port }
    }

    /// Connects as a client who knows nothing of it but this TLSA record.
    fn ask(&self, tlsa: &str) -> Output {
        Command::new("openssl")
            .args(["s_client", "-connect", &format!("127.0.0.1:{}", self.port), "-brief"])
            .args([
                "-dane_tlsa_domain",
                "www.alice",
                "-dane_tlsa_rrdata",
                tlsa,
                "-verify_return_error",
            ])
            .stdin(Stdio::null())
            .output()
            .expect("openssl runs")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line(user: &User, args: &[&str]) -> String {
    user.zonetool_text(&[&["peer", "dane"], args].concat()).ok().stdout
}

#[test]
fn a_self_signed_server_is_told_from_another_by_the_chain() {
    if !tools::available(
        "a_self_signed_server_is_told_from_another_by_the_chain",
        &["dig", "openssl"],
    ) {
        return;
    }
    let machine = Machine::new(Counting::start().addr);
    let (resolver, alice) = machine.start();
    let (right, wrong) =
        (Server::start(&[], machine.home(), "right"), Server::start(&[], machine.home(), "wrong"));
    let certificate = right.certificate.to_str().expect("UTF-8");
    let zone = machine.home().join("alice.zone");
    let tlsa = line(&alice, &["tlsa", certificate, "--host", "www", "--port", "443"]);
    assert!(tlsa.starts_with("_443._tcp.www TLSA 3 1 1 "), "{tlsa}");
    fs::write(&zone, format!("www A 192.0.2.10\n{tlsa}")).expect("room");
    alice.register("alice", &zone);
    let reply = dig::ask(resolver.addr("dns"), "_443._tcp.www.alice.", "TLSA", "");
    let served = reply.rdata("TLSA");
    assert_eq!(served.len(), 1, "{reply:?}");
    // dig breaks the hash into groups.
    let mut fields = served[0].splitn(4, ' ');
    let numbers: Vec<&str> = fields.by_ref().take(3).collect();
    let rdata =
        format!("{} {}", numbers.join(" "), fields.next().expect("a hash").replace(' ', ""));
    let (accepted, refused) = (right.ask(&rdata), wrong.ask(&rdata));
    let told = String::from_utf8_lossy(&accepted.stderr).into_owned();
    assert!(accepted.status.success() && told.contains("matched EE certificate"), "{told}");
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && told.contains("no matching DANE TLSA records"), "{told}");
}

/// danetool asks the DNS server that /etc/resolv.conf names, on port 53: so it has a machine of its
/// own here, whose file names our resolver. It is told not to ask for DNSSEC, which names of the
/// chain do not have.
#[test]
fn gnutls_asks_our_resolver_itself() {
    const TEST: &str = "gnutls_asks_our_resolver_itself";
    if !tools::available(TEST, &["danetool", "openssl", "mount"]) {
        return;
    }
    // danetool opens it before it asks anything.
    let root_key = "/usr/share/dns/root.key";
    if !Path::new(root_key).exists() {
        return tools::skip(TEST, &format!("{root_key} is missing (Debian: dns-root-data)"));
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
    let alice = User::new_in(&machine, resolver.addr("api"));
    let inside = ["ip", "netns", "exec", machine.as_str()];
    let (right, wrong) = (
        Server::start(&inside, home.path(), "right"),
        Server::start(&inside, home.path(), "wrong"),
    );
    let certificate = right.certificate.to_str().expect("UTF-8");
    let lines = [&right.port, &wrong.port]
        .map(|port| line(&alice, &["tlsa", certificate, "--host", "www", "--port", port]))
        .concat();
    let zone = home.path().join("alice.zone");
    fs::write(&zone, format!("www A 127.0.0.1\n{lines}")).expect("room");
    alice.register("alice", &zone);
    let resolv = home.path().join("resolv.conf");
    fs::write(&resolv, "nameserver 127.0.0.1\n").expect("room");
    let check = |server: &Server| {
        // `ip netns exec` gives what it runs mounts of its own.
        let script = "mount --bind \"$0\" /etc/resolv.conf && exec danetool --check www.alice --port \"$1\" \
                      --proto tcp --insecure --local-dns";
        let words = [&inside[1..], &["sh", "-c", script]].concat();
        let mut command = Command::new(inside[0]);
        let output =
            command.args(words).arg(&resolv).arg(&server.port).stdin(Stdio::null()).output();
        let output = output.expect("danetool runs");
        let told = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&told).into_owned())
    };
    let (accepted, told) = check(&right);
    assert!(accepted && told.contains("Verification: Certificate matches."), "{told}");
    let (accepted, told) = check(&wrong);
    assert!(
        !accepted && told.contains("Verification: Verification failed. The certificate differs."),
        "{told}"
    );
}

#[test]
fn keys_of_addresses_and_endpoints_are_found_with_dig() {
    if !tools::available("keys_of_addresses_and_endpoints_are_found_with_dig", &["dig", "openssl"])
    {
        return;
    }
    let machine = Machine::new(Counting::start().addr);
    let (resolver, alice) = machine.start();
    let server = Server::start(&[], machine.home(), "right");
    let certificate = server.certificate.to_str().expect("UTF-8");
    // The beginning of an OpenPGP key: what is behind it, DNS does not read.
    let key = machine.home().join("hugh.pgp");
    fs::write(&key, [&[0x98, 0x33][..], &[0x5a; 51]].concat()).expect("room");
    let zone = machine.home().join("alice.zone");
    let mut lines = "@ A 192.0.2.10\n".to_owned();
    lines += &line(&alice, &["openpgpkey", "hugh", key.to_str().expect("UTF-8")]);
    lines += &line(&alice, &["smimea", "hugh", certificate]);
    fs::write(&zone, &lines).expect("room");
    alice.register("alice", &zone);
    let dns = resolver.addr("dns");
    // RFC 7929 and RFC 8162, section 3 each: the label of hugh.
    let hugh = "c93f1e400f26708f98cb19d936620da35eec8f72e57f9eec01c1afd6";
    let reply = dig::ask(dns, &format!("{hugh}._openpgpkey.alice."), "OPENPGPKEY", "");
    let found = reply.rdata("OPENPGPKEY").concat().replace(' ', "");
    assert_eq!(found, format!("mDNa{}Wlo=", "Wlpa".repeat(16)), "base64 of the file");
    let reply = dig::ask(dns, &format!("{hugh}._smimecert.alice."), "SMIMEA", "");
    let found = reply.rdata("SMIMEA").concat().replace(' ', "");
    let der =
        Command::new("openssl").args(["x509", "-in", certificate, "-outform", "DER"]).output();
    let der: String =
        der.expect("openssl runs").stdout.iter().map(|byte| format!("{byte:02X}")).collect();
    assert_eq!(found.to_uppercase(), format!("300{der}"));
}

#[test]
fn an_endpoint_is_found_with_dig() {
    if !tools::available("an_endpoint_is_found_with_dig", &["dig"]) {
        return;
    }
    let machine = Machine::new(Counting::start().addr);
    let resolver = machine.resolver();
    let alice = User::without_key(resolver.addr("api"));
    let made = alice.zonetool(&["key", "new", "--no-passphrase"]).ok().json();
    let words: Vec<&str> = made["words"]
        .as_array()
        .expect("words")
        .iter()
        .filter_map(serde_json::Value::as_str)
        .collect();
    let (file, zone) = (machine.home().join("words"), machine.home().join("alice.zone"));
    fs::write(&file, words.join(" ")).expect("room");
    alice.register("alice", &tests::zones::path("minimal"));
    let publish =
        ["peer", "publish", "alice", "--wait", "--words-file", file.to_str().expect("UTF-8")];
    let published = alice.zonetool(&publish).ok().json();
    tests::users::refused(
        alice.zonetool(&["peer", "dane", "endpoint", "alice"]),
        3,
        "has no locators",
    );
    let locators =
        ["--locator", "/ip4/192.0.2.7/udp/7381/quic-v1", "--locator", "https://a.example/"];
    alice.zonetool(&[&publish[..], &locators].concat()).ok();
    fs::write(&zone, line(&alice, &["endpoint", "alice"])).expect("room");
    alice.zonetool(&["update", "alice", "--zone", zone.to_str().expect("UTF-8"), "--wait"]).ok();
    let dns = resolver.addr("dns");
    let reply = dig::ask(dns, "_namechain-peer.alice.", "SVCB", "");
    assert_eq!(
        reply.rdata("SVCB"),
        ["1 . alpn=\"namechain/1\" port=7381 ipv4hint=192.0.2.7"],
        "{reply:?}"
    );
    let identity = published["messaging"]["identity"].as_str().expect("a key");
    let reply = dig::ask(dns, "_namechain-peer.alice.", "TXT", "");
    let expected = ["/ip4/192.0.2.7/udp/7381/quic-v1", "https://a.example/"];
    let expected = expected.map(|at| format!("\"v=namechain1\" \"id={identity}\" \"at={at}\""));
    assert_eq!(reply.rdata("TXT"), expected, "{reply:?}");
}
