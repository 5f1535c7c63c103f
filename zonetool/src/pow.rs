//! Working a stamp on all cores, with its progress shown.
//!
//! The search has no memory: whatever was tried, as much is expected to remain. So it costs nothing
//! to go on with a fresh anchor, price and signature every few minutes.

use std::{
    sync::{
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use namechain_core::{
    consensus::work::PowHasher,
    types::{Hash, Network, Operation, Stamp},
};

use crate::{
    clock,
    ui::{Progress, Ui, duration},
};

/// Hashes tried between two looks at whether another thread is done: about 5 ms of a core.
const HASHES_PER_CHECK: u64 = 64;
/// How often progress is shown.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);
/// After how long the search goes on with a fresh anchor and price.
const REFRESH_INTERVAL: Duration = Duration::from_secs(180);
/// How long the rate of this machine is measured for an estimate.
const MEASURE_TIME: Duration = Duration::from_millis(100);
/// The most threads that work; each takes a megabyte.
const MAX_THREADS: usize = 64;
/// The nonces that each round of a thread has for itself: more than it can try.
const NONCES_PER_ROUND_BITS: u32 = 40;

/// An operation whose stamp is to be worked.
pub struct Task {
    /// The operation; its stamp is replaced.
    pub operation: Operation,
    /// The block that the stamp is anchored to.
    pub anchor: Hash,
    /// The price that the work pays for, in expected hashes.
    pub price: u64,
}

impl Task {
    /// The work to prove, in expected hashes: the price with a margin.
    pub fn work(&self) -> u64 {
        with_margin(self.price)
    }
}

/// What to pay for `price`: a quarter more, so that a rising price does not refuse it.
pub fn with_margin(price: u64) -> u64 {
    price.saturating_add(price.div_ceil(4))
}

/// How long work takes on this machine, as the search is a matter of luck.
pub fn describe_estimate(work: u64, hashes_per_second: f64) -> String {
    // Rates near nothing would be longer than a Duration is.
    let mean = (work as f64 / hashes_per_second.max(1e-6)).min(1e9);
    if mean * 3.0 < 1.0 {
        return "less than a second".into();
    }
    if mean < 2.0 {
        return "a few seconds at most".into();
    }
    let shown = |factor: f64| duration(Duration::from_secs_f64(mean * factor));
    format!(
        "about {}; half take over {}, one in twenty over {}",
        shown(1.0),
        shown(0.7),
        shown(3.0)
    )
}

/// Measures how many stamps a second this machine tries, for a tenth of a second.
pub fn measure_rate(network: Network) -> f64 {
    let mut search = Search::new(network);
    let stamp = Stamp { anchor: Hash::ZERO, work: u64::MAX, nonce: 0 };
    let start = clock::now();
    search.run(&Hash::ZERO, stamp, MEASURE_TIME, |_| {});
    search.tried as f64 / start.elapsed().as_secs_f64().max(0.001)
}

/// Works the stamp of the operation of `task` and returns the operation with it. Every few minutes
/// `refresh` gives the task anew; `None` goes on with the one before.
///
/// # Errors
/// Those of `refresh`, which end the work.
pub fn solve_stamp<E>(
    ui: Ui,
    network: Network,
    task: Task,
    refresh: impl FnMut() -> Result<Option<Task>, E>,
) -> Result<Operation, E> {
    solve_in_rounds(ui, network, task, REFRESH_INTERVAL, refresh)
}

fn solve_in_rounds<E>(
    ui: Ui,
    network: Network,
    mut task: Task,
    round: Duration,
    mut refresh: impl FnMut() -> Result<Option<Task>, E>,
) -> Result<Operation, E> {
    let mut search = Search::new(network);
    let start = clock::now();
    let mut progress = ui.progress();
    loop {
        let subject = task.operation.stamp_subject(network);
        let (what, work) = (task.operation.label(), task.work());
        let stamp = Stamp { anchor: task.anchor, work, nonce: 0 };
        let show = |tried| show_progress(&mut progress, what, tried, work, start);
        if let Some(stamp) = search.run(&subject, stamp, round, show) {
            *task.operation.stamp_mut() = stamp;
            let took = duration(start.elapsed());
            progress.done(&format!("{what}: worked {} hashes in {took}", search.tried));
            return Ok(task.operation);
        }
        if let Some(fresh) = refresh()? {
            task = fresh;
        }
    }
}

/// A search on all cores, in rounds.
struct Search {
    network: Network,
    threads: u64,
    rounds: u64,
    /// Hashes tried in all rounds.
    tried: u64,
}

impl Search {
    fn new(network: Network) -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
        Search { network, threads: threads as u64, rounds: 0, tried: 0 }
    }

    /// Searches for a nonce of `stamp` for at most `limit`. `show` is told now and then how many
    /// hashes were tried in all.
    fn run(
        &mut self,
        subject: &Hash,
        stamp: Stamp,
        limit: Duration,
        mut show: impl FnMut(u64),
    ) -> Option<Stamp> {
        let (hashes, done) = (AtomicU64::new(self.tried), AtomicBool::new(false));
        let (found, finds) = mpsc::channel();
        let deadline = clock::now() + limit;
        // Every thread begins in its own part of the nonces, every round in its own part of that:
        // no nonce is tried twice.
        let part = u64::MAX / self.threads;
        let round = self.rounds << NONCES_PER_ROUND_BITS;
        let result = thread::scope(|scope| {
            for index in 0..self.threads {
                let (found, hashes, done) = (found.clone(), &hashes, &done);
                let nonce = (index * part).wrapping_add(round);
                let (network, begin) = (self.network, Stamp { nonce, ..stamp });
                scope.spawn(move || {
                    if let Some(stamp) = search(network, subject, begin, hashes, done) {
                        // The receiver lives until the scope ends.
                        let _ = found.send(stamp);
                    }
                });
            }
            let result = loop {
                let left = deadline.saturating_duration_since(clock::now());
                if left.is_zero() {
                    break None;
                }
                match finds.recv_timeout(left.min(PROGRESS_INTERVAL)) {
                    Ok(stamp) => break Some(stamp),
                    Err(_) => show(hashes.load(Ordering::Relaxed)),
                }
            };
            done.store(true, Ordering::Relaxed);
            result
        });
        self.rounds += 1;
        self.tried = hashes.into_inner();
        // One may have been found as the time was over.
        result.or_else(|| finds.try_recv().ok())
    }
}

fn search(
    network: Network,
    subject: &Hash,
    mut stamp: Stamp,
    hashes: &AtomicU64,
    done: &AtomicBool,
) -> Option<Stamp> {
    let mut hasher = PowHasher::new(network);
    while !done.load(Ordering::Relaxed) {
        let begin = stamp.nonce;
        match hasher.search_stamp(subject, stamp, HASHES_PER_CHECK) {
            Ok(found) => {
                hashes.fetch_add(found.nonce.wrapping_sub(begin) + 1, Ordering::Relaxed);
                return Some(found);
            }
            Err(next) => stamp = next,
        }
        hashes.fetch_add(HASHES_PER_CHECK, Ordering::Relaxed);
    }
    None
}

fn show_progress(progress: &mut Progress, what: &str, tried: u64, work: u64, start: Instant) {
    let fraction = tried as f64 / work as f64;
    progress.show(Some(fraction), &describe(what, tried, work, start.elapsed()));
}

fn describe(what: &str, tried: u64, work: u64, elapsed: Duration) -> String {
    let rate = tried as f64 / elapsed.as_secs_f64().max(0.001);
    let estimate = match tried {
        0 => "starting".to_owned(),
        _ => format!("{rate:.0} a second: {}", describe_estimate(work, rate)),
    };
    format!("{what}: tried {tried} hashes of {work} expected, {estimate}")
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn task(anchor: u8, price: u64) -> Task {
        let stamp = Stamp { anchor: Hash::ZERO, work: 1, nonce: 0 };
        let operation = Operation::Commit { commitment: Hash([3; 32]), stamp };
        Task { operation, anchor: Hash([anchor; 32]), price }
    }

    #[test]
    fn a_worked_stamp_has_the_work() {
        let never = || -> Result<Option<Task>, Infallible> { Ok(None) };
        let found = solve_stamp(Ui::new(true), Network::Dev, task(7, 40), never).unwrap();
        assert_eq!((found.stamp().anchor, found.stamp().work), (Hash([7; 32]), 50));
        assert!(PowHasher::new(Network::Dev).has_stamp_work(&found));
    }

    /// The search goes on with what is fresh, or with what it had; an error ends it.
    #[test]
    fn the_task_is_refreshed_while_it_is_worked() {
        let round = Duration::from_millis(5);
        let mut answers = vec![Ok(Some(task(8, 1))), Ok(None), Ok(Some(task(7, u64::MAX)))];
        // On a slow machine an easy task takes several rounds, too.
        let refresh = || answers.pop().unwrap_or(Ok(None));
        let hard = task(6, u64::MAX);
        let found: Result<_, &str> =
            solve_in_rounds(Ui::new(true), Network::Dev, hard, round, refresh);
        assert_eq!((found.unwrap().stamp().anchor, answers.len()), (Hash([8; 32]), 0));
        let taken = || Err("the name is taken");
        let hard = task(6, u64::MAX);
        let ended = solve_in_rounds(Ui::new(true), Network::Dev, hard, round, taken);
        assert_eq!(ended.unwrap_err(), "the name is taken");
    }

    /// A round that finds nothing ends in its time, and the next one tries other nonces.
    #[test]
    fn rounds_do_not_repeat_themselves() {
        let mut search = Search::new(Network::Dev);
        let hard = Stamp { anchor: Hash::ZERO, work: u64::MAX, nonce: 0 };
        assert_eq!(search.run(&Hash::ZERO, hard, Duration::from_millis(20), |_| {}), None);
        let tried = search.tried;
        assert!(tried > 0 && search.rounds == 1);
        let easy = Stamp { work: 1, ..hard };
        let found = search.run(&Hash::ZERO, easy, Duration::from_secs(60), |_| {}).unwrap();
        assert_ne!(found.nonce % (u64::MAX / search.threads), 0, "not the first round's nonces");
        assert!(search.tried > tried && search.rounds == 2);
    }

    #[test]
    fn a_quarter_more() {
        assert_eq!([1, 4, 64, u64::MAX].map(with_margin), [2, 5, 80, u64::MAX]);
    }

    #[test]
    fn progress_in_words() {
        let second = Duration::from_secs(1);
        assert_eq!(
            describe("commit", 1_000, 100_000, second),
            "commit: tried 1000 hashes of 100000 expected, 1000 a second: about 100 s; half take over \
             70 s, one in twenty over 5 min"
        );
        assert_eq!(
            describe("commit", 0, 50, second),
            "commit: tried 0 hashes of 50 expected, starting"
        );
        assert!(describe_estimate(u64::MAX, 0.0).contains("h; half take over"));
    }
}
