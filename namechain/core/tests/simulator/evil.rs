//! Dishonest nodes: each speaks the protocol and has one thing that it does wrong.

use std::sync::Arc;

use namechain_core::{
    chain::{Ancestry, Chain, Storage},
    codec::Encode,
    consensus::difficulty::{header_work, next_due},
    mempool::Waiting,
    sync::{
        limits,
        message::{CompactBlock, Hello, MAX_HEADERS, Request, Response, ShortId},
        serve::{self, Identity},
    },
    types::{Block, HEADER_BYTES, Hash, Header, Operation, Stamp, ops_root},
};

use crate::{
    cache::Cache,
    common::{NETWORK, NOW, Random},
    disk::Disk,
    node::{Clock, Node},
};

/// What it does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Claims more height and work than it has.
    Lies,
    /// Claims all the work there can be.
    LiesALot,
    /// Shows headers without work.
    NoWork,
    /// Has blocks with work that break a rule of the state.
    BadState,
    /// Has blocks with work and an operation without.
    BadOperation,
    /// Gives other operations than the header's.
    OtherBody,
    /// Shows headers of sound blocks and gives none of them.
    Withholds,
    /// The same, and does not even answer.
    WithholdsSilently,
    /// Answers nothing.
    Silent,
    /// Answers other questions.
    Confused,
    /// Announces blocks that follow nothing.
    Orphans,
    /// Tells operations that are nobody's.
    BadOperations,
    /// Makes blocks of two hours from now.
    Early,
    /// Makes blocks with work beside old ones.
    Stale,
    /// Announces sound blocks, and never gives what is missing of them.
    Teases,
    /// Announces sound blocks with a false short id, and gives what the block has.
    Misleads,
    /// Has a sound chain of its own with less work, claims more, and shows one header of it at a
    /// time, each just before it would be too late.
    Extends,
}

impl Wrong {
    pub const ALL: [Wrong; 17] = [
        Wrong::Lies,
        Wrong::LiesALot,
        Wrong::NoWork,
        Wrong::BadState,
        Wrong::BadOperation,
        Wrong::OtherBody,
        Wrong::Withholds,
        Wrong::WithholdsSilently,
        Wrong::Silent,
        Wrong::Confused,
        Wrong::Orphans,
        Wrong::BadOperations,
        Wrong::Early,
        Wrong::Stale,
        Wrong::Teases,
        Wrong::Misleads,
        Wrong::Extends,
    ];
}

pub struct Evil {
    pub wrong: Wrong,
    node: Node,
    identity: Identity,
    /// Blocks after its chain that its chain would not take.
    tail: Vec<Block>,
    /// A number that grows, for things that must differ.
    count: u64,
}

/// What an evil node tells everybody that it is connected to.
pub enum Told {
    Block(CompactBlock),
    Operation(Operation),
}

impl Evil {
    pub fn new(wrong: Wrong) -> Self {
        let node = Node::new(Arc::new(Disk::default()), NOW);
        let identity = Identity::new(NETWORK, "evil");
        Evil { wrong, node, identity, tail: Vec::new(), count: 0 }
    }

    /// Copies an honest node's chain.
    fn observe(&mut self, honest: &Node, cache: &mut Cache, clock: Clock) {
        let end = honest.tip().height;
        let mut fork = end.min(self.node.tip().height);
        while self.node.storage.active(fork).unwrap() != honest.storage.active(fork).unwrap() {
            fork -= 1;
        }
        for height in fork + 1..=end {
            let checked = cache.block(honest.block_at(height)).unwrap();
            // What does not make its own chain better is kept beside it.
            let _ = self.node.chain.accept_checked(&checked, clock.unix, true);
        }
    }

    /// Does its thing.
    pub fn act(
        &mut self,
        honest: &Node,
        cache: &mut Cache,
        random: &mut Random,
        clock: Clock,
    ) -> Vec<Told> {
        if self.wrong != Wrong::Extends {
            self.observe(honest, cache, clock);
        }
        self.tail.clear();
        self.count += 1;
        match self.wrong {
            Wrong::Lies | Wrong::LiesALot | Wrong::Silent | Wrong::Confused => Vec::new(),
            Wrong::Extends => {
                self.node.mine(cache, clock);
                Vec::new()
            }
            Wrong::NoWork => {
                self.build(3, |_, _| {}, |cache, header| cache.mine_badly(header), cache, clock)
            }
            Wrong::BadState => {
                let spoil = |block: &mut Block, at: u32| {
                    if at == 0 {
                        block.header.state_root = Hash([7; 32]);
                    }
                };
                self.build(3, spoil, |cache, header| cache.mine(header), cache, clock)
            }
            Wrong::BadOperation => {
                let count = self.count;
                let spoil =
                    |block: &mut Block, _: u32| block.operations = vec![bad_operation(count)];
                self.build(2, spoil, |cache, header| cache.mine(header), cache, clock)
            }
            Wrong::Early => {
                let spoil = |block: &mut Block, _: u32| block.header.time += 7_200;
                self.build(2, spoil, |cache, header| cache.mine(header), cache, clock)
            }
            Wrong::OtherBody | Wrong::Withholds | Wrong::WithholdsSilently | Wrong::Teases => {
                // Once in a while: its chain is then better than the honest ones'.
                if self.count % 3 != 1 {
                    return Vec::new();
                }
                self.node.mine(cache, clock);
                let tip = self.node.block_at(self.node.tip().height);
                let mut compact = CompactBlock::of(NETWORK, &tip);
                if self.wrong == Wrong::Teases {
                    compact.short_ids = vec![ShortId([1; 8]), ShortId([2; 8])];
                }
                vec![Told::Block(compact)]
            }
            Wrong::Misleads => {
                let waiting = honest.mempool.by_work_rate(clock.unix);
                let chain = &mut self.node.chain;
                let mut block = chain.assemble_block(waiting.into_iter(), clock.unix).unwrap();
                if block.operations.is_empty() {
                    return Vec::new();
                }
                block.header = cache.mine(block.header);
                let checked = cache.block(block.clone()).unwrap();
                if chain.accept_checked(&checked, clock.unix, true).is_err() {
                    return Vec::new();
                }
                let mut compact = CompactBlock::of(NETWORK, &block);
                compact.short_ids.push(ShortId([9; 8]));
                vec![Told::Block(compact)]
            }
            Wrong::Orphans => {
                let header = self.node.tip().clone();
                let orphan = |at: u64| {
                    let previous = Hash([random.below(250) as u8 + 1; 32]);
                    let (height, nonce) = (header.height + 5 + random.below(9) as u32, at);
                    let header = Header { previous, height, nonce, ..header.clone() };
                    Told::Block(CompactBlock { header, short_ids: Vec::new() })
                };
                (0..20).map(orphan).collect()
            }
            Wrong::BadOperations => vec![Told::Operation(bad_operation(self.count))],
            Wrong::Stale => {
                let height = random.below(u64::from(self.node.tip().height) + 1) as u32;
                let Some(parent) = self.node.storage.active(height).unwrap() else {
                    return Vec::new();
                };
                let end = self.node.chain.ancestry(&parent).unwrap().unwrap();
                let block = empty_after(&self.node.chain, &end, clock.unix, self.count);
                let header = cache.mine(block.header);
                vec![Told::Block(CompactBlock { header, short_ids: Vec::new() })]
            }
        }
    }

    /// Builds a tail of blocks, each spoilt, and announces the first.
    fn build(
        &mut self,
        count: u32,
        spoil: impl Fn(&mut Block, u32),
        mine: impl Fn(&mut Cache, Header) -> Header,
        cache: &mut Cache,
        clock: Clock,
    ) -> Vec<Told> {
        let mut end = self.node.chain.ancestry(&self.node.chain.tip_id()).unwrap().unwrap();
        for at in 0..count {
            let mut block = empty_after(&self.node.chain, &end, clock.unix, self.count);
            spoil(&mut block, at);
            block.header.ops_root = ops_root(NETWORK, &block.operations);
            block.header = mine(cache, block.header);
            end.extend_unchecked(block.header.id(NETWORK), &block.header).unwrap();
            self.tail.push(block);
        }
        vec![Told::Block(CompactBlock::of(NETWORK, &self.tail[0]))]
    }

    pub fn hello(&self, clock: Clock) -> Hello {
        let mut hello = self.node.hello(clock.unix);
        if let Some(last) = self.tail.last() {
            hello.tip = last.header.id(NETWORK);
            hello.height = last.header.height;
            hello.work += self
                .tail
                .iter()
                .map(|block| header_work(NETWORK.params(), &block.header))
                .sum::<u128>();
        }
        match self.wrong {
            Wrong::Lies | Wrong::Extends => {
                hello.height += 1_000;
                hello.work += 1_000;
                hello.tip = Hash([hello.height as u8; 32]);
            }
            Wrong::LiesALot => {
                (hello.height, hello.work, hello.tip) = (u32::MAX, u128::MAX, Hash([9; 32]));
                hello.time = u64::MAX;
            }
            _ => {}
        }
        hello
    }

    /// How many milliseconds it lets pass before it answers.
    pub fn late_by(&self, request: &Request) -> u64 {
        match (self.wrong, request) {
            (Wrong::Extends, Request::Headers { .. }) => limits::REQUEST_DEADLINE_MS - 1_000,
            _ => 0,
        }
    }

    /// Its answer, or none.
    pub fn serve(&self, request: &Request, random: &mut Random, clock: Clock) -> Option<Response> {
        let sound = serve::answer(
            &*self.node.storage,
            &self.identity,
            &Waiting::default(),
            request,
            clock.unix,
        );
        let sound = sound.unwrap();
        Some(match (self.wrong, request, sound) {
            (Wrong::Silent, ..) => return None,
            (Wrong::Confused, ..) => match random.below(5) {
                0 => Response::Headers(vec![self.node.tip().clone(); 3]),
                1 => Response::Blocks(vec![vec![1, 2, 3]; 4]),
                2 => Response::Pending(vec![Hash([3; 32]); 9]),
                3 => Response::Operations(vec![bad_operation(3)]),
                _ => Response::Busy,
            },
            (_, Request::Hello(_), _) => Response::Hello(self.hello(clock)),
            (Wrong::Extends, Request::Headers { .. }, Response::Headers(mut headers)) => {
                headers.truncate(1);
                Response::Headers(headers)
            }
            (_, Request::Headers { locator }, Response::Headers(mut headers)) => {
                let at_end =
                    headers.last().map(|last| last.id(NETWORK)) == Some(self.node.chain.tip_id());
                let ended = headers.is_empty() && locator.contains(&self.node.chain.tip_id());
                if (at_end || ended) && headers.len() + self.tail.len() <= MAX_HEADERS {
                    headers.extend(self.tail.iter().map(|block| block.header.clone()));
                }
                Response::Headers(headers)
            }
            (Wrong::Withholds, Request::Blocks { .. }, _) => Response::Blocks(Vec::new()),
            (Wrong::WithholdsSilently, Request::Blocks { .. }, _) => return None,
            (Wrong::Teases, Request::Blocks { .. } | Request::BlockOperations { .. }, _) => {
                return None;
            }
            (Wrong::OtherBody, Request::Blocks { .. }, Response::Blocks(blocks)) => {
                let spoil = |mut bytes: Vec<u8>| {
                    // One operation, after the same header.
                    bytes.truncate(HEADER_BYTES);
                    bytes.extend_from_slice(&1u32.to_be_bytes());
                    bad_operation(1).encode(&mut bytes);
                    bytes
                };
                Response::Blocks(blocks.into_iter().map(spoil).collect())
            }
            (_, Request::Blocks { ids }, Response::Blocks(mut blocks)) => {
                let tail =
                    |id: &&Hash| self.tail.iter().find(|block| block.header.id(NETWORK) == **id);
                for block in ids.iter().skip(blocks.len()).map_while(|id| tail(&id)) {
                    blocks.push(block.to_bytes());
                }
                Response::Blocks(blocks)
            }
            (_, _, sound) => sound,
        })
    }
}

/// A commitment whose stamp claims work that it has not.
fn bad_operation(count: u64) -> Operation {
    let mut commitment = [5; 32];
    commitment[..8].copy_from_slice(&count.to_be_bytes());
    let anchor = namechain_core::consensus::header::genesis(NETWORK).header.id(NETWORK);
    Operation::Commit {
        commitment: Hash(commitment),
        stamp: Stamp { anchor, work: u64::MAX, nonce: 1 },
    }
}

/// A block without operations after any end of headers. Its state root is that of the parent, which
/// is right if nothing lapses.
fn empty_after(chain: &Chain, end: &Ancestry, unix: u64, nonce: u64) -> Block {
    let mut block = chain.assemble_block(std::iter::empty(), unix).unwrap();
    let parent = end.header();
    block.header = Header {
        height: parent.height + 1,
        previous: end.id(),
        state_root: parent.state_root,
        history_root: end.history_root(),
        time: unix.max(parent.time + 1),
        due: next_due(NETWORK.params(), parent),
        nonce,
        ..block.header
    };
    block
}
