//! The errors of channels.

use std::io;

use messaging::channel::{ChannelError, Refusal};
use namechain_core::types::{Name, PublicKey};
use thiserror::Error;

use super::code::ErrorCode;
use crate::key_text;

/// Why a channel was not opened, or ended early.
#[derive(Debug, Error)]
pub enum ChannelFailure {
    /// The channel was not opened.
    #[error("no channel to {name} at {address}: {}", describe(.error))]
    None {
        /// The name that was called.
        name: Name,
        /// Its address.
        address: String,
        /// What went wrong.
        error: ChannelError,
    },
    /// The peer holds an identity key of the name that was replaced.
    #[error("the peer holds the key {}, which {name} replaced at height {until}", key_text::identity(.found))]
    Replaced {
        /// The name that was called.
        name: Name,
        /// The key that answered.
        found: PublicKey,
        /// The height at which it was replaced or withdrawn.
        until: u32,
    },
    /// The record has no address.
    #[error("the record of {0} has no address to call{1}")]
    NoAddress(Name, &'static str),
    /// Not an address.
    #[error("'{0}' is not an address: {1}")]
    Address(String, String),
    /// The port is taken, or the address is not this machine's.
    #[error("can't listen at {0}: {1}")]
    Bind(String, io::Error),
    /// The channel broke.
    #[error("the channel to {0} broke: {1}")]
    Broken(Name, io::Error),
    /// The user pressed Ctrl-C.
    #[error("interrupted: the other side sees a broken channel")]
    Interrupted,
    /// Standard input or output failed.
    #[error("{0}: {1}")]
    Pipe(&'static str, io::Error),
    /// The runtime can't start.
    #[error("can't set up a channel: {0}")]
    Setup(io::Error),
}

/// The error with keys in the form in which they are published.
fn describe(error: &ChannelError) -> String {
    match error {
        ChannelError::OtherKey { name, found } => {
            format!("who answers is not {name}: it holds the key {}", key_text::identity(found))
        }
        other => other.to_string(),
    }
}

impl ChannelFailure {
    /// The exact cause.
    pub fn code(&self) -> ErrorCode {
        match self {
            ChannelFailure::None { error, .. } => match error {
                ChannelError::OtherKey { .. }
                | ChannelError::NextKey { .. }
                | ChannelError::Refuse(_) => ErrorCode::OtherPeer,
                ChannelError::Refused(_) => ErrorCode::PeerRefused,
                ChannelError::Io(_)
                | ChannelError::Timeout(_)
                | ChannelError::Tls(_)
                | ChannelError::Network => ErrorCode::PeerUnreachable,
            },
            ChannelFailure::Replaced { .. } => ErrorCode::OtherPeer,
            ChannelFailure::NoAddress(..) => ErrorCode::NoAddress,
            ChannelFailure::Address(..) | ChannelFailure::Bind(..) => ErrorCode::BadAddress,
            ChannelFailure::Broken(..) => ErrorCode::ChannelBroken,
            ChannelFailure::Interrupted => ErrorCode::Interrupted,
            ChannelFailure::Setup(_) => ErrorCode::Setup,
            ChannelFailure::Pipe(..) => ErrorCode::Output,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            ChannelFailure::None { name, error, .. } => match error {
                ChannelError::OtherKey { .. } => {
                    format!(
                        "somebody else answers at that address; to see what {name} recorded: zonetool peer show {name}"
                    )
                }
                ChannelError::NextKey { .. } => {
                    "the key is newer than your node knows: wait until it is synced, and call again"
                        .into()
                }
                ChannelError::Refused(
                    Refusal::ReplacedKey | Refusal::WrongKey | Refusal::NewerKey,
                ) => "compare your key with the recorded one: zonetool peer show NAME".into(),
                ChannelError::Refused(Refusal::Absent(_)) => {
                    "publish a key for the name given with --from: zonetool peer publish NAME"
                        .into()
                }
                ChannelError::Timeout(_) => {
                    "check that the peer listens; for TCP both sides need --tcp".into()
                }
                _ => return None,
            },
            ChannelFailure::Replaced { name, .. } => {
                format!(
                    "{name} must listen with its present key; see: zonetool peer history {name}"
                )
            }
            ChannelFailure::NoAddress(..) => "give its address: --address HOST:PORT".into(),
            _ => return None,
        })
    }
}
