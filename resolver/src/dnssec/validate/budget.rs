//! Limits on the work for one answer: the zones of KeyTrap (CVE-2023-50387) and of the NSEC3 attack
//! (CVE-2023-50868) are valid byte by byte and would take hours to validate.

use super::verdict::Fault;

/// Signatures verified for one answer, with all keys from the root down. Ten zones with an alias
/// each take fewer.
pub const MAX_CHECKS: u32 = 96;
/// Of these, how many may fail. A correct zone has none; during a key rollover there are some.
pub const MAX_FAILURES: u32 = 16;
/// Signatures verified for one RRset.
pub const MAX_CHECKS_PER_SET: u32 = 8;
/// Keys with the same tag that are tried for one signature.
pub const MAX_SAME_TAG: usize = 4;
/// Keys of one zone that are read.
pub const MAX_KEYS: usize = 64;
/// Digests computed to match keys with DS records, for one answer.
pub const MAX_DIGESTS: u32 = 64;
/// SHA-1 operations for NSEC3, for one answer: names times iterations.
pub const MAX_HASHES: u32 = 8_192;
/// Queries sent for one answer.
pub const MAX_QUERIES: u32 = 48;

/// Work spent on an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Signatures verified.
    pub checks: u32,
    /// Signatures that did not verify.
    pub failures: u32,
    /// Digests of keys computed.
    pub digests: u32,
    /// SHA-1 operations for NSEC3.
    pub hashes: u32,
    /// Queries sent.
    pub queries: u32,
}

impl Work {
    /// Counts one signature to verify.
    ///
    /// # Errors
    /// [`Fault`] if the limit is reached, as for all of these.
    pub fn count_check(&mut self) -> Result<(), Fault> {
        if self.checks >= MAX_CHECKS || self.failures >= MAX_FAILURES {
            return Err(too_much("signatures"));
        }
        self.checks += 1;
        Ok(())
    }

    /// Counts one digest of a key.
    ///
    /// # Errors
    /// See [`Work::count_check`].
    pub fn count_digest(&mut self) -> Result<(), Fault> {
        spend(&mut self.digests, 1, MAX_DIGESTS, "digests of keys")
    }

    /// Counts one NSEC3 hash of so many operations.
    ///
    /// # Errors
    /// See [`Work::count_check`].
    pub fn count_hash(&mut self, operations: u32) -> Result<(), Fault> {
        spend(&mut self.hashes, operations, MAX_HASHES, "hashes of NSEC3")
    }

    /// Counts one query.
    ///
    /// # Errors
    /// See [`Work::count_check`].
    pub fn count_query(&mut self) -> Result<(), Fault> {
        spend(&mut self.queries, 1, MAX_QUERIES, "queries")
    }
}

fn spend(spent: &mut u32, more: u32, limit: u32, what: &str) -> Result<(), Fault> {
    if spent.saturating_add(more) > limit {
        return Err(too_much(what));
    }
    *spent += more;
    Ok(())
}

fn too_much(what: &str) -> Fault {
    let text = format!("validation needs more {what} than the limit for one answer allows");
    Fault { exhausted: true, ..Fault::bogus(text) }
}
