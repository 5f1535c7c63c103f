//! Which upstreams pass on the DNSSEC records that validation needs.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use smallvec::SmallVec;
use tokio::sync::watch;

use super::inflight::InFlight;
use super::policy::ValidationPolicy;
use super::target::Target;
use super::unvalidated::Unvalidated;
use super::zones::ZoneTargets;
use crate::dnssec::validate::{Anchors, Validator};

/// An upstream that does not support DNSSEC is probed again after this time: it may have changed.
const PROBE_INTERVAL: Duration = Duration::from_secs(600);
/// An upstream that did not answer the probe is probed again after this time.
const PROBE_RETRY_INTERVAL: Duration = Duration::from_secs(10);
/// The most upstreams whose DNSSEC support is remembered: as many as a configuration can have.
const MAX_KNOWN: usize = 4_352;

/// How a query may be sent without waiting for a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirstTryMode {
    /// Without DNSSEC.
    Unvalidated,
    /// To one of these; the answer is validated.
    Validated(SmallVec<[Target; 4]>),
    /// Not yet: the upstreams have to be probed first.
    Undetermined,
}

/// Whether an upstream supports DNSSEC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamDnssec {
    /// Not known: it was not probed, or did not answer the probe.
    Unknown,
    /// It passes DNSSEC records on. From then on all of its answers have to validate.
    Supported,
    /// It does not. The text says what was wrong with its answer.
    Unsupported(String),
}

#[derive(Debug, Clone)]
struct ProbeState {
    state: UpstreamDnssec,
    /// When it is probed again; `None` while a probe is in flight.
    again: Option<Duration>,
    /// Whether the result is lasting. A wrong clock, for example, is not.
    sure: bool,
}

/// The validator, and what is known of the upstreams.
#[derive(Debug)]
pub struct DnssecSupport {
    pub validator: Validator,
    pub fetches: Arc<InFlight>,
    /// Answers that were taken without validation.
    pub unvalidated: Unvalidated,
    /// Whether the upstreams that support DNSSEC do not reply, which was logged.
    pub is_falling_back: AtomicBool,
    seen: Mutex<HashMap<Target, ProbeState>>,
    /// Notified whenever the support of an upstream becomes known.
    pub news: watch::Sender<()>,
}

impl DnssecSupport {
    /// Nothing is known of any upstream yet. `limit`: the most validation queries in flight.
    pub fn new(anchors: Anchors, limit: usize) -> Self {
        Self {
            validator: Validator::new(anchors),
            fetches: InFlight::new(limit),
            unvalidated: Unvalidated::default(),
            is_falling_back: AtomicBool::new(false),
            seen: Mutex::default(),
            news: watch::Sender::new(()),
        }
    }

    /// The support of an upstream.
    pub fn state(&self, target: &Target) -> UpstreamDnssec {
        self.lock().get(target).map_or(UpstreamDnssec::Unknown, |seen| seen.state.clone())
    }

    /// Whether the support of an upstream is known for good, or does not matter.
    pub fn is_sure(&self, target: &Target) -> bool {
        target.is_recursive() || self.lock().get(target).is_some_and(|seen| seen.sure)
    }

    /// How a query in this zone can be sent by a caller that neither waits for probes nor sends
    /// any.
    pub fn first_try_mode(&self, zone: &ZoneTargets, now: Duration) -> FirstTryMode {
        let all = self.lock();
        let targets = || zone.targets().iter().filter(|target| !target.is_recursive());
        match zone.policy() {
            ValidationPolicy::None => return FirstTryMode::Unvalidated,
            ValidationPolicy::Always => {
                return FirstTryMode::Validated(targets().cloned().collect());
            }
            ValidationPolicy::IfSupported => {}
        }
        let seen = |target: &Target| all.get(target).map(|seen| (&seen.state, seen.again));
        let passed =
            |target: &&Target| matches!(seen(target), Some((UpstreamDnssec::Supported, _)));
        let due = |target: &Target| match seen(target) {
            None => true,
            Some((UpstreamDnssec::Supported, _)) => false,
            Some((_, again)) => again.is_some_and(|again| again <= now),
        };
        let passing: SmallVec<[Target; 4]> = targets().filter(passed).cloned().collect();
        let unknown = |target: &Target| all.get(target).is_some_and(|seen| !seen.sure);
        if targets().any(due) || (passing.is_empty() && targets().any(unknown)) {
            FirstTryMode::Undetermined
        } else if passing.is_empty() {
            FirstTryMode::Unvalidated
        } else {
            FirstTryMode::Validated(passing)
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Target, ProbeState>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claims the probe of this upstream if it is due: the caller has to send it.
    pub fn take_probe(&self, target: &Target, now: Duration) -> bool {
        let mut all = self.lock();
        if let Some(seen) = all.get_mut(target) {
            let due = seen.state != UpstreamDnssec::Supported
                && seen.again.is_some_and(|again| again <= now);
            if due {
                seen.again = None;
            }
            return due;
        }
        if all.len() >= MAX_KNOWN {
            return false;
        }
        all.insert(
            target.clone(),
            ProbeState { state: UpstreamDnssec::Unknown, again: None, sure: false },
        );
        true
    }

    /// The upstreams that support DNSSEC, the others, and whether one of the others is being probed
    /// for the first time.
    pub fn partition(&self, targets: &[Target]) -> (Vec<Target>, Vec<Target>, bool) {
        let all = self.lock();
        let is = |target: &Target, state: &UpstreamDnssec| {
            all.get(target).is_some_and(|seen| seen.state == *state)
        };
        let waiting = targets.iter().any(|target| {
            all.get(target)
                .is_some_and(|seen| seen.state == UpstreamDnssec::Unknown && seen.again.is_none())
        });
        let (passing, others) =
            targets.iter().cloned().partition(|target| is(target, &UpstreamDnssec::Supported));
        (passing, others, waiting)
    }

    pub fn record_support(
        &self,
        target: &Target,
        state: UpstreamDnssec,
        sure: bool,
        now: Duration,
    ) {
        let again = Some(now + if sure { PROBE_INTERVAL } else { PROBE_RETRY_INTERVAL });
        let before =
            self.lock().insert(target.clone(), ProbeState { state: state.clone(), again, sure });
        if before.as_ref().map(|seen| &seen.state) != Some(&state) {
            match &state {
                UpstreamDnssec::Supported => {
                    tracing::info!(
                        "the upstream {target} supports DNSSEC: its answers are validated from now on"
                    );
                }
                UpstreamDnssec::Unsupported(why) => {
                    tracing::warn!(
                        "the upstream {target} does not support DNSSEC: its answers are not validated ({why})"
                    );
                }
                UpstreamDnssec::Unknown => {}
            }
        }
        self.news.send_replace(());
    }
}
