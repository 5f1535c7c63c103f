//! `cache flush`: removes answers from a resolver's cache.

use namechain_core::api_types;

use crate::{
    cli::{CacheCommand, Flush},
    client::Client,
    error::CommandError,
    ui::Ui,
};

/// Runs the command. `--json` prints what `/v1/cache/flush` says.
pub fn run(ui: Ui, client: &Client, command: &CacheCommand) -> Result<(), CommandError> {
    let CacheCommand::Flush(Flush { name, zone, .. }) = command;
    let flushed = client.flush(&api_types::Flush { name: name.clone(), zone: zone.clone() })?;
    let answers = if flushed.flushed == 1 { "answer" } else { "answers" };
    ui.print_result(&format!("{} {answers} flushed", flushed.flushed), &flushed)?;
    Ok(())
}
