//! From a name to the keys that the chain proves to be its own, or to nothing.
//!
//! All it takes is bytes: a header that the caller trusts, and what anybody says of the name. The
//! check is a pure function of at most some 400 hashes, whatever it is fed.

use namechain_core::{
    codec::{Decode, DecodeError, Encode, Reader},
    consensus::{HistoryProof, HistoryProofError, NameStatus, name_status},
    tree::{self, MAX_PROOF_BYTES, Proof},
    types::{
        BlockTime, Entry, HEADER_BYTES, Hash, Header, MessagingEntry, Name, NameEntry, Network,
        PublicKey,
    },
};
use thiserror::Error;

use crate::record::KnownRecord;

/// More than any entry of a name has: 4,096 bytes of records, a messaging record and the rest.
pub const MAX_ENTRY_BYTES: usize = 8 * 1_024;
/// The longest proof of a header's place: two numbers, a sum of work, and fewer than 128 nodes.
pub const MAX_HISTORY_PROOF_BYTES: usize = 16 + 19 + 128 * 91;
/// How many blocks below the trusted header the proof may be made, unless the caller says
/// otherwise. On main it is an hour: whoever holds back a rotation or a revocation can do so for as
/// long.
pub const DEFAULT_MAX_DEPTH_BLOCKS: u32 = 30;

/// A header that the caller trusts: of the own node, or held from elsewhere. Everything else
/// follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedHeader {
    network: Network,
    header: Header,
    max_depth: u32,
}

/// What somebody says of a name, to be checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameProof {
    header: Header,
    proof: Proof,
    entry: Option<Vec<u8>>,
    place: Option<HistoryProof>,
}

/// A name with the keys that the chain proves to be its own. There is no other way to make one than
/// [`verify_name`] and [`resolve_peer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedPeer {
    network: Network,
    name: Name,
    owner: PublicKey,
    title: Hash,
    entry: MessagingEntry,
    record_hash: Hash,
    height: u32,
    depth: u32,
    block: Hash,
}

/// What the chain says of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// It has keys.
    Peer(Box<VerifiedPeer>),
    /// It is proven to have none.
    Absent {
        /// Why.
        why: Absence,
        /// The height of the block in whose state that is proven.
        height: u32,
    },
}

/// Why a name has no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Absence {
    /// Nobody has registered it.
    #[error("nobody has registered the name")]
    Unregistered,
    /// It was registered a short time ago: an older commitment can still displace its owner.
    #[error("the name was registered a short time ago and settles")]
    Settling,
    /// Its owner has published no keys, or withdrawn them, or the name has changed hands since.
    #[error("the name has no keys")]
    NoRecord,
    /// Its lease is over, and nobody else can register it yet.
    #[error("the name's lease has lapsed")]
    Grace,
    /// It was revoked.
    #[error("the name is revoked")]
    Revoked,
    /// Its lease is over, and anybody can register it.
    #[error("the name's lease is over")]
    Released,
}

/// Why a name proof proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProofError {
    /// A part is longer than any.
    #[error("the {0} is too long")]
    TooLong(&'static str),
    /// A part is none.
    #[error("the {0} is damaged: {1}")]
    Malformed(&'static str, DecodeError),
    /// It is about another header than the trusted one, and does not say how they belong together.
    #[error("the proof is made for a header that is not known to be on the chain")]
    UnknownHeader,
    /// The trusted header was not built on that of the proof: it is on another branch, or of
    /// another network.
    #[error("the proof is made for a header that is not below the trusted one: {0}")]
    OffChain(#[from] HistoryProofError),
    /// It is too old: what it says may have changed.
    #[error("the proof is {depth} blocks old, at most {most} are allowed")]
    TooOld {
        /// How many blocks below the trusted header.
        depth: u32,
        /// How many may be.
        most: u32,
    },
    /// It does not lead to the state root.
    #[error("the proof does not verify: {0}")]
    Tree(#[from] tree::ProofError),
    /// The proven entry is no entry of the name.
    #[error("the proof does not verify: the entry is not of this name")]
    OtherName,
}

/// Why there are no keys.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PeerError {
    /// Nothing is proven.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// It is proven that there are none.
    #[error(transparent)]
    Absent(#[from] Absence),
}

impl TrustedHeader {
    /// A header that the caller vouches for.
    pub fn new(network: Network, header: Header) -> Self {
        TrustedHeader { network, header, max_depth: DEFAULT_MAX_DEPTH_BLOCKS }
    }

    /// Reads the 168 bytes of a header that the caller vouches for.
    ///
    /// # Errors
    /// If the bytes are no header.
    pub fn from_bytes(network: Network, header: &[u8]) -> Result<Self, ProofError> {
        Ok(Self::new(network, read(header, HEADER_BYTES, "header")?))
    }

    /// How many blocks old a proof may be, [`DEFAULT_MAX_DEPTH_BLOCKS`] otherwise.
    pub fn with_max_depth(self, blocks: u32) -> Self {
        TrustedHeader { max_depth: blocks, ..self }
    }

    /// The network.
    pub fn network(&self) -> Network {
        self.network
    }

    /// How far below the trusted the header lies: itself, or proven to be below it.
    fn depth_of(&self, header: &Header, place: Option<&HistoryProof>) -> Result<u32, ProofError> {
        if *header == self.header {
            return Ok(0);
        }
        let place = place.ok_or(ProofError::UnknownHeader)?;
        let id = header.id(self.network);
        place.verify(self.network.params(), &self.header.history_root, &id, header)?;
        // What is in the history root is below; a trusted header that says otherwise is not worth
        // its trust.
        let depth =
            self.header.height.checked_sub(header.height).ok_or(HistoryProofError::Index)?;
        match depth <= self.max_depth {
            true => Ok(depth),
            false => Err(ProofError::TooOld { depth, most: self.max_depth }),
        }
    }
}

/// A value that is all of `bytes`, which are at most `max`.
fn read<T: Decode>(bytes: &[u8], max: usize, what: &'static str) -> Result<T, ProofError> {
    if bytes.len() > max {
        return Err(ProofError::TooLong(what));
    }
    T::from_bytes(bytes).map_err(|error| ProofError::Malformed(what, error))
}

impl NameProof {
    /// Reads what a node, or a file, says of a name: the header of the block in whose state it is
    /// proven, the proof (`docs/protocol.md` section 5), the name's entry if it has one, and, if
    /// the header is not the trusted one itself, the proof of its place below it (section 4).
    ///
    /// # Errors
    /// [`ProofError::TooLong`], [`ProofError::Malformed`].
    pub fn read(
        header: &[u8],
        proof: &[u8],
        entry: Option<&[u8]>,
        place: Option<&[u8]>,
    ) -> Result<Self, ProofError> {
        if entry.is_some_and(|entry| entry.len() > MAX_ENTRY_BYTES) {
            return Err(ProofError::TooLong("entry"));
        }
        Ok(NameProof {
            header: read(header, HEADER_BYTES, "header")?,
            proof: read(proof, MAX_PROOF_BYTES, "proof")?,
            entry: entry.map(<[u8]>::to_vec),
            place: place
                .map(|place| read(place, MAX_HISTORY_PROOF_BYTES, "proof of the header's place"))
                .transpose()?,
        })
    }

    /// The proven entry of `name`, if one is proven to stand under it.
    fn entry(&self, network: Network, name: &Name) -> Result<Option<NameEntry>, ProofError> {
        let value = self.entry.as_ref().map(|bytes| Entry::value_hash(network, bytes));
        self.proof.verify(network, &self.header.state_root, &name.key(network), value.as_ref())?;
        let Some(bytes) = &self.entry else { return Ok(None) };
        match Entry::from_bytes(bytes).map_err(|error| ProofError::Malformed("entry", error))? {
            Entry::Name(entry) if entry.name == *name => Ok(Some(entry)),
            _ => Err(ProofError::OtherName),
        }
    }
}

/// The same as one string of bytes, for a file.
///
/// ```text
/// | header 168 | entry: 0, or 1, length u16, bytes | place: 0, or 1 and the proof | proof |
/// ```
impl Encode for NameProof {
    fn encode(&self, out: &mut Vec<u8>) {
        self.header.encode(out);
        out.push(u8::from(self.entry.is_some()));
        if let Some(entry) = &self.entry {
            // At most MAX_ENTRY_BYTES, as it was read.
            out.extend_from_slice(&(entry.len() as u16).to_be_bytes());
            out.extend_from_slice(entry);
        }
        self.place.encode(out);
        self.proof.encode(out);
    }
}

impl Decode for NameProof {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let header = Header::decode(reader)?;
        let entry = match reader.u8()? {
            0 => None,
            1 => {
                let found = usize::from(reader.u16()?);
                if found > MAX_ENTRY_BYTES {
                    return Err(DecodeError::OverCap {
                        what: "an entry's length",
                        found,
                        cap: MAX_ENTRY_BYTES,
                    });
                }
                Some(reader.take(found)?.to_vec())
            }
            _ => return Err(DecodeError::Invalid("an entry is neither there nor not")),
        };
        Ok(NameProof {
            header,
            entry,
            place: Option::decode(reader)?,
            proof: Proof::decode(reader)?,
        })
    }
}

/// What `name_proof` proves of `name` under `trusted`.
///
/// # Errors
/// If it proves nothing.
pub fn verify_name(
    trusted: &TrustedHeader,
    name: &Name,
    name_proof: &NameProof,
) -> Result<Resolution, ProofError> {
    let network = trusted.network;
    let header = &name_proof.header;
    let depth = trusted.depth_of(header, name_proof.place.as_ref())?;
    let absent = |why| Ok(Resolution::Absent { why, height: header.height });
    let Some(entry) = name_proof.entry(network, name)? else {
        return absent(Absence::Unregistered);
    };
    let now = BlockTime { height: header.height, time: header.time };
    match name_status(network.params(), &entry, now) {
        NameStatus::Active => {}
        NameStatus::Settling => return absent(Absence::Settling),
        NameStatus::Grace => return absent(Absence::Grace),
        NameStatus::Revoked => return absent(Absence::Revoked),
        NameStatus::Released => return absent(Absence::Released),
    }
    let Some(record) = entry.messaging else { return absent(Absence::NoRecord) };
    Ok(Resolution::Peer(Box::new(VerifiedPeer {
        network,
        name: entry.name,
        owner: entry.owner,
        title: entry.title,
        record_hash: record.record.hash(network),
        entry: *record,
        height: header.height,
        depth,
        block: header.id(network),
    })))
}

/// The keys that the chain proves to be those of `name`.
///
/// # Errors
/// If nothing is proven, or that it has none.
pub fn resolve_peer(
    trusted: &TrustedHeader,
    name: &Name,
    name_proof: &NameProof,
) -> Result<VerifiedPeer, PeerError> {
    match verify_name(trusted, name, name_proof)? {
        Resolution::Peer(peer) => Ok(*peer),
        Resolution::Absent { why, .. } => Err(why.into()),
    }
}

impl VerifiedPeer {
    /// The network.
    pub fn network(&self) -> Network {
        self.network
    }

    /// The name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The key that owns the name. It signs nothing but operations on the chain.
    pub fn owner(&self) -> PublicKey {
        self.owner
    }

    /// The title of the present owner: it changes whenever the name changes hands.
    pub fn title(&self) -> Hash {
        self.title
    }

    /// The key that speaks for the name.
    pub fn identity(&self) -> PublicKey {
        self.entry.record.identity
    }

    /// The X25519 key that letters are sealed to, if [`VerifiedPeer::allows_x25519_alone`].
    pub fn x25519(&self) -> [u8; 32] {
        self.entry.record.x25519
    }

    /// Whether letters may be sealed to the X25519 key alone.
    pub fn allows_x25519_alone(&self) -> bool {
        self.entry.record.policy.x25519_alone
    }

    /// The sequence number of the record.
    pub fn sequence(&self) -> u32 {
        self.entry.record.sequence
    }

    /// The hash of the bundle that was made with the record; zeros if there was none.
    pub fn bundle_hash(&self) -> Hash {
        self.entry.record.bundle
    }

    /// Where the name is reached, the best first: printable ASCII that nobody has checked.
    pub fn locators(&self) -> &[String] {
        self.entry.record.locators.as_slice()
    }

    /// The record with what the chain says of it.
    pub fn entry(&self) -> &MessagingEntry {
        &self.entry
    }

    /// The record's hash.
    pub fn record_hash(&self) -> Hash {
        self.record_hash
    }

    /// What the record that follows is compared with.
    pub fn known(&self) -> KnownRecord {
        KnownRecord {
            hash: self.record_hash,
            identity: self.identity(),
            next: self.entry.record.next,
        }
    }

    /// The height of the block in whose state the keys are proven.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// How many blocks that is below the trusted header.
    pub fn depth(&self) -> u32 {
        self.depth
    }

    /// The id of that block.
    pub fn block(&self) -> Hash {
        self.block
    }
}

#[cfg(test)]
mod tests;
