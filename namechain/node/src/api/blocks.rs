//! Blocks.

use axum::{
    Json,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
};
use serde::Deserialize;

use super::{app::App, refuse::Refused};
use namechain_core::{
    api_types::{BlockInfo, OperationInfo, PlaceInfo},
    chain::StoredHeader,
    codec::Encode,
    consensus::difficulty::header_work,
    types::{Block, Hash, Network, Operation},
};

/// How a block is asked for.
enum Which {
    Height(u32),
    Id(Hash),
}

/// A block, by its id or, on the best chain, by its height.
#[cfg_attr(test, utoipa::path(get, path = "/v1/blocks/{block}",
    params(("block" = String, Path, description = "An id in hexadecimal, or a height")),
    responses(
        (status = 200, body = BlockInfo),
        (status = 400, description = "neither an id nor a height", body = namechain_core::api_types::Refusal),
        (status = 404, description = "there is no such block", body = namechain_core::api_types::Refusal),
        (status = 410, description = "the block is pruned here", body = namechain_core::api_types::Refusal),
        (status = 503, description = "the block can't be read", body = namechain_core::api_types::Refusal),
    )))]
pub(super) async fn block(
    State(app): State<App>,
    block: Result<Path<String>, PathRejection>,
) -> Result<Json<BlockInfo>, Refused> {
    let which = parse(&block?)?;
    app.ask(move |backend| {
        let found = match which {
            Which::Height(height) => backend.block_at(height),
            Which::Id(id) => backend.block(&id),
        };
        let network = backend.snapshot().network;
        let (stored, block, active) = found?.ok_or_else(|| {
            Refused::not_found(
                "there is no such block",
                "/v1/status has the height and the id of the last",
            )
        })?;
        Ok(Json(block_info(network, &stored, &block, active)))
    })
    .await?
}

/// Which later block the proof is against.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(test, derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, into_params(parameter_in = Query))]
pub(super) struct Against {
    /// The height of the later block; the tip's by default.
    against: Option<u32>,
}

/// The proof that a later block was built on one of the best chain.
#[cfg_attr(test, utoipa::path(get, path = "/v1/blocks/{block}/proof",
    params(("block" = String, Path, description = "An id in hexadecimal, or a height"), Against),
    responses(
        (status = 200, body = PlaceInfo),
        (status = 400, description = "neither an id nor a height", body = namechain_core::api_types::Refusal),
        (status = 404, description = "not below that block on the best chain", body = namechain_core::api_types::Refusal),
        (status = 503, description = "the range can't be read", body = namechain_core::api_types::Refusal),
    )))]
pub(super) async fn place(
    State(app): State<App>,
    block: Result<Path<String>, PathRejection>,
    against: Result<Query<Against>, QueryRejection>,
) -> Result<Json<PlaceInfo>, Refused> {
    let (which, against) = (parse(&block?)?, against?.against);
    app.ask(move |backend| {
        let found = match which {
            Which::Height(height) => backend.header_at(height)?.map(|stored| (stored, true)),
            Which::Id(id) => backend.header(&id)?,
        };
        let against = against.unwrap_or_else(|| backend.snapshot().height());
        let against = backend.header_at(against)?;
        let missing = || {
            Refused::not_found(
                "these are not two blocks of the best chain, the first below the second",
                "",
            )
        };
        let ((below, true), above) = (found.ok_or_else(missing)?, against.ok_or_else(missing)?)
        else {
            return Err(missing());
        };
        let proof = backend.place(below.header.height, above.header.height)?.ok_or_else(missing)?;
        Ok(Json(PlaceInfo {
            header: hex::encode(below.header.to_bytes()),
            against: hex::encode(above.header.to_bytes()),
            proof: hex::encode(proof.to_bytes()),
        }))
    })
    .await?
}

/// A height has at most 10 digits, an id has 64: they can't be confused.
fn parse(text: &str) -> Result<Which, Refused> {
    let height =
        || text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    match text.parse() {
        Ok(id) => Ok(Which::Id(id)),
        Err(_) => height().map(Which::Height).ok_or_else(|| {
            Refused::bad_request("this is neither a height nor an id of 64 hexadecimal digits", "")
        }),
    }
}

fn block_info(network: Network, stored: &StoredHeader, block: &Block, active: bool) -> BlockInfo {
    let header = &block.header;
    BlockInfo {
        id: stored.id,
        height: header.height,
        active,
        previous: header.previous,
        time: header.time,
        due: header.due,
        work: header_work(network.params(), header).to_string(),
        name_multiplier: header.name_price,
        byte_multiplier: header.byte_price,
        state_root: header.state_root,
        operations: block
            .operations
            .iter()
            .map(|operation| operation_info(network, operation))
            .collect(),
        bytes: hex::encode(block.to_bytes()),
    }
}

fn operation_info(network: Network, operation: &Operation) -> OperationInfo {
    let (name, sequence, commitment) = match operation {
        Operation::Commit { commitment, .. } => (None, None, Some(*commitment)),
        Operation::Named(named) => (Some(named.name.clone()), named.action.sequence(), None),
    };
    OperationInfo {
        id: operation.id(network),
        kind: operation.label().into(),
        name,
        sequence,
        commitment,
        work: operation.stamp().work,
    }
}
