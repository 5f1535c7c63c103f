//! `zone NAME`: prints the zone as a zone file that `register --zone` accepts.

use serde::Serialize;

use super::query::registered;
use crate::{cli::NameArgs, client::Client, error::CommandError, ui::Ui, zone::master_file};

/// Runs the command.
pub fn run(ui: Ui, client: &Client, args: &NameArgs) -> Result<(), CommandError> {
    #[derive(Serialize)]
    struct Document<'a> {
        name: &'a str,
        zone: &'a str,
    }
    let (info, records) = registered(client, &args.name)?;
    let zone = master_file(&info.name, &records);
    ui.print_result(&zone, &Document { name: info.name.as_str(), zone: &zone })?;
    Ok(())
}
