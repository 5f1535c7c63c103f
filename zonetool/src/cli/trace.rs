//! How a name is resolved.

use clap::Args;

/// `trace`.
#[derive(Debug, Args)]
pub struct TraceArgs {
    /// The name, such as www.alice or www.example.com, with or without its final dot
    pub name: String,
    /// The type of records: A, AAAA, MX, TXT, ..., or TYPE65280
    #[arg(value_name = "TYPE", default_value = "A")]
    pub rtype: String,
    /// Forget first what is kept for the name, so that upstreams are asked
    #[arg(long)]
    pub fresh: bool,
    /// Ask for signatures (DO)
    #[arg(long)]
    pub dnssec: bool,
    /// Ask for what is not validated, too (CD)
    #[arg(long)]
    pub cd: bool,
}
