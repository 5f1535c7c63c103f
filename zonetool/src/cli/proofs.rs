//! Proofs: making them, and checking them.

use std::path::PathBuf;

use clap::Args;

/// `prove`.
#[derive(Debug, Args)]
pub struct Prove {
    /// The name: one label, such as alice
    pub name: String,
    /// The height of the state, one of the last 720 [default: the one that names are served from]
    #[arg(long)]
    pub height: Option<u32>,
    /// Prove too that the block at this later height was built on that state: its header then
    /// serves to verify
    #[arg(long, value_name = "HEIGHT")]
    pub against: Option<u32>,
}

/// `verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// The proof; - is standard input
    pub file: PathBuf,
    /// The name that it must be of [default: the one in the file]
    #[arg(long)]
    pub name: Option<String>,
    /// The header that it must lead to, 320 hexadecimal digits, from a source that you trust: of
    /// the block itself, or of the one that prove --against was given
    #[arg(long, value_name = "HEX", conflicts_with = "trust_file_header")]
    pub header: Option<String>,
    /// Compare the proven records with this zone file
    #[arg(long, value_name = "FILE")]
    pub zone: Option<PathBuf>,
    /// Take the header in the file for one of the chain, without a word about it
    #[arg(long)]
    pub trust_file_header: bool,
}
