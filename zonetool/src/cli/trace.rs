//! Tracing a resolution.

use clap::Args;

use super::admin::AdminArgs;

/// Arguments of `trace`.
#[derive(Debug, Args)]
pub struct TraceArgs {
    /// Which resolver.
    #[command(flatten)]
    pub admin: AdminArgs,
    /// The name, such as www.alice or www.example.com, with or without its final dot
    pub name: String,
    /// The record type: A, AAAA, MX, TXT, ..., or TYPE65280
    #[arg(value_name = "TYPE", default_value = "A")]
    pub rtype: String,
    /// Flush the cached answers for the name first, so that upstreams are asked
    #[arg(long)]
    pub fresh: bool,
    /// Request signatures (the DO bit)
    #[arg(long)]
    pub dnssec: bool,
    /// Disable validation (the CD bit)
    #[arg(long)]
    pub cd: bool,
}
