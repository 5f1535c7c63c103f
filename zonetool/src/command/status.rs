//! `status`: where the node stands, and with `--watch` how it catches up.

use std::{fmt::Write as _, time::Duration};

use namechain_core::api_types::Status;

use crate::{
    cli,
    client::Client,
    clock,
    error::CommandError,
    ui::{Ui, duration, escape_line},
};

/// Between two looks.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Runs the command. `--json` prints what the node's `/v1/status` says.
pub fn run(ui: Ui, client: &Client, args: &cli::Status) -> Result<(), CommandError> {
    let status = if args.watch { watch(ui, client, args.timeout)? } else { client.status()? };
    ui.print_result(&describe(&status), &status)?;
    Ok(())
}

/// Shows how far the node is until it is synced.
fn watch(ui: Ui, client: &Client, timeout: Duration) -> Result<Status, CommandError> {
    let (start, mut progress) = (clock::now(), ui.progress());
    loop {
        let status = client.status()?;
        if status.synced {
            return Ok(status);
        }
        let (fraction, text) = catching_up(&status);
        if start.elapsed() >= timeout {
            return Err(CommandError::Timeout(duration(timeout), text));
        }
        progress.show(fraction, &text);
        clock::sleep(POLL_INTERVAL);
    }
}

/// How much of the way is done, if that is known, and where the node is in words.
fn catching_up(status: &Status) -> (Option<f64>, String) {
    let sync = &status.sync;
    if sync.target <= status.height {
        return (None, format!("height {}: {}", status.height, escape_line(&sync.why)));
    }
    let target = sync.target;
    if sync.headers < target && sync.headers > status.height {
        let fraction = f64::from(sync.headers) / f64::from(target);
        return (Some(fraction), format!("headers {} of {target}", sync.headers));
    }
    let left = sync.seconds_left.map_or_else(String::new, |seconds| {
        format!(", {} left", duration(Duration::from_secs(seconds)))
    });
    let fraction = f64::from(status.height) / f64::from(target);
    (
        Some(fraction),
        format!("blocks {} of {target}, {} a second{left}", status.height, sync.blocks_per_second),
    )
}

fn describe(status: &Status) -> String {
    let sync = &status.sync;
    let why =
        if sync.why.is_empty() { String::new() } else { format!(": {}", escape_line(&sync.why)) };
    let age = duration(Duration::from_secs(status.tip_age));
    let mut lines = vec![
        ("network", status.network.to_string()),
        (
            "height",
            format!(
                "{}, {}{why}",
                status.height,
                if status.synced { "synced" } else { "not synced yet" }
            ),
        ),
        ("tip", format!("{}, {age} old", status.tip)),
        ("work", format!("{} expected hashes", escape_line(&status.work))),
        (
            "names",
            format!(
                "served from height {}, {} below the tip",
                status.served_height, status.serve_depth
            ),
        ),
        (
            "peers",
            format!(
                "{} that we dialled, {} that dialled us",
                status.peers.outbound, status.peers.inbound
            ),
        ),
        (
            "waiting",
            format!("{} operations, {} bytes", status.mempool_operations, status.mempool_bytes),
        ),
        (
            "mining",
            format!("{}, {} hashes a second", escape_line(&status.mining), status.mining_rate),
        ),
        ("version", escape_line(&status.version)),
    ];
    if sync.target > status.height {
        lines.push(("sync", catching_up(status).1));
    }
    if let Some(other) = &status.second_best {
        let work = escape_line(&other.work);
        lines.push((
            "beside",
            format!("{} at height {}, {work} expected hashes", other.id, other.height),
        ));
    }
    for address in &status.p2p {
        lines.push(("p2p", escape_line(address)));
    }
    let mut text = String::new();
    for (label, value) in lines {
        // Writing to a String never fails.
        let _ = writeln!(text, "{label:<8} {value}");
    }
    if let Some(other) = status.parked_tip {
        let _ = writeln!(
            text,
            "warning  a chain of more work, with tip {other}, departs too deep below the tip and is not followed: find out which \
             chain others are on"
        );
    }
    text
}
