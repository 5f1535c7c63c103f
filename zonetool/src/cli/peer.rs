//! Messaging keys, letters and channels.

use std::str::FromStr;

use clap::{Args, Subcommand};
use namechain_core::types::Hash;

use super::{
    args::{NameArgs, ValidityArgs, WaitArgs},
    channel::{PeerDialArgs, PeerListenArgs},
    dane::DaneCommand,
    letters::{BundleCommand, Open, Resolve, Seal},
    operations::{MnemonicArgs, OperationArgs},
};

/// The subcommands of `peer`.
#[derive(Debug, Subcommand)]
pub enum PeerCommand {
    /// Publish the messaging record of a name: its identity key, locators and bundle
    ///
    /// The identity key is derived from the 24 words (m/7380'/2'/N') and stored in
    /// DIR/identity-N.key. The words are asked for when no file has the key: on the terminal, on
    /// standard input, or in --words-file. The record announces the next identity key, which is
    /// only in the words. What is not given stays unchanged.
    Publish(PeerPublishArgs),
    /// Replace the identity key by the announced one, signed by the old key
    ///
    /// Needs the 24 words. Correspondents who know the old key accept the new one. If the old
    /// record had a bundle, a new one is made.
    Rotate(PeerRotateArgs),
    /// Withdraw the messaging record of a name
    ///
    /// A later key can't be linked to this one; the same key can be published again.
    Revoke(PeerOperationArgs),
    /// Show the messaging record of a name
    Show(NameArgs),
    /// List the identity keys of a name over time, and whether each is linked to the one before
    History(NameArgs),
    /// Wait for a call to one of your names, and pipe data to and from the caller
    ///
    /// Both sides prove that they hold the identity keys of their names before any data is sent.
    /// Standard input goes to the caller, and the caller's data to standard output, each up to its
    /// end; the caller's name is printed on standard error. One call is accepted; a caller that
    /// can't prove its name is rejected.
    Listen(PeerListenArgs),
    /// Call a name, and pipe data to and from it
    ///
    /// The other end of peer listen. A peer that answers with another key than the name's does not
    /// learn who called.
    Dial(PeerDialArgs),
    /// Look up and verify the keys of a name, and compare them with those seen before
    ///
    /// The proof is verified here, against the header of the node's tip or a given one. Another key
    /// than before is an error, unless the old key signed for it or --accept is given.
    Resolve(Resolve),
    /// Encrypt and sign a letter to a name: seal NAME --from ME < TEXT > FILE
    ///
    /// The letter is encrypted to the post-quantum key of the recipient's bundle, or to the X25519
    /// key on the chain if the recipient allows that. The text is read from standard input, at most
    /// 64 KB.
    Seal(Seal),
    /// Decrypt a letter and verify its sender: open < FILE
    ///
    /// A letter is refused if it was changed, is for another name, was forwarded, has expired, was
    /// opened before, or is not signed by its sender's key; the error code says which.
    Open(Open),
    /// Bundles: the keys of a name that are kept off the chain
    #[command(subcommand)]
    Bundle(BundleCommand),
    /// Print zone file lines that publish keys for standard programs (DANE)
    #[command(subcommand)]
    Dane(DaneCommand),
}

impl PeerCommand {
    /// Whether standard output carries the data of a channel.
    pub fn is_pipe(&self) -> bool {
        matches!(self, PeerCommand::Listen(_) | PeerCommand::Dial(_))
    }
}

/// What publishing operations share.
#[derive(Debug, Args)]
pub struct PeerOperationArgs {
    /// The name: one label, such as alice
    pub name: String,
    /// Show what would be signed; sign and send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// How long the signature is valid.
    #[command(flatten)]
    pub validity: ValidityArgs,
    /// How to wait.
    #[command(flatten)]
    pub waiting: WaitArgs,
}

/// Arguments of `peer publish`.
#[derive(Debug, Args)]
pub struct PeerPublishArgs {
    /// What publishing operations share.
    #[command(flatten)]
    pub operate: PeerOperationArgs,
    /// The index of the identity key; replacing another key this way leaves no link to it [default:
    /// the present key, else the latest that a file has, else 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..256))]
    pub index: Option<u32>,
    /// Where the words come from.
    #[command(flatten)]
    pub words: MnemonicArgs,
    /// The fields of the record.
    #[command(flatten)]
    pub record: PeerRecordArgs,
}

/// Arguments of `peer rotate`.
#[derive(Debug, Args)]
pub struct PeerRotateArgs {
    /// What publishing operations share.
    #[command(flatten)]
    pub operate: PeerOperationArgs,
    /// Where the words come from.
    #[command(flatten)]
    pub words: MnemonicArgs,
    /// The fields of the record.
    #[command(flatten)]
    pub record: PeerRecordArgs,
}

/// The fields of a messaging record beside the keys.
#[derive(Debug, Args)]
pub struct PeerRecordArgs {
    /// Where the name is reached: a multiaddress or a URL; up to three, the best first
    #[arg(long = "locator", value_name = "ADDRESS", conflicts_with = "no_locators")]
    pub locators: Vec<String>,
    /// Remove all locators
    #[arg(long)]
    pub no_locators: bool,
    /// A new bundle, none, or the hash of one made elsewhere [default: new, or none if the present
    /// record has none]
    #[arg(long, value_name = "new|none|HASH")]
    pub bundle: Option<Bundle>,
    /// Whether letters may be encrypted without a post-quantum key [default for a first record: no]
    #[arg(long, value_name = "yes|no")]
    pub x25519_alone: Option<Answer>,
}

/// The value of `--bundle`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bundle {
    /// A new one.
    New,
    /// The one with this hash; zeros for none.
    Hash(Hash),
}

/// The value of a yes-or-no option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer(pub bool);

impl PeerOperationArgs {
    /// The arguments as `ops` takes them; these operations never ask.
    pub fn to_operation_args(&self) -> OperationArgs {
        OperationArgs {
            name: self.name.clone(),
            dry_run: self.dry_run,
            yes: true,
            validity: self.validity,
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
