//! `show NAME`: the owner, lease and records of a name.

use std::fmt::Write as _;

use namechain_core::{
    api_types::{Standing, TransferInfo},
    types::{Hash, MessagingEntry, Name, PublicKey, RecordSet},
};
use serde::Serialize;

use super::query::{messaging_of, registered};
use crate::{
    cli::NameArgs,
    client::Client,
    clock,
    dates::{Earliest, describe_end, describe_time},
    error::CommandError,
    idn, key_text,
    ui::Ui,
    zone::{master_file, record_texts},
};

/// What `--json` prints. Times are in seconds of Unix time.
#[derive(Debug, Serialize)]
struct ShownName<'a> {
    name: &'a Name,
    /// What an `xn--` name stands for, where that can be shown safely.
    #[serde(skip_serializing_if = "Option::is_none")]
    unicode: Option<String>,
    standing: Standing,
    /// The tip that the answer is for, and its time.
    height: u32,
    time: u64,
    owner: PublicKey,
    /// The same with a checksum.
    owner_text: String,
    recovery: Option<PublicKey>,
    recovery_text: Option<String>,
    title: Hash,
    sequence: u32,
    registered_height: u32,
    registered_time: u64,
    settles_height: u32,
    settles_time: u64,
    updated_height: u32,
    updated_time: u64,
    expires: u64,
    grace_ends: u64,
    transfer: Option<&'a TransferInfo>,
    pending: bool,
    records: Vec<ShownRecord>,
    messaging: Option<ShownMessaging>,
    messaging_sequence: u32,
}

/// A messaging record.
#[derive(Debug, Serialize)]
pub struct ShownMessaging {
    /// Its sequence number.
    pub sequence: u32,
    /// The identity key.
    pub identity: PublicKey,
    /// The hash of the identity key that is to follow.
    pub next: Option<Hash>,
    /// The X25519 key in hexadecimal.
    pub x25519: String,
    /// The hash of the bundle.
    pub bundle: Option<Hash>,
    /// Where the name is reached.
    pub locators: Vec<String>,
    /// Whether letters may be sealed without a post-quantum key.
    pub x25519_alone: bool,
    /// Whether the identity key before vouched for this one.
    pub linked: bool,
    /// The height that recorded it.
    pub height: u32,
    /// The time of that block, in seconds of Unix time.
    pub time: u64,
}

impl From<&MessagingEntry> for ShownMessaging {
    fn from(entry: &MessagingEntry) -> Self {
        let record = &entry.record;
        let unless_zero = |hash: Hash| (hash != Hash::ZERO).then_some(hash);
        ShownMessaging {
            sequence: record.sequence,
            identity: record.identity,
            next: unless_zero(record.next),
            x25519: hex::encode(record.x25519),
            bundle: unless_zero(record.bundle),
            locators: record.locators.as_slice().to_vec(),
            x25519_alone: record.policy.x25519_alone,
            linked: entry.linked,
            height: entry.height,
            time: entry.time,
        }
    }
}

/// The identity key in a line.
pub fn describe_messaging(messaging: Option<&ShownMessaging>) -> String {
    messaging.map_or("none".to_owned(), |it| {
        let linked = if it.linked { ", linked" } else { "" };
        format!(
            "{}, record {} at height {}{linked}",
            key_text::identity(&it.identity),
            it.sequence,
            it.height
        )
    })
}

#[derive(Debug, Serialize)]
struct ShownRecord {
    owner: String,
    ttl: u32,
    #[serde(rename = "type")]
    rtype: String,
    data: String,
}

/// Runs the command.
pub fn run(ui: Ui, client: &Client, args: &NameArgs) -> Result<(), CommandError> {
    let (info, records) = registered(client, &args.name)?;
    let Some(entry) = &info.entry else { return Err(CommandError::NotRegistered(info.name)) };
    let shown = ShownName {
        name: &info.name,
        unicode: idn::decode_label(info.name.as_str()),
        standing: info.standing,
        height: info.height,
        time: info.time,
        owner: entry.owner,
        owner_text: key_text::owner(&entry.owner),
        recovery: entry.recovery,
        recovery_text: entry.recovery.map(|key| key_text::recovery(Some(&key))),
        title: entry.title,
        sequence: entry.sequence,
        registered_height: entry.registered_height,
        registered_time: entry.registered_time,
        settles_height: entry.settles_height,
        settles_time: entry.settles_time,
        updated_height: entry.updated_height,
        updated_time: entry.updated_time,
        expires: entry.expires,
        grace_ends: entry.grace_ends,
        transfer: entry.transfer.as_ref(),
        pending: info.pending,
        records: record_texts(&info.name, &records)
            .into_iter()
            .map(|text| ShownRecord {
                owner: text.owner,
                ttl: text.ttl,
                rtype: text.rtype,
                data: text.data,
            })
            .collect(),
        messaging: messaging_of(entry)?.as_ref().map(ShownMessaging::from),
        messaging_sequence: entry.messaging_sequence,
    };
    ui.print_result(&describe(&shown, &records, clock::unix()), &shown)?;
    Ok(())
}

/// The standing of a name in words.
pub fn describe_standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Active => "active",
        Standing::Settling => {
            "settling: it does not resolve yet, and an older commitment can displace it"
        }
        Standing::Revoked => "revoked: it does not resolve; only the recovery key can undo that",
        Standing::Grace => {
            "in grace: the lease is over, and it does not resolve until a key of it renews it"
        }
        Standing::Contested => {
            "contested: it was changed after the fork from a heavier chain that the node holds \
             back, and does not resolve until that is decided"
        }
        Standing::Available => "available",
        Standing::Reserved => "reserved",
    }
}

fn describe(shown: &ShownName<'_>, records: &RecordSet, now: u64) -> String {
    let recovery = key_text::recovery(shown.recovery.as_ref());
    let transfer = shown.transfer.map_or("none".to_owned(), |transfer| {
        let opens = Earliest { height: transfer.opens_height, time: transfer.opens_time };
        let when = opens.describe(shown.height, now);
        format!("offered to {}, which can accept it {when}", key_text::owner(&transfer.to))
    });
    let at = |height: u32, time: u64| format!("{}, height {height}", describe_time(time, now));
    let mut rows = vec![
        ("name", idn::with_unicode(shown.name.as_str())),
        ("standing", describe_standing(shown.standing).to_owned()),
    ];
    if shown.standing == Standing::Settling {
        let settles = Earliest { height: shown.settles_height, time: shown.settles_time };
        rows.push(("settled", settles.describe(shown.height, now)));
    }
    rows.extend([
        ("owner", key_text::owner(&shown.owner)),
        ("recovery", recovery),
        ("registered", at(shown.registered_height, shown.registered_time)),
        ("updated", at(shown.updated_height, shown.updated_time)),
        ("lease", describe_end(shown.expires, now)),
    ]);
    if matches!(shown.standing, Standing::Grace | Standing::Revoked) {
        rows.push(("grace", describe_end(shown.grace_ends, now)));
    }
    rows.extend([
        ("transfer", transfer),
        ("identity", describe_messaging(shown.messaging.as_ref())),
        ("pending", if shown.pending { "an operation" } else { "nothing" }.to_owned()),
    ]);
    let mut text = String::new();
    for (label, value) in rows {
        // Writing to a String never fails.
        let _ = writeln!(text, "{label:<11} {value}");
    }
    text + "\n" + &master_file(shown.name, records)
}
