//! Who checks a block's signatures and stamps: the core starts no threads, so whoever has some
//! hands them in.

use crate::{
    consensus::{RuleViolation, block::check_operation_alone, work::PowHasher},
    types::{Network, Operation, SigningContext},
};

/// Checks the operations of one block by themselves, which is where a block's time goes.
pub trait OperationVerifier: Send {
    /// Whether every operation is fine by itself; `context` is what their signatures are bound to.
    ///
    /// # Errors
    /// The rule that the first bad operation, in the block's order, breaks.
    fn check_operations(
        &mut self,
        context: &SigningContext,
        operations: &[Operation],
    ) -> Result<(), RuleViolation>;
}

/// Checks on the calling thread, one after the other.
pub struct SerialVerifier {
    network: Network,
    hasher: PowHasher,
}

impl SerialVerifier {
    /// A verifier for a network.
    pub fn new(network: Network) -> Self {
        SerialVerifier { network, hasher: PowHasher::new(network) }
    }
}

impl OperationVerifier for SerialVerifier {
    fn check_operations(
        &mut self,
        context: &SigningContext,
        operations: &[Operation],
    ) -> Result<(), RuleViolation> {
        let params = self.network.params();
        operations.iter().try_for_each(|operation| {
            check_operation_alone(params, context, operation, &mut self.hasher)
        })
    }
}
