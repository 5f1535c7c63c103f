//! What the chain says, signed when a client asks for it: `namechain.alt.` is one signed zone, with
//! one key that this resolver made for itself.
//!
//! ```text
//! records -> canonical form -> signature -> RRSIG          nothing -> denial: NSEC -> RRSIG
//! ```
//!
//! A signature says that this resolver has read the chain so. Those who trust its key trust that.

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
pub use key::{Algorithm, Key, ds_of};
pub use period::Period;
pub use rrsig::{RrsigFields, signed_data};

/// How many signatures are remembered: those of the SOA and of what is asked for over TCP are made
/// once a period.
const MAX_SIGNATURES: usize = 4_096;
/// The TTL of the DNSKEY, in seconds.
const DNSKEY_TTL: u32 = 3_600;

/// Why there is no key to sign with.
#[derive(Debug, Error)]
pub enum SignError {
    /// The file can't be read.
    #[error("the key for DNSSEC can't be read from {0}: {1}")]
    Read(PathBuf, io::Error),
    /// The file can't be made.
    #[error(
        "the key for DNSSEC can't be kept in {0}: {1}; say where with [sign] key = PATH, or turn signing off with enabled = false"
    )]
    Write(PathBuf, io::Error),
    /// Others can read the file.
    #[error(
        "the key for DNSSEC in {0} is not secret: others may read or write it (mode {1:o}); if nobody has, chmod 600 it"
    )]
    Open(PathBuf, u32),
    /// The file is not what it should be.
    #[error("the key for DNSSEC in {0} can't be used: {1}")]
    Malformed(PathBuf, &'static str),
    /// The key is for another algorithm.
    #[error(
        "the key for DNSSEC in {path} is for {found}, and [sign] algorithm asks for {asked}: name another file, or move this one away"
    )]
    Algorithm {
        /// The file.
        path: PathBuf,
        /// The key's algorithm.
        found: Algorithm,
        /// What was asked for.
        asked: Algorithm,
    },
    /// A record can't be written.
    #[error("a record can't be written")]
    Unsignable,
    /// No key can be made.
    #[error("no key can be made")]
    Generate,
    /// There is no randomness.
    #[error("the system gives no random bytes")]
    Random,
}

/// The name of the zone that is signed, `namechain.alt.`.
pub fn zone() -> Name {
    Name::from_labels(ALT_LABELS.map(str::as_bytes)).unwrap_or_default()
}

/// What those need who are to trust a key, in master file format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The key's tag.
    pub tag: u16,
    /// How it signs.
    pub algorithm: Algorithm,
    /// The DNSKEY record, without a TTL.
    pub dnskey: String,
    /// The DS record, without a TTL, with a SHA-256 digest.
    pub ds: String,
}

impl Anchor {
    /// Of a key of the zone.
    pub fn of(key: &Key) -> Self {
        let (zone, dnskey) = (zone(), key.dnskey());
        let (tag, algorithm) = (key.tag(), key.algorithm());
        let ds = ds_of(&names::from_labels(zone.iter()), &dnskey);
        let number = algorithm.number();
        Anchor {
            tag,
            algorithm,
            dnskey: format!("{zone} IN DNSKEY 257 3 {number} {}", BASE64.encode(key.public())),
            ds: format!("{zone} IN DS {tag} {number} 2 {}", HEXUPPER.encode(&ds[4..])),
        }
    }
}

/// Signs.
pub struct Signer {
    key: Key,
    zone: Name,
    clock: Box<dyn Fn() -> u64 + Send + Sync>,
    made: Mutex<Made>,
}

/// Signatures of one period, under the hash of what they are over.
#[derive(Default)]
struct Made {
    period: u32,
    signatures: HashMap<[u8; 32], Vec<u8>>,
}

impl Signer {
    /// With the key in the file at `path`, which is made if it is not there, by the machine's
    /// clock.
    ///
    /// # Errors
    /// [`SignError`], if there is no key then.
    pub fn open(path: &Path, algorithm: Option<Algorithm>) -> Result<Self, SignError> {
        Ok(Self::new(file::load_or_make(path, algorithm)?, clock::unix_now))
    }

    /// With this key; `clock` says the seconds since 1970.
    pub fn new(key: Key, clock: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Signer { key, zone: zone(), clock: Box::new(clock), made: Mutex::default() }
    }

    /// What others need to trust it.
    pub fn anchor(&self) -> Anchor {
        Anchor::of(&self.key)
    }

    /// The period that it is.
    pub fn period(&self) -> Period {
        Period::at((self.clock)())
    }

    /// The DNSKEY record of the zone.
    pub fn dnskey(&self) -> Record {
        let data = names::opaque(RecordType::DNSKEY, self.key.dnskey());
        Record::from_rdata(self.zone.clone(), DNSKEY_TTL, data)
    }

    /// Signs the answer to one question, all of it with the times of this moment.
    pub fn begin(&self) -> Signing<'_> {
        Signing { signer: self, period: self.period() }
    }

    fn signature(&self, bytes: &[u8], period: Period) -> Result<Vec<u8>, SignError> {
        let fingerprint = key::fingerprint(bytes);
        let lock = || self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(signature) = lock().signatures.get(&fingerprint) {
            return Ok(signature.clone());
        }
        let signature = self.key.sign(bytes)?;
        let mut made = lock();
        // What is full, or of another time, begins anew: what is asked for comes back.
        if made.period != period.number() || made.signatures.len() >= MAX_SIGNATURES {
            *made = Made { period: period.number(), signatures: HashMap::new() };
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

    /// Records with their signatures, each set's behind it. The sets lie one behind the other.
    ///
    /// # Errors
    /// [`SignError`], if one can't be signed: nothing of it may be given out then.
    pub fn sign(&self, records: Vec<Record>) -> Result<Vec<Record>, SignError> {
        let mut out = Vec::with_capacity(records.len() + 1);
        for set in records.chunk_by(|a, b| a.name == b.name && a.record_type() == b.record_type()) {
            out.extend_from_slice(set);
            out.push(self.rrsig(set)?);
        }
        Ok(out)
    }

    /// The proof that something is not at `name`, signed.
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
