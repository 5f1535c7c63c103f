//! `renew`, `transfer`, `accept`, `cancel`, `recover`, `revoke`: one signed operation on a
//! registered name.
//!
//! The name is looked up, the operation is checked by the rules of the next block, the user
//! confirms; only then the key is unlocked, and the operation signed, worked and submitted.

use std::time::Duration;

use namechain_core::{
    api_types::{NameInfo, Standing, TransferInfo},
    params::{Delay, Params},
    types::{Action, Hash, Name, NameEntry, Network, PublicKey, SecretKey},
};
use serde::Serialize;

use super::{
    draft::Draft,
    dry_run,
    input::{Keystore, parse_name},
    mnemonic,
    preflight::{check, entry_of},
    query::registered,
    show::ShownMessaging,
    submit::Submitter,
    wait::Poll,
};
use crate::{
    cli::{
        Accept, KeyOrName, KeyholderArgs, MnemonicArgs, NewOwner, OperationArgs, Recover, Recovery,
        Transfer,
    },
    client::Client,
    clock,
    dates::{Earliest, describe_time},
    error::CommandError,
    key_text,
    keys::{self, KeyError, KeyFile},
    ui::{Ui, counted, duration},
};

/// What is to be done with which key.
struct Request<'a> {
    args: &'a OperationArgs,
    signer: Signer<'a>,
    /// Whether the user must confirm: what it does can't be undone.
    asks: bool,
    first: First,
    action: Decide<'a>,
}

/// What an operation has to wait for before it is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    /// For pending operations: it carries a sequence number.
    PendingOperations,
    /// With `--wait`, until the offer can be accepted.
    Offer,
    /// For nothing: nothing that somebody else signs keeps it out.
    Nothing,
}

/// What to do with a name on a network, from its entry.
pub type Decide<'a> = Box<dyn FnOnce(Network, &NameEntry) -> Result<Action, CommandError> + 'a>;

enum Signer<'a> {
    File(KeyFile),
    Mnemonic(&'a MnemonicArgs),
}

/// What `--json` prints. Times are in seconds of Unix time.
#[derive(Debug, Serialize)]
struct Operated {
    name: Name,
    network: Network,
    /// `renew`, `transfer`, `accept`, `cancel`, `recover`, `revoke` or `publish`.
    action: &'static str,
    /// `submitted` or `recorded`.
    state: &'static str,
    signer: PublicKey,
    /// The owner after it.
    owner: PublicKey,
    /// The operation's id.
    operation: Hash,
    /// The sequence number, if the action carries one.
    sequence: Option<u32>,
    /// The last time at which a block may record it.
    valid_until: u64,
    /// The height that recorded it and the time of that block, once known.
    recorded: Option<u32>,
    recorded_time: Option<u64>,
    /// How many blocks had followed when the command ended.
    depth: Option<u32>,
    /// The end of the lease after it.
    expires: u64,
    /// The pending transfer after it, once recorded.
    transfer: Option<TransferInfo>,
    /// The messaging record after it.
    messaging: Option<ShownMessaging>,
}

/// `cancel`.
pub fn cancel(
    ui: Ui,
    client: Client,
    keystore: &Keystore,
    args: &KeyholderArgs,
) -> Result<(), CommandError> {
    let action = |_, before: &NameEntry| Ok(Action::Cancel { transfer: pending_transfer(before) });
    keyholder(ui, client, keystore, args, false, Box::new(action))
}

/// `revoke`.
pub fn revoke(
    ui: Ui,
    client: Client,
    keystore: &Keystore,
    args: &KeyholderArgs,
) -> Result<(), CommandError> {
    keyholder(ui, client, keystore, args, true, Box::new(|_, _| Ok(Action::Revoke)))
}

/// `renew` of one name.
pub fn renew(
    ui: Ui,
    client: Client,
    keystore: &Keystore,
    args: &KeyholderArgs,
) -> Result<(), CommandError> {
    let action = |_, before: &NameEntry| Ok(Action::Renew { expires: before.expires });
    keyholder(ui, client, keystore, args, false, Box::new(action))
}

/// What the owner key or the recovery key signs.
fn keyholder(
    ui: Ui,
    client: Client,
    keystore: &Keystore,
    args: &KeyholderArgs,
    asks: bool,
    action: Decide<'_>,
) -> Result<(), CommandError> {
    let signer = match args.recovery_words() {
        Some(words) => Signer::Mnemonic(words),
        None => Signer::File(keys::load(&keystore.directory)?),
    };
    let request = Request { args: &args.operate, signer, asks, first: First::Nothing, action };
    run(ui, client, keystore, request)
}

/// `transfer`.
pub fn transfer(
    ui: Ui,
    client: Client,
    keystore: &Keystore,
    args: &Transfer,
) -> Result<(), CommandError> {
    let signer = Signer::File(keys::load(&keystore.directory)?);
    let to = key_of(ui, &client, &args.to)?;
    let action = Box::new(move |_, before: &NameEntry| {
        Ok(Action::Transfer { sequence: next_sequence(before), to })
    });
    let request = Request {
        args: &args.operate,
        signer,
        asks: true,
        first: First::PendingOperations,
        action,
    };
    run(ui, client, keystore, request)
}

/// `accept`.
pub fn accept(
    ui: Ui,
    client: Client,
    keystore: &Keystore,
    args: &Accept,
) -> Result<(), CommandError> {
    let file = keys::load(&keystore.directory)?;
    let recovery = Recovery::key_or(args.recovery, Some(file.recovery));
    let action = Box::new(move |_, before: &NameEntry| {
        Ok(Action::Accept { transfer: pending_transfer(before), recovery })
    });
    let signer = Signer::File(file);
    let request = Request { args: &args.operate, signer, asks: true, first: First::Offer, action };
    run(ui, client, keystore, request)
}

/// `recover`.
pub fn recover(
    ui: Ui,
    client: Client,
    keystore: &Keystore,
    args: &Recover,
) -> Result<(), CommandError> {
    let owner = match &args.owner {
        NewOwner::Other(other) => key_of(ui, &client, other)?,
        NewOwner::Mine => keys::load(&keystore.directory)?.owner,
    };
    let action = Box::new(move |_, before: &NameEntry| {
        Ok(Action::Recover { owner, recovery: Recovery::key_or(args.recovery, before.recovery) })
    });
    let signer = Signer::Mnemonic(&args.words);
    let request =
        Request { args: &args.operate, signer, asks: true, first: First::Nothing, action };
    run(ui, client, keystore, request)
}

/// `peer publish`, `rotate` and `revoke`: signed by the owner without a question.
pub fn publish(
    ui: Ui,
    client: Client,
    keystore: &Keystore,
    args: &OperationArgs,
    file: KeyFile,
    action: Decide<'_>,
) -> Result<(), CommandError> {
    let signer = Signer::File(file);
    run(
        ui,
        client,
        keystore,
        Request { args, signer, asks: false, first: First::PendingOperations, action },
    )
}

/// The key that is meant: of a name its owner, which is shown. A name whose owner may not stay the
/// owner is refused.
fn key_of(ui: Ui, client: &Client, meant: &KeyOrName) -> Result<PublicKey, CommandError> {
    let text = match meant {
        KeyOrName::Key(key) => return Ok(*key),
        KeyOrName::Name(text) => text,
    };
    let (info, _) = registered(client, text)?;
    let name = info.name;
    match (info.standing, info.entry) {
        (Standing::Active, Some(entry)) => {
            ui.print_note(&format!("the owner of {name} is {}", key_text::owner(&entry.owner)));
            Ok(entry.owner)
        }
        (Standing::Grace, _) => Err(CommandError::Grace(name)),
        (Standing::Revoked, _) => Err(CommandError::Revoked(name)),
        _ => Err(CommandError::Unsettled(name)),
    }
}

/// The sequence number of the next Update, Transfer or Publish.
pub fn next_sequence(before: &NameEntry) -> u32 {
    before.sequence.saturating_add(1)
}

/// The subject of the pending transfer. Without one it is zeros, which the check by the rules
/// refuses.
fn pending_transfer(before: &NameEntry) -> Hash {
    before.transfer.map_or(Hash::ZERO, |transfer| transfer.subject)
}

/// A script that can't answer the question needs `--yes`.
fn check_can_ask(ui: Ui, args: &OperationArgs, asks: bool) -> Result<(), CommandError> {
    match asks && !args.yes && !ui.is_interactive() {
        true => Err(CommandError::NoTerminal),
        false => Ok(()),
    }
}

fn run(
    ui: Ui,
    client: Client,
    keystore: &Keystore,
    request: Request<'_>,
) -> Result<(), CommandError> {
    let args = request.args;
    let name = parse_name(&args.name)?;
    let validity = args.validity.duration();
    let mut submitter = Submitter::connect(ui, client, &args.waiting, validity)?;
    let info = look_up(&mut submitter, &name, &request)?;
    let before = entry_of(&info)?;
    let signer = match &request.signer {
        Signer::File(file) => file.owner,
        Signer::Mnemonic(_) => {
            before.recovery.ok_or_else(|| CommandError::NoRecovery(name.clone()))?
        }
    };
    let action = (request.action)(submitter.network, &before)?;
    let draft =
        Draft { name: name.clone(), reference: before.title, action, entry: Some(before.clone()) };
    let checked = check(&submitter, &draft, &before, signer)?;
    if args.dry_run {
        return dry_run::show(&submitter, &checked, &before);
    }
    if request.asks && !args.yes {
        check_can_ask(ui, args, request.asks)?;
        ask(ui, submitter.params(), &draft.action, &before)?;
    }
    let key = unlock(ui, keystore, &request.signer, &name, signer)?;
    let submission = submitter.submit_named(&key, &draft, |_| Ok(()))?;
    drop(key);
    let after = checked.after;
    let mut result = Operated {
        action: draft.action.label(),
        state: "submitted",
        network: submitter.network,
        signer,
        owner: after.owner,
        operation: submission.id,
        sequence: draft.action.sequence(),
        valid_until: submission.valid_until().unwrap_or_default(),
        recorded: None,
        recorded_time: None,
        depth: None,
        expires: after.expires,
        transfer: None,
        messaging: after.messaging.as_deref().map(ShownMessaging::from),
        name,
    };
    if args.waiting.wait {
        let recorded = submitter.wait_until_recorded(&submission, args.waiting.depth())?;
        result.state = "recorded";
        (result.recorded, result.recorded_time) = (Some(recorded.height), Some(recorded.time));
        result.depth = Some(recorded.depth);
        if let Some(entry) = recorded.info.entry {
            (result.owner, result.expires, result.transfer) =
                (entry.owner, entry.expires, entry.transfer);
        }
    }
    ui.print_result(&describe(&result, clock::unix()), &result)?;
    Ok(())
}

/// The name at the tip, once what comes first has come. A dry run waits for nothing. A script that
/// can't answer the question that follows does not wait for it either.
fn look_up(
    submitter: &mut Submitter,
    name: &Name,
    request: &Request<'_>,
) -> Result<NameInfo, CommandError> {
    let args = request.args;
    let info = submitter.client.name(name)?;
    let is_offered = entry_of(&info)?.transfer.is_some();
    if !args.dry_run {
        match request.first {
            First::PendingOperations if info.pending => {
                check_can_ask(submitter.ui, args, request.asks)?;
                return submitter.wait_no_pending(name);
            }
            First::Offer if is_offered && args.waiting.wait => {
                check_can_ask(submitter.ui, args, request.asks)?;
                return wait_for_offer(submitter, name, args.waiting.timeout);
            }
            _ => {}
        }
    }
    if info.pending {
        submitter.ui.print_note(&format!("another operation on {name} is pending"));
    }
    Ok(info)
}

/// Waits until the pending transfer can be accepted, if that can be within `timeout`.
fn wait_for_offer(
    submitter: &mut Submitter,
    name: &Name,
    timeout: Duration,
) -> Result<NameInfo, CommandError> {
    let client = &submitter.client;
    submitter.waiter.until("the offer", || {
        let info = client.name(name)?;
        let now = clock::unix().max(info.time);
        let transfer = info.entry.as_ref().and_then(|entry| entry.transfer.as_ref());
        let opens = transfer.map(|it| Earliest { height: it.opens_height, time: it.opens_time });
        // Too early by far, or not offered: the check that follows says so.
        Ok(match opens {
            Some(opens)
                if !opens.is_reached(info.height, now)
                    && opens.time <= now.saturating_add(timeout.as_secs()) =>
            {
                let when = opens.describe(info.height, now);
                Poll::Pending(format!("{name} can be accepted {when}"))
            }
            _ => Poll::Ready(info),
        })
    })
}

/// The key that signs, which must be the `needed` one.
fn unlock(
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

fn ask(ui: Ui, params: &Params, action: &Action, before: &NameEntry) -> Result<(), CommandError> {
    let agreed = ui
        .confirm(&question(params, action, before, clock::unix()))
        .map_err(|source| KeyError::File { path: "the terminal".into(), source });
    if agreed? { Ok(()) } else { Err(CommandError::NotConfirmed) }
}

/// What the user has to confirm.
fn question(params: &Params, action: &Action, before: &NameEntry, now: u64) -> String {
    let name = &before.name;
    match action {
        Action::Transfer { to, .. } => {
            let Delay { blocks, seconds } = params.transfer_delay;
            let delay = duration(Duration::from_secs(seconds));
            let (blocks, to) = (counted(blocks.into(), "block"), key_text::owner(to));
            format!(
                "Offer {name} to {to}? It can accept the name once {delay} and {blocks} \
                 have passed, unless you cancel the offer first."
            )
        }
        Action::Accept { .. } => format!(
            "Accept {name} from {}? Its {} and its messaging key are removed.",
            key_text::owner(&before.owner),
            counted(before.records.records().len() as u64, "record")
        ),
        Action::Recover { owner, recovery } => format!(
            "Give {name} to {}, with the recovery key {}? Its messaging key is removed.",
            key_text::owner(owner),
            key_text::recovery(recovery.as_ref())
        ),
        Action::Revoke => {
            let end = before.expires.saturating_add(params.grace);
            let undo = match before.recovery {
                Some(_) => "Only the recovery key can undo it.",
                None => "Nothing can undo it.",
            };
            format!(
                "Revoke {name}? It stops resolving, its records are removed, and nobody can \
                 register it before {}. {undo}",
                describe_time(end, now)
            )
        }
        other => format!("{} {name}?", other.label()),
    }
}

fn describe(result: &Operated, now: u64) -> String {
    let (name, lease) = (&result.name, describe_time(result.expires, now));
    let Some(height) = result.recorded else {
        return format!(
            "{name}: the {} is submitted, valid until {}; see: zonetool show {name}",
            result.action,
            describe_time(result.valid_until, now)
        );
    };
    match result.action {
        "publish" => match &result.messaging {
            Some(messaging) => format!(
                "{name} has the identity key {}: record {} at height {height}",
                key_text::identity(&messaging.identity),
                messaging.sequence
            ),
            None => format!("{name} has no identity key any more: recorded at height {height}"),
        },
        "renew" => format!("{name} is renewed: recorded at height {height}, lease until {lease}"),
        "transfer" => match &result.transfer {
            Some(transfer) => {
                let opens = Earliest { height: transfer.opens_height, time: transfer.opens_time };
                format!(
                    "{name} is offered to {}, which can accept it {}; to cancel: zonetool cancel \
                     {name}",
                    key_text::owner(&transfer.to),
                    opens.describe(height, now)
                )
            }
            None => format!("{name} was offered: recorded at height {height}"),
        },
        "accept" => format!(
            "{name} is yours: recorded at height {height}; it has no records, to add some: \
             zonetool update {name} --zone FILE"
        ),
        "cancel" => format!("{name} is no longer offered: recorded at height {height}"),
        "recover" => format!(
            "{name} belongs to {}: recorded at height {height}",
            key_text::owner(&result.owner)
        ),
        _ => format!("{name} is revoked: recorded at height {height}"),
    }
}
