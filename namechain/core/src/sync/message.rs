//! What peers say to each other, byte by byte. `docs/network.md` has the same tables.
//!
//! A request is one frame, answered by one frame; what is told to everybody is a [`CompactBlock`]
//! or an operation. Every count is compared with its cap before anything is kept, and a frame over
//! its cap is refused unread.

use crate::{
    codec::{Decode, DecodeError, Encode, Reader},
    types::{
        Block, Domain, Hash, Header, MAX_BLOCK_BYTES, MIN_OPERATION_BYTES, Network, Operation, hash,
    },
};

/// The version of this protocol.
pub const PROTOCOL_VERSION: u16 = 1;
/// The least version that is spoken with.
pub const MIN_PROTOCOL_VERSION: u16 = 1;
/// The most ids in a locator.
pub const MAX_LOCATOR: usize = 64;
/// The most headers in an answer.
pub const MAX_HEADERS: usize = 2_000;
/// The most blocks that one request names.
pub const MAX_BLOCKS: usize = 128;
/// An answer stops before the block that would bring it over this many bytes of blocks, but for the
/// first.
pub const MAX_BLOCKS_BYTES: usize = 2 * 1024 * 1024;
/// The most operations that one request names.
pub const MAX_OPERATIONS: usize = 256;
/// The most bytes of operations in an answer.
pub const MAX_OPERATIONS_BYTES: usize = 1024 * 1024;
/// The most ids of waiting operations in an answer.
pub const MAX_PENDING: usize = 8_192;
/// The most bytes of a peer's name for its software.
pub const MAX_AGENT: usize = 64;
/// The most bytes of a request.
pub const MAX_REQUEST_BYTES: usize = 16 * 1024;
/// The most bytes of an answer.
pub const MAX_RESPONSE_BYTES: usize = MAX_BLOCKS_BYTES + MAX_BLOCK_BYTES + 1024;
/// The most operations in a block.
pub const MAX_BLOCK_OPERATIONS: usize = MAX_BLOCK_BYTES / MIN_OPERATION_BYTES;

/// What a peer says of itself: the first request on a connection, and its answer; again when its
/// tip has moved while nothing was announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// [`PROTOCOL_VERSION`].
    pub version: u16,
    /// The id of the genesis block: another network, or other parameters, show here.
    pub genesis: Hash,
    /// The id of its tip.
    pub tip: Hash,
    /// The height of its tip.
    pub height: u32,
    /// The height from which on it has all blocks of its chain: 0 unless it prunes. It has the last
    /// 22,320 (`BLOCKS_KEPT`).
    pub first_block: u32,
    /// The summed work that it claims. Believed when its headers show it.
    pub work: u128,
    /// Its clock, in seconds of Unix time.
    pub time: u64,
    /// Its software, printable ASCII.
    pub agent: String,
}

/// What one peer asks another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Who are you? This is who I am.
    Hello(Hello),
    /// The headers of your best chain after the first of these ids that is on it.
    Headers {
        /// Ids from the asker's tip down, ever further apart.
        locator: Vec<Hash>,
    },
    /// These blocks.
    Blocks {
        /// Their ids, in the order in which they are wanted.
        ids: Vec<Hash>,
    },
    /// These operations of a block.
    BlockOperations {
        /// The block.
        block: Hash,
        /// Their indexes in it, rising.
        indexes: Vec<u16>,
    },
    /// The ids of the operations that wait.
    Pending,
    /// These operations that wait.
    Operations {
        /// Their ids.
        ids: Vec<Hash>,
    },
}

/// What it is answered. An answer may hold less than was asked for, never more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// This is who I am.
    Hello(Hello),
    /// Headers, each the child of the one before, at most [`MAX_HEADERS`]; fewer only if there are
    /// no more.
    Headers(Vec<Header>),
    /// The first of the blocks asked for, in the same order, encoded; it ends at the first that is
    /// not there.
    Blocks(Vec<Vec<u8>>),
    /// Operations, those that are not there left out.
    Operations(Vec<Operation>),
    /// Ids of operations that wait, those of the most work a byte first.
    Pending(Vec<Hash>),
    /// Too much was asked for too fast: ask later, or somebody else.
    Busy,
}

/// A block whose operations most who hear of it have already.
///
/// ```text
/// | header 160 | count u32 | short ids 8 each |
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompactBlock {
    /// The header.
    pub header: Header,
    /// The operations' short ids, in the block's order.
    pub short_ids: Vec<ShortId>,
}

/// The first eight bytes of a hash over the block's id and the operation's: nobody can prepare two
/// operations that share one before the block is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShortId(pub [u8; 8]);

impl ShortId {
    /// The short id of an operation in a block.
    pub fn of(network: Network, block: &Hash, operation: &Hash) -> Self {
        let whole = hash(network, Domain::ShortId, &[&block.0, &operation.0]);
        let mut short = [0; 8];
        short.copy_from_slice(&whole.0[..8]);
        ShortId(short)
    }
}

impl CompactBlock {
    /// The compact form of a block.
    pub fn of(network: Network, block: &Block) -> Self {
        let id = block.header.id(network);
        let short = |operation: &Operation| ShortId::of(network, &id, &operation.id(network));
        CompactBlock {
            header: block.header.clone(),
            short_ids: block.operations.iter().map(short).collect(),
        }
    }
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&(count as u32).to_be_bytes());
}

fn count(reader: &mut Reader<'_>, what: &'static str, cap: usize) -> Result<usize, DecodeError> {
    let found = reader.u32()? as usize;
    if found > cap { Err(DecodeError::OverCap { what, found, cap }) } else { Ok(found) }
}

fn put_all<T: Encode>(out: &mut Vec<u8>, values: &[T]) {
    put_count(out, values.len());
    values.iter().for_each(|value| value.encode(out));
}

/// Reads a counted list. Nothing is reserved for it: a peer's count is believed as its values
/// arrive.
fn all<T: Decode>(
    reader: &mut Reader<'_>,
    what: &'static str,
    cap: usize,
) -> Result<Vec<T>, DecodeError> {
    (0..count(reader, what, cap)?).map(|_| T::decode(reader)).collect()
}

impl Encode for Hello {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.version.to_be_bytes());
        self.genesis.encode(out);
        self.tip.encode(out);
        out.extend_from_slice(&self.height.to_be_bytes());
        out.extend_from_slice(&self.first_block.to_be_bytes());
        out.extend_from_slice(&self.work.to_be_bytes());
        out.extend_from_slice(&self.time.to_be_bytes());
        out.push(self.agent.len() as u8);
        out.extend_from_slice(self.agent.as_bytes());
    }
}

impl Decode for Hello {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = reader.u16()?;
        let (genesis, tip) = (Hash::decode(reader)?, Hash::decode(reader)?);
        let (height, first_block) = (reader.u32()?, reader.u32()?);
        let (work, time) = (reader.u128()?, reader.u64()?);
        let found = usize::from(reader.u8()?);
        if found > MAX_AGENT {
            return Err(DecodeError::OverCap {
                what: "the length of the agent",
                found,
                cap: MAX_AGENT,
            });
        }
        let agent = reader.take(found)?;
        if !agent.iter().all(|byte| (0x20..0x7f).contains(byte)) {
            return Err(DecodeError::Invalid("the agent is not printable ASCII"));
        }
        let agent = agent.iter().copied().map(char::from).collect();
        Ok(Hello { version, genesis, tip, height, first_block, work, time, agent })
    }
}

impl Encode for Request {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Request::Hello(hello) => {
                out.push(0);
                hello.encode(out);
            }
            Request::Headers { locator } => {
                out.push(1);
                put_all(out, locator);
            }
            Request::Blocks { ids } => {
                out.push(2);
                put_all(out, ids);
            }
            Request::BlockOperations { block, indexes } => {
                out.push(3);
                block.encode(out);
                put_count(out, indexes.len());
                indexes.iter().for_each(|index| out.extend_from_slice(&index.to_be_bytes()));
            }
            Request::Pending => out.push(4),
            Request::Operations { ids } => {
                out.push(5);
                put_all(out, ids);
            }
        }
    }
}

impl Decode for Request {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Request::Hello(Hello::decode(reader)?),
            1 => Request::Headers { locator: all(reader, "the locator", MAX_LOCATOR)? },
            2 => Request::Blocks { ids: all(reader, "the number of blocks", MAX_BLOCKS)? },
            3 => {
                let block = Hash::decode(reader)?;
                let count = count(reader, "the number of operations", MAX_BLOCK_OPERATIONS)?;
                let indexes: Vec<u16> =
                    (0..count).map(|_| reader.u16()).collect::<Result<_, _>>()?;
                if !indexes.is_sorted_by(|a, b| a < b) {
                    return Err(DecodeError::Invalid("the indexes of operations do not rise"));
                }
                Request::BlockOperations { block, indexes }
            }
            4 => Request::Pending,
            5 => Request::Operations {
                ids: all(reader, "the number of operations", MAX_OPERATIONS)?,
            },
            _ => return Err(DecodeError::Invalid("there is no such request")),
        })
    }
}

impl Encode for Response {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Response::Hello(hello) => {
                out.push(0);
                hello.encode(out);
            }
            Response::Headers(headers) => {
                out.push(1);
                put_all(out, headers);
            }
            Response::Blocks(blocks) => {
                out.push(2);
                put_count(out, blocks.len());
                for block in blocks {
                    put_count(out, block.len());
                    out.extend_from_slice(block);
                }
            }
            Response::Operations(operations) => {
                out.push(3);
                put_all(out, operations);
            }
            Response::Pending(ids) => {
                out.push(4);
                put_all(out, ids);
            }
            Response::Busy => out.push(5),
        }
    }
}

impl Decode for Response {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Response::Hello(Hello::decode(reader)?),
            1 => Response::Headers(all(reader, "the number of headers", MAX_HEADERS)?),
            2 => {
                let count_of = count(reader, "the number of blocks", MAX_BLOCKS)?;
                let mut blocks = Vec::new();
                for _ in 0..count_of {
                    let len = count(reader, "the length of a block", MAX_BLOCK_BYTES)?;
                    blocks.push(reader.take(len)?.to_vec());
                }
                Response::Blocks(blocks)
            }
            3 => {
                Response::Operations(all(reader, "the number of operations", MAX_BLOCK_OPERATIONS)?)
            }
            4 => Response::Pending(all(reader, "the number of operations", MAX_PENDING)?),
            5 => Response::Busy,
            _ => return Err(DecodeError::Invalid("there is no such answer")),
        })
    }
}

impl Encode for CompactBlock {
    fn encode(&self, out: &mut Vec<u8>) {
        self.header.encode(out);
        put_count(out, self.short_ids.len());
        self.short_ids.iter().for_each(|short| out.extend_from_slice(&short.0));
    }
}

impl Decode for CompactBlock {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let header = Header::decode(reader)?;
        let count = count(reader, "the number of operations", MAX_BLOCK_OPERATIONS)?;
        let short_ids =
            (0..count).map(|_| Ok(ShortId(reader.array()?))).collect::<Result<_, DecodeError>>()?;
        Ok(CompactBlock { header, short_ids })
    }
}
