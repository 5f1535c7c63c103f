//! The validation of one answer, step by step.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::anchors::Anchors;
use super::answer::{AnswerCheck, Validated};
use super::budget::Work;
use super::chain::{Chain, RecordQuery, Reply};
use super::rrset::Message;
use super::trust::{KeyCache, Trust};
use super::verdict::{Fault, Stop, Verdict};
use crate::dns::ede::Ede;
use crate::dns::message::{Malformed, Packet};
use crate::dns::name::Name;
use crate::dns::rtype;

/// Trust anchors, and a cache of the keys below them.
#[derive(Debug, Default)]
pub struct Validator {
    anchors: Anchors,
    known: KeyCache,
    stats: AtomicStats,
}

/// Answers by verdict, and the work that validation took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ValidatorStats {
    /// Secure.
    pub secure: u64,
    /// Insecure: proven to be unsigned.
    pub insecure: u64,
    /// Bogus.
    pub bogus: u64,
    /// Indeterminate: records that validation needs could not be obtained.
    pub indeterminate: u64,
    /// Signatures verified.
    pub checks: u64,
    /// SHA-1 operations for NSEC3.
    pub hashes: u64,
    /// Queries sent for validation.
    pub queries: u64,
    /// Names in the key cache now.
    pub known: u64,
}

#[derive(Debug, Default)]
struct AtomicStats {
    verdicts: [AtomicU64; 4],
    work: [AtomicU64; 3],
}

impl Validator {
    /// A validator with these anchors and an empty cache.
    pub fn new(anchors: Anchors) -> Self {
        Self { anchors, known: KeyCache::default(), stats: AtomicStats::default() }
    }

    /// The statistics so far.
    pub fn stats(&self) -> ValidatorStats {
        let [secure, insecure, bogus, indeterminate] =
            [0, 1, 2, 3].map(|at: usize| self.stats.verdicts[at].load(Ordering::Relaxed));
        let [checks, hashes, queries] =
            [0, 1, 2].map(|at: usize| self.stats.work[at].load(Ordering::Relaxed));
        let known = self.known.len() as u64;
        ValidatorStats { secure, insecure, bogus, indeterminate, checks, hashes, queries, known }
    }

    /// The key cache.
    #[cfg(test)]
    pub(super) fn known(&self) -> &KeyCache {
        &self.known
    }

    /// Removes zones that are cached as bogus from the key cache, so that they are validated again.
    pub fn forget_bogus(&self, zones: &[Name]) {
        self.known.forget_bogus(zones);
    }

    /// Removes everything from the key cache.
    pub fn flush(&self) {
        self.known.flush();
    }

    /// The query that tests whether an upstream passes on DNSSEC records: the DNSKEY RRset of the
    /// topmost anchor. `None` if there is no anchor.
    pub fn probe_query(&self) -> Option<RecordQuery> {
        self.anchors.topmost().map(|zone| (zone.clone(), rtype::DNSKEY))
    }

    /// Checks whether the reply to [`Validator::probe_query`] validates by itself.
    ///
    /// # Errors
    /// The extended error that says why not.
    pub fn check_probe_reply(&self, message: &[u8], now: u64) -> Result<(), Ede> {
        // The cache is not used: its entries may come from another upstream.
        let verdict_without_replies = Validator::new(self.anchors.clone());
        let other = |why: &str| Ede::new(Ede::OTHER, why);
        let mut session =
            ValidationSession::new(message).map_err(|malformed| other(malformed.0))?;
        let Some(probe) = self.probe_query() else { return Err(other("there is no trust anchor")) };
        session.add_reply(probe, Ok(message));
        match session.step(&verdict_without_replies, now) {
            Progress::Done(Validated { verdict: Verdict::Secure, .. }) => Ok(()),
            Progress::Done(Validated {
                verdict: Verdict::Bogus(ede) | Verdict::Indeterminate(ede),
                ..
            }) => Err(ede),
            _ => Err(other("the keys of the trust anchor can't be verified")),
        }
    }

    fn count(&self, verdict: &Verdict, work: &Work) {
        let at = match verdict {
            Verdict::Secure => 0,
            Verdict::Insecure(_) => 1,
            Verdict::Bogus(_) => 2,
            Verdict::Indeterminate(_) => 3,
        };
        self.stats.verdicts[at].fetch_add(1, Ordering::Relaxed);
        for (at, spent) in [work.checks, work.hashes, work.queries].into_iter().enumerate() {
            self.stats.work[at].fetch_add(spent.into(), Ordering::Relaxed);
        }
    }
}

/// The validation of one answer.
#[derive(Debug)]
pub struct ValidationSession {
    name: Name,
    rtype: u16,
    message: Message,
    replies: HashMap<RecordQuery, Reply>,
    own: HashMap<Name, Trust>,
    work: Work,
    /// The verdict depends on a zone that was cached as bogus, or a limit was reached.
    is_settled: bool,
}

/// The progress of a session.
#[derive(Debug)]
pub enum Progress {
    /// These queries have to be sent, with RD, DO and CD, and their results passed to
    /// [`ValidationSession::add_reply`].
    Query(Vec<RecordQuery>),
    /// The answer is validated.
    Done(Validated),
}

impl ValidationSession {
    /// Starts with a message that answers its question.
    ///
    /// # Errors
    /// [`Malformed`]
    pub fn new(message: &[u8]) -> Result<Self, Malformed> {
        let packet = Packet::parse(message)?;
        Ok(Self {
            name: Name::of(packet.question()),
            rtype: packet.qtype(),
            message: Message::read(message)?,
            replies: HashMap::new(),
            own: HashMap::new(),
            work: Work::default(),
            is_settled: false,
        })
    }

    /// Adds the result of a query: a message, or why there is none.
    pub fn add_reply(&mut self, ask: RecordQuery, message: Result<&[u8], Ede>) {
        let reply = match message.map(Message::read) {
            Ok(Ok(message)) => Reply::Message(Arc::new(message)),
            Ok(Err(malformed)) => Reply::Nothing(Ede::new(Ede::OTHER, malformed.0)),
            Err(ede) => Reply::Nothing(ede),
        };
        self.replies.insert(ask, reply);
    }

    /// The work spent so far.
    pub fn work(&self) -> Work {
        self.work
    }

    /// The queries whose results were used.
    pub fn used_replies(&self) -> impl Iterator<Item = &RecordQuery> {
        self.replies.keys()
    }

    /// The zones that were found bogus.
    pub fn bogus_zones(&self) -> Vec<Name> {
        let bogus = self.own.iter().filter(|(_, trust)| matches!(trust, Trust::Bogus(_)));
        bogus.map(|(name, _)| name.clone()).collect()
    }

    /// Whether another upstream's records may change a bogus verdict. Not if it was cached that a
    /// zone is bogus (the failure is kept for a while), nor if a limit was reached (others would
    /// cost as much).
    pub fn may_differ_elsewhere(&self) -> bool {
        !self.is_settled
    }

    /// Continues as far as possible, at a time in Unix seconds.
    pub fn step(&mut self, validator: &Validator, now: u64) -> Progress {
        let mut chain = Chain {
            anchors: &validator.anchors,
            known: &validator.known,
            replies: &self.replies,
            own: &mut self.own,
            needs: Vec::new(),
            work: &mut self.work,
            recalled_bogus: false,
            now,
        };
        let answer = AnswerCheck { name: &self.name, rtype: self.rtype, message: &self.message };
        let result = answer.validate(&mut chain);
        self.is_settled |= chain.recalled_bogus;
        let validated = match result {
            Ok(validated) => validated,
            Err(Stop::Bogus(fault)) => {
                self.is_settled |= fault.exhausted;
                Validated::from_verdict(Verdict::Bogus(fault.ede()))
            }
            Err(Stop::Indeterminate(ede)) => Validated::from_verdict(Verdict::Indeterminate(ede)),
            Err(Stop::NeedsRecords) => {
                let needs = std::mem::take(&mut chain.needs);
                match self.pending_queries(needs) {
                    Ok(asks) => return Progress::Query(asks),
                    Err(fault) => {
                        self.is_settled |= fault.exhausted;
                        Validated::from_verdict(Verdict::Bogus(fault.ede()))
                    }
                }
            }
        };
        validator.count(&validated.verdict, &self.work);
        Progress::Done(validated)
    }

    /// The needed queries without a result.
    fn pending_queries(&mut self, needs: Vec<RecordQuery>) -> Result<Vec<RecordQuery>, Fault> {
        let mut asks: Vec<RecordQuery> = Vec::new();
        for need in needs {
            if !asks.contains(&need) && !self.replies.contains_key(&need) {
                self.work.count_query()?;
                asks.push(need);
            }
        }
        if asks.is_empty() {
            // Only missing results are requested, so this can't happen; if it did, the session must
            // not loop.
            return Err(Fault::bogus("validation makes no progress"));
        }
        Ok(asks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::message::{Section, rcode};
    use crate::dns::testing::{Build, name, question};

    /// The verdict without any further replies.
    fn verdict_without_replies(message: &[u8]) -> Verdict {
        let validator = Validator::new(Anchors::default());
        let mut session = ValidationSession::new(message).unwrap();
        loop {
            match session.step(&validator, 1_700_000_000) {
                Progress::Done(validated) => return validated.verdict,
                Progress::Query(asks) => {
                    asks.into_iter().for_each(|ask| {
                        session.add_reply(ask, Err(Ede::new(Ede::OTHER, "nobody")))
                    });
                }
            }
        }
    }

    /// Found by fuzzing: YXDOMAIN was accepted without the DNAME that makes the name too long, and
    /// so without a signature.
    #[test]
    fn nothing_is_secure_without_a_signature() {
        for code in [rcode::NOERROR, rcode::NXDOMAIN, rcode::YXDOMAIN] {
            for qtype in [1, 2, 5, 43, 46, 48, 255] {
                let empty = || Build::answer(&question("x.example.com", qtype)).rcode(code);
                let dname = name("example.com");
                let target = name("example.org");
                for message in [
                    empty(),
                    empty().soa("example.com", 300, 60),
                    empty().record(Section::Answer, &dname, 39, 300, &target),
                ] {
                    assert_ne!(
                        verdict_without_replies(&message.done()),
                        Verdict::Secure,
                        "rcode {code} type {qtype}"
                    );
                }
            }
        }
    }
}
