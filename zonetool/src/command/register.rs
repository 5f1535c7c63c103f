//! `register NAME --zone FILE`: commit, wait until the commitment can be opened, register.

use namechain_core::{
    api_types::{CommitmentInfo, NameEntryInfo, NameInfo, Standing},
    consensus::price,
    types::{Action, Name, Network, Operation, PublicKey, RecordSet, SecretKey, commitment},
};

use serde::Serialize;

use super::{
    input::{Keystore, load_zone, parse_name},
    query::records_of,
    submit::{Published, Submitter, UNWORKED},
    wait::Poll,
};
use crate::{
    cli::{Recovery, Register},
    client::Client,
    dates::{Expected, expected},
    error::CommandError,
    keys, pow,
    ui::Ui,
};

/// Runs the command. Everything that can be refused without work is looked at before any.
pub fn run(
    ui: Ui,
    client: Client,
    keystore: &Keystore,
    args: &Register,
) -> Result<(), CommandError> {
    let name = parse_name(&args.publish.name)?;
    if let Some(why) = name.reserved() {
        return Err(CommandError::Reserved(name, why));
    }
    let records = load_zone(ui, &name, &args.publish)?;
    let file = keys::load(&keystore.directory)?;
    let mut submitter = Submitter::connect(ui, client, args.publish.waiting.timeout)?;

    let mut info = submitter.client.name(&name)?;
    if info.pending {
        info = submitter.wait_no_pending(&name)?;
        if let Some(result) = resume_registered(
            &mut submitter,
            &info,
            &file.owner,
            &records,
            args.publish.waiting.depth(),
        )? {
            return finish(ui, &result);
        }
    }
    check_free(&info, &file.owner)?;
    if args.publish.dry_run {
        return dry_run(ui, &submitter, &name, &records);
    }

    let key = file.unlock(&keystore.passphrases)?;
    let recovery = Recovery::key_or(args.recovery, Some(file.recovery));
    commit(&mut submitter, &name, &key)?;
    let salt = key.salt(submitter.network, &name);
    let action = Action::Register { recovery, salt, records };
    let submitted = submitter.submit_named(&key, &name, info.next_sequence, action)?;
    let mut result = Published {
        name: name.clone(),
        network: submitter.network,
        state: "submitted",
        owner: key.public(),
        operation: Some(submitted.id),
        sequence: info.next_sequence,
        recorded: None,
        depth: None,
        expires: None,
        expires_time: None,
    };
    if args.publish.waiting.wait {
        let waiting = &args.publish.waiting;
        let recorded =
            submitter.wait_until_owned(&name, key.public(), info.next_sequence, waiting.depth())?;
        result.state = "active";
        result.recorded = Some(recorded.entry.registered);
        result.depth = Some(recorded.depth);
        result.expires = Some(recorded.entry.expires);
        result.expires_time = lease_of(submitter.network, &recorded.entry).rfc3339();
    }
    finish(ui, &result)
}

/// When a lease that was just recorded ends.
fn lease_of(network: Network, entry: &NameEntryInfo) -> Expected {
    expected(network, entry.registered, entry.expires)
}

/// What a registration would put on the chain, and what both of its operations cost.
fn dry_run(
    ui: Ui,
    submitter: &Submitter,
    name: &Name,
    records: &RecordSet,
) -> Result<(), CommandError> {
    #[derive(Serialize)]
    struct DryRun<'a> {
        dry_run: bool,
        name: &'a Name,
        network: Network,
        records: usize,
        bytes: usize,
        /// The work of the commitment and of the registration, in expected hashes.
        commitment_work: u64,
        registration_work: u64,
    }
    let multiplier = submitter.client.price()?.multiplier;
    let params = submitter.params();
    let bytes = records.byte_len();
    let shown = DryRun {
        dry_run: true,
        name,
        network: submitter.network,
        records: records.records().len(),
        bytes,
        commitment_work: pow::with_margin(price::registration(params, name, multiplier)),
        registration_work: pow::with_margin(price::records(params, bytes, multiplier)),
    };
    let text = format!(
        "{name} can be registered: {} records, {bytes} bytes\nthe commitment takes {} expected hashes, the registration {}\nNothing is signed, worked or sent.",
        shown.records, shown.commitment_work, shown.registration_work
    );
    Ok(ui.print_result(&text, &shown)?)
}

fn finish(ui: Ui, result: &Published) -> Result<(), CommandError> {
    let name = &result.name;
    let text = match (result.recorded, result.expires) {
        (Some(recorded), Some(expires)) => {
            // The height that recorded it is close to the tip.
            let lease = expected(result.network, recorded, expires).describe();
            format!(
                "{name} is yours: registered at height {recorded}, the node serves it\nits lease ends {lease}"
            )
        }
        _ => {
            format!("{name}: the registration waits for the next block; see: zonetool show {name}")
        }
    };
    ui.print_result(&text, result)?;
    Ok(())
}

/// Whether nobody has the name.
fn check_free(info: &NameInfo, ours: &PublicKey) -> Result<(), CommandError> {
    let name = info.name.clone();
    match (info.standing, &info.entry) {
        (Standing::Available, _) => Ok(()),
        (Standing::Reserved, _) => {
            Err(info.reserved.map_or(CommandError::NotRegistered(name.clone()), |why| {
                CommandError::Reserved(name, why)
            }))
        }
        (Standing::Active | Standing::Grace, Some(entry)) if entry.owner != *ours => {
            Err(CommandError::Taken(name, entry.owner))
        }
        (Standing::Active, _) => Err(CommandError::Ours(name)),
        (Standing::Grace, _) => Err(CommandError::Grace(name)),
        (Standing::Revoked, _) => Err(CommandError::Revoked(name)),
    }
}

/// A registration by an earlier run of this command, just recorded, with the records that are
/// wanted now.
fn resume_registered(
    submitter: &mut Submitter,
    info: &NameInfo,
    ours: &PublicKey,
    records: &RecordSet,
    depth: u32,
) -> Result<Option<Published>, CommandError> {
    let Some(entry) = info.entry.as_ref().filter(|entry| entry.owner == *ours) else {
        return Ok(None);
    };
    if info.standing != Standing::Active
        || entry.updated != entry.registered
        || records_of(info)? != *records
    {
        return Ok(None);
    }
    let recorded = submitter.wait_until_owned(&info.name, entry.owner, entry.sequence, depth)?;
    Ok(Some(Published {
        name: info.name.clone(),
        network: submitter.network,
        state: "active",
        owner: entry.owner,
        operation: None,
        sequence: entry.sequence,
        recorded: Some(recorded.entry.registered),
        depth: Some(recorded.depth),
        expires: Some(entry.expires),
        expires_time: lease_of(submitter.network, entry).rfc3339(),
    }))
}

/// Makes sure of a commitment of ours that the next block can open: one that is there is used, not
/// paid again.
fn commit(submitter: &mut Submitter, name: &Name, key: &SecretKey) -> Result<(), CommandError> {
    let (network, params) = (submitter.network, submitter.params());
    let commitment = commitment(network, name, &key.public(), &key.salt(network, name));
    let info = submitter.client.commitment(&commitment)?;
    if info.recorded.is_none() && !info.pending {
        let operation = Operation::Commit { commitment, stamp: UNWORKED };
        submitter.submit(operation, |multiplier| price::registration(params, name, multiplier))?;
        submitter.ui.print_note(&format!("committed to {name}: commitment {commitment}"));
    } else {
        submitter.ui.print_note(&format!(
            "going on with the commitment to {name} that is there: {commitment}"
        ));
    }
    let client = &submitter.client;
    let open = submitter.waiter.until("the commitment", || {
        let info = client.commitment(&commitment)?;
        Ok(match info {
            CommitmentInfo { opens: Some(opens), height, .. }
                if height.saturating_add(1) >= opens =>
            {
                Poll::Ready(info)
            }
            CommitmentInfo { opens: Some(opens), height, .. } => Poll::Pending(format!(
                "the commitment can be opened from height {opens}, {} blocks to go",
                opens - height - 1
            )),
            CommitmentInfo { pending: true, height, .. } => {
                Poll::Pending(format!("the commitment waits for the block after {height}"))
            }
            _ => Poll::Gone,
        })
    })?;
    match (open.work, open.price) {
        (Some(paid), Some(multiplier)) if paid < price::registration(params, name, multiplier) => {
            Err(CommandError::CommitmentUnderpaid {
                name: name.clone(),
                paid,
                price: price::registration(params, name, multiplier),
                lapses: open.lapses.unwrap_or(open.height),
            })
        }
        _ => Ok(()),
    }
}
