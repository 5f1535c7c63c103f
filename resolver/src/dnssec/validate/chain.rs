//! The chain of trust from an anchor down to a zone (RFC 4035 §5.2): at each cut the keys by the
//! parent's DS, or the proof that there is none.
//!
//! ```text
//! zone -> DS of the zone: signed by its parent, which is a zone above it -> the same for that one, up to an anchor
//!                         -> DNSKEY of the zone: signed by a key of which there is a DS
//! ```
//!
//! It is called repeatedly: each call lists the records that it lacks and stops, or proceeds once
//! they are there. Results are cached.

use std::collections::HashMap;
use std::sync::Arc;

use super::anchors::{Anchor, Anchors, ClosestAnchor};
use super::budget::Work;
use super::denial::{DenialProofs, Denied};
use super::keys::{self, Ds, TrustedKeys};
use super::nsec::DsDenial;
use super::rrset::{Message, RrSet};
use super::trust::{BOGUS_TTL_SECS, KeyCache, SignedZone, Trust};
use super::verdict::{Fault, Stop};
use crate::dns::ede::Ede;
use crate::dns::message::{Section, rcode};
use crate::dns::name::Name;
use crate::dns::rtype;

/// The most zone cuts between an anchor and a zone whose keys are queried ahead of need.
const MAX_PREFETCHED_CUTS: usize = 4;

/// A query that validation needs: DS or DNSKEY of a name.
pub type RecordQuery = (Name, u16);

/// The result of a query.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A message.
    Message(Arc<Message>),
    /// No reply, and why.
    Nothing(Ede),
}

/// The state of building the chain of trust for one answer.
#[derive(Debug)]
pub struct Chain<'a> {
    /// The trust anchors.
    pub anchors: &'a Anchors,
    /// What earlier answers established.
    pub known: &'a KeyCache,
    /// Replies to the queries for this answer.
    pub replies: &'a HashMap<RecordQuery, Reply>,
    /// What this answer established, which may be more than the cache holds.
    pub own: &'a mut HashMap<Name, Trust>,
    /// The queries that are needed.
    pub needs: Vec<RecordQuery>,
    /// The work spent.
    pub work: &'a mut Work,
    /// Whether a zone was found in the cache as bogus.
    pub recalled_bogus: bool,
    /// Unix seconds.
    pub now: u64,
}

impl Chain<'_> {
    /// The trust status of a name: whether it is a zone, and its keys.
    ///
    /// # Errors
    /// [`Stop`]
    pub fn trust(&mut self, name: &Name) -> Result<Trust, Stop> {
        let anchors = self.anchors;
        let ClosestAnchor::Anchor(anchor) = anchors.closest(name) else {
            return Ok(Trust::Insecure(None));
        };
        if let Some(trust) = self.cached_trust(name) {
            return Ok(trust);
        }
        for count in (anchor.zone.count()..name.count()).rev() {
            if let Some(above @ (Trust::Insecure(_) | Trust::Bogus(_))) =
                self.cached_trust(&name.suffix(count))
            {
                return Ok(above);
            }
        }
        let found = if anchor.zone == *name {
            self.trust_at_anchor(anchor)
        } else {
            self.trust_from_parent(name)
        };
        match found {
            Ok((trust, ttl)) => Ok(self.cache_trust(name, trust, ttl)),
            Err(Stop::Bogus(fault)) => {
                Ok(self.cache_trust(name, Trust::Bogus(fault), BOGUS_TTL_SECS))
            }
            Err(stop) => Err(stop),
        }
    }

    /// The zone that a name is in. For data that only the parent has (DS), pass the name's parent.
    ///
    /// # Errors
    /// [`Stop`]
    pub fn enclosing_zone(&mut self, name: &Name) -> Result<Trust, Stop> {
        let anchors = self.anchors;
        let ClosestAnchor::Anchor(anchor) = anchors.closest(name) else {
            return Ok(Trust::Insecure(None));
        };
        let mut found = self.trust(&anchor.zone)?;
        for count in anchor.zone.count() + 1..=name.count() {
            match self.trust(&name.suffix(count))? {
                Trust::WithinZone(zone) => found = Trust::Secure(zone),
                Trust::Secure(zone) => found = Trust::Secure(zone),
                end @ (Trust::Insecure(_) | Trust::Bogus(_)) => return Ok(end),
            }
        }
        Ok(found)
    }

    /// Lists all queries that a zone's keys will take, so that they are sent at the same time.
    pub fn prefetch_keys(&mut self, signer: &Name) {
        let anchors = self.anchors;
        let ClosestAnchor::Anchor(anchor) = anchors.closest(signer) else { return };
        let (top, own) = (anchor.zone.count(), signer.count());
        if own - top > MAX_PREFETCHED_CUTS || self.cached_trust(signer).is_some() {
            return;
        }
        for count in top..=own {
            let zone = signer.suffix(count);
            match self.cached_trust(&zone) {
                None => {}
                Some(Trust::Secure(_) | Trust::WithinZone(_)) => continue,
                Some(Trust::Insecure(_) | Trust::Bogus(_)) => return,
            }
            if count > top {
                self.needs.push((zone.clone(), rtype::DS));
            }
            self.needs.push((zone, rtype::DNSKEY));
        }
    }

    fn cached_trust(&mut self, name: &Name) -> Option<Trust> {
        if let Some(trust) = self.own.get(name) {
            return Some(trust.clone());
        }
        let trust = self.known.get(name, self.now)?;
        self.recalled_bogus |= matches!(trust, Trust::Bogus(_));
        self.own.insert(name.clone(), trust.clone());
        Some(trust)
    }

    fn cache_trust(&mut self, name: &Name, trust: Trust, ttl: u64) -> Trust {
        // That this answer has reached a limit says nothing about the zone in question.
        if !matches!(&trust, Trust::Bogus(fault) if fault.exhausted) {
            self.known.insert(name, trust.clone(), ttl, self.now);
        }
        self.own.insert(name.clone(), trust.clone());
        trust
    }

    fn request(&mut self, name: &Name, rtype: u16) -> Stop {
        self.needs.push((name.clone(), rtype));
        Stop::NeedsRecords
    }

    /// The reply to a query; a reply without a statement on the name counts as none.
    fn reply_to(&mut self, name: &Name, rtype: u16) -> Result<Arc<Message>, Stop> {
        match self.replies.get(&(name.clone(), rtype)) {
            Some(Reply::Message(message))
                if matches!(message.rcode, rcode::NOERROR | rcode::NXDOMAIN) =>
            {
                Ok(message.clone())
            }
            Some(Reply::Message(message)) => {
                let kind = hickory_proto::rr::RecordType::from(rtype);
                let text = format!(
                    "DNSSEC: {kind} of {name}: the upstream answered with RCODE {}",
                    message.rcode
                );
                Err(Stop::Indeterminate(Ede::new(Ede::NO_REACHABLE_AUTHORITY, text)))
            }
            Some(Reply::Nothing(ede)) => Err(Stop::Indeterminate(ede.clone())),
            None => Err(self.request(name, rtype)),
        }
    }

    fn trust_at_anchor(&mut self, anchor: &Anchor) -> Result<(Trust, u64), Stop> {
        let digests = match keys::usable_ds(&anchor.digests) {
            Ok(digests) => digests,
            Err(ede) if anchor.keys.is_empty() => {
                return Ok((Trust::Insecure(Some(ede)), BOGUS_TTL_SECS));
            }
            Err(_) => Vec::new(),
        };
        self.trust_from_keys(&anchor.zone, &TrustedKeys { digests, keys: &anchor.keys }, u64::MAX)
    }

    fn trust_from_keys(
        &mut self,
        zone: &Name,
        known: &TrustedKeys<'_>,
        ttl: u64,
    ) -> Result<(Trust, u64), Stop> {
        let message = self.reply_to(zone, rtype::DNSKEY)?;
        let Some(set) = message.answer(zone, rtype::DNSKEY) else {
            return Err(Fault::new(Ede::DNSKEY_MISSING, format!("{zone} has no DNSKEY")).into());
        };
        if let Some(ede) = keys::unsupported_keys(set, zone, known, self.work)? {
            return Ok((Trust::Insecure(Some(ede)), ttl.min(u64::from(set.ttl))));
        }
        let (keys, own) = keys::verify_dnskeys(set, zone, known, self.now, self.work)?;
        Ok((
            Trust::Secure(Arc::new(SignedZone { name: zone.clone(), keys })),
            ttl.min(u64::from(own)),
        ))
    }

    /// The status of a name below an anchor, by its parent.
    fn trust_from_parent(&mut self, name: &Name) -> Result<(Trust, u64), Stop> {
        let message = self.reply_to(name, rtype::DS)?;
        if let Some(set) = message.answer(name, rtype::DS) {
            return self.trust_from_ds(name, set);
        }
        if let Some(found) = self.trust_from_alias(name, &message)? {
            return Ok(found);
        }
        self.trust_from_denial(name, &message)
    }

    /// The zone that has signed an RRset. The inner error: the RRset is proven to need no
    /// signature, with an extended error if there is one.
    ///
    /// # Errors
    /// [`Stop`], if it is not a zone, or not one that can be trusted.
    pub fn signing_zone(
        &mut self,
        set: &RrSet,
    ) -> Result<Result<Arc<SignedZone>, Option<Ede>>, Stop> {
        let trust = match set.signer() {
            Some(signer) => self.trust(&signer.clone())?,
            None => match (set.rtype, set.owner.parent()) {
                (rtype::DS, Some(parent)) => self.enclosing_zone(&parent)?,
                _ => self.enclosing_zone(&set.owner.clone())?,
            },
        };
        match trust {
            Trust::Secure(zone) => Ok(Ok(zone)),
            Trust::Insecure(ede) => Ok(Err(ede)),
            Trust::Bogus(fault) => Err(fault.into()),
            Trust::WithinZone(zone) => {
                let text = format!(
                    "the signer of {} is not a zone; it lies below {}",
                    keys::describe(set),
                    zone.name
                );
                Err(Fault::bogus(text).into())
            }
        }
    }

    fn trust_from_ds(&mut self, name: &Name, set: &RrSet) -> Result<(Trust, u64), Stop> {
        let parent = match self.signing_zone(set)? {
            Ok(parent) => parent,
            Err(ede) => return Ok((Trust::Insecure(ede), u64::from(set.ttl))),
        };
        let signed = keys::verify_rrset(set, &parent.name, &parent.keys, self.now, self.work)?;
        if signed.expanded.is_some() {
            let text = format!("the DS of {name} is expanded from a wildcard");
            return Err(Fault::bogus(text).into());
        }
        let all: Vec<Ds> = set.values.iter().filter_map(|value| Ds::read(value)).collect();
        match keys::usable_ds(&all) {
            Ok(digests) => self.trust_from_keys(
                name,
                &TrustedKeys { digests, keys: &[] },
                u64::from(signed.ttl),
            ),
            Err(ede) => Ok((Trust::Insecure(Some(ede)), u64::from(signed.ttl))),
        }
    }

    /// A name with a CNAME, or below a DNAME, is no zone.
    fn trust_from_alias(
        &mut self,
        name: &Name,
        message: &Message,
    ) -> Result<Option<(Trust, u64)>, Stop> {
        let alias = message.section(Section::Answer).find(|set| match set.rtype {
            rtype::CNAME => set.owner == *name && !set.signatures.is_empty(),
            rtype::DNAME => name.is_below(&set.owner),
            _ => false,
        });
        let Some(set) = alias else { return Ok(None) };
        let zone = match self.signing_zone(set)? {
            Ok(zone) => zone,
            Err(ede) => return Ok(Some((Trust::Insecure(ede), set.ttl.into()))),
        };
        let signed = keys::verify_rrset(set, &zone.name, &zone.keys, self.now, self.work)?;
        let mut ttl = signed.ttl;
        if let Some(labels) = signed.expanded {
            // A wildcard says nothing about a name that exists, which may be a cut (RFC 4035
            // §5.3.4).
            let proofs = DenialProofs::collect(&zone, message, self.now, self.work)?;
            ttl = ttl.min(proofs.ttl);
            if let Denied::Insecure(ede) = proofs.no_closer_match(&set.owner, labels, self.work)? {
                return Ok(Some((Trust::Insecure(ede), ttl.into())));
            }
        }
        Ok(Some((Trust::WithinZone(zone), ttl.into())))
    }

    fn trust_from_denial(&mut self, name: &Name, message: &Message) -> Result<(Trust, u64), Stop> {
        // The child may deny its own DS; only the parent's denial counts.
        let signer = message.section(Section::Authority).find_map(|set| {
            let proof = matches!(set.rtype, rtype::NSEC | rtype::NSEC3 | rtype::SOA);
            set.signer().filter(|signer| proof && name.is_below(signer))
        });
        let Some(signer) = signer.cloned() else {
            let parent = name.parent().unwrap_or_else(Name::root);
            return match self.enclosing_zone(&parent)? {
                Trust::Insecure(ede) => Ok((Trust::Insecure(ede), BOGUS_TTL_SECS)),
                Trust::Bogus(fault) => Err(fault.into()),
                Trust::Secure(zone) | Trust::WithinZone(zone) => {
                    let text = format!("{} does not prove that {name} has no DS", zone.name);
                    Err(Fault::new(Ede::NSEC_MISSING, text).into())
                }
            };
        };
        let zone = match self.trust(&signer)? {
            Trust::Secure(zone) => zone,
            Trust::Insecure(ede) => return Ok((Trust::Insecure(ede), BOGUS_TTL_SECS)),
            Trust::Bogus(fault) => return Err(fault.into()),
            Trust::WithinZone(zone) => {
                let text = format!(
                    "the signer of the denial of {name} is not a zone; it lies below {}",
                    zone.name
                );
                return Err(Fault::bogus(text).into());
            }
        };
        let evidence = DenialProofs::collect(&zone, message, self.now, self.work)?;
        let trust = match evidence.no_ds(name, self.work)? {
            Ok(DsDenial::UnsignedDelegation) => Trust::Insecure(None),
            Ok(DsDenial::NoDelegation) => Trust::WithinZone(zone.clone()),
            Err(ede) => Trust::Insecure(Some(ede)),
        };
        Ok((trust, evidence.ttl.into()))
    }
}
