//! Operations on registered names, and their history.

use std::{path::PathBuf, str::FromStr, time::Duration};

use clap::Args;

use super::args::{KeyOrName, Recovery, ValidityArgs, WaitArgs};

/// What all operations share.
#[derive(Debug, Args)]
pub struct OperationArgs {
    /// The name: one label, such as alice
    pub name: String,
    /// Show what would be signed; sign and send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Confirm in advance; transfer, accept, recover and revoke ask otherwise
    #[arg(long)]
    pub yes: bool,
    /// How long the signature is valid.
    #[command(flatten)]
    pub validity: ValidityArgs,
    /// How to wait.
    #[command(flatten)]
    pub waiting: WaitArgs,
}

/// Arguments of `cancel` and `revoke`, and of `renew` for one name: by the owner or with the
/// recovery key.
#[derive(Debug, Args)]
pub struct KeyholderArgs {
    /// What all operations share.
    #[command(flatten)]
    pub operate: OperationArgs,
    /// Sign with the recovery key instead of the owner key; the 24 words are asked for
    #[arg(long)]
    pub with_recovery: bool,
    /// Where the words come from.
    #[command(flatten)]
    pub words: MnemonicArgs,
}

/// Arguments of `renew`.
#[derive(Debug, Args)]
pub struct Renew {
    /// The name: one label, such as alice
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub name: Option<String>,
    /// Renew all names of your key that can be renewed now
    #[arg(long, conflicts_with_all = ["with_recovery", "words_file"])]
    pub all: bool,
    /// Show what would be signed; sign and send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// How long the signature is valid.
    #[command(flatten)]
    pub validity: ValidityArgs,
    /// How to wait.
    #[command(flatten)]
    pub waiting: WaitArgs,
    /// Sign with the recovery key instead of the owner key; the 24 words are asked for
    #[arg(long)]
    pub with_recovery: bool,
    /// Where the words come from.
    #[command(flatten)]
    pub words: MnemonicArgs,
}

impl Renew {
    /// As the arguments of an operation on one name.
    pub fn of(&self, name: &str) -> KeyholderArgs {
        KeyholderArgs {
            operate: OperationArgs {
                name: name.to_owned(),
                dry_run: self.dry_run,
                yes: false,
                validity: self.validity,
                waiting: self.waiting,
            },
            with_recovery: self.with_recovery,
            words: self.words.clone(),
        }
    }
}

/// Where the 24 words come from.
#[derive(Clone, Debug, Args)]
pub struct MnemonicArgs {
    /// Read the 24 words from this file instead of asking for them; - is standard input
    #[arg(long, value_name = "FILE")]
    pub words_file: Option<PathBuf>,
}

impl KeyholderArgs {
    /// Where the words of the recovery key come from, if it is to sign. `--words-file` implies
    /// `--with-recovery`.
    pub fn recovery_words(&self) -> Option<&MnemonicArgs> {
        (self.with_recovery || self.words.words_file.is_some()).then_some(&self.words)
    }
}

/// Arguments of `transfer`.
#[derive(Debug, Args)]
pub struct Transfer {
    /// What all operations share.
    #[command(flatten)]
    pub operate: OperationArgs,
    /// Whom to offer the name to: the owner key that whoami prints (ncowner1...), or a name whose
    /// owner is meant
    #[arg(long, value_name = "KEY|NAME")]
    pub to: KeyOrName,
}

/// Arguments of `accept`.
#[derive(Debug, Args)]
pub struct Accept {
    /// What all operations share.
    #[command(flatten)]
    pub operate: OperationArgs,
    /// The new recovery key (ncrecovery1...), or none [default: the one of your 24 words]
    #[arg(long, value_name = "KEY|none")]
    pub recovery: Option<Recovery>,
}

/// Arguments of `recover`.
#[derive(Debug, Args)]
pub struct Recover {
    /// What all operations share.
    #[command(flatten)]
    pub operate: OperationArgs,
    /// The new owner: an owner key (ncowner1...), mine for the key in the key file, or a name whose
    /// owner is meant
    #[arg(long, value_name = "KEY|NAME|mine")]
    pub owner: NewOwner,
    /// The new recovery key (ncrecovery1...), or none [default: unchanged]
    #[arg(long, value_name = "KEY|none")]
    pub recovery: Option<Recovery>,
    /// Where the words come from.
    #[command(flatten)]
    pub words: MnemonicArgs,
}

/// The value of `--owner`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewOwner {
    /// The key in the key file.
    Mine,
    /// This one.
    Other(KeyOrName),
}

impl FromStr for NewOwner {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "mine" => Ok(NewOwner::Mine),
            "none" => Err("a name always has an owner".into()),
            other => other.parse().map(NewOwner::Other),
        }
    }
}

/// Arguments of `list`.
#[derive(Debug, Args)]
pub struct List {
    /// List only names whose lease ends within this time, such as 60d
    #[arg(long, value_name = "DAYS", value_parser = days)]
    pub expiring: Option<Duration>,
    /// Print an iCalendar file with the day on which each lease ends
    #[arg(long)]
    pub ics: bool,
}

fn days(text: &str) -> Result<Duration, String> {
    let days = text.strip_suffix(['d', 'D']).unwrap_or(text).parse::<u32>();
    days.map(|days| Duration::from_secs(u64::from(days) * 86_400))
        .map_err(|_| "expected a number of days, such as 60d".into())
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// The zone file (RFC 1035); - is standard input
    pub file: PathBuf,
    /// The name of the zone [default: the file name without its extension]
    #[arg(long)]
    pub name: Option<String>,
}

/// Arguments of `history`.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// The name: one label, such as alice
    pub name: String,
    /// The height to start at
    #[arg(long, value_name = "HEIGHT", default_value_t = 0)]
    pub from: u32,
}

#[cfg(test)]
mod tests {
    use namechain_core::types::SecretKey;

    use super::*;
    use crate::key_text;

    #[test]
    fn a_new_owner_is_a_key_a_name_or_mine() {
        assert_eq!("mine".parse(), Ok(NewOwner::Mine));
        let key = SecretKey::from_seed(&[1; 32]).public();
        for text in [key_text::owner(&key), key.to_string()] {
            assert_eq!(text.parse(), Ok(NewOwner::Other(KeyOrName::Key(key))));
        }
        assert!("none".parse::<NewOwner>().is_err());
        let carol = NewOwner::Other(KeyOrName::Name("carol".into()));
        assert_eq!("Carol".parse(), Ok(carol));
        assert!("no name".parse::<NewOwner>().is_err());
        let recovery = key_text::recovery(Some(&key));
        assert!(recovery.parse::<NewOwner>().is_err(), "a recovery key owns nothing");
    }
}
