//! What everything shares that is put on the chain: a synced node, the price of the moment,
//! signing, working and submitting.

use std::time::Duration;

use namechain_core::{
    api_types::{Price, ProtocolInfo, Refusal},
    consensus::{
        context::{BlockContext, Multipliers},
        header::signing_context,
        operation_price::operation_price,
    },
    params::{MAX_ANCHOR_AGE_S, MAX_VALIDITY_S, Params},
    types::{
        BlockTime, Hash, Network, Operation, PublicKey, SecretKey, Signature, SignedOperation,
        SigningContext, Stamp,
    },
};

use super::{
    draft::{Draft, UNWORKED},
    wait::Waiter,
    worked::{Stored, WorkedFile},
};
use crate::{
    cli::WaitArgs,
    client::{Client, ClientError},
    clock,
    error::CommandError,
    interrupt,
    mine::StandIn,
    pow::{self, Task},
    ui::Ui,
};

/// How far below the tip stamps are anchored, so that a short reorganisation does not undo them.
const ANCHOR_DEPTH_BLOCKS: u32 = 10;
/// How often an operation is worked in all, if the block or price that it was worked for is
/// outdated when it is submitted.
const MAX_WORK_TRIES: u32 = 3;
/// How often submitting is tried while the node does not answer: it may be starting again.
const MAX_SUBMIT_TRIES: u32 = 10;
/// The pause between two tries.
const SUBMIT_PAUSE: Duration = Duration::from_secs(3);

/// The node, on the network that it is on.
pub struct Submitter {
    /// Where notes and progress go.
    pub ui: Ui,
    /// The node.
    pub client: Client,
    /// Its network.
    pub network: Network,
    /// The rules that the node follows.
    protocol: ProtocolInfo,
    /// Waits for blocks, within the time that the user gave.
    pub waiter: Waiter,
    /// How long signatures are valid.
    validity: Duration,
}

/// An operation that the node has taken.
#[derive(Debug)]
pub struct Submission {
    /// The operation.
    pub operation: Operation,
    /// Its id.
    pub id: Hash,
    /// The height of the tip when it was taken.
    pub height: u32,
}

impl Submission {
    /// The last time at which a block may record it, in seconds of Unix time; `None` for a Commit.
    pub fn valid_until(&self) -> Option<u64> {
        match &self.operation {
            Operation::Commit { .. } => None,
            Operation::Named(named) => Some(named.valid_until),
        }
    }
}

impl Submitter {
    /// Asks the node which network it is on, and whether it is synced.
    ///
    /// # Errors
    /// If it does not answer, or is not synced.
    pub fn connect(
        ui: Ui,
        client: Client,
        waiting: &WaitArgs,
        validity: Duration,
    ) -> Result<Self, CommandError> {
        let status = client.status()?;
        if !status.synced {
            return Err(CommandError::NotSynced(status.height));
        }
        let protocol = status.protocol;
        let last = status.network.params().last_branch().number;
        if status.network != Network::Dev && protocol.branch > last {
            return Err(CommandError::UpgradeNeeded { chain: protocol.branch, ours: last });
        }
        let mut waiter = Waiter::new(ui, waiting.timeout);
        if !waiting.no_mine {
            waiter = waiter.with_stand_in(StandIn::new(ui, client.reconnect()?, status.network));
        }
        Ok(Submitter { ui, client, network: status.network, protocol, waiter, validity })
    }

    /// The branch of the protocol at `time`. Rehearsals of upgrades give dev branches that only its
    /// node knows.
    fn branch_at(&self, time: u64) -> u32 {
        match self.protocol.next {
            _ if self.network != Network::Dev => self.params().branch_at(time).number,
            Some(next) if next.from <= time => next.number,
            _ => self.protocol.branch,
        }
    }

    /// The network's parameters.
    pub fn params(&self) -> &'static Params {
        self.network.params()
    }

    /// The last time at which a block may record what is signed at `time`, in seconds of Unix time.
    fn valid_until(&self, time: u64) -> u64 {
        time.saturating_add(self.validity.as_secs().min(MAX_VALIDITY_S))
    }

    /// The block that could record an operation now, with the prices in force.
    ///
    /// # Errors
    /// If the node does not answer.
    pub fn next_block(&self) -> Result<(Price, BlockContext), CommandError> {
        let price = self.client.price()?;
        let context = context_after(&price);
        Ok((price, context))
    }

    /// The block to anchor a stamp to, and the multiplier of names in its header: some blocks below
    /// the tip, unless that one is so old that the stamp would soon be worth nothing.
    fn anchor(&self, price: &Price) -> Result<(Hash, u32), CommandError> {
        let tip = (price.anchor, price.name_multiplier);
        let Some(height) = price.height.checked_sub(ANCHOR_DEPTH_BLOCKS) else { return Ok(tip) };
        let block = match self.client.block(height) {
            Err(ClientError::Refused(_)) => return Ok(tip),
            block => block?,
        };
        let age = context_after(price).now.time.saturating_sub(block.time);
        match block.active && age <= MAX_ANCHOR_AGE_S / 2 {
            true => Ok((block.id, block.name_multiplier)),
            false => Ok(tip),
        }
    }

    /// What signatures are bound to in a block at the time of `context`.
    pub fn signing_context(&self, context: BlockContext) -> SigningContext {
        signing_context(self.params(), self.branch_at(context.now.time))
    }

    /// The operation that `draft` makes in the block of `context`, not signed and not worked: its
    /// stamp claims exactly the price.
    pub fn unsigned(
        &self,
        signer: PublicKey,
        draft: &Draft,
        context: BlockContext,
    ) -> SignedOperation {
        let named = SignedOperation {
            name: draft.name.clone(),
            reference: draft.reference,
            valid_until: self.valid_until(context.now.time),
            signer,
            action: draft.action.clone(),
            signature: Signature([0; 64]),
            stamp: UNWORKED,
        };
        let (operation, entry) = (Operation::Named(named.clone()), draft.entry.as_ref());
        let work = operation_price(self.params(), context, &operation, entry);
        SignedOperation { stamp: Stamp { work, ..UNWORKED }, ..named }
    }

    /// Signs, works and submits an operation on a name.
    ///
    /// # Errors
    /// If the node does not answer, or refuses it.
    pub fn submit_named(
        &self,
        key: &SecretKey,
        draft: &Draft,
        mut on_worked: impl FnMut(&Operation) -> Result<(), CommandError>,
    ) -> Result<Submission, CommandError> {
        let file = WorkedFile::of(self.network, draft, &key.public());
        if let Some(submission) = self.submit_stored(file.as_ref(), draft, &key.public())? {
            return Ok(submission);
        }
        let on_worked = |operation: &Operation| {
            on_worked(operation)?;
            // To be sent matters more than to be kept: whoever revokes a key is in a hurry.
            if let Some(Err(error)) = file.as_ref().map(|file| file.store(operation)) {
                self.ui.print_note(&format!("the finished work could not be stored: {error}"));
            }
            Ok(())
        };
        let task = || {
            let (price, context) = self.next_block()?;
            let mut named = self.unsigned(key.public(), draft, context);
            named.signature = key.sign(&named.signing_message(&self.signing_context(context)));
            let (anchor, _) = self.anchor(&price)?;
            let price = named.stamp.work;
            Ok(Task { operation: Operation::Named(named), anchor, price })
        };
        self.work_and_submit(task, on_worked)
    }

    /// Submits the operation that an earlier run worked for the same draft, if there is one and the
    /// node takes it.
    fn submit_stored(
        &self,
        file: Option<&WorkedFile>,
        draft: &Draft,
        signer: &PublicKey,
    ) -> Result<Option<Submission>, CommandError> {
        let label = draft.action.label();
        let named = match file.map(|file| file.load(draft, signer, clock::unix())) {
            Some(Stored::Usable(named)) => named,
            Some(Stored::Expired) => {
                self.ui.print_note(&format!("the {label} worked earlier has expired"));
                return Ok(None);
            }
            Some(Stored::Nothing) | None => return Ok(None),
        };
        match self.submit(Operation::Named(*named)) {
            Ok(submission) => {
                self.ui.print_note(&format!("the {label} worked earlier was used"));
                Ok(Some(submission))
            }
            Err(CommandError::Client(ClientError::Refused(refusal))) if !refusal.is_temporary() => {
                let why = refusal.message;
                self.ui.print_note(&format!("the {label} worked earlier is of no use: {why}"));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Works and submits a Commit of `commitment` that carries what `cost` makes of the multiplier
    /// of names. `check` is asked before the work, and every few minutes, whether to go on.
    ///
    /// # Errors
    /// Those of `check`; if the node does not answer, or refuses it.
    pub fn submit_commit(
        &self,
        commitment: Hash,
        cost: impl Fn(u32) -> u64,
        check: impl Fn() -> Result<(), CommandError>,
        on_worked: impl FnMut(&Operation) -> Result<(), CommandError>,
    ) -> Result<Submission, CommandError> {
        let task = || {
            check()?;
            let price = self.client.price()?;
            let (anchor, then) = self.anchor(&price)?;
            let operation = Operation::Commit { commitment, stamp: UNWORKED };
            // It pays the price at its anchor, and at least that of any Commit when it is recorded.
            let price = cost(then.max(price.name_multiplier));
            Ok(Task { operation, anchor, price })
        };
        self.work_and_submit(task, on_worked)
    }

    /// Works what `task` gives, and submits it; what is outdated by then is worked again.
    /// `on_worked` may keep the operation before it is submitted.
    fn work_and_submit(
        &self,
        task: impl Fn() -> Result<Task, CommandError>,
        mut on_worked: impl FnMut(&Operation) -> Result<(), CommandError>,
    ) -> Result<Submission, CommandError> {
        let mut tries = 1;
        loop {
            let refresh = || match task() {
                Err(CommandError::Client(error)) if error.is_temporary() => Ok(None),
                task => task.map(Some),
            };
            let first = task()?;
            self.ui.print_note(&format!(
                "{}: the price is {} expected hashes; working {}, a quarter more",
                first.operation.label(),
                first.price,
                first.work()
            ));
            let notice = interrupt::notice(
                self.ui,
                &format!("working on the {}", first.operation.label()),
                "nothing of it was sent; the search has no memory, so that starting it again loses \
                 nothing but the time: run the same command again",
            );
            let operation = pow::solve_stamp(self.ui, self.network, first, refresh)?;
            on_worked(&operation)?;
            drop(notice);
            match self.submit(operation) {
                Err(CommandError::Client(ClientError::Refused(refusal)))
                    if tries < MAX_WORK_TRIES && is_outdated(&refusal) =>
                {
                    let why = refusal.message;
                    self.ui.print_note(&format!("the work is outdated, working again: {why}"));
                    tries += 1;
                }
                submitted => return submitted,
            }
        }
    }

    /// Submits a worked operation. A node that does not answer is asked again for a while: the work
    /// is dear.
    ///
    /// # Errors
    /// If the node still does not answer, or refuses it.
    pub fn submit(&self, operation: Operation) -> Result<Submission, CommandError> {
        let mut tries = 1;
        loop {
            match self.client.submit(&operation) {
                Ok(taken) => {
                    self.ui.print_note(&format!(
                        "{}: submitted, operation {}",
                        operation.label(),
                        taken.id
                    ));
                    return Ok(Submission { operation, id: taken.id, height: taken.height });
                }
                Err(error) if error.is_temporary() && tries < MAX_SUBMIT_TRIES => {
                    tries += 1;
                    clock::sleep(SUBMIT_PAUSE);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The block after the tip that `price` is of, if it were made now.
fn context_after(price: &Price) -> BlockContext {
    BlockContext {
        now: BlockTime {
            height: price.height.saturating_add(1),
            time: clock::unix().max(price.time),
        },
        parent_time: price.time,
        price: Multipliers { names: price.name_multiplier, bytes: price.byte_multiplier },
    }
}

/// Whether the operation would be taken with a fresh signature and stamp.
pub fn is_outdated(refusal: &Refusal) -> bool {
    matches!(refusal.rule.as_deref(), Some("stamp-anchor" | "underpaid" | "validity"))
}
