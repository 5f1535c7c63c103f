//! `update NAME --zone FILE`: replaces the records of a name of ours.

use namechain_core::{
    api_types::Standing,
    types::{Action, Hash, Name, Network, PublicKey},
};
use serde::Serialize;

use super::{
    draft::Draft,
    dry_run,
    input::{Keystore, load_zone, parse_name},
    ops::next_sequence,
    preflight::{check, entry_of},
    submit::Submitter,
};
use crate::{cli::Update, client::Client, error::CommandError, keys, ui::Ui, zone};

/// What `--json` prints. Times are in seconds of Unix time.
#[derive(Debug, Serialize)]
struct Updated {
    name: Name,
    network: Network,
    /// `submitted`, `active` (it resolves with the new records) or `unchanged`.
    state: &'static str,
    owner: PublicKey,
    /// The operation's id; none if nothing was submitted.
    operation: Option<Hash>,
    /// The sequence number of the operation.
    sequence: u32,
    /// The last time at which a block may record it.
    valid_until: Option<u64>,
    /// The height that recorded it and the time of that block, once known.
    recorded: Option<u32>,
    recorded_time: Option<u64>,
    /// How many blocks had followed when the command ended.
    depth: Option<u32>,
    /// The end of the lease.
    expires: u64,
}

/// Runs the command.
pub fn run(ui: Ui, client: Client, keystore: &Keystore, args: &Update) -> Result<(), CommandError> {
    let (name, waiting) = (parse_name(&args.publish.name)?, &args.publish.waiting);
    let records = load_zone(ui, &name, &args.publish)?;
    let file = keys::load(&keystore.directory)?;
    let validity = args.publish.validity.duration();
    let mut submitter = Submitter::connect(ui, client, waiting, validity)?;

    let info = submitter.wait_no_pending(&name)?;
    match info.standing {
        Standing::Grace => return Err(CommandError::Grace(name)),
        Standing::Revoked => return Err(CommandError::Revoked(name)),
        _ => {}
    }
    let before = entry_of(&info)?;
    if before.owner != file.owner {
        return Err(CommandError::NotOwner {
            name,
            owner: before.owner,
            ours: file.owner,
            rule: "not-owner",
        });
    }
    let mut result = Updated {
        name: name.clone(),
        network: submitter.network,
        state: "unchanged",
        owner: before.owner,
        operation: None,
        sequence: before.sequence,
        valid_until: None,
        recorded: Some(before.updated.height),
        recorded_time: Some(before.updated.time),
        depth: None,
        expires: before.expires,
    };
    if before.records == records {
        ui.print_result(&format!("{name} has these records already: nothing to do"), &result)?;
        return Ok(());
    }
    for line in zone::diff(&name, &before.records, &records) {
        ui.print_note(&line);
    }
    let action = Action::Update { sequence: next_sequence(&before), records };
    let draft =
        Draft { name: name.clone(), reference: before.title, action, entry: Some(before.clone()) };
    let checked = check(&submitter, &draft, &before, file.owner)?;
    if args.publish.dry_run {
        return dry_run::show(&submitter, &checked, &before);
    }
    let key = file.unlock(&keystore.passphrases)?;
    let submission = submitter.submit_named(&key, &draft, |_| Ok(()))?;
    drop(key);
    result = Updated {
        state: "submitted",
        operation: Some(submission.id),
        sequence: next_sequence(&before),
        valid_until: submission.valid_until(),
        recorded: None,
        recorded_time: None,
        ..result
    };
    if waiting.wait {
        let recorded = submitter.wait_until_recorded(&submission, waiting.depth())?;
        result.state = "active";
        (result.recorded, result.recorded_time) = (Some(recorded.height), Some(recorded.time));
        result.depth = Some(recorded.depth);
    }
    let text = match result.recorded {
        Some(height) => {
            format!("{name} is updated: recorded at height {height}, the node serves it")
        }
        None => format!("{name}: the update is submitted; see: zonetool show {name}"),
    };
    ui.print_result(&text, &result)?;
    Ok(())
}
