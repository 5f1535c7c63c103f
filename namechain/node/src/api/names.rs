//! Names, their proofs, and commitments.

use std::sync::Arc;

use axum::{
    Json,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
};
use serde::Deserialize;

use super::{app::App, backend::Backend, refuse::Refused};
use namechain_core::{
    api_types::{
        CommitInfo, CommitmentInfo, History, NameEntryInfo, NameInfo, PastOperation, ProofInfo,
        Standing,
    },
    chain::{NameLookup, ReadError, Snapshot, StorageError},
    codec::Encode,
    params::COMMIT_LIFETIME_S,
    types::{CommitmentEntry, Hash, Name, Operation},
};

/// How often a question is asked again because the chain moved on in between.
const TRIES: usize = 3;

/// Which state to look at.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(test, derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, into_params(parameter_in = Query))]
pub(super) struct At {
    /// The height of the state to look at: one of the last 720.
    height: Option<u32>,
}

/// Where a name stands: at the tip, unless another height is asked for.
#[cfg_attr(test, utoipa::path(get, path = "/v1/names/{name}", params(("name" = String, Path, description = "The name"), At),
    responses(
        (status = 200, description = "for any well-formed name, registered or not", body = NameInfo),
        (status = 400, description = "it can't be a name", body = namechain_core::api_types::Refusal),
        (status = 404, description = "the state at this height is not kept", body = namechain_core::api_types::Refusal),
        (status = 503, description = "the state can't be read", body = namechain_core::api_types::Refusal),
    )))]
pub(super) async fn name(
    State(app): State<App>,
    name: Result<Path<String>, PathRejection>,
    at: Result<Query<At>, QueryRejection>,
) -> Result<Json<NameInfo>, Refused> {
    let (name, at) = (parse_name(&name?)?, at?);
    app.ask(move |backend| {
        let pending = backend.pending_name(&name);
        read(
            backend,
            at.height,
            |backend| backend.snapshot(),
            |snapshot| name_info(snapshot, name.clone(), pending),
        )
    })
    .await?
    .map(Json)
}

fn name_info(snapshot: &Snapshot, name: Name, pending: bool) -> Result<NameInfo, ReadError> {
    let params = snapshot.network.params();
    let entry = snapshot.entry(&name)?;
    let reserved = name.reserved();
    let standing = match entry.clone().map(|entry| snapshot.status(entry)) {
        _ if reserved.is_some() => Standing::Reserved,
        None | Some(NameLookup::Unregistered) => Standing::Available,
        Some(NameLookup::Settling(_)) => Standing::Settling,
        Some(NameLookup::Active(_)) => Standing::Active,
        Some(NameLookup::Grace(_)) => Standing::Grace,
        Some(NameLookup::Revoked(_)) => Standing::Revoked,
        Some(NameLookup::Contested(_)) => Standing::Contested,
    };
    Ok(NameInfo {
        standing,
        reserved,
        height: snapshot.height(),
        time: snapshot.header.time,
        next_sequence: entry.as_ref().map_or(1, |entry| entry.sequence.saturating_add(1)),
        entry: entry.map(|entry| NameEntryInfo::of(params, &entry)),
        pending,
        name,
    })
}

/// The proof of what stands under a name: at the depth that names are served from, unless another
/// height is asked for.
#[cfg_attr(test, utoipa::path(get, path = "/v1/names/{name}/proof", params(("name" = String, Path, description = "The name"), At),
    responses(
        (status = 200, description = "a proof of presence or of absence", body = ProofInfo),
        (status = 400, description = "it can't be a name", body = namechain_core::api_types::Refusal),
        (status = 404, description = "the state at this height is not kept", body = namechain_core::api_types::Refusal),
        (status = 503, description = "the state can't be read", body = namechain_core::api_types::Refusal),
    )))]
pub(super) async fn proof(
    State(app): State<App>,
    name: Result<Path<String>, PathRejection>,
    at: Result<Query<At>, QueryRejection>,
) -> Result<Json<ProofInfo>, Refused> {
    let (name, at) = (parse_name(&name?)?, at?);
    app.ask(move |backend| {
        read(
            backend,
            at.height,
            |backend| backend.served(),
            |snapshot| {
                let key = name.key(snapshot.network);
                Ok(ProofInfo {
                    name: name.clone(),
                    height: snapshot.height(),
                    block: snapshot.id,
                    header: hex::encode(snapshot.header.to_bytes()),
                    proof: hex::encode(snapshot.prove(&key).to_bytes()),
                    entry: snapshot.bytes_under(&key)?.map(hex::encode),
                })
            },
        )
    })
    .await?
    .map(Json)
}

/// The most blocks whose operations one page of a history has.
const HISTORY_PAGE: usize = 100;
/// From this many bytes of operations on, a page of a history ends with its block.
const HISTORY_PAGE_BYTES: usize = 512 * 1024;

/// In how many of the last blocks that have one a Commit of a commitment is looked for.
const COMMIT_BLOCKS: usize = 64;

/// Where to begin.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(test, derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, into_params(parameter_in = Query))]
pub(super) struct From {
    /// The height to begin at.
    #[serde(default)]
    from: u32,
}

/// Every operation on a name on the best chain, a page at a time.
#[cfg_attr(test, utoipa::path(get, path = "/v1/names/{name}/history", params(("name" = String, Path, description = "The name"), From),
    responses(
        (status = 200, body = History),
        (status = 400, description = "it can't be a name", body = namechain_core::api_types::Refusal),
        (status = 503, description = "the blocks can't be read", body = namechain_core::api_types::Refusal),
    )))]
pub(super) async fn history(
    State(app): State<App>,
    name: Result<Path<String>, PathRejection>,
    from: Result<Query<From>, QueryRejection>,
) -> Result<Json<History>, Refused> {
    let (name, from) = (parse_name(&name?)?, from?.from);
    app.ask(move |backend| {
        let network = backend.snapshot().network;
        let first_block = backend.first_block()?;
        let heights = backend.history_heights(&name.key(network))?;
        let pruned = heights.iter().any(|height| *height >= from && *height < first_block);
        let from = from.max(first_block);
        let mut heights = heights.into_iter().filter(|height| *height >= from);
        let (mut operations, mut bytes) = (Vec::new(), 0);
        for height in heights.by_ref().take(HISTORY_PAGE) {
            let Some((stored, block, _)) = backend.block_at(height)? else { continue };
            for operation in &block.operations {
                if let Operation::Named(named) = operation
                    && named.name == name
                {
                    let encoded = operation.to_bytes();
                    bytes += encoded.len();
                    operations.push(PastOperation {
                        height,
                        time: stored.header.time,
                        id: operation.id(network),
                        kind: operation.label().into(),
                        sequence: named.action.sequence(),
                        reference: named.reference,
                        signer: named.signer,
                        operation: hex::encode(encoded),
                    });
                }
            }
            if bytes >= HISTORY_PAGE_BYTES {
                break;
            }
        }
        let pruned_below = pruned.then_some(first_block);
        Ok(Json(History { next: heights.next(), name, operations, pruned_below }))
    })
    .await?
}

/// Where a commitment stands at the tip.
#[cfg_attr(test, utoipa::path(get, path = "/v1/commitments/{commitment}",
    params(("commitment" = String, Path, description = "The commitment, in hexadecimal")),
    responses(
        (status = 200, description = "for any commitment, recorded or not", body = CommitmentInfo),
        (status = 400, description = "it can't be a commitment", body = namechain_core::api_types::Refusal),
        (status = 503, description = "the state can't be read", body = namechain_core::api_types::Refusal),
    )))]
pub(super) async fn commitment(
    State(app): State<App>,
    commitment: Result<Path<String>, PathRejection>,
) -> Result<Json<CommitmentInfo>, Refused> {
    let commitment: Hash = commitment?
        .parse()
        .map_err(|error| Refused::bad_request(format!("this is not a commitment: {error}"), ""))?;
    app.ask(move |backend| {
        let pending = backend.pending_commitment(&commitment);
        let commits = recorded_commits(backend, &commitment)?;
        read(
            backend,
            None,
            |backend| backend.snapshot(),
            |snapshot| {
                let now = snapshot.now();
                let mut entries = Vec::new();
                for id in &commits {
                    entries.extend(snapshot.commit(id)?);
                }
                // The oldest that a name can be registered by has it; else the newest is shown.
                entries.sort_by_key(|entry| entry.position);
                let lapses = |entry: &CommitmentEntry| entry.time.saturating_add(COMMIT_LIFETIME_S);
                let open = entries.iter().find(|entry| !entry.spent && lapses(entry) >= now.time);
                let shown = open.or(entries.last());
                let told =
                    |entry: &CommitmentEntry| CommitInfo::of(snapshot.network.params(), entry);
                let live = entries.iter().filter(|entry| lapses(entry) >= now.time);
                Ok(CommitmentInfo {
                    commitment,
                    height: now.height,
                    time: now.time,
                    recorded: shown.map(told),
                    all: live.map(told).collect(),
                    pending,
                })
            },
        )
    })
    .await?
    .map(Json)
}

/// The ids of the Commits of a commitment in the last blocks that have some.
fn recorded_commits(backend: &dyn Backend, commitment: &Hash) -> Result<Vec<Hash>, Refused> {
    let network = backend.snapshot().network;
    let heights = backend.history_heights(&CommitmentEntry::key(network, commitment))?;
    let mut ids = Vec::new();
    let first_block = backend.first_block()?;
    // What is pruned has lapsed long ago.
    let kept = heights.into_iter().filter(|height| *height >= first_block);
    for height in kept.rev().take(COMMIT_BLOCKS) {
        let Some((_, block, _)) = backend.block_at(height)? else { continue };
        let of_it = |operation: &&Operation| matches!(operation, Operation::Commit { commitment: found, .. } if found == commitment);
        ids.extend(block.operations.iter().filter(of_it).map(|operation| operation.id(network)));
    }
    Ok(ids)
}

pub(super) fn parse_name(text: &str) -> Result<Name, Refused> {
    Name::parse(text)
        .map_err(|error| Refused::bad_request(format!("this is not a name: {error}"), ""))
}

/// Reads from the state at `height`, or from the usual one. The chain may reorganise under a
/// snapshot: then the state is fetched anew, a few times.
pub(super) fn read<T>(
    backend: &dyn Backend,
    height: Option<u32>,
    usual: impl Fn(&dyn Backend) -> Arc<Snapshot>,
    read: impl Fn(&Snapshot) -> Result<T, ReadError>,
) -> Result<T, Refused> {
    let mut tries = 1;
    loop {
        let snapshot = match height {
            None => usual(backend),
            Some(height) => backend.snapshot_at(height).ok_or_else(|| {
                let message = format!("the state at height {height} is not kept");
                Refused::not_found(message, "ask for one of the last 720 heights, up to the tip's")
            })?,
        };
        if height.is_some() && !snapshot.is_sound() {
            let what = format!("the state at height {} has another root", snapshot.height());
            return Err(ReadError::from(StorageError::Damaged(what)).into());
        }
        match read(&snapshot) {
            Err(ReadError::Gone { .. }) if tries < TRIES => tries += 1,
            result => return Ok(result?),
        }
    }
}
