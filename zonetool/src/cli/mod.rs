//! The command line's shape, and what its help teaches.

mod cache;
mod channel;
mod dane;
mod letters;
mod operations;
mod peer;
mod proofs;
mod trace;
mod trust;

use std::{path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, parser::ValueSource};
use namechain_core::types::PublicKey;

use crate::error::exit_codes_help;

pub use cache::{CacheCommand, Flush};
pub use channel::{PeerDialArgs, PeerListenArgs, TransportArgs};
pub use dane::DaneCommand;
pub use letters::{BundleCommand, BundleFileArgs, Lookup, Open, Resolve, Seal};
pub use operations::{
    Accept, Check, History, KeyholderArgs, List, MnemonicArgs, NewOwner, OperationArgs, Recover,
    Transfer,
};
pub use peer::{
    Bundle, PeerCommand, PeerOperationArgs, PeerPublishArgs, PeerRecordArgs, PeerRotateArgs,
};
pub use proofs::{Prove, Verify};
pub use trace::TraceArgs;
pub use trust::{AnchorFormat, TrustAnchor};

const OUTPUT: &str = "\
Output: results go to standard output, progress and errors to standard error. With --json
standard output has exactly one JSON document: the result, or
{\"error\": {\"code\", \"exit\", \"message\", \"hint\"}}; docs/exit-codes.md lists the codes. Fields are
added, never renamed. While peer listen and peer dial run, standard output is what the other side
says: their documents, one a line, go to standard error.";

const EXAMPLES: &str = "\
Examples, with a node running (resolver --dev):
  zonetool key new
  zonetool register alice --zone alice.zone --wait
  zonetool show alice";

/// The heading of the options that every command takes.
const EVERY: &str = "Options of every command";

/// Keys, names and zone files of the naming chain.
///
/// A name belongs to the key that registered it first; its records are a small DNS zone. This
/// program makes the key, does the work that a registration costs, and puts the zone on the chain
/// through a node's HTTP API.
#[derive(Debug, Parser)]
#[command(name = "zonetool", version, after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{}\n{OUTPUT}", exit_codes_help()))]
#[command(arg_required_else_help = true, disable_help_subcommand = true, max_term_width = 100)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Takes the command line apart.
    pub fn read() -> Result<Self, clap::Error> {
        let matches = Cli::command().try_get_matches()?;
        let mut cli = Cli::from_arg_matches(&matches)?;
        cli.global.node_given = matches.value_source("node") == Some(ValueSource::CommandLine);
        Ok(cli)
    }
}

/// What every command takes.
#[derive(Debug, Args)]
pub struct Global {
    /// The node's HTTP API. Which network it is on is asked of it, and every signature is bound to
    /// it
    #[arg(
        long,
        help_heading = EVERY,
        global = true,
        value_name = "URL",
        env = "NAMECHAIN_NODE",
        default_value = "http://127.0.0.1:7380"
    )]
    pub node: String,
    /// Whether `--node` itself is on the command line: verifying asks a node only then.
    #[arg(skip)]
    pub node_given: bool,
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
    /// Show your keys, and where they are
    Whoami,
    /// List your names, and when their leases end
    ///
    /// Reads the blocks of the node's best chain once; later runs read only what came since.
    List(List),
    /// Say whether a name can be registered: exit code 0 if it can
    Available(NameArgs),
    /// Make, show or restore your key
    #[command(subcommand)]
    Key(KeyCommand),
    /// Register a name: commit to it, wait, register it with its zone
    ///
    /// The commitment hides the name until nobody can come before you any more. It carries the
    /// price in work; an ordinary name takes about a minute of one core on the main network.
    /// Interrupted, the same command goes on where it was: nothing is paid twice.
    Register(Register),
    /// Check a zone file: what is wrong with it, and what is allowed and does not work
    Check(Check),
    /// Replace the zone of a name that is yours
    Update(Update),
    /// Renew a name for another lease, in the last quarter of its lease or after it
    Renew(KeyholderArgs),
    /// Offer a name to another key, which can accept it some time later
    ///
    /// The key becomes the owner when it accepts: on the main network that is possible 720 blocks,
    /// a day, after the offer is recorded. Until it has, you are the owner and can cancel.
    Transfer(Transfer),
    /// Take a name that is offered to your key, without its records
    Accept(Accept),
    /// Withdraw the offer of a name
    Cancel(KeyholderArgs),
    /// Give a name another owner, with the recovery key: for a key that is lost or stolen
    ///
    /// It is signed with the recovery key, which is kept nowhere but in the 24 words: they are
    /// asked for on the terminal, or read from standard input or --words-file, and forgotten
    /// afterwards. It also ends a transfer that waits. For a stolen key, make another one first:
    /// zonetool key new --keys DIR.
    Recover(Recover),
    /// End a name: it stops resolving, and is nobody's until its lease would have ended
    Revoke(KeyholderArgs),
    /// The key that speaks for a name, those of others, and sealed letters
    #[command(subcommand)]
    Peer(PeerCommand),
    /// List every operation on a name
    History(History),
    /// Print a proof of what stands under a name, or that nothing does: prove NAME > NAME.proof
    Prove(Prove),
    /// Check a proof that prove has printed; needs no node
    ///
    /// The proof leads to the state root in a header. A header that you know to be on the chain is
    /// given with --header. Without, the one in the file is taken: its work is checked, which says
    /// only that it cost that much to make. With --node, that node is asked whether the header's
    /// block is on its best chain, and how deep.
    Verify(Verify),
    /// Show who owns a name, since when and until when, and its records
    Show(NameArgs),
    /// Print the zone of a name as a master file, ready for --zone
    Zone(NameArgs),
    /// Show where the node stands, and how far it has caught up
    Status(Status),
    /// Show who the node's peers are
    Peers,
    /// Resolve a name, and tell how: whose it is, who was asked, why, and what came back
    ///
    /// The resolver whose API --node is answers the question as it would answer a program's, and
    /// tells what happened on the way: whether the chain or legacy DNS has the name and why, what
    /// was kept, which upstreams were asked and how long each took, whether signatures hold, where
    /// aliases lead.
    Trace(TraceArgs),
    /// Make a resolver forget answers that it keeps
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Print the key that a resolver signs with, and how others are told to trust it
    ///
    /// A resolver signs what the chain says under namechain.alt. for those who ask for it (DNSSEC).
    /// Whoever has this anchor takes that for as true as the resolver is. The key is asked of the
    /// resolver whose API is at --node: trust the way to it, or read the key's file with --key.
    TrustAnchor(TrustAnchor),
}

/// `key`.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key, and show the 24 words that bring it back
    ///
    /// The words make two keys (BIP39, SLIP-10): the owner's, m/7380'/0'/0', which is kept in
    /// DIR/owner.key, and the recovery key, m/7380'/1'/0', which outranks it and is kept nowhere
    /// but in the words. They are shown once: write them on paper.
    New(NewKey),
    /// Show the public keys, and how the file is protected
    Show,
    /// Bring a key back from its 24 words, typed or on standard input
    Restore(Restore),
    /// Find every name of your key on the chain
    ///
    /// Walks all blocks of the node's best chain for names that your key has or that are offered to
    /// it, names that your recovery key can recover, and commitments that can still be opened. A
    /// commitment tells nobody which name it is to, not even you: it is found for names that are on
    /// the chain and for those given with --name. One to a name that nobody ever registered and
    /// that you do not give can't be found.
    Scan(Scan),
}

impl Command {
    /// Whether standard output is somebody else's while it runs.
    pub fn is_pipe(&self) -> bool {
        matches!(self, Command::Peer(command) if command.is_pipe())
    }
}

/// `key restore`.
#[derive(Debug, Args)]
pub struct Restore {
    /// How to keep the key.
    #[command(flatten)]
    pub keep: NewKey,
    /// Then find every name of the key on the chain, as key scan does; that can be repeated by
    /// itself
    #[arg(long)]
    pub scan: bool,
    /// Where to look.
    #[command(flatten)]
    pub range: Scan,
}

/// `key scan`.
#[derive(Debug, Args)]
pub struct Scan {
    /// The height to begin at: an interrupted scan says where to go on
    #[arg(long, value_name = "HEIGHT", default_value_t = 0)]
    pub from: u32,
    /// A name that you may have committed to or own; can be given again and again
    #[arg(long = "name", value_name = "NAME")]
    pub names: Vec<String>,
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
pub struct NameArgs {
    /// The name: one label, such as alice
    pub name: String,
}

/// What registering and updating share.
#[derive(Debug, Args)]
pub struct ZoneArgs {
    /// The name: one label of 3 to 63 letters, digits and hyphens, such as alice
    pub name: String,
    /// The zone: an RFC 1035 master file, relative to NAME. (or with $ORIGIN NAME.namechain.alt.);
    /// - is standard input
    #[arg(long, value_name = "FILE")]
    pub zone: PathBuf,
    /// Take a zone without a record: the name then holds nothing
    #[arg(long)]
    pub empty: bool,
    /// Show what would be signed and what it costs, and sign and send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Waiting.
    #[command(flatten)]
    pub waiting: WaitArgs,
}

/// Whether to wait for blocks, and how long.
#[derive(Clone, Copy, Debug, Args)]
pub struct WaitArgs {
    /// Wait until it is recorded, and the node serves the name as it is then
    #[arg(long)]
    pub wait: bool,
    /// How long to wait for blocks in all, work not counted
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = seconds)]
    pub timeout: Duration,
    /// Wait until this many blocks have been built on it: what a reorganisation would have to undo
    #[arg(long, value_name = "BLOCKS", requires = "wait")]
    pub depth: Option<u32>,
}

impl WaitArgs {
    /// How many blocks have to be built on it.
    pub fn depth(&self) -> u32 {
        self.depth.unwrap_or(0)
    }
}

/// `status`.
#[derive(Debug, Args)]
pub struct Status {
    /// Go on showing how far the node is until it is synced
    #[arg(long)]
    pub watch: bool,
    /// How long to watch at most
    #[arg(long, value_name = "SECONDS", default_value = "86400", requires = "watch", value_parser = seconds)]
    pub timeout: Duration,
}

/// `register`.
#[derive(Debug, Args)]
pub struct Register {
    /// What it shares with updating.
    #[command(flatten)]
    pub publish: ZoneArgs,
    /// The recovery key, 64 hexadecimal digits, or none [default: that of your 24 words]
    #[arg(long, value_name = "KEY|none")]
    pub recovery: Option<Recovery>,
}

/// `update`.
#[derive(Debug, Args)]
pub struct Update {
    /// What it shares with registering.
    #[command(flatten)]
    pub publish: ZoneArgs,
}

/// `--recovery`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// No recovery key.
    None,
    /// This one.
    Key(PublicKey),
}

impl Recovery {
    /// The key that was asked for, or `default` if nothing was.
    pub fn key_or(asked: Option<Recovery>, default: Option<PublicKey>) -> Option<PublicKey> {
        match asked {
            None => default,
            Some(Recovery::Key(key)) => Some(key),
            Some(Recovery::None) => None,
        }
    }
}

impl FromStr for Recovery {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Recovery::None),
            key => key
                .parse()
                .map(Recovery::Key)
                .map_err(|_| "expected 64 hexadecimal digits, or none"),
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
        let key = PublicKey([2; 32]);
        assert_eq!(Recovery::key_or(None, Some(key)), Some(key));
        assert_eq!(Recovery::key_or(Some(Recovery::None), Some(key)), None);
        assert_eq!("mine".parse(), Ok(NewOwner::Mine));
        assert!("none".parse::<NewOwner>().is_err(), "a name always has an owner");
    }
}
