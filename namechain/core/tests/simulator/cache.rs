//! What is dear is done once: the works of headers and stamps, for all nodes of a world and, where
//! it can be, for all worlds.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use namechain_core::{
    chain::{CheckedBlock, PowCheckedHeader},
    codec::Decode,
    consensus::{
        RuleViolation,
        block::{check_block_alone, check_operation_alone},
        header::HeaderError,
        work::PowHasher,
    },
    sync::{Job, JobOutcome},
    types::{Block, Hash, Header, Operation},
};

use crate::common::{NETWORK, context};

type Stamps = Mutex<Option<HashMap<Hash, Operation>>>;

/// Operations that were stamped, by what they were before: the same users do the same things in
/// every world.
static STAMPED: Stamps = Mutex::new(None);

/// Outcomes of checks, by what was checked.
pub struct Cache {
    worker: PowHasher,
    headers: HashMap<Hash, Result<PowCheckedHeader, HeaderError>>,
    operations: HashMap<Hash, Result<(), RuleViolation>>,
}

impl Clone for Cache {
    fn clone(&self) -> Self {
        let (headers, operations) = (self.headers.clone(), self.operations.clone());
        Cache { worker: PowHasher::new(NETWORK), headers, operations }
    }
}

impl Cache {
    pub fn new() -> Self {
        Cache {
            worker: PowHasher::new(NETWORK),
            headers: HashMap::new(),
            operations: HashMap::new(),
        }
    }

    /// Works a stamp on the genesis block, once in all worlds.
    pub fn stamped(&mut self, mut operation: Operation) -> Operation {
        let key = operation.id(NETWORK);
        let there = |stamps: &Option<HashMap<Hash, Operation>>| stamps.as_ref()?.get(&key).cloned();
        if let Some(done) = there(&STAMPED.lock().unwrap_or_else(PoisonError::into_inner)) {
            return done;
        }
        let subject = operation.stamp_subject(NETWORK);
        let stamp = *operation.stamp();
        *operation.stamp_mut() = self.worker.search_stamp(&subject, stamp, u64::MAX).unwrap();
        let mut stamps = STAMPED.lock().unwrap_or_else(PoisonError::into_inner);
        stamps.get_or_insert_default().insert(key, operation.clone());
        operation
    }

    /// Finds a nonce.
    pub fn mine(&mut self, mut header: Header) -> Header {
        while !self.worker.has_header_work(&header) {
            header.nonce += 1;
        }
        // What was mined needs no second look.
        let known = PowCheckedHeader::check(NETWORK, header.clone(), &mut self.worker);
        self.headers.insert(header.id(NETWORK), known);
        header
    }

    /// A nonce that is not one.
    pub fn mine_badly(&mut self, mut header: Header) -> Header {
        while self.worker.has_header_work(&header) {
            header.nonce += 1;
        }
        header
    }

    pub fn header(&mut self, header: Header) -> Result<PowCheckedHeader, HeaderError> {
        let id = header.id(NETWORK);
        let worker = &mut self.worker;
        self.headers
            .entry(id)
            .or_insert_with(|| PowCheckedHeader::check(NETWORK, header, worker))
            .clone()
    }

    fn operation(&mut self, operation: &Operation) -> Result<(), RuleViolation> {
        let id = operation.id(NETWORK);
        let worker = &mut self.worker;
        self.operations
            .entry(id)
            .or_insert_with(|| {
                check_operation_alone(NETWORK.params(), &context(), operation, worker)
            })
            .clone()
    }

    /// As [`Job::run`]: the block's parts come from here, and are as they would be there.
    pub fn block(&mut self, block: Block) -> Result<CheckedBlock, HeaderError> {
        check_block_alone(NETWORK.params(), &block)?;
        let header = self.header(block.header.clone())?;
        for operation in &block.operations {
            self.operation(operation)?;
        }
        // All of it was checked here: none of it again.
        let known = vec![true; block.operations.len()];
        CheckedBlock::check_rest(NETWORK, header.pow_checked(), block, &known, &mut self.worker)
    }

    pub fn run(&mut self, job: Job) -> JobOutcome {
        match job {
            Job::Headers(headers) => headers
                .into_iter()
                .map(|header| self.header(header))
                .collect::<Result<_, _>>()
                .map_or_else(of_error, JobOutcome::Headers),
            Job::Block { header, bytes } => match Block::from_bytes(&bytes) {
                Ok(block) if block.header.id(NETWORK) == header.id() => self.outcome(block),
                _ => JobOutcome::Malformed,
            },
            Job::Assembled { block, .. } => self.outcome(block),
            Job::Operation { operation, .. } => match self.operation(&operation) {
                Ok(()) => JobOutcome::Operation(operation),
                Err(violation) => JobOutcome::Invalid(violation),
            },
        }
    }

    fn outcome(&mut self, block: Block) -> JobOutcome {
        self.block(block).map_or_else(of_error, |block| JobOutcome::Block(Box::new(block)))
    }
}

fn of_error(error: HeaderError) -> JobOutcome {
    match error {
        HeaderError::Rule(violation) => JobOutcome::Invalid(violation),
        HeaderError::UpgradeNeeded(branch) => JobOutcome::UpgradeNeeded(branch),
    }
}
