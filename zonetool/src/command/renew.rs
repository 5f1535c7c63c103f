//! `renew`: one name, or all that can be renewed now.

use namechain_core::{api_types::Standing, params::Params};

use super::{input::Keystore, list::own_names, ops, scan::FoundName};
use crate::{
    cli::Renew,
    client::{Client, ClientError},
    clock,
    dates::describe_time,
    error::CommandError,
    ui::Ui,
};

/// Runs the command.
pub fn run(
    ui: Ui,
    client: impl Fn() -> Result<Client, ClientError>,
    keystore: &Keystore,
    args: &Renew,
) -> Result<(), CommandError> {
    match &args.name {
        Some(name) => ops::renew(ui, client()?, keystore, &args.of(name)),
        None => renew_all(ui, client, keystore, args),
    }
}

/// Renews what can be renewed. What fails does not keep the others from it; the first error is the
/// command's.
fn renew_all(
    ui: Ui,
    client: impl Fn() -> Result<Client, ClientError>,
    keystore: &Keystore,
    args: &Renew,
) -> Result<(), CommandError> {
    let own = own_names(ui, &client()?, keystore)?;
    let (now, params) = (clock::unix(), own.network.params());
    let (due, later) = split_by_due(&own.names, params, now);
    if due.is_empty() {
        let next = later.iter().min_by_key(|found| found.expires).map(|found| {
            let from = describe_time(params.renewable_from(found.expires), now);
            format!("; {} can be renewed from {from}", found.name)
        });
        ui.print_note(&format!(
            "no name of your key can be renewed now{}",
            next.unwrap_or_default()
        ));
        return Ok(());
    }
    let mut first = None;
    for found in due {
        let name = found.name.as_str();
        let ui = ui.with_several_results();
        if let Err(error) = ops::renew(ui, client()?, keystore, &args.of(name)) {
            ui.print_note(&format!("{name} is not renewed: {error}"));
            first = first.or(Some(error));
        }
    }
    first.map_or(Ok(()), Err)
}

/// The names of the owner key that can be renewed at `now`, and those that can be later.
fn split_by_due<'a>(
    names: &'a [FoundName],
    params: &Params,
    now: u64,
) -> (Vec<&'a FoundName>, Vec<&'a FoundName>) {
    let can_be =
        |found: &&FoundName| found.key_is == "owner" && found.standing != Standing::Revoked;
    names.iter().filter(can_be).partition(|found| params.renewable_from(found.expires) <= now)
}
