//! Where a passphrase comes from: a file or the terminal, never the command line.

use std::{cell::OnceCell, io::Read, path::PathBuf};

use age::secrecy::SecretString;
use zeroize::Zeroizing;

use super::KeyError;
use crate::ui::Ui;

/// The longest passphrase file that is read, in bytes.
const MAX_PASSPHRASE_FILE_BYTES: u64 = 4 * 1024;

/// Where to get passphrases from.
#[derive(Debug)]
pub struct Passphrases {
    /// Its first line is the passphrase.
    pub file: Option<PathBuf>,
    /// Asks on the terminal otherwise.
    ui: Ui,
    /// What was typed: one passphrase opens all files of a command.
    typed: OnceCell<SecretString>,
}

impl Passphrases {
    /// From the first line of `file`, or from the terminal.
    pub fn new(file: Option<PathBuf>, ui: Ui) -> Self {
        Passphrases { file, ui, typed: OnceCell::new() }
    }

    /// A passphrase for a new key file: asked for twice on a terminal.
    pub fn new_one(&self) -> Result<SecretString, KeyError> {
        if self.file.is_some() {
            return self.known();
        }
        let first = self.ask("New passphrase")?;
        let second = self.ask("The same passphrase again")?;
        if *first != *second {
            return Err(KeyError::DifferentPassphrases);
        }
        secret(&first)
    }

    /// The passphrase of a key file that exists.
    pub fn known(&self) -> Result<SecretString, KeyError> {
        let Some(path) = &self.file else {
            if let Some(typed) = self.typed.get() {
                return Ok(typed.clone());
            }
            let typed = secret(&self.ask("Passphrase")?)?;
            return Ok(self.typed.get_or_init(|| typed).clone());
        };
        let file_error = |source| KeyError::File { path: path.clone(), source };
        let mut text = Zeroizing::new(String::new());
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_PASSPHRASE_FILE_BYTES).read_to_string(&mut text))
            .map_err(file_error)?;
        secret(text.lines().next().unwrap_or(""))
    }

    fn ask(&self, question: &str) -> Result<Zeroizing<String>, KeyError> {
        let terminal = |source| KeyError::File { path: "the terminal".into(), source };
        self.ui
            .ask_secret(question)
            .map_err(terminal)?
            .map(Zeroizing::new)
            .ok_or(KeyError::NoTerminal)
    }
}

fn secret(text: &str) -> Result<SecretString, KeyError> {
    if text.is_empty() {
        Err(KeyError::EmptyPassphrase)
    } else {
        Ok(SecretString::from(text.to_owned()))
    }
}
