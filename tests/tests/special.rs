//! What never leaves the machine, and what falls through to legacy DNS.

use tests::{dig, machine::Machine, tools, upstream::Counting, zones};

#[test]
fn special_use_names_never_reach_the_upstream() {
    if !tools::available("special_use_names_never_reach_the_upstream", &["dig"]) {
        return;
    }
    let upstream = Counting::start();
    let machine = Machine::new(upstream.addr);
    let resolver = machine.resolver();
    let dns = resolver.addr("dns");
    for (name, status) in [
        ("localhost.", "NOERROR"),
        ("a.localhost.", "NOERROR"),
        ("x.test.", "NXDOMAIN"),
        ("host.invalid.", "NXDOMAIN"),
        ("printer.local.", "NXDOMAIN"),
        ("hidden.onion.", "NXDOMAIN"),
        ("anything.alt.", "NXDOMAIN"),
        ("use-application-dns.net.", "NXDOMAIN"),
        ("router.home.arpa.", "NXDOMAIN"),
        ("1.0.0.127.in-addr.arpa.", "NOERROR"),
        ("1.1.168.192.in-addr.arpa.", "NXDOMAIN"),
        ("5.4.3.10.in-addr.arpa.", "NXDOMAIN"),
        ("nobody-has-this.namechain.alt.", "NXDOMAIN"),
    ] {
        for (name, rtype) in
            [(name.to_owned(), "A"), (name.to_uppercase(), "TXT"), (format!("sub.{name}"), "AAAA")]
        {
            let reply = dig::ask(dns, &name, rtype, "");
            if !name.starts_with("sub.") {
                assert_eq!(reply.status, status, "{name}: {reply:?}");
            }
            assert!(
                reply.rdata("A").iter().all(|address| *address == "127.0.0.1"),
                "{name}: {reply:?}"
            );
        }
    }
    assert_eq!(dig::ask(dns, "localhost.", "AAAA", "").rdata("AAAA"), ["::1"]);
    assert_eq!(upstream.asked(), Vec::<String>::new());
}

/// The order of DESIGN: the chain is asked for what it could hold, legacy DNS for the rest.
#[test]
fn what_the_chain_does_not_have_goes_to_legacy_dns() {
    if !tools::available("what_the_chain_does_not_have_goes_to_legacy_dns", &["dig"]) {
        return;
    }
    let upstream = Counting::start();
    let machine = Machine::new(upstream.addr);
    let (resolver, user) = machine.start();
    let dns = resolver.addr("dns");
    let legacy = [
        "www.example.com.",
        "com.",
        "www.alice.",
        "wpad.",
        "de.",
        "under_score.",
        "a.b.c.under_score.",
        "xn--p1ai.",
        // The network's own server answers for these.
        "metadata.google.internal.",
        "ipv4only.arpa.",
    ];
    for name in legacy {
        let reply = dig::ask(dns, name, "A", "");
        assert_eq!(reply.rdata("A"), ["203.0.113.99"], "{name}: {reply:?}");
        assert!(!reply.has("aa"), "{name}: {reply:?}");
    }
    assert_eq!(upstream.asked(), legacy, "each was asked once");
    // The moment that it has an owner, it is the owner's: what legacy DNS said is forgotten.
    user.register("alice", &zones::path("alice"));
    let reply = dig::ask(dns, "www.alice.", "A", "");
    assert_eq!((reply.rdata("A"), reply.has("aa")), (vec!["192.0.2.10"], true), "{reply:?}");
    assert_eq!(dig::ask(dns, "nothing.alice.", "A", "").status, "NXDOMAIN");
    assert_eq!(upstream.asked(), legacy, "and nobody else was asked");
    // The cache answers the second question.
    assert_eq!(dig::ask(dns, "www.example.com.", "A", "").rdata("A"), ["203.0.113.99"]);
    assert_eq!(upstream.asked(), legacy);
}
