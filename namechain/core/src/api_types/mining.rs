//! Mining from outside of the node.

use serde::{Deserialize, Serialize};

use crate::{
    codec::Encode,
    types::{Hash, Header, Network},
};

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

/// `GET /v1/mining/template`: a block in the making.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct MiningTemplate {
    /// Names the tip it builds on, the operations it records, and whether it is wanted. A template
    /// that differs in its time alone has the same. For `?after=`; it is not the id of the header.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub template: Hash,
    /// The 168 bytes of its header in hexadecimal, with nonce 0. Nothing but the nonce, the last
    /// eight bytes, may be changed.
    pub header: String,
    /// Its height.
    pub height: u32,
    /// Its time, in seconds of Unix time.
    pub time: u64,
    /// The expected hashes of its work, in decimal.
    pub work: String,
    /// How many operations it records.
    pub operations: usize,
    /// Whether there is a reason to mine it: it records something, or somebody waits for a block.
    pub wanted: bool,
}

impl MiningTemplate {
    /// Of a header with nonce 0, whose work is `work` expected hashes.
    pub fn from_header(
        network: Network,
        header: &Header,
        work: u128,
        operations: usize,
        wanted: bool,
    ) -> Self {
        // What follows from the time is left out: lapsed names and prices change with it.
        let content = Header {
            state_root: Hash::ZERO,
            time: 0,
            name_price: 0,
            byte_price: 0,
            nonce: u64::from(wanted),
            ..header.clone()
        };
        MiningTemplate {
            template: content.id(network),
            header: hex::encode(header.to_bytes()),
            height: header.height,
            time: header.time,
            work: work.to_string(),
            operations,
            wanted,
        }
    }
}

/// The body of `POST /v1/mining/blocks`: a template's header with a nonce that has the work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct MinedHeader {
    /// The header in hexadecimal.
    pub header: String,
}

/// What became of a mined block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct MinedBlock {
    /// Its id.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: Hash,
    /// Its height.
    pub height: u32,
    /// Whether it is the tip now; if not, another block came first.
    pub tip: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consensus::header::genesis;

    #[test]
    fn time_alone_makes_no_other_template() {
        const NETWORK: Network = Network::Dev;
        let first = Header { nonce: 0, ..genesis(NETWORK).header };
        let template = |header: &Header, wanted| {
            MiningTemplate::from_header(NETWORK, header, 2, 0, wanted).template
        };
        let later = Header {
            time: first.time + 2,
            state_root: Hash([1; 32]),
            name_price: first.name_price + 1,
            byte_price: first.byte_price + 1,
            ..first.clone()
        };
        assert_eq!(template(&first, false), template(&later, false));
        assert_ne!(template(&first, false), template(&first, true));
        for other in [
            Header { previous: Hash([1; 32]), ..first.clone() },
            Header { ops_root: Hash([1; 32]), ..first.clone() },
            Header { height: first.height + 1, ..first.clone() },
            Header { version: first.version + 1, ..first.clone() },
        ] {
            assert_ne!(template(&first, false), template(&other, false), "{other:?}");
        }
    }
}
