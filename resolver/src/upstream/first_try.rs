//! The first try at a plain-DNS upstream, for whoever owns sockets of its own and sends many
//! queries at a time.
//!
//! The three steps are [`FirstTries::start`], which makes the bytes to send;
//! [`FirstTries::on_reply`], which judges what comes back as every other reply is judged and keeps
//! it; and the note that nothing came. Whatever is not a whole, good answer goes the long way
//! ([`super::Upstreams::resolve`]), where the other upstreams, TCP and the rest of the tries are.
//!
//! Of two tries with one [`FirstTry::key`] the second has to wait for the first: were both sent,
//! two resolvers that ask each other would do nothing else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::dnssec_support::FirstTryMode;
use super::loop_detect;
use super::select::UpstreamAnswer;
use super::shared::Shared;
use super::transport::query::{QUERY_RANDOM_BYTES, Query, QueryFlags, ReplyCheck, ServerCaps};
use super::validate::{Validation, apply_verdict, validation_flags};
use crate::cache::{Answer, Key, Scope, lifetime};
use crate::dns::message::{Packet, Section, rcode, u16_at};
use crate::dns::rtype;

/// How many random bytes a [`FirstTry`] takes. They decide its id and the case of its name: from
/// the system's generator or one that is seeded from it and can't be predicted.
pub const FIRST_TRY_RANDOM_BYTES: usize = QUERY_RANDOM_BYTES;

/// A query to one plain-DNS upstream, ready to send over UDP.
#[derive(Debug)]
pub struct FirstTry {
    server: SocketAddr,
    query: Query,
    key: Key,
    caps: ServerCaps,
    /// Whether the answer is validated, or given to a client that does so; and whether that one
    /// wants what it takes.
    validates: bool,
    flags: QueryFlags,
}

impl FirstTry {
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

/// What a datagram means for a [`FirstTry`].
#[derive(Debug)]
pub enum FirstReply {
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

/// The first tries of those who send by themselves.
#[derive(Debug, Clone, Copy)]
pub struct FirstTries<'a>(pub &'a Shared);

impl FirstTries<'_> {
    /// The plain-DNS upstream that would be asked first now for a name (in wire form, any case).
    /// `None` if there is none, if the one that would be asked first speaks something else, if the
    /// name is in a zone with upstreams of its own, or if nobody has found out yet whether the
    /// upstreams pass DNSSEC on.
    pub fn server(&self, name: &[u8]) -> Option<SocketAddr> {
        self.target(name).map(|(server, _)| server)
    }

    /// As [`Upstreams::first_try_server`], and whether what it says is validated.
    fn target(&self, name: &[u8]) -> Option<(SocketAddr, bool)> {
        let zone = self.0.zones.of(name);
        match self.0.dnssec.first_try_mode(zone, self.0.selector.clock.now()) {
            _ if !zone.is_rest() => None,
            FirstTryMode::Undetermined => None,
            FirstTryMode::Unvalidated => {
                self.0.selector.fastest(zone.targets())?.plain().map(|server| (server, false))
            }
            FirstTryMode::Validated(passing) => {
                self.0.selector.fastest(&passing)?.plain().map(|server| (server, true))
            }
        }
    }

    /// The query for a question (QNAME without compression, QTYPE, QCLASS, in any case) to the
    /// upstream that would be asked first. `None` if that is for [`super::Upstreams::resolve`] to
    /// do.
    pub fn start(
        &self,
        question: &[u8],
        dnssec_ok: bool,
        checking_disabled: bool,
        random: &[u8; FIRST_TRY_RANDOM_BYTES],
    ) -> Option<FirstTry> {
        let qtype = u16_at(question, question.len().checked_sub(4)?).ok()?;
        if rtype::is_pseudo(qtype) || loop_detect::token(question).is_some() {
            return None;
        }
        let (server, validates) = self.target(question)?;
        let caps = self.0.selector.caps(&server.into());
        let flags = QueryFlags { recursive: true, dnssec_ok, checking_disabled };
        let asked = if validates { validation_flags(flags) } else { flags };
        Some(FirstTry {
            server,
            validates,
            flags,
            query: Query::new(question, asked, caps, server.ip().is_loopback(), random),
            key: Key::new(question, dnssec_ok, checking_disabled, Scope::Upstreams),
            caps,
        })
    }

    /// Judges a datagram that came `rtt` after the query was sent (RFC 5452 §9: source, id,
    /// question and its case), keeps an answer, and keeps in mind how fast the upstream is.
    pub fn on_reply(
        &self,
        asked: &FirstTry,
        from: SocketAddr,
        datagram: &[u8],
        rtt: Duration,
    ) -> FirstReply {
        if from != asked.server {
            return FirstReply::Stray;
        }
        match asked.query.judge(datagram, true) {
            ReplyCheck::Stray => return FirstReply::Stray,
            ReplyCheck::Answer => {}
            _ => return FirstReply::Other,
        }
        let Ok(packet) = Packet::parse(datagram) else { return FirstReply::Other };
        if !matches!(packet.rcode(), rcode::NOERROR | rcode::NXDOMAIN) {
            return FirstReply::Other;
        }
        let keep_ad = from.ip().is_loopback() && !asked.validates;
        let Ok(answer) = Answer::minimal(&packet, asked.query.question(), keep_ad) else {
            return FirstReply::Other;
        };
        self.0.selector.record_reply(&from.into(), rtt, asked.caps);
        let Some(received) = self.validate(asked, from, &packet, answer) else {
            return FirstReply::Other;
        };
        // Only names in no zone of their own are asked here.
        let received =
            UpstreamAnswer { answer: self.0.selector.strip_private(received.answer), ..received };
        self.0.cache_answer(&asked.key, &received);
        let answer = received.answer;
        let records = packet.section(Section::Answer);
        let alias = !answer.is_empty()
            && records
                .into_iter()
                .any(|record| matches!(record.rtype, rtype::CNAME | rtype::DNAME));
        FirstReply::Answer { answer, alias }
    }

    /// What is given out and kept; `None` if something has to be asked first.
    fn validate(
        &self,
        asked: &FirstTry,
        from: SocketAddr,
        packet: &Packet<'_>,
        answer: Answer,
    ) -> Option<UpstreamAnswer> {
        let selector = &self.0.selector;
        let mut received = UpstreamAnswer {
            answer: Arc::new(answer),
            server: from.into(),
            keep: None,
            bogus: false,
        };
        if asked.validates && !asked.flags.checking_disabled {
            let judged = Validation::validate_without_queries(self.0, received.answer.wire())?;
            return apply_verdict(selector, asked.flags.dnssec_ok, &received, &judged);
        }
        received.keep = lifetime(packet, false)
            .map(|(kind, life)| (kind, selector.clamp_ttl(&received.answer, life)));
        Some(received)
    }
}
