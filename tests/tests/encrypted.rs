//! DNS over TLS, HTTPS and QUIC, asked by programs that nobody here wrote, and by another resolver
//! of our own.

use std::{
    fs,
    io::Write,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tests::{
    dig,
    machine::Machine,
    program::{Daemon, User},
    tools,
    upstream::{self, Counting},
    wait, zones,
};

const LISTEN: &str = "[encrypted]\nlisten-tls = ['127.0.0.1:0']\nlisten-https = ['127.0.0.1:0']\nlisten-quic = ['127.0.0.1:0']\n";

/// A certificate for `dns.example` and its key, in files.
struct Certificate {
    dir: tempfile::TempDir,
}

impl Certificate {
    fn new() -> Certificate {
        let certificate = Certificate { dir: tempfile::tempdir().expect("a directory") };
        certificate.renew();
        certificate
    }

    fn renew(&self) {
        let names = vec!["dns.example".to_owned(), "127.0.0.1".to_owned()];
        let signed = rcgen::generate_simple_self_signed(names).expect("a certificate");
        fs::write(self.key(), signed.key_pair.serialize_pem()).expect("room");
        fs::write(self.file(), signed.cert.pem()).expect("room");
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    fn key(&self) -> PathBuf {
        self.dir.path().join("key.pem")
    }
}

struct Host {
    certificate: Certificate,
    _machine: Machine,
    _upstream: Counting,
    resolver: Daemon,
    _user: User,
}

impl Host {
    /// A resolver with all three, which knows `alice`.
    fn new() -> Host {
        let (certificate, upstream) = (Certificate::new(), Counting::start());
        let config = format!(
            "{LISTEN}certificate = '{}'\nkey = '{}'\n",
            certificate.file().display(),
            certificate.key().display()
        );
        let machine = Machine::with_config(upstream.addr, &config);
        let (resolver, user) = machine.start();
        user.register("alice", &zones::path("alice"));
        Host { certificate, _machine: machine, _upstream: upstream, resolver, _user: user }
    }

    fn kdig(&self, key: &str, options: &str, name: &str) -> String {
        let address = self.resolver.addr(key);
        let output = Command::new("kdig")
            .args([
                &format!("@{}", address.ip()),
                "-p",
                &address.port().to_string(),
                "+time=10",
                "+retry=1",
            ])
            .arg(format!("+tls-ca={}", self.certificate.file().display()))
            .arg("+tls-hostname=dns.example")
            .args(options.split_whitespace())
            .args([name, "A"])
            .output()
            .expect("kdig runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr)
    }

    /// Status, headers and body.
    fn curl(&self, path: &str, options: &[&str]) -> (u16, String, Vec<u8>) {
        let port = self.resolver.addr("dns_https").port();
        let body = self.certificate.dir.path().join("body");
        // What is left of an earlier answer is none.
        let _ = fs::remove_file(&body);
        let output = Command::new("curl")
            .args(["-sS", "--max-time", "20", "-D", "-", "-w", "%{http_code} %{http_version}"])
            .args([
                "--noproxy",
                "*",
                "--resolve",
                &format!("dns.example:{port}:127.0.0.1"),
                "--cacert",
            ])
            .arg(self.certificate.file())
            .arg("-o")
            .arg(&body)
            .args(options)
            .arg(format!("https://dns.example:{port}{path}"))
            .output()
            .expect("curl runs");
        let said = String::from_utf8_lossy(&output.stdout).to_ascii_lowercase();
        let last = said.lines().last().unwrap_or_default();
        let status = last.split(' ').next().and_then(|code| code.parse().ok()).unwrap_or_default();
        (status, said, fs::read(&body).unwrap_or_default())
    }
}

#[test]
fn kdig_is_answered_over_each_and_padded() {
    if !tools::available("kdig_is_answered_over_each_and_padded", &["kdig", "dig"]) {
        return;
    }
    let site = Host::new();
    for (key, transport) in [
        ("dns_tls", "+tls"),
        ("dns_https", "+https=/dns-query"),
        ("dns_https", "+https=/dns-query +https-get"),
        ("dns_quic", "+quic"),
    ] {
        for (name, address) in [("www.alice.", "192.0.2.10"), ("www.example.com.", "203.0.113.99")]
        {
            let said = site.kdig(key, &format!("{transport} +padding=128"), name);
            assert!(
                said.contains("status: NOERROR") && said.contains(address),
                "{transport} {name}: {said}"
            );
            assert!(said.contains("Received 468 B"), "{transport}: {said}");
            let said = site.kdig(key, &format!("{transport} +noedns"), name);
            assert!(
                said.contains(address) && !said.contains("Received 468 B"),
                "{transport}: {said}"
            );
        }
        let said = site.kdig(key, transport, "x.test.");
        assert!(said.contains("status: NXDOMAIN"), "{transport}: {said}");
    }
}

#[test]
fn curl_gets_what_rfc_8484_says() {
    if !tools::available("curl_gets_what_rfc_8484_says", &["curl", "dig"]) {
        return;
    }
    let site = Host::new();
    let query = upstream::query(0, "www.example.com.", 1);
    let file = site.certificate.dir.path().join("query");
    fs::write(&file, &query).expect("room");
    let data = format!("@{}", file.display());
    let (message, kind) = ("content-type: application/dns-message", "content-type: text/plain");
    for version in ["--http2", "--http1.1"] {
        let post = |kind: &str, data: &str, path: &str| {
            site.curl(path, &[version, "-H", kind, "--data-binary", data])
        };
        let (status, said, body) = post(message, &data, "/dns-query");
        assert_eq!(status, 200, "{said}");
        let used = if version == "--http2" { "200 2" } else { "200 1.1" };
        assert!(said.ends_with(used) && said.contains(message), "{said}");
        let age: Option<u32> =
            said.split("max-age=").nth(1).and_then(|age| age.lines().next()?.trim().parse().ok());
        assert!(age.is_some_and(|age| age <= 60), "{said}");
        assert!(body.ends_with(&[203, 0, 113, 99]) && body[..2] == [0, 0], "{body:?}");
        // The example of RFC 8484 §4.1.1: www.example.com, type A.
        let get = "/dns-query?dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB";
        let (status, _, body) = site.curl(get, &[version]);
        assert!(status == 200 && body.ends_with(&[203, 0, 113, 99]), "{status} {body:?}");
        let large = site.certificate.dir.path().join("large");
        fs::write(&large, vec![0; 70_000]).expect("room");
        let large = format!("@{}", large.display());
        let mut answer = query.clone();
        answer[2] |= 0x80;
        fs::write(site.certificate.dir.path().join("answer"), &answer).expect("room");
        let answer = format!("@{}", site.certificate.dir.path().join("answer").display());
        for (expected, (status, said, _)) in [
            (404, post(message, &data, "/")),
            (404, site.curl("/dns-query/x", &[version])),
            (400, site.curl("/dns-query", &[version])),
            (400, site.curl("/dns-query?dns=AA=", &[version])),
            (400, site.curl("/dns-query?dns=AAAA", &[version])),
            (400, post(message, &answer, "/dns-query")),
            (405, site.curl("/dns-query", &[version, "-X", "DELETE"])),
            (413, post(message, &large, "/dns-query")),
            (415, post(kind, &data, "/dns-query")),
        ] {
            assert_eq!(status, expected, "{said}");
        }
    }
}

#[test]
fn another_resolver_is_answered_by_ca_and_by_pin_and_a_renewed_certificate_is_taken_up() {
    let test =
        "another_resolver_is_answered_by_ca_and_by_pin_and_a_renewed_certificate_is_taken_up";
    if !tools::available(test, &["dig"]) {
        return;
    }
    let site = Host::new();
    let url = |scheme: &str, trust: &str| {
        let port = site.resolver.addr(&format!("dns_{scheme}")).port();
        let path = if scheme == "https" { "/dns-query" } else { "" };
        format!("{scheme}://dns.example:{port}{path}?bootstrap=127.0.0.1&{trust}")
    };
    let asked = |url: &str, name: &str| {
        let machine = Machine::with_upstreams(&format!("upstream = ['{url}']\n"));
        dig::ask(machine.resolver().addr("dns"), name, "A", "")
    };
    let pin = format!("pin={}", site.resolver.line["dns_pin"].as_str().expect("a pin"));
    let ca = format!("ca={}", site.certificate.file().display());
    for scheme in ["tls", "https", "quic"] {
        for trust in [&pin, &ca] {
            let reply = asked(&url(scheme, trust), "www.example.com.");
            assert_eq!(reply.rdata("A"), ["203.0.113.99"], "{scheme} {trust}: {reply:?}");
        }
    }
    site.certificate.renew();
    site.resolver.signal("HUP");
    wait::until("the certificate is taken up", || {
        (asked(&url("tls", &ca), "www.example.com.").rdata("A") == ["203.0.113.99"]).then_some(())
    });
    let reply = asked(&url("tls", &pin), "www.example.com.");
    assert_eq!(
        (reply.status.as_str(), reply.ede.contains(&23)),
        ("SERVFAIL", true),
        "another key: {reply:?}"
    );
}

#[test]
fn junk_and_clients_that_go_away_keep_nobody_from_an_answer() {
    if !tools::available(
        "junk_and_clients_that_go_away_keep_nobody_from_an_answer",
        &["kdig", "dig", "openssl"],
    ) {
        return;
    }
    let mut site = Host::new();
    for key in ["dns_tls", "dns_https"] {
        let address = site.resolver.addr(key);
        for junk in [&b""[..], b"\x16\x03\x01\xff\xff", b"GET / HTTP/1.1\r\n\r\n", &[0xff; 4_096]] {
            let mut stream = TcpStream::connect(address).expect("it listens");
            // It may close before all is written.
            let _ = stream.write_all(junk);
        }
        // Half a question in TLS, and gone.
        half(
            address,
            if key == "dns_tls" {
                b"\x00\xff\x00"
            } else {
                b"POST /dns-query HTTP/1.1\r\nContent-Le"
            },
        );
    }
    let quic = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    for junk in [&b"x"[..], &[0xc0; 1_200], &[0x40; 600]] {
        quic.send_to(junk, site.resolver.addr("dns_quic")).expect("it is sent");
    }
    for (key, transport) in
        [("dns_tls", "+tls"), ("dns_https", "+https=/dns-query"), ("dns_quic", "+quic")]
    {
        let said = site.kdig(key, transport, "www.alice.");
        assert!(said.contains("192.0.2.10"), "{transport}: {said}");
    }
    assert!(site.resolver.runs());
}

fn half(address: SocketAddr, bytes: &[u8]) {
    let mut child = Command::new("openssl")
        .args(["s_client", "-quiet", "-connect", &address.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl runs");
    child.stdin.take().expect("piped").write_all(bytes).expect("it takes them");
    child.wait().expect("it ends with its input");
}

#[test]
fn gnutls_knows_the_raw_key() {
    if !tools::available("gnutls_knows_the_raw_key", &["gnutls-cli", "openssl"]) {
        return;
    }
    let upstream = Counting::start();
    let home = tempfile::tempdir().expect("a directory");
    let key = home.path().join("tls.key");
    let config =
        format!("[encrypted]\nlisten-tls = ['127.0.0.1:0']\nraw-key = '{}'\n", key.display());
    let machine = Machine::with_config(upstream.addr, &config);
    let resolver = machine.resolver();
    let pin = resolver.line["dns_pin"].as_str().expect("a pin").to_owned();
    // The key's hash by somebody else.
    let spki = home.path().join("spki.der");
    let made = Command::new("openssl")
        .args(["pkey", "-pubout", "-outform", "DER", "-in"])
        .arg(&key)
        .arg("-out")
        .arg(&spki)
        .status();
    assert!(made.is_ok_and(|status| status.success()));
    let hash = Command::new("openssl")
        .args(["dgst", "-sha256", "-r"])
        .arg(&spki)
        .output()
        .expect("openssl runs");
    assert!(String::from_utf8_lossy(&hash.stdout).starts_with(&pin), "{hash:?} {pin}");
    let said = handshake(
        resolver.addr("dns_tls"),
        "NORMAL:+CTYPE-CLI-RAWPK:+CTYPE-SRV-RAWPK",
        home.path(),
    );
    assert!(said.contains("Handshake was completed") && said.contains("Raw Public Key"), "{said}");
    let said = handshake(resolver.addr("dns_tls"), "NORMAL", home.path());
    assert!(
        !said.contains("Handshake was completed"),
        "without raw keys there is nothing to know it by: {said}"
    );
}

fn handshake(address: SocketAddr, priority: &str, home: &Path) -> String {
    let output = Command::new(tools::find("gnutls-cli").expect("it is installed"))
        .args([
            "--insecure",
            "--alpn",
            "dot",
            "--priority",
            priority,
            "-p",
            &address.port().to_string(),
        ])
        .arg(address.ip().to_string())
        .env("HOME", home)
        .current_dir(home)
        .stdin(Stdio::null())
        .output()
        .expect("gnutls-cli runs");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
