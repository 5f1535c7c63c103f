//! What one answer may cost: KeyTrap (CVE-2023-50387) and NSEC3 (CVE-2023-50868) are zones whose
//! every byte is right and whose validation takes hours.

use super::verdict::Fault;

/// Signatures that are checked for one answer, with all keys from the root on. Ten zones with an
/// alias each take fewer.
pub const MAX_CHECKS: u32 = 96;
/// Of these, how many may fail. A zone that is in order has none; in the middle of a change of keys
/// there are some.
pub const MAX_FAILURES: u32 = 16;
/// Signatures that are checked for one set of records.
pub const MAX_CHECKS_PER_SET: u32 = 8;
/// Keys with one tag that are tried for one signature.
pub const MAX_SAME_TAG: usize = 4;
/// Keys of one zone that are looked at.
pub const MAX_KEYS: usize = 64;
/// Digests that are made to find the keys that the parent names, for one answer.
pub const MAX_DIGESTS: u32 = 64;
/// SHA-1 operations for NSEC3 for one answer: names times iterations.
pub const MAX_HASHES: u32 = 8_192;
/// Questions that may be asked for one answer.
pub const MAX_QUERIES: u32 = 48;

/// What was spent on an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Signatures checked.
    pub checks: u32,
    /// Those that did not hold.
    pub failures: u32,
    /// Digests of keys.
    pub digests: u32,
    /// SHA-1 operations for NSEC3.
    pub hashes: u32,
    /// Questions asked.
    pub queries: u32,
}

impl Work {
    /// One more signature to check.
    ///
    /// # Errors
    /// [`Fault`] if that is one too many, as for all of these.
    pub fn check(&mut self) -> Result<(), Fault> {
        if self.checks >= MAX_CHECKS || self.failures >= MAX_FAILURES {
            return Err(too_much("signatures"));
        }
        self.checks += 1;
        Ok(())
    }

    /// One more digest of a key.
    ///
    /// # Errors
    /// See [`Work::check`].
    pub fn digest(&mut self) -> Result<(), Fault> {
        spend(&mut self.digests, 1, MAX_DIGESTS, "digests of keys")
    }

    /// One more hash of NSEC3 with so many operations.
    ///
    /// # Errors
    /// See [`Work::check`].
    pub fn hash(&mut self, operations: u32) -> Result<(), Fault> {
        spend(&mut self.hashes, operations, MAX_HASHES, "hashes of NSEC3")
    }

    /// One more question.
    ///
    /// # Errors
    /// See [`Work::check`].
    pub fn query(&mut self) -> Result<(), Fault> {
        spend(&mut self.queries, 1, MAX_QUERIES, "questions")
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
    let text = format!("to validate the answer takes more {what} than are allowed for one");
    Fault { exhausted: true, ..Fault::bogus(text) }
}
