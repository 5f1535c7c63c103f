//! What the operating system knows about DNS.

pub mod clock;
mod limits;
mod local_names;
mod ports;
pub(crate) mod random;
mod resolv_conf;
pub mod systemd;

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::Path;

pub use limits::{descriptors, raise_descriptors};
pub use ports::is_given_to_anybody;
pub use resolv_conf::{Skipped, SystemDns, Why, parse};

/// The file with the system's DNS servers (resolv.conf(5)).
pub const RESOLV_CONF: &str = "/etc/resolv.conf";
/// The file that says how host names are looked up (nsswitch.conf(5)).
pub const NSSWITCH: &str = "/etc/nsswitch.conf";
/// The most bytes of that file that are read.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// The system's DNS servers, and the lines that can't be used.
///
/// # Errors
/// [`OsError`] if the file can't be read.
pub fn system_dns() -> Result<SystemDns, OsError> {
    system_dns_from(Path::new(RESOLV_CONF))
}

/// The DNS servers in a file in the format of resolv.conf.
///
/// # Errors
/// [`OsError`] if it can't be read.
pub fn system_dns_from(path: &Path) -> Result<SystemDns, OsError> {
    let text = read_bounded(path)
        .map_err(|error| OsError { path: path.display().to_string(), error: error.to_string() })?;
    Ok(parse(&text, interface_index))
}

/// The file with the machine's own names (hosts(5)).
const HOSTS: &str = "/etc/hosts";

/// The last labels of the search domains and of the names in hosts(5), in lower case. A file that
/// can't be read has none.
pub fn local_labels() -> BTreeSet<Vec<u8>> {
    let read = |path: &str| read_bounded(Path::new(path)).unwrap_or_default();
    let mut labels = local_names::search_labels(&read(RESOLV_CONF));
    labels.extend(local_names::host_labels(&read(HOSTS)));
    labels
}

fn read_bounded(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The system's DNS servers can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "can't read the system's DNS servers from {path}: {error}; name them with --upstream IP[:PORT]"
)]
pub struct OsError {
    /// The file.
    pub path: String,
    /// The operating system's message.
    pub error: String,
}

/// The index of a network interface, which a link-local address needs (RFC 4007 §11.2).
#[cfg(unix)]
#[expect(unsafe_code, reason = "if_nametoindex has no safe face in the standard library")]
fn interface_index(name: &str) -> Option<u32> {
    let name = std::ffi::CString::new(name).ok()?;
    // SAFETY: if_nametoindex only reads the C string, which lives until after the call.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => None,
        index => Some(index),
    }
}

/// On this platform only interfaces given by index can be used.
#[cfg(not(unix))]
fn interface_index(_name: &str) -> Option<u32> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_file_and_says_which_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("resolv.conf");
        std::fs::write(&file, "nameserver 192.0.2.53\nnameserver fe80::1%lo\n").unwrap();
        let dns = system_dns_from(&file).unwrap();
        assert_eq!(dns.servers[0], "192.0.2.53:53".parse().unwrap());
        let missing = system_dns_from(&dir.path().join("none")).unwrap_err();
        assert!(missing.to_string().contains("none"), "{missing}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn knows_the_loopback_interface_by_its_name() {
        assert!(interface_index("lo").is_some());
        assert_eq!(interface_index("no-such-interface"), None);
    }
}
