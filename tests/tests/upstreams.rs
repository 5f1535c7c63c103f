//! Upstreams of every kind, as the configuration file says them: unbound over TLS and HTTPS, and
//! the servers of the names themselves from a root of the test's own on.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::Command,
};

use tempfile::TempDir;
use tests::{
    dig,
    machine::Machine,
    nsd::{self, Nsd},
    tools,
    unbound::{self, Unbound},
    zones,
};

fn big() -> Vec<String> {
    (0..40).map(|n| format!("big.example.net. 300 IN TXT \"{n:0>100}\"")).collect()
}

#[test]
fn unbound_over_tls_and_https_by_name_with_bootstrap_addresses() {
    let test = "unbound_over_tls_and_https_by_name_with_bootstrap_addresses";
    if !tools::available(test, &["dig", "unbound"]) {
        return;
    }
    let mut data = big();
    data.push("www.example.net. 300 IN A 192.0.2.80".into());
    data.push("wiki.corp.example. 300 IN A 10.0.0.80".into());
    let server = Unbound::start(&data);
    let ca = server.authority();
    let (tls, https, name) = (server.tls.port(), server.https.port(), unbound::NAME);
    let urls = [
        format!("tls://127.0.0.1:{tls}?ca={}#{name}", ca.display()),
        format!("tls://{name}:{tls}?bootstrap=127.0.0.1&ca={}", ca.display()),
        format!("https://{name}:{https}/dns-query?bootstrap=127.0.0.1&ca={}", ca.display()),
    ];
    let mut configs: Vec<String> = urls.iter().map(|url| format!("upstream = '{url}'\n")).collect();
    configs.push(format!(
        "upstream = []\n[[upstreams]]\nurl = 'https://{name}:{https}/dns-query'\nbootstrap = ['127.0.0.1']\nca = '{}'\n",
        ca.display()
    ));
    for config in configs {
        let machine = Machine::with_upstreams(&config);
        let resolver = machine.resolver();
        let dns = resolver.addr("dns");
        let reply = dig::ask(dns, "www.example.net", "A", "");
        assert_eq!(
            (reply.status.as_str(), reply.rdata("A")),
            ("NOERROR", vec!["192.0.2.80"]),
            "{config}"
        );
        assert_eq!(dig::ask(dns, "big.example.net", "TXT", "+tcp").answer.len(), 40, "{config}");
        assert_eq!(dig::ask(dns, "none.example.net", "A", "").status, "NXDOMAIN", "{config}");
    }
    // A zone of its own over TLS, and plain DNS for the rest.
    let config = format!(
        "upstream = '{}'\n[[forward]]\nzone = 'corp.example'\nupstream = '{}'\n",
        server.plain, urls[0]
    );
    let machine = Machine::with_upstreams(&config);
    let resolver = machine.resolver();
    for name in ["wiki.corp.example", "www.example.net"] {
        assert_eq!(dig::ask(resolver.addr("dns"), name, "A", "").answer.len(), 1, "{name}");
    }
}

#[test]
fn a_server_with_a_certificate_of_nobody_is_not_asked() {
    let test = "a_server_with_a_certificate_of_nobody_is_not_asked";
    if !tools::available(test, &["dig", "unbound"]) {
        return;
    }
    let server = Unbound::start(&["www.example.net. 300 IN A 192.0.2.80".to_owned()]);
    let url = format!("tls://127.0.0.1:{}#{}", server.tls.port(), unbound::NAME);
    let machine = Machine::with_upstreams(&format!("upstream = '{url}'\n"));
    let resolver = machine.resolver();
    let reply = dig::ask(resolver.addr("dns"), "www.example.net", "A", "");
    assert_eq!((reply.status.as_str(), reply.ede.as_slice()), ("SERVFAIL", &[23][..]));
}

/// A root, a zone below it, and two below that, signed; and what the resolver has to know of the
/// root.
struct Hierarchy {
    dir: TempDir,
    port: u16,
    _servers: Vec<Nsd>,
}

/// Where the servers of the root, of `example.`, and of what is below are.
const ROOT: Ipv4Addr = Ipv4Addr::new(127, 0, 53, 1);
const TLD: Ipv4Addr = Ipv4Addr::new(127, 0, 53, 2);
const LEAF: Ipv4Addr = Ipv4Addr::new(127, 0, 53, 3);

fn zone(origin: &str, server: &str, address: Ipv4Addr, rest: &str) -> String {
    format!(
        "$ORIGIN {origin}\n$TTL 300\n@ IN SOA {server} host.example. 1 3600 600 86400 60\n@ IN NS {server}\n\
         {server} IN A {address}\n{rest}\n"
    )
}

fn run(dir: &Path, program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).current_dir(dir).output().expect("it runs");
    assert!(output.status.success(), "{program}: {output:?}");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

/// Signs a zone; the signed zone, its DS, and its DNSKEY.
fn sign(dir: &Path, origin: &str, text: &str) -> (String, String, String) {
    fs::write(dir.join("zone"), text).expect("room for a zone");
    let key =
        run(dir, "ldns-keygen", &["-k", "-a", "ECDSAP256SHA256", "-r", "/dev/urandom", origin]);
    run(dir, "ldns-signzone", &["-o", origin, "zone", &key]);
    let ds = run(dir, "ldns-key2ds", &["-n", "-2", &format!("{key}.key")]);
    let dnskey = fs::read_to_string(dir.join(format!("{key}.key"))).expect("a key");
    (fs::read_to_string(dir.join("zone.signed")).expect("a signed zone"), ds, dnskey)
}

impl Hierarchy {
    fn start() -> Hierarchy {
        let dir = tempfile::tempdir().expect("a directory");
        let at = dir.path();
        let rest = "www IN A 192.0.2.1\nalias IN CNAME www.example.\nours IN CNAME www.alice.\nmany IN TXT a\nmany IN TXT b\n";
        let good = zone("good.example.", "ns.good.example.", LEAF, rest);
        let (good, good_ds, _) = sign(at, "good.example.", &good);
        let bad = zone("bad.example.", "ns.bad.example.", LEAF, rest);
        let (bad, _, _) = sign(at, "bad.example.", &bad);
        // The DS of a key that is not the zone's.
        let (_, bad_ds, _) =
            sign(at, "bad.example.", &zone("bad.example.", "ns.bad.example.", LEAF, ""));
        let plain = zone("plain.example.", "ns.plain.example.", LEAF, rest);
        let below = format!(
            "good IN NS ns.good\nns.good IN A {LEAF}\n{good_ds}\nbad IN NS ns.bad\nns.bad IN A {LEAF}\n{bad_ds}\n\
             plain IN NS ns.plain\nns.plain IN A {LEAF}\nwww IN A 192.0.2.2\n"
        );
        let (tld, tld_ds, _) = sign(at, "example.", &zone("example.", "ns.example.", TLD, &below));
        let below = format!("example. IN NS ns.example.\nns.example. IN A {TLD}\n{tld_ds}\n");
        let (root, _, anchor) = sign(at, ".", &zone(".", "a.root.", ROOT, &below));
        fs::write(at.join("hints"), format!(". 300 NS a.root.\na.root. 300 A {ROOT}\n"))
            .expect("room");
        fs::write(at.join("anchor"), anchor).expect("room");
        let of = |origin: &str, text: &str| (origin.to_owned(), text.to_owned());
        let leaves =
            [of("good.example.", &good), of("bad.example.", &bad), of("plain.example.", &plain)];
        for _ in 0..5 {
            let port = nsd::free_port();
            let servers: Result<Vec<Nsd>, String> = [
                (ROOT, vec![of(".", &root)]),
                (TLD, vec![of("example.", &tld)]),
                (LEAF, leaves.to_vec()),
            ]
            .into_iter()
            .map(|(address, zones)| Nsd::start_at(SocketAddr::from((address, port)), &zones))
            .collect();
            match servers {
                Ok(servers) => return Hierarchy { dir, port, _servers: servers },
                Err(log) => eprintln!("nsd on port {port}: {log}"),
            }
        }
        panic!("the servers did not come up");
    }

    fn config(&self, upstream: &str) -> String {
        let at = self.dir.path().display();
        format!(
            "upstream = {upstream}\n[recursive]\nroot-hints = '{at}/hints'\ntrust-anchor = '{at}/anchor'\nport = {}\n\
             loopback = true\n",
            self.port
        )
    }
}

#[test]
fn from_the_root_on() {
    let test = "from_the_root_on";
    if !tools::available(test, &["dig", "nsd", "ldns-keygen", "ldns-signzone", "ldns-key2ds"]) {
        return;
    }
    let hierarchy = Hierarchy::start();
    // Alone, and behind an upstream that is not there.
    let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, nsd::free_port()));
    for upstream in ["'recursive'".to_owned(), format!("['{nobody}', 'recursive']")] {
        let machine = Machine::with_upstreams(&hierarchy.config(&upstream));
        let (resolver, user) = machine.start();
        let dns = resolver.addr("dns");
        user.register("alice", &zones::path("alice"));
        for pass in ["from the servers", "from the cache"] {
            for (name, rtype, status, answers, authentic) in [
                ("www.good.example", "A", "NOERROR", vec!["192.0.2.1"], true),
                ("www.plain.example", "A", "NOERROR", vec!["192.0.2.1"], false),
                ("www.example", "A", "NOERROR", vec!["192.0.2.2"], true),
                ("alias.good.example", "A", "NOERROR", vec!["192.0.2.2"], true),
                ("many.good.example", "TXT", "NOERROR", vec!["\"a\"", "\"b\""], true),
                ("none.good.example", "A", "NXDOMAIN", vec![], true),
                ("www.good.example", "AAAA", "NOERROR", vec![], true),
                ("www.bad.example", "A", "SERVFAIL", vec![], false),
                ("www.nothing-at-all.example", "A", "NXDOMAIN", vec![], true),
                // An alias of legacy DNS that leads to a name of the chain, of which the root knows
                // nothing. Both parts are authentic.
                ("ours.good.example", "A", "NOERROR", vec!["192.0.2.10"], true),
                ("ours.plain.example", "A", "NOERROR", vec!["192.0.2.10"], false),
                ("www.nobodys-label-at-all", "A", "NXDOMAIN", vec![], true),
            ] {
                let reply = dig::ask(dns, name, rtype, "+adflag");
                assert_eq!(
                    (reply.status.as_str(), reply.rdata(rtype), reply.has("ad")),
                    (status, answers, authentic),
                    "{upstream}: {name} {rtype} {pass}: {reply:?}"
                );
            }
        }
        let bogus = dig::ask(dns, "many.bad.example", "TXT", "");
        assert_eq!(
            (bogus.status.as_str(), bogus.ede.as_slice()),
            ("SERVFAIL", &[6][..]),
            "{upstream}"
        );
        let checked_by_the_client = dig::ask(dns, "www.bad.example", "A", "+cdflag");
        assert_eq!(checked_by_the_client.rdata("A"), ["192.0.2.1"], "{upstream}");
        let signed = dig::ask(dns, "www.good.example", "A", "+dnssec");
        assert_eq!(signed.rdata("RRSIG").len(), 1, "{upstream}");
    }
}
