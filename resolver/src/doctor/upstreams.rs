//! Each upstream: whether it answers, how fast, and whether it passes what validation takes.

use hickory_proto::{
    dnssec::rdata::DNSSECRData,
    op::ResponseCode,
    rr::{Name, RData, Record, RecordType},
};

use super::{Finding, PATIENCE, clock::Signed, running::question};
use crate::{
    config::Config,
    forward::{Legacy, LegacyConfig, LegacyQuestion, Upstream},
};

/// Looks at all of them, those of zones of their own included; and the times of the signatures that they passed.
pub async fn all(config: &Config, upstreams: &[Upstream]) -> (Vec<Finding>, Vec<Signed>) {
    if upstreams.is_empty() {
        let remedy = "name one with --upstream IP, or --upstream recursive";
        return (
            vec![Finding::bad("upstream", "there is none: only names of the chain resolve", remedy)],
            Vec::new(),
        );
    }
    let mut findings = Vec::new();
    let mut signed = Vec::new();
    for upstream in upstreams {
        let (finding, times) = one(config, upstream, &Name::root()).await;
        findings.push(finding);
        signed.extend(times);
    }
    for zone in &config.zones {
        for upstream in &zone.upstreams {
            findings.push(one(config, upstream, &zone.zone).await.0);
        }
    }
    (findings, signed)
}

/// Asks one for the servers of a zone, twice, and for the signed keys of it.
async fn one(config: &Config, upstream: &Upstream, zone: &Name) -> (Finding, Vec<Signed>) {
    let about = "upstream";
    let named = if zone.is_root() { upstream.to_string() } else { format!("{upstream}, for {zone},") };
    if upstream.is_one_of(&config.listen) {
        let found = format!("{named} is this resolver itself");
        let remedy = "name another with --upstream IP; the machine's own servers are asked if none is named, so that must not be this resolver alone";
        return (Finding::bad(about, found, remedy), Vec::new());
    }
    let legacy =
        LegacyConfig { zones: Vec::new(), timeout: PATIENCE, ..config.legacy(vec![upstream.clone()]) };
    let legacy = match Legacy::new(legacy) {
        Ok(legacy) => legacy,
        Err(error) => {
            return (
                Finding::bad(about, format!("{named}: {error}"), "mend its line in the configuration"),
                Vec::new(),
            );
        }
    };
    let started = legacy.now();
    let reply = match legacy.resolve(&question(zone.clone(), RecordType::NS)).await {
        Ok(reply) => reply,
        Err(error) => {
            let remedy = "look whether it runs and the network leads there; name another with --upstream, beside or instead";
            return (Finding::bad(about, format!("{named} does not answer: {error}"), remedy), Vec::new());
        }
    };
    let took = legacy.now().saturating_sub(started).as_micros() as f64 / 1_000.0;
    let code = reply.message.metadata.response_code;
    if code != ResponseCode::NoError {
        let found = format!(
            "{named} answers in {took:.1} ms, and says {} for the servers of {zone}",
            format!("{code:?}").to_uppercase()
        );
        return (
            Finding::warn(about, found, "it may not serve this machine: ask its operator, or name another"),
            Vec::new(),
        );
    }
    let keys = LegacyQuestion { dnssec_ok: true, ..question(zone.clone(), RecordType::DNSKEY) };
    let signatures: Vec<Signed> = match legacy.resolve(&keys).await {
        Ok(reply) => reply.message.answers.iter().filter_map(times).collect(),
        Err(_) => Vec::new(),
    };
    let finding = match (signatures.is_empty(), zone.is_root()) {
        (false, _) => {
            Finding::ok(about, format!("{named} answers in {took:.1} ms, and passes signatures (DNSSEC)"))
        }
        (true, false) => {
            Finding::ok(about, format!("{named} answers in {took:.1} ms; its zone is not signed"))
        }
        (true, true) => {
            let found = format!(
                "{named} answers in {took:.1} ms, and passes no signatures: nothing can be validated through it"
            );
            Finding::warn(about, found, "name one that passes DNSSEC, or --upstream recursive")
        }
    };
    (finding, signatures)
}

/// The times of a signature (RFC 4034 §3.1.5), which count seconds modulo 2^32: read as of this century.
fn times(record: &Record) -> Option<Signed> {
    let RData::DNSSEC(DNSSECRData::RRSIG(rrsig)) = &record.data else { return None };
    let input = rrsig.input();
    Some(Signed { from: u64::from(input.sig_inception.get()), until: u64::from(input.sig_expiration.get()) })
}
