//! The running resolver: whether it answers for names of the chain, and what its metrics report.

use std::net::SocketAddr;

use hickory_proto::rr::{Name, RecordType};

use super::{Finding, QUESTION_TIMEOUT};
use crate::{
    chain::mount::{Suffix, Suffixes},
    dns::query::Question,
    upstream::{Upstream, Upstreams, UpstreamsConfig},
};

/// The prefix of the metric of an upstream in a forwarding loop.
const LOOP_METRIC: &str = "namechain_dns_upstream_forwarding_loop{upstream=\"";

/// Checks the running resolver.
pub async fn check(
    listen: &[SocketAddr],
    api: Option<SocketAddr>,
    suffixes: Suffixes,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for address in listen {
        let at = if address.ip().is_unspecified() {
            ([127, 0, 0, 1], address.port()).into()
        } else {
            *address
        };
        for (how, upstream) in [("UDP", Upstream::Plain(at)), ("TCP", Upstream::Tcp(at))] {
            for suffix in suffixes.iter() {
                findings.push(check_answers(how, at, upstream.clone(), suffix).await);
            }
        }
    }
    if let Some(api) = api {
        findings.extend(check_metrics(api).await);
    }
    findings
}

/// Queries it for what no other server has: the SOA of a suffix.
async fn check_answers(how: &str, at: SocketAddr, upstream: Upstream, suffix: &Suffix) -> Finding {
    let about = "resolver";
    let config = UpstreamsConfig {
        upstreams: vec![upstream],
        timeout: QUESTION_TIMEOUT,
        ..UpstreamsConfig::default()
    };
    let remedy = "see its log, and restart it";
    let legacy = match Upstreams::standalone(config) {
        Ok(legacy) => legacy,
        Err(error) => return Finding::bad(about, error.to_string(), remedy),
    };
    let started = legacy.now();
    match legacy.resolve(&question(suffix.name(), RecordType::SOA)).await {
        Ok(reply) if reply.message.metadata.authoritative || !reply.message.answers.is_empty() => {
            let took = legacy.now().saturating_sub(started).as_micros();
            Finding::ok(about, format!("{at} answers over {how} in {took} us"))
        }
        Ok(reply) => {
            let found = format!(
                "{at} answers over {how}, but not for {suffix}: {:?}",
                reply.message.metadata.response_code
            );
            Finding::warn(
                about,
                found,
                "the running resolver has other suffixes, or another program uses the port: see above",
            )
        }
        Err(error) => {
            Finding::bad(about, format!("{at} does not answer over {how}: {error}"), remedy)
        }
    }
}

/// The question for a name, as programs ask it.
pub fn question(name: Name, qtype: RecordType) -> Question {
    Question::new(name, qtype)
}

/// Checks its metrics.
async fn check_metrics(api: SocketAddr) -> Vec<Finding> {
    let about = "metrics";
    match fetch_metrics(api).await {
        Ok(text) => {
            let mut findings: Vec<Finding> = looping_upstreams(&text)
                .map(|upstream| {
                    let found = format!("{upstream} forwards to this resolver (a loop)");
                    let remedy = format!(
                        "make {upstream} use another server than this resolver, or set another with --upstream"
                    );
                    Finding::bad("upstream", found, remedy)
                })
                .collect();
            if findings.is_empty() {
                findings.push(Finding::ok(about, format!("served at http://{api}/metrics")));
            }
            findings
        }
        Err(error) => vec![Finding::warn(
            about,
            format!("http://{api}/metrics: {error}"),
            "choose another address for the API with --api IP:PORT",
        )],
    }
}

async fn fetch_metrics(api: SocketAddr) -> Result<String, reqwest::Error> {
    // Another part of the process may have installed a provider already; either will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().timeout(QUESTION_TIMEOUT).build()?;
    client.get(format!("http://{api}/metrics")).send().await?.error_for_status()?.text().await
}

fn looping_upstreams(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.strip_prefix(LOOP_METRIC)?.strip_suffix("\"} 1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_name_the_looping_upstreams() {
        let text = "namechain_dns_upstream_forwarding_loop{upstream=\"192.0.2.1:53\"} 0\n\
                    namechain_dns_upstream_forwarding_loop{upstream=\"192.0.2.2:53\"} 1\n";
        assert_eq!(looping_upstreams(text).collect::<Vec<_>>(), ["192.0.2.2:53"]);
    }
}
