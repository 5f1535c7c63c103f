//! Making and verifying proofs.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `prove`.
#[derive(Debug, Args)]
pub struct Prove {
    /// The name: one label, such as alice
    pub name: String,
    /// The height of the state, one of the last 720 [default: the height that names are served
    /// from]
    #[arg(long)]
    pub height: Option<u32>,
    /// Also prove that the block at this later height builds on that state; its header can then be
    /// used to verify
    #[arg(long, value_name = "HEIGHT")]
    pub against: Option<u32>,
}

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// The proof file; - is standard input
    pub file: PathBuf,
    /// The expected name [default: the one in the file]
    #[arg(long)]
    pub name: Option<String>,
    /// A header that you trust, 336 hexadecimal digits: of the proven block, or of the later one of
    /// prove --against
    #[arg(long, value_name = "HEX", conflicts_with = "trust_file_header")]
    pub header: Option<String>,
    /// Compare the proven records with this zone file
    #[arg(long, value_name = "FILE")]
    pub zone: Option<PathBuf>,
    /// Trust the header in the file
    #[arg(long)]
    pub trust_file_header: bool,
}
