//! `register NAME --zone FILE`: commit, wait until the commitment can be opened, register, and wait
//! until the name has settled.

use namechain_core::{
    api_types::{CommitInfo, NameInfo, Standing},
    codec::Decode,
    consensus::price,
    params::REVEAL_TIP_AGE_S,
    types::{
        Action, Hash, Name, Network, Operation, PublicKey, RecordSet, SecretKey, SignedOperation,
        commitment,
    },
};
use serde::Serialize;

use super::{
    draft::Draft,
    input::{Keystore, load_zone, parse_name},
    journal::Journal,
    submit::{Submission, Submitter, is_outdated},
    wait::Poll,
};
use crate::{
    cli::{Recovery, Register, WaitArgs},
    client::{Client, ClientError},
    clock,
    dates::{Earliest, describe_time},
    error::CommandError,
    keys, pow,
    ui::{Ui, counted, duration},
};

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Registered {
    name: Name,
    network: Network,
    /// `submitted`, or `active`: it has settled and resolves.
    state: &'static str,
    owner: PublicKey,
    /// The operation ids of the Commit and of the Register.
    commit: Hash,
    operation: Hash,
    /// The height that recorded the Register, and the time of that block, once known. All times are
    /// in seconds of Unix time.
    recorded: Option<u32>,
    recorded_time: Option<u64>,
    /// How many blocks had followed when the command ended.
    depth: Option<u32>,
    /// The end of the lease, once known.
    expires: Option<u64>,
}

/// Runs the command. What can be refused without work is checked before any.
pub fn run(
    ui: Ui,
    client: Client,
    keystore: &Keystore,
    args: &Register,
) -> Result<(), CommandError> {
    let (name, waiting) = (parse_name(&args.publish.name)?, &args.publish.waiting);
    if let Some(why) = name.reserved() {
        return Err(CommandError::Reserved(name, why));
    }
    let records = load_zone(ui, &name, &args.publish)?;
    let file = keys::load(&keystore.directory)?;
    let validity = args.publish.validity.duration();
    let mut submitter = Submitter::connect(ui, client, waiting, validity)?;
    let mut journal = Journal::load(submitter.network, &name, file.owner, &keystore.directory);
    let info = submitter.client.name(&name)?;
    if let Some(earlier) = earlier_register(&submitter, &journal, &info, &records)? {
        return finish(&mut submitter, &journal, &earlier, waiting);
    }
    check_free(&info, &file.owner, journal.commit.is_some())?;
    if args.publish.dry_run {
        return dry_run(&submitter, &name, &records);
    }
    let key = file.unlock(&keystore.passphrases)?;
    let commit = commit(&mut submitter, &name, &key, &mut journal)?;
    let draft = Draft {
        name: name.clone(),
        reference: commit.id,
        action: Action::Register {
            recovery: Recovery::key_or(args.recovery, Some(file.recovery)),
            salt: key.salt(submitter.network, &name),
            records,
        },
        entry: None,
    };
    let submission = submitter.submit_named(&key, &draft, |operation| {
        journal.register = Some(operation.clone());
        journal.store()
    })?;
    drop(key);
    finish(&mut submitter, &journal, &submission, waiting)
}

/// Whether the name can be registered: nobody has it, or it settles and an earlier run of this
/// command has committed to it, perhaps before the other.
fn check_free(info: &NameInfo, ours: &PublicKey, has_committed: bool) -> Result<(), CommandError> {
    let name = info.name.clone();
    match (info.standing, &info.entry) {
        (Standing::Available, _) => Ok(()),
        (Standing::Reserved, _) => {
            Err(info.reserved.map_or(CommandError::NotRegistered(name.clone()), |why| {
                CommandError::Reserved(name, why)
            }))
        }
        (Standing::Settling, Some(entry)) if entry.owner != *ours && has_committed => Ok(()),
        (_, Some(entry)) if entry.owner != *ours => Err(CommandError::Taken(name, entry.owner)),
        (Standing::Settling | Standing::Active | Standing::Contested, _) => {
            Err(CommandError::Ours(name))
        }
        (Standing::Grace, _) => Err(CommandError::Grace(name)),
        (Standing::Revoked, _) => Err(CommandError::Revoked(name)),
    }
}

/// The registration of an earlier run with the records that are wanted now: it is recorded and the
/// name settles, or it is pending, or it can be submitted again.
fn earlier_register(
    submitter: &Submitter,
    journal: &Journal,
    info: &NameInfo,
    records: &RecordSet,
) -> Result<Option<Submission>, CommandError> {
    if let Some(recorded) = recorded_register(submitter, journal, info, records)? {
        return Ok(Some(recorded));
    }
    let Some(operation) = journal.register.as_ref().filter(|it| is_register_of(it, records)) else {
        return Ok(None);
    };
    match submitter.client.submit(operation) {
        Ok(taken) => {
            submitter.ui.print_note(&format!("continuing with the registration {}", taken.id));
            let operation = operation.clone();
            Ok(Some(Submission { operation, id: taken.id, height: taken.height }))
        }
        // It was recorded just now, or is outdated.
        Err(ClientError::Refused(_)) => {
            let info = submitter.client.name(&info.name)?;
            recorded_register(submitter, journal, &info, records)
        }
        Err(error) => Err(error.into()),
    }
}

fn is_register_of(operation: &Operation, records: &RecordSet) -> bool {
    matches!(
        operation,
        Operation::Named(SignedOperation { action: Action::Register { records: found, .. }, .. })
            if found == records
    )
}

/// Our registration of a name that is ours, if it settles or is the one in the journal.
fn recorded_register(
    submitter: &Submitter,
    journal: &Journal,
    info: &NameInfo,
    records: &RecordSet,
) -> Result<Option<Submission>, CommandError> {
    let Some(entry) = info.entry.as_ref().filter(|entry| entry.owner == journal.owner()) else {
        return Ok(None);
    };
    let kept = journal.register.as_ref().map(|register| register.stamp_subject(submitter.network));
    if info.standing != Standing::Settling && kept != Some(entry.title) {
        return Ok(None);
    }
    let history = submitter.client.history(&info.name, entry.registered_height)?;
    let past = history.operations.iter().rfind(|past| past.kind == "register");
    Ok(past.and_then(|past| {
        let bytes = hex::decode(&past.operation).ok()?;
        let operation = Operation::from_bytes(&bytes).ok()?;
        is_register_of(&operation, records).then_some(Submission {
            operation,
            id: past.id,
            height: past.height,
        })
    }))
}

/// How often a commitment is worked again that the node has dropped.
const MAX_COMMITS_AGAIN: u32 = 3;

/// A recorded commitment of ours that the next block can open. One that the node drops is worked
/// again: its stamp was anchored to a tip of more than a day ago, say, and another block came
/// first.
fn commit(
    submitter: &mut Submitter,
    name: &Name,
    key: &SecretKey,
    journal: &mut Journal,
) -> Result<CommitInfo, CommandError> {
    for _ in 0..MAX_COMMITS_AGAIN {
        match commit_once(submitter, name, key, journal) {
            Err(CommandError::Dropped(_)) => submitter
                .ui
                .print_note("the node has dropped the commitment: working it again on the new tip"),
            done => return done,
        }
    }
    commit_once(submitter, name, key, journal)
}

/// As [`commit`], once. A commitment that is there, or was worked by an earlier run, is used: its
/// work is not lost.
fn commit_once(
    submitter: &mut Submitter,
    name: &Name,
    key: &SecretKey,
    journal: &mut Journal,
) -> Result<CommitInfo, CommandError> {
    let (network, params) = (submitter.network, submitter.params());
    let commitment = commitment(network, name, &key.public(), &key.salt(network, name));
    let cost = |multiplier| price::registration(params, name, multiplier);
    let usable = |commit: &CommitInfo, now: u64| {
        !commit.spent && commit.lapses >= now && commit.work >= cost(commit.price)
    };
    let info = submitter.client.commitment(&commitment)?;
    let now = clock::unix().max(info.time);
    match info.all.iter().find(|commit| usable(commit, now)) {
        Some(commit) => submitter.ui.print_note(&format!(
            "continuing with the commitment to {name} that lapses {}",
            describe_time(commit.lapses, now)
        )),
        _ if info.pending => {
            submitter.ui.print_note(&format!("the commitment to {name} is pending"));
        }
        _ if resubmit(submitter, journal)? => {}
        _ => {
            let client = &submitter.client;
            let check = || check_free(&client.name(name)?, &key.public(), false);
            submitter.submit_commit(commitment, cost, check, |operation| {
                journal.commit = Some(operation.clone());
                journal.register = None;
                journal.store()
            })?;
        }
    }
    let client = &submitter.client;
    submitter.waiter.until("the commitment", || {
        let info = client.commitment(&commitment)?;
        let now = clock::unix().max(info.time);
        let Some(commit) = info.all.into_iter().find(|commit| usable(commit, now)) else {
            return Ok(match info.pending {
                true => Poll::Pending(format!(
                    "the commitment is pending: waiting for the block after {}",
                    info.height
                )),
                false => Poll::Gone,
            });
        };
        let opens = Earliest { height: commit.opens_height, time: commit.opens_time };
        if !opens.is_reached(info.height, now) {
            let when = opens.describe(info.height, now);
            return Ok(Poll::Pending(format!("{name} can be registered {when}")));
        }
        // A registration reveals the name. After a gap in the chain's time somebody could date a
        // whole registration of their own before it.
        let age = now.saturating_sub(info.time);
        if age > REVEAL_TIP_AGE_S && !params.fixed {
            let age = duration(std::time::Duration::from_secs(age));
            return Ok(Poll::Pending(format!(
                "the last block is {age} old: waiting for a fresh one before {name} is revealed"
            )));
        }
        Ok(Poll::Ready(commit))
    })
}

/// Submits the Commit of an earlier run again, if the journal has one that is still worth
/// something.
fn resubmit(submitter: &Submitter, journal: &Journal) -> Result<bool, CommandError> {
    let Some(commit) = &journal.commit else { return Ok(false) };
    match submitter.client.submit(commit) {
        Ok(taken) => {
            submitter
                .ui
                .print_note(&format!("submitted the commitment worked earlier: {}", taken.id));
            Ok(true)
        }
        Err(ClientError::Refused(refusal))
            if is_outdated(&refusal) || refusal.rule.as_deref() == Some("commit-recorded") =>
        {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// What a registration would put on the chain, what its two operations cost, and how long they
/// wait.
fn dry_run(submitter: &Submitter, name: &Name, records: &RecordSet) -> Result<(), CommandError> {
    #[derive(Serialize)]
    struct DryRun<'a> {
        dry_run: bool,
        name: &'a Name,
        network: Network,
        records: usize,
        bytes: usize,
        /// The prices of the Commit and of the Register, and the work that would be done for them,
        /// in expected hashes.
        commitment_price: u64,
        commitment_work: u64,
        registration_price: u64,
        registration_work: u64,
        /// Seconds and blocks from the Commit to the Register, and until the name has settled.
        commit_seconds: u64,
        commit_blocks: u32,
        settle_seconds: u64,
        settle_blocks: u32,
    }
    let (_, context) = submitter.next_block()?;
    let (params, bytes) = (submitter.params(), records.byte_len());
    let commitment_price = price::registration(params, name, context.price.names);
    let registration_price = price::records(params, bytes, context.price.bytes);
    let shown = DryRun {
        dry_run: true,
        name,
        network: submitter.network,
        records: records.records().len(),
        bytes,
        commitment_price,
        commitment_work: pow::with_margin(commitment_price),
        registration_price,
        registration_work: pow::with_margin(registration_price),
        commit_seconds: params.commit_delay.seconds,
        commit_blocks: params.commit_delay.blocks,
        settle_seconds: params.settle_delay.seconds,
        settle_blocks: params.settle_delay.blocks,
    };
    let rate = pow::measure_rate(submitter.network);
    let span = |seconds| duration(std::time::Duration::from_secs(seconds));
    let text = format!(
        "{name} can be registered: {}, {bytes} bytes\n\
         commitment    {commitment_price} expected hashes, worked with a quarter more: {}\n\
         wait          at least {} and {}\n\
         registration  {registration_price} expected hashes, worked with a quarter more: {}\n\
         settling      at least {} and {}\n\
         Nothing is signed, worked or sent.",
        counted(shown.records as u64, "record"),
        pow::describe_estimate(shown.commitment_work, rate),
        span(shown.commit_seconds),
        counted(shown.commit_blocks.into(), "block"),
        pow::describe_estimate(shown.registration_work, rate),
        span(shown.settle_seconds),
        counted(shown.settle_blocks.into(), "block"),
    );
    Ok(submitter.ui.print_result(&text, &shown)?)
}

/// Waits for a submitted registration if the user wants that, and prints the result.
fn finish(
    submitter: &mut Submitter,
    journal: &Journal,
    submission: &Submission,
    waiting: &WaitArgs,
) -> Result<(), CommandError> {
    let Operation::Named(named) = &submission.operation else {
        return Err(CommandError::Dropped("the registration".into()));
    };
    let mut result = Registered {
        name: named.name.clone(),
        network: submitter.network,
        state: "submitted",
        owner: named.signer,
        commit: named.reference,
        operation: submission.id,
        recorded: None,
        recorded_time: None,
        depth: None,
        expires: None,
    };
    let name = &named.name;
    if !waiting.wait {
        let text = format!(
            "{name}: the registration is submitted; when it is recorded, the name settles; see: \
             zonetool show {name}"
        );
        return Ok(submitter.ui.print_result(&text, &result)?);
    }
    let recorded = submitter.wait_until_recorded(submission, waiting.depth());
    if matches!(recorded, Ok(_) | Err(CommandError::Displaced { .. } | CommandError::Taken(..))) {
        journal.remove();
    }
    let recorded = recorded?;
    result.state = "active";
    (result.recorded, result.recorded_time) = (Some(recorded.height), Some(recorded.time));
    result.depth = Some(recorded.depth);
    result.expires = recorded.info.entry.as_ref().map(|entry| entry.expires);
    let lease = result.expires.unwrap_or_default();
    let text = format!(
        "{name} is yours: registered at height {}, settled, and served by the node\n\
         its lease ends {}",
        recorded.height,
        describe_time(lease, clock::unix())
    );
    Ok(submitter.ui.print_result(&text, &result)?)
}
