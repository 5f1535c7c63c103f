//! The processor of a node: how long its checks take, by what they cost on the network `main`
//! (docs/performance.md, "Components").

use namechain_core::{
    sync::Job,
    types::{Block, Operation},
};

/// Microseconds of one core for the work of a header, of a stamp, and for a signature.
const HEADER_US: u64 = 279;
const STAMP_US: u64 = 76;
const SIGNATURE_US: u64 = 36;
/// Microseconds for a durable commit, and for each operation of a block that is connected: what a
/// full block takes beyond its checks.
const COMMIT_US: u64 = 7_600;
const CONNECT_US: u64 = 40;

/// Two cores, each with one job at a time.
pub struct Cpu {
    /// When each core has done what it was given, in microseconds.
    free_at_us: [u64; 2],
    /// How many times as long as on the measured machine everything takes.
    slowness: u64,
}

impl Cpu {
    pub fn new(slowness: u64) -> Self {
        Cpu { free_at_us: [0; 2], slowness }
    }

    /// Begins a job as soon as a core is free: how many milliseconds after `now` it is done.
    pub fn milliseconds_until_done(&mut self, now: u64, job: &Job) -> u64 {
        let now_us = now * 1_000;
        let core = self.free_at_us.iter_mut().min().expect("there are two");
        *core = now_us.max(*core) + cost_us(job) * self.slowness;
        (*core - now_us).div_ceil(1_000)
    }

    /// How many milliseconds connecting a block of so many operations takes. One thread does it.
    pub fn milliseconds_to_connect(&self, operations: usize) -> u64 {
        (COMMIT_US + CONNECT_US * operations as u64) * self.slowness / 1_000
    }
}

fn cost_us(job: &Job) -> u64 {
    let operations = |operations: &[Operation]| operations.iter().map(operation_us).sum::<u64>();
    match job {
        Job::Headers(headers) => HEADER_US * headers.len() as u64,
        Job::Block { bytes, .. } => {
            Block::parse(bytes).map_or(0, |block| operations(&block.operations))
        }
        Job::Assembled { block, known, .. } => {
            let unknown = block.operations.iter().zip(known).filter(|(_, known)| !**known);
            HEADER_US + unknown.map(|(operation, _)| operation_us(operation)).sum::<u64>()
        }
        Job::Operation { operation, .. } => operation_us(operation),
    }
}

fn operation_us(operation: &Operation) -> u64 {
    match operation {
        Operation::Commit { .. } => STAMP_US,
        Operation::Named(_) => STAMP_US + SIGNATURE_US,
    }
}
