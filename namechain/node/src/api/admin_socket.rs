//! The admin socket: a Unix socket that only the user who runs the program can open. It takes the
//! place of a password: who may open it may do all that the API can do.

use std::{
    fs::{self, DirBuilder, File, Permissions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use thiserror::Error;
use tokio::{
    net::{UnixListener, UnixStream},
    time::sleep,
};

/// The socket's name in a data directory.
pub const ADMIN_SOCKET: &str = "admin.sock";
/// The longest path of a Unix socket: `sun_path` of `sockaddr_un` with its final zero byte has 108
/// bytes on Linux, and 104 elsewhere.
const MAX_PATH_BYTES: usize = if cfg!(target_os = "linux") { 107 } else { 103 };
/// Where the socket is made, beside its place: nobody else enters this directory, so there is no
/// moment at which others can open the socket.
const MAKING_DIR: &str = ".admin";
/// How often, and after which pauses, it is tried to lock the directory: three seconds.
const LOCK_TRIES: u32 = 60;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Why there is no admin socket.
#[derive(Debug, Error)]
pub enum AdminSocketError {
    /// The operating system takes no path of this length.
    #[error(
        "the path of the admin socket, {}, has {} bytes, and that of a Unix socket has {MAX_PATH_BYTES} at most: choose a shorter one with --admin-socket PATH or --data-dir DIR",
        .0.display(), .0.as_os_str().len()
    )]
    TooLong(PathBuf),
    /// Another program has it.
    #[error("a program listens on the admin socket {} already: stop it, or choose another path with --admin-socket PATH", .0.display())]
    InUse(PathBuf),
    /// There is something else at its place.
    #[error("{} is no socket: move it away, or choose another path with --admin-socket PATH", .0.display())]
    NotASocket(PathBuf),
    /// The operating system refuses.
    #[error("the admin socket {}: {what}: {source}", path.display())]
    Io {
        /// Its path.
        path: PathBuf,
        /// What was refused.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// A socket that listens. It is removed when it is dropped.
#[derive(Debug)]
pub struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Its number in the file system: what is at `path` later may be another one's.
    inode: u64,
}

impl AdminSocket {
    /// Listens at `path`; its directory is made if it is not there. A socket that a crash has left
    /// is replaced.
    ///
    /// # Errors
    /// If somebody listens there, the path is too long or another file's, or the operating system
    /// refuses. Must be called in a tokio runtime.
    pub async fn bind(path: &Path) -> Result<AdminSocket, AdminSocketError> {
        if path.as_os_str().len() > MAX_PATH_BYTES {
            return Err(AdminSocketError::TooLong(path.to_owned()));
        }
        let failed =
            |what| move |source| AdminSocketError::Io { path: path.to_owned(), what, source };
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        make_private_dir(dir).map_err(failed("its directory can't be made"))?;
        // Of several that start at once one is first, and the others find its socket.
        let _locked = lock(dir).await.map_err(failed("its directory can't be locked"))?;
        check_free(path).await?;
        let making = dir.join(MAKING_DIR);
        let made = making.join("s");
        // What a crash has left, and nothing that a link leads to. An error: there is nothing.
        if fs::symlink_metadata(&making).is_ok_and(|found| found.is_dir()) {
            let _ = fs::remove_file(&made).and_then(|()| fs::remove_dir(&making));
        }
        // Never one that is there: it could be somebody else's.
        let made_dir = DirBuilder::new().mode(0o700).create(&making);
        made_dir.map_err(failed("the directory .admin beside it can't be made"))?;
        let listener = UnixListener::bind(&made).map_err(failed("it can't be made"))?;
        fs::set_permissions(&made, Permissions::from_mode(0o600))
            .and_then(|()| fs::rename(&made, path))
            .map_err(failed("it can't be put into its place"))?;
        let inode = fs::symlink_metadata(path).map_err(failed("it can't be read"))?.ino();
        let socket = AdminSocket { listener, path: path.to_owned(), inode };
        fs::remove_dir(&making).map_err(failed("what it was made in can't be removed"))?;
        Ok(socket)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next connection.
    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.listener.accept().await?.0)
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path).is_ok_and(|it| it.ino() == self.inode);
        if is_ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!("the admin socket {} can't be removed: {error}", self.path.display());
        }
    }
}

/// Locks a directory. Whoever may read it can lock it, so this is not waited for for long.
async fn lock(dir: &Path) -> io::Result<File> {
    let file = File::open(dir)?;
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => sleep(LOCK_PAUSE).await,
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::WouldBlock, "another program has it locked"))
}

/// Makes a directory, and those above it, which only its owner enters. One that is there keeps its
/// permissions.
///
/// # Errors
/// The operating system's.
pub fn make_private_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Whether a new socket may take the place: nothing is there, or a socket that nobody listens on.
async fn check_free(path: &Path) -> Result<(), AdminSocketError> {
    let failed =
        |source| AdminSocketError::Io { path: path.to_owned(), what: "it can't be read", source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(AdminSocketError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await.map_err(|error| (error.kind(), error)) {
        Err((io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound, _)) => Ok(()),
        Err((io::ErrorKind::PermissionDenied, error)) => Err(failed(error)),
        // An error: it is there, and has no room for another connection.
        Ok(_) | Err(_) => Err(AdminSocketError::InUse(path.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn only_its_owner_opens_it_and_it_is_removed_at_the_end() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("data").join(ADMIN_SOCKET);
        let socket = AdminSocket::bind(&path).await.unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        let (accepted, connected) = tokio::join!(socket.accept(), UnixStream::connect(&path));
        assert!(accepted.is_ok() && connected.is_ok());
        let files: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(files.len(), 1, "{files:?}");
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn one_that_a_crash_has_left_is_replaced_and_one_in_use_is_not() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(ADMIN_SOCKET);
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        make_private_dir(&home.path().join(MAKING_DIR)).unwrap();
        fs::write(home.path().join(MAKING_DIR).join("s"), "").unwrap();
        let socket = AdminSocket::bind(&path).await.unwrap();
        let error = AdminSocket::bind(&path).await.unwrap_err();
        assert!(matches!(error, AdminSocketError::InUse(_)), "{error}");
        assert!(path.exists(), "the first one goes on");
        drop(socket);
        fs::write(&path, "a letter").unwrap();
        let error = AdminSocket::bind(&path).await.unwrap_err();
        assert!(matches!(error, AdminSocketError::NotASocket(_)), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"a letter");
    }

    #[tokio::test]
    async fn of_many_that_start_at_once_one_listens() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(ADMIN_SOCKET);
        let started: Vec<_> = (0..16)
            .map(|_| {
                let path = path.clone();
                std::thread::spawn(move || {
                    let mut runtime = tokio::runtime::Builder::new_current_thread();
                    let runtime = runtime.enable_all().build().unwrap();
                    // The listener outlives its runtime, and is not asked for anything.
                    runtime.block_on(AdminSocket::bind(&path))
                })
            })
            .collect();
        let (listen, others): (Vec<_>, Vec<_>) =
            started.into_iter().map(|it| it.join().unwrap()).partition(Result::is_ok);
        assert_eq!(listen.len(), 1, "{others:?}");
        for other in others {
            let error = other.unwrap_err();
            assert!(matches!(error, AdminSocketError::InUse(_)), "{error}");
        }
        assert!(UnixStream::connect(&path).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_directory_that_stays_locked_is_said() {
        let home = tempfile::tempdir().unwrap();
        let other = File::open(home.path()).unwrap();
        other.lock().unwrap();
        let error = AdminSocket::bind(&home.path().join(ADMIN_SOCKET)).await.unwrap_err();
        assert!(error.to_string().contains("another program has it locked"), "{error}");
    }

    #[tokio::test]
    async fn nothing_is_removed_where_a_link_leads() {
        let home = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("s"), "a letter").unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), home.path().join(MAKING_DIR)).unwrap();
        assert!(AdminSocket::bind(&home.path().join(ADMIN_SOCKET)).await.is_err());
        assert_eq!(fs::read(elsewhere.path().join("s")).unwrap(), b"a letter");
    }

    #[tokio::test]
    async fn what_another_has_put_at_its_place_stays() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(ADMIN_SOCKET);
        let socket = AdminSocket::bind(&path).await.unwrap();
        fs::write(home.path().join("other"), "").unwrap();
        fs::rename(home.path().join("other"), &path).unwrap();
        drop(socket);
        assert!(path.exists());
    }

    #[tokio::test]
    async fn a_path_that_is_too_long_is_said_with_its_length() {
        let path = Path::new("/").join("x".repeat(200)).join(ADMIN_SOCKET);
        let error = AdminSocket::bind(&path).await.unwrap_err().to_string();
        assert!(error.contains("has 212 bytes") && error.contains("--admin-socket"), "{error}");
    }
}
