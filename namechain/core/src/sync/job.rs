//! Runs a job: the dear part of every check, on any core.

use super::{action::Job, event::JobOutcome};
use crate::{
    chain::{CheckedBlock, PowCheckedHeader},
    codec::Decode,
    consensus::{
        RuleViolation,
        block::check_operation_alone,
        header::{HeaderError, signing_context},
        work::PowHasher,
    },
    types::{Block, HEADER_BYTES, Header, Network},
};

impl Job {
    /// Does the job. It depends on nothing but what is in it, so the same job always comes out the
    /// same.
    pub fn run(self, network: Network, worker: &mut PowHasher) -> JobOutcome {
        match self {
            Job::Headers(headers) => {
                let worked = headers
                    .into_iter()
                    .map(|header| PowCheckedHeader::check(network, header, worker));
                worked.collect::<Result<_, _>>().map_or_else(of_error, JobOutcome::Headers)
            }
            Job::Block { header, bytes } => {
                // The header is looked at first: bytes that begin with another one are not the
                // block that was asked for.
                let is_it =
                    bytes.get(..HEADER_BYTES).and_then(|head| Header::from_bytes(head).ok());
                if is_it.is_none_or(|found| found.id(network) != header.id()) {
                    return JobOutcome::Malformed;
                }
                let Ok(block) = Block::parse(&bytes) else { return JobOutcome::Malformed };
                of_block(CheckedBlock::check_below(network, header, block, worker))
            }
            Job::Assembled { header, block, known } => {
                of_block(CheckedBlock::check_rest(network, header, block, &known, worker))
            }
            Job::Operation { operation, branch } => {
                let params = network.params();
                let mut check = |branch| {
                    let context = signing_context(params, branch);
                    check_operation_alone(params, &context, &operation, worker)
                };
                match check(branch) {
                    Ok(()) => JobOutcome::Operation(operation),
                    // Only these two depend on the branch.
                    Err(RuleViolation::Signature | RuleViolation::NameReserved { .. })
                        if [branch - 1, branch + 1]
                            .into_iter()
                            .any(|other| check(other).is_ok()) =>
                    {
                        JobOutcome::OtherBranch
                    }
                    Err(violation) => JobOutcome::Invalid(violation),
                }
            }
        }
    }
}

fn of_block(result: Result<CheckedBlock, HeaderError>) -> JobOutcome {
    result.map_or_else(of_error, |block| JobOutcome::Block(Box::new(block)))
}

fn of_error(error: HeaderError) -> JobOutcome {
    match error {
        HeaderError::Rule(violation) => JobOutcome::Invalid(violation),
        HeaderError::UpgradeNeeded(branch) => JobOutcome::UpgradeNeeded(branch),
    }
}
