//! The key that a resolver signs with.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, ValueEnum};

/// `trust-anchor`.
#[derive(Debug, Args)]
pub struct TrustAnchor {
    /// Print one form alone, ready to be put into a file [default: all of them, with words]
    #[arg(long, value_enum)]
    pub format: Option<AnchorFormat>,
    /// The file with the key, or with its DNSKEY record: dnssec.key beside the resolver's data
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Where the resolver answers, for the lines that send questions to it [default: where it says;
    /// with --key 127.0.0.1:5300]
    #[arg(long, value_name = "IP:PORT")]
    pub server: Option<SocketAddr>,
}

/// How an anchor is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AnchorFormat {
    /// The DS record (drill -k, and whoever takes RFC 1035 master files)
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
