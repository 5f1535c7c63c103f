//! `list`: the names of your key, and when their leases end.
//!
//! The first run reads all blocks. The result is cached with the last block that was read, so that
//! later runs read only later blocks.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::PathBuf};

use namechain_core::{
    api_types::Standing,
    params::STATES_KEPT,
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
    clock,
    dates::{calendar_day, describe_time},
    error::CommandError,
    keys::{self, KeyError, data_directory},
    ui::Ui,
};

/// The most bytes of the file that are read: some 100,000 names.
const MAX_FILE_BYTES: u64 = 8 << 20;

/// What earlier runs found. It only saves time: a damaged file is ignored.
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
}

/// Runs the command.
pub fn run(ui: Ui, client: &Client, keystore: &Keystore, args: &List) -> Result<(), CommandError> {
    if args.ics && ui.is_json() {
        return Err(CommandError::Usage("give either --ics or --json"));
    }
    let OwnNames { owner, network, height, names: found } = own_names(ui, client, keystore)?;
    let now = clock::unix();
    let is_wanted = |found: &FoundName| {
        args.expiring.is_none_or(|time| found.expires <= now.saturating_add(time.as_secs()))
    };
    let names = found.into_iter().filter(is_wanted).map(|found| ListedName { found });
    let listed = Listed { owner, network, height, names: names.collect() };
    if args.ics {
        return Ok(ui.print_crlf_lines(&calendar(&listed))?);
    }
    Ok(ui.print_result(&describe(&listed, now), &listed)?)
}

/// The names of a key file's keys at the tip.
pub struct OwnNames {
    /// The owner key.
    pub owner: PublicKey,
    /// The node's network.
    pub network: Network,
    /// The height of the tip.
    pub height: u32,
    /// The names.
    pub names: Vec<FoundName>,
}

/// Reads the names of the key file's keys from the chain, beyond what the last run has read.
pub fn own_names(ui: Ui, client: &Client, keystore: &Keystore) -> Result<OwnNames, CommandError> {
    let file = keys::load(&keystore.directory)?;
    let status = synced_status(client)?;
    let path = cache_path(status.network)?;
    let cache = read(&path).filter(|cache| {
        (cache.owner, cache.recovery) == (file.owner, file.recovery)
            && client.block(cache.height).is_ok_and(|block| block.id == cache.block)
    });
    let (from, known) = cache.map_or((0, BTreeSet::new()), |cache| {
        (cache.height.saturating_sub(STATES_KEPT), cache.names)
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
    let (network, height) = (status.network, status.height);
    Ok(OwnNames { owner: file.owner, network, height, names: found })
}

fn cache_path(network: Network) -> Result<PathBuf, KeyError> {
    Ok(data_directory()?.join("names").join(format!("{}.json", network.as_str())))
}

/// The names that the last run found for `owner`.
pub fn cached_names(network: Network, owner: &PublicKey) -> BTreeSet<Name> {
    let cache = cache_path(network).ok().and_then(|path| read(&path));
    cache.filter(|cache| cache.owner == *owner).map(|cache| cache.names).unwrap_or_default()
}

fn read(path: &PathBuf) -> Option<Cache> {
    let length = path.metadata().ok()?.len();
    let text = (length <= MAX_FILE_BYTES).then(|| fs::read(path).ok()).flatten()?;
    serde_json::from_slice(&text).ok()
}

/// Writes the cache. If that fails, the next run reads all blocks again.
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

fn describe(listed: &Listed, now: u64) -> String {
    let mut text = String::new();
    for ListedName { found } in &listed.names {
        let lease = describe_time(found.expires, now);
        let what = match (found.key_is, found.standing) {
            ("owner", Standing::Active) => format!("until {lease}"),
            ("owner", Standing::Settling) => format!("settling, until {lease}"),
            ("owner", Standing::Contested) => format!("contested, until {lease}"),
            ("owner", Standing::Revoked) => format!("revoked, until {lease}"),
            ("owner", _) => format!("lease ended {lease}: zonetool renew {}", found.name),
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

/// The lines of an iCalendar file (RFC 5545) with a day for each lease that ends.
fn calendar(listed: &Listed) -> Vec<String> {
    let begin = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//namechain//zonetool//EN"];
    let mut lines: Vec<String> = begin.map(str::to_owned).into();
    for ListedName { found } in listed.names.iter().filter(|it| it.found.key_is == "owner") {
        let Some(day) = calendar_day(found.expires) else { continue };
        let (name, network) = (&found.name, listed.network);
        lines.extend([
            "BEGIN:VEVENT".to_owned(),
            format!("UID:{name}-{day}@{network}.namechain.alt"),
            format!("DTSTAMP:{day}T000000Z"),
            format!("DTSTART;VALUE=DATE:{day}"),
            format!("SUMMARY:The lease of {name} ends"),
            format!("DESCRIPTION:zonetool renew {name}"),
            "END:VEVENT".to_owned(),
        ]);
    }
    lines.push("END:VCALENDAR".to_owned());
    lines
}
