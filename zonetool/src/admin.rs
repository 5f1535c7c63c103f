//! The admin socket of a node or resolver on this machine: where it is looked for.

use std::{
    io::ErrorKind,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

use namechain_core::types::Network;

use crate::{
    cli::{AdminArgs, Global},
    client::{Client, ClientError, UNIX_SCHEME},
    keys,
};

/// The socket's name in a data directory.
const ADMIN_SOCKET: &str = "admin.sock";
/// The data directory of the service of docs/systemd.
const SERVICE_DIR: &str = "/var/lib/namechain";

/// A client of the admin socket: the one that `--node` or the data directory names, or else the
/// only one that is found in a default place.
///
/// # Errors
/// If there is none, several, or one of another user.
pub fn connect(global: &Global, args: &AdminArgs) -> Result<Client, ClientError> {
    if global.node.starts_with(UNIX_SCHEME) {
        return Client::new(&global.node);
    }
    let places = match &args.data_dir {
        Some(dir) => vec![dir.join(ADMIN_SOCKET)],
        None if global.node_given => return Err(ClientError::NeedsSocket),
        None => default_places(),
    };
    let path = find(&places)?;
    Client::new(&format!("{UNIX_SCHEME}{}", path.display()))
}

/// Where the programs put the socket unless they are told: in the data directory of a network, and
/// for a resolver without a node in the user's state directory.
fn default_places() -> Vec<PathBuf> {
    let networks = [Network::Main, Network::Test, Network::Dev];
    // An error: there is no home.
    let data = keys::data_directory().ok();
    let mut dirs: Vec<PathBuf> =
        data.iter().flat_map(|data| networks.map(|network| data.join(network.as_str()))).collect();
    dirs.extend(keys::state_directory());
    dirs.push(SERVICE_DIR.into());
    dirs.iter().map(|dir| dir.join(ADMIN_SOCKET)).collect()
}

/// The one socket that somebody listens on.
fn find(places: &[PathBuf]) -> Result<&Path, ClientError> {
    let (mut found, mut denied) = (Vec::new(), None);
    for path in places {
        match UnixStream::connect(path) {
            Ok(_) => found.push(path.as_path()),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => denied = Some(path),
            // Nothing is there, or what a crash has left.
            Err(_) => {}
        }
    }
    match (found.as_slice(), denied) {
        ([one], _) => Ok(one),
        ([], Some(path)) => Err(ClientError::SocketDenied(path.display().to_string())),
        ([], None) => Err(ClientError::NoSocket(list(places.iter().map(PathBuf::as_path)))),
        (several, _) => Err(ClientError::ManySockets(list(several.iter().copied()))),
    }
}

fn list<'a>(paths: impl Iterator<Item = &'a Path>) -> String {
    paths.map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn the_one_that_answers_is_taken() {
        let home = tempfile::tempdir().unwrap();
        let places = ["a", "b", "c"].map(|name| home.path().join(name));
        let none = find(&places).unwrap_err().to_string();
        assert!(none.contains(&format!("{}, {}", places[0].display(), places[1].display())));
        let _one = UnixListener::bind(&places[1]).unwrap();
        // Left by a crash.
        drop(UnixListener::bind(&places[0]).unwrap());
        assert_eq!(find(&places).unwrap(), places[1]);
        let _two = UnixListener::bind(&places[2]).unwrap();
        let error = find(&places).unwrap_err();
        assert!(matches!(&error, ClientError::ManySockets(_)), "{error}");
        assert!(!error.to_string().contains(places[0].to_str().unwrap()), "{error}");
    }
}
