//! Builds an answer from its steps.

use hickory_proto::{op::ResponseCode, rr::Record};

use super::{answer::Answer, step::is_proof};
use crate::{chain::validity::Dependency, dns::ede::Ede, telemetry::Origin};

/// The answer so far.
#[derive(Debug)]
pub(super) struct AnswerBuilder {
    answers: Vec<Record>,
    proofs: Vec<Record>,
    authoritative: Option<bool>,
    authentic: bool,
    signed: u32,
    has_foreign: bool,
    dependencies: Option<Vec<Dependency>>,
    origin: Option<Origin>,
}

impl Default for AnswerBuilder {
    fn default() -> Self {
        Self {
            answers: Vec::new(),
            proofs: Vec::new(),
            authoritative: None,
            authentic: true,
            signed: 0,
            has_foreign: false,
            dependencies: Some(Vec::new()),
            origin: None,
        }
    }
}

impl AnswerBuilder {
    /// Adds a dependency of the answer; `None`: on something that is not tracked, so the answer
    /// can't be cached.
    pub fn depend_on(&mut self, dependency: Option<Dependency>) {
        match (self.dependencies.as_mut(), dependency) {
            (Some(dependencies), Some(dependency)) => dependencies.push(dependency),
            _ => self.dependencies = None,
        }
    }

    /// Combines the properties of a step. The origin is that of the QNAME, not of its aliases'
    /// targets. AA refers to the first owner (RFC 1035 §4.1.1), AD to everything.
    pub fn observe(&mut self, step: &Answer, by_route: Origin) {
        self.origin.get_or_insert(match step.origin {
            Origin::Refused => by_route,
            other => other,
        });
        // The resolver is authoritative for names of the chain and special-use names.
        self.has_foreign |= !step.authoritative;
        self.authoritative.get_or_insert(step.authoritative);
        self.authentic &= step.authentic;
        self.signed = self.signed.max(step.signed);
    }

    /// Whether sources other than the chain contributed.
    pub fn has_foreign(&self) -> bool {
        self.has_foreign
    }

    /// Adds a part of the answer that leads to another name, with its proofs.
    pub fn add_alias(&mut self, step: Answer) {
        self.answers.extend(step.answers);
        self.proofs.extend(step.authorities.into_iter().filter(is_proof));
    }

    /// The answer that says why it is withheld.
    pub fn withhold(self, ede: Ede) -> Answer {
        let origin = self.origin.unwrap_or_default();
        Answer { ede: vec![ede], dependencies: self.dependencies, origin, ..Answer::default() }
    }

    /// The complete answer, with its last part. If that is a failure, the answer is only the
    /// failure.
    pub fn finish(mut self, last: Answer) -> Answer {
        let origin = self.origin.unwrap_or_default();
        if last.rcode == ResponseCode::ServFail {
            return Answer { answers: Vec::new(), origin, ..last };
        }
        self.answers.extend(last.answers);
        self.proofs.extend(last.authorities);
        Answer {
            authoritative: self.authoritative.unwrap_or_default(),
            authentic: self.authentic,
            signed: self.signed,
            answers: self.answers,
            authorities: self.proofs,
            dependencies: self.dependencies,
            origin,
            ..last
        }
    }
}
