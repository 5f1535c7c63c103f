//! `key new`, `key show`, `key restore`, `key scan`.

use std::fmt::Write as _;

use namechain_core::types::{PublicKey, SecretKey};
use serde::Serialize;

use super::{
    input::Keystore,
    mnemonic,
    scan::{Found, Keys, given_names, scan},
};
use crate::{
    cli::{KeyCommand, NewKey, Restore, Scan},
    client::{Client, ClientError},
    error::CommandError,
    key_text,
    keys::{self, KeyError, KeyFile, Mnemonic, PreparedKey, Protection},
    ui::Ui,
};

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct ShownKey {
    owner: PublicKey,
    /// The same with a checksum.
    owner_text: String,
    recovery: PublicKey,
    recovery_text: String,
    file: String,
    encrypted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<Vec<&'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<Found>,
}

/// Runs the command; only scanning needs a node.
pub fn run(
    ui: Ui,
    client: impl FnOnce() -> Result<Client, ClientError>,
    keystore: &Keystore,
    command: &KeyCommand,
) -> Result<(), CommandError> {
    match command {
        KeyCommand::New(args) => {
            let words = Mnemonic::random()?;
            let prepared = prepare(keystore, &words, args)?;
            // The words are shown before the key is stored: a key needs its words on paper.
            show(ui, &prepared.file, Some(words.list()), None)?;
            prepared.commit()?;
        }
        KeyCommand::Restore(args) => restore(ui, client, keystore, args)?,
        KeyCommand::Scan(args) => {
            given_names(args)?;
            let file = keys::load(&keystore.directory)?;
            let owner = file.unlock(&keystore.passphrases)?;
            let found = look(ui, &client()?, &owner, &file, args)?;
            show(ui, &file, None, Some(found))?;
        }
        KeyCommand::Show => show(ui, &keys::load(&keystore.directory)?, None, None)?,
    }
    Ok(())
}

fn restore(
    ui: Ui,
    client: impl FnOnce() -> Result<Client, ClientError>,
    keystore: &Keystore,
    args: &Restore,
) -> Result<(), CommandError> {
    given_names(&args.range)?;
    if !args.scan && (args.range.from > 0 || !args.range.names.is_empty()) {
        return Err(CommandError::Usage("--from and --name go with --scan"));
    }
    let words = mnemonic::read(ui, args.words.words_file.as_deref())?;
    let file = prepare(keystore, &words, &args.keep)?.commit()?;
    let found = match args.scan {
        false => None,
        true => {
            let owner = words.keys().owner();
            // The words hold the recovery key: they are wiped before the long scan.
            drop(words);
            let path = file.path().display();
            ui.print_note(&format!(
                "the key is restored: {path}; to scan for its names again: zonetool key scan"
            ));
            Some(look(ui, &client()?, &owner, &file, &args.range)?)
        }
    };
    show(ui, &file, None, found)
}

fn look(
    ui: Ui,
    client: &Client,
    owner: &SecretKey,
    file: &KeyFile,
    args: &Scan,
) -> Result<Found, CommandError> {
    scan(ui, client, &Keys { owner, recovery: file.recovery }, args)
}

fn prepare(
    keystore: &Keystore,
    words: &Mnemonic,
    args: &NewKey,
) -> Result<PreparedKey, CommandError> {
    if args.no_passphrase && keystore.passphrases.file.is_some() {
        return Err(CommandError::Usage("give either --passphrase-file or --no-passphrase"));
    }
    // Checked before a passphrase is asked for.
    let path = keystore.directory.join(keys::KEY_FILE);
    if !args.replace && path.symlink_metadata().is_ok() {
        return Err(KeyError::Exists(path).into());
    }
    let protection = match args.no_passphrase {
        true => Protection::None,
        false => Protection::Passphrase(keystore.passphrases.new_one()?),
    };
    Ok(keys::prepare(&keystore.directory, &words.keys(), &protection, args.replace)?)
}

fn show(
    ui: Ui,
    file: &KeyFile,
    words: Option<Vec<&'static str>>,
    found: Option<Found>,
) -> Result<(), CommandError> {
    let shown = ShownKey {
        owner: file.owner,
        owner_text: key_text::owner(&file.owner),
        recovery: file.recovery,
        recovery_text: key_text::recovery(Some(&file.recovery)),
        file: file.path().display().to_string(),
        encrypted: file.is_encrypted(),
        words,
        found,
    };
    let mut text = String::new();
    // Writing to a String never fails.
    if let Some(words) = &shown.words {
        text.push_str(
            "Write these 24 words on paper, in order. They are shown only once. They restore your key,\n",
        );
        text.push_str("and they are the only copy of the recovery key, which outranks it.\n\n");
        for (row, words) in words.chunks(4).enumerate() {
            let cells = words
                .iter()
                .enumerate()
                .map(|(column, word)| format!("{:>2} {word:<10}", row * 4 + column + 1));
            let _ = writeln!(text, "  {}", cells.collect::<String>().trim_end());
        }
        text.push('\n');
    }
    let protection = if shown.encrypted { "encrypted with a passphrase" } else { "not encrypted" };
    let _ = writeln!(text, "owner     {}\nrecovery  {}", shown.owner_text, shown.recovery_text);
    let _ = write!(text, "file      {} ({protection})", shown.file);
    if let Some(found) = &shown.found {
        let _ = write!(text, "\n\n{}", found.describe());
    }
    match shown.words {
        Some(_) => ui.print_secret_result(&text, &shown)?,
        None => ui.print_result(&text, &shown)?,
    }
    Ok(())
}
