//! The three networks. Every hash, signature and work carries the network's magic, so nothing
//! crosses over.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Which chain: `main`, `test` or `dev`. All that differs between them is in [`crate::params`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// The network whose names are meant to last.
    Main,
    /// The public network for trying things out.
    Test,
    /// A private network on one machine, which mines at once when there is something to record.
    Dev,
}

/// A string that names no network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("'{0}' is not a network: use main, test or dev")]
pub struct UnknownNetwork(String);

impl Network {
    /// Every network.
    pub const ALL: [Network; 3] = [Network::Main, Network::Test, Network::Dev];

    /// The four bytes that end every domain tag of this network.
    pub const fn magic(self) -> [u8; 4] {
        match self {
            Network::Main => *b"NCm1",
            Network::Test => *b"NCt1",
            Network::Dev => *b"NCd1",
        }
    }

    /// The network's name, as it is written on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Network::Main => "main",
            Network::Test => "test",
            Network::Dev => "dev",
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Network {
    type Err = UnknownNetwork;

    fn from_str(text: &str) -> Result<Self, UnknownNetwork> {
        Self::ALL
            .into_iter()
            .find(|network| network.as_str() == text)
            .ok_or_else(|| UnknownNetwork(text.into()))
    }
}
