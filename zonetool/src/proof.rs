//! Proof files: JSON documents that prove a name's entry against a header.
//!
//! ```text
//! {
//!   "version": 1,
//!   "network": "main",
//!   "name": "alice",
//!   "header": "<168 bytes in hex>",            the block whose state root the proof leads to
//!   "proof": "<the proof in hex>",             docs/protocol.md, section 5
//!   "entry": "<the name's entry in hex>",      or null, if the proof is of absence
//!   "place": {                                 only if asked for
//!     "against": "<168 bytes in hex>",         a later header
//!     "proof": "<the proof in hex>"            that its block was built on the first: section 4
//!   }
//! }
//! ```

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

use messaging::{NameProof, verify::MAX_HISTORY_PROOF_BYTES};
use namechain_core::{
    api_types::{PlaceInfo, ProofInfo},
    codec::{Decode, DecodeError},
    consensus::{HistoryProof, HistoryProofError, header::genesis, work::PowHasher},
    tree::{self, MAX_PROOF_BYTES, Proof},
    types::{Entry, HEADER_BYTES, Header, Name, NameEntry, Network},
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The version of the format.
const VERSION: u32 = 1;
/// The most bytes of a proof file: twice a header, the longest proofs and an entry with 4,096 bytes
/// of records are 39 KB.
const MAX_FILE_BYTES: u64 = 64 * 1024;
/// The largest entry that is read. One with 4,096 bytes of records is smaller.
const MAX_ENTRY_BYTES: usize = 8 * 1024;

/// A proof file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofFile {
    version: u32,
    /// The network.
    pub network: Network,
    /// The name.
    pub name: Name,
    header: String,
    proof: String,
    entry: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    place: Option<Place>,
}

/// The proof that a later block was built on the header's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    against: String,
    proof: String,
}

/// Why a proof does not verify.
#[derive(Debug, Error)]
pub enum ProofError {
    /// The file can't be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// The header on the command line is not valid.
    #[error("--header is not a header: {0}")]
    GivenHeader(String),
    /// The file is too long.
    #[error("this is not a proof: it is over {MAX_FILE_BYTES} bytes")]
    TooLong,
    /// Not a proof file.
    #[error("this is not a proof: {0}")]
    NotAProof(String),
    /// Of another version of this format.
    #[error("the proof's version is {0}, this program reads version {VERSION}")]
    Version(u32),
    /// A field is not valid.
    #[error("the proof's {0} is damaged: {1}")]
    Field(&'static str, String),
    /// The proof leads to another root.
    #[error("the proof does not verify: {0}")]
    Tree(#[from] tree::ProofError),
    /// The later header was not built on the first one.
    #[error("the proof does not verify: the later header was not built on this one: {0}")]
    Place(#[from] HistoryProofError),
    /// The proven entry is not of the name.
    #[error("the proof does not verify: the entry is not of this name")]
    Entry,
    /// Of another network than `--network` says.
    #[error("the proof is of the network {found}, and --network says {wanted}")]
    OtherNetwork {
        /// The network in the file.
        found: Network,
        /// The one that was asked for.
        wanted: Network,
    },
    /// Of another name.
    #[error("the proof is of {found}, not of {expected}")]
    OtherName {
        /// The name asked for.
        expected: Name,
        /// The name in the file.
        found: Name,
    },
    /// The name's keys are not proven.
    #[error(transparent)]
    NameProof(#[from] messaging::ProofError),
    /// The header lacks the work that it claims.
    #[error("the proof's header does not have the work that it claims")]
    Work,
}

impl ProofError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            ProofError::File { .. } => return None,
            ProofError::GivenHeader(_) => "give the header's 168 bytes in hexadecimal",
            ProofError::Tree(tree::ProofError::Root) => {
                "the proof or entry was changed, or is for another header; get a new one: zonetool prove NAME > FILE"
            }
            _ => "get a new one: zonetool prove NAME > FILE",
        })
    }
}

impl ProofFile {
    /// The proof file of a node's answer, unchecked.
    pub fn of(network: Network, info: ProofInfo) -> Self {
        let ProofInfo { name, header, proof, entry, .. } = info;
        ProofFile { version: VERSION, network, name, header, proof, entry, place: None }
    }

    /// Reads a file; `-` is standard input.
    pub fn load(path: &Path) -> Result<Self, ProofError> {
        let file_error = |source| ProofError::File { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        match path.as_os_str() == "-" {
            true => io::stdin().take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes),
            false => std::fs::File::open(path)
                .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)),
        }
        .map_err(file_error)?;
        Self::parse(&bytes)
    }

    fn parse(bytes: &[u8]) -> Result<Self, ProofError> {
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(ProofError::TooLong);
        }
        let file: ProofFile = serde_json::from_slice(bytes)
            .map_err(|error| ProofError::NotAProof(error.to_string()))?;
        if file.version == VERSION { Ok(file) } else { Err(ProofError::Version(file.version)) }
    }

    /// The proof in the form that `messaging` verifies, unchecked.
    pub fn name_proof(&self) -> Result<NameProof, ProofError> {
        let read =
            |what, text: &str, max| unhex(text, max).map_err(|why| ProofError::Field(what, why));
        let header = read("header", &self.header, HEADER_BYTES)?;
        let proof = read("proof", &self.proof, MAX_PROOF_BYTES)?;
        let entry =
            self.entry.as_deref().map(|text| read("entry", text, MAX_ENTRY_BYTES)).transpose()?;
        let place = self.place.as_ref();
        let place = place.map(|place| {
            read("proof of the header's place", &place.proof, MAX_HISTORY_PROOF_BYTES)
        });
        Ok(NameProof::read(&header, &proof, entry.as_deref(), place.transpose()?.as_deref())?)
    }

    /// The header in the file.
    pub fn header(&self) -> Result<Header, ProofError> {
        read_header(&self.header).map_err(|why| ProofError::Field("header", why))
    }

    /// Adds the node's proof of a later block, unchecked.
    pub fn with_place(self, info: PlaceInfo) -> Self {
        ProofFile { place: Some(Place { against: info.against, proof: info.proof }), ..self }
    }

    /// The later header in the file, if there is one.
    pub fn against(&self) -> Result<Option<Header>, ProofError> {
        let read = |place: &Place| read_header(&place.against);
        self.place
            .as_ref()
            .map(read)
            .transpose()
            .map_err(|why| ProofError::Field("later header", why))
    }

    /// Whether the block of `against` was built on that of `header`, as the file says.
    pub fn verify_place(&self, header: &Header, against: &Header) -> Result<(), ProofError> {
        let place = self.place.as_ref().ok_or(HistoryProofError::Index)?;
        let field = |why| ProofError::Field("proof of the header's place", why);
        let proof = unhex(&place.proof, MAX_HISTORY_PROOF_BYTES).map_err(field)?;
        let proof = HistoryProof::from_bytes(&proof).map_err(|error| field(error.to_string()))?;
        let id = header.id(self.network);
        Ok(proof.verify(self.network.params(), &against.history_root, &id, header)?)
    }

    /// What the file proves of its name in the state after `header`: its entry, or `None` if
    /// nothing stands under it.
    pub fn verify(&self, header: &Header) -> Result<Option<NameEntry>, ProofError> {
        let field = |what, why: DecodeError| ProofError::Field(what, why.to_string());
        let proof =
            unhex(&self.proof, MAX_PROOF_BYTES).map_err(|why| ProofError::Field("proof", why))?;
        let proof = Proof::from_bytes(&proof).map_err(|error| field("proof", error))?;
        let entry = self.entry.as_deref().map(|text| unhex(text, MAX_ENTRY_BYTES)).transpose();
        let entry = entry.map_err(|why| ProofError::Field("entry", why))?;
        let value = entry.as_ref().map(|bytes| Entry::value_hash(self.network, bytes));
        proof.verify(
            self.network,
            &header.state_root,
            &self.name.key(self.network),
            value.as_ref(),
        )?;
        let Some(bytes) = entry else { return Ok(None) };
        match Entry::from_bytes(&bytes).map_err(|error| field("entry", error))? {
            Entry::Name(entry) if entry.name == self.name => Ok(Some(entry)),
            _ => Err(ProofError::Entry),
        }
    }
}

/// Whether the header has the work that its target demands. The genesis header needs none.
pub fn check_work(network: Network, header: &Header) -> Result<(), ProofError> {
    let worked = PowHasher::new(network).has_header_work(header);
    if worked || *header == genesis(network).header { Ok(()) } else { Err(ProofError::Work) }
}

/// A header from the command line.
pub fn given_header(text: &str) -> Result<Header, ProofError> {
    read_header(text).map_err(ProofError::GivenHeader)
}

fn read_header(text: &str) -> Result<Header, String> {
    let bytes = unhex(text, HEADER_BYTES)?;
    if bytes.len() < HEADER_BYTES {
        return Err(format!("it has {} bytes, not {HEADER_BYTES}", bytes.len()));
    }
    Header::from_bytes(&bytes).map_err(|error| error.to_string())
}

/// At most `max` bytes in hexadecimal.
fn unhex(text: &str, max: usize) -> Result<Vec<u8>, String> {
    if text.len() > 2 * max {
        return Err(format!("it is over {max} bytes"));
    }
    hex::decode(text).map_err(|_| "it is not hexadecimal".into())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use namechain_core::{
        codec::Encode,
        consensus::{History, HistoryNode, difficulty::next_due},
        tree::Tree,
        types::{BlockTime, CommitPosition, Hash, PublicKey, RecordSet, Rescued},
    };

    use super::*;

    const NETWORK: Network = Network::Dev;

    fn entry(name: &str) -> NameEntry {
        NameEntry {
            name: name.parse().unwrap(),
            owner: PublicKey([7; 32]),
            recovery: None,
            title: Hash([8; 32]),
            sequence: 3,
            registered: BlockTime { height: 1, time: 1 },
            commit: CommitPosition::default(),
            updated: BlockTime { height: 2, time: 2 },
            expires: 900,
            revoked: false,
            rescued: Rescued::default(),
            transfer: None,
            records: RecordSet::default(),
            messaging: None,
            messaging_sequence: 0,
        }
    }

    /// A state of a few names, and the proof file of one that may not be there.
    fn proof_of(name: &str) -> (ProofFile, Header) {
        let mut tree = Tree::new(NETWORK);
        let mut found = None;
        for there in ["alice", "bob", "carol", "dave"] {
            let entry = Entry::Name(entry(there));
            let bytes = entry.to_bytes();
            tree.insert(entry.key(NETWORK), Entry::value_hash(NETWORK, &bytes));
            found = found.or((there == name).then(|| hex::encode(&bytes)));
        }
        let name: Name = name.parse().unwrap();
        let header = Header { state_root: tree.root(), ..genesis(NETWORK).header };
        let file = ProofFile {
            version: VERSION,
            network: NETWORK,
            header: hex::encode(header.to_bytes()),
            proof: hex::encode(tree.prove(&name.key(NETWORK)).to_bytes()),
            entry: found,
            place: None,
            name,
        };
        (file, header)
    }

    #[test]
    fn presence_and_absence() {
        let (file, header) = proof_of("alice");
        assert_eq!(file.header().unwrap(), header);
        assert_eq!(file.verify(&header).unwrap(), Some(entry("alice")));
        let (file, header) = proof_of("nobody");
        assert_eq!(file.verify(&header).unwrap(), None);
        let text = serde_json::to_vec(&file).unwrap();
        assert_eq!(ProofFile::parse(&text).unwrap(), file);
    }

    /// Whatever hexadecimal digit of proof or entry is another one, nothing is proven.
    #[test]
    fn a_changed_digit_proves_nothing() {
        for name in ["alice", "nobody"] {
            let (file, header) = proof_of(name);
            for at in 0..file.proof.len() {
                let proof = changed(&file.proof, at);
                assert!(
                    ProofFile { proof, ..file.clone() }.verify(&header).is_err(),
                    "{name}: {at}"
                );
            }
            let entry = file.entry.clone().unwrap_or_default();
            for at in 0..entry.len() {
                let entry = Some(changed(&entry, at));
                let changed = ProofFile { entry, ..file.clone() }.verify(&header);
                assert!(matches!(changed, Err(ProofError::Tree(tree::ProofError::Root))), "{at}");
            }
        }
    }

    fn changed(text: &str, at: usize) -> String {
        let digit = if &text[at..=at] == "0" { "1" } else { "0" };
        format!("{}{digit}{}", &text[..at], &text[at + 1..])
    }

    #[test]
    fn another_name_entry_header_or_network_proves_nothing() {
        let (alice, header) = proof_of("alice");
        let (bob, _) = proof_of("bob");
        let renamed = ProofFile { name: bob.name.clone(), ..alice.clone() };
        assert!(renamed.verify(&header).is_err());
        let others = ProofFile { entry: bob.entry.clone(), ..alice.clone() };
        assert!(matches!(others.verify(&header), Err(ProofError::Tree(tree::ProofError::Root))));
        let without = ProofFile { entry: None, ..alice.clone() };
        assert!(matches!(
            without.verify(&header),
            Err(ProofError::Tree(tree::ProofError::Claim(true)))
        ));
        let (absent, _) = proof_of("nobody");
        let with = ProofFile { entry: alice.entry.clone(), ..absent };
        assert!(matches!(
            with.verify(&header),
            Err(ProofError::Tree(tree::ProofError::Claim(false)))
        ));
        let elsewhere = Header { state_root: Hash([1; 32]), ..header.clone() };
        assert!(matches!(alice.verify(&elsewhere), Err(ProofError::Tree(tree::ProofError::Root))));
        assert!(ProofFile { network: Network::Test, ..alice }.verify(&header).is_err());
    }

    #[test]
    fn a_later_header_is_built_on_this_one() {
        let (file, header) = proof_of("alice");
        let (mut history, mut nodes) = (History::default(), HashMap::new());
        let params = NETWORK.params();
        let mut headers = vec![header.clone()];
        for height in 1..5 {
            let due = next_due(params, headers.last().unwrap());
            headers.push(Header { height, due, time: due, ..header.clone() });
        }
        for header in &headers {
            let leaf = HistoryNode::of_header(params, &header.id(NETWORK), header);
            nodes.extend(history.push(NETWORK, leaf));
        }
        let against = Header { height: 5, history_root: history.root(NETWORK), ..header.clone() };
        let node = |at| nodes.get(&at).cloned();
        let proof = hex::encode(HistoryProof::make(3, 5, node).unwrap().to_bytes());
        let place = Place { against: hex::encode(against.to_bytes()), proof };
        let file = ProofFile { place: Some(place.clone()), ..file };
        assert_eq!(file.against().unwrap(), Some(against.clone()));
        file.verify_place(&headers[3], &against).unwrap();
        assert!(file.verify_place(&headers[2], &against).is_err());
        assert!(file.verify_place(&headers[3], &headers[4]).is_err());
        for at in 0..place.proof.len() {
            let place = Some(Place { proof: changed(&place.proof, at), ..place.clone() });
            let changed = ProofFile { place, ..file.clone() };
            assert!(changed.verify_place(&headers[3], &against).is_err(), "{at}");
        }
        assert!(ProofFile { place: None, ..file }.verify_place(&headers[3], &against).is_err());
    }

    #[test]
    fn what_is_no_proof_file() {
        let (file, _) = proof_of("alice");
        let text = serde_json::to_string(&file).unwrap();
        for bad in ["", "{}", "\u{1b}[2J", &text.replace("\"name\"", "\"nome\""), &text[1..]] {
            assert!(
                matches!(ProofFile::parse(bad.as_bytes()), Err(ProofError::NotAProof(_))),
                "{bad}"
            );
        }
        let old = text.replace("\"version\":1", "\"version\":2");
        assert!(matches!(ProofFile::parse(old.as_bytes()), Err(ProofError::Version(2))));
        assert!(matches!(ProofFile::parse(&vec![b' '; 65_537]), Err(ProofError::TooLong)));
        let long = ProofFile { proof: "00".repeat(MAX_PROOF_BYTES + 1), ..file };
        assert!(matches!(
            long.verify(&genesis(NETWORK).header),
            Err(ProofError::Field("proof", _))
        ));
    }

    #[test]
    fn work_is_checked_but_for_the_genesis() {
        let header = genesis(NETWORK).header;
        assert!(check_work(NETWORK, &header).is_ok());
        let mut worker = PowHasher::new(NETWORK);
        let mut other = Header { height: 1, ..header };
        while worker.has_header_work(&other) {
            other.nonce += 1;
        }
        assert!(matches!(check_work(NETWORK, &other), Err(ProofError::Work)));
        while !worker.has_header_work(&other) {
            other.nonce += 1;
        }
        assert!(check_work(NETWORK, &other).is_ok());
    }
}
