//! `peer resolve NAME`: the proven keys of a name, and how they compare with the pin.

use std::{fmt::Write as _, io, path::Path};

use messaging::VerifiedPeer;
use namechain_core::types::{Hash, Name, Network, PublicKey};
use serde::Serialize;

use super::lookup::{LookupResult, look_up};
use crate::{
    cli::Resolve,
    client::Client,
    command::{input::parse_name, show::ShownMessaging},
    error::{CommandError, PeerError},
    key_text,
    ui::{Ui, counted, utc},
};

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Resolved {
    name: Name,
    network: Network,
    /// `first`, `same`, `rotated`, or what was accepted.
    pin_status: &'static str,
    /// The record; none if it was accepted that there are no keys.
    messaging: Option<ShownMessaging>,
    /// The height of the block in whose state it is proven.
    height: u32,
    /// How many blocks below the trusted header that is.
    depth: u32,
    /// The trusted header's block, the time that it states, and where it is from: `node`, `given`,
    /// `file`.
    trusted: Hash,
    time: u64,
    header: &'static str,
    seen: Option<Before>,
}

/// What was seen before.
#[derive(Debug, Serialize)]
struct Before {
    sequence: u32,
    identity: PublicKey,
    /// The first and the last height at which it was seen.
    first: u32,
    last: u32,
}

/// Runs the command.
pub fn run(ui: Ui, client: &Client, args: &Resolve) -> Result<(), CommandError> {
    let name = parse_name(&args.name)?;
    let looked = look_up(client, &args.lookup, &name)?;
    if let Some(path) = &args.save {
        save(&looked, path)?;
    }
    let resolved = resolved(name, &looked);
    ui.print_result(&describe(&resolved), &resolved)?;
    Ok(())
}

fn save(looked: &LookupResult, path: &Path) -> Result<(), CommandError> {
    let failed = |source| PeerError::File { path: path.to_owned(), source };
    let text = serde_json::to_string_pretty(&looked.file)
        .map_err(|error| failed(io::Error::from(error)))?;
    Ok(std::fs::write(path, text + "\n").map_err(failed)?)
}

fn resolved(name: Name, looked: &LookupResult) -> Resolved {
    let (network, (header, from)) = (looked.file.network, &looked.anchor);
    Resolved {
        name,
        network,
        pin_status: looked.pin_status.as_str(),
        messaging: looked.peer.as_ref().map(VerifiedPeer::entry).map(ShownMessaging::from),
        height: looked.height,
        depth: header.height.saturating_sub(looked.height),
        trusted: header.id(network),
        time: header.time,
        header: from,
        seen: looked.before.map(|pin| Before {
            sequence: pin.sequence,
            identity: pin.known.identity,
            first: pin.first_seen,
            last: pin.last_seen,
        }),
    }
}

fn describe(resolved: &Resolved) -> String {
    let from = match resolved.header {
        "node" => "the node's tip",
        "given" => "the given header",
        _ => "the header in the file (--trust-file-header)",
    };
    let seen = resolved.seen.as_ref().map_or_else(
        || "never before".to_owned(),
        |seen| {
            let (first, last) = (seen.first, seen.last);
            let key = key_text::identity(&seen.identity);
            format!("from height {first} to {last}, record {} of {key}", seen.sequence)
        },
    );
    let mut rows =
        vec![("name", resolved.name.to_string()), ("pin", resolved.pin_status.to_owned())];
    if let Some(it) = &resolved.messaging {
        let linked = if it.linked { "linked to the previous key" } else { "not linked" };
        let alone = if it.x25519_alone { "allowed" } else { "not allowed" };
        rows.extend([
            ("identity", key_text::identity(&it.identity)),
            ("record", format!("{} at height {}, {linked}", it.sequence, it.height)),
            ("x25519", it.x25519.clone()),
            ("bundle", it.bundle.map_or_else(|| "none".to_owned(), |bundle| bundle.to_string())),
            ("x25519 alone", alone.to_owned()),
        ]);
        rows.extend(it.locators.iter().map(|locator| ("locator", locator.clone())));
    }
    rows.extend([
        (
            "proven",
            format!(
                "at height {}, {} below {from}",
                resolved.height,
                counted(resolved.depth.into(), "block")
            ),
        ),
        ("header", format!("{}, time {}", resolved.trusted, utc(resolved.time))),
        ("seen", seen),
    ]);
    let mut text = String::new();
    for (label, value) in rows {
        // Writing to a String never fails.
        let _ = writeln!(text, "{label:<12} {value}");
    }
    text
}
