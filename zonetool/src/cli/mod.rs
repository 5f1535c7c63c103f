//! The command line and its help.

mod admin;
mod args;
mod cache;
mod channel;
mod dane;
mod letters;
mod operations;
mod peer;
mod proofs;
mod trace;
mod trust;

use std::{path::PathBuf, time::Duration};

use crate::error::exit_codes_help;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, parser::ValueSource};
use namechain_core::types::Network;

pub use admin::{AdminArgs, BansArgs, BansCommand};
use args::seconds;
pub use args::{KeyOrName, NameArgs, Recovery, WaitArgs, ZoneArgs};
pub use cache::{CacheCommand, Flush};
pub use channel::{PeerDialArgs, PeerListenArgs, TransportArgs};
pub use dane::DaneCommand;
pub use letters::{BundleCommand, BundleFileArgs, Lookup, Open, Resolve, Seal};
pub use operations::{
    Accept, Check, HistoryArgs, KeyholderArgs, List, MnemonicArgs, NewOwner, OperationArgs,
    Recover, Renew, Transfer,
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
added, never renamed. A time is in seconds of Unix time, with the same in RFC 3339 beside it:
expires and expires_utc. While peer listen and peer dial run, standard output carries the data of
the channel, and their JSON documents go to standard error, one a line. mine prints a document a
block, one a line, and renew --all a document a name.";

const EXAMPLES: &str = "\
Examples, with a node running (resolver --dev):
  zonetool key new
  zonetool register alice --zone alice.zone --wait
  zonetool show alice";

/// The heading of the options that every command takes.
const EVERY: &str = "Options of every command";

/// Manage names of the naming chain: keys, zones, operations, proofs and messaging.
///
/// A name belongs to the key that committed to it first. Its records are a small DNS zone. This
/// program makes keys, does the proof of work that operations cost, and submits operations to a
/// node's HTTP API.
#[derive(Debug, Parser)]
#[command(name = "zonetool", version, after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{}\n{OUTPUT}", exit_codes_help()))]
#[command(arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    /// The options of every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Parses the command line.
    pub fn read() -> Result<Self, clap::Error> {
        let matches = Cli::command().try_get_matches()?;
        let mut cli = Cli::from_arg_matches(&matches)?;
        cli.global.node_given = matches.value_source("node") == Some(ValueSource::CommandLine);
        Ok(cli)
    }
}

/// The options of every command.
#[derive(Debug, Args)]
pub struct Global {
    /// The node's HTTP API, or unix:PATH for its admin socket; the node also determines the network
    #[arg(
        long,
        help_heading = EVERY,
        global = true,
        value_name = "URL",
        env = "NAMECHAIN_NODE",
        default_value = "http://127.0.0.1:7380"
    )]
    pub node: String,
    /// Whether `--node` is on the command line: `verify` asks a node only then.
    #[arg(skip)]
    pub node_given: bool,
    /// Refuse a node that is on another network: main, test or dev
    #[arg(long, help_heading = EVERY, global = true, value_name = "NETWORK", env = "NAMECHAIN_NETWORK")]
    pub network: Option<Network>,
    /// The directory that holds your key [default: $XDG_DATA_HOME/namechain/keys]
    #[arg(long, help_heading = EVERY, global = true, value_name = "DIR", env = "NAMECHAIN_KEYS")]
    pub keys: Option<PathBuf>,
    /// Read the key's passphrase from the first line of this file instead of asking for it
    #[arg(long, help_heading = EVERY, global = true, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Print one JSON document on standard output
    #[arg(long, help_heading = EVERY, global = true)]
    pub json: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show your public keys and their files
    Whoami,
    /// List your names and when their leases end
    ///
    /// The first run reads all blocks of the node's best chain, later runs only new ones.
    List(List),
    /// Check whether a name can be registered: exit code 0 if it can
    Available(NameArgs),
    /// Show what registering a name costs now, and how long the work takes on this machine
    Price(PriceArgs),
    /// Make, show or restore your key
    #[command(subcommand)]
    Key(KeyCommand),
    /// Register a name: commit to it, wait, register it with its zone
    ///
    /// The commitment hides the name until nobody can register it before you. It carries the price
    /// in proof of work; a name of six letters or more takes about a minute of one core on the main
    /// network. The registration follows when the commitment is old enough: on the main network
    /// after ten minutes and ten blocks. Then the name settles for an hour and thirty blocks, in
    /// which an older commitment can still displace it. If the command is interrupted, run it
    /// again: it continues, and no work is lost.
    Register(Register),
    /// Check a zone file for errors, and for records that have no effect
    Check(Check),
    /// Replace the zone of your name
    Update(Update),
    /// Renew a name for another lease, in the last quarter of its lease or in the grace period
    ///
    /// With --all every name of your key for which that is possible now is renewed, one after the
    /// other. What fails does not keep the others from being renewed: the command fails at the end.
    Renew(Renew),
    /// Offer a name to another key, which can accept it after a delay
    ///
    /// The key becomes the owner when it accepts: on the main network that is possible a day after
    /// the offer is recorded. Until then you are the owner and can cancel.
    Transfer(Transfer),
    /// Accept a name that is offered to your key; its records are removed
    ///
    /// An offer can be accepted after a delay, a day on the main network. With --wait the command
    /// waits for that, if it is within --timeout.
    Accept(Accept),
    /// Withdraw the offer of a name
    Cancel(KeyholderArgs),
    /// Give a name a new owner with the recovery key, after its key was lost or stolen
    ///
    /// The recovery key is only in the 24 words. They are asked for on the terminal, or read from
    /// standard input or --words-file, and not stored. Recovering also cancels a pending transfer.
    /// After a theft, make a new key first: zonetool key new --keys DIR.
    Recover(Recover),
    /// Revoke a name: it stops resolving, and nobody can register it until lease and grace are over
    Revoke(KeyholderArgs),
    /// Messaging keys of names: publish and verify them, send letters, open channels
    #[command(subcommand)]
    Peer(PeerCommand),
    /// List all operations on a name
    History(HistoryArgs),
    /// Print a proof of a name's entry, or of its absence: prove NAME > NAME.proof
    Prove(Prove),
    /// Verify a proof printed by prove; needs no node
    ///
    /// The proof leads to the state root in a header. Give a header that you know to be on the
    /// chain with --header. Otherwise the header in the file is used: its work is checked, which
    /// shows only what it cost to make. With --node, that node is asked whether the header's block
    /// is on its best chain, and how deep.
    Verify(Verify),
    /// Show the owner, lease and records of a name
    Show(NameArgs),
    /// Print the zone of a name as a zone file, ready for --zone
    Zone(NameArgs),
    /// Show the node's status and sync progress
    Status(Status),
    /// Show the node's peers
    ///
    /// The list is for the user who runs the node: it comes from the node's admin socket. `blocks
    /// only` marks connections on which operations are not relayed. `last block` is when the peer
    /// was last the first to bring a block.
    Peers(AdminArgs),
    /// List the node's bans, add or lift one
    ///
    /// Without a subcommand the bans are listed: yours, which survive a restart, and those of
    /// identities that broke a rule of the protocol, which end with the run at the latest.
    Bans(BansArgs),
    /// Mine blocks on this machine, through the node
    ///
    /// A block is mined when it records something, or when somebody waits for one. Commands that
    /// wait do this by themselves when nobody else mines. With --json, one line for each block.
    Mine(Mine),
    /// Resolve a name and show every step of the resolver
    ///
    /// The resolver on this machine answers the query as it would answer a program, and lists the
    /// steps: whether the chain or legacy DNS has the name and why, what was in the cache, which
    /// upstreams were asked and how long each took, whether signatures verify, where aliases lead.
    Trace(TraceArgs),
    /// Flush a resolver's cache
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Print the trust anchor of a resolver, for validators
    ///
    /// A resolver signs its answers under namechain.alt. with DNSSEC. A validator with this trust
    /// anchor trusts those answers as far as it trusts the resolver. The anchor comes from the
    /// resolver on this machine, by its admin socket, or from a key file with --key.
    TrustAnchor(TrustAnchor),
}

/// The subcommands of `key`.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key and show its 24 words
    ///
    /// Two keys are derived from the words (BIP39, SLIP-10): the owner key, m/7380'/0'/0', stored
    /// in DIR/owner.key, and the recovery key, m/7380'/1'/0', which outranks it and is stored
    /// nowhere. The words are shown once: write them on paper.
    New(NewKey),
    /// Show the public keys and how the key file is protected
    Show,
    /// Restore a key from its 24 words: typed, on standard input, or in a file
    Restore(Restore),
    /// Find every name of your key on the chain
    ///
    /// Reads all blocks of the node's best chain for names that your key owns or is offered, names
    /// that your recovery key can recover, and your open commitments. A commitment does not contain
    /// its name: commitments are found only for names that are on the chain or given with --name.
    Scan(Scan),
}

impl Command {
    /// Whether standard output carries the data of a channel.
    pub fn is_pipe(&self) -> bool {
        matches!(self, Command::Peer(command) if command.is_pipe())
    }
}

/// Arguments of `key restore`.
#[derive(Debug, Args)]
pub struct Restore {
    /// How to store the key.
    #[command(flatten)]
    pub keep: NewKey,
    /// Where the words come from.
    #[command(flatten)]
    pub words: MnemonicArgs,
    /// Then find the names of the key on the chain, as key scan does
    #[arg(long)]
    pub scan: bool,
    /// What to scan.
    #[command(flatten)]
    pub range: Scan,
}

/// Arguments of `key scan`.
#[derive(Debug, Args)]
pub struct Scan {
    /// The height to start at; an interrupted scan prints where to continue
    #[arg(long, value_name = "HEIGHT", default_value_t = 0)]
    pub from: u32,
    /// A name that you may own or have committed to; can be repeated
    #[arg(long = "name", value_name = "NAME")]
    pub names: Vec<String>,
}

/// How to store a new key.
#[derive(Debug, Args)]
pub struct NewKey {
    /// Do not encrypt the key file: whoever can read it controls your names
    #[arg(long)]
    pub no_passphrase: bool,
    /// Replace an existing key; its file is kept as owner.key.old-N
    #[arg(long)]
    pub replace: bool,
}

/// Arguments of `price`.
#[derive(Debug, Args)]
pub struct PriceArgs {
    /// The name [default: names of each length]
    pub name: Option<String>,
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct Status {
    /// Show the progress until the node is synced
    #[arg(long)]
    pub watch: bool,
    /// How long to watch at most, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "86400", requires = "watch", value_parser = seconds)]
    pub timeout: Duration,
}

/// Arguments of `mine`.
#[derive(Debug, Args)]
pub struct Mine {
    /// How many threads mine [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub threads: Option<u16>,
    /// Stop after this many blocks
    #[arg(long, value_name = "N")]
    pub blocks: Option<u64>,
    /// Mine blocks that record nothing, too
    #[arg(long)]
    pub always: bool,
}

/// Arguments of `register`.
#[derive(Debug, Args)]
pub struct Register {
    /// What it shares with `update`.
    #[command(flatten)]
    pub publish: ZoneArgs,
    /// The recovery key (ncrecovery1...), or none [default: the one of your 24 words]
    #[arg(long, value_name = "KEY|none")]
    pub recovery: Option<Recovery>,
}

/// Arguments of `update`.
#[derive(Debug, Args)]
pub struct Update {
    /// What it shares with `register`.
    #[command(flatten)]
    pub publish: ZoneArgs,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
