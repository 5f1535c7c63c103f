//! From a name to its verified keys, against the tip of the node's own chain.

use messaging::{Absence, Anchor, Evidence, PeerError, ProofError, VerifiedPeer, resolve_peer};
use namechain::{
    codec::Decode,
    types::{HEADER_BYTES, Header, Name},
};

use super::super::CommandError;
use crate::client::{Client, ClientError};

/// How often a node is asked again because its chain moved on between two questions.
const TRIES: usize = 3;

/// The keys of a name.
pub fn verified(client: &Client, name: &Name) -> Result<VerifiedPeer, CommandError> {
    find(client, name)?.map_err(|error| match error {
        PeerError::Absent(Absence::Unregistered | Absence::Released) => {
            CommandError::NotRegistered(name.clone())
        }
        PeerError::Absent(Absence::NoRecord) => CommandError::NoMessaging(name.clone()),
        PeerError::Absent(Absence::Grace) => CommandError::Grace(name.clone()),
        PeerError::Absent(Absence::Revoked) => CommandError::Revoked(name.clone()),
        PeerError::Proof(error) => CommandError::Evidence(error),
    })
}

/// The keys of a name, or why there are none; or why nobody can tell.
pub fn find(client: &Client, name: &Name) -> Result<Result<VerifiedPeer, PeerError>, ClientError> {
    let mut tries = 1;
    loop {
        match look(client, name)? {
            Err(PeerError::Proof(ProofError::OffChain(_) | ProofError::UnknownHeader)) if tries < TRIES => {
                tries += 1;
            }
            found => return Ok(found),
        }
    }
}

fn look(client: &Client, name: &Name) -> Result<Result<VerifiedPeer, PeerError>, ClientError> {
    let status = client.status()?;
    let bytes = |what: &str, text: &str| {
        hex::decode(text).map_err(|_| client.nonsense(format!("its {what} is not hexadecimal")))
    };
    let block = client.block(status.tip)?;
    let tip = bytes("block", block.bytes.get(..2 * HEADER_BYTES).unwrap_or_default())?;
    let header = Header::from_bytes(&tip).ok().filter(|header| header.id(status.network) == status.tip);
    let header = header.ok_or_else(|| client.nonsense("its tip is another block than it says"))?;
    let said = client.proof(name, None)?;
    let (proven, proof) = (bytes("header", &said.header)?, bytes("proof", &said.proof)?);
    let entry = said.entry.as_deref().map(|entry| bytes("entry", entry)).transpose()?;
    let mut place = None;
    if proven != tip {
        let below = Header::from_bytes(&proven).map_err(|_| client.nonsense("its header is none"))?;
        let said = client.place(&below.id(status.network), header.height)?;
        place = Some(bytes("proof of a header's place", &said.proof)?);
    }
    let evidence = Evidence::read(&proven, &proof, entry.as_deref(), place.as_deref());
    let anchor = Anchor::new(status.network, header);
    Ok(evidence.map_err(PeerError::Proof).and_then(|evidence| resolve_peer(&anchor, name, &evidence)))
}
