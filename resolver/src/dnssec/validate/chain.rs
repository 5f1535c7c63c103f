//! From a trust anchor down to a zone (RFC 4035 §5.2): at each cut the keys by the parent's DS, or
//! the proof that there are none.
//!
//! ```text
//! zone -> DS of the zone: signed by its parent, which is a zone above it -> the same for that one, up to an anchor
//!                         -> DNSKEY of the zone: signed by a key of which there is a DS
//! ```
//!
//! It is a function without memory that is called again and again: whatever it lacks it notes down
//! and stops, and when it was asked for, it gets further. What it has found out it does not find
//! out again.

use std::collections::HashMap;
use std::sync::Arc;

use super::anchors::{Above, Anchor, Anchors};
use super::budget::Work;
use super::denial::Evidence;
use super::keys::{self, Ds, Known as KnownKeys};
use super::nsec::Cut;
use super::rrset::{Message, RrSet};
use super::trust::{BOGUS_TTL, Known, Trust, Zone};
use super::verdict::{Fault, Stop};
use crate::dns::ede::Ede;
use crate::dns::message::{Section, rcode};
use crate::dns::name::Name;
use crate::dns::rtype;

/// Between an anchor and a zone so many cuts are taken for granted when questions are asked ahead
/// of need.
const MAX_FORESEEN: usize = 4;

/// A question that validation asks: DS or DNSKEY of a name.
pub type Ask = (Name, u16);

/// What came of a question.
#[derive(Debug, Clone)]
pub enum ReplyCheck {
    /// A message.
    Message(Arc<Message>),
    /// None, and why.
    Nothing(Ede),
}

/// The work on one answer.
#[derive(Debug)]
pub struct Chain<'a> {
    /// Where trust begins.
    pub anchors: &'a Anchors,
    /// What is known from earlier answers.
    pub known: &'a Known,
    /// What was heard for this one.
    pub heard: &'a HashMap<Ask, ReplyCheck>,
    /// What is known for this one, which may be more than is kept.
    pub own: &'a mut HashMap<Name, Trust>,
    /// What it lacks.
    pub needs: Vec<Ask>,
    /// What was spent.
    pub work: &'a mut Work,
    /// Unix seconds.
    pub now: u64,
}

impl Chain<'_> {
    /// What can be known of a name: whether it is a zone, and its keys.
    ///
    /// # Errors
    /// [`Stop`]
    pub fn trust(&mut self, name: &Name) -> Result<Trust, Stop> {
        let anchors = self.anchors;
        let Above::Anchor(anchor) = anchors.above(name) else { return Ok(Trust::Insecure(None)) };
        if let Some(trust) = self.recall(name) {
            return Ok(trust);
        }
        for count in (anchor.zone.count()..name.count()).rev() {
            if let Some(above @ (Trust::Insecure(_) | Trust::Bogus(_))) =
                self.recall(&name.suffix(count))
            {
                return Ok(above);
            }
        }
        let found = if anchor.zone == *name { self.at_anchor(anchor) } else { self.below(name) };
        match found {
            Ok((trust, ttl)) => Ok(self.remember(name, trust, ttl)),
            Err(Stop::Bogus(fault)) => Ok(self.remember(name, Trust::Bogus(fault), BOGUS_TTL)),
            Err(stop) => Err(stop),
        }
    }

    /// The zone that a name is in. For what only the parent can say of a name, give the name's
    /// parent.
    ///
    /// # Errors
    /// [`Stop`]
    pub fn enclosing(&mut self, name: &Name) -> Result<Trust, Stop> {
        let anchors = self.anchors;
        let Above::Anchor(anchor) = anchors.above(name) else { return Ok(Trust::Insecure(None)) };
        let mut found = self.trust(&anchor.zone)?;
        for count in anchor.zone.count() + 1..=name.count() {
            match self.trust(&name.suffix(count))? {
                Trust::Inside(zone) => found = Trust::Secure(zone),
                Trust::Secure(zone) => found = Trust::Secure(zone),
                end @ (Trust::Insecure(_) | Trust::Bogus(_)) => return Ok(end),
            }
        }
        Ok(found)
    }

    /// Notes down all that it will take to trust a zone which has signed something: asked for at
    /// the same time it takes no longer than one of them.
    pub fn foresee(&mut self, signer: &Name) {
        let anchors = self.anchors;
        let Above::Anchor(anchor) = anchors.above(signer) else { return };
        let (top, own) = (anchor.zone.count(), signer.count());
        if own - top > MAX_FORESEEN || self.recall(signer).is_some() {
            return;
        }
        for count in top..=own {
            let zone = signer.suffix(count);
            match self.recall(&zone) {
                None => {}
                Some(Trust::Secure(_) | Trust::Inside(_)) => continue,
                Some(Trust::Insecure(_) | Trust::Bogus(_)) => return,
            }
            if count > top {
                self.needs.push((zone.clone(), rtype::DS));
            }
            self.needs.push((zone, rtype::DNSKEY));
        }
    }

    fn recall(&mut self, name: &Name) -> Option<Trust> {
        if let Some(trust) = self.own.get(name) {
            return Some(trust.clone());
        }
        let trust = self.known.get(name, self.now)?;
        self.own.insert(name.clone(), trust.clone());
        Some(trust)
    }

    fn remember(&mut self, name: &Name, trust: Trust, ttl: u64) -> Trust {
        // That this answer has cost too much says nothing of the zone at which that was noticed.
        if !matches!(&trust, Trust::Bogus(fault) if fault.exhausted) {
            self.known.insert(name, trust.clone(), ttl, self.now);
        }
        self.own.insert(name.clone(), trust.clone());
        trust
    }

    fn need(&mut self, name: &Name, rtype: u16) -> Stop {
        self.needs.push((name.clone(), rtype));
        Stop::Need
    }

    /// What was heard; an answer that says nothing about the name is none.
    fn heard(&mut self, name: &Name, rtype: u16) -> Result<Arc<Message>, Stop> {
        match self.heard.get(&(name.clone(), rtype)) {
            Some(ReplyCheck::Message(message))
                if matches!(message.rcode, rcode::NOERROR | rcode::NXDOMAIN) =>
            {
                Ok(message.clone())
            }
            Some(ReplyCheck::Message(message)) => {
                let kind = hickory_proto::rr::RecordType::from(rtype);
                let text =
                    format!("DNSSEC: {kind} of {name}: the upstream says RCODE {}", message.rcode);
                Err(Stop::Undecided(Ede::new(Ede::NO_REACHABLE_AUTHORITY, text)))
            }
            Some(ReplyCheck::Nothing(ede)) => Err(Stop::Undecided(ede.clone())),
            None => Err(self.need(name, rtype)),
        }
    }

    fn at_anchor(&mut self, anchor: &Anchor) -> Result<(Trust, u64), Stop> {
        let digests = match keys::usable(&anchor.digests) {
            Ok(digests) => digests,
            Err(ede) if anchor.keys.is_empty() => {
                return Ok((Trust::Insecure(Some(ede)), BOGUS_TTL));
            }
            Err(_) => Vec::new(),
        };
        self.keys_of(&anchor.zone, &KnownKeys { digests, keys: &anchor.keys }, u64::MAX)
    }

    fn keys_of(
        &mut self,
        zone: &Name,
        known: &KnownKeys<'_>,
        ttl: u64,
    ) -> Result<(Trust, u64), Stop> {
        let message = self.heard(zone, rtype::DNSKEY)?;
        let Some(set) = message.answer(zone, rtype::DNSKEY) else {
            return Err(Fault::new(Ede::DNSKEY_MISSING, format!("{zone} has no DNSKEY")).into());
        };
        let (keys, own) = keys::check_keys(set, zone, known, self.now, self.work)?;
        Ok((Trust::Secure(Arc::new(Zone { name: zone.clone(), keys })), ttl.min(u64::from(own))))
    }

    /// A name below an anchor: what its parent says of it.
    fn below(&mut self, name: &Name) -> Result<(Trust, u64), Stop> {
        let message = self.heard(name, rtype::DS)?;
        if let Some(set) = message.answer(name, rtype::DS) {
            return self.by_ds(name, set);
        }
        if let Some(found) = self.by_alias(name, &message)? {
            return Ok(found);
        }
        self.by_denial(name, &message)
    }

    /// The zone that has signed a set. In the inner result: it is proven that it need not be
    /// signed, and what there is to say about that.
    ///
    /// # Errors
    /// [`Stop`], if it is no zone, or none that can be trusted.
    pub fn signing(&mut self, set: &RrSet) -> Result<Result<Arc<Zone>, Option<Ede>>, Stop> {
        let trust = match set.signer() {
            Some(signer) => self.trust(&signer.clone())?,
            None => match (set.rtype, set.owner.parent()) {
                (rtype::DS, Some(parent)) => self.enclosing(&parent)?,
                _ => self.enclosing(&set.owner.clone())?,
            },
        };
        match trust {
            Trust::Secure(zone) => Ok(Ok(zone)),
            Trust::Insecure(ede) => Ok(Err(ede)),
            Trust::Bogus(fault) => Err(fault.into()),
            Trust::Inside(zone) => {
                let text = format!(
                    "{} is signed in the name of what is no zone, below {}",
                    keys::said(set),
                    zone.name
                );
                Err(Fault::bogus(text).into())
            }
        }
    }

    fn by_ds(&mut self, name: &Name, set: &RrSet) -> Result<(Trust, u64), Stop> {
        let parent = match self.signing(set)? {
            Ok(parent) => parent,
            Err(ede) => return Ok((Trust::Insecure(ede), u64::from(set.ttl))),
        };
        let signed = keys::check(set, &parent.name, &parent.keys, self.now, self.work)?;
        let all: Vec<Ds> = set.values.iter().filter_map(|value| Ds::read(value)).collect();
        match keys::usable(&all) {
            Ok(digests) => {
                self.keys_of(name, &KnownKeys { digests, keys: &[] }, u64::from(signed.ttl))
            }
            Err(ede) => Ok((Trust::Insecure(Some(ede)), u64::from(signed.ttl))),
        }
    }

    /// A name with an alias, or below one that moves everything, is no zone.
    fn by_alias(&mut self, name: &Name, message: &Message) -> Result<Option<(Trust, u64)>, Stop> {
        let alias = message.section(Section::Answer).find(|set| match set.rtype {
            rtype::CNAME => set.owner == *name && !set.signatures.is_empty(),
            rtype::DNAME => name.is_below(&set.owner),
            _ => false,
        });
        let Some(set) = alias else { return Ok(None) };
        let zone = match self.signing(set)? {
            Ok(zone) => zone,
            Err(ede) => return Ok(Some((Trust::Insecure(ede), set.ttl.into()))),
        };
        let signed = keys::check(set, &zone.name, &zone.keys, self.now, self.work)?;
        Ok(Some((Trust::Inside(zone), signed.ttl.into())))
    }

    fn by_denial(&mut self, name: &Name, message: &Message) -> Result<(Trust, u64), Stop> {
        // The child denies its own DS; only the parent's word counts.
        let signer = message.section(Section::Authority).find_map(|set| {
            let proof = matches!(set.rtype, rtype::NSEC | rtype::NSEC3 | rtype::SOA);
            set.signer().filter(|signer| proof && name.is_below(signer))
        });
        let Some(signer) = signer.cloned() else {
            let parent = name.parent().unwrap_or_else(Name::root);
            return match self.enclosing(&parent)? {
                Trust::Insecure(ede) => Ok((Trust::Insecure(ede), BOGUS_TTL)),
                Trust::Bogus(fault) => Err(fault.into()),
                Trust::Secure(zone) | Trust::Inside(zone) => {
                    let text = format!("{} does not prove that {name} has no DS", zone.name);
                    Err(Fault::new(Ede::NSEC_MISSING, text).into())
                }
            };
        };
        let zone = match self.trust(&signer)? {
            Trust::Secure(zone) => zone,
            Trust::Insecure(ede) => return Ok((Trust::Insecure(ede), BOGUS_TTL)),
            Trust::Bogus(fault) => return Err(fault.into()),
            Trust::Inside(zone) => {
                let text =
                    format!("{name} is denied in the name of what is no zone, below {}", zone.name);
                return Err(Fault::bogus(text).into());
            }
        };
        let evidence = Evidence::collect(&zone, message, self.now, self.work)?;
        let trust = match evidence.no_ds(name, self.work)? {
            Ok(Cut::Unsigned) => Trust::Insecure(None),
            Ok(Cut::None) => Trust::Inside(zone.clone()),
            Err(ede) => Trust::Insecure(Some(ede)),
        };
        Ok((trust, evidence.ttl.into()))
    }
}
