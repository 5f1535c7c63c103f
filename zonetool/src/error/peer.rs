//! What can go wrong with other names and with letters, each with its code.

use std::{io, path::PathBuf};

use messaging::{
    BundleError, OpenError, PinError, PinStatus, SealError, envelope::InboxError, files::FileError,
};
use namechain_core::types::Name;
use thiserror::Error;

use super::code::ErrorCode;
use crate::dane::DaneError;

/// Why a peer is not resolved, a letter not sealed or not opened.
#[derive(Debug, Error)]
pub enum PeerError {
    /// The keys are not those that were seen.
    #[error("{}", refusal(.0, *.1))]
    KeyChanged(Name, PinStatus),
    /// Pins that take no more, or of another network.
    #[error(transparent)]
    Pin(PinError),
    /// The bundle is older than one that was seen.
    #[error(transparent)]
    OldBundle(PinError),
    /// Pins, or letters seen, can't be read or written.
    #[error(transparent)]
    PinStore(#[from] FileError),
    /// A proof from a file proves nothing by itself.
    #[error("the proof's header was not checked against anything")]
    NoAnchor,
    /// A letter that is not opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A letter that is not sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A bundle that is not believed.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// There is no bundle.
    #[error("there is no bundle of {0}")]
    NoBundle(Name),
    /// More keys than an inbox holds.
    #[error(transparent)]
    Inbox(#[from] InboxError),
    /// None of our names is meant.
    #[error("the letter is for none of your names that have a bundle here: {0}")]
    NoName(String),
    /// No identity key of ours speaks for the name.
    #[error("no identity key in your directory of keys speaks for {0}")]
    NotOurs(Name),
    /// Bytes that are not for eyes.
    #[error("{0} is not for a terminal")]
    Terminal(&'static str),
    /// No line for a zone.
    #[error(transparent)]
    Dane(DaneError),
    /// No locators in the record.
    #[error("the record of {0} has no locators")]
    NoLocators(Name),
    /// Standard input, or a file.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No randomness.
    #[error("the operating system gives no randomness: {0}")]
    Random(String),
}

fn refusal(name: &Name, pin_status: PinStatus) -> String {
    match pin_status {
        PinStatus::Unlinked => {
            format!(
                "another key speaks for {name} than the one seen before, and nothing links it to that one"
            )
        }
        PinStatus::Transferred => {
            format!("{name} has another owner than when it was seen, or was registered anew")
        }
        PinStatus::Forked => {
            format!(
                "another record of the same number stands under {name} than the one seen before"
            )
        }
        PinStatus::Older => format!("the keys of {name} are older than what was seen of it"),
        PinStatus::Revoked => format!("{name} is revoked"),
        PinStatus::Gone => format!("no key speaks for {name} any more"),
        PinStatus::First | PinStatus::Same | PinStatus::Rotated => {
            format!("the keys of {name} are refused")
        }
    }
}

impl PeerError {
    /// The exact cause.
    pub fn code(&self) -> ErrorCode {
        match self {
            PeerError::KeyChanged(..) | PeerError::OldBundle(_) => ErrorCode::KeyChanged,
            PeerError::Pin(_) | PeerError::PinStore(_) => ErrorCode::PinStore,
            PeerError::NoAnchor => ErrorCode::NoTrustedHeader,
            PeerError::Open(error) => open_code(error),
            PeerError::NoName(_) => ErrorCode::LetterNotForUs,
            PeerError::NoLocators(_) => ErrorCode::NoAddress,
            PeerError::Seal(SealError::TooLong { .. } | SealError::Lifetime) => {
                ErrorCode::BadLetter
            }
            PeerError::Terminal(_) => ErrorCode::Terminal,
            PeerError::Dane(_) | PeerError::File { .. } => ErrorCode::InputFile,
            PeerError::NoBundle(_) | PeerError::Seal(SealError::NeedsBundle(_)) => {
                ErrorCode::NoBundle
            }
            PeerError::Seal(_) | PeerError::Bundle(_) => ErrorCode::BadBundle,
            PeerError::Inbox(_) => ErrorCode::Inbox,
            PeerError::NotOurs(_) => ErrorCode::NotOurIdentity,
            PeerError::Random(_) => ErrorCode::Randomness,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            PeerError::KeyChanged(name, PinStatus::Older) => format!(
                "the node may be behind, or somebody shows an old state; what was recorded: zonetool peer history {name}"
            ),
            PeerError::KeyChanged(_, pin_status) if pin_status.is_acceptable() => {
                format!("ask its owner by another way; if it is right: --accept {pin_status}")
            }
            PeerError::KeyChanged(name, _) => {
                format!("what was recorded: zonetool peer history {name}")
            }
            PeerError::NoAnchor => {
                "give a header that you trust with --header HEX, or --trust-file-header if you wrote the file yourself"
                    .into()
            }
            PeerError::Open(OpenError::Truncated { .. } | OpenError::TooLong { .. }) => {
                "ask for it again: it was changed on its way".into()
            }
            PeerError::Open(OpenError::OtherRecipient | OpenError::NotForUs) => {
                "a letter opens with the keys of its recipient alone, and with a one-time key only once".into()
            }
            PeerError::Open(OpenError::ReplacedKey(name)) => {
                format!("ask {name} to write again with the present key")
            }
            PeerError::Seal(SealError::NeedsBundle(name)) | PeerError::NoBundle(name) => format!(
                "its owner gives it away: zonetool peer bundle export {name} > FILE, then here: --bundle FILE"
            ),
            PeerError::Bundle(BundleError::Expired(_)) => {
                "its owner can make another: zonetool peer bundle make NAME".into()
            }
            PeerError::NoName(_) => "say which of your names it is for: --to NAME".into(),
            PeerError::NoLocators(name) => {
                format!("its owner records them: zonetool peer publish {name} --locator WHERE")
            }
            PeerError::NotOurs(name) => format!("publish one: zonetool peer publish {name}"),
            PeerError::Terminal(_) => "send it to a file: > FILE".into(),
            _ => return None,
        })
    }
}

fn open_code(error: &OpenError) -> ErrorCode {
    match error {
        OpenError::Truncated { .. }
        | OpenError::TooLong { .. }
        | OpenError::Version(_)
        | OpenError::Kem(_)
        | OpenError::Class(_)
        | OpenError::Malformed(_)
        | OpenError::Padding => ErrorCode::LetterDamaged,
        OpenError::OtherRecipient | OpenError::NotForUs => ErrorCode::LetterNotForUs,
        OpenError::Readdressed(_) | OpenError::OtherIdentity => ErrorCode::LetterReaddressed,
        OpenError::Lifetime | OpenError::FromTheFuture { .. } | OpenError::Expired { .. } => {
            ErrorCode::LetterExpired
        }
        OpenError::Replayed => ErrorCode::LetterReplayed,
        OpenError::BadSignature
        | OpenError::UnknownSender(_)
        | OpenError::OtherSender { .. }
        | OpenError::ReplacedKey(_)
        | OpenError::NewerKey(_)
        | OpenError::WrongKey(_) => ErrorCode::LetterSender,
        OpenError::NoRoom | OpenError::NotStored => ErrorCode::PinStore,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each way in which a letter is refused says so by its code.
    #[test]
    fn letters_that_are_refused_have_their_codes() {
        let name = || "alice".parse::<Name>().unwrap();
        let malformed = || namechain_core::codec::DecodeError::Trailing(1);
        for (error, code) in [
            (OpenError::Truncated { expected: 2, found: 1 }, ErrorCode::LetterDamaged),
            (OpenError::TooLong { expected: 1, found: 2 }, ErrorCode::LetterDamaged),
            (OpenError::Version(9), ErrorCode::LetterDamaged),
            (OpenError::Kem(9), ErrorCode::LetterDamaged),
            (OpenError::Class(9), ErrorCode::LetterDamaged),
            (OpenError::Malformed(malformed()), ErrorCode::LetterDamaged),
            (OpenError::Padding, ErrorCode::LetterDamaged),
            (OpenError::OtherRecipient, ErrorCode::LetterNotForUs),
            (OpenError::NotForUs, ErrorCode::LetterNotForUs),
            (OpenError::Readdressed(name()), ErrorCode::LetterReaddressed),
            (OpenError::OtherIdentity, ErrorCode::LetterReaddressed),
            (OpenError::Lifetime, ErrorCode::LetterExpired),
            (OpenError::FromTheFuture { created: 1 }, ErrorCode::LetterExpired),
            (OpenError::Expired { expired: 1 }, ErrorCode::LetterExpired),
            (OpenError::Replayed, ErrorCode::LetterReplayed),
            (OpenError::BadSignature, ErrorCode::LetterSender),
            (OpenError::UnknownSender(name()), ErrorCode::LetterSender),
            (OpenError::OtherSender { claimed: name(), given: name() }, ErrorCode::LetterSender),
            (OpenError::ReplacedKey(name()), ErrorCode::LetterSender),
            (OpenError::NewerKey(name()), ErrorCode::LetterSender),
            (OpenError::WrongKey(name()), ErrorCode::LetterSender),
            (OpenError::NoRoom, ErrorCode::PinStore),
            (OpenError::NotStored, ErrorCode::PinStore),
        ] {
            assert_eq!(PeerError::Open(error.clone()).code(), code, "{error}");
        }
    }

    #[test]
    fn a_change_that_can_be_accepted_says_how() {
        use PinStatus::{Forked, Gone, Older, Revoked, Transferred, Unlinked};
        for pin_status in [Unlinked, Transferred, Forked, Older, Revoked, Gone] {
            let error = PeerError::KeyChanged("alice".parse().unwrap(), pin_status);
            let hint = error.hint().unwrap();
            assert_eq!(
                hint.contains(&format!("--accept {pin_status}")),
                pin_status.is_acceptable(),
                "{hint}"
            );
            assert_eq!(
                (error.code(), error.to_string().contains("alice")),
                (ErrorCode::KeyChanged, true)
            );
        }
    }
}
