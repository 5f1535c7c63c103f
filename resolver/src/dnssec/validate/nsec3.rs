//! Denial by NSEC3 records (RFC 5155 §8), within bounds (RFC 9276, CVE-2023-50868).

use super::algorithm::nsec3_hash;
use super::budget::Work;
use super::nsec::{DsDenial, TypeBitmap};
use super::verdict::Fault;
use crate::dns::ede::Ede;
use crate::dns::name::Name;
use crate::dns::rtype;

/// With more iterations no hash is computed, and the answer counts as insecure (RFC 9276 §3.2).
pub const MAX_HASHED_ITERATIONS: u16 = 100;
/// With more iterations the answer is bogus: no zone may use as many (RFC 5155 §10.3).
pub const MAX_VALID_ITERATIONS: u16 = 2_500;
/// SHA-1, the only hash algorithm (RFC 5155 §11).
const SHA1: u8 = 1;
const OPT_OUT: u8 = 1;

/// A hash of a name.
type Hash = [u8; 20];

/// An NSEC3 record that its zone has signed.
///
/// ```text
/// 0 hash  1 flags  2 iterations (2)  4 length of the salt, salt; length of the next hash, next hash; types
/// ```
#[derive(Debug, Clone)]
pub struct Nsec3<'a> {
    own: Hash,
    next: Hash,
    opt_out: bool,
    iterations: u16,
    salt: &'a [u8],
    types: TypeBitmap<'a>,
}

impl<'a> Nsec3<'a> {
    /// Reads the record at `owner` in `zone`; `None` if it is of another zone, hash or version (RFC
    /// 5155 §8.1, §8.2).
    pub fn read(owner: &Name, zone: &Name, value: &'a [u8]) -> Option<Self> {
        let (head, rest) = value.split_first_chunk::<5>()?;
        let [hash, flags, high, low, length] = *head;
        let (salt, rest) = rest.split_at_checked(usize::from(length))?;
        let (length, rest) = rest.split_first()?;
        let (next, bits) = rest.split_at_checked(usize::from(*length))?;
        if hash != SHA1 || flags & !OPT_OUT != 0 || owner.parent().as_ref() != Some(zone) {
            return None;
        }
        let label = owner.labels().next()?.to_ascii_uppercase();
        let own = data_encoding::BASE32HEX_NOPAD.decode(&label).ok()?;
        Some(Self {
            own: own.try_into().ok()?,
            next: next.try_into().ok()?,
            opt_out: flags & OPT_OUT != 0,
            iterations: u16::from_be_bytes([high, low]),
            salt,
            types: TypeBitmap::new(bits),
        })
    }

    fn covers(&self, hash: &Hash) -> bool {
        if self.own < self.next {
            self.own < *hash && *hash < self.next
        } else {
            self.own < *hash || *hash < self.next
        }
    }
}

/// The strength of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Nothing is proven.
    None,
    /// It is proven.
    Holds,
    /// It is proven, or there is an unsigned delegation (opt-out, RFC 5155 §6).
    OptOut,
}

impl Proof {
    fn of(nsec3: &Nsec3<'_>) -> Self {
        if nsec3.opt_out { Proof::OptOut } else { Proof::Holds }
    }
}

/// The NSEC3 records of one zone with the same salt and iterations.
#[derive(Debug)]
pub struct Nsec3s<'a> {
    zone: &'a Name,
    all: Vec<Nsec3<'a>>,
}

/// The closest encloser proof of a name.
struct ClosestEncloser<'b, 'a> {
    /// The number of labels of the closest encloser.
    closest: usize,
    /// The record that covers the next closer name.
    covering: &'b Nsec3<'a>,
}

impl<'a> Nsec3s<'a> {
    /// Takes the records with the salt and iterations of the first.
    ///
    /// # Errors
    /// Inner: the extended error with which the answer counts as insecure. Outer: why it is bogus.
    pub fn new(zone: &'a Name, mut all: Vec<Nsec3<'a>>) -> Result<Result<Self, Ede>, Fault> {
        let Some(first) = all.first().cloned() else { return Ok(Ok(Self { zone, all })) };
        let text = format!("NSEC3 of {zone} with {} iterations", first.iterations);
        if first.iterations > MAX_VALID_ITERATIONS {
            return Err(Fault::new(Ede::NSEC3_ITERATIONS, text));
        }
        if first.iterations > MAX_HASHED_ITERATIONS {
            return Ok(Err(Ede::new(Ede::NSEC3_ITERATIONS, text)));
        }
        all.retain(|other| other.iterations == first.iterations && other.salt == first.salt);
        Ok(Ok(Self { zone, all }))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    fn hash(&self, name: &Name, work: &mut Work) -> Result<Hash, Fault> {
        let (salt, iterations) =
            self.all.first().map_or((&[][..], 0), |one| (one.salt, one.iterations));
        work.count_hash(u32::from(iterations) + 1)?;
        Ok(nsec3_hash(name.wire(), salt, iterations))
    }

    fn matching(&self, name: &Name, work: &mut Work) -> Result<Option<&Nsec3<'a>>, Fault> {
        let hash = self.hash(name, work)?;
        Ok(self.all.iter().find(|nsec3| nsec3.own == hash))
    }

    fn covering(&self, name: &Name, work: &mut Work) -> Result<Option<&Nsec3<'a>>, Fault> {
        let hash = self.hash(name, work)?;
        Ok(self.all.iter().find(|nsec3| nsec3.covers(&hash)))
    }

    /// The closest encloser proof (RFC 5155 §8.3) of a name that does not exist.
    fn closest_encloser(
        &self,
        name: &Name,
        work: &mut Work,
    ) -> Result<Option<ClosestEncloser<'_, 'a>>, Fault> {
        let (own, zone) = (name.count(), self.zone.count());
        for closest in (zone..own).rev() {
            let encloser = name.suffix(closest);
            let Some(found) = self.matching(&encloser, work)? else { continue };
            if !found.types.is_authority_for(&encloser, name) {
                return Ok(None);
            }
            let covering = self.covering(&name.suffix(closest + 1), work)?;
            return Ok(covering.map(|covering| ClosestEncloser { closest, covering }));
        }
        Ok(None)
    }

    /// Proves that the name does not exist and that no wildcard applies (RFC 5155 §8.4).
    ///
    /// # Errors
    /// [`Fault`] if it takes too many hashes, as for all of these.
    pub fn name_error(&self, name: &Name, work: &mut Work) -> Result<Proof, Fault> {
        let Some(encloser) = self.closest_encloser(name, work)? else { return Ok(Proof::None) };
        let Some(wildcard) = name.suffix(encloser.closest).wildcard() else {
            return Ok(Proof::None);
        };
        let no_wildcard = self.covering(&wildcard, work)?.is_some();
        Ok(if no_wildcard { Proof::of(encloser.covering) } else { Proof::None })
    }

    /// Proves that the name, or the wildcard that applies, has no records of a type (RFC 5155 §8.5
    /// to §8.7).
    ///
    /// # Errors
    /// See [`Nsec3s::name_error`].
    pub fn no_data(&self, name: &Name, rtype: u16, work: &mut Work) -> Result<Proof, Fault> {
        if let Some(own) = self.matching(name, work)? {
            return Ok(if own.types.denies(name, rtype) { Proof::Holds } else { Proof::None });
        }
        let Some(encloser) = self.closest_encloser(name, work)? else { return Ok(Proof::None) };
        if let Some(wildcard) = name.suffix(encloser.closest).wildcard()
            && let Some(found) = self.matching(&wildcard, work)?
        {
            let denied = found.types.denies(&wildcard, rtype);
            return Ok(if denied { Proof::of(encloser.covering) } else { Proof::None });
        }
        // Unsigned delegations, and empty non-terminals with nothing else below them, have no
        // record (RFC 5155 §7.1).
        Ok(if encloser.covering.opt_out { Proof::OptOut } else { Proof::None })
    }

    /// Proves that no name is closer than the wildcard below the last `labels` labels (RFC 5155
    /// §8.8).
    ///
    /// # Errors
    /// See [`Nsec3s::name_error`].
    pub fn no_closer_match(
        &self,
        name: &Name,
        labels: usize,
        work: &mut Work,
    ) -> Result<Proof, Fault> {
        let covering = self.covering(&name.suffix(labels + 1), work)?;
        Ok(covering.map_or(Proof::None, Proof::of))
    }

    /// The proof that a name has no DS (RFC 5155 §8.6, §8.9); `None` if there is none.
    ///
    /// # Errors
    /// See [`Nsec3s::name_error`].
    pub fn no_ds(&self, name: &Name, work: &mut Work) -> Result<Option<DsDenial>, Fault> {
        if let Some(own) = self.matching(name, work)? {
            let types = own.types;
            if types.has(rtype::DS) || types.has(rtype::SOA) {
                return Ok(None);
            }
            return Ok(Some(if types.has(rtype::NS) {
                DsDenial::UnsignedDelegation
            } else {
                DsDenial::NoDelegation
            }));
        }
        let encloser = self.closest_encloser(name, work)?;
        Ok(encloser.map(|encloser| {
            if encloser.covering.opt_out {
                DsDenial::UnsignedDelegation
            } else {
                DsDenial::NoDelegation
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_text(text).unwrap()
    }

    fn value(iterations: u16, flags: u8) -> Vec<u8> {
        let [high, low] = iterations.to_be_bytes();
        [&[SHA1, flags, high, low, 0, 20][..], &[0xff; 20]].concat()
    }

    fn read<'a>(zone: &'a Name, value: &'a [u8]) -> Option<Nsec3<'a>> {
        let hash = data_encoding::BASE32HEX_NOPAD.encode(&[0; 20]);
        Nsec3::read(&name(&format!("{hash}.{zone}")), zone, value)
    }

    #[test]
    fn iterations_above_the_bounds_are_never_hashed() {
        let zone = name("example");
        for (iterations, accepted, refused) in [
            (0, true, false),
            (100, true, false),
            (101, false, false),
            (2_500, false, false),
            (2_501, false, true),
        ] {
            let value = value(iterations, 0);
            let made = Nsec3s::new(&zone, vec![read(&zone, &value).unwrap()]);
            assert_eq!(
                (matches!(made, Ok(Ok(_))), made.is_err()),
                (accepted, refused),
                "{iterations}"
            );
            let code = match made {
                Ok(Err(ede)) => Some(ede.code),
                Err(fault) => Some(fault.code),
                Ok(Ok(_)) => None,
            };
            assert_eq!(code, (!accepted).then_some(27), "{iterations}");
        }
    }

    #[test]
    fn a_long_name_and_many_iterations_run_out_of_hashes() {
        let zone = name("example");
        let value = value(100, 0);
        let all = Nsec3s::new(&zone, vec![read(&zone, &value).unwrap()]).unwrap().unwrap();
        let long = name(&format!("{}example", "a.".repeat(120)));
        let mut work = Work::default();
        let fault = all.name_error(&long, &mut work).unwrap_err();
        assert!(fault.text.contains("hashes of NSEC3"), "{fault:?}");
        assert_eq!((work.hashes, work.checks), (81 * 101, 0));
    }

    #[test]
    fn what_is_not_of_this_zone_hash_or_version_is_not_read() {
        let zone = name("example");
        assert!(read(&zone, &value(1, 1)).is_some_and(|nsec3| nsec3.opt_out));
        assert!(read(&zone, &value(1, 2)).is_none(), "an unknown flag");
        let mut other = value(1, 0);
        other[0] = 2;
        assert!(read(&zone, &other).is_none(), "an unknown hash");
        assert!(Nsec3::read(&name("not-base32.example"), &zone, &value(1, 0)).is_none());
        let deep = name(&format!("{}.a.example", data_encoding::BASE32HEX_NOPAD.encode(&[0; 20])));
        assert!(Nsec3::read(&deep, &zone, &value(1, 0)).is_none());
        assert!(read(&zone, &value(1, 0)[..10]).is_none());
    }
}
