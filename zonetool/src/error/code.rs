//! Exit codes and error codes: the class that a script acts on, and the exact cause beside it.
//!
//! An exit code is one of ten classes. The `code` in the JSON of an error is one of [`ErrorCode`],
//! and stays what it is. `docs/exit-codes.md` has the same tables; a test compares them.

use std::fmt::Write as _;

/// The class of an error, as the exit code of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// No error.
    Done = 0,
    /// The machine is at fault: a file, standard output, randomness.
    Failure = 1,
    /// The command line or an input file is wrong, or the user did not confirm.
    Usage = 2,
    /// It does not exist.
    NotFound = 3,
    /// The key is missing, locked, or not the right one.
    Key = 4,
    /// No answer.
    Unreachable = 5,
    /// Waiting timed out.
    Timeout = 6,
    /// The state of the name, a rule, the node or the other side does not allow it.
    Refused = 7,
    /// The node is not synced.
    NotSynced = 8,
    /// A check failed: do not trust it.
    Unverified = 9,
}

impl Exit {
    /// Every class, in order.
    pub const ALL: [Exit; 10] = [
        Exit::Done,
        Exit::Failure,
        Exit::Usage,
        Exit::NotFound,
        Exit::Key,
        Exit::Unreachable,
        Exit::Timeout,
        Exit::Refused,
        Exit::NotSynced,
        Exit::Unverified,
    ];

    /// What the class means, and what to do.
    pub const fn meaning(self) -> &'static str {
        match self {
            Exit::Done => "done",
            Exit::Failure => "this machine failed: a file, standard output, randomness",
            Exit::Usage => "wrong usage: the command line, an input file, or not confirmed",
            Exit::NotFound => "not found: the name, its identity key or its bundle",
            Exit::Key => "key: missing, locked, wrong passphrase, or not allowed to sign",
            Exit::Unreachable => "no answer from the node, or from the peer that was called",
            Exit::Timeout => "timed out while waiting: run the same command again to continue",
            Exit::Refused => "refused by the state of the name, a rule, the node or the peer",
            Exit::NotSynced => "the node is not synced yet: try again later",
            Exit::Unverified => "not verified: a proof, key, letter or peer failed a check",
        }
    }
}

macro_rules! error_codes {
    ($($(#[doc = $meaning:literal])+ $variant:ident $text:literal $exit:ident;)+) => {
        /// The exact cause of an error.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ErrorCode {
            $($(#[doc = $meaning])+ $variant,)+
        }

        impl ErrorCode {
            /// Every code, by class.
            #[cfg(test)]
            pub const ALL: &[ErrorCode] = &[$(ErrorCode::$variant),+];

            /// The code as it stands in JSON. It never changes.
            pub const fn as_str(self) -> &'static str {
                match self { $(ErrorCode::$variant => $text,)+ }
            }

            /// The class.
            pub const fn exit(self) -> Exit {
                match self { $(ErrorCode::$variant => Exit::$exit,)+ }
            }

            /// What has happened.
            #[cfg(test)]
            pub const fn meaning(self) -> &'static str {
                match self { $(ErrorCode::$variant => concat!($($meaning),+),)+ }
            }
        }
    };
}

error_codes! {
    /// Standard output or standard input failed.
    Output "output" Failure;
    /// Pins or letters seen can't be read or written.
    PinStore "pin-store" Failure;
    /// The operating system gives no randomness.
    Randomness "randomness" Failure;
    /// The network of this machine can't be used.
    Setup "setup" Failure;
    /// The command was ended with Ctrl-C.
    Interrupted "interrupted" Failure;

    /// The command line is wrong.
    Usage "usage" Usage;
    /// Not a valid name.
    BadName "bad-name" Usage;
    /// The zone file is wrong.
    BadZone "bad-zone" Usage;
    /// A file can't be read.
    InputFile "input-file" Usage;
    /// The node's URL is wrong.
    BadUrl "bad-url" Usage;
    /// An address or a locator is wrong.
    BadAddress "bad-address" Usage;
    /// The letter is empty or too long, or its lifetime is.
    BadLetter "bad-letter" Usage;
    /// Binary data is not written to a terminal.
    Terminal "terminal" Usage;
    /// A confirmation is needed, and there is no terminal.
    NoTerminal "no-terminal" Usage;
    /// The user did not confirm.
    NotConfirmed "not-confirmed" Usage;
    /// The node does not understand the request.
    BadRequest "bad-request" Usage;

    /// The name is not registered.
    NotRegistered "not-registered" NotFound;
    /// The name has no identity key.
    NoIdentity "no-identity" NotFound;
    /// The name has no bundle.
    NoBundle "no-bundle" NotFound;
    /// The name's record has no address.
    NoAddress "no-address" NotFound;
    /// The node does not have it.
    NotFound "not-found" NotFound;
    /// The node has pruned the old blocks that this takes.
    Pruned "pruned" NotFound;

    /// There is no key file.
    NoKey "no-key" Key;
    /// There is a key file already.
    KeyExists "key-exists" Key;
    /// The key file or its directory is open to others.
    KeyExposed "key-exposed" Key;
    /// The key file is damaged, or can't be read or written.
    KeyFile "key-file" Key;
    /// The passphrase is wrong, empty, or can't be asked for.
    Passphrase "passphrase" Key;
    /// The words are not a valid mnemonic.
    BadMnemonic "bad-mnemonic" Key;
    /// The words give another key.
    WrongMnemonic "wrong-mnemonic" Key;
    /// The name has no recovery key.
    NoRecoveryKey "no-recovery-key" Key;
    /// The key may not sign this.
    NotOwner "not-owner" Key;
    /// The name is offered to another key.
    NotRecipient "not-recipient" Key;
    /// The name's identity key is not in the directory of keys.
    NotOurIdentity "not-our-identity" Key;
    /// The words have no identity key left.
    NoMoreIdentities "no-more-identities" Key;
    /// The inbox is full of keys.
    Inbox "inbox" Key;
    /// The file has no DNSKEY record of a zone key.
    AnchorFile "anchor-file" Key;

    /// No node answers.
    NodeUnreachable "node-unreachable" Unreachable;
    /// The admin socket belongs to another user.
    SocketDenied "socket-denied" Unreachable;
    /// What answers is not a node of this version.
    NotANode "not-a-node" Unreachable;
    /// The peer does not answer.
    PeerUnreachable "peer-unreachable" Unreachable;
    /// The channel broke.
    ChannelBroken "channel-broken" Unreachable;

    /// Waiting took longer than --timeout.
    Timeout "timeout" Timeout;

    /// The name is reserved.
    Reserved "reserved" Refused;
    /// Somebody else has the name.
    Taken "taken" Refused;
    /// You have the name already.
    AlreadyYours "already-yours" Refused;
    /// The lease of the name is over.
    InGrace "in-grace" Refused;
    /// The name was revoked.
    Revoked "revoked" Refused;
    /// The name was registered a short time ago and has not settled.
    Settling "settling" Refused;
    /// An older commitment has displaced the registration.
    Displaced "displaced" Refused;
    /// Nothing would change.
    Unchanged "unchanged" Refused;
    /// The commitment has less work than the name costs.
    CommitmentUnderpaid "commitment-underpaid" Refused;
    /// Another operation was recorded instead.
    Overtaken "overtaken" Refused;
    /// The node has dropped the operation.
    Dropped "dropped" Refused;
    /// A reorganisation has undone the operation.
    Undone "undone" Refused;
    /// The chain follows rules that this program does not know.
    UpgradeNeeded "upgrade-needed" Refused;
    /// The node is on another network than --network says.
    OtherNetwork "other-network" Refused;
    /// A rule of the chain refuses it; `rule` says which.
    Rule "rule" Refused;
    /// The node refuses it for another reason.
    NodeRefused "node-refused" Refused;
    /// The peer refuses this caller.
    PeerRefused "peer-refused" Refused;

    /// The node is not synced.
    NotSynced "not-synced" NotSynced;

    /// The proof does not verify.
    BadProof "bad-proof" Unverified;
    /// The proof's block is not on the node's best chain.
    NotOnChain "not-on-chain" Unverified;
    /// The proof was checked against no header that you trust.
    NoTrustedHeader "no-trusted-header" Unverified;
    /// The zone differs from the proven records.
    ZoneDiffers "zone-differs" Unverified;
    /// The name's keys differ from those seen before.
    KeyChanged "key-changed" Unverified;
    /// The bundle is not valid.
    BadBundle "bad-bundle" Unverified;
    /// The letter is damaged, or not a letter.
    LetterDamaged "letter-damaged" Unverified;
    /// The letter is for somebody else, or for a key that was used up.
    LetterNotForUs "letter-not-for-us" Unverified;
    /// The letter was written to somebody else and passed on.
    LetterReaddressed "letter-readdressed" Unverified;
    /// The letter has expired, or comes from the future.
    LetterExpired "letter-expired" Unverified;
    /// The letter was opened before.
    LetterReplayed "letter-replayed" Unverified;
    /// The letter is not from its claimed sender.
    LetterSender "letter-sender" Unverified;
    /// Another key answers the call than the name's present one.
    OtherPeer "other-peer" Unverified;
}

/// The exit codes for `--help`.
pub fn exit_codes_help() -> String {
    let mut text = String::from("Exit codes:\n");
    for exit in Exit::ALL {
        // Writing to a String never fails.
        let _ = writeln!(text, "  {}  {}", exit as u8, exit.meaning());
    }
    text
}

/// The tables of `docs/exit-codes.md`.
#[cfg(test)]
pub fn tables() -> (String, String) {
    let mut exits = String::from("| exit | meaning |\n|---|---|\n");
    for exit in Exit::ALL {
        let _ = writeln!(exits, "| {} | {} |", exit as u8, exit.meaning());
    }
    let mut codes = String::from("| code | exit | meaning |\n|---|---|---|\n");
    for code in ErrorCode::ALL {
        let _ = writeln!(
            codes,
            "| `{}` | {} | {} |",
            code.as_str(),
            code.exit() as u8,
            code.meaning().trim()
        );
    }
    (exits, codes)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// `PAGES=overwrite` writes the tables into the page.
    #[test]
    fn the_page_has_the_same_tables() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/exit-codes.md");
        let page = std::fs::read_to_string(path).expect("the page");
        let (exits, codes) = tables();
        let (before, after) = page.split_once("\n<!-- exits -->\n").expect("a mark");
        let (_, after) = after.split_once("\n<!-- codes -->\n").expect("a mark");
        let (_, after) = after.split_once("\n<!-- end -->\n").expect("a mark");
        let head = page
            .split_once("\n<!-- codes -->\n")
            .and_then(|(head, _)| head.rsplit_once("\n## "))
            .map(|(_, title)| format!("\n## {title}"))
            .expect("a heading");
        let expected = format!(
            "{before}\n<!-- exits -->\n{exits}{head}\n<!-- codes -->\n{codes}\n<!-- end -->\n{after}"
        );
        if std::env::var_os("PAGES").is_some_and(|value| value == "overwrite") {
            std::fs::write(path, &expected).expect("room");
        }
        assert_eq!(page, expected, "docs/exit-codes.md differs from the code");
    }

    #[test]
    fn codes_are_distinct_words_and_every_class_has_one() {
        let texts: BTreeSet<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), ErrorCode::ALL.len());
        assert!(texts.iter().all(|text| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')));
        for exit in Exit::ALL.into_iter().skip(1) {
            assert!(ErrorCode::ALL.iter().any(|code| code.exit() == exit), "{exit:?}");
        }
    }
}
