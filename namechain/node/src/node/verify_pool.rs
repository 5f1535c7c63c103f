//! The threads that check work and signatures, one a core, while the chain thread applies what they
//! have checked.

use std::{
    collections::VecDeque,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use metrics::{counter, gauge, histogram};
use tokio::sync::mpsc;
use tracing::error;

use super::{clock::Since, command::Command};
use namechain_core::{
    consensus::work::PowHasher,
    sync::{Event, Job, JobId, JobOutcome, limits::JOBS},
    types::Network,
};

/// Jobs done, by kind.
pub(super) const CHECKS: &str = "namechain_checks_total";
/// How long a job took, by kind, and how many wait.
pub(super) const CHECK_SECONDS: &str = "namechain_check_seconds";
pub(super) const CHECK_QUEUE: &str = "namechain_check_queue_jobs";
/// What broke a rule, by kind and rule.
pub(super) const REJECTED: &str = "namechain_rejected_total";
/// The most threads, whatever the number of cores: each holds a mebibyte for the work function.
const MAX_THREADS: usize = 64;

/// Jobs that wait for a thread: at most [`JOBS`], as the state machine has no more under way.
#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Announced blocks, which others wait for.
    urgent: VecDeque<(JobId, Job)>,
    jobs: VecDeque<(JobId, Job)>,
    closed: bool,
}

impl State {
    fn push(&mut self, id: JobId, job: Job) {
        // Of an announced block the header is checked first, alone, and then the block.
        let urgent = match &job {
            Job::Headers(headers) => headers.len() == 1,
            Job::Assembled { .. } => true,
            Job::Block { .. } | Job::Operation { .. } => false,
        };
        if urgent { &mut self.urgent } else { &mut self.jobs }.push_back((id, job));
    }

    fn pop(&mut self) -> Option<(JobId, Job)> {
        self.urgent.pop_front().or_else(|| self.jobs.pop_front())
    }

    fn len(&self) -> usize {
        self.urgent.len() + self.jobs.len()
    }
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a job; `None` when it is over.
    fn take(&self) -> Option<(JobId, Job)> {
        let mut state = self.state();
        loop {
            if state.closed {
                return None;
            }
            if let Some(job) = state.pop() {
                gauge!(CHECK_QUEUE).set(state.len() as f64);
                return Some(job);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The threads. They end when this is dropped.
pub(super) struct VerifyPool {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

impl VerifyPool {
    /// Starts a thread for each core. Outcomes go to `done`.
    pub fn start(network: Network, done: &mpsc::Sender<Command>) -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, |cores| cores.get());
        let mut checks = VerifyPool { queue: Arc::default(), threads: Vec::new() };
        for number in 0..cores.min(MAX_THREADS) {
            let (queue, done) = (checks.queue.clone(), done.clone());
            let thread = thread::Builder::new()
                .name(format!("check-{number}"))
                .spawn(move || work(network, &queue, &done))?;
            checks.threads.push(thread);
        }
        Ok(checks)
    }

    /// Gives a job away. False if there are more than the state machine may have under way.
    pub fn give(&self, id: JobId, job: Job) -> bool {
        let mut state = self.queue.state();
        if state.len() >= JOBS {
            return false;
        }
        state.push(id, job);
        gauge!(CHECK_QUEUE).set(state.len() as f64);
        self.queue.changed.notify_one();
        true
    }

    /// Ends the threads, each after the job that it has in hand, and waits for them. Whoever takes
    /// the outcomes must be gone or go on: a thread may be waiting to hand one over.
    pub fn stop(mut self) {
        self.close();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                error!("a checking thread had ended by a panic");
            }
        }
    }

    fn close(&self) {
        self.queue.state().closed = true;
        self.queue.changed.notify_all();
    }
}

impl Drop for VerifyPool {
    fn drop(&mut self) {
        self.close();
    }
}

/// Takes jobs until it is over.
fn work(network: Network, queue: &Queue, done: &mpsc::Sender<Command>) {
    let mut worker = PowHasher::new(network);
    while let Some((job, what)) = queue.take() {
        let (kind, since) = (kind_of(&what), Since::now());
        // A panic is a bug of ours that a peer has found: what brought it on is refused, and the
        // node goes on.
        let outcome = catch_unwind(AssertUnwindSafe(|| what.run(network, &mut worker)))
            .unwrap_or_else(|_| {
                error!(
                    "the check of a {kind} panicked, which is a bug: what was checked is refused"
                );
                worker = PowHasher::new(network);
                JobOutcome::Malformed
            });
        histogram!(CHECK_SECONDS, "what" => kind).record(since.elapsed().as_secs_f64());
        counter!(CHECKS, "what" => kind).increment(1);
        match &outcome {
            JobOutcome::Invalid(violation) => {
                counter!(REJECTED, "what" => kind, "rule" => violation.id()).increment(1);
            }
            JobOutcome::Malformed => {
                counter!(REJECTED, "what" => kind, "rule" => "encoding").increment(1)
            }
            JobOutcome::UpgradeNeeded(_)
            | JobOutcome::OtherBranch
            | JobOutcome::Headers(_)
            | JobOutcome::Block(_)
            | JobOutcome::Operation(_) => {}
        }
        if done.blocking_send(Event::JobDone { job, outcome }.into()).is_err() {
            return;
        }
    }
}

fn kind_of(job: &Job) -> &'static str {
    match job {
        Job::Headers(_) => "headers",
        Job::Block { .. } | Job::Assembled { .. } => "block",
        Job::Operation { .. } => "operation",
    }
}

#[cfg(test)]
mod tests {
    use namechain_core::consensus::header::genesis;

    use super::*;

    /// However many headers of some long chain are to be checked, a new block's goes first.
    #[test]
    fn announced_blocks_are_checked_before_headers() {
        let header = genesis(Network::Dev).header;
        let mut state = State::default();
        for id in 0..5 {
            state.push(JobId(id), Job::Headers(vec![header.clone(); 250]));
        }
        state.push(JobId(9), Job::Headers(vec![header]));
        assert_eq!(state.len(), 6);
        let order: Vec<u64> = std::iter::from_fn(|| state.pop()).map(|(id, _)| id.0).collect();
        assert_eq!(order, [9, 0, 1, 2, 3, 4]);
    }
}
