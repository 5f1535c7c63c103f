//! The resolver's metrics in Prometheus' text format.

use std::fmt::{Display, Write};

use crate::{
    server::responder::{MAX_IN_FLIGHT, Responder},
    telemetry::{Counters, LATENCY_BOUNDS_US},
    upstream::UpstreamDnssec,
};

/// A text that grows metric by metric.
#[derive(Default)]
struct Text(String);

impl Text {
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.metric(name, kind, help);
        self.line(format_args!("{name} {value}"));
    }

    fn line(&mut self, line: impl Display) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "{line}");
    }
}

/// All metrics.
pub fn text(responder: &Responder) -> String {
    let mut text = Text::default();
    let telemetry = responder.telemetry();
    answers(&mut text, &telemetry.total());
    let lost = "Query log lines that were dropped because the log was read too slowly.";
    text.one("namechain_dns_query_log_lost_total", "counter", lost, telemetry.lost_log_lines());
    let work = "Queries in progress, without those that are answered from cached bytes.";
    text.one("namechain_dns_queries_in_progress", "gauge", work, responder.in_progress());
    let most = "The most queries in progress.";
    text.one("namechain_dns_queries_in_progress_limit", "gauge", most, MAX_IN_FLIGHT);
    cache(&mut text, responder);
    upstreams(&mut text, responder);
    validation(&mut text, responder);
    text.0
}

fn answers(text: &mut Text, total: &Counters) {
    const ANSWERS: &str = "namechain_dns_answers_total";
    text.metric(ANSWERS, "counter", "Answers by transport, route, use of the cache, and outcome.");
    for (transport, origin, outcome, count) in total.counts() {
        text.line(format_args!(
            "{ANSWERS}{{transport=\"{}\",route=\"{}\",cache=\"{}\",outcome=\"{}\"}} {count}",
            transport.name(),
            origin.route(),
            origin.cache(),
            outcome.name(),
        ));
    }
    const TOOK: &str = "namechain_dns_answer_seconds";
    text.metric(
        TOOK,
        "histogram",
        "Time for answers that were not served from cached bytes, by route.",
    );
    for route in ["none", "special", "chain", "legacy"] {
        let latencies = total.latencies(route);
        let mut sum = 0;
        for (bound, count) in LATENCY_BOUNDS_US.iter().zip(latencies.counts) {
            sum += count;
            let bound = *bound as f64 / 1e6;
            text.line(format_args!("{TOOK}_bucket{{route=\"{route}\",le=\"{bound}\"}} {sum}"));
        }
        let all: u64 = latencies.counts.iter().sum();
        text.line(format_args!("{TOOK}_bucket{{route=\"{route}\",le=\"+Inf\"}} {all}"));
        text.line(format_args!(
            "{TOOK}_sum{{route=\"{route}\"}} {}",
            latencies.micros as f64 / 1e6
        ));
        text.line(format_args!("{TOOK}_count{{route=\"{route}\"}} {all}"));
    }
}

fn cache(text: &mut Text, responder: &Responder) {
    let stats = responder.cache().stats();
    for (name, kind, help, value) in [
        ("namechain_dns_cache_entries", "gauge", "Cached answers.", stats.entries),
        (
            "namechain_dns_cache_bytes",
            "gauge",
            "Bytes of cached answers, including bookkeeping.",
            stats.bytes,
        ),
        ("namechain_dns_cache_hits_total", "counter", "Lookups that found an answer.", stats.hits),
        ("namechain_dns_cache_misses_total", "counter", "Lookups that found none.", stats.misses),
    ] {
        text.one(name, kind, help, value);
    }
}

fn validation(text: &mut Text, responder: &Responder) {
    let legacy = &responder.pipeline().legacy;
    let counts = legacy.validation_counts();
    const ANSWERS: &str = "namechain_dns_validated_total";
    text.metric(ANSWERS, "counter", "Answers of legacy DNS that were validated, by verdict.");
    for (verdict, count) in [
        ("secure", counts.secure),
        ("insecure", counts.insecure),
        ("bogus", counts.bogus),
        ("indeterminate", counts.indeterminate),
    ] {
        text.line(format_args!("{ANSWERS}{{verdict=\"{verdict}\"}} {count}"));
    }
    const WORK: &str = "namechain_dns_validation_work_total";
    text.metric(
        WORK,
        "counter",
        "Work for validation: signatures verified, NSEC3 hashes computed, queries sent.",
    );
    for (what, count) in
        [("signatures", counts.checks), ("hashes", counts.hashes), ("queries", counts.queries)]
    {
        text.line(format_args!("{WORK}{{what=\"{what}\"}} {count}"));
    }
    const SUPPORTS: &str = "namechain_dns_upstream_supports_dnssec";
    text.metric(
        SUPPORTS,
        "gauge",
        "Whether an upstream passes DNSSEC records on; absent until that is known.",
    );
    for (upstream, state) in legacy.upstream_dnssec() {
        let supports = match state {
            UpstreamDnssec::Unknown => continue,
            UpstreamDnssec::Supported => 1,
            UpstreamDnssec::Unsupported(_) => 0,
        };
        text.line(format_args!("{SUPPORTS}{{upstream=\"{}\"}} {supports}", label(&upstream)));
    }
}

/// A label's value.
fn label(name: &str) -> String {
    name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', " ")
}

fn upstreams(text: &mut Text, responder: &Responder) {
    let upstreams = responder.pipeline().legacy.upstreams();
    const QUERIES: &str = "namechain_dns_upstream_queries_total";
    text.metric(QUERIES, "counter", "Queries to an upstream by result: replied, failed, slow.");
    for upstream in &upstreams {
        let name = label(&upstream.name);
        for (result, count) in
            [("replied", upstream.replied), ("failed", upstream.failed), ("slow", upstream.slow)]
        {
            text.line(format_args!("{QUERIES}{{upstream=\"{name}\",result=\"{result}\"}} {count}"));
        }
    }
    const LATENCY: &str = "namechain_dns_upstream_latency_seconds";
    text.metric(
        LATENCY,
        "gauge",
        "The expected latency of an upstream; absent until it was queried.",
    );
    for upstream in &upstreams {
        if let Some(latency) = upstream.latency {
            text.line(format_args!(
                "{LATENCY}{{upstream=\"{}\"}} {}",
                label(&upstream.name),
                latency.as_secs_f64()
            ));
        }
    }
    const LOOP: &str = "namechain_dns_upstream_forwarding_loop";
    text.metric(LOOP, "gauge", "Whether an upstream was found to forward to this resolver.");
    for upstream in &upstreams {
        text.line(format_args!(
            "{LOOP}{{upstream=\"{}\"}} {}",
            label(&upstream.name),
            u8::from(upstream.is_loop)
        ));
    }
}
