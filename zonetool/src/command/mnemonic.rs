//! Reading the 24 words: typed, on standard input, or from a file.

use std::{
    io::{self, IsTerminal, Read},
    path::Path,
};

use zeroize::Zeroizing;

use crate::{
    keys::{KeyError, Mnemonic},
    ui::Ui,
};

/// The most bytes that are read: 24 words have at most 215.
const MAX_WORDS_BYTES: u64 = 4 * 1024;

/// Reads the words from `file` (`-` is standard input); without one from the terminal, or from
/// standard input if there is none. The text is wiped.
pub fn read(ui: Ui, file: Option<&Path>) -> Result<Mnemonic, KeyError> {
    let mut text = Zeroizing::new(String::with_capacity(MAX_WORDS_BYTES as usize));
    match file {
        Some(path) if path.as_os_str() != "-" => {
            std::fs::File::open(path)
                .and_then(|file| file.take(MAX_WORDS_BYTES).read_to_string(&mut text))
                .map_err(|source| KeyError::File { path: path.to_owned(), source })?;
        }
        None if io::stdin().is_terminal() => {
            *text = ui.ask_secret("The 24 words").map_err(input)?.unwrap_or_default();
        }
        _ => {
            io::stdin().take(MAX_WORDS_BYTES).read_to_string(&mut text).map_err(input)?;
            if text.trim().is_empty() && file.is_none() {
                return Err(KeyError::NoWords);
            }
        }
    }
    Mnemonic::parse(&text)
}

fn input(source: io::Error) -> KeyError {
    KeyError::File { path: "standard input".into(), source }
}
