//! One file a command, and what they share: the error with its exit code, and waiting.

mod cache;
mod dry_run;
mod history;
mod key;
mod mnemonic;
mod ops;
mod peer;
mod peers;
mod preflight;
mod prove;
mod register;
mod scan;
mod show;
mod status;
mod submit;
mod trace;
mod trust_anchor;
mod update;
mod verify;
mod wait;
mod zone;

use std::path::{Path, PathBuf};

use namechain_core::{
    api_types::{MessagingInfo, NameEntryInfo, NameInfo},
    consensus::RuleViolation,
    types::{
        Action, LocatorError, MessagingEntry, Name, NameError, PublicKey, Record, RecordError,
        RecordSet, Reserved,
    },
};
use thiserror::Error;

use peer::PeerError;

use crate::{
    cli::{Cli, Command},
    client::{Client, ClientError},
    keys::{self, KeyError, Passphrases},
    proof::ProofError,
    ui::{ErrorReport, Ui},
    zone::ZoneError,
};

/// Exit codes; `zonetool --help` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The node refuses for a reason that has no code of its own.
    Refused = 1,
    /// Wrong usage, a bad name, a bad zone file.
    Usage = 2,
    /// The name is not registered.
    NotFound = 3,
    /// A key that is missing, wrong or not the owner's.
    Key = 4,
    /// No node answers.
    Unreachable = 5,
    /// Waiting took too long.
    Timeout = 6,
    /// Taken, reserved, ours already, stale.
    Conflict = 7,
    /// The node is not synced.
    NotSynced = 8,
    /// A proof does not verify.
    Unproven = 9,
    /// A name's keys are not those that were seen before.
    Changed = 10,
    /// A letter that was changed, or is none.
    Damaged = 11,
    /// A letter for somebody else.
    NotForUs = 12,
    /// A letter that was written to somebody else.
    Readdressed = 13,
    /// A letter out of its time.
    Expired = 14,
    /// A letter that came before.
    Replayed = 15,
    /// A letter that is not from whom it says.
    Sender = 16,
    /// Pins, or letters seen, can't be used.
    PinStore = 17,
    /// There is no bundle to seal to, or a bad one.
    Bundle = 18,
    /// Somebody else answers a call.
    OtherPeer = 19,
    /// The other side refuses.
    Rejected = 20,
    /// Nobody answers a call, or it broke.
    NoChannel = 21,
}

impl Exit {
    fn code(self) -> &'static str {
        match self {
            Exit::Refused => "refused",
            Exit::Usage => "usage",
            Exit::NotFound => "not-found",
            Exit::Key => "key",
            Exit::Unreachable => "unreachable",
            Exit::Timeout => "timeout",
            Exit::Conflict => "conflict",
            Exit::NotSynced => "not-synced",
            Exit::Unproven => "unproven",
            Exit::Changed => "changed",
            Exit::Damaged => "damaged",
            Exit::NotForUs => "not-for-us",
            Exit::Readdressed => "readdressed",
            Exit::Expired => "expired",
            Exit::Replayed => "replayed",
            Exit::Sender => "sender",
            Exit::PinStore => "memory",
            Exit::Bundle => "bundle",
            Exit::OtherPeer => "other-peer",
            Exit::Rejected => "turned-away",
            Exit::NoChannel => "no-channel",
        }
    }
}

/// Why a command ends without its result.
#[derive(Debug, Error)]
pub enum CommandError {
    /// Arguments that don't go together.
    #[error("{0}")]
    Usage(&'static str),
    /// Not a name.
    #[error("'{0}' is not a name: {1}")]
    Name(String, NameError),
    /// Not a zone for the name.
    #[error("{}", match .1 { ZoneError::File { .. } | ZoneError::FileTooLarge(_) => .1.to_string(), other => format!("{}: {other}", .0.display()) })]
    Zone(PathBuf, ZoneError),
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
    Channel(#[from] peer::ChannelFailure),
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
    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            CommandError::Usage(_)
            | CommandError::Name(..)
            | CommandError::Zone(..)
            | CommandError::NobodyToAsk
            | CommandError::NotAgreed
            | CommandError::Locators(_) => Exit::Usage,
            CommandError::Key(_)
            | CommandError::AnchorFile(..)
            | CommandError::NotOwner { .. }
            | CommandError::NotRecipient { .. }
            | CommandError::NoRecovery(_)
            | CommandError::OtherWords { .. }
            | CommandError::ForeignWords { .. }
            | CommandError::ForeignIdentity { .. }
            | CommandError::NoMoreKeys(_) => Exit::Key,
            CommandError::Rule { violation, .. } => {
                rule_exit(violation.id()).unwrap_or(Exit::Refused)
            }
            CommandError::Peer(error) => error.exit(),
            CommandError::Proof(error) if error.is_usage() => Exit::Usage,
            CommandError::Proof(_) | CommandError::NotOnChain(_) => Exit::Unproven,
            CommandError::Channel(error) => error.exit(),
            CommandError::Client(error) => client_exit(error),
            CommandError::Records(_) | CommandError::Messaging(_) => Exit::Unreachable,
            CommandError::NotRegistered(_) | CommandError::NoMessaging(_) => Exit::NotFound,
            CommandError::Reserved(..)
            | CommandError::Taken(..)
            | CommandError::Ours(_)
            | CommandError::Grace(_)
            | CommandError::Revoked(_)
            | CommandError::Unchanged(_)
            | CommandError::CommitmentUnderpaid { .. }
            | CommandError::Overtaken { .. }
            | CommandError::Undone { .. }
            | CommandError::Dropped(_) => Exit::Conflict,
            CommandError::Timeout(..) => Exit::Timeout,
            CommandError::NotSynced(_) => Exit::NotSynced,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            CommandError::Key(error) => return error.hint(),
            CommandError::Channel(error) => return error.hint(),
            CommandError::Peer(error) => return error.hint(),
            CommandError::Client(ClientError::Refused(refusal)) => return refusal.hint.clone(),
            CommandError::Client(ClientError::Unreachable { .. }) => {
                "is it running? start it with: cargo run --release --bin resolver -- --dev, or give --node URL".into()
            }
            CommandError::Client(ClientError::NotANode { .. }) => "give the node's URL with --node URL".into(),
            CommandError::Client(ClientError::BadUrl(..)) => "for example --node http://127.0.0.1:7380".into(),
            CommandError::Name(_, NameError::Character(_)) => {
                "give the label alone, in ASCII: an internationalized name in its xn-- form".into()
            }
            CommandError::NotRegistered(name) => format!("it can be had: zonetool register {name} --zone FILE"),
            CommandError::Reserved(..) | CommandError::Taken(..) | CommandError::Revoked(_) => "choose another name".into(),
            CommandError::Ours(name) => format!("to change its zone: zonetool update {name} --zone FILE"),
            CommandError::Grace(name) => format!("its owner or recovery key can renew it: zonetool renew {name}"),
            CommandError::NotOwner { .. } => "use the owner's key: --keys DIR".into(),
            CommandError::NotRecipient { .. } => "use the key that it is offered to: --keys DIR".into(),
            CommandError::NoRecovery(_) => "only its owner's key can sign for it".into(),
            CommandError::OtherWords { .. } | CommandError::ForeignWords { .. } => {
                "give the 24 words that were written down with that key".into()
            }
            CommandError::ForeignIdentity { name, .. } => {
                format!("to put yours in its place, without a link: zonetool peer publish {name} --index 0")
            }
            CommandError::NoMessaging(name) => format!("its owner can publish one: zonetool peer publish {name}"),
            CommandError::NoMoreKeys(_) => "publish one of the first again, without a link: --index 0".into(),
            CommandError::Rule { name, violation, .. } => return hint_to_rule(name, violation),
            CommandError::NobodyToAsk => "give --yes, or look first with --dry-run".into(),
            CommandError::Overtaken { name, .. } => format!("see what it did: zonetool history {name}"),
            CommandError::Proof(error) => return error.hint().map(str::to_owned),
            CommandError::NotOnChain(_) => "get another proof: zonetool prove NAME".into(),
            CommandError::CommitmentUnderpaid { .. } => "run the same command again after that height".into(),
            CommandError::Dropped(_) | CommandError::Undone { .. } | CommandError::Timeout(..) => {
                "run the same command again: it goes on where it was".into()
            }
            CommandError::NotSynced(_) => "zonetool status shows how far it is; try again later".into(),
            _ => return None,
        })
    }

    /// What is shown of it.
    pub fn report(&self) -> ErrorReport {
        let exit = self.exit();
        ErrorReport {
            code: exit.code(),
            exit: exit as u8,
            message: self.to_string(),
            hint: self.hint(),
        }
    }
}

fn client_exit(error: &ClientError) -> Exit {
    match error {
        ClientError::BadUrl(..) => Exit::Usage,
        ClientError::Setup(_) | ClientError::Unreachable { .. } | ClientError::NotANode { .. } => {
            Exit::Unreachable
        }
        ClientError::Refused(refusal) => {
            match (refusal.rule.as_deref().and_then(rule_exit), refusal.code.as_str()) {
                (Some(exit), _) => exit,
                (_, "not-found") => Exit::NotFound,
                (_, "conflict") => Exit::Conflict,
                (_, "unavailable") => Exit::NotSynced,
                (_, "bad-request") => Exit::Usage,
                _ => Exit::Refused,
            }
        }
    }
}

/// The exit code of a broken rule, for those that have one.
fn rule_exit(rule: &str) -> Option<Exit> {
    Some(match rule {
        "not-owner" | "not-keyholder" | "not-recovery" | "not-recipient" | "signature"
        | "possession" | "link-signature" | "link-identity" | "link-announced" => Exit::Key,
        "name-unregistered" => Exit::NotFound,
        "name-taken"
        | "name-reserved"
        | "name-in-grace"
        | "name-revoked"
        | "sequence"
        | "commitment-open"
        | "commitment-unknown"
        | "commitment-young"
        | "commitment-underpaid"
        | "renew-early"
        | "transfer-pending"
        | "transfer-missing"
        | "transfer-young"
        | "messaging-sequence"
        | "messaging-previous" => Exit::Conflict,
        _ => return None,
    })
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

/// Where keys are and how to open them.
struct Keystore {
    directory: PathBuf,
    passphrases: Passphrases,
}

/// Runs the command.
pub fn run(cli: Cli, ui: Ui) -> Result<(), CommandError> {
    let global = cli.global;
    let client = || Client::new(&global.node);
    let keys = || {
        let directory = match &global.keys {
            Some(directory) => directory.clone(),
            None => keys::default_directory()?,
        };
        let passphrases = Passphrases::new(global.passphrase_file.clone(), ui);
        Ok::<_, KeyError>(Keystore { directory, passphrases })
    };
    match cli.command {
        Command::Key(command) => key::run(ui, client, &keys()?, &command),
        Command::Register(args) => register::run(ui, client()?, &keys()?, &args),
        Command::Update(args) => update::run(ui, client()?, &keys()?, &args),
        Command::Renew(args) => ops::keyholder(ui, client()?, &keys()?, &args, Action::Renew),
        Command::Transfer(args) => ops::transfer(ui, client()?, &keys()?, &args),
        Command::Accept(args) => ops::accept(ui, client()?, &keys()?, &args),
        Command::Cancel(args) => ops::keyholder(ui, client()?, &keys()?, &args, Action::Cancel),
        Command::Recover(args) => ops::recover(ui, client()?, &keys()?, &args),
        Command::Revoke(args) => ops::keyholder(ui, client()?, &keys()?, &args, Action::Revoke),
        Command::Peer(command) => peer::run(ui, client()?, &keys()?, &command),
        Command::History(args) => history::run(ui, &client()?, &args),
        Command::Prove(args) => prove::run(ui, &client()?, &args),
        Command::Verify(args) => {
            let node = if global.node_given { Some(client()?) } else { None };
            verify::run(ui, node.as_ref(), &args)
        }
        Command::Show(args) => show::run(ui, &client()?, &args),
        Command::Zone(args) => zone::run(ui, &client()?, &args),
        Command::Status(args) => status::run(ui, &client()?, &args),
        Command::Peers => peers::run(ui, &client()?),
        Command::Trace(args) => trace::run(ui, &client()?, &args),
        Command::Cache(command) => cache::run(ui, &client()?, &command),
        Command::TrustAnchor(args) => trust_anchor::run(ui, client, &args),
    }
}

/// A name as people type it: in any case.
fn parse_name(text: &str) -> Result<Name, CommandError> {
    Name::parse(&text.to_ascii_lowercase())
        .map_err(|error| CommandError::Name(text.to_owned(), error))
}

fn load_zone(ui: Ui, name: &Name, path: &Path) -> Result<RecordSet, CommandError> {
    let zone = crate::zone::load(name, path)
        .map_err(|error| CommandError::Zone(path.to_owned(), error))?;
    for note in &zone.notes {
        ui.print_note(&format!("{}: {note}", path.display()));
    }
    if zone.records.is_empty() {
        ui.print_note(&format!(
            "{}: no records: the name will exist and hold nothing",
            path.display()
        ));
    }
    Ok(zone.records)
}

/// The messaging record that a node gives for a name, from its bytes.
fn messaging_of(entry: &NameEntryInfo) -> Result<Option<MessagingEntry>, CommandError> {
    let entry = entry.messaging.as_ref().map(MessagingInfo::entry).transpose();
    entry.map_err(|error| CommandError::Messaging(error.to_string()))
}

/// The records that a node gives for a name.
fn records_of(info: &NameInfo) -> Result<RecordSet, CommandError> {
    let records = info
        .entry
        .iter()
        .flat_map(|entry| &entry.records)
        .map(Record::try_from)
        .collect::<Result<_, _>>();
    records
        .map_err(|error| error.to_string())
        .and_then(|records| RecordSet::new(records).map_err(|error: RecordError| error.to_string()))
        .map_err(CommandError::Records)
}
