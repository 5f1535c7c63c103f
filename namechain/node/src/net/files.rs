//! The network's two small files: written beside themselves, flushed, then renamed, so that each is
//! whole or old.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::Path,
};

use libp2p::identity::Keypair;

use super::error::NetError;

/// The file of our key: 32 bytes, an Ed25519 secret.
const KEY_FILE: &str = "peer.key";
/// The most bytes that are read of a file.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> NetError {
    let path = path.to_owned();
    move |source| NetError::File { what, path, source }
}

/// Our key: the one in `dir`, or a new one that is kept there, readable by us only.
pub(super) fn keypair(dir: &Path) -> Result<Keypair, NetError> {
    let path = dir.join(KEY_FILE);
    if let Some(bytes) = read(&path)? {
        let damaged = || {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "it is not 32 bytes: delete it for a new one",
            )
        };
        return Keypair::ed25519_from_bytes(bytes).map_err(|_| failed("reading", &path)(damaged()));
    }
    let fresh = Keypair::generate_ed25519();
    let secret = fresh
        .clone()
        .try_into_ed25519()
        .map_err(|error| NetError::Setup(error.to_string()))?
        .secret();
    write(&path, secret.as_ref(), true)?;
    Ok(fresh)
}

/// A file's bytes; `None` if there is none.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, NetError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed("opening", path))?,
    };
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(failed("reading", path))?;
    Ok(Some(bytes))
}

/// Replaces a file by `bytes`, or leaves the old one: never a half.
pub(super) fn write(path: &Path, bytes: &[u8], secret: bool) -> Result<(), NetError> {
    let beside = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(if secret { 0o600 } else { 0o644 });
    }
    // What an earlier attempt left may have other permissions.
    if secret && beside.exists() {
        fs::remove_file(&beside).map_err(failed("removing", &beside))?;
    }
    let mut file = options.open(&beside).map_err(failed("creating", &beside))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed("writing", &beside))?;
    fs::rename(&beside, path).map_err(failed("renaming to", path))?;
    let dir = path.parent().unwrap_or(Path::new("."));
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed("flushing", dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_kept_and_only_we_can_read_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = keypair(dir.path()).expect("a key");
        assert_eq!(keypair(dir.path()).expect("the key").public(), first.public());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode =
                fs::metadata(dir.path().join(KEY_FILE)).expect("a file").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_damaged_key_is_said_and_not_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join(KEY_FILE), b"short").expect("written");
        let error = keypair(dir.path()).expect_err("damaged").to_string();
        assert!(error.contains("not 32 bytes"), "{error}");
        assert_eq!(fs::read(dir.path().join(KEY_FILE)).expect("still there"), b"short");
    }
}
