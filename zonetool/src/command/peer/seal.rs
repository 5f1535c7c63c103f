//! `peer seal NAME --from ME`: a letter on standard input, an envelope on standard output.

use std::{
    io::{self, IsTerminal, Read, Write},
    path::PathBuf,
};

use messaging::{
    Draft, PinStatus, Prekey, Randomness, Recipient, Sender, VerifiedBundle, VerifiedPeer,
    seal as seal_letter,
};
use namechain_core::types::Name;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{
    bundle,
    lookup::{look_up_peer, own_identity},
};
use crate::{
    cli::Seal,
    client::Client,
    clock,
    command::input::{Keystore, parse_name},
    error::{CommandError, PeerError},
    key_text,
    ui::Ui,
};

/// The longest text that is read. The largest letter holds less.
const MAX_TEXT_BYTES: u64 = 64 * 1024;
const DAY_SECONDS: u64 = 24 * 3_600;

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
    let text = read_text(ui)?;
    if text.is_empty() && !args.empty {
        return Err(PeerError::EmptyLetter.into());
    }
    let found = bundle::of(client, args, &peer, now)?;
    let (bundle, prekey) =
        found.map_or((None, Prekey::LastResort), |(bundle, prekey)| (Some(bundle), prekey));
    let recipient = Recipient::new(&peer, bundle.as_ref(), prekey).map_err(PeerError::Seal)?;
    let identity = file.unlock(&keystore.passphrases)?;
    let sender = Sender { name: &from, identity: &identity, sequence };
    let draft =
        Draft { body: &text, created: now, expires: now + u64::from(args.days) * DAY_SECONDS };
    let randomness = Randomness::fresh().map_err(|error| PeerError::Random(error.to_string()))?;
    let envelope = seal_letter(&sender, &recipient, &draft, randomness).map_err(PeerError::Seal)?;
    print_notes(ui, &peer, &bundle, pin_status);
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

fn print_notes(
    ui: Ui,
    peer: &VerifiedPeer,
    bundle: &Option<VerifiedBundle>,
    pin_status: PinStatus,
) {
    let name = peer.name();
    if bundle.is_none() {
        ui.print_note(&format!(
            "the letter to {name} is encrypted with X25519 alone: a quantum computer could decrypt it one day"
        ));
    }
    if pin_status != PinStatus::Same {
        let identity = key_text::identity(&peer.identity());
        ui.print_note(&format!("keys of {name}: {pin_status}, identity {identity}"));
    }
}

fn read_text(ui: Ui) -> Result<Zeroizing<Vec<u8>>, CommandError> {
    ui.explain_input("Type the letter");
    // Allocated at once: a buffer that grows leaves copies of the text in memory.
    let mut text = Zeroizing::new(Vec::with_capacity(MAX_TEXT_BYTES as usize + 1));
    let failed = |source| PeerError::File { path: "standard input".into(), source };
    io::stdin().take(MAX_TEXT_BYTES + 1).read_to_end(&mut text).map_err(failed)?;
    Ok(text)
}
