//! `list`: the names of your key, and when their leases end.
//!
//! The chain is read once; what was found is kept for the next time, with the block that was read
//! last, so that only later blocks are read then.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::PathBuf};

use namechain_core::{
    api_types::Standing,
    params::MAX_REORG_DEPTH,
    types::{Hash, Name, Network, PublicKey},
};
use serde::{Deserialize, Serialize};

use super::{
    input::Keystore,
    query::synced_status,
    scan::{FoundName, find_names},
};
use crate::{
    cli::List,
    client::Client,
    dates::expected,
    error::CommandError,
    keys::{self, data_directory},
    ui::Ui,
};

/// The most bytes of the file that are read: some 100,000 names.
const MAX_FILE_BYTES: u64 = 8 << 20;

/// What was found by earlier runs. It only saves time: a damaged one is made anew.
#[derive(Debug, Serialize, Deserialize)]
struct Cache {
    owner: PublicKey,
    recovery: PublicKey,
    /// The block up to which the chain was read.
    height: u32,
    block: Hash,
    names: BTreeSet<Name>,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Listed {
    owner: PublicKey,
    network: Network,
    height: u32,
    names: Vec<ListedName>,
}

#[derive(Debug, Serialize)]
struct ListedName {
    #[serde(flatten)]
    found: FoundName,
    /// When the lease is expected to end (RFC 3339); none on a network without a schedule.
    expires_time: Option<String>,
    #[serde(skip)]
    lease: String,
    #[serde(skip)]
    day: Option<String>,
}

/// Runs the command. The key stays locked: its public half tells.
pub fn run(ui: Ui, client: &Client, keystore: &Keystore, args: &List) -> Result<(), CommandError> {
    if args.ics && ui.is_json() {
        return Err(CommandError::Usage("give either --ics or --json"));
    }
    let file = keys::load(&keystore.directory)?;
    let status = synced_status(client)?;
    let path = data_directory()?.join("names").join(format!("{}.json", status.network.as_str()));
    let cache = read(&path).filter(|cache| {
        (cache.owner, cache.recovery) == (file.owner, file.recovery)
            && client.block(cache.height).is_ok_and(|block| block.id == cache.block)
    });
    let (from, known) = cache.map_or((0, BTreeSet::new()), |cache| {
        (cache.height.saturating_sub(MAX_REORG_DEPTH), cache.names)
    });
    let keys = (file.owner, file.recovery);
    let found = find_names(ui, client, &status, keys, from, known)?;
    write(
        &path,
        &Cache {
            owner: file.owner,
            recovery: file.recovery,
            height: status.height,
            block: status.tip,
            names: found.iter().map(|found| found.name.clone()).collect(),
        },
    );
    let names = found.into_iter().filter_map(|found| {
        let lease = expected(status.network, status.height, found.expires);
        // Without a date nothing can be said of it, so nothing is left out.
        let wanted = args.expiring.is_none_or(|time| lease.is_within(time).unwrap_or(true));
        wanted.then(|| ListedName {
            found,
            expires_time: lease.rfc3339(),
            lease: lease.describe(),
            day: lease.day(),
        })
    });
    let listed = Listed {
        owner: file.owner,
        network: status.network,
        height: status.height,
        names: names.collect(),
    };
    let text = if args.ics { calendar(&listed) } else { describe(&listed) };
    Ok(ui.print_result(&text, &listed)?)
}

fn read(path: &PathBuf) -> Option<Cache> {
    let length = path.metadata().ok()?.len();
    let text = (length <= MAX_FILE_BYTES).then(|| fs::read(path).ok()).flatten()?;
    serde_json::from_slice(&text).ok()
}

/// Keeps what was found. If that fails, the next run reads the chain again.
fn write(path: &PathBuf, cache: &Cache) {
    let temporary = path.with_extension(format!("new-{}", std::process::id()));
    if let Some(directory) = path.parent()
        && fs::create_dir_all(directory).is_ok()
        && let Ok(text) = serde_json::to_vec(cache)
        && fs::write(&temporary, text).is_ok()
    {
        let _ = fs::rename(&temporary, path);
    }
}

fn describe(listed: &Listed) -> String {
    let mut text = String::new();
    for ListedName { found, lease, .. } in &listed.names {
        let what = match (found.key_is, found.standing) {
            ("owner", Standing::Active) => format!("until {lease}"),
            ("owner", Standing::Revoked) => format!("revoked, until {lease}"),
            ("owner", _) => format!("lease is over: zonetool renew {}", found.name),
            ("recipient", _) => format!("offered to you: zonetool accept {}", found.name),
            _ => "your recovery key can recover it".to_owned(),
        };
        // Writing to a String never fails.
        let _ = writeln!(text, "{:<20} {what}", found.name.as_str());
    }
    if listed.names.is_empty() {
        text.push_str("no names");
    }
    text
}

/// An iCalendar file (RFC 5545) with a day for each lease that ends.
fn calendar(listed: &Listed) -> String {
    let mut text =
        String::from("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//namechain//zonetool//EN\r\n");
    for ListedName { found, day, .. } in &listed.names {
        let Some(day) = day.as_ref().filter(|_| found.key_is == "owner") else { continue };
        let (name, network) = (&found.name, listed.network);
        // Writing to a String never fails.
        let _ = write!(
            text,
            "BEGIN:VEVENT\r\nUID:{name}-{day}@{network}.namechain.alt\r\nDTSTAMP:{day}T000000Z\r\n\
             DTSTART;VALUE=DATE:{day}\r\nSUMMARY:The lease of {name} ends\r\n\
             DESCRIPTION:zonetool renew {name}\r\nEND:VEVENT\r\n"
        );
    }
    text + "END:VCALENDAR"
}
