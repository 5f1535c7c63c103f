//! `renew`, `transfer`, `accept`, `cancel`, `recover`, `revoke`: one signed operation on a name
//! that is somebody's.
//!
//! Look at the name, check what the next block would say, ask, only then open the key, work and
//! submit.

use namechain_core::{
    api_types::{NameInfo, TransferInfo},
    consensus::{RuleViolation, state::BlockContext},
    types::{
        Action, Hash, Name, NameEntry, Network, PublicKey, SecretKey, Signature, SignedOperation,
        Stamp,
    },
};
use serde::Serialize;

use super::{
    dry_run,
    input::{Keystore, parse_name},
    mnemonic,
    preflight::{entry_of, preflight},
    show::ShownMessaging,
    submit::{Submitter, UNWORKED, cost_of},
};
use crate::{
    cli::{
        Accept, KeyholderArgs, MnemonicArgs, NewOwner, OperationArgs, Recover, Recovery, Transfer,
    },
    client::Client,
    error::CommandError,
    keys::{self, KeyError, KeyFile},
    ui::Ui,
};

/// What is to be done with which key.
struct Request<'a> {
    args: &'a OperationArgs,
    signer: Signer<'a>,
    /// Whether it takes an agreement: what it does can't be undone.
    asks: bool,
    action: Decide<'a>,
}

/// What to do with a name on a network, from its entry.
pub type Decide<'a> = Box<dyn FnOnce(Network, &NameEntry) -> Result<Action, CommandError> + 'a>;

enum Signer<'a> {
    File(KeyFile),
    Mnemonic(&'a MnemonicArgs),
}

/// The result.
#[derive(Debug, Serialize)]
struct Operated {
    name: Name,
    network: Network,
    /// `renew`, `transfer`, `accept`, `cancel`, `recover` or `revoke`.
    action: &'static str,
    /// `submitted` or `recorded`.
    state: &'static str,
    signer: PublicKey,
    /// The owner after it.
    owner: PublicKey,
    /// The operation's id.
    operation: Hash,
    sequence: u32,
    /// The height that recorded it, once known.
    recorded: Option<u32>,
    /// How many blocks had been built on that when the command ended.
    depth: Option<u32>,
    /// The height at which the lease is over after it.
    expires: u32,
    /// The offer that waits after it, once recorded.
    transfer: Option<TransferInfo>,
    /// The messaging record that stands after it.
    messaging: Option<ShownMessaging>,
}

/// `renew`, `cancel` and `revoke`.
pub fn keyholder(
    ui: Ui,
    client: Client,
    keystore: &Keystore,
    args: &KeyholderArgs,
    action: Action,
) -> Result<(), CommandError> {
    let asks = action == Action::Revoke;
    check_can_ask(ui, &args.operate, asks)?;
    let signer = match args.recovery_words() {
        Some(words) => Signer::Mnemonic(words),
        None => Signer::File(keys::load(&keystore.directory)?),
    };
    let request =
        Request { args: &args.operate, signer, asks, action: Box::new(|_, _| Ok(action)) };
    run(ui, client, keystore, request)
}

/// `transfer`.
pub fn transfer(
    ui: Ui,
    client: Client,
    keystore: &Keystore,
    args: &Transfer,
) -> Result<(), CommandError> {
    check_can_ask(ui, &args.operate, true)?;
    let signer = Signer::File(keys::load(&keystore.directory)?);
    let action = Box::new(|_, _: &NameEntry| Ok(Action::Transfer { to: args.to }));
    run(ui, client, keystore, Request { args: &args.operate, signer, asks: true, action })
}

/// `accept`.
pub fn accept(
    ui: Ui,
    client: Client,
    keystore: &Keystore,
    args: &Accept,
) -> Result<(), CommandError> {
    check_can_ask(ui, &args.operate, true)?;
    let file = keys::load(&keystore.directory)?;
    let recovery = Recovery::key_or(args.recovery, Some(file.recovery));
    let action = Box::new(move |_, _: &NameEntry| Ok(Action::Accept { recovery }));
    run(
        ui,
        client,
        keystore,
        Request { args: &args.operate, signer: Signer::File(file), asks: true, action },
    )
}

/// `recover`.
pub fn recover(
    ui: Ui,
    client: Client,
    keystore: &Keystore,
    args: &Recover,
) -> Result<(), CommandError> {
    check_can_ask(ui, &args.operate, true)?;
    let owner = match args.owner {
        NewOwner::Key(key) => key,
        NewOwner::Mine => keys::load(&keystore.directory)?.owner,
    };
    let action = Box::new(move |_, before: &NameEntry| {
        Ok(Action::Recover { owner, recovery: Recovery::key_or(args.recovery, before.recovery) })
    });
    let signer = Signer::Mnemonic(&args.words);
    run(ui, client, keystore, Request { args: &args.operate, signer, asks: true, action })
}

/// What the owner does without being asked: `peer publish`, `rotate` and `revoke`.
pub fn owner(
    ui: Ui,
    client: Client,
    keystore: &Keystore,
    args: &OperationArgs,
    file: KeyFile,
    action: Decide<'_>,
) -> Result<(), CommandError> {
    run(ui, client, keystore, Request { args, signer: Signer::File(file), asks: false, action })
}

/// Before anything else: a script that can't answer learns at once that it must say so.
fn check_can_ask(ui: Ui, args: &OperationArgs, asks: bool) -> Result<(), CommandError> {
    if asks && !args.yes && !args.dry_run && !ui.is_interactive() {
        return Err(CommandError::NoTerminal);
    }
    Ok(())
}

fn run(
    ui: Ui,
    client: Client,
    keystore: &Keystore,
    request: Request<'_>,
) -> Result<(), CommandError> {
    let args = request.args;
    let name = parse_name(&args.name)?;
    let mut submitter = Submitter::connect(ui, client, args.waiting.timeout)?;
    let info = look(&mut submitter, &name, args.dry_run)?;
    let before = entry_of(&info)?;
    let signer = match &request.signer {
        Signer::File(file) => file.owner,
        Signer::Mnemonic(_) => {
            before.recovery.ok_or_else(|| CommandError::NoRecovery(name.clone()))?
        }
    };
    let action = (request.action)(submitter.network, &before)?;
    let Checked { named, after, height } = check(&submitter, &info, &before, signer, action)?;
    let sequence = named.sequence;
    if args.dry_run {
        return dry_run::show(ui, submitter.network, &named, &before, &after, height);
    }
    if request.asks && !args.yes {
        ask(ui, submitter.params().transfer_delay, &named, &before)?;
    }
    let key = open(ui, keystore, &request.signer, &name, signer)?;
    let submitted = submitter.submit_named(&key, &name, sequence, named.action.clone())?;
    drop(key);
    let mut result = Operated {
        action: named.action.label(),
        state: "submitted",
        network: submitter.network,
        signer,
        owner: after.owner,
        operation: submitted.id,
        sequence,
        recorded: None,
        depth: None,
        expires: after.expires,
        transfer: None,
        messaging: after.messaging.as_deref().map(ShownMessaging::from),
        name,
    };
    if args.waiting.wait {
        let recorded = submitter.wait_for_operation(
            &result.name,
            &submitted,
            sequence,
            args.waiting.depth(),
        )?;
        result.state = "recorded";
        (result.recorded, result.depth) = (Some(recorded.height), Some(recorded.depth));
        let entry = recorded.entry;
        (result.owner, result.expires, result.transfer) =
            (entry.owner, entry.expires, entry.transfer);
    }
    ui.print_result(&describe(&result), &result)?;
    Ok(())
}

/// An operation that the next block would take, without its signature and stamp.
struct Checked {
    named: SignedOperation,
    /// The name's entry after it.
    after: NameEntry,
    /// The height of the next block.
    height: u32,
}

/// Checks an operation by the chain's rules, before any work.
fn check(
    submitter: &Submitter,
    info: &NameInfo,
    before: &NameEntry,
    signer: PublicKey,
    action: Action,
) -> Result<Checked, CommandError> {
    let price = submitter.client.price()?;
    let height = price.height.max(info.height).saturating_add(1);
    let context = BlockContext { height, price: price.multiplier };
    let work = cost_of(submitter.params(), &info.name, &action, context.price);
    let named = SignedOperation {
        name: info.name.clone(),
        sequence: info.next_sequence,
        signer,
        action,
        signature: Signature([0; 64]),
        stamp: Stamp { work, ..UNWORKED },
    };
    match preflight(submitter.params(), context, before, &named) {
        Ok(after) => Ok(Checked { named, after, height }),
        Err(violation) => Err(explain_violation(violation, before, signer, height)),
    }
}

/// Shows what an operation of `signer` would be.
pub fn dry_run(
    ui: Ui,
    submitter: &Submitter,
    info: &NameInfo,
    signer: PublicKey,
    action: Action,
) -> Result<(), CommandError> {
    let before = entry_of(info)?;
    let Checked { named, after, height } = check(submitter, info, &before, signer, action)?;
    dry_run::show(ui, submitter.network, &named, &before, &after, height)
}

/// Where the name stands; an operation that waits comes first, unless nothing is going to be
/// signed.
fn look(submitter: &mut Submitter, name: &Name, dry_run: bool) -> Result<NameInfo, CommandError> {
    if !dry_run {
        return submitter.wait_no_pending(name);
    }
    let info = submitter.client.name(name)?;
    if info.pending {
        submitter.ui.print_note(&format!(
            "an operation on {name} waits to be recorded: after it, the sequence number is another"
        ));
    }
    Ok(info)
}

/// The key that signs: the one that the name asks for, or none.
fn open(
    ui: Ui,
    keystore: &Keystore,
    signer: &Signer<'_>,
    name: &Name,
    needed: PublicKey,
) -> Result<SecretKey, CommandError> {
    let key = match signer {
        Signer::File(file) => file.unlock(&keystore.passphrases)?,
        Signer::Mnemonic(from) => mnemonic::read(ui, from.words_file.as_deref())?.recovery(),
    };
    match key.public() {
        found if found == needed => Ok(key),
        found => Err(CommandError::OtherWords { name: name.clone(), needed, found }),
    }
}

/// A broken rule, with whose key it is that would be needed.
fn explain_violation(
    violation: RuleViolation,
    entry: &NameEntry,
    ours: PublicKey,
    next: u32,
) -> CommandError {
    let (name, rule) = (entry.name.clone(), violation.id());
    match (&violation, entry.transfer) {
        (RuleViolation::NotOwner(_) | RuleViolation::NotKeyholder(_), _) => {
            CommandError::NotOwner { name, owner: entry.owner, ours, rule }
        }
        (RuleViolation::NotRecipient(_), Some(transfer)) => {
            CommandError::NotRecipient { name, to: transfer.to, ours }
        }
        _ => CommandError::Rule { name, violation, next },
    }
}

fn ask(
    ui: Ui,
    delay: u32,
    named: &SignedOperation,
    before: &NameEntry,
) -> Result<(), CommandError> {
    let name = &named.name;
    let question = match &named.action {
        Action::Transfer { to } => format!(
            "Offer {name} to {to}? From {delay} blocks on it can take the name, unless you cancel before."
        ),
        Action::Accept { .. } => format!(
            "Take {name} from {}? Its records ({}) are gone then.",
            before.owner,
            before.records.records().len()
        ),
        Action::Recover { owner, recovery } => format!(
            "Give {name} to {owner}, with the recovery key {}?",
            recovery.map_or("none".to_owned(), |key| key.to_string())
        ),
        Action::Revoke => format!(
            "Revoke {name}? It stops resolving, and nobody can have it before height {}. Nothing undoes it.",
            before.expires
        ),
        other => format!("{} {name}?", other.label()),
    };
    let agreed = ui
        .confirm(&question)
        .map_err(|source| KeyError::File { path: "the terminal".into(), source });
    if agreed? { Ok(()) } else { Err(CommandError::NotConfirmed) }
}

fn describe(result: &Operated) -> String {
    let (name, expires) = (&result.name, result.expires);
    let Some(height) = result.recorded else {
        return format!(
            "{name}: the {} waits for the next block; see: zonetool show {name}",
            result.action
        );
    };
    match result.action {
        "publish" => match &result.messaging {
            Some(messaging) => format!(
                "{} speaks for {name}: record {} at height {height}",
                messaging.identity, messaging.sequence
            ),
            None => format!("nobody speaks for {name} any more: recorded at height {height}"),
        },
        "renew" => {
            format!(
                "{name} is renewed: recorded at height {height}, its lease ends at height {expires}"
            )
        }
        "transfer" => {
            let offered = result.transfer.as_ref().map_or_else(String::new, |transfer| {
                format!(" to {}, which can accept it from height {}", transfer.to, transfer.opens)
            });
            format!("{name} is offered{offered}; until it has: zonetool cancel {name}")
        }
        "accept" => format!(
            "{name} is yours: recorded at height {height}; it has no records: zonetool update {name} --zone FILE"
        ),
        "cancel" => format!("{name} is no longer offered: recorded at height {height}"),
        "recover" => format!("{name} belongs to {}: recorded at height {height}", result.owner),
        _ => format!(
            "{name} is revoked: recorded at height {height}, it is nobody's until height {expires}"
        ),
    }
}
