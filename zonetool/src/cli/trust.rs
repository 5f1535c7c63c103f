//! The trust anchor of a resolver.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, ValueEnum};

use super::admin::AdminArgs;

/// Arguments of `trust-anchor`.
#[derive(Debug, Args)]
pub struct TrustAnchor {
    /// Which resolver.
    #[command(flatten)]
    pub admin: AdminArgs,
    /// Print only this form, ready for a file [default: all, with explanations]
    #[arg(long, value_enum)]
    pub format: Option<AnchorFormat>,
    /// The key file or a file with the DNSKEY record; the resolver's is dnssec.key in its data
    /// directory
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// The address of the resolver, for forwarding rules [default: as the resolver says; with --key
    /// 127.0.0.1:5300]
    #[arg(long, value_name = "IP:PORT")]
    pub server: Option<SocketAddr>,
}

/// The form of a trust anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AnchorFormat {
    /// The DS record, for drill -k and programs that read zone files
    Ds,
    /// The DNSKEY record
    Dnskey,
    /// Lines for unbound.conf
    Unbound,
    /// Statements for named.conf; BIND 9.16 and later
    Bind,
    /// A file for delv -a FILE +root=namechain.alt
    Delv,
    /// A file for /etc/dnssec-trust-anchors.d, which systemd-resolved reads
    Systemd,
}
