//! Blocks.

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
};

use super::{App, refuse::Refused};
use crate::{
    chain::StoredHeader,
    codec::Encode,
    rpc::{self, BlockInfo, OperationInfo},
    types::{Block, Hash, Network, Operation},
};

/// How a block is asked for.
enum Which {
    Height(u32),
    Id(Hash),
}

/// A block, by its id or, on the best chain, by its height.
#[utoipa::path(get, path = "/v1/blocks/{block}",
    params(("block" = String, Path, description = "An id in hexadecimal, or a height")),
    responses(
        (status = 200, body = BlockInfo),
        (status = 400, description = "neither an id nor a height", body = rpc::Refusal),
        (status = 404, description = "there is no such block", body = rpc::Refusal),
        (status = 503, description = "the block can't be read", body = rpc::Refusal),
    ))]
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
            Refused::not_found("there is no such block", "/v1/status has the height and the id of the last")
        })?;
        Ok(Json(block_info(network, &stored, &block, active)))
    })
    .await?
}

/// A height has at most 10 digits, an id has 64: they can't be confused.
fn parse(text: &str) -> Result<Which, Refused> {
    let height = || text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
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
        target: header.target.to_compact(),
        price: header.price,
        state_root: header.state_root,
        operations: block.operations.iter().map(|operation| operation_info(network, operation)).collect(),
        bytes: hex::encode(block.to_bytes()),
    }
}

fn operation_info(network: Network, operation: &Operation) -> OperationInfo {
    let (name, sequence, commitment) = match operation {
        Operation::Commit { commitment, .. } => (None, None, Some(*commitment)),
        Operation::Named(named) => (Some(named.name.clone()), Some(named.sequence), None),
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
