//! The command line's shape, and what its help teaches.

use std::{path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, Parser, Subcommand};
use namechain::types::PublicKey;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the node refuses for another reason than those below
  2  wrong usage, a bad name, a bad zone file
  3  not found: the name is not registered
  4  key: missing, wrong, wrong passphrase, readable by others, not the owner's
  5  no node answers
  6  timeout while waiting; run the same command again to go on
  7  conflict: the name is taken, reserved or yours already, or a sequence number is stale
  8  the node is not synced yet

Output: results go to standard output, progress and errors to standard error. With --json
standard output has exactly one JSON document: the result, or
{\"error\": {\"code\", \"exit\", \"message\", \"hint\"}}. Fields are added, never renamed.";

const EXAMPLES: &str = "\
Examples, with a node running (cargo run --release --bin resolver -- --dev):
  zonetool key new
  zonetool register alice --zone alice.zone --wait
  zonetool show alice";

/// The heading of the options that every command takes.
const EVERY: &str = "Options of every command";

/// Keys, names and zone files of the naming chain.
///
/// A name belongs to the key that registered it first; its records are a small DNS zone. This program
/// makes the key, does the work that a registration costs, and puts the zone on the chain through a
/// node's HTTP API.
#[derive(Debug, Parser)]
#[command(name = "zonetool", version, after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
#[command(arg_required_else_help = true, disable_help_subcommand = true, max_term_width = 100)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub struct Global {
    /// The node's HTTP API. Which network it is on is asked of it, and every signature is bound to it
    #[arg(
        long,
        help_heading = EVERY,
        global = true,
        value_name = "URL",
        env = "NAMECHAIN_NODE",
        default_value = "http://127.0.0.1:7380"
    )]
    pub node: String,
    /// The directory that holds your key [default: $XDG_DATA_HOME/namechain/keys]
    #[arg(long, help_heading = EVERY, global = true, value_name = "DIR", env = "NAMECHAIN_KEYS")]
    pub keys: Option<PathBuf>,
    /// The file whose first line is the key's passphrase, instead of asking for it
    #[arg(long, help_heading = EVERY, global = true, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// One JSON document on standard output
    #[arg(long, help_heading = EVERY, global = true)]
    pub json: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make, show or restore your key
    #[command(subcommand)]
    Key(KeyCommand),
    /// Register a name: commit to it, wait, register it with its zone
    ///
    /// The commitment hides the name until nobody can come before you any more. It carries the price in
    /// work; an ordinary name takes about a minute of one core on the main network. Interrupted, the
    /// same command goes on where it was: nothing is paid twice.
    Register(Register),
    /// Replace the zone of a name that is yours
    Update(Update),
    /// Show who owns a name, since when and until when, and its records
    Show(OfName),
    /// Print the zone of a name as a master file, ready for --zone
    Zone(OfName),
    /// Show where the node stands
    Status,
}

/// `key`.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key, and show the 24 words that bring it back
    ///
    /// The words make two keys (BIP39, SLIP-10): the owner's, m/7380'/0'/0', which is kept in
    /// DIR/owner.key, and the recovery key, m/7380'/1'/0', which outranks it and is kept nowhere but in
    /// the words. They are shown once: write them on paper.
    New(NewKey),
    /// Show the public keys, and how the file is protected
    Show,
    /// Bring a key back from its 24 words, typed or on standard input
    Restore(NewKey),
}

/// How to keep a new key.
#[derive(Debug, Args)]
pub struct NewKey {
    /// Do not encrypt the key file: whoever reads it has your names
    #[arg(long)]
    pub no_passphrase: bool,
    /// Replace the key that is there; its file is kept as owner.key.old-N
    #[arg(long)]
    pub replace: bool,
}

/// A name.
#[derive(Debug, Args)]
pub struct OfName {
    /// The name: one label, such as alice
    pub name: String,
}

/// What registering and updating share.
#[derive(Debug, Args)]
pub struct Publish {
    /// The name: one label of 3 to 63 letters, digits and hyphens, such as alice
    pub name: String,
    /// The zone: an RFC 1035 master file, relative to NAME. (or with $ORIGIN NAME.namechain.alt.); - is standard input
    #[arg(long, value_name = "FILE")]
    pub zone: PathBuf,
    /// Wait until the name resolves
    #[arg(long)]
    pub wait: bool,
    /// How long to wait for blocks in all, work not counted
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = seconds)]
    pub timeout: Duration,
}

/// `register`.
#[derive(Debug, Args)]
pub struct Register {
    /// What it shares with updating.
    #[command(flatten)]
    pub publish: Publish,
    /// The recovery key, 64 hexadecimal digits, or none [default: that of your 24 words]
    #[arg(long, value_name = "KEY|none")]
    pub recovery: Option<Recovery>,
}

/// `update`.
#[derive(Debug, Args)]
pub struct Update {
    /// What it shares with registering.
    #[command(flatten)]
    pub publish: Publish,
}

/// `--recovery`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// No recovery key.
    None,
    /// This one.
    Key(PublicKey),
}

impl FromStr for Recovery {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Recovery::None),
            key => key.parse().map(Recovery::Key).map_err(|_| "expected 64 hexadecimal digits, or none"),
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse::<u32>()
        .map(|seconds| Duration::from_secs(seconds.into()))
        .map_err(|_| "expected a number of seconds".into())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn recovery_is_a_key_or_none() {
        assert_eq!("none".parse(), Ok(Recovery::None));
        assert_eq!("11".repeat(32).parse(), Ok(Recovery::Key(PublicKey([0x11; 32]))));
        assert!("11".parse::<Recovery>().is_err());
    }
}
