//! `peer open`: an envelope on standard input, its letter on standard output, once its sender is
//! verified.

use std::{
    io::{self, IsTerminal, Read, Write},
    path::PathBuf,
};

use messaging::{
    Inbox, Letter, OpenError, Opened, Verdict, WingSecret, X25519Secret,
    envelope::{Label, Outside, zone},
};
use namechain_core::types::{Name, Network, PublicKey};
use serde::Serialize;

use super::{
    super::{CommandError, KeyPlace, parse_name},
    error::PeerError,
    lookup::{look_up_peer, peek},
    seal::record_of,
};
use crate::{
    cli::Open,
    client::Client,
    clock,
    keys::{self, IdentityFile, Prekeys},
    peers::Memory,
    ui::{Ui, harmless, utc},
};

/// The largest envelope.
const MAX_ENVELOPE_BYTES: u64 = 65_536;
/// What the X25519 key is called in an inbox; prekeys have small numbers.
const X25519_LABEL: u32 = u32::MAX;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    from: &'a Name,
    to: &'a Name,
    /// The sender's identity key.
    identity: PublicKey,
    /// How it compares with what was seen of the sender before.
    verdict: &'static str,
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
struct Found {
    inbox: Inbox,
    index: u32,
    prekeys: Option<Prekeys>,
}

/// Runs the command.
pub fn run(ui: Ui, client: &Client, place: &KeyPlace, args: &Open) -> Result<(), CommandError> {
    let envelope = read_envelope()?;
    let outside = Outside::read(&envelope).map_err(PeerError::Open)?;
    let network = client.status()?.network;
    let names = names(network, place, args, outside)?;
    let (mut found, opened) = open_any(network, client, place, &names, &envelope)?;
    // By a letter that may be forged nothing is remembered.
    let sender = match peek(client, &args.lookup, opened.claimed_sender()) {
        Ok(peer) => Some(peer),
        Err(CommandError::NotRegistered(_) | CommandError::NoMessaging(_)) => None,
        Err(error) => return Err(error),
    };
    let mut seen = Memory::of(network)?.seen().map_err(PeerError::Memory)?;
    let mut noted = seen.value.clone();
    let letter =
        opened.verify(sender.as_ref(), &mut found.inbox, &mut noted).map_err(PeerError::Open)?;
    let text = std::str::from_utf8(letter.body()).ok();
    if !ui.is_json() && text.is_none() && io::stdout().is_terminal() {
        return Err(PeerError::Terminal("a letter that is not text").into());
    }
    let verdict = remember(client, args, &letter)?;
    // What is not stored before the letter is shown happens twice.
    seen.value = noted;
    seen.save().map_err(PeerError::Memory)?;
    if letter.spent {
        forget(place, &found, letter.used)?;
    }
    show(ui, &found, &letter, verdict.as_str())
}

/// Pins the sender, now that the letter is known to be his.
fn remember(client: &Client, args: &Open, letter: &Letter) -> Result<Verdict, CommandError> {
    let (sender, verdict) = look_up_peer(client, &args.lookup, &letter.sender)?;
    match sender.identity() == letter.identity {
        true => Ok(verdict),
        // It was replaced this very moment.
        false => Err(PeerError::Open(OpenError::ReplacedKey(letter.sender.clone())).into()),
    }
}

fn read_envelope() -> Result<Vec<u8>, CommandError> {
    let mut envelope = Vec::new();
    let failed = |source| PeerError::File { path: "standard input".into(), source };
    io::stdin().take(MAX_ENVELOPE_BYTES + 1).read_to_end(&mut envelope).map_err(failed)?;
    Ok(envelope)
}

/// The names that it may be for: the one that was given, or those that have prekeys here and the
/// envelope's prefix.
fn names(
    network: Network,
    place: &KeyPlace,
    args: &Open,
    outside: Outside,
) -> Result<Vec<Name>, CommandError> {
    if let Some(name) = &args.name {
        return Ok(vec![parse_name(name)?]);
    }
    let ours = keys::prekey_names(&place.directory)?;
    let fits: Vec<Name> =
        ours.iter().filter(|name| zone(network, name) == outside.zone).cloned().collect();
    if fits.is_empty() {
        let ours: Vec<&str> = ours.iter().map(Name::as_str).collect();
        let ours = if ours.is_empty() { "there are none".to_owned() } else { ours.join(", ") };
        return Err(PeerError::NoName(ours).into());
    }
    Ok(fits)
}

/// Tries every identity key of ours, the last one first: letters may have been on their way when it
/// was replaced.
fn open_any(
    network: Network,
    client: &Client,
    place: &KeyPlace,
    names: &[Name],
    envelope: &[u8],
) -> Result<(Found, Opened), CommandError> {
    let now = clock::unix();
    let mut refused = None;
    for name in names {
        let alone = record_of(client, name).is_ok_and(|entry| entry.record.policy.x25519_alone);
        for file in keys::identities(&place.directory)?.into_iter().rev() {
            let found = inbox(network, place, name, file, alone)?;
            match found.inbox.open(envelope, now) {
                Ok(opened) => return Ok((found, opened)),
                Err(error @ (OpenError::NotForUs | OpenError::OtherZone)) => {
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

/// The keys of one identity key of ours. Its X25519 key is among them only if our record allows
/// letters to it alone.
fn inbox(
    network: Network,
    place: &KeyPlace,
    name: &Name,
    file: IdentityFile,
    alone: bool,
) -> Result<Found, CommandError> {
    let mut inbox = Inbox::new(network, name.clone(), file.identity);
    let prekeys = Prekeys::load(&place.directory, file.index, name, &place.passphrases)?;
    for key in prekeys.iter().flat_map(Prekeys::keys) {
        let secret = WingSecret::from_seed(key.seed);
        let added = match key.once {
            true => inbox.add_one_time(key.label, secret),
            false => inbox.add_wing(key.label, secret),
        };
        added.map_err(PeerError::Inbox)?;
    }
    if alone {
        let (_, secret) = file.unlock_both(&place.passphrases)?;
        inbox
            .add_x25519(X25519_LABEL, X25519Secret::from_bytes(&secret))
            .map_err(PeerError::Inbox)?;
    }
    Ok(Found { inbox, index: file.index, prekeys })
}

/// Deletes a one-time prekey from its file.
fn forget(place: &KeyPlace, found: &Found, label: Label) -> Result<(), CommandError> {
    let seed = found.prekeys.as_ref().and_then(|prekeys| prekeys.seed(label));
    let Some(seed) = seed else { return Ok(()) };
    let directory = &place.directory;
    let protection = keys::load(directory)?.protection(&place.passphrases)?;
    let _lock = keys::lock_prekeys(directory)?;
    let now = Prekeys::load(directory, found.index, found.inbox.name(), &place.passphrases)?;
    if let Some(mut prekeys) = now {
        prekeys.spend(seed);
        prekeys.store(directory, &protection)?;
    }
    Ok(())
}

fn show(ui: Ui, found: &Found, letter: &Letter, verdict: &'static str) -> Result<(), CommandError> {
    let (from, to) = (&letter.sender, found.inbox.name());
    let text = std::str::from_utf8(letter.body()).ok();
    if ui.is_json() {
        let shown = Shown {
            from,
            to,
            identity: letter.identity,
            verdict,
            created: letter.created,
            expires: letter.expires,
            kem: letter.kem.to_string(),
            once: letter.spent,
            text,
            body: hex::encode(letter.body()),
        };
        ui.result("", &shown);
        return Ok(());
    }
    ui.note(&format!("from {from}, whose key is {} ({verdict}), to {to}", letter.identity));
    ui.note(&format!(
        "written at {}, as {from} says; sealed to {}",
        utc(letter.created),
        letter.kem
    ));
    let mut out = io::stdout().lock();
    let written = match text.filter(|_| out.is_terminal()) {
        Some(text) => writeln!(out, "{}", harmless(text)),
        None => out.write_all(letter.body()).and_then(|()| out.flush()),
    };
    let path = PathBuf::from("standard output");
    Ok(written.map_err(|source| PeerError::File { path, source })?)
}
