//! `available NAME`: whether a name can be registered: exit code 0 only if it can.

use namechain_core::{
    api_types::{NameInfo, Standing},
    types::{Name, Network},
};
use serde::Serialize;

use super::{input::parse_name, query::synced_status};
use crate::{cli::NameArgs, client::Client, error::CommandError, ui::Ui};

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Available {
    name: Name,
    network: Network,
    available: bool,
}

/// Runs the command.
pub fn run(ui: Ui, client: &Client, args: &NameArgs) -> Result<(), CommandError> {
    let name = parse_name(&args.name)?;
    if let Some(why) = name.reserved() {
        return Err(CommandError::Reserved(name, why));
    }
    let network = synced_status(client)?.network;
    let info = client.name(&name)?;
    check(&info)?;
    let text = format!("{name} is available: zonetool register {name} --zone FILE");
    Ok(ui.print_result(&text, &Available { name, network, available: true })?)
}

fn check(info: &NameInfo) -> Result<(), CommandError> {
    let name = || info.name.clone();
    match (info.standing, &info.entry, info.reserved) {
        (Standing::Available, ..) => Ok(()),
        (_, _, Some(why)) => Err(CommandError::Reserved(name(), why)),
        (_, Some(entry), _) => Err(CommandError::Taken(name(), entry.owner)),
        // Reserved for a reason that this program does not know.
        _ => Err(CommandError::NotRegistered(name())),
    }
}
