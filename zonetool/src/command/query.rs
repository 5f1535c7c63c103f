//! Asking the node for names, with its answers decoded.

use namechain_core::{
    api_types::{MessagingInfo, NameEntryInfo, NameInfo, Standing, Status},
    types::{MessagingEntry, Network, Record, RecordError, RecordSet},
};

use super::{input::parse_name, journal::stored_commitments};
use crate::{client::Client, clock, dates::Earliest, error::CommandError};

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
    let network = synced_status(client)?.network;
    let info = client.name(&name)?;
    match (info.standing, &info.entry) {
        (Standing::Reserved, _) => Err(match info.reserved {
            Some(why) => CommandError::Reserved(name, why),
            None => CommandError::NotRegistered(name),
        }),
        (Standing::Available, _) | (_, None) => Err(not_registered(client, network, info)),
        _ => {
            let records = records_of(&info)?;
            Ok((info, records))
        }
    }
}

/// The error for a name that nobody has: it says so if its registration is on its way.
fn not_registered(client: &Client, network: Network, info: NameInfo) -> CommandError {
    let name = info.name;
    if info.pending {
        return CommandError::RegistrationPending(name);
    }
    for commitment in stored_commitments(network, &name) {
        // The commitment is only of use to say more.
        let Ok(found) = client.commitment(&commitment) else { continue };
        let now = clock::unix().max(found.time);
        let open = found.all.iter().find(|commit| !commit.spent && commit.lapses >= now);
        let state = match open {
            Some(commit) => {
                let opens = Earliest { height: commit.opens_height, time: commit.opens_time };
                format!(
                    "is recorded, and the name can be registered {}",
                    opens.describe(found.height, now)
                )
            }
            None if found.pending => "waits for a block".to_owned(),
            None => continue,
        };
        return CommandError::CommitmentOpen(name, state);
    }
    CommandError::NotRegistered(name)
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
