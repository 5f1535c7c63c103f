//! The form of answers from the chain for one question: signed if the client asks for it and the
//! zone is signed; NXDOMAIN or a compact denial; with AD or without.

use hickory_proto::{
    op::ResponseCode,
    rr::{Name, Record, RecordType},
};

use crate::{
    chain::{
        mount::{Mount, Suffix},
        soa::{SUFFIX_NEGATIVE_TTL_SECS, suffix_soa},
        zone::DelegationPoint,
    },
    dns::{
        ede::Ede,
        query::Question,
        rtype::{DNSKEY, NS, SOA},
    },
    dnssec::sign::{Denial, Period, SignError, Signer, Signing},
    resolve::answer::Answer,
};

/// The form of the chain's answers to one question.
pub(super) struct ChainAnswers<'p> {
    /// The signer, if signing is on.
    signer: Option<&'p Signer>,
    /// What signs this answer, and for which period; `None` if the client did not ask for
    /// signatures.
    signing: Option<(&'p Signer, Period)>,
    /// Whether the client understands compact denials (CO).
    compact_ok: bool,
    /// Whether the chain was validated by a node in this process or on this machine.
    authentic: bool,
}

impl<'p> ChainAnswers<'p> {
    /// The form for `question`. `authentic`: whether the chain was validated locally.
    pub(super) fn new(signer: Option<&'p Signer>, question: &Question, authentic: bool) -> Self {
        ChainAnswers {
            signing: signer.filter(|_| question.dnssec_ok).map(|signer| (signer, signer.period())),
            signer,
            compact_ok: question.compact_ok,
            authentic,
        }
    }

    /// The answer for a suffix itself.
    pub(super) fn mount_point(
        &self,
        suffix: &'static Suffix,
        question: &Question,
        name: &Name,
    ) -> Answer {
        let (mount, soa) = (Mount::Suffix(suffix), suffix_soa(suffix));
        let mut types = vec![SOA];
        types.extend(self.signer.map(|_| DNSKEY));
        match (question.qtype, self.signer) {
            // One RRset is a full answer to ANY (RFC 8482 §4.1).
            (RecordType::SOA | RecordType::ANY, _) => self.records(mount, vec![soa]),
            (RecordType::DNSKEY, Some(signer)) => {
                self.records(mount, vec![signer.dnskey(suffix.name())])
            }
            _ => self.negative(mount, question, name, Denial::Data(types), soa),
        }
    }

    /// The signing at a mount: names at the root are not in the signed zone.
    fn signing(&self, mount: Mount) -> Option<Signing<'p>> {
        let Mount::Suffix(suffix) = mount else { return None };
        let (signer, period) = self.signing?;
        Some(signer.begin(suffix.name(), period))
    }

    /// Records of the zone.
    pub(super) fn records(&self, mount: Mount, records: Vec<Record>) -> Answer {
        let answer = Answer { authentic: self.authentic, ..Answer::default() };
        let Some(signing) = self.signing(mount) else {
            return Answer { authoritative: true, answers: records, ..answer };
        };
        let signed = signing.period().number();
        match sign(&signing, records) {
            Ok(answers) => Answer { authoritative: true, answers, signed, ..answer },
            Err(error) => unsigned(&error),
        }
    }

    /// A denial for `name`, with the SOA of its zone.
    pub(super) fn negative(
        &self,
        mount: Mount,
        question: &Question,
        name: &Name,
        denial: Denial,
        soa: Record,
    ) -> Answer {
        let mut rcode = match denial {
            Denial::Name => ResponseCode::NXDomain,
            Denial::Data(_) => ResponseCode::NoError,
        };
        let Some(signing) = self.signing(mount) else {
            return Answer { authentic: self.authentic, ..Answer::negative(rcode, soa) };
        };
        // A compact denial says that the name exists: validators would not accept NXDOMAIN beside
        // it, except clients that set CO (RFC 9824 §5).
        if !self.compact_ok {
            rcode = ResponseCode::NoError;
        }
        let (authentic, signed) = (self.authentic, signing.period().number());
        let ttl = soa.ttl;
        let proof =
            signing.deny(name, &denial, ttl).and_then(|nsec| Ok((signing.sign(vec![soa])?, nsec)));
        let (mut authorities, nsec) = match proof {
            Ok(proof) => proof,
            Err(error) => return unsigned(&error),
        };
        // The denial itself has these two types: asked for, they exist (RFC 8482 §4.1 for RRSIG:
        // one is enough).
        if matches!(question.qtype, RecordType::NSEC | RecordType::RRSIG) {
            let skip = usize::from(question.qtype == RecordType::RRSIG);
            let answers = nsec.into_iter().skip(skip).collect();
            return Answer { authentic, signed, ..Answer::records(answers) };
        }
        authorities.extend(nsec);
        Answer { rcode, authoritative: true, authentic, signed, authorities, ..Answer::default() }
    }

    /// A referral, for clients that ask without recursion: with the DS records of a signed child
    /// zone, or the proof that it has none (RFC 4035 §3.1.4).
    pub(super) fn referral(&self, mount: Mount, cut: DelegationPoint) -> Answer {
        let referral = Answer { authorities: cut.ns, additionals: cut.glue, ..Answer::default() };
        let Some(signing) = self.signing(mount) else { return referral };
        let proof = match cut.ds.is_empty() {
            true => signing.deny(&cut.at, &Denial::Data(vec![NS]), SUFFIX_NEGATIVE_TTL_SECS),
            false => signing.sign(cut.ds),
        };
        match proof {
            Ok(proof) => {
                let authorities = referral.authorities.into_iter().chain(proof).collect();
                Answer { authorities, signed: signing.period().number(), ..referral }
            }
            Err(error) => unsigned(&error),
        }
    }
}

/// Signs the RRsets of an answer. The CNAME after a DNAME is synthesized and has no signature (RFC
/// 6672 §5.3.1).
fn sign(signing: &Signing<'_>, mut records: Vec<Record>) -> Result<Vec<Record>, SignError> {
    let is_dname = |record: &Record| record.record_type() == RecordType::from(39);
    let made = match records.as_slice() {
        [first, .., last] if is_dname(first) && last.record_type() == RecordType::CNAME => {
            records.pop()
        }
        _ => None,
    };
    let mut signed = signing.sign(records)?;
    signed.extend(made);
    Ok(signed)
}

/// An answer without its signatures would count as bogus.
fn unsigned(error: &SignError) -> Answer {
    tracing::error!(%error, "an answer could not be signed");
    Answer::failure(
        ResponseCode::ServFail,
        Ede::new(Ede::OTHER, format!("the answer could not be signed: {error}")),
    )
}
