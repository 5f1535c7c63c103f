//! From a name to its verified keys: the proof, the header that it is checked against, and what was
//! seen before.

use messaging::{
    Absence, OnKeyChange, Pin, PinError, PinStatus, Pins, ProofError as Unproven, Resolution,
    TrustedHeader, VerifiedPeer, files::Stored, verify_name,
};
use namechain_core::{
    codec::Decode,
    types::{Action, HEADER_BYTES, Header, MessagingEntry, Name, Network, SignedMessagingRecord},
};

use crate::{
    cli::Lookup,
    client::Client,
    command::{
        history::operations,
        input::Keystore,
        query::{messaging_of, registered},
    },
    error::{CommandError, PeerError},
    keys::{self, IdentityFile},
    pin_store::PinStore,
    proof::{ProofFile, given_header},
};

/// How often the node is asked in all if its chain changes between two requests.
const MAX_TRIES: usize = 3;

/// What a lookup found of a name.
pub struct LookupResult {
    /// Its keys; none if the user accepted that there are none.
    pub peer: Option<VerifiedPeer>,
    /// How they compare with the pin.
    pub pin_status: PinStatus,
    /// The pin before the lookup.
    pub before: Option<Pin>,
    /// The header that the proof was checked against, and where it is from: `node`, `given`,
    /// `file`.
    pub anchor: (Header, &'static str),
    /// The height in whose state it is proven.
    pub height: u32,
    /// The proof.
    pub file: ProofFile,
}

/// A proof of a name's entry, and the header that it is checked against.
struct FetchedProof {
    anchor: TrustedHeader,
    header: (Header, &'static str),
    file: ProofFile,
}

/// Looks a name up, compares it with its pin, and updates the pin. Asks `client` unless there is a
/// file.
pub fn look_up(client: &Client, args: &Lookup, name: &Name) -> Result<LookupResult, CommandError> {
    look(client, args, name, true)
}

/// Looks up a name that somebody merely claims: no pin is updated.
pub fn look_up_unpinned(
    client: &Client,
    args: &Lookup,
    name: &Name,
) -> Result<VerifiedPeer, CommandError> {
    let LookupResult { peer, pin_status, .. } = look(client, args, name, false)?;
    peer.ok_or_else(|| PeerError::KeyChanged(name.clone(), pin_status).into())
}

fn look(
    client: &Client,
    args: &Lookup,
    name: &Name,
    remember: bool,
) -> Result<LookupResult, CommandError> {
    let mut tries = 1;
    let (gathered, finding) = loop {
        let gathered = fetch_proof(client, args, name)?;
        match verify_name(&gathered.anchor, name, &gathered.file.name_proof()?) {
            // The chain changed between two requests.
            Err(Unproven::OffChain(_) | Unproven::UnknownHeader)
                if tries < MAX_TRIES && gathered.header.1 == "node" =>
            {
                tries += 1;
            }
            found => break (gathered, found.map_err(crate::proof::ProofError::NameProof)?),
        }
    };
    let store = PinStore::of(gathered.anchor.network())?;
    let mut pins = store.pins().map_err(PeerError::PinStore)?;
    let before = pins.value.get(name).copied();
    let asked = args.offline.is_none().then_some(client);
    let steps = fetch_steps(asked, name, before.as_ref(), &finding)?;
    let accept = args.accept.map(|accept| accept.pin_status());
    let (pin_status, peer, height) =
        update_pin(&mut pins, name, finding, &steps, (accept, remember))?;
    Ok(LookupResult {
        peer,
        pin_status,
        before,
        anchor: gathered.header,
        height,
        file: gathered.file,
    })
}

/// Looks up a name that must have keys.
pub fn look_up_peer(
    client: &Client,
    args: &Lookup,
    name: &Name,
) -> Result<(VerifiedPeer, PinStatus), CommandError> {
    let LookupResult { peer, pin_status, .. } = look_up(client, args, name)?;
    let peer =
        peer.ok_or_else(|| CommandError::from(PeerError::KeyChanged(name.clone(), pin_status)))?;
    Ok((peer, pin_status))
}

/// Our identity key that stands under one of our names, and the record's sequence number.
pub fn own_identity(
    client: &Client,
    keystore: &Keystore,
    name: &Name,
) -> Result<(IdentityFile, u32), CommandError> {
    let entry = current_record(client, name)?;
    let files = keys::identities(&keystore.directory)?;
    let file = files.into_iter().find(|file| file.identity == entry.record.identity);
    Ok((file.ok_or_else(|| PeerError::NotOurs(name.clone()))?, entry.record.sequence))
}

/// The messaging record of a name, as the node gives it.
pub fn current_record(client: &Client, name: &Name) -> Result<MessagingEntry, CommandError> {
    let (info, _) = registered(client, name.as_str())?;
    let entry = info.entry.as_ref().map(messaging_of).transpose()?.flatten();
    entry.ok_or_else(|| CommandError::NoMessaging(name.clone()))
}

fn fetch_proof(client: &Client, args: &Lookup, name: &Name) -> Result<FetchedProof, CommandError> {
    let given = args.header.as_deref().map(given_header).transpose()?;
    let (network, header, file) = match (&args.offline, given) {
        (Some(path), given) => {
            let file = ProofFile::load(path)?;
            let header = match given {
                Some(header) => (header, "given"),
                None if args.trust_file_header => {
                    (file.against()?.map_or_else(|| file.header(), Ok)?, "file")
                }
                None => return Err(PeerError::NoAnchor.into()),
            };
            (file.network, header, file)
        }
        (None, Some(header)) => {
            let network = client.status()?.network;
            let file = ProofFile::of(network, client.proof(name, Some(header.height))?);
            (network, (header, "given"), file)
        }
        (None, None) => {
            let (network, header) = tip(client)?;
            let mut file = ProofFile::of(network, client.proof(name, None)?);
            let proven = file.header()?;
            if proven != header {
                file = file.with_place(client.place(&proven.id(network), header.height)?);
            }
            (network, (header, "node"), file)
        }
    };
    if file.name != *name {
        return Err(crate::proof::ProofError::OtherName {
            expected: name.clone(),
            found: file.name,
        }
        .into());
    }
    let anchor = TrustedHeader::new(network, header.0.clone()).with_max_depth(args.max_depth);
    Ok(FetchedProof { anchor, header, file })
}

/// The header of the node's tip: the node is trusted for it.
fn tip(client: &Client) -> Result<(Network, Header), CommandError> {
    let status = client.status()?;
    if !status.synced {
        return Err(CommandError::NotSynced(status.height));
    }
    let block = client.block(status.tip)?;
    let header = block.bytes.get(..2 * HEADER_BYTES).and_then(|text| hex::decode(text).ok());
    let header = header.and_then(|bytes| Header::from_bytes(&bytes).ok());
    match header {
        Some(header) if header.id(status.network) == status.tip => Ok((status.network, header)),
        _ => Err(client.bad_answer("the block that it gives is not its tip").into()),
    }
}

/// The messaging records after the pinned one up to the present one, from the name's history.
/// Comparing with the pins judges them.
fn fetch_steps(
    client: Option<&Client>,
    name: &Name,
    before: Option<&Pin>,
    finding: &Resolution,
) -> Result<Vec<SignedMessagingRecord>, CommandError> {
    let (Some(client), Some(pin), Resolution::Peer(peer)) = (client, before, finding) else {
        return Ok(Vec::new());
    };
    let skipped = peer.sequence() > pin.sequence.saturating_add(1);
    if !skipped || peer.identity() == pin.known.identity {
        return Ok(Vec::new());
    }
    let recorded = operations(client, name, pin.recorded)?;
    let published = recorded.operations.into_iter().filter_map(|(_, named)| match named.action {
        Action::Publish { record: Some(signed), .. } => Some(*signed),
        _ => None,
    });
    let (first, last) = (pin.sequence.saturating_add(1), peer.sequence());
    let steps: Vec<SignedMessagingRecord> =
        published.filter(|signed| (first..=last).contains(&signed.record.sequence)).collect();
    match recorded.pruned_below {
        // What is missing may be what links the pinned key to the present one.
        Some(height) if steps.first().is_none_or(|step| step.record.sequence != first) => {
            Err(CommandError::Pruned(name.clone(), height))
        }
        _ => Ok(steps),
    }
}

/// Compares what was found with the pin, and updates the pin if `remember`. Gives the pin status if
/// the keys can be used, or the user accepted the change.
fn update_pin(
    pins: &mut Stored<Pins>,
    name: &Name,
    finding: Resolution,
    steps: &[SignedMessagingRecord],
    (accept, remember): (Option<PinStatus>, bool),
) -> Result<(PinStatus, Option<VerifiedPeer>, u32), CommandError> {
    let pin_status = pins.value.compare(&finding, steps);
    let accepted = accept == Some(pin_status);
    let save = |pins: &Stored<Pins>| match remember {
        true => pins.save().map_err(PeerError::PinStore),
        false => Ok(()),
    };
    match finding {
        Resolution::Peer(peer) => {
            let accept = if accepted { OnKeyChange::Accept } else { OnKeyChange::Refuse };
            pins.value.record(&peer, steps, accept).map_err(|error| match error {
                PinError::Refused { name, pin_status } => PeerError::KeyChanged(name, pin_status),
                other => PeerError::Pin(other),
            })?;
            save(pins)?;
            Ok((pin_status, Some(*peer.clone()), peer.height()))
        }
        Resolution::Absent { why, height } => {
            let was_seen = pins.value.get(name).is_some();
            pins.value.record_absence(name, why, height);
            if was_seen {
                save(pins)?;
            }
            match accepted {
                true => Ok((pin_status, None, height)),
                false => Err(absence_error(name.clone(), why, pin_status, was_seen)),
            }
        }
    }
}

/// The error for a name without keys: milder if no keys were seen before.
fn absence_error(name: Name, why: Absence, pin_status: PinStatus, was_seen: bool) -> CommandError {
    match (why, was_seen) {
        (Absence::Unregistered | Absence::Released, false) => CommandError::NotRegistered(name),
        (Absence::Grace, _) => CommandError::Grace(name),
        (Absence::NoRecord, false) => CommandError::NoMessaging(name),
        _ => PeerError::KeyChanged(name, pin_status).into(),
    }
}
