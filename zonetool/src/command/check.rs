//! `check FILE`: checks a zone file without a node.

use std::fmt::Write as _;

use namechain_core::{
    codec::Encode,
    types::{MAX_RECORDS_BYTES, Name},
};
use serde::Serialize;

use super::input::parse_name;
use crate::{
    cli::Check,
    error::CommandError,
    ui::{Ui, counted},
    zone::{load, warnings},
};

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Checked {
    name: Name,
    records: usize,
    /// The size of the records on the chain, in bytes, and its limit.
    bytes: usize,
    max_bytes: usize,
    /// Records of the file that are left out.
    notes: Vec<String>,
    /// Records that have no effect.
    warnings: Vec<String>,
}

/// Runs the command; asks no node.
pub fn run(ui: Ui, args: &Check) -> Result<(), CommandError> {
    let stem = args.file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let name = match (&args.name, stem) {
        (Some(name), _) => parse_name(name)?,
        (None, Some(stem)) if Name::parse(&stem.to_ascii_lowercase()).is_ok() => parse_name(&stem)?,
        _ => return Err(CommandError::Usage("give the name of the zone: --name NAME")),
    };
    let zone =
        load(&name, &args.file).map_err(|error| CommandError::Zone(args.file.clone(), error))?;
    let checked = Checked {
        records: zone.records.records().len(),
        bytes: zone.records.to_bytes().len(),
        max_bytes: MAX_RECORDS_BYTES,
        notes: zone.notes,
        warnings: warnings(&name, &zone.records),
        name,
    };
    Ok(ui.print_result(&describe(&checked), &checked)?)
}

fn describe(checked: &Checked) -> String {
    let mut text = String::new();
    // Writing to a String never fails.
    for note in &checked.notes {
        let _ = writeln!(text, "note: {note}");
    }
    for warning in &checked.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    let (records, bytes) = (counted(checked.records as u64, "record"), checked.bytes);
    let _ =
        write!(text, "zone of {}: {records}, {bytes} of {} bytes", checked.name, checked.max_bytes);
    text
}
