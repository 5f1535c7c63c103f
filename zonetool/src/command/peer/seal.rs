//! `peer seal NAME --from ME`: a letter on standard input, an envelope on standard output.

use std::{
    io::{self, IsTerminal, Read, Write},
    path::PathBuf,
};

use messaging::{
    Draft, PinStatus, Prekey, Randomness, Recipient, Sender, VerifiedBundle, VerifiedPeer,
    seal as seal_letter,
};
use namechain_core::types::{MessagingEntry, Name};
use serde::Serialize;
use zeroize::Zeroizing;

use super::{
    super::{Keystore, messaging_of, parse_name, show::registered},
    bundle,
    lookup::look_up_peer,
};
use crate::{
    cli::Seal,
    client::Client,
    clock,
    error::{CommandError, PeerError},
    keys::{self, IdentityFile},
    ui::Ui,
};

/// More than the largest letter has.
const MAX_TEXT_BYTES: u64 = 64 * 1024;
const DAY: u64 = 24 * 3_600;

/// What `--json` prints: then the envelope is in it, in hexadecimal.
#[derive(Debug, Serialize)]
struct Sealed {
    to: Name,
    from: Name,
    pin_status: &'static str,
    kem: String,
    /// Which key of the bundle: `last-resort`, or the one-time prekey's place.
    key: String,
    bytes: usize,
    expires: u64,
    envelope: String,
}

/// Runs the command.
pub fn run(ui: Ui, client: &Client, keystore: &Keystore, args: &Seal) -> Result<(), CommandError> {
    if !ui.is_json() && io::stdout().is_terminal() {
        return Err(PeerError::Terminal("an envelope").into());
    }
    let (to, from) = (parse_name(&args.name)?, parse_name(&args.from)?);
    let (file, sequence) = own_identity(client, keystore, &from)?;
    let (peer, pin_status) = look_up_peer(client, &args.lookup, &to)?;
    let now = clock::unix();
    let text = read_text()?;
    let found = bundle::of(client, args, &peer, now)?;
    let (bundle, prekey) =
        found.map_or((None, Prekey::LastResort), |(bundle, prekey)| (Some(bundle), prekey));
    let recipient = Recipient::new(&peer, bundle.as_ref(), prekey).map_err(PeerError::Seal)?;
    let identity = file.unlock(&keystore.passphrases)?;
    let sender = Sender { name: &from, identity: &identity, sequence };
    let draft = Draft { body: &text, created: now, expires: now + u64::from(args.days) * DAY };
    let randomness = Randomness::fresh().map_err(|error| PeerError::Random(error.to_string()))?;
    let envelope = seal_letter(&sender, &recipient, &draft, randomness).map_err(PeerError::Seal)?;
    tell(ui, &peer, &bundle, pin_status);
    if !ui.is_json() {
        let failed = |source| PeerError::File { path: PathBuf::from("standard output"), source };
        let mut out = io::stdout().lock();
        out.write_all(&envelope).and_then(|()| out.flush()).map_err(failed)?;
        return Ok(());
    }
    let key = match (&bundle, prekey) {
        (None, _) => "x25519".to_owned(),
        (_, Prekey::OneTime(at)) => at.to_string(),
        _ => "last-resort".to_owned(),
    };
    let sealed = Sealed {
        to,
        from,
        pin_status: pin_status.as_str(),
        kem: recipient.kem().to_string(),
        key,
        bytes: envelope.len(),
        expires: draft.expires,
        envelope: hex::encode(&envelope),
    };
    ui.print_result("", &sealed)?;
    Ok(())
}

fn tell(ui: Ui, peer: &VerifiedPeer, bundle: &Option<VerifiedBundle>, pin_status: PinStatus) {
    let name = peer.name();
    if bundle.is_none() {
        ui.print_note(&format!(
            "{name} is sealed to with X25519 alone: who keeps the letter may read it one day"
        ));
    }
    if pin_status != PinStatus::Same {
        ui.print_note(&format!("the keys of {name}: {pin_status}, identity {}", peer.identity()));
    }
}

/// The identity key of ours that speaks for a name, and the record's sequence number.
pub fn own_identity(
    client: &Client,
    keystore: &Keystore,
    name: &Name,
) -> Result<(IdentityFile, u32), CommandError> {
    let entry = current_record(client, name)?;
    let files = keys::identities(&keystore.directory)?;
    let file = files.into_iter().find(|file| file.identity == entry.record.identity);
    Ok((file.ok_or_else(|| PeerError::NotOurs(name.clone()))?, entry.record.sequence))
}

/// The record that stands under a name of ours, as the node says.
pub fn current_record(client: &Client, name: &Name) -> Result<MessagingEntry, CommandError> {
    let (info, _) = registered(client, name.as_str())?;
    let entry = info.entry.as_ref().map(messaging_of).transpose()?.flatten();
    entry.ok_or_else(|| CommandError::NoMessaging(name.clone()))
}

fn read_text() -> Result<Zeroizing<Vec<u8>>, CommandError> {
    // Reserved at once: a buffer that grows leaves copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(MAX_TEXT_BYTES as usize + 1));
    let failed = |source| PeerError::File { path: "standard input".into(), source };
    io::stdin().take(MAX_TEXT_BYTES + 1).read_to_end(&mut text).map_err(failed)?;
    Ok(text)
}
