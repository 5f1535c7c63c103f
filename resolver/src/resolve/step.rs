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
    dns::{ede::Ede, rtype},
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
    // The names followed so far: their giver was asked for the first, and led to the others.
    let mut path = vec![at.clone()];
    // Every record is an alias at most once.
    for _ in 0..answer.answers.len() {
        let Some(target) = answer.answers.iter().find_map(|record| alias(record, &at)) else {
            break;
        };
        at = target;
        if !believed(&at) {
            answer.answers.retain(|record| is_on_path(record, &path) || believed(&record.name));
            // What proves that the aliases are what is there goes with them.
            answer.authorities.retain(is_proof);
            let answer = Answer { additionals: Vec::new(), ..answer };
            return Step { answer, next: Some(at) };
        }
        path.push(at.clone());
    }
    let ends = answer.rcode != ResponseCode::NoError
        || answer.answers.iter().any(|record| record.name == at)
        || answer.authorities.iter().any(|record| record.record_type() == RecordType::SOA);
    let next = (at != *name && !ends).then_some(at);
    Step { answer, next }
}

/// Whether a record is an alias that was followed, the DNAME that it was made from (RFC 6672 §3.1),
/// or the signature of one of them.
fn is_on_path(record: &Record, path: &[Name]) -> bool {
    let is_dname = covered_type(record) == RecordType::from(rtype::DNAME);
    path.iter().any(|name| record.name == *name || (is_dname && record.name.zone_of(name)))
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
    is_denial(covered_type(record))
}

/// The type of a record; of a signature the type that it covers.
fn covered_type(record: &Record) -> RecordType {
    match &record.data {
        RData::DNSSEC(DNSSECRData::RRSIG(rrsig)) => rrsig.input().type_covered,
        // One of ours.
        RData::Unknown { code: RecordType::RRSIG, rdata } => rdata
            .anything
            .first_chunk()
            .map_or(RecordType::RRSIG, |covered| u16::from_be_bytes(*covered).into()),
        _ => record.record_type(),
    }
}

fn is_denial(rtype: RecordType) -> bool {
    matches!(rtype, RecordType::NSEC | RecordType::NSEC3)
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::rdata::{A, CNAME};

    use super::*;

    const MOUNTS: Mounts = Mounts { root: true, alt: true };

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    /// What is kept of an answer to `asked` with these records, and where it leads.
    fn followed(asked: &str, records: Vec<Record>) -> (Vec<String>, Option<Name>) {
        let answer = Answer { answers: records, ..Answer::default() };
        let believed = |target: &Name| route(target, MOUNTS) == Route::Legacy;
        let step = follow(answer, &name(asked), RecordType::A, believed);
        (step.answer.answers.iter().map(|record| record.name.to_string()).collect(), step.next)
    }

    fn alias_of(owner: &str, target: &str) -> Record {
        Record::from_rdata(name(owner), 60, RData::CNAME(CNAME(name(target))))
    }

    fn address_of(owner: &str) -> Record {
        Record::from_rdata(name(owner), 60, RData::A(A::new(192, 0, 2, 1)))
    }

    /// Its label is on no list and nobody has registered it: legacy DNS was asked for the name, so
    /// its alias is what the client has to see (RFC 1034 §4.3.2, step 3a).
    #[test]
    fn an_alias_under_a_label_that_could_be_registered_is_kept() {
        let records =
            vec![alias_of("alias.mycompany.", "www.mycompany."), address_of("www.mycompany.")];
        assert_eq!(
            followed("alias.mycompany.", records),
            (vec!["alias.mycompany.".into()], Some(name("www.mycompany.")))
        );
        let records = vec![
            alias_of("a.mycompany.", "www.example.com."),
            alias_of("www.example.com.", "b.mycompany."),
            alias_of("b.mycompany.", "c.mycompany."),
            address_of("elsewhere.mycompany."),
        ];
        assert_eq!(
            followed("a.mycompany.", records),
            (vec!["a.mycompany.".into(), "www.example.com.".into()], Some(name("b.mycompany.")))
        );
    }

    /// The DNAME that an alias was made from goes with it.
    #[test]
    fn a_dname_above_the_alias_is_kept() {
        let data = hickory_proto::rr::rdata::NULL::with(b"\x03new\x09mycompany\0".to_vec());
        let dname = RData::Unknown { code: RecordType::from(39), rdata: data };
        let records = vec![
            Record::from_rdata(name("old.mycompany."), 60, dname),
            alias_of("www.old.mycompany.", "www.new.mycompany."),
        ];
        assert_eq!(
            followed("www.old.mycompany.", records),
            (
                vec!["old.mycompany.".into(), "www.old.mycompany.".into()],
                Some(name("www.new.mycompany."))
            )
        );
    }
}
