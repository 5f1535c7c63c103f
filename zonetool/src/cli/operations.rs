//! The operations on a name that is somebody's, and its history.

use std::{path::PathBuf, str::FromStr, time::Duration};

use clap::Args;
use namechain_core::types::PublicKey;

use super::{Recovery, WaitArgs};

/// What all of them share.
#[derive(Debug, Args)]
pub struct OperationArgs {
    /// The name: one label, such as alice
    pub name: String,
    /// Show what would be signed, and sign and send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Agree beforehand: transfer, accept, recover and revoke ask otherwise, as they can't be
    /// undone
    #[arg(long)]
    pub yes: bool,
    /// Waiting.
    #[command(flatten)]
    pub waiting: WaitArgs,
}

/// `renew`, `cancel`, `revoke`: by the owner or with the recovery key.
#[derive(Debug, Args)]
pub struct KeyholderArgs {
    /// What all share.
    #[command(flatten)]
    pub operate: OperationArgs,
    /// Sign with the recovery key instead of the owner's: the 24 words are asked for
    #[arg(long)]
    pub with_recovery: bool,
    /// Where the words are.
    #[command(flatten)]
    pub words: MnemonicArgs,
}

/// Where the 24 words come from.
#[derive(Debug, Args)]
pub struct MnemonicArgs {
    /// The file that holds the 24 words of the recovery key, instead of asking for them; - is
    /// standard input
    #[arg(long, value_name = "FILE")]
    pub words_file: Option<PathBuf>,
}

impl KeyholderArgs {
    /// Where the recovery key's words are, if it signs. Words that are given are meant to be used.
    pub fn recovery_words(&self) -> Option<&MnemonicArgs> {
        (self.with_recovery || self.words.words_file.is_some()).then_some(&self.words)
    }
}

/// `transfer`.
#[derive(Debug, Args)]
pub struct Transfer {
    /// What all share.
    #[command(flatten)]
    pub operate: OperationArgs,
    /// The key that the name is offered to, 64 hexadecimal digits: the owner that its key show
    /// prints
    #[arg(long, value_name = "KEY")]
    pub to: PublicKey,
}

/// `accept`.
#[derive(Debug, Args)]
pub struct Accept {
    /// What all share.
    #[command(flatten)]
    pub operate: OperationArgs,
    /// The recovery key, 64 hexadecimal digits, or none [default: that of your 24 words]
    #[arg(long, value_name = "KEY|none")]
    pub recovery: Option<Recovery>,
}

/// `recover`.
#[derive(Debug, Args)]
pub struct Recover {
    /// What all share.
    #[command(flatten)]
    pub operate: OperationArgs,
    /// The new owner: 64 hexadecimal digits, or mine for the key in the key file
    #[arg(long, value_name = "KEY|mine")]
    pub owner: NewOwner,
    /// The recovery key from now on, 64 hexadecimal digits, or none [default: it stays]
    #[arg(long, value_name = "KEY|none")]
    pub recovery: Option<Recovery>,
    /// Where the words are.
    #[command(flatten)]
    pub words: MnemonicArgs,
}

/// `--owner`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewOwner {
    /// The key in the key file.
    Mine,
    /// This one.
    Key(PublicKey),
}

impl FromStr for NewOwner {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "mine" => Ok(NewOwner::Mine),
            key => key
                .parse()
                .map(NewOwner::Key)
                .map_err(|_| "expected 64 hexadecimal digits, or mine"),
        }
    }
}

/// `list`.
#[derive(Debug, Args)]
pub struct List {
    /// Only names whose lease ends within this time, such as 60d
    #[arg(long, value_name = "DAYS", value_parser = days)]
    pub expiring: Option<Duration>,
    /// Print a calendar (iCalendar) with the day on which each lease ends
    #[arg(long)]
    pub ics: bool,
}

fn days(text: &str) -> Result<Duration, String> {
    let days = text.strip_suffix(['d', 'D']).unwrap_or(text).parse::<u32>();
    days.map(|days| Duration::from_secs(u64::from(days) * 86_400))
        .map_err(|_| "expected a number of days, such as 60d".into())
}

/// `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// The zone: an RFC 1035 master file; - is standard input
    pub file: PathBuf,
    /// The name that it is of [default: the file's name without its ending]
    #[arg(long)]
    pub name: Option<String>,
}

/// `history`.
#[derive(Debug, Args)]
pub struct History {
    /// The name: one label, such as alice
    pub name: String,
    /// The height to begin at
    #[arg(long, value_name = "HEIGHT", default_value_t = 0)]
    pub from: u32,
}
