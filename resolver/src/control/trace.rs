//! Resolves a question and returns a trace of it.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use hickory_proto::{
    op::{Edns, Message, MessageType, Metadata, OpCode, Query},
    rr::{RData, Record, RecordType},
};
use namechain_core::api_types::{Refusal, Trace, TraceAnswer, TraceAsked, TraceStep};

use super::{name, refusal};
use crate::{
    dns::{
        ede::Ede,
        names,
        query::{Client, Transport},
    },
    server::responder::Responder,
    telemetry::{trace, trace::Event},
};

/// Resolves the question and returns the trace.
pub async fn trace(responder: Arc<Responder>, asked: TraceAsked) -> Result<Trace, Refusal> {
    let name = name(&asked.name)?;
    let rtype = rtype(asked.rtype.as_deref().unwrap_or("A"))?;
    if asked.fresh {
        responder.cache().flush_name(&names::from_labels(name.iter()));
    }
    let query = Query::query(name.clone(), rtype);
    let mut metadata = Metadata::new(0, MessageType::Query, OpCode::Query);
    metadata.recursion_desired = true;
    metadata.checking_disabled = asked.checking_disabled;
    metadata.authentic_data = true;
    let mut edns = Edns::new();
    edns.set_dnssec_ok(asked.dnssec);
    // The API is for this machine, and the answer is not truncated.
    let client = Client { address: Ipv4Addr::LOCALHOST.into(), transport: Transport::Tcp };
    let clock = responder.clone();
    let started = clock.now();
    let now = move || clock.now();
    let answering = responder.respond(&metadata, std::slice::from_ref(&query), Some(&edns), client);
    let (message, taken) = trace::collect(now, answering).await;
    let took = responder.now().saturating_sub(started);
    Ok(Trace {
        question: format!("{name} IN {rtype}"),
        steps: taken.events.into_iter().map(|event| step(event, started)).collect(),
        cut: taken.truncated,
        answer: answer(&message, took),
    })
}

/// A record type by its name or, by RFC 3597 §5, its number.
fn rtype(text: &str) -> Result<RecordType, Refusal> {
    let upper = text.to_ascii_uppercase();
    let number = upper.strip_prefix("TYPE").and_then(|number| number.parse::<u16>().ok());
    let known = number.map(RecordType::from).or_else(|| upper.parse().ok());
    known.ok_or_else(|| {
        let hint = "write it like A, AAAA, MX, TXT, or TYPE65280";
        refusal("bad-request", "this is not a record type", hint)
    })
}

fn step(event: Event, started: Duration) -> TraceStep {
    TraceStep {
        after_us: micros(event.at.saturating_sub(started)),
        who: event.source.into(),
        what: event.text,
    }
}

/// A record as text. hickory writes the RDATA of unknown types in Base64, which master files do not
/// use: these get the form of RFC 3597.
fn line(record: &Record) -> String {
    match &record.data {
        RData::Unknown { code, rdata } => format!(
            "{} {} {} TYPE{} \\# {} {}",
            record.name,
            record.ttl,
            record.dns_class,
            u16::from(*code),
            rdata.anything.len(),
            hex::encode(&rdata.anything)
        ),
        _ => record.to_string(),
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn answer(message: &Message, took: Duration) -> TraceAnswer {
    let of = &message.metadata;
    let flags = [
        (of.authoritative, "aa"),
        (of.truncation, "tc"),
        (of.recursion_desired, "rd"),
        (of.recursion_available, "ra"),
        (of.authentic_data, "ad"),
        (of.checking_disabled, "cd"),
    ];
    let lines = |records: &[Record]| records.iter().map(line).collect();
    let edes = message.edns.iter().flat_map(Ede::all_of);
    TraceAnswer {
        rcode: format!("{:?}", of.response_code).to_uppercase(),
        flags: flags.iter().filter(|(set, _)| *set).map(|(_, name)| (*name).to_owned()).collect(),
        took_us: micros(took),
        answers: lines(&message.answers),
        authorities: lines(&message.authorities),
        additionals: lines(&message.additionals),
        extended_errors: edes.map(|ede| ede.to_string()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_as_people_write_them() {
        for (text, number) in
            [("A", 1), ("aaaa", 28), ("TYPE65280", 65_280), ("type1", 1), ("HTTPS", 65)]
        {
            assert_eq!(u16::from(rtype(text).unwrap()), number, "{text}");
        }
        for bad in ["", "B", "TYPE", "TYPE65536", "TYPE-1"] {
            assert_eq!(rtype(bad).unwrap_err().code, "bad-request", "{bad}");
        }
    }
}
