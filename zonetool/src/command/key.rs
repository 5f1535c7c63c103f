//! `key new`, `key show`, `key restore`.

use std::{
    fmt::Write as _,
    io::{IsTerminal, Read},
};

use namechain::types::PublicKey;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{CommandError, KeyPlace};
use crate::{
    cli::{KeyCommand, NewKey},
    keys::{self, KeyError, KeyFile, Protection, Words},
    ui::Ui,
};

/// The most bytes of words that are read from standard input: 24 words have at most 215.
const MAX_WORDS_BYTES: u64 = 4 * 1024;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Shown {
    owner: PublicKey,
    recovery: PublicKey,
    file: String,
    encrypted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<Vec<&'static str>>,
}

/// Runs the command.
pub fn run(ui: Ui, place: &KeyPlace, command: &KeyCommand) -> Result<(), CommandError> {
    match command {
        KeyCommand::New(args) => {
            let words = Words::random()?;
            let file = store(place, &words, args)?;
            show(ui, &file, Some(words.list()));
        }
        KeyCommand::Restore(args) => {
            let words = read_words(ui)?;
            show(ui, &store(place, &words, args)?, None);
        }
        KeyCommand::Show => show(ui, &keys::load(&place.directory)?, None),
    }
    Ok(())
}

fn store(place: &KeyPlace, words: &Words, args: &NewKey) -> Result<KeyFile, CommandError> {
    if args.no_passphrase && place.passphrases.file.is_some() {
        return Err(CommandError::Usage("give either --passphrase-file or --no-passphrase"));
    }
    // Before anybody is asked for a passphrase.
    let path = place.directory.join(keys::KEY_FILE);
    if !args.replace && path.symlink_metadata().is_ok() {
        return Err(KeyError::Exists(path).into());
    }
    let protection = match args.no_passphrase {
        true => Protection::None,
        false => Protection::Passphrase(place.passphrases.new_one()?),
    };
    Ok(keys::store(&place.directory, &words.keys(), &protection, args.replace)?)
}

fn read_words(ui: Ui) -> Result<Words, CommandError> {
    let input = |source| KeyError::File { path: "standard input".into(), source };
    let mut text = Zeroizing::new(String::new());
    if std::io::stdin().is_terminal() {
        *text = ui.ask_secret("The 24 words").map_err(input)?.unwrap_or_default();
    } else {
        std::io::stdin().take(MAX_WORDS_BYTES).read_to_string(&mut text).map_err(input)?;
    }
    Ok(Words::parse(&text)?)
}

fn show(ui: Ui, file: &KeyFile, words: Option<Vec<&'static str>>) {
    let shown = Shown {
        owner: file.owner,
        recovery: file.recovery,
        file: file.path().display().to_string(),
        encrypted: file.is_encrypted(),
        words,
    };
    let mut text = String::new();
    // Writing to a String never fails.
    if let Some(words) = &shown.words {
        text.push_str(
            "Write these 24 words on paper, in their order. They are shown this once. They bring your\n",
        );
        text.push_str("key back, and they are the only copy of the recovery key, which outranks it.\n\n");
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
    let _ = writeln!(text, "owner     {}\nrecovery  {}", shown.owner, shown.recovery);
    let _ = write!(text, "file      {} ({protection})", shown.file);
    ui.result(&text, &shown);
}
