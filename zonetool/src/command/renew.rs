//! `renew NAME`, and `renew --all`: every name of the key whose lease is in its last quarter, or
//! over.

use std::fmt::Write as _;

use namechain_core::{
    api_types::Standing,
    types::{Action, Hash, Name, NameEntry, Network, PublicKey},
};
use serde::Serialize;

use super::{
    draft::Draft,
    input::Keystore,
    list::{OwnNames, own_names},
    ops,
    preflight::{check, entry_of},
    scan::FoundName,
    submit::{Submission, Submitter},
};
use crate::{
    cli::Renew, client::Client, clock, dates::describe_time, error::CommandError, keys::KeyFile,
    ui::Ui,
};

/// What `--json` prints of `renew --all`.
#[derive(Debug, Serialize)]
struct RenewedAll {
    owner: PublicKey,
    network: Network,
    names: Vec<Renewal>,
}

/// A name of the key. Times are in seconds of Unix time.
#[derive(Debug, Serialize)]
struct Renewal {
    name: Name,
    /// `early`: it can't be renewed yet; `due`: it can, but this is a dry run; `pending`: another
    /// operation on it waits; `submitted`; `recorded`; `revoked`.
    state: &'static str,
    /// From when on it can be renewed, before a renewal.
    opens_time: u64,
    /// The end of the lease, after a renewal.
    expires: u64,
    /// The operation's id, once submitted.
    operation: Option<Hash>,
    /// The height that recorded it, once known.
    recorded: Option<u32>,
}

/// Runs the command.
pub fn run(ui: Ui, client: Client, keystore: &Keystore, args: &Renew) -> Result<(), CommandError> {
    match args.of_one_name() {
        Some(one) => ops::renew(ui, client, keystore, &one),
        None => renew_all(ui, client, keystore, args),
    }
}

/// Renews what is due. What fails keeps no other name from being renewed; the first error ends the
/// command.
fn renew_all(
    ui: Ui,
    client: Client,
    keystore: &Keystore,
    args: &Renew,
) -> Result<(), CommandError> {
    let OwnNames { file, status, found } = own_names(ui, &client, keystore)?;
    let mut submitter = Submitter::connect(ui, client, &args.waiting, args.validity.duration())?;
    let now = clock::unix();
    let own = found.iter().filter(|found| found.key_is == "owner");
    let lease = submitter.params().lease;
    let mut names: Vec<Renewal> = own.map(|found| judge(found, lease, now)).collect();
    let mut failed = Vec::new();
    if !args.dry_run {
        let submissions = submit_due(&submitter, keystore, &file, &mut names, &mut failed)?;
        if args.waiting.wait {
            for (at, submission) in submissions {
                let depth = args.waiting.depth();
                match (submitter.wait_until_recorded(&submission, depth), &mut names[at]) {
                    (Ok(recorded), renewal) => {
                        renewal.state = "recorded";
                        renewal.recorded = Some(recorded.height);
                    }
                    (Err(error), renewal) => failed.push((renewal.name.clone(), error)),
                }
            }
        }
    }
    let result = RenewedAll { owner: file.owner, network: status.network, names };
    if failed.is_empty() {
        return Ok(ui.print_result(&describe(&result, now), &result)?);
    }
    for line in describe(&result, now).lines() {
        ui.print_note(line);
    }
    Err(CommandError::NotAllRenewed(failed))
}

/// What is to be done with a name of the key.
fn judge(found: &FoundName, lease_s: u64, now: u64) -> Renewal {
    let opens_time = found.expires.saturating_sub(lease_s / 4);
    let state = match found.standing {
        Standing::Revoked => "revoked",
        _ if now < opens_time => "early",
        _ => "due",
    };
    let (name, expires) = (found.name.clone(), found.expires);
    Renewal { name, state, opens_time, expires, operation: None, recorded: None }
}

/// Submits a renewal of each name that is due, with its place in `names`.
///
/// # Errors
/// If the key can't be unlocked. What goes wrong with a name is added to `failed`.
fn submit_due(
    submitter: &Submitter,
    keystore: &Keystore,
    file: &KeyFile,
    names: &mut [Renewal],
    failed: &mut Vec<(Name, CommandError)>,
) -> Result<Vec<(usize, Submission)>, CommandError> {
    let mut submissions = Vec::new();
    let mut key = None;
    for (at, renewal) in names.iter_mut().enumerate().filter(|(_, it)| it.state == "due") {
        let before = match look_up(submitter, &renewal.name) {
            Ok(Some(before)) => before,
            Ok(None) => {
                renewal.state = "pending";
                continue;
            }
            Err(error) => {
                failed.push((renewal.name.clone(), error));
                continue;
            }
        };
        let key = match &key {
            Some(key) => key,
            None => key.insert(file.unlock(&keystore.passphrases)?),
        };
        let draft = Draft {
            name: renewal.name.clone(),
            reference: before.title,
            action: Action::Renew { expires: before.expires },
            entry: Some(before.clone()),
        };
        let submitted = check(submitter, &draft, &before, file.owner).and_then(|checked| {
            Ok((checked.after.expires, submitter.submit_named(key, &draft, |_| Ok(()))?))
        });
        match submitted {
            Ok((expires, submission)) => {
                (renewal.state, renewal.expires) = ("submitted", expires);
                renewal.operation = Some(submission.id);
                submissions.push((at, submission));
            }
            Err(error) => failed.push((renewal.name.clone(), error)),
        }
    }
    Ok(submissions)
}

/// The entry of a name; none if an operation on it is pending, which may be its renewal.
fn look_up(submitter: &Submitter, name: &Name) -> Result<Option<NameEntry>, CommandError> {
    let info = submitter.client.name(name)?;
    if info.pending { Ok(None) } else { entry_of(&info).map(Some) }
}

fn describe(result: &RenewedAll, now: u64) -> String {
    let mut text = String::new();
    for renewal in &result.names {
        let lease = describe_time(renewal.expires, now);
        let what = match renewal.state {
            "recorded" => format!("renewed: until {lease}"),
            "submitted" => format!("the renewal is submitted: until {lease}"),
            "pending" => format!("another operation is pending; until {lease}"),
            "due" => format!("can be renewed now; until {lease}"),
            "early" => {
                format!("can be renewed from {} on", describe_time(renewal.opens_time, now))
            }
            _ => "revoked".to_owned(),
        };
        // Writing to a String never fails.
        let _ = writeln!(text, "{:<20} {what}", renewal.name.as_str());
    }
    if result.names.is_empty() {
        text.push_str("no names");
    }
    text
}
