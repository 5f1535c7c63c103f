//! `peer dane`: lines for a zone file, by which standard programs find and check keys.

use std::{fs::File, io::Read, path::Path};

use serde::Serialize;

use super::lookup::current_record;
use crate::{
    cli::DaneCommand,
    client::Client,
    command::input::parse_name,
    dane::{self, MAX_FILE_BYTES},
    error::{CommandError, PeerError},
    ui::Ui,
};

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Lines {
    lines: Vec<String>,
}

/// Runs the command. Only an endpoint is asked of the node.
pub fn run(ui: Ui, client: &Client, command: &DaneCommand) -> Result<(), CommandError> {
    let lines = match command {
        DaneCommand::Tlsa(args) => {
            let made =
                dane::tlsa(&read(&args.file)?, &args.host, args.port, args.protocol.as_str());
            vec![made.map_err(PeerError::Dane)?]
        }
        DaneCommand::Openpgpkey(args) => {
            vec![dane::openpgpkey(&args.local, &read(&args.file)?).map_err(PeerError::Dane)?]
        }
        DaneCommand::Smimea(args) => {
            vec![dane::smimea(&args.local, &read(&args.file)?).map_err(PeerError::Dane)?]
        }
        DaneCommand::Endpoint(args) => {
            let name = parse_name(&args.name)?;
            let record = current_record(client, &name)?.record;
            let lines = dane::endpoint(&record.identity.to_string(), record.locators.as_slice());
            if lines.is_empty() {
                return Err(PeerError::NoLocators(name).into());
            }
            lines
        }
    };
    ui.print_result(&lines.join("\n"), &Lines { lines })?;
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, CommandError> {
    let failed = |source| PeerError::File { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES).read_to_end(&mut bytes))
        .map_err(failed)?;
    Ok(bytes)
}
