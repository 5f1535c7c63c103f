//! The secret halves of a bundle's keys: `prekeys-N-NAME.key` in the directory of keys, mode 0600,
//! N being the index of the identity key that the bundles are signed with. Protected as the key
//! file is.
//!
//! ```text
//! {
//!   "format": 1, "index": 0, "name": "alice",
//!   "secret": "<in hex>"  or  "encrypted": "-----BEGIN AGE ENCRYPTED FILE-----..."
//! }
//! of each bundle: | sequence u32 | created u64 | expires u64 | last resort 32 | count u8 | each: place u8, seed 32 |
//! ```
//!
//! They come from no words: what is deleted can't be made again. A bundle's keys are kept for
//! thirty days after its end, as long as a letter that was sealed to them can be opened.

use std::{
    fs::OpenOptions,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use namechain_core::{
    codec::{DecodeError, Reader},
    types::Name,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    KeyError, Passphrases,
    sealed::{self, MAX_FILE_BYTES, Protection, Sealed, create_directory, write_durably},
};

const FORMAT: u32 = 1;
/// How many one-time prekeys a bundle has.
pub const ONE_TIME_KEYS: u8 = 8;
/// Of how many bundles the keys are kept; with the X25519 key they are fewer than an inbox holds.
const MAX_BUNDLES: usize = 6;
const _: () =
    assert!(MAX_BUNDLES * (1 + ONE_TIME_KEYS as usize) < messaging::envelope::MAX_INBOX_KEYS);
/// How long a letter can be good for after it was sealed, in seconds.
const LETTER_LIFETIME_SECONDS: u64 = messaging::envelope::MAX_LETTER_LIFETIME_SECONDS;
/// A label is the bundle's place times this, and within it 0 for the key of last resort, or 1 and
/// the prekey's place.
const LABELS_PER_BUNDLE: u32 = 64;

/// The file as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    index: u32,
    name: Name,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<Zeroizing<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encrypted: Option<String>,
}

/// The secret keys of a name's bundles, the oldest first.
pub struct Prekeys {
    index: u32,
    name: Name,
    bundles: Vec<BundleKeys>,
}

/// The secret keys of one bundle.
pub struct BundleKeys {
    /// The sequence number of its record.
    pub sequence: u32,
    /// When it was made, in seconds of Unix time.
    pub created: u64,
    /// When it is over.
    pub expires: u64,
    last_resort: Zeroizing<[u8; 32]>,
    /// By their places in the bundle; those that were used are gone.
    one_time: Vec<(u8, Zeroizing<[u8; 32]>)>,
}

/// A key of a bundle.
pub struct Prekey<'a> {
    /// What it is called here.
    pub label: u32,
    /// Whether it opens one letter.
    pub once: bool,
    /// The X-Wing seed.
    pub seed: &'a [u8; 32],
}

fn path_of(directory: &Path, index: u32, name: &Name) -> PathBuf {
    directory.join(format!("prekeys-{index}-{name}.key"))
}

fn random() -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(|error| KeyError::Random(error.to_string()))?;
    Ok(seed)
}

impl BundleKeys {
    /// Fresh keys, from the operating system's randomness.
    pub fn random(sequence: u32, created: u64, expires: u64) -> Result<Self, KeyError> {
        let one_time = (0..ONE_TIME_KEYS)
            .map(|place| Ok((place, random()?)))
            .collect::<Result<_, KeyError>>()?;
        Ok(BundleKeys { sequence, created, expires, last_resort: random()?, one_time })
    }

    /// The seed of the key of last resort.
    pub fn last_resort(&self) -> &[u8; 32] {
        &self.last_resort
    }

    /// The seeds of the one-time prekeys that were not used.
    pub fn one_time(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.one_time.iter().map(|(_, seed)| &**seed)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&self.created.to_be_bytes());
        out.extend_from_slice(&self.expires.to_be_bytes());
        out.extend_from_slice(self.last_resort.as_slice());
        // At most ONE_TIME_KEYS.
        out.push(self.one_time.len() as u8);
        for (place, seed) in &self.one_time {
            out.push(*place);
            out.extend_from_slice(seed.as_slice());
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (sequence, created, expires) = (reader.u32()?, reader.u64()?, reader.u64()?);
        let last_resort = Zeroizing::new(reader.array()?);
        let count = reader.u8()?;
        if count > ONE_TIME_KEYS {
            return Err(DecodeError::Invalid("it has too many prekeys"));
        }
        let prekey = |_| Ok((reader.u8()?, Zeroizing::new(reader.array()?)));
        let one_time = (0..count).map(prekey).collect::<Result<_, DecodeError>>()?;
        Ok(BundleKeys { sequence, created, expires, last_resort, one_time })
    }
}

impl Prekeys {
    /// None yet.
    pub fn new(index: u32, name: Name) -> Self {
        Prekeys { index, name, bundles: Vec::new() }
    }

    /// Reads the file, if there is one; asks for the passphrase if it takes one.
    pub fn load(
        directory: &Path,
        index: u32,
        name: &Name,
        passphrases: &Passphrases,
    ) -> Result<Option<Self>, KeyError> {
        let path = path_of(directory, index, name);
        let Some(text) = sealed::read(&path)? else { return Ok(None) };
        let malformed = |why: String| KeyError::Malformed { path: path.clone(), why };
        let file: File = serde_json::from_slice(&text)
            // serde's message could repeat the secret.
            .map_err(|error| {
                malformed(format!("line {} is not in the format of a key file", error.line()))
            })?;
        if file.format != FORMAT || file.index != index || file.name != *name {
            let (format, index) = (file.format, file.index);
            return Err(malformed(format!(
                "its format is {format}, its index {index} and its name {}",
                file.name
            )));
        }
        let plain =
            sealed::open(&path, file.secret.as_ref(), file.encrypted.as_ref(), passphrases)?;
        let bundles = decode(&plain).map_err(|error| malformed(error.to_string()))?;
        Ok(Some(Prekeys { index, name: file.name, bundles }))
    }

    /// Writes the file in place of the one that is there.
    pub fn store(&self, directory: &Path, protection: &Protection) -> Result<(), KeyError> {
        create_directory(directory)?;
        // Reserved at once: a buffer that grows leaves copies behind.
        let mut plain = Zeroizing::new(Vec::with_capacity(MAX_FILE_BYTES as usize / 4));
        self.bundles.iter().for_each(|bundle| bundle.encode(&mut plain));
        let Sealed { secret, encrypted } = Sealed::new(&plain, protection)?;
        let file =
            File { format: FORMAT, index: self.index, name: self.name.clone(), secret, encrypted };
        let path = path_of(directory, self.index, &self.name);
        let file_error = |source| KeyError::File { path: path.clone(), source };
        let mut text = Zeroizing::new(Vec::with_capacity(MAX_FILE_BYTES as usize));
        serde_json::to_writer_pretty(&mut *text, &file)
            .map_err(|error| file_error(error.into()))?;
        text.push(b'\n');
        write_durably(&path, &text).map_err(file_error)
    }

    /// Adds the keys of a new bundle. Those that can open nothing any more leave, and the oldest if
    /// there are too many.
    pub fn add(&mut self, bundle: BundleKeys, now: u64) {
        self.bundles.retain(|old| old.expires.saturating_add(LETTER_LIFETIME_SECONDS) > now);
        if self.bundles.len() >= MAX_BUNDLES {
            self.bundles.drain(..=self.bundles.len() - MAX_BUNDLES);
        }
        self.bundles.push(bundle);
    }

    /// Every key.
    pub fn keys(&self) -> impl Iterator<Item = Prekey<'_>> {
        (0..).step_by(LABELS_PER_BUNDLE as usize).zip(&self.bundles).flat_map(|(first, bundle)| {
            let last_resort = Prekey { label: first, once: false, seed: &bundle.last_resort };
            let one_time = bundle.one_time.iter().map(move |(place, seed)| Prekey {
                label: first + 1 + u32::from(*place),
                once: true,
                seed,
            });
            std::iter::once(last_resort).chain(one_time)
        })
    }

    /// The seed of the key that is called so.
    pub fn seed(&self, label: u32) -> Option<&[u8; 32]> {
        self.keys().find(|key| key.label == label).map(|key| key.seed)
    }

    /// Deletes a one-time prekey.
    pub fn spend(&mut self, seed: &[u8; 32]) {
        for bundle in &mut self.bundles {
            bundle.one_time.retain(|(_, other)| **other != *seed);
        }
    }
}

fn decode(plain: &[u8]) -> Result<Vec<BundleKeys>, DecodeError> {
    let mut reader = Reader::new(plain);
    let mut bundles = Vec::new();
    while reader.offset() < plain.len() {
        if bundles.len() >= MAX_BUNDLES {
            return Err(DecodeError::Invalid("it has too many bundles"));
        }
        bundles.push(BundleKeys::decode(&mut reader)?);
    }
    Ok(bundles)
}

/// Waits until nobody else changes prekeys in `directory`: nobody does until what is returned is
/// dropped. What is changed is read after that, so that of two changes none is lost.
pub fn lock(directory: &Path) -> Result<std::fs::File, KeyError> {
    create_directory(directory)?;
    let path = directory.join("prekeys.lock");
    let open = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    open.and_then(|file| file.lock().map(|()| file))
        .map_err(|source| KeyError::File { path, source })
}

fn path_of_bundle(directory: &Path, index: u32, name: &Name) -> PathBuf {
    directory.join(format!("bundle-{index}-{name}.ncb"))
}

/// Keeps a bundle, as it is given to others, beside its secret keys.
pub fn store_bundle(
    directory: &Path,
    index: u32,
    name: &Name,
    bundle: &[u8],
) -> Result<(), KeyError> {
    create_directory(directory)?;
    let path = path_of_bundle(directory, index, name);
    write_durably(&path, bundle).map_err(|source| KeyError::File { path, source })
}

/// The bundle that is kept, if there is one.
pub fn load_bundle(directory: &Path, index: u32, name: &Name) -> Result<Option<Vec<u8>>, KeyError> {
    Ok(sealed::read(&path_of_bundle(directory, index, name))?.map(|bytes| bytes.to_vec()))
}

/// The names that have prekeys here, in order.
pub fn names(directory: &Path) -> Result<Vec<Name>, KeyError> {
    let file_error = |source| KeyError::File { path: directory.to_owned(), source };
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(file_error)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let file = entry.map_err(file_error)?.file_name();
        let name =
            file.to_str().and_then(|file| file.strip_prefix("prekeys-")?.strip_suffix(".key"));
        let name =
            name.and_then(|name| name.split_once('-')).and_then(|(_, name)| name.parse().ok());
        names.extend(name);
    }
    names.sort();
    names.dedup();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::Ui;

    fn alice() -> Name {
        "alice".parse().unwrap()
    }

    #[test]
    fn keys_are_kept_spent_and_dropped() {
        let base = tempfile::tempdir().unwrap();
        let none = Passphrases::new(None, Ui::new(false));
        let load = || Prekeys::load(base.path(), 0, &alice(), &none).unwrap();
        assert!(load().is_none() && names(&base.path().join("none")).unwrap().is_empty());
        let mut prekeys = Prekeys::new(0, alice());
        prekeys.add(BundleKeys::random(1, 100, 200).unwrap(), 100);
        prekeys.add(BundleKeys::random(1, 150, 250).unwrap(), 150);
        prekeys.store(base.path(), &Protection::None).unwrap();
        let mut back = load().unwrap();
        let seeds = |prekeys: &Prekeys| -> Vec<(u32, bool, [u8; 32])> {
            prekeys.keys().map(|key| (key.label, key.once, *key.seed)).collect()
        };
        assert_eq!(seeds(&back), seeds(&prekeys));
        assert_eq!(seeds(&back).len(), 2 * (1 + usize::from(ONE_TIME_KEYS)));
        let (label, once, seed) = seeds(&back)[1 + usize::from(ONE_TIME_KEYS) + 3];
        assert!(once);
        assert_eq!(back.seed(label), Some(&seed));
        back.spend(&seed);
        assert!(!seeds(&back).iter().any(|(_, _, found)| *found == seed), "it is deleted");
        back.spend(&seeds(&back)[0].2);
        assert_eq!(seeds(&back).len(), 17, "the key of last resort stays");
        assert_eq!(names(base.path()).unwrap(), [alice()]);
        back.add(BundleKeys::random(2, 300, 400).unwrap(), 200 + LETTER_LIFETIME_SECONDS);
        assert_eq!(back.bundles.len(), 2, "the first can open nothing any more");
        for time in 500..600 {
            back.add(BundleKeys::random(3, time, time + 10).unwrap(), time);
        }
        assert_eq!((back.bundles.len(), back.bundles[MAX_BUNDLES - 1].created), (MAX_BUNDLES, 599));
    }

    #[test]
    fn a_file_of_something_else_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let none = Passphrases::new(None, Ui::new(false));
        let mut prekeys = Prekeys::new(0, alice());
        prekeys.add(BundleKeys::random(1, 100, 200).unwrap(), 100);
        prekeys.store(base.path(), &Protection::None).unwrap();
        let path = path_of(base.path(), 0, &alice());
        let text = std::fs::read_to_string(&path).unwrap();
        for (from, to) in [
            ("alice", "bobby"),
            ("\"index\": 0", "\"index\": 1"),
            ("\"secret\": \"", "\"secret\": \"00"),
        ] {
            std::fs::write(&path, text.replace(from, to)).unwrap();
            let loaded = Prekeys::load(base.path(), 0, &alice(), &none);
            assert!(matches!(loaded, Err(KeyError::Malformed { .. })), "{to}");
        }
    }
}
