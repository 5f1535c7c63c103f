//! The first try at a plain-DNS upstream, for whoever owns sockets of its own and sends many
//! queries at a time.
//!
//! The three steps are [`Legacy::plain_try`], which makes the bytes to send;
//! [`Legacy::plain_reply`], which judges what comes back as every other reply is judged and keeps
//! it; and [`Legacy::plain_failed`]. Whatever is not a whole, good answer goes the long way
//! ([`Legacy::resolve`]), where the other upstreams, TCP and the rest of the tries are.
//!
//! Of two tries with one [`PlainTry::key`] the second has to wait for the first: were both sent,
//! two resolvers that ask each other would do nothing else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::loop_detect;
use super::select::Won;
use super::transport::query::{Asking, Heard, Manners, QUERY_RANDOM, Query};
use super::validate::{Plain, finished, proving};
use super::{Legacy, is_pseudo_type};
use crate::cache::{Answer, Key, Scope, lifetime};
use crate::dns::message::{Packet, Section, rcode, rtype, u16_at};

/// How many random bytes a [`PlainTry`] takes. They decide its id and the case of its name: from
/// the system's generator or one that is seeded from it and can't be predicted.
pub const PLAIN_RANDOM: usize = QUERY_RANDOM;

/// A query to one plain-DNS upstream, ready to send over UDP.
#[derive(Debug)]
pub struct PlainTry {
    server: SocketAddr,
    query: Query,
    key: Key,
    manners: Manners,
    /// Whether the answer is validated, or given to a client that does so; and whether that one
    /// wants what it takes.
    validates: bool,
    asking: Asking,
}

impl PlainTry {
    /// Whom to send it to.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// The bytes to send.
    pub fn bytes(&self) -> &[u8] {
        self.query.bytes()
    }

    /// The id, by which the reply is found among those of other queries on one socket.
    pub fn id(&self) -> u16 {
        self.query.id()
    }

    /// Under what the answer is kept.
    pub fn key(&self) -> &Key {
        &self.key
    }
}

/// What a datagram means for a [`PlainTry`].
#[derive(Debug)]
pub enum PlainReply {
    /// Nothing to do with the query, or a forgery: go on waiting.
    Stray,
    /// The answer. It is kept already, if it may be.
    Answer {
        /// As it is kept.
        answer: Arc<Answer>,
        /// Whether there is a CNAME or DNAME in it: then it is the pipeline that says whether its
        /// target is believed.
        alias: bool,
    },
    /// It is for the long way to say: truncated, another case, a refusal, broken.
    Other,
}

impl Legacy {
    /// The plain-DNS upstream that would be asked first now for a name (in wire form, any case).
    /// `None` if there is none, if the one that would be asked first speaks something else, if the
    /// name is in a zone with upstreams of its own, or if nobody has found out yet whether the
    /// upstreams pass DNSSEC on.
    pub fn plain_upstream(&self, name: &[u8]) -> Option<SocketAddr> {
        self.plain_target(name).map(|(server, _)| server)
    }

    /// As [`Legacy::plain_upstream`], and whether what it says is validated.
    fn plain_target(&self, name: &[u8]) -> Option<(SocketAddr, bool)> {
        let zone = self.desk.zones.of(name);
        match self.desk.validation.plain(zone, self.now()) {
            _ if !zone.is_rest() => None,
            Plain::Later => None,
            Plain::AsItIs => {
                self.desk.race.fastest(zone.targets())?.plain().map(|server| (server, false))
            }
            Plain::Validated(passing) => {
                self.desk.race.fastest(&passing)?.plain().map(|server| (server, true))
            }
        }
    }

    /// How long to wait for an upstream before somebody else is asked.
    pub fn plain_patience(&self, server: SocketAddr) -> Duration {
        self.desk.race.patience(&server.into())
    }

    /// The query for a question (QNAME without compression, QTYPE, QCLASS, in any case) to the
    /// upstream that would be asked first. `None` if that is for [`Legacy::resolve`] to do.
    pub fn plain_try(
        &self,
        question: &[u8],
        dnssec_ok: bool,
        checking_disabled: bool,
        random: &[u8; PLAIN_RANDOM],
    ) -> Option<PlainTry> {
        let qtype = u16_at(question, question.len().checked_sub(4)?).ok()?;
        if is_pseudo_type(qtype) || loop_detect::token(question).is_some() {
            return None;
        }
        let (server, validates) = self.plain_target(question)?;
        let manners = self.desk.race.manners(&server.into());
        let asking = Asking { recursive: true, dnssec_ok, checking_disabled };
        let asked = if validates { proving(asking) } else { asking };
        Some(PlainTry {
            server,
            validates,
            asking,
            query: Query::new(question, asked, manners, server.ip().is_loopback(), random),
            key: Key::new(question, dnssec_ok, checking_disabled, Scope::Upstreams),
            manners,
        })
    }

    /// Judges a datagram that came `rtt` after the query was sent (RFC 5452 §9: source, id,
    /// question and its case), keeps an answer, and keeps in mind how fast the upstream is.
    pub fn plain_reply(
        &self,
        asked: &PlainTry,
        from: SocketAddr,
        datagram: &[u8],
        rtt: Duration,
    ) -> PlainReply {
        if from != asked.server {
            return PlainReply::Stray;
        }
        match asked.query.judge(datagram, true) {
            Heard::Stray => return PlainReply::Stray,
            Heard::Answer => {}
            _ => return PlainReply::Other,
        }
        let Ok(packet) = Packet::parse(datagram) else { return PlainReply::Other };
        if !matches!(packet.rcode(), rcode::NOERROR | rcode::NXDOMAIN) {
            return PlainReply::Other;
        }
        let keep_ad = from.ip().is_loopback() && !asked.validates;
        let Ok(answer) = Answer::minimal(&packet, asked.query.question(), keep_ad) else {
            return PlainReply::Other;
        };
        self.desk.race.replied(&from.into(), rtt, asked.manners);
        let Some(won) = self.plain_judged(asked, from, &packet, answer) else {
            return PlainReply::Other;
        };
        // Only names in no zone of their own are asked here.
        let won = Won { answer: self.desk.race.without_private(won.answer), ..won };
        self.desk.keep(&asked.key, &won);
        let answer = won.answer;
        let records = packet.section(Section::Answer);
        let alias = !answer.is_empty()
            && records
                .into_iter()
                .any(|record| matches!(record.rtype, rtype::CNAME | rtype::DNAME));
        PlainReply::Answer { answer, alias }
    }

    /// What is given out and kept; `None` if something has to be asked first.
    fn plain_judged(
        &self,
        asked: &PlainTry,
        from: SocketAddr,
        packet: &Packet<'_>,
        answer: Answer,
    ) -> Option<Won> {
        let race = &self.desk.race;
        let mut won =
            Won { answer: Arc::new(answer), server: from.into(), keep: None, bogus: false };
        if asked.validates && !asked.asking.checking_disabled {
            let judged = self.desk.judge_at_once(won.answer.wire())?;
            return finished(race, asked.asking.dnssec_ok, &won, &judged);
        }
        won.keep =
            lifetime(packet, false).map(|(kind, life)| (kind, race.bounded(&won.answer, life)));
        Some(won)
    }

    /// No answer came within `waited`: the upstream is thought of as slow from now on.
    pub fn plain_failed(&self, server: SocketAddr, waited: Duration) {
        self.desk.race.slow(&server.into(), waited);
    }
}
