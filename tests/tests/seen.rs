//! What can be seen of answers from outside: the metrics, and the query log, which is off and then
//! without clients.

use std::net::SocketAddr;

use tests::{dig, http, machine::Machine, program::Daemon, tools, upstream::Counting, wait};

const TOOLS: &[&str] = &["dig"];

fn metric(api: SocketAddr, line: &str) -> u64 {
    let text = http::get(api, "/metrics").body;
    let value = text.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
    value.map_or(0, |value| value.parse().unwrap_or_else(|error| panic!("{line} {value}: {error}")))
}

fn answers(resolver: &Daemon, labels: &str) -> u64 {
    metric(resolver.addr("api"), &format!("namechain_dns_answers_total{{{labels}}}"))
}

#[test]
fn answers_are_counted_by_route_cache_and_outcome() {
    if !tools::available("answers_are_counted_by_route_cache_and_outcome", TOOLS) {
        return;
    }
    for fast in [true, false] {
        let upstream = Counting::start();
        let machine = Machine::with_config(
            upstream.addr,
            &format!("fast-path = {fast}\n[validate]\nmode = 'off'\n"),
        );
        let resolver = machine.resolver();
        let (dns, api) = (resolver.addr("dns"), resolver.addr("api"));
        for name in [
            "www.example.com",
            "www.example.com",
            "nobody.namechain.alt",
            "nobody.namechain.alt",
            "localhost",
        ] {
            dig::ask(dns, name, "A", "");
        }
        dig::ask(dns, "www.example.com", "A", "+tcp");
        dig::ask(dns, "other.example.com", "A", "+norecurse");
        let udp = |rest: &str| answers(&resolver, &format!("transport=\"udp\",{rest}"));
        assert_eq!(udp(r#"route="legacy",cache="miss",outcome="noerror""#), 1, "fast: {fast}");
        assert_eq!(udp(r#"route="legacy",cache="hit",outcome="noerror""#), 1);
        let chain = ["miss", "hit"]
            .map(|cache| udp(&format!("route=\"chain\",cache=\"{cache}\",outcome=\"nxdomain\"")));
        assert_eq!(
            chain,
            if fast { [1, 1] } else { [2, 0] },
            "only the fast path keeps answers of the chain"
        );
        assert_eq!(udp(r#"route="special",cache="none",outcome="noerror""#), 1);
        assert_eq!(udp(r#"route="none",cache="none",outcome="refused""#), 1);
        assert_eq!(
            answers(&resolver, r#"transport="tcp",route="legacy",cache="hit",outcome="noerror""#),
            1
        );
        assert_eq!(metric(api, r#"namechain_dns_answer_seconds_count{route="chain"}"#), chain[0]);
        let tries = format!(
            "namechain_dns_upstream_queries_total{{upstream=\"{}\",result=\"replied\"}}",
            upstream.addr
        );
        assert_eq!(metric(api, &tries), 1);
        assert_eq!(
            (metric(api, "namechain_served_height"), metric(api, "namechain_serve_depth")),
            (0, 0)
        );
    }
}

#[test]
fn queries_are_logged_if_that_is_wanted_and_clients_if_that_is_too() {
    if !tools::available("queries_are_logged_if_that_is_wanted_and_clients_if_that_is_too", TOOLS) {
        return;
    }
    let upstream = Counting::start();
    for (logged, clients) in [("off", false), ("on", false), ("with-clients", true)] {
        let machine = Machine::with_config(upstream.addr, &format!("query-log = '{logged}'\n"));
        let resolver = machine.resolver();
        for name in ["www.example.com", "www.example.com", "localhost"] {
            dig::ask(resolver.addr("dns"), name, "A", "");
        }
        if logged == "off" {
            // What is not logged can't be waited for: that it was counted says that it is over.
            assert_eq!(
                answers(
                    &resolver,
                    r#"transport="udp",route="special",cache="none",outcome="noerror""#
                ),
                1
            );
            assert!(!resolver.log().contains("example.com"), "{}", resolver.log());
            continue;
        }
        wait::until("the last query is logged", || {
            resolver.log().contains("localhost. A").then_some(())
        });
        let log = resolver.log();
        for words in [
            "www.example.com. A noerror legacy miss udp ",
            "www.example.com. A noerror legacy hit udp ",
            "localhost. A noerror special none udp ",
        ] {
            let line = log
                .lines()
                .find(|line| line.contains(words))
                .unwrap_or_else(|| panic!("no '{words}' in {log}"));
            assert_eq!(line.contains("127.0.0.1"), clients, "{line}");
        }
    }
}
