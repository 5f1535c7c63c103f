//! How long a cached answer made here stays valid: as long as everything that it depends on.

use namechain_core::types::{BlockTime, Hash, Name};

use super::{marks::ChainMarks, mount::Mounts};

/// The most names of the chain that a cached answer may depend on.
const MAX_DEPENDENCIES: usize = 4;
/// How many bytes of an entry's hash are compared. Collisions of so many bytes are infeasible.
const HASH_BYTES: usize = 16;

/// A range of blocks by height and time, on the chain's clock. The time of a block may be less than
/// that of its parent, so a block can be in the range again after one that is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockRange {
    /// The first height and the first time.
    pub from: BlockTime,
    /// The first height and the first time after the range.
    pub until: BlockTime,
}

impl BlockRange {
    /// All blocks.
    pub const ALL: BlockRange = BlockRange {
        from: BlockTime { height: 0, time: 0 },
        until: BlockTime { height: u32::MAX, time: u64::MAX },
    };

    /// Whether a block is in the range, by its height and by its time.
    pub fn contains(&self, block: BlockTime) -> bool {
        (self.from.height..self.until.height).contains(&block.height)
            && (self.from.time..self.until.time).contains(&block.time)
    }
}

/// A dependency of an answer on the state of one name. It holds as long as the name's entry is this
/// one, the block is within the range, and the marks are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The name.
    pub name: Name,
    /// The hash of its entry; `None`: it has none.
    pub value: Option<Hash>,
    /// The blocks at which the entry has the same status.
    pub range: BlockRange,
    /// The marks of the answer.
    pub marks: ChainMarks,
    /// The epoch of the chain source in which it was looked up; 0: unknown.
    pub epoch: u32,
}

impl Dependency {
    /// Whether it holds in a state with this entry at this block with these marks. Only the bytes
    /// of the hash that [`Validity`] stores are compared.
    pub fn holds_at(&self, value: Option<&Hash>, now: BlockTime, marks: ChainMarks) -> bool {
        let same = match (&self.value, value) {
            (None, None) => true,
            (Some(a), Some(b)) => a.0[..HASH_BYTES] == b.0[..HASH_BYTES],
            _ => false,
        };
        same && self.marks == marks && self.range.contains(now)
    }
}

/// The conditions under which a cached answer stays valid, encoded beside it.
///
/// ```text
/// mounts (1) | period of its signatures (4) | length of the EDNS options (2), the options |
/// for each name: its length (1), the name, whether there is an entry (1), the beginning of its
/// hash (16), from: height (4) and time (8), until: height (4) and time (8), marks (5)
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Validity<'a> {
    mounts: u8,
    period: u32,
    options: &'a [u8],
    dependencies: &'a [u8],
}

impl<'a> Validity<'a> {
    /// The epoch of an answer without dependencies.
    pub const CONSTANT: u32 = u32::MAX;

    /// Encodes the conditions. Returns the bytes and the epoch in which all dependencies were
    /// looked up (0 if in several); `None` if there are too many. `period`: the signing period, 0
    /// if unsigned.
    pub fn encode(
        mounts: Mounts,
        period: u32,
        options: &[u8],
        dependencies: &[Dependency],
    ) -> Option<(Vec<u8>, u32)> {
        if dependencies.len() > MAX_DEPENDENCIES {
            return None;
        }
        let mut bytes = vec![encode_mounts(mounts)];
        bytes.extend_from_slice(&period.to_be_bytes());
        bytes.extend_from_slice(&u16::try_from(options.len()).ok()?.to_be_bytes());
        bytes.extend_from_slice(options);
        for dependency in dependencies {
            let name = dependency.name.as_str().as_bytes();
            bytes.push(u8::try_from(name.len()).ok()?);
            bytes.extend_from_slice(name);
            bytes.push(u8::from(dependency.value.is_some()));
            bytes.extend_from_slice(&dependency.value.unwrap_or(Hash::ZERO).0[..HASH_BYTES]);
            for block in [dependency.range.from, dependency.range.until] {
                bytes.extend_from_slice(&block.height.to_be_bytes());
                bytes.extend_from_slice(&block.time.to_be_bytes());
            }
            bytes.extend_from_slice(&dependency.marks.encode());
        }
        let epoch = match dependencies {
            [] => Self::CONSTANT,
            [first, others @ ..] if others.iter().all(|other| other.epoch == first.epoch) => {
                first.epoch
            }
            _ => 0,
        };
        Some((bytes, epoch))
    }

    /// Decodes what [`Validity::encode`] wrote.
    pub fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (&[mounts], rest) = bytes.split_first_chunk::<1>()?;
        let (period, rest) = rest.split_first_chunk::<4>()?;
        let (&[high, low], rest) = rest.split_first_chunk::<2>()?;
        let (options, dependencies) =
            rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
        Some(Validity { mounts, period: u32::from_be_bytes(*period), options, dependencies })
    }

    /// Whether the answer was made for these mounts.
    pub fn matches_mounts(&self, mounts: Mounts) -> bool {
        self.mounts == encode_mounts(mounts)
    }

    /// The signing period in which it is valid; 0 if it has no signatures.
    pub fn period(&self) -> u32 {
        self.period
    }

    /// The EDNS options of the answer, in wire format.
    pub fn options(&self) -> &'a [u8] {
        self.options
    }

    /// The dependencies, with epoch 0.
    pub fn dependencies(&self) -> impl Iterator<Item = Dependency> + 'a {
        let mut rest = self.dependencies;
        std::iter::from_fn(move || {
            let (dependency, after) = read_dependency(rest)?;
            rest = after;
            Some(dependency)
        })
    }
}

fn read_dependency(bytes: &[u8]) -> Option<(Dependency, &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(length))?;
    let (&[has], rest) = rest.split_first_chunk::<1>()?;
    let (start, rest) = rest.split_first_chunk::<HASH_BYTES>()?;
    let (from, rest) = read_block_time(rest)?;
    let (until, rest) = read_block_time(rest)?;
    let (marks, rest) = ChainMarks::decode(rest)?;
    let mut hash = Hash::ZERO;
    hash.0[..HASH_BYTES].copy_from_slice(start);
    let dependency = Dependency {
        name: Name::parse(std::str::from_utf8(name).ok()?).ok()?,
        value: (has == 1).then_some(hash),
        range: BlockRange { from, until },
        marks,
        epoch: 0,
    };
    Some((dependency, rest))
}

fn read_block_time(bytes: &[u8]) -> Option<(BlockTime, &[u8])> {
    let (height, rest) = bytes.split_first_chunk::<4>()?;
    let (time, rest) = rest.split_first_chunk::<8>()?;
    let (height, time) = (u32::from_be_bytes(*height), u64::from_be_bytes(*time));
    Some((BlockTime { height, time }, rest))
}

fn encode_mounts(mounts: Mounts) -> u8 {
    u8::from(mounts.root) | (u8::from(mounts.suffixes.is_any()) << 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Mounts = Mounts::BOTH;
    const MARKS: ChainMarks = ChainMarks { fork: Some(7), is_old: true };
    const RANGE: BlockRange = BlockRange {
        from: BlockTime { height: 5, time: 1 << 40 },
        until: BlockTime { height: 9, time: u64::MAX },
    };

    fn dependency(name: &str, value: Option<u8>, epoch: u32) -> Dependency {
        let value = value.map(|byte| {
            let mut hash = Hash::ZERO;
            hash.0[..HASH_BYTES].fill(byte);
            hash
        });
        Dependency {
            name: Name::parse(name).unwrap(),
            value,
            range: RANGE,
            marks: ChainMarks::default(),
            epoch,
        }
    }

    #[test]
    fn there_and_back() {
        let alice = Dependency { marks: MARKS, ..dependency("alice", Some(1), 0) };
        let all = [alice, dependency("nobody-at-all", None, 0)];
        let (bytes, _) = Validity::encode(BOTH, 7, b"options", &all).unwrap();
        let validity = Validity::decode(&bytes).unwrap();
        assert_eq!((validity.options(), validity.period()), (&b"options"[..], 7));
        assert_eq!(validity.dependencies().collect::<Vec<_>>(), all);
        assert!(validity.matches_mounts(BOTH) && !validity.matches_mounts(Mounts::SUFFIX));
        for cut in 0..bytes.len() {
            // Whatever is missing is missing at the end.
            let some = Validity::decode(&bytes[..cut])
                .map_or(0, |validity| validity.dependencies().count());
            assert!(some < 2);
        }
        assert!(
            Validity::encode(BOTH, 0, b"", &vec![all[0].clone(); MAX_DEPENDENCIES + 1]).is_none()
        );
    }

    #[test]
    fn the_epoch_is_the_one_that_all_agree_in() {
        let epoch =
            |dependencies: &[Dependency]| Validity::encode(BOTH, 0, b"", dependencies).unwrap().1;
        assert_eq!(epoch(&[]), Validity::CONSTANT);
        assert_eq!(epoch(&[dependency("alice", None, 3), dependency("carol", None, 3)]), 3);
        assert_eq!(epoch(&[dependency("alice", None, 3), dependency("carol", None, 4)]), 0);
    }

    #[test]
    fn when_a_dependency_holds() {
        let there = dependency("alice", Some(1), 0);
        let (same, other) = (there.value.unwrap(), Hash([2; 32]));
        let at = |height, time| BlockTime { height, time };
        let none = ChainMarks::default();
        for (value, now, marks, expected) in [
            (Some(&same), at(5, 1 << 40), none, true),
            (Some(&same), at(8, u64::MAX - 1), none, true),
            (Some(&same), at(9, 1 << 40), none, false),
            (Some(&same), at(4, 1 << 40), none, false),
            (Some(&same), at(5, (1 << 40) - 1), none, false),
            (Some(&same), at(5, u64::MAX), none, false),
            (Some(&same), at(5, 1 << 40), MARKS, false),
            (Some(&other), at(5, 1 << 40), none, false),
            (None, at(5, 1 << 40), none, false),
        ] {
            assert_eq!(there.holds_at(value, now, marks), expected, "{value:?} {now:?} {marks:?}");
        }
        let nobody = Dependency { range: BlockRange::ALL, ..dependency("alice", None, 0) };
        assert!(nobody.holds_at(None, at(0, 0), none));
        assert!(!nobody.holds_at(Some(&same), at(0, 0), none));
    }
}
