//! What is known of a header once its proof of work has been checked.

use crate::{
    consensus::{
        header::{HeaderError, check_header_alone},
        work::PowHasher,
    },
    types::{Hash, Header, Network},
};

/// A header that is of this version and has its work: the dear part of its check, which needs no
/// ancestors and can be done on any core.
#[derive(Clone, Debug)]
pub struct PowCheckedHeader {
    id: Hash,
    header: Header,
}

impl PowCheckedHeader {
    /// Checks a header by itself.
    ///
    /// # Errors
    /// The rule that it breaks, or that it is of a later branch.
    pub fn check(
        network: Network,
        header: Header,
        worker: &mut PowHasher,
    ) -> Result<Self, HeaderError> {
        check_header_alone(network.params(), &header, worker)?;
        Ok(PowCheckedHeader { id: header.id(network), header })
    }

    /// Its id.
    pub fn id(&self) -> Hash {
        self.id
    }

    /// Its id, as that of a header that has its work: what is kept of it until its block comes.
    pub fn pow_checked(&self) -> PowChecked {
        PowChecked(self.id)
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }
}

/// The id of a header that is of this version and has its work. Made by
/// [`PowCheckedHeader::pow_checked`] alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowChecked(Hash);

impl PowChecked {
    /// The id.
    pub fn id(&self) -> Hash {
        self.0
    }
}
