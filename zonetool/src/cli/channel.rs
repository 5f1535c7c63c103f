//! Channels between names.

use std::{net::IpAddr, time::Duration};

use clap::Args;

use super::Lookup;

/// `peer listen`.
#[derive(Debug, Args)]
pub struct PeerListenArgs {
    /// The name that is called: one of yours
    pub name: String,
    /// The port; 0 is any that is free
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// The address of this machine to listen at
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0")]
    pub listen: IpAddr,
    /// Take calls of this name alone; may be given more than once [default: of everybody who has a
    /// key]
    #[arg(long = "only", value_name = "NAME")]
    pub only: Vec<String>,
    /// How many blocks below the node's tip the proof of a caller's keys may be made
    #[arg(long, value_name = "BLOCKS", default_value_t = messaging::verify::DEFAULT_MAX_DEPTH_BLOCKS)]
    pub max_depth: u32,
    /// What carries it.
    #[command(flatten)]
    pub connection: TransportArgs,
}

/// `peer dial`.
#[derive(Debug, Args)]
pub struct PeerDialArgs {
    /// The name to call
    pub name: String,
    /// The name that calls: one of yours
    #[arg(long, value_name = "NAME")]
    pub from: String,
    /// Where it is, HOST:PORT [default: the locators in its record, the best first]
    #[arg(long, value_name = "ADDR")]
    pub address: Option<String>,
    /// Where the proof comes from, and what is accepted.
    #[command(flatten)]
    pub lookup: Lookup,
    /// What carries it.
    #[command(flatten)]
    pub connection: TransportArgs,
}

/// What carries a channel.
#[derive(Clone, Copy, Debug, Args)]
pub struct TransportArgs {
    /// Over TCP, where UDP does not get through; both sides must say so
    #[arg(long)]
    pub tcp: bool,
    /// How long it may take until both sides know each other
    #[arg(long = "handshake-timeout", value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub handshake: Duration,
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    match text.parse() {
        Ok(seconds @ 1..=3_600) => Ok(Duration::from_secs(seconds)),
        _ => Err("expected 1 to 3600 seconds"),
    }
}
