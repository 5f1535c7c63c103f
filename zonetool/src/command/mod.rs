//! One file a command, and what they share.

mod available;
mod cache;
mod check;
mod dry_run;
mod history;
mod key;
mod list;
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
mod whoami;
mod zone;

use std::path::PathBuf;

use namechain_core::{
    api_types::{MessagingInfo, NameEntryInfo, NameInfo, Status},
    types::{Action, MessagingEntry, Name, Record, RecordError, RecordSet},
};

use crate::{
    cli::{Cli, Command, ZoneArgs},
    client::Client,
    error::CommandError,
    keys::{self, KeyError, Passphrases},
    ui::Ui,
};

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
        Command::Whoami => whoami::run(ui, &keys()?),
        Command::List(args) => list::run(ui, &client()?, &keys()?, &args),
        Command::Available(args) => available::run(ui, &client()?, &args),
        Command::Key(command) => key::run(ui, client, &keys()?, &command),
        Command::Register(args) => register::run(ui, client()?, &keys()?, &args),
        Command::Check(args) => check::run(ui, &args),
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

/// The state of a node that is synced: what another says of names may be old.
fn synced_status(client: &Client) -> Result<Status, CommandError> {
    let status = client.status()?;
    match status.synced {
        true => Ok(status),
        false => Err(CommandError::NotSynced(status.height)),
    }
}

/// A name as people type it: in any case.
fn parse_name(text: &str) -> Result<Name, CommandError> {
    Name::parse(&text.to_ascii_lowercase())
        .map_err(|error| CommandError::Name(text.to_owned(), error))
}

fn load_zone(ui: Ui, name: &Name, args: &ZoneArgs) -> Result<RecordSet, CommandError> {
    let path = &args.zone;
    let zone = crate::zone::load(name, path)
        .map_err(|error| CommandError::Zone(path.to_owned(), error))?;
    if zone.records.is_empty() && !args.empty {
        return Err(CommandError::EmptyZone(path.to_owned()));
    }
    for note in &zone.notes {
        ui.print_note(&format!("{}: {note}", path.display()));
    }
    for warning in crate::zone::warnings(name, &zone.records) {
        ui.print_note(&format!("{}: warning: {warning}", path.display()));
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
