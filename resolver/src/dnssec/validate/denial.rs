//! Denial of existence: the signed NSEC and NSEC3 records of an answer.

use super::budget::Work;
use super::keys;
use super::nsec::{self, DsDenial, Nsec};
use super::nsec3::{Nsec3, Nsec3s, Proof};
use super::rrset::{Message, RrSet};
use super::trust::SignedZone;
use super::verdict::Fault;
use crate::dns::ede::Ede;
use crate::dns::message::Section;
use crate::dns::name::Name;
use crate::dns::rtype;

/// The most NSEC and NSEC3 RRsets of one answer that are read. A denial takes up to four.
const MAX_PROOFS: usize = 16;

/// A valid denial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// It is proven.
    Proven,
    /// It is proven, or the data is proven to be unsigned; with an extended error if there is one.
    Insecure(Option<Ede>),
}

/// The verified NSEC and NSEC3 records of a zone.
#[derive(Debug)]
pub struct DenialProofs<'a> {
    nsec: Vec<Nsec<'a>>,
    nsec3: Result<Nsec3s<'a>, Ede>,
    /// For how many seconds all of them may be cached.
    pub ttl: u32,
}

impl<'a> DenialProofs<'a> {
    /// Verifies the records of the authority section that the zone has signed.
    ///
    /// # Errors
    /// [`Fault`], if one does not verify.
    pub fn collect(
        zone: &'a SignedZone,
        message: &'a Message,
        now: u64,
        work: &mut Work,
    ) -> Result<Self, Fault> {
        let (mut nsec, mut nsec3, mut ttl) = (Vec::new(), Vec::new(), u32::MAX);
        let proofs = |set: &&RrSet| {
            matches!(set.rtype, rtype::NSEC | rtype::NSEC3) && set.signer() == Some(&zone.name)
        };
        for set in message.section(Section::Authority).filter(proofs).take(MAX_PROOFS) {
            let signed = keys::verify_rrset(set, &zone.name, &zone.keys, now, work)?;
            if signed.expanded.is_some() {
                // A denial record expanded from a wildcard proves nothing.
                return Err(Fault::bogus(format!(
                    "{} is expanded from a wildcard",
                    keys::describe(set)
                )));
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

    fn evaluate(
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

    /// Proves that a name does not exist, and no wildcard for it.
    ///
    /// # Errors
    /// [`Fault`] if that is not proven, as for all of these.
    pub fn name_error(&self, name: &Name, work: &mut Work) -> Result<Denied, Fault> {
        let what = || format!("{name} does not exist");
        self.evaluate(
            nsec::name_error(&self.nsec, name),
            |nsec3| nsec3.name_error(name, work),
            what,
        )
    }

    /// Proves that a name has no records of a type.
    ///
    /// # Errors
    /// See [`DenialProofs::name_error`].
    pub fn no_data(&self, name: &Name, rtype: u16, work: &mut Work) -> Result<Denied, Fault> {
        let what = || format!("{name} has no {}", hickory_proto::rr::RecordType::from(rtype));
        self.evaluate(
            nsec::no_data(&self.nsec, name, rtype),
            |nsec3| nsec3.no_data(name, rtype, work),
            what,
        )
    }

    /// Proves that no name is closer than the wildcard below the last `labels` labels.
    ///
    /// # Errors
    /// See [`DenialProofs::name_error`].
    pub fn no_closer_match(
        &self,
        name: &Name,
        labels: usize,
        work: &mut Work,
    ) -> Result<Denied, Fault> {
        let what = || format!("the wildcard applies to {name}");
        self.evaluate(
            nsec::no_closer_match(&self.nsec, name, labels),
            |nsec3| nsec3.no_closer_match(name, labels, work),
            what,
        )
    }

    /// Proves that a name has no DS. The inner error: why it counts as insecure.
    ///
    /// # Errors
    /// See [`DenialProofs::name_error`].
    pub fn no_ds(&self, name: &Name, work: &mut Work) -> Result<Result<DsDenial, Ede>, Fault> {
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
