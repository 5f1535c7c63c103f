//! `verify FILE`: verifies a proof file, and reports what is known of its header.

use std::{fmt::Write as _, path::Path};

use namechain_core::{
    api_types::Refusal,
    codec::Encode,
    consensus::{NameStatus, difficulty::header_work, name_status},
    types::{BlockTime, Domain, Hash, Header, Name, NameEntry, Network, PublicKey, hash},
};
use serde::Serialize;

use super::{
    input::parse_name,
    show::{ShownMessaging, describe_messaging},
};
use crate::{
    cli::Verify,
    client::{Client, ClientError},
    error::CommandError,
    key_text,
    proof::{ProofError, ProofFile, check_work, given_header},
    ui::{Ui, counted, utc},
    zone,
};

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Verified<'a> {
    name: &'a Name,
    network: Network,
    /// The height and the id of the block in whose state it is proven.
    height: u32,
    block: Hash,
    /// The time that the header states, in seconds of Unix time.
    time: u64,
    /// `present` or `absent`.
    proven: &'static str,
    entry: Option<ProvenEntry>,
    /// Why the header is trusted: `given`, `trusted` (by the user), `on-chain`.
    header: &'static str,
    /// The work that the header's target asks for, in expected hashes, in decimal.
    header_work: String,
    /// How many blocks lie above it on the node's best chain, if a node was asked.
    depth: Option<u32>,
    /// A later block that is proven to build on it, if the file has one.
    built_on_by: Option<Later>,
}

#[derive(Debug, Serialize)]
struct Later {
    height: u32,
    block: Hash,
}

#[derive(Debug, Serialize)]
struct ProvenEntry {
    /// `settling`, `active`, `grace`, `revoked` or `released`, at that height.
    standing: &'static str,
    owner: PublicKey,
    recovery: Option<PublicKey>,
    sequence: u32,
    registered_height: u32,
    registered_time: u64,
    updated_height: u32,
    updated_time: u64,
    expires: u64,
    /// Who can accept it, if it is offered.
    offered_to: Option<PublicKey>,
    /// How many records it has.
    records: usize,
    /// `H("value", records)`, the records as they are encoded in the entry.
    records_digest: Hash,
    messaging: Option<ShownMessaging>,
    messaging_sequence: u32,
}

/// Runs the command; asks `node` about the header if there is one. The proof must be of the network
/// `wanted`, if one is.
pub fn run(
    ui: Ui,
    node: Option<&Client>,
    wanted: Option<Network>,
    args: &Verify,
) -> Result<(), CommandError> {
    let expected = args.name.as_deref().map(parse_name).transpose()?;
    let given = args.header.as_deref().map(given_header).transpose()?;
    let file = ProofFile::load(&args.file)?;
    if let Some(expected) = expected
        && expected != file.name
    {
        return Err(ProofError::OtherName { expected, found: file.name }.into());
    }
    let network = file.network;
    if let Some(wanted) = wanted.filter(|wanted| *wanted != network) {
        return Err(ProofError::OtherNetwork { found: network, wanted }.into());
    }
    let mut known = match (&given, args.trust_file_header) {
        (Some(_), _) => "given",
        (None, true) => "trusted",
        (None, false) => "work-only",
    };
    let (header, against) = headers(&file, given.as_ref())?;
    let entry = file.verify(&header)?;
    if let Some(against) = &against {
        file.verify_place(&header, against)?;
    }
    if given.is_none() {
        check_work(network, &header)?;
        against.iter().try_for_each(|against| check_work(network, against))?;
    }
    if let Some(path) = &args.zone {
        compare_zone(&file.name, entry.as_ref(), path)?;
    }
    let depth = node.map(|node| depth(node, network, &header)).transpose()?;
    if depth.is_some() {
        known = "on-chain";
    }
    let verified = Verified {
        name: &file.name,
        network,
        height: header.height,
        block: header.id(network),
        time: header.time,
        proven: if entry.is_some() { "present" } else { "absent" },
        entry: entry.map(|entry| proven(network, &header, &entry)),
        header: known,
        header_work: header_work(network.params(), &header).to_string(),
        depth,
        built_on_by: against
            .map(|against| Later { height: against.height, block: against.id(network) }),
    };
    if known == "work-only" {
        return Err(CommandError::NoTrustedHeader(verified.header_work));
    }
    ui.print_result(&describe(&verified), &verified)?;
    Ok(())
}

/// The header of the proven state, and the later one that builds on it. A given header may be
/// either: if the file has a later one, a given header that is not the file's first replaces it.
fn headers(
    file: &ProofFile,
    given: Option<&Header>,
) -> Result<(Header, Option<Header>), ProofError> {
    match (given, file.against()?) {
        (None, against) => Ok((file.header()?, against)),
        (Some(given), None) => Ok((given.clone(), None)),
        (Some(given), Some(_)) => {
            let header = file.header()?;
            let against = Some(given.clone()).filter(|given| *given != header);
            Ok((header, against))
        }
    }
}

/// How many blocks follow the header's block on the node's best chain.
fn depth(node: &Client, network: Network, header: &Header) -> Result<u32, CommandError> {
    let not_there = |why: String| Err(CommandError::NotOnChain(why));
    let status = node.status()?;
    if status.network != network {
        return not_there(format!("it is of network {network}, the node is on {}", status.network));
    }
    let id = header.id(network);
    match node.block(id) {
        Ok(block) if block.id == id && block.active => {
            Ok(status.height.saturating_sub(header.height))
        }
        Ok(_) => not_there(format!("block {id} is not on the node's best chain")),
        Err(ClientError::Refused(Refusal { code, .. })) if code == "not-found" => {
            not_there(format!("the node does not know block {id} at height {}", header.height))
        }
        Err(error) => Err(error.into()),
    }
}

/// Checks that the proven records are those of a zone file.
fn compare_zone(name: &Name, entry: Option<&NameEntry>, path: &Path) -> Result<(), CommandError> {
    let zone =
        zone::load(name, path).map_err(|error| CommandError::Zone(path.to_owned(), error))?;
    let proven = entry.map(|entry| entry.records.clone()).unwrap_or_default();
    match zone::diff(name, &proven, &zone.records).as_slice() {
        [] => Ok(()),
        [first, more @ ..] => {
            let more = match more.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            Err(CommandError::ZoneDiffers(name.clone(), format!("{first}{more}")))
        }
    }
}

fn proven(network: Network, header: &Header, entry: &NameEntry) -> ProvenEntry {
    let at = BlockTime { height: header.height, time: header.time };
    ProvenEntry {
        standing: match name_status(network.params(), entry, at) {
            NameStatus::Settling => "settling",
            NameStatus::Active => "active",
            NameStatus::Grace => "grace",
            NameStatus::Revoked => "revoked",
            NameStatus::Released => "released",
        },
        owner: entry.owner,
        recovery: entry.recovery,
        sequence: entry.sequence,
        registered_height: entry.registered.height,
        registered_time: entry.registered.time,
        updated_height: entry.updated.height,
        updated_time: entry.updated.time,
        expires: entry.expires,
        offered_to: entry.transfer.map(|transfer| transfer.to),
        records: entry.records.records().len(),
        messaging: entry.messaging.as_deref().map(ShownMessaging::from),
        messaging_sequence: entry.messaging_sequence,
        records_digest: hash(network, Domain::Value, &[&entry.records.to_bytes()]),
    }
}

fn describe(verified: &Verified<'_>) -> String {
    let header = match (verified.depth, verified.header) {
        (Some(depth), _) => {
            format!("on the node's best chain, {} deep", counted(depth.into(), "block"))
        }
        (None, "given") => "the given one".to_owned(),
        (None, "trusted") => "from the file (--trust-file-header)".to_owned(),
        _ => "from the file, only its work is checked".to_owned(),
    };
    let mut rows = vec![
        ("name", verified.name.to_string()),
        ("network", verified.network.to_string()),
        ("height", format!("{}, time {}", verified.height, utc(verified.time))),
        ("block", verified.block.to_string()),
        ("header", header),
        ("proven", verified.proven.to_owned()),
    ];
    if let Some(later) = &verified.built_on_by {
        rows.push(("built on", format!("by block {} at height {}", later.block, later.height)));
    }
    if let Some(entry) = &verified.entry {
        rows.extend([
            ("standing", entry.standing.to_owned()),
            ("owner", key_text::owner(&entry.owner)),
            ("recovery", key_text::recovery(entry.recovery.as_ref())),
            (
                "registered",
                format!("{}, height {}", utc(entry.registered_time), entry.registered_height),
            ),
            ("updated", format!("{}, height {}", utc(entry.updated_time), entry.updated_height)),
            ("lease", format!("until {}", utc(entry.expires))),
            ("offered to", entry.offered_to.map_or("none".to_owned(), |key| key_text::owner(&key))),
            ("identity", describe_messaging(entry.messaging.as_ref())),
            ("records", format!("{}, digest {}", entry.records, entry.records_digest)),
        ]);
    }
    let mut text = String::new();
    for (label, value) in rows {
        // Writing to a String never fails.
        let _ = writeln!(text, "{label:<11} {value}");
    }
    text
}
