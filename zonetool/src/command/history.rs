//! `history NAME`: all operations on a name, page by page.

use std::fmt::Write as _;

use namechain_core::{
    api_types::PastOperation,
    codec::Decode,
    types::{Action, Hash, Name, Operation, PublicKey, SignedOperation},
};
use serde::Serialize;

use super::{input::parse_name, query::synced_status};
use crate::{
    cli,
    client::Client,
    error::{ASK_ANOTHER, CommandError},
    key_text,
    ui::{Ui, counted, utc},
};

/// The most operations that are listed in one run.
const MAX_OPERATIONS: usize = 10_000;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct History {
    name: Name,
    operations: Vec<Past>,
    /// The height to continue at with `--from`, if there is more.
    next: Option<u32>,
    /// Operations below this height are missing: the node has pruned their blocks.
    pruned_below: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Past {
    height: u32,
    /// The time that the block's header states, in seconds of Unix time.
    time: u64,
    kind: &'static str,
    /// The sequence number of an Update, Transfer or Publish.
    sequence: Option<u32>,
    signer: PublicKey,
    id: Hash,
    /// Transfer: the key that it is offered to. Recover: the new owner.
    to: Option<PublicKey>,
    /// Register, Accept, Recover: the recovery key from then on.
    recovery: Option<PublicKey>,
    /// Register, Update: how many records.
    records: Option<usize>,
    /// Publish: the identity key from then on.
    identity: Option<PublicKey>,
    /// Publish: the identity key before, where it vouches for the new one.
    linked_by: Option<PublicKey>,
}

/// Runs the command.
pub fn run(ui: Ui, client: &Client, args: &cli::HistoryArgs) -> Result<(), CommandError> {
    let name = parse_name(&args.name)?;
    synced_status(client)?;
    let Operations { operations, next, pruned_below } = operations(client, &name, args.from)?;
    let operations: Vec<Past> = operations
        .iter()
        .map(|(past, named)| past_of(past.height, past.time, past.id, named))
        .collect();
    if operations.is_empty() && args.from == 0 && pruned_below.is_none() {
        return Err(CommandError::NotRegistered(name));
    }
    let history = History { name, operations, next, pruned_below };
    if let Some(height) = history.pruned_below {
        ui.print_note(&format!(
            "operations below block {height} are missing: this node has pruned their blocks; \
             {ASK_ANOTHER}"
        ));
    }
    if let Some(next) = history.next {
        ui.print_note(&format!("to continue: zonetool history {} --from {next}", history.name));
    }
    ui.print_result(&describe(&history), &history)?;
    Ok(())
}

/// An operation with where it was recorded, as the node says.
pub type Recorded = (PastOperation, SignedOperation);

/// The operations on a name, from a height on.
pub struct Operations {
    /// At most [`MAX_OPERATIONS`].
    pub operations: Vec<Recorded>,
    /// The height at which there are more.
    pub next: Option<u32>,
    /// There were some below this height, and the node has pruned their blocks.
    pub pruned_below: Option<u32>,
}

/// The operations on a name from a height on.
pub fn operations(client: &Client, name: &Name, from: u32) -> Result<Operations, CommandError> {
    let (mut operations, mut next, mut pruned_below) = (Vec::new(), Some(from), None);
    while let Some(from) = next
        && operations.len() < MAX_OPERATIONS
    {
        let page = client.history(name, from)?;
        if page.next.is_some_and(|next| next <= from) {
            return Err(client.bad_answer("its history does not advance").into());
        }
        for past in page.operations {
            let named = read(client, name, &past)?;
            operations.push((past, named));
        }
        next = page.next;
        pruned_below = pruned_below.or(page.pruned_below);
    }
    Ok(Operations { operations, next, pruned_below })
}

/// Decodes the operation's bytes: of the node's other fields, only height and time are used.
fn read(
    client: &Client,
    name: &Name,
    past: &PastOperation,
) -> Result<SignedOperation, CommandError> {
    let bad_answer = || {
        CommandError::from(
            client.bad_answer("its history holds something else than operations on the name"),
        )
    };
    let bytes = hex::decode(&past.operation).map_err(|_| bad_answer())?;
    let Ok(Operation::Named(named)) = Operation::from_bytes(&bytes) else {
        return Err(bad_answer());
    };
    if named.name != *name {
        return Err(bad_answer());
    }
    Ok(named)
}

fn past_of(height: u32, time: u64, id: Hash, named: &SignedOperation) -> Past {
    let (kind, sequence, signer) = (named.action.label(), named.action.sequence(), named.signer);
    let (to, recovery, records, identity, linked_by) = (None, None, None, None, None);
    let past = Past {
        height,
        time,
        kind,
        sequence,
        signer,
        id,
        to,
        recovery,
        records,
        identity,
        linked_by,
    };
    match &named.action {
        Action::Register { recovery, records, .. } => {
            Past { recovery: *recovery, records: Some(records.records().len()), ..past }
        }
        Action::Update { records, .. } => Past { records: Some(records.records().len()), ..past },
        Action::Transfer { to, .. } => Past { to: Some(*to), ..past },
        Action::Accept { recovery, .. } => Past { recovery: *recovery, ..past },
        Action::Recover { owner, recovery } => {
            Past { to: Some(*owner), recovery: *recovery, ..past }
        }
        Action::Publish { record: Some(signed), .. } => Past {
            identity: Some(signed.record.identity),
            linked_by: signed.link.map(|link| link.identity),
            ..past
        },
        Action::Publish { record: None, .. }
        | Action::Renew { .. }
        | Action::Cancel { .. }
        | Action::Revoke => past,
    }
}

fn describe(history: &History) -> String {
    let mut text = format!(
        "{:>8}  {:<20}  {:>4}  {:<9} details\n",
        "height", "time (UTC)", "seq", "operation"
    );
    for past in &history.operations {
        let details = match (past.records, past.identity) {
            (Some(records), _) => counted(records as u64, "record"),
            (_, Some(_)) if past.linked_by.is_some() => "linked".to_owned(),
            (_, None) if past.kind == "publish" => "withdrawn".to_owned(),
            _ => String::new(),
        };
        let (height, time, kind) = (past.height, utc(past.time), past.kind);
        let sequence = past.sequence.map_or_else(String::new, |sequence| sequence.to_string());
        let row = format!("{height:>8}  {time:<20}  {sequence:>4}  {kind:<9} {details}");
        // A key has a line of its own, which fits 80 columns with it. Writing to a String never
        // fails.
        let _ = writeln!(text, "{}", row.trim_end());
        let keys = [
            ("signed by", Some(key_text::owner(&past.signer))),
            ("to", past.to.as_ref().map(key_text::owner)),
            ("identity", past.identity.as_ref().map(key_text::identity)),
        ];
        for (label, key) in keys {
            let Some(key) = key else { continue };
            let _ = writeln!(text, " {label:<9} {key}");
        }
    }
    text
}
