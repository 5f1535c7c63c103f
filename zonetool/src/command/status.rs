//! `status`: where the node stands.

use std::fmt::Write as _;

use super::CommandError;
use crate::{
    client::Client,
    ui::{Ui, one_line},
};

/// Runs the command. `--json` prints what the node's `/v1/status` says.
pub fn run(ui: Ui, client: &Client) -> Result<(), CommandError> {
    let status = client.status()?;
    let mut text = String::new();
    for (label, value) in [
        ("network", status.network.to_string()),
        ("height", format!("{}, {}", status.height, if status.synced { "synced" } else { "not synced yet" })),
        ("tip", status.tip.to_string()),
        ("work", format!("{} expected hashes", one_line(&status.work))),
        (
            "names",
            format!("served from height {}, {} below the tip", status.served_height, status.serve_depth),
        ),
        ("waiting", format!("{} operations, {} bytes", status.mempool_operations, status.mempool_bytes)),
        ("mining", one_line(&status.mining)),
        ("version", one_line(&status.version)),
    ] {
        // Writing to a String never fails.
        let _ = writeln!(text, "{label:<8} {value}");
    }
    if let Some(other) = status.held_back {
        let _ = writeln!(
            text,
            "warning  a chain of more work, with tip {other}, departs too deep below the tip and is not followed: find out which \
             chain others are on"
        );
    }
    ui.result(&text, &status);
    Ok(())
}
