//! Whom the operator has banned: identities and subnets, for a time or for good. Kept in the file
//! `bans` in the data directory, a line each, for people to read:
//!
//! ```text
//! 12D3KooW… 1900000000
//! 192.0.2.0/24 always
//! ```

use std::{
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

use if_watch::IpNet;
use libp2p::PeerId;
use thiserror::Error;

use super::{error::NetError, files, limits::OPERATOR_BANS};

/// The file in the data directory.
const BANS_FILE: &str = "bans";
/// What stands for a ban without an end.
const ALWAYS: &str = "always";
const HEAD: &str = "# Whom the operator has banned: an identity or a subnet, and until when, in \
                    seconds of Unix time.\n";

/// Whom a ban is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BanTarget {
    /// An identity.
    Peer(PeerId),
    /// All addresses of a subnet.
    Subnet(IpNet),
}

/// What is neither an identity nor a subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("is neither a peer's identity nor an IP address nor a subnet, as in 192.0.2.0/24")]
pub struct UnknownBanTarget;

impl FromStr for BanTarget {
    type Err = UnknownBanTarget;

    fn from_str(text: &str) -> Result<Self, UnknownBanTarget> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(BanTarget::Subnet(IpNet::from(ip.to_canonical())));
        }
        if let Ok(subnet) = text.parse::<IpNet>() {
            return Ok(BanTarget::Subnet(subnet.trunc()));
        }
        text.parse().map(BanTarget::Peer).map_err(|_| UnknownBanTarget)
    }
}

impl fmt::Display for BanTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BanTarget::Peer(peer) => peer.fmt(f),
            BanTarget::Subnet(subnet) => subnet.fmt(f),
        }
    }
}

/// A ban.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ban {
    /// Whom it is about.
    pub target: BanTarget,
    /// Until when, in seconds of Unix time; `None`: for good.
    pub until: Option<u64>,
    /// Whether the operator has said so. Else the peer misbehaved; such a ban is about an identity,
    /// and ends with the run.
    pub by_operator: bool,
}

/// Why a ban was not taken up, or not lifted.
#[derive(Debug, Error)]
pub enum BanError {
    /// There are too many.
    #[error("there are {OPERATOR_BANS} bans already: lift some")]
    Full,
    /// The list can't be kept.
    #[error(transparent)]
    File(#[from] NetError),
    /// The network has stopped, or there is none.
    #[error("this node has no network")]
    NoNetwork,
}

/// What the operator has said, with its file.
#[derive(Debug, Default)]
pub(super) struct BanList {
    /// `None`: kept in memory only.
    path: Option<PathBuf>,
    bans: Vec<(BanTarget, Option<u64>)>,
}

impl BanList {
    /// The list of an earlier run.
    ///
    /// # Errors
    /// A line that is none: what the operator said is not passed over.
    pub fn open(dir: &Path) -> Result<Self, NetError> {
        let path = dir.join(BANS_FILE);
        let bytes = files::read(&path)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let mut bans = Vec::new();
        for (at, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let ban = read_line(line).filter(|_| bans.len() < OPERATOR_BANS).ok_or_else(|| {
                NetError::Setup(format!(
                    "{}, line {}: it must be an identity or a subnet, then seconds of Unix time or \
                     '{ALWAYS}', and there may be {OPERATOR_BANS} of them",
                    path.display(),
                    at + 1
                ))
            })?;
            bans.push(ban);
        }
        Ok(BanList { path: Some(path), bans })
    }

    fn write(&self, bans: &[(BanTarget, Option<u64>)]) -> Result<(), NetError> {
        let Some(path) = &self.path else { return Ok(()) };
        let mut text = HEAD.to_owned();
        for (target, until) in bans {
            let until = until.map_or_else(|| ALWAYS.to_owned(), |until| until.to_string());
            text.push_str(&format!("{target} {until}\n"));
        }
        files::write(path, text.as_bytes(), false)
    }

    /// Keeps a changed list; if that is not possible nothing changes.
    fn replace(&mut self, bans: Vec<(BanTarget, Option<u64>)>) -> Result<(), NetError> {
        self.write(&bans)?;
        self.bans = bans;
        Ok(())
    }

    /// Takes up a ban, instead of an earlier one of the same target.
    pub fn add(&mut self, target: BanTarget, until: Option<u64>) -> Result<(), BanError> {
        let mut bans = self.bans.clone();
        bans.retain(|(banned, _)| *banned != target);
        if bans.len() >= OPERATOR_BANS {
            return Err(BanError::Full);
        }
        bans.push((target, until));
        Ok(self.replace(bans)?)
    }

    /// Lifts a ban, or all. Gives how many there were.
    pub fn remove(&mut self, target: Option<&BanTarget>) -> Result<usize, BanError> {
        let stays = |banned: &BanTarget| target.is_some_and(|target| target != banned);
        let bans: Vec<_> = self.bans.iter().filter(|(it, _)| stays(it)).copied().collect();
        let lifted = self.bans.len() - bans.len();
        if lifted > 0 {
            self.replace(bans)?;
        }
        Ok(lifted)
    }

    /// Forgets what is over. The file is written with the next change.
    pub fn tick(&mut self, unix: u64) {
        self.bans.retain(|(_, until)| until.is_none_or(|until| until > unix));
    }

    /// Whether an identity is banned.
    pub fn has_peer(&self, peer: &PeerId) -> bool {
        self.bans.iter().any(|(target, _)| *target == BanTarget::Peer(*peer))
    }

    /// Whether an address is.
    pub fn has_ip(&self, ip: IpAddr) -> bool {
        let has = |target: &BanTarget| matches!(target, BanTarget::Subnet(subnet) if subnet.contains(&ip));
        self.bans.iter().any(|(target, _)| has(target))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Ban> {
        self.bans.iter().map(|(target, until)| Ban {
            target: *target,
            until: *until,
            by_operator: true,
        })
    }
}

fn read_line(line: &str) -> Option<(BanTarget, Option<u64>)> {
    let (target, until) = line.trim().split_once(' ')?;
    let until = match until {
        ALWAYS => None,
        until => Some(until.parse().ok()?),
    };
    Some((target.parse().ok()?, until))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> BanTarget {
        text.parse().expect("a target")
    }

    #[test]
    fn what_an_operator_writes_is_read() {
        let peer = PeerId::random();
        assert_eq!(target(&peer.to_base58()), BanTarget::Peer(peer));
        for (text, written) in [
            ("192.0.2.7", "192.0.2.7/32"),
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
            ("192.0.2.7/24", "192.0.2.0/24"),
            ("2001:db8::1", "2001:db8::1/128"),
        ] {
            assert_eq!(target(text).to_string(), written);
        }
        for wrong in ["", "alice", "192.0.2.7/33", "192.0.2", "/ip4/192.0.2.7"] {
            assert_eq!(wrong.parse::<BanTarget>(), Err(UnknownBanTarget), "{wrong}");
        }
    }

    #[test]
    fn bans_are_kept_over_a_restart() {
        let dir = tempfile::tempdir().expect("a directory");
        let peer = PeerId::random();
        let mut bans = BanList::open(dir.path()).expect("none yet");
        bans.add(BanTarget::Peer(peer), Some(2_000)).expect("kept");
        bans.add(target("192.0.2.0/24"), None).expect("kept");
        bans.add(BanTarget::Peer(peer), Some(1_000)).expect("kept");
        let mut again = BanList::open(dir.path()).expect("read back");
        assert_eq!(again.bans, bans.bans);
        assert!(again.has_peer(&peer) && again.has_ip([192, 0, 2, 77].into()));
        assert!(!again.has_peer(&PeerId::random()) && !again.has_ip([192, 0, 3, 1].into()));
        again.tick(1_000);
        assert!(!again.has_peer(&peer) && again.has_ip([192, 0, 2, 77].into()));
        assert_eq!(again.remove(Some(&target("192.0.2.0/24"))).expect("kept"), 1);
        assert_eq!(again.remove(None).expect("kept"), 0);
        assert_eq!(BanList::open(dir.path()).expect("read back").bans, []);
    }

    #[test]
    fn a_line_that_is_none_is_said_with_its_number() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("bans"), "# said\n192.0.2.1/32 always\nalice always\n")
            .expect("written");
        let error = BanList::open(dir.path()).expect_err("damaged").to_string();
        assert!(error.contains("line 3"), "{error}");
    }

    #[test]
    fn there_is_a_bound() {
        let mut bans = BanList::default();
        for at in 0..OPERATOR_BANS {
            bans.add(target(&format!("10.0.{}.{}", at / 256, at % 256)), None).expect("room");
        }
        assert!(matches!(bans.add(target("192.0.2.1"), None), Err(BanError::Full)));
        bans.add(target("10.0.0.1"), Some(5)).expect("it is there already");
    }
}
