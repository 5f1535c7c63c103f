//! What everything shares that is put on the chain: a node that is synced, a stamp at the price of
//! the moment, and waiting until what was submitted is recorded and served.

use std::time::Duration;

use namechain_core::{
    api_types::{NameEntryInfo, NameInfo, PeerCounts, Submitted},
    consensus::price,
    params::{MAX_REORG_DEPTH, Params},
    types::{Action, Hash, Name, Network, Operation, PublicKey, SecretKey, SignedOperation, Stamp},
};
use serde::Serialize;

use super::wait::{Poll, Waiter};
use crate::{client::Client, error::CommandError, pow, ui::Ui};

/// A stamp that is still to be worked.
pub const UNWORKED: Stamp = Stamp { anchor: Hash::ZERO, work: 1, nonce: 0 };

/// From this depth on nobody is told that a reorganisation may undo what was recorded: names are
/// served from there on main.
const SAFE_DEPTH_BLOCKS: u32 = 6;

/// The node, on the network that it says it is on.
pub struct Submitter {
    pub ui: Ui,
    pub client: Client,
    pub network: Network,
    pub waiter: Waiter,
}

/// The result of registering or updating.
#[derive(Debug, Serialize)]
pub struct Published {
    /// The name.
    pub name: Name,
    /// The network.
    pub network: Network,
    /// `submitted`, `active` (it resolves) or `unchanged`.
    pub state: &'static str,
    /// The owner.
    pub owner: PublicKey,
    /// The operation's id; absent if it was not submitted now.
    pub operation: Option<Hash>,
    /// The sequence number of the operation.
    pub sequence: u32,
    /// The height that recorded it, once known.
    pub recorded: Option<u32>,
    /// How many blocks had been built on that when the command ended: what a reorganisation would
    /// have to undo.
    pub depth: Option<u32>,
    /// The height at which the lease is over, once known.
    pub expires: Option<u32>,
    /// When that is expected (RFC 3339); none on a network without a schedule.
    pub expires_time: Option<String>,
}

impl Submitter {
    /// Asks the node which network it is on, and whether it is synced.
    pub fn connect(ui: Ui, client: Client, timeout: Duration) -> Result<Self, CommandError> {
        let status = client.status()?;
        if !status.synced {
            return Err(CommandError::NotSynced(status.height));
        }
        Ok(Submitter { ui, client, network: status.network, waiter: Waiter::new(ui, timeout) })
    }

    /// The network's parameters.
    pub fn params(&self) -> &'static Params {
        self.network.params()
    }

    /// Where the name stands once no operation on it waits any more.
    pub fn wait_no_pending(&mut self, name: &Name) -> Result<NameInfo, CommandError> {
        let client = &self.client;
        self.waiter.until("the operation that waits", || {
            let info = client.name(name)?;
            Ok(match info.pending {
                true => Poll::Pending(format!("another operation on {name} waits to be recorded")),
                false => Poll::Ready(info),
            })
        })
    }

    /// Works the stamp for the price that `of` makes of the multiplier, and submits.
    pub fn submit(
        &self,
        mut operation: Operation,
        of: impl Fn(u32) -> u64,
    ) -> Result<Submitted, CommandError> {
        let price = self.client.price()?;
        let work = pow::with_margin(of(price.multiplier));
        pow::solve_stamp(self.ui, self.network, &mut operation, price.anchor, work);
        Ok(self.client.submit(&operation)?)
    }

    /// Signs, works and submits an operation on a name.
    pub fn submit_named(
        &self,
        key: &SecretKey,
        name: &Name,
        sequence: u32,
        action: Action,
    ) -> Result<Submitted, CommandError> {
        let named = SignedOperation::sign(
            self.network,
            name.clone(),
            sequence,
            action.clone(),
            key,
            UNWORKED,
        );
        let submitted = self.submit(Operation::Named(named), |multiplier| {
            cost_of(self.params(), name, &action, multiplier)
        })?;
        self.ui.print_note(&format!("submitted: operation {}", submitted.id));
        Ok(submitted)
    }

    /// Waits until an operation of `owner` with this sequence number is recorded, and stays: see
    /// [`Submitter::wait_until_recorded`].
    pub fn wait_until_owned(
        &mut self,
        name: &Name,
        owner: PublicKey,
        sequence: u32,
        depth: u32,
    ) -> Result<Recorded, CommandError> {
        self.wait_until_recorded(name, sequence, depth, |_, entry| match entry.owner {
            found if found == owner => Ok(entry.updated),
            other => Err(CommandError::Taken(name.clone(), other)),
        })
    }

    /// Waits until what was submitted with this sequence number is recorded, and stays: see
    /// [`Submitter::wait_until_recorded`].
    pub fn wait_for_operation(
        &mut self,
        name: &Name,
        submitted: &Submitted,
        sequence: u32,
        depth: u32,
    ) -> Result<Recorded, CommandError> {
        // A reorganisation may record it lower than where the tip was when it was submitted.
        let from = submitted.height.saturating_sub(MAX_REORG_DEPTH);
        self.wait_until_recorded(name, sequence, depth, |client, entry| {
            let mut from = Some(from);
            while let Some(height) = from {
                let history = client.history(name, height)?;
                if let Some(past) = history.operations.iter().find(|past| past.sequence == sequence)
                {
                    let overtaken =
                        || CommandError::Overtaken { name: name.clone(), kind: past.kind.clone() };
                    return if past.id == submitted.id {
                        Ok(past.height)
                    } else {
                        Err(overtaken())
                    };
                }
                from = history.next.filter(|next| *next > height);
            }
            Ok(entry.updated)
        })
    }

    /// Waits until an operation with this sequence number is recorded, the name served from there
    /// on, and `depth` blocks built on it. All the while a reorganisation may undo it, and record
    /// another in its place: `place` says at which height ours is, or whose it is that is there
    /// instead.
    fn wait_until_recorded(
        &mut self,
        name: &Name,
        sequence: u32,
        depth: u32,
        place: impl Fn(&Client, &NameEntryInfo) -> Result<u32, CommandError>,
    ) -> Result<Recorded, CommandError> {
        let client = &self.client;
        let mut was_at = None;
        let waited = self.waiter.until("the operation", || {
            let info = client.name(name)?;
            let entry = match info.entry {
                Some(entry) if entry.sequence >= sequence => entry,
                _ if info.pending => {
                    let again = was_at.map_or("", |_| "undone by a reorganisation, it waits again: ");
                    return Ok(Poll::Pending(format!("{again}waiting for the block after {}", info.height)));
                }
                _ => return Ok(Poll::Gone),
            };
            let height = place(client, &entry)?;
            let here = if was_at.replace(height) == Some(height) { Poll::Pending } else { Poll::Progress };
            let status = client.status()?;
            let deep = status.height.saturating_sub(height);
            if status.served_height < height {
                return Ok(here(format!(
                    "{name} is recorded at height {height}; names are served {} blocks deep, {} to go",
                    status.serve_depth,
                    height - status.served_height
                )));
            }
            if deep < depth {
                let to_go = depth - deep;
                return Ok(here(format!(
                    "{name} is recorded at height {height}, {deep} blocks deep, {to_go} to go"
                )));
            }
            Ok(Poll::Ready(Recorded {
                height,
                depth: deep,
                has_peers: status.peers != PeerCounts::default(),
                entry,
            }))
        });
        match (waited, was_at) {
            (Err(CommandError::Dropped(_)), Some(height)) => {
                Err(CommandError::Undone { name: name.clone(), height })
            }
            (Ok(recorded), _) => {
                if recorded.has_peers && depth == 0 && recorded.depth < SAFE_DEPTH_BLOCKS {
                    self.ui.print_note(&format!(
                        "{} deep: a reorganisation can still undo it; --depth {SAFE_DEPTH_BLOCKS} waits until that is unlikely",
                        blocks(recorded.depth)
                    ));
                }
                Ok(recorded)
            }
            (error, _) => error,
        }
    }
}

/// Where an operation was recorded.
#[derive(Debug)]
pub struct Recorded {
    /// The height that recorded it.
    pub height: u32,
    /// How many blocks have been built on that.
    pub depth: u32,
    /// The name's entry at the tip.
    pub entry: NameEntryInfo,
    /// Whether there are others who may have another chain.
    has_peers: bool,
}

/// A number of blocks, in words.
fn blocks(count: u32) -> String {
    if count == 1 { "1 block".into() } else { format!("{count} blocks") }
}

/// What an operation on `name` costs under a multiplier (`docs/protocol.md`, section 6), in
/// expected hashes.
pub fn cost_of(params: &Params, name: &Name, action: &Action, multiplier: u32) -> u64 {
    match action {
        Action::Register { records, .. } | Action::Update { records } => {
            price::records(params, records.byte_len(), multiplier)
        }
        Action::Publish { record } => price::records(
            params,
            record.as_ref().map_or(0, |record| record.byte_len()),
            multiplier,
        ),
        Action::Renew => price::renewal(params, name, multiplier),
        Action::Transfer { .. } | Action::Accept { .. } => price::transfer(params, multiplier),
        Action::Cancel | Action::Recover { .. } | Action::Revoke => {
            price::rescue(params, multiplier)
        }
    }
}
