//! The errors of all commands: what happened, what to do, and the code for scripts.

mod channel;
mod code;
mod peer;

use std::path::PathBuf;

use namechain_core::{
    consensus::RuleViolation,
    types::{LocatorError, Name, NameError, PublicKey, Reserved},
};
use thiserror::Error;

pub use self::{
    channel::ChannelFailure,
    code::{ErrorCode, exit_codes_help},
    peer::PeerError,
};
use crate::{
    client::ClientError,
    clock,
    dates::describe_time,
    idn, key_text,
    keys::KeyError,
    proof::ProofError,
    ui::{ErrorReport, OutputError, escape_line},
    zone::ZoneError,
};

/// What to do where a node has pruned old blocks.
pub const ASK_ANOTHER: &str = "ask a node that keeps all blocks: --node URL";

/// Why a command ends without its result.
#[derive(Debug, Error)]
pub enum CommandError {
    /// Standard output can't be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// Arguments that do not go together.
    #[error("{0}")]
    Usage(&'static str),
    /// Not a name.
    #[error("'{0}' is not a name: {1}")]
    Name(String, NameError),
    /// Not a zone of the name.
    #[error("{}", match .1 { ZoneError::File { .. } | ZoneError::FileTooLarge(_) => .1.to_string(), other => format!("{}: {other}", .0.display()) })]
    Zone(PathBuf, ZoneError),
    /// A zone without records, and no `--empty`.
    #[error("{}: the zone has no records", .0.display())]
    EmptyZone(PathBuf),
    /// A proof whose header is not known to be on the chain.
    #[error(
        "the proof is valid, but its header is not known to be on the chain: all it has is its own work, {0} expected hashes"
    )]
    NoTrustedHeader(String),
    /// The proven records are not those of the zone file.
    #[error("the proven records of {0} differ from the zone file: {1}")]
    ZoneDiffers(Name, String),
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The node, or the way to it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Nobody has been banned by that.
    #[error("there is no ban of {}", escape_line(.0))]
    NoBan(String),
    /// The node gives records that are not valid.
    #[error("the node gives invalid records: {0}")]
    Records(String),
    /// The node gives a messaging record that is not valid.
    #[error("the node gives an invalid messaging record: {0}")]
    Messaging(String),
    /// The name has no owner.
    #[error("{0} is not registered")]
    NotRegistered(Name),
    /// The name has no owner, and a registration waits for a block.
    #[error("{0} is not registered yet: its registration waits for the next block")]
    RegistrationPending(Name),
    /// The name has no owner, and this machine has committed to it; where that stands.
    #[error("{0} is not registered yet: the commitment of this machine {1}")]
    CommitmentOpen(Name, String),
    /// The node has pruned a part of the name's history.
    #[error(
        "the node has pruned the history of {0} below block {1}, so its keys can't be followed"
    )]
    Pruned(Name, u32),
    /// The name can't be registered.
    #[error("{0} is reserved: {1}")]
    Reserved(Name, Reserved),
    /// Somebody else has the name.
    #[error("{0} is taken: it belongs to {owner}", owner = key_text::owner(.1))]
    Taken(Name, PublicKey),
    /// We own the name already.
    #[error("you own {0} already")]
    Ours(Name),
    /// The name may still go to somebody else.
    #[error("{0} has not settled: its owner can still change")]
    Unsettled(Name),
    /// The lease is over.
    #[error("the lease of {0} is over: it does not resolve and can't be updated")]
    Grace(Name),
    /// The name was revoked.
    #[error("{0} is revoked: it does not resolve and can't be changed")]
    Revoked(Name),
    /// The name has another owner.
    #[error("{name} belongs to {}, and your key is {} [rule {rule}]", key_text::owner(.owner), key_text::owner(.ours))]
    NotOwner {
        /// The name.
        name: Name,
        /// Its owner.
        owner: PublicKey,
        /// The public key of the key file.
        ours: PublicKey,
        /// The rule that asks for it.
        rule: &'static str,
    },
    /// The name is offered to somebody else.
    #[error("{name} is offered to {}, and your key is {} [rule not-recipient]", key_text::owner(.to), key_text::owner(.ours))]
    NotRecipient {
        /// The name.
        name: Name,
        /// Who can accept it.
        to: PublicKey,
        /// The public key of the key file.
        ours: PublicKey,
    },
    /// The name has no recovery key.
    #[error("{0} has no recovery key")]
    NoRecovery(Name),
    /// Words of another recovery key.
    #[error(
        "the words give the recovery key {}, but that of {name} is {} [rule not-recovery]",
        key_text::recovery(Some(.found)),
        key_text::recovery(Some(.needed))
    )]
    OtherWords {
        /// The name.
        name: Name,
        /// Its recovery key.
        needed: PublicKey,
        /// The key that the words give.
        found: PublicKey,
    },
    /// The next block would refuse it.
    #[error("{} [rule {}]", describe_violation(.violation), .violation.id())]
    Rule {
        /// The name.
        name: Name,
        /// The rule that it would break.
        violation: Box<RuleViolation>,
    },
    /// A confirmation is needed, and there is no terminal to ask on.
    #[error("this needs a confirmation, and there is no terminal to ask on")]
    NoTerminal,
    /// The user did not confirm.
    #[error("not confirmed: nothing was signed or sent")]
    NotConfirmed,
    /// Words of another key.
    #[error("the words give the owner key {}, but your key is {}", key_text::owner(.found), key_text::owner(.ours))]
    ForeignWords {
        /// The owner key in the key file.
        ours: PublicKey,
        /// The key that the words give.
        found: PublicKey,
    },
    /// The name has an identity key that is not ours.
    #[error("the identity key of {name}, {}, does not come from your words", key_text::identity(.identity))]
    ForeignIdentity {
        /// The name.
        name: Name,
        /// The present identity key.
        identity: PublicKey,
    },
    /// The name has no messaging record.
    #[error("{0} has no identity key")]
    NoMessaging(Name),
    /// Nothing would change.
    #[error("{0} has exactly this record already")]
    Unchanged(Name),
    /// Not locators.
    #[error(transparent)]
    Locators(#[from] LocatorError),
    /// The last identity key of the words is in use.
    #[error("the words have no identity key left: all {0} were used")]
    NoMoreKeys(u32),
    /// Another operation was recorded with the same sequence number.
    #[error("another operation on {name} was recorded instead: {kind} [rule sequence]")]
    Overtaken {
        /// The name.
        name: Name,
        /// What it is.
        kind: String,
    },
    /// Other names and letters.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// A proof that does not verify.
    #[error("{0}")]
    Proof(#[from] ProofError),
    /// A proof whose block is not on the best chain.
    #[error("the header is not on the node's best chain: {0}")]
    NotOnChain(String),
    /// An older commitment has displaced ours.
    #[error("{name} belongs to {}: an older commitment has displaced your registration", key_text::owner(.owner))]
    Displaced {
        /// The name.
        name: Name,
        /// Its owner.
        owner: PublicKey,
    },
    /// What was submitted is neither waiting nor recorded.
    #[error(
        "the node has dropped {0}: it was pushed out by operations with more work, or overtaken by another"
    )]
    Dropped(String),
    /// What was recorded is neither recorded any more nor waits.
    #[error(
        "a reorganisation has undone what was recorded for {name} at height {height}, and it does not wait to be recorded again"
    )]
    Undone {
        /// The name.
        name: Name,
        /// Where it was recorded.
        height: u32,
    },
    /// A channel.
    #[error(transparent)]
    Channel(#[from] ChannelFailure),
    /// A file without a DNSKEY record of a zone key.
    #[error("{0}: {1}")]
    AnchorFile(PathBuf, String),
    /// Waiting took too long.
    #[error("timed out after {0}: {1}")]
    Timeout(String, String),
    /// The node is not synced.
    #[error("the node is not synced yet (height {0}): its names may be out of date")]
    NotSynced(u32),
    /// The chain follows a branch of the protocol that this program does not know.
    #[error("the chain follows branch {chain} of the protocol, and this zonetool knows {ours}")]
    UpgradeNeeded {
        /// The branch of the chain.
        chain: u32,
        /// The highest that this program knows.
        ours: u32,
    },
}

impl CommandError {
    /// The exact cause.
    pub fn code(&self) -> ErrorCode {
        match self {
            CommandError::Output(_) => ErrorCode::Output,
            CommandError::Usage(_) => ErrorCode::Usage,
            CommandError::Name(..) => ErrorCode::BadName,
            CommandError::Zone(_, ZoneError::File { .. }) => ErrorCode::InputFile,
            CommandError::Zone(..) | CommandError::EmptyZone(_) => ErrorCode::BadZone,
            CommandError::NoTrustedHeader(_) => ErrorCode::NoTrustedHeader,
            CommandError::ZoneDiffers(..) => ErrorCode::ZoneDiffers,
            CommandError::NoTerminal => ErrorCode::NoTerminal,
            CommandError::NotConfirmed => ErrorCode::NotConfirmed,
            CommandError::Locators(_) => ErrorCode::BadAddress,
            CommandError::Key(error) => key_code(error),
            CommandError::AnchorFile(..) => ErrorCode::AnchorFile,
            CommandError::NotOwner { .. } => ErrorCode::NotOwner,
            CommandError::NotRecipient { .. } => ErrorCode::NotRecipient,
            CommandError::NoRecovery(_) => ErrorCode::NoRecoveryKey,
            CommandError::OtherWords { .. } | CommandError::ForeignWords { .. } => {
                ErrorCode::WrongMnemonic
            }
            CommandError::ForeignIdentity { .. } => ErrorCode::NotOurIdentity,
            CommandError::NoMoreKeys(_) => ErrorCode::NoMoreIdentities,
            CommandError::Rule { violation, .. } => rule_code(violation.id()),
            CommandError::Peer(error) => error.code(),
            CommandError::Proof(ProofError::File { .. }) => ErrorCode::InputFile,
            CommandError::Proof(ProofError::GivenHeader(_)) => ErrorCode::Usage,
            CommandError::Proof(ProofError::OtherNetwork { .. }) => ErrorCode::OtherNetwork,
            CommandError::Proof(_) => ErrorCode::BadProof,
            CommandError::NotOnChain(_) => ErrorCode::NotOnChain,
            CommandError::Channel(error) => error.code(),
            CommandError::Client(error) => client_code(error),
            CommandError::Records(_) | CommandError::Messaging(_) => ErrorCode::NotANode,
            CommandError::NotRegistered(_)
            | CommandError::RegistrationPending(_)
            | CommandError::CommitmentOpen(..) => ErrorCode::NotRegistered,
            CommandError::Pruned(..) => ErrorCode::Pruned,
            CommandError::NoMessaging(_) => ErrorCode::NoIdentity,
            CommandError::Reserved(..) => ErrorCode::Reserved,
            CommandError::Taken(..) => ErrorCode::Taken,
            CommandError::Ours(_) => ErrorCode::AlreadyYours,
            CommandError::Grace(_) => ErrorCode::InGrace,
            CommandError::Revoked(_) => ErrorCode::Revoked,
            CommandError::Unsettled(_) => ErrorCode::Settling,
            CommandError::Unchanged(_) => ErrorCode::Unchanged,
            CommandError::Displaced { .. } => ErrorCode::Displaced,
            CommandError::Overtaken { .. } => ErrorCode::Overtaken,
            CommandError::Undone { .. } => ErrorCode::Undone,
            CommandError::Dropped(_) => ErrorCode::Dropped,
            CommandError::Timeout(..) => ErrorCode::Timeout,
            CommandError::NoBan(_) => ErrorCode::NotFound,
            CommandError::NotSynced(_) => ErrorCode::NotSynced,
            CommandError::UpgradeNeeded { .. } => ErrorCode::UpgradeNeeded,
        }
    }

    /// The rule of the chain that refuses, if one does.
    fn rule(&self) -> Option<String> {
        match self {
            CommandError::Rule { violation, .. } => Some(violation.id().to_owned()),
            CommandError::Client(ClientError::Refused(refusal)) => refusal.rule.clone(),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            CommandError::Key(error) => return error.hint(),
            CommandError::Channel(error) => return error.hint(),
            CommandError::Peer(error) => return error.hint(),
            CommandError::Client(ClientError::Refused(refusal)) => return refusal.hint.clone(),
            CommandError::Client(ClientError::Unreachable { node, .. })
                if node.starts_with("https://") =>
            {
                "a node speaks http unless something in front of it speaks https: try http:// in \
                 the URL"
                    .into()
            }
            CommandError::Client(ClientError::NeedsSocket) => {
                "leave --node away, name the data directory of the node with --data-dir DIR, or \
                 its socket with --node unix:PATH"
                    .into()
            }
            CommandError::Client(ClientError::NoSocket(_)) => {
                "start a node with: resolver --dev, or name the data directory of the one that \
                 runs with --data-dir DIR"
                    .into()
            }
            CommandError::Client(ClientError::SocketDenied(_)) => {
                "run this as the user that runs the node: sudo -u USER zonetool ...".into()
            }
            CommandError::Client(ClientError::ManySockets(_)) => {
                "say which one is meant: --data-dir DIR".into()
            }
            CommandError::NoBan(_) => "to list the bans: zonetool bans".into(),
            CommandError::Client(ClientError::Unreachable { .. }) => {
                "start a node with: resolver --dev, or name another with --node URL"
                    .into()
            }
            CommandError::Client(ClientError::NotANode { .. }) => {
                "give the node's URL with --node URL".into()
            }
            CommandError::Client(ClientError::OtherNetwork { .. }) => {
                "name another node with --node URL, or give its network".into()
            }
            CommandError::Client(ClientError::BadUrl(..)) => {
                "for example --node http://127.0.0.1:7380".into()
            }
            CommandError::Name(text, NameError::Character(_)) => return Some(hint_to_name(text)),
            CommandError::Pruned(..) => ASK_ANOTHER.into(),
            CommandError::NotRegistered(name) => {
                format!("to register it: zonetool register {name} --zone FILE")
            }
            CommandError::RegistrationPending(name) | CommandError::CommitmentOpen(name, _) => {
                format!("to go on with it: zonetool register {name} --zone FILE --wait")
            }
            CommandError::Reserved(..)
            | CommandError::Taken(..)
            | CommandError::Displaced { .. } => "choose another name".into(),
            CommandError::Revoked(name) => {
                format!("its recovery key can undo that: zonetool recover {name} --owner mine")
            }
            CommandError::Unsettled(_) => "give the owner's key instead of the name, or wait".into(),
            CommandError::Ours(name) => {
                format!("to change its zone: zonetool update {name} --zone FILE")
            }
            CommandError::Grace(name) => {
                format!("its owner or recovery key can renew it: zonetool renew {name}")
            }
            CommandError::NotOwner { .. } => "give the directory of the owner's key: --keys DIR".into(),
            CommandError::NotRecipient { .. } => {
                "give the directory of the key that it is offered to: --keys DIR".into()
            }
            CommandError::NoRecovery(_) => "only its owner's key can sign for it".into(),
            CommandError::OtherWords { .. } | CommandError::ForeignWords { .. } => {
                "type the 24 words that belong to that key".into()
            }
            CommandError::ForeignIdentity { name, .. } => {
                format!(
                    "to replace it by yours, without a link: zonetool peer publish {name} --index 0"
                )
            }
            CommandError::NoMessaging(name) => {
                format!("its owner can publish one: zonetool peer publish {name}")
            }
            CommandError::NoMoreKeys(_) => {
                "use the first again, without a link: --index 0".into()
            }
            CommandError::Rule { name, violation, .. } => return hint_to_rule(name, violation),
            CommandError::EmptyZone(_) => "to remove all records, give --empty".into(),
            CommandError::NoTrustedHeader(_) => {
                "give a header that you trust (--header HEX), a node to ask (--node URL), or --trust-file-header".into()
            }
            CommandError::NoTerminal => "confirm with --yes, or look first with --dry-run".into(),
            CommandError::Overtaken { name, .. } => {
                format!("to see what it did: zonetool history {name}")
            }
            CommandError::Proof(error) => return error.hint().map(str::to_owned),
            CommandError::NotOnChain(_) => "get another proof: zonetool prove NAME".into(),
            CommandError::Dropped(_) | CommandError::Undone { .. } | CommandError::Timeout(..) => {
                "run the same command again: it continues where it stopped".into()
            }
            CommandError::NotSynced(_) => {
                "try again later; zonetool status shows the progress".into()
            }
            CommandError::UpgradeNeeded { .. } => {
                "upgrade zonetool: what it signs would not be valid".into()
            }
            _ => return None,
        })
    }

    /// What is shown of it.
    pub fn report(&self) -> ErrorReport {
        let code = self.code();
        ErrorReport {
            code: code.as_str(),
            exit: code.exit() as u8,
            message: self.to_string(),
            hint: self.hint(),
            rule: self.rule(),
        }
    }
}

fn key_code(error: &KeyError) -> ErrorCode {
    match error {
        KeyError::Missing(_) | KeyError::NoHome => ErrorCode::NoKey,
        KeyError::Exists(_) => ErrorCode::KeyExists,
        KeyError::Exposed { .. } | KeyError::ExposedDirectory { .. } => ErrorCode::KeyExposed,
        KeyError::Malformed { .. } | KeyError::Cipher(_) | KeyError::File { .. } => {
            ErrorCode::KeyFile
        }
        KeyError::WrongPassphrase
        | KeyError::NoTerminal
        | KeyError::EmptyPassphrase
        | KeyError::DifferentPassphrases => ErrorCode::Passphrase,
        KeyError::InvalidMnemonic(_) | KeyError::NoWords => ErrorCode::BadMnemonic,
        KeyError::Random(_) => ErrorCode::Randomness,
    }
}

fn client_code(error: &ClientError) -> ErrorCode {
    match error {
        ClientError::BadUrl(..) => ErrorCode::BadUrl,
        ClientError::Setup(_) => ErrorCode::Setup,
        ClientError::NeedsSocket | ClientError::ManySockets(_) => ErrorCode::Usage,
        ClientError::Unreachable { .. } | ClientError::NoSocket(_) => ErrorCode::NodeUnreachable,
        ClientError::SocketDenied(_) => ErrorCode::SocketDenied,
        ClientError::NotANode { .. } => ErrorCode::NotANode,
        ClientError::OtherNetwork { .. } => ErrorCode::OtherNetwork,
        ClientError::Refused(refusal) => match (&refusal.rule, refusal.code.as_str()) {
            (Some(rule), _) => rule_code(rule),
            (_, "not-found") => ErrorCode::NotFound,
            (_, "pruned") => ErrorCode::Pruned,
            (_, "unavailable") => ErrorCode::NotSynced,
            (_, "bad-request") => ErrorCode::BadRequest,
            _ => ErrorCode::NodeRefused,
        },
    }
}

/// The code of a broken rule. Where the same problem can be found before anything is sent, the code
/// is the same.
fn rule_code(rule: &str) -> ErrorCode {
    match rule {
        "not-owner" | "not-keyholder" | "not-recovery" | "signature" | "possession"
        | "link-signature" | "link-identity" | "link-announced" => ErrorCode::NotOwner,
        "not-recipient" => ErrorCode::NotRecipient,
        "name-unregistered" => ErrorCode::NotRegistered,
        "name-taken" => ErrorCode::Taken,
        "name-reserved" => ErrorCode::Reserved,
        "name-in-grace" => ErrorCode::InGrace,
        "name-revoked" => ErrorCode::Revoked,
        "name-settling" => ErrorCode::Settling,
        "commitment-underpaid" => ErrorCode::CommitmentUnderpaid,
        _ => ErrorCode::Rule,
    }
}

/// What a rule refuses, with dates in place of Unix times.
fn describe_violation(violation: &RuleViolation) -> String {
    let date = |time: u64| describe_time(time, clock::unix());
    match violation {
        RuleViolation::RenewEarly(from) => {
            format!("the name can be renewed from {} on", date(*from))
        }
        RuleViolation::RenewExpires(expires) => {
            format!("the renewal is not of the lease that ends {}", date(*expires))
        }
        RuleViolation::TransferYoung(from) => format!(
            "the transfer can be accepted from {} on, at height {} at the earliest",
            date(from.time),
            from.height
        ),
        other => other.to_string(),
    }
}

/// What to write instead of `text`, which is no name.
fn hint_to_name(text: &str) -> String {
    let labels = text.trim_end_matches('.').to_lowercase();
    let labels = labels.strip_suffix(".namechain.alt").unwrap_or(&labels);
    let (below, name) = labels.rsplit_once('.').map_or((None, labels), |(a, b)| (Some(a), b));
    let ascii = match name.is_ascii() {
        true => name.to_owned(),
        false => match idn::encode_label(name) {
            Some(label) => label,
            None => return "a name is one label of letters, digits and hyphens".into(),
        },
    };
    match below {
        _ if Name::parse(&ascii).is_err() => "a name is one label, such as alice".into(),
        Some(below) => format!("the name is {ascii}; {below} is a record in its zone"),
        None => format!("write it as {ascii}"),
    }
}

fn hint_to_rule(name: &Name, violation: &RuleViolation) -> Option<String> {
    Some(match violation {
        RuleViolation::RenewEarly(_) | RuleViolation::TransferYoung(_) => {
            "run the same command again then".into()
        }
        RuleViolation::TransferPending(_) => {
            format!("cancel that offer first: zonetool cancel {name}")
        }
        RuleViolation::TransferMissing(_) => format!("to see its state: zonetool show {name}"),
        RuleViolation::NameSettling(_) => {
            format!("wait until it has settled; to see when: zonetool show {name}")
        }
        RuleViolation::NameRevoked(_) => {
            format!("its recovery key can undo that: zonetool recover {name} --owner mine")
        }
        RuleViolation::NameInGrace(_) => format!("renew it first: zonetool renew {name}"),
        other => return other.hint().map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_other_forms_are_understood() {
        for (text, hint) in [
            ("alice.", "write it as alice"),
            ("Alice.namechain.alt.", "write it as alice"),
            ("www.alice", "the name is alice; www is a record in its zone"),
            ("www.alice.namechain.alt", "the name is alice; www is a record in its zone"),
            ("b\u{fc}cher", "write it as xn--bcher-kva"),
            ("a_b", "a name is one label, such as alice"),
            ("", "a name is one label, such as alice"),
        ] {
            assert_eq!(hint_to_name(text), hint, "{text}");
        }
    }
}
