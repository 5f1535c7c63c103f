//! Looking names up, and letters.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use messaging::PinStatus;

use super::NameArgs;

/// `peer resolve`.
#[derive(Debug, Args)]
pub struct Resolve {
    /// The name: one label, such as bob
    pub name: String,
    /// Where the proof comes from, and what is accepted.
    #[command(flatten)]
    pub lookup: Lookup,
    /// Write the proof to this file, for --offline
    #[arg(long, value_name = "FILE", conflicts_with = "offline")]
    pub save: Option<PathBuf>,
}

/// Where the proof of a name's keys comes from, and what is accepted of it.
#[derive(Clone, Debug, Default, Args)]
pub struct Lookup {
    /// Take the proof from this file, and ask no node; it was written by --save, or by prove
    #[arg(long, value_name = "FILE")]
    pub offline: Option<PathBuf>,
    /// The header that the proof must lead to, 320 hexadecimal digits, from a source that you trust
    /// [default: that of the node's tip]
    #[arg(long, value_name = "HEX")]
    pub header: Option<String>,
    /// Take the header in the file of --offline for one of the chain: you wrote the file yourself
    #[arg(long, requires = "offline", conflicts_with = "header")]
    pub trust_file_header: bool,
    /// How many blocks below that header the proof may be made
    #[arg(long, value_name = "BLOCKS", default_value_t = messaging::verify::DEFAULT_MAX_DEPTH_BLOCKS)]
    pub max_depth: u32,
    /// Accept this change of keys, which would be an error otherwise: ask first, by another way,
    /// whether it is right
    #[arg(long, value_name = "VERDICT")]
    pub accept: Option<Acceptable>,
}

/// A pin status that a user can accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Acceptable {
    /// Another key, and nothing links it to the one before
    Unlinked,
    /// Another owner, or registered anew
    Transferred,
    /// Another record of the same number: a reorganisation, or another chain
    Forked,
    /// The name is revoked: there are no keys
    Revoked,
    /// There are no keys any more
    Gone,
}

impl Acceptable {
    /// The pin status itself.
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

/// `peer seal`.
#[derive(Debug, Args)]
pub struct Seal {
    /// Whom it is for: one label, such as bob
    pub name: String,
    /// Who writes: a name of yours for which one of your identity keys speaks
    #[arg(long, value_name = "NAME")]
    pub from: String,
    /// How long it can be opened, in days
    #[arg(long, default_value_t = 14, value_parser = clap::value_parser!(u32).range(1..=30))]
    pub days: u32,
    /// The recipient's bundle [default: the one that the node has]
    #[arg(long, value_name = "FILE", conflicts_with = "no_bundle")]
    pub bundle: Option<PathBuf>,
    /// Do not use a bundle: seal to X25519 alone, if the recipient allows it
    #[arg(long)]
    pub no_bundle: bool,
    /// Where the proof comes from, and what is accepted.
    #[command(flatten)]
    pub lookup: Lookup,
}

/// `peer open`.
#[derive(Debug, Args)]
pub struct Open {
    /// Whose letter it is: a name of yours [default: those of your names that have a bundle]
    #[arg(long = "to", value_name = "NAME")]
    pub name: Option<String>,
    /// Where the proof of the sender's keys comes from, and what is accepted.
    #[command(flatten)]
    pub lookup: Lookup,
}

/// `peer bundle`.
#[derive(Debug, Subcommand)]
pub enum BundleCommand {
    /// Make a new bundle under the record that stands, and hand it to the node: no new record is
    /// needed
    ///
    /// A bundle is good for 30 days. publish and rotate make one as well. Its secret keys are kept
    /// beside the identity key and can't be brought back from the 24 words.
    Make(NameArgs),
    /// Hand the bundle to the node, which gives it to whoever asks, and each of its one-time
    /// prekeys once
    Put(NameArgs),
    /// Write the bundle of a name to standard output: your own, or the one that the node has
    Export(NameArgs),
    /// Check a bundle of somebody else and hand it to the node: the letters of its users are sealed
    /// to it
    Import(BundleFileArgs),
}

/// `peer bundle import`.
#[derive(Debug, Args)]
pub struct BundleFileArgs {
    /// Whose it is: one label, such as bob
    pub name: String,
    /// The bundle
    pub file: PathBuf,
    /// Where the proof comes from, and what is accepted.
    #[command(flatten)]
    pub lookup: Lookup,
}
