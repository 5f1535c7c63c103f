//! Each upstream: whether it answers, its latency, and whether it passes DNSSEC records on.

use hickory_proto::{
    dnssec::rdata::DNSSECRData,
    op::ResponseCode,
    rr::{Name, RData, Record, RecordType},
};

use super::{Finding, QUESTION_TIMEOUT, clock::SignatureTimes, running::question};
use crate::{
    config::Config,
    dns::query::Question,
    upstream::{
        ForwardError, Upstream, UpstreamDnssec, Upstreams, UpstreamsConfig, ValidateConfig,
        ValidateMode,
    },
};

/// Checks all upstreams, including those of zones; also returns the validity periods of signatures
/// that they sent.
pub async fn check_all(
    config: &Config,
    upstreams: &[Upstream],
) -> (Vec<Finding>, Vec<SignatureTimes>) {
    if upstreams.is_empty() {
        let remedy = "set one with --upstream IP, or use --upstream recursive";
        return (
            vec![Finding::bad(
                "upstream",
                "none is configured: only names of the chain resolve",
                remedy,
            )],
            Vec::new(),
        );
    }
    let mut findings = Vec::new();
    let mut signed = Vec::new();
    for upstream in upstreams {
        let (finding, validity_period) = check_one(config, upstream, &Name::root()).await;
        findings.push(finding);
        signed.extend(validity_period);
    }
    for zone in &config.zones {
        for upstream in &zone.upstreams {
            findings.push(check_one(config, upstream, &zone.zone).await.0);
        }
    }
    (findings, signed)
}

/// Queries one upstream for the name servers of a zone and for its signed keys, and validates them.
async fn check_one(
    config: &Config,
    upstream: &Upstream,
    zone: &Name,
) -> (Finding, Vec<SignatureTimes>) {
    let about = "upstream";
    let named =
        if zone.is_root() { upstream.to_string() } else { format!("{upstream}, for {zone},") };
    let alone = |finding| (finding, Vec::new());
    if upstream.is_one_of(&config.listen) {
        let found = format!("{named} is this resolver itself");
        let remedy = "set another with --upstream IP; without that the system's servers are used, which must not be this resolver alone";
        return alone(Finding::bad(about, found, remedy));
    }
    let off = ValidateConfig { mode: ValidateMode::Off, ..config.validate.clone() };
    let legacy = match only_upstream(config, upstream, off) {
        Ok(legacy) => legacy,
        Err(error) => {
            let found = format!("{named}: {error}");
            return alone(Finding::bad(about, found, "correct its line in the configuration"));
        }
    };
    let started = legacy.now();
    let reply = match legacy.resolve(&question(zone.clone(), RecordType::NS)).await {
        Ok(reply) => reply,
        Err(error) => {
            let remedy = "check that it runs and can be reached; set another with --upstream";
            return alone(Finding::bad(about, format!("{named} does not answer: {error}"), remedy));
        }
    };
    let took = legacy.now().saturating_sub(started).as_micros() as f64 / 1_000.0;
    let named = format!("{named} answers in {took:.1} ms");
    let code = reply.message.metadata.response_code;
    if code != ResponseCode::NoError {
        let found = format!(
            "{named}, with {} for the servers of {zone}",
            format!("{code:?}").to_uppercase()
        );
        let remedy = "it may refuse this machine: ask its operator, or use another";
        return alone(Finding::warn(about, found, remedy));
    }
    let signatures = signatures(&legacy, zone).await;
    if !zone.is_root() {
        return (Finding::ok(about, named), signatures);
    }
    if config.validate.mode == ValidateMode::Off {
        let found = format!("{named}; DNSSEC validation is off, as configured");
        return (Finding::ok(about, found), signatures);
    }
    let finding = match check_validation(config, upstream).await {
        UpstreamDnssec::Supported => {
            Finding::ok(about, format!("{named}, and its answers validate (DNSSEC)"))
        }
        UpstreamDnssec::Unsupported(why) => {
            let found = format!("{named}, and its answers do not validate (DNSSEC): {why}");
            let remedy = "see the clock below; if that is right, use an upstream that passes DNSSEC records, or --upstream recursive";
            match config.validate.mode {
                ValidateMode::On => Finding::bad(about, found, remedy),
                _ => Finding::warn(about, found, remedy),
            }
        }
        UpstreamDnssec::Unknown => {
            let found = format!("{named}, and does not answer queries for DNSSEC records");
            Finding::warn(
                about,
                found,
                "use an upstream that passes DNSSEC records, or --upstream recursive",
            )
        }
    };
    (finding, signatures)
}

/// Legacy DNS with this upstream alone.
fn only_upstream(
    config: &Config,
    upstream: &Upstream,
    validate: ValidateConfig,
) -> Result<Upstreams, ForwardError> {
    let zones = Vec::new();
    Upstreams::standalone(UpstreamsConfig {
        zones,
        validate,
        timeout: QUESTION_TIMEOUT,
        ..config.legacy(vec![upstream.clone()])
    })
}

/// The validity periods of the signatures over a zone's keys.
async fn signatures(legacy: &Upstreams, zone: &Name) -> Vec<SignatureTimes> {
    let keys = question(zone.clone(), RecordType::DNSKEY);
    let keys = Question { dnssec_ok: true, checking_disabled: true, ..keys };
    match legacy.resolve(&keys).await {
        Ok(reply) => reply.message.answers.iter().filter_map(validity_period).collect(),
        Err(_) => Vec::new(),
    }
}

/// Whether its answers validate by the configured trust anchors.
async fn check_validation(config: &Config, upstream: &Upstream) -> UpstreamDnssec {
    let auto = ValidateConfig { mode: ValidateMode::Auto, ..config.validate.clone() };
    let Ok(legacy) = only_upstream(config, upstream, auto) else { return UpstreamDnssec::Unknown };
    // The answer does not matter: the first query probes the upstream's DNSSEC support.
    let _ = legacy.resolve(&question(Name::root(), RecordType::NS)).await;
    legacy.upstream_dnssec().into_iter().next().map_or(UpstreamDnssec::Unknown, |(_, state)| state)
}

/// The validity period of a signature (RFC 4034 §3.1.5): seconds modulo 2^32, taken as of this
/// century.
fn validity_period(record: &Record) -> Option<SignatureTimes> {
    let RData::DNSSEC(DNSSECRData::RRSIG(rrsig)) = &record.data else { return None };
    let input = rrsig.input();
    Some(SignatureTimes {
        from: u64::from(input.sig_inception.get()),
        until: u64::from(input.sig_expiration.get()),
    })
}
