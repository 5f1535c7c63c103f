//! The judgement on an answer (RFC 4035 §5): each set by the zone that has signed it, along all
//! aliases, and what is not there by its proof.

use std::collections::HashMap;

use super::chain::Chain;
use super::denial::{Denied, Evidence};
use super::keys;
use super::rrset::{Message, RrSet};
use super::trust::{Trust, Zone};
use super::verdict::{Fault, Stop, Verdict};
use crate::dns::ede::Ede;
use crate::dns::message::{Section, rcode};
use crate::dns::name::Name;
use crate::dns::rtype;

/// What is known of an answer in the end.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The verdict.
    pub verdict: Verdict,
    /// For how many seconds the sets that were checked may be kept.
    pub ttls: HashMap<(Name, u16), u32>,
    /// Whether something is denied, be it only what a wildcard stands for.
    pub denies: bool,
}

impl Judged {
    /// A verdict about nothing in particular.
    pub fn of(verdict: Verdict) -> Self {
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

/// The answer to a question.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'m> {
    /// The name that was asked for.
    pub name: &'m Name,
    /// The type.
    pub rtype: u16,
    /// What came.
    pub message: &'m Message,
}

impl Answer<'_> {
    /// Judges it.
    ///
    /// # Errors
    /// [`Stop`]
    pub fn judge(&self, chain: &mut Chain<'_>) -> Result<Judged, Stop> {
        let mut judged = Judged::of(Verdict::Secure);
        for set in &self.message.sets {
            if let Some(signer) = set.signer() {
                chain.foresee(&signer.clone());
            }
        }
        // All of it before anything is checked: what is checked is checked once.
        let mut signed_by = Vec::new();
        for set in self.message.section(Section::Answer).filter(|set| !self.follows_from_dname(set))
        {
            signed_by.push((set, chain.signing(set)?));
        }
        for (set, zone) in signed_by {
            match zone {
                Ok(zone) => self.check(set, &zone, chain, &mut judged)?,
                Err(ede) => judged.insecure(ede),
            }
        }
        let end = self.end();
        if self.is_there(&end) {
            // Signatures can't be signed.
            if self.rtype == rtype::RRSIG {
                judged.insecure(None);
            }
        } else if !self.leaves_open(&end) {
            judged.denies = true;
            self.deny(&end, chain, &mut judged)?;
        }
        Ok(judged)
    }

    fn check(
        &self,
        set: &RrSet,
        zone: &Zone,
        chain: &mut Chain<'_>,
        judged: &mut Judged,
    ) -> Result<(), Stop> {
        let signed = keys::check(set, &zone.name, &zone.keys, chain.now, chain.work)?;
        judged.ttls.insert((set.owner.clone(), set.rtype), signed.ttl);
        if let Some(labels) = signed.expanded {
            judged.denies = true;
            let evidence = Evidence::collect(zone, self.message, chain.now, chain.work)?;
            self.note(&evidence, zone, judged);
            if let Denied::Insecure(ede) = evidence.no_closer(&set.owner, labels, chain.work)? {
                judged.insecure(ede);
            }
        }
        Ok(())
    }

    /// Notes down for how long the proofs of a zone hold.
    fn note(&self, evidence: &Evidence<'_>, zone: &Zone, judged: &mut Judged) {
        for set in self.message.section(Section::Authority) {
            if matches!(set.rtype, rtype::NSEC | rtype::NSEC3) && set.signer() == Some(&zone.name) {
                judged.ttls.insert((set.owner.clone(), set.rtype), evidence.ttl);
            }
        }
    }

    /// Whether it is an alias that its server has made from a DNAME beside it (RFC 6672 §5.3.1):
    /// that one is signed.
    fn follows_from_dname(&self, set: &RrSet) -> bool {
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

    /// Where the aliases lead that begin at the question's name.
    fn end(&self) -> Name {
        let mut at = self.name.clone();
        if matches!(self.rtype, rtype::CNAME | rtype::ANY | rtype::RRSIG) {
            return at;
        }
        // Every set is an alias at most once.
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

    fn is_there(&self, end: &Name) -> bool {
        match (self.message.rcode, self.rtype) {
            (rcode::NXDOMAIN, _) => false,
            // What a DNAME makes too long (RFC 6672 §2.2), if the DNAME is there.
            (rcode::YXDOMAIN, _) => self.dname_above(end).is_some(),
            (_, rtype::RRSIG) => true,
            (_, rtype::ANY) => self.message.section(Section::Answer).any(|set| set.owner == *end),
            (_, rtype) => self.message.answer(end, rtype).is_some(),
        }
    }

    /// Whether it is an alias without a word on what it leads to: whoever wants to know asks for
    /// that.
    fn leaves_open(&self, end: &Name) -> bool {
        let said = |set: &RrSet| matches!(set.rtype, rtype::SOA | rtype::NSEC | rtype::NSEC3);
        end != self.name
            && self.message.rcode == rcode::NOERROR
            && !self.message.section(Section::Authority).any(said)
    }

    /// What is not there at the end of all aliases.
    fn deny(&self, end: &Name, chain: &mut Chain<'_>, judged: &mut Judged) -> Result<(), Stop> {
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
            return self.undenied(end, self.nothing_signed(end), chain, judged);
        };
        let zone = match chain.trust(&signer)? {
            Trust::Secure(zone) => zone,
            Trust::Insecure(ede) => {
                judged.insecure(ede);
                return Ok(());
            }
            Trust::Bogus(fault) => return Err(fault.into()),
            Trust::Inside(_) => {
                let fault = Fault::bogus(format!("{signer} denies {end} and is no zone"));
                return self.undenied(end, fault, chain, judged);
            }
        };
        match self.denied_by(end, &zone, chain, judged) {
            Ok(Denied::Proven) => Ok(()),
            Ok(Denied::Insecure(ede)) => {
                judged.insecure(ede);
                Ok(())
            }
            Err(fault) => self.undenied(end, fault, chain, judged),
        }
    }

    fn denied_by(
        &self,
        end: &Name,
        zone: &Zone,
        chain: &mut Chain<'_>,
        judged: &mut Judged,
    ) -> Result<Denied, Fault> {
        for soa in self.message.section(Section::Authority).filter(|set| set.rtype == rtype::SOA) {
            let signed = keys::check(soa, &zone.name, &zone.keys, chain.now, chain.work)?;
            judged.ttls.insert((soa.owner.clone(), soa.rtype), signed.ttl);
        }
        let evidence = Evidence::collect(zone, self.message, chain.now, chain.work)?;
        self.note(&evidence, zone, judged);
        if self.message.rcode == rcode::NXDOMAIN {
            evidence.name_error(end, chain.work)
        } else {
            evidence.no_data(end, self.rtype, chain.work)
        }
    }

    /// What is not denied as it should be is bogus, unless it is proven that it need not be.
    fn undenied(
        &self,
        end: &Name,
        fault: Fault,
        chain: &mut Chain<'_>,
        judged: &mut Judged,
    ) -> Result<(), Stop> {
        let parent = (self.rtype == rtype::DS).then(|| end.parent()).flatten();
        match chain.enclosing(parent.as_ref().unwrap_or(end))? {
            Trust::Insecure(ede) => {
                judged.insecure(ede);
                Ok(())
            }
            Trust::Bogus(other) => Err(other.into()),
            Trust::Secure(_) | Trust::Inside(_) => Err(fault.into()),
        }
    }

    fn nothing_signed(&self, end: &Name) -> Fault {
        let (code, what) = if self.message.sets.iter().any(|set| !set.signatures.is_empty()) {
            (Ede::NSEC_MISSING, "proof")
        } else {
            (Ede::RRSIGS_MISSING, "signature")
        };
        Fault::new(code, format!("there is no {what} for what is said not to be at {end}"))
    }
}
