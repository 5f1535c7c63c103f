//! `whoami`: the user's public keys and their files; asks no node.

use std::fmt::Write as _;

use namechain_core::types::PublicKey;
use serde::Serialize;

use super::input::Keystore;
use crate::{error::CommandError, key_text, keys, ui::Ui};

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Whoami {
    owner: PublicKey,
    /// The same with a checksum.
    owner_text: String,
    recovery: PublicKey,
    recovery_text: String,
    file: String,
    encrypted: bool,
    identities: Vec<Identity>,
}

/// An identity key that has a file.
#[derive(Debug, Serialize)]
struct Identity {
    index: u32,
    identity: PublicKey,
    identity_text: String,
}

/// Runs the command.
pub fn run(ui: Ui, keystore: &Keystore) -> Result<(), CommandError> {
    let file = keys::load(&keystore.directory)?;
    let whoami = Whoami {
        owner: file.owner,
        owner_text: key_text::owner(&file.owner),
        recovery: file.recovery,
        recovery_text: key_text::recovery(Some(&file.recovery)),
        file: file.path().display().to_string(),
        encrypted: file.is_encrypted(),
        identities: keys::identities(&keystore.directory)?
            .into_iter()
            .map(|file| Identity {
                index: file.index,
                identity: file.identity,
                identity_text: key_text::identity(&file.identity),
            })
            .collect(),
    };
    let protection = if whoami.encrypted { "encrypted with a passphrase" } else { "not encrypted" };
    let mut text = format!(
        "owner      {}\nrecovery   {}\nfile       {} ({protection})\n",
        whoami.owner_text, whoami.recovery_text, whoami.file
    );
    for identity in &whoami.identities {
        // Writing to a String never fails.
        let _ = writeln!(text, "identity   {}, index {}", identity.identity_text, identity.index);
    }
    text.push_str("To list your names: zonetool list");
    Ok(ui.print_result(&text, &whoami)?)
}
