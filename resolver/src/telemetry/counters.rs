//! Counters of answers. Their number is fixed, whatever clients ask for.

use std::{
    array,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use super::labels::{Origin, Outcome};
use crate::dns::query::Transport;

const TRANSPORTS: usize = Transport::ALL.len();
const ORIGINS: usize = Origin::ALL.len();
const OUTCOMES: usize = Outcome::ALL.len();

/// Upper bounds of the latency histogram's buckets, in microseconds.
pub const LATENCY_BOUNDS_US: [u64; 12] = [
    100, 500, 1_000, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 4_000_000,
];
/// The routes that have a latency histogram each.
const ROUTES: [&str; 4] = ["none", "special", "chain", "legacy"];

/// Counters of answers. One thread writes, others may read; no locks.
#[derive(Debug)]
pub struct Counters {
    answers: [[[AtomicU64; OUTCOMES]; ORIGINS]; TRANSPORTS],
    latencies: [Buckets; ROUTES.len()],
}

#[derive(Debug)]
struct Buckets {
    counts: [AtomicU64; LATENCY_BOUNDS_US.len() + 1],
    micros: AtomicU64,
}

/// The latency histogram of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latencies {
    /// The number of answers in each bucket of [`LATENCY_BOUNDS_US`], and in the last one those
    /// above all bounds.
    pub counts: [u64; LATENCY_BOUNDS_US.len() + 1],
    /// The sum of all latencies, in microseconds.
    pub micros: u64,
}

fn zero() -> AtomicU64 {
    AtomicU64::new(0)
}

impl Default for Buckets {
    fn default() -> Self {
        Buckets { counts: array::from_fn(|_| zero()), micros: zero() }
    }
}

impl Default for Counters {
    fn default() -> Self {
        Counters {
            answers: array::from_fn(|_| array::from_fn(|_| array::from_fn(|_| zero()))),
            latencies: array::from_fn(|_| Buckets::default()),
        }
    }
}

impl Counters {
    /// Counts one answer.
    pub fn count(&self, transport: Transport, origin: Origin, outcome: Outcome) {
        self.answers[transport as usize][origin as usize][outcome as usize].fetch_add(1, Relaxed);
    }

    /// Adds the latency of an answer that was not served from cached bytes.
    pub fn record_latency(&self, origin: Origin, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let route = ROUTES.iter().position(|route| *route == origin.route()).unwrap_or_default();
        let at = LATENCY_BOUNDS_US
            .iter()
            .position(|bound| micros <= *bound)
            .unwrap_or(LATENCY_BOUNDS_US.len());
        self.latencies[route].counts[at].fetch_add(1, Relaxed);
        self.latencies[route].micros.fetch_add(micros, Relaxed);
    }

    /// Adds another set of counters to this one.
    pub fn add(&self, other: &Counters) {
        let add = |sum: &AtomicU64, more: &AtomicU64| sum.fetch_add(more.load(Relaxed), Relaxed);
        for (ours, theirs) in
            self.answers.iter().flatten().flatten().zip(other.answers.iter().flatten().flatten())
        {
            add(ours, theirs);
        }
        for (ours, theirs) in self.latencies.iter().zip(&other.latencies) {
            for (ours, theirs) in ours.counts.iter().zip(&theirs.counts) {
                add(ours, theirs);
            }
            add(&ours.micros, &theirs.micros);
        }
    }

    /// All counters that are not zero.
    pub fn counts(&self) -> impl Iterator<Item = (Transport, Origin, Outcome, u64)> + '_ {
        Transport::ALL
            .into_iter()
            .flat_map(move |transport| {
                Origin::ALL.into_iter().flat_map(move |origin| {
                    Outcome::ALL.into_iter().map(move |(outcome, _)| {
                        let count =
                            &self.answers[transport as usize][origin as usize][outcome as usize];
                        (transport, origin, outcome, count.load(Relaxed))
                    })
                })
            })
            .filter(|(.., count)| *count > 0)
    }

    /// The latency histogram of a route, by its label.
    pub fn latencies(&self, route: &str) -> Latencies {
        let at = ROUTES.iter().position(|known| *known == route).unwrap_or_default();
        let buckets = &self.latencies[at];
        Latencies {
            counts: array::from_fn(|at| buckets.counts[at].load(Relaxed)),
            micros: buckets.micros.load(Relaxed),
        }
    }
}
