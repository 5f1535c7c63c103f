//! Validation of an answer (RFC 4035 §5): each RRset by its zone's keys, along all aliases, and
//! every denial by its proof.

use std::collections::HashMap;

use super::chain::Chain;
use super::denial::{DenialProofs, Denied};
use super::keys;
use super::rrset::{Message, RrSet};
use super::trust::{SignedZone, Trust};
use super::verdict::{Fault, Stop, Verdict};
use crate::dns::ede::Ede;
use crate::dns::message::{Section, rcode};
use crate::dns::name::Name;
use crate::dns::rtype;

/// The result of validating an answer.
#[derive(Debug, Clone)]
pub struct Validated {
    /// The verdict.
    pub verdict: Verdict,
    /// For how many seconds the verified RRsets may be cached, by owner and type.
    pub ttls: HashMap<(Name, u16), u32>,
    /// Whether the answer has a denial, if only of names closer than a wildcard.
    pub denies: bool,
}

impl Validated {
    /// A verdict without verified RRsets.
    pub fn from_verdict(verdict: Verdict) -> Self {
        Self { verdict, ttls: HashMap::new(), denies: false }
    }

    fn insecure(&mut self, ede: Option<Ede>) {
        match &mut self.verdict {
            Verdict::Secure => self.verdict = Verdict::Insecure(ede),
            Verdict::Insecure(known) if known.is_none() => *known = ede,
            _ => {}
        }
    }
}

/// An answer to validate.
#[derive(Debug, Clone, Copy)]
pub struct AnswerCheck<'m> {
    /// The QNAME.
    pub name: &'m Name,
    /// The QTYPE.
    pub rtype: u16,
    /// The message.
    pub message: &'m Message,
}

impl AnswerCheck<'_> {
    /// Validates the answer.
    ///
    /// # Errors
    /// [`Stop`]
    pub fn validate(&self, chain: &mut Chain<'_>) -> Result<Validated, Stop> {
        let mut validated = Validated::from_verdict(Verdict::Secure);
        for set in &self.message.sets {
            if let Some(signer) = set.signer() {
                chain.prefetch_keys(&signer.clone());
            }
        }
        // All zones' keys come before any signature: each signature is verified once.
        let mut signed_by = Vec::new();
        for set in
            self.message.section(Section::Answer).filter(|set| !self.is_synthesized_cname(set))
        {
            signed_by.push((set, chain.signing_zone(set)?));
        }
        for (set, zone) in signed_by {
            match zone {
                Ok(zone) => self.verify_set(set, &zone, chain, &mut validated)?,
                Err(ede) => validated.insecure(ede),
            }
        }
        let end = self.alias_target();
        if self.is_present(&end) {
            // Signatures can't be signed.
            if self.rtype == rtype::RRSIG {
                validated.insecure(None);
            }
        } else if !self.is_bare_alias(&end) {
            validated.denies = true;
            self.validate_denial(&end, chain, &mut validated)?;
        }
        Ok(validated)
    }

    fn verify_set(
        &self,
        set: &RrSet,
        zone: &SignedZone,
        chain: &mut Chain<'_>,
        validated: &mut Validated,
    ) -> Result<(), Stop> {
        let signed = keys::verify_rrset(set, &zone.name, &zone.keys, chain.now, chain.work)?;
        validated.ttls.insert((set.owner.clone(), set.rtype), signed.ttl);
        if let Some(labels) = signed.expanded {
            validated.denies = true;
            let evidence = DenialProofs::collect(zone, self.message, chain.now, chain.work)?;
            self.record_proof_ttls(&evidence, zone, validated);
            if let Denied::Insecure(ede) =
                evidence.no_closer_match(&set.owner, labels, chain.work)?
            {
                validated.insecure(ede);
            }
        }
        Ok(())
    }

    /// Records for how long the denial proofs of a zone hold.
    fn record_proof_ttls(
        &self,
        evidence: &DenialProofs<'_>,
        zone: &SignedZone,
        validated: &mut Validated,
    ) {
        for set in self.message.section(Section::Authority) {
            if matches!(set.rtype, rtype::NSEC | rtype::NSEC3) && set.signer() == Some(&zone.name) {
                validated.ttls.insert((set.owner.clone(), set.rtype), evidence.ttl);
            }
        }
    }

    /// Whether it is a CNAME that its server has synthesized from the DNAME beside it (RFC 6672
    /// §5.3.1): that one is signed.
    fn is_synthesized_cname(&self, set: &RrSet) -> bool {
        set.rtype == rtype::CNAME
            && set.signatures.is_empty()
            && set.values.len() == 1
            && self.dname_above(&set.owner).is_some_and(|dname| {
                let moved =
                    dname.target().and_then(|target| set.owner.moved(&dname.owner, &target));
                moved.is_some() && moved == set.target()
            })
    }

    fn dname_above(&self, name: &Name) -> Option<&RrSet> {
        let mut all = self.message.section(Section::Answer);
        all.find(|set| {
            set.rtype == rtype::DNAME && name.is_below(&set.owner) && set.values.len() == 1
        })
    }

    /// The end of the chain of aliases that begins at the question's name.
    fn alias_target(&self) -> Name {
        let mut at = self.name.clone();
        if matches!(self.rtype, rtype::CNAME | rtype::ANY | rtype::RRSIG) {
            return at;
        }
        // Every RRset is an alias at most once.
        for _ in 0..self.message.sets.len() {
            if self.message.answer(&at, self.rtype).is_some() {
                break;
            }
            let next = match self.message.answer(&at, rtype::CNAME) {
                Some(alias) => alias.target(),
                None => {
                    self.dname_above(&at).and_then(|dname| at.moved(&dname.owner, &dname.target()?))
                }
            };
            let Some(next) = next else { break };
            at = next;
        }
        at
    }

    fn is_present(&self, end: &Name) -> bool {
        match (self.message.rcode, self.rtype) {
            (rcode::NXDOMAIN, _) => false,
            // What a DNAME makes too long (RFC 6672 §2.2), if the DNAME is there.
            (rcode::YXDOMAIN, _) => self.dname_above(end).is_some(),
            (_, rtype::RRSIG) => true,
            (_, rtype::ANY) => self.message.section(Section::Answer).any(|set| set.owner == *end),
            (_, rtype) => self.message.answer(end, rtype).is_some(),
        }
    }

    /// Whether it is an alias without any statement on its target, which the client then queries.
    fn is_bare_alias(&self, end: &Name) -> bool {
        let said = |set: &RrSet| matches!(set.rtype, rtype::SOA | rtype::NSEC | rtype::NSEC3);
        end != self.name
            && self.message.rcode == rcode::NOERROR
            && !self.message.section(Section::Authority).any(said)
    }

    /// Validates the denial at the end of all aliases.
    fn validate_denial(
        &self,
        end: &Name,
        chain: &mut Chain<'_>,
        validated: &mut Validated,
    ) -> Result<(), Stop> {
        let may = |signer: &&Name| {
            if self.rtype == rtype::DS && !end.is_root() {
                end.is_below(signer)
            } else {
                end.is_in(signer)
            }
        };
        let signer = |wanted: &[u16]| {
            let mut all =
                self.message.section(Section::Authority).filter(|set| wanted.contains(&set.rtype));
            all.find_map(|set| set.signer().filter(may).cloned())
        };
        let Some(signer) = signer(&[rtype::NSEC, rtype::NSEC3]).or_else(|| signer(&[rtype::SOA]))
        else {
            return self.reject_missing_denial(end, self.missing_proof(end), chain, validated);
        };
        let zone = match chain.trust(&signer)? {
            Trust::Secure(zone) => zone,
            Trust::Insecure(ede) => {
                validated.insecure(ede);
                return Ok(());
            }
            Trust::Bogus(fault) => return Err(fault.into()),
            Trust::WithinZone(_) => {
                let fault = Fault::bogus(format!("{signer} denies {end} and is no zone"));
                return self.reject_missing_denial(end, fault, chain, validated);
            }
        };
        match self.check_denial(end, &zone, chain, validated) {
            Ok(Denied::Proven) => Ok(()),
            Ok(Denied::Insecure(ede)) => {
                validated.insecure(ede);
                Ok(())
            }
            Err(fault) => self.reject_missing_denial(end, fault, chain, validated),
        }
    }

    fn check_denial(
        &self,
        end: &Name,
        zone: &SignedZone,
        chain: &mut Chain<'_>,
        validated: &mut Validated,
    ) -> Result<Denied, Fault> {
        for soa in self.message.section(Section::Authority).filter(|set| set.rtype == rtype::SOA) {
            let signed = keys::verify_rrset(soa, &zone.name, &zone.keys, chain.now, chain.work)?;
            validated.ttls.insert((soa.owner.clone(), soa.rtype), signed.ttl);
        }
        let evidence = DenialProofs::collect(zone, self.message, chain.now, chain.work)?;
        self.record_proof_ttls(&evidence, zone, validated);
        if self.message.rcode == rcode::NXDOMAIN {
            evidence.name_error(end, chain.work)
        } else {
            evidence.no_data(end, self.rtype, chain.work)
        }
    }

    /// A missing or wrong denial is bogus, unless the zone is proven to be insecure.
    fn reject_missing_denial(
        &self,
        end: &Name,
        fault: Fault,
        chain: &mut Chain<'_>,
        validated: &mut Validated,
    ) -> Result<(), Stop> {
        let parent = (self.rtype == rtype::DS).then(|| end.parent()).flatten();
        match chain.enclosing_zone(parent.as_ref().unwrap_or(end))? {
            Trust::Insecure(ede) => {
                validated.insecure(ede);
                Ok(())
            }
            Trust::Bogus(other) => Err(other.into()),
            Trust::Secure(_) | Trust::WithinZone(_) => Err(fault.into()),
        }
    }

    fn missing_proof(&self, end: &Name) -> Fault {
        let (code, what) = if self.message.sets.iter().any(|set| !set.signatures.is_empty()) {
            (Ede::NSEC_MISSING, "proof")
        } else {
            (Ede::RRSIGS_MISSING, "signature")
        };
        Fault::new(code, format!("the denial for {end} has no {what}"))
    }
}
