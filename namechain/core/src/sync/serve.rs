//! What peers are answered: read from the store and the list of what waits, without the chain's
//! thread.

use super::message::{
    Hello, MAX_BLOCKS_BYTES, MAX_HEADERS, MAX_OPERATIONS_BYTES, MAX_PENDING, PROTOCOL_VERSION,
    Request, Response,
};
use crate::{
    chain::{Storage, StorageError, StoredHeader, read_block},
    codec::Encode,
    consensus::header::genesis,
    mempool::Waiting,
    types::{Hash, Header, Network, Operation},
};

/// How often an answer is tried again when the best chain moved while it was read.
const TRIES: usize = 3;

/// Who we are, for a peer.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The network.
    pub network: Network,
    /// The id of the genesis block.
    pub genesis: Hash,
    /// Our software, printable ASCII, at most 64 bytes.
    pub agent: String,
}

impl Identity {
    /// Ours on a network.
    pub fn new(network: Network, agent: &str) -> Self {
        let printable =
            agent.chars().filter(|c| matches!(c, ' '..='~')).take(super::message::MAX_AGENT);
        Identity {
            network,
            genesis: genesis(network).header.id(network),
            agent: printable.collect(),
        }
    }

    /// Our hello, with this tip, and the height from which on we have all blocks.
    pub fn hello(
        &self,
        (tip, height, work): (Hash, u32, u128),
        first_block: u32,
        unix_now: u64,
    ) -> Hello {
        Hello {
            version: PROTOCOL_VERSION,
            genesis: self.genesis,
            tip,
            height,
            first_block,
            work,
            time: unix_now,
            agent: self.agent.clone(),
        }
    }
}

/// Our hello, from the store. `unix_now` is the clock in seconds of Unix time.
///
/// # Errors
/// The store's.
pub fn hello(
    storage: &dyn Storage,
    identity: &Identity,
    unix_now: u64,
) -> Result<Hello, StorageError> {
    let missing = || StorageError::Damaged("the tip's header is missing".into());
    let tip = storage.tip()?.ok_or_else(missing)?;
    let StoredHeader { header, work, .. } = storage.header(&tip)?.ok_or_else(missing)?;
    Ok(identity.hello((tip, header.height, work), storage.first_block()?, unix_now))
}

/// The answer to a request. It reads and changes nothing, costs at most what the caps in
/// [`super::message`] allow, and may be given on any thread while the chain moves.
///
/// # Errors
/// The store's: the asker is told [`Response::Busy`].
pub fn answer(
    storage: &dyn Storage,
    identity: &Identity,
    waiting: &Waiting,
    request: &Request,
    unix_now: u64,
) -> Result<Response, StorageError> {
    Ok(match request {
        Request::Hello(_) => Response::Hello(hello(storage, identity, unix_now)?),
        Request::Headers { locator } => headers(storage, locator)?,
        Request::Blocks { ids } => Response::Blocks(blocks(storage, ids)?),
        Request::BlockOperations { block, indexes } => {
            Response::Operations(block_operations(storage, identity.network, block, indexes)?)
        }
        Request::Pending => Response::Pending(waiting.ids(MAX_PENDING)),
        Request::Operations { ids } => Response::Operations(operations(waiting, ids)),
    })
}

/// The best chain's headers after the first id of the locator that is on it; after the genesis
/// block if none is.
fn headers(storage: &dyn Storage, locator: &[Hash]) -> Result<Response, StorageError> {
    for _ in 0..TRIES {
        let mut from = 0;
        for id in locator {
            if let Some(stored) = storage.header(id)?
                && storage.active(stored.header.height)? == Some(*id)
            {
                from = stored.header.height;
                break;
            }
        }
        if let Some(headers) = headers_after(storage, from)? {
            return Ok(Response::Headers(headers));
        }
    }
    Ok(Response::Busy)
}

/// The best chain's headers above a height; `None` if the chain moved while they were read.
fn headers_after(storage: &dyn Storage, from: u32) -> Result<Option<Vec<Header>>, StorageError> {
    let Some(mut last) = storage.active(from)? else { return Ok(None) };
    let mut headers = Vec::new();
    for height in from + 1..=from.saturating_add(MAX_HEADERS as u32) {
        let Some(id) = storage.active(height)? else {
            // The end: if it still is, the chain was not moving down under us.
            return Ok((storage.active(height - 1)? == Some(last)).then_some(headers));
        };
        match storage.header(&id)? {
            Some(stored) if stored.header.previous == last => headers.push(stored.header),
            _ => return Ok(None),
        }
        last = id;
    }
    Ok(Some(headers))
}

fn blocks(storage: &dyn Storage, ids: &[Hash]) -> Result<Vec<Vec<u8>>, StorageError> {
    let (mut blocks, mut bytes) = (Vec::new(), 0);
    for id in ids {
        let Some(stored) =
            storage.header(id)?.filter(|stored| !stored.failed && stored.header.height > 0)
        else {
            break;
        };
        let len = stored.at.len as usize;
        if !blocks.is_empty() && bytes + len > MAX_BLOCKS_BYTES {
            break;
        }
        bytes += len;
        match storage.block(stored.at) {
            // The asker was told from which height on we have them, or will be.
            Err(StorageError::Pruned(_)) => break,
            block => blocks.push(block?),
        }
    }
    Ok(blocks)
}

fn block_operations(
    storage: &dyn Storage,
    network: Network,
    block: &Hash,
    indexes: &[u16],
) -> Result<Vec<Operation>, StorageError> {
    let Some(stored) = storage.header(block)?.filter(|stored| !stored.failed) else {
        return Ok(Vec::new());
    };
    let block = match read_block(network, storage, stored.at) {
        Err(StorageError::Pruned(_)) => return Ok(Vec::new()),
        block => block?,
    };
    Ok(indexes
        .iter()
        .filter_map(|index| block.operations.get(usize::from(*index)).cloned())
        .collect())
}

fn operations(waiting: &Waiting, ids: &[Hash]) -> Vec<Operation> {
    let (mut operations, mut bytes) = (Vec::new(), 0);
    for id in ids {
        let Some(operation) = waiting.get(id) else { continue };
        bytes += operation.to_bytes().len();
        if bytes > MAX_OPERATIONS_BYTES {
            break;
        }
        operations.push((*operation).clone());
    }
    operations
}
