//! Parses a message into RRsets with their signatures.

use std::collections::HashMap;

use crate::dns::message::{Malformed, Packet, Section, u16_at, u32_at};
use crate::dns::name::Name;
use crate::dns::{rdata, rtype};

/// Class IN. Nothing else is validated.
const IN: u16 = 1;

/// An RRSIG (RFC 4034 §3.1).
///
/// ```text
///  0 type covered (2)  2 algorithm  3 labels  4 original TTL (4)  8 expiration (4)  12 inception (4)  16 key tag (2)
/// 18 signer's name, signature
/// ```
#[derive(Debug, Clone)]
pub struct Signature {
    /// The type that it covers.
    pub covered: u16,
    /// The algorithm of its key.
    pub algorithm: u8,
    /// How many labels the owner had when it was signed, without a `*`.
    pub labels: u8,
    /// The TTL when it was signed, in seconds.
    pub original_ttl: u32,
    /// When it expires (RFC 1982 arithmetic on Unix seconds).
    pub expiration: u32,
    /// When it becomes valid.
    pub inception: u32,
    /// The tag of its key.
    pub tag: u16,
    /// The zone.
    pub signer: Name,
    /// Its RDATA before the signature, which is part of the signed data.
    pub head: Box<[u8]>,
    /// The signature itself.
    pub bytes: Box<[u8]>,
}

impl Signature {
    fn read(rdata: &[u8]) -> Option<Self> {
        let (signer, length) = Name::read(rdata.get(18..)?)?;
        let mut head = rdata[..18].to_vec();
        head.extend_from_slice(signer.wire());
        Some(Self {
            covered: u16_at(rdata, 0).ok()?,
            algorithm: rdata[2],
            labels: rdata[3],
            original_ttl: u32_at(rdata, 4).ok()?,
            expiration: u32_at(rdata, 8).ok()?,
            inception: u32_at(rdata, 12).ok()?,
            tag: u16_at(rdata, 16).ok()?,
            signer,
            head: head.into(),
            bytes: rdata[18 + length..].into(),
        })
    }
}

/// The records of one owner and type in one section, in the form in which they are signed.
#[derive(Debug, Clone)]
pub struct RrSet {
    /// The section.
    pub section: Section,
    /// The owner.
    pub owner: Name,
    /// The type.
    pub rtype: u16,
    /// The smallest TTL, in seconds.
    pub ttl: u32,
    /// The values in canonical form and order, each once (RFC 4034 §6.2, §6.3).
    pub values: Vec<Vec<u8>>,
    /// Its signatures.
    pub signatures: Vec<Signature>,
}

impl RrSet {
    /// The signer's name of the first signature by a zone that can contain the owner. DS belongs to
    /// the parent.
    pub fn signer(&self) -> Option<&Name> {
        let may = |signature: &&Signature| match self.rtype {
            rtype::DS => self.owner.is_below(&signature.signer),
            _ => self.owner.is_in(&signature.signer),
        };
        self.signatures.iter().find(may).map(|signature| &signature.signer)
    }

    /// The target of a CNAME or DNAME.
    pub fn target(&self) -> Option<Name> {
        Name::read(self.values.first()?).map(|(name, _)| name)
    }
}

/// A parsed message.
#[derive(Debug, Clone)]
pub struct Message {
    /// The RCODE in the header, without the bits in the OPT.
    pub rcode: u8,
    /// The RRsets of the answer and the authority section.
    pub sets: Vec<RrSet>,
}

impl Message {
    /// Parses the answer and the authority section.
    ///
    /// # Errors
    /// [`Malformed`] if the message is invalid, or if it has records of a class other than IN.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let packet = Packet::parse(bytes)?;
        let mut places: HashMap<(Name, u16, Section), usize> = HashMap::new();
        let mut sets: Vec<RrSet> = Vec::new();
        let mut signatures = Vec::new();
        let mut wire = Vec::new();
        for record in packet.records() {
            if record.section == Section::Additional {
                continue;
            }
            if record.class != IN {
                return Err(Malformed("a record of another class than IN"));
            }
            wire.clear();
            packet.owner(record, &mut wire)?;
            let owner = Name::of(&wire);
            let mut value = Vec::new();
            packet.rdata(record, &mut value)?;
            if record.rtype == rtype::RRSIG {
                let signature =
                    Signature::read(&value).ok_or(Malformed("an RRSIG that is too short"))?;
                signatures.push((record.section, owner, signature));
                continue;
            }
            rdata::lower_names(record.rtype, &mut value);
            let key = (owner.clone(), record.rtype, record.section);
            let at = *places.entry(key).or_insert(sets.len());
            if at == sets.len() {
                let (section, rtype, ttl) = (record.section, record.rtype, record.ttl);
                let (values, signatures) = (Vec::new(), Vec::new());
                sets.push(RrSet { section, owner, rtype, ttl, values, signatures });
            }
            sets[at].ttl = sets[at].ttl.min(record.ttl);
            sets[at].values.push(value);
        }
        for (section, owner, signature) in signatures {
            if let Some(at) = places.get(&(owner, signature.covered, section)) {
                sets[*at].signatures.push(signature);
            }
        }
        for set in &mut sets {
            set.values.sort_unstable();
            set.values.dedup();
        }
        Ok(Self { rcode: packet.rcode(), sets })
    }

    /// The RRsets of one section.
    pub fn section(&self, section: Section) -> impl Iterator<Item = &RrSet> {
        self.sets.iter().filter(move |set| set.section == section)
    }

    /// The RRset of this owner and type in the answer section.
    pub fn answer(&self, owner: &Name, rtype: u16) -> Option<&RrSet> {
        self.section(Section::Answer).find(|set| set.rtype == rtype && set.owner == *owner)
    }
}
