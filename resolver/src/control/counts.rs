//! What the DNS server counts, in Prometheus' text format.

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

/// All of it.
pub fn text(responder: &Responder) -> String {
    let mut text = Text::default();
    let telemetry = responder.telemetry();
    answers(&mut text, &telemetry.total());
    let lost = "Lines that the query log could not write as fast as they came.";
    text.one("namechain_dns_query_log_lost_total", "counter", lost, telemetry.lost_log_lines());
    let work = "Questions that are in work, of those that can't be answered from bytes at hand.";
    text.one("namechain_dns_questions_in_work", "gauge", work, responder.in_progress());
    let most = "How many questions may be in work.";
    text.one("namechain_dns_questions_in_work_limit", "gauge", most, MAX_IN_FLIGHT);
    cache(&mut text, responder);
    upstreams(&mut text, responder);
    validation(&mut text, responder);
    text.0
}

fn answers(text: &mut Text, total: &Counters) {
    const ANSWERS: &str = "namechain_dns_answers_total";
    text.metric(
        ANSWERS,
        "counter",
        "Answers, by transport, whose name it was, what the cache did, and outcome.",
    );
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
        "How long answers took that were not at hand as bytes, by whose name it was.",
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
        ("namechain_dns_cache_entries", "gauge", "Answers that are kept.", stats.entries),
        (
            "namechain_dns_cache_bytes",
            "gauge",
            "Bytes of the answers that are kept, bookkeeping included.",
            stats.bytes,
        ),
        ("namechain_dns_cache_hits_total", "counter", "Look-ups that found an answer.", stats.hits),
        ("namechain_dns_cache_misses_total", "counter", "Look-ups that found none.", stats.misses),
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
        "What validation took: signatures checked, NSEC3 hashes, questions asked.",
    );
    for (what, count) in
        [("signatures", counts.checks), ("hashes", counts.hashes), ("questions", counts.queries)]
    {
        text.line(format_args!("{WORK}{{what=\"{what}\"}} {count}"));
    }
    const PASSES: &str = "namechain_dns_upstream_passes_dnssec";
    text.metric(
        PASSES,
        "gauge",
        "Whether an upstream passes on what validation takes; none before that is known.",
    );
    for (upstream, state) in legacy.upstream_dnssec() {
        let passes = match state {
            UpstreamDnssec::Unknown => continue,
            UpstreamDnssec::Validates => 1,
            UpstreamDnssec::Strips(_) => 0,
        };
        text.line(format_args!("{PASSES}{{upstream=\"{}\"}} {passes}", label(&upstream)));
    }
}

/// A label's value.
fn label(name: &str) -> String {
    name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', " ")
}

fn upstreams(text: &mut Text, responder: &Responder) {
    let upstreams = responder.pipeline().legacy.upstreams();
    const TRIES: &str = "namechain_dns_upstream_tries_total";
    text.metric(TRIES, "counter", "Tries with an upstream, by result: replied, failed, slow.");
    for upstream in &upstreams {
        let name = label(&upstream.name);
        for (result, count) in
            [("replied", upstream.replied), ("failed", upstream.failed), ("slow", upstream.slow)]
        {
            text.line(format_args!("{TRIES}{{upstream=\"{name}\",result=\"{result}\"}} {count}"));
        }
    }
    const LATENCY: &str = "namechain_dns_upstream_latency_seconds";
    text.metric(
        LATENCY,
        "gauge",
        "The latency that an upstream is thought to have; none before it was asked.",
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
    const BACK: &str = "namechain_dns_upstream_leads_back";
    text.metric(BACK, "gauge", "Whether an upstream was found to lead back to this resolver.");
    for upstream in &upstreams {
        text.line(format_args!(
            "{BACK}{{upstream=\"{}\"}} {}",
            label(&upstream.name),
            u8::from(upstream.is_loop)
        ));
    }
}
