//! `peer publish`, `peer rotate`, `peer revoke`: the next messaging record of a name, or none.

use namechain_core::types::{
    Action, Hash, Locators, MessagingPolicy, MessagingRecord, Name, NameEntry, Network, PublicKey,
    SecretKey, SignedMessagingRecord, next_key_hash,
};

use super::bundle;
use crate::{
    cli::{
        Bundle, MnemonicArgs, PeerOperationArgs, PeerPublishArgs, PeerRecordArgs, PeerRotateArgs,
    },
    client::Client,
    command::{
        input::{Keystore, parse_name},
        list::cached_names,
        mnemonic, ops,
        query::messaging_of,
    },
    error::CommandError,
    keys::{self, IdentityBranch, IdentityFile, KeyFile, MAX_IDENTITIES},
    ui::Ui,
};

/// Where identity keys come from: the key file's owner, and the 24 words.
struct Source<'a> {
    ui: Ui,
    keystore: &'a Keystore,
    owner: PublicKey,
    words: &'a MnemonicArgs,
    /// How the owner's key is kept, and so the identity keys.
    file: &'a KeyFile,
    dry_run: bool,
}

impl Source<'_> {
    /// The identity keys of the words, which must be those of the key file.
    fn branch(&self) -> Result<IdentityBranch, CommandError> {
        let words = mnemonic::read(self.ui, self.words.words_file.as_deref())?;
        match words.keys().owner().public() {
            found if found == self.owner => Ok(words.identities()),
            found => Err(CommandError::ForeignWords { ours: self.owner, found }),
        }
    }

    /// Derives the identity key at `index` from the words, and stores it in a file unless it is a
    /// dry run.
    fn make(&self, branch: &IdentityBranch, index: u32) -> Result<IdentityFile, CommandError> {
        let protection = self.file.protection(&self.keystore.passphrases)?;
        let made = IdentityFile::of(&self.keystore.directory, branch, index, &protection)?;
        if !self.dry_run {
            made.store(&self.keystore.directory)?;
        }
        Ok(made)
    }

    /// The identity key to publish for a name: the one asked for, the one that stands, or the last
    /// one used.
    fn choose(&self, index: Option<u32>, before: &NameEntry) -> Result<IdentityFile, CommandError> {
        let mut files = keys::identities(&self.keystore.directory)?;
        let stands = before.messaging.as_ref().map(|entry| entry.record.identity);
        let found = match (index, stands) {
            (Some(index), _) => files.iter().position(|file| file.index == index),
            (None, Some(stands)) => files.iter().position(|file| file.identity == stands),
            (None, None) => files.len().checked_sub(1),
        };
        if let Some(found) = found {
            return Ok(files.swap_remove(found));
        }
        let branch = self.branch()?;
        let index = match (index, stands) {
            (Some(index), _) => index,
            (None, Some(stands)) => of_words(&branch, before, &stands)?,
            (None, None) => 0,
        };
        self.make(&branch, index)
    }
}

fn of_words(
    branch: &IdentityBranch,
    before: &NameEntry,
    stands: &PublicKey,
) -> Result<u32, CommandError> {
    branch.find(stands).ok_or_else(|| CommandError::ForeignIdentity {
        name: before.name.clone(),
        identity: *stands,
    })
}

/// `peer publish`.
pub fn publish(
    ui: Ui,
    client: Client,
    keystore: &Keystore,
    args: &PeerPublishArgs,
) -> Result<(), CommandError> {
    let (file, locators) = (keys::load(&keystore.directory)?, locators(&args.record)?);
    let (owner, dry_run) = (file.owner, args.operate.dry_run);
    let (own, again) = (keys::load(&keystore.directory)?, client.reconnect()?);
    let mut made = None;
    let decide = |network: Network, before: &NameEntry| {
        check_owner(before, owner)?;
        let source = Source { ui, keystore, owner, words: &args.words, file: &own, dry_run };
        let identity = source.choose(args.index, before)?;
        note_shared(ui, &again, keystore, network, before, &identity.identity);
        let mut record = record(network, before, &identity, &args.record, locators);
        if is_unchanged(before, &record) && args.record.bundle != Some(Bundle::New) {
            return Err(CommandError::Unchanged(before.name.clone()));
        }
        let key = identity.unlock(&keystore.passphrases)?;
        if makes_bundle(&args.record, before) {
            let (name, sequence) = (&before.name, record.sequence);
            record.bundle =
                bundle::make(keystore, network, name, &identity, &key, sequence, !dry_run)?;
            made = Some(identity);
        }
        Ok(signed(network, before, record, &key, None))
    };
    ops::publish(ui, client, keystore, &args.operate.to_operation_args(), file, Box::new(decide))?;
    upload(ui, &again, keystore, &args.operate, made)
}

/// The most names that are looked up to find one with the same identity key.
const MAX_NAMES_COMPARED: usize = 32;

/// Says which other names of this user have the same identity key: whoever sees both knows that
/// they belong together.
fn note_shared(
    ui: Ui,
    client: &Client,
    keystore: &Keystore,
    network: Network,
    before: &NameEntry,
    identity: &PublicKey,
) {
    let mut names = cached_names(network, &before.owner);
    names.extend(keys::prekey_names(&keystore.directory).unwrap_or_default());
    names.remove(&before.name);
    // A name that can't be looked up is not worth an error here.
    let has_it = |name: &Name| {
        let entry = client.name(name).ok().and_then(|info| info.entry);
        entry
            .and_then(|entry| messaging_of(&entry).ok()?)
            .is_some_and(|it| it.record.identity == *identity)
    };
    let mut shared = names.iter().take(MAX_NAMES_COMPARED).filter(|name| has_it(name));
    if let Some(other) = shared.next() {
        ui.print_note(&format!(
            "{other} has the same identity key: everybody can see that both names are yours; \
             --index N publishes another key"
        ));
    }
}

/// Uploads the bundle that was made, once its record is recorded.
fn upload(
    ui: Ui,
    client: &Client,
    keystore: &Keystore,
    args: &PeerOperationArgs,
    made: Option<IdentityFile>,
) -> Result<(), CommandError> {
    let name = parse_name(&args.name)?;
    match made.filter(|_| !args.dry_run) {
        Some(identity) if args.waiting.wait => {
            bundle::upload_after_publish(ui, client, keystore, &name, &identity)
        }
        Some(_) => ui.print_note(&format!(
            "once that is recorded, upload the bundle: zonetool peer bundle put {name}"
        )),
        None => {}
    }
    Ok(())
}

/// Whether a new bundle is made for the record. By default: for a first record, and where the
/// present record has one.
fn makes_bundle(args: &PeerRecordArgs, before: &NameEntry) -> bool {
    let stands = before.messaging.as_ref().map(|entry| &entry.record);
    match args.bundle {
        Some(chosen) => chosen == Bundle::New,
        None => stands.is_none_or(|record| record.bundle != Hash::ZERO),
    }
}

/// `peer rotate`.
pub fn rotate(
    ui: Ui,
    client: Client,
    keystore: &Keystore,
    args: &PeerRotateArgs,
) -> Result<(), CommandError> {
    let (file, locators) = (keys::load(&keystore.directory)?, locators(&args.record)?);
    let (owner, dry_run) = (file.owner, args.operate.dry_run);
    let (own, again) = (keys::load(&keystore.directory)?, client.reconnect()?);
    let mut made = None;
    let decide = |network: Network, before: &NameEntry| {
        check_owner(before, owner)?;
        let stands = before.messaging.as_ref().map(|entry| entry.record.identity);
        let stands = stands.ok_or_else(|| CommandError::NoMessaging(before.name.clone()))?;
        let source = Source { ui, keystore, owner, words: &args.words, file: &own, dry_run };
        let branch = source.branch()?;
        let index = of_words(&branch, before, &stands)?;
        if index + 1 >= MAX_IDENTITIES {
            return Err(CommandError::NoMoreKeys(MAX_IDENTITIES));
        }
        let identity = source.make(&branch, index + 1)?;
        let mut record = record(network, before, &identity, &args.record, locators);
        let key = branch.key(index + 1);
        // The present bundle was signed by the old key.
        record.bundle = given(&args.record).unwrap_or_default();
        if makes_bundle(&args.record, before) {
            let (name, sequence) = (&before.name, record.sequence);
            record.bundle =
                bundle::make(keystore, network, name, &identity, &key, sequence, !dry_run)?;
            made = Some(identity);
        }
        Ok(signed(network, before, record, &key, Some(&branch.key(index))))
    };
    ops::publish(ui, client, keystore, &args.operate.to_operation_args(), file, Box::new(decide))?;
    upload(ui, &again, keystore, &args.operate, made)
}

/// The hash of a bundle that was given.
fn given(args: &PeerRecordArgs) -> Option<Hash> {
    match args.bundle {
        Some(Bundle::Hash(hash)) => Some(hash),
        _ => None,
    }
}

/// `peer revoke`.
pub fn withdraw(
    ui: Ui,
    client: Client,
    keystore: &Keystore,
    args: &PeerOperationArgs,
) -> Result<(), CommandError> {
    let file = keys::load(&keystore.directory)?;
    let decide = |_: Network, before: &NameEntry| match before.messaging {
        Some(_) => Ok(Action::Publish { sequence: ops::next_sequence(before), record: None }),
        None => Err(CommandError::NoMessaging(before.name.clone())),
    };
    ops::publish(ui, client, keystore, &args.to_operation_args(), file, Box::new(decide))
}

/// Refuses a name of somebody else, before words or passphrases are asked for.
fn check_owner(before: &NameEntry, ours: PublicKey) -> Result<(), CommandError> {
    if before.owner == ours {
        return Ok(());
    }
    let (name, owner) = (before.name.clone(), before.owner);
    Err(CommandError::NotOwner { name, owner, ours, rule: "not-owner" })
}

/// The locators on the command line, checked before any question is asked.
fn locators(args: &PeerRecordArgs) -> Result<Option<Locators>, CommandError> {
    let given = args.no_locators || !args.locators.is_empty();
    Ok(given.then(|| Locators::new(args.locators.clone())).transpose()?)
}

/// The next messaging record: what is not given is taken from the present one.
fn record(
    network: Network,
    before: &NameEntry,
    identity: &IdentityFile,
    args: &PeerRecordArgs,
    locators: Option<Locators>,
) -> MessagingRecord {
    let stands = before.messaging.as_ref().map(|entry| &entry.record);
    let stays = stands.filter(|record| record.identity == identity.identity);
    MessagingRecord {
        sequence: before.messaging_sequence.saturating_add(1),
        previous: stands.map(|record| record.hash(network)).unwrap_or_default(),
        identity: identity.identity,
        next: next_key_hash(network, &identity.next),
        x25519: identity.x25519,
        bundle: given(args).or_else(|| stays.map(|record| record.bundle)).unwrap_or_default(),
        locators: locators
            .or_else(|| stands.map(|record| record.locators.clone()))
            .unwrap_or_default(),
        policy: MessagingPolicy {
            x25519_alone: args
                .x25519_alone
                .map_or(stands.is_some_and(|record| record.policy.x25519_alone), |answer| answer.0),
        },
    }
}

fn is_unchanged(before: &NameEntry, record: &MessagingRecord) -> bool {
    before.messaging.as_ref().is_some_and(|entry| {
        let (sequence, previous) = (entry.record.sequence, entry.record.previous);
        MessagingRecord { sequence, previous, ..record.clone() } == entry.record
    })
}

fn signed(
    network: Network,
    before: &NameEntry,
    record: MessagingRecord,
    identity: &SecretKey,
    link: Option<&SecretKey>,
) -> Action {
    let (name, title) = (&before.name, &before.title);
    let signed = SignedMessagingRecord::sign(network, name, title, record, identity, link);
    let sequence = ops::next_sequence(before);
    Action::Publish { sequence, record: Some(Box::new(signed)) }
}
