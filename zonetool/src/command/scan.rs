//! Finding every name of a key: reads all blocks of the best chain, then looks up the names that
//! they mention.

use std::{
    collections::{BTreeSet, HashSet},
    fmt::Write as _,
    time::Duration,
};

use namechain_core::{
    api_types::{NameInfo, Standing, Status},
    params::{COMMIT_LIFETIME_S, STATES_KEPT},
    types::{
        Action, Block, Hash, Name, Network, Operation, PublicKey, SecretKey, SignedOperation,
        commitment,
    },
};
use serde::Serialize;

use super::{
    input::parse_name,
    wait::{Poll, Waiter},
};
use crate::{
    cli::Scan,
    client::Client,
    clock,
    dates::{Earliest, describe_time},
    error::CommandError,
    interrupt, key_text,
    ui::{Ui, counted},
};

/// How long the scan waits in all for a node that does not answer.
const BLOCK_TIMEOUT: Duration = Duration::from_secs(120);
/// How many names are kept to look for commitments to them: about 100 MB.
const MAX_NAMES_SEEN: usize = 1_000_000;
/// How many reorganisations the scan follows.
const MAX_REORGS: u32 = 8;

/// The keys whose names are looked for.
pub struct Keys<'a> {
    /// The owner key; finding its commitments needs the secret.
    pub owner: &'a SecretKey,
    /// The recovery key.
    pub recovery: PublicKey,
}

/// What was found.
#[derive(Debug, Default, Serialize)]
pub struct Found {
    /// The first height that was looked at.
    from: u32,
    /// The last one.
    to: u32,
    names: Vec<FoundName>,
    commitments: Vec<FoundCommitment>,
}

#[derive(Debug, Serialize)]
pub struct FoundName {
    /// The name.
    pub name: Name,
    /// `owner`; `recipient`: it is offered to the owner's key; `recovery`: the recovery key can
    /// recover it.
    pub key_is: &'static str,
    /// Where it stands.
    pub standing: Standing,
    owner: PublicKey,
    /// The end of its lease, in seconds of Unix time.
    pub expires: u64,
    /// The height and the time from which it can be accepted, if it is offered to the key.
    opens_height: Option<u32>,
    opens_time: Option<u64>,
}

#[derive(Debug, Serialize)]
struct FoundCommitment {
    name: Name,
    commitment: Hash,
    /// The height that recorded it; none while it is pending.
    recorded: Option<u32>,
    /// The height and the time from which the name can be registered, and the last time.
    opens_height: Option<u32>,
    opens_time: Option<u64>,
    lapses: Option<u64>,
}

/// What the scan has found in blocks.
struct Walk {
    ours: PublicKey,
    recovery: PublicKey,
    /// Names that an operation gave or offered to one of the keys, or that one of them signed for.
    candidates: BTreeSet<Name>,
    /// Every name that was seen, up to a bound.
    seen: HashSet<Name>,
    /// Commitments that have not lapsed.
    commitments: HashSet<Hash>,
}

/// Parses the names of `--name`, before anything else is done.
pub fn given_names(args: &Scan) -> Result<BTreeSet<Name>, CommandError> {
    args.names.iter().map(|name| parse_name(name)).collect()
}

/// Looks from `args.from` to the tip.
pub fn scan(ui: Ui, client: &Client, keys: &Keys<'_>, args: &Scan) -> Result<Found, CommandError> {
    let given = given_names(args)?;
    let status = client.status()?;
    if !status.synced {
        return Err(CommandError::NotSynced(status.height));
    }
    let mut walk = Walk {
        ours: keys.owner.public(),
        recovery: keys.recovery,
        candidates: given.clone(),
        seen: HashSet::new(),
        commitments: HashSet::new(),
    };
    walk.blocks(ui, client, &status, args.from)?;
    let mut found = Found { from: args.from, to: status.height, ..Found::default() };
    for name in &walk.candidates {
        found.names.extend(found_name(client.name(name)?, walk.ours, walk.recovery));
    }
    walk.seen.extend(given.iter().cloned());
    for name in &walk.seen {
        let hash = commitment_of(status.network, keys.owner, name);
        if given.contains(name) || walk.commitments.contains(&hash) {
            found.commitments.extend(found_commitment(client, name, hash)?);
        }
    }
    found.commitments.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// The names of an owner key and a recovery key: of the `known` ones and those in blocks from
/// `from` on.
pub fn find_names(
    ui: Ui,
    client: &Client,
    status: &Status,
    (ours, recovery): (PublicKey, PublicKey),
    from: u32,
    known: BTreeSet<Name>,
) -> Result<Vec<FoundName>, CommandError> {
    let mut walk = Walk {
        ours,
        recovery,
        candidates: known,
        seen: HashSet::new(),
        commitments: HashSet::new(),
    };
    walk.blocks(ui, client, status, from.min(status.height))?;
    let found =
        walk.candidates.iter().map(|name| Ok(found_name(client.name(name)?, ours, recovery)));
    Ok(found.collect::<Result<Vec<_>, CommandError>>()?.into_iter().flatten().collect())
}

impl Walk {
    /// Reads the blocks from `from` to the tip of `status`. On an error, a note says where to
    /// continue.
    fn blocks(
        &mut self,
        ui: Ui,
        client: &Client,
        status: &Status,
        from: u32,
    ) -> Result<(), CommandError> {
        let _notice = interrupt::notice(
            ui,
            "reading the blocks",
            "nothing was changed: run the same command again; key scan --from HEIGHT starts later",
        );
        let mut waiter = Waiter::new(ui, BLOCK_TIMEOUT);
        let mut progress = ui.progress();
        let oldest_open = status.tip_time.saturating_sub(COMMIT_LIFETIME_S);
        let (mut height, mut last, mut reorganisations) = (from, None::<Hash>, 0);
        while height <= status.height {
            let block =
                match waiter.until("the block", || block_at(client, height).map(Poll::Ready)) {
                    Ok(block) => block,
                    Err(error) => {
                        ui.print_note(&self.resume_command(height));
                        return Err(error);
                    }
                };
            if last.is_some_and(|last| last != block.header.previous) {
                reorganisations += 1;
                if reorganisations > MAX_REORGS {
                    return Err(client.bad_answer("its best chain keeps changing").into());
                }
                (height, last) = (height.saturating_sub(STATES_KEPT), None);
                continue;
            }
            self.operations(&block.operations, block.header.time >= oldest_open);
            let names = counted(self.candidates.len() as u64, "name");
            let fraction =
                f64::from(height.saturating_sub(from)) / f64::from((status.height - from).max(1));
            progress.show(
                Some(fraction),
                &format!("block {height} of {}, {names} found so far", status.height),
            );
            last = Some(block.header.id(status.network));
            let Some(next) = height.checked_add(1) else { break };
            height = next;
        }
        progress.done(&format!("read the blocks from {from} to {}", status.height));
        if self.seen.len() >= MAX_NAMES_SEEN {
            ui.print_note("the chain has more names than are kept: give those that you may have committed to with --name");
        }
        Ok(())
    }

    fn operations(&mut self, operations: &[Operation], recent: bool) {
        for operation in operations {
            match operation {
                Operation::Commit { commitment, .. } if recent => {
                    self.commitments.insert(*commitment);
                }
                Operation::Commit { .. } => {}
                Operation::Named(named) => {
                    if self.concerns(named) {
                        self.candidates.insert(named.name.clone());
                    }
                    if self.seen.len() < MAX_NAMES_SEEN {
                        self.seen.insert(named.name.clone());
                    }
                }
            }
        }
    }

    /// Whether the operation may make the name one of ours.
    fn concerns(&self, named: &SignedOperation) -> bool {
        let given_to = match &named.action {
            Action::Register { recovery, .. } | Action::Accept { recovery, .. } => {
                [None, *recovery]
            }
            Action::Transfer { to, .. } => [Some(*to), None],
            Action::Recover { owner, recovery } => [Some(*owner), *recovery],
            Action::Update { .. }
            | Action::Renew { .. }
            | Action::Cancel { .. }
            | Action::Revoke
            | Action::Publish { .. } => [None, None],
        };
        let is_ours = |key: &PublicKey| *key == self.ours || *key == self.recovery;
        is_ours(&named.signer) || given_to.iter().flatten().any(is_ours)
    }

    /// The command that continues at `height` with what was found so far.
    fn resume_command(&self, height: u32) -> String {
        let mut text =
            format!("stopped at height {height}; to continue: zonetool key scan --from {height}");
        for name in &self.candidates {
            // Writing to a String never fails.
            let _ = write!(text, " --name {name}");
        }
        text
    }
}

/// The block at `height` of the best chain, from its bytes.
fn block_at(client: &Client, height: u32) -> Result<Block, CommandError> {
    let info = client.block(height)?;
    let block = hex::decode(&info.bytes).ok().and_then(|bytes| Block::parse(&bytes).ok());
    match block {
        Some(block) if block.header.height == height => Ok(block),
        _ => Err(client.bad_answer(format!("its block at height {height} is not valid")).into()),
    }
}

fn commitment_of(network: Network, owner: &SecretKey, name: &Name) -> Hash {
    commitment(network, name, &owner.public(), &owner.salt(network, name))
}

/// The name, if it belongs or is offered to one of the keys now.
fn found_name(info: NameInfo, ours: PublicKey, recovery: PublicKey) -> Option<FoundName> {
    let entry = info.entry?;
    if matches!(info.standing, Standing::Available | Standing::Reserved) {
        return None;
    }
    let offered = entry.transfer.filter(|transfer| transfer.to == ours);
    let key_is = match () {
        () if entry.owner == ours => "owner",
        () if offered.is_some() => "recipient",
        () if entry.recovery == Some(recovery) => "recovery",
        () => return None,
    };
    Some(FoundName {
        name: info.name,
        key_is,
        standing: info.standing,
        owner: entry.owner,
        expires: entry.expires,
        opens_height: offered.as_ref().map(|transfer| transfer.opens_height),
        opens_time: offered.as_ref().map(|transfer| transfer.opens_time),
    })
}

/// A commitment that is open or pending.
fn found_commitment(
    client: &Client,
    name: &Name,
    commitment: Hash,
) -> Result<Option<FoundCommitment>, CommandError> {
    let info = client.commitment(&commitment)?;
    let commit = info.recorded.filter(|commit| !commit.spent && commit.lapses >= info.time);
    Ok((commit.is_some() || info.pending).then(|| FoundCommitment {
        name: name.clone(),
        commitment,
        recorded: commit.as_ref().map(|commit| commit.height),
        opens_height: commit.as_ref().map(|commit| commit.opens_height),
        opens_time: commit.as_ref().map(|commit| commit.opens_time),
        lapses: commit.as_ref().map(|commit| commit.lapses),
    }))
}

impl Found {
    /// For people.
    pub fn describe(&self) -> String {
        let now = clock::unix();
        let date = |time: u64| describe_time(time, now);
        let mut text = format!("read the blocks from {} to {}\n", self.from, self.to);
        for name in &self.names {
            let standing = match (name.key_is, name.standing) {
                ("owner", Standing::Active) => format!("yours until {}", date(name.expires)),
                ("owner", Standing::Settling) => "yours, settling".to_owned(),
                ("owner", Standing::Contested) => "yours, contested".to_owned(),
                ("owner", Standing::Revoked) => "yours, revoked".to_owned(),
                ("owner", _) => format!("yours, its lease is over: zonetool renew {}", name.name),
                ("recipient", _) => match (name.opens_height, name.opens_time) {
                    (Some(height), Some(time)) => {
                        let opens = Earliest { height, time }.describe(self.to, now);
                        format!(
                            "offered to you; you can accept it {opens}: zonetool accept {}",
                            name.name
                        )
                    }
                    _ => "offered to you".to_owned(),
                },
                _ => {
                    format!("of {}; your recovery key can recover it", key_text::owner(&name.owner))
                }
            };
            // Writing to a String never fails.
            let _ = writeln!(text, "{}: {standing}", name.name);
        }
        for commitment in &self.commitments {
            let name = &commitment.name;
            let _ = match commitment.lapses {
                Some(lapses) => writeln!(
                    text,
                    "{name}: committed; register it before {}: zonetool register {name} --zone FILE",
                    date(lapses)
                ),
                None => writeln!(text, "{name}: a commitment is pending"),
            };
        }
        if self.names.is_empty() && self.commitments.is_empty() {
            text.push_str("no names of this key were found\n");
        }
        text + "A commitment to a name that is not on the chain is found only with --name NAME"
    }
}

#[cfg(test)]
mod tests {
    use namechain_core::{consensus::header::signing_context, types::Stamp};

    use super::*;

    fn walk(key: &SecretKey) -> Walk {
        Walk {
            ours: key.public(),
            recovery: PublicKey([8; 32]),
            candidates: BTreeSet::new(),
            seen: HashSet::new(),
            commitments: HashSet::new(),
        }
    }

    #[test]
    fn names_that_an_operation_gives_or_offers_to_the_keys() {
        let (ours, other) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]));
        let stamp = Stamp { anchor: Hash::ZERO, work: 1, nonce: 0 };
        let (key, stranger) = (ours.public(), PublicKey([9; 32]));
        let records = namechain_core::types::RecordSet::default();
        let register =
            |recovery| Action::Register { recovery, salt: [0; 32], records: records.clone() };
        let renew = || Action::Renew { expires: 0 };
        let transfer = |to| Action::Transfer { sequence: 1, to };
        let accept = |recovery| Action::Accept { transfer: Hash::ZERO, recovery };
        for (signer, action, concerns) in [
            (&ours, register(None), true),
            (&other, register(None), false),
            (&other, register(Some(PublicKey([8; 32]))), true),
            (&ours, renew(), true),
            (&other, renew(), false),
            (&other, transfer(key), true),
            (&other, transfer(stranger), false),
            (&ours, accept(None), true),
            (&other, accept(Some(stranger)), false),
            (&other, Action::Recover { owner: key, recovery: None }, true),
            (&other, Action::Recover { owner: stranger, recovery: None }, false),
        ] {
            let mut walk = walk(&ours);
            let named = SignedOperation::sign(
                &signing_context(Network::Dev.params(), 2),
                "alice".parse().unwrap(),
                Hash::ZERO,
                0,
                action.clone(),
                signer,
                stamp,
            );
            walk.operations(&[Operation::Named(named)], true);
            assert_eq!(walk.candidates.len(), usize::from(concerns), "{action:?}");
            assert_eq!(walk.seen.len(), 1);
            assert_eq!(walk.resume_command(7).ends_with("--from 7 --name alice"), concerns);
        }
    }

    #[test]
    fn only_commitments_that_can_be_open_are_kept() {
        let key = SecretKey::from_seed(&[1; 32]);
        let mut walk = walk(&key);
        let stamp = Stamp { anchor: Hash::ZERO, work: 1, nonce: 0 };
        for (byte, recent) in [(1, true), (2, false)] {
            walk.operations(&[Operation::Commit { commitment: Hash([byte; 32]), stamp }], recent);
        }
        assert_eq!(walk.commitments, HashSet::from([Hash([1; 32])]));
    }
}
