//! `status`: the state of the node, and with `--watch` its sync progress.

use std::{fmt::Write as _, time::Duration};

use namechain_core::api_types::Status;

use crate::{
    cli,
    client::Client,
    clock,
    dates::describe_time,
    error::{ASK_ANOTHER, CommandError},
    ui::{Ui, duration, escape_line},
};

/// The pause between two requests.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Runs the command. `--json` prints what the node's `/v1/status` says.
pub fn run(ui: Ui, client: &Client, args: &cli::Status) -> Result<(), CommandError> {
    let status = if args.watch { watch(ui, client, args.timeout)? } else { client.status()? };
    ui.print_result(&describe(&status), &status)?;
    Ok(())
}

/// Shows the progress until the node is synced.
fn watch(ui: Ui, client: &Client, timeout: Duration) -> Result<Status, CommandError> {
    let (start, mut progress) = (clock::now(), ui.progress());
    loop {
        let status = client.status()?;
        if status.synced {
            return Ok(status);
        }
        let (fraction, text) = describe_sync(&status);
        if start.elapsed() >= timeout {
            return Err(CommandError::Timeout(duration(timeout), text));
        }
        progress.show(fraction, &text);
        clock::sleep(POLL_INTERVAL);
    }
}

/// The fraction of the sync that is done, if it is known, and a description.
fn describe_sync(status: &Status) -> (Option<f64>, String) {
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
        ("peers", format!("{} outbound, {} inbound", status.peers.outbound, status.peers.inbound)),
        (
            "mempool",
            format!("{} operations, {} bytes", status.mempool_operations, status.mempool_bytes),
        ),
        (
            "mining",
            format!("{}, {} hashes a second", escape_line(&status.mining), status.mining_rate),
        ),
        ("version", escape_line(&status.version)),
    ];
    if sync.target > status.height {
        lines.push(("sync", describe_sync(status).1));
    }
    if let Some(other) = &status.second_best {
        let work = escape_line(&other.work);
        lines.push((
            "second",
            format!("{} at height {}, {work} expected hashes", other.id, other.height),
        ));
    }
    if status.pruned {
        lines.push((
            "blocks",
            format!(
                "kept from height {} on, older ones are pruned; for what names did before that, \
                 {ASK_ANOTHER}",
                status.first_block
            ),
        ));
    }
    if let Some(next) = status.protocol.next {
        lines.push((
            "upgrade",
            format!(
                "branch {} of the protocol from {}",
                next.number,
                describe_time(next.from, clock::unix())
            ),
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
    if let Some(branch) = status.protocol.upgrade_needed {
        let _ = writeln!(
            text,
            "warning  a chain with work follows branch {branch} of the protocol, which this node \
             does not know: upgrade it, until then it stays on its last block"
        );
    }
    if let Some(hold) = &status.hold {
        let _ = writeln!(
            text,
            "warning  the node holds back a chain with more work, tip {}: it undoes more than a \
             day, and is followed if it still leads in {}; names changed above height {} do not \
             resolve until then",
            hold.tip,
            duration(Duration::from_secs(hold.seconds_left)),
            hold.fork_height
        );
    }
    if let Some(other) = status.parked_tip {
        let _ = writeln!(
            text,
            "warning  the node does not follow a chain with more work, tip {other}: see its log"
        );
    }
    text
}
