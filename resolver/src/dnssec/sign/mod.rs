//! Online signing of answers from the chain: `namechain.alt.` is one signed zone, with one key that
//! this resolver has made.
//!
//! ```text
//! records -> canonical form -> signature -> RRSIG          nothing -> denial: NSEC -> RRSIG
//! ```
//!
//! A signature states what this resolver read on the chain. Who trusts the key trusts that.

mod denial;
mod file;
mod key;
mod period;
mod rrsig;

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use data_encoding::{BASE64, HEXUPPER};
use hickory_proto::rr::{Name, Record, RecordType};
use thiserror::Error;

use crate::{chain::mount::ALT_LABELS, dns::names, os::clock};
pub use denial::Denial;
pub use key::{Algorithm, SigningKey, ds_record_data};
pub use period::Period;
pub use rrsig::{RrsigFields, signed_data};

/// The most cached signatures: those of the SOA, say, are made once a period.
const MAX_SIGNATURES: usize = 4_096;
/// The TTL of the DNSKEY, in seconds.
const DNSKEY_TTL_SECS: u32 = 3_600;

/// Why the key can't be used, or an answer can't be signed.
#[derive(Debug, Error)]
pub enum SignError {
    /// The file can't be read.
    #[error("the DNSSEC key {0} can't be read: {1}")]
    Read(PathBuf, io::Error),
    /// The file can't be made.
    #[error(
        "the DNSSEC key {0} can't be written: {1}; set another path with [sign] key = PATH, or turn signing off with enabled = false"
    )]
    Write(PathBuf, io::Error),
    /// Other users can read the file.
    #[error(
        "the DNSSEC key {0} is not secret: other users may read or write it (mode {1:o}); if nobody has, run chmod 600 on it"
    )]
    Permissions(PathBuf, u32),
    /// The file has no valid key.
    #[error("the DNSSEC key {0} can't be used: {1}")]
    Malformed(PathBuf, &'static str),
    /// The key is for another algorithm than configured.
    #[error(
        "the DNSSEC key {path} is for {found}, and [sign] algorithm asks for {asked}: set another path, or move this file away"
    )]
    Algorithm {
        /// The file.
        path: PathBuf,
        /// The key's algorithm.
        found: Algorithm,
        /// What was asked for.
        asked: Algorithm,
    },
    /// A record can't be encoded.
    #[error("a record can't be encoded")]
    Unsignable,
    /// Generating a key failed.
    #[error("generating a key failed")]
    Generate,
    /// There is no randomness.
    #[error("the system has no random bytes")]
    Random,
}

/// The name of the zone that is signed, `namechain.alt.`.
pub fn zone() -> Name {
    Name::from_labels(ALT_LABELS.map(str::as_bytes)).unwrap_or_default()
}

/// A key as a trust anchor, in master file format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustAnchor {
    /// The key's tag.
    pub tag: u16,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// The DNSKEY record, without a TTL.
    pub dnskey: String,
    /// The DS record, without a TTL, with a SHA-256 digest.
    pub ds: String,
}

impl TrustAnchor {
    /// The trust anchor for a key of the zone.
    pub fn from_key(key: &SigningKey) -> Self {
        let (zone, dnskey) = (zone(), key.dnskey());
        let (tag, algorithm) = (key.tag(), key.algorithm());
        let ds = ds_record_data(&names::from_labels(zone.iter()), &dnskey);
        let number = algorithm.number();
        TrustAnchor {
            tag,
            algorithm,
            dnskey: format!("{zone} IN DNSKEY 257 3 {number} {}", BASE64.encode(key.public())),
            ds: format!("{zone} IN DS {tag} {number} 2 {}", HEXUPPER.encode(&ds[4..])),
        }
    }
}

/// Signs answers.
pub struct Signer {
    key: SigningKey,
    zone: Name,
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
        Signer { key, zone: zone(), clock: Box::new(clock), signatures: Mutex::default() }
    }

    /// The key as a trust anchor.
    pub fn anchor(&self) -> TrustAnchor {
        TrustAnchor::from_key(&self.key)
    }

    /// The current signing period.
    pub fn period(&self) -> Period {
        Period::at((self.clock)())
    }

    /// The DNSKEY record of the zone.
    pub fn dnskey(&self) -> Record {
        let data = names::opaque(RecordType::DNSKEY, self.key.dnskey());
        Record::from_rdata(self.zone.clone(), DNSKEY_TTL_SECS, data)
    }

    /// Starts signing one answer: all its signatures have the same times.
    pub fn begin(&self) -> Signing<'_> {
        Signing { signer: self, period: self.period() }
    }

    fn signature(&self, bytes: &[u8], period: Period) -> Result<Vec<u8>, SignError> {
        let fingerprint = key::fingerprint(bytes);
        let lock = || self.signatures.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(signature) = lock().signatures.get(&fingerprint) {
            return Ok(signature.clone());
        }
        let signature = self.key.sign(bytes)?;
        let mut made = lock();
        // A full cache, or one of another period, is emptied.
        if made.period != period.number() || made.signatures.len() >= MAX_SIGNATURES {
            *made = SignatureCache { period: period.number(), signatures: HashMap::new() };
        }
        made.signatures.insert(fingerprint, signature.clone());
        Ok(signature)
    }
}

/// The signing of one answer.
#[derive(Clone, Copy)]
pub struct Signing<'s> {
    signer: &'s Signer,
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
            signer: &self.signer.zone,
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
