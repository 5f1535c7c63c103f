//! Looking up names, letters and bundles.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use messaging::PinStatus;

use super::args::NameArgs;

/// Arguments of `peer resolve`.
#[derive(Debug, Args)]
pub struct Resolve {
    /// The name: one label, such as bob
    pub name: String,
    /// How the name is looked up.
    #[command(flatten)]
    pub lookup: Lookup,
    /// Write the proof to this file, for --offline
    #[arg(long, value_name = "FILE", conflicts_with = "offline")]
    pub save: Option<PathBuf>,
}

/// How a name's keys are looked up, and which changes are accepted.
#[derive(Clone, Debug, Default, Args)]
pub struct Lookup {
    /// Read the proof from this file, written by --save or prove, and ask no node
    #[arg(long, value_name = "FILE")]
    pub offline: Option<PathBuf>,
    /// A header that you trust, 336 hexadecimal digits [default: the header of the node's tip]
    #[arg(long, value_name = "HEX")]
    pub header: Option<String>,
    /// Trust the header in the file of --offline, because you wrote the file
    #[arg(long, requires = "offline", conflicts_with = "header")]
    pub trust_file_header: bool,
    /// How many blocks below the trusted header the proven state may be
    #[arg(long, value_name = "BLOCKS", default_value_t = messaging::verify::DEFAULT_MAX_DEPTH_BLOCKS)]
    pub max_depth: u32,
    /// Accept this change of keys; ask the owner over another channel first
    #[arg(long, value_name = "CHANGE")]
    pub accept: Option<Acceptable>,
}

/// A change of keys that the user can accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Acceptable {
    /// Another identity key, not signed by the old one
    Unlinked,
    /// Another owner, or registered again
    Transferred,
    /// Another record with the same number, after a reorganisation or on another chain
    Forked,
    /// The name is revoked and has no keys
    Revoked,
    /// The name has no keys any more
    Gone,
}

impl Acceptable {
    /// The pin status.
    pub const fn pin_status(self) -> PinStatus {
        match self {
            Acceptable::Unlinked => PinStatus::Unlinked,
            Acceptable::Transferred => PinStatus::Transferred,
            Acceptable::Forked => PinStatus::Forked,
            Acceptable::Revoked => PinStatus::Revoked,
            Acceptable::Gone => PinStatus::Gone,
        }
    }
}

/// Arguments of `peer seal`.
#[derive(Debug, Args)]
pub struct Seal {
    /// The recipient: one label, such as bob
    pub name: String,
    /// The sender: a name of yours with an identity key
    #[arg(long, value_name = "NAME")]
    pub from: String,
    /// How many days the letter is valid
    #[arg(long, default_value_t = 14, value_parser = clap::value_parser!(u32).range(1..=30))]
    pub days: u32,
    /// Seal a letter without text
    #[arg(long)]
    pub empty: bool,
    /// The recipient's bundle [default: the one of the node]
    #[arg(long, value_name = "FILE", conflicts_with = "no_bundle")]
    pub bundle: Option<PathBuf>,
    /// Use no bundle: encrypt with X25519 alone, if the recipient allows it
    #[arg(long)]
    pub no_bundle: bool,
    /// How the name is looked up.
    #[command(flatten)]
    pub lookup: Lookup,
}

/// Arguments of `peer open`.
#[derive(Debug, Args)]
pub struct Open {
    /// The recipient: a name of yours [default: all your names that have a bundle]
    #[arg(long = "to", value_name = "NAME")]
    pub name: Option<String>,
    /// How the sender is looked up.
    #[command(flatten)]
    pub lookup: Lookup,
}

/// The subcommands of `peer bundle`.
#[derive(Debug, Subcommand)]
pub enum BundleCommand {
    /// Make a new bundle for the present record, and upload it to the node
    ///
    /// A bundle is valid for 30 days. publish and rotate also make one. Its secret keys are stored
    /// beside the identity key and can't be restored from the 24 words.
    Make(NameArgs),
    /// Upload the bundle to the node, which hands out each one-time prekey once
    Put(NameArgs),
    /// Write the bundle of a name to standard output: yours, or the one of the node
    Export(NameArgs),
    /// Verify a bundle of another name and upload it to the node, for letters to that name
    Import(BundleFileArgs),
}

/// Arguments of `peer bundle import`.
#[derive(Debug, Args)]
pub struct BundleFileArgs {
    /// Its name: one label, such as bob
    pub name: String,
    /// The bundle file
    pub file: PathBuf,
    /// How the name is looked up.
    #[command(flatten)]
    pub lookup: Lookup,
}
