//! Legacy DNS through the resolver: what a real authoritative server says, it says too.

use tests::{
    compare::{self, Depth},
    dig,
    machine::Machine,
    nsd::Nsd,
    source, tools, zones,
};

/// The zones in `testdata/legacy`, with their origins.
fn legacy_zones() -> Vec<(String, String)> {
    let dir = source::root().join("testdata/legacy");
    let zones = zones::in_dir(&dir).into_iter().map(|zone| {
        let text = std::fs::read_to_string(&zone.path).expect("a zone file");
        (format!("{}.", zone.name), text)
    });
    zones.collect()
}

fn through_us(test: &str, options: &str) {
    if !tools::available(test, &["dig", "nsd"]) {
        return;
    }
    let zones = legacy_zones();
    let authority = Nsd::start(&zones);
    let machine = Machine::new(authority.addr);
    let resolver = machine.resolver();
    let mut questions = Vec::new();
    for (origin, _) in &zones {
        questions.extend(compare::questions(&dig::transfer(authority.addr, origin)));
        questions.extend([(origin.clone(), "SOA".to_owned()), (origin.clone(), "NS".to_owned())]);
    }
    // What is above or beside the zone is not its business.
    questions.retain(|(name, _)| {
        zones.iter().any(|(origin, _)| name == origin || name.ends_with(&format!(".{origin}")))
    });
    assert!(questions.len() > 200, "only {}", questions.len());
    let dns = resolver.addr("dns");
    for pass in ["from the server", "from the cache"] {
        let lines = compare::differences(authority.addr, dns, &questions, options, Depth::Sections);
        let shown = lines.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
        assert!(lines.is_empty(), "{pass}: {} of {} differ:\n{shown}", lines.len(), questions.len());
    }
}

#[test]
fn answers_over_udp_are_those_of_the_server() {
    through_us("answers_over_udp_are_those_of_the_server", "+notcp");
}

#[test]
fn answers_over_tcp_are_those_of_the_server() {
    through_us("answers_over_tcp_are_those_of_the_server", "+tcp");
}

#[test]
fn answers_with_dnssec_asked_for_are_those_of_the_server() {
    through_us("answers_with_dnssec_asked_for_are_those_of_the_server", "+dnssec +cdflag");
}

#[test]
fn answers_without_edns_are_those_of_the_server() {
    through_us("answers_without_edns_are_those_of_the_server", "+noedns");
}

#[test]
fn what_does_not_fit_is_cut_and_whole_over_tcp() {
    if !tools::available("what_does_not_fit_is_cut_and_whole_over_tcp", &["dig", "nsd"]) {
        return;
    }
    let authority = Nsd::start(&legacy_zones());
    let machine = Machine::new(authority.addr);
    let resolver = machine.resolver();
    let dns = resolver.addr("dns");
    for (name, rtype, count) in [("big.example.org.", "TXT", 8), ("pool.example.org.", "AAAA", 120)] {
        for options in ["+ignore +bufsize=4096", "+ignore +noedns"] {
            let cut = dig::ask(dns, name, rtype, options);
            assert!(cut.has("tc") && cut.size <= 1_232, "{name} {options}: {cut:?}");
        }
        let whole = dig::ask(dns, name, rtype, "+tcp");
        assert_eq!((whole.rdata(rtype).len(), whole.has("tc")), (count, false), "{name}: {whole:?}");
        assert_eq!(dig::ask(dns, name, rtype, "").rdata(rtype).len(), count, "dig asks again over TCP");
    }
}

/// An answer is kept no longer than it may be: with TTL 0 not at all, and "there is none" as long as the SOA says.
#[test]
fn a_server_that_goes_away_is_missed_only_for_what_is_not_kept() {
    if !tools::available("a_server_that_goes_away_is_missed_only_for_what_is_not_kept", &["dig", "nsd"]) {
        return;
    }
    let authority = Nsd::start(&legacy_zones());
    let machine = Machine::new(authority.addr);
    let resolver = machine.resolver();
    let dns = resolver.addr("dns");
    let asked = [
        ("www.example.org.", "A", "NOERROR"),
        ("missing.example.org.", "A", "NXDOMAIN"),
        ("www.nobodys.", "MX", "NOERROR"),
        ("unknown.example.org.", "TYPE65280", "NOERROR"),
    ];
    let before = asked.map(|(name, rtype, status)| {
        let reply = dig::ask(dns, name, rtype, "");
        assert_eq!(reply.status, status, "{name}: {reply:?}");
        (reply.answer.len(), reply.authority.len())
    });
    assert_eq!(dig::ask(dns, "none.example.org.", "A", "").rdata("A"), ["192.0.2.61"]);
    drop(authority);
    for ((name, rtype, status), sections) in asked.into_iter().zip(before) {
        let reply = dig::ask(dns, name, rtype, "");
        assert_eq!(
            (reply.status.as_str(), (reply.answer.len(), reply.authority.len())),
            (status, sections),
            "{name}"
        );
    }
    for name in ["none.example.org.", "mail.example.org."] {
        let reply = dig::ask(dns, name, "A", "");
        assert_eq!((reply.status.as_str(), reply.ede.is_empty()), ("SERVFAIL", false), "{name}: {reply:?}");
    }
}
