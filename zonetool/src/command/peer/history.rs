//! `peer history NAME`: every identity key that a name had. The node gives the operations; whether
//! a key is linked to the one before is checked here, by the chain's own rules.

use std::fmt::Write as _;

use namechain_core::{
    consensus::messaging::{check_signatures, published},
    types::{
        Action, BlockTime, CommitPosition, Hash, Name, NameEntry, Network, PublicKey, RecordSet,
        Rescued, SignedOperation,
    },
};
use serde::Serialize;

use crate::{
    cli::NameArgs,
    client::Client,
    command::{
        history::{Operations, operations},
        input::parse_name,
        query::synced_status,
    },
    error::CommandError,
    key_text,
    ui::{Ui, utc},
};

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct IdentityHistory {
    name: Name,
    steps: Vec<Step>,
    /// The height from which the node has more than is listed.
    next: Option<u32>,
}

/// A change of the name's messaging record.
#[derive(Debug, Serialize)]
struct Step {
    height: u32,
    /// The time that the block's header states, in seconds of Unix time.
    time: u64,
    /// The operation's id.
    id: Hash,
    /// Of a new record: `first` (there was none), `same` (the same identity key), `linked` (the
    /// previous key signed for it), `unlinked`. Otherwise what removed the record: `withdrawn`,
    /// `transferred`, `recovered`, `revoked`, `released`.
    how: &'static str,
    /// The record's sequence number.
    sequence: Option<u32>,
    /// The identity key from then on.
    identity: Option<PublicKey>,
}

/// Runs the command.
pub fn run(ui: Ui, client: &Client, args: &NameArgs) -> Result<(), CommandError> {
    let name = parse_name(&args.name)?;
    synced_status(client)?;
    let (steps, next) = steps(client, &name)?;
    if steps.is_empty() {
        return Err(CommandError::NoMessaging(name));
    }
    let history = IdentityHistory { name, steps, next };
    if let Some(next) = history.next {
        ui.print_note(&format!("the history goes on at height {next}"));
    }
    ui.print_result(&describe(&history), &history)?;
    Ok(())
}

/// The height at which a name's identity key `key` was replaced or withdrawn, if it was.
pub fn replaced_at(
    client: &Client,
    name: &Name,
    key: &PublicKey,
) -> Result<Option<u32>, CommandError> {
    let (steps, _) = steps(client, name)?;
    Ok(last_of(&steps, key))
}

fn last_of(steps: &[Step], key: &PublicKey) -> Option<u32> {
    let pairs = steps.windows(2).rev();
    let mut ends =
        pairs.filter(|pair| pair[0].identity == Some(*key) && pair[1].identity != Some(*key));
    let stands = steps.last().is_some_and(|step| step.identity == Some(*key));
    ends.next().filter(|_| !stands).map(|pair| pair[1].height)
}

/// Every change of a name's messaging record, and the height from which the node has more.
fn steps(client: &Client, name: &Name) -> Result<(Vec<Step>, Option<u32>), CommandError> {
    let network = client.status()?.network;
    let Operations { operations, next, pruned_below } = operations(client, name, 0)?;
    if let Some(height) = pruned_below {
        // Each record is judged by the one before it.
        return Err(CommandError::Pruned(name.clone(), height));
    }
    let mut entry = blank(name);
    let mut steps = Vec::new();
    for (past, named) in &operations {
        let at = BlockTime { height: past.height, time: past.time };
        let judged = step(network, at, named, &mut entry);
        let how = judged.map_err(|rule| {
            let why = format!("its history has a messaging record that breaks rule {rule}");
            CommandError::from(client.bad_answer(why))
        })?;
        let Some(how) = how else { continue };
        let stands = entry.messaging.as_ref().map(|entry| &entry.record);
        steps.push(Step {
            height: past.height,
            time: past.time,
            id: past.id,
            how,
            sequence: stands.map(|record| record.sequence),
            identity: stands.map(|record| record.identity),
        });
    }
    if operations.is_empty() {
        return Err(CommandError::NotRegistered(name.clone()));
    }
    Ok((steps, next))
}

/// A name before anything was published under it. Only what messaging records need is followed.
fn blank(name: &Name) -> NameEntry {
    NameEntry {
        name: name.clone(),
        owner: PublicKey([0; 32]),
        recovery: None,
        title: Hash::ZERO,
        sequence: 0,
        registered: BlockTime::default(),
        commit: CommitPosition::default(),
        updated: BlockTime::default(),
        expires: 0,
        revoked: false,
        rescued: Rescued::default(),
        transfer: None,
        records: RecordSet::default(),
        messaging: None,
        messaging_sequence: 0,
    }
}

/// What an operation does to the messaging record, if anything; or the rule that it breaks.
fn step(
    network: Network,
    at: BlockTime,
    named: &SignedOperation,
    entry: &mut NameEntry,
) -> Result<Option<&'static str>, &'static str> {
    let ends = match &named.action {
        Action::Publish { record: Some(signed), .. } => {
            let new = check_signatures(network, &entry.name, &named.reference, signed)
                .and_then(|()| published(network, at, entry, signed))
                .map_err(|violation| violation.id())?;
            let how = match &entry.messaging {
                None => "first",
                Some(before) if before.record.identity == new.record.identity => "same",
                Some(_) if new.linked => "linked",
                Some(_) => "unlinked",
            };
            entry.messaging_sequence = new.record.sequence;
            entry.messaging = Some(Box::new(new));
            return Ok(Some(how));
        }
        Action::Publish { record: None, .. } => "withdrawn",
        Action::Accept { .. } => "transferred",
        Action::Recover { .. } => "recovered",
        Action::Revoke => "revoked",
        Action::Register { .. } => "released",
        Action::Update { .. }
        | Action::Renew { .. }
        | Action::Transfer { .. }
        | Action::Cancel { .. } => return Ok(None),
    };
    // Under another title the numbers of records begin again.
    if matches!(ends, "transferred" | "recovered" | "released") {
        entry.messaging_sequence = 0;
    }
    Ok(entry.messaging.take().map(|_| ends))
}

fn describe(history: &IdentityHistory) -> String {
    let mut text = format!(
        "{:>8}  {:<20}  {:>6}  how, and the identity key\n",
        "height", "time (UTC)", "record"
    );
    for step in &history.steps {
        let sequence = step.sequence.map_or_else(String::new, |sequence| sequence.to_string());
        let (height, time, how) = (step.height, utc(step.time), step.how);
        // A key has a line of its own, which fits 80 columns with it. Writing to a String never
        // fails.
        let _ = writeln!(text, "{height:>8}  {time:<20}  {sequence:>6}  {how}");
        if let Some(key) = &step.identity {
            let _ = writeln!(text, " identity {}", key_text::identity(key));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use namechain_core::types::{
        Locators, MessagingPolicy, MessagingRecord, SecretKey, Signature, SignedMessagingRecord,
        Stamp, next_key_hash,
    };

    use super::*;

    const NETWORK: Network = Network::Dev;
    const AT: BlockTime = BlockTime { height: 5, time: 50 };

    fn key(number: u8) -> SecretKey {
        SecretKey::from_seed(&[number; 32])
    }

    fn named(action: Action) -> SignedOperation {
        SignedOperation {
            name: "alice".parse().unwrap(),
            reference: Hash::ZERO,
            valid_until: 0,
            signer: key(1).public(),
            action,
            signature: Signature([0; 64]),
            stamp: Stamp { anchor: Hash::ZERO, work: 1, nonce: 0 },
        }
    }

    /// A record of `identity`, announcing the key after it.
    fn publish(entry: &NameEntry, identity: u8, link: Option<u8>) -> SignedOperation {
        let record = MessagingRecord {
            sequence: entry.messaging_sequence + 1,
            previous: entry
                .messaging
                .as_ref()
                .map(|it| it.record.hash(NETWORK))
                .unwrap_or_default(),
            identity: key(identity).public(),
            next: next_key_hash(NETWORK, &key(identity + 1).public()),
            x25519: [0; 32],
            bundle: Hash::ZERO,
            locators: Locators::default(),
            policy: MessagingPolicy::default(),
        };
        let link = link.map(key);
        let signed = SignedMessagingRecord::sign(
            NETWORK,
            &entry.name,
            &Hash::ZERO,
            record,
            &key(identity),
            link.as_ref(),
        );
        named(Action::Publish { sequence: 1, record: Some(Box::new(signed)) })
    }

    #[test]
    fn every_change_is_told_apart() {
        let mut entry = blank(&"alice".parse().unwrap());
        let mut told = Vec::new();
        let mut take = |entry: &mut NameEntry, named: &SignedOperation| {
            let how = step(NETWORK, AT, named, entry).unwrap();
            told.push(how.unwrap_or("nothing"));
        };
        take(&mut entry, &named(Action::Renew { expires: 0 }));
        take(&mut entry, &named(Action::Revoke));
        for (identity, link) in [(10, None), (10, None), (11, Some(10)), (20, None)] {
            let next = publish(&entry, identity, link);
            take(&mut entry, &next);
        }
        take(&mut entry, &named(Action::Accept { transfer: Hash::ZERO, recovery: None }));
        for ends in [
            Action::Publish { sequence: 1, record: None },
            Action::Recover { owner: key(1).public(), recovery: None },
            Action::Register { recovery: None, salt: [0; 32], records: RecordSet::default() },
        ] {
            let next = publish(&entry, 10, None);
            take(&mut entry, &next);
            take(&mut entry, &named(ends));
        }
        assert_eq!(
            told,
            [
                "nothing",
                "nothing",
                "first",
                "same",
                "linked",
                "unlinked",
                "transferred",
                "first",
                "withdrawn",
                "first",
                "recovered",
                "first",
                "released"
            ]
        );
    }

    #[test]
    fn until_when_a_key_spoke() {
        let at = |height: u32, identity: Option<u8>| Step {
            height,
            time: 0,
            id: Hash::ZERO,
            how: "first",
            sequence: None,
            identity: identity.map(|identity| key(identity).public()),
        };
        let steps = [
            at(1, Some(7)),
            at(2, Some(7)),
            at(3, Some(8)),
            at(4, None),
            at(5, Some(7)),
            at(6, Some(9)),
        ];
        let until = |steps: &[Step], number| last_of(steps, &key(number).public());
        assert_eq!(until(&steps, 7), Some(6));
        assert_eq!(until(&steps, 8), Some(4));
        assert_eq!((until(&steps, 9), until(&steps, 10)), (None, None));
        assert_eq!(until(&steps[..5], 7), None, "it speaks again");
        assert_eq!(until(&[], 7), None);
    }

    #[test]
    fn a_node_that_makes_one_up_is_found_out() {
        let mut entry = blank(&"alice".parse().unwrap());
        let first = publish(&entry, 10, None);
        assert_eq!(step(NETWORK, AT, &first, &mut entry), Ok(Some("first")));
        assert_eq!(step(NETWORK, AT, &first, &mut entry), Err("messaging-sequence"));
        let mut forged = publish(&entry, 11, Some(10));
        if let Action::Publish { record: Some(signed), .. } = &mut forged.action {
            signed.link.as_mut().unwrap().signature.0[3] ^= 1;
        }
        assert_eq!(step(NETWORK, AT, &forged, &mut entry), Err("link-signature"));
    }
}
