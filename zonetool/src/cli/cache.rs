//! The answers that a resolver keeps.

use clap::{Args, Subcommand};

/// `cache`.
#[derive(Debug, Subcommand)]
pub enum CacheCommand {
    /// Forget answers: all, those for a name, or those for a zone
    ///
    /// A resolver keeps the answers of legacy DNS until their time is over, and may use them for
    /// longer when nobody else answers. Forgotten, they are asked for again. --node is the
    /// resolver's API here: its line at the start says where that is. Names of the chain need no
    /// flush: an answer goes with the block that changes it.
    Flush(Flush),
}

/// `cache flush`.
#[derive(Debug, Args)]
pub struct Flush {
    /// Only answers to questions for this name, such as www.example.com, of every type [default:
    /// all]
    #[arg(conflicts_with = "zone")]
    pub name: Option<String>,
    /// Only answers to questions for this name and the names below it
    #[arg(long, value_name = "ZONE")]
    pub zone: Option<String>,
}
