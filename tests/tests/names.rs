//! Names of the chain in DNS: registered with `zonetool`, asked for with dig, kdig and drill.

use std::{fs, net::SocketAddr, process::Command};

use tests::{dig, machine::Machine, nsd::Nsd, program::Outcome, tools, upstream::Counting, zones};

#[test]
fn a_name_answers_with_all_its_records() {
    if !tools::available("a_name_answers_with_all_its_records", &["dig"]) {
        return;
    }
    let machine = Machine::new(Counting::start().addr);
    let (resolver, user) = machine.start();
    user.register("alice", &zones::path("alice"));
    let dns = resolver.addr("dns");
    for (name, rtype, expected) in [
        ("alice.", "A", vec!["192.0.2.10"]),
        ("alice.", "AAAA", vec!["2001:db8::10"]),
        ("alice.", "MX", vec!["10 mail.alice.", "20 mail.example.net."]),
        ("alice.", "TXT", vec!["\"v=spf1 mx -all\""]),
        (
            "alice.",
            "CAA",
            vec!["0 iodef \"mailto:alice@example.net\"", "0 issue \"letsencrypt.org\""],
        ),
        ("alice.", "HTTPS", vec!["1 . alpn=\"h2,h3\" ipv4hint=192.0.2.10 ipv6hint=2001:db8::10"]),
        ("www.alice.", "A", vec!["192.0.2.10"]),
        ("blog.alice.", "CNAME", vec!["www.alice."]),
        ("_xmpp-client._tcp.alice.", "SRV", vec!["5 0 5222 www.alice."]),
        (
            "_443._tcp.www.alice.",
            "TLSA",
            vec!["3 1 1 0D6FCE13243AA7CE13C5F0BF0D7A6E7B3F2D3E8E1B9F5A4C6D7E8F9A 0B1C2D3E"],
        ),
        (
            "host.alice.",
            "SSHFP",
            vec!["4 2 123456789ABCDEF67890123456789ABCDEF67890123456789ABCDEF1 23456789"],
        ),
    ] {
        for options in ["+notcp", "+tcp", "+noedns"] {
            let reply = dig::ask(dns, name, rtype, options);
            assert_eq!(reply.rdata(rtype), expected, "{name} {rtype} {options}: {reply:?}");
            assert!(reply.has("aa") && reply.has("ra"), "{name} {rtype} {options}: {reply:?}");
            assert!(reply.answer.iter().all(|row| row.ttl == 3600), "{reply:?}");
            assert_eq!(
                reply.edns_size,
                (options != "+noedns").then_some(1_232),
                "{name} {rtype} {options}"
            );
        }
    }
    // A CNAME is followed inside the zone.
    let blog = dig::ask(dns, "blog.alice.", "A", "");
    assert_eq!((blog.rdata("CNAME"), blog.rdata("A")), (vec!["www.alice."], vec!["192.0.2.10"]));
    // Case is not looked at, and is given back as asked.
    let upper = dig::ask(dns, "WwW.aLiCe.", "A", "");
    assert_eq!(
        (upper.rdata("A"), upper.answer[0].owner.as_str()),
        (vec!["192.0.2.10"], "WwW.aLiCe.")
    );
}

#[test]
fn what_is_not_there_comes_with_a_soa() {
    if !tools::available("what_is_not_there_comes_with_a_soa", &["dig"]) {
        return;
    }
    let upstream = Counting::start();
    let machine = Machine::new(upstream.addr);
    let (resolver, user) = machine.start();
    user.register("alice", &zones::path("alice"));
    let dns = resolver.addr("dns");
    for (name, rtype, status) in [
        ("www.alice.", "MX", "NOERROR"),
        ("_tcp.www.alice.", "A", "NOERROR"),
        ("nowhere.alice.", "A", "NXDOMAIN"),
        ("a.b.c.www.alice.", "TXT", "NXDOMAIN"),
        ("www.alice.namechain.alt.", "MX", "NOERROR"),
        ("nowhere.alice.namechain.alt.", "A", "NXDOMAIN"),
        ("not-registered.namechain.alt.", "A", "NXDOMAIN"),
        ("www.not-registered.namechain.alt.", "A", "NXDOMAIN"),
    ] {
        let reply = dig::ask(dns, name, rtype, "");
        assert_eq!(
            (reply.status.as_str(), reply.answer.len()),
            (status, 0),
            "{name} {rtype}: {reply:?}"
        );
        let soa: Vec<&str> = reply.authority.iter().map(|row| row.rtype.as_str()).collect();
        assert_eq!(soa, ["SOA"], "{name} {rtype}: {reply:?}");
    }
    assert_eq!(upstream.asked(), Vec::<String>::new(), "nothing of this leaves the machine");
}

/// The same zone at both places, with names inside it put where it is asked for.
#[test]
fn a_name_stands_at_the_root_and_under_namechain_alt() {
    if !tools::available("a_name_stands_at_the_root_and_under_namechain_alt", &["dig"]) {
        return;
    }
    let machine = Machine::new(Counting::start().addr);
    let (resolver, user) = machine.start();
    user.register("alice", &zones::path("alice"));
    let dns = resolver.addr("dns");
    for mount in ["", "namechain.alt."] {
        let reply = dig::ask(dns, &format!("blog.alice.{mount}"), "A", "");
        assert_eq!(reply.rdata("CNAME"), [format!("www.alice.{mount}")], "{reply:?}");
        assert_eq!(reply.rdata("A"), ["192.0.2.10"], "{reply:?}");
        assert!(reply.has("aa"), "{reply:?}");
        let mail = dig::ask(dns, &format!("alice.{mount}"), "MX", "");
        assert_eq!(
            mail.rdata("MX"),
            [format!("10 mail.alice.{mount}"), "20 mail.example.net.".to_owned()]
        );
    }
}

#[test]
fn a_long_answer_is_cut_over_udp_and_whole_over_tcp() {
    if !tools::available("a_long_answer_is_cut_over_udp_and_whole_over_tcp", &["dig"]) {
        return;
    }
    let machine = Machine::new(Counting::start().addr);
    let (resolver, user) = machine.start();
    user.register("longtext", &zones::path("longtext"));
    let dns = resolver.addr("dns");
    for (options, limit) in [
        ("+ignore +bufsize=4096", 1_232),
        ("+ignore +bufsize=1232", 1_232),
        ("+ignore +noedns", 512),
    ] {
        let cut = dig::ask(dns, "big.longtext.", "TXT", options);
        assert!(cut.has("tc") && cut.size <= limit, "{options}: {cut:?}");
    }
    let whole = dig::ask(dns, "big.longtext.", "TXT", "+tcp");
    assert!(!whole.has("tc") && whole.size > 1_232, "{whole:?}");
    assert_eq!(whole.rdata("TXT").len(), 6);
    let again = dig::ask(dns, "big.longtext.", "TXT", "");
    assert_eq!(again.rdata("TXT"), whole.rdata("TXT"), "dig asks again over TCP by itself");
    let strings = dig::ask(dns, "strings.longtext.", "TXT", "");
    assert!(!strings.has("tc"), "{strings:?}");
    assert!(
        strings.rdata("TXT")[0].ends_with(" \"\" \"second\" \"third\" \"fourth\""),
        "{strings:?}"
    );
}

/// dig, kdig and drill are three implementations: an answer that one forgives, another may not.
#[test]
fn kdig_and_drill_read_the_answers_too() {
    if !tools::available("kdig_and_drill_read_the_answers_too", &["kdig", "drill"]) {
        return;
    }
    let machine = Machine::new(Counting::start().addr);
    let (resolver, user) = machine.start();
    user.register("alice", &zones::path("alice"));
    user.register("unknown-types", &zones::path("unknown-types"));
    let dns = resolver.addr("dns");
    for (name, rtype, expected) in [
        ("www.alice", "A", "192.0.2.10"),
        ("alice", "AAAA", "2001:db8::10"),
        ("alice", "MX", "10 mail.alice."),
        ("_xmpp-client._tcp.alice", "SRV", "5 0 5222 www.alice."),
        ("unknown-types", "TYPE65280", "\\# 4 0A000001"),
        ("a.unknown-types", "A", "192.0.2.70"),
    ] {
        for tcp in [false, true] {
            let kdig = kdig(dns, name, rtype, tcp);
            assert!(
                kdig.contains(expected) && kdig.contains("status: NOERROR"),
                "{name} {rtype}: {kdig}"
            );
            assert!(!kdig.contains("WARNING"), "{name} {rtype}: {kdig}");
            let drill = drill(dns, name, rtype, tcp);
            // Hexadecimal digits in drill's own case.
            let drill = drill.replace("0a000001", "0A000001");
            assert!(
                drill.contains(expected) && drill.contains("rcode: NOERROR"),
                "{name} {rtype}: {drill}"
            );
        }
    }
}

fn kdig(dns: SocketAddr, name: &str, rtype: &str, tcp: bool) -> String {
    let mut command = Command::new("kdig");
    command.args([&format!("@{}", dns.ip()), "-p", &dns.port().to_string()]);
    command.args([if tcp { "+tcp" } else { "+notcp" }, "+edns", "-q", name, "-t", rtype]);
    run(command)
}

fn drill(dns: SocketAddr, name: &str, rtype: &str, tcp: bool) -> String {
    let mut command = Command::new("drill");
    command.args(["-p", &dns.port().to_string(), if tcp { "-t" } else { "-u" }]);
    command.args([name, &format!("@{}", dns.ip()), rtype]);
    run(command)
}

fn run(mut command: Command) -> String {
    let outcome =
        Outcome::from(command.output().unwrap_or_else(|error| panic!("{command:?}: {error}")));
    assert_eq!(outcome.code, 0, "{command:?}: {outcome:?}");
    outcome.stdout
}

#[test]
fn an_update_is_answered_at_once_and_outlives_a_restart() {
    if !tools::available("an_update_is_answered_at_once_and_outlives_a_restart", &["dig"]) {
        return;
    }
    let machine = Machine::new(Counting::start().addr);
    let (resolver, mut user) = machine.start();
    user.register("alice", &zones::path("alice"));
    let dns = resolver.addr("dns");
    assert_eq!(dig::ask(dns, "alice.", "A", "").rdata("A"), ["192.0.2.10"]);
    let minimal = zones::path("minimal");
    user.zonetool(&["update", "alice", "--zone", minimal.to_str().expect("UTF-8"), "--wait"]).ok();
    let check = |dns| {
        assert_eq!(dig::ask(dns, "alice.", "A", "").rdata("A"), ["192.0.2.1"]);
        assert_eq!(dig::ask(dns, "www.alice.", "A", "").status, "NXDOMAIN");
    };
    check(dns);
    assert_eq!(resolver.interrupt().code(), Some(0), "Ctrl-C is an orderly end");

    let resolver = machine.resolver();
    check(resolver.addr("dns"));
    user.move_to(resolver.addr("api"));
    let shown = user.zonetool(&["show", "alice"]).ok();
    assert!(shown.stdout.contains("alice"), "{shown:?}");
    // The same key still has the name.
    let alice = zones::path("alice");
    user.zonetool(&["update", "alice", "--zone", alice.to_str().expect("UTF-8"), "--wait"]).ok();
    assert_eq!(dig::ask(resolver.addr("dns"), "www.alice.", "A", "").rdata("A"), ["192.0.2.10"]);
}

/// What `zone` prints is a master file that `update` takes, and that a real server reads as the
/// same zone.
#[test]
fn the_zone_that_is_printed_is_the_zone_that_was_read() {
    if !tools::available("the_zone_that_is_printed_is_the_zone_that_was_read", &["dig", "nsd"]) {
        return;
    }
    let machine = Machine::new(Counting::start().addr);
    let (_resolver, user) = machine.start();
    let kept = zones::kept();
    let printed = tempfile::tempdir().expect("a directory");
    for zone in &kept {
        user.register(&zone.name, &zone.path);
        let text = user.zonetool_text(&["zone", &zone.name]).ok().stdout;
        let file = printed.path().join(format!("{}.zone", zone.name));
        fs::write(&file, text).expect("room for a zone");
        user.zonetool(&["update", &zone.name, "--zone", file.to_str().expect("UTF-8"), "--wait"])
            .ok();
    }
    let servers = [kept, zones::in_dir(printed.path())].map(|zones| {
        let whole: Vec<(String, String)> = zones.iter().map(zones::ZoneFile::for_server).collect();
        (Nsd::start(&whole), zones)
    });
    let [(before, kept), (after, printed)] = &servers;
    assert_eq!(kept.len(), printed.len());
    for zone in kept {
        let origin = format!("{}.", zone.name);
        let sorted = |server: &Nsd| {
            let mut rows = dig::transfer(server.addr, &origin);
            rows.sort();
            rows
        };
        assert_eq!(sorted(before), sorted(after), "{origin}");
    }
}

#[test]
fn a_delegation_is_answered_by_asking_its_servers() {
    if !tools::available("a_delegation_is_answered_by_asking_its_servers", &["dig", "nsd"]) {
        return;
    }
    let zone = |origin: &str, address: &str| {
        let text = format!(
            "$ORIGIN {origin}\n$TTL 300\n@ SOA ns1 host 1 2 3 4 60\n@ NS ns1\nns1 A 127.0.0.1\n\
             @ A {address}\nwww A {address}\n*.wild TXT \"from the child\"\nalias CNAME www\n"
        );
        (origin.to_owned(), text)
    };
    let child = Nsd::start(&[zone("outside.", "192.0.2.201"), zone("lab.partly.", "192.0.2.202")]);
    let upstream = Counting::start();
    let port = child.addr.port();
    let machine = Machine::with_config(
        upstream.addr,
        &format!("[delegation]\nport = {port}\nloopback = true\n"),
    );
    let (resolver, user) = machine.start();
    let dns = resolver.addr("dns");
    for (name, text) in [
        ("outside", "@ 300 NS ns1\nns1 300 A 127.0.0.1\n"),
        ("partly", "@ 300 A 192.0.2.200\nlab 300 NS ns.lab\nns.lab 300 A 127.0.0.1\n"),
    ] {
        let file = machine.home().join(format!("{name}.zone"));
        fs::write(&file, text).expect("room for a zone");
        user.register(name, &file);
    }
    for options in ["+notcp", "+tcp"] {
        for (name, rtype, status, expected) in [
            ("outside.", "A", "NOERROR", vec!["192.0.2.201"]),
            ("www.outside.", "A", "NOERROR", vec!["192.0.2.201"]),
            ("alias.outside.", "A", "NOERROR", vec!["192.0.2.201"]),
            ("x.wild.outside.", "TXT", "NOERROR", vec!["\"from the child\""]),
            ("missing.outside.", "A", "NXDOMAIN", vec![]),
            ("www.outside.", "MX", "NOERROR", vec![]),
            ("www.outside.namechain.alt.", "A", "NOERROR", vec!["192.0.2.201"]),
            ("partly.", "A", "NOERROR", vec!["192.0.2.200"]),
            ("www.lab.partly.", "A", "NOERROR", vec!["192.0.2.202"]),
            ("missing.partly.", "A", "NXDOMAIN", vec![]),
        ] {
            let reply = dig::ask(dns, name, rtype, options);
            assert_eq!(
                (reply.status.as_str(), reply.rdata(rtype)),
                (status, expected),
                "{name} {options}: {reply:?}"
            );
        }
    }
    // Authority over what others serve is theirs; over the rest of the zone it is ours.
    assert!(!dig::ask(dns, "www.outside.", "A", "").has("aa"));
    assert!(dig::ask(dns, "partly.", "A", "").has("aa"));
    assert_eq!(upstream.asked(), Vec::<String>::new());
    drop(child);
    let gone = dig::ask(dns, "not-asked-before.outside.", "A", "");
    assert_eq!((gone.status.as_str(), gone.ede.is_empty()), ("SERVFAIL", false), "{gone:?}");
    assert_eq!(
        upstream.asked(),
        Vec::<String>::new(),
        "a silent server is no reason to ask legacy DNS"
    );
}
