//! The work function: Argon2id (RFC 9106, version 0x13), one pass, one lane, 16 bytes of output.
//!
//! Memory-hard, so that a name costs a squatter with special hardware about what it costs a laptop.

use argon2::{Algorithm, Argon2, Block as MemoryBlock, Params as ArgonParams, Version};

use super::difficulty::header_target;
use crate::{
    codec::Encode,
    params::Params,
    types::{Domain, Hash, Header, Network, Operation, STAMP_BYTES, Stamp, tag},
};

/// The length of a value of the work function, in bytes.
const VALUE_BYTES: usize = 16;

/// The work function with its memory, which is reused from call to call.
pub struct PowHasher {
    network: Network,
    params: &'static Params,
    header: Argon2<'static>,
    stamp: Argon2<'static>,
    memory: Vec<MemoryBlock>,
}

impl PowHasher {
    /// A worker for a network, holding as much memory as the larger of the two works takes.
    pub fn new(network: Network) -> Self {
        let params = network.params();
        let argon = |kib: u32| {
            // Constants of `params`: never refused (each network is made in a test).
            let params = ArgonParams::new(kib, 1, 1, Some(VALUE_BYTES))
                .expect("the network's parameters are valid");
            Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        };
        let blocks = |params: &Params| params.header_work_kib.max(params.stamp_work_kib) as usize;
        PowHasher {
            network,
            params,
            header: argon(params.header_work_kib),
            stamp: argon(params.stamp_work_kib),
            memory: vec![MemoryBlock::default(); blocks(params)],
        }
    }

    /// The value of a header: of its tag and its 168 bytes.
    pub fn hash_header(&mut self, header: &Header) -> u128 {
        let mut password = tag(self.network, Domain::HeaderWork).to_vec();
        header.encode(&mut password);
        value(&self.header, self.network, &password, &mut self.memory)
    }

    /// The value of a stamp: of its tag, the subject, and all that the stamp says, the work that it
    /// claims included.
    pub fn hash_stamp(&mut self, subject: &Hash, stamp: &Stamp) -> u128 {
        let mut password = Vec::with_capacity(16 + 32 + STAMP_BYTES);
        password.extend_from_slice(&tag(self.network, Domain::StampWork));
        subject.encode(&mut password);
        stamp.encode(&mut password);
        value(&self.stamp, self.network, &password, &mut self.memory)
    }

    /// Whether the header's value reaches its target.
    pub fn has_header_work(&mut self, header: &Header) -> bool {
        self.hash_header(header) <= header_target(self.params, header).value()
    }

    /// Whether the operation's stamp has the work that it claims.
    pub fn has_stamp_work(&mut self, operation: &Operation) -> bool {
        let stamp = operation.stamp();
        let subject = operation.stamp_subject(self.network);
        self.hash_stamp(&subject, stamp) <= stamp.limit()
    }

    /// Tries up to `tries` nonces from `stamp.nonce` on. `Ok` is the stamp with a nonce that has
    /// the work; `Err` is the stamp with the next nonce to try.
    pub fn search_stamp(
        &mut self,
        subject: &Hash,
        mut stamp: Stamp,
        tries: u64,
    ) -> Result<Stamp, Stamp> {
        for _ in 0..tries {
            if self.hash_stamp(subject, &stamp) <= stamp.limit() {
                return Ok(stamp);
            }
            stamp.nonce = stamp.nonce.wrapping_add(1);
        }
        Err(stamp)
    }
}

/// The salt is the 16-byte tag of the network: `namechain`, zeros up to 12 bytes, the network's
/// magic.
fn salt(network: Network) -> [u8; 16] {
    let mut salt = *b"namechain\0\0\0\0\0\0\0";
    salt[12..].copy_from_slice(&network.magic());
    salt
}

fn value(
    argon: &Argon2<'_>,
    network: Network,
    password: &[u8],
    memory: &mut [MemoryBlock],
) -> u128 {
    let mut out = [0; VALUE_BYTES];
    let memory = &mut memory[..argon.params().block_count()];
    // It fails only for lengths that are constants here.
    argon
        .hash_password_into_with_memory(password, &salt(network), &mut out, memory)
        .expect("the lengths are within Argon2's limits");
    u128::from_be_bytes(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_found_and_bound_to_everything() {
        let mut worker = PowHasher::new(Network::Dev);
        let start = Stamp { anchor: Hash([9; 32]), work: 8, nonce: 0 };
        let subject = Hash([1; 32]);
        let stamp = worker.search_stamp(&subject, start, 10_000).unwrap();
        let value = worker.hash_stamp(&subject, &stamp);
        assert!(value <= u128::MAX / 8);
        assert_ne!(value, worker.hash_stamp(&Hash([2; 32]), &stamp), "another operation");
        for other in [
            Stamp { anchor: Hash([8; 32]), ..stamp },
            Stamp { work: stamp.work - 1, ..stamp },
            Stamp { work: stamp.work + 1, ..stamp },
            Stamp { nonce: stamp.nonce + 1, ..stamp },
        ] {
            assert_ne!(value, worker.hash_stamp(&subject, &other), "{other:?}");
        }
        let mut elsewhere = PowHasher::new(Network::Test);
        assert_ne!(value, elsewhere.hash_stamp(&subject, &stamp), "another network");
    }

    /// The value depends on the input alone, not on what the memory held before.
    #[test]
    fn memory_is_not_remembered() {
        let mut used = PowHasher::new(Network::Dev);
        for nonce in 0..3 {
            used.hash_stamp(&Hash([1; 32]), &Stamp { anchor: Hash([2; 32]), work: 1, nonce });
        }
        let mut fresh = PowHasher::new(Network::Dev);
        let header = crate::consensus::header::genesis(Network::Dev).header;
        assert_eq!(used.hash_header(&header), fresh.hash_header(&header));
    }
}
