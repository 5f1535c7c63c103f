//! What an answer of ours rests on: with it an answer can be given again for exactly as long as it
//! is true.

use namechain_core::types::{Hash, Name};

use crate::chain::mount::Mounts;

/// On how many names of the chain an answer may rest to be kept.
const MAX_GROUNDS: usize = 4;
/// How much of an entry's hash is compared: two entries that agree in so many bytes can't be made.
const HASH_BYTES: usize = 16;

/// What the state says under one name, as far as an answer rests on it. It holds as long as the
/// name's entry is this one, and the height within its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ground {
    /// The name.
    pub name: Name,
    /// The hash of its entry; `None`: there is none.
    pub value: Option<Hash>,
    /// The first height at which the entry means what it was taken for.
    pub from: u32,
    /// The first height at which it does not any more.
    pub until: u32,
    /// The epoch of the chain's source in which it was looked up; 0: none that is known.
    pub epoch: u32,
}

impl Ground {
    /// Whether a state with this entry at this height bears it out. Of the hash only what [`Basis`]
    /// keeps is compared.
    pub fn is_borne_out(&self, value: Option<&Hash>, height: u32) -> bool {
        let same = match (&self.value, value) {
            (None, None) => true,
            (Some(a), Some(b)) => a.0[..HASH_BYTES] == b.0[..HASH_BYTES],
            _ => false,
        };
        same && (self.from..self.until).contains(&height)
    }
}

/// Under what an answer of ours may be given again, as bytes beside it.
///
/// ```text
/// mounts (1) | period of its signatures (4) | length of the EDNS options (2), the options | for each name: its length (1), the name, whether there is an
/// entry (1), the beginning of its hash (16), from (4), until (4)
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Basis<'a> {
    mounts: u8,
    period: u32,
    options: &'a [u8],
    grounds: &'a [u8],
}

impl<'a> Basis<'a> {
    /// The mark of an answer that rests on nothing that can change.
    pub const CONSTANT: u32 = u32::MAX;

    /// The bytes, and the epoch in which all grounds were found (0 if in several); `None` for what
    /// is not worth it. `period` is the one in which it may be given, 0 if that does not matter.
    pub fn encode(
        mounts: Mounts,
        period: u32,
        options: &[u8],
        grounds: &[Ground],
    ) -> Option<(Vec<u8>, u32)> {
        if grounds.len() > MAX_GROUNDS {
            return None;
        }
        let mut bytes = vec![pack(mounts)];
        bytes.extend_from_slice(&period.to_be_bytes());
        bytes.extend_from_slice(&u16::try_from(options.len()).ok()?.to_be_bytes());
        bytes.extend_from_slice(options);
        for ground in grounds {
            let name = ground.name.as_str().as_bytes();
            bytes.push(u8::try_from(name.len()).ok()?);
            bytes.extend_from_slice(name);
            bytes.push(u8::from(ground.value.is_some()));
            bytes.extend_from_slice(&ground.value.unwrap_or(Hash::ZERO).0[..HASH_BYTES]);
            bytes.extend_from_slice(&ground.from.to_be_bytes());
            bytes.extend_from_slice(&ground.until.to_be_bytes());
        }
        let epoch = match grounds {
            [] => Self::CONSTANT,
            [first, others @ ..] if others.iter().all(|other| other.epoch == first.epoch) => {
                first.epoch
            }
            _ => 0,
        };
        Some((bytes, epoch))
    }

    /// Reads what [`Basis::encode`] wrote.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (&[mounts], rest) = bytes.split_first_chunk::<1>()?;
        let (period, rest) = rest.split_first_chunk::<4>()?;
        let (&[high, low], rest) = rest.split_first_chunk::<2>()?;
        let (options, grounds) =
            rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
        Some(Basis { mounts, period: u32::from_be_bytes(*period), options, grounds })
    }

    /// Whether the answer was made for these mounts.
    pub fn is_for(&self, mounts: Mounts) -> bool {
        self.mounts == pack(mounts)
    }

    /// The number of the period in which it may be given, because of its signatures; 0 if there are
    /// none.
    pub fn period(&self) -> u32 {
        self.period
    }

    /// The EDNS options that go with the answer, in wire form.
    pub fn options(&self) -> &'a [u8] {
        self.options
    }

    /// The grounds, without their epoch.
    pub fn grounds(&self) -> impl Iterator<Item = Ground> + 'a {
        let mut rest = self.grounds;
        std::iter::from_fn(move || {
            let (ground, after) = read_ground(rest)?;
            rest = after;
            Some(ground)
        })
    }
}

fn read_ground(bytes: &[u8]) -> Option<(Ground, &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(length))?;
    let (&[has], rest) = rest.split_first_chunk::<1>()?;
    let (start, rest) = rest.split_first_chunk::<HASH_BYTES>()?;
    let (from, rest) = rest.split_first_chunk::<4>()?;
    let (until, rest) = rest.split_first_chunk::<4>()?;
    let mut hash = Hash::ZERO;
    hash.0[..HASH_BYTES].copy_from_slice(start);
    let ground = Ground {
        name: Name::parse(std::str::from_utf8(name).ok()?).ok()?,
        value: (has == 1).then_some(hash),
        from: u32::from_be_bytes(*from),
        until: u32::from_be_bytes(*until),
        epoch: 0,
    };
    Some((ground, rest))
}

fn pack(mounts: Mounts) -> u8 {
    u8::from(mounts.root) | (u8::from(mounts.alt) << 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Mounts = Mounts { root: true, alt: true };

    fn ground(name: &str, value: Option<u8>, epoch: u32) -> Ground {
        let value = value.map(|byte| {
            let mut hash = Hash::ZERO;
            hash.0[..HASH_BYTES].fill(byte);
            hash
        });
        Ground { name: Name::parse(name).unwrap(), value, from: 5, until: 9, epoch }
    }

    #[test]
    fn there_and_back() {
        let all = [ground("alice", Some(1), 0), ground("nobody-at-all", None, 0)];
        let (bytes, _) = Basis::encode(BOTH, 7, b"options", &all).unwrap();
        let basis = Basis::read(&bytes).unwrap();
        assert_eq!((basis.options(), basis.period()), (&b"options"[..], 7));
        assert_eq!(basis.grounds().collect::<Vec<_>>(), all);
        assert!(basis.is_for(BOTH) && !basis.is_for(Mounts { root: false, alt: true }));
        for cut in 0..bytes.len() {
            // Whatever is missing is missing at the end.
            let some = Basis::read(&bytes[..cut]).map_or(0, |basis| basis.grounds().count());
            assert!(some < 2);
        }
        assert!(Basis::encode(BOTH, 0, b"", &vec![all[0].clone(); MAX_GROUNDS + 1]).is_none());
    }

    #[test]
    fn the_epoch_is_the_one_that_all_agree_in() {
        let epoch = |grounds: &[Ground]| Basis::encode(BOTH, 0, b"", grounds).unwrap().1;
        assert_eq!(epoch(&[]), Basis::CONSTANT);
        assert_eq!(epoch(&[ground("alice", None, 3), ground("carol", None, 3)]), 3);
        assert_eq!(epoch(&[ground("alice", None, 3), ground("carol", None, 4)]), 0);
    }

    #[test]
    fn what_bears_a_ground_out() {
        let there = ground("alice", Some(1), 0);
        let (same, other) = (there.value.unwrap(), Hash([2; 32]));
        for (value, height, expected) in [
            (Some(&same), 5, true),
            (Some(&same), 8, true),
            (Some(&same), 9, false),
            (Some(&same), 4, false),
            (Some(&other), 5, false),
            (None, 5, false),
        ] {
            assert_eq!(there.is_borne_out(value, height), expected, "{value:?} at {height}");
        }
        assert!(ground("alice", None, 0).is_borne_out(None, 5));
        assert!(!ground("alice", None, 0).is_borne_out(Some(&same), 5));
    }
}
