//! What everything shares that is put on the chain: a node that is synced, a stamp at the price of the moment, and waiting until
//! what was submitted is recorded and served.

use std::time::Duration;

use namechain::{
    consensus::price,
    params::Params,
    rpc::{NameEntryInfo, NameInfo, Submitted},
    types::{Action, Hash, Name, Named, Network, Operation, PublicKey, SecretKey, Stamp},
};
use serde::Serialize;

use super::{
    CommandError,
    wait::{Look, Waiter},
};
use crate::{client::Client, ui::Ui, work};

/// A stamp that is still to be worked.
pub const UNWORKED: Stamp = Stamp { anchor: Hash::ZERO, work: 1, nonce: 0 };

/// The node, on the network that it says it is on.
pub struct Publisher {
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
    /// The height at which the lease is over, once known.
    pub expires: Option<u32>,
}

impl Publisher {
    /// Asks the node which network it is on, and whether it is synced.
    pub fn connect(ui: Ui, client: Client, timeout: Duration) -> Result<Self, CommandError> {
        let status = client.status()?;
        if !status.synced {
            return Err(CommandError::NotSynced(status.height));
        }
        Ok(Publisher { ui, client, network: status.network, waiter: Waiter::new(ui, timeout) })
    }

    /// The network's parameters.
    pub fn params(&self) -> &'static Params {
        self.network.params()
    }

    /// Where the name stands once no operation on it waits any more.
    pub fn settled(&mut self, name: &Name) -> Result<NameInfo, CommandError> {
        let client = &self.client;
        self.waiter.until("the operation that waits", || {
            let info = client.name(name)?;
            Ok(match info.pending {
                true => Look::NotYet(format!("another operation on {name} waits to be recorded")),
                false => Look::Done(info),
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
        let work = work::with_margin(of(price.multiplier));
        work::stamp(self.ui, self.network, &mut operation, price.anchor, work);
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
        let named = Named::sign(self.network, name.clone(), sequence, action.clone(), key, UNWORKED);
        let submitted = self.submit(Operation::Named(named), |multiplier| {
            cost_of(self.params(), name, &action, multiplier)
        })?;
        self.ui.note(&format!("submitted: operation {}", submitted.id));
        Ok(submitted)
    }

    /// Waits until an operation of `owner` with this sequence number is recorded and the name served from there on.
    pub fn resolved(
        &mut self,
        name: &Name,
        owner: PublicKey,
        sequence: u32,
    ) -> Result<NameEntryInfo, CommandError> {
        let entry = self.reached(name, sequence)?;
        if entry.owner != owner {
            return Err(CommandError::Taken(name.clone(), entry.owner));
        }
        self.served(name, entry.updated)?;
        Ok(entry)
    }

    /// Waits until what was submitted with this sequence number is recorded and the name served from there on. Gives the
    /// height that recorded it, and the name's entry.
    pub fn recorded(
        &mut self,
        name: &Name,
        submitted: &Submitted,
        sequence: u32,
    ) -> Result<(u32, NameEntryInfo), CommandError> {
        let entry = self.reached(name, sequence)?;
        let history = self.client.history(name, submitted.height)?;
        let height = match history.operations.iter().find(|past| past.sequence == sequence) {
            Some(past) if past.id != submitted.id => {
                return Err(CommandError::Overtaken { name: name.clone(), kind: past.kind.clone() });
            }
            Some(past) => past.height,
            None => entry.updated,
        };
        self.served(name, height)?;
        Ok((height, entry))
    }

    /// Waits until an operation with this sequence number is recorded.
    fn reached(&mut self, name: &Name, sequence: u32) -> Result<NameEntryInfo, CommandError> {
        let client = &self.client;
        self.waiter.until("the operation", || {
            let info = client.name(name)?;
            Ok(match info.entry {
                Some(entry) if entry.sequence >= sequence => Look::Done(entry),
                _ if info.pending => Look::NotYet(format!("waiting for the block after {}", info.height)),
                _ => Look::Missing,
            })
        })
    }

    /// Waits until names are served from `height` on.
    pub fn served(&mut self, name: &Name, height: u32) -> Result<(), CommandError> {
        let client = &self.client;
        self.waiter.until("the block", || {
            let status = client.status()?;
            Ok(match height.checked_sub(status.served_height) {
                None | Some(0) => Look::Done(()),
                Some(left) => Look::NotYet(format!(
                    "{name} is recorded at height {height}; names are served {} blocks deep, {left} to go",
                    status.serve_depth
                )),
            })
        })
    }
}

/// What an operation on `name` costs under a multiplier (`docs/protocol.md`, section 6), in expected hashes.
pub fn cost_of(params: &Params, name: &Name, action: &Action, multiplier: u32) -> u64 {
    match action {
        Action::Register { records, .. } | Action::Update { records } => {
            price::records(params, records.byte_len(), multiplier)
        }
        Action::Publish { record } => {
            price::records(params, record.as_ref().map_or(0, |record| record.byte_len()), multiplier)
        }
        Action::Renew => price::renewal(params, name, multiplier),
        Action::Transfer { .. } | Action::Accept { .. } => price::transfer(params, multiplier),
        Action::Cancel | Action::Recover { .. } | Action::Revoke => price::rescue(params, multiplier),
    }
}
