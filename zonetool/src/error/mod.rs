//! Errors of every command: what happened, what to do, and the code for scripts.

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
    keys::KeyError,
    proof::ProofError,
    ui::{ErrorReport, OutputError},
    zone::ZoneError,
};

/// Why a command ends without its result.
#[derive(Debug, Error)]
pub enum CommandError {
    /// Standard output takes no more.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// Arguments that don't go together.
    #[error("{0}")]
    Usage(&'static str),
    /// Not a name.
    #[error("'{0}' is not a name: {1}")]
    Name(String, NameError),
    /// Not a zone for the name.
    #[error("{}", match .1 { ZoneError::File { .. } | ZoneError::FileTooLarge(_) => .1.to_string(), other => format!("{}: {other}", .0.display()) })]
    Zone(PathBuf, ZoneError),
    /// A zone without a record, and nobody said that it is meant.
    #[error("{}: there is no record in it", .0.display())]
    EmptyZone(PathBuf),
    /// A proof whose header was checked against nothing.
    #[error(
        "the proof is sound, but nothing says that its header is on the chain: it has only its own work, {0} expected hashes"
    )]
    NoTrustedHeader(String),
    /// The proven records are not those of the zone file.
    #[error("the proven records of {0} are not those of the zone file: {1}")]
    ZoneDiffers(Name, String),
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The node, or the way to it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The node says something about a name that can't be.
    #[error("the node gives records that no name can hold: {0}")]
    Records(String),
    /// The node says that a name has a messaging record that can't be.
    #[error("the node gives a messaging record that no name can have: {0}")]
    Messaging(String),
    /// Nobody has the name.
    #[error("{0} is not registered")]
    NotRegistered(Name),
    /// Nobody can have the name.
    #[error("{0} is reserved: {1}")]
    Reserved(Name, Reserved),
    /// Somebody else has the name.
    #[error("{0} is taken, by {1}")]
    Taken(Name, PublicKey),
    /// The name is ours.
    #[error("{0} is yours already")]
    Ours(Name),
    /// The lease is over.
    #[error("the lease of {0} is over: it neither resolves nor can it be updated")]
    Grace(Name),
    /// The name was revoked.
    #[error("{0} was revoked: it is nobody's until its lease ends")]
    Revoked(Name),
    /// The name is somebody else's.
    #[error("{name} belongs to {owner}, your key is {ours} [rule {rule}]")]
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
    #[error("{name} is offered to {to}, your key is {ours} [rule not-recipient]")]
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
        "the words make the recovery key {found}, that of {name} is {needed} [rule not-recovery]"
    )]
    OtherWords {
        /// The name.
        name: Name,
        /// Its recovery key.
        needed: PublicKey,
        /// What the words make.
        found: PublicKey,
    },
    /// The next block would refuse it.
    #[error("{violation}{} [rule {}]", next_block(.violation, *.next), .violation.id())]
    Rule {
        /// The name.
        name: Name,
        /// The rule that it would break.
        violation: RuleViolation,
        /// The height of the next block.
        next: u32,
    },
    /// An agreement is needed, and there is no terminal.
    #[error("this takes your agreement, and there is no terminal to ask for it")]
    NobodyToAsk,
    /// The question was answered with no.
    #[error("not agreed: nothing was signed or sent")]
    NotAgreed,
    /// Words of another key.
    #[error("the words make the owner's key {found}, yours is {ours}")]
    ForeignWords {
        /// The owner's key in the key file.
        ours: PublicKey,
        /// What the words make.
        found: PublicKey,
    },
    /// Somebody else's identity key speaks for the name.
    #[error("{identity}, which speaks for {name}, is none of the identity keys of your words")]
    ForeignIdentity {
        /// The name.
        name: Name,
        /// The identity key that stands.
        identity: PublicKey,
    },
    /// No key speaks for the name.
    #[error("no key speaks for {0}")]
    NoMessaging(Name),
    /// Nothing would change.
    #[error("this is recorded for {0} already")]
    Unchanged(Name),
    /// Not locators.
    #[error(transparent)]
    Locators(#[from] LocatorError),
    /// The last identity key of the words stands.
    #[error("the words have no identity keys any more: {0} were used")]
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
    /// A proof that proves nothing.
    #[error("{0}")]
    Proof(#[from] ProofError),
    /// A proof whose block is not where it says.
    #[error("the header proves nothing about the chain: {0}")]
    NotOnChain(String),
    /// A commitment of ours that is worth less than the name costs.
    #[error(
        "your commitment to {name} carries {paid} hashes of work, the name costs {price}; it lapses at height {lapses}"
    )]
    CommitmentUnderpaid {
        /// The name.
        name: Name,
        /// The commitment's work.
        paid: u64,
        /// What the registration costs.
        price: u64,
        /// When it lapses.
        lapses: u32,
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
    /// A file without a key that names are signed with.
    #[error("{0}: {1}")]
    AnchorFile(PathBuf, String),
    /// Waiting took too long.
    #[error("gave up after {0} of waiting: {1}")]
    Timeout(String, String),
    /// The node is not synced.
    #[error("the node is not synced yet (height {0}): what it says of names may be old")]
    NotSynced(u32),
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
            CommandError::NobodyToAsk => ErrorCode::NoTerminal,
            CommandError::NotAgreed => ErrorCode::NotAgreed,
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
            CommandError::Proof(_) => ErrorCode::BadProof,
            CommandError::NotOnChain(_) => ErrorCode::NotOnChain,
            CommandError::Channel(error) => error.code(),
            CommandError::Client(error) => client_code(error),
            CommandError::Records(_) | CommandError::Messaging(_) => ErrorCode::NotANode,
            CommandError::NotRegistered(_) => ErrorCode::NotRegistered,
            CommandError::NoMessaging(_) => ErrorCode::NoIdentity,
            CommandError::Reserved(..) => ErrorCode::Reserved,
            CommandError::Taken(..) => ErrorCode::Taken,
            CommandError::Ours(_) => ErrorCode::AlreadyYours,
            CommandError::Grace(_) => ErrorCode::InGrace,
            CommandError::Revoked(_) => ErrorCode::Revoked,
            CommandError::Unchanged(_) => ErrorCode::Unchanged,
            CommandError::CommitmentUnderpaid { .. } => ErrorCode::CommitmentUnderpaid,
            CommandError::Overtaken { .. } => ErrorCode::Overtaken,
            CommandError::Undone { .. } => ErrorCode::Undone,
            CommandError::Dropped(_) => ErrorCode::Dropped,
            CommandError::Timeout(..) => ErrorCode::Timeout,
            CommandError::NotSynced(_) => ErrorCode::NotSynced,
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
            CommandError::Client(ClientError::Unreachable { .. }) => {
                "is a node running? start one with: resolver, or name another with --node URL"
                    .into()
            }
            CommandError::Client(ClientError::NotANode { .. }) => {
                "give the node's URL with --node URL".into()
            }
            CommandError::Client(ClientError::BadUrl(..)) => {
                "for example --node http://127.0.0.1:7380".into()
            }
            CommandError::Name(_, NameError::Character(_)) => {
                "give the label alone, in ASCII: an internationalized name in its xn-- form".into()
            }
            CommandError::NotRegistered(name) => {
                format!("to register it: zonetool register {name} --zone FILE")
            }
            CommandError::Reserved(..) | CommandError::Taken(..) | CommandError::Revoked(_) => {
                "choose another name".into()
            }
            CommandError::Ours(name) => {
                format!("to change its zone: zonetool update {name} --zone FILE")
            }
            CommandError::Grace(name) => {
                format!("its owner or recovery key can renew it: zonetool renew {name}")
            }
            CommandError::NotOwner { .. } => "use the owner's key: --keys DIR".into(),
            CommandError::NotRecipient { .. } => {
                "use the key that it is offered to: --keys DIR".into()
            }
            CommandError::NoRecovery(_) => "only its owner's key can sign for it".into(),
            CommandError::OtherWords { .. } | CommandError::ForeignWords { .. } => {
                "give the 24 words that were written down with that key".into()
            }
            CommandError::ForeignIdentity { name, .. } => {
                format!(
                    "to put yours in its place, without a link: zonetool peer publish {name} --index 0"
                )
            }
            CommandError::NoMessaging(name) => {
                format!("its owner can publish one: zonetool peer publish {name}")
            }
            CommandError::NoMoreKeys(_) => {
                "publish one of the first again, without a link: --index 0".into()
            }
            CommandError::Rule { name, violation, .. } => return hint_to_rule(name, violation),
            CommandError::EmptyZone(_) => "give --empty if the name is to hold nothing".into(),
            CommandError::NoTrustedHeader(_) => {
                "give a header that you trust (--header HEX) or a node (--node URL), or --trust-file-header to see what it says".into()
            }
            CommandError::NobodyToAsk => "give --yes, or look first with --dry-run".into(),
            CommandError::Overtaken { name, .. } => {
                format!("see what it did: zonetool history {name}")
            }
            CommandError::Proof(error) => return error.hint().map(str::to_owned),
            CommandError::NotOnChain(_) => "get another proof: zonetool prove NAME".into(),
            CommandError::CommitmentUnderpaid { .. } => {
                "run the same command again after that height".into()
            }
            CommandError::Dropped(_) | CommandError::Undone { .. } | CommandError::Timeout(..) => {
                "run the same command again: it goes on where it was".into()
            }
            CommandError::NotSynced(_) => {
                "zonetool status shows how far it is; try again later".into()
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
        KeyError::Mnemonic(_) => ErrorCode::BadMnemonic,
        KeyError::Random(_) => ErrorCode::Randomness,
    }
}

fn client_code(error: &ClientError) -> ErrorCode {
    match error {
        ClientError::BadUrl(..) => ErrorCode::BadUrl,
        ClientError::Setup(_) => ErrorCode::Setup,
        ClientError::Unreachable { .. } => ErrorCode::NodeUnreachable,
        ClientError::NotANode { .. } => ErrorCode::NotANode,
        ClientError::Refused(refusal) => match (&refusal.rule, refusal.code.as_str()) {
            (Some(rule), _) => rule_code(rule),
            (_, "not-found") => ErrorCode::NotFound,
            (_, "unavailable") => ErrorCode::NotSynced,
            (_, "bad-request") => ErrorCode::BadRequest,
            _ => ErrorCode::NodeRefused,
        },
    }
}

/// The code of a broken rule: those that ask for another key, or for a name that is there, have
/// that of the same error found before anything was sent.
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
        "commitment-underpaid" => ErrorCode::CommitmentUnderpaid,
        _ => ErrorCode::Rule,
    }
}

/// Where the chain is, for the rules that say from where on something is possible.
fn next_block(violation: &RuleViolation, next: u32) -> String {
    match violation {
        RuleViolation::RenewEarly(_) | RuleViolation::TransferYoung(_) => {
            format!(", the next block is {next}")
        }
        _ => String::new(),
    }
}

fn hint_to_rule(name: &Name, violation: &RuleViolation) -> Option<String> {
    Some(match violation {
        RuleViolation::RenewEarly(from) => {
            format!("run the same command again when height {from} is next")
        }
        RuleViolation::TransferYoung(from) => {
            format!("run the same command again when height {from} is next")
        }
        RuleViolation::TransferPending(_) => {
            format!("withdraw that offer first: zonetool cancel {name}")
        }
        RuleViolation::TransferMissing(_) => format!("see where it stands: zonetool show {name}"),
        RuleViolation::NameInGrace(_) => format!("renew it first: zonetool renew {name}"),
        other => return other.hint().map(str::to_owned),
    })
}
