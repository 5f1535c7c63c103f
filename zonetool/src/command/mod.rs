//! One file a command, and what they share: the error with its exit code, and waiting.

mod key;
mod publish;
mod register;
mod show;
mod status;
mod update;
mod wait;
mod zone;

use std::path::{Path, PathBuf};

use namechain::{
    rpc::NameInfo,
    types::{Name, NameError, PublicKey, Record, RecordError, RecordSet, Reserved},
};
use thiserror::Error;

use crate::{
    cli::{Cli, Command},
    client::{Client, ClientError},
    keys::{self, KeyError, Passphrases},
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
    #[error("{name} belongs to {owner}, your key is {ours}")]
    NotOwner {
        /// The name.
        name: Name,
        /// Its owner.
        owner: PublicKey,
        /// The public key of the key file.
        ours: PublicKey,
    },
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
            CommandError::Usage(_) | CommandError::Name(..) | CommandError::Zone(..) => Exit::Usage,
            CommandError::Key(_) | CommandError::NotOwner { .. } => Exit::Key,
            CommandError::Client(error) => client_exit(error),
            CommandError::Records(_) => Exit::Unreachable,
            CommandError::NotRegistered(_) => Exit::NotFound,
            CommandError::Reserved(..)
            | CommandError::Taken(..)
            | CommandError::Ours(_)
            | CommandError::Grace(_)
            | CommandError::Revoked(_)
            | CommandError::CommitmentUnderpaid { .. }
            | CommandError::Dropped(_) => Exit::Conflict,
            CommandError::Timeout(..) => Exit::Timeout,
            CommandError::NotSynced(_) => Exit::NotSynced,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            CommandError::Key(error) => return error.hint(),
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
            CommandError::Grace(_) => "only its owner or recovery key can renew it now".into(),
            CommandError::NotOwner { .. } => "use the key that registered it: --keys DIR".into(),
            CommandError::CommitmentUnderpaid { .. } => "run the same command again after that height".into(),
            CommandError::Dropped(_) | CommandError::Timeout(..) => {
                "run the same command again: it goes on where it was".into()
            }
            CommandError::NotSynced(_) => "zonetool status shows how far it is; try again later".into(),
            _ => return None,
        })
    }

    /// What is shown of it.
    pub fn report(&self) -> ErrorReport {
        let exit = self.exit();
        ErrorReport { code: exit.code(), exit: exit as u8, message: self.to_string(), hint: self.hint() }
    }
}

fn client_exit(error: &ClientError) -> Exit {
    match error {
        ClientError::BadUrl(..) => Exit::Usage,
        ClientError::Setup(_) | ClientError::Unreachable { .. } | ClientError::NotANode { .. } => {
            Exit::Unreachable
        }
        ClientError::Refused(refusal) => match (refusal.rule.as_deref(), refusal.code.as_str()) {
            (Some("not-owner" | "not-keyholder" | "not-recovery" | "not-recipient" | "signature"), _) => {
                Exit::Key
            }
            (Some("name-unregistered"), _) => Exit::NotFound,
            (
                Some(
                    "name-taken"
                    | "name-reserved"
                    | "name-in-grace"
                    | "name-revoked"
                    | "sequence"
                    | "commitment-open"
                    | "commitment-unknown"
                    | "commitment-young"
                    | "commitment-underpaid",
                ),
                _,
            ) => Exit::Conflict,
            (_, "not-found") => Exit::NotFound,
            (_, "conflict") => Exit::Conflict,
            (_, "unavailable") => Exit::NotSynced,
            _ => Exit::Refused,
        },
    }
}

/// Where keys are and how to open them.
struct KeyPlace {
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
        let passphrases = Passphrases { file: global.passphrase_file.clone(), ui };
        Ok::<_, KeyError>(KeyPlace { directory, passphrases })
    };
    match cli.command {
        Command::Key(command) => key::run(ui, &keys()?, &command),
        Command::Register(args) => register::run(ui, client()?, &keys()?, &args),
        Command::Update(args) => update::run(ui, client()?, &keys()?, &args),
        Command::Show(args) => show::run(ui, &client()?, &args),
        Command::Zone(args) => zone::run(ui, &client()?, &args),
        Command::Status => status::run(ui, &client()?),
    }
}

/// A name as people type it: in any case.
fn parse_name(text: &str) -> Result<Name, CommandError> {
    Name::parse(&text.to_ascii_lowercase()).map_err(|error| CommandError::Name(text.to_owned(), error))
}

fn load_zone(ui: Ui, name: &Name, path: &Path) -> Result<RecordSet, CommandError> {
    let zone = crate::zone::load(name, path).map_err(|error| CommandError::Zone(path.to_owned(), error))?;
    for note in &zone.notes {
        ui.note(&format!("{}: {note}", path.display()));
    }
    if zone.records.is_empty() {
        ui.note(&format!("{}: no records: the name will exist and hold nothing", path.display()));
    }
    Ok(zone.records)
}

/// The records that a node gives for a name.
fn records_of(info: &NameInfo) -> Result<RecordSet, CommandError> {
    let records =
        info.entry.iter().flat_map(|entry| &entry.records).map(Record::try_from).collect::<Result<_, _>>();
    records
        .map_err(|error| error.to_string())
        .and_then(|records| RecordSet::new(records).map_err(|error: RecordError| error.to_string()))
        .map_err(CommandError::Records)
}
