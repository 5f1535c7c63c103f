//! The chain thread's part in the network: it puts events into the state machine, and carries out
//! what comes back.

use std::collections::VecDeque;

use metrics::{counter, histogram};
use tracing::{debug, error, info, warn};

use super::{
    super::{
        clock::{self, Since},
        progress::Progress,
        verify_pool::REJECTED,
    },
    CONNECT_SECONDS, ChainThread,
};
use namechain_core::{
    chain::{Accepted, ChainError, CheckedBlock, StorageError},
    codec::Encode,
    mempool::MempoolError,
    params::MAX_REORG_DEPTH,
    sync::{Action, ConnectOutcome, Event, SubmitOutcome},
    types::{Hash, Operation},
};

impl ChainThread {
    /// Puts an event into the state machine, and does what it says until it says no more.
    pub(super) fn on_event(&mut self, event: Event) -> Result<(), StorageError> {
        let (tip, waiting, may_mine) =
            (self.chain.tip_id(), self.mempool_changes, self.driver.may_mine());
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            self.driver.handle(&self.chain, &self.mempool, event)?;
            while let Some(action) = self.driver.next_action() {
                events.extend(self.perform(action)?);
            }
        }
        if self.driver.update(&self.chain) {
            self.publish(None);
        }
        if self.chain.tip_id() != tip || self.driver.may_mine() != may_mine {
            self.update_mining(true)?;
        } else if self.mempool_changes != waiting {
            self.update_mining(false)?;
        }
        Ok(())
    }

    /// Carries an action out. What became of it, if the state machine wants to know.
    fn perform(&mut self, action: Action) -> Result<Option<Event>, StorageError> {
        match action {
            Action::RunJob { id, job } => {
                return Ok(self.driver.run_job(id, job));
            }
            Action::ConnectBlock { block, durable } => {
                let (id, outcome) = (block.id(), self.connect_block(&block, durable)?);
                return Ok(Some(Event::BlockConnected { id, outcome }));
            }
            Action::SubmitOperation(operation) => {
                let id = operation.id(self.chain.network());
                let outcome = self.accept_operation(*operation)?;
                return Ok(Some(Event::OperationSubmitted { id, outcome }));
            }
            Action::ParkChain { tip, work, depth } => self.park_tip(tip, work, depth),
            action => self.driver.send(action),
        }
        Ok(None)
    }

    /// Lets the chain take a block that others made.
    fn connect_block(
        &mut self,
        block: &CheckedBlock,
        durable: bool,
    ) -> Result<ConnectOutcome, StorageError> {
        let (id, since) = (block.id(), Since::now());
        let accepted = self.chain.accept_checked(block, clock::now(), durable);
        histogram!(CONNECT_SECONDS).record(since.elapsed().as_secs_f64());
        match accepted {
            Ok(Accepted::Tip(change)) => {
                self.on_tip_change(&change)?;
                Ok(ConnectOutcome::Accepted)
            }
            Ok(Accepted::Known | Accepted::Side) => Ok(ConnectOutcome::Accepted),
            Err(ChainError::Storage(error)) => Err(error),
            Err(ChainError::Rule { id: broke, violation }) => {
                warn!("block {broke} is refused: {violation} [rule {}]", violation.id());
                counter!(REJECTED, "what" => "block", "rule" => violation.id()).increment(1);
                self.driver.record_failed(broke, violation.clone());
                Ok(ConnectOutcome::Invalid(violation))
            }
            Err(ChainError::OnFailed(broke)) => {
                // Of a rule that was broken before the last start only that it was broken is known.
                let known = self.driver.violation_of(&broke);
                Ok(known.map_or(ConnectOutcome::Deferred, ConnectOutcome::Invalid))
            }
            Err(error @ ChainError::TooDeep { .. }) => {
                error!("{error}");
                self.publish(None);
                Ok(ConnectOutcome::Deferred)
            }
            Err(
                error @ (ChainError::Orphan(_)
                | ChainError::Early { .. }
                | ChainError::Checkpoint(_)
                | ChainError::UpgradeNeeded(_)),
            ) => {
                debug!("block {id} is not taken now: {error}");
                Ok(ConnectOutcome::Deferred)
            }
        }
    }

    /// Lets the mempool take an operation that others made.
    fn accept_operation(&mut self, operation: Operation) -> Result<SubmitOutcome, StorageError> {
        let bytes = operation.to_bytes();
        match self.mempool.insert(&self.chain, operation, clock::now()) {
            Ok(id) => {
                // It is not ours to promise that a crash does not lose it: others have it too.
                self.store_pending(id, bytes, false)?;
                Ok(SubmitOutcome::Accepted)
            }
            Err(MempoolError::Storage(error)) => Err(error),
            Err(refused) => {
                if let MempoolError::Rule(violation) = &refused {
                    counter!(REJECTED, "what" => "operation", "rule" => violation.id())
                        .increment(1);
                }
                debug!("an operation is not taken: {refused}");
                Ok(SubmitOutcome::Rejected)
            }
        }
    }

    /// A chain of more work is known by its headers, and departs too deep to be followed.
    fn park_tip(&mut self, tip: Hash, work: u128, depth: u32) {
        if self.chain.parked_tip() == Some(tip) {
            return;
        }
        error!(
            "a chain of more work, with tip {tip}, would undo {depth} blocks, and what more than \
             {MAX_REORG_DEPTH} blocks changed is not kept: find out which chain others are on. To \
             follow it, move the data directory away and start again"
        );
        self.chain.park_tip(tip, work);
        self.publish(None);
    }

    /// Lets time pass for a chain that is held back, and says once that it is.
    fn advance_hold(&mut self) -> Result<(), StorageError> {
        let held = self.chain.hold().map(|hold| hold.first);
        if held != self.reported_hold {
            self.reported_hold = held;
            if let Some(hold) = self.chain.hold() {
                warn!(
                    "a chain of more work, with tip {}, departs from ours at height {} and would \
                     undo more than a day. It is held back for {} s while it leads. Names that \
                     were changed since do not resolve. If others follow it and this machine was \
                     cut off, wait, or run 'namechaind invalidate' with our first block after the \
                     fork",
                    hold.tip,
                    hold.fork_height,
                    hold.seconds_left(),
                );
            }
            self.publish(None);
        }
        match self.chain.advance_hold(clock::now()) {
            Ok(None) => Ok(()),
            Ok(Some(change)) => {
                warn!(
                    "the chain of more work has led for long enough: it is followed, and {} blocks \
                     are undone",
                    change.undone.len()
                );
                self.on_tip_change(&change)
            }
            Err(ChainError::Storage(error)) => Err(error),
            Err(error) => {
                warn!("the chain that was held back is not followed: {error}");
                Ok(())
            }
        }
    }

    /// What is done now and then: the state machine hears that time passes, what has changed is
    /// published, and the log says how far the node is.
    pub(super) fn on_tick(&mut self) -> Result<(), StorageError> {
        self.check_mining_backoff()?;
        self.refresh_mining()?;
        if !self.driver.is_tick_due() {
            return Ok(());
        }
        self.advance_hold()?;
        self.on_event(Event::Tick)?;
        self.measure_mining();
        if self.driver.is_progress_due() {
            let status = self.driver.status(&self.chain);
            let progress = Progress::of(&status, self.chain.tip_header().height);
            info!(peers = self.driver.peers().len(), "catching up: {progress}");
        }
        self.publish(None);
        Ok(())
    }
}
