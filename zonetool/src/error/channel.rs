//! What can go wrong with a channel, each with its code.

use std::io;

use messaging::channel::{ChannelError, Refusal};
use namechain_core::types::{Name, PublicKey};
use thiserror::Error;

use super::code::ErrorCode;

/// Why there is no channel, or why it did not come to its end.
#[derive(Debug, Error)]
pub enum ChannelFailure {
    /// There is none.
    #[error("no channel to {name} at {address}: {error}")]
    None {
        /// Who was called.
        name: Name,
        /// Where.
        address: String,
        /// Why.
        error: ChannelError,
    },
    /// Who answers has the key that spoke for the name before.
    #[error(
        "who answers holds the key {found}, which spoke for {name} until height {until} and was replaced"
    )]
    Replaced {
        /// Who was called.
        name: Name,
        /// The key that answered.
        found: PublicKey,
        /// Where it was replaced, or withdrawn.
        until: u32,
    },
    /// Nowhere to call.
    #[error("the record of {0} has no locator that says where to call it{1}")]
    NoAddress(Name, &'static str),
    /// Not an address.
    #[error("'{0}' is not an address: {1}")]
    Address(String, String),
    /// The port is taken, or the address is not this machine's.
    #[error("can't listen at {0}: {1}")]
    Bind(String, io::Error),
    /// The channel broke.
    #[error("the channel to {0} broke before its end: {1}")]
    Broken(Name, io::Error),
    /// Ctrl-C.
    #[error("interrupted: the other side sees the channel break")]
    Interrupted,
    /// Standard input or output.
    #[error("{0}: {1}")]
    Pipe(&'static str, io::Error),
    /// No runtime.
    #[error("can't set up a channel: {0}")]
    Setup(io::Error),
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
                        "somebody else is at that address: what {name} recorded: zonetool peer show {name}"
                    )
                }
                ChannelError::NextKey { .. } => {
                    "wait until the node has the blocks that you miss, and call again".into()
                }
                ChannelError::Refused(
                    Refusal::ReplacedKey | Refusal::WrongKey | Refusal::NewerKey,
                ) => "compare your key with what is recorded: zonetool peer show NAME".into(),
                ChannelError::Refused(Refusal::Absent(_)) => {
                    "publish a key for the name that you call from: zonetool peer publish NAME"
                        .into()
                }
                ChannelError::Timeout(_) => {
                    "is it listening there? over TCP, both sides say --tcp".into()
                }
                _ => return None,
            },
            ChannelFailure::Replaced { name, .. } => {
                format!("{name} must listen with the present key: zonetool peer history {name}")
            }
            ChannelFailure::NoAddress(..) => "say where: --address HOST:PORT".into(),
            _ => return None,
        })
    }
}
