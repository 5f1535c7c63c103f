//! `peers`: the node's connected peers.

use std::{fmt::Write as _, time::Duration};

use namechain_core::api_types::PeerInfo;

use crate::{
    client::Client,
    error::CommandError,
    ui::{Ui, duration, escape_line},
};

/// Runs the command. `--json` prints what the node's `/v1/peers` says.
pub fn run(ui: Ui, client: &Client) -> Result<(), CommandError> {
    let peers = client.peers()?;
    let mut text = String::new();
    // Writing to a String never fails.
    let _ = match peers.peers.len() {
        0 => writeln!(text, "no peers"),
        1 => writeln!(text, "1 peer"),
        count => writeln!(text, "{count} peers"),
    };
    for peer in &peers.peers {
        text.push_str(&line(peer));
    }
    for (nth, address) in peers.addresses.iter().enumerate() {
        let label = if nth == 0 { "other nodes connect to this one with --peer" } else { "or" };
        let _ = writeln!(text, "{label} {}", escape_line(address));
    }
    ui.print_result(&text, &peers)?;
    Ok(())
}

/// A peer in two lines. All of it comes from outside.
fn line(peer: &PeerInfo) -> String {
    let height = peer
        .height
        .map_or_else(|| "height unknown".to_owned(), |height| format!("height {height}"));
    let latency = peer
        .latency_ms
        .map_or_else(|| "latency unknown".to_owned(), |latency| format!("latency {latency} ms"));
    let block = peer.last_block_seconds.map_or_else(
        || "no block yet".to_owned(),
        |seconds| format!("last block {} ago", duration(Duration::from_secs(seconds))),
    );
    format!(
        "{:<3} {}  for {}{}, {latency}, {block}, {height}, score {}, {}, {}\n    {}\n",
        escape_line(&peer.direction),
        escape_line(&peer.address),
        duration(Duration::from_secs(peer.seconds)),
        if peer.block_only { ", blocks only" } else { "" },
        peer.score,
        escape_line(&peer.agent),
        escape_line(&peer.doing),
        escape_line(&peer.id),
    )
}
