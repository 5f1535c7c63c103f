//! Messaging bundles that the node keeps for others: in memory, and each in a file of its own, so
//! that a restart loses none.
//!
//! Whoever hands one in must have it signed by the identity key that stands under the name on the
//! chain, so room costs a name.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tracing::warn;

use crate::api::no_bundle;
use namechain_core::{
    api_types::{BundleInfo, PrekeyInfo, Refusal},
    types::{BundleHead, MAX_BUNDLE_BYTES, Name, Network, PublicKey},
};

/// The most bundles that are stored.
const MAX_BUNDLES: usize = 1_024;
/// The most bytes that they have together. One of zonetool's has some 11,100.
const MAX_BYTES: usize = 16 * 1_024 * 1_024;
/// How far ahead of our clock the maker's may be, in seconds.
const MAX_SKEW: u64 = 600;
/// The end of a file's name; before it stands the name on the chain.
const SUFFIX: &str = ".bundle";
/// The first byte of a file if one-time prekeys are not given away here; otherwise the place of the
/// next.
const NONE_GIVEN: u8 = 255;

/// The bundles that a node keeps.
#[derive(Debug)]
pub(super) struct Bundles {
    network: Network,
    dir: PathBuf,
    stored: Mutex<BTreeMap<Name, StoredBundle>>,
}

#[derive(Clone, Debug)]
struct StoredBundle {
    head: BundleHead,
    bytes: Vec<u8>,
    /// The place of the next one-time prekey to be given away, if they are.
    next: Option<u8>,
}

/// The identity key and the sequence number of the record that stands under a name.
pub(super) type CurrentIdentity = Option<(PublicKey, u32)>;

impl StoredBundle {
    fn one_time_left(&self) -> u8 {
        self.next.map_or(0, |next| self.head.one_time.saturating_sub(next))
    }

    fn is_of(&self, current_identity: CurrentIdentity) -> bool {
        current_identity == Some((self.head.identity, self.head.sequence))
    }
}

impl Bundles {
    /// Those that an earlier run has left in `data_dir` and that are still good.
    pub fn open(network: Network, data_dir: &Path, now: u64) -> Self {
        let bundles = Bundles { network, dir: data_dir.join("bundles"), stored: Mutex::default() };
        match bundles.read(now) {
            Ok(stored) => *bundles.lock() = stored,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => warn!("the bundles in {} can't be read: {error}", bundles.dir.display()),
        }
        bundles
    }

    fn read(&self, now: u64) -> io::Result<BTreeMap<Name, StoredBundle>> {
        let mut stored = BTreeMap::new();
        let mut bytes = 0;
        for file in fs::read_dir(&self.dir)? {
            let path = file?.path();
            match load(self.network, &path) {
                Some(one)
                    if one.head.expires > now
                        && stored.len() < MAX_BUNDLES
                        && bytes <= MAX_BYTES =>
                {
                    bytes += one.bytes.len();
                    stored.insert(one.head.name.clone(), one);
                }
                // Over, or not one: what is left of a write that was interrupted, say.
                _ => remove(&path),
            }
        }
        Ok(stored)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Name, StoredBundle>> {
        // Nothing that holds it can panic with half a change made.
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bundle of a name, if it is of the current record.
    pub fn get(
        &self,
        name: &Name,
        current_identity: CurrentIdentity,
        now: u64,
    ) -> Result<BundleInfo, Refusal> {
        let stored = self.lock();
        stored
            .get(name)
            .filter(|it| it.head.expires > now && it.is_of(current_identity))
            .map(info)
            .ok_or_else(no_bundle)
    }

    /// Takes a bundle.
    pub fn put(
        &self,
        name: &Name,
        bytes: Vec<u8>,
        gives_one_time: bool,
        current_identity: CurrentIdentity,
        now: u64,
    ) -> Result<BundleInfo, Refusal> {
        let head = BundleHead::read(self.network, &bytes)
            .map_err(|error| refusal("bad-request", format!("this is no bundle: {error}"), ""))?;
        let mut new = StoredBundle { head, bytes, next: gives_one_time.then_some(0) };
        check(&new, name, current_identity, now)?;
        let mut stored = self.lock();
        if let Some(old) = stored.get(name).filter(|old| old.is_of(current_identity)) {
            if old.bytes == new.bytes {
                new.next = old.next.or(new.next);
            } else if old.head.created >= new.head.created {
                let message = "a bundle of this name that was made later is here already";
                return Err(refusal(
                    "conflict",
                    message,
                    "make another: zonetool peer bundle make NAME",
                ));
            }
        }
        self.make_room(&mut stored, name, new.bytes.len(), now)?;
        self.write(&new)?;
        let told = info(&new);
        stored.insert(name.clone(), new);
        Ok(told)
    }

    /// Gives a one-time prekey away. It is written down first: what was given is never given again.
    pub fn take(
        &self,
        name: &Name,
        current_identity: CurrentIdentity,
        now: u64,
    ) -> Result<PrekeyInfo, Refusal> {
        let mut stored = self.lock();
        let found =
            stored.get_mut(name).filter(|it| it.head.expires > now && it.is_of(current_identity));
        let found = found.ok_or_else(no_bundle)?;
        let created = found.head.created;
        let Some(place) = found.next.filter(|place| *place < found.head.one_time) else {
            return Ok(PrekeyInfo { created, one_time: None });
        };
        let after = StoredBundle { next: Some(place + 1), ..found.clone() };
        self.write(&after)?;
        *found = after;
        Ok(PrekeyInfo { created, one_time: Some(place) })
    }

    /// Forgets what is over if there would be too much otherwise.
    fn make_room(
        &self,
        stored: &mut BTreeMap<Name, StoredBundle>,
        name: &Name,
        bytes: usize,
        now: u64,
    ) -> Result<(), Refusal> {
        let fits = |stored: &BTreeMap<Name, StoredBundle>| {
            let others = stored.iter().filter(|(other, _)| *other != name);
            let (count, sum) =
                others.fold((0, 0), |(count, sum), (_, it)| (count + 1, sum + it.bytes.len()));
            count < MAX_BUNDLES && sum + bytes <= MAX_BYTES
        };
        if !fits(stored) {
            stored.retain(|name, it| {
                let good = it.head.expires > now;
                if !good {
                    remove(&self.path(name));
                }
                good
            });
        }
        match fits(stored) {
            true => Ok(()),
            false => Err(refusal(
                "full",
                "this node has no room for another bundle",
                "hand it in at another node",
            )),
        }
    }

    fn path(&self, name: &Name) -> PathBuf {
        // A name has letters, digits and hyphens.
        self.dir.join(format!("{name}{SUFFIX}"))
    }

    fn write(&self, stored: &StoredBundle) -> Result<(), Refusal> {
        let path = self.path(&stored.head.name);
        let written = (|| {
            fs::create_dir_all(&self.dir)?;
            let beside = path.with_extension("new");
            let mut file = File::create(&beside)?;
            file.write_all(&[stored.next.unwrap_or(NONE_GIVEN)])?;
            file.write_all(&stored.bytes)?;
            file.sync_all()?;
            fs::rename(&beside, &path)?;
            File::open(&self.dir)?.sync_all()
        })();
        written.map_err(|error: io::Error| {
            warn!("{} can't be written: {error}", path.display());
            refusal("unavailable", "the bundle can't be written", "see the node's log")
        })
    }
}

fn load(network: Network, path: &Path) -> Option<StoredBundle> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MAX_BUNDLE_BYTES as u64 + 2).read_to_end(&mut bytes).ok()?;
    let (&next, bytes) = bytes.split_first()?;
    let head = BundleHead::read(network, bytes).ok()?;
    let name = path.file_name()?.to_str()?.strip_suffix(SUFFIX)?;
    let next = (next != NONE_GIVEN).then_some(next);
    (head.name.as_str() == name).then(|| StoredBundle { head, bytes: bytes.to_vec(), next })
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        warn!("{} can't be removed: {error}", path.display());
    }
}

fn check(
    new: &StoredBundle,
    name: &Name,
    current_identity: CurrentIdentity,
    now: u64,
) -> Result<(), Refusal> {
    let conflict = |message: &str, hint: &str| Err(refusal("conflict", message, hint));
    if new.head.name != *name {
        return Err(refusal("bad-request", "the bundle is of another name than the path", ""));
    }
    if !new.is_of(current_identity) {
        let hint =
            "wait until its record is recorded, or make another: zonetool peer bundle make NAME";
        return conflict("the bundle does not belong to the current record of the name", hint);
    }
    if new.head.expires <= now {
        return conflict("the bundle has expired", "make another: zonetool peer bundle make NAME");
    }
    if new.head.created > now.saturating_add(MAX_SKEW) {
        return conflict("the bundle was made in the future", "set the clock");
    }
    Ok(())
}

fn info(stored: &StoredBundle) -> BundleInfo {
    BundleInfo {
        name: stored.head.name.clone(),
        bundle: hex::encode(&stored.bytes),
        created: stored.head.created,
        expires: stored.head.expires,
        one_time_left: stored.one_time_left(),
    }
}

fn refusal(code: &str, message: impl Into<String>, hint: &str) -> Refusal {
    let hint = (!hint.is_empty()).then(|| hint.into());
    Refusal { code: code.into(), rule: None, message: message.into(), hint }
}

#[cfg(test)]
mod tests {
    use super::*;
    use namechain_core::{codec::Encode, types::SecretKey};

    const NETWORK: Network = Network::Dev;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn key() -> SecretKey {
        SecretKey::from_seed(&[7; 32])
    }

    fn current_identity() -> CurrentIdentity {
        Some((key().public(), 3))
    }

    fn bundle(owner: &str, created: u64, one_time: u8) -> Vec<u8> {
        let mut bytes = vec![1];
        name(owner).encode(&mut bytes);
        bytes.extend_from_slice(&3u32.to_be_bytes());
        key().public().encode(&mut bytes);
        bytes.extend_from_slice(&created.to_be_bytes());
        bytes.extend_from_slice(&(created + 100).to_be_bytes());
        bytes.extend_from_slice(&[0; 1_216]);
        bytes.push(one_time);
        bytes.resize(bytes.len() + 1_216 * usize::from(one_time), 1);
        bytes.push(0);
        let mut tagged = b"m:sign-bun\0\0".to_vec();
        tagged.extend_from_slice(&NETWORK.magic());
        tagged.extend_from_slice(&bytes);
        key().sign(&tagged).encode(&mut bytes);
        bytes
    }

    fn code<T: std::fmt::Debug>(result: Result<T, Refusal>) -> String {
        result.unwrap_err().code
    }

    #[test]
    fn bundles_are_kept_over_a_restart_and_expire() {
        let dir = tempfile::tempdir().unwrap();
        let alice = name("alice");
        let bundles = Bundles::open(NETWORK, dir.path(), 1_000);
        assert_eq!(code(bundles.get(&alice, current_identity(), 1_000)), "not-found");
        let bytes = bundle("alice", 1_000, 2);
        let told = bundles.put(&alice, bytes.clone(), true, current_identity(), 1_000).unwrap();
        assert_eq!((told.one_time_left, told.bundle.clone()), (2, hex::encode(&bytes)));
        assert_eq!(bundles.take(&alice, current_identity(), 1_000).unwrap().one_time, Some(0));
        // The same again changes nothing.
        assert_eq!(
            bundles.put(&alice, bytes, false, current_identity(), 1_000).unwrap().one_time_left,
            1
        );
        drop(bundles);
        fs::write(dir.path().join("bundles/alice.new"), "half a file").unwrap();
        let bundles = Bundles::open(NETWORK, dir.path(), 1_050);
        assert_eq!(bundles.get(&alice, current_identity(), 1_050).unwrap().bundle, told.bundle);
        assert_eq!(
            bundles.take(&alice, current_identity(), 1_050).unwrap().one_time,
            Some(1),
            "none is given twice"
        );
        assert_eq!(bundles.take(&alice, current_identity(), 1_050).unwrap().one_time, None);
        assert_eq!(code(bundles.get(&alice, Some((key().public(), 4)), 1_050)), "not-found");
        assert_eq!(code(bundles.get(&alice, None, 1_050)), "not-found");
        assert_eq!(code(bundles.get(&alice, current_identity(), 1_100)), "not-found");
        drop(bundles);
        Bundles::open(NETWORK, dir.path(), 1_100);
        assert_eq!(fs::read_dir(dir.path().join("bundles")).unwrap().count(), 0);
    }

    #[test]
    fn only_what_the_record_vouches_for_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let bundles = Bundles::open(NETWORK, dir.path(), 1_000);
        let put = |owner: &str, bytes: Vec<u8>, current_identity, now| {
            code(bundles.put(&name(owner), bytes, false, current_identity, now))
        };
        let good = || bundle("alice", 1_000, 1);
        assert_eq!(put("bobby", good(), current_identity(), 1_000), "bad-request");
        assert_eq!(put("alice", Vec::new(), current_identity(), 1_000), "bad-request");
        assert_eq!(
            put("alice", vec![0; MAX_BUNDLE_BYTES + 1], current_identity(), 1_000),
            "bad-request"
        );
        for at in (0..good().len()).step_by(61) {
            let mut changed = good();
            changed[at] ^= 1;
            assert_eq!(put("alice", changed, current_identity(), 1_000), "bad-request", "{at}");
        }
        assert_eq!(put("alice", good(), None, 1_000), "conflict");
        assert_eq!(put("alice", good(), Some((key().public(), 4)), 1_000), "conflict");
        assert_eq!(put("alice", good(), current_identity(), 1_100), "conflict");
        assert_eq!(put("alice", good(), current_identity(), 399), "conflict");
        bundles
            .put(&name("alice"), bundle("alice", 1_001, 1), false, current_identity(), 1_001)
            .unwrap();
        assert_eq!(put("alice", good(), current_identity(), 1_001), "conflict", "an older one");
        assert_eq!(
            bundles.take(&name("alice"), current_identity(), 1_001).unwrap().one_time,
            None,
            "not given here"
        );
    }

    #[test]
    fn there_is_room_for_so_many() {
        let dir = tempfile::tempdir().unwrap();
        let bundles = Bundles::open(NETWORK, dir.path(), 1_000);
        let large = 32;
        let size = bundle("name-0000", 1_000, large).len();
        let fit = MAX_BYTES / size;
        for number in 0..fit {
            let name = name(&format!("name-{number:04}"));
            bundles
                .put(&name, bundle(name.as_str(), 1_000, large), false, current_identity(), 1_000)
                .unwrap();
        }
        let late = name("late");
        assert_eq!(
            code(bundles.put(
                &late,
                bundle("late", 1_050, large),
                false,
                current_identity(),
                1_050
            )),
            "full"
        );
        bundles.put(&late, bundle("late", 1_090, large), false, current_identity(), 1_101).unwrap();
        assert_eq!(bundles.lock().len(), 1, "those that were over are gone");
    }
}
