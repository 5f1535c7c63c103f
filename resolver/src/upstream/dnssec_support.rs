//! What is known of the upstreams: whether they pass on what validation takes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::inflight::InFlight;
use super::policy::ValidationPolicy;
use super::target::Target;
use super::zones::ZoneTargets;
use crate::dnssec::validate::{Anchors, Validator};

/// An upstream that did not pass is tried again after this time: it may be another one by now.
const PROBE_AGAIN: Duration = Duration::from_secs(600);
/// One that did not answer the probe is tried again after this time.
const PROBE_SOON: Duration = Duration::from_secs(10);
/// Upstreams of which it is remembered what they pass on: as many as there can be.
const MAX_KNOWN: usize = 4_352;

/// How a question is asked at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirstTryMode {
    /// As if there were no DNSSEC.
    Unvalidated,
    /// One of these, and what it says is validated.
    Validated(Vec<Target>),
    /// Not at all: first it has to be found out who passes DNSSEC on.
    Undetermined,
}

/// What is known of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamDnssec {
    /// Nothing yet: it was not asked, or did not answer.
    Unknown,
    /// It passes on what validation takes. From then on all of its answers have to validate.
    Validates,
    /// It does not; and what was wrong with what it gave.
    Strips(String),
}

#[derive(Debug, Clone)]
struct ProbeState {
    state: UpstreamDnssec,
    /// When it is tried again; `None` while it is.
    again: Option<Duration>,
    /// Whether that is what it is like, and not what a moment was like.
    sure: bool,
}

/// Validation, and what it knows of the upstreams.
#[derive(Debug)]
pub struct DnssecSupport {
    pub validator: Validator,
    pub fetches: Arc<InFlight>,
    seen: Mutex<HashMap<Target, ProbeState>>,
    /// Changes whenever something is learned of an upstream.
    pub news: watch::Sender<()>,
}

impl DnssecSupport {
    /// Nothing is known of anybody yet. `limit`: how many questions of its own may be under way.
    pub fn new(anchors: Anchors, limit: usize) -> Self {
        Self {
            validator: Validator::new(anchors),
            fetches: InFlight::new(limit),
            seen: Mutex::default(),
            news: watch::Sender::new(()),
        }
    }

    /// What is known of an upstream.
    pub fn state(&self, target: &Target) -> UpstreamDnssec {
        self.lock().get(target).map_or(UpstreamDnssec::Unknown, |seen| seen.state.clone())
    }

    /// Whether it was found out what an upstream passes on, or need not be.
    pub fn is_sure(&self, target: &Target) -> bool {
        target.is_recursive() || self.lock().get(target).is_some_and(|seen| seen.sure)
    }

    /// How a question in this zone is asked by who does not wait for probes, and makes none.
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
            |target: &&Target| matches!(seen(target), Some((UpstreamDnssec::Validates, _)));
        let due = |target: &Target| match seen(target) {
            None => true,
            Some((UpstreamDnssec::Validates, _)) => false,
            Some((_, again)) => again.is_some_and(|again| again <= now),
        };
        let passing: Vec<Target> = targets().filter(passed).cloned().collect();
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

    /// Whether this upstream is to be probed now by whoever asks; and whether nothing was learned
    /// of it so far.
    pub fn take_probe(&self, target: &Target, now: Duration) -> bool {
        let mut all = self.lock();
        if let Some(seen) = all.get_mut(target) {
            let due = seen.state != UpstreamDnssec::Validates
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

    /// Those that pass DNSSEC on, the others, and whether one of those is probed for the first time
    /// right now.
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
            targets.iter().cloned().partition(|target| is(target, &UpstreamDnssec::Validates));
        (passing, others, waiting)
    }

    pub fn record_support(
        &self,
        target: &Target,
        state: UpstreamDnssec,
        sure: bool,
        now: Duration,
    ) {
        let again = Some(now + if sure { PROBE_AGAIN } else { PROBE_SOON });
        let before =
            self.lock().insert(target.clone(), ProbeState { state: state.clone(), again, sure });
        if before.as_ref().map(|seen| &seen.state) != Some(&state) {
            match &state {
                UpstreamDnssec::Validates => {
                    tracing::info!(
                        "the upstream {target} passes on DNSSEC: its answers are validated from now on"
                    );
                }
                UpstreamDnssec::Strips(why) => {
                    tracing::warn!(
                        "the upstream {target} does not pass on DNSSEC: its answers are taken as they are ({why})"
                    );
                }
                UpstreamDnssec::Unknown => {}
            }
        }
        self.news.send_replace(());
    }
}
