//! The signer: one key, and a cache of signatures.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Mutex, PoisonError},
};

use hickory_proto::rr::{Name, Record, RecordType};

use super::{
    algorithm::Algorithm,
    anchor::TrustAnchor,
    denial::Denial,
    error::SignError,
    file,
    key::{SigningKey, sha256},
    period::Period,
    rrsig::{RrsigFields, signed_data},
};
use crate::{dns::names, os::clock};

/// The most cached signatures: those of the SOA, say, are made once a period.
const MAX_SIGNATURES: usize = 4_096;
/// The TTL of the DNSKEY, in seconds.
const DNSKEY_TTL_SECS: u32 = 3_600;

/// Signs answers.
pub struct Signer {
    key: SigningKey,
    clock: Box<dyn Fn() -> u64 + Send + Sync>,
    signatures: Mutex<SignatureCache>,
}

/// Signatures of one period, keyed by the hash of the signed data.
#[derive(Default)]
struct SignatureCache {
    period: u32,
    signatures: HashMap<[u8; 32], Vec<u8>>,
}

impl Signer {
    /// Opens the key in the file at `path`, or makes it, and uses the machine's clock.
    ///
    /// # Errors
    /// [`SignError`], if the key can't be read, made or used.
    pub fn open(path: &Path, algorithm: Option<Algorithm>) -> Result<Self, SignError> {
        Ok(Self::new(file::load_or_make(path, algorithm)?, clock::unix_now))
    }

    /// Signs with this key; `clock` gives seconds since 1970.
    pub fn new(key: SigningKey, clock: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Signer { key, clock: Box::new(clock), signatures: Mutex::default() }
    }

    /// The key as a trust anchor of a zone.
    pub fn anchor(&self, zone: &Name) -> TrustAnchor {
        TrustAnchor::from_key(&self.key, zone)
    }

    /// The tag of the key (RFC 4034 appendix B).
    pub fn key_tag(&self) -> u16 {
        self.key.tag()
    }

    /// The current signing period.
    pub fn period(&self) -> Period {
        Period::at((self.clock)())
    }

    /// The DNSKEY record of a zone.
    pub fn dnskey(&self, zone: Name) -> Record {
        let data = names::opaque(RecordType::DNSKEY, self.key.dnskey());
        Record::from_rdata(zone, DNSKEY_TTL_SECS, data)
    }

    /// Starts signing one answer from a zone: all its signatures have the times of the period.
    pub fn begin(&self, zone: Name, period: Period) -> Signing<'_> {
        Signing { signer: self, zone, period }
    }

    fn signature(&self, bytes: &[u8], period: Period) -> Result<Vec<u8>, SignError> {
        let digest = sha256(bytes);
        let lock = || self.signatures.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(signature) = lock().signatures.get(&digest) {
            return Ok(signature.clone());
        }
        let signature = self.key.sign(bytes)?;
        let mut made = lock();
        // A full cache, or one of another period, is emptied.
        if made.period != period.number() || made.signatures.len() >= MAX_SIGNATURES {
            *made = SignatureCache { period: period.number(), signatures: HashMap::new() };
        }
        made.signatures.insert(digest, signature.clone());
        Ok(signature)
    }
}

/// The signing of one answer.
pub struct Signing<'s> {
    signer: &'s Signer,
    zone: Name,
    period: Period,
}

impl Signing<'_> {
    /// The period whose times the signatures have.
    pub fn period(&self) -> Period {
        self.period
    }

    /// Signs records: the RRSIG of each RRset follows it. RRsets have to be contiguous.
    ///
    /// # Errors
    /// [`SignError`], if one can't be signed: the answer must not be sent then.
    pub fn sign(&self, records: Vec<Record>) -> Result<Vec<Record>, SignError> {
        let mut out = Vec::with_capacity(records.len() + 1);
        for set in records.chunk_by(|a, b| a.name == b.name && a.record_type() == b.record_type()) {
            out.extend_from_slice(set);
            out.push(self.rrsig(set)?);
        }
        Ok(out)
    }

    /// The signed denial of existence for `name`.
    ///
    /// # Errors
    /// As [`Signing::sign`].
    pub fn deny(&self, name: &Name, denial: &Denial, ttl: u32) -> Result<Vec<Record>, SignError> {
        self.sign(vec![denial.nsec(name, ttl)])
    }

    fn rrsig(&self, set: &[Record]) -> Result<Record, SignError> {
        let fields = RrsigFields {
            algorithm: self.signer.key.algorithm().number(),
            expiration: self.period.expiration(),
            inception: self.period.inception(),
            key_tag: self.signer.key.tag(),
            signer: &self.zone,
        };
        // `chunk_by` gives no empty sets.
        let first = set.first().ok_or(SignError::Unsignable)?;
        let mut data = fields.prefix(first);
        let bytes = signed_data(&data, set).ok_or(SignError::Unsignable)?;
        data.extend(self.signer.signature(&bytes, self.period)?);
        Ok(Record::from_rdata(
            first.name.clone(),
            first.ttl,
            names::opaque(RecordType::RRSIG, data),
        ))
    }
}
