//! The resolver's cache.

use clap::{Args, Subcommand};

use super::admin::AdminArgs;

/// The subcommands of `cache`.
#[derive(Debug, Subcommand)]
pub enum CacheCommand {
    /// Remove answers from the cache: all, those of a name, or those of a zone
    ///
    /// A resolver caches answers of legacy DNS until their TTL ends, and may serve them stale when
    /// no upstream answers. The resolver on this machine is asked, by its admin socket. Chain names
    /// need no flush: each block updates them.
    Flush(Flush),
}

/// Arguments of `cache flush`.
#[derive(Debug, Args)]
pub struct Flush {
    /// Which resolver.
    #[command(flatten)]
    pub admin: AdminArgs,
    /// Only answers for this name, such as www.example.com, of every type [default: all]
    #[arg(conflicts_with = "zone")]
    pub name: Option<String>,
    /// Only answers for this name and the names below it
    #[arg(long, value_name = "ZONE")]
    pub zone: Option<String>,
}
