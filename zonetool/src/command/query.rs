//! Asking the node for names, with its answers decoded.

use namechain_core::{
    api_types::{MessagingInfo, NameEntryInfo, NameInfo, Standing, Status},
    types::{MessagingEntry, Record, RecordError, RecordSet},
};

use super::input::parse_name;
use crate::{client::Client, error::CommandError};

/// The status of the node, which must be synced: otherwise its names may be out of date.
pub fn synced_status(client: &Client) -> Result<Status, CommandError> {
    let status = client.status()?;
    match status.synced {
        true => Ok(status),
        false => Err(CommandError::NotSynced(status.height)),
    }
}

/// A registered name, with its records.
pub fn registered(client: &Client, text: &str) -> Result<(NameInfo, RecordSet), CommandError> {
    let name = parse_name(text)?;
    synced_status(client)?;
    let info = client.name(&name)?;
    match (info.standing, &info.entry) {
        (Standing::Reserved, _) => Err(match info.reserved {
            Some(why) => CommandError::Reserved(name, why),
            None => CommandError::NotRegistered(name),
        }),
        (Standing::Available, _) | (_, None) => Err(CommandError::NotRegistered(name)),
        _ => {
            let records = records_of(&info)?;
            Ok((info, records))
        }
    }
}

/// The messaging record that a node gives for a name, from its bytes.
pub fn messaging_of(entry: &NameEntryInfo) -> Result<Option<MessagingEntry>, CommandError> {
    let entry = entry.messaging.as_ref().map(MessagingInfo::entry).transpose();
    entry.map_err(|error| CommandError::Messaging(error.to_string()))
}

/// The records that a node gives for a name.
pub fn records_of(info: &NameInfo) -> Result<RecordSet, CommandError> {
    let records = info
        .entry
        .iter()
        .flat_map(|entry| &entry.records)
        .map(Record::try_from)
        .collect::<Result<_, _>>();
    records
        .map_err(|error| error.to_string())
        .and_then(|records| RecordSet::new(records).map_err(|error: RecordError| error.to_string()))
        .map_err(CommandError::Records)
}
