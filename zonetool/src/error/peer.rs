//! The errors of looking up peers, and of letters and bundles.

use std::{io, path::PathBuf};

use messaging::{
    BundleError, OpenError, PinError, PinStatus, SealError, envelope::InboxError, files::FileError,
};
use namechain_core::types::Name;
use thiserror::Error;

use super::code::ErrorCode;
use crate::dane::DaneError;

/// Why a peer is not resolved, or a letter not sealed or opened.
#[derive(Debug, Error)]
pub enum PeerError {
    /// The keys differ from those seen before.
    #[error("{}", refusal(.0, *.1))]
    KeyChanged(Name, PinStatus),
    /// The pins are full, or of another network.
    #[error(transparent)]
    Pin(PinError),
    /// The bundle is older than one seen before.
    #[error(transparent)]
    OldBundle(PinError),
    /// The pins, or the letters seen, can't be read or written.
    #[error(transparent)]
    PinStore(#[from] FileError),
    /// A proof from a file needs a trusted header.
    #[error("the proof's header is not known to be on the chain")]
    NoAnchor,
    /// The letter can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The letter has no text, and no `--empty`.
    #[error("the letter has no text")]
    EmptyLetter,
    /// The letter can't be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The bundle is not valid.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// There is no bundle.
    #[error("{0} has no bundle")]
    NoBundle(Name),
    /// The inbox holds no more keys.
    #[error(transparent)]
    Inbox(#[from] InboxError),
    /// The letter is for none of our names.
    #[error("the letter is not for any of your names that have a bundle here ({0})")]
    NoName(String),
    /// The name's identity key is not ours.
    #[error("the identity key of {0} is not in your directory of keys")]
    NotOurs(Name),
    /// Binary data would go to a terminal.
    #[error("{0} is not written to a terminal")]
    Terminal(&'static str),
    /// The input of `peer dane` is wrong.
    #[error(transparent)]
    Dane(DaneError),
    /// The record has no locators.
    #[error("the record of {0} has no locators")]
    NoLocators(Name),
    /// A file, or standard input or output, failed.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What went wrong.
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
                "{name} has another identity key than before, and the old key did not sign for it"
            )
        }
        PinStatus::Transferred => {
            format!("{name} has another owner than before, or was registered again")
        }
        PinStatus::Forked => {
            format!("{name} has another record with the same number than before")
        }
        PinStatus::Older => format!("the keys of {name} are older than those seen before"),
        PinStatus::Revoked => format!("{name} is revoked"),
        PinStatus::Gone => format!("{name} has no identity key any more"),
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
            PeerError::EmptyLetter
            | PeerError::Seal(SealError::TooLong { .. } | SealError::Lifetime) => {
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
                "the node may be behind, or give an old state; see: zonetool peer history {name}"
            ),
            PeerError::KeyChanged(_, pin_status) if pin_status.is_acceptable() => {
                format!("ask the owner over another channel; if the change is right: --accept {pin_status}")
            }
            PeerError::KeyChanged(name, _) => {
                format!("to see what was recorded: zonetool peer history {name}")
            }
            PeerError::NoAnchor => {
                "give a header that you trust with --header HEX, or --trust-file-header if you wrote the file"
                    .into()
            }
            PeerError::Open(OpenError::Truncated { .. } | OpenError::TooLong { .. }) => {
                "ask the sender to send it again".into()
            }
            PeerError::Open(OpenError::OtherRecipient | OpenError::NotForUs) => {
                "a letter opens only with its recipient's keys, and with a one-time key only once".into()
            }
            PeerError::Open(OpenError::ReplacedKey(name)) => {
                format!("ask {name} to write again with its present key")
            }
            PeerError::Seal(SealError::NeedsBundle(name)) | PeerError::NoBundle(name) => format!(
                "its owner exports it: zonetool peer bundle export {name} > FILE; then give --bundle FILE"
            ),
            PeerError::Bundle(BundleError::Expired(_)) => {
                "its owner can make another: zonetool peer bundle make NAME".into()
            }
            PeerError::EmptyLetter => {
                "write it to standard input: echo TEXT | zonetool peer seal ...; or give --empty".into()
            }
            PeerError::NoName(_) => "give the name that it is for: --to NAME".into(),
            PeerError::NoLocators(name) => {
                format!("its owner can record one: zonetool peer publish {name} --locator ADDRESS")
            }
            PeerError::NotOurs(name) => format!("to publish yours: zonetool peer publish {name}"),
            PeerError::Terminal(_) => "write it to a file: > FILE".into(),
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
