//! What commands are given: names, zone files, and the keys of this user.

use std::path::PathBuf;

use namechain_core::types::{Name, RecordSet};

use crate::{cli::ZoneArgs, error::CommandError, keys::Passphrases, ui::Ui, zone};

/// Where keys are and how to open them.
pub struct Keystore {
    /// Where `owner.key` is.
    pub directory: PathBuf,
    /// Where the passphrase comes from.
    pub passphrases: Passphrases,
}

/// A name as people type it: in any case.
pub fn parse_name(text: &str) -> Result<Name, CommandError> {
    Name::parse(&text.to_ascii_lowercase())
        .map_err(|error| CommandError::Name(text.to_owned(), error))
}

/// The records of a zone file, with its notes and warnings on standard error.
pub fn load_zone(ui: Ui, name: &Name, args: &ZoneArgs) -> Result<RecordSet, CommandError> {
    let path = &args.zone;
    let file =
        zone::load(name, path).map_err(|error| CommandError::Zone(path.to_owned(), error))?;
    if file.records.is_empty() && !args.empty {
        return Err(CommandError::EmptyZone(path.to_owned()));
    }
    for note in &file.notes {
        ui.print_note(&format!("{}: {note}", path.display()));
    }
    for warning in zone::warnings(name, &file.records) {
        ui.print_note(&format!("{}: warning: {warning}", path.display()));
    }
    Ok(file.records)
}
