//! One step of an answer: records, and the name to continue with.

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

/// Records of an answer, and the name to continue with.
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

/// Takes from an answer the aliases from `name` on, as long as their targets satisfy `believed`.
/// The first target that does not, or that has no further records, is where resolution continues.
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
    // The names followed so far: the source was asked for the first, and led to the others.
    let mut path = vec![at.clone()];
    // Every record is an alias at most once.
    for _ in 0..answer.answers.len() {
        let Some(target) = answer.answers.iter().find_map(|record| alias(record, &at)) else {
            break;
        };
        at = target;
        if !believed(&at) {
            answer.answers.retain(|record| is_on_path(record, &path) || believed(&record.name));
            // The proofs of the aliases go with them.
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

/// Whether a record is an alias that was followed, its DNAME (RFC 6672 §3.1), or a signature of one
/// of them.
fn is_on_path(record: &Record, path: &[Name]) -> bool {
    let is_dname = covered_type(record) == RecordType::from(rtype::DNAME);
    path.iter().any(|name| record.name == *name || (is_dname && record.name.zone_of(name)))
}

/// Whether a message of legacy DNS, in wire form, is the complete answer to its question: no alias
/// in it leads to a name of another source, or to a name without further records.
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
    tracing::debug!(name = %label, %error, "the chain's state can't be read");
    Answer::failure(ResponseCode::ServFail, Ede::new(Ede::NOT_READY, error.to_string()))
}

/// The answer for a name that was changed above the fork from a chain that is held back: which of
/// both states is final is not decided.
pub fn contested(label: &ChainName, fork: u32) -> Answer {
    let why = format!(
        "{label} is contested: it was changed above height {fork}, and a chain with more work that forks off there is held back"
    );
    Answer::failure(ResponseCode::ServFail, Ede::new(Ede::NOT_READY, why))
}

/// The answer if no server could be queried.
pub fn failed(error: &ForwardError) -> Answer {
    Answer::failure(ResponseCode::ServFail, error.ede())
}

/// Whether a record belongs to the proof of an alias or of a wildcard expansion.
pub fn is_proof(record: &Record) -> bool {
    is_denial(covered_type(record))
}

/// The type of a record; for a signature the type that it covers.
fn covered_type(record: &Record) -> RecordType {
    match &record.data {
        RData::DNSSEC(DNSSECRData::RRSIG(rrsig)) => rrsig.input().type_covered,
        // An address made here.
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

    const MOUNTS: Mounts = Mounts::BOTH;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    /// The result of `follow` for an answer to `asked` with these records.
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

    /// A label that is not reserved and not registered: legacy DNS was asked for the name, so the
    /// client has to see its alias (RFC 1034 §4.3.2, step 3a).
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

    /// The DNAME of an alias goes with it.
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
