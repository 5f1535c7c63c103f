//! Queries in flight of all workers of a listener: a question that one of them has sent is not sent
//! by another, or a forger would have as many chances as there are workers (RFC 5452 §5). The slow
//! path and other listeners have queries of their own.
//!
//! ```text
//! worker B, a miss --claim--> worker A has the question in flight --hand over--> A's mailbox
//! worker A: its query ends --release--> those who waited in the mailbox get the same result
//! ```

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use super::waiter::{MAX_WAITING, Waiter};

/// Places for claims: many more than there are queries in flight on a busy machine. A claim that
/// finds its place taken by another question is not made, and that question may be sent twice.
const PLACES: usize = 1 << 14;
/// The most clients of other workers that wait at one worker.
const MAX_MAIL: usize = 1024;
/// The bits of a claim that are the worker's number and one: 0 is none.
const WORKER_BITS: u32 = 9;

/// Who asks an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The caller.
    Ours,
    /// This worker, already.
    Theirs(usize),
}

/// The claims, and a mailbox for each worker.
#[derive(Debug)]
pub struct SharedFlights {
    claims: Box<[AtomicU64]>,
    mail: Box<[Mutex<Vec<Waiter>>]>,
}

impl SharedFlights {
    /// No claims yet, by so many workers: below 512.
    pub fn new(workers: usize) -> Self {
        debug_assert!(workers < 1 << WORKER_BITS, "each has a number");
        Self {
            claims: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
            mail: (0..workers).map(|_| Mutex::default()).collect(),
        }
    }

    /// Claims the question with this hash for a worker.
    pub fn claim(&self, hash: u64, worker: usize) -> Claim {
        let (place, own) = (self.place(hash), tag(hash, worker));
        match place.compare_exchange(0, own, Ordering::AcqRel, Ordering::Acquire) {
            Err(other) if other >> WORKER_BITS == own >> WORKER_BITS && other != own => {
                // A claim is never 0, and its worker was one of ours.
                Claim::Theirs((other & ((1 << WORKER_BITS) - 1)) as usize - 1)
            }
            _ => Claim::Ours,
        }
    }

    /// Makes a client wait at the worker that has its question in flight. `false`: that worker has
    /// ended its query meanwhile, or too many wait there.
    pub fn hand_over(&self, worker: usize, waiter: Waiter) -> bool {
        let Some(mail) = self.mail.get(worker) else { return false };
        let mut mail = lock(mail);
        let claimed = self.place(waiter.hash).load(Ordering::Acquire) == tag(waiter.hash, worker);
        let same = || mail.iter().filter(|other| other.hash == waiter.hash).count();
        let has_room = claimed && mail.len() < MAX_MAIL && same() < MAX_WAITING;
        if has_room {
            mail.push(waiter);
        }
        has_room
    }

    /// Ends a worker's claim; calls `each` with the clients of other workers that waited for it.
    pub fn release(&self, hash: u64, worker: usize, each: impl FnMut(Waiter)) {
        let Some(mail) = self.mail.get(worker) else { return };
        // Whoever hands over looks at the claim under this lock, so nobody comes too late.
        let mut mail = lock(mail);
        let own = tag(hash, worker);
        let _ = self.place(hash).compare_exchange(own, 0, Ordering::AcqRel, Ordering::Relaxed);
        if !mail.is_empty() {
            mail.extract_if(.., |waiter| waiter.hash == hash).for_each(each);
        }
    }

    fn place(&self, hash: u64) -> &AtomicU64 {
        &self.claims[hash as usize % PLACES]
    }
}

/// A claim: the upper bits of the hash, and the worker.
fn tag(hash: u64, worker: usize) -> u64 {
    (hash >> WORKER_BITS << WORKER_BITS) | (worker as u64 + 1)
}

fn lock(mail: &Mutex<Vec<Waiter>>) -> MutexGuard<'_, Vec<Waiter>> {
    // What is in a mailbox is whole at any time.
    mail.lock().unwrap_or_else(PoisonError::into_inner)
}
