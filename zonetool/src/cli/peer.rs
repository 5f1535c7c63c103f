//! The keys that speak for a name.

use std::str::FromStr;

use clap::{Args, Subcommand};
use namechain_core::types::Hash;

use super::{
    BundleCommand, DaneCommand, MnemonicArgs, NameArgs, Open, OperationArgs, PeerDialArgs,
    PeerListenArgs, Resolve, Seal, WaitArgs,
};

/// `peer`.
#[derive(Debug, Subcommand)]
pub enum PeerCommand {
    /// Record the key that speaks for a name, or change what is recorded beside it
    ///
    /// The identity key comes from the 24 words (m/7380'/2'/N'), and is kept in DIR/identity-N.key.
    /// The words are asked for when no file has it: on the terminal, on standard input, or in
    /// --words-file. The record announces the next identity key, which stays in the words alone.
    /// What is not given stays as it stands.
    Publish(PeerPublishArgs),
    /// Replace the identity key by the one that it announced, which it signs for
    ///
    /// It takes the 24 words. Whoever knows the present key sees that the new one follows from it.
    /// It has a bundle of its own, if the old one had one.
    Rotate(PeerRotateArgs),
    /// Withdraw the key: nobody speaks for the name until another is published
    ///
    /// The next one can't be linked to it any more; the same key can be published again.
    Revoke(PeerOperationArgs),
    /// Show the key that speaks for a name
    Show(NameArgs),
    /// List every key that spoke for a name, since when, and how it came after the one before
    History(NameArgs),
    /// Wait for a call to one of your names, and be a pipe to who calls
    ///
    /// Both sides prove that they hold the keys which the chain says speak for their names, before
    /// a byte goes through. Standard input goes to the caller and what he says to standard output,
    /// each up to its end; who it is, is said on standard error. One call is taken; who is not who
    /// he says is turned away, and the next may come.
    Listen(PeerListenArgs),
    /// Call a name, and be a pipe to it
    ///
    /// As peer listen, from the other end. Who answers with another key than the name's learns
    /// nothing of you.
    Dial(PeerDialArgs),
    /// Look up the keys that the chain proves to be a name's, and compare them with those seen
    /// before
    ///
    /// The proof is checked here, against the header of the node's tip, or one that is given.
    /// Another key than the one seen before is an error, unless that one vouches for it or --accept
    /// says so.
    Resolve(Resolve),
    /// Seal a letter to a name: seal NAME --from ME < TEXT > FILE
    ///
    /// It is signed, and sealed to the post-quantum key of the recipient's bundle, or to the X25519
    /// key on the chain if the recipient allows that. Its text is read from standard input, 64 KB
    /// at most.
    Seal(Seal),
    /// Open a letter, once its sender is verified: open < FILE
    ///
    /// Letters that were changed, are for somebody else, were passed on, have expired, came before,
    /// or are not signed by the key that speaks for their sender are refused, each with its own
    /// exit code.
    Open(Open),
    /// The keys of a name that are too large or too short-lived for the chain: make, put, export,
    /// import
    #[command(subcommand)]
    Bundle(BundleCommand),
    /// Lines for a zone file, by which standard programs find keys: tlsa, openpgpkey, smimea,
    /// endpoint
    #[command(subcommand)]
    Dane(DaneCommand),
}

impl PeerCommand {
    /// Whether standard output is the other side's.
    pub fn is_pipe(&self) -> bool {
        matches!(self, PeerCommand::Listen(_) | PeerCommand::Dial(_))
    }
}

/// What operations share.
#[derive(Debug, Args)]
pub struct PeerOperationArgs {
    /// The name: one label, such as alice
    pub name: String,
    /// Show what would be signed, and sign and send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Waiting.
    #[command(flatten)]
    pub waiting: WaitArgs,
}

/// `peer publish`.
#[derive(Debug, Args)]
pub struct PeerPublishArgs {
    /// What operations share.
    #[command(flatten)]
    pub operate: PeerOperationArgs,
    /// Use this identity key of the words, counted from 0; if another stands, without a link
    /// [default: the one that stands, else the last one that a file has, else 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..256))]
    pub index: Option<u32>,
    /// Where the words are.
    #[command(flatten)]
    pub words: MnemonicArgs,
    /// What is recorded.
    #[command(flatten)]
    pub record: PeerRecordArgs,
}

/// `peer rotate`.
#[derive(Debug, Args)]
pub struct PeerRotateArgs {
    /// What operations share.
    #[command(flatten)]
    pub operate: PeerOperationArgs,
    /// Where the words are.
    #[command(flatten)]
    pub words: MnemonicArgs,
    /// What is recorded.
    #[command(flatten)]
    pub record: PeerRecordArgs,
}

/// What is recorded beside the keys.
#[derive(Debug, Args)]
pub struct PeerRecordArgs {
    /// Where the name is reached, a multiaddress or a URL; up to three, the best first
    #[arg(long = "locator", value_name = "WHERE", conflicts_with = "no_locators")]
    pub locators: Vec<String>,
    /// Nowhere
    #[arg(long)]
    pub no_locators: bool,
    /// A new bundle, none, or the hash of one that was made elsewhere [default: new, but none if
    /// none stands]
    #[arg(long, value_name = "new|none|HASH")]
    pub bundle: Option<Bundle>,
    /// Whether letters may be sealed without a post-quantum key, where the bundle has none [default
    /// for a first record: no]
    #[arg(long, value_name = "yes|no")]
    pub x25519_alone: Option<Answer>,
}

/// `--bundle`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bundle {
    /// One that is made now.
    New,
    /// The one with this hash; zeros for none.
    Hash(Hash),
}

/// yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer(pub bool);

impl PeerOperationArgs {
    /// As other operations have it; none of these asks.
    pub fn operate(&self) -> OperationArgs {
        OperationArgs {
            name: self.name.clone(),
            dry_run: self.dry_run,
            yes: true,
            waiting: self.waiting,
        }
    }
}

impl FromStr for Bundle {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "new" => Ok(Bundle::New),
            "none" => Ok(Bundle::Hash(Hash::ZERO)),
            hash => hash
                .parse()
                .map(Bundle::Hash)
                .map_err(|_| "expected 64 hexadecimal digits, new or none"),
        }
    }
}

impl FromStr for Answer {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "yes" => Ok(Answer(true)),
            "no" => Ok(Answer(false)),
            _ => Err("expected yes or no"),
        }
    }
}
