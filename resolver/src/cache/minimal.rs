//! Minimal responses: the part of a reply that answers its question.
//!
//! Of a positive answer that is the answer section, with the denial proofs that DNSSEC needs (RFC
//! 4035 §3.1.3.3: a wildcard's proof is in the authority section); of a negative one the authority
//! section with its SOA and proofs. Clients that want name servers and their addresses can query
//! them. The answer to ANY is one RRset (RFC 8482 §4.1) with its signatures.

use crate::dns::message::{Malformed, Packet, RecordAt, Section, rcode, u16_at};
use crate::dns::rtype::{self, NSEC, NSEC3, RRSIG};

/// Whether a record of a message is part of the rest.
///
/// # Errors
/// [`Malformed`], never for a parsed packet.
pub fn unwanted<'p>(packet: &'p Packet<'_>) -> Result<impl Fn(&RecordAt) -> bool + 'p, Malformed> {
    let one_set = one_set(packet)?;
    let keeps_authority = keeps_authority(packet);
    Ok(move |record: &RecordAt| match record.section {
        Section::Answer => one_set.as_ref().is_some_and(|set| !set.has(packet, record)),
        Section::Authority => !keeps_authority,
        Section::Additional => true,
    })
}

/// Without answers the authority section is the answer; with answers it may have the SOA of an
/// alias's target, or proofs.
fn keeps_authority(packet: &Packet<'_>) -> bool {
    packet.rcode() != rcode::NOERROR
        || packet.section(Section::Answer).next().is_none()
        || packet
            .section(Section::Authority)
            .any(|record| matches!(record.rtype, rtype::SOA | NSEC | NSEC3))
}

/// An RRset: an owner in wire form and lower case, and a type.
struct Set {
    owner: Vec<u8>,
    rtype: u16,
}

impl Set {
    fn has(&self, packet: &Packet<'_>, record: &RecordAt) -> bool {
        let covered = || u16_at(packet.bytes(), record.data).ok();
        let of_type =
            record.rtype == self.rtype || (record.rtype == RRSIG && covered() == Some(self.rtype));
        let mut owner = Vec::new();
        of_type
            && packet.owner(record, &mut owner).is_ok()
            && owner.eq_ignore_ascii_case(&self.owner)
    }
}

/// The RRset that answers ANY: the first that is not a signature, if there is one.
fn one_set(packet: &Packet<'_>) -> Result<Option<Set>, Malformed> {
    if packet.qtype() != rtype::ANY {
        return Ok(None);
    }
    let mut answers = packet.section(Section::Answer).peekable();
    let first = answers.peek().copied();
    let Some(first) = answers.find(|record| record.rtype != RRSIG).or(first) else {
        return Ok(None);
    };
    let mut owner = Vec::new();
    packet.owner(first, &mut owner)?;
    Ok(Some(Set { owner, rtype: first.rtype }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Answer;
    use crate::dns::testing::{AT_QUESTION, Build, name, question};

    /// Section and type of what is left.
    fn left(question: &[u8], reply: &[u8]) -> Vec<(Section, u16)> {
        let packet = Packet::parse(reply).unwrap();
        let answer = Answer::minimal(&packet, question, false).unwrap();
        let packet = Packet::parse(answer.wire()).unwrap();
        assert_eq!(packet.bytes().len(), answer.wire().len());
        assert_eq!(packet.records().len(), answer.ttl_places().len());
        packet.records().iter().map(|record| (record.section, record.rtype)).collect()
    }

    fn positive(qtype: u16) -> (Vec<u8>, Build) {
        let question = question("www.example.com", qtype);
        let build = Build::answer(&question).a(60, [192, 0, 2, 1]);
        (question, build)
    }

    #[test]
    fn a_positive_answer_is_its_answer_section_with_its_proofs() {
        use Section::{Answer, Authority};
        let zone = name("example.com");
        let (q, build) = positive(1);
        let build = build.record(Authority, &zone, rtype::NS, 60, &name("ns.example.com"));
        let plain =
            build.record(Section::Additional, &name("ns.example.com"), 1, 60, &[192, 0, 2, 9]);
        assert_eq!(left(&q, &plain.done()), [(Answer, 1)]);
        let (q, build) = positive(1);
        let build = build.record(Authority, &zone, NSEC, 60, &[0, 0, 1, 0x40]);
        assert_eq!(left(&q, &build.opt().done()), [(Answer, 1), (Authority, NSEC)]);
    }

    #[test]
    fn a_negative_answer_keeps_its_authority() {
        let q = question("www.example.com", 28);
        let build = Build::answer(&q).soa("example.com", 300, 60);
        let build =
            build.record(Section::Additional, &name("ns.example.com"), 1, 60, &[192, 0, 2, 9]);
        assert_eq!(left(&q, &build.done()), [(Section::Authority, rtype::SOA)]);
    }

    #[test]
    fn any_is_answered_with_one_set_and_its_signatures() {
        let signature =
            |covered: u16| [&covered.to_be_bytes()[..], &[0; 16], &[0], &[1, 2, 3]].concat();
        let (q, build) = positive(rtype::ANY);
        let build = build.record(Section::Answer, &AT_QUESTION, 16, 60, b"\x02hi");
        let build = build.record(Section::Answer, &AT_QUESTION, RRSIG, 60, &signature(16));
        let build = build.record(Section::Answer, &AT_QUESTION, RRSIG, 60, &signature(1));
        let reply = build.a(60, [192, 0, 2, 2]).done();
        let expected = [1, RRSIG, 1].map(|rtype| (Section::Answer, rtype));
        assert_eq!(left(&q, &reply), expected);
        let answer = Answer::minimal(&Packet::parse(&reply).unwrap(), &q, false).unwrap();
        assert_eq!(answer.wire()[6..12], [0, 3, 0, 0, 0, 0]);
    }

    #[test]
    fn what_the_server_said_of_its_answer_stays_with_it() {
        let (q, build) = positive(1);
        let ede = [0, 15, 0, 3, 0, 3, b'x'];
        let opt = [&[0u8, 0, 41, 4, 0, 0, 0, 0, 0, 0, 7][..], &ede].concat();
        let build =
            build.record(Section::Additional, &name("ns.example.com"), 1, 60, &[192, 0, 2, 9]);
        let mut reply = build.done();
        reply.extend_from_slice(&opt);
        reply[11] += 1;
        let answer = Answer::minimal(&Packet::parse(&reply).unwrap(), &q, false).unwrap();
        assert_eq!((answer.options(), answer.wire()[10..12].to_vec()), (&ede[..], vec![0, 0]));
    }
}
