//! `peer open`: an envelope on standard input, its letter on standard output, once its sender is
//! verified.

use std::{
    io::{self, IsTerminal, Read, Write},
    path::PathBuf,
};

use messaging::{
    Inbox, Letter, OpenError, PinStatus, UnverifiedLetter, X25519Secret, XWingSecret,
    envelope::{EnvelopeHeader, KeyLabel, recipient_tag},
};
use namechain_core::types::{Name, Network, PublicKey};
use serde::Serialize;

use super::lookup::{current_record, look_up_peer, look_up_unpinned};
use crate::{
    cli::Open,
    client::Client,
    clock,
    command::input::{Keystore, parse_name},
    error::{CommandError, PeerError},
    key_text,
    keys::{self, IdentityFile, Prekeys},
    pin_store::PinStore,
    ui::{Ui, escape_terminal, utc},
};

/// The largest envelope.
const MAX_ENVELOPE_BYTES: u64 = 65_536;
/// What the X25519 key is called in an inbox; prekeys have small numbers.
const X25519_LABEL: u32 = u32::MAX;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct ShownLetter<'a> {
    from: &'a Name,
    to: &'a Name,
    /// The sender's identity key.
    identity: PublicKey,
    /// How it compares with what was seen of the sender before.
    pin_status: &'static str,
    /// When it was written, as its sender says, and until when it is good: seconds of Unix time.
    created: u64,
    expires: u64,
    kem: String,
    /// Whether a key opened it that opens nothing else.
    once: bool,
    /// The text, if it is UTF-8.
    text: Option<&'a str>,
    /// The same in hexadecimal.
    body: String,
}

/// An inbox, the index of its identity key, and its prekeys.
struct OwnInbox {
    inbox: Inbox,
    index: u32,
    prekeys: Option<Prekeys>,
}

/// Runs the command.
pub fn run(ui: Ui, client: &Client, keystore: &Keystore, args: &Open) -> Result<(), CommandError> {
    let envelope = read_envelope(ui)?;
    let header = EnvelopeHeader::read(&envelope).map_err(PeerError::Open)?;
    let network = client.status()?.network;
    let names = names(network, keystore, args, header)?;
    let (mut found, opened) = open_any(network, client, keystore, &names, &envelope)?;
    // The letter may be forged: its sender is not pinned yet.
    let sender = match look_up_unpinned(client, &args.lookup, opened.claimed_sender()) {
        Ok(peer) => Some(peer),
        Err(CommandError::NotRegistered(_) | CommandError::NoMessaging(_)) => None,
        Err(error) => return Err(error),
    };
    let mut seen = PinStore::of(network)?.seen().map_err(PeerError::PinStore)?;
    let mut noted = seen.value.clone();
    let letter =
        opened.verify(sender.as_ref(), &mut found.inbox, &mut noted).map_err(PeerError::Open)?;
    let text = std::str::from_utf8(letter.body()).ok();
    if !ui.is_json() && text.is_none() && io::stdout().is_terminal() {
        return Err(PeerError::Terminal("a letter that is not text").into());
    }
    let pin_status = remember(client, args, &letter)?;
    // Stored before the letter is shown: otherwise a crash would let it be opened twice.
    seen.value = noted;
    seen.save().map_err(PeerError::PinStore)?;
    if letter.spent {
        forget(keystore, &found, letter.used)?;
    }
    show(ui, &found, &letter, pin_status.as_str())
}

/// Pins the sender, now that the letter is known to be theirs.
fn remember(client: &Client, args: &Open, letter: &Letter) -> Result<PinStatus, CommandError> {
    let (sender, pin_status) = look_up_peer(client, &args.lookup, &letter.sender)?;
    match sender.identity() == letter.identity {
        true => Ok(pin_status),
        // The key was replaced since the letter was verified.
        false => Err(PeerError::Open(OpenError::ReplacedKey(letter.sender.clone())).into()),
    }
}

fn read_envelope(ui: Ui) -> Result<Vec<u8>, CommandError> {
    ui.explain_input("A sealed letter is read from the terminal; from a file: peer open < FILE");
    let mut envelope = Vec::new();
    let failed = |source| PeerError::File { path: "standard input".into(), source };
    io::stdin().take(MAX_ENVELOPE_BYTES + 1).read_to_end(&mut envelope).map_err(failed)?;
    Ok(envelope)
}

/// The names that the letter may be for: the one that was given, or those that have prekeys here
/// and the envelope's recipient tag.
fn names(
    network: Network,
    keystore: &Keystore,
    args: &Open,
    header: EnvelopeHeader,
) -> Result<Vec<Name>, CommandError> {
    if let Some(name) = &args.name {
        return Ok(vec![parse_name(name)?]);
    }
    let own = keys::prekey_names(&keystore.directory)?;
    let fits: Vec<Name> = own
        .iter()
        .filter(|name| recipient_tag(network, name) == header.recipient_tag)
        .cloned()
        .collect();
    if fits.is_empty() {
        let own: Vec<&str> = own.iter().map(Name::as_str).collect();
        let own = if own.is_empty() { "none".to_owned() } else { own.join(", ") };
        return Err(PeerError::NoName(own).into());
    }
    Ok(fits)
}

/// Tries every identity key of ours, the latest first: a letter may have been sent before the key
/// was replaced.
fn open_any(
    network: Network,
    client: &Client,
    keystore: &Keystore,
    names: &[Name],
    envelope: &[u8],
) -> Result<(OwnInbox, UnverifiedLetter), CommandError> {
    let now = clock::unix();
    let mut refused = None;
    for name in names {
        let alone =
            current_record(client, name).is_ok_and(|entry| entry.record.policy.x25519_alone);
        for file in keys::identities(&keystore.directory)?.into_iter().rev() {
            let found = inbox(network, keystore, name, file, alone)?;
            match found.inbox.open(envelope, now) {
                Ok(opened) => return Ok((found, opened)),
                Err(error @ (OpenError::NotForUs | OpenError::OtherRecipient)) => {
                    refused = refused.or(Some(error))
                }
                Err(error) => return Err(PeerError::Open(error).into()),
            }
        }
    }
    let none = || names.first().map(|name| PeerError::NotOurs(name.clone()));
    let error = refused.map(PeerError::Open).or_else(none);
    Err(error.unwrap_or(PeerError::Open(OpenError::NotForUs)).into())
}

/// The inbox of one of our identity keys. Its X25519 key is added only if our record allows letters
/// without a post-quantum key.
fn inbox(
    network: Network,
    keystore: &Keystore,
    name: &Name,
    file: IdentityFile,
    alone: bool,
) -> Result<OwnInbox, CommandError> {
    let mut inbox = Inbox::new(network, name.clone(), file.identity);
    let prekeys = Prekeys::load(&keystore.directory, file.index, name, &keystore.passphrases)?;
    for key in prekeys.iter().flat_map(Prekeys::keys) {
        let secret = XWingSecret::from_seed(key.seed);
        let added = match key.once {
            true => inbox.add_one_time(key.label, secret),
            false => inbox.add_xwing(key.label, secret),
        };
        added.map_err(PeerError::Inbox)?;
    }
    if alone {
        let (_, secret) = file.unlock_both(&keystore.passphrases)?;
        inbox
            .add_x25519(X25519_LABEL, X25519Secret::from_bytes(&secret))
            .map_err(PeerError::Inbox)?;
    }
    Ok(OwnInbox { inbox, index: file.index, prekeys })
}

/// Deletes a one-time prekey from its file.
fn forget(keystore: &Keystore, found: &OwnInbox, label: KeyLabel) -> Result<(), CommandError> {
    let seed = found.prekeys.as_ref().and_then(|prekeys| prekeys.seed(label));
    let Some(seed) = seed else { return Ok(()) };
    let directory = &keystore.directory;
    let protection = keys::load(directory)?.protection(&keystore.passphrases)?;
    let _lock = keys::lock_prekeys(directory)?;
    let now = Prekeys::load(directory, found.index, found.inbox.name(), &keystore.passphrases)?;
    if let Some(mut prekeys) = now {
        prekeys.spend(seed);
        prekeys.store(directory, &protection)?;
    }
    Ok(())
}

fn show(
    ui: Ui,
    found: &OwnInbox,
    letter: &Letter,
    pin_status: &'static str,
) -> Result<(), CommandError> {
    let (from, to) = (&letter.sender, found.inbox.name());
    let text = std::str::from_utf8(letter.body()).ok();
    if ui.is_json() {
        let shown = ShownLetter {
            from,
            to,
            identity: letter.identity,
            pin_status,
            created: letter.created,
            expires: letter.expires,
            kem: letter.kem.to_string(),
            once: letter.spent,
            text,
            body: hex::encode(letter.body()),
        };
        ui.print_result("", &shown)?;
        return Ok(());
    }
    let identity = key_text::identity(&letter.identity);
    ui.print_note(&format!("from {from} (identity {identity}, {pin_status}), to {to}"));
    ui.print_note(&format!(
        "written at {} (says {from}), sealed with {}",
        utc(letter.created),
        letter.kem
    ));
    let mut out = io::stdout().lock();
    let written = match text.filter(|_| out.is_terminal()) {
        Some(text) => writeln!(out, "{}", escape_terminal(text)),
        None => out.write_all(letter.body()).and_then(|()| out.flush()),
    };
    let path = PathBuf::from("standard output");
    Ok(written.map_err(|source| PeerError::File { path, source })?)
}
