//! Arguments of the commands that use the admin socket, and the bans.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::args::span_seconds;

/// Which node or resolver is meant.
#[derive(Debug, Args)]
pub struct AdminArgs {
    /// The data directory of the node or resolver on this machine, whose admin.sock is used
    /// [default: where one runs]. --node unix:PATH names the socket itself
    #[arg(long, global = true, value_name = "DIR", env = "NAMECHAIN_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
}

/// Arguments of `bans`.
#[derive(Debug, Args)]
pub struct BansArgs {
    /// Which node.
    #[command(flatten)]
    pub admin: AdminArgs,
    /// What to do; without it the bans are listed.
    #[command(subcommand)]
    pub command: Option<BansCommand>,
}

/// The subcommands of `bans`.
#[derive(Debug, Subcommand)]
pub enum BansCommand {
    /// Ban a peer or a subnet; whoever is connected and meant is disconnected
    ///
    /// A ban of a subnet refuses connections from its addresses, and the node does not connect to
    /// them. A ban of an identity refuses that peer wherever it is. Behind one address may be an
    /// office or a provider: prefer identities.
    Add(AddBan),
    /// Lift the ban of a peer or a subnet, or all bans
    Lift(LiftBan),
}

/// Arguments of `bans add`.
#[derive(Debug, Args)]
pub struct AddBan {
    /// An identity as peers shows it (12D3KooW...), an IP address, or a subnet such as 192.0.2.0/24
    #[arg(value_name = "TARGET")]
    pub target: String,
    /// How long: a number of s, m, h, d or w [default: for good]
    #[arg(long = "for", value_name = "TIME", value_parser = span_seconds)]
    pub span: Option<u64>,
}

/// Arguments of `bans lift`.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct LiftBan {
    /// The target as bans shows it
    #[arg(value_name = "TARGET")]
    pub target: Option<String>,
    /// All bans, those for misbehaving among them
    #[arg(long)]
    pub all: bool,
}
