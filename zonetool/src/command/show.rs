//! `show NAME`: who owns it, since when and until when, and its records.

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
    dates::expected,
    error::CommandError,
    idn,
    ui::Ui,
    zone::{master_file, record_texts},
};

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct ShownName<'a> {
    name: &'a Name,
    /// What an `xn--` name stands for, where that can be mistaken for nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    unicode: Option<String>,
    standing: Standing,
    height: u32,
    owner: PublicKey,
    recovery: Option<PublicKey>,
    sequence: u32,
    registered: u32,
    updated: u32,
    expires: u32,
    /// When the lease is expected to end (RFC 3339); none on a network without a schedule.
    expires_time: Option<String>,
    #[serde(skip)]
    lease: String,
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
        }
    }
}

/// The identity key in a line.
pub fn describe_messaging(messaging: Option<&ShownMessaging>) -> String {
    messaging.map_or("none".to_owned(), |it| {
        let linked = if it.linked { ", linked" } else { "" };
        format!("{}, record {} at height {}{linked}", it.identity, it.sequence, it.height)
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
    let lease = expected(client.status()?.network, info.height, entry.expires);
    let shown = ShownName {
        name: &info.name,
        unicode: idn::decode_label(info.name.as_str()),
        standing: info.standing,
        height: info.height,
        owner: entry.owner,
        recovery: entry.recovery,
        sequence: entry.sequence,
        registered: entry.registered,
        updated: entry.updated,
        expires: entry.expires,
        expires_time: lease.rfc3339(),
        lease: lease.describe(),
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
    ui.print_result(&describe(&shown, &records), &shown)?;
    Ok(())
}

fn describe(shown: &ShownName<'_>, records: &RecordSet) -> String {
    let standing = match shown.standing {
        Standing::Active => "active".to_owned(),
        Standing::Revoked => {
            "revoked: it does not resolve, and is nobody's until its lease ends".to_owned()
        }
        _ => "its lease is over: it does not resolve until its owner or recovery key renews it"
            .to_owned(),
    };
    let recovery = shown.recovery.map_or("none".to_owned(), |key| key.to_string());
    let transfer = shown.transfer.map_or("none".to_owned(), |transfer| {
        format!(
            "offered to {} at height {}, which can accept it from height {}",
            transfer.to, transfer.height, transfer.opens
        )
    });
    let mut text = String::new();
    for (label, value) in [
        ("name", idn::with_unicode(shown.name.as_str())),
        ("standing", standing),
        ("owner", shown.owner.to_string()),
        ("recovery", recovery),
        ("registered", format!("at height {}", shown.registered)),
        ("updated", format!("at height {}, sequence number {}", shown.updated, shown.sequence)),
        ("lease", format!("until {}, now at height {}", shown.lease, shown.height)),
        ("transfer", transfer),
        ("identity", describe_messaging(shown.messaging.as_ref())),
        (
            "pending",
            if shown.pending { "an operation waits to be recorded" } else { "nothing" }.to_owned(),
        ),
    ] {
        // Writing to a String never fails.
        let _ = writeln!(text, "{label:<11} {value}");
    }
    text + "\n" + &master_file(shown.name, records)
}
