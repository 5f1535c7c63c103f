//! Checking one block's operations on all cores, for blocks that come to the chain unchecked: our
//! own, and those of the block log.

use std::thread;

use namechain_core::{
    chain::OperationVerifier,
    consensus::{RuleViolation, block::check_operation_alone, work::PowHasher},
    types::{Network, Operation, SigningContext},
};

/// From this many operations on, a block's signatures and stamps are checked on all cores.
const PARALLEL_FROM: usize = 8;

/// Checks the operations of a block on a thread for each core.
pub struct ParallelVerifier {
    network: Network,
    cores: usize,
    hasher: PowHasher,
}

impl ParallelVerifier {
    /// A verifier on as many threads as there are cores.
    pub fn new(network: Network) -> Self {
        let cores = thread::available_parallelism().map_or(1, |cores| cores.get());
        Self::with_threads(network, cores)
    }

    fn with_threads(network: Network, cores: usize) -> Self {
        ParallelVerifier { network, cores, hasher: PowHasher::new(network) }
    }
}

impl OperationVerifier for ParallelVerifier {
    fn check_operations(
        &mut self,
        context: &SigningContext,
        operations: &[Operation],
    ) -> Result<(), RuleViolation> {
        let network = self.network;
        let params = network.params();
        let check = |operations: &[Operation], hasher: &mut PowHasher| {
            operations
                .iter()
                .try_for_each(|operation| check_operation_alone(params, context, operation, hasher))
        };
        if operations.len() < PARALLEL_FROM || self.cores == 1 {
            return check(operations, &mut self.hasher);
        }
        let mut parts = operations.chunks(operations.len().div_ceil(self.cores));
        let first = parts.next().unwrap_or_default();
        thread::scope(|scope| {
            let others: Vec<_> = parts
                .map(|part| scope.spawn(move || check(part, &mut PowHasher::new(network))))
                .collect();
            let first = check(first, &mut self.hasher);
            // In order, so that the rule that is named does not depend on the number of cores.
            others.into_iter().fold(first, |result, other| match other.join() {
                Ok(checked) => result.and(checked),
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use namechain_core::{
        consensus::header::signing_context,
        types::{Hash, Stamp},
    };

    use super::*;

    const NETWORK: Network = Network::Dev;

    fn commit(number: u8) -> Operation {
        let stamp = Stamp { anchor: Hash::ZERO, work: 1, nonce: 0 };
        Operation::Commit { commitment: Hash([number; 32]), stamp }
    }

    /// A stamp that claims more work than anybody has done.
    fn without_work() -> Operation {
        let stamp = Stamp { anchor: Hash::ZERO, work: u64::MAX, nonce: 0 };
        Operation::Commit { commitment: Hash::ZERO, stamp }
    }

    #[test]
    fn one_bad_operation_is_found_wherever_it_stands() {
        let good: Vec<Operation> = (0..20).map(commit).collect();
        for threads in [1, 2, 3, 64] {
            let mut verifier = ParallelVerifier::with_threads(NETWORK, threads);
            let context = signing_context(NETWORK.params(), 2);
            let mut check =
                |operations: &[Operation]| verifier.check_operations(&context, operations);
            assert_eq!(check(&good), Ok(()));
            assert_eq!(check(&[]), Ok(()));
            for at in [0, 9, 10, 19] {
                let mut operations = good.clone();
                operations[at] = without_work();
                assert_eq!(
                    check(&operations),
                    Err(RuleViolation::StampWork),
                    "operation {at} on {threads} threads"
                );
            }
        }
    }
}
