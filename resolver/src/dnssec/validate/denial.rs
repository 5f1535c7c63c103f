//! The proof of what is not there: the NSEC and NSEC3 records of an answer, as far as the zone has
//! signed them.

use super::budget::Work;
use super::keys;
use super::nsec::{self, Cut, Nsec};
use super::nsec3::{Nsec3, Nsec3s, Proof};
use super::rrset::{Message, RrSet};
use super::trust::Zone;
use super::verdict::Fault;
use crate::dns::ede::Ede;
use crate::dns::message::Section;
use crate::dns::name::Name;
use crate::dns::rtype;

/// NSEC and NSEC3 records of one answer that are looked at. A denial takes up to four.
const MAX_PROOFS: usize = 16;

/// What is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// That it is so.
    Proven,
    /// That it is so, or that it is not signed; and if there is something to say about that, what.
    Insecure(Option<Ede>),
}

/// What a zone has signed about what is not there.
#[derive(Debug)]
pub struct Evidence<'a> {
    nsec: Vec<Nsec<'a>>,
    nsec3: Result<Nsec3s<'a>, Ede>,
    /// For how many seconds all of it holds.
    pub ttl: u32,
}

impl<'a> Evidence<'a> {
    /// Checks the records of the authority section that the zone has signed.
    ///
    /// # Errors
    /// [`Fault`], if one does not hold.
    pub fn collect(
        zone: &'a Zone,
        message: &'a Message,
        now: u64,
        work: &mut Work,
    ) -> Result<Self, Fault> {
        let (mut nsec, mut nsec3, mut ttl) = (Vec::new(), Vec::new(), u32::MAX);
        let proofs = |set: &&RrSet| {
            matches!(set.rtype, rtype::NSEC | rtype::NSEC3) && set.signer() == Some(&zone.name)
        };
        for set in message.section(Section::Authority).filter(proofs).take(MAX_PROOFS) {
            let signed = keys::check(set, &zone.name, &zone.keys, now, work)?;
            if signed.expanded.is_some() {
                // A record made from a wildcard speaks of no name.
                return Err(Fault::bogus(format!("{} is made from a wildcard", keys::said(set))));
            }
            ttl = ttl.min(signed.ttl);
            for value in &set.values {
                if set.rtype == rtype::NSEC {
                    nsec.extend(Nsec::read(&set.owner, value));
                } else {
                    nsec3.extend(Nsec3::read(&set.owner, &zone.name, value));
                }
            }
        }
        let nsec3 = Nsec3s::new(&zone.name, nsec3)?;
        Ok(Self { nsec, nsec3, ttl })
    }

    fn nsec3(&self) -> Result<Option<&Nsec3s<'a>>, Ede> {
        match &self.nsec3 {
            Ok(nsec3) => Ok((!nsec3.is_empty()).then_some(nsec3)),
            Err(ede) => Err(ede.clone()),
        }
    }

    fn judge(
        &self,
        by_nsec: bool,
        by_nsec3: impl FnOnce(&Nsec3s<'a>) -> Result<Proof, Fault>,
        what: impl Fn() -> String,
    ) -> Result<Denied, Fault> {
        if by_nsec {
            return Ok(Denied::Proven);
        }
        let proof = match self.nsec3() {
            Ok(Some(nsec3)) => by_nsec3(nsec3)?,
            Ok(None) => Proof::None,
            Err(ede) => return Ok(Denied::Insecure(Some(ede))),
        };
        match proof {
            Proof::Holds => Ok(Denied::Proven),
            Proof::OptOut => Ok(Denied::Insecure(None)),
            Proof::None => {
                Err(Fault::new(Ede::NSEC_MISSING, format!("there is no proof that {}", what())))
            }
        }
    }

    /// That a name is not there, and no wildcard for it.
    ///
    /// # Errors
    /// [`Fault`] if that is not proven, as for all of these.
    pub fn name_error(&self, name: &Name, work: &mut Work) -> Result<Denied, Fault> {
        let what = || format!("{name} is not there");
        self.judge(nsec::name_error(&self.nsec, name), |nsec3| nsec3.name_error(name, work), what)
    }

    /// That there is nothing of a type at a name.
    ///
    /// # Errors
    /// See [`Evidence::name_error`].
    pub fn no_data(&self, name: &Name, rtype: u16, work: &mut Work) -> Result<Denied, Fault> {
        let what = || format!("{name} has no {}", hickory_proto::rr::RecordType::from(rtype));
        self.judge(
            nsec::no_data(&self.nsec, name, rtype),
            |nsec3| nsec3.no_data(name, rtype, work),
            what,
        )
    }

    /// That nothing is closer to a name than the wildcard below its last `labels` labels.
    ///
    /// # Errors
    /// See [`Evidence::name_error`].
    pub fn no_closer(&self, name: &Name, labels: usize, work: &mut Work) -> Result<Denied, Fault> {
        let what = || format!("the wildcard stands for {name}");
        self.judge(
            nsec::no_closer(&self.nsec, name, labels),
            |nsec3| nsec3.no_closer(name, labels, work),
            what,
        )
    }

    /// What the parent says of a name that has no DS; in the inner result why it counts as
    /// unsigned.
    ///
    /// # Errors
    /// See [`Evidence::name_error`].
    pub fn no_ds(&self, name: &Name, work: &mut Work) -> Result<Result<Cut, Ede>, Fault> {
        if let Some(cut) = nsec::no_ds(&self.nsec, name) {
            return Ok(Ok(cut));
        }
        let found = match self.nsec3() {
            Ok(Some(nsec3)) => nsec3.no_ds(name, work)?,
            Ok(None) => None,
            Err(ede) => return Ok(Err(ede)),
        };
        let missing =
            || Fault::new(Ede::NSEC_MISSING, format!("there is no proof that {name} has no DS"));
        found.map(Ok).ok_or_else(missing)
    }
}
