//! Channels between names.

use std::{net::IpAddr, time::Duration};

use clap::Args;

use super::letters::Lookup;

/// Arguments of `peer listen`.
#[derive(Debug, Args)]
pub struct PeerListenArgs {
    /// The name to be called: one of yours
    pub name: String,
    /// The port to listen on; 0 chooses a free one
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// The address to listen on
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0")]
    pub listen: IpAddr,
    /// Accept calls only from this name; can be repeated [default: from every name with a key]
    #[arg(long = "only", value_name = "NAME")]
    pub only: Vec<String>,
    /// How many blocks below the node's tip the proven state of a caller may be
    #[arg(long, value_name = "BLOCKS", default_value_t = messaging::verify::DEFAULT_MAX_DEPTH_BLOCKS)]
    pub max_depth: u32,
    /// The transport.
    #[command(flatten)]
    pub connection: TransportArgs,
}

/// Arguments of `peer dial`.
#[derive(Debug, Args)]
pub struct PeerDialArgs {
    /// The name to call
    pub name: String,
    /// The calling name: one of yours
    #[arg(long, value_name = "NAME")]
    pub from: String,
    /// Its address, HOST:PORT [default: the locators in its record, in order]
    #[arg(long, value_name = "ADDR")]
    pub address: Option<String>,
    /// How the name is looked up.
    #[command(flatten)]
    pub lookup: Lookup,
    /// The transport.
    #[command(flatten)]
    pub connection: TransportArgs,
}

/// The transport of a channel.
#[derive(Clone, Copy, Debug, Args)]
pub struct TransportArgs {
    /// Use TCP where UDP is blocked; both sides must give it
    #[arg(long)]
    pub tcp: bool,
    /// How long the handshake may take, in seconds
    #[arg(long = "handshake-timeout", value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub handshake: Duration,
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    match text.parse() {
        Ok(seconds @ 1..=3_600) => Ok(Duration::from_secs(seconds)),
        _ => Err("expected 1 to 3600 seconds"),
    }
}
