//! One step to an answer: a part of it, and where the rest is.

use hickory_proto::{
    dnssec::rdata::DNSSECRData,
    op::ResponseCode,
    rr::{Name, RData, Record, RecordType},
};
use namechain_core::types::Name as ChainName;

use super::{
    answer::Answer,
    route::{Route, route},
};
use crate::{
    chain::{ChainError, mount::Mounts},
    dns::ede::Ede,
    upstream::{self, ForwardError, Upstreams},
};

/// A part of an answer, and where the rest is.
#[derive(Debug, Default)]
pub struct Step {
    pub answer: Answer,
    pub next: Option<Name>,
}

impl From<Answer> for Step {
    fn from(answer: Answer) -> Self {
        Step { answer, next: None }
    }
}

/// Keeps of an answer what its giver may say: the aliases from `name` on as long as they lead to
/// names for which `believed` says so. The first that leads elsewhere, or of which nothing more is
/// said, is where the rest is.
pub fn follow(
    mut answer: Answer,
    name: &Name,
    qtype: RecordType,
    believed: impl Fn(&Name) -> bool,
) -> Step {
    if matches!(qtype, RecordType::CNAME | RecordType::ANY) {
        return answer.into();
    }
    let mut at = name.clone();
    // Every record is an alias at most once.
    for _ in 0..answer.answers.len() {
        let Some(target) = answer.answers.iter().find_map(|record| alias(record, &at)) else {
            break;
        };
        at = target;
        if !believed(&at) {
            answer.answers.retain(|record| believed(&record.name));
            // What proves that the aliases are what is there goes with them.
            answer.authorities.retain(is_proof);
            let answer = Answer { additionals: Vec::new(), ..answer };
            return Step { answer, next: Some(at) };
        }
    }
    let ends = answer.rcode != ResponseCode::NoError
        || answer.answers.iter().any(|record| record.name == at)
        || answer.authorities.iter().any(|record| record.record_type() == RecordType::SOA);
    let next = (at != *name && !ends).then_some(at);
    Step { answer, next }
}

/// Whether a message of legacy DNS, in wire form, is all that there is to say to its question: no
/// alias in it leads to a name of ours or of other upstreams, or to one of which it says nothing.
pub fn is_whole(message: &[u8], mounts: Mounts, legacy: &Upstreams) -> bool {
    let Ok(message) = upstream::decode(message) else { return false };
    let [query] = message.queries.as_slice() else { return false };
    let (name, qtype) = (query.name().clone(), query.query_type());
    let count = message.answers.len();
    let answer = Answer {
        rcode: message.metadata.response_code,
        answers: message.answers,
        authorities: message.authorities,
        ..Answer::default()
    };
    let believed = |target: &Name| {
        legacy.same_zone(&name, target)
            && (legacy.has_zone(target) || route(target, mounts) == Route::Legacy)
    };
    let step = follow(answer, &name, qtype, believed);
    step.next.is_none() && step.answer.answers.len() == count
}

/// The target of the record, if it is an alias for `name`.
fn alias(record: &Record, name: &Name) -> Option<Name> {
    match &record.data {
        hickory_proto::rr::RData::CNAME(target) if record.name == *name => Some(target.0.clone()),
        _ => None,
    }
}

pub fn not_ready(label: &ChainName, error: &ChainError) -> Answer {
    tracing::debug!(name = %label, %error, "the chain can't be asked");
    Answer::failure(ResponseCode::ServFail, Ede::new(Ede::NOT_READY, error.to_string()))
}

/// The answer when nobody could be asked.
pub fn failed(error: &ForwardError) -> Answer {
    Answer::failure(ResponseCode::ServFail, error.ede())
}

/// Whether a record belongs to the proof that an alias, or that what stands for a wildcard, is what
/// is there.
pub fn is_proof(record: &Record) -> bool {
    match &record.data {
        RData::DNSSEC(DNSSECRData::RRSIG(rrsig)) => is_denial(rrsig.input().type_covered),
        // One of ours.
        RData::Unknown { code: RecordType::RRSIG, rdata } => {
            let covered = rdata.anything.first_chunk().map(|covered| u16::from_be_bytes(*covered));
            covered.is_some_and(|covered| is_denial(covered.into()))
        }
        _ => is_denial(record.record_type()),
    }
}

fn is_denial(rtype: RecordType) -> bool {
    matches!(rtype, RecordType::NSEC | RecordType::NSEC3)
}
