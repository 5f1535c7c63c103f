//! `update NAME --zone FILE`: replace the records of a name that is ours.

use namechain_core::{api_types::Standing, types::Action};

use super::{
    input::{Keystore, load_zone, parse_name},
    ops,
    query::records_of,
    submit::{Published, Submitter},
};
use crate::{
    cli::Update, client::Client, dates::expected, error::CommandError, keys, ui::Ui, zone,
};

/// Runs the command.
pub fn run(ui: Ui, client: Client, keystore: &Keystore, args: &Update) -> Result<(), CommandError> {
    let name = parse_name(&args.publish.name)?;
    let records = load_zone(ui, &name, &args.publish)?;
    let file = keys::load(&keystore.directory)?;
    let mut submitter = Submitter::connect(ui, client, args.publish.waiting.timeout)?;

    let info = submitter.wait_no_pending(&name)?;
    let entry = match (info.standing, &info.entry) {
        (Standing::Active, Some(entry)) => entry,
        (Standing::Grace, Some(_)) => return Err(CommandError::Grace(name)),
        (Standing::Revoked, Some(_)) => return Err(CommandError::Revoked(name)),
        _ => return Err(CommandError::NotRegistered(name)),
    };
    if entry.owner != file.owner {
        return Err(CommandError::NotOwner {
            name,
            owner: entry.owner,
            ours: file.owner,
            rule: "not-owner",
        });
    }
    let mut result = Published {
        name: name.clone(),
        network: submitter.network,
        state: "unchanged",
        owner: entry.owner,
        operation: None,
        sequence: entry.sequence,
        recorded: Some(entry.updated),
        depth: None,
        expires: Some(entry.expires),
        expires_time: expected(submitter.network, info.height, entry.expires).rfc3339(),
    };
    if records_of(&info)? == records {
        ui.print_result(&format!("{name} has these records already: nothing to do"), &result)?;
        return Ok(());
    }
    for line in zone::diff(&name, &records_of(&info)?, &records) {
        ui.print_note(&line);
    }
    let action = Action::Update { records };
    if args.publish.dry_run {
        return ops::dry_run(ui, &submitter, &info, file.owner, action);
    }
    let key = file.unlock(&keystore.passphrases)?;
    let submitted = submitter.submit_named(&key, &name, info.next_sequence, action)?;
    result = Published {
        state: "submitted",
        operation: Some(submitted.id),
        sequence: info.next_sequence,
        recorded: None,
        ..result
    };
    if args.publish.waiting.wait {
        let waiting = &args.publish.waiting;
        let recorded =
            submitter.wait_until_owned(&name, key.public(), info.next_sequence, waiting.depth())?;
        result.state = "active";
        result.recorded = Some(recorded.height);
        result.depth = Some(recorded.depth);
    }
    let text = match result.recorded {
        Some(height) => {
            format!("{name} is updated: recorded at height {height}, the node serves it")
        }
        None => format!("{name}: the update waits for the next block; see: zonetool show {name}"),
    };
    ui.print_result(&text, &result)?;
    Ok(())
}
