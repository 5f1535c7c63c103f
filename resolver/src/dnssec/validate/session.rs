//! The validation of one answer, step by step.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::anchors::Anchors;
use super::answer::{Answer, Judged};
use super::budget::Work;
use super::chain::{Ask, Chain, ReplyCheck};
use super::rrset::Message;
use super::trust::{Known, Trust};
use super::verdict::{Fault, Stop, Verdict};
use crate::dns::ede::Ede;
use crate::dns::message::{Malformed, Packet};
use crate::dns::name::Name;
use crate::dns::rtype;

/// Trust anchors, and what was found out below them.
#[derive(Debug, Default)]
pub struct Validator {
    anchors: Anchors,
    known: Known,
    tally: Tally,
}

/// How many answers had which verdict, and what that took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Signed, and right.
    pub secure: u64,
    /// Not signed, as is proven.
    pub insecure: u64,
    /// Not what the zone has signed.
    pub bogus: u64,
    /// What it takes to find out could not be had.
    pub undecided: u64,
    /// Signatures checked.
    pub checks: u64,
    /// SHA-1 operations for NSEC3.
    pub hashes: u64,
    /// Questions asked for it.
    pub queries: u64,
    /// Names of which something is known now.
    pub known: u64,
}

#[derive(Debug, Default)]
struct Tally {
    verdicts: [AtomicU64; 4],
    work: [AtomicU64; 3],
}

impl Validator {
    /// One that trusts these, and knows nothing yet.
    pub fn new(anchors: Anchors) -> Self {
        Self { anchors, known: Known::default(), tally: Tally::default() }
    }

    /// Its trust anchors.
    pub fn anchors(&self) -> &Anchors {
        &self.anchors
    }

    /// What it has done so far.
    pub fn counts(&self) -> Counts {
        let [secure, insecure, bogus, undecided] =
            [0, 1, 2, 3].map(|at: usize| self.tally.verdicts[at].load(Ordering::Relaxed));
        let [checks, hashes, queries] =
            [0, 1, 2].map(|at: usize| self.tally.work[at].load(Ordering::Relaxed));
        let known = self.known.count() as u64;
        Counts { secure, insecure, bogus, undecided, checks, hashes, queries, known }
    }

    /// What it has found out.
    #[cfg(test)]
    pub(super) fn known(&self) -> &Known {
        &self.known
    }

    /// The question by whose answer one sees whether an upstream passes on what validation takes:
    /// for the keys of the topmost anchor. `None` if there is no anchor.
    pub fn probe(&self) -> Option<Ask> {
        self.anchors.topmost().map(|zone| (zone.clone(), rtype::DNSKEY))
    }

    /// What is wrong with the answer to [`Validator::probe`], if it does not validate by itself.
    ///
    /// # Errors
    /// That.
    pub fn passes(&self, message: &[u8], now: u64) -> Result<(), Ede> {
        // Of what is known already nothing is used: it may come from somebody else.
        let alone = Validator::new(self.anchors.clone());
        let other = |why: &str| Ede::new(Ede::OTHER, why);
        let mut session = Session::begin(message).map_err(|malformed| other(malformed.0))?;
        let Some(probe) = self.probe() else { return Err(other("there is no trust anchor")) };
        session.heard(probe, Ok(message));
        match session.step(&alone, now) {
            Step::Done(Judged { verdict: Verdict::Secure, .. }) => Ok(()),
            Step::Done(Judged {
                verdict: Verdict::Bogus(ede) | Verdict::Undecided(ede), ..
            }) => Err(ede),
            _ => Err(other("its keys could not be checked")),
        }
    }

    fn count(&self, verdict: &Verdict, work: &Work) {
        let at = match verdict {
            Verdict::Secure => 0,
            Verdict::Insecure(_) => 1,
            Verdict::Bogus(_) => 2,
            Verdict::Undecided(_) => 3,
        };
        self.tally.verdicts[at].fetch_add(1, Ordering::Relaxed);
        for (at, spent) in [work.checks, work.hashes, work.queries].into_iter().enumerate() {
            self.tally.work[at].fetch_add(spent.into(), Ordering::Relaxed);
        }
    }
}

/// The validation of one answer.
#[derive(Debug)]
pub struct Session {
    name: Name,
    rtype: u16,
    message: Message,
    heard: HashMap<Ask, ReplyCheck>,
    own: HashMap<Name, Trust>,
    work: Work,
}

/// How far a session has come.
#[derive(Debug)]
pub enum Step {
    /// These have to be asked, with RD, DO and CD, and told by [`Session::heard`].
    Ask(Vec<Ask>),
    /// That is what the answer is.
    Done(Judged),
}

impl Session {
    /// Begins with a message that answers its question.
    ///
    /// # Errors
    /// [`Malformed`]
    pub fn begin(message: &[u8]) -> Result<Self, Malformed> {
        let packet = Packet::parse(message)?;
        Ok(Self {
            name: Name::of(packet.question()),
            rtype: packet.qtype(),
            message: Message::read(message)?,
            heard: HashMap::new(),
            own: HashMap::new(),
            work: Work::default(),
        })
    }

    /// Tells it what came of a question: a message, or why there is none.
    pub fn heard(&mut self, ask: Ask, message: Result<&[u8], Ede>) {
        let heard = match message.map(Message::read) {
            Ok(Ok(message)) => ReplyCheck::Message(Arc::new(message)),
            Ok(Err(malformed)) => ReplyCheck::Nothing(Ede::new(Ede::OTHER, malformed.0)),
            Err(ede) => ReplyCheck::Nothing(ede),
        };
        self.heard.insert(ask, heard);
    }

    /// What was spent so far.
    pub fn work(&self) -> Work {
        self.work
    }

    /// Goes on as far as it gets at a time in Unix seconds.
    pub fn step(&mut self, validator: &Validator, now: u64) -> Step {
        let mut chain = Chain {
            anchors: &validator.anchors,
            known: &validator.known,
            heard: &self.heard,
            own: &mut self.own,
            needs: Vec::new(),
            work: &mut self.work,
            now,
        };
        let answer = Answer { name: &self.name, rtype: self.rtype, message: &self.message };
        let judged = match answer.judge(&mut chain) {
            Ok(judged) => judged,
            Err(Stop::Bogus(fault)) => Judged::of(Verdict::Bogus(fault.ede())),
            Err(Stop::Undecided(ede)) => Judged::of(Verdict::Undecided(ede)),
            Err(Stop::Need) => {
                let needs = std::mem::take(&mut chain.needs);
                match self.asks(needs) {
                    Ok(asks) => return Step::Ask(asks),
                    Err(fault) => Judged::of(Verdict::Bogus(fault.ede())),
                }
            }
        };
        validator.count(&judged.verdict, &self.work);
        Step::Done(judged)
    }

    /// What of this is still to be asked.
    fn asks(&mut self, needs: Vec<Ask>) -> Result<Vec<Ask>, Fault> {
        let mut asks: Vec<Ask> = Vec::new();
        for need in needs {
            if !asks.contains(&need) && !self.heard.contains_key(&need) {
                self.work.query()?;
                asks.push(need);
            }
        }
        if asks.is_empty() {
            // It asks for nothing that it was told, so this can't be; were it so, it must not go
            // round for ever.
            return Err(Fault::bogus("the validation does not get on"));
        }
        Ok(asks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::message::{Section, rcode};
    use crate::dns::testing::{Build, name, question};

    /// The verdict where nobody says anything more.
    fn alone(message: &[u8]) -> Verdict {
        let validator = Validator::new(Anchors::default());
        let mut session = Session::begin(message).unwrap();
        loop {
            match session.step(&validator, 1_700_000_000) {
                Step::Done(judged) => return judged.verdict,
                Step::Ask(asks) => {
                    asks.into_iter()
                        .for_each(|ask| session.heard(ask, Err(Ede::new(Ede::OTHER, "nobody"))));
                }
            }
        }
    }

    /// Found by fuzzing: YXDOMAIN was believed without the DNAME that makes a name too long, and so
    /// without a signature.
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
                        alone(&message.done()),
                        Verdict::Secure,
                        "rcode {code} type {qtype}"
                    );
                }
            }
        }
    }
}
